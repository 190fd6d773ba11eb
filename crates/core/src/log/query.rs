//! Reading a log again: which part of it, which of its entries, and how much of it at a time.

use std::borrow::Cow;

use crate::event_name::{fold_case, StreamType};
use crate::event_type::EventType;
use crate::json::{self, Value};
use crate::key::Scope;
use crate::log::logged::Logged;
use crate::refusal::{quoted, Code, Outcome};
use crate::store::{Direction, Entry, Flow, Slot, Span, Store};
use crate::stream_id::StreamId;
use crate::time::Millis;

/// Most types that a filter names.
pub const TYPES_MAX: usize = 64;

/// Where a log is read, as XRANGE has it: `-`, `+`, `<ms>-<seq>`, `<ms>` alone, and `(` before an id that is not meant
/// itself. `start` is where reading begins, so backwards it is the higher one.
///
/// # Errors
/// ERR when one of them is none of these.
pub fn parse_span(start: &[u8], end: &[u8], direction: Direction) -> Outcome<Span> {
    let (lowest, highest) = match direction {
        Direction::Forward => (parse_end("start", start, End::Lowest)?, parse_end("end", end, End::Highest)?),
        Direction::Backward => (parse_end("end", end, End::Lowest)?, parse_end("start", start, End::Highest)?),
    };
    // Behind the last id that there can be, and before the first, there is nothing.
    let (lowest, highest) = lowest.zip(highest).unwrap_or((StreamId::MAX, StreamId::ZERO));
    Ok(Span { lowest, highest, direction })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Lowest,
    Highest,
}

/// The first or last id of a part; `None` when no id can be.
fn parse_end(what: &str, text: &[u8], end: End) -> Outcome<Option<StreamId>> {
    match text {
        b"-" => return Ok(Some(StreamId::ZERO)),
        b"+" => return Ok(Some(StreamId::MAX)),
        _ => {}
    }
    let (bare, is_exclusive) = match text.strip_prefix(b"(") {
        Some(bare) => (bare, true),
        None => (text, false),
    };
    let id = parse_incomplete(bare, end).ok_or_else(|| {
        Code::Err.because(format!(
            "{what} must be an id such as 1763402400000-0 or 1763402400000, perhaps behind `(`, or - or +, not {}",
            quoted(text)
        ))
    })?;
    Ok(match (is_exclusive, end) {
        (false, _) => Some(id),
        (true, End::Lowest) => id.successor(),
        (true, End::Highest) => id.predecessor(),
    })
}

/// An id, or its milliseconds alone: all entries of that millisecond are meant.
fn parse_incomplete(text: &[u8], end: End) -> Option<StreamId> {
    if let Some(id) = StreamId::from_bytes(text) {
        return Some(id);
    }
    let digits = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    let seq = match end {
        End::Lowest => 0,
        End::Highest => u64::MAX,
    };
    Some(StreamId { ms: digits.parse().ok()?, seq })
}

/// Which entries are wanted: those that fit everything that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter<'q> {
    /// Of one of these types, as stored; of any type when empty.
    pub types: Vec<Cow<'q, [u8]>>,
    /// With this `order_id` in the data.
    pub order: Option<&'q str>,
    /// With this `position_id` in the data.
    pub position: Option<&'q str>,
    /// With this CORRELATION.
    pub correlation_id: Option<&'q [u8]>,
    /// With this SOURCE.
    pub source: Option<&'q [u8]>,
    /// That happened then or later.
    pub since: Option<Millis>,
    /// That happened then or before.
    pub until: Option<Millis>,
}

impl<'q> Filter<'q> {
    /// Takes a type as callers may write it.
    ///
    /// # Errors
    /// BADEVENT when events of the symbol or stream can have no such type, ERR when there are too many.
    pub fn add_type(&mut self, scope: Scope<'_>, name: &'q [u8]) -> Outcome<()> {
        let name = match scope {
            Scope::Symbol(_) => Cow::Borrowed(EventType::parse(name)?.as_str().as_bytes()),
            Scope::Stream(_) => {
                let folded = fold_case(name);
                StreamType::parse(&folded)?;
                folded
            }
        };
        if self.types.contains(&name) {
            return Ok(());
        }
        if self.types.len() == TYPES_MAX {
            return Err(Code::Err.because(format!("TYPE is given with more than {TYPES_MAX} types")));
        }
        self.types.push(name);
        Ok(())
    }

    /// Whether an entry fits. One that lacks what is asked for does not.
    pub fn matches(&self, logged: &Logged<'_>) -> bool {
        let is_of_type = self.types.is_empty() || self.types.iter().any(|name| name.as_ref() == logged.event_type);
        let is_label = |wanted: Option<&[u8]>, label| wanted.is_none() || wanted == label;
        let (since, until) = (self.since.unwrap_or(Millis::MIN), self.until.unwrap_or(Millis::MAX));
        let is_any_time = self.since.is_none() && self.until.is_none();
        let is_in_time = is_any_time || logged.happened_at.is_some_and(|at| (since..=until).contains(&at));
        // The data comes last: it is the only part that costs anything.
        is_of_type
            && is_in_time
            && is_label(self.correlation_id, logged.correlation_id)
            && is_label(self.source, logged.source)
            && self.order.is_none_or(|id| names(logged.data, "order_id", id))
            && self.position.is_none_or(|id| names(logged.data, "position_id", id))
    }
}

/// Whether the data has `id` under `member`, as a string or an integer.
///
/// Most entries of a log speak of something else. They do not have the id's bytes, and only where an escape could stand
/// for them must the data be scanned all the same.
fn names(data: &[u8], member: &str, id: &str) -> bool {
    let Ok(text) = std::str::from_utf8(data) else {
        return false;
    };
    if !text.contains(id) && !text.contains('\\') {
        return false;
    }
    let Ok(object) = json::parse_object(data) else {
        return false;
    };
    let member = object.members.iter().find(|found| found.name == member);
    match member.map(|found| &found.value) {
        Some(Value::String(text)) => text == id,
        Some(Value::Number(text)) => *text == id && !text.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E')),
        _ => false,
    }
}

/// How much one call may do. Whatever it is, a call that has anything to read goes on by one entry at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Entries to read, whether they fit or not.
    pub entries: u64,
    /// Bytes to read, as [`wire_len`] counts them: a call ends with the entry that brings it there.
    pub bytes: usize,
    /// Entries to take.
    pub taken: u64,
    /// What those may come to, in the bytes that the visitor tells: a call ends with the entry that brings it there.
    pub taken_bytes: usize,
}

/// About how many bytes an entry is in a reply. What is empty counts too, or a part of a log that is nothing but empty
/// fields would be small.
pub fn wire_len(entry: &Entry<'_>) -> usize {
    // A string has its length and two ends of lines beside its bytes, an entry its id and three lengths.
    const STRING: usize = 10;
    const ENTRY: usize = 40;
    ENTRY + entry.iter().map(|(name, value)| name.len() + value.len() + 2 * STRING).sum::<usize>()
}

/// Reads `span` of a log as far as the budget goes, and calls `take` with each entry that fits, which replies how many
/// bytes it made of it, or `None` if it left it out.
///
/// Returns the id of the first entry that was not read, if there is one: who goes on from there, with the same other
/// end, reads every entry once.
pub fn read<'a>(
    store: &impl Store<'a>,
    slot: Slot,
    span: Span,
    filter: &Filter<'_>,
    budget: Budget,
    take: &mut dyn FnMut(&Logged<'_>, &Entry<'_>) -> Option<usize>,
) -> Option<StreamId> {
    let mut next = None;
    let mut done = Budget { entries: 0, bytes: 0, taken: 0, taken_bytes: 0 };
    store.entries(slot, span, &mut |id, entry| {
        let is_spent = done.entries >= budget.entries
            || done.bytes >= budget.bytes
            || done.taken >= budget.taken
            || done.taken_bytes >= budget.taken_bytes;
        if is_spent && done.entries > 0 {
            next = Some(id);
            return Flow::Stop;
        }
        done.entries += 1;
        done.bytes += wire_len(entry);
        let logged = Logged::read(id, entry);
        if filter.matches(&logged) {
            if let Some(bytes) = take(&logged, entry) {
                done.taken += 1;
                done.taken_bytes += bytes;
            }
        }
        Flow::Continue
    });
    next
}
