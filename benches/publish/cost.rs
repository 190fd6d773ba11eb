//! What a publish costs: every peer is tried, then all take turns in rounds, case by case.

use std::collections::hash_map::{Entry, HashMap};
use std::io;
use std::path::Path;

use crate::arguments::Arguments;
use crate::axes::{Case, Length};
use crate::check::Look;
use crate::model::EventIds;
use crate::peers::Peer;
use crate::refusals;
use crate::results::Turns;
use crate::server::Persistence;
use crate::turn::{self, Play};
use crate::workload::Retries;

/// The turns of every peer in one case.
pub struct CaseResult {
    pub case: Case,
    pub peers: Vec<(Peer, Turns)>,
}

impl CaseResult {
    /// The turns of a peer.
    pub fn of(&self, peer: Peer) -> Option<&Turns> {
        self.peers.iter().find(|(known, _)| *known == peer).map(|(_, turns)| turns)
    }
}

/// Lets every peer show that it is right: with a tenth of the events told twice, on a server with a
/// subscriber, and with events that must be refused.
///
/// # Errors
/// When the workload is wrong.
pub fn try_peers(arguments: &Arguments, module: &Path, start_ms: u64) -> io::Result<Vec<(Peer, Turns)>> {
    let case = Case { subscribers: 1, ..Case::base(Persistence::Off) };
    let events = (arguments.events / 10).max(300);
    arguments
        .peers
        .iter()
        .map(|&peer| {
            eprintln!("{}: is it right?", peer.about());
            let play = Play::new(events, peer.trial(), peer.event_ids(), start_ms)?;
            let mut turns = Turns::default();
            turns.push(turn::measure(peer, case, &play, Look::Whole, module));
            if peer.refuses() && turns.failure.is_none() {
                turns.failure = refusals::difference(peer, module)?;
            }
            Ok((peer, turns))
        })
        .collect()
}

/// Measures all cases. Who failed the trial takes no part.
///
/// # Errors
/// When the workload is wrong.
pub fn measure(
    arguments: &Arguments,
    module: &Path,
    start_ms: u64,
    trial: &[(Peer, Turns)],
) -> io::Result<Vec<CaseResult>> {
    let mut plays: HashMap<(Length, EventIds), Play> = HashMap::new();
    let mut results = Vec::new();
    for &case in &arguments.cases {
        let failed =
            |&(peer, ref turns): &(Peer, Turns)| (peer, Turns { failure: turns.failure.clone(), ..Turns::default() });
        let mut peers: Vec<(Peer, Turns)> = trial.iter().map(failed).collect();
        let rounds = if case.is_base() { arguments.rounds } else { arguments.rounds.div_ceil(2) };
        for round in 0..rounds {
            eprintln!("{}: round {} of {rounds}", case.about(), round + 1);
            for turn in 0..peers.len() {
                let number = (turn + round) % arguments.peers.len();
                let (peer, turns) = &mut peers[number];
                if turns.failure.is_some() {
                    continue;
                }
                let (length, event_ids) = (case.length(), peer.event_ids());
                let play = match plays.entry((length, event_ids)) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(place) => {
                        let events = length.events(arguments.events);
                        place.insert(Play::new(events, Retries::Fills, event_ids, start_ms)?)
                    }
                };
                turns.push(turn::measure(*peer, case, play, Look::Part { round }, module));
            }
        }
        results.push(CaseResult { case, peers });
    }
    Ok(results)
}
