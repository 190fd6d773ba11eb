//! Registering conditions, and what else is done to one.

use super::{Decision, Market};
use crate::condition::{field, Known, Mode, Status};
use crate::engine::{open_time, CONDITIONS_MAX};
use crate::expression::{condition_id, Expression};
use crate::forming::Feed;
use crate::key::Key;
use crate::plan::IndexPatch;
use crate::record::Record;
use crate::refusal::{Code, Outcome};
use crate::store::MarketStore;
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
            }
            None => self.add(&id, expression, request)?,
        }
        Ok((id, self.finish()))
    }

    fn add(&mut self, id: &str, expression: Expression, request: &Registration<'_>) -> Outcome<()> {
        let (timeframe, mode) = (request.timeframe, request.mode.unwrap_or_default());
        let index = self.store.open(Key::Conditions(timeframe))?;
        if self.store.len(index) >= CONDITIONS_MAX {
            return Err(Code::TooBig.because(format!(
                "{} has {CONDITIONS_MAX} conditions on {}, and more are not allowed",
                self.symbol,
                timeframe.as_str()
            )));
        }
        let at = self.record(Key::Condition(id))?;
        let record = &mut self.records[at];
        record.set(field::STATUS, Status::Active.as_str());
        record.set(field::TRIGGER_COUNT, 0_u64);
        record.set(field::MODE, mode.as_str());
        record.set(field::TIMEFRAME, timeframe.as_str());
        record.set(field::EXPRESSION, expression.as_str().to_owned());
        record.set(field::CREATED_AT, self.now);
        self.set_limits(at, request);

        // Distinct and growing, so that the newest registration tells whether one was missed.
        let after = |last: Millis| last.saturating_add(1);
        let registered = self.store.highest_score(index).map_or(self.now, |last| after(last).max(self.now));
        let mut engine = self.engine(timeframe)?;
        if let Some(state) = engine.add(self.store, id, expression, mode, registered)? {
            let slot = self.store.open(Key::State(timeframe))?;
            self.plan.strings.push((slot, state.into()));
        }
        let known = engine.find(id).and_then(|watched| watched.known);
        if let Some(newest) = engine.newest().and_then(open_time).filter(|_| known.is_some()) {
            Known::write(&mut self.records[at], known, newest, None);
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
        let Some((known, at)) = self.condition(id)? else {
            return Ok((false, self.finish()));
        };
        let subscriptions = self.store.open(Key::Subscriptions(id))?;
        let subscribers = self.store.len(subscriptions);
        if subscribers > 0 && removal == Removal::IfUnused {
            return Err(Code::InvalidState
                .because(format!("condition {id} has {subscribers} subscribers; FORCE removes them with it")));
        }
        let timeframe = known.timeframe;
        let index = self.store.open(Key::Conditions(timeframe))?;
        self.notes.unlink(self.records[at].slot());
        self.notes.unlink(subscriptions);
        self.plan.indexes.push(IndexPatch { slot: index, member: id.into(), score: None });
        if self.store.len(index) <= 1 {
            self.notes.unlink(self.store.open(Key::State(timeframe))?);
            if self.feed(timeframe)?.is_some_and(|feed| feed != Feed::Candles) {
                self.remove_feed(timeframe)?;
            }
        }
        if let Some(engine) = self.remembered.take(timeframe) {
            if let Some(mut engine) = engine.still_true(self.store)? {
                engine.remove(id);
                self.touched.push(engine);
            }
        }
        Ok((true, self.finish()))
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
