//! Closed candles: stored, published, and what the conditions make of them.

use std::borrow::Cow;

use super::fire::Cause;
use super::{Decision, Market};
use crate::candle::{Candle, Change, Content};
use crate::channel::Topic;
use crate::condition::{field, timeframe_of, Condition, Known, Mode};
use crate::engine::{first_id, open_time, within_condition, Engine, Watched};
use crate::evaluator::Evaluator;
use crate::expression::{number_text, Truth};
use crate::forming::Feed;
use crate::json::push_string;
use crate::key::Key;
use crate::plan::{Append, Groups, LogEntry, Message, Retention};
use crate::refusal::{Code, Outcome};
use crate::settings::PubSub;
use crate::store::{Direction, Entry, Flow, MarketStore, Span};
use crate::stream_id::StreamId;
use crate::time::Millis;
use crate::timeframe::Timeframe;

/// Where a candle comes from, and so whether it may trigger anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It has just closed.
    Live,
    /// It is history that is loaded: it is stored and computed with, triggers nothing and is not published.
    Backfill,
}

/// The end of a stream of candles.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tail {
    /// The newest candle.
    pub(super) newest: Option<StreamId>,
    /// The last id; that of a candle that was deleted by hand counts too, for it cannot be given again.
    pub(super) last: StreamId,
}

/// What became of a candle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    /// It is the newest now.
    New,
    /// It is in the place of the one before.
    Corrected,
    /// It was stored already.
    Before,
}

/// What a candle is to the conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Behind the newest one, and may trigger.
    Trigger,
    /// Behind the newest one.
    Silent,
    /// In the place of the newest one: computed again from the bar before, and silent.
    Correction,
}

impl<'a, S: MarketStore<'a>> Market<'_, 'a, S> {
    /// Takes in a candle that a caller tells, and ends.
    ///
    /// # Errors
    /// TOOLATE when a newer one is stored; WRONGTYPE, CORRUPT.
    pub fn candle(mut self, timeframe: Timeframe, candle: &Candle, origin: Origin) -> Outcome<Decision<'a>> {
        // To ask for the last id takes as long as all the rest. That it is another one is found when writing.
        let newest = self.store.newest_id(self.store.open(Key::Candles(timeframe))?);
        let last = newest.unwrap_or_default().max(self.behind);
        if self.store_candle(timeframe, candle, origin, Tail { newest, last })? == Stored::New {
            self.note_feed(timeframe, candle, origin)?;
        }
        Ok(self.finish())
    }

    /// From the first new candle on that a caller tells as closed, the timeframe is not built from ticks any more; to tell
    /// one again or to correct it decides nothing about that, and neither does history. But a bar that ticks have begun
    /// gives way to a candle that covers it.
    fn note_feed(&mut self, timeframe: Timeframe, candle: &Candle, origin: Origin) -> Outcome<()> {
        let feed = self.feed(timeframe)?;
        let changed = match (origin, feed) {
            (Origin::Live, Some(Feed::Candles)) => None,
            (Origin::Live, _) => Some(Feed::Candles),
            (Origin::Backfill, Some(Feed::Bar(bar))) if bar.bar_of(candle.open_time).is_ge() => Some(Feed::Ticks),
            (Origin::Backfill, _) => None,
        };
        if let Some(feed) = changed {
            self.set_feed(timeframe, &feed)?;
        }
        Ok(())
    }

    /// Stores a candle where it belongs, and has the conditions judged.
    pub(super) fn store_candle(
        &mut self,
        timeframe: Timeframe,
        candle: &Candle,
        origin: Origin,
        Tail { newest, last }: Tail,
    ) -> Outcome<Stored> {
        let slot = self.store.open(Key::Candles(timeframe))?;
        let told = first_id(candle.open_time);
        if told.ms < last.ms {
            let last = open_time(last).unwrap_or(Millis::MAX);
            return Err(Code::TooLate.because(format!(
                "the candle of {} comes behind that of {last}; only the last one can be corrected",
                candle.open_time
            )));
        }
        let is_last = newest.is_some_and(|newest| newest.ms == told.ms);
        if is_last && self.is_stored(timeframe, last, candle)? {
            return Ok(Stored::Before);
        }
        let id = match told.ms == last.ms {
            true => {
                last.successor().ok_or_else(|| Code::Corrupt.because("the last candle has the last id there can be"))?
            }
            false => told,
        };
        let replaced = newest.filter(|_| is_last);
        self.plan.appends.push(Append {
            slot,
            entries: vec![LogEntry { id, fields: candle_fields(candle) }],
            replaced,
            retention: Retention::of_candles(self.settings),
            groups: Groups::Nobody,
        });
        self.tally.candles += 1;
        let role = match (replaced, origin) {
            (Some(_), _) => Role::Correction,
            (None, Origin::Live) => Role::Trigger,
            (None, Origin::Backfill) => Role::Silent,
        };
        if role == Role::Correction {
            self.tally.corrections += 1;
        } else if newest.and_then(open_time).is_some_and(|newest| timeframe.end_of(newest) != candle.open_time) {
            self.tally.gaps += 1;
        }
        if origin == Origin::Live {
            self.tell_candle(timeframe, candle, id, newest.unwrap_or_default(), role);
        }
        self.judge(timeframe, candle, id, role)?;
        Ok(match role {
            Role::Trigger | Role::Silent => Stored::New,
            Role::Correction => Stored::Corrected,
        })
    }

    fn is_stored(&self, timeframe: Timeframe, id: StreamId, candle: &Candle) -> Outcome<bool> {
        let slot = self.store.open(Key::Candles(timeframe))?;
        let mut stored = Ok(None);
        let span = Span { lowest: id, highest: id, direction: Direction::Forward };
        self.store.entries(slot, span, &mut |id, entry: &Entry<'_>| {
            stored = Candle::read(id, entry).map(Some).map_err(|refusal| refusal.within(timeframe.as_str()));
            Flow::Stop
        });
        Ok(stored?.as_ref() == Some(candle))
    }

    fn tell_candle(&mut self, timeframe: Timeframe, candle: &Candle, id: StreamId, prev_id: StreamId, role: Role) {
        if self.settings.pubsub == PubSub::Off {
            return;
        }
        let change = match role {
            Role::Correction => Change::Corrected,
            Role::Trigger | Role::Silent => Change::Closed,
        };
        let (symbol, published_at) = (self.symbol, self.now);
        let body = Content { id, prev_id, change, symbol, timeframe, candle, published_at }.to_json();
        self.tell(Message { topic: Topic::Candle(timeframe), body });
    }

    /// Judges every condition of the timeframe on a candle.
    fn judge(&mut self, timeframe: Timeframe, candle: &Candle, id: StreamId, role: Role) -> Outcome<()> {
        // Without conditions there is nothing to compute, and nothing to keep.
        if self.store.len(self.store.open(Key::Conditions(timeframe))?) == 0 {
            return Ok(());
        }
        let mut engine = self.engine(timeframe)?;
        if role == Role::Correction {
            engine.go_back(self.store, candle.open_time)?;
        }
        // For a correction too: it trims the candles, and the history may have been made shorter since the last bar.
        if let Some(state) = engine.save_if_due(self.settings) {
            let slot = self.store.open(Key::State(timeframe))?;
            self.plan.strings.push((slot, Cow::Owned(state)));
        }
        engine.next(id, candle);
        let Engine { evaluator, watched, .. } = &mut engine;
        for watched in watched.iter_mut() {
            let judged = self.judge_one(evaluator, watched, timeframe, candle, role);
            judged.map_err(|refusal| within_condition(refusal, &watched.id))?;
        }
        self.tally.evaluations += engine.conditions() as u64;
        self.touched.push(engine);
        Ok(())
    }

    fn judge_one(
        &mut self,
        evaluator: &Evaluator,
        watched: &mut Watched,
        timeframe: Timeframe,
        candle: &Candle,
        role: Role,
    ) -> Outcome<()> {
        let verdict = evaluator.judge(&watched.watch);
        let fires = role == Role::Trigger
            && verdict.value == Truth::True
            && match watched.mode {
                Mode::Level => true,
                Mode::Edge | Mode::Once => verdict.is_pulse() || watched.known.value == Some(false),
            };
        let changes = watched.known.learn(verdict.value.known(), candle.open_time);
        if !fires && !changes {
            return Ok(());
        }
        let at = self.record(Key::Condition(&watched.id))?;
        let record = &mut self.records[at];
        record.load(self.store, &[field::TIMEFRAME]);
        // Removed by hand, and perhaps registered again elsewhere.
        if !record.exists() || timeframe_of(record)? != timeframe {
            return Ok(());
        }
        if fires {
            if let Some(condition) = Condition::load(self.store, &mut self.records[at])? {
                let value = trigger_value(evaluator, watched, candle);
                let (triggered_at, bar) = (timeframe.end_of(candle.open_time), Some(candle.open_time));
                let cause = Cause { triggered_at, bar, value: &value, event_id: None };
                self.fire(&watched.id, &condition, at, &cause)?;
            }
        }
        if changes {
            let record = &mut self.records[at];
            // Loaded, so that only what differs is written.
            Known::load(self.store, record)?;
            watched.known.write(record);
        }
        Ok(())
    }
}

fn candle_fields<'a>(candle: &Candle) -> Vec<(crate::plan::Name<'a>, crate::plan::Text<'a>)> {
    let fields = candle.fields();
    fields.into_iter().map(|(name, value)| (Cow::Borrowed(name), Cow::Owned(value.into_bytes()))).collect()
}

/// What a bar was like for a condition: its price and volume, and the numbers of the condition's terms.
fn trigger_value(evaluator: &Evaluator, watched: &Watched, candle: &Candle) -> String {
    const VOLUME: &str = "volume";
    let mut out = String::with_capacity(96);
    out.push_str(r#"{"price":"#);
    candle.close.push_to(&mut out);
    out.push_str(",\"");
    out.push_str(VOLUME);
    out.push_str("\":");
    candle.volume.push_to(&mut out);
    // A condition that names the volume has it exactly already.
    for (text, number) in evaluator.terms(&watched.watch).filter(|(text, _)| *text != VOLUME) {
        out.push(',');
        push_string(text, &mut out);
        out.push(':');
        match number {
            Some(number) => out.push_str(&number_text(number)),
            None => out.push_str("null"),
        }
    }
    out.push('}');
    out
}
