//! What only the server knows of a log: its memory, and who reads it.

use tradebus_core::key::Key;
use tradebus_core::refusal::Outcome;
use tradebus_core::store::Store;

use super::call::ReplyPart;
use super::keyspace::Keyspace;
use super::strings::RString;

/// Nodes of a stream whose size is looked at; that of the others is taken to be the same.
const SAMPLES: i64 = 32;

/// A consumer group.
#[derive(Debug, Default)]
pub struct GroupStats {
    /// Its name.
    pub name: Vec<u8>,
    /// How many consumers it has.
    pub consumers: i64,
    /// Entries that were delivered and are not acknowledged.
    pub pending: i64,
    /// Entries that were not delivered yet; `None` where the server cannot tell without counting, as behind entries
    /// that were deleted from the middle.
    pub lag: Option<i64>,
}

impl Keyspace<'_> {
    /// About how many bytes a key takes; 0 when it does not exist.
    ///
    /// # Errors
    /// WRONGTYPE as [`Store::open`].
    pub fn memory_usage(&self, key: Key<'_>) -> Outcome<i64> {
        let slot = self.open(key)?;
        let [usage, samples] = [&b"USAGE"[..], b"SAMPLES"].map(RString::new);
        let reply =
            self.plain(c"MEMORY", c"v", &[usage, self.key(slot).name, samples, RString::from_number(SAMPLES)])?;
        Ok(reply.whole().integer().unwrap_or(0))
    }

    /// The consumer groups of a stream, by name.
    ///
    /// # Errors
    /// WRONGTYPE as [`Store::open`].
    pub fn groups(&self, stream: Key<'_>) -> Outcome<Vec<GroupStats>> {
        let slot = self.open(stream)?;
        // XINFO calls a key that does not exist an error.
        if !self.exists(slot) {
            return Ok(Vec::new());
        }
        let reply = self.plain(c"XINFO", c"v", &[RString::new(b"GROUPS"), self.key(slot).name])?;
        Ok(reply.whole().elements().map(GroupStats::read).collect())
    }
}

impl GroupStats {
    /// Reads names and values in turn. Servers may tell more than is asked for here.
    fn read(part: ReplyPart<'_>) -> GroupStats {
        let mut group = GroupStats::default();
        let mut parts = part.elements();
        while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
            match name.bytes().unwrap_or_default() {
                b"name" => group.name = value.bytes().unwrap_or_default().to_vec(),
                b"consumers" => group.consumers = value.integer().unwrap_or(0),
                b"pending" => group.pending = value.integer().unwrap_or(0),
                b"lag" => group.lag = value.integer(),
                _ => {}
            }
        }
        group
    }
}
