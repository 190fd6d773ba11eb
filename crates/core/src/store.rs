//! What a decision reads: the one seam between the core and the keyspace.

use crate::key::Key;
use crate::refusal::Outcome;
use crate::stream_id::StreamId;
use crate::time::Millis;

/// A key that has been opened, and its type checked, for this command. A [`crate::plan::Plan`] names keys by
/// slot only, so nothing can be written whose type was not checked before the first write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot(pub u32);

/// The keys of one symbol, as they are before the command.
///
/// `'a` outlives the command's decision: values are borrowed from the store, not copied.
pub trait Store<'a> {
    /// Opens a key; the same key gives the same slot.
    ///
    /// # Errors
    /// WRONGTYPE when the key exists with another type than [`Key::key_type`].
    fn open(&self, key: Key<'_>) -> Outcome<Slot>;

    /// Whether the key exists.
    fn exists(&self, slot: Slot) -> bool;

    /// Number of fields, members, entries or bytes; 0 when the key does not exist.
    fn len(&self, slot: Slot) -> u64;

    /// The values of `fields` of a hash, in their order, into `values` (cleared first).
    fn hash_get(&self, slot: Slot, fields: &[&str], values: &mut Vec<Option<&'a [u8]>>);

    /// Calls `visit` with every field of a hash, when it is small enough that reading all of it costs no more than
    /// looking a few fields up, as it does where Redis keeps a hash as a list. `false` for any other, and for no hash.
    /// A field whose name is not UTF-8 is not ours, and no event can name it: it is left out.
    fn hash_all(&self, slot: Slot, visit: &mut dyn FnMut(&'a str, &'a [u8])) -> bool;

    /// The id of the newest entry of a stream.
    fn newest_id(&self, slot: Slot) -> Option<StreamId>;

    /// The last id that a stream gave out, whether or not its entry is still there. Slower than
    /// [`Store::newest_id`], and wanted only when the two differ.
    fn last_id(&self, slot: Slot) -> Option<StreamId>;

    /// Calls `visit` with the id and the fields of each entry within `span`, until it says stop. The stream must not
    /// be visited again from within.
    fn entries(&self, slot: Slot, span: Span, visit: &mut dyn FnMut(StreamId, &Entry<'_>) -> Flow);

    /// Calls `visit` with every field of a hash, of any size, in no order; a field may come twice.
    fn hash_each(&self, slot: Slot, visit: &mut dyn FnMut(&[u8], &[u8]));
}

/// What conditions and candles read beside what events do, for the most part of sorted sets.
pub trait MarketStore<'a>: Store<'a> {
    /// Calls `visit` with the members of a sorted set and their scores, lowest first, until it says stop.
    fn sorted_each(&self, slot: Slot, visit: &mut dyn FnMut(&[u8], i64) -> Flow);

    /// Where a member is in a sorted set.
    fn score(&self, slot: Slot, member: &str) -> Score;

    /// The highest score in a sorted set.
    fn highest_score(&self, slot: Slot) -> Option<i64>;

    /// As [`Store::last_id`], of a stream that is opened afterwards at the earliest: to ask is a look at the key, by which
    /// one that expires while the clock runs would be gone under an open handle.
    ///
    /// # Errors
    /// WRONGTYPE.
    fn last_id_of(&self, stream: Key<'_>) -> Outcome<Option<StreamId>>;

    /// The value of a string.
    fn string(&self, slot: Slot) -> Option<&'a [u8]>;
}

/// What a comparison of the store with its log reads beside what a decision does.
pub trait Audit<'a>: MarketStore<'a> {
    /// What a stream has ever had.
    ///
    /// # Errors
    /// ERR when the store cannot tell.
    fn history(&self, slot: Slot) -> Outcome<History>;

    /// When a key expires, Unix ms.
    fn expires_at(&self, slot: Slot) -> Option<Millis>;

    /// Calls `visit` with some members of a sorted set, from a cursor on that is 0 at first; gives the next cursor, 0
    /// at the end. What is a member all the while is visited, perhaps twice.
    ///
    /// # Errors
    /// ERR when the store cannot tell.
    fn members(&self, slot: Slot, cursor: u64, visit: &mut dyn FnMut(&[u8])) -> Outcome<u64>;
}

/// What a stream has ever had; nothing when it does not exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Entries, those that are gone included.
    pub added: u64,
    /// The highest id that was deleted by itself, not by trimming.
    pub deleted: StreamId,
}

/// The score of a member of a sorted set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Score {
    /// It is no member.
    Absent,
    /// A whole number.
    Whole(i64),
    /// None that tradebus writes.
    Foreign,
}

/// A part of a stream, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The lowest id.
    pub lowest: StreamId,
    /// The highest.
    pub highest: StreamId,
    /// From which end it is read.
    pub direction: Direction,
}

/// A direction of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the oldest entry on.
    Forward,
    /// From the newest entry on.
    Backward,
}

impl Span {
    /// Everything, newest first.
    pub const BACKWARD: Span = Span { lowest: StreamId::ZERO, highest: StreamId::MAX, direction: Direction::Backward };

    /// What is behind an id, oldest first.
    pub fn after(id: StreamId) -> Span {
        // Behind the last id there can be, there is nothing.
        let (lowest, highest) = match id.successor() {
            Some(lowest) => (lowest, StreamId::MAX),
            None => (StreamId::MAX, StreamId::ZERO),
        };
        Span { lowest, highest, direction: Direction::Forward }
    }

    /// Whether it holds no id.
    pub fn is_empty(self) -> bool {
        self.lowest > self.highest
    }
}

/// The fields of a stream entry, in their order.
pub type Entry<'e> = [(&'e [u8], &'e [u8])];

/// Whether a visit goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// On to the next entry.
    Continue,
    /// Enough.
    Stop,
}
