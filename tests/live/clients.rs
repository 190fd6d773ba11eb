//! The ways in which clients use a server: transactions, scripts, WATCH, tracking, blocking reads, both
//! protocols. A command of ours is one more command to all of them.

use redis::Value;

use crate::support::{text, wait_until, Client, Options, Server};

const CREATE: &str = r#"TRADE.PUBLISH XAUUSD order.created '{"order_id":"1","volume":1}'"#;
const ORDER: &str = "trade:{XAUUSD}:order:1";

/// Several publishes are one step, for replicas too, however they come together.
#[test]
fn publishes_together_are_one_transaction() {
    // The bodies of the scripts, with the same two publishes.
    const CALLS: &str = r#"
        local id = redis.call('TRADE.PUBLISH', KEYS[1], 'order.created', '{"order_id":"1","volume":1}')
        redis.call('TRADE.PUBLISH', KEYS[1], 'order.cancelled', '{"order_id":"1"}', 'ID', id)
        return id"#;
    let run = |client: &mut Client, way: &str| match way {
        "MULTI" => {
            client.run("MULTI");
            assert_eq!(client.text(CREATE), "QUEUED");
            assert_eq!(client.text(r#"TRADE.PUBLISH XAUUSD order.cancelled '{"order_id":"1"}' ID x"#), "QUEUED");
            client.text("EXEC")
        }
        "EVAL" => client.text(["EVAL", CALLS, "1", "XAUUSD"]),
        _ => {
            let library = format!("#!lua name=lib\nredis.register_function('both', function(KEYS) {CALLS} end)");
            client.run(["FUNCTION", "LOAD", &library]);
            client.text("FCALL both 1 XAUUSD")
        }
    };
    for way in ["MULTI", "EVAL", "FCALL"] {
        let server = Server::start(Options::new());
        let replica = Server::start(Options::plain().replica_of(&server));
        let mut heard = replica.subscribe("PSUBSCRIBE trades:*");
        let mut monitor = replica.client();
        monitor.send("MONITOR");
        assert_eq!(text(&monitor.receive().expect("a reply")), "OK");
        let reply = run(&mut server.client(), way);
        assert!(!reply.contains("error"), "{way}: {reply}");
        replica.catch_up_with(&server);
        let messages: Vec<_> = heard.until_now().iter().map(|message| message.json()["version"].clone()).collect();
        assert_eq!(messages, [1, 2], "{way}");
        assert_eq!(server.digest(), replica.digest(), "{way}");
        // MONITOR shows what the master sends, in its order.
        replica.client().run("PING end");
        let mut commands = Vec::new();
        while commands.last().map(String::as_str) != Some("PING") {
            let line = text(&monitor.receive().expect("a line"));
            let command = line.split('"').nth(1).expect("a command").to_owned();
            if ["MULTI", "EXEC", "XADD", "PUBLISH", "PING"].contains(&command.as_str()) && !line.contains("sentinel") {
                commands.push(command);
            }
        }
        assert_eq!(commands, ["MULTI", "XADD", "PUBLISH", "XADD", "PUBLISH", "EXEC", "PING"], "{way}");
    }
}

#[test]
fn a_script_gets_refusals_as_errors() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    let script = "local e = redis.pcall('TRADE.PUBLISH', KEYS[1], 'order.created', '{}') return e.err";
    let error = client.string(["EVAL", script, "1", "XAUUSD"]);
    assert!(error.starts_with("MISSING "), "{error}");
    let script = script.replace("pcall", "call");
    assert!(client.error(["EVAL", &script, "1", "XAUUSD"]).starts_with("MISSING "));
    // In a transaction it refuses itself alone, as any command does.
    client.run("MULTI");
    client.run("TRADE.PUBLISH XAUUSD order.created {}");
    client.run(CREATE);
    let replies = client.text("EXEC");
    assert!(replies.starts_with("[(error) MISSING ") && replies.ends_with("-0\"]"), "{replies}");
}

/// What is watched or cached is touched by what changes it, and by nothing else.
#[test]
fn watch_and_tracking_see_what_changed() {
    const LOG: &str = "trade:{XAUUSD}:events";
    const KEYS: [&str; 3] = ["XAUUSD", LOG, ORDER];
    let cases: [(&str, &[&str]); 11] = [
        (r#"TRADE.PUBLISH XAUUSD order.modified '{"order_id":"1","price":1}'"#, &KEYS),
        (r#"TRADE.MPUBLISH XAUUSD 2 trade.executed {} order.modified '{"order_id":"1","price":2}'"#, &KEYS),
        ("TRADE.PUBLISH XAUUSD trade.executed {}", &["XAUUSD", LOG]),
        (r#"TRADE.PUBLISH XAUUSD order.modified '{"order_id":"2","price":1}'"#, &["XAUUSD", LOG]),
        ("TRADE.INSTRUMENT XAUUSD SET contract_size 100", &["XAUUSD"]),
        // The same again.
        ("TRADE.INSTRUMENT XAUUSD SET contract_size 100", &[]),
        ("TRADE.PUBLISH XAUUSD trade.executed {} ID known", &[]),
        (CREATE, &[]),
        (r#"TRADE.MPUBLISH XAUUSD 2 trade.executed {} order.modified '{"order_id":"1"}'"#, &[]),
        ("TRADE.PUBLISH XAGUSD trade.executed {}", &[]),
        ("TRADE.ORDER XAUUSD 1", &[]),
    ];
    let server = Server::start(Options::new());
    let (mut other, mut tracking) = (server.client(), server.client_resp3());
    other.run(CREATE);
    other.run("TRADE.PUBLISH XAUUSD trade.executed {} ID known");
    tracking.run("CLIENT TRACKING ON");
    for (command, touched) in cases {
        let mut watching = KEYS.map(|key| (key, server.client()));
        for (key, client) in &mut watching {
            client.run(["WATCH", key]);
            client.run("MULTI");
            client.run("PING");
            tracking.run(["EXISTS", key]);
        }
        other.text(command);
        for (key, mut client) in watching {
            let wanted = if touched.contains(&key) { "nil" } else { "[PONG]" };
            assert_eq!(client.text("EXEC"), wanted, "{command}: WATCH {key}");
        }
        // Invalidations, if there are any, come before the reply to what is sent after them.
        tracking.send("PING");
        let mut said = String::new();
        while !said.ends_with("PONG") {
            said += &text(&tracking.receive().expect("an invalidation or the reply"));
        }
        let announced: Vec<_> = KEYS.into_iter().filter(|key| said.contains(&format!("\"{key}\""))).collect();
        assert_eq!(announced, touched, "{command}: tracking: {said}");
    }
}

#[test]
fn a_publish_wakes_who_waits_for_the_log() {
    // On a log that is new, and on one that is there.
    for prepare in ["PING", "TRADE.PUBLISH S trade.failed '{\"reason\":\"r\"}'"] {
        let server = Server::start(Options::new());
        let mut client = server.client();
        client.run(prepare);
        client.run("XGROUP CREATE trade:{S}:events workers $ MKSTREAM");
        for publish in ["TRADE.PUBLISH S trade.executed {}", "TRADE.MPUBLISH S 2 trade.executed {} trade.executed {}"] {
            let (mut reader, mut worker) = (server.client(), server.client());
            reader.send("XREAD BLOCK 0 STREAMS trade:{S}:events $");
            worker.send("XREADGROUP GROUP workers me BLOCK 0 STREAMS trade:{S}:events >");
            wait_until("both to block", || client.string("INFO clients").contains("blocked_clients:2"));
            client.run(publish);
            for waiting in [&mut reader, &mut worker] {
                let woken = text(&waiting.receive().expect("a reply"));
                assert_eq!(woken.matches("trade.executed").count(), 1 + publish.matches(" 2 ").count(), "{woken}");
            }
        }
    }
}

#[test]
fn a_publish_wakes_who_waits_for_a_log_to_come() {
    let server = Server::start(Options::new());
    let (mut client, mut reader) = (server.client(), server.client());
    reader.send("XREAD BLOCK 0 STREAMS trade:{S}:events 0");
    wait_until("it to block", || client.string("INFO clients").contains("blocked_clients:1"));
    let id = client.string("TRADE.PUBLISH S trade.executed {}");
    assert!(text(&reader.receive().expect("a reply")).contains(&id));
}

/// `{}` in RESP3, the same flat in RESP2; a null of either kind for what is not known.
#[test]
fn both_protocols_have_the_replies_they_are_used_to() {
    let server = Server::start(Options::new());
    let (mut flat, mut maps) = (server.client(), server.client_resp3());
    flat.run(r#"TRADE.PUBLISH S order.created '{"order_id":"1","volume":1}'"#);
    flat.run(r#"TRADE.PUBLISH S order.created '{"order_id":"2","volume":1}'"#);
    flat.run(r#"TRADE.PUBLISH S position.opened '{"position_id":"1","direction":"BUY","entry_price":1,"volume":1}'"#);
    flat.run(r#"TRADE.PUBLISH S signal.generated '{"signal_id":"1"}'"#);
    flat.run("TRADE.PUBLISH S trade.executed {} ID known");
    let is_map = |value: &Value| matches!(value, Value::Map(pairs) if !pairs.is_empty());
    let is_flat = |value: &Value| matches!(value, Value::Array(items) if items.len() >= 8 && items.len() % 2 == 0);
    let flattened = |value: &Value| match value {
        Value::Map(pairs) => {
            Value::Array(pairs.iter().flat_map(|(name, value)| [name.clone(), value.clone()]).collect())
        }
        other => panic!("not a map: {}", text(other)),
    };
    for command in [
        "TRADE.PUBLISH S trade.executed {} ID known FULL",
        "TRADE.PUBLISH S order.created '{\"order_id\":\"1\",\"volume\":1}' ID known FULL",
        "TRADE.ORDER S 1",
        "TRADE.POSITION S 1",
        "TRADE.SIGNAL S 1",
        "TRADE.INSTRUMENT S",
    ] {
        if command.contains("order.created") {
            assert_eq!(flat.text(command), maps.text(command), "errors are errors");
            continue;
        }
        let (map, list) = (maps.run(command), flat.run(command));
        assert!(is_map(&map), "{command}: {}", text(&map));
        assert!(is_flat(&list), "{command}: {}", text(&list));
        assert_eq!(flattened(&map), list, "{command}");
    }
    for (command, count) in [("TRADE.ORDERS S", 2), ("TRADE.POSITIONS S", 1)] {
        let (Value::Array(in_maps), Value::Array(in_lists)) = (maps.run(command), flat.run(command)) else {
            panic!("{command} replies an array");
        };
        assert_eq!((in_maps.len(), in_lists.len()), (count, count), "{command}");
        assert!(in_maps.iter().all(is_map) && in_lists.iter().all(is_flat), "{command}");
        assert_eq!(in_maps.iter().map(flattened).collect::<Vec<_>>(), in_lists, "{command}");
    }
    for (command, unknown) in [
        ("TRADE.ORDER S unknown", "nil"),
        ("TRADE.POSITION S unknown", "nil"),
        ("TRADE.SIGNAL S unknown", "nil"),
        ("TRADE.ORDERS unknown", "[]"),
        ("TRADE.POSITIONS unknown", "[]"),
        ("TRADE.ORDERS S OFFSET 2", "[]"),
        ("TRADE.ORDERS S COUNT 0", "[]"),
    ] {
        assert_eq!([flat.text(command), maps.text(command)], [unknown, unknown], "{command}");
    }
    // Without an entity there is neither status nor version.
    for client in [&mut flat, &mut maps] {
        let full = client.map("TRADE.PUBLISH S trade.executed {} FULL");
        assert_eq!([&full["status"], &full["version"]], ["nil", "nil"]);
    }
}

#[test]
fn other_databases_are_opened_by_setting_only() {
    const COMMANDS: [&str; 4] = [
        "TRADE.PUBLISH S trade.executed {}",
        "TRADE.MPUBLISH S 1 trade.executed {}",
        "TRADE.ORDER S 1",
        "TRADE.INSTRUMENT S",
    ];
    let server = Server::start(Options::new());
    let replica = Server::start(Options::plain().replica_of(&server));
    let mut client = server.client();
    let first = client.string("TRADE.PUBLISH S trade.executed {}");
    client.run("SELECT 1");
    for command in COMMANDS {
        let error = client.error(command);
        assert!(error.starts_with("ERR ") && error.contains("any-db"), "{command}: {error}");
    }
    assert_eq!(client.int("DBSIZE"), 0);
    client.run("CONFIG SET tradebus.any-db yes");
    // Each database has a log of its own, whatever is remembered of the other.
    let mut messages = server.subscribe("PSUBSCRIBE trades:*");
    for (database, prev) in [("1", "0-0"), ("0", first.as_str())] {
        client.run(["SELECT", database]);
        client.run(COMMANDS[0]);
        assert_eq!(messages.take(1)[0].json()["prev_log_id"], prev, "database {database}");
        for command in COMMANDS {
            client.run(command);
        }
        messages.until_now();
    }
    replica.catch_up_with(&server);
    assert_eq!(replica.digest(), server.digest());
}
