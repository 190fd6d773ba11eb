//! The id that says what a condition is.

use xxhash_rust::xxh3::xxh3_64;

use super::Expression;
use crate::timeframe::Timeframe;

/// The id of a condition: 16 hex digits, the same whoever registers it, and however the expression was written.
///
/// Each part is hashed with its length before it, so that no two conditions are the same bytes. Equal hashes of
/// different conditions are possible and the caller compares what is stored under the id: 64 bits are enough for
/// chance, and the hash is no protection against one who looks for a collision.
#[must_use]
pub fn condition_id(symbol: &str, timeframe: Timeframe, expression: &Expression, mode: &str) -> String {
    let mut bytes = Vec::new();
    for part in [symbol, timeframe.as_str(), expression.as_str(), mode] {
        bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    format!("{:016x}", xxh3_64(&bytes))
}
