//! One command's work on a symbol: events are judged one after the other, each on the state that the ones
//! before it leave, and become one plan. A refusal leaves nothing behind: the session is dropped.

mod fills;
mod subject;

use crate::entity::{self, Verdict};
use crate::event::Event;
use crate::event_name::EventName;
use crate::event_type::EventType;
use crate::fill::Fill;
use crate::instrument::Terms;
use crate::key::{Key, Scope};
use crate::log::journal::Journal;
use crate::log::{Accepted, Clock, Decision, Judged, Judgement, Labels, Log, Receipt};
use crate::order::{self, OrderFields};
use crate::plan::Expiry;
use crate::position::{self, PositionFields};
use crate::record::Record;
use crate::refusal::{Code, Outcome};
use crate::risk::{self, Breach};
use crate::settings::{Lifecycle, Settings};
use crate::signal::{self, SignalFields};
use crate::store::Store;
use crate::stream_id::StreamId;
use crate::time::Millis;
use crate::word::Word;
use fills::Recalled;
pub use subject::{begins_life, SubjectId};

/// One event to be published, as the command has it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The type.
    pub event_type: EventType,
    /// The data.
    pub data: &'a [u8],
    /// What else the caller says.
    pub labels: Labels<'a>,
    /// EXPECT.
    pub expect: Option<u64>,
}

/// The work of one command on one symbol.
pub struct Session<'s, 'a, S> {
    log: Log<'s, 'a, S>,
}

/// The member of an entry's context that says whether the entity was there before the event.
pub const LIFE: &str = "entity";

/// Whether an entity was there before an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It was not: the event made it.
    New,
    /// It was.
    Known,
}

impl Word for Life {
    const WORDS: &'static [(&'static str, Life)] = &[("new", Life::New), ("known", Life::Known)];
}

/// What becomes of an event that is not refused.
enum Answer {
    /// It is new, and what it changes is noted.
    Accepted(Judged),
    /// The event of this id told the same fill before.
    Known(StreamId),
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
        Ok(Session { log: Log::open(store, Scope::Symbol(symbol), settings, clock, remembered, None)? })
    }

    /// Judges one event and adds what it changes to the plan.
    ///
    /// # Errors
    /// Any refusal of an event; the session must not be used after it.
    pub fn publish(&mut self, request: &Request<'a>) -> Outcome<Receipt> {
        let event = Event::scan(request.event_type, request.data, self.log.settings.max_event_size)?;
        let labels = request.labels.check()?;
        let happened_at = match Log::<S>::told_time(&request.labels)? {
            Some(told) => told,
            // Where nothing is judged, a time that is none is no reason to refuse.
            None if self.log.settings.lifecycle == Lifecycle::Off => {
                event.timestamp().ok().flatten().unwrap_or(self.log.clock.now)
            }
            None => event.timestamp()?.unwrap_or(self.log.clock.now),
        };
        if let Some(event_id) = labels.event_id {
            if let Some(first) = self.log.recall_event(event_id, &event)? {
                return Ok(self.accept_repeat(first, &event, event_id));
            }
        }
        let id = self.log.next_id()?;
        let judged = match self.judge(&event, labels.event_id, request.expect, id, happened_at)? {
            Answer::Accepted(judged) => judged,
            Answer::Known(first) => return Ok(self.accept_repeat(first, &event, labels.event_id.unwrap_or_default())),
        };
        self.log.append(EventName::Trade(event.event_type), &event, &labels, id, happened_at, judged)
    }

    /// Judges an event that a log has accepted as `id` again, with the state that it was judged on. Nothing is said of
    /// it, only its entity changes.
    ///
    /// # Errors
    /// Any refusal: then the state is not that one.
    pub fn fold(
        &mut self,
        event: &Event<'a>,
        event_id: Option<&'a str>,
        id: StreamId,
        happened_at: Millis,
    ) -> Outcome<()> {
        match self.judge(event, event_id, None, id, happened_at)? {
            Answer::Accepted(_) => Ok(()),
            Answer::Known(first) => Err(Code::Corrupt.because(format!("its fill is known from event {first}"))),
        }
    }

    /// Ends the work: everything that the accepted events change, in one plan.
    ///
    /// # Errors
    /// WRONGTYPE, CORRUPT.
    pub fn finish(self) -> Outcome<Decision<'a>> {
        self.log.finish()
    }

    fn judge(
        &mut self,
        event: &Event<'a>,
        event_id: Option<&'a str>,
        expect: Option<u64>,
        id: StreamId,
        happened_at: Millis,
    ) -> Outcome<Answer> {
        let is_judged = self.log.settings.lifecycle != Lifecycle::Off;
        let subject = if is_judged { SubjectId::of(event, event_id)? } else { None };
        match subject {
            Some(subject) => self.judge_entity(&subject, event, expect, id, happened_at),
            None if expect.is_some() => Err(Code::Err.because(format!(
                "EXPECT does not go with {} here: no entity is kept for it",
                event.event_type.as_str()
            ))),
            None => {
                let (outcome, judgement) = match is_judged {
                    true => (self.judge_record(event, id, happened_at)?, Judgement::Applied),
                    false => (Accepted::New, Judgement::Recorded),
                };
                Ok(Answer::Accepted(Judged { outcome, judgement, entity: None, context: None }))
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
    ) -> Outcome<Answer> {
        let at = self.log.record(subject.key())?;
        self.judge_at(at, subject, event, expect, id, happened_at).map_err(|refusal| {
            if refusal.code == Code::Corrupt {
                refusal.within(&subject.describe())
            } else {
                refusal
            }
        })
    }

    fn judge_at(
        &mut self,
        at: usize,
        subject: &SubjectId<'a>,
        event: &Event<'a>,
        expect: Option<u64>,
        id: StreamId,
        happened_at: Millis,
    ) -> Outcome<Answer> {
        self.log.records[at].read_whole(self.log.store, subject.facts());
        let record = &self.log.records[at];
        let status = record.text("status")?;
        self.log.notes.begin(record.slot(), subject.id(), || status.is_some_and(|status| subject.is_open(status)));
        // A fill that is known is known whatever version is expected: a retry is always safe.
        let (fill, memory) = match self.recall_fill(event, subject)? {
            Recalled::Known(first) => return Ok(Answer::Known(first)),
            Recalled::Anonymous(fill) => (fill, None),
            Recalled::New(fill, memory) => (Some(fill), Some(memory)),
        };
        self.check_version(at, expect)?;
        let exists = self.log.records[at].exists();
        if self.log.settings.lifecycle == Lifecycle::Strict && !exists && !subject::begins_life(event.event_type) {
            return Err(
                Code::NotFound.because(format!("{} is unknown, and tradebus.lifecycle is strict", subject.describe()))
            );
        }
        let (verdict, context) = self.apply(subject, at, event, fill.as_ref(), happened_at)?;
        let version = entity::stamp(&mut self.log.records[at], id, verdict.status)?;
        if let (Some(memory), Some(fill)) = (memory, &fill) {
            if let Some(fill_id) = &fill.id {
                self.log.records[memory].set(fill_id.clone(), fill.memory_text(id));
                // Says that there are fills, also when the event changes nothing else.
                self.log.records[at].set("fill_id", fill_id.clone());
            }
        }
        self.settle(subject, at, verdict)?;
        let outcome = if verdict.late { Accepted::Late } else { Accepted::New };
        let context = note_life(event.event_type, exists, context);
        let entity = Some((verdict.status, version));
        Ok(Answer::Accepted(Judged { outcome, judgement: Judgement::Applied, entity, context }))
    }

    fn apply(
        &mut self,
        subject: &SubjectId<'a>,
        at: usize,
        event: &Event<'a>,
        fill: Option<&Fill<'a>>,
        happened_at: Millis,
    ) -> Outcome<(Verdict, Option<String>)> {
        let store = self.log.store;
        match subject {
            SubjectId::Order(_) => {
                let record = &mut self.log.records[at];
                let verdict = order::judge(record, store, event, fill, happened_at)?;
                entity::merge_members::<OrderFields, S>(record, store, event, verdict.merge);
                Ok((verdict, None))
            }
            SubjectId::Signal(signal_id) => {
                let record = &mut self.log.records[at];
                let verdict = signal::judge(record, store, event, happened_at)?;
                entity::merge_members::<SignalFields, S>(record, store, event, verdict.merge);
                if !event.has("signal_id") {
                    record.set("signal_id", signal_id.clone());
                }
                Ok((verdict, None))
            }
            SubjectId::Position(_) => {
                let terms = || Terms::load(&mut Record::new(store, store.open(Key::Instrument)?), store);
                let record = &mut self.log.records[at];
                let judged = position::judge(record, store, event, fill, happened_at, terms)?;
                entity::merge_members::<PositionFields, S>(record, store, event, judged.verdict.merge);
                self.log.journal.add_profit(judged.realized, judged.reported)?;
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
                    let order = self.log.record(Key::Order(&order_id))?;
                    self.log.records[order].load(self.log.store, &["last_error"]);
                    if self.log.records[order].exists() {
                        self.log.records[order].set("last_error", reason);
                    }
                }
                Ok(Accepted::New)
            }
            EventType::RiskLimitBreached => {
                let at = self.log.record(Key::Risk)?;
                Ok(match risk::judge(&mut self.log.records[at], self.log.store, event, id, happened_at)? {
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
        let record = &self.log.records[at];
        let version = entity::version(record)?;
        match version == expected {
            true => Ok(()),
            false => Err(Code::VersionConflict.because(format!("EXPECT is {expected}, but the version is {version}"))),
        }
    }

    /// Index and expiry follow from the status; the fills live and die with their entity.
    fn settle(&mut self, subject: &SubjectId<'a>, at: usize, verdict: Verdict) -> Outcome<()> {
        let slot = self.log.records[at].slot();
        if let Some(index) = subject.index_key() {
            let moved = verdict.open && self.log.records[at].is_changed("created_at");
            // A hash that is not there may have been deleted by hand, and its id left in the index.
            let may_be_stray = !verdict.open && !self.log.records[at].is_stored();
            if verdict.open != self.log.notes.is_open(slot) || moved || may_be_stray {
                let score = match verdict.open {
                    true => Some(entity::created_at(&mut self.log.records[at], self.log.store)?),
                    false => None,
                };
                let index = self.log.store.open(index)?;
                self.log.notes.set_index(slot, index, score);
            }
        }
        let ttl = subject.ttl_ms(verdict.open, self.log.settings);
        let was_open = self.log.notes.set_open(slot, verdict.open);
        let had_none = was_open || !self.log.records[at].is_stored() && !self.log.notes.has_expiry(slot);
        let expiry = match ttl {
            // What is open has no expiry to take off, unless it was finished before.
            0 if verdict.open && had_none => return Ok(()),
            0 => Expiry::Never,
            ttl => Expiry::At(self.log.clock.now.saturating_add_unsigned(ttl)),
        };
        self.log.notes.expire(slot, expiry);
        let has_fills = {
            let record = &mut self.log.records[at];
            record.load(self.log.store, &["fill_id"]);
            record.get("fill_id").is_some()
        };
        if let Some(key) = subject.fills_key().filter(|_| has_fills) {
            let fills = self.log.record(key)?;
            if self.log.records[fills].exists() {
                self.log.notes.expire(self.log.records[fills].slot(), expiry);
            }
        }
        Ok(())
    }
}

/// Adds to the context whether the entity was there, where the type alone does not tell: an entity may have expired
/// or been deleted since the event before, and the log shall be folded to what the judgement saw.
fn note_life(event_type: EventType, existed: bool, context: Option<String>) -> Option<String> {
    let life = match (subject::begins_life(event_type), existed) {
        (true, false) | (false, true) => return context,
        (true, true) => Life::Known,
        (false, false) => Life::New,
    };
    let member = format!(r#""{LIFE}":"{}""#, life.as_str());
    Some(match context {
        None => format!("{{{member}}}"),
        Some(context) => format!("{{{member},{}", &context[1..]),
    })
}
