//! How many instructions one publish and one bar take, held against the numbers that are stored here.
//!
//! ```text
//! make instructions            # more than 3 % above what is stored: fails
//! make instructions UPDATE=1   # stores what is measured
//! ```
//!
//! Times depend on the machine and on what else it does; what callgrind counts does not. Three numbers an event:
//!
//! - `module`: instructions within the module's library. They follow from the source and the compiler, which
//!   rust-toolchain.toml pins, so they are the same on every machine of one architecture, and they are checked.
//! - `calls`: how often the module calls the server's API, its allocator included: what the module makes the server do.
//!   They are checked, too, against what is stored of the same server: Redis, or Valkey.
//! - `all`: instructions of everything, the server and the C library with it. They follow from the build of the server,
//!   and from the processor, by which a C library chooses its functions. They are shown, for what they are worth.
//!
//! Counted is what happens within a command of the module. Starting, reading and parsing what clients send, and what timers
//! do is not: how much there is of it depends on time. Each case has a server of its own, which was warmed up before.
//!
//! Environment: `UPDATE=1`, `TRADEBUS_TEST_SERVER` (the server's binary; `redis-server`), `TRADEBUS_MODULE` (another module
//! than the release build; what is stored is of that build).

mod callgrind;
mod cases;
mod counts;
mod market;
mod orders;
mod profile;
#[path = "../support/server.rs"]
mod server;
#[path = "../support/wire.rs"]
mod wire;

use std::io;
use std::path::Path;
use std::process::ExitCode;

use callgrind::Profiled;
use cases::Case;
use counts::{Counts, Hundredths, Measured};

fn main() -> ExitCode {
    match run() {
        Ok(Verdict::Holds) => ExitCode::SUCCESS,
        Ok(Verdict::Regressed) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("instructions: {error}");
            ExitCode::FAILURE
        }
    }
}

enum Verdict {
    Holds,
    Regressed,
}

fn run() -> io::Result<Verdict> {
    let module = server::module_path()?.canonicalize()?;
    let mut server = String::new();
    let mut rows = Vec::new();
    for case in Case::all() {
        let (row, version) = measure(&case, &module)?;
        rows.push(row);
        server = version;
    }
    let measured = Counts { server, rows };
    if std::env::var("UPDATE").is_ok_and(|value| value == "1") {
        measured.print(None);
        measured.store()?;
        println!("\nstored in {}", counts::path().display());
        return Ok(Verdict::Holds);
    }
    let stored = Counts::load()?;
    measured.print(stored.as_ref());
    let Some(stored) = stored else {
        println!(
            "\nnothing is stored for this architecture, so nothing was checked: make instructions UPDATE=1 stores it"
        );
        return Ok(Verdict::Holds);
    };
    let findings = measured.compare(&stored);
    println!();
    for stale in &findings.stale {
        println!("to be stored, make instructions UPDATE=1: {stale}");
    }
    for regression in &findings.regressions {
        println!("FAILED {regression}");
    }
    if findings.regressions.is_empty() {
        println!("no case takes more than is tolerated above what is stored");
        return Ok(Verdict::Holds);
    }
    println!(
        "\nWhere they are: callgrind_annotate --threshold=100 --auto=no {}/<case>.callgrind | grep -F {}\n\
         If they are worth it: make instructions UPDATE=1",
        callgrind::kept_in().display(),
        module.display()
    );
    Ok(Verdict::Regressed)
}

/// Runs a case, on a server of its own. What one event takes, and who served it.
fn measure(case: &Case, module: &Path) -> io::Result<(Measured, String)> {
    let mut server = Profiled::start(module)?;
    for command in &case.settings {
        server.call(command)?;
    }
    server.play(&case.warm_up)?;
    server.reset()?;
    server.play(&case.measured)?;
    let profile = server.profile(case.name)?;
    case.check(&server.info("tradebus")?)?;
    let events = case.measured.len() as f64;
    let row = Measured {
        case: case.name.to_owned(),
        module: (profile.of_module as f64 / events).round() as u64,
        calls: Hundredths::of(profile.calls as f64 / events),
        all: (profile.of_all as f64 / events).round() as u64,
    };
    Ok((row, server.version()?))
}
