//! One command's work on a symbol's market: its candles, the conditions on them, and the bots that wait for these.
//!
//! As with events, everything is read and decided before anything is written: a refusal anywhere drops the whole work.
//! A condition's hash is read only when the condition may fire or its known value changes, so a bar costs one judgement
//! a condition, and a bot costs something only when it is triggered.

mod candles;
mod explain;
mod fire;
mod register;
mod subscribe;
mod ticks;
mod trigger;

use std::borrow::Cow;

use crate::condition::{self, Condition};
use crate::engine::{within_condition, Engine};
use crate::key::Key;
use crate::log::notes::Notes;
use crate::log::Clock;
use crate::plan::{Append, Groups, LogEntry, Message, Plan, Retention, Text};
use crate::record::Record;
use crate::refusal::{Code, Outcome};
use crate::settings::Settings;
use crate::store::{MarketStore, Slot};
use crate::stream_id::StreamId;
use crate::time::Millis;
use crate::timeframe::Timeframe;

pub use candles::Origin;
pub use explain::{explain, Explained};
pub use register::{parse_id, Registration, Removal};
pub use subscribe::{each_subscription, SUBSCRIBERS_MAX};
pub use trigger::{Order, Triggered};

/// The engines of a symbol, as they are kept from command to command.
#[derive(Default)]
pub struct Engines(Vec<Engine>);

impl Engines {
    /// Takes the engine of a timeframe out.
    pub fn take(&mut self, timeframe: Timeframe) -> Option<Engine> {
        let place = self.0.iter().position(|engine| engine.timeframe() == timeframe)?;
        Some(self.0.swap_remove(place))
    }

    /// Keeps an engine. Any other one of its timeframe is dropped, and one that judges nothing is not kept.
    pub fn put(&mut self, engine: Engine) {
        drop(self.take(engine.timeframe()));
        if engine.conditions() > 0 {
            self.0.push(engine);
        }
    }

    /// The engines.
    pub fn iter(&self) -> impl Iterator<Item = &Engine> {
        self.0.iter()
    }
}

/// What a command did, for the counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Candles that were stored.
    pub candles: u64,
    /// Of these, candles that corrected the one before.
    pub corrections: u64,
    /// Places where bars are missing between two candles.
    pub gaps: u64,
    /// Conditions judged on a bar.
    pub evaluations: u64,
    /// Triggers.
    pub triggers: u64,
    /// Entries in work queues.
    pub notified: u64,
    /// Ticks that came too late for a timeframe.
    pub late_ticks: u64,
    /// Ids of triggers that are forgotten before their window has passed.
    pub forgotten: u64,
}

/// What a command decided.
pub struct Decision<'a> {
    /// What to write.
    pub plan: Plan<'a>,
    /// What to keep once it is written; before that it is not true.
    pub engines: Vec<Engine>,
    /// What to count once it is written.
    pub tally: Tally,
    /// The conditions that triggered, by id, in their order.
    pub triggered: Vec<String>,
    /// When the first of the bars that ticks are building ends, as far as the command has looked at them.
    pub next_close: Option<NextClose>,
}

/// The end of a bar that ticks are building.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextClose {
    /// When it is.
    pub end: Millis,
    /// Whether the command's tick is one of the bar.
    pub is_fed: bool,
}

/// One command's work.
pub struct Market<'s, 'a, S> {
    store: &'s S,
    symbol: &'s str,
    settings: &'s Settings,
    now: Millis,
    /// A candle that a caller tells gets an id behind this one, whatever is stored.
    behind: StreamId,
    remembered: &'s mut Engines,
    touched: Vec<Engine>,
    records: Vec<Record<'a>>,
    notes: Notes,
    /// Triggers, then work queues, as they were first needed.
    queues: Vec<Queue<'a>>,
    plan: Plan<'a>,
    tally: Tally,
    triggered: Vec<String>,
    next_close: Option<NextClose>,
}

/// A stream that takes what triggers tell.
struct Queue<'a> {
    /// The type of bots; `None` for the triggers themselves.
    bot_type: Option<Box<str>>,
    slot: Slot,
    last: StreamId,
    entries: Vec<LogEntry<'a>>,
}

impl<'s, 'a, S: MarketStore<'a>> Market<'s, 'a, S> {
    /// Begins. Engines are taken out of `remembered` when they change, and given back by [`Market::finish`].
    /// `clock.behind` is the last id of the stream of candles, once writing has shown that it is not that of the newest.
    pub fn open(
        store: &'s S,
        symbol: &'s str,
        settings: &'s Settings,
        clock: Clock,
        remembered: &'s mut Engines,
    ) -> Self {
        Market {
            store,
            symbol,
            settings,
            now: clock.now,
            behind: clock.behind,
            remembered,
            touched: Vec::new(),
            records: Vec::new(),
            notes: Notes::default(),
            queues: Vec::new(),
            plan: Plan::default(),
            tally: Tally::default(),
            triggered: Vec::new(),
            next_close: None,
        }
    }

    /// Ends: everything that changes, in one plan. The candles come first, then what they triggered.
    pub fn finish(mut self) -> Decision<'a> {
        let retention = Retention::of_queue(self.settings);
        let appended = self.queues.into_iter().filter(|queue| !queue.entries.is_empty());
        self.plan.appends.extend(appended.map(|Queue { slot, entries, .. }| Append {
            slot,
            entries,
            replaced: None,
            retention,
            groups: Groups::Configured,
        }));
        let notes = &self.notes;
        let kept = self.records.into_iter().filter(|record| !notes.is_dropped(record.slot()));
        self.plan.hashes.extend(kept.filter_map(Record::into_patch));
        self.notes.finish(&mut self.plan);
        let (plan, engines, tally) = (self.plan, self.touched, self.tally);
        Decision { plan, engines, tally, triggered: self.triggered, next_close: self.next_close }
    }

    fn engine(&mut self, timeframe: Timeframe) -> Outcome<Engine> {
        let touched = self.touched.iter().position(|engine| engine.timeframe() == timeframe);
        if let Some(place) = touched {
            return Ok(self.touched.swap_remove(place));
        }
        Engine::open(self.store, timeframe, self.remembered.take(timeframe))
    }

    /// Makes sure that what happened at `at` is not ahead of the clock, but for what clocks differ by. Whoever believed it
    /// would take all that follows for late.
    fn check_time(&self, at: Millis) -> Outcome<()> {
        if at <= self.now.saturating_add_unsigned(self.settings.bar_grace_ms) {
            return Ok(());
        }
        Err(Code::BadField.because(format!(
            "TIMESTAMP {at} is more than tradebus.bar-grace ahead of the server's time, {}",
            self.now
        )))
    }

    fn record(&mut self, key: Key<'_>) -> Outcome<usize> {
        self.notes.record(self.store, &mut self.records, key)
    }

    /// A condition and the place of its record; `None` when there is none of the id.
    fn condition(&mut self, id: &str) -> Outcome<Option<(Condition, usize)>> {
        let at = self.record(Key::Condition(id))?;
        let loaded = Condition::load(self.store, &mut self.records[at]);
        let loaded = loaded.map_err(|refusal| within_condition(refusal, id))?;
        Ok(loaded.map(|condition| (condition, at)))
    }

    fn known_condition(&mut self, id: &str) -> Outcome<(Condition, usize)> {
        self.condition(id)?.ok_or_else(|| condition::unknown(id, self.symbol))
    }

    /// The place of a queue. Its ids come behind every one that it gave out, be its entry deleted or not: who works a
    /// queue off may delete what is done.
    fn queue(&mut self, bot_type: Option<&str>) -> Outcome<usize> {
        if let Some(place) = self.queues.iter().position(|queue| queue.bot_type.as_deref() == bot_type) {
            return Ok(place);
        }
        let key = bot_type.map_or(Key::Triggers, Key::Work);
        let last = self.store.last_id_of(key)?.unwrap_or_default();
        let slot = self.store.open(key)?;
        self.queues.push(Queue { bot_type: bot_type.map(Into::into), slot, last, entries: Vec::new() });
        Ok(self.queues.len() - 1)
    }

    fn next_id(&self, queue: usize) -> Outcome<StreamId> {
        let now = self.now.try_into().unwrap_or(0);
        let used_up =
            || Code::Corrupt.because("the last id of a work queue, or of the triggers, is the last there can be");
        self.queues[queue].last.next(now).ok_or_else(used_up)
    }

    fn push(&mut self, queue: usize, id: StreamId, fields: impl Iterator<Item = (&'static str, Text<'a>)>) {
        let queue = &mut self.queues[queue];
        queue.last = id;
        queue.entries.push(LogEntry { id, fields: fields.map(|(name, value)| (Cow::Borrowed(name), value)).collect() });
    }

    fn tell(&mut self, message: Message<'a>) {
        self.plan.messages.push(message);
    }
}

/// A number as a field has it.
fn number_field<'a>(number: Millis) -> Text<'a> {
    text_field(itoa::Buffer::new().format(number).to_owned())
}

fn text_field<'a>(text: String) -> Text<'a> {
    Cow::Owned(text.into_bytes())
}
