//! Why a command is refused: one closed list, the source of every error a client can see and of
//! `docs/errors.md`.

use std::fmt;

macro_rules! codes {
    ($( $(#[$meta:meta])* $name:ident = $wire:literal, retry: $retry:literal, when: $when:literal, remedy: $remedy:literal; )*) => {
        /// The code that an error reply starts with. Declared about in the order in which the checks are made;
        /// which of several faults is reported is not promised.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $( $(#[$meta])* #[doc = $when] $name, )* }

        impl Code {
            /// Every code, in the order of declaration.
            pub const ALL: &'static [Code] = &[ $( Code::$name, )* ];

            /// The word on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $( Code::$name => $wire, )* }
            }

            /// When a command is refused with this code.
            pub const fn when(self) -> &'static str {
                match self { $( Code::$name => $when, )* }
            }

            /// What a caller does about it.
            pub const fn remedy(self) -> &'static str {
                match self { $( Code::$name => $remedy, )* }
            }

            /// Whether the same command may succeed later without being changed.
            pub const fn is_retryable(self) -> bool {
                match self { $( Code::$name => $retry, )* }
            }
        }
    };
}

codes! {
    Err = "ERR", retry: false,
        when: "The command itself is malformed: wrong arity, an unknown or repeated option, an option value out of range, or an option that does not go with the event.",
        remedy: "Correct the call; the text names the argument.";
    Oom = "OOM", retry: true,
        when: "The server is above `maxmemory` and cannot evict. Redis itself refuses the command.",
        remedy: "Free memory or raise `maxmemory`, then send the same command again.";
    NoPerm = "NOPERM", retry: false,
        when: "The user may not run the command on this symbol or stream, or may not publish on a channel of a replay. As a rule Redis itself refuses the command.",
        remedy: "Grant the permission, as in docs/commands; `ACL LOG` tells what was missing.";
    BadSymbol = "BADSYMBOL", retry: false,
        when: "The symbol (or stream name) is empty, longer than 64 bytes, or has a byte that is not printable ASCII, a space, or one of `{ } * ? [ ] \\ \"`.",
        remedy: "Use the instrument's plain name, such as `BTC/USDT:USDT`.";
    BadEvent = "BADEVENT", retry: false,
        when: "The event type is none of the known ones or, in a stream, is not a letter with letters, digits, `_` and `.` behind it, at most 64 bytes.",
        remedy: "Use one of the types in docs/events.md, of which the text names the nearest; in a stream, a name as the text says.";
    TooBig = "TOOBIG", retry: false,
        when: "The event's data is larger than `tradebus.max-event-size`, a batch is over its limits, a bounded hash is full, or there would be more conditions, subscriptions or work for bots than are allowed.",
        remedy: "Send less, or raise the limit that the text names.";
    BadJson = "BADJSON", retry: false,
        when: "The data is not one JSON object in UTF-8 with at most 128 members, no member twice and at most 64 levels deep.",
        remedy: "Correct the data; the text has the byte offset.";
    Missing = "MISSING", retry: false,
        when: "A member that the event type needs is not in the data.",
        remedy: "Add the member that the text names.";
    BadField = "BADFIELD", retry: false,
        when: "A member or an option has a value of the wrong type or range, or a sum or product of it would not be exact.",
        remedy: "Correct the member that the text names.";
    IdConflict = "IDCONFLICT", retry: false,
        when: "The event id, the fill id or the condition's id is known with other content.",
        remedy: "Two different facts bear one id: give the new one its own.";
    NotFound = "NOTFOUND", retry: true,
        when: "The order, position or signal is unknown and `tradebus.lifecycle` is `strict`; or there is no such condition, or no such consumer group.",
        remedy: "Publish its created, opened or generated event first; register the condition; make the group with XGROUP CREATE.";
    VersionConflict = "VERSIONCONFLICT", retry: false,
        when: "EXPECT names another version than the entity has.",
        remedy: "Read the entity again, decide again, and send the version it has now.";
    InvalidState = "INVALIDSTATE", retry: false,
        when: "The entity's state does not allow the event; or a condition that is to be removed has subscribers.",
        remedy: "Read the entity; the text names the state it is in.";
    TooLate = "TOOLATE", retry: false,
        when: "The entity is already finished, so the event can no longer have an effect; or a newer candle is stored.",
        remedy: "Read the entity; it ended before this event arrived. Of candles only the newest can be corrected.";
    Overfill = "OVERFILL", retry: false,
        when: "A fill or a close is larger than what remains and bears no fill id that would prove it a fact.",
        remedy: "Correct the volume, or send the venue's `fill_id` with it.";
    Schema = "SCHEMA", retry: false,
        when: "The data does not fit the JSON Schema that is set for the event type.",
        remedy: "Correct the data; the text has the path and the reason.";
    BadExpr = "BADEXPR", retry: false,
        when: "A condition's expression cannot be parsed or is out of bounds.",
        remedy: "Correct the expression; the text has the column and what was expected.";
    WrongType = "WRONGTYPE", retry: false,
        when: "A key of ours holds a value of another Redis type.",
        remedy: "Somebody else writes under our prefix: rename or remove the key that the text names.";
    Corrupt = "CORRUPT", retry: false,
        when: "A value stored in a key of ours cannot be what tradebus wrote.",
        remedy: "Mend what the text names, an entity or a key and a field of it, by hand, with TRADE.REBUILD or, for a condition, with COND.REMOVE and FORCE.";
    TryAgain = "TRYAGAIN", retry: true,
        when: "The cluster slot of the symbol is being moved to another node.",
        remedy: "Send the same command again after a short while.";
}

/// A refused command: nothing was written, published or replicated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The code, first word of the reply.
    pub code: Code,
    /// What was wrong, where, and what would be right. One line, without CR or LF.
    pub text: String,
}

/// The usual result of the core.
pub type Outcome<T> = Result<T, Refusal>;

impl Code {
    /// A refusal with this code.
    #[cold]
    pub fn because(self, text: impl Into<String>) -> Refusal {
        Refusal { code: self, text: text.into() }
    }
}

impl Refusal {
    /// The same refusal, said of a part of what is stored.
    #[must_use]
    pub fn within(mut self, what: &str) -> Self {
        self.text = format!("{what}: {}", self.text);
        self
    }

    /// The same refusal, said of the event at a 1-based position of a batch.
    #[must_use]
    pub fn at_event(mut self, position: usize) -> Self {
        self.text = format!("event {position}: {}", self.text);
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code.as_str(), self.text)
    }
}

impl std::error::Error for Refusal {}

/// A caller's bytes as they can stand in an error: in quotes, escaped, and cut when long.
pub fn quoted(bytes: &[u8]) -> String {
    const SHOWN: usize = 64;
    let shown = bytes[..bytes.len().min(SHOWN)].escape_ascii();
    match bytes.len() > SHOWN {
        true => format!("'{shown}...' ({} bytes)", bytes.len()),
        false => format!("'{shown}'"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_words() {
        for (i, code) in Code::ALL.iter().enumerate() {
            assert!(code.as_str().bytes().all(|b| b.is_ascii_uppercase()), "{code:?}");
            assert!(!code.when().is_empty() && !code.remedy().is_empty());
            assert!(Code::ALL[i + 1..].iter().all(|other| other.as_str() != code.as_str()));
        }
    }

    #[test]
    fn quoted_text_is_one_short_line() {
        assert_eq!(quoted(b"a b"), "'a b'");
        assert_eq!(quoted(b"\r\n\0\xff"), r"'\r\n\x00\xff'");
        assert_eq!(quoted(&[b'x'; 100]), format!("'{}...' (100 bytes)", "x".repeat(64)));
    }
}
