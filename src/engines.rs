//! What judges the conditions of each symbol, kept from one command to the next.
//!
//! An engine proves by itself that it still holds, so no write by anybody has to be told here: what is kept may be old,
//! or thrown away, and costs a reload then.

use std::collections::BTreeMap;

use tradebus_core::market::Engines;

use crate::redis::LockedCell;

/// Bytes that all engines take at most, about. The newest is kept whatever its size: else it would be made at every bar.
const KEPT_BYTES_MAX: usize = 256 * 1_024 * 1_024;

static KEPT: LockedCell<Kept> =
    LockedCell::new(Kept { symbols: BTreeMap::new(), by_use: BTreeMap::new(), bytes: 0, uses: 0 });

/// A symbol in a database.
type Place = (i32, Box<str>);

struct Kept {
    symbols: BTreeMap<Place, Entry>,
    /// The symbols by when they were used last, counted in uses of any.
    by_use: BTreeMap<u64, Place>,
    bytes: usize,
    uses: u64,
}

struct Entry {
    engines: Engines,
    bytes: usize,
    used: u64,
}

/// Takes the engines of a symbol out, for one command. Should it not bring them back, they are made again.
pub fn take(database: i32, symbol: &str) -> Engines {
    let mut kept = KEPT.borrow();
    match kept.symbols.is_empty() {
        true => Engines::default(),
        false => kept.remove(&(database, symbol.into())).unwrap_or_default(),
    }
}

/// Keeps the engines of a symbol.
pub fn keep(database: i32, symbol: &str, engines: Engines) {
    let bytes = engines.iter().map(|engine| engine.memory()).sum();
    if engines.iter().next().is_some() {
        KEPT.borrow().add((database, symbol.into()), engines, bytes);
    }
}

impl Kept {
    fn remove(&mut self, place: &Place) -> Option<Engines> {
        let Entry { engines, bytes, used } = self.symbols.remove(place)?;
        self.by_use.remove(&used);
        self.bytes -= bytes;
        Some(engines)
    }

    fn add(&mut self, place: Place, engines: Engines, bytes: usize) {
        // There is one only if a command ran within another one of the symbol.
        self.remove(&place);
        while self.bytes + bytes > KEPT_BYTES_MAX {
            let Some((_, oldest)) = self.by_use.pop_first() else { break };
            self.remove(&oldest);
        }
        self.uses += 1;
        self.bytes += bytes;
        self.by_use.insert(self.uses, place.clone());
        self.symbols.insert(place, Entry { engines, bytes, used: self.uses });
    }
}

/// How many engines are kept, and about how many bytes they take.
pub fn kept() -> (usize, usize) {
    let kept = KEPT.borrow();
    (kept.symbols.values().map(|entry| entry.engines.iter().count()).sum(), kept.bytes)
}

/// Gives everything back to the server, before the module is unloaded.
pub fn clear() {
    let mut kept = KEPT.borrow();
    (kept.symbols, kept.by_use, kept.bytes) = (BTreeMap::new(), BTreeMap::new(), 0);
}
