//! Where a run of random sequences begins, and how long it is.

use std::env;

/// The first seed and how many follow it: what the environment says, else 1 and what the usual run can afford.
pub fn budget(usual_rounds: u64) -> (u64, u64) {
    let number = |name: &str, default: u64| match env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} must be a number, not {text}")),
        Err(_) => default,
    };
    (number("TRADEBUS_FUZZ_SEED", 1), number("TRADEBUS_FUZZ_ROUNDS", usual_rounds))
}
