//! One command's work on a symbol: events are judged one after the other, each on the state that the ones
//! before it leave, and become one plan. A refusal leaves nothing behind: the session is dropped.

mod entities;
mod identity;
mod subject;

use std::borrow::Cow;

use crate::entity::{self, Verdict};
use crate::event::{parse_time, Event};
use crate::event_type::EventType;
use crate::fill::Fill;
use crate::instrument::Terms;
use crate::journal::Journal;
use crate::key::Key;
use crate::message::Content;
use crate::order::{self, OrderFields};
use crate::plan::{Expiry, LogEntry, Message, Plan, Retention, Text};
use crate::position::{self, PositionFields};
use crate::record::Record;
use crate::refusal::{quoted, Code, Outcome};
use crate::risk::{self, Breach};
use crate::settings::{Lifecycle, PubSub, Settings};
use crate::signal::{self, SignalFields};
use crate::store::Store;
use crate::stream_id::StreamId;
use crate::time::Millis;
use entities::Entities;
use identity::Recalled;
use subject::SubjectId;

/// Longest SOURCE and CORRELATION, in bytes.
pub const MAX_LABEL: usize = 256;

/// One event to be published, as the command has it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The type.
    pub event_type: EventType,
    /// The data.
    pub data: &'a [u8],
    /// ID.
    pub event_id: Option<&'a [u8]>,
    /// TIMESTAMP.
    pub timestamp: Option<&'a [u8]>,
    /// SOURCE.
    pub source: Option<&'a [u8]>,
    /// CORRELATION.
    pub correlation_id: Option<&'a [u8]>,
    /// EXPECT.
    pub expect: Option<u64>,
}

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

/// What a session decided.
#[derive(Debug)]
pub struct Decision<'a> {
    /// What to write.
    pub plan: Plan<'a>,
    /// What to remember of the log once it is written.
    pub journal: Journal,
    /// One receipt an event, in their order.
    pub receipts: Vec<Receipt>,
    /// Event ids that are forgotten before their window has passed, for want of room.
    pub forgotten: u64,
}

/// The work of one command on one symbol.
pub struct Session<'s, 'a, S> {
    store: &'s S,
    symbol: &'s str,
    settings: &'s Settings,
    clock: Clock,
    journal: Journal,
    records: Vec<Record<'a>>,
    entities: Entities,
    plan: Plan<'a>,
    receipts: Vec<Receipt>,
    forgotten: u64,
}

/// What becomes of an event that is not refused.
enum Judgement {
    /// It is new, and what it changes is noted.
    Accepted(Judged),
    /// The event of this id told the same fill before.
    Known(StreamId),
}

/// What the judgement of an event comes to, for the log and the message.
struct Judged {
    outcome: Accepted,
    entity: Option<(&'static str, u64)>,
    context: Option<String>,
}

impl<'s, 'a, S: Store<'a>> Session<'s, 'a, S> {
    /// Begins the work. `remembered` is the journal that the last command on the symbol left.
    ///
    /// # Errors
    /// WRONGTYPE, CORRUPT.
    pub fn open(
        store: &'s S,
        symbol: &'s str,
        settings: &'s Settings,
        clock: Clock,
        remembered: Option<&Journal>,
    ) -> Outcome<Self> {
        let log = store.open(Key::Log)?;
        let mut journal = Journal::open(store, log, || store.open(Key::Last), remembered)?;
        journal.log_id = journal.log_id.max(clock.behind);
        let plan = Plan { log_slot: Some(log), ..Plan::default() };
        Ok(Session {
            store,
            symbol,
            settings,
            clock,
            journal,
            records: Vec::with_capacity(4),
            entities: Entities::default(),
            plan,
            receipts: Vec::with_capacity(1),
            forgotten: 0,
        })
    }

    /// Judges one event and adds what it changes to the plan.
    ///
    /// # Errors
    /// Any refusal of an event; the session must not be used after it.
    pub fn publish(&mut self, request: &Request<'a>) -> Outcome<Receipt> {
        let event = Event::scan(request.event_type, request.data, self.settings.max_event_size)?;
        let event_id = request.event_id.map(|id| crate::symbol::parse_id("ID", id)).transpose()?;
        let source = request.source.map(|text| parse_label("SOURCE", text)).transpose()?;
        let correlation_id = request.correlation_id.map(|text| parse_label("CORRELATION", text)).transpose()?;
        let happened_at = match request.timestamp {
            Some(text) => parse_time("TIMESTAMP", text)?,
            // Where nothing is judged, a time that is none is no reason to refuse.
            None if self.settings.lifecycle == Lifecycle::Off => {
                event.timestamp().ok().flatten().unwrap_or(self.clock.now)
            }
            None => event.timestamp()?.unwrap_or(self.clock.now),
        };
        if let Some(event_id) = event_id {
            if let Some(first) = self.recall_event(event_id, &event)? {
                return Ok(self.accept_repeat(first, &event, event_id));
            }
        }
        let id = self.next_id()?;
        let judged = match self.judge(&event, event_id, request.expect, id, happened_at)? {
            Judgement::Accepted(judged) => judged,
            Judgement::Known(first) => return Ok(self.accept_repeat(first, &event, event_id.unwrap_or_default())),
        };
        if let Some(event_id) = event_id {
            self.remember_event(event_id, id, event.digest())?;
        }
        let content = Content {
            id,
            prev_id: self.journal.newest(event.event_type),
            prev_log_id: self.journal.log_id,
            event_type: event.event_type,
            symbol: self.symbol,
            happened_at,
            published_at: self.clock.now,
            // Scanned as JSON, so it is UTF-8.
            data: std::str::from_utf8(event.data).unwrap_or("null"),
            source,
            correlation_id,
            event_id,
            late: judged.outcome == Accepted::Late,
            entity: judged.entity,
        };
        if self.settings.pubsub != PubSub::Off {
            self.plan.messages.push(Message { event_type: event.event_type, body: content.to_json() });
        }
        let receipt = Receipt { id, outcome: judged.outcome, entity: judged.entity };
        self.plan.log.push(log_entry(&event, &content, request, judged, self.settings.lifecycle));
        self.journal.append(event.event_type, id);
        self.receipts.push(receipt);
        Ok(receipt)
    }

    /// Ends the work: everything that the accepted events change, in one plan.
    ///
    /// # Errors
    /// WRONGTYPE, CORRUPT.
    pub fn finish(mut self) -> Outcome<Decision<'a>> {
        self.plan.retention = self.retention();
        if self.journal.is_flush_due(self.plan.retention) {
            let last = self.record(Key::Last)?;
            self.journal.flush(self.store, &mut self.records[last]);
        }
        let entities = &self.entities;
        let kept = self.records.into_iter().filter(|record| !entities.is_dropped(record.slot()));
        self.plan.hashes.extend(kept.filter_map(Record::into_patch));
        self.entities.finish(&mut self.plan);
        Ok(Decision { plan: self.plan, journal: self.journal, receipts: self.receipts, forgotten: self.forgotten })
    }

    fn retention(&self) -> Retention {
        let positive = |number: u64| (number > 0).then_some(number);
        let oldest = positive(self.settings.stream_maxage_ms)
            .map(|age| StreamId { ms: self.clock.now.saturating_sub_unsigned(age).try_into().unwrap_or(0), seq: 0 });
        Retention { max_len: positive(self.settings.stream_maxlen), min_id: oldest }
    }

    fn next_id(&self) -> Outcome<StreamId> {
        self.journal
            .log_id
            .next(self.clock.now.try_into().unwrap_or(0))
            .ok_or_else(|| Code::Corrupt.because("the log's newest entry has the last id there can be"))
    }

    /// The record of a key, the same one for the whole command.
    fn record(&mut self, key: Key<'_>) -> Outcome<usize> {
        let slot = self.store.open(key)?;
        if let Some(at) = self.entities.record_at(slot) {
            return Ok(at);
        }
        self.records.push(Record::new(self.store, slot));
        self.entities.note_record(slot, self.records.len() - 1);
        Ok(self.records.len() - 1)
    }

    fn judge(
        &mut self,
        event: &Event<'a>,
        event_id: Option<&'a str>,
        expect: Option<u64>,
        id: StreamId,
        happened_at: Millis,
    ) -> Outcome<Judgement> {
        let is_judged = self.settings.lifecycle != Lifecycle::Off;
        let subject = if is_judged { SubjectId::of(event, event_id)? } else { None };
        match subject {
            Some(subject) => self.judge_entity(&subject, event, expect, id, happened_at),
            None if expect.is_some() => Err(Code::Err.because(format!(
                "EXPECT does not go with {} here: no entity is kept for it",
                event.event_type.as_str()
            ))),
            None => {
                let outcome = if is_judged { self.judge_record(event, id, happened_at)? } else { Accepted::New };
                Ok(Judgement::Accepted(Judged { outcome, entity: None, context: None }))
            }
        }
    }

    fn judge_entity(
        &mut self,
        subject: &SubjectId<'a>,
        event: &Event<'a>,
        expect: Option<u64>,
        id: StreamId,
        happened_at: Millis,
    ) -> Outcome<Judgement> {
        let at = self.record(subject.key())?;
        self.records[at].read_whole(self.store, subject.facts());
        self.entities.begin(&self.records[at], subject)?;
        // A fill that is known is known whatever version is expected: a retry is always safe.
        let (fill, memory) = match self.recall_fill(event, subject)? {
            Recalled::Known(first) => return Ok(Judgement::Known(first)),
            Recalled::Anonymous(fill) => (fill, None),
            Recalled::New(fill, memory) => (Some(fill), Some(memory)),
        };
        self.check_version(at, expect)?;
        let exists = self.records[at].exists();
        if self.settings.lifecycle == Lifecycle::Strict && !exists && !subject::begins_life(event.event_type) {
            return Err(
                Code::NotFound.because(format!("{} is unknown, and tradebus.lifecycle is strict", subject.describe()))
            );
        }
        let (verdict, context) = self.apply(subject, at, event, fill.as_ref(), happened_at)?;
        let version = entity::stamp(&mut self.records[at], id, verdict.status)?;
        if let (Some(memory), Some(fill)) = (memory, &fill) {
            if let Some(fill_id) = &fill.id {
                self.records[memory].set(fill_id.clone(), fill.memory_text(id));
                // Says that there are fills, also when the event changes nothing else.
                self.records[at].set("fill_id", fill_id.clone());
            }
        }
        self.settle(subject, at, verdict)?;
        let outcome = if verdict.late { Accepted::Late } else { Accepted::New };
        Ok(Judgement::Accepted(Judged { outcome, entity: Some((verdict.status, version)), context }))
    }

    fn apply(
        &mut self,
        subject: &SubjectId<'a>,
        at: usize,
        event: &Event<'a>,
        fill: Option<&Fill<'a>>,
        happened_at: Millis,
    ) -> Outcome<(Verdict, Option<String>)> {
        let store = self.store;
        match subject {
            SubjectId::Order(_) => {
                let record = &mut self.records[at];
                let verdict = order::judge(record, store, event, fill, happened_at)?;
                entity::merge_members::<OrderFields, S>(record, store, event, verdict.merge);
                Ok((verdict, None))
            }
            SubjectId::Signal(signal_id) => {
                let record = &mut self.records[at];
                let verdict = signal::judge(record, store, event, happened_at)?;
                entity::merge_members::<SignalFields, S>(record, store, event, verdict.merge);
                if !event.has("signal_id") {
                    record.set("signal_id", signal_id.clone());
                }
                Ok((verdict, None))
            }
            SubjectId::Position(_) => {
                let terms = || Terms::load(&mut Record::new(store, store.open(Key::Instrument)?), store);
                let record = &mut self.records[at];
                let judged = position::judge(record, store, event, fill, happened_at, terms)?;
                entity::merge_members::<PositionFields, S>(record, store, event, judged.verdict.merge);
                self.journal.add_profit(judged.realized, judged.reported)?;
                Ok((judged.verdict, judged.context))
            }
        }
    }

    /// Events that speak of no entity of their own.
    fn judge_record(&mut self, event: &Event<'a>, id: StreamId, happened_at: Millis) -> Outcome<Accepted> {
        match event.event_type {
            EventType::TradeFailed => {
                let reason = event.required_text("reason")?;
                if let Some(order_id) = event.id("order_id")? {
                    let order = self.record(Key::Order(&order_id))?;
                    self.records[order].load(self.store, &["last_error"]);
                    if self.records[order].exists() {
                        self.records[order].set("last_error", reason);
                    }
                }
                Ok(Accepted::New)
            }
            EventType::RiskLimitBreached => {
                let at = self.record(Key::Risk)?;
                Ok(match risk::judge(&mut self.records[at], self.store, event, id, happened_at)? {
                    Breach::Newest => Accepted::New,
                    Breach::Late => Accepted::Late,
                })
            }
            _ => Ok(Accepted::New),
        }
    }

    fn check_version(&self, at: usize, expect: Option<u64>) -> Outcome<()> {
        let Some(expected) = expect else {
            return Ok(());
        };
        let record = &self.records[at];
        let version = entity::version(record)?;
        match version == expected {
            true => Ok(()),
            false => Err(Code::VersionConflict.because(format!("EXPECT is {expected}, but the version is {version}"))),
        }
    }

    /// Index and expiry follow from the status; the fills live and die with their entity.
    fn settle(&mut self, subject: &SubjectId<'a>, at: usize, verdict: Verdict) -> Outcome<()> {
        let slot = self.records[at].slot();
        if let Some(index) = subject.index_key() {
            let moved = verdict.open && self.records[at].is_changed("created_at");
            // A hash that is not there may have been deleted by hand, and its id left in the index.
            let may_be_stray = !verdict.open && !self.records[at].is_stored();
            if verdict.open != self.entities.is_open(slot) || moved || may_be_stray {
                let score = match verdict.open {
                    true => Some(entity::created_at(&mut self.records[at], self.store)?),
                    false => None,
                };
                let index = self.store.open(index)?;
                self.entities.set_index(slot, index, score);
            }
        }
        let ttl = match (subject, verdict.open) {
            (SubjectId::Signal(_), true) => self.settings.signal_ttl_ms,
            (_, true) => 0,
            (_, false) => self.settings.closed_ttl_ms,
        };
        let was_open = self.entities.set_open(slot, verdict.open);
        let had_none = was_open || !self.records[at].is_stored() && !self.entities.has_expiry(slot);
        let expiry = match ttl {
            // What is open has no expiry to take off, unless it was finished before.
            0 if verdict.open && had_none => return Ok(()),
            0 => Expiry::Never,
            ttl => Expiry::At(self.clock.now.saturating_add_unsigned(ttl)),
        };
        self.entities.expire(slot, expiry);
        let has_fills = {
            let record = &mut self.records[at];
            record.load(self.store, &["fill_id"]);
            record.get("fill_id").is_some()
        };
        if let Some(key) = subject.fills_key().filter(|_| has_fills) {
            let fills = self.record(key)?;
            if self.records[fills].exists() {
                self.entities.expire(self.records[fills].slot(), expiry);
            }
        }
        Ok(())
    }
}

/// The entry as the log keeps it: `type data ts`, then what there is of the rest.
fn log_entry<'a>(
    event: &Event<'a>,
    content: &Content<'_>,
    request: &Request<'a>,
    judged: Judged,
    lifecycle: Lifecycle,
) -> LogEntry<'a> {
    let mut fields: Vec<(&'static str, Text<'a>)> = Vec::with_capacity(8);
    fields.push(("type", Cow::Borrowed(event.event_type.as_str().as_bytes())));
    fields.push(("data", Cow::Borrowed(event.data)));
    fields.push(("ts", Cow::Owned(itoa::Buffer::new().format(content.happened_at).as_bytes().to_vec())));
    let labels =
        [("source", request.source), ("correlation_id", request.correlation_id), ("event_id", request.event_id)];
    fields.extend(labels.into_iter().filter_map(|(name, text)| Some((name, Cow::Borrowed(text?)))));
    match (lifecycle, judged.outcome) {
        (Lifecycle::Off, _) => fields.push(("outcome", Cow::Borrowed(b"record"))),
        (_, Accepted::Late) => fields.push(("outcome", Cow::Borrowed(b"late"))),
        _ => {}
    }
    if let Some(context) = judged.context {
        fields.push(("context", Cow::Owned(context.into_bytes())));
    }
    LogEntry { id: content.id, fields }
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
