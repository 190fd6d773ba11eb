//! What the command line and the environment ask for.

use std::env;
use std::io;

use crate::axes::Case;
use crate::growth::Sweep;
use crate::peers::Peer;
use crate::server;

/// What is to be run.
pub struct Arguments {
    /// The first is the base, if there is one.
    pub cases: Vec<Case>,
    pub peers: Vec<Peer>,
    pub has_client: bool,
    pub sweeps: Vec<Sweep>,
    /// Of a full turn.
    pub events: usize,
    /// Of the base; other cases have half as many.
    pub rounds: usize,
}

const EVERY_CASE: &str = "every";
const CLIENT: &str = "client";
const GROWTH: &str = "growth";

impl Arguments {
    /// Reads them.
    ///
    /// # Errors
    /// For a name that nothing has.
    pub fn read() -> io::Result<Arguments> {
        let names: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
        let is_named = |name: &str| names.iter().any(|given| given == name);
        let known: Vec<&str> = Peer::ALL
            .iter()
            .map(|peer| peer.name())
            .chain(Case::DEFAULT.iter().map(|(name, _)| *name))
            .chain(Sweep::ALL.iter().map(|sweep| sweep.name()))
            .chain([EVERY_CASE, CLIENT, GROWTH])
            .collect();
        if let Some(name) = names.iter().find(|name| !known.contains(&name.as_str())) {
            return Err(io::Error::other(format!("nothing is called {name:?}: there are {}", known.join(", "))));
        }

        let mut peers: Vec<Peer> = Peer::ALL.into_iter().filter(|peer| is_named(peer.name())).collect();
        let mut cases: Vec<Case> =
            Case::DEFAULT.into_iter().filter(|(name, _)| is_named(name)).map(|(_, case)| case).collect();
        if is_named(EVERY_CASE) {
            cases = Case::every();
        }
        let mut sweeps: Vec<Sweep> = Sweep::ALL.into_iter().filter(|sweep| is_named(sweep.name())).collect();
        if is_named(GROWTH) {
            sweeps = Sweep::ALL.to_vec();
        }
        // Whoever names a part wants no other; who names nothing wants what a publish costs, and in a smoke test all.
        let is_cost_named = !peers.is_empty() || !cases.is_empty();
        let has_no_name = names.is_empty();
        if has_no_name && server::is_quick() {
            sweeps = Sweep::ALL.to_vec();
        }
        if has_no_name || is_cost_named {
            if peers.is_empty() {
                peers = Peer::ALL.to_vec();
            }
            if cases.is_empty() {
                cases = Case::DEFAULT.map(|(_, case)| case).to_vec();
            }
        }
        let (events, rounds) = if server::is_quick() { (600, 1) } else { (60_000, 5) };
        Ok(Arguments {
            cases,
            peers,
            has_client: has_no_name || is_named(CLIENT),
            sweeps,
            events: positive("EVENTS", events)?,
            rounds: positive("ROUNDS", rounds)?,
        })
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
