//! A cluster whose masters change while it is published on: asked to, and by a crash.

use crate::reshard::{assert_kept, load, symbols};
use crate::support::{Cluster, Moves, Options, KEEP_ALL};

#[test]
fn failovers_lose_and_double_nothing_that_a_replica_has() {
    let mut cluster = Cluster::start(3, 1, &Options::new().module_args(KEEP_ALL));
    let symbols = symbols(&cluster);
    let load = load(&cluster, &symbols);
    let mut moves = Moves::default();
    // There and back: whoever leads again has a memory of its first reign.
    for leader in [3, 0] {
        load.await_more(30);
        cluster.fail_over_to(leader);
        moves.failovers += 1;
    }
    for (master, replica) in [(1, 4), (4, 1)] {
        load.await_more(30);
        cluster.kill(master, replica);
        cluster.revive(master);
        moves.failovers += 1;
    }
    load.await_more(100);
    assert_kept(&cluster, &load.stop(), moves);
}
