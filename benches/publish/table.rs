//! The one table: a group of rows for each case, a row for each peer.

use crate::cost::CaseResult;
use crate::peers::Peer;
use crate::redis_py::ClientResult;
use crate::results::Turns;
use crate::turn::Figures;

const HEADINGS: [&str; 8] =
    ["CPU us", "x MULTI", "events/s", "x MULTI", "AOF B", "memory B", "replica us", "client us"];

/// Prints it.
pub fn print(cases: &[CaseResult], client: &[ClientResult]) {
    print!("{:<34}", "an event's share");
    HEADINGS.iter().for_each(|heading| print!("{heading:>11}"));
    println!();
    for result in cases {
        println!("{}", result.case.about());
        for (peer, turns) in &result.peers {
            print_row(peer.about(), turns, result.of(Peer::BASELINE));
        }
    }
    for result in client {
        println!("{}, {}, unpipelined", result.client, result.persistence.name());
        print_row("pipeline(transaction=True)", &result.multi, Some(&result.multi));
        print_row(Peer::Publish.about(), &result.publish, Some(&result.multi));
    }
}

fn print_row(about: &str, turns: &Turns, base: Option<&Turns>) {
    print!("  {about:<32}");
    if turns.failure.is_some() {
        println!("{:>11}", "WRONG");
        return;
    }
    let ratio = |figure: fn(&Figures) -> f64| turns.ratio(base?, figure);
    print_cell(turns.median(|figures| Some(figures.cpu_us)), 2);
    print_cell(ratio(|figures| figures.cpu_us), 2);
    print_cell(turns.median(|figures| Some(figures.per_second)), 0);
    print_cell(ratio(|figures| figures.per_second), 2);
    print_cell(turns.median(|figures| figures.aof_bytes), 0);
    print_cell(turns.median(|figures| figures.memory_bytes), 0);
    print_cell(turns.median(|figures| figures.replica_us), 2);
    print_cell(turns.median(|figures| figures.client_us), 1);
    println!();
}

fn print_cell(figure: Option<f64>, decimals: usize) {
    match figure {
        Some(figure) => print!("{figure:>11.decimals$}"),
        None => print!("{:>11}", "-"),
    }
}

/// Prints why peers are disqualified. Whether any is.
pub fn print_failures(cases: &[CaseResult], client: &[ClientResult]) -> bool {
    let mut is_any_wrong = false;
    let mut tell = |about: &str, turns: &Turns, case: &str| {
        if let Some(failure) = &turns.failure {
            println!("WRONG: {about}, {case}: {failure}");
            is_any_wrong = true;
        }
    };
    for result in cases {
        result.peers.iter().for_each(|(peer, turns)| tell(peer.about(), turns, &result.case.about()));
    }
    for result in client {
        tell("redis-py, pipeline(transaction=True)", &result.multi, result.persistence.name());
        tell("redis-py, TRADE.PUBLISH", &result.publish, result.persistence.name());
    }
    is_any_wrong
}
