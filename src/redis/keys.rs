//! Looking for keys of the whole node, a few at a time.

use tradebus_core::key::KeyType;
use tradebus_core::refusal::{Code, Outcome};

use super::ctx::Ctx;
use super::strings::RString;

/// What one look finds.
pub struct Found {
    /// Where to go on, 0 at the end.
    pub cursor: u64,
    /// Names of keys, in no order; one may come again later.
    pub keys: Vec<Vec<u8>>,
}

impl Ctx<'_> {
    /// Looks at about `count` keys of this node from `cursor` on, 0 at first, for those of a type whose name fits `pattern`.
    ///
    /// # Errors
    /// ERR when the server refuses to.
    pub fn scan(&self, cursor: u64, pattern: &str, key_type: KeyType, count: i64) -> Outcome<Found> {
        let cursor = cursor.to_string();
        let count = count.to_string();
        let key_type = match key_type {
            KeyType::Hash => "hash",
            KeyType::SortedSet => "zset",
            KeyType::Stream => "stream",
            KeyType::String => "string",
        };
        let words = [&cursor, "MATCH", pattern, "TYPE", key_type, "COUNT", &count];
        let arguments = words.map(|word| RString::new(word.as_bytes()));
        let reply = self.server().call(c"SCAN", c"v", &arguments);
        let reply = reply.map_err(|error| Code::Err.because(format!("SCAN cannot be called: {error}")))?;
        let mut parts = reply.whole().elements();
        let next = parts.next().and_then(|cursor| std::str::from_utf8(cursor.bytes()?).ok()?.parse().ok());
        let cursor = next.ok_or_else(|| {
            let told = reply.whole().bytes().unwrap_or_default();
            Code::Err.because(format!("SCAN did not reply a cursor: {}", String::from_utf8_lossy(told)))
        })?;
        let keys = parts.next().into_iter().flat_map(|keys| keys.elements());
        Ok(Found { cursor, keys: keys.filter_map(|key| key.bytes().map(<[u8]>::to_vec)).collect() })
    }
}
