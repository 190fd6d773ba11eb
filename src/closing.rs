//! Bars that are closed by the clock: of which symbols ticks build some, and when these are to be looked at.
//!
//! It is a list of what to look at, no more: whether a bar is closed is decided by what is stored. So a symbol that is
//! missing here has its bar closed by the next tick, and one too many costs a look. After a restart or a change of roles
//! the list is made again from the keyspace.

use std::collections::BTreeMap;

use tradebus_core::key::Scope;
use tradebus_core::market::NextClose;
use tradebus_core::refusal::Outcome;
use tradebus_core::time::Millis;

use crate::commands::market::change;
use crate::config;
use crate::redis::{Access, Ctx, Keyspace, LockedCell};

static WAITING: LockedCell<Waiting> = LockedCell::new(Waiting { databases: BTreeMap::new(), earliest: Millis::MAX });

struct Waiting {
    databases: BTreeMap<i32, BTreeMap<Box<str>, Bars>>,
    /// No bar of any symbol ends before.
    earliest: Millis,
}

/// The bars of a symbol.
struct Bars {
    /// When the first of them ends.
    end: Millis,
    /// When the last tick of the symbol came.
    last_tick: Millis,
}

impl Bars {
    /// When the clock may close one. Ticks of long ago, that are played again, have bars whose end is long past: as long
    /// as they come, it is the ticks that close them.
    fn due_at(&self, grace_ms: u64) -> Millis {
        self.end.max(self.last_tick).saturating_add_unsigned(grace_ms)
    }
}

/// Notes when the first of a symbol's bars ends, and that a tick of it came at `now` if it did.
///
/// A tick that no bar takes is no reason to wait: one feed that lags would keep the bars of all others open.
pub fn note_tick(database: i32, symbol: &str, next: NextClose, now: Millis) {
    let mut waiting = WAITING.borrow();
    waiting.earliest = waiting.earliest.min(next.end);
    let symbols = waiting.databases.entry(database).or_default();
    match symbols.get_mut(symbol) {
        Some(bars) => {
            bars.end = next.end;
            if next.is_fed {
                bars.last_tick = now;
            }
        }
        None => {
            let last_tick = if next.is_fed { now } else { 0 };
            symbols.insert(symbol.into(), Bars { end: next.end, last_tick });
        }
    }
}

/// Notes that a symbol may have bars, or is to be looked at again; at `now` at the earliest, and a grace behind it.
pub fn note_found(database: i32, symbol: &str, now: Millis) {
    let is_known = WAITING.borrow().databases.get(&database).is_some_and(|symbols| symbols.contains_key(symbol));
    if !is_known {
        note_tick(database, symbol, NextClose { end: now, is_fed: true }, now);
    }
}

/// Whether it is time to look at any symbol.
pub fn is_due(now: Millis) -> bool {
    WAITING.borrow().earliest.saturating_add_unsigned(config::settings().bar_grace_ms) <= now
}

/// Symbols that are to be looked at, at most `count`, with their databases. They are not waited for any more.
pub fn take_due(now: Millis, count: usize) -> Vec<(i32, Box<str>)> {
    let grace_ms = config::settings().bar_grace_ms;
    let mut waiting = WAITING.borrow();
    let mut due = Vec::new();
    for (&database, symbols) in &waiting.databases {
        let symbols = symbols.iter().filter(|(_, bars)| bars.due_at(grace_ms) <= now);
        due.extend(symbols.take(count - due.len()).map(|(symbol, _)| (database, symbol.clone())));
    }
    for (database, symbol) in &due {
        if let Some(symbols) = waiting.databases.get_mut(database) {
            symbols.remove(symbol);
        }
    }
    let ends = waiting.databases.values().flatten().map(|(_, bars)| bars.end);
    waiting.earliest = ends.min().unwrap_or(Millis::MAX);
    due
}

/// Closes the bars of a symbol whose time is over.
///
/// # Errors
/// WRONGTYPE, CORRUPT, TRYAGAIN.
pub fn close_due<'c>(ctx: &'c Ctx<'c>, symbol: &'c str) -> Outcome<()> {
    let keyspace = Keyspace::open_scope(ctx, Scope::Symbol(symbol), Access::Write)?;
    let changed = change(ctx, &keyspace, |market| Ok(((), market.close_due()?)))?;
    if let Some(next) = changed.next_close {
        note_tick(ctx.database(), symbol, next, 0);
    }
    Ok(())
}

/// How many symbols have bars that ticks are building, as far as is known.
pub fn waiting() -> usize {
    WAITING.borrow().databases.values().map(BTreeMap::len).sum()
}

/// Gives everything back to the server, before the module is unloaded.
pub fn clear() {
    *WAITING.borrow() = Waiting { databases: BTreeMap::new(), earliest: Millis::MAX };
}
