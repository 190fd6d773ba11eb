//! What a symbol's log comes to: the newest event and the number of events of each type, and its sums.
//!
//! The hash `trade:{S}:last` holds it up to the log id that it names. Writing it at every event would cost a
//! seventh of a publish, so it may lag by [`MAX_LAG`] entries: the server's memory holds the rest, and is
//! believed only while it names the log's newest entry. Otherwise the entries behind the hash are read again.

use crate::decimal::Decimal;
use crate::dedupe::Generations;
use crate::event_type::{EventType, EVENT_TYPES};
use crate::money;
use crate::plan::Retention;
use crate::record::Record;
use crate::refusal::{quoted, Code, Outcome};
use crate::store::{Entry, Flow, Slot, Store};
use crate::stream_id::StreamId;

/// Entries that the hash may lag behind the log.
pub const MAX_LAG: u32 = 64;

/// Entries read at most to find out what the hash does not hold: enough for any lag, and a bound on the time
/// it takes when the hash was removed by hand.
const MAX_READ: u32 = 10_000;

/// The events of one type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tail {
    newest: StreamId,
    count: u64,
}

/// The state of a symbol's log.
#[derive(Clone, Copy, Debug)]
pub struct Journal {
    /// The newest entry of the log.
    pub log_id: StreamId,
    /// The event ids that are remembered.
    pub seen: Generations,
    realized: Decimal,
    reported: Decimal,
    tails: [Tail; EVENT_TYPES],
    /// The entry that the hash names.
    flushed: StreamId,
    lag: u32,
    /// Types (by bit) whose events the hash does not hold yet.
    stale: u32,
    must_flush: bool,
}

const LOG_ID: &str = "log_id";
const REALIZED: &str = "realized_pnl";
const REPORTED: &str = "reported_pnl";
const SEEN: &str = "seen";

impl Default for Journal {
    fn default() -> Self {
        Journal {
            log_id: StreamId::ZERO,
            seen: Generations::default(),
            realized: Decimal::ZERO,
            reported: Decimal::ZERO,
            tails: [Tail::default(); EVENT_TYPES],
            flushed: StreamId::ZERO,
            lag: 0,
            stale: 0,
            must_flush: false,
        }
    }
}

impl Journal {
    /// The state of the log in `log`: `remembered` when it still holds, else read from the hash `last` and
    /// the entries behind it.
    ///
    /// # Errors
    /// CORRUPT, WRONGTYPE.
    pub fn open<'a, S: Store<'a>>(
        store: &S,
        log: Slot,
        last: impl FnOnce() -> Outcome<Slot>,
        remembered: Option<&Journal>,
    ) -> Outcome<Journal> {
        let newest = store.newest_id(log);
        match remembered {
            Some(journal) if newest == Some(journal.log_id) => Ok(*journal),
            // Its newest entries were trimmed or deleted; what they told is still true.
            Some(journal) if newest < Some(journal.log_id) && store.last_id(log) == Some(journal.log_id) => {
                Ok(*journal)
            }
            _ => Journal::read(store, log, Record::new(store, last()?), newest),
        }
    }

    fn read<'a, S: Store<'a>>(
        store: &S,
        log: Slot,
        mut last: Record<'a>,
        newest: Option<StreamId>,
    ) -> Outcome<Journal> {
        let mut journal = Journal::default();
        if last.exists() {
            last.load(store, &[LOG_ID, REALIZED, REPORTED, SEEN]);
            last.load_named(store, EventType::ALL.iter().map(|event_type| event_type.as_str().into()));
            let id = last.text(LOG_ID)?.and_then(|text| text.parse().ok());
            journal.flushed = id.ok_or_else(|| last.corrupt(LOG_ID, "the id of a log entry"))?;
            journal.log_id = journal.flushed;
            journal.realized = last.decimal(REALIZED)?.unwrap_or(Decimal::ZERO);
            journal.reported = last.decimal(REPORTED)?.unwrap_or(Decimal::ZERO);
            let seen = Generations::from_text(last.text(SEEN)?.unwrap_or_default());
            journal.seen = seen.ok_or_else(|| last.corrupt(SEEN, "generations as tradebus writes them"))?;
            for &event_type in EventType::ALL {
                let name = event_type.as_str();
                if let Some(text) = last.text(name)? {
                    let tail = parse_tail(text).ok_or_else(|| last.corrupt(name, "'<id> <count>'"))?;
                    journal.tails[event_type as usize] = tail;
                }
            }
        }
        if newest.is_some_and(|newest| newest > journal.flushed) {
            journal.read_entries(store, log)?;
        }
        journal.log_id = journal.log_id.max(newest.unwrap_or_default());
        Ok(journal)
    }

    fn read_entries<'a, S: Store<'a>>(&mut self, store: &S, log: Slot) -> Outcome<()> {
        let mut fault = None;
        let mut read = 0;
        let flushed = self.flushed;
        let mut visit = |id: StreamId, entry: &Entry<'_>| {
            let name = entry.iter().find(|(field, _)| *field == b"type").map(|&(_, value)| value);
            let known = name.and_then(|name| EventType::ALL.iter().find(|known| known.as_str().as_bytes() == name));
            let Some(&event_type) = known else {
                fault = Some(Code::Corrupt.because(format!(
                    "log entry {id} has type {}, which tradebus did not write; remove it with XDEL",
                    quoted(name.unwrap_or_default())
                )));
                return Flow::Stop;
            };
            self.count(event_type, id);
            read += 1;
            if read < MAX_READ {
                Flow::Continue
            } else {
                Flow::Stop
            }
        };
        // Without the hash the log may be long: its newest entries say most of what matters.
        match flushed == StreamId::ZERO {
            true => store.entries_backwards(log, &mut visit),
            false => store.entries_after(log, flushed, &mut visit),
        }
        fault.map_or(Ok(()), Err)
    }

    fn count(&mut self, event_type: EventType, id: StreamId) {
        let tail = &mut self.tails[event_type as usize];
        tail.newest = tail.newest.max(id);
        tail.count = tail.count.saturating_add(1);
        self.stale |= 1 << event_type as u32;
        self.lag = self.lag.saturating_add(1);
    }

    /// Takes a new entry in.
    pub fn append(&mut self, event_type: EventType, id: StreamId) {
        self.count(event_type, id);
        self.log_id = id;
    }

    /// Adds to the symbol's sums. They cannot be found again in the log, so the hash holds them at once.
    ///
    /// # Errors
    /// BADFIELD when a sum would not be exact.
    pub fn add_profit(&mut self, realized: Decimal, reported: Decimal) -> Outcome<()> {
        if !realized.is_zero() || !reported.is_zero() {
            self.realized = money::add(self.realized, realized)?;
            self.reported = money::add(self.reported, reported)?;
            self.must_flush = true;
        }
        Ok(())
    }

    /// Has the hash written with this command.
    pub fn flush_now(&mut self) {
        self.must_flush = true;
    }

    /// The newest event of a type, `0-0` when there was none.
    pub fn newest(&self, event_type: EventType) -> StreamId {
        self.tails[event_type as usize].newest
    }

    /// How many events of a type there were.
    pub fn events(&self, event_type: EventType) -> u64 {
        self.tails[event_type as usize].count
    }

    /// What all closes have realised and what was reported for them.
    pub fn profits(&self) -> (Decimal, Decimal) {
        (self.realized, self.reported)
    }

    /// Whether the hash must be written: it lags too far, or entries that it does not hold may be trimmed.
    pub fn is_flush_due(&self, retention: Retention) -> bool {
        let trims_lag = retention.max_len.is_some_and(|kept| kept <= u64::from(MAX_LAG))
            || retention.min_id.is_some_and(|oldest| oldest > self.flushed);
        self.lag > 0 && (self.lag >= MAX_LAG || trims_lag) || self.must_flush
    }

    /// Writes what the hash does not hold yet; all of it when the hash was removed by hand.
    pub fn flush<'a, S: Store<'a>>(&mut self, store: &S, last: &mut Record<'a>) {
        if !last.exists() {
            let known = EventType::ALL.iter().filter(|&&event_type| self.events(event_type) > 0);
            self.stale = known.fold(0, |stale, &event_type| stale | 1 << event_type as u32);
            self.must_flush = true;
        }
        let text = |id: StreamId| {
            let mut text = String::with_capacity(48);
            id.push_to(&mut text);
            text
        };
        last.set(LOG_ID, text(self.log_id));
        for &event_type in EventType::ALL.iter().filter(|&&event_type| self.stale & (1 << event_type as u32) != 0) {
            let tail = self.tails[event_type as usize];
            let mut value = text(tail.newest);
            value.push(' ');
            value.push_str(itoa::Buffer::new().format(tail.count));
            last.set(event_type.as_str(), value);
        }
        if self.must_flush {
            last.load(store, &[REALIZED, REPORTED, SEEN]);
            for (name, sum) in [(REALIZED, self.realized), (REPORTED, self.reported)] {
                if !sum.is_zero() || last.get(name).is_some() {
                    last.set(name, sum);
                }
            }
            if !self.seen.oldest_first().is_empty() {
                last.set(SEEN, self.seen.to_text());
            }
        }
        self.flushed = self.log_id;
        (self.lag, self.stale, self.must_flush) = (0, 0, false);
    }
}

fn parse_tail(text: &str) -> Option<Tail> {
    let (id, count) = text.split_once(' ')?;
    Some(Tail { newest: id.parse().ok()?, count: count.parse().ok()? })
}
