//! The name of an event's type: one of the trade types, or whatever a stream uses.

use std::borrow::Cow;

use crate::event_type::EventType;
use crate::refusal::{quoted, Code, Outcome};
use xxhash_rust::xxh3::xxh3_64;

/// The longest type of a stream's events, in bytes.
pub const NAME_MAX: usize = 64;

/// The type of an event, of a symbol or of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventName<'n> {
    /// Of a symbol.
    Trade(EventType),
    /// Of a stream: `[a-z][a-z0-9_.]*`.
    Stream(&'n str),
}

impl<'n> EventName<'n> {
    /// The name that is stored and published.
    pub const fn as_str(self) -> &'n str {
        match self {
            EventName::Trade(event_type) => event_type.as_str(),
            EventName::Stream(name) => name,
        }
    }
}

/// What an [`crate::event::Event`] has as its type.
pub trait Named: Copy {
    /// The type as logs and messages have it.
    fn name(&self) -> EventName<'_>;

    /// Differs where the types do, as far as 64 bits can.
    fn digest(&self) -> u64;
}

impl Named for EventType {
    fn name(&self) -> EventName<'_> {
        EventName::Trade(*self)
    }

    fn digest(&self) -> u64 {
        // Multiplied by an odd constant, distinct types never give the same.
        (*self as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

/// The type of a stream's event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamType<'n>(&'n str);

impl<'n> StreamType<'n> {
    /// Takes a type that was folded by [`fold_case`].
    ///
    /// # Errors
    /// BADEVENT, naming the rule.
    pub fn parse(text: &'n [u8]) -> Outcome<StreamType<'n>> {
        let is_first = |byte: &u8| byte.is_ascii_lowercase();
        let is_later = |byte: &u8| is_first(byte) || byte.is_ascii_digit() || matches!(byte, b'_' | b'.');
        let is_type = text.len() <= NAME_MAX && text.first().is_some_and(is_first) && text.iter().all(is_later);
        match std::str::from_utf8(text) {
            Ok(name) if is_type => Ok(StreamType(name)),
            _ => Err(Code::BadEvent.because(format!(
                "an event type of a stream is a letter, then letters, digits, `_` and `.`, at most {NAME_MAX} bytes; not {}",
                quoted(text)
            ))),
        }
    }

    /// The text.
    pub const fn as_str(self) -> &'n str {
        self.0
    }
}

impl Named for StreamType<'_> {
    fn name(&self) -> EventName<'_> {
        EventName::Stream(self.0)
    }

    fn digest(&self) -> u64 {
        xxh3_64(self.0.as_bytes())
    }
}

/// A type as callers may write it, in lower case.
pub fn fold_case(text: &[u8]) -> Cow<'_, [u8]> {
    match text.iter().any(u8::is_ascii_uppercase) {
        true => Cow::Owned(text.to_ascii_lowercase()),
        false => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_a_stream() {
        let check = |text: &str, expected: Option<&str>| {
            let folded = fold_case(text.as_bytes());
            let parsed = StreamType::parse(&folded);
            assert_eq!(parsed.as_ref().map(|name| name.as_str()).ok(), expected, "{text}");
            assert!(parsed.is_ok() || parsed.is_err_and(|refusal| refusal.code == Code::BadEvent));
        };
        let longest = "t".repeat(NAME_MAX);
        check("policy.updated", Some("policy.updated"));
        check("POLICY_UPDATED", Some("policy_updated"));
        check("a", Some("a"));
        check("a9._", Some("a9._"));
        check(&longest, Some(&longest));
        for bad in ["", "9a", ".a", "_a", "a b", "a-b", "a:b", "\u{e9}", "a\0", &format!("{longest}t")] {
            check(bad, None);
        }
    }

    #[test]
    fn the_digests_of_types_differ() {
        let mut digests: Vec<u64> = EventType::ALL.iter().map(Named::digest).collect();
        digests.extend(["a", "b", "trade.executed"].map(|name| StreamType(name).digest()));
        let count = digests.len();
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), count);
    }
}
