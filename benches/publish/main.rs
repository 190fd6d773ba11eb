//! What one publish costs, beside the same writes in MULTI/EXEC and beside a script of the same rules.
//!
//! ```text
//! cargo build --release && cargo bench --bench publish [-- name ...]
//! ```
//!
//! Without a name: the peers, in the base case and with one thing varied at a time, and redis-py. With names of peers
//! (`multi`, `publish`, ...) or cases (`everysec`, `replica`, ...) only those, and `every` for all combinations of what is
//! varied; `client` for redis-py alone; `growth`, or the name of one of its sweeps, for how costs grow with what a server
//! holds. A name that there is not is answered with all that there are.
//!
//! A round has a turn of every peer, each on a fresh server, in rotating order. Costs are CPU time of the server's process,
//! so the client's own speed does not matter. A ratio is the median over the rounds of peer to baseline *within* a round, so
//! a machine that slows down for a while does not show in it. A peer that answers wrongly is disqualified, and the exit
//! status says so; it says nothing of targets. What is right the core's model knows: see `model.rs` and `check.rs`.
//!
//! Environment: `EVENTS` (60000), `ROUNDS` (5), `QUICK=1` (600 events, one round, all parts: a smoke test, whose ratios mean
//! nothing, and what `cargo test --benches` runs), `TRADEBUS_TEST_SERVER` (the server's binary; `redis-server`),
//! `TRADEBUS_MODULE` (another module than the release build), `PYTHON` (`python3`, with the package redis).

mod arguments;
mod axes;
mod check;
mod cost;
mod growth;
mod ids;
mod lives;
mod model;
mod peers;
mod redis_py;
mod refusals;
mod results;
#[path = "../support/server.rs"]
mod server;
mod subscribers;
mod table;
mod targets;
mod turn;
#[path = "../support/wire.rs"]
mod wire;
mod workload;

use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use arguments::Arguments;
use server::{Persistence, Server};
use workload::{Retries, Workload};

fn main() -> ExitCode {
    match run() {
        Ok(Verdict::AllRight) => ExitCode::SUCCESS,
        Ok(Verdict::Disqualified) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("publish: {error}");
            ExitCode::FAILURE
        }
    }
}

enum Verdict {
    AllRight,
    Disqualified,
}

fn run() -> io::Result<Verdict> {
    let arguments = Arguments::read()?;
    let module = server::module_path()?;
    let version = server::version(&mut Server::start(Persistence::Off, None)?.connect()?)?;
    println!("{version}. Ratios count: the figures are this machine's, today.");
    let mut is_any_wrong = false;
    if !arguments.peers.is_empty() || arguments.has_client {
        is_any_wrong |= compare(&arguments, &module)?;
    }
    if !arguments.sweeps.is_empty() {
        growth::run(&arguments, &module)?;
    }
    Ok(if is_any_wrong { Verdict::Disqualified } else { Verdict::AllRight })
}

/// Prints the table and the targets. Whether a peer was wrong.
fn compare(arguments: &Arguments, module: &Path) -> io::Result<bool> {
    let start_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_err(io::Error::other)?.as_millis() as u64;
    let trial = cost::try_peers(arguments, module, start_ms)?;
    let cases = cost::measure(arguments, module, start_ms, &trial)?;
    let client = match arguments.has_client {
        true => redis_py::measure(module, start_ms, arguments.rounds)?,
        false => Vec::new(),
    };
    if cases.is_empty() && client.is_empty() {
        return Ok(false);
    }
    println!(
        "{} events ({}), medians of {} rounds.\n",
        arguments.events,
        Workload::new(arguments.events, Retries::Fills).describe(),
        arguments.rounds
    );
    table::print(&cases, &client);
    targets::print(&cases, &client);
    Ok(table::print_failures(&cases, &client))
}
