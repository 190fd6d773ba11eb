//! Events of streams: what one changes and replies, what is refused, and that the newest of each type is never lost.

use std::collections::BTreeMap;

use redis::Value;

use crate::support::{text, Client, Options, Server, Stop};
use crate::twin::{ms_of, shown, Pair};

#[test]
fn one_event_is_logged_summed_up_and_published() {
    let mut pair = Pair::start(Options::new());
    let first = pair.client.string(
        r#"EVENT.PUBLISH policy POLICY.updated '{"mode": "SAFE"}' ID e-1 SOURCE desk CORRELATION day TIMESTAMP 2025-11-17T18:00:00Z"#,
    );
    let effects: Vec<_> = pair.effects().iter().map(|effect| shown(effect)).collect();
    let labels = "source desk correlation_id day event_id e-1";
    let retained = labels.split(' ').collect::<Vec<_>>();
    let retained = retained.chunks(2).map(|pair| format!(" policy.updated:{} {}", pair[0], pair[1])).rev();
    let mut fields: Vec<String> = retained.collect();
    fields.extend([
        format!(" :log_id {first}"),
        format!(" :seen 0:1:{}:600000", ms_of(&first)),
        " :types 1".to_owned(),
        format!(" policy.updated {first}+1"),
        " policy.updated:data {\"mode\":+\"SAFE\"}".to_owned(),
        format!(" policy.updated:id {first}"),
        " policy.updated:ts 1763402400000".to_owned(),
    ]);
    fields.sort();
    let expires = ms_of(&first) + 1_200_000;
    let expected = [
        format!(
            "XADD events:{{policy}} {first} type policy.updated data {{\"mode\": \"SAFE\"}} ts 1763402400000 {labels}"
        ),
        format!("HSET events:{{policy}}:seen:0 e-1 {first}"),
        format!("HSET events:{{policy}}:last{}", fields.concat()),
        format!("PEXPIREAT events:{{policy}}:seen:0 {expires}"),
    ];
    assert_eq!(effects, expected);
    let message = pair.messages.until_now().remove(0);
    assert_eq!(message.channel, "events:policy:policy.updated");
    let (head, tail) = message.payload.split_once(r#""published_at":""#).expect("a time");
    assert_eq!(
        head,
        format!(
            r#"{{"id":"{first}","prev_id":"0-0","prev_log_id":"0-0","event_type":"policy.updated","stream":"policy","timestamp":"2025-11-17T18:00:00.000Z","#
        )
    );
    let (_, tail) = tail.split_once("\",").expect("the end of the time");
    assert_eq!(tail, r#""data":{"mode": "SAFE"},"source":"desk","correlation_id":"day","event_id":"e-1"}"#);

    // What the newest event has not, is not kept of the one before it.
    let second = pair.client.string("EVENT.PUBLISH policy policy.updated {}");
    let effects: Vec<_> = pair.effects().iter().map(|effect| shown(effect)).collect();
    let ms = ms_of(&second);
    let expected = [
        format!("XADD events:{{policy}} {second} type policy.updated data {{}} ts {ms}"),
        format!(
            "HSET events:{{policy}}:last :log_id {second} policy.updated {second}+2 policy.updated:data {{}} \
             policy.updated:id {second} policy.updated:ts {ms}"
        ),
    ];
    assert_eq!(effects[..2], expected);
    let mut dropped: Vec<_> = effects[2].split(' ').collect();
    dropped.sort_unstable();
    let prefix = |field| format!("policy.updated:{field}");
    let names = ["correlation_id", "event_id", "source"].map(prefix);
    assert_eq!(dropped[..2], ["HDEL", "events:{policy}:last"]);
    assert!(dropped[2..].iter().eq(names.iter()), "{dropped:?}");
    let told = pair.messages.until_now().remove(0).json();
    assert_eq!((&told["prev_id"], &told["prev_log_id"]), (&first.as_str().into(), &first.as_str().into()));
}

#[test]
fn the_reply_tells_what_became_of_it() {
    let server = Server::start(Options::new());
    let _heard = server.subscribe("SUBSCRIBE events:s:a");
    let mut client = server.client();
    let id = client.string("event.publish s a {} id 1");
    assert_eq!(client.text("EVENT.PUBLISH s a {} ID 1"), format!("\"{id}\""));
    assert_eq!(
        client.text("EVENT.PUBLISH s a {} ID 1 FULL"),
        format!("[\"id\", \"{id}\", \"duplicate\", 1, \"receivers\", 0]")
    );
    let mut resp3 = server.client_resp3();
    let full = resp3.text("EVENT.PUBLISH s a {} FULL ID 2");
    let id = resp3.text("EVENT.PUBLISH s a {} ID 2");
    assert_eq!(full, format!("{{\"id\": {id}, \"duplicate\": 0, \"receivers\": 1}}"));
}

#[test]
fn what_is_refused_leaves_no_trace() {
    let mut pair = Pair::start(Options::new());
    pair.client.run("EVENT.PUBLISH s a '{\"x\":1}' ID known");
    pair.effects();
    pair.messages.until_now();
    let big = format!(r#"{{"x":"{}"}}"#, "x".repeat(65_536));
    let long = "t".repeat(65);
    let rows: [(&str, &[&str]); 17] = [
        ("BADSYMBOL", &["a b", "a", "{}"]),
        ("BADEVENT", &["s", "9a", "{}"]),
        ("BADEVENT", &["s", "a-b", "{}"]),
        ("BADEVENT", &["s", &long, "{}"]),
        ("BADJSON", &["s", "a", "[]"]),
        ("BADJSON", &["s", "a", r#"{"x":1,"x":2}"#]),
        ("TOOBIG", &["s", "a", &big]),
        ("IDCONFLICT", &["s", "a", "{}", "ID", "known"]),
        ("IDCONFLICT", &["s", "b", r#"{"x":1}"#, "ID", "known"]),
        ("BADFIELD", &["s", "a", "{}", "ID", ""]),
        ("BADFIELD", &["s", "a", "{}", "TIMESTAMP", "soon"]),
        ("BADFIELD", &["s", "a", "{}", "SOURCE", "a\nb"]),
        ("ERR", &["s", "a", "{}", "ID"]),
        ("ERR", &["s", "a", "{}", "ID", "1", "ID", "2"]),
        ("ERR", &["s", "a", "{}", "FULL", "FULL"]),
        ("ERR", &["s", "a", "{}", "EXPECT", "1"]),
        ("ERR", &["s", "a"]),
    ];
    for (code, arguments) in rows {
        let command: Vec<&str> = std::iter::once("EVENT.PUBLISH").chain(arguments.iter().copied()).collect();
        let error = pair.client.error(&command);
        assert!(error.starts_with(&format!("{code} ")), "{command:?}: {error}");
        assert_eq!(pair.effects(), Vec::<Vec<String>>::new(), "{command:?}");
        pair.messages.assert_silent();
    }
    for (command, code) in [
        ("EVENT.LAST s 9a", "BADEVENT"),
        ("EVENT.LAST 'a b'", "BADSYMBOL"),
        ("EVENT.LAST s a b", "ERR"),
        ("EVENT.STATS '{'", "BADSYMBOL"),
    ] {
        let error = pair.client.error(command);
        assert!(error.starts_with(&format!("{code} ")), "{command}: {error}");
    }
}

/// An event: its id and its fields.
type Event<'e> = (&'e str, &'e [(&'e str, &'e str)]);

/// EVENT.LAST of a type (`expected` has one event, or none) or of all, in both protocols.
#[track_caller]
fn assert_last(server: &Server, arguments: &str, expected: &[Event<'_>]) {
    for (mut client, [open, to, close]) in
        [(server.client(), ["[", ", ", "]"]), (server.client_resp3(), ["{", ": ", "}"])]
    {
        let field = |(name, value): &(&str, &str)| format!("\"{name}\"{to}\"{}\"", value.escape_default());
        let event = |(id, fields): &Event<'_>| {
            format!("[\"{id}\", {open}{}{close}]", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        };
        let events = expected.iter().map(event).collect::<Vec<_>>().join(", ");
        let is_of_one = arguments.contains(' ');
        let wanted = match (is_of_one, events.as_str()) {
            (true, "") => "nil".to_owned(),
            (true, event) => event.to_owned(),
            (false, events) => format!("[{events}]"),
        };
        assert_eq!(client.text(format!("EVENT.LAST {arguments}")), wanted);
    }
}

/// The log keeps one entry, and so the newest of one type.
#[test]
fn the_newest_of_each_type_outlives_its_entry() {
    let options = || Options::new().module_args("stream-maxlen 1").config("stream-node-max-entries 1").append_only();
    let mut server = Server::start(options());
    let replica = Server::start(Options::new().replica_of(&server));
    let mut client = server.client();
    assert_last(&server, "s", &[]);
    assert_last(&server, "s rare", &[]);
    let rare = client.string("EVENT.PUBLISH s rare.event {} ID r SOURCE desk TIMESTAMP 5");
    let mut newest = String::new();
    for n in 0..50 {
        newest = client.string(format!("EVENT.PUBLISH s often '{{\"n\":{n}}}'"));
    }
    assert_eq!(client.int("XLEN events:{s}"), 1);
    let ms = ms_of(&newest).to_string();
    let often: &[(&str, &str)] = &[("type", "often"), ("data", r#"{"n":49}"#), ("ts", &ms)];
    let retained: &[(&str, &str)] =
        &[("type", "rare.event"), ("data", "{}"), ("ts", "5"), ("source", "desk"), ("event_id", "r")];
    let check = |server: &Server| {
        assert_last(server, "s RARE.event", &[(&rare, retained)]);
        assert_last(server, "s often", &[(&newest, often)]);
        assert_last(server, "s", &[(&newest, often), (&rare, retained)]);
        assert_last(server, "s nothing", &[]);
        assert_last(server, "other", &[]);
    };
    check(&server);
    replica.catch_up_with(&server);
    check(&replica);
    server.restart(Stop::Kill, options());
    check(&server);
    // Even without any entry.
    server.client().run("XTRIM events:{s} MAXLEN 0");
    check(&server);
    // A summary that was removed leaves what the log has.
    server.client().run("DEL events:{s}:last");
    assert_last(&server, "s", &[]);
}

#[test]
fn the_newest_of_all_types_is_a_bounded_reply() {
    let server = Server::start(Options::new().module_args("max-event-size 4mb"));
    let mut client = server.client();
    let data = format!(r#"{{"x":"{}"}}"#, "x".repeat(3_000_000));
    client.run(["EVENT.PUBLISH", "s", "a", &data]);
    assert!(client.text("EVENT.LAST s").contains(&data[..100].replace('"', "\\\"")));
    client.run(["EVENT.PUBLISH", "s", "b", &data]);
    let error = client.error("EVENT.LAST s");
    assert!(error.starts_with("TOOBIG ") && error.contains("one type"), "{error}");
    assert!(client.text("EVENT.LAST s a").len() > 3_000_000);
}

#[test]
fn entries_of_other_writers_are_taken_as_they_are() {
    let server = Server::start(Options::new());
    let mut messages = server.subscribe("SUBSCRIBE events:s:a");
    let mut client = server.client();
    let own = client.string("EVENT.PUBLISH s a {}");
    let foreign = client.string("XADD events:{s} * type a data '{\"by\":\"hand\"}' note mine");
    let map = client.text("EVENT.LAST s a");
    assert!(map.contains(&foreign) && map.contains("by") && !map.contains("note"), "{map}");
    // The chain goes on behind it.
    client.run("EVENT.PUBLISH s a {}");
    let told = messages.until_now().pop().expect("a message").json();
    assert_eq!(told["prev_id"], foreign.as_str());
    assert_ne!(told["prev_id"], own.as_str());
    // One that is none of ours is named, and can be removed.
    let foreign = client.string("XADD events:{s} * temperature 21");
    for command in ["EVENT.PUBLISH s a {}", "EVENT.LAST s a", "EVENT.LAST s", "EVENT.STATS s"] {
        let error = client.error(command);
        assert!(error.starts_with("CORRUPT ") && error.contains(&foreign), "{command}: {error}");
    }
    client.run(["XDEL", "events:{s}", &foreign]);
    client.run("EVENT.PUBLISH s a {}");
    for key in ["events:{w}", "events:{w}:last"] {
        client.run(["SET", key, "1"]);
        for command in ["EVENT.PUBLISH w a {}", "EVENT.LAST w a", "EVENT.LAST w", "EVENT.STATS w"] {
            let error = client.error(command);
            assert!(error.starts_with("WRONGTYPE ") && error.contains(key), "{key}: {command}: {error}");
        }
        client.run(["DEL", key]);
    }
}

#[test]
fn events_go_through_transactions_and_scripts() {
    let mut pair = Pair::start(Options::new());
    let mut watching = pair.connect();
    watching.run("WATCH events:{s}");
    let client = &mut pair.client;
    client.run("MULTI");
    for command in
        ["EVENT.PUBLISH s a {} ID 1", "EVENT.PUBLISH s a [] ID 2", "EVENT.PUBLISH s a {} ID 1", "EVENT.LAST s a"]
    {
        assert_eq!(client.text(command), "QUEUED");
    }
    let Value::Array(replies) = client.run("EXEC") else { panic!("EXEC replies an array") };
    assert_eq!(text(&replies[0]), text(&replies[2]), "a repeat within the transaction");
    assert!(text(&replies[1]).starts_with("(error) BADJSON"), "{}", text(&replies[1]));
    assert!(text(&replies[3]).contains(text(&replies[0]).trim_matches('"')), "{}", text(&replies[3]));
    pair.effects();
    let script = "redis.call('EVENT.PUBLISH', KEYS[1], 'b', '{}') return redis.call('EVENT.LAST', KEYS[1], 'b')";
    let last = pair.client.text(["EVAL", script, "1", "s"]);
    assert!(last.contains("\"type\", \"b\""), "{last}");
    pair.effects();
    assert_eq!(pair.messages.until_now().len(), 2);
    watching.run("MULTI");
    watching.run("PING");
    assert_eq!(text(&watching.run("EXEC")), "nil", "the log was watched");
}

/// The ids that are remembered, by bucket.
fn buckets(client: &mut Client, pattern: &str) -> BTreeMap<String, i64> {
    let Value::Array(keys) = client.run(["KEYS", pattern]) else { panic!("KEYS replies an array") };
    let keys = keys.iter().map(|key| text(key).trim_matches('"').to_owned());
    keys.map(|key| (key.clone(), client.int(["HLEN", &key]))).collect()
}

/// Ten times as many ids as may be remembered, one at a time as publishers send them.
#[test]
fn a_flood_of_ids_stays_within_its_bounds() {
    const MAX: i64 = 4_000;
    const ROUNDS: usize = 20;
    const EACH: usize = 2_000;
    let server = Server::start(Options::new().module_args(&format!("dedupe-max {MAX} stream-maxlen 1000")));
    let mut client = server.client();
    for (command, pattern) in
        [("EVENT.PUBLISH s a", "events:{s}:seen:*"), ("TRADE.PUBLISH S trade.executed", "trade:{S}:seen:*")]
    {
        let mut first = BTreeMap::new();
        let mut last = BTreeMap::new();
        for round in 0..ROUNDS {
            for n in 0..EACH {
                client.send(format!("{command} {{}} ID {round}-{n}"));
            }
            for n in 0..EACH {
                let reply = client.receive().expect("a reply");
                assert!(matches!(reply, Value::BulkString(_)), "{round}-{n}: {}", text(&reply));
            }
            last = buckets(&mut client, pattern);
            let remembered: i64 = last.values().sum();
            let told = i64::try_from((round + 1) * EACH).expect("a count");
            assert!((told.min(MAX / 4)..=MAX).contains(&remembered), "{remembered} of {told}: {last:?}");
            assert!(last.len() <= 64, "{last:?}");
            if round == 0 {
                first = last.clone();
            }
            let again = client.map(format!("{command} {{}} ID {round}-{} FULL", EACH - 1));
            assert_eq!(again["duplicate"], "1", "the newest are remembered");
        }
        assert!(first.keys().all(|bucket| !last.contains_key(bucket)), "{first:?} {last:?}");
        assert!(last.keys().all(|bucket| client.int(["PTTL", bucket]) > 0), "{last:?}");
    }
    let forgotten: i64 =
        server.info("tradebus", "tradebus_dedupe_forgotten").expect("a counter").parse().expect("a number");
    let told = i64::try_from(2 * ROUNDS * EACH).expect("a count");
    assert!((told - 2 * MAX..told).contains(&forgotten), "{forgotten} of {told}");
}
