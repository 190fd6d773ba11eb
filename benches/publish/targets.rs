//! What the figures are to be, and whether they are. A machine that is busy misses them too, so nothing depends on it.

use crate::cost::CaseResult;
use crate::peers::Peer;
use crate::redis_py::ClientResult;
use crate::server::Persistence;

/// A bound of a ratio.
#[derive(Clone, Copy)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Bound {
    fn is_met(self, ratio: f64) -> bool {
        match self {
            Bound::AtMost(bound) => ratio <= bound,
            Bound::AtLeast(bound) => ratio >= bound,
        }
    }

    fn about(self) -> String {
        match self {
            Bound::AtMost(bound) => format!("<= {bound:.2}"),
            Bound::AtLeast(bound) => format!(">= {bound:.2}"),
        }
    }
}

use Bound::{AtLeast, AtMost};

/// Server CPU of one peer by that of another: AOF off, everysec.
const TARGETS: [(Peer, Peer, [Bound; 2]); 6] = [
    (Peer::Publish, Peer::MultiBlind, [AtMost(0.90), AtMost(1.00)]),
    (Peer::Publish, Peer::MultiFull, [AtMost(0.75), AtMost(0.85)]),
    (Peer::Mpublish, Peer::MultiBlind, [AtMost(0.65), AtMost(0.80)]),
    (Peer::PublishWithId, Peer::MultiBlind, [AtMost(1.05), AtMost(1.15)]),
    (Peer::Evalsha, Peer::Publish, [AtLeast(4.0), AtLeast(3.0)]),
    (Peer::Fcall, Peer::Publish, [AtLeast(4.0), AtLeast(3.0)]),
];

/// Events a second of a real client, by those of its MULTI.
const CLIENT: [Bound; 2] = [AtLeast(2.0), AtLeast(2.0)];

/// Prints each target beside what was measured, if it was.
pub fn print(cases: &[CaseResult], client: &[ClientResult]) {
    let ratio = |persistence, peer, base| {
        let result = cases.iter().find(|result| result.case.is_base() && result.case.persistence == persistence)?;
        result.of(peer)?.ratio(result.of(base)?, |figures| figures.cpu_us)
    };
    let mut rows: Vec<(String, [Bound; 2], [Option<f64>; 2])> = TARGETS
        .into_iter()
        .map(|(peer, base, bounds)| {
            let about = format!("{} / {}", peer.about(), base.about());
            (about, bounds, Persistence::ALL.map(|persistence| ratio(persistence, peer, base)))
        })
        .collect();
    let of_client = |persistence| {
        let result = client.iter().find(|result| result.persistence == persistence)?;
        result.publish.ratio(&result.multi, |figures| figures.per_second)
    };
    rows.push(("redis-py, events a second: TRADE.PUBLISH / MULTI".to_owned(), CLIENT, Persistence::ALL.map(of_client)));
    rows.retain(|(.., ratios)| ratios.iter().any(Option::is_some));
    if rows.is_empty() {
        return;
    }
    println!();
    print!("{:<58}", "targets, for the base: server CPU if nothing else is said");
    Persistence::ALL.iter().for_each(|persistence| print!("{:>24}", persistence.name()));
    println!();
    for (about, bounds, ratios) in rows {
        print!("{about:<58}");
        for (bound, ratio) in bounds.into_iter().zip(ratios) {
            match ratio {
                Some(ratio) => {
                    let verdict = if bound.is_met(ratio) { "met" } else { "missed" };
                    print!("{ratio:>8.2}{:>9}{verdict:>7}", bound.about());
                }
                None => print!("{:>24}", "-"),
            }
        }
        println!();
    }
}
