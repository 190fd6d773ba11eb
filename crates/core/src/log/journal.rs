//! What a log comes to: the newest event and the number of events of each type, and a symbol's sums.
//!
//! The hash `trade:{S}:last` holds it up to the log id that it names. Writing it at every event would cost a
//! seventh of a publish, so it may lag by [`MAX_LAG`] entries: the server's memory holds the rest, and is
//! believed only while it names the log's newest entry. Otherwise the entries behind the hash are read again.
//!
//! `events:{T}:last` never lags: it also keeps the newest event of each type, which the log may have trimmed.
//!
//! A field whose name begins with `:` is the journal's own, since no type can begin so; every other one is a type.

use crate::decimal::Decimal;
use crate::event_name::EventName;
use crate::key::{Key, Scope};
use crate::money;
use crate::plan::Retention;
use crate::record::Record;
use crate::refusal::{quoted, Code, Outcome};
use crate::store::{Entry, Flow, Slot, Span, Store};
use crate::stream_id::StreamId;

use super::dedupe::Generations;
use super::tails::{Tail, Tails};

/// Entries that the hash may lag behind the log.
pub const MAX_LAG: u32 = 64;

/// Entries read at most to find out what the hash does not hold: enough for any lag, and a bound on the time
/// it takes when the hash was removed by hand.
const MAX_READ: u32 = 10_000;

/// The state of a log.
#[derive(Clone, Debug)]
pub struct Journal {
    /// The newest entry of the log.
    pub log_id: StreamId,
    /// The event ids that are remembered.
    pub seen: Generations,
    realized: Decimal,
    reported: Decimal,
    tails: Tails,
    /// The entry that the hash names.
    flushed: StreamId,
    lag: u32,
    /// Entries that the hash may lag behind.
    lag_max: u32,
    must_flush: bool,
}

const LOG_ID: &str = ":log_id";
const REALIZED: &str = ":realized_pnl";
const REPORTED: &str = ":reported_pnl";
const SEEN: &str = ":seen";

impl Journal {
    /// Of a log that has never had an entry.
    pub fn empty(scope: Scope<'_>) -> Journal {
        Journal {
            log_id: StreamId::ZERO,
            seen: Generations::default(),
            realized: Decimal::ZERO,
            reported: Decimal::ZERO,
            tails: Tails::of(scope),
            flushed: StreamId::ZERO,
            lag: 0,
            lag_max: match scope {
                Scope::Symbol(_) => MAX_LAG,
                Scope::Stream(_) => 1,
            },
            must_flush: false,
        }
    }

    /// The state of the log in `log`: `remembered` when it still holds, else read from the hash `last` and
    /// the entries behind it. Of a stream's types, `wanted` is at hand, and what the hash is behind with.
    ///
    /// # Errors
    /// CORRUPT, WRONGTYPE.
    pub fn open<'a, S: Store<'a>>(
        store: &S,
        scope: Scope<'_>,
        log: Slot,
        last: impl FnOnce() -> Outcome<Slot>,
        remembered: Option<&Journal>,
        wanted: Option<EventName<'_>>,
    ) -> Outcome<Box<Journal>> {
        let newest = store.newest_id(log);
        match remembered {
            Some(journal) if newest == Some(journal.log_id) => Ok(Box::new(journal.clone())),
            // Its newest entries were trimmed or deleted; what they told is still true.
            Some(journal) if newest < Some(journal.log_id) && store.last_id(log) == Some(journal.log_id) => {
                // The hash may not hold what they told yet, and the log cannot tell it again.
                Ok(Box::new(Journal { must_flush: true, ..journal.clone() }))
            }
            _ => {
                let mut journal = Box::new(Journal::empty(scope));
                let read = journal.read(store, log, Record::new(store, last()?), newest, wanted);
                read.map_err(|refusal| refusal.within(&Key::Last.name(scope)))?;
                Ok(journal)
            }
        }
    }

    fn read<'a, S: Store<'a>>(
        &mut self,
        store: &S,
        log: Slot,
        mut last: Record<'a>,
        newest: Option<StreamId>,
        wanted: Option<EventName<'_>>,
    ) -> Outcome<()> {
        if last.exists() {
            last.load(store, &[LOG_ID, REALIZED, REPORTED, SEEN]);
            let id = last.text(LOG_ID)?.and_then(|text| text.parse().ok());
            self.flushed = id.ok_or_else(|| last.corrupt(LOG_ID, "the id of a log entry"))?;
            self.log_id = self.flushed;
            self.realized = last.decimal(REALIZED)?.unwrap_or(Decimal::ZERO);
            self.reported = last.decimal(REPORTED)?.unwrap_or(Decimal::ZERO);
            let seen = Generations::from_text(last.text(SEEN)?.unwrap_or_default());
            self.seen = seen.ok_or_else(|| last.corrupt(SEEN, "generations as tradebus writes them"))?;
        }
        self.tails.load(store, &mut last, wanted)?;
        if newest.is_some_and(|newest| newest > self.flushed) {
            self.read_entries(store, log, &mut last)?;
        }
        self.log_id = self.log_id.max(newest.unwrap_or_default());
        Ok(())
    }

    fn read_entries<'a, S: Store<'a>>(&mut self, store: &S, log: Slot, last: &mut Record<'a>) -> Outcome<()> {
        let mut fault = Ok(());
        let mut read = 0;
        let mut visit = |id: StreamId, entry: &Entry<'_>| {
            let name = entry.iter().find(|(field, _)| *field == b"type").map(|&(_, value)| value).unwrap_or_default();
            match self.tails.read_entry(store, last, name, id) {
                Ok(true) => {}
                Ok(false) => {
                    fault = Err(Code::Corrupt.because(format!(
                        "log entry {id} has type {}, which tradebus did not write; remove it with XDEL",
                        quoted(name)
                    )));
                    return Flow::Stop;
                }
                Err(refusal) => {
                    fault = Err(refusal);
                    return Flow::Stop;
                }
            }
            self.lag = self.lag.saturating_add(1);
            read += 1;
            if read < MAX_READ {
                Flow::Continue
            } else {
                Flow::Stop
            }
        };
        // Without the hash the log may be long: its newest entries say most of what matters.
        let span = match self.flushed {
            StreamId::ZERO => Span::BACKWARD,
            flushed => Span::after(flushed),
        };
        store.entries(log, span, &mut visit);
        fault
    }

    /// Makes sure that the log may take an event of this type.
    ///
    /// # Errors
    /// TOOBIG.
    pub fn admit(&self, name: EventName<'_>) -> Outcome<()> {
        self.tails.admit(name)
    }

    /// Takes a new entry in.
    pub fn append(&mut self, name: EventName<'_>, id: StreamId) {
        self.tails.add(name, id);
        self.lag = self.lag.saturating_add(1);
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
    pub fn newest(&self, name: EventName<'_>) -> StreamId {
        self.tails.get(name).newest
    }

    /// How many events of a type there were.
    pub fn events(&self, name: EventName<'_>) -> u64 {
        self.tails.get(name).count
    }

    /// The types at hand: all of a symbol; of a stream what was wanted, and what the hash is behind with.
    pub fn types(&self) -> Vec<(&str, Tail)> {
        self.tails.each()
    }

    /// What all closes have realised and what was reported for them.
    pub fn profits(&self) -> (Decimal, Decimal) {
        (self.realized, self.reported)
    }

    /// Whether the hash must be written: it lags too far, or entries that it does not hold may be trimmed.
    pub fn is_flush_due(&self, retention: Retention) -> bool {
        let trims_lag = retention.max_len.is_some_and(|kept| kept <= u64::from(MAX_LAG))
            || retention.min_id.is_some_and(|oldest| oldest > self.flushed);
        self.lag > 0 && (self.lag >= self.lag_max || trims_lag) || self.must_flush
    }

    /// The fields of the hash, with `seen` as the event ids that are remembered.
    pub fn to_fields(&self, seen: Generations) -> Vec<(String, String)> {
        let mut fields = vec![(LOG_ID.to_owned(), self.log_id.to_string())];
        fields.extend(self.tails.each().into_iter().map(|(name, tail)| (name.to_owned(), tail.to_text())));
        for (name, sum) in [(REALIZED, self.realized), (REPORTED, self.reported)] {
            if !sum.is_zero() {
                fields.push((name.to_owned(), sum.to_string()));
            }
        }
        if !seen.oldest_first().is_empty() {
            fields.push((SEEN.to_owned(), seen.to_text()));
        }
        fields
    }

    /// Writes what the hash does not hold yet; all of it when the hash was removed by hand.
    pub fn flush<'a, S: Store<'a>>(&mut self, store: &S, last: &mut Record<'a>) {
        if !last.is_stored() {
            self.tails.forget_flushed();
            self.must_flush = true;
        }
        let mut log_id = String::with_capacity(24);
        self.log_id.push_to(&mut log_id);
        last.set(LOG_ID, log_id);
        self.tails.flush(last);
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
        (self.lag, self.must_flush) = (0, false);
    }
}
