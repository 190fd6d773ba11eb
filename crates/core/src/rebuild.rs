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
use crate::store::{Audit, Flow, Slot, Span, Store};
use crate::stream_id::StreamId;
use crate::time::Millis;
use compare::{Comparison, Reach};
use fold::{EntityKey, Fold, Standing};

/// Fields and members that one slice writes, about: writing takes longer than looking.
const WRITTEN_MAX: usize = 4_000;

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
    /// Those of which the log does not tell everything.
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

/// What a slice has just done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// It has folded an entry of the log.
    Folded {
        /// How long its values are together.
        bytes: usize,
    },
    /// It has compared an entity, or a part of what else there is.
    Compared,
}

/// A rebuild under way.
pub struct Rebuild {
    mode: Mode,
    symbol: String,
    fold: Fold,
    /// Folds that had to be begun again, and are still to be freed.
    worn: Vec<Fold>,
    /// The newest entry that was folded.
    position: StreamId,
    /// `None` before the first slice.
    extent: Option<Extent>,
    stage: Stage,
    /// The entity that was compared last.
    compared: Option<EntityKey>,
    progress: Progress,
}

/// What the log had had at the last slice, and how much of it was gone when the fold began.
#[derive(Clone, Copy, Debug)]
struct Extent {
    added: u64,
    gone: u64,
    /// The highest id deleted by itself.
    deleted: StreamId,
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
            worn: Vec::new(),
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
        may_go_on: &mut dyn FnMut(Done) -> bool,
    ) -> Outcome<(Step, Plan<'static>)> {
        let log = store.open(Key::Log)?;
        self.check_log(store, log)?;
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

    /// Gives the memory of a rebuild that is over back, about so many fields of it: freeing all at once would take longer
    /// than any slice.
    pub fn give_back(&mut self, fields: usize) -> Step {
        let mut freed = 0;
        while freed < fields {
            let fold = self.worn.last_mut().unwrap_or(&mut self.fold);
            match fold.entities.pop_first() {
                Some((_, entity)) => freed += 1 + entity.hash.len() + entity.fills.len(),
                None if self.worn.pop().is_none() => return Step::Finished,
                None => {}
            }
        }
        Step::Unfinished
    }

    /// The log may have been trimmed beyond what was folded, or be another one than before.
    fn check_log<'a, S: Audit<'a>>(&mut self, store: &S, log: Slot) -> Outcome<()> {
        let history = store.history(log)?;
        let gone = history.added.saturating_sub(store.len(log));
        let Some(begun) = self.extent else {
            self.extent = Some(Extent { added: history.added, gone, deleted: history.deleted });
            return Ok(());
        };
        let folded = begun.gone + self.progress.read;
        // Once what was folded is not in the log any more, at least so many entries must be gone.
        let lacks_folded = self.position > StreamId::ZERO
            && oldest_id(store, log).is_none_or(|oldest| oldest > self.position)
            && gone < folded;
        if history.added < begun.added || lacks_folded {
            return Err(Code::Err.because("the log is not the one that the rebuild began with: start again"));
        }
        self.extent = Some(Extent { added: history.added, gone: begun.gone, deleted: history.deleted });
        if gone > folded {
            self.extent = Some(Extent { added: history.added, gone, deleted: history.deleted });
            self.worn.push(std::mem::replace(&mut self.fold, Fold::new(&self.symbol)));
            (self.position, self.stage, self.compared) = (StreamId::ZERO, Stage::Entities, None);
            // What was mended stays so.
            let repaired = self.progress.repaired;
            self.progress = Progress { differing: repaired, repaired, ..Progress::default() };
        }
        Ok(())
    }

    fn read_log<'a, S: Audit<'a>>(&mut self, store: &S, log: Slot, may_go_on: &mut dyn FnMut(Done) -> bool) -> Step {
        let mut step = Step::Finished;
        store.entries(log, Span::after(self.position), &mut |id, entry| {
            self.fold.take(&Logged::read(id, entry));
            self.position = id;
            self.progress.read += 1;
            let bytes = entry.iter().map(|(_, value)| value.len()).sum();
            if may_go_on(Done::Folded { bytes }) {
                return Flow::Continue;
            }
            step = Step::Unfinished;
            Flow::Stop
        });
        step
    }

    /// What the log seems to hold, and how many entries it has ever had.
    fn reach(&self) -> (Reach, u64) {
        match self.extent {
            None => (Reach::Tail, 0),
            Some(Extent { added, deleted, .. }) if deleted > StreamId::ZERO => (Reach::Holes, added),
            Some(Extent { added, gone: 0, .. }) => (Reach::Whole, added),
            Some(Extent { added, .. }) => (Reach::Tail, added),
        }
    }

    fn compare<'a, S: Audit<'a>>(
        &mut self,
        store: &S,
        settings: &Settings,
        now: Millis,
        plan: &mut Plan<'static>,
        may_go_on: &mut dyn FnMut(Done) -> bool,
    ) -> Outcome<Step> {
        let (reach, added) = self.reach();
        let symbol = self.symbol.clone();
        let comparison = Comparison { store, symbol: &symbol, settings, now, reach, added };
        for _ in 0..COMPARED_MAX {
            self.compare_next(&comparison, plan)?;
            if self.stage == Stage::Done {
                return Ok(Step::Finished);
            }
            if written(plan) >= WRITTEN_MAX || !may_go_on(Done::Compared) {
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
                    Some(subject) => comparison.entity(&subject, entity)?,
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
                let repair = match self.fold.risk_standing {
                    Standing::Known => comparison.risk(&self.fold.risk)?,
                    Standing::Unknown => Plan::default(),
                };
                self.progress.entities += self.fold.risk.len() as u64;
                let differing = repair.hashes.iter().map(|patch| patch.set.len() + patch.delete.len()).sum::<usize>();
                self.mend(repair, differing as u64, plan);
                self.stage = Stage::Last;
            }
            Stage::Last => {
                let repair = match self.fold.sums {
                    Standing::Known => comparison.last(&self.fold.journal)?,
                    Standing::Unknown => Plan::default(),
                };
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

/// The id of the oldest entry of a stream.
fn oldest_id<'a, S: Store<'a>>(store: &S, log: Slot) -> Option<StreamId> {
    let mut oldest = None;
    store.entries(log, Span::after(StreamId::ZERO), &mut |id, _| {
        oldest = Some(id);
        Flow::Stop
    });
    oldest
}

/// Fields and members that a plan writes.
fn written(plan: &Plan<'_>) -> usize {
    let fields = plan.hashes.iter().map(|patch| patch.set.len() + patch.delete.len()).sum::<usize>();
    fields + plan.indexes.len() + plan.expiries.len() + plan.unlinks.len()
}
