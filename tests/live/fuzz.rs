//! Commands made at random, from a seed.
//!
//! - `TRADEBUS_FUZZ_SEED`: the seed of the first sequence, 1 by default; each further one has the next.
//! - `TRADEBUS_FUZZ_ROUNDS`: how many sequences, by default as many as take a few seconds.
//!
//! `TRADEBUS_FUZZ_ROUNDS=5000 cargo test --release --test live fuzz` is a long run. A failure names its seed.

mod arena;
pub mod beginning;
pub mod budget;
pub mod generator;
mod invariants;
mod malformed;
mod market;
mod plain;
mod sequences;
pub mod shrink;
pub mod step;
mod trade;

pub use malformed::{random_data, TYPES};
