//! Replicas: with nothing but the effects, they have the same data and publish the same messages, none before
//! the state that it speaks of.

use std::collections::BTreeMap;
use std::thread;

use redis::Value;

use crate::day::{Chains, Day, SYMBOLS};
use crate::support::{text, wait_until, Client, Options, Server, Stop};
use crate::twin::expiries;

/// Everything that a client could tell two servers apart by, where DEBUG DIGEST is blind: it counts that a key
/// expires but not when, and sees entries of streams but neither groups nor the ids used up.
pub fn state(server: &Server) -> (String, BTreeMap<String, i64>, Vec<String>) {
    let mut client = server.client();
    let streams = SYMBOLS.map(|symbol| {
        let log = format!("trade:{{{symbol}}}:events");
        let info = client.text(format!("XINFO STREAM {log}"));
        // How its entries are packed is a node's own affair.
        let parts = info.split(", \"").filter(|part| !part.contains("radix-tree"));
        format!("{} {}", parts.collect::<Vec<_>>().join(" "), client.text(format!("XINFO GROUPS {log}")))
    });
    let expiries = expiries(&mut client);
    (server.digest(), expiries, streams.into())
}

fn version(client: &mut Client, message: &serde_json::Value) -> Option<(i64, i64)> {
    let told = message["version"].as_i64()?;
    let symbol = message["symbol"].as_str()?;
    let kinds = ["order_id", "position_id", "signal_id"];
    let (kind, id) = kinds.iter().find_map(|name| Some((name, message["data"][name].as_str()?)))?;
    let key = format!("trade:{{{symbol}}}:{}:{id}", kind.trim_end_matches("_id"));
    let found = client.string(["HGET", &key, "version"]).parse().expect("a number");
    Some((told, found))
}

/// The module's settings of a busy day in small: the log is trimmed again and again. It is longer than what the
/// summary may lag behind it, which else would be written at every event.
pub fn busy() -> Options {
    Options::new().module_args("stream-maxlen 70 consumer-groups risk,audit dedupe-max 1000")
}

#[test]
fn a_replica_without_the_module_is_the_same_and_tells_the_same() {
    let master = Server::start(busy().config("stream-node-max-entries 10"));
    // Another node size: trimming cannot be left to the replica's own idea of "about".
    let plain = || Options::plain().config("stream-node-max-entries 3").append_only();
    let replica = Server::start(plain().replica_of(&master));
    let sub_replica = Server::start(plain().replica_of(&replica));
    let mut on_master = master.subscribe("PSUBSCRIBE trades:*");
    let mut on_replicas = [&replica, &sub_replica].map(|node| (node.subscribe("PSUBSCRIBE trades:*"), node.client()));
    const EVENTS: usize = 1_500;
    // Enough that every type is accepted, and less than what is certain to be.
    const TAKEN: usize = 500;
    let mut client = master.client();
    let publisher = thread::spawn(move || Day::new(7).run(&mut client, EVENTS));
    let mut told = [Vec::new(), Vec::new()];
    for ((subscriber, reader), told) in on_replicas.iter_mut().zip(&mut told) {
        for _ in 0..TAKEN {
            let message = subscriber.take(1).remove(0);
            if let Some((version, found)) = version(reader, &message.json()) {
                assert!(found >= version, "version {found} was found behind {message:?}");
            }
            told.push(message);
        }
    }
    publisher.join().expect("the publisher");
    let messages = on_master.until_now();
    let mut chains = Chains::default();
    chains.follow(&messages);
    let types: std::collections::BTreeSet<_> = messages.iter().map(|m| m.json()["event_type"].to_string()).collect();
    assert_eq!(types.len(), 18, "a day has everything: {types:?}");
    replica.catch_up_with(&master);
    sub_replica.catch_up_with(&master);
    for ((subscriber, _), mut told) in on_replicas.into_iter().zip(told) {
        let mut subscriber = subscriber;
        told.extend(subscriber.until_now());
        assert_eq!(told.len(), messages.len());
        assert!(told == messages, "another order or another text");
    }
    let wanted = state(&master);
    assert!(wanted.1.values().any(|&at| at > 0), "something expires: {wanted:?}");
    assert_eq!(state(&replica), wanted);
    assert_eq!(state(&sub_replica), wanted);
    // What a replica wrote down itself is the same again.
    let mut replica = replica;
    replica.restart(Stop::Kill, plain());
    assert_eq!(state(&replica), wanted);
}

/// The server that leads changes twice, so that the first one comes back with a memory of its own time.
#[test]
fn a_promoted_replica_goes_on_where_the_master_stopped() {
    let mut nodes = [Server::start(busy()), Server::start(busy())];
    let follow = |follower: &Server, leader: &Server| {
        follower.client().run(format!("REPLICAOF 127.0.0.1 {}", leader.port()));
        follower.catch_up_with(leader);
    };
    follow(&nodes[1], &nodes[0]);
    let mut chains = Chains::default();
    let mut day = Day::new(11);
    let mut first = String::new();
    const RECORD: &str = "TRADE.PUBLISH XAUUSD trade.executed {} ID once";
    for turn in 0..3 {
        let [leader, follower] = &nodes;
        let (mut messages, mut echoes) =
            (leader.subscribe("PSUBSCRIBE trades:*"), follower.subscribe("PSUBSCRIBE trades:*"));
        let mut client = leader.client();
        let id = client.string(RECORD);
        if turn == 0 {
            first = id.clone();
        }
        assert_eq!(id, first, "the repeat of an id is one on every leader");
        day.run(&mut client, 150);
        let told = messages.until_now();
        assert!(told.len() > 50, "{}", told.len());
        chains.follow(&told);
        follower.catch_up_with(leader);
        assert_eq!(echoes.until_now(), told);
        assert_eq!(state(follower), state(leader), "turn {turn}");
        follower.client().run("REPLICAOF NO ONE");
        nodes.swap(0, 1);
        follow(&nodes[1], &nodes[0]);
    }
}

/// The reads of a replica with the module need no master; writes are refused as those of any command.
#[test]
fn a_replica_with_the_module_reads() {
    let master = Server::start(Options::new());
    let replica = Server::start(Options::new().replica_of(&master));
    let mut client = master.client();
    client.run(r#"TRADE.PUBLISH S order.created '{"order_id":"1","volume":1}'"#);
    client.run(r#"TRADE.PUBLISH S position.closed '{"position_id":"1","exit_price":1}'"#);
    client.run(r#"TRADE.PUBLISH S signal.generated '{"signal_id":"1"}'"#);
    replica.catch_up_with(&master);
    let mut reader = replica.client();
    for command in ["TRADE.ORDER S 1", "TRADE.POSITION S 1", "TRADE.SIGNAL S 1", "TRADE.ORDERS S", "TRADE.POSITIONS S"]
    {
        let reply = reader.text(command);
        assert_eq!(reply, client.text(command), "{command}");
        assert!(!reply.starts_with("(error)"), "{command}: {reply}");
    }
    for command in ["TRADE.PUBLISH S trade.executed {}", "TRADE.MPUBLISH S 1 trade.executed {}"] {
        assert!(reader.error(command).starts_with("READONLY"), "{command}");
    }
    assert_eq!(state_of(&replica), state_of(&master));
}

fn state_of(server: &Server) -> (String, BTreeMap<String, i64>) {
    (server.digest(), expiries(&mut server.client()))
}

/// Writes wait while they are paused, then go through, once.
#[test]
fn a_paused_master_keeps_writes_for_later() {
    let master = Server::start(Options::new());
    let replica = Server::start(Options::new().replica_of(&master));
    let mut heard = replica.subscribe("PSUBSCRIBE trades:*");
    let mut operator = master.client();
    operator.run("CLIENT PAUSE 60000 WRITE");
    let mut waiting = master.client();
    waiting.send("TRADE.PUBLISH S trade.executed {} ID 1");
    wait_until("the publish to be held", || operator.string("INFO clients").contains("blocked_clients:1"));
    assert_eq!(operator.text("TRADE.ORDER S 1"), "nil", "reads go on");
    assert_eq!(operator.int("DBSIZE"), 0);
    operator.run("CLIENT UNPAUSE");
    let reply = waiting.receive().expect("a reply");
    assert!(matches!(reply, Value::BulkString(_)), "{}", text(&reply));
    replica.catch_up_with(&master);
    assert_eq!(heard.until_now().len(), 1);
    assert_eq!(operator.int("XLEN trade:{S}:events"), 1);
}
