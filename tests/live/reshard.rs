//! Slots that move from node to node while their symbols are published on: key by key, and atomically where the server
//! can.

use crate::support::{
    audit, can_migrate_slots, slot_of, wait_until, Cluster, Ledger, Load, Moves, Options, Safety, ToCluster, KEEP_ALL,
};

/// Two symbols on each of the three masters: one to be moved, and one that stays.
pub fn symbols(cluster: &Cluster) -> Vec<String> {
    (0..3).flat_map(|master| cluster.symbols_on(master, 2)).collect()
}

/// Publishers that take an event for safe when a replica has it too.
pub fn load(cluster: &Cluster, symbols: &[String]) -> Load {
    let ports = cluster.ports();
    Load::start(symbols, Safety::Replicated, || Box::new(ToCluster::new(&ports)))
}

/// Everything that was promised is there once, on one node, and as the log has it.
#[track_caller]
pub fn assert_kept(cluster: &Cluster, ledger: &Ledger, moves: Moves) {
    let findings = audit(ledger, &mut cluster.master_clients());
    println!("{findings}; {moves}; {} retries, {:?}, worst {:?}", ledger.retries, ledger.met, ledger.worst);
    assert!(findings.is_clean() && findings.acknowledged > 500, "{findings}");
}

/// A cluster with publishers on symbols of each master, and the slots of every other symbol, which are to move.
fn under_load() -> (Cluster, Vec<u16>, Load) {
    let cluster = Cluster::start(3, 1, &Options::new().module_args(KEEP_ALL));
    let symbols = symbols(&cluster);
    let moving = symbols.iter().step_by(2).map(|symbol| slot_of(symbol)).collect();
    let load = load(&cluster, &symbols);
    (cluster, moving, load)
}

#[test]
fn a_live_reshard_loses_doubles_and_splits_nothing() {
    let (cluster, moving, load) = under_load();
    let mut moves = Moves::default();
    // There and back, twice, so that each node gets a symbol again that it has a memory of.
    for round in 0..4 {
        for (home, &slot) in moving.iter().enumerate() {
            load.await_more(30);
            moves.keys += cluster.reshard(slot, (home + (round + 1) % 2) % 3);
            moves.slots += 1;
        }
    }
    // One that is given up, and one that waits half way for its operator.
    let way = cluster.open_slot(moving[0], 1);
    load.await_more(100);
    way.give_up();
    moves.given_up += 1;
    let mut way = cluster.open_slot(moving[0], 1);
    assert_eq!(way.carry(7), Ok(7));
    load.await_more(200);
    moves.keys += way.finish();
    moves.slots += 1;
    load.await_more(100);
    let ledger = load.stop();
    assert!(ledger.met.asked > 0 && ledger.met.try_again > 0 && ledger.met.moved > 0, "{:?}", ledger.met);
    assert_kept(&cluster, &ledger, moves);
}

#[test]
fn an_atomic_migration_loses_and_doubles_nothing() {
    if !can_migrate_slots() {
        return;
    }
    let (cluster, moving, load) = under_load();
    let mut moves = Moves::default();
    for round in 0..4 {
        for (home, &slot) in moving.iter().enumerate() {
            load.await_more(30);
            let (from, to) = (cluster.owner(slot), (home + (round + 1) % 2) % 3);
            // Long enough to be cancelled before its end.
            cluster.client(from).run("CONFIG SET rdb-key-save-delay 2000");
            cluster.migrate(&[slot], to);
            wait_until("the snapshot", || cluster.migration(from) == "snapshotting");
            load.await_more(10);
            cluster.cancel_migrations(from);
            assert_eq!(cluster.await_migration(from), "cancelled");
            moves.cancelled += 1;
            cluster.client(from).run("CONFIG SET rdb-key-save-delay 0");
            assert_eq!(cluster.owner(slot), from);
            load.await_more(30);
            cluster.migrate_whole(&[slot], to);
            moves.migrations += 1;
        }
    }
    load.await_more(100);
    assert_kept(&cluster, &load.stop(), moves);
}

/// What is written while the snapshot is under way goes behind it, by whichever way we write it: as an effect, by a
/// plain command, or without any command at all.
#[test]
fn what_happens_during_an_atomic_migration_goes_along() {
    if !can_migrate_slots() {
        return;
    }
    const OPEN: u64 = 1_763_402_400_000;
    let cluster = Cluster::start(2, 0, &Options::new().module_args("consumer-groups risk bar-grace 3600000"));
    let symbol = cluster.symbols_on(0, 1).remove(0);
    let mut client = cluster.client(0);
    let tag = format!("{{{symbol}}}");
    client.run(format!("COND.REGISTER {symbol} 1m 'close > 0' ID every MODE level"));
    client.run(format!("COND.SUBSCRIBE {symbol} every bot TYPE dca"));
    client.run(format!("COND.REGISTER {symbol} 5m 'close > 0' ID ticked MODE level"));
    client.run(format!("MARKET.CANDLE {symbol} 1m {OPEN} 1 2 1 2 1"));
    for _ in 0..2 {
        client.run(format!("EVENT.PUBLISH {symbol} beat {{}}"));
    }
    client.run(format!("XREADGROUP GROUP risk gone STREAMS events:{tag} >"));
    for number in 0..500 {
        client.run(format!("SET ballast:{number}:{tag} x"));
    }
    client.run("CONFIG SET rdb-key-save-delay 2000");
    cluster.migrate(&[slot_of(&symbol)], 1);
    wait_until("the snapshot", || cluster.migration(0) == "snapshotting");
    // A new log with a group, a corrected candle, work that is claimed and work that is given up, a bar that the
    // clock closes.
    client.run(format!("TRADE.PUBLISH {symbol} trade.executed {{}}"));
    client.run(format!("MARKET.CANDLE {symbol} 1m {OPEN} 1 3 1 3 1"));
    client.run(format!("EVENT.CLAIM {symbol} risk here 0 1"));
    client.run(format!("EVENT.CLAIM {symbol} risk here 0 1"));
    client.run(format!("MARKET.TICK {symbol} 5 1 TIMESTAMP {OPEN}"));
    client.run("CONFIG SET tradebus.bar-grace 0");
    wait_until("the bar to close", || client.int(format!("XLEN market:{tag}:5m")) == 1);
    let told: Vec<_> = ["XRANGE trade:{}:events - +", "XINFO GROUPS trade:{}:events", "XRANGE events:{}:dead - +"]
        .into_iter()
        .chain(["XINFO GROUPS events:{}", "XRANGE market:{}:1m - +", "XRANGE market:{}:5m - +"])
        .chain(["XRANGE cond:{}:triggers - +", "XRANGE bots:{}:dca - +", "HGETALL market:{}:forming"])
        .map(|command| command.replace("{}", &tag))
        .map(|command| (client.text(&command), command))
        .collect();
    assert_eq!(cluster.migration(0), "snapshotting", "it was all told before its end");
    assert_eq!(cluster.await_migration(0), "success");
    cluster.await_owner(slot_of(&symbol), 1);
    let mut client = cluster.client(1);
    for (there, command) in told {
        assert_eq!(client.text(&command), there, "{command}");
    }
}
