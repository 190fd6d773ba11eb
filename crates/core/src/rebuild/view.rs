//! The folded state as the judgement reads it: one event's keys, as they are before it.

use super::fields::Fields;
use crate::key::Key;
use crate::refusal::Outcome;
use crate::store::{Entry, Flow, Slot, Span, Store};
use crate::stream_id::StreamId;

/// The hashes that an event of a log may touch. One event speaks of one entity, so there is one of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The order, position or signal.
    Entity,
    /// Its fills or slices.
    Fills,
    /// The symbol's risk limits.
    Risk,
    /// The symbol's settings, as the event's context has them.
    Instrument,
    /// What a fold keeps no account of: the log, indexes, `last`, and what no event of a log touches.
    Other(u32),
}

impl Place {
    const fn of(key: &Key<'_>) -> Place {
        match key {
            Key::Order(_) | Key::Position(_) | Key::Signal(_) => Place::Entity,
            Key::Fills(_) | Key::Slices(_) => Place::Fills,
            Key::Risk => Place::Risk,
            Key::Instrument => Place::Instrument,
            Key::Log => Place::Other(4),
            Key::OpenOrders => Place::Other(5),
            Key::ActivePositions => Place::Other(6),
            Key::Last => Place::Other(7),
            Key::Seen(_) => Place::Other(8),
            Key::Dead
            | Key::Schema
            | Key::Candles(_)
            | Key::Forming
            | Key::State(_)
            | Key::Condition(_)
            | Key::Conditions(_)
            | Key::Subscriptions(_)
            | Key::TriggerSeen(_)
            | Key::Triggers
            | Key::Work(_) => Place::Other(9),
        }
    }

    const fn slot(self) -> Slot {
        match self {
            Place::Entity => Slot(0),
            Place::Fills => Slot(1),
            Place::Risk => Slot(2),
            Place::Instrument => Slot(3),
            Place::Other(slot) => Slot(slot),
        }
    }

    /// The place that a slot stands for.
    pub const fn at(slot: Slot) -> Place {
        match slot.0 {
            0 => Place::Entity,
            1 => Place::Fills,
            2 => Place::Risk,
            3 => Place::Instrument,
            other => Place::Other(other),
        }
    }
}

/// What one event finds.
pub struct View<'a> {
    /// The entity that it speaks of.
    pub entity: &'a Fields,
    /// Its fills.
    pub fills: &'a Fields,
    /// The symbol's risk limits.
    pub risk: &'a Fields,
    /// The symbol's settings at the time.
    pub instrument: &'a Fields,
}

impl<'a> View<'a> {
    fn fields(&self, slot: Slot) -> Option<&'a Fields> {
        let fields = match Place::at(slot) {
            Place::Entity => self.entity,
            Place::Fills => self.fills,
            Place::Risk => self.risk,
            Place::Instrument => self.instrument,
            Place::Other(_) => return None,
        };
        (!fields.is_empty()).then_some(fields)
    }
}

/// The id that the view's log, of which nothing is kept, ends with: a journal that names it too is believed, and
/// nothing is read.
pub const LOG_END: StreamId = StreamId::ZERO;

impl<'a> Store<'a> for View<'a> {
    fn open(&self, key: Key<'_>) -> Outcome<Slot> {
        Ok(Place::of(&key).slot())
    }

    fn exists(&self, slot: Slot) -> bool {
        self.fields(slot).is_some()
    }

    fn len(&self, slot: Slot) -> u64 {
        self.fields(slot).map_or(0, |fields| fields.len() as u64)
    }

    fn hash_get(&self, slot: Slot, fields: &[&str], values: &mut Vec<Option<&'a [u8]>>) {
        values.clear();
        let hash = self.fields(slot);
        values.extend(fields.iter().map(|field| hash?.get(field.as_bytes())));
    }

    fn hash_all(&self, slot: Slot, visit: &mut dyn FnMut(&'a str, &'a [u8])) -> bool {
        match self.fields(slot) {
            Some(fields @ Fields::Packed { .. }) => {
                for (name, value) in fields.iter() {
                    if let Ok(name) = std::str::from_utf8(name) {
                        visit(name, value);
                    }
                }
                true
            }
            Some(Fields::Map(_)) | None => false,
        }
    }

    fn newest_id(&self, _slot: Slot) -> Option<StreamId> {
        Some(LOG_END)
    }

    fn last_id(&self, _slot: Slot) -> Option<StreamId> {
        Some(LOG_END)
    }

    fn entries(&self, _slot: Slot, _span: Span, _visit: &mut dyn FnMut(StreamId, &Entry<'_>) -> Flow) {}

    fn hash_each(&self, slot: Slot, visit: &mut dyn FnMut(&[u8], &[u8])) {
        if let Some(fields) = self.fields(slot) {
            fields.iter().for_each(|(name, value)| visit(name, value));
        }
    }
}
