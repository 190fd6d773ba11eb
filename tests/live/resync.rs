//! Replicas that lose their master and find it again, while batches are being published: what they have is at any time
//! what some whole commands came to, and in the end what the master has.

use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use redis::Value;

use crate::support::{
    audit, text, wait_until, Address, Client, Listener, Load, Options, Safety, Server, Stop, ToMaster, KEEP_ALL,
};
use crate::twin::expiries;

/// Events of a batch, and the symbol that gets nothing else.
const BATCH: usize = 1_000;
const BATCHED: &str = "BATCHED";

/// Batches that are published while a replica finds its master again, at most: they are compared and counted afterwards.
const WHILE_PARTED: usize = 5;

/// The command of a batch: all of its events change one order, whose version so counts them.
fn batch() -> Vec<String> {
    let mut command = ["TRADE.MPUBLISH", BATCHED, "1000"].map(str::to_owned).to_vec();
    for n in 0..BATCH {
        command.extend(["order.modified".to_owned(), format!(r#"{{"order_id":"1","price":{n}}}"#)]);
    }
    command
}

fn publish_batch(client: &mut Client) {
    let replied = client.run(batch());
    assert!(matches!(replied, Value::Array(ids) if ids.len() == BATCH));
}

/// How many batches there were, by log and order. `None` when the server does not tell now.
fn whole_batches(client: &mut Client) -> Option<usize> {
    // In one command, so that both are of one moment. The log may have been trimmed.
    let script = "if redis.call('EXISTS', KEYS[1]) == 0 then return {0, redis.call('HLEN', KEYS[2])} end \
                  local info, told = redis.call('XINFO', 'STREAM', KEYS[1]), {} \
                  for i = 1, #info, 2 do told[info[i]] = info[i + 1] end \
                  return {told['entries-added'], tonumber(redis.call('HGET', KEYS[2], 'version'))}";
    let [log, order] = [format!("trade:{{{BATCHED}}}:events"), format!("trade:{{{BATCHED}}}:order:1")];
    let Ok(Value::Array(found)) = client.try_reply(["EVAL_RO", script, "2", &log, &order]) else { return None };
    let [Value::Int(events), Value::Int(version)] = found[..] else { panic!("not two numbers: {found:?}") };
    let events = usize::try_from(events).expect("a number");
    assert_eq!((events % BATCH, version), (0, events as i64), "a part of a batch");
    Some(events / BATCH)
}

/// Looks again and again at the batches of a node, however it is.
struct Watch {
    ending: Arc<AtomicBool>,
    thread: JoinHandle<(usize, usize)>,
}

impl Watch {
    fn start(node: &Server) -> Watch {
        let ending = Arc::new(AtomicBool::new(false));
        let (mut client, is_over) = (node.client(), ending.clone());
        let thread = thread::spawn(move || {
            let (mut looks, mut refused) = (0, 0);
            while !is_over.load(Ordering::Relaxed) {
                looks += 1;
                refused += usize::from(whole_batches(&mut client).is_none());
            }
            (looks, refused)
        });
        Watch { ending, thread }
    }

    /// How often it looked, and how often it was refused.
    #[track_caller]
    fn stop(self) -> (usize, usize) {
        self.ending.store(true, Ordering::Relaxed);
        self.thread.join().expect("a watch: see above")
    }
}

fn number(server: &Server, section: &str, field: &str) -> u64 {
    server.info(section, field).expect("a field").parse().expect("a number")
}

/// What parts a replica from its master, and how they come together again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parting {
    /// The connection is lost; the backlog has what was missed.
    Partial,
    /// The replica is promoted by mistake, takes a batch of its own, and is put back.
    Promoted,
    /// The replica is away for longer than the backlog reaches.
    Overrun,
    /// The master begins another history.
    Renamed,
}

impl Parting {
    const ALL: [Parting; 4] = [Parting::Partial, Parting::Promoted, Parting::Overrun, Parting::Renamed];

    /// Parts them while batches are published, and returns when they are together again.
    fn happen(self, master: &Server, replica: &Server) {
        let (mut publisher, mut operator) = (master.client(), master.client());
        let counter = if self == Parting::Partial { "sync_partial_ok" } else { "sync_full" };
        let before = number(master, "stats", counter);
        operator.run(["CONFIG", "SET", "repl-backlog-size", if self == Parting::Overrun { "16kb" } else { "64mb" }]);
        match self {
            Parting::Partial => drop(operator.run("CLIENT KILL TYPE replica")),
            Parting::Promoted => {
                let mut client = replica.client();
                client.run("REPLICAOF NO ONE");
                publish_batch(&mut client);
                client.run(format!("REPLICAOF 127.0.0.1 {}", master.port()));
            }
            Parting::Overrun => {
                replica.freeze();
                operator.run("CLIENT KILL TYPE replica");
                publish_batch(&mut publisher);
                publish_batch(&mut publisher);
                replica.thaw();
            }
            Parting::Renamed => {
                operator.run("DEBUG CHANGE-REPL-ID");
                operator.run("CLIENT KILL TYPE replica");
            }
        }
        let mut batches = 0..WHILE_PARTED;
        wait_until("the replica to be back", || {
            if batches.next().is_some() {
                publish_batch(&mut publisher);
            }
            number(master, "stats", counter) > before && replica.has_its_master()
        });
    }
}

/// How a snapshot and what is written meanwhile come to a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Channels {
    /// One behind the other.
    One,
    /// By a connection each, where the server knows that. Two faults of servers are kept out of the way, which need no
    /// module: Valkey 8.1.1 ends with an assertion at a replica that has a replica of its own, and Valkey 9.1.2 leaves
    /// out of its append-only file what came while the snapshot was loaded, until the file is written anew.
    Two,
}

/// Parts a master and its replica in every way. The replica has a replica of its own, other settings of the module
/// and an append-only file; what the servers know of `settings` is set on all.
fn check(settings: &[(&str, &str)], channels: Channels) {
    let master = Server::start(Options::new().module_args(KEEP_ALL));
    // Should it decide anything itself, its log would be short, and have groups.
    let other = || Options::new().module_args("stream-maxlen 10 dedupe-max 1000 consumer-groups other").append_only();
    let mut replica = Server::start(other().replica_of(&master));
    let leader = if channels == Channels::One { &replica } else { &master };
    let behind = Server::start(Options::plain().config("stream-node-max-entries 3").replica_of(leader));
    for node in [&master, &replica, &behind] {
        let mut client = node.client();
        for (name, value) in settings {
            if client.text(["CONFIG", "GET", name]) != "[]" {
                client.run(["CONFIG", "SET", name, value]);
            }
        }
    }
    let listeners = [&replica, &behind].map(Listener::start);
    let watches = [&replica, &behind].map(Watch::start);
    let address: Address = Arc::new(AtomicU16::new(master.port()));
    let load = Load::start(&["XAUUSD".to_owned()], Safety::Replied, || Box::new(ToMaster::new(&address)));
    for parting in Parting::ALL {
        // What its leader writes while it makes a snapshot for it, the replica behind it does not hear.
        behind.catch_up_with(leader);
        load.await_more(50);
        parting.happen(&master, &replica);
    }
    let ledger = load.stop();
    replica.catch_up_with(&master);
    behind.catch_up_with(leader);
    let state = |server: &Server| (server.digest(), expiries(&mut server.client()));
    let wanted = state(&master);
    assert_eq!(state(&replica), wanted);
    assert_eq!(state(&behind), wanted);
    let findings = audit(&ledger, &mut [master.client()]);
    let batches = whole_batches(&mut master.client()).expect("a count");
    println!("{settings:?}: {findings}; {batches} batches of {BATCH}");
    assert!(findings.is_clean(), "{findings}");
    for (watch, listener) in watches.into_iter().zip(listeners) {
        let (looks, refused) = watch.stop();
        let hearing = listener.stop().check(&master);
        println!("  {looks} looks, {refused} refused; {hearing}");
        // The batch that the replica took alone; the one behind it may have been parted from it before.
        assert!(hearing.is_sound() && hearing.vanished <= BATCH && looks > refused, "{hearing}");
    }
    // What it wrote down itself is the same again.
    if channels == Channels::Two {
        replica.client().run("BGREWRITEAOF");
    }
    wait_until("its file to be begun", || {
        let info = replica.client().string("INFO persistence");
        info.contains("aof_rewrite_in_progress:0") && info.contains("aof_rewrite_scheduled:0")
    });
    replica.restart(Stop::Kill, other());
    assert_eq!(state(&replica), wanted);
    let findings = audit(&ledger, &mut [replica.client()]);
    assert!(findings.is_clean(), "{findings}");
}

#[test]
fn a_replica_that_loads_from_its_disk() {
    check(&[("repl-diskless-sync", "no"), ("repl-diskless-load", "disabled")], Channels::One);
}

#[test]
fn a_replica_that_loads_from_the_connection() {
    check(&[("repl-diskless-sync", "yes"), ("repl-diskless-load", "on-empty-db")], Channels::One);
}

#[test]
fn a_replica_that_loads_beside_its_data() {
    check(&[("repl-diskless-sync", "yes"), ("repl-diskless-load", "swapdb")], Channels::One);
}

#[test]
fn a_replica_that_loads_by_a_connection_of_its_own() {
    let two = [("repl-diskless-sync", "yes"), ("dual-channel-replication-enabled", "yes"), ("repl-rdb-channel", "yes")];
    check(&two, Channels::Two);
}

/// A replica that loads beside its data goes on answering from it, and remembers nothing of it afterwards.
#[test]
fn reads_go_on_while_other_data_is_loaded() {
    let master = Server::start(Options::new());
    let slow = "loading-process-events-interval-bytes 1024";
    let options = Options::new().config("repl-diskless-load swapdb").config(slow).replica_of(&master);
    let replica = Server::start(options);
    let mut client = master.client();
    // Another history with the same ids of candles.
    let tell = |client: &mut Client, price: &str| {
        client.run(format!(r#"TRADE.PUBLISH S order.created '{{"order_id":"1","volume":1,"price":{price}}}'"#));
        client.run("COND.REGISTER S 1m 'sma(close, 3) > 1' ID c");
        for bar in 0..5_u64 {
            let open_time = 1_763_402_400_000 + bar * 60_000;
            client.run(format!("MARKET.CANDLE S 1m {open_time} {price} {price} {price} {price} 1"));
        }
    };
    const READS: [&str; 3] = ["TRADE.ORDER S 1", "COND.EXPLAIN S c", "MARKET.CANDLES S 1m - +"];
    tell(&mut client, "10");
    replica.catch_up_with(&master);
    let old = READS.map(|read| client.text(read));
    let mut reader = replica.client();
    reader.run("CONFIG SET key-load-delay 300");
    replica.freeze();
    client.run("CONFIG SET repl-backlog-size 16kb");
    client.run("CLIENT KILL TYPE replica");
    client.run("FLUSHALL");
    tell(&mut client, "20");
    client.run(["EVAL", "for i = 1, 3000 do redis.call('SET', 'filler:' .. i, string.rep('x', 100)) end", "0"]);
    let new = READS.map(|read| client.text(read));
    replica.thaw();
    wait_until("it to load", || reader.string("INFO persistence").contains("async_loading:1"));
    assert_eq!(READS.map(|read| reader.text(read)), old);
    assert!(reader.string("INFO persistence").contains("async_loading:1"), "the answers were of the time before");
    wait_until("it to be in sync", || replica.has_its_master());
    assert_eq!(READS.map(|read| reader.text(read)), new);
    assert_eq!(replica.digest(), master.digest());
}

/// A master that dies while batches are on their way leaves whole ones, also at who takes its place at once.
#[test]
fn a_promoted_replica_has_whole_batches() {
    const TURNS: usize = 3;
    let options = || Options::new().append_only();
    let mut leader = Server::start(options());
    let mut follower = Server::start(options().replica_of(&leader));
    let mut before = 0;
    for _ in 0..TURNS {
        let mut publisher = leader.client();
        let publishing = thread::spawn(move || {
            let command = batch();
            // Until its server dies.
            while let Ok(reply) = publisher.try_reply(&command) {
                assert!(matches!(reply, Value::Array(_)), "{}", text(&reply));
            }
        });
        let mut reader = follower.client();
        wait_until("batches to arrive", || whole_batches(&mut reader).expect("a count") > before + 1);
        leader.stop(Stop::Kill);
        reader.run("REPLICAOF NO ONE");
        publishing.join().expect("the publisher");
        before = whole_batches(&mut reader).expect("a count");
        println!("{before} batches of {BATCH}");
        publish_batch(&mut reader);
        assert_eq!(reader.rebuild(BATCHED, &["DRYRUN"])["differing"], 0);
        // A cut file ends with a whole batch too.
        leader.start_again(options());
        whole_batches(&mut leader.client()).expect("a count");
        leader.client().run(format!("REPLICAOF 127.0.0.1 {}", follower.port()));
        leader.catch_up_with(&follower);
        assert_eq!(leader.digest(), follower.digest());
        std::mem::swap(&mut leader, &mut follower);
    }
}

/// Databases are emptied and exchanged under load. What was remembered of the data that is gone is not told of the other.
#[test]
fn what_is_remembered_goes_with_the_data() {
    let master = Server::start(Options::new());
    let replica = Server::start(Options::new().replica_of(&master));
    let listeners = [&master, &replica].map(Listener::start);
    let address: Address = Arc::new(AtomicU16::new(master.port()));
    let symbols = ["XAUUSD", "EURUSD"].map(str::to_owned);
    let load = Load::start(&symbols, Safety::Replied, || Box::new(ToMaster::new(&address)));
    let mut operator = master.client();
    for command in ["SWAPDB 0 1", "SWAPDB 0 1", "FLUSHDB", "FLUSHALL ASYNC", "FLUSHALL SYNC"] {
        load.await_more(200);
        // Within one millisecond, the ids of a log would begin anew behind it.
        for step in ["MULTI", command, "DEBUG SLEEP 0.002", "EXEC"] {
            operator.run(step);
        }
    }
    load.await_more(200);
    load.stop();
    replica.catch_up_with(&master);
    assert_eq!(replica.digest(), master.digest());
    for symbol in &symbols {
        assert_eq!(operator.rebuild(symbol, &["DRYRUN"])["differing"], 0);
    }
    for listener in listeners {
        let hearing = listener.stop().check(&master);
        println!("{hearing}");
        assert!(hearing.is_sound(), "{hearing}");
    }
}

/// What a master must not write it refuses whole: nothing is remembered of it either.
#[test]
fn without_enough_replicas_nothing_is_taken() {
    let master = Server::start(Options::new().config("min-replicas-to-write 1"));
    let mut client = master.client();
    let writes = [
        "TRADE.PUBLISH S trade.executed {} ID 1",
        "TRADE.MPUBLISH S 2 trade.executed {} trade.executed {}",
        "EVENT.PUBLISH S beat {}",
        "MARKET.CANDLE S 1m 1763402400000 1 1 1 1 1",
        "MARKET.TICK S 1 1",
        "COND.REGISTER S 1m 'close > 1'",
    ];
    for command in writes {
        assert!(client.error(command).starts_with("NOREPLICAS"), "{command}");
    }
    assert_eq!(client.int("DBSIZE"), 0);
    let replica = Server::start(Options::new().replica_of(&master));
    wait_until("the replica to count", || {
        !client.text("TRADE.PUBLISH S trade.executed {} ID 1").starts_with("(error) NOREPLICAS")
    });
    assert_eq!(client.int("XLEN trade:{S}:events"), 1);
    assert_eq!(client.int("WAIT 1 20000"), 1);
    assert_eq!(replica.digest(), master.digest());
}

/// A replica that must not show what is old shows nothing until it has its master again.
#[test]
fn a_replica_may_refuse_what_is_old() {
    let master = Server::start(Options::new());
    let replica = Server::start(Options::new().config("replica-serve-stale-data no").replica_of(&master));
    let mut client = master.client();
    client.run(r#"TRADE.PUBLISH S order.created '{"order_id":"1","volume":1}'"#);
    replica.catch_up_with(&master);
    let mut reader = replica.client();
    let fresh = reader.text("TRADE.ORDER S 1");
    let mut master = master;
    master.stop(Stop::Kill);
    replica.await_loss_of_master();
    for read in ["TRADE.ORDER S 1", "TRADE.ORDERS S", "TRADE.EVENTS S - +", "TRADE.STATS S"] {
        assert!(reader.error(read).starts_with("MASTERDOWN"), "{read}");
    }
    reader.run("REPLICAOF NO ONE");
    assert_eq!(reader.text("TRADE.ORDER S 1"), fresh);
}
