//! What the core's model makes of the events: the arbiter of every peer. It runs the module's own rules on a keyspace
//! in memory, at a time of its own; the ids that a server gives are others, and [`crate::ids`] tells which is which.

use std::collections::BTreeMap;
use std::io;

use tradebus_core::channel;
use tradebus_core::event_type::EventType;
use tradebus_core::key::Scope;
use tradebus_core::log::{Accepted, Clock, Labels};
use tradebus_core::memory::{Memory, Value, View};
use tradebus_core::plan::{Expiry, Plan};
use tradebus_core::refusal::Refusal;
use tradebus_core::session::{Request, Session};
use tradebus_core::settings::Settings;
use tradebus_core::store::Slot;
use tradebus_core::stream_id::StreamId;

use crate::wire::Batch;
use crate::workload::{Event, Expected, Workload};

/// Whether events bear the ids that their producers gave them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventIds {
    Given,
    LeftOut,
}

/// What each event comes to, and all of them.
pub struct Model {
    /// One for each event of the workload, in its order.
    pub told: Vec<Told>,
    /// Of each symbol, its keys and messages in the end.
    pub symbols: BTreeMap<&'static str, Memory>,
}

/// What one event comes to.
pub struct Told {
    /// The id that it is answered with.
    pub id: StreamId,
    /// Whether it is one that was told before.
    pub is_repeat: bool,
    /// What the module writes and publishes for it, as plain commands.
    pub effects: Batch,
}

impl Model {
    /// Runs the workload, an event a millisecond from `start_ms` on.
    ///
    /// # Errors
    /// When an event is refused: the workload is wrong then.
    pub fn new(workload: &Workload, event_ids: EventIds, start_ms: u64) -> io::Result<Model> {
        let mut model = Model { told: Vec::with_capacity(workload.events.len()), symbols: BTreeMap::new() };
        for (number, event) in workload.events.iter().enumerate() {
            let now = start_ms as i64 + number as i64;
            let memory = model.symbols.entry(event.symbol).or_insert_with(|| Memory::of_symbol(event.symbol));
            let told = tell(memory, event, event_ids, now).map_err(|refusal| {
                io::Error::other(format!("the model refuses {} {}: {refusal}", event.event_type, event.data.json))
            })?;
            model.told.push(told);
        }
        Ok(model)
    }

    /// The first difference between the model and what the generator of the events expects.
    pub fn difference(&self, expected: &Expected) -> Option<String> {
        let value = |key: &str| self.symbols.values().find_map(|memory| memory.keys.get(key));
        for (key, fields) in &expected.hashes {
            let Some(Value::Hash(found)) = value(key) else {
                return Some(format!("there is no {key}"));
            };
            for (name, wanted) in fields {
                // A sum that was never begun is zero.
                let found = found.get(*name).map_or_else(|| "0".into(), |value| String::from_utf8_lossy(value));
                if trim_zeros(&found) != trim_zeros(wanted) {
                    return Some(format!("{key}: {name} is {found}, not {wanted}"));
                }
            }
        }
        expected.indexes.iter().find_map(|(key, wanted)| {
            let found = match value(key) {
                Some(Value::SortedSet(members)) => members.len() as i64,
                _ => 0,
            };
            (found != *wanted).then(|| format!("{key} has {found} members, not {wanted}"))
        })
    }
}

fn trim_zeros(text: &str) -> &str {
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => text,
    }
}

/// Publishes the event: once for the plan, which is all that a client would have to send, and once for good.
fn tell(memory: &mut Memory, event: &Event, event_ids: EventIds, now: i64) -> Result<Told, Refusal> {
    let settings = Settings::default();
    let event_id = (event_ids == EventIds::Given).then_some(event.event_id.as_bytes());
    let labels = Labels { event_id, ..Labels::default() };
    let event_type = EventType::parse(event.event_type.as_bytes())?;
    let request = Request { event_type, data: event.data.json.as_bytes(), labels, expect: None };
    let view = View::of(memory);
    let clock = Clock { now, behind: StreamId::ZERO };
    let mut session = Session::open(&view, event.symbol, &settings, clock, memory.journal.as_deref())?;
    session.publish(&request)?;
    let plan = session.finish()?.plan;
    let effects = effects(&plan, view, event.symbol);
    let receipt = memory.publish(&[request], &settings, now)?[0];
    Ok(Told { id: receipt.id, is_repeat: receipt.outcome == Accepted::Duplicate, effects })
}

/// The plan as the commands that do the same, with keys by name.
fn effects(plan: &Plan<'_>, view: View<'_>, symbol: &str) -> Batch {
    let keys = view.into_opened();
    let key = |slot: Slot| keys[slot.0 as usize].0.as_bytes();
    let mut batch = Batch::default();
    for append in &plan.appends {
        let maxlen = append.retention.max_len.unwrap_or_default().to_string();
        for entry in &append.entries {
            let id = entry.id.to_string();
            let mut args =
                vec![b"XADD".as_slice(), key(append.slot), b"MAXLEN", b"~", maxlen.as_bytes(), id.as_bytes()];
            args.extend(entry.fields.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_ref()]));
            batch.push_bytes(&args);
        }
    }
    for patch in &plan.hashes {
        let mut args = vec![b"HSET".as_slice(), key(patch.slot)];
        args.extend(patch.set.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_ref()]));
        if !patch.set.is_empty() {
            batch.push_bytes(&args);
        }
        let mut args = vec![b"HDEL".as_slice(), key(patch.slot)];
        args.extend(patch.delete.iter().map(|name| name.as_bytes()));
        if !patch.delete.is_empty() {
            batch.push_bytes(&args);
        }
    }
    for patch in &plan.indexes {
        match patch.score {
            Some(score) => {
                batch.push_bytes(&[b"ZADD", key(patch.slot), score.to_string().as_bytes(), patch.member.as_ref()]);
            }
            None => batch.push_bytes(&[b"ZREM", key(patch.slot), patch.member.as_ref()]),
        }
    }
    for &(slot, expiry) in &plan.expiries {
        match expiry {
            Expiry::At(at) => batch.push_bytes(&[b"PEXPIREAT", key(slot), at.to_string().as_bytes()]),
            Expiry::Never => batch.push_bytes(&[b"PERSIST", key(slot)]),
        }
    }
    for &slot in &plan.unlinks {
        batch.push_bytes(&[b"UNLINK", key(slot)]);
    }
    for message in &plan.messages {
        let channel = channel::classic(Scope::Symbol(symbol), &message.topic);
        batch.push_bytes(&[b"PUBLISH", channel.as_bytes(), message.body.as_bytes()]);
    }
    batch
}
