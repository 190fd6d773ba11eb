//! Bars that the clock of a cluster node closes: of the slots that it has, and of no other.

use crate::support::{can_migrate_slots, slot_of, wait_until, Client, Cluster, Options};

/// Waits until a node has called us some times.
fn let_turns_pass(client: &mut Client) {
    const TURNS_MS: i64 = 400;
    let begun = client.time_ms();
    wait_until("time to pass", || client.time_ms() > begun + TURNS_MS);
}

/// A bar that is over but not closed, for a condition that it will trigger.
fn build_a_bar(client: &mut Client, symbol: &str) {
    client.run(format!("COND.REGISTER {symbol} 1m 'close > 0' ID every MODE level"));
    client.run(format!("MARKET.TICK {symbol} 10 1 TIMESTAMP 1763402400000"));
}

fn patient() -> Options {
    Options::new().module_args("bar-grace 3600000")
}

/// How many candles and triggers a node has of a symbol.
fn closed(client: &mut Client, symbol: &str) -> (i64, i64) {
    // An error, which is no number, when another node has the slot.
    let mut len = |key: &str| client.text(format!("XLEN {key}")).parse().unwrap_or_default();
    (len(&format!("market:{{{symbol}}}:1m")), len(&format!("cond:{{{symbol}}}:triggers")))
}

/// In an open slot nobody closes; then the node that has it does, soon and once; and after a failover the one that leads.
#[test]
fn the_clock_closes_bars_where_the_slot_is() {
    let cluster = Cluster::start(3, 1, &patient());
    let [moved, led] = <[String; 2]>::try_from(cluster.symbols_on(0, 2)).expect("two");
    let [mut source, mut target] = [0, 1].map(|node| cluster.client(node));
    build_a_bar(&mut source, &moved);
    let slot = slot_of(&moved);
    let mut way = cluster.open_slot(slot, 1);
    cluster.configure("tradebus.bar-grace 0");
    loop {
        let keys = || [0, 1].map(|node| cluster.client(node).int(format!("CLUSTER COUNTKEYSINSLOT {slot}")));
        let before = keys();
        let_turns_pass(&mut source);
        assert_eq!(keys(), before);
        if way.carry(1).expect("no key is in the way") == 0 {
            break;
        }
    }
    let begun = target.time_ms();
    way.finish();
    wait_until("the bar to close", || closed(&mut target, &moved) == (1, 1));
    let took = target.time_ms() - begun;
    // A survey of all keys comes each minute; the keys that have come are looked for sooner.
    assert!(took < 20_000, "{took} ms");
    assert_eq!(cluster.client(0).int(format!("CLUSTER COUNTKEYSINSLOT {slot}")), 0);

    cluster.configure("tradebus.bar-grace 3600000");
    build_a_bar(&mut source, &led);
    cluster.fail_over_to(3);
    cluster.configure("tradebus.bar-grace 0");
    let mut leader = cluster.client(3);
    wait_until("the bar to close", || closed(&mut leader, &led) == (1, 1));
    let_turns_pass(&mut leader);
    assert_eq!(closed(&mut leader, &led), (1, 1));
    cluster.server(0).catch_up_with(cluster.server(3));
    assert_eq!(cluster.server(0).digest(), cluster.server(3).digest(), "the one that led has written nothing since");
}

/// Slots that come at once are looked through at once.
#[test]
fn the_clock_closes_bars_behind_an_atomic_migration() {
    if !can_migrate_slots() {
        return;
    }
    let cluster = Cluster::start(2, 0, &patient());
    let symbol = cluster.symbols_on(0, 1).remove(0);
    build_a_bar(&mut cluster.client(0), &symbol);
    // The first survey of a node that has just started must not find it.
    let mut target = cluster.client(1);
    let_turns_pass(&mut target);
    cluster.migrate_whole(&[slot_of(&symbol)], 1);
    cluster.configure("tradebus.bar-grace 0");
    wait_until("the bar to close", || closed(&mut target, &symbol) == (1, 1));
}

/// Who hung, and wakes up when another one leads in its place, is told so before its clock does anything.
#[test]
fn a_node_that_hung_closes_nothing_that_another_one_has_closed() {
    const GRACE_MS: i64 = 5_000;
    let cluster = Cluster::start(3, 1, &Options::new().module_args(&format!("bar-grace {GRACE_MS}")));
    cluster.configure("cluster-node-timeout 1000");
    cluster.configure("cluster-replica-no-failover no");
    let symbols = cluster.symbols_on(0, 20);
    let (mut master, mut replica) = (cluster.client(0), cluster.client(3));
    // At the one that will fire: what the bus carries may be lost while nodes take each other for dead.
    let mut told = cluster.server(3).subscribe("PSUBSCRIBE condition.*");
    symbols.iter().for_each(|symbol| build_a_bar(&mut master, symbol));
    assert_eq!(master.int("WAIT 1 5000"), 1);
    let begun = replica.time_ms();
    cluster.server(0).freeze();
    wait_until("the replica to lead", || cluster.server(3).is_master());
    replica.run("CONFIG SET tradebus.bar-grace 0");
    wait_until("the bars to close", || symbols.iter().all(|symbol| closed(&mut replica, symbol) == (1, 1)));
    wait_until("the bars to be over for both", || replica.time_ms() > begun + GRACE_MS);
    cluster.server(0).thaw();
    cluster.await_agreement();
    assert_eq!(told.take(symbols.len()).len(), symbols.len());
    told.assert_silent();
    assert_eq!(cluster.server(0).info("tradebus", "tradebus_triggers").as_deref(), Some("0"), "it has judged nothing");
}

/// Who is cut off from the others does not know whether another one leads in its place, also when it may be read.
#[test]
fn a_node_without_its_cluster_closes_nothing() {
    let cluster = Cluster::start(3, 0, &patient().config("cluster-allow-reads-when-down yes"));
    let symbol = cluster.symbols_on(0, 1).remove(0);
    let mut client = cluster.client(0);
    build_a_bar(&mut client, &symbol);
    client.run("CONFIG SET cluster-node-timeout 1000");
    for other in [1, 2] {
        cluster.server(other).freeze();
    }
    wait_until("the cluster to fail", || client.string("CLUSTER INFO").contains("cluster_state:fail"));
    client.run("CONFIG SET tradebus.bar-grace 0");
    let_turns_pass(&mut client);
    assert_eq!(closed(&mut client, &symbol), (0, 0));
    for other in [1, 2] {
        cluster.server(other).thaw();
    }
    wait_until("the bar to close", || closed(&mut client, &symbol) == (1, 1));
}
