//! The numbers that are stored, one file for each architecture, and how those that are measured stand against them.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Instructions of the module that are more above what is stored are a regression. Runs differ by a thousandth at most:
/// names of fields come in an order that the server chooses by chance.
const TOLERANCE_PERCENT: f64 = 3.0;

/// The same of calls, which do not differ at all: one more call in each event is above it, one more in a run is not.
const CALLS_TOLERANCE_PERCENT: f64 = 0.3;

/// What one event of a case takes.
pub struct Measured {
    pub case: String,
    /// Instructions in the module.
    pub module: u64,
    /// Calls of the server's API, in hundredths: some come once in many events.
    pub calls: Hundredths,
    /// Instructions everywhere.
    pub all: u64,
}

/// All cases, and the server that they were measured with.
pub struct Counts {
    pub server: String,
    pub rows: Vec<Measured>,
}

/// A number of two places, the same in memory as in the file.
#[derive(Clone, Copy)]
pub struct Hundredths(f64);

impl Hundredths {
    /// The nearest one.
    pub fn of(number: f64) -> Hundredths {
        Hundredths((number * 100.0).round() / 100.0)
    }
}

/// What is not as it is stored, in words.
#[derive(Default)]
pub struct Findings {
    /// What fails.
    pub regressions: Vec<String>,
    /// What is only to be stored.
    pub stale: Vec<String>,
}

const HEADER: &str = "\
# Instructions of one event, by callgrind. Written by `make instructions UPDATE=1`, and held against what is measured by
# `make instructions`. `module`: in the module's library. `calls`: of the server's API. `all`: the server and the C library
# with it, which are held against nothing.
";

/// Where the numbers of this architecture are.
pub fn path() -> PathBuf {
    let name = format!("counts-{}.txt", env::consts::ARCH);
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/instructions").join(name)
}

impl Counts {
    /// The stored numbers, if there are any.
    ///
    /// # Errors
    /// When the file cannot be read, or somebody has made something else of it.
    pub fn load() -> io::Result<Option<Counts>> {
        match fs::read_to_string(path()) {
            Ok(text) => Counts::parse(&text).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn parse(text: &str) -> io::Result<Counts> {
        let mut counts = Counts { server: String::new(), rows: Vec::new() };
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let wrong = || io::Error::other(format!("{}: not a line of counts: '{line}'", path().display()));
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                [] | ["case", ..] => {}
                ["server", ..] => counts.server = words[1..].join(" "),
                [case, module, calls, all] => counts.rows.push(Measured {
                    case: case.to_owned(),
                    module: module.parse().map_err(|_| wrong())?,
                    calls: Hundredths::of(calls.parse().map_err(|_| wrong())?),
                    all: all.parse().map_err(|_| wrong())?,
                }),
                _ => return Err(wrong()),
            }
        }
        Ok(counts)
    }

    /// Writes these numbers in the place of those stored.
    pub fn store(&self) -> io::Result<()> {
        let mut text = format!("{HEADER}server {}\n\n", self.server);
        let _ = writeln!(text, "{:<12}{:>10}{:>10}{:>10}", "case", "module", "calls", "all");
        for row in &self.rows {
            let _ = writeln!(text, "{:<12}{:>10}{:>10.2}{:>10}", row.case, row.module, row.calls.0, row.all);
        }
        fs::write(path(), text)
    }

    /// Prints them, each with how far it is from what is stored.
    pub fn print(&self, stored: Option<&Counts>) {
        println!("{}, {}. One event:\n", self.server, env::consts::ARCH);
        println!("{:<12}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}", "case", "module", "", "calls", "", "all", "");
        for row in &self.rows {
            let before = stored.and_then(|stored| stored.row(&row.case));
            let change = |now: f64, of: fn(&Measured) -> f64| match before {
                Some(before) => format!("{:+.2} %", percent_above(now, of(before))),
                None => String::new(),
            };
            println!(
                "{:<12}{:>10}{:>10}{:>10.2}{:>10}{:>10}{:>10}",
                row.case,
                row.module,
                change(row.module as f64, |row| row.module as f64),
                row.calls.0,
                change(row.calls.0, |row| row.calls.0),
                row.all,
                change(row.all as f64, |row| row.all as f64),
            );
        }
        if let Some(stored) = stored.filter(|stored| stored.server != self.server) {
            println!("\nStored is what {} takes: `all` is of another server here.", stored.server);
        }
    }

    /// What is further than tolerated from what is stored.
    pub fn compare(&self, stored: &Counts) -> Findings {
        let mut findings = Findings::default();
        for row in &self.rows {
            let Some(before) = stored.row(&row.case) else {
                findings.regressions.push(format!("{}: nothing is stored of it", row.case));
                continue;
            };
            let [now, then] = [row.module as f64, before.module as f64];
            findings.note(TOLERANCE_PERCENT, &row.case, "instructions of the module", now, then);
            // Valkey tells some things without being asked that Redis is asked for.
            if self.product() == stored.product() {
                findings.note(CALLS_TOLERANCE_PERCENT, &row.case, "calls of the API", row.calls.0, before.calls.0);
            }
        }
        let is_gone = |before: &&Measured| self.row(&before.case).is_none();
        let gone = stored.rows.iter().filter(is_gone);
        findings.stale.extend(gone.map(|before| format!("{}: stored, but there is no such case", before.case)));
        findings
    }

    fn row(&self, case: &str) -> Option<&Measured> {
        self.rows.iter().find(|row| row.case == case)
    }

    /// The server's name, without its version.
    fn product(&self) -> Option<&str> {
        self.server.split(' ').next()
    }
}

impl Findings {
    fn note(&mut self, tolerance: f64, case: &str, what: &str, measured: f64, stored: f64) {
        let percent = percent_above(measured, stored);
        if percent > tolerance {
            self.regressions.push(format!("{case}: {measured} {what}, {percent:.1} % more than the {stored} stored"));
        } else if percent < -tolerance {
            self.stale.push(format!("{case}: {measured} {what}, {:.1} % fewer than the {stored} stored", -percent));
        }
    }
}

fn percent_above(measured: f64, stored: f64) -> f64 {
    (measured / stored - 1.0) * 100.0
}
