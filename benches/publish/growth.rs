//! How costs grow with what a server holds: open orders, log entries, symbols, remembered ids; and what an event takes of
//! memory beside a plain XADD of its fields.
//!
//! A sweep has four servers: few and many of what it counts, of the module and of MULTI. Rounds of the same events go to
//! each in turn.

mod book;
mod desk;
mod memory;

use std::io;
use std::path::Path;

use crate::arguments::Arguments;
use crate::server::{is_quick, median};
use desk::{Desk, Side};

/// Events of a round.
const EVENTS: usize = 20_000;

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sweep {
    LiveOrders,
    LogEntries,
    Symbols,
    EventIds,
    Memory,
}

impl Sweep {
    pub const ALL: [Sweep; 5] = [Sweep::LiveOrders, Sweep::LogEntries, Sweep::Symbols, Sweep::EventIds, Sweep::Memory];

    /// The name to choose it by on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Sweep::LiveOrders => "live-orders",
            Sweep::LogEntries => "log-entries",
            Sweep::Symbols => "symbols",
            Sweep::EventIds => "event-ids",
            Sweep::Memory => "memory",
        }
    }

    fn about(self) -> &'static str {
        match self {
            Sweep::LiveOrders => "live orders, of 20 symbols",
            Sweep::LogEntries => "log entries, a full log of one symbol",
            Sweep::Symbols => "symbols, of 10,000 live orders",
            Sweep::EventIds => "event ids, 10,000 a second for a window",
            Sweep::Memory => "memory",
        }
    }

    /// Few and many.
    fn sizes(self) -> [Size; 2] {
        let base = Size { symbols: 20, orders: 2_000, log_entries: None, event_ids: None };
        let sizes = match self {
            Sweep::LiveOrders => [1_000, 1_000_000].map(|orders| Size { orders, ..base }),
            Sweep::LogEntries => {
                [1_000, 1_000_000].map(|entries| Size { symbols: 1, log_entries: Some(entries), ..base })
            }
            Sweep::Symbols => [20, 10_000].map(|symbols| Size { symbols, orders: 10_000, ..base }),
            Sweep::EventIds => [1_000, 6_000_000].map(|ids| Size { event_ids: Some(ids), ..base }),
            Sweep::Memory => [base, base],
        };
        if is_quick() {
            sizes.map(Size::quick)
        } else {
            sizes
        }
    }

    fn count(self, size: Size) -> usize {
        match self {
            Sweep::LiveOrders => size.orders,
            Sweep::LogEntries => size.log_entries.unwrap_or_default(),
            Sweep::Symbols => size.symbols,
            Sweep::EventIds => size.event_ids.unwrap_or_default(),
            Sweep::Memory => 0,
        }
    }
}

/// What a server holds when the events come.
#[derive(Clone, Copy)]
struct Size {
    symbols: usize,
    orders: usize,
    /// Entries that each log has, and keeps.
    log_entries: Option<usize>,
    /// Ids that are remembered; with any, events bear ids.
    event_ids: Option<usize>,
}

impl Size {
    fn quick(self) -> Size {
        let few = |count: usize| (count / 500).max(10);
        Size {
            symbols: self.symbols.min(100),
            orders: few(self.orders).max(self.symbols.min(100)),
            log_entries: self.log_entries.map(few),
            event_ids: self.event_ids.map(few),
        }
    }
}

const HEADINGS: [&str; 8] = ["few", "many", "MULTI few", "MULTI many", "x", "module few", "module many", "x"];

/// Runs the sweeps and prints their table.
///
/// # Errors
/// When a server has not what it was told.
pub fn run(arguments: &Arguments, module: &Path) -> io::Result<()> {
    let timed = arguments.sweeps.iter().filter(|sweep| **sweep != Sweep::Memory);
    let mut rows = Vec::new();
    for &sweep in timed {
        rows.push((sweep, measure(sweep, arguments.rounds, module)?));
    }
    if !rows.is_empty() {
        println!(
            "\nServer CPU of an event, us; x is many by few, and is to be no more for the module than for MULTI.\n"
        );
        print!("{:<40}", "growth");
        HEADINGS.iter().for_each(|heading| print!("{heading:>12}"));
        println!("{:>16}", "module / MULTI");
    }
    for (sweep, growth) in rows {
        growth.print(sweep);
    }
    if arguments.sweeps.contains(&Sweep::Memory) {
        memory::run(module)?;
    }
    Ok(())
}

/// The CPU time of an event in each round: MULTI and the module, few and many each.
struct Growth {
    us: [[Vec<f64>; 2]; 2],
}

fn measure(sweep: Sweep, rounds: usize, module: &Path) -> io::Result<Growth> {
    let events = if is_quick() { 200 } else { EVENTS };
    let mut desks = Vec::new();
    for side in Side::ALL {
        for size in sweep.sizes() {
            eprintln!("{}: {} for {}", sweep.about(), sweep.count(size), side.about());
            desks.push(Desk::open(side, size, module)?);
        }
    }
    let mut us = [[Vec::new(), Vec::new()], [Vec::new(), Vec::new()]];
    for round in 0..rounds {
        eprintln!("{}: round {} of {rounds}", sweep.about(), round + 1);
        for turn in 0..desks.len() {
            let number = (turn + round) % desks.len();
            us[number / 2][number % 2].push(desks[number].round(events)?);
        }
    }
    desks.iter_mut().try_for_each(Desk::check)?;
    Ok(Growth { us })
}

impl Growth {
    fn print(&self, sweep: Sweep) {
        let [few, many] = sweep.sizes().map(|size| sweep.count(size));
        print!("{:<40}{few:>12}{many:>12}", sweep.about());
        let growths = self.us.each_ref().map(|[few, many]| {
            let growth = median(few.iter().zip(many).map(|(few, many)| many / few).collect());
            print!("{:>12.2}{:>12.2}{growth:>12.2}", median(few.clone()), median(many.clone()));
            growth
        });
        let [multi, module] = growths;
        let verdict = if module <= multi { "met" } else { "missed" };
        println!("{:>9.2}{verdict:>7}", module / multi);
    }
}
