//! JSON Schemas that the data of an event stream is held against, by the `jsonschema` crate.
//!
//! A schema comes from whoever may send one command, and is run inside the server for every event of its type, so
//! neither it nor any data may take the server down or hold it up. The crate is sound, but promises nothing about time:
//! schemas can double their work with every line, exact arithmetic on `1e-4000` takes a millisecond, and `uniqueItems` compares
//! every pair of numbers that are made for it. So what a check
//! can come to is reckoned before it is made (`cost`), from the schema once and from each event in one pass, and what
//! is over [`MAX_COST`] is refused. For that, a schema must be finite: recursion is refused.
//!
//! Rejected: counting steps while the check goes on, which the crate has no place for.

mod cost;
mod read;
#[cfg(test)]
mod tests;

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

use crate::refusal::{quoted, Code, Outcome};
use cost::{Price, Size};
use read::{read, Unread};

pub use cost::{MAX_COST, MAX_NESTED, MAX_PATTERNS, MAX_WEIGHT};

/// Most digits of a number, in a schema or in data that is held against one, when it is written out: `1e-3` has three.
pub const MAX_DIGITS: usize = 40;

/// Bytes of a pattern's machine. Large enough for a UUID or a time; what repeats a class of all of Unicode is over it.
const PATTERN_SIZE: usize = 8 << 10;

/// Bytes of the states that a pattern's engine keeps.
const PATTERN_CACHE: usize = 64 << 10;

/// The highest cost of a check of which the crate is asked for the reason when alternatives (`anyOf`, `oneOf`) failed: it
/// gathers the errors of every branch, some hundred bytes each.
const MAX_EXPLAINED: u64 = 50_000;

/// Bytes of a reason that are told.
const SHOWN: usize = 160;

/// A compiled JSON Schema, 2020-12.
///
/// What is refused beside what is no schema:
///
/// - `$schema` for another draft, `$id` below the top, `$dynamicRef`, and `dependencies`.
/// - A reference that is not `#/...`, a JSON Pointer into the schema itself, or that leads back to itself. Nothing
///   is ever fetched.
/// - A pattern with a look-around or a back-reference, as these do not match in linear time, a pattern whose machine
///   is over 8 KiB, and patterns over [`MAX_PATTERNS`].
/// - More than [`MAX_WEIGHT`] with references followed, or [`MAX_NESTED`] subschemas inside one another.
/// - A number of more than [`MAX_DIGITS`] digits.
///
/// `format`, `contentEncoding` and `contentMediaType` are annotations, as are unknown keywords: they check nothing.
/// Numbers are compared exactly: `2000.50` is a multiple of `0.01`.
#[derive(Debug)]
pub struct Schema {
    validator: Validator,
    price: Price,
    memory: usize,
}

/// What a compiled pattern and its engine take, about; measured.
const PATTERN_MEMORY: usize = 26 << 10;

/// What a byte of a schema's text takes once it is compiled, about; measured.
const TEXT_MEMORY: usize = 32;

impl Schema {
    /// Compiles a schema's text.
    ///
    /// # Errors
    /// TOOBIG: longer than `max_size` bytes. BADJSON: not one JSON object, see [`crate::json::parse_object`] for its
    /// limits; so `true` is refused here, though it may stand for a part of a schema. BADFIELD: not a schema, or one of those that are
    /// refused; the text says why.
    pub fn compile(text: &[u8], max_size: usize) -> Outcome<Schema> {
        if text.len() > max_size {
            return Err(
                Code::TooBig.because(format!("the schema is {} bytes long, {max_size} are allowed", text.len()))
            );
        }
        let mut schema = read(text).map_err(|unread| match unread {
            Unread::Json(what) => Code::BadJson.because(format!("the schema: {what}")),
            Unread::Number(what) => Code::BadField.because(format!("the schema: {what}")),
        })?;
        let price = Price::of(&schema).map_err(|what| Code::BadField.because(format!("the schema: {what}")))?;
        // References are within the schema whatever it is called. Left in, a name that the crate knows would lead
        // them there.
        if let Value::Object(members) = &mut schema {
            members.remove("$id");
            members.remove("$schema");
        }
        let validator = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .offline()
            .should_validate_formats(false)
            .with_pattern_options(PatternOptions::regex().size_limit(PATTERN_SIZE).dfa_size_limit(PATTERN_CACHE))
            .build(&schema)
            .map_err(|error| Code::BadField.because(format!("the schema {}", told(&error))))?;
        let memory = text.len() * TEXT_MEMORY + price.patterns * PATTERN_MEMORY;
        Ok(Schema { validator, price, memory })
    }

    /// About how many bytes of memory it takes.
    pub fn memory(&self) -> usize {
        self.memory
    }

    /// Whether an event's data fits; `event_type` is only for the refusal.
    ///
    /// # Errors
    /// SCHEMA, on one line: the event type, the place of the first fault in the data as a JSON Pointer (`''` is the whole), and
    /// what is wrong with it; or that the check would cost more than [`MAX_COST`]. BADJSON: the data is not one JSON
    /// object.
    pub fn check(&self, event_type: &str, data: &[u8]) -> Outcome<()> {
        let refused = |what: String| Code::Schema.because(format!("{event_type} {what}"));
        let data = read(data).map_err(|unread| match unread {
            Unread::Json(what) => Code::BadJson.because(what),
            Unread::Number(what) => refused(format!("at '': {what}")),
        })?;
        let cost = self.price.times(&Size::of(&data));
        if cost > MAX_COST {
            let text =
                format!("at '': too large to be held against its schema: that may cost {cost}, {MAX_COST} are allowed");
            return Err(refused(text));
        }
        if self.validator.is_valid(&data) {
            return Ok(());
        }
        if self.price.has_alternatives && cost > MAX_EXPLAINED {
            return Err(refused("at '': does not fit its schema, and is too large to say where".to_owned()));
        }
        self.validator.validate(&data).map_err(|error| refused(told(&error)))
    }
}

/// An error's place and reason, on one short line. The value itself is left out: it may be long, and its place is told.
fn told(error: &jsonschema::ValidationError<'_>) -> String {
    let place = quoted(error.instance_path().as_str().as_bytes());
    let mut text = format!("at {place}: ");
    let end = text.len() + SHOWN;
    for character in error.masked_with("this").to_string().chars() {
        if text.len() >= end {
            text.push_str("...");
            break;
        }
        match character {
            ' '..='~' => text.push(character),
            _ => text.extend(character.escape_default()),
        }
    }
    text
}
