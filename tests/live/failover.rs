//! The master changes under load: asked for, by a crash, and while it is cut off. What a replica had is kept, once; what
//! only a lost master had leaves no trace, neither in the data nor in what that node remembers.

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::Arc;

use crate::support::{
    audit, entry_id, wait_until, Address, Client, Findings, Hearing, Ledger, Listener, Load, Options, Safety, Server,
    Stop, ToMaster, KEEP_ALL,
};

/// Symbols that are published on at the same time. One has characters that are special elsewhere.
fn symbols() -> Vec<String> {
    ["XAUUSD", "BTC/USDT:USDT"].map(str::to_owned).into()
}

fn with_module() -> Options {
    Options::new().module_args(KEEP_ALL)
}

fn log_of(symbol: &str) -> String {
    format!("trade:{{{symbol}}}:events")
}

fn offset(replica: &Server) -> u64 {
    replica.info("replication", "slave_repl_offset").expect("a replica").parse().expect("a number")
}

fn follow(follower: &Server, leader: &Server) {
    follower.client().run(format!("REPLICAOF 127.0.0.1 {}", leader.port()));
    wait_until("the replica to be in sync", || {
        follower.has_its_master()
            && follower.info("replication", "master_port").as_deref() == Some(&leader.port().to_string())
    });
}

/// Publishers and listeners, while the master moves.
struct Scene {
    address: Address,
    load: Load,
    listeners: Vec<Listener>,
}

impl Scene {
    fn begin(safety: Safety, master: &Server, nodes: &[&Server]) -> Scene {
        let address: Address = Arc::new(AtomicU16::new(master.port()));
        let listeners = nodes.iter().map(|node| Listener::start(node)).collect();
        let load = Load::start(&symbols(), safety, || Box::new(ToMaster::new(&address)));
        Scene { address, load, listeners }
    }

    fn move_to(&self, master: &Server) {
        self.address.store(master.port(), Ordering::Relaxed);
    }

    /// Ends it, and returns what was promised, what is there of it on the master, and what each listener heard.
    fn end(self, master: &Server, nodes: &[&Server]) -> (Ledger, Findings, Vec<Hearing>) {
        let ledger = self.load.stop();
        for node in nodes {
            if node.port() != master.port() {
                node.catch_up_with(master);
                assert_eq!(node.digest(), master.digest(), "a replica differs");
            }
        }
        let findings = audit(&ledger, &mut [master.client()]);
        println!("{findings}; {} retries, {:?}, worst {:?}", ledger.retries, ledger.met, ledger.worst);
        let heard: Vec<_> = self.listeners.into_iter().map(|listener| listener.stop().check(master)).collect();
        for hearing in &heard {
            println!("  {hearing}");
            assert!(hearing.is_sound(), "{hearing}");
        }
        (ledger, findings, heard)
    }
}

/// FAILOVER, to and fro. The node behind the second one needs no module, and loses no link either.
#[test]
fn who_hands_over_loses_nothing_and_no_subscriber_misses_a_message() {
    const TURNS: usize = 4;
    let first = Server::start(with_module());
    let second = Server::start(with_module().replica_of(&first));
    let behind = Server::start(Options::plain().append_only().replica_of(&second));
    let nodes = [&first, &second, &behind];
    let scene = Scene::begin(Safety::Replicated, &first, &nodes);
    let mut pair = [&first, &second];
    for _ in 0..TURNS {
        scene.load.await_more(150);
        let [leader, follower] = pair;
        leader.hand_over_to(follower);
        wait_until("the failover", || follower.is_master() && leader.has_its_master());
        scene.move_to(follower);
        pair.reverse();
    }
    scene.load.await_more(150);
    let (_, findings, heard) = scene.end(pair[0], &nodes);
    assert!(findings.is_clean() && findings.acknowledged > 150 * TURNS, "{findings}");
    for hearing in heard {
        assert_eq!((hearing.connections, hearing.gaps, hearing.vanished), (1, 0, 0), "{hearing}");
    }
}

/// Of two replicas the one that has more takes over, and who died comes back behind it with what its disk has.
#[test]
fn what_a_replica_had_survives_the_masters_death() {
    const TURNS: usize = 3;
    let options = || with_module().append_only();
    let first = Server::start(options());
    let mut nodes = [Server::start(options().replica_of(&first)), Server::start(options().replica_of(&first)), first];
    nodes.reverse();
    let scene = Scene::begin(Safety::Replicated, &nodes[0], &nodes.each_ref());
    for _ in 0..TURNS {
        scene.load.await_more(150);
        nodes[0].stop(Stop::Kill);
        nodes[1..].iter().for_each(Server::await_loss_of_master);
        if offset(&nodes[1]) < offset(&nodes[2]) {
            nodes.swap(1, 2);
        }
        nodes[1].client().run("REPLICAOF NO ONE");
        scene.move_to(&nodes[1]);
        follow(&nodes[2], &nodes[1]);
        let again = options().replica_of(&nodes[1]);
        nodes[0].start_again(again);
        nodes.rotate_left(1);
    }
    scene.load.await_more(150);
    let (_, findings, _) = scene.end(&nodes[0], &nodes.each_ref());
    assert!(findings.is_clean() && findings.acknowledged > 150 * TURNS, "{findings}");
}

/// A master that hangs is replaced, wakes up and goes on for those who still talk to it, until it is told. Then it
/// leads again, with the memory of what it has lost. What WAIT has confirmed is kept.
#[test]
fn what_a_cut_off_master_took_alone_was_never_safe() {
    const TURNS: usize = 2;
    // More than what the stored summary of a log may lag behind it.
    const ALONE: usize = 70;
    let first = Server::start(with_module());
    let second = Server::start(with_module().replica_of(&first));
    let behind = Server::start(Options::plain().replica_of(&second));
    let nodes = [&first, &second, &behind];
    let scene = Scene::begin(Safety::Replicated, &first, &nodes);
    for turn in 0..TURNS {
        scene.load.await_more(150);
        let mut cut_off = first.client();
        first.freeze();
        second.client().run("REPLICAOF NO ONE");
        first.thaw();
        for n in 0..ALONE {
            cut_off.run(["TRADE.PUBLISH", "XAUUSD", "trade.executed", "{}", "ID", &format!("alone-{turn}-{n}")]);
        }
        assert_eq!(cut_off.int("WAIT 1 1"), 0);
        scene.move_to(&second);
        follow(&first, &second);
        scene.load.await_more(150);
        second.hand_over_to(&first);
        wait_until("the failover back", || second.has_its_master());
        scene.move_to(&first);
    }
    scene.load.await_more(150);
    let (ledger, findings, heard) = scene.end(&first, &nodes);
    assert!(findings.is_clean() && findings.acknowledged > 150 * TURNS, "{findings}");
    assert!(ledger.retries > 0 && heard[0].vanished >= ALONE * TURNS, "{} retries, {}", ledger.retries, heard[0]);
    assert_eq!((heard[1].vanished, heard[2].vanished), (0, 0));
}

/// Without WAIT a master's death takes the newest events with it, and only these: what is there is right.
#[test]
fn without_wait_only_the_newest_are_lost() {
    let first = Server::start(with_module());
    let second = Server::start(with_module().replica_of(&first));
    let mut first = first;
    let scene = Scene::begin(Safety::Replied, &first, &[&second]);
    scene.load.await_more(1_000);
    second.catch_up_with(&first);
    // What comes now does not reach it any more.
    second.freeze();
    first.client().run("CLIENT KILL TYPE replica");
    scene.load.await_more(200);
    first.stop(Stop::Kill);
    second.thaw();
    second.await_loss_of_master();
    let mut client = second.client();
    let newest = symbols().into_iter().map(|symbol| {
        let last = client.text(["XREVRANGE", &log_of(&symbol), "+", "-", "COUNT", "1"]);
        (symbol, entry_id(last.split('"').nth(1).expect("an entry")))
    });
    let newest: Vec<_> = newest.collect();
    client.run("REPLICAOF NO ONE");
    scene.move_to(&second);
    scene.load.await_more(300);
    let (ledger, findings, _) = scene.end(&second, &[&second]);
    assert_eq!((findings.doubled, findings.split, findings.differing), (0, 0, 0), "{findings}");
    assert!(findings.lost > 0, "{findings}");
    for (symbol, newest) in newest {
        for (event_id, entry) in &ledger.promised[&symbol].trades {
            if entry_id(&entry.id) <= newest {
                let found = client.text(["XRANGE", &log_of(&symbol), &entry.id, &entry.id]);
                assert_eq!(found.matches(event_id).count(), 1, "{event_id}: {found}");
            }
        }
    }
}

/// Two nodes that led at the same time, the first with a history that is lost: it follows the second one, and leads again.
///
/// The log's ids are ahead of both clocks, as they are where the clocks of nodes differ: so both gave the same ids to
/// other events.
fn lost_history(of_first: impl FnOnce(&mut Client), of_second: impl FnOnce(&mut Client)) -> Server {
    let first = Server::start(Options::new());
    let second = Server::start(Options::new().replica_of(&first));
    let mut client = first.client();
    client.run("TRADE.PUBLISH S trade.executed {}");
    client.run("XSETID trade:{S}:events 9000000000000-0");
    second.catch_up_with(&first);
    second.client().run("REPLICAOF NO ONE");
    of_first(&mut client);
    of_second(&mut second.client());
    follow(&first, &second);
    first.catch_up_with(&second);
    assert_eq!(first.digest(), second.digest());
    client.run("REPLICAOF NO ONE");
    first
}

fn failed(event_id: &str) -> [&str; 6] {
    ["TRADE.PUBLISH", "S", "trade.failed", r#"{"reason":"margin"}"#, "ID", event_id]
}

#[test]
fn the_journal_of_a_lost_history_is_not_believed() {
    let first = lost_history(
        |first| drop(first.run("TRADE.PUBLISH S trade.executed {} ID a")),
        |second| drop(second.run(failed("b"))),
    );
    let mut client = first.client();
    let mut heard = first.subscribe("PSUBSCRIBE trades:*");
    let executed = client.text("XRANGE trade:{S}:events - + COUNT 1").split('"').nth(1).expect("an id").to_owned();
    client.run(failed("b"));
    client.run(failed("c"));
    client.run("TRADE.PUBLISH S trade.executed {} ID a");
    let told: Vec<_> = heard.until_now().iter().map(|message| message.json()).collect();
    assert_eq!(told.len(), 2, "a repeat and two that are new: {told:?}");
    assert_eq!(told[0]["prev_id"], "9000000000000-1");
    assert_eq!(told[1]["prev_id"], executed.as_str());
    assert_eq!(client.rebuild("S", &["DRYRUN"])["differing"], 0);
}

/// What it folded of the lost history would be written as if it had happened.
#[test]
fn a_rebuild_of_a_lost_history_is_over() {
    let mut token = String::new();
    let fill = |client: &mut Client, order: &str| {
        let script = "for i = 1, 30000 do redis.call('XADD', KEYS[1], '*', 'type', 'order.created', 'data', \
                      '{\"order_id\":\"' .. ARGV[1] .. i .. '\",\"volume\":2}', 'ts', '1763402400000') end";
        client.run(["EVAL", script, "1", "trade:{S}:events", order]);
    };
    let first = lost_history(
        |first| {
            fill(first, "lost");
            token = first.map("TRADE.REBUILD S")["next"].clone();
        },
        |second| {
            fill(second, "kept");
            second.run(failed("b"));
        },
    );
    assert_ne!(token, "0");
    let error = first.client().error(format!("TRADE.REBUILD S FROM {token}"));
    assert!(error.contains("no such rebuild"), "{error}");
    assert_eq!(first.client().text("KEYS *:order:lost*"), "[]");
}
