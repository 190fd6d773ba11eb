//! Compiled schemas, kept from one publish to the next.
//!
//! One is found by its text, which every publish reads from its key. So no write to that key has to tell anybody, be
//! it a SET, an HDEL by hand, replication, FLUSHALL or a restore; and streams with the same schema share one.

use std::collections::BTreeMap;

use tradebus_core::key::{Key, Scope};
use tradebus_core::refusal::{Code, Outcome};
use tradebus_core::schema::Schema;

use crate::redis::LockedCell;

/// Schemas kept at most.
const KEPT_MAX: usize = 256;

/// Bytes that they take at most, about. The newest is kept whatever its size: else it would be compiled at every
/// publish.
const KEPT_BYTES_MAX: usize = 32 * 1_024 * 1_024;

/// The longest text that is compiled, which is the most that `tradebus.max-event-size` can allow. What it allows now
/// may be less than when the schema was set.
const TEXT_MAX: usize = 16 * 1_024 * 1_024;

static KEPT: LockedCell<Kept> = LockedCell::new(Kept { schemas: BTreeMap::new(), bytes: 0, uses: 0 });

struct Kept {
    schemas: BTreeMap<Vec<u8>, Compiled>,
    bytes: usize,
    uses: u64,
}

struct Compiled {
    schema: Schema,
    /// When it was used last, counted in uses of any: the lowest goes first.
    used: u64,
}

/// Whether an event's data fits the schema with this text, which the stream `scope` has stored for its type.
///
/// # Errors
/// SCHEMA when it does not, CORRUPT when the text is no schema.
pub fn check(scope: Scope<'_>, event_type: &str, text: &[u8], data: &[u8]) -> Outcome<()> {
    let mut kept = KEPT.borrow();
    kept.uses += 1;
    let used = kept.uses;
    if let Some(known) = kept.schemas.get_mut(text) {
        known.used = used;
        return known.schema.check(event_type, data);
    }
    let schema = Schema::compile(text, TEXT_MAX).map_err(|refusal| {
        let key = Key::Schema.name(scope);
        Code::Corrupt.because(format!("field {event_type} of {key} cannot be used: {}", refusal.text))
    })?;
    let fits = schema.check(event_type, data);
    kept.keep(text, Compiled { schema, used });
    fits
}

impl Kept {
    fn keep(&mut self, text: &[u8], newest: Compiled) {
        let bytes = text.len() + newest.schema.memory();
        while self.schemas.len() >= KEPT_MAX || self.bytes + bytes > KEPT_BYTES_MAX {
            let oldest = self.schemas.iter().min_by_key(|(_, known)| known.used).map(|(text, _)| text.clone());
            let Some(oldest) = oldest else { break };
            if let Some(gone) = self.schemas.remove(&oldest) {
                self.bytes -= oldest.len() + gone.schema.memory();
            }
        }
        self.bytes += bytes;
        self.schemas.insert(text.to_vec(), newest);
    }
}

/// How many are kept, and about how many bytes they take.
pub fn kept() -> (usize, usize) {
    let kept = KEPT.borrow();
    (kept.schemas.len(), kept.bytes)
}

/// Gives everything back to the server, before the module is unloaded.
pub fn clear() {
    let mut kept = KEPT.borrow();
    kept.schemas.clear();
    kept.bytes = 0;
}
