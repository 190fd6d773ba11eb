//! What every event goes through on its way into a log, be it a symbol's or a stream's: is its id known, which
//! entry and which message does it become, what is kept of the log. What an event means is not asked here.

pub mod dedupe;
pub(crate) mod identity;
pub mod journal;
pub mod logged;
pub mod notes;
pub mod query;
pub mod replay;
pub mod tails;

use std::borrow::Cow;

use crate::channel::Topic;
use crate::event::{parse_time, Event};
use crate::event_name::{EventName, Named};
use crate::key::{Key, Scope};
use crate::message::{Content, Telling};
use crate::plan::{Append, Groups, LogEntry, Message, Name, Plan, Retention, Text};
use crate::record::Record;
use crate::refusal::{quoted, Code, Outcome};
use crate::settings::{PubSub, Settings};
use crate::store::{Slot, Store};
use crate::stream_id::StreamId;
use crate::time::Millis;
use journal::Journal;
use notes::Notes;

/// Longest SOURCE and CORRELATION, in bytes.
pub const MAX_LABEL: usize = 256;

/// When a command runs.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// The server's time, Unix ms.
    pub now: Millis,
    /// New ids are behind this one, whatever the log holds: entries that were deleted from its end have used
    /// theirs up.
    pub behind: StreamId,
}

/// What became of one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its id in the log; of a repeat, the id it got the first time.
    pub id: StreamId,
    /// New, late, or a repeat that changed nothing.
    pub outcome: Accepted,
    /// Status and version of its entity afterwards.
    pub entity: Option<(&'static str, u64)>,
}

/// How an event was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// In full.
    New,
    /// True, but after it could matter in full.
    Late,
    /// It is known already.
    Duplicate,
}

/// What a command decided.
#[derive(Debug)]
pub struct Decision<'a> {
    /// What to write.
    pub plan: Plan<'a>,
    /// What to remember of the log once it is written.
    pub journal: Box<Journal>,
    /// One receipt an event, in their order.
    pub receipts: Vec<Receipt>,
    /// Event ids that are forgotten before their window has passed, for want of room.
    pub forgotten: u64,
}

/// What a caller says of an event beside its type and data.
#[derive(Clone, Copy, Debug, Default)]
pub struct Labels<'a> {
    /// ID.
    pub event_id: Option<&'a [u8]>,
    /// TIMESTAMP.
    pub timestamp: Option<&'a [u8]>,
    /// SOURCE.
    pub source: Option<&'a [u8]>,
    /// CORRELATION.
    pub correlation_id: Option<&'a [u8]>,
}

/// The same, checked.
#[derive(Clone, Copy, Debug, Default)]
pub struct CheckedLabels<'a> {
    /// ID.
    pub event_id: Option<&'a str>,
    source: Option<&'a str>,
    correlation_id: Option<&'a str>,
}

impl<'a> Labels<'a> {
    /// Checks all but the time.
    ///
    /// # Errors
    /// BADFIELD.
    pub fn check(&self) -> Outcome<CheckedLabels<'a>> {
        Ok(CheckedLabels {
            event_id: self.event_id.map(|id| crate::symbol::parse_id("ID", id)).transpose()?,
            source: self.source.map(|text| parse_label("SOURCE", text)).transpose()?,
            correlation_id: self.correlation_id.map(|text| parse_label("CORRELATION", text)).transpose()?,
        })
    }
}

/// What the judgement of an event comes to, for the log and the message.
#[derive(Debug)]
pub struct Judged {
    /// New or late.
    pub outcome: Accepted,
    /// Whether anything was judged.
    pub judgement: Judgement,
    /// Status and version of the entity afterwards.
    pub entity: Option<(&'static str, u64)>,
    /// What the judgement took from outside the event, as JSON.
    pub context: Option<String>,
}

/// Whether an event was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It was, or there is nothing to judge in a log of this kind.
    Applied,
    /// It was not, and the log says so: it is a record.
    Recorded,
}

/// One command's work on a log.
pub struct Log<'s, 'a, S> {
    pub(crate) store: &'s S,
    pub(crate) settings: &'s Settings,
    pub(crate) clock: Clock,
    /// Boxed, as it is large and handed on from step to step.
    pub(crate) journal: Box<Journal>,
    pub(crate) records: Vec<Record<'a>>,
    pub(crate) notes: Notes,
    scope: Scope<'s>,
    slot: Slot,
    entries: Vec<LogEntry<'a>>,
    messages: Vec<Message<'a>>,
    receipts: Vec<Receipt>,
    forgotten: u64,
}

impl<'s, 'a, S: Store<'a>> Log<'s, 'a, S> {
    /// Begins the work. `remembered` is the journal that the last command on the log left; `wanted` is the type
    /// of a stream's event.
    ///
    /// # Errors
    /// WRONGTYPE, CORRUPT.
    pub fn open(
        store: &'s S,
        scope: Scope<'s>,
        settings: &'s Settings,
        clock: Clock,
        remembered: Option<&Journal>,
        wanted: Option<EventName<'_>>,
    ) -> Outcome<Self> {
        let slot = store.open(Key::Log)?;
        let mut journal = Journal::open(store, scope, slot, || store.open(Key::Last), remembered, wanted)?;
        journal.log_id = journal.log_id.max(clock.behind);
        Ok(Log {
            store,
            settings,
            clock,
            journal,
            records: Vec::with_capacity(4),
            notes: Notes::default(),
            scope,
            slot,
            entries: Vec::with_capacity(1),
            messages: Vec::with_capacity(1),
            receipts: Vec::with_capacity(1),
            forgotten: 0,
        })
    }

    /// When an event happened, if it says so.
    ///
    /// # Errors
    /// BADFIELD for a TIMESTAMP that is none.
    pub fn told_time(labels: &Labels<'_>) -> Outcome<Option<Millis>> {
        labels.timestamp.map(|text| parse_time("TIMESTAMP", text)).transpose()
    }

    /// The id of the next entry.
    ///
    /// # Errors
    /// CORRUPT when ids are used up.
    pub fn next_id(&self) -> Outcome<StreamId> {
        let now = self.clock.now.try_into().unwrap_or(0);
        self.journal
            .log_id
            .next(now)
            .ok_or_else(|| Code::Corrupt.because("the log's newest entry has the last id there can be"))
    }

    /// The record of a key, the same one for the whole command.
    ///
    /// # Errors
    /// WRONGTYPE.
    pub fn record(&mut self, key: Key<'_>) -> Outcome<usize> {
        self.notes.record(self.store, &mut self.records, key)
    }

    /// Takes an event in: its entry, its message, its receipt, its id.
    ///
    /// # Errors
    /// TOOBIG, WRONGTYPE, CORRUPT.
    pub fn append<T: Named>(
        &mut self,
        event_type: EventName<'a>,
        event: &Event<'a, T>,
        labels: &CheckedLabels<'a>,
        id: StreamId,
        happened_at: Millis,
        judged: Judged,
    ) -> Outcome<Receipt> {
        self.journal.admit(event_type)?;
        if let Some(event_id) = labels.event_id {
            self.remember_event(event_id, id, event.digest())?;
        }
        if self.settings.pubsub != PubSub::Off {
            let content = Content {
                id,
                prev_id: self.journal.newest(event_type),
                prev_log_id: self.journal.log_id,
                event_type,
                scope: self.scope,
                happened_at,
                published_at: self.clock.now,
                data: event.data(),
                source: labels.source,
                correlation_id: labels.correlation_id,
                event_id: labels.event_id,
                late: judged.outcome == Accepted::Late,
                entity: judged.entity,
                telling: Telling::Live,
            };
            self.messages.push(Message { topic: Topic::Event(event_type), body: content.to_json() });
        }
        let receipt = Receipt { id, outcome: judged.outcome, entity: judged.entity };
        self.entries.push(LogEntry { id, fields: entry_fields(event_type, event.data(), labels, happened_at, judged) });
        self.journal.append(event_type, id);
        self.receipts.push(receipt);
        Ok(receipt)
    }

    /// A repeat changes nothing.
    pub fn accept_repeat(&mut self, first: StreamId, entity: Option<(&'static str, u64)>) -> Receipt {
        let receipt = Receipt { id: first, outcome: Accepted::Duplicate, entity };
        self.receipts.push(receipt);
        receipt
    }

    /// The entries so far, oldest first.
    pub fn entries(&self) -> &[LogEntry<'a>] {
        &self.entries
    }

    /// Ends the work: everything that the accepted events change, in one plan.
    ///
    /// # Errors
    /// WRONGTYPE, CORRUPT.
    pub fn finish(mut self) -> Outcome<Decision<'a>> {
        let retention = Retention::of_log(self.settings, self.clock.now);
        // Repeats leave no trace: what is due is written with the next entry.
        if !self.entries.is_empty() && self.journal.is_flush_due(retention) {
            let last = self.record(Key::Last)?;
            self.journal.flush(self.store, &mut self.records[last]);
        }
        let mut plan = Plan { messages: self.messages, ..Plan::default() };
        if !self.entries.is_empty() {
            let (slot, groups) = (self.slot, Groups::Configured);
            plan.appends.push(Append { slot, entries: self.entries, replaced: None, retention, groups });
        }
        let notes = &self.notes;
        let kept = self.records.into_iter().filter(|record| !notes.is_dropped(record.slot()));
        plan.hashes.extend(kept.filter_map(Record::into_patch));
        self.notes.finish(&mut plan);
        Ok(Decision { plan, journal: self.journal, receipts: self.receipts, forgotten: self.forgotten })
    }
}

/// The entry as the log keeps it: `type data ts`, then what there is of the rest.
fn entry_fields<'a>(
    event_type: EventName<'a>,
    data: &'a str,
    labels: &CheckedLabels<'a>,
    happened_at: Millis,
    judged: Judged,
) -> Vec<(Name<'a>, Text<'a>)> {
    let mut fields: Vec<(Name<'a>, Text<'a>)> = Vec::with_capacity(8);
    let mut push = |name: &'static str, value| fields.push((Cow::Borrowed(name), value));
    push("type", Cow::Borrowed(event_type.as_str().as_bytes()));
    push("data", Cow::Borrowed(data.as_bytes()));
    push("ts", Cow::Owned(itoa::Buffer::new().format(happened_at).as_bytes().to_vec()));
    let labels = [("source", labels.source), ("correlation_id", labels.correlation_id), ("event_id", labels.event_id)];
    for (name, text) in labels {
        if let Some(text) = text {
            push(name, Cow::Borrowed(text.as_bytes()));
        }
    }
    match (judged.judgement, judged.outcome) {
        (Judgement::Recorded, _) => push("outcome", Cow::Borrowed(b"record")),
        (_, Accepted::Late) => push("outcome", Cow::Borrowed(b"late")),
        _ => {}
    }
    if let Some(context) = judged.context {
        push("context", Cow::Owned(context.into_bytes()));
    }
    fields
}

fn parse_label<'l>(option: &str, text: &'l [u8]) -> Outcome<&'l str> {
    match std::str::from_utf8(text) {
        Ok(label) if (1..=MAX_LABEL).contains(&text.len()) && !label.chars().any(char::is_control) => Ok(label),
        _ => Err(Code::BadField.because(format!(
            "{option} must be 1 to {MAX_LABEL} bytes of UTF-8 without control characters, not {}",
            quoted(text)
        ))),
    }
}
