//! An event's data as the judgement reads it: members by name, as text, ids, numbers and times.

use std::borrow::Cow;

use crate::decimal::{Decimal, DecimalError};
use crate::event_name::Named;
use crate::event_type::EventType;
use crate::json::{self, Object, Value};
use crate::refusal::{quoted, Code, Outcome, Refusal};
use crate::symbol;
use crate::time::{self, Millis};

/// A scanned event, of a symbol unless said otherwise.
#[derive(Debug)]
pub struct Event<'a, T = EventType> {
    /// Its type.
    pub event_type: T,
    object: Object<'a>,
}

/// A number as the caller wrote it and as it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number<'a> {
    /// The text.
    pub text: Cow<'a, str>,
    /// The value.
    pub value: Decimal,
}

/// Scans a JSON object that a caller sent as `what`, of at most `max_size` bytes, which `tradebus.max-event-size` allows.
///
/// # Errors
/// TOOBIG, BADJSON.
pub(crate) fn scan_object<'a>(what: &str, text: &'a [u8], max_size: usize) -> Outcome<Object<'a>> {
    if text.len() > max_size {
        return Err(
            Code::TooBig.because(format!("{what} has {} bytes; tradebus.max-event-size allows {max_size}", text.len()))
        );
    }
    json::parse_object(text)
        .map_err(|error| Code::BadJson.because(format!("{what}: {} at byte {}", error.what, error.at)))
}

impl<'a, T: Named> Event<'a, T> {
    /// Scans `data`, of at most `max_size` bytes.
    ///
    /// # Errors
    /// TOOBIG, BADJSON.
    pub fn scan(event_type: T, data: &'a [u8], max_size: usize) -> Outcome<Event<'a, T>> {
        Ok(Event { event_type, object: scan_object("data", data, max_size)? })
    }

    /// Its data, as the caller wrote it.
    pub fn data(&self) -> &'a str {
        self.object.text
    }

    /// The same for two texts of the same content: type and data.
    pub fn digest(&self) -> u64 {
        self.object.digest() ^ self.event_type.digest()
    }

    /// The members that have a value, with the text under which it is stored. `null` is no value.
    pub fn members(&self) -> impl Iterator<Item = (&Cow<'a, str>, Cow<'a, str>)> {
        self.object.members.iter().filter_map(|member| Some((&member.name, stored_text(&member.value)?)))
    }

    /// Whether the data has a value under `name`.
    pub fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// The first of `names` that the data has a value under.
    pub fn first_of(&self, names: &[&'static str]) -> Option<&'static str> {
        names.iter().copied().find(|name| self.has(name))
    }

    /// A string or a number, as text.
    ///
    /// # Errors
    /// BADFIELD for another type.
    pub fn text(&self, name: &str) -> Outcome<Option<Cow<'a, str>>> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Number(text)) => Ok(Some(Cow::Borrowed(text))),
            Some(_) => Err(Code::BadField.because(format!("{name} must be a string or a number"))),
        }
    }

    /// A string or a number that the type cannot do without.
    ///
    /// # Errors
    /// MISSING, BADFIELD.
    pub fn required_text(&self, name: &str) -> Outcome<Cow<'a, str>> {
        match self.text(name)? {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(self.missing(name)),
        }
    }

    /// An id: a string of 1-128 printable bytes without spaces, or an integer.
    ///
    /// # Errors
    /// BADFIELD.
    pub fn id(&self, name: &'static str) -> Outcome<Option<Cow<'a, str>>> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Number(text)) if text.bytes().any(|b| matches!(b, b'.' | b'e' | b'E')) => {
                Err(Code::BadField.because(format!("{name} must be a string or an integer, not {text}")))
            }
            Some(Value::Number(text)) => Ok(Some(Cow::Borrowed(symbol::parse_id(name, text.as_bytes())?))),
            Some(Value::String(text)) => {
                symbol::parse_id(name, text.as_bytes())?;
                Ok(Some(text.clone()))
            }
            Some(_) => Err(Code::BadField.because(format!("{name} must be a string or an integer"))),
        }
    }

    /// An id that the type cannot do without.
    ///
    /// # Errors
    /// MISSING, BADFIELD.
    pub fn required_id(&self, name: &'static str) -> Outcome<Cow<'a, str>> {
        self.id(name)?.ok_or_else(|| self.missing(name))
    }

    /// A number: a JSON number or a numeric string.
    ///
    /// # Errors
    /// BADFIELD.
    pub fn number(&self, name: &str) -> Outcome<Option<Number<'a>>> {
        let text = match self.value(name) {
            None => return Ok(None),
            Some(Value::Number(text)) => Cow::Borrowed(*text),
            Some(Value::String(text)) => text.clone(),
            Some(_) => return Err(Code::BadField.because(format!("{name} must be a number"))),
        };
        match Decimal::parse(&text) {
            Ok(value) => Ok(Some(Number { text, value })),
            Err(error) => Err(bad_number(name, &text, error)),
        }
    }

    /// A number that the type cannot do without.
    ///
    /// # Errors
    /// MISSING, BADFIELD.
    pub fn required_number(&self, name: &str) -> Outcome<Number<'a>> {
        self.number(name)?.ok_or_else(|| self.missing(name))
    }

    /// A number above 0.
    ///
    /// # Errors
    /// BADFIELD.
    pub fn positive(&self, name: &str) -> Outcome<Option<Number<'a>>> {
        match self.number(name)? {
            Some(number) if !number.value.is_positive() => {
                Err(Code::BadField.because(format!("{name} must be above 0, not {}", quoted(number.text.as_bytes()))))
            }
            number => Ok(number),
        }
    }

    /// The time that the data says it happened at, under `timestamp`.
    ///
    /// # Errors
    /// BADFIELD.
    pub fn timestamp(&self) -> Outcome<Option<Millis>> {
        match self.text("timestamp")? {
            None => Ok(None),
            Some(text) => parse_time("timestamp", text.as_bytes()).map(Some),
        }
    }

    /// Makes sure that there is a value beside the id and what every event may have.
    ///
    /// # Errors
    /// MISSING.
    pub fn require_change(&self, id_name: &str) -> Outcome<()> {
        match self.members().any(|(name, _)| name != id_name && !matches!(name.as_ref(), "symbol" | "timestamp")) {
            true => Ok(()),
            false => Err(self.missing("a field to change")),
        }
    }

    /// A refusal for a member that is not there.
    #[cold]
    pub fn missing(&self, what: &str) -> Refusal {
        Code::Missing.because(format!("{} needs {what} in its data", self.event_type.name().as_str()))
    }

    fn value(&self, name: &str) -> Option<&Value<'a>> {
        let member = self.object.members.iter().find(|member| member.name == name)?;
        (member.value != Value::Null).then_some(&member.value)
    }
}

/// Parses a time that `what` names.
///
/// # Errors
/// BADFIELD.
pub fn parse_time(what: &str, text: &[u8]) -> Outcome<Millis> {
    std::str::from_utf8(text).ok().and_then(time::parse).ok_or_else(|| {
        Code::BadField
            .because(format!("{what} must be Unix milliseconds or RFC 3339 up to the year 9999, not {}", quoted(text)))
    })
}

/// The text under which a member is stored in a hash.
fn stored_text<'a>(value: &Value<'a>) -> Option<Cow<'a, str>> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(true) => Cow::Borrowed("true"),
        Value::Bool(false) => Cow::Borrowed("false"),
        Value::Number(text) | Value::Nested { text, .. } => Cow::Borrowed(text),
        Value::String(text) => text.clone(),
    })
}

#[cold]
fn bad_number(name: &str, text: &str, error: DecimalError) -> Refusal {
    let rule = match error {
        DecimalError::Syntax => "a number",
        DecimalError::Range => "below 1e18 with at most 18 significant digits",
    };
    Code::BadField.because(format!("{name} must be {rule}, not {}", quoted(text.as_bytes())))
}
