//! `make scale`: what sizes cost that no unit test has. Memory after millions of commands, a million live orders, ten
//! thousand symbols, a log of five million entries.
//!
//! ```text
//! cargo build --release && cargo test --test scale [-- part ...]
//! ```
//!
//! It prints one table for each part, and fails when memory grows or a call takes longer than its bound. Bounds are in
//! multiples of what a fixed piece of work takes on the same server in the same minute (`desk::UNIT`), since a machine that
//! others use has no microseconds of its own; and times are those that the server's main thread had a processor.
//!
//! Environment: `SCALE_PERCENT` (100) makes every size smaller, `TRADEBUS_TEST_SERVER` names the server. All of it takes
//! half an hour on two cores, and 6 GB.

mod desk;
mod log;
mod orders;
mod pages;
mod refusals;
mod steady;
mod symbols;

#[path = "../support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the live tests use the rest")]
mod support;

use std::env;

/// How many times as long as in other tests things may take: gigabytes are loaded.
const PATIENCE: &str = "60";

/// A part: its name, and what it measures.
const PARTS: [(&str, fn()); 4] =
    [("steady", steady::run), ("orders", orders::run), ("symbols", symbols::run), ("log", log::run)];

fn main() {
    if env::var_os("TRADEBUS_TEST_PATIENCE").is_none() {
        env::set_var("TRADEBUS_TEST_PATIENCE", PATIENCE);
    }
    let wanted: Vec<String> = env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let unknown = wanted.iter().find(|word| PARTS.iter().all(|(name, _)| name != word));
    assert!(unknown.is_none(), "no part {unknown:?}, there are {:?}", PARTS.map(|(name, _)| name));
    for (name, run) in PARTS {
        if wanted.is_empty() || wanted.iter().any(|word| word == name) {
            println!("\n{name}");
            run();
        }
    }
}

/// A size of the full run, as large as this run has it.
fn sized(full: usize) -> usize {
    let percent = env::var("SCALE_PERCENT").map_or(100, |text| text.parse().expect("SCALE_PERCENT is a number"));
    (full * percent / 100).max(100)
}
