//! What judges the conditions of one symbol and timeframe, kept in memory from bar to bar.
//!
//! It is a cache and nothing but that. It is believed while it names the newest candle, which tells that no bar was
//! missed, and the index of conditions is as it was; that is so whoever has written meanwhile: this node, a master that
//! it replicated from, or a restored file. Otherwise it is made again from what is stored, to the same bits.
//!
//! What is stored is the state as it was behind some bar, at most [`SAVE_EVERY`] bars ago, and the candles behind that.
//! The state is never saved with the newest candle in it: that one may be corrected, and is then computed again from the
//! bar before.

use std::rc::Rc;

use crate::candle::Candle;
use crate::condition::{expression_of, field, mode_of, timeframe_of, Known, Mode};
use crate::evaluator::{Evaluator, Watch, STATE_MAX};
use crate::expression::Expression;
use crate::key::Key;
use crate::record::Record;
use crate::refusal::{quoted, Code, Outcome, Refusal};
use crate::settings::Settings;
use crate::store::{Direction, Entry, Flow, MarketStore, Slot, Span};
use crate::stream_id::StreamId;
use crate::time::Millis;
use crate::timeframe::Timeframe;

/// The state is saved when the newest saved one is this many bars old.
pub const SAVE_EVERY: u64 = 64;

/// A function that is new begins this many candles ago at most: five times the longest period. To read them takes some
/// milliseconds; to compute with them, at the most that an expression may ask for, some tens.
pub const WARM_UP_MAX: usize = 5_000;

/// The most conditions of a timeframe.
pub const CONDITIONS_MAX: u64 = 10_000;

/// The most subscriptions to the conditions of a timeframe: one bar may fire them all.
pub const SUBSCRIPTIONS_MAX: u64 = 100_000;

/// The conditions of one timeframe, and the state that they are judged by.
pub struct Engine {
    timeframe: Timeframe,
    /// The state behind the newest candle.
    pub(crate) evaluator: Evaluator,
    /// In the order in which they were registered.
    pub(crate) watched: Vec<Watched>,
    proof: Proof,
    /// How many bars the saved state has taken in; `None` when there is none, or it lacks a function.
    saved_at: Option<u64>,
    /// About how many bytes it takes.
    memory: usize,
    /// Subscriptions to all its conditions. Nothing proves this number, and it only bounds what a bar can have to do: what
    /// is done by hand is counted once the engine is loaded anew.
    pub(crate) subscriptions: u64,
}

/// A condition of an engine. What a bar does not need every time is read from its hash.
pub(crate) struct Watched {
    pub(crate) id: Box<str>,
    pub(crate) watch: Watch,
    pub(crate) mode: Mode,
    registered: Millis,
    /// The last known value.
    pub(crate) known: Known,
}

/// What was stored when an engine was made, as far as it can be told without reading all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Proof {
    newest: Option<StreamId>,
    conditions: u64,
    /// Registration times are distinct and grow, so a condition that came is told by this one, and one that went by the
    /// number.
    registered: Option<i64>,
}

impl Proof {
    fn of<'a, S: MarketStore<'a>>(store: &S, timeframe: Timeframe) -> Outcome<Proof> {
        let candles = store.open(Key::Candles(timeframe))?;
        let index = store.open(Key::Conditions(timeframe))?;
        Ok(Proof {
            newest: store.newest_id(candles),
            conditions: store.len(index),
            registered: store.highest_score(index),
        })
    }
}

impl Engine {
    /// The engine of a timeframe: `remembered`, where it still holds, else made from what is stored.
    ///
    /// # Errors
    /// WRONGTYPE, CORRUPT.
    pub fn open<'a, S: MarketStore<'a>>(
        store: &S,
        timeframe: Timeframe,
        remembered: Option<Engine>,
    ) -> Outcome<Engine> {
        let proof = Proof::of(store, timeframe)?;
        match remembered.filter(|engine| engine.proof == proof) {
            Some(engine) => Ok(engine),
            None => Engine::load(store, timeframe, proof),
        }
    }

    /// The engine, if it still holds. One that does not must not be changed: it could then look as if it did.
    ///
    /// # Errors
    /// WRONGTYPE.
    pub(crate) fn still_true<'a, S: MarketStore<'a>>(self, store: &S) -> Outcome<Option<Engine>> {
        let proof = Proof::of(store, self.timeframe)?;
        Ok((self.proof == proof).then_some(self))
    }

    fn load<'a, S: MarketStore<'a>>(store: &S, timeframe: Timeframe, proof: Proof) -> Outcome<Engine> {
        let (evaluator, watched) = (Evaluator::default(), Vec::new());
        let mut engine = Engine { timeframe, evaluator, watched, proof, saved_at: None, memory: 0, subscriptions: 0 };
        let mut ids = Vec::new();
        store.sorted_each(store.open(Key::Conditions(timeframe))?, &mut |id, registered| {
            ids.push((String::from_utf8_lossy(id).into_owned(), registered));
            Flow::Continue
        });
        for (id, registered) in ids {
            let key = Key::Condition(&id);
            let mut record = Record::new(store, store.open(key)?);
            // Removed by hand: its place in the index says nothing.
            if !record.exists() {
                continue;
            }
            let loaded = load_watched(store, &mut record, timeframe);
            let Some((expression, mode, known)) = loaded.map_err(|refusal| within_condition(refusal, &id))? else {
                continue;
            };
            let watch = engine.evaluator.watch(Rc::new(expression));
            engine.subscriptions += store.len(store.open(Key::Subscriptions(&id))?);
            engine.watched.push(Watched { id: id.into(), watch, mode, registered, known });
        }
        engine.stand(store, None)?;
        engine.measure();
        Ok(engine)
    }

    /// The timeframe.
    #[must_use]
    pub fn timeframe(&self) -> Timeframe {
        self.timeframe
    }

    /// How many conditions it judges on a bar.
    #[must_use]
    pub fn conditions(&self) -> usize {
        self.watched.len()
    }

    /// The newest candle that it has taken in.
    #[must_use]
    pub fn newest(&self) -> Option<StreamId> {
        self.proof.newest
    }

    /// About how many bytes it takes.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.memory
    }

    /// Measures it anew, which takes a look at each condition: once for each change, not for each command.
    fn measure(&mut self) {
        // Roughly: a condition's place here and the nodes of its expression; a term has its text and about as much again.
        let of_one = |watched: &Watched| {
            let expression = watched.watch.expression();
            let terms = expression.terms().iter().map(|term| 256 + term.text().len());
            1_024 + expression.as_str().len() + terms.sum::<usize>()
        };
        self.memory = self.evaluator.saved_len_max() + self.watched.iter().map(of_one).sum::<usize>();
    }

    /// A condition's watch.
    pub(crate) fn find(&self, id: &str) -> Option<&Watched> {
        self.watched.iter().find(|watched| &*watched.id == id)
    }

    /// Begins to judge a condition that was registered at `registered`, warmed up from the stored candles. Gives its value
    /// on the newest of them.
    ///
    /// Nothing is saved here, or many registrations would write the state of all functions many times over: should the
    /// server be restarted before the next bar, which saves, the same candles give the same numbers again.
    ///
    /// # Errors
    /// TOOBIG, WRONGTYPE, CORRUPT; the engine is of no use then.
    pub(crate) fn add<'a, S: MarketStore<'a>>(
        &mut self,
        store: &S,
        id: &str,
        expression: Expression,
        mode: Mode,
        registered: Millis,
    ) -> Outcome<Known> {
        // Its hash was deleted by hand, which leaves it here.
        self.unwatch(id);
        let is_covered = self.evaluator.covers(&expression);
        let watch = self.evaluator.watch(Rc::new(expression));
        self.watched.push(Watched { id: id.into(), watch, mode, registered, known: Known::default() });
        if self.evaluator.saved_len_max() > STATE_MAX {
            return Err(Code::TooBig.because(format!(
                "the functions of all conditions of {} would have a state of more than {} MiB: use shorter periods, or fewer",
                self.timeframe.as_str(),
                STATE_MAX >> 20
            )));
        }
        if !is_covered {
            self.stand(store, None)?;
        }
        let newest = self.proof.newest.and_then(open_time);
        let mut known = Known::default();
        if let Some((watched, newest)) = self.watched.last_mut().zip(newest) {
            watched.known.learn(self.evaluator.judge(&watched.watch).value.known(), newest);
            known = watched.known;
        }
        self.proof.conditions += 1;
        self.proof.registered = Some(registered);
        self.measure();
        Ok(known)
    }

    /// Judges a condition no more.
    ///
    /// # Errors
    /// WRONGTYPE, CORRUPT; the engine is of no use then.
    pub(crate) fn remove<'a, S: MarketStore<'a>>(&mut self, store: &S, id: &str) -> Outcome<()> {
        self.unwatch(id);
        // What was not saved yet may be what goes. When the state is saved next must not depend on whether the engine
        // was loaded meanwhile: what is new then warms up to that bar.
        if self.saved_at.is_none() {
            self.stand(store, None)?;
        }
        self.proof.conditions = self.proof.conditions.saturating_sub(1);
        self.proof.registered = self.watched.iter().map(|watched| watched.registered).max();
        self.measure();
        Ok(())
    }

    fn unwatch(&mut self, id: &str) {
        if let Some(place) = self.watched.iter().position(|watched| &*watched.id == id) {
            self.evaluator.unwatch(self.watched.remove(place).watch);
        }
    }

    /// The state to be saved before the next bar is taken in, if that is due. With a short history it is due sooner:
    /// the candles behind it must not be trimmed.
    pub(crate) fn save_if_due(&mut self, settings: &Settings) -> Option<Vec<u8>> {
        let every = match settings.candle_history {
            0 => SAVE_EVERY,
            kept => SAVE_EVERY.min(kept / 2).max(1),
        };
        let age = self.evaluator.bars() - self.saved_at.unwrap_or(0).min(self.evaluator.bars());
        (self.saved_at.is_none() || age >= every).then(|| self.save())
    }

    fn save(&mut self) -> Vec<u8> {
        self.saved_at = Some(self.evaluator.bars());
        let mut bytes = Vec::with_capacity(self.evaluator.saved_len_max());
        self.evaluator.save(&mut bytes);
        bytes
    }

    /// Takes in a candle behind the newest one.
    pub(crate) fn next(&mut self, id: StreamId, candle: &Candle) {
        self.evaluator.next(candle.open_time, &candle.bar());
        self.proof.newest = Some(id);
    }

    /// Goes back to the bar before the newest candle, which opened at `open_time`: another one takes its place.
    ///
    /// # Errors
    /// WRONGTYPE, CORRUPT; the engine is of no use then.
    pub(crate) fn go_back<'a, S: MarketStore<'a>>(&mut self, store: &S, open_time: Millis) -> Outcome<()> {
        self.stand(store, Some(open_time))
    }

    /// Brings the evaluator to the last stored candle that opened before `end`, or to the last of all.
    fn stand<'a, S: MarketStore<'a>>(&mut self, store: &S, end: Option<Millis>) -> Outcome<()> {
        let state = Key::State(self.timeframe);
        self.evaluator.reset();
        self.saved_at = None;
        if let Some(bytes) = store.string(store.open(state)?) {
            self.evaluator.restore(bytes).ok_or_else(|| {
                Code::Corrupt.because(format!(
                    "the state of {} is damaged; without it (DEL) the functions warm up from the stored candles",
                    self.timeframe.as_str()
                ))
            })?;
            self.saved_at = Some(self.evaluator.bars());
        }
        // Candles that were deleted by hand may leave a state behind them, from which there is no way back.
        if self.evaluator.last_bar().is_some_and(|last| end.is_some_and(|end| last >= end)) {
            self.evaluator.reset();
            self.saved_at = None;
        }
        if self.evaluator.last_bar().is_some() {
            self.warm_up(store)?;
        }
        let begin = self.evaluator.last_bar().and_then(|last| last.checked_add(1));
        self.replay(store, begin, end)
    }

    /// Gives functions that the saved state does not have what the stored candles tell up to there.
    fn warm_up<'a, S: MarketStore<'a>>(&mut self, store: &S) -> Outcome<()> {
        let mut warm = Evaluator::default();
        let expressions = self.watched.iter().map(|watched| watched.watch.expression());
        let fresh: Vec<_> = expressions.filter(|expression| !self.evaluator.is_whole(expression)).collect();
        if fresh.is_empty() {
            return Ok(());
        }
        for expression in fresh {
            let _ = warm.watch(Rc::clone(expression));
        }
        std::mem::swap(&mut self.evaluator, &mut warm);
        let end = warm.last_bar().and_then(|last| last.checked_add(1));
        let replayed = self.replay(store, None, end);
        std::mem::swap(&mut self.evaluator, &mut warm);
        // What is taken over is to be saved, for the candles that tell it are trimmed one day. Where the history is shorter
        // than what is kept of the past, there may be nothing more to be had.
        if self.evaluator.adopt(warm) {
            self.saved_at = None;
        }
        replayed
    }

    /// Takes in the stored candles that opened from `begin` on, or the newest [`WARM_UP_MAX`], before `end`.
    fn replay<'a, S: MarketStore<'a>>(&mut self, store: &S, begin: Option<Millis>, end: Option<Millis>) -> Outcome<()> {
        let candles = store.open(Key::Candles(self.timeframe))?;
        let highest = match end {
            None => StreamId::MAX,
            Some(end) => first_id(end).predecessor().unwrap_or(StreamId::ZERO),
        };
        let lowest = match begin {
            Some(begin) => first_id(begin),
            None => nth_before(store, candles, highest),
        };
        let mut fault = Ok(());
        let span = Span { lowest, highest, direction: Direction::Forward };
        store.entries(candles, span, &mut |id, entry: &Entry<'_>| match Candle::read(id, entry) {
            Ok(candle) => {
                self.evaluator.next(candle.open_time, &candle.bar());
                Flow::Continue
            }
            Err(refusal) => {
                fault = Err(refusal.within(self.timeframe.as_str()));
                Flow::Stop
            }
        });
        fault
    }
}

/// The lowest id of an entry that opened at this time.
pub(crate) fn first_id(open_time: Millis) -> StreamId {
    StreamId { ms: open_time.try_into().unwrap_or(0), seq: 0 }
}

/// The open time of the candle with an id.
pub(crate) fn open_time(id: StreamId) -> Option<Millis> {
    Millis::try_from(id.ms).ok()
}

/// Where to begin so as to read the newest [`WARM_UP_MAX`] entries up to `highest`.
fn nth_before<'a, S: MarketStore<'a>>(store: &S, stream: Slot, highest: StreamId) -> StreamId {
    let (mut lowest, mut seen) = (StreamId::ZERO, 0);
    if store.len(stream) > WARM_UP_MAX as u64 {
        let span = Span { lowest: StreamId::ZERO, highest, direction: Direction::Backward };
        store.entries(stream, span, &mut |id, _| {
            (lowest, seen) = (id, seen + 1);
            if seen < WARM_UP_MAX {
                Flow::Continue
            } else {
                Flow::Stop
            }
        });
    }
    lowest
}

/// What a bar needs of a condition; `None` when it is one of another timeframe: it was removed by hand, which left its
/// place in this index, and registered again there.
fn load_watched<'a, S: MarketStore<'a>>(
    store: &S,
    record: &mut Record<'a>,
    timeframe: Timeframe,
) -> Outcome<Option<(Expression, Mode, Known)>> {
    record.load(store, &[field::MODE, field::TIMEFRAME, field::EXPRESSION]);
    if timeframe_of(record)? != timeframe {
        return Ok(None);
    }
    let known = Known::load(store, record)?;
    let expression = Expression::parse(expression_of(record)?.as_bytes())
        .map_err(|refusal| record.corrupt(field::EXPRESSION, &format!("an expression ({})", refusal.text)))?;
    Ok(Some((expression, mode_of(record)?, known)))
}

/// A refusal of what is stored of a condition.
#[must_use]
pub fn within_condition(refusal: Refusal, id: &str) -> Refusal {
    match refusal.code {
        Code::Corrupt => refusal.within(&format!("condition {}", quoted(id.as_bytes()))),
        _ => refusal,
    }
}
