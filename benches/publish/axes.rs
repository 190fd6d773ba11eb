//! What is varied: how the server keeps what it is told, whether a replica follows, how many events are in flight, and
//! how many listen. One thing at a time, from the base, unless every combination is asked for.

use crate::server::Persistence;

/// Events in flight of a client that does not wait for each.
const PIPELINED: usize = 50;

/// Whether a replica follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Replica {
    None,
    One,
}

/// One combination.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Case {
    pub persistence: Persistence,
    pub replica: Replica,
    /// Events in one round trip.
    pub pipeline: usize,
    /// Connections that listen to everything.
    pub subscribers: usize,
}

/// How long a case runs: as many events as there are, or a sixth where each is slow.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Length {
    Full,
    Short,
}

impl Length {
    /// How many events it has, of so many.
    pub fn events(self, full: usize) -> usize {
        match self {
            Length::Full => full,
            Length::Short => full.div_ceil(6),
        }
    }
}

const BASE: Case = Case { persistence: Persistence::Off, replica: Replica::None, pipeline: PIPELINED, subscribers: 0 };

impl Case {
    /// The base under a persistence: what the targets are for.
    pub const fn base(persistence: Persistence) -> Case {
        Case { persistence, ..BASE }
    }

    /// The base, and what differs from it in one thing; with the names to choose them by.
    pub const DEFAULT: [(&'static str, Case); 6] = [
        ("aof-off", BASE),
        ("everysec", Case::base(Persistence::AofEverysec)),
        ("replica", Case { replica: Replica::One, ..BASE }),
        ("unpipelined", Case { pipeline: 1, ..BASE }),
        ("1-subscriber", Case { subscribers: 1, ..BASE }),
        ("100-subscribers", Case { subscribers: 100, ..BASE }),
    ];

    /// Every combination.
    pub fn every() -> Vec<Case> {
        let mut cases = Vec::new();
        for persistence in Persistence::ALL {
            for replica in [Replica::None, Replica::One] {
                for pipeline in [PIPELINED, 1] {
                    for subscribers in [0, 1, 100] {
                        cases.push(Case { persistence, replica, pipeline, subscribers });
                    }
                }
            }
        }
        cases
    }

    pub fn is_base(self) -> bool {
        Case { persistence: Persistence::Off, ..self } == BASE
    }

    pub fn length(self) -> Length {
        match self.pipeline == 1 || self.subscribers > 1 {
            true => Length::Short,
            false => Length::Full,
        }
    }

    /// What it is, in words.
    pub fn about(self) -> String {
        let replica = match self.replica {
            Replica::None => "no replica",
            Replica::One => "a replica",
        };
        let pipeline = match self.pipeline {
            1 => "unpipelined".to_owned(),
            events => format!("pipelined by {events}"),
        };
        let subscribers = match self.subscribers {
            0 => "no subscriber".to_owned(),
            1 => "1 subscriber".to_owned(),
            count => format!("{count} subscribers"),
        };
        format!("{}, {replica}, {pipeline}, {subscribers}", self.persistence.name())
    }
}
