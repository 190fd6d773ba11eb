//! `make soak`: servers under load, and everything that happens to servers in production done to them, at the same
//! time and for as long as is wanted: crashes and restarts, failovers and broken links, moving slots.
//!
//! It ends with a table: what was acknowledged, what of it was lost, doubled or split, and the longest that a
//! publisher had to wait. It fails when a column that must be 0 is not.
//!
//! Settings come from the environment: `SOAK_SECONDS` (60) for how long faults are made, `SOAK_SEED` (the time) for
//! which and when, `TRADEBUS_TEST_SERVER` for the server, and `UPDATE_DOCS=1` to write the table into
//! docs/reliability.md. All of it stays on this machine, on ports of 127.0.0.1 and in directories that are removed.

mod cluster;
mod crash;
mod replication;
mod report;

#[path = "../support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the live tests use the rest")]
mod support;

use std::fmt::Debug;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{env, thread};

use report::{Progress, Row};
use support::{Load, Random};

/// What every course is told.
#[derive(Clone, Copy)]
pub struct Terms {
    /// When no more faults are made.
    end: Instant,
    /// What decides on them.
    seed: u64,
}

impl Terms {
    /// Strikes with one fault after the other until the end, each behind so many commands more; gives how many there were.
    pub fn strike<F: Copy + Debug>(
        self,
        progress: Progress,
        load: &Load,
        between: u64,
        faults: &[F],
        mut strike: impl FnMut(F, &mut Random),
    ) -> usize {
        let mut random = Random::new(self.seed);
        let mut count = 0;
        while Instant::now() < self.end {
            load.await_more(between);
            let fault = *random.pick(faults);
            progress.tell(&format!("{fault:?}"));
            strike(fault, &mut random);
            count += 1;
        }
        load.await_more(between);
        count
    }
}

/// A course: a load, and what happens to it.
type Course = fn(Terms, Progress) -> Row;

const COURSES: [(&str, Course); 4] = [
    ("crash, appendfsync always", crash::always),
    ("crash, appendfsync everysec", crash::everysec),
    ("replication, WAIT 1", replication::run),
    ("cluster of 3 + 3, WAIT 1", cluster::run),
];

fn main() -> ExitCode {
    let seconds = number("SOAK_SECONDS").unwrap_or(60);
    let seed = number("SOAK_SEED")
        .unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()));
    println!("{}: {seconds} s of faults, SOAK_SEED={seed}", support::server_version());
    let begin = Instant::now();
    let courses: Vec<_> = (1..)
        .zip(COURSES)
        .map(|(place, (name, course))| {
            let terms = Terms { end: begin + Duration::from_secs(seconds), seed: Random::new(seed + place).next() };
            thread::spawn(move || course(terms, Progress::new(name, begin)))
        })
        .collect();
    let rows: Vec<_> = courses.into_iter().map(thread::JoinHandle::join).collect();
    let whole: Vec<Row> = rows.into_iter().flatten().collect();
    report::show(&whole);
    if whole.len() < COURSES.len() || !whole.iter().all(Row::is_as_promised) {
        println!("not as promised; the same again: SOAK_SECONDS={seconds} SOAK_SEED={seed} make soak");
        return ExitCode::FAILURE;
    }
    if env::var_os("UPDATE_DOCS").is_some() {
        report::write_to_docs(&whole, seconds);
    }
    ExitCode::SUCCESS
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} must be a whole number, not {text}")))
}
