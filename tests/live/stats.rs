//! TRADE.STATS and EVENT.STATS: what they count, where they find it, and that asking changes nothing.

use std::collections::BTreeMap;

use crate::support::{Client, Options, Server, Stop};
use crate::twin::Pair;

/// The reply by name, but for the bytes, which are the allocator's matter.
fn stats(client: &mut Client, command: &str) -> BTreeMap<String, String> {
    let mut stats = client.map(command);
    let bytes: i64 = stats.remove("log_bytes").expect("log_bytes").parse().expect("a number");
    assert_eq!(bytes > 0, stats["log_length"] != "0", "{bytes}: {stats:?}");
    stats
}

#[track_caller]
fn assert_stats(client: &mut Client, command: &str, expected: &[(&str, &str)]) {
    let stats = stats(client, command);
    for (name, value) in expected {
        assert_eq!(&stats[*name], value, "{command}: {name} of {stats:?}");
    }
}

#[test]
fn what_never_was_has_zeros() {
    let server = Server::start(Options::new());
    let log = r#""log_length", 0, "first_id", nil, "last_id", nil, "log_bytes", 0"#;
    let symbol = r#""open_orders", 0, "active_positions", 0, "realized_pnl", "0", "reported_pnl", "0""#;
    let stream = format!(r#"["events", 0, "events_by_type", [], {log}, "groups", [], "dead_letters", 0]"#);
    let trade = format!(r#"["events", 0, "events_by_type", [], {log}, {symbol}, "groups", [], "dead_letters", 0]"#);
    assert_eq!(server.client().text("EVENT.STATS s"), stream);
    assert_eq!(server.client().text("TRADE.STATS S"), trade);
    let map = server.client_resp3().text("TRADE.STATS S");
    assert!(map.starts_with(r#"{"events": 0, "events_by_type": {}, "log_length": 0, "#), "{map}");
    assert_eq!(server.client().int("DBSIZE"), 0);
}

/// A symbol with everything that is told of one.
fn fill(client: &mut Client) -> Vec<String> {
    [
        r#"order.created '{"order_id":"1","volume":2}'"#,
        r#"order.created '{"order_id":"2","volume":2}'"#,
        r#"order.created '{"order_id":"3","volume":2}' ID once"#,
        r#"order.created '{"order_id":"3","volume":2}' ID once"#,
        r#"order.filled '{"order_id":"2","price":10}'"#,
        r#"position.opened '{"position_id":"p","direction":"LONG","entry_price":10,"volume":2}'"#,
        r#"position.opened '{"position_id":"q","direction":"LONG","entry_price":10,"volume":2}'"#,
        r#"position.closed '{"position_id":"p","exit_price":"10.25","pnl":"0.45"}'"#,
    ]
    .map(|event| client.string(format!("TRADE.PUBLISH S {event}")))
    .into()
}

#[test]
fn a_symbol_in_numbers() {
    let server = Server::start(Options::new().module_args("consumer-groups risk"));
    let mut client = server.client();
    let ids = fill(&mut client);
    client.run("XADD trade:{S}:dead * note 1");
    client.run("XREADGROUP GROUP risk alice COUNT 3 STREAMS trade:{S}:events >");
    client.run("XREADGROUP GROUP risk bob COUNT 1 STREAMS trade:{S}:events >");
    client.run(["XACK", "trade:{S}:events", "risk", &ids[0]]);
    client.run("XGROUP CREATE trade:{S}:events audit $");
    let by_type = r#"["order.created", 3, "order.filled", 1, "position.opened", 2, "position.closed", 1]"#;
    let groups = r#"[["name", "audit", "consumers", 0, "pending", 0, "lag", 0], ["name", "risk", "consumers", 2, "pending", 3, "lag", 3]]"#;
    let last = ids.last().expect("ids").as_str();
    let expected = [
        ("events", "7"),
        ("events_by_type", by_type),
        ("log_length", "7"),
        ("first_id", &ids[0]),
        ("last_id", last),
        ("open_orders", "2"),
        ("active_positions", "1"),
        ("realized_pnl", "0.5"),
        ("reported_pnl", "0.45"),
        ("groups", groups),
        ("dead_letters", "1"),
    ];
    assert_stats(&mut client, "TRADE.STATS S", &expected);
    assert_eq!(stats(&mut client, "TRADE.STATS S").len(), expected.len());
    let map = server.client_resp3().text("TRADE.STATS S");
    assert!(map.contains(r#""groups": [{"name": "audit", "consumers": 0, "pending": 0, "lag": 0}, {"#), "{map}");
    assert!(map.contains(r#""events_by_type": {"order.created": 3, "#), "{map}");

    // What is gone from the log was there.
    client.run("XTRIM trade:{S}:events MAXLEN 2");
    assert_stats(&mut client, "TRADE.STATS S", &[("events", "7"), ("log_length", "2"), ("first_id", &ids[6])]);
    client.run(["XDEL", "trade:{S}:events", last]);
    assert_stats(&mut client, "TRADE.STATS S", &[("log_length", "1"), ("last_id", last)]);
    client.run("XTRIM trade:{S}:events MAXLEN 0");
    let empty = [("events", "7"), ("log_length", "0"), ("first_id", "nil"), ("last_id", last)];
    for (name, value) in empty {
        assert_eq!(client.map("TRADE.STATS S")[name], value);
    }
}

/// The server cannot tell the lag of a group whose unread entries have holes.
#[test]
fn a_lag_that_nobody_knows_is_nil() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    let ids: Vec<_> = (0..5).map(|_| client.string("EVENT.PUBLISH s a {}")).collect();
    client.run(["XGROUP", "CREATE", "events:{s}", "g", &ids[1]]);
    client.run(["XDEL", "events:{s}", &ids[3]]);
    let groups = r#"[["name", "g", "consumers", 0, "pending", 0, "lag", nil]]"#;
    assert_stats(&mut client, "EVENT.STATS s", &[("groups", groups), ("events", "5"), ("log_length", "4")]);
}

#[test]
fn a_stream_in_numbers() {
    let server = Server::start(Options::new().module_args("stream-maxlen 1").config("stream-node-max-entries 1"));
    let mut client = server.client();
    let mut last = String::new();
    for event_type in ["b", "a.b", "b", "b"] {
        last = client.string(format!("EVENT.PUBLISH s {event_type} '{{\"x\":1}}' SOURCE a CORRELATION b"));
    }
    client.run("XADD events:{s}:dead * note 1");
    client.run("XADD events:{s}:dead * note 2");
    let expected = [
        ("events", "4"),
        ("events_by_type", r#"["a.b", 1, "b", 3]"#),
        ("log_length", "1"),
        ("first_id", last.as_str()),
        ("last_id", &last),
        ("groups", "[]"),
        ("dead_letters", "2"),
    ];
    assert_stats(&mut client, "EVENT.STATS s", &expected);
    assert_eq!(stats(&mut client, "EVENT.STATS s").len(), expected.len());
    // Entries that somebody else has added count, too.
    client.run("XADD events:{s} * type c data {}");
    let by_hand = client.string("XADD events:{s} * type b data {}");
    let by_type = r#"["a.b", 1, "b", 4, "c", 1]"#;
    assert_stats(&mut client, "EVENT.STATS s", &[("events", "6"), ("events_by_type", by_type), ("last_id", &by_hand)]);
}

#[test]
fn asking_changes_nothing() {
    let mut pair = Pair::start(Options::new());
    for command in ["TRADE.PUBLISH S trade.executed {}", "EVENT.PUBLISH s a {}"] {
        pair.client.run(command);
        pair.effects();
    }
    pair.messages.until_now();
    for command in ["TRADE.STATS S", "EVENT.STATS s", "TRADE.STATS none", "EVENT.STATS none", "EVENT.LAST s"] {
        pair.client.run(command);
        assert_eq!(pair.effects(), Vec::<Vec<String>>::new(), "{command}");
        pair.messages.assert_silent();
    }
}

/// The summary lags behind the log, so all but the server that wrote it have to read on from there.
#[test]
fn a_replica_and_a_restarted_server_know_the_same() {
    let options = || Options::new().append_only();
    let mut server = Server::start(options());
    let replica = Server::start(Options::new().replica_of(&server));
    let mut client = server.client();
    fill(&mut client);
    for n in 0..40 {
        client.run(format!("TRADE.PUBLISH S trade.executed {{}} ID t-{n}"));
        client.run(format!("EVENT.PUBLISH S a.{} {{}}", n % 7));
    }
    let commands = ["TRADE.STATS S", "EVENT.STATS S"];
    let known = commands.map(|command| stats(&mut client, command));
    assert_eq!(known[0]["events"], "47");
    replica.catch_up_with(&server);
    assert_eq!(commands.map(|command| stats(&mut replica.client(), command)), known, "the replica");
    server.restart(Stop::Kill, options());
    assert_eq!(commands.map(|command| stats(&mut server.client(), command)), known, "after a restart");
}

#[test]
fn without_a_summary_the_newest_entries_are_counted() {
    const BATCH: usize = 1_000;
    let options = || Options::new().append_only();
    let mut server = Server::start(options());
    let mut client = server.client();
    for _ in 0..12 {
        client.run(format!("TRADE.MPUBLISH S {BATCH} {}", "trade.executed {} ".repeat(BATCH)));
    }
    client.run("DEL trade:{S}:last");
    assert_stats(&mut client, "TRADE.STATS S", &[("events", "12000"), ("log_length", "12000")]);
    server.restart(Stop::Kill, options());
    assert_stats(&mut server.client(), "TRADE.STATS S", &[("events", "10000"), ("log_length", "12000")]);
}

#[test]
fn a_key_that_is_not_ours_is_named() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    let check = |client: &mut Client, key: &str, command: &str, code: &str| {
        let error = client.error(command);
        assert!(error.starts_with(code) && error.contains(key), "{key}: {command}: {error}");
    };
    for key in ["events", "last", "orders:open", "positions:active", "dead"] {
        let key = format!("trade:{{S}}:{key}");
        client.run(["SET", &key, "1"]);
        check(&mut client, &key, "TRADE.STATS S", "WRONGTYPE ");
        client.run(["DEL", &key]);
    }
    for key in ["events:{s}", "events:{s}:last", "events:{s}:dead"] {
        client.run(["SET", key, "1"]);
        check(&mut client, key, "EVENT.STATS s", "WRONGTYPE ");
        client.run(["DEL", key]);
    }
    client.run("EVENT.PUBLISH s a {}");
    client.run("HSET events:{s}:last b many");
    check(&mut client, "many", "EVENT.STATS s", "CORRUPT ");
    check(&mut client, "many", "EVENT.LAST s", "CORRUPT ");
    for command in ["TRADE.STATS", "TRADE.STATS a b", "EVENT.STATS", "EVENT.STATS a b"] {
        assert!(client.error(command).starts_with("ERR "), "{command}");
    }
}
