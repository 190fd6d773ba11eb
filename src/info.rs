//! What `INFO tradebus` tells: counters since the module was loaded.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tradebus_core::event_type::{EventType, EVENT_TYPES};
use tradebus_core::market::Tally;
use tradebus_core::refusal::Code;

/// The counters. Written by the command that runs, of which there is one at a time; atomic only so that
/// they can be read from anywhere, a crash report included.
pub struct Counters {
    events: [AtomicU64; EVENT_TYPES],
    refusals: [AtomicU64; Code::ALL.len()],
    duplicates: AtomicU64,
    late: AtomicU64,
    receivers: AtomicU64,
    dedupe_forgotten: AtomicU64,
    stream_events: AtomicU64,
    replayed: AtomicU64,
    dead_lettered: AtomicU64,
    repaired: AtomicU64,
    candles: AtomicU64,
    candle_corrections: AtomicU64,
    candle_gaps: AtomicU64,
    late_ticks: AtomicU64,
    evaluations: AtomicU64,
    triggers: AtomicU64,
    bots_notified: AtomicU64,
}

static COUNTERS: Counters = Counters {
    events: [const { AtomicU64::new(0) }; EVENT_TYPES],
    refusals: [const { AtomicU64::new(0) }; Code::ALL.len()],
    duplicates: AtomicU64::new(0),
    late: AtomicU64::new(0),
    receivers: AtomicU64::new(0),
    dedupe_forgotten: AtomicU64::new(0),
    stream_events: AtomicU64::new(0),
    replayed: AtomicU64::new(0),
    dead_lettered: AtomicU64::new(0),
    repaired: AtomicU64::new(0),
    candles: AtomicU64::new(0),
    candle_corrections: AtomicU64::new(0),
    candle_gaps: AtomicU64::new(0),
    late_ticks: AtomicU64::new(0),
    evaluations: AtomicU64::new(0),
    triggers: AtomicU64::new(0),
    bots_notified: AtomicU64::new(0),
};

/// The counters of this server.
pub fn counters() -> &'static Counters {
    &COUNTERS
}

/// With a single writer, a load and a store are enough, and cheaper than a locked addition.
fn add(counter: &AtomicU64, count: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(count), Relaxed);
}

impl Counters {
    /// An event was accepted.
    pub fn event(&self, event_type: EventType) {
        add(&self.events[event_type as usize], 1);
    }

    /// A command was refused.
    pub fn refused(&self, code: Code) {
        add(&self.refusals[code as usize], 1);
    }

    /// An event was a repeat, and nothing was done.
    pub fn duplicate(&self) {
        add(&self.duplicates, 1);
    }

    /// An accepted event was late.
    pub fn late(&self) {
        add(&self.late, 1);
    }

    /// A message reached this many subscribers.
    pub fn received(&self, receivers: u64) {
        add(&self.receivers, receivers);
    }

    /// Event ids were forgotten before their window was over.
    pub fn dedupe_forgotten(&self, ids: u64) {
        add(&self.dedupe_forgotten, ids);
    }

    /// An event of a stream was accepted.
    pub fn stream_event(&self) {
        add(&self.stream_events, 1);
    }

    /// Events were told again.
    pub fn replayed(&self, events: u64) {
        add(&self.replayed, events);
    }

    /// A rebuild mended what differed from the log.
    pub fn repaired(&self, differences: u64) {
        add(&self.repaired, differences);
    }

    /// Entries were moved to dead letters.
    pub fn dead_lettered(&self, entries: u64) {
        add(&self.dead_lettered, entries);
    }

    /// A command on a market was carried out.
    pub fn market(&self, tally: &Tally) {
        add(&self.candles, tally.candles);
        add(&self.candle_corrections, tally.corrections);
        add(&self.candle_gaps, tally.gaps);
        add(&self.late_ticks, tally.late_ticks);
        add(&self.evaluations, tally.evaluations);
        add(&self.triggers, tally.triggers);
        add(&self.bots_notified, tally.notified);
        add(&self.dedupe_forgotten, tally.forgotten);
    }

    /// Calls `field` with the name and the value of each.
    pub fn visit(&self, mut field: impl FnMut(&str, u64)) {
        field("events_total", total(&self.events));
        for (event_type, counter) in EventType::ALL.iter().zip(&self.events) {
            field(&["events_", &event_type.as_str().replace('.', "_")].concat(), counter.load(Relaxed));
        }
        field("stream_events", self.stream_events.load(Relaxed));
        field("duplicates", self.duplicates.load(Relaxed));
        field("late", self.late.load(Relaxed));
        field("refusals_total", total(&self.refusals));
        for (code, counter) in Code::ALL.iter().zip(&self.refusals) {
            field(&["refusals_", &code.as_str().to_ascii_lowercase()].concat(), counter.load(Relaxed));
        }
        field("receivers", self.receivers.load(Relaxed));
        field("dedupe_forgotten", self.dedupe_forgotten.load(Relaxed));
        field("replayed", self.replayed.load(Relaxed));
        field("dead_lettered", self.dead_lettered.load(Relaxed));
        field("repaired", self.repaired.load(Relaxed));
        field("candles", self.candles.load(Relaxed));
        field("candle_corrections", self.candle_corrections.load(Relaxed));
        field("candle_gaps", self.candle_gaps.load(Relaxed));
        field("late_ticks", self.late_ticks.load(Relaxed));
        field("evaluations", self.evaluations.load(Relaxed));
        field("triggers", self.triggers.load(Relaxed));
        field("bots_notified", self.bots_notified.load(Relaxed));
    }

    /// Accepted trade events, of any type. Allocates nothing.
    pub fn events_total(&self) -> u64 {
        total(&self.events)
    }

    /// Starts again from zero: a module that is loaded again may find its old memory.
    pub fn reset(&self) {
        let single = [
            &self.duplicates,
            &self.late,
            &self.receivers,
            &self.dedupe_forgotten,
            &self.stream_events,
            &self.replayed,
            &self.dead_lettered,
            &self.repaired,
            &self.candles,
            &self.candle_corrections,
            &self.candle_gaps,
            &self.late_ticks,
            &self.evaluations,
            &self.triggers,
            &self.bots_notified,
        ];
        for counter in self.events.iter().chain(&self.refusals).chain(single) {
            counter.store(0, Relaxed);
        }
    }
}

fn total(counters: &[AtomicU64]) -> u64 {
    counters.iter().map(|counter| counter.load(Relaxed)).sum()
}
