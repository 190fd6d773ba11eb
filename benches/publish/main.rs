//! What one publish costs the server, beside the same writes in MULTI/EXEC and beside a script of the same rules.
//!
//! ```text
//! cargo build --release && cargo bench --bench publish [-- peer ...]
//! ```
//!
//! Each round runs every peer once, each on a fresh server, in rotating order; a turn's figure is the CPU time
//! that the server's process took for it, so the client's own speed does not matter. The ratio is the median over
//! the rounds of peer to baseline *within* a round, so a machine that slows down for a while does not show in it.
//! After each turn the state must be what the events describe; a peer that errs is disqualified, and the
//! exit status says so.
//!
//! Environment: `EVENTS` (60000), `ROUNDS` (5), `QUICK=1` (2000 events, one round: a smoke test, whose ratios mean
//! nothing, and what `cargo test --benches` runs), `TRADEBUS_TEST_SERVER` (the server's binary; `redis-server`).

mod check;
mod lives;
mod peers;
#[path = "../support/server.rs"]
mod server;
#[path = "../support/wire.rs"]
mod wire;
mod workload;

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use peers::Peer;
use server::{median, Persistence, Server};
use workload::{Expected, Workload, SYMBOLS};

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
    let settings = Settings::read()?;
    let workload = Workload::new(settings.events);
    let expected = workload.expected();
    let server_version = server::version(&mut Server::start(Persistence::Off, None)?.connect()?)?;

    let mut columns = Vec::new();
    for persistence in Persistence::ALL {
        let mut column: Vec<Turns> = settings.peers.iter().map(|_| Turns::default()).collect();
        for round in 0..settings.rounds {
            eprintln!("{}: round {} of {}", persistence.name(), round + 1, settings.rounds);
            for turn in 0..settings.peers.len() {
                let number = (turn + round) % settings.peers.len();
                let peer = settings.peers[number];
                let module = peer.needs_module().then_some(settings.module.as_path());
                let turns = &mut column[number];
                if turns.failure.is_some() {
                    continue;
                }
                match measure(peer, persistence, module, &workload, &expected) {
                    Ok(us) => turns.us_per_event.push(us),
                    Err(error) => turns.failure = Some(error.to_string()),
                }
            }
        }
        columns.push(column);
    }

    println!(
        "\n{server_version}. Events: {} (data {} bytes median, {} symbols). Rounds: {}, medians.\n\
         Server CPU, us per event. Only the ratios count: the times are this machine's, today.\n",
        settings.events,
        workload.data_size_median(),
        SYMBOLS.len(),
        settings.rounds,
    );
    print_table(&settings.peers, &columns);
    Ok(print_failures(&settings.peers, &columns))
}

struct Settings {
    events: usize,
    rounds: usize,
    peers: Vec<Peer>,
    module: PathBuf,
}

impl Settings {
    fn read() -> io::Result<Settings> {
        let (events, rounds) = if server::is_quick() { (2_000, 1) } else { (60_000, 5) };

        // The other arguments name peers.
        let names: Vec<String> = env::args().skip(1).filter(|a| a != "--bench").collect();
        for name in &names {
            if Peer::ALL.iter().all(|peer| peer.name() != name) {
                let known = Peer::ALL.map(Peer::name).join(", ");
                return Err(io::Error::other(format!("no peer {name:?}: there are {known}")));
            }
        }
        let peers: Vec<Peer> = Peer::ALL
            .into_iter()
            .filter(|peer| names.is_empty() || names.iter().any(|name| name == peer.name()))
            .collect();

        let module = server::module_path()?;
        if peers.iter().any(|peer| peer.needs_module()) && !module.exists() {
            return Err(io::Error::other(format!("{} is missing: cargo build --release", module.display())));
        }
        Ok(Settings { events: positive("EVENTS", events)?, rounds: positive("ROUNDS", rounds)?, peers, module })
    }
}

fn positive(name: &str, default: usize) -> io::Result<usize> {
    match env::var(name) {
        Err(_) => Ok(default),
        Ok(text) => match text.parse() {
            Ok(number) if number > 0 => Ok(number),
            _ => Err(io::Error::other(format!("{name}={text}: not a positive number"))),
        },
    }
}

/// The figures of one peer under one persistence.
#[derive(Default)]
struct Turns {
    us_per_event: Vec<f64>,
    failure: Option<String>,
}

/// One turn: the CPU time per event, in microseconds.
fn measure(
    peer: Peer,
    persistence: Persistence,
    module: Option<&Path>,
    workload: &Workload,
    expected: &Expected,
) -> io::Result<f64> {
    let server = Server::start(persistence, module)?;
    let mut connection = server.connect()?;
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_err(io::Error::other)?.as_millis() as u64;
    let batches = peer.prepare(&mut connection, workload, now_ms)?;

    let before = server::cpu_us(&mut connection)?;
    for batch in &batches {
        connection.round_trip(batch)?;
    }
    let used = server::cpu_us(&mut connection)? - before;

    match check::difference(&mut connection, expected, peer.claim())? {
        None => Ok(used / workload.events.len() as f64),
        Some(difference) => Err(io::Error::other(difference)),
    }
}

fn print_table(peers: &[Peer], columns: &[Vec<Turns>]) {
    print!("{:<42}", "");
    for persistence in Persistence::ALL {
        print!("{:>12}{:>9}", persistence.name(), "x MULTI");
    }
    println!();
    let baseline = peers.iter().position(|peer| *peer == Peer::BASELINE);
    for (number, peer) in peers.iter().enumerate() {
        print!("{:<42}", peer.about());
        for column in columns {
            let turns = &column[number];
            if turns.failure.is_some() {
                print!("{:>12}{:>9}", "WRONG", "-");
                continue;
            }
            print!("{:>12.2}", median(turns.us_per_event.clone()));
            match baseline.map(|baseline| &column[baseline]) {
                Some(Turns { us_per_event, failure: None }) => {
                    let ratios = turns.us_per_event.iter().zip(us_per_event);
                    print!("{:>9.2}", median(ratios.map(|(us, base)| us / base).collect()));
                }
                _ => print!("{:>9}", "-"),
            }
        }
        println!();
    }
}

fn print_failures(peers: &[Peer], columns: &[Vec<Turns>]) -> Verdict {
    let mut verdict = Verdict::AllRight;
    for (persistence, column) in Persistence::ALL.iter().zip(columns) {
        for (peer, turns) in peers.iter().zip(column) {
            if let Some(failure) = &turns.failure {
                println!("WRONG: {}, {}: {failure}", peer.about(), persistence.name());
                verdict = Verdict::Disqualified;
            }
        }
    }
    verdict
}
