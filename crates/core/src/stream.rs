//! Events of a stream: everything that is not bound to a symbol. There is no entity, and nothing to judge but the
//! stream's schema.

use std::borrow::Cow;

use crate::event::Event;
use crate::event_name::{EventName, StreamType};
use crate::key::{Key, Scope};
use crate::log::{Accepted, Clock, Decision, Judged, Judgement, Labels, Log};
use crate::plan::Name;
use crate::refusal::Outcome;
use crate::settings::Settings;
use crate::store::Store;

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
    record.load_named(log.store, values.iter().map(|(field, _)| Name::Owned(retained_field(event_type, field))));
    for (field, value) in values {
        record.put(retained_field(event_type, field), value);
    }
    Ok(())
}
