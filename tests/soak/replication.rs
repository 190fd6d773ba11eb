//! A chain of three servers, each the replica of the one before it: the first dies, hangs or hands over, links break,
//! replicas start anew. Publishers wait for one replica, which is the one that is promoted.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::Arc;

use crate::report::{Progress, Promise, Row};
use crate::support::{audit, wait_until, Address, Load, Options, Safety, Server, Stop, ToMaster, KEEP_ALL};
use crate::Terms;

/// Commands between two faults.
const BETWEEN: u64 = 300;

/// What is done to the chain.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// FAILOVER: the master hands over to its replica.
    HandOver,
    /// SIGKILL; the replica is promoted, and the old master comes back with what it had.
    Crash,
    /// The master hangs, its replica is promoted, and then it wakes and still takes itself for the master.
    Hang,
    /// The links to replicas are cut: they go on from where they were.
    Cut,
    /// The same, and nobody knows where they were: all data is sent anew.
    StartAnew,
}

const FAULTS: [Fault; 5] = [Fault::HandOver, Fault::Crash, Fault::Hang, Fault::Cut, Fault::StartAnew];

struct Chain {
    /// The master first.
    nodes: VecDeque<Server>,
    address: Address,
}

/// No promise to a publisher is broken by any of that.
pub fn run(terms: Terms, progress: Progress) -> Row {
    let mut nodes = VecDeque::from([Server::start(options())]);
    for _ in 0..2 {
        nodes.push_back(Server::start(options().replica_of(&nodes[nodes.len() - 1])));
    }
    let address = Arc::new(AtomicU16::new(nodes[0].port()));
    let mut chain = Chain { nodes, address };
    let symbols = ["XAUUSD", "BTC/USDT:USDT", "EURUSD"].map(str::to_owned);
    let load = Load::start(&symbols, Safety::Replicated, || Box::new(ToMaster::new(&chain.address)));
    let faults = terms.strike(progress, &load, BETWEEN, &FAULTS, |fault, _| chain.strike(fault));
    let ledger = load.stop();
    for node in 1..3 {
        chain.nodes[node].catch_up_with(&chain.nodes[0]);
        assert_eq!(chain.nodes[node].digest(), chain.nodes[0].digest(), "replica {node}");
    }
    progress.row(Promise::Everything, faults, &ledger, audit(&ledger, &mut [chain.nodes[0].client()]))
}

/// Each keeps what it has, so that a master that comes back has what nobody else has.
fn options() -> Options {
    Options::new().module_args(KEEP_ALL).append_only()
}

impl Chain {
    fn strike(&mut self, fault: Fault) {
        match fault {
            Fault::HandOver => {
                self.nodes[0].hand_over_to(&self.nodes[1]);
                wait_until("the replica to be the master", || self.nodes[1].is_master());
                self.second_is_first();
                wait_until("the old master to be a replica", || !self.nodes[2].is_master());
            }
            Fault::Crash => {
                self.nodes[0].stop(Stop::Kill);
                self.nodes[1].client().run("REPLICAOF NO ONE");
                self.second_is_first();
                self.nodes[2].start_again(options());
            }
            Fault::Hang => {
                self.nodes[0].freeze();
                self.nodes[1].client().run("REPLICAOF NO ONE");
                self.second_is_first();
                self.nodes[2].thaw();
            }
            Fault::Cut => drop(self.nodes[0].client().run("CLIENT KILL TYPE replica")),
            Fault::StartAnew => {
                for node in 0..2 {
                    let mut client = self.nodes[node].client();
                    client.run("DEBUG CHANGE-REPL-ID");
                    client.run("CLIENT KILL TYPE replica");
                }
            }
        }
        // The last one follows the one before it, whatever it was.
        let tail = self.nodes[1].port();
        self.nodes[2].client().run(format!("REPLICAOF 127.0.0.1 {tail}"));
        for node in 1..3 {
            self.nodes[node].catch_up_with(&self.nodes[node - 1]);
        }
    }

    /// The first becomes the last, and publishers are told where the master is.
    fn second_is_first(&mut self) {
        self.nodes.rotate_left(1);
        self.address.store(self.nodes[0].port(), Ordering::Relaxed);
    }
}
