//! What is to be written, decided as a whole before the first write.

use std::borrow::Cow;

use crate::channel::Topic;
use crate::settings::Settings;
use crate::store::Slot;
use crate::stream_id::StreamId;
use crate::time::Millis;

/// Field names and values: bytes, borrowed from the command or the store where they can be.
pub type Text<'a> = Cow<'a, [u8]>;

/// The name of a field: one of the module's own, or a member of the caller's data.
pub type Name<'a> = Cow<'a, str>;

/// Everything that one command changes, to be carried out in the order of the fields. No step can fail for a
/// reason of the domain, and all keys were opened and type-checked when it was made.
#[derive(Debug, Default)]
pub struct Plan<'a> {
    /// What is added to streams.
    pub appends: Vec<Append<'a>>,
    /// Values of strings.
    pub strings: Vec<(Slot, Text<'a>)>,
    /// One patch a hash.
    pub hashes: Vec<HashPatch<'a>>,
    /// One patch an index member.
    pub indexes: Vec<IndexPatch>,
    /// Expiries of keys that exist once the patches are applied.
    pub expiries: Vec<(Slot, Expiry)>,
    /// Keys to drop whole.
    pub unlinks: Vec<Slot>,
    /// Messages, in the order of the events.
    pub messages: Vec<Message<'a>>,
}

impl Plan<'_> {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.appends.is_empty()
            && self.strings.is_empty()
            && self.hashes.is_empty()
            && self.indexes.is_empty()
            && self.expiries.is_empty()
            && self.unlinks.is_empty()
            && self.messages.is_empty()
    }
}

/// What is added to one stream.
#[derive(Debug)]
pub struct Append<'a> {
    /// The stream.
    pub slot: Slot,
    /// Entries, oldest first.
    pub entries: Vec<LogEntry<'a>>,
    /// The entry that these take the place of.
    pub replaced: Option<StreamId>,
    /// How much of the stream is kept.
    pub retention: Retention,
    /// What consumer groups it gets when it is new.
    pub groups: Groups,
}

/// The consumer groups of a new stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Groups {
    /// Those that `tradebus.consumer-groups` names.
    Configured,
    /// None.
    Nobody,
}

/// One entry of a stream.
#[derive(Debug)]
pub struct LogEntry<'a> {
    /// Its id, behind every id that is in the stream.
    pub id: StreamId,
    /// Its fields, in order.
    pub fields: Vec<(Name<'a>, Text<'a>)>,
}

/// What a log keeps; trimming is approximate where it happens and exact in its effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Newest entries kept; `None`: all.
    pub max_len: Option<u64>,
    /// Entries older than this id may go.
    pub min_id: Option<StreamId>,
}

impl Retention {
    /// Of a log.
    pub fn of_log(settings: &Settings, now: Millis) -> Retention {
        let oldest = positive(settings.stream_maxage_ms)
            .map(|age| StreamId { ms: now.saturating_sub_unsigned(age).try_into().unwrap_or(0), seq: 0 });
        Retention { max_len: positive(settings.stream_maxlen), min_id: oldest }
    }

    /// Of the closed candles of a timeframe.
    pub fn of_candles(settings: &Settings) -> Retention {
        Retention { max_len: positive(settings.candle_history), min_id: None }
    }

    /// Of dead letters, triggers and work queues.
    pub fn of_queue(settings: &Settings) -> Retention {
        Retention { max_len: positive(settings.queue_maxlen), min_id: None }
    }
}

fn positive(number: u64) -> Option<u64> {
    (number > 0).then_some(number)
}

/// What changes in a hash: only fields whose value differs from the stored one.
#[derive(Debug)]
pub struct HashPatch<'a> {
    /// The hash.
    pub slot: Slot,
    /// Fields to set, in order: the first ones of a new hash are those read most often.
    pub set: Vec<(Name<'a>, Text<'a>)>,
    /// Fields to delete; they exist.
    pub delete: Vec<Name<'a>>,
}

/// A change of membership of an index.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexPatch {
    /// The sorted set.
    pub slot: Slot,
    /// The entity's id.
    pub member: Vec<u8>,
    /// In, with this score (Unix ms), or out.
    pub score: Option<i64>,
}

/// When a key expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// At this time, Unix ms.
    At(i64),
    /// Never: an expiry is taken off.
    Never,
}

/// A message for subscribers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// What it speaks of, and so its channel.
    pub topic: Topic<'a>,
    /// The JSON text.
    pub body: String,
}
