//! The entity that an event speaks of, and the keys that belong to it.

use std::borrow::Cow;

use crate::event::Event;
use crate::event_type::{EventType, Subject};
use crate::key::Key;
use crate::refusal::Outcome;
use crate::settings::Settings;
use crate::word::Word;
use crate::{order, position, signal};

/// An order's, a position's or a signal's id.
#[derive(Clone, Debug)]
pub enum SubjectId<'a> {
    /// An order's.
    Order(Cow<'a, str>),
    /// A position's.
    Position(Cow<'a, str>),
    /// A signal's.
    Signal(Cow<'a, str>),
}

impl<'a> SubjectId<'a> {
    /// Reads the id out of an event; `None` for types that speak of no entity. A signal's may be the event's own.
    ///
    /// # Errors
    /// MISSING, BADFIELD.
    pub fn of(event: &Event<'a>, event_id: Option<&'a str>) -> Outcome<Option<SubjectId<'a>>> {
        Ok(Some(match event.event_type.subject() {
            Subject::Order => SubjectId::Order(event.required_id("order_id")?),
            Subject::Position => SubjectId::Position(event.required_id("position_id")?),
            Subject::Signal => SubjectId::Signal(match (event.id("signal_id")?, event_id, event.event_type) {
                (Some(id), _, _) => id,
                (None, Some(id), EventType::SignalGenerated) => Cow::Borrowed(id),
                (None, None, EventType::SignalGenerated) => {
                    return Err(event.missing("signal_id (or the command an ID)"));
                }
                (None, _, _) => return Err(event.missing("signal_id")),
            }),
            Subject::None => return Ok(None),
        }))
    }

    /// The entity's hash.
    pub fn key(&self) -> Key<'_> {
        match self {
            SubjectId::Order(id) => Key::Order(id),
            SubjectId::Position(id) => Key::Position(id),
            SubjectId::Signal(id) => Key::Signal(id),
        }
    }

    /// The hash of what was filled or closed of it.
    pub fn fills_key(&self) -> Option<Key<'_>> {
        match self {
            SubjectId::Order(id) => Some(Key::Fills(id)),
            SubjectId::Position(id) => Some(Key::Slices(id)),
            SubjectId::Signal(_) => None,
        }
    }

    /// The index that it is in while it is open.
    pub fn index_key(&self) -> Option<Key<'static>> {
        match self {
            SubjectId::Order(_) => Some(Key::OpenOrders),
            SubjectId::Position(_) => Some(Key::ActivePositions),
            SubjectId::Signal(_) => None,
        }
    }

    /// The fields that every judgement of it reads.
    pub fn facts(&self) -> &'static [&'static str] {
        match self {
            SubjectId::Order(_) => &order::FACTS,
            SubjectId::Position(_) => &position::FACTS,
            SubjectId::Signal(_) => &signal::FACTS,
        }
    }

    /// The id alone.
    pub fn id(&self) -> &str {
        match self {
            SubjectId::Order(id) | SubjectId::Position(id) | SubjectId::Signal(id) => id,
        }
    }

    /// The entity in words, for a refusal.
    pub fn describe(&self) -> String {
        let kind = match self {
            SubjectId::Order(_) => "order",
            SubjectId::Position(_) => "position",
            SubjectId::Signal(_) => "signal",
        };
        format!("{kind} '{}'", self.id())
    }

    /// Whether an entity of this kind with this status is in its index.
    pub fn is_open(&self, status: &str) -> bool {
        match self {
            SubjectId::Order(_) => order::Status::parse(status).is_some_and(order::Status::is_open),
            SubjectId::Position(_) => position::Status::parse(status) == Some(position::Status::Active),
            SubjectId::Signal(_) => signal::Status::parse(status) == Some(signal::Status::Generated),
        }
    }
}

impl SubjectId<'_> {
    /// How long the hash of one that is open, or not, is kept, in ms; 0: for ever.
    pub fn ttl_ms(&self, is_open: bool, settings: &Settings) -> u64 {
        match (self, is_open) {
            (SubjectId::Signal(_), true) => settings.signal_ttl_ms,
            (_, true) => 0,
            (_, false) => settings.closed_ttl_ms,
        }
    }
}

/// Whether the type is the one that an entity's life begins with.
pub fn begins_life(event_type: EventType) -> bool {
    matches!(event_type, EventType::OrderCreated | EventType::PositionOpened | EventType::SignalGenerated)
}

/// The word of any kind's status, as a static text.
pub fn known_status(text: &str) -> Option<&'static str> {
    let order = order::Status::parse(text).map(Word::as_str);
    let position = || position::Status::parse(text).map(Word::as_str);
    let signal = || signal::Status::parse(text).map(Word::as_str);
    order.or_else(position).or_else(signal)
}
