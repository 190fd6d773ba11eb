//! Waiting for conditions.

use std::thread;
use std::time::{Duration, Instant};

/// How many times as long as usual everything may take: a server under valgrind is many times slower. Read when the
/// tests are built, which cargo does again when it changes.
const PATIENCE: u64 = match option_env!("TRADEBUS_TEST_PATIENCE") {
    None => 1,
    Some(text) => match u64::from_str_radix(text, 10) {
        Ok(factor) => factor,
        Err(_) => panic!("TRADEBUS_TEST_PATIENCE is no whole number"),
    },
};

/// How long anything may take that a test waits for. Nothing takes a tenth of it on an idle machine;
/// it is long because a machine that runs tests is not idle.
pub const DEADLINE: Duration = Duration::from_secs(20 * PATIENCE);

/// Between two looks at a condition: short beside the start of a server, long beside a command.
const STEP: Duration = Duration::from_millis(2);

/// Waits until `condition` holds; panics, naming `what` was waited for, when the deadline passes.
#[track_caller]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    wait_for(what, || condition().then_some(()));
}

/// Waits until `attempt` has a value, and returns it; panics like [`wait_until`].
#[track_caller]
pub fn wait_for<T>(what: &str, attempt: impl FnMut() -> Option<T>) -> T {
    match poll(attempt) {
        Some(value) => value,
        None => panic!("waited {DEADLINE:?} in vain: {what}"),
    }
}

/// Repeats `attempt` until it has a value or the deadline passes, for who has more to say than a
/// name when it does.
pub fn poll<T>(mut attempt: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(value) = attempt() {
            return Some(value);
        }
        if Instant::now() >= end {
            return None;
        }
        thread::sleep(STEP);
    }
}

/// Returns at that moment, or at once when it has passed: for a load that is not to be faster than it says, never
/// to wait for something.
pub fn pace_until(moment: Instant) {
    thread::sleep(moment.saturating_duration_since(Instant::now()));
}
