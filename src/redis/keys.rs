//! Looking for the symbols of the whole node, a few keys at a time.

use tradebus_core::key::{Key, KeyType, Scope};
use tradebus_core::refusal::{Code, Outcome};
use tradebus_core::symbol::parse_name;

use super::ctx::Ctx;
use super::strings::RString;

/// What one look finds.
pub struct Found {
    /// Where to go on, 0 at the end.
    pub cursor: u64,
    /// The symbols, in no order; one may come again later.
    pub symbols: Vec<String>,
}

impl Ctx<'_> {
    /// Looks at about `count` keys of this node from `cursor` on, 0 at first, for the symbols that have a key like `key`.
    ///
    /// # Errors
    /// ERR when the server refuses to.
    pub fn scan_symbols(&self, cursor: u64, key: Key<'_>, count: i64) -> Outcome<Found> {
        let pattern = key.name(Scope::Symbol("*"));
        let cursor = cursor.to_string();
        let count = count.to_string();
        let key_type = match key.key_type() {
            KeyType::Hash => "hash",
            KeyType::SortedSet => "zset",
            KeyType::Stream => "stream",
            KeyType::String => "string",
        };
        let words = [&cursor, "MATCH", &pattern, "TYPE", key_type, "COUNT", &count];
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
        let symbols = keys.filter_map(|key| symbol_in(&pattern, key.bytes()?).map(str::to_owned)).collect();
        Ok(Found { cursor, symbols })
    }
}

/// The symbol whose key of this kind has the name.
pub fn symbol_of<'n>(key: Key<'_>, name: &'n [u8]) -> Option<&'n str> {
    symbol_in(&key.name(Scope::Symbol("*")), name)
}

/// The symbol that a key's name has in the place of the pattern's `*`.
fn symbol_in<'n>(pattern: &str, name: &'n [u8]) -> Option<&'n str> {
    let (before, behind) = pattern.split_once('*')?;
    let symbol = name.strip_prefix(before.as_bytes())?.strip_suffix(behind.as_bytes())?;
    parse_name("a symbol", symbol).ok()
}
