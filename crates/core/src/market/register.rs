//! Registering conditions, and what else is done to one.

use super::{Decision, Market};
use crate::condition::{field, Mode, Status};
use crate::engine::CONDITIONS_MAX;
use crate::expression::{condition_id, Expression};
use crate::forming::Feed;
use crate::key::Key;
use crate::plan::IndexPatch;
use crate::record::Record;
use crate::refusal::{Code, Outcome};
use crate::store::{Flow, MarketStore, Score};
use crate::symbol::parse_word;
use crate::time::{self, Millis};
use crate::timeframe::Timeframe;
use crate::word::Word;

/// What a caller registers. Limits that are 0 are none.
#[derive(Clone, Copy, Debug)]
pub struct Registration<'r> {
    /// The candles.
    pub timeframe: Timeframe,
    /// The expression as it was written.
    pub expression: &'r [u8],
    /// ID.
    pub id: Option<&'r [u8]>,
    /// MODE.
    pub mode: Option<Mode>,
    /// COOLDOWN, ms.
    pub cooldown_ms: Option<u64>,
    /// EXPIREAT, Unix ms.
    pub expire_at: Option<u64>,
    /// MAXTRIGGERS.
    pub max_triggers: Option<u64>,
}

/// Whether a condition with subscribers is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It is not.
    IfUnused,
    /// It is, and so are they.
    Force,
}

impl<'a, S: MarketStore<'a>> Market<'_, 'a, S> {
    /// Registers a condition, or changes the limits of the one that it is, and ends. Gives the condition's id.
    ///
    /// # Errors
    /// BADEXPR, BADFIELD, IDCONFLICT, TOOBIG, WRONGTYPE, CORRUPT.
    pub fn register(mut self, request: &Registration<'_>) -> Outcome<(String, Decision<'a>)> {
        let expression = Expression::parse(request.expression)?;
        let id = match request.id {
            Some(id) => parse_word("ID", id)?.to_owned(),
            None => {
                let mode = request.mode.unwrap_or_default().as_str();
                condition_id(self.symbol, request.timeframe, &expression, mode)
            }
        };
        if let Some(at) = request.expire_at.filter(|at| *at > 0) {
            if !Millis::try_from(at).is_ok_and(|at| at > self.now && at <= time::MAX) {
                return Err(Code::BadField.because(format!(
                    "EXPIREAT must be later than now ({}) and not after the year 9999, or 0 for never; not {at}",
                    self.now
                )));
            }
        }
        match self.condition(&id)? {
            Some((known, at)) => {
                let is_same = known.timeframe == request.timeframe
                    && known.expression == expression.as_str()
                    && request.mode.is_none_or(|mode| mode == known.mode);
                if !is_same {
                    return Err(Code::IdConflict.because(format!(
                        "condition {id} is `{}` on {}, {}",
                        known.expression,
                        known.timeframe.as_str(),
                        known.mode.as_str()
                    )));
                }
                self.set_limits(at, request);
                // Its place was lost, as by an eviction. Who asks for it wants to have it judged.
                let index = self.store.open(Key::Conditions(known.timeframe))?;
                if self.store.score(index, &id) == Score::Absent {
                    self.begin(&id, at, expression, known.mode, known.timeframe)?;
                }
            }
            None => self.add(&id, expression, request)?,
        }
        Ok((id, self.finish()))
    }

    fn add(&mut self, id: &str, expression: Expression, request: &Registration<'_>) -> Outcome<()> {
        let (timeframe, mode) = (request.timeframe, request.mode.unwrap_or_default());
        let at = self.record(Key::Condition(id))?;
        let record = &mut self.records[at];
        record.set(field::STATUS, Status::Active.as_str());
        record.set(field::TRIGGER_COUNT, 0_u64);
        record.set(field::MODE, mode.as_str());
        record.set(field::TIMEFRAME, timeframe.as_str());
        record.set(field::EXPRESSION, expression.as_str().to_owned());
        record.set(field::CREATED_AT, self.now);
        self.set_limits(at, request);
        self.begin(id, at, expression, mode, timeframe)
    }

    /// Has a condition, whose record is `at`, judged from the next bar on.
    fn begin(&mut self, id: &str, at: usize, expression: Expression, mode: Mode, timeframe: Timeframe) -> Outcome<()> {
        let index = self.store.open(Key::Conditions(timeframe))?;
        if self.store.len(index) >= CONDITIONS_MAX {
            return Err(Code::TooBig.because(format!(
                "{} has {CONDITIONS_MAX} conditions on {}, and more are not allowed",
                self.symbol,
                timeframe.as_str()
            )));
        }
        // Distinct and growing, so that the newest registration tells whether one was missed.
        let after = |last: Millis| last.saturating_add(1);
        let registered = self.store.highest_score(index).map_or(self.now, |last| after(last).max(self.now));
        let mut engine = self.engine(timeframe)?;
        // What a lost condition, or a lost place of one, has left: a new one has none.
        if engine.find(id).is_none() {
            engine.subscriptions += self.store.len(self.store.open(Key::Subscriptions(id))?);
        }
        let known = engine.add(self.store, id, expression, mode, registered)?;
        if known.value.is_some() {
            known.write(&mut self.records[at]);
        }
        self.touched.push(engine);
        self.plan.indexes.push(IndexPatch { slot: index, member: id.into(), score: Some(registered) });
        if self.feed(timeframe)?.is_none() {
            self.set_feed(timeframe, &Feed::Ticks)?;
        }
        Ok(())
    }

    /// Sets the limits that are named, and when that was if any of them is another one.
    fn set_limits(&mut self, at: usize, request: &Registration<'_>) {
        let record = &mut self.records[at];
        let limits = [
            (field::COOLDOWN, request.cooldown_ms),
            (field::EXPIRE_AT, request.expire_at),
            (field::MAX_TRIGGERS, request.max_triggers),
        ];
        for (name, limit) in limits {
            if let Some(limit) = limit {
                record.put(name, Some(limit).filter(|limit| *limit > 0));
            }
        }
        touch(record, self.now);
    }

    /// Pauses a condition or lets it go on, and ends. What it would have triggered meanwhile is gone.
    ///
    /// # Errors
    /// NOTFOUND, WRONGTYPE, CORRUPT.
    pub fn set_status(mut self, id: &str, status: Status) -> Outcome<Decision<'a>> {
        let (_, at) = self.known_condition(id)?;
        self.records[at].set(field::STATUS, status.as_str());
        touch(&mut self.records[at], self.now);
        Ok(self.finish())
    }

    /// Removes a condition, and ends. Says whether there was one.
    ///
    /// # Errors
    /// INVALIDSTATE when it has subscribers and `removal` does not include them; WRONGTYPE, CORRUPT.
    pub fn remove(mut self, id: &str, removal: Removal) -> Outcome<(bool, Decision<'a>)> {
        let known = match (self.condition(id), removal) {
            (Ok(known), _) => known.map(|(condition, _)| condition.timeframe),
            // What cannot be read can be removed all the same.
            (Err(refusal), Removal::Force) if refusal.code == Code::Corrupt => None,
            (Err(refusal), _) => return Err(refusal),
        };
        let subscriptions = self.store.open(Key::Subscriptions(id))?;
        let subscribers = self.store.len(subscriptions);
        if known.is_some() && subscribers > 0 && removal == Removal::IfUnused {
            return Err(Code::InvalidState
                .because(format!("condition {id} has {subscribers} subscribers; FORCE removes them with it")));
        }
        let timeframes = match (known, removal) {
            (Some(timeframe), _) => vec![timeframe],
            (None, Removal::IfUnused) => return Ok((false, self.finish())),
            // What somebody left who deleted its hash by hand goes too.
            (None, Removal::Force) => self.indexed(id)?,
        };
        let definition = self.store.open(Key::Condition(id))?;
        let was_there = self.store.exists(definition) || subscribers > 0 || !timeframes.is_empty();
        self.notes.unlink(definition);
        self.notes.unlink(subscriptions);
        for timeframe in timeframes {
            self.remove_from(timeframe, id, subscribers)?;
        }
        Ok((was_there, self.finish()))
    }

    /// The timeframes in whose index an id is.
    fn indexed(&self, id: &str) -> Outcome<Vec<Timeframe>> {
        let mut timeframes = Vec::new();
        for &timeframe in Timeframe::ALL {
            self.store.sorted_each(self.store.open(Key::Conditions(timeframe))?, &mut |member, _| {
                if member != id.as_bytes() {
                    return Flow::Continue;
                }
                timeframes.push(timeframe);
                Flow::Stop
            });
        }
        Ok(timeframes)
    }

    fn remove_from(&mut self, timeframe: Timeframe, id: &str, subscribers: u64) -> Outcome<()> {
        let index = self.store.open(Key::Conditions(timeframe))?;
        self.plan.indexes.push(IndexPatch { slot: index, member: id.into(), score: None });
        if self.store.len(index) <= 1 {
            self.notes.unlink(self.store.open(Key::State(timeframe))?);
            // Also where candles fed it: whoever begins anew may begin with ticks.
            if self.feed(timeframe)?.is_some() {
                self.remove_feed(timeframe)?;
            }
        }
        if let Some(engine) = self.remembered.take(timeframe) {
            if let Some(mut engine) = engine.still_true(self.store)? {
                engine.remove(self.store, id)?;
                engine.subscriptions = engine.subscriptions.saturating_sub(subscribers);
                self.touched.push(engine);
            }
        }
        Ok(())
    }
}

/// Notes when a condition was changed, if it was.
fn touch(record: &mut Record<'_>, now: Millis) {
    if field::ALL.iter().any(|name| record.is_changed(name)) {
        record.set(field::UPDATED_AT, now);
    }
}

/// An id of a condition as a caller wrote it.
///
/// # Errors
/// BADFIELD.
pub fn parse_id(text: &[u8]) -> Outcome<&str> {
    parse_word("the condition's id", text)
}
