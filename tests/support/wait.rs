//! Waiting for conditions.

use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take that a test waits for. Nothing takes a tenth of it on an idle machine;
/// it is long because a machine that runs tests is not idle.
pub const DEADLINE: Duration = Duration::from_secs(20);

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
