//! Three masters with a replica each: slots move under load, by the old protocol and by the new one where the server has
//! it, masters hand over, and masters are killed. Publishers follow redirects, and wait for the replica.

use std::collections::BTreeSet;

use crate::report::{Progress, Promise, Row};
use crate::support::{audit, can_migrate_slots, slot_of, Cluster, Load, Options, Random, Safety, ToCluster, KEEP_ALL};
use crate::Terms;

const MASTERS: usize = 3;

/// Symbols of each master's slots, to begin with.
const SYMBOLS_EACH: usize = 2;

/// Commands between two faults.
const BETWEEN: u64 = 300;

/// What is done to the cluster.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// A slot with a symbol moves to another master, key by key.
    Reshard,
    /// The same at once, where the server can; key by key elsewhere.
    Migrate,
    /// CLUSTER FAILOVER: a master hands over to its replica.
    HandOver,
    /// SIGKILL to a master; its replica takes its place, and it comes back.
    Kill,
}

/// Slots move as often as all else together.
const FAULTS: [Fault; 6] =
    [Fault::Reshard, Fault::Reshard, Fault::Reshard, Fault::Migrate, Fault::HandOver, Fault::Kill];

/// No symbol is lost, doubled or split by any of that.
pub fn run(terms: Terms, progress: Progress) -> Row {
    let mut cluster = Cluster::start(MASTERS, 1, &Options::new().module_args(KEEP_ALL).append_only());
    let symbols: Vec<String> = (0..MASTERS).flat_map(|master| cluster.symbols_on(master, SYMBOLS_EACH)).collect();
    let slots: BTreeSet<u16> = symbols.iter().map(|symbol| slot_of(symbol)).collect();
    let slots: Vec<u16> = slots.into_iter().collect();
    let ports = cluster.ports();
    let load = Load::start(&symbols, Safety::Replicated, || Box::new(ToCluster::new(&ports)));
    let faults = terms.strike(progress, &load, BETWEEN, &FAULTS, |fault, random| {
        let slot = *random.pick(&slots);
        strike(&mut cluster, fault, slot, random);
    });
    let ledger = load.stop();
    progress.row(Promise::Everything, faults, &ledger, audit(&ledger, &mut cluster.master_clients()))
}

/// Does it to the slot, or to the master that has it.
fn strike(cluster: &mut Cluster, fault: Fault, slot: u16, random: &mut Random) {
    let owner = cluster.owner(slot);
    let others: Vec<usize> = cluster.masters().into_iter().filter(|master| *master != owner).collect();
    let to = *random.pick(&others);
    // Nodes stand as masters, then their replicas in the same order; who leads changes, who belongs together does not.
    let partner = (owner + MASTERS) % (2 * MASTERS);
    match fault {
        Fault::Migrate if can_migrate_slots() => cluster.migrate_whole(&[slot], to),
        Fault::Reshard | Fault::Migrate => {
            cluster.reshard(slot, to);
        }
        Fault::HandOver => cluster.fail_over_to(partner),
        Fault::Kill => {
            cluster.kill(owner, partner);
            cluster.revive(owner);
        }
    }
}
