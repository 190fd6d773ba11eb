//! Rebuilds under way: their state is this node's, between one call of TRADE.REBUILD and the next.

use std::time::{Duration, Instant};

use tradebus_core::rebuild::{Mode, Rebuild, Step};
use tradebus_core::refusal::{Code, Outcome};
use tradebus_core::time::Millis;

use crate::redis::LockedCell;

/// Rebuilds at the same time: each holds about as much memory as the hashes that its symbol's log tells of.
const RUNNING_MAX: usize = 4;

/// One that is not gone on with for so long is dropped.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// Fields of entities that are freed in one go: some milliseconds' worth.
const FREED: usize = 40_000;

static RUNNING: LockedCell<Running> = LockedCell::new(Running { list: Vec::new(), over: Vec::new(), begun: 0 });

struct Running {
    list: Vec<Entry>,
    /// Those that are over and whose memory is given back bit by bit.
    over: Vec<Rebuild>,
    begun: u64,
}

impl Running {
    fn end(&mut self, is_over: impl Fn(&Entry) -> bool) {
        while let Some(place) = self.list.iter().position(&is_over) {
            let entry = self.list.swap_remove(place);
            self.free(entry.rebuild);
        }
    }

    /// A small one at once, a large one bit by bit.
    fn free(&mut self, mut rebuild: Rebuild) {
        if rebuild.give_back(FREED) == Step::Unfinished {
            self.over.push(rebuild);
        }
    }
}

/// A rebuild between two calls.
pub struct Entry {
    /// By what the caller goes on with it.
    pub token: String,
    /// Where its symbol is.
    pub database: i32,
    /// The work.
    pub rebuild: Rebuild,
    used: Instant,
}

/// Begins one; on the same symbol it takes the place of the one before.
///
/// # Errors
/// ERR when there are too many.
pub fn begin(symbol: &str, database: i32, mode: Mode, now: Millis) -> Outcome<Entry> {
    let mut running = RUNNING.borrow();
    running.end(|entry| entry.rebuild.symbol() == symbol && entry.database == database);
    if running.list.len() + running.over.len() >= RUNNING_MAX {
        return Err(Code::Err.because(format!(
            "{RUNNING_MAX} rebuilds are under way, or their memory is being given back: go on with one, or wait; they are \
             dropped after {} s without a call",
            IDLE_MAX.as_secs()
        )));
    }
    running.begun += 1;
    // With the time in it, no token of before a restart is one of after it.
    let token = format!("{now}-{}", running.begun);
    Ok(Entry { token, database, rebuild: Rebuild::new(symbol, mode), used: Instant::now() })
}

/// Takes one out to go on with it.
///
/// # Errors
/// ERR when there is none of the token on the symbol, or it was begun in the other mode.
pub fn take(token: &[u8], symbol: &str, database: i32, mode: Mode) -> Outcome<Entry> {
    let mut running = RUNNING.borrow();
    let is_it = |entry: &Entry| {
        entry.token.as_bytes() == token && entry.rebuild.symbol() == symbol && entry.database == database
    };
    let Some(place) = running.list.iter().position(is_it) else {
        return Err(Code::Err.because(format!(
            "there is no such rebuild of {symbol}: it is lost with a restart, a failover or other data (FLUSHALL, SWAPDB, a load), after {} s \
             without a call, and when another one begins; start again without FROM",
            IDLE_MAX.as_secs()
        )));
    };
    if running.list[place].rebuild.mode() != mode {
        return Err(Code::Err.because("DRYRUN must be given at every call of a rebuild, or at none"));
    }
    Ok(running.list.swap_remove(place))
}

/// Keeps one for the next call.
pub fn keep(mut entry: Entry) {
    entry.used = Instant::now();
    RUNNING.borrow().list.push(entry);
}

/// Ends one: everything was compared, or it cannot be gone on with.
pub fn end(entry: Entry) {
    RUNNING.borrow().free(entry.rebuild);
}

/// Ends all: the logs that they have folded may be other ones now.
pub fn end_all() {
    RUNNING.borrow().end(|_| true);
}

/// Ends those that nobody goes on with, and gives some of the memory of those that are over back.
pub fn clean_up() {
    let mut running = RUNNING.borrow();
    running.end(|entry| entry.used.elapsed() >= IDLE_MAX);
    if let Some(over) = running.over.first_mut() {
        if over.give_back(FREED) == Step::Finished {
            running.over.remove(0);
        }
    }
}

/// How many wait to be gone on with, or hold memory still.
pub fn count() -> usize {
    let running = RUNNING.borrow();
    running.list.len() + running.over.len()
}

/// Gives everything back to the server, before the module is unloaded.
pub fn clear() {
    let mut running = RUNNING.borrow();
    (running.list, running.over) = (Vec::new(), Vec::new());
}
