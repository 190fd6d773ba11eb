//! Events of a stream: everything that is not bound to a symbol. There is no entity, and nothing to judge but the
//! stream's schema.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::event::Event;
use crate::event_name::{EventName, StreamType};
use crate::key::{Key, Scope};
use crate::log::journal::Journal;
use crate::log::tails::{Tail, TYPES};
use crate::log::{Accepted, Clock, Decision, Judged, Judgement, Labels, Log};
use crate::plan::Name;
use crate::refusal::{quoted, Code, Outcome};
use crate::settings::Settings;
use crate::store::{Direction, Entry, Flow, Slot, Span, Store};
use crate::stream_id::StreamId;

/// One event to be published, as the command has it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The type.
    pub event_type: StreamType<'a>,
    /// The data.
    pub data: &'a [u8],
    /// What else the caller says.
    pub labels: Labels<'a>,
}

/// The fields of an entry that `events:{T}:last` keeps of the newest event of a type, as `<type>:<field>`, with the
/// entry's id as `<type>:id`.
pub const RETAINED: [&str; 5] = ["data", "ts", "source", "correlation_id", "event_id"];

/// The field of `events:{T}:last` that keeps `field` of the newest event of a type.
pub fn retained_field(event_type: &str, field: &str) -> String {
    [event_type, ":", field].concat()
}

/// Publishes an event of a stream; `check_schema` says whether the data fits. It is asked behind the id: a retry
/// is always safe.
///
/// # Errors
/// TOOBIG, BADJSON, BADFIELD, IDCONFLICT, WRONGTYPE, CORRUPT, and what `check_schema` says.
pub fn publish<'s, 'a, S: Store<'a>>(
    store: &'s S,
    stream: &'s str,
    settings: &'s Settings,
    clock: Clock,
    request: &Request<'a>,
    check_schema: impl FnOnce() -> Outcome<()>,
) -> Outcome<Decision<'a>> {
    let name = EventName::Stream(request.event_type.as_str());
    let event = Event::scan(request.event_type, request.data, settings.max_event_size)?;
    let labels = request.labels.check()?;
    let told = Log::<S>::told_time(&request.labels)?;
    // Nothing is judged, so a `timestamp` that is no time is data like any other.
    let happened_at = told.or_else(|| event.timestamp().ok().flatten()).unwrap_or(clock.now);
    let mut log = Log::open(store, Scope::Stream(stream), settings, clock, None, Some(name))?;
    if let Some(event_id) = labels.event_id {
        if let Some(first) = log.recall_event(event_id, &event)? {
            log.accept_repeat(first, None);
            return log.finish();
        }
    }
    check_schema()?;
    let id = log.next_id()?;
    let judged = Judged { outcome: Accepted::New, judgement: Judgement::Applied, entity: None, context: None };
    log.append(name, &event, &labels, id, happened_at, judged)?;
    retain(&mut log, name.as_str())?;
    log.finish()
}

/// Keeps the newest entry beside its count, where trimming the log does not reach it.
fn retain<'a, S: Store<'a>>(log: &mut Log<'_, 'a, S>, event_type: &str) -> Outcome<()> {
    let last = log.record(Key::Last)?;
    let Some(entry) = log.entries().last() else {
        return Ok(());
    };
    let value_of = |field: &str| entry.fields.iter().find(|(name, _)| name == field).map(|(_, value)| value.clone());
    let id = Some(Cow::Owned(entry.id.to_string().into_bytes()));
    let values: Vec<_> = std::iter::once(("id", id)).chain(RETAINED.map(|field| (field, value_of(field)))).collect();
    let record = &mut log.records[last];
    // The number of types as well: unread, it would be written again with every event.
    let names = values.iter().map(|(field, _)| Name::Owned(retained_field(event_type, field)));
    record.load_named(log.store, names.chain([Name::Borrowed(TYPES)]));
    for (field, value) in values {
        record.put(retained_field(event_type, field), value);
    }
    Ok(())
}

/// The newest event of a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Newest {
    /// Its id.
    pub id: StreamId,
    /// Its fields as the log has them: the type, then those of [`RETAINED`] that it has, in their order.
    pub fields: Vec<(&'static str, Vec<u8>)>,
}

impl Newest {
    fn new(id: StreamId, event_type: &str) -> Newest {
        Newest { id, fields: vec![("type", event_type.as_bytes().to_vec())] }
    }

    fn push(&mut self, field: &'static str, value: Option<&[u8]>) {
        self.fields.extend(value.map(|value| (field, value.to_vec())));
    }

    /// Bytes of all values.
    fn size(&self) -> usize {
        self.fields.iter().map(|(_, value)| value.len()).sum()
    }
}

/// The newest event of a type, as the log has it or, once it was trimmed, as it is retained. `None` when there was
/// none, or it was added by hand and its entry is gone.
///
/// # Errors
/// WRONGTYPE, CORRUPT.
pub fn newest<'a, S: Store<'a>>(store: &S, stream: &str, event_type: StreamType<'_>) -> Outcome<Option<Newest>> {
    let (log, name) = (store.open(Key::Log)?, EventName::Stream(event_type.as_str()));
    let journal = Journal::open(store, Scope::Stream(stream), log, || store.open(Key::Last), None, Some(name))?;
    match journal.newest(name) {
        StreamId::ZERO => Ok(None),
        id => find(store, log, event_type.as_str(), id),
    }
}

/// The newest event of each type, by the type's name.
///
/// # Errors
/// TOOBIG when they are more than `size_max` bytes together, WRONGTYPE, CORRUPT.
pub fn newest_of_each<'a, S: Store<'a>>(store: &S, stream: &str, size_max: usize) -> Outcome<Vec<Newest>> {
    let log = store.open(Key::Log)?;
    let journal = Journal::open(store, Scope::Stream(stream), log, || store.open(Key::Last), None, None)?;
    let mut size = 0;
    let mut all = Vec::new();
    for (event_type, tail) in tails(store, &journal)? {
        let Some(newest) = find(store, log, &event_type, tail.newest)? else {
            continue;
        };
        size += newest.size();
        if size > size_max {
            return Err(Code::TooBig.because(format!(
                "the newest events are more than {size_max} bytes together; ask for one type at a time"
            )));
        }
        all.push(newest);
    }
    Ok(all)
}

/// Every type of a stream that has had events, with its tail. `journal` knows what `events:{T}:last` is behind with.
///
/// # Errors
/// WRONGTYPE, CORRUPT.
pub fn tails<'a, S: Store<'a>>(store: &S, journal: &Journal) -> Outcome<BTreeMap<String, Tail>> {
    let last = store.open(Key::Last)?;
    let mut tails = BTreeMap::new();
    let mut fault = Ok(());
    store.hash_each(last, &mut |field, value| {
        // What is no type's tail, the journal's own fields and what is retained, has a colon in its name.
        if field.contains(&b':') || fault.is_err() {
            return;
        }
        match (StreamType::parse(field), Tail::parse(value)) {
            (Ok(name), Some(tail)) => {
                tails.insert(name.as_str().to_owned(), tail);
            }
            _ => {
                fault = Err(Code::Corrupt.because(format!(
                    "stored field {} must be a type with '<id> <count>', not {}",
                    quoted(field),
                    quoted(value)
                )));
            }
        }
    });
    fault?;
    tails.extend(journal.types().into_iter().map(|(name, tail)| (name.to_owned(), tail)));
    tails.retain(|_, tail| tail.count > 0);
    Ok(tails)
}

/// The event with an id, from the log or from what is retained of the type.
fn find<'a, S: Store<'a>>(store: &S, log: Slot, event_type: &str, id: StreamId) -> Outcome<Option<Newest>> {
    let mut found = None;
    let span = Span { lowest: id, highest: id, direction: Direction::Forward };
    store.entries(log, span, &mut |id, entry: &Entry<'_>| {
        let mut newest = Newest::new(id, event_type);
        for field in RETAINED {
            let value = entry.iter().find(|(name, _)| *name == field.as_bytes()).map(|&(_, value)| value);
            newest.push(field, value);
        }
        found = Some(newest);
        Flow::Stop
    });
    if found.is_some() {
        return Ok(found);
    }
    let last = store.open(Key::Last)?;
    let names = ["id"].into_iter().chain(RETAINED).map(|field| retained_field(event_type, field));
    let names: Vec<String> = names.collect();
    let mut values = Vec::with_capacity(names.len());
    store.hash_get(last, &names.iter().map(String::as_str).collect::<Vec<_>>(), &mut values);
    let is_retained = |text: &[u8]| StreamId::from_bytes(text) == Some(id);
    Ok(values.first().copied().flatten().filter(|text| is_retained(text)).map(|_| {
        let mut newest = Newest::new(id, event_type);
        RETAINED.iter().zip(&values[1..]).for_each(|(field, value)| newest.push(field, *value));
        newest
    }))
}
