//! Fills of orders and slices of positions as facts: with a `fill_id` they are remembered for the entity's
//! life, so the same fill is counted once whatever path it takes.

use std::borrow::Cow;

use crate::decimal::Decimal;
use crate::event::{Event, Number};
use crate::event_type::EventType;
use crate::json::{self, Value};
use crate::record::Record;
use crate::refusal::{Code, Outcome};
use crate::stream_id::StreamId;

/// What an event says of one fill.
#[derive(Clone, Debug)]
pub struct Fill<'a> {
    /// The venue's id of the fill.
    pub id: Option<Cow<'a, str>>,
    /// The volume of this fill alone.
    pub volume: Option<Number<'a>>,
    /// The entity's volume filled so far, this fill included.
    pub cumulative: Option<Number<'a>>,
    /// The price of this fill.
    pub price: Option<Number<'a>>,
    side: Option<Cow<'a, str>>,
}

/// The members that a kind of fill is read from; the first one that is there counts.
struct Names {
    volume: &'static [&'static str],
    cumulative: &'static [&'static str],
    /// Taken as the volume when neither of the above is there.
    bare_volume: &'static [&'static str],
    price: &'static [&'static str],
}

/// FIX calls them LastQty, CumQty and LastPx.
const ORDER: Names = Names {
    volume: &["fill_volume", "last_qty"],
    cumulative: &["filled_volume", "cum_qty"],
    bare_volume: &["volume"],
    price: &["fill_price", "last_price", "price"],
};

const POSITION: Names =
    Names { volume: &["closed_volume"], cumulative: &[], bare_volume: &["volume"], price: &["exit_price"] };

impl<'a> Fill<'a> {
    /// Reads the fill of an event, `None` when its type has none.
    ///
    /// # Errors
    /// BADFIELD.
    pub fn read(event: &Event<'a>) -> Outcome<Option<Fill<'a>>> {
        let names = match event.event_type {
            EventType::OrderPartiallyFilled | EventType::OrderFilled => &ORDER,
            EventType::PositionPartiallyClosed | EventType::PositionClosed => &POSITION,
            _ => return Ok(None),
        };
        let first = |names: &[&'static str]| match event.first_of(names) {
            Some(name) => event.positive(name),
            None => Ok(None),
        };
        let cumulative = first(names.cumulative)?;
        let volume = match first(names.volume)? {
            None if cumulative.is_none() => first(names.bare_volume)?,
            volume => volume,
        };
        let price = match event.first_of(names.price) {
            Some(name) => event.number(name)?,
            None => None,
        };
        Ok(Some(Fill { id: event.id("fill_id")?, volume, cumulative, price, side: event.text("side")? }))
    }

    /// Looks the fill up in what is remembered: the id of the event that told it first.
    ///
    /// # Errors
    /// IDCONFLICT when its id is known with another content, CORRUPT when the memory is not ours.
    pub fn recall(&self, id: &str, memory: &Record<'_>) -> Outcome<Option<StreamId>> {
        let Some(known) = memory.get(id) else {
            return Ok(None);
        };
        let corrupt = || memory.corrupt(id, "a fill as tradebus writes it");
        let known = json::parse_object(known).map_err(|_| corrupt())?;
        let text = |name: &str| {
            known.members.iter().find(|member| member.name == name).and_then(|member| match &member.value {
                Value::String(text) => Some(text.as_ref()),
                _ => None,
            })
        };
        let number = |name: &str| match text(name) {
            None => Ok(None),
            Some(text) => Decimal::from_stored(text.as_bytes()).map(Some).ok_or_else(corrupt),
        };
        let event = text("id").and_then(|id| id.parse().ok()).ok_or_else(corrupt)?;
        let value = |number: &Option<Number<'_>>| number.as_ref().map(|number| number.value);
        // Feeds add the sum so far to a fill or leave it out; it is not the fill's own content.
        let (known_volume, given_volume) = match (number("volume")?, value(&self.volume)) {
            (None, None) => (number("cumulative")?, value(&self.cumulative)),
            volumes => volumes,
        };
        if known_volume != given_volume {
            return Err(conflict(id, event, "volume"));
        }
        if number("price")? != value(&self.price) {
            return Err(conflict(id, event, "price"));
        }
        match (text("side"), self.side.as_deref()) {
            (Some(known), Some(given)) if !known.eq_ignore_ascii_case(given) => Err(conflict(id, event, "side")),
            _ => Ok(Some(event)),
        }
    }

    /// The text under which the fill is remembered, told by `event`.
    pub fn memory_text(&self, event: StreamId) -> String {
        let mut text = String::from(r#"{"id":""#);
        event.push_to(&mut text);
        text.push('"');
        let numbers = [("volume", &self.volume), ("cumulative", &self.cumulative), ("price", &self.price)];
        let numbers = numbers.into_iter().filter_map(|(name, number)| Some((name, number.as_ref()?.text.as_ref())));
        for (name, value) in numbers.chain(self.side.as_deref().map(|side| ("side", side))) {
            text.push_str(",\"");
            text.push_str(name);
            text.push_str("\":");
            json::push_string(value, &mut text);
        }
        text.push('}');
        text
    }
}

#[cold]
fn conflict(id: &str, event: StreamId, name: &str) -> crate::refusal::Refusal {
    Code::IdConflict.because(format!("fill_id '{id}' is known from event {event} with another {name}"))
}
