//! Ids of Redis stream entries: milliseconds and a sequence number, ordered as Redis orders them.

use std::fmt;
use std::str::FromStr;

/// The id of a stream entry, `<ms>-<seq>` as text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    /// Unix milliseconds.
    pub ms: u64,
    /// The number of the entry within its millisecond.
    pub seq: u64,
}

impl StreamId {
    /// `0-0`: before every entry.
    pub const ZERO: StreamId = StreamId { ms: 0, seq: 0 };
    /// The largest id there can be.
    pub const MAX: StreamId = StreamId { ms: u64::MAX, seq: u64::MAX };

    /// The id of an entry added at `now` behind `self`. `XADD` makes its ids the same way: a clock that went
    /// back continues the last millisecond. `None` when the ids are used up.
    #[must_use]
    pub fn next(self, now_ms: u64) -> Option<StreamId> {
        if now_ms > self.ms {
            return Some(StreamId { ms: now_ms, seq: 0 });
        }
        self.successor()
    }

    /// The id right behind `self`; `None` behind the last one.
    #[must_use]
    pub fn successor(self) -> Option<StreamId> {
        match self.seq.checked_add(1) {
            Some(seq) => Some(StreamId { ms: self.ms, seq }),
            None => Some(StreamId { ms: self.ms.checked_add(1)?, seq: 0 }),
        }
    }

    /// The id right before `self`; `None` before the first one.
    #[must_use]
    pub fn predecessor(self) -> Option<StreamId> {
        match self.seq.checked_sub(1) {
            Some(seq) => Some(StreamId { ms: self.ms, seq }),
            None => Some(StreamId { ms: self.ms.checked_sub(1)?, seq: u64::MAX }),
        }
    }

    /// Appends the text form without going through `fmt`.
    pub fn push_to(self, out: &mut String) {
        out.push_str(itoa::Buffer::new().format(self.ms));
        out.push('-');
        out.push_str(itoa::Buffer::new().format(self.seq));
    }

    /// Parses bytes as stored in a key.
    pub fn from_bytes(text: &[u8]) -> Option<StreamId> {
        std::str::from_utf8(text).ok()?.parse().ok()
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

/// The text is not `<ms>-<seq>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadStreamId;

impl FromStr for StreamId {
    type Err = BadStreamId;

    fn from_str(text: &str) -> Result<Self, BadStreamId> {
        let number = |digits: &str| match digits.bytes().all(|b| b.is_ascii_digit()) {
            true => digits.parse::<u64>().map_err(|_| BadStreamId),
            false => Err(BadStreamId),
        };
        let (ms, seq) = text.split_once('-').ok_or(BadStreamId)?;
        Ok(StreamId { ms: number(ms)?, seq: number(seq)? })
    }
}
