//! Clients that are too slow, too many, or say too much: the server lets them go, publishing goes on, and the log has what
//! they missed.

use redis::Value;

use super::{run_course, READS};
use crate::support::{text, wait_until, Client, Options, Server};

/// Below 16 KiB: what is larger Valkey 9 sends without a copy, and does not count for its limits.
const EVENT_BYTES: usize = 15_000;

/// A publish of about [`EVENT_BYTES`], numbered.
fn large(number: usize) -> String {
    format!(r#"TRADE.PUBLISH S trade.executed '{{"n":{number},"note":"{}"}}'"#, "x".repeat(EVENT_BYTES))
}

fn bytes(server: &Server, field: &str) -> u64 {
    server.info("memory", field).expect("a field").parse().expect("bytes")
}

fn is_connected(client: &mut Client, id: i64) -> bool {
    client.string("CLIENT LIST").lines().any(|line| line.starts_with(&format!("id={id} ")))
}

/// Numbers of the events in a log's entries, and the last id.
fn numbers(entries: &Value) -> (Vec<u64>, Option<String>) {
    let Value::Array(entries) = entries else { panic!("not entries: {}", text(entries)) };
    let mut last = None;
    let numbers = entries.iter().map(|entry| {
        let Value::Array(entry) = entry else { panic!("not an entry: {}", text(entry)) };
        let (id, fields) = (text(&entry[0]), text(&entry[1]));
        last = Some(id.trim_matches('"').to_owned());
        let digits = fields.split(r#"\"n\":"#).nth(1).expect("a number").split(',').next().expect("its digits");
        digits.parse().expect("digits")
    });
    (numbers.collect(), last)
}

/// It is let go once more waits for it than the limit, whichever limit that is. It comes back, reads the log from the last
/// message that it has got, and has missed nothing.
#[test]
fn a_slow_subscriber_is_let_go_and_catches_up_from_the_log() {
    for limit in ["client-output-buffer-limit 'pubsub 2mb 0 0'", "maxmemory-clients 4mb"] {
        let server = Server::start(Options::new());
        let mut client = server.client();
        let mut slow = server.client();
        let id = slow.int("CLIENT ID");
        slow.run("SUBSCRIBE trades:S:trade.executed");
        client.run(large(0).as_str());
        let before = bytes(&server, "used_memory");
        client.run(format!("CONFIG SET {limit}").as_str());
        let mut published = 1;
        // The sockets between hold some megabytes themselves.
        wait_until("the subscriber to be let go", || {
            client.string(large(published).as_str());
            published += 1;
            !is_connected(&mut client, id)
        });
        assert!(published > 2_000_000 / EVENT_BYTES, "{limit}: {published}");
        let log = client.int("MEMORY USAGE trade:{S}:events SAMPLES 0");
        wait_until("its memory to be given back", || {
            bytes(&server, "used_memory") < before + u64::try_from(log).expect("bytes") + (1 << 20)
        });

        // What was on its way still comes: it is read until the connection ends.
        let mut seen = Vec::new();
        let mut last = "-".to_owned();
        while let Ok(Value::Array(message)) = slow.receive() {
            let [_, _, Value::BulkString(payload)] = message.as_slice() else { panic!("not a message: {message:?}") };
            let message: serde_json::Value = serde_json::from_slice(payload).expect("JSON");
            seen.push(message["data"]["n"].as_u64().expect("a number"));
            last = format!("({}", message["id"].as_str().expect("an id"));
        }
        assert!(seen.len() < published, "{limit}: it has missed something");
        let mut subscriber = server.subscribe("SUBSCRIBE trades:S:trade.executed");
        loop {
            let (found, to) = numbers(&client.run(["XRANGE", "trade:{S}:events", &last, "+", "COUNT", "20"]));
            let Some(to) = to else { break };
            seen.extend(found);
            last = format!("({to}");
        }
        assert_eq!(seen, (0..published as u64).collect::<Vec<_>>(), "{limit}");
        client.run(large(published).as_str());
        let message = subscriber.take(1).remove(0).json();
        assert_eq!(format!("({}", message["prev_id"].as_str().expect("an id")), last, "{limit}");
    }
}

/// Above the limit of all clients' memory the largest goes, and no other: one that waits for work is small.
#[test]
fn a_worker_that_waits_outlives_one_that_does_not_read() {
    let server = Server::start(Options::new().module_args("consumer-groups workers"));
    let mut client = server.client();
    for number in 0..60 {
        client.run(large(number).as_str());
    }
    client.run("XREADGROUP GROUP workers w STREAMS trade:{S}:events >");
    let mut worker = server.client();
    let worker_id = worker.int("CLIENT ID");
    worker.send("XREADGROUP GROUP workers w BLOCK 0 STREAMS trade:{S}:events >");
    wait_until("the worker to wait", || server.info("clients", "blocked_clients").as_deref() == Some("1"));
    client.run("CONFIG SET maxmemory-clients 4mb");
    let mut slow = server.client();
    let slow_id = slow.int("CLIENT ID");
    // More than the sockets between hold.
    let all = "local all = {} for i = 1, 40 do all[i] = redis.call('TRADE.EVENTS', KEYS[1], '-', '+') end return all";
    slow.send(["EVAL", all, "1", "S"]);
    wait_until("the one that does not read to be let go", || !is_connected(&mut client, slow_id));
    assert!(is_connected(&mut client, worker_id));
    client.run(large(60).as_str());
    let work = text(&worker.receive().expect("work"));
    assert!(work.contains(r#"{\"n\":60,"#), "{}", &work[..200]);
}

/// It is let go, comes back by itself, and has the same data; messages that were sent meanwhile are in the log only.
#[test]
fn a_slow_replica_is_let_go_and_comes_back() {
    let limits = Options::new().config("client-output-buffer-limit replica 1mb 0 0").config("repl-backlog-size 16kb");
    let master = Server::start(limits.config("repl-timeout 3600"));
    let replica = Server::start(Options::new().replica_of(&master));
    let mut client = master.client();
    run_course(&mut client);
    let syncs = |server: &Server| server.info("stats", "sync_full");
    let before = syncs(&master);
    let mut published = 0;
    replica.freeze();
    wait_until("the replica to be let go", || {
        for _ in 0..200 {
            client.string(large(published).as_str());
            published += 1;
        }
        master.log().contains("output buffer limits")
    });
    replica.thaw();
    wait_until("the replica to come back", || syncs(&master) != before);
    client.run("TRADE.PUBLISH S trade.executed {}");
    replica.catch_up_with(&master);
    assert_eq!(replica.digest(), master.digest());
    for command in READS {
        replica.client().run(*command);
    }
}

/// What the module does by itself, as closing bars, needs no connection.
#[test]
fn the_clock_closes_bars_when_no_more_clients_are_let_in() {
    let server = Server::start(Options::new().module_args("bar-grace 3600000"));
    let mut client = server.client();
    client.run("COND.REGISTER S 1s 'close > 1' ID c");
    client.run("MARKET.TICK S 2 1");
    let connected = client.string("CLIENT LIST").lines().count();
    client.run(["CONFIG", "SET", "maxclients", &connected.to_string(), "tradebus.bar-grace", "0"]);
    let refused = Client::connect(server.port(), Client::settings(redis::ProtocolVersion::RESP2))
        .and_then(|mut client| client.try_reply("PING"));
    assert!(!matches!(refused, Ok(Value::SimpleString(_))), "{refused:?}");
    wait_until("the bar to be closed", || client.int("XLEN market:{S}:1s") == 1);
    client.run("CONFIG SET maxclients 100");
}

/// A command that is longer than the server takes ends its connection before the module hears of it, and nothing else.
#[test]
fn a_command_over_the_protocols_limits_ends_its_connection() {
    for (limit, data) in [("proto-max-bulk-len 1mb", 1_100_000), ("client-query-buffer-limit 1mb", 3_000_000)] {
        let server = Server::start(Options::new().config(limit).module_args("max-event-size 16mb"));
        let mut client = server.client();
        let publish = |size: usize| {
            let data = format!(r#"{{"note":"{}"}}"#, "x".repeat(size));
            ["TRADE.PUBLISH".to_owned(), "S".to_owned(), "trade.executed".to_owned(), data]
        };
        client.run(publish(900_000));
        assert!(!matches!(client.try_reply(publish(data)), Ok(Value::BulkString(_))), "{limit}");
        let mut client = server.client();
        assert_eq!(client.int("XLEN trade:{S}:events"), 1, "{limit}");
        // Replies have no such limit.
        for number in 0..4 {
            client.run(publish(900_000 + number));
        }
        assert!(client.text("TRADE.EVENTS S - +").len() > 4_000_000, "{limit}");
    }
}
