//! Rebuilding a symbol's hashes and indexes from its log, or only looking whether they agree with it.
//!
//! First the log is folded in memory: what its entries come to, one after the other. Then that is compared with
//! what is stored, entity by entity, and what differs is written. Both go in slices, between which others publish:
//! each slice first folds what came meanwhile, so what it compares is of one moment.
//!
//! What the log does not tell from the beginning is left alone: an entity whose first event was trimmed, and what
//! an index has beside those that are known.

mod compare;
mod fields;
mod fold;
mod view;

use std::ops::Bound;

use crate::event_type::Subject;
use crate::key::Key;
use crate::log::logged::Logged;
use crate::plan::Plan;
use crate::refusal::{Code, Outcome};
use crate::settings::Settings;
use crate::store::{Audit, Flow, Slot, Span};
use crate::stream_id::StreamId;
use crate::time::Millis;
use compare::{Comparison, Reach};
use fold::{EntityKey, Fold, Standing};

/// Entities that one slice repairs at most: writing takes longer than looking.
const REPAIRS_MAX: u64 = 200;

/// Entities that one slice compares at most: their keys stay open until it ends.
const COMPARED_MAX: usize = 1_000;

/// What is done about a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is mended.
    Repair,
    /// It is counted.
    DryRun,
}

/// How far a rebuild is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Entries of the log that were folded.
    pub read: u64,
    /// Orders, positions, signals and risk limits that were compared.
    pub entities: u64,
    /// Those that differed, ids that an index should not have, and `last` if it did.
    pub differing: u64,
    /// Those that were mended.
    pub repaired: u64,
    /// Those of which the log does not hold the beginning.
    pub skipped: u64,
}

/// Whether a slice was the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// There is more to do.
    Unfinished,
    /// Everything was compared.
    Finished,
}

/// A rebuild under way.
pub struct Rebuild {
    mode: Mode,
    symbol: String,
    fold: Fold,
    /// The newest entry that was folded.
    position: StreamId,
    /// `None` before the first slice.
    extent: Option<Extent>,
    stage: Stage,
    /// The entity that was compared last.
    compared: Option<EntityKey>,
    progress: Progress,
}

/// How much of the log was gone when the fold began, and how much there had been.
#[derive(Clone, Copy, Debug)]
struct Extent {
    added: u64,
    gone: u64,
}

/// What is compared next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The entity behind the one compared last.
    Entities,
    /// The index of a kind, from this cursor on.
    Index(Subject, u64),
    /// The risk limits.
    Risk,
    /// Counts and sums.
    Last,
    Done,
}

impl Rebuild {
    /// Of a symbol, from the beginning of its log.
    pub fn new(symbol: &str, mode: Mode) -> Rebuild {
        Rebuild {
            mode,
            symbol: symbol.to_owned(),
            fold: Fold::new(symbol),
            position: StreamId::ZERO,
            extent: None,
            stage: Stage::Entities,
            compared: None,
            progress: Progress::default(),
        }
    }

    /// The symbol.
    pub fn symbol(&self) -> &str {
        &self.symbol
    }

    /// What it does about differences.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// Does a part of the work, until `may_go_on` says otherwise, and gives what is to be written.
    ///
    /// # Errors
    /// WRONGTYPE when a key is of another type, ERR when the log was replaced. The rebuild is as it was before.
    pub fn step<'a, S: Audit<'a>>(
        &mut self,
        store: &S,
        settings: &Settings,
        now: Millis,
        may_go_on: &mut dyn FnMut() -> bool,
    ) -> Outcome<(Step, Plan<'static>)> {
        let log = store.open(Key::Log)?;
        self.check_extent(store, log)?;
        let mut plan = Plan::default();
        if self.read_log(store, log, may_go_on) == Step::Unfinished {
            return Ok((Step::Unfinished, plan));
        }
        let before = (self.stage, self.compared.clone(), self.progress);
        let step = self.compare(store, settings, now, &mut plan, may_go_on);
        if step.is_err() {
            (self.stage, self.compared, self.progress) = before;
        }
        let step = step?;
        Ok((step, plan))
    }

    /// Gives the memory of a rebuild that is over back, some of it: freeing all at once would take longer than any
    /// slice.
    pub fn give_back(&mut self, entities: usize) -> Step {
        for _ in 0..entities {
            if self.fold.entities.pop_first().is_none() {
                return Step::Finished;
            }
        }
        Step::Unfinished
    }

    /// The log may have been trimmed beyond what was folded, or be another one than before.
    fn check_extent<'a, S: Audit<'a>>(&mut self, store: &S, log: Slot) -> Outcome<()> {
        let added = store.entries_added(log);
        let gone = added.saturating_sub(store.len(log));
        let Some(begun) = &mut self.extent else {
            self.extent = Some(Extent { added, gone });
            return Ok(());
        };
        let ends_before = self.position > StreamId::ZERO && store.last_id(log) < Some(self.position);
        if added < begun.added || ends_before {
            return Err(Code::Err.because("the log is not the one that the rebuild began with: start again"));
        }
        begun.added = added;
        if gone > begun.gone + self.progress.read {
            begun.gone = gone;
            self.fold = Fold::new(&self.symbol);
            (self.position, self.stage, self.compared) = (StreamId::ZERO, Stage::Entities, None);
            self.progress.read = 0;
        }
        Ok(())
    }

    fn read_log<'a, S: Audit<'a>>(&mut self, store: &S, log: Slot, may_go_on: &mut dyn FnMut() -> bool) -> Step {
        let mut step = Step::Finished;
        store.entries(log, Span::after(self.position), &mut |id, entry| {
            self.fold.take(&Logged::read(id, entry));
            self.position = id;
            self.progress.read += 1;
            if may_go_on() {
                return Flow::Continue;
            }
            step = Step::Unfinished;
            Flow::Stop
        });
        step
    }

    /// Whether the log holds everything that ever was in it.
    fn reach(&self) -> Reach {
        match self.extent {
            Some(Extent { gone: 0, .. }) => Reach::Whole,
            _ => Reach::Part,
        }
    }

    fn compare<'a, S: Audit<'a>>(
        &mut self,
        store: &S,
        settings: &Settings,
        now: Millis,
        plan: &mut Plan<'static>,
        may_go_on: &mut dyn FnMut() -> bool,
    ) -> Outcome<Step> {
        let comparison = Comparison { store, settings, now, reach: self.reach() };
        let enough = self.progress.repaired + REPAIRS_MAX;
        for _ in 0..COMPARED_MAX {
            self.compare_next(&comparison, plan)?;
            if self.stage == Stage::Done {
                return Ok(Step::Finished);
            }
            if self.progress.repaired >= enough || !may_go_on() {
                break;
            }
        }
        Ok(Step::Unfinished)
    }

    fn compare_next<'a, S: Audit<'a>>(
        &mut self,
        comparison: &Comparison<'_, S>,
        plan: &mut Plan<'static>,
    ) -> Outcome<()> {
        match self.stage {
            Stage::Entities => {
                let behind = self.compared.take().map_or(Bound::Unbounded, Bound::Excluded);
                let Some((key, entity)) = self.fold.entities.range((behind, Bound::Unbounded)).next() else {
                    self.stage = Stage::Index(Subject::Order, 0);
                    return Ok(());
                };
                let repair = match key.subject().filter(|_| entity.standing == Standing::Known) {
                    Some(subject) => Some(comparison.entity(&subject, entity)?),
                    None => None,
                };
                self.compared = Some(key.clone());
                match repair {
                    Some(repair) => {
                        self.progress.entities += 1;
                        self.mend(repair, 1, plan);
                    }
                    None => self.progress.skipped += 1,
                }
            }
            Stage::Index(kind, cursor) => {
                let page = comparison.index(kind, cursor, &self.fold)?;
                self.progress.skipped += page.skipped;
                let strays = page.repair.indexes.len() as u64;
                self.mend(page.repair, strays, plan);
                self.stage = match (page.next, kind) {
                    (0, Subject::Order) => Stage::Index(Subject::Position, 0),
                    (0, _) => Stage::Risk,
                    (next, _) => Stage::Index(kind, next),
                };
            }
            Stage::Risk => {
                let repair = comparison.risk(&self.fold.risk)?;
                self.progress.entities += self.fold.risk.len() as u64;
                let differing = repair.hashes.iter().map(|patch| patch.set.len() + patch.delete.len()).sum::<usize>();
                self.mend(repair, differing as u64, plan);
                self.stage = Stage::Last;
            }
            Stage::Last => {
                let repair = comparison.last(&self.symbol, &self.fold.journal)?;
                self.mend(repair, 1, plan);
                self.stage = Stage::Done;
            }
            Stage::Done => {}
        }
        Ok(())
    }

    /// Counts what differs, of which `repair` is empty where nothing does, and has it mended.
    fn mend(&mut self, repair: Plan<'static>, differing: u64, plan: &mut Plan<'static>) {
        if repair.is_empty() {
            return;
        }
        self.progress.differing += differing;
        if self.mode == Mode::Repair {
            self.progress.repaired += differing;
            plan.hashes.extend(repair.hashes);
            plan.indexes.extend(repair.indexes);
            plan.expiries.extend(repair.expiries);
            plan.unlinks.extend(repair.unlinks);
        }
    }
}
