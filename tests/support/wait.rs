//! Waiting for conditions.

use std::time::{Duration, Instant};
use std::{env, thread};

/// How long anything may take that a test waits for. Nothing takes a tenth of it on an idle machine;
/// it is long because a machine that runs tests is not idle.
const DEADLINE: Duration = Duration::from_secs(20);

/// [`DEADLINE`], as many times as `TRADEBUS_TEST_PATIENCE` says: a server under valgrind is many times slower, and one
/// that has gigabytes to load needs minutes.
pub fn deadline() -> Duration {
    let factor = env::var("TRADEBUS_TEST_PATIENCE").map_or(1, |text| text.parse().expect("a whole number"));
    DEADLINE * factor
}

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
        None => panic!("waited {:?} in vain: {what}", deadline()),
    }
}

/// Repeats `attempt` until it has a value or the deadline passes, for who has more to say than a
/// name when it does.
pub fn poll<T>(mut attempt: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + deadline();
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
