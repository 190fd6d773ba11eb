//! What is shown: a line for each fault while it goes on, the table in the end.

use std::fs;
use std::time::{Duration, Instant};

use crate::support::{project_path, server_version, Findings, Ledger};

/// What a reply promises in a course.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// What was acknowledged is kept.
    Everything,
    /// What is kept is whole events, each once.
    WholeEvents,
}

/// Tells what a course does.
#[derive(Clone, Copy)]
pub struct Progress {
    course: &'static str,
    begin: Instant,
}

impl Progress {
    /// Of a course that has begun.
    pub fn new(course: &'static str, begin: Instant) -> Progress {
        Progress { course, begin }
    }

    /// A line, with the time and whose it is.
    pub fn tell(self, what: &str) {
        println!("{:6.1} s  {:28}  {what}", self.begin.elapsed().as_secs_f64(), self.course);
    }

    /// The row of the table.
    pub fn row(self, promise: Promise, faults: usize, ledger: &Ledger, findings: Findings) -> Row {
        let row = Row {
            course: self.course,
            promise,
            faults,
            retries: ledger.retries,
            redirects: ledger.met.moved + ledger.met.asked + ledger.met.try_again,
            worst: ledger.worst,
            findings,
        };
        self.tell(&format!("ended: {findings}"));
        row
    }
}

/// What came of a course.
pub struct Row {
    course: &'static str,
    promise: Promise,
    faults: usize,
    retries: u64,
    redirects: u64,
    worst: Duration,
    findings: Findings,
}

impl Row {
    /// Whether it is as the course promises, and anything was tried at all.
    pub fn is_as_promised(&self) -> bool {
        let lost = match self.promise {
            Promise::Everything => 0,
            Promise::WholeEvents => self.findings.lost,
        };
        let acknowledged = self.findings.acknowledged;
        let wanted = Findings { acknowledged, lost, ..Findings::default() };
        self.findings == wanted && lost < acknowledged && self.faults > 0
    }

    fn cells(&self) -> [String; COLUMNS.len()] {
        let Findings { acknowledged, lost, doubled, split, differing } = self.findings;
        [
            self.course.to_owned(),
            acknowledged.to_string(),
            lost.to_string(),
            doubled.to_string(),
            split.to_string(),
            differing.to_string(),
            self.faults.to_string(),
            self.retries.to_string(),
            self.redirects.to_string(),
            format!("{:.1} s", self.worst.as_secs_f64()),
        ]
    }
}

const COLUMNS: [&str; 10] = [
    "course",
    "acknowledged",
    "lost",
    "doubled",
    "split",
    "differing",
    "faults",
    "sent again",
    "redirected",
    "worst pause",
];

/// The table, as text of columns.
pub fn show(rows: &[Row]) {
    let lines: Vec<_> = std::iter::once(COLUMNS.map(str::to_owned)).chain(rows.iter().map(Row::cells)).collect();
    println!();
    for line in &lines {
        let width = |place: usize| lines.iter().map(|line| line[place].len()).max().unwrap_or(0);
        let cells = line.iter().enumerate().map(|(place, cell)| match place {
            0 => format!("{cell:<width$}", width = width(0)),
            _ => format!("{cell:>width$}", width = width(place)),
        });
        println!("{}", cells.collect::<Vec<_>>().join("  "));
    }
}

/// The table in the documentation, between its marks.
pub fn write_to_docs(rows: &[Row], seconds: u64) {
    const BEGIN: &str = "<!-- make soak -->\n";
    const END: &str = "<!-- /make soak -->";
    let path = project_path("docs/reliability.md");
    let page = fs::read_to_string(&path).expect("the page");
    let (head, rest) = page.split_once(BEGIN).expect("the mark before the table");
    let (_, tail) = rest.split_once(END).expect("the mark behind the table");
    let mut table = format!("{}, {seconds} seconds:\n\n", server_version());
    table += &format!("| {} |\n|{}\n", COLUMNS.join(" | "), " --- |".repeat(COLUMNS.len()));
    for row in rows {
        table += &format!("| {} |\n", row.cells().join(" | "));
    }
    fs::write(path, format!("{head}{BEGIN}{table}{END}{tail}")).expect("the page");
}
