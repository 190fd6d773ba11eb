//! Bots that trade on conditions: an executor that makes paper orders of the triggers of one symbol.
//!
//! ```text
//! > COND.REGISTER BTC/USDT 1m 'rsi(14) < 35'
//! "<id>"
//! > COND.SUBSCRIBE BTC/USDT <id> dca-1 TYPE dca ACTION '{"volume":0.01}'
//! $ cargo run --example bots dca BTC/USDT
//! ```
//!
//! The first argument is what it does: `dca`, `grid` or `trend`; the second one is the symbol. What each wants in
//! its ACTION is told in `executor/dca.rs`, `executor/grid.rs` and `executor/trend.rs`.
//!
//! Start as many as you like, kill them whenever you like: see `executor/mod.rs`. When the server is gone the
//! program ends, and whatever watches over it starts it again.
//!
//! | variable | | default |
//! | --- | --- | --- |
//! | `REDIS_URL` | the server | `redis://127.0.0.1:6379/` |
//! | `CONSUMER` | its name in the consumer group | the first argument |
//! | `IDLE_MS` | after so long without XACK an entry is taken over; with 0, for tests, it never waits | 60000 |
//! | `MAX_DELIVERIES` | what was delivered more often becomes a dead letter | 5 |

mod executor;

use std::num::NonZeroU64;
use std::process::ExitCode;
use std::{env, fmt};

use executor::{Executor, Kind, Pace, Turn};

fn main() -> ExitCode {
    match run() {
        Ok(never) => match never {},
        Err(error) => {
            eprintln!("bots: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Nothing but an error ends it.
fn run() -> Result<std::convert::Infallible, String> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let kind = |name: &str| Kind::ALL.iter().find(|(bot_type, _)| *bot_type == name).map(|&(_, kind)| kind);
    let (kind, symbol) = match arguments.as_slice() {
        [name, symbol] => (kind(name).ok_or("the first argument is dca, grid or trend")?, symbol),
        _ => return Err("usage: bots dca|grid|trend SYMBOL".to_owned()),
    };
    let url = env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1:6379/".to_owned());
    let consumer = env::var("CONSUMER").unwrap_or_else(|_| kind.bot_type().to_owned());
    let idle_ms = number("IDLE_MS", 60_000)?;
    // What is left is looked for between two waits, so these are not longer than it may stay left.
    let pace =
        Pace { idle_ms, max_deliveries: number("MAX_DELIVERIES", 5)?, wait_ms: NonZeroU64::new(idle_ms.min(1_000)) };

    let connection = redis::Client::open(url).and_then(|client| client.get_connection()).map_err(told)?;
    let mut executor = Executor::start(connection, kind, symbol, &consumer, pace).map_err(told)?;
    loop {
        match executor.turn().map_err(told)? {
            Turn::Idle => {}
            Turn::Done(what) => println!("{what}"),
            Turn::Left(reason) => eprintln!("bots: {reason}"),
        }
    }
}

fn number(name: &str, default: u64) -> Result<u64, String> {
    match env::var(name) {
        Err(_) => Ok(default),
        Ok(text) => text.parse().map_err(|_| format!("{name} must be a whole number, not '{text}'")),
    }
}

fn told(error: impl fmt::Display) -> String {
    error.to_string()
}
