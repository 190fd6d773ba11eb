//! What a bar costs the server, beside what it may grow with: conditions, distinct functions, bots, stored candles. And
//! what an evaluator outside of the server costs, in the same run.
//!
//! ```text
//! cargo build --release && cargo bench --bench conditions
//! ```
//!
//! Each figure is the CPU time of the server's process for a bar, the median over the rounds; each round has a server of
//! its own for every row. What matters is how a figure grows within a sweep, not the figure.
//!
//! The evaluator outside is `client.py`: it stores each candle, reads the last ones back, computes with TA-Lib, and
//! publishes what fires. It needs `pip install redis TA-Lib numpy`, with `PYTHON` (`python3`) as the interpreter; without
//! them that part is left out, and says so.
//!
//! Environment: `ROUNDS` (3), `QUICK=1` (small, one round: a smoke test), `TRADEBUS_TEST_SERVER` (`redis-server`).

mod outside;
#[path = "../support/server.rs"]
mod server;
mod sweep;
#[path = "../support/wire.rs"]
mod wire;

use std::io;
use std::path::Path;
use std::process::ExitCode;

use server::{median, Persistence, Server};
use sweep::{Case, Sweep};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("conditions: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<()> {
    let module = server::module_path()?;
    let version = server::version(&mut Server::start(Persistence::Off, None)?.connect()?)?;
    let rounds = match std::env::var("ROUNDS").ok().and_then(|text| text.parse().ok()) {
        Some(rounds) if rounds > 0 => rounds,
        _ if server::is_quick() => 1,
        _ => 3,
    };
    println!("{version}. Server CPU a bar, us: median of {rounds} rounds; x is the ratio to the first row of a sweep.");
    for sweep in Sweep::all() {
        print!("\n{:<36}", sweep.about);
        for persistence in Persistence::ALL {
            print!("{:>12}{:>9}", persistence.name(), "x");
        }
        let mut first = [None; Persistence::ALL.len()];
        for (label, case) in &sweep.rows {
            print!("\n{label:<36}");
            for (persistence, first) in Persistence::ALL.into_iter().zip(&mut first) {
                let turns: io::Result<Vec<f64>> = (0..rounds).map(|_| measure(&module, persistence, case)).collect();
                let us = median(turns?);
                print!("{us:>12.1}{:>9.2}", us / *first.get_or_insert(us));
            }
        }
        println!();
    }
    println!();
    outside::compare(&module)
}

/// One turn: the CPU time for a bar, in microseconds.
fn measure(module: &Path, persistence: Persistence, case: &Case) -> io::Result<f64> {
    let server = Server::start(persistence, Some(module))?;
    let mut connection = server.connect()?;
    case.set_up(&mut connection)?;
    let bars = case.bars();
    let before = server::cpu_us(&mut connection)?;
    for batch in &bars.batches {
        connection.round_trip(batch)?;
    }
    let used = server::cpu_us(&mut connection)? - before;
    case.check(&mut connection, bars.count)?;
    Ok(used / bars.count as f64)
}
