//! The schemas of a stream: setting, showing and removing them, and what they refuse.

use redis::Value;

use crate::support::{text, Options, Server, Stop};
use crate::twin::{shown, Pair};

/// Data must have a price.
const PRICED: &str = r#"{"type":"object","required":["price"]}"#;

#[test]
fn a_schema_is_set_shown_listed_and_removed() {
    let server = Server::start(Options::new());
    for mut client in [server.client(), server.client_resp3()] {
        assert_eq!(client.text("EVENT.SCHEMA s LIST"), "[]");
        assert_eq!(client.text("EVENT.SCHEMA s GET quote"), "nil");
        assert_eq!(client.int("EVENT.SCHEMA s DEL quote"), 0);
        let spaced = PRICED.replace(',', " ,\n ");
        assert_eq!(client.text(["EVENT.SCHEMA", "s", "SET", "QUOTE", PRICED]), "OK");
        assert_eq!(client.text(["event.schema", "s", "set", "quote", &spaced]), "OK");
        assert_eq!(client.string("EVENT.SCHEMA s GET Quote"), spaced, "byte for byte");
        for event_type in ["a.b", "zz", "a"] {
            client.run(["EVENT.SCHEMA", "s", "SET", event_type, PRICED]);
        }
        assert_eq!(client.text("EVENT.SCHEMA s LIST"), r#"["a", "a.b", "quote", "zz"]"#);
        assert_eq!(client.text("EVENT.SCHEMA other LIST"), "[]");
        for event_type in ["a.b", "zz", "a", "QUOTE"] {
            assert_eq!(client.int(["EVENT.SCHEMA", "s", "DEL", event_type]), 1);
        }
        assert_eq!(client.int("EXISTS events:{s}:schema"), 0);
    }
}

/// What is set is what replicas and the AOF get, and no more than that.
#[test]
fn only_changes_are_effects() {
    let mut pair = Pair::start(Options::new());
    let mut check = |command: &[&str], expected: &[&str]| {
        pair.client.run(command);
        let effects: Vec<_> = pair.effects().iter().map(|effect| shown(effect)).collect();
        assert_eq!(effects, expected, "{command:?}");
        pair.messages.assert_silent();
    };
    let set = format!("HSET events:{{s}}:schema a {PRICED}");
    check(&["EVENT.SCHEMA", "s", "SET", "A", PRICED], &[&set]);
    check(&["EVENT.SCHEMA", "s", "SET", "a", PRICED], &[]);
    check(&["EVENT.SCHEMA", "s", "GET", "a"], &[]);
    check(&["EVENT.SCHEMA", "s", "LIST"], &[]);
    check(&["EVENT.SCHEMA", "s", "SET", "b", "{}"], &["HSET events:{s}:schema b {}"]);
    check(&["EVENT.SCHEMA", "s", "DEL", "a"], &["HDEL events:{s}:schema a"]);
    check(&["EVENT.SCHEMA", "s", "DEL", "a"], &[]);
    check(&["EVENT.SCHEMA", "s", "DEL", "b"], &["HDEL events:{s}:schema b"]);
}

#[test]
fn a_bad_schema_is_refused_and_changes_nothing() {
    let mut pair = Pair::start(Options::new().module_args("max-event-size 1024"));
    pair.client.run(["EVENT.SCHEMA", "s", "SET", "a", PRICED]);
    pair.effects();
    let big = format!(r#"{{"description":"{}"}}"#, "x".repeat(1_024));
    let rows: [(&[&str], &str); 12] = [
        (&["SET", "a", "[]"], "BADJSON"),
        (&["SET", "a", "{"], "BADJSON"),
        (&["SET", "a", r#"{"type":"price"}"#], "BADFIELD"),
        (&["SET", "a", r#"{"$ref":"https://example.com/schema.json"}"#], "BADFIELD"),
        (&["SET", "a", &big], "TOOBIG"),
        (&["SET", "a b", PRICED], "BADEVENT"),
        (&["GET", ""], "BADEVENT"),
        (&["SET", "a"], "ERR"),
        (&["SET", "a", PRICED, "b"], "ERR"),
        (&["DEL", "a", "b"], "ERR"),
        (&["LIST", "a"], "ERR"),
        (&["PUT", "a", PRICED], "ERR"),
    ];
    for (arguments, code) in rows {
        let command: Vec<_> = ["EVENT.SCHEMA", "s"].iter().chain(arguments).copied().collect();
        let error = pair.client.error(&command);
        assert!(error.starts_with(&format!("{code} ")), "{command:?}: {error}");
        assert_eq!(pair.effects(), Vec::<Vec<String>>::new(), "{command:?}");
    }
    assert_eq!(pair.client.string("EVENT.SCHEMA s GET a"), PRICED);
}

#[test]
fn data_that_does_not_fit_leaves_no_trace() {
    let mut pair = Pair::start(Options::new());
    pair.client.run(["EVENT.SCHEMA", "s", "SET", "quote", PRICED]);
    pair.effects();
    pair.client.run("EVENT.PUBLISH s quote '{\"price\":1}' ID first");
    pair.effects();
    pair.messages.until_now();
    for command in
        ["EVENT.PUBLISH s quote {}", "EVENT.PUBLISH s QUOTE '{\"prize\":1}' ID 1", "EVENT.PUBLISH s quote {} FULL"]
    {
        let error = pair.client.error(command);
        assert!(error.starts_with("SCHEMA ") && error.contains("price"), "{command}: {error}");
        assert_eq!(pair.effects(), Vec::<Vec<String>>::new(), "{command}");
        pair.messages.assert_silent();
    }
    // Neither other types nor other streams have it.
    for command in ["EVENT.PUBLISH s quote.other {}", "EVENT.PUBLISH t quote {}"] {
        pair.client.run(command);
        pair.effects();
    }
    assert_eq!(pair.client.int("EVENT.SCHEMA s DEL quote"), 1);
    pair.effects();
    pair.client.run("EVENT.PUBLISH s quote {} ID 1");
    pair.effects();
    assert_eq!(pair.messages.until_now().len(), 3);
}

#[test]
fn a_retry_is_answered_whatever_the_schema_says_now() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    let first = client.string("EVENT.PUBLISH s quote '{\"bid\":1}' ID e");
    client.run(["EVENT.SCHEMA", "s", "SET", "quote", PRICED]);
    assert_eq!(client.string("EVENT.PUBLISH s quote '{ \"bid\": 1 }' ID e"), first);
    assert!(client.error("EVENT.PUBLISH s quote '{\"bid\":2}' ID e").starts_with("IDCONFLICT "));
    assert!(client.error("EVENT.PUBLISH s quote '{\"bid\":1}' ID f").starts_with("SCHEMA "));
}

/// What counts is what the key holds, however it came there.
#[test]
fn the_stored_text_is_what_counts() {
    let stored = || Options::new().module_args("any-db yes").append_only();
    let mut server = Server::start(stored());
    let replica = Server::start(Options::new().replica_of(&server));
    let mut client = server.client();
    let accepts = |server: &Server| -> bool {
        let reply = server.client().text("EVENT.PUBLISH s quote {}");
        assert!(reply.starts_with('"') || reply.starts_with("(error) SCHEMA "), "{reply}");
        reply.starts_with('"')
    };
    assert!(accepts(&server));
    for (command, is_free) in [
        (vec!["EVENT.SCHEMA", "s", "SET", "quote", PRICED], false),
        (vec!["HDEL", "events:{s}:schema", "quote"], true),
        (vec!["HSET", "events:{s}:schema", "quote", PRICED], false),
        (vec!["HSET", "events:{s}:schema", "quote", "{}"], true),
        (vec!["EVENT.SCHEMA", "s", "SET", "quote", PRICED], false),
        (vec!["RENAME", "events:{s}:schema", "elsewhere"], true),
        (vec!["COPY", "elsewhere", "events:{s}:schema"], false),
        (vec!["FLUSHALL"], true),
        (vec!["EVENT.SCHEMA", "s", "SET", "quote", PRICED], false),
    ] {
        client.run(&command);
        assert_eq!(accepts(&server), is_free, "{command:?}");
    }
    // Another database has its own.
    client.run("SELECT 1");
    client.run("EVENT.PUBLISH s quote {}");
    client.run("SELECT 0");
    server.restart(Stop::Kill, stored());
    assert!(!accepts(&server), "after a restart");
    replica.catch_up_with(&server);
    assert!(replica.client().error("EVENT.SCHEMA s GET quote").starts_with("READONLY "));
    replica.client().run("REPLICAOF NO ONE");
    assert!(!accepts(&replica), "on a promoted replica");
}

#[test]
fn a_stored_text_that_is_no_schema_is_named() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    for bad in ["", "{", "[]", r#"{"type":"price"}"#, "\u{0}"] {
        client.run(["HSET", "events:{s}:schema", "quote", bad]);
        let error = client.error("EVENT.PUBLISH s quote {}");
        assert!(error.starts_with("CORRUPT ") && error.contains("quote of events:{s}:schema"), "{bad}: {error}");
        assert_eq!(client.string("EVENT.SCHEMA s GET quote"), bad);
    }
    client.run("EVENT.PUBLISH s other {}");
    client.run("EVENT.SCHEMA s DEL quote");
    client.run("EVENT.PUBLISH s quote {}");
    client.run("SET events:{w}:schema 1");
    for command in [
        "EVENT.PUBLISH w a {}",
        "EVENT.SCHEMA w GET a",
        "EVENT.SCHEMA w DEL a",
        "EVENT.SCHEMA w LIST",
        "EVENT.SCHEMA w SET a {}",
    ] {
        let error = client.error(command);
        assert!(error.starts_with("WRONGTYPE "), "{command}: {error}");
    }
}

/// More schemas than are kept compiled, each another one.
#[test]
fn many_schemas_are_each_their_own() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    let required = |stream: usize, n: usize| format!(r#"{{"type":"object","required":["m{stream}_{n}"]}}"#);
    const STREAMS: usize = 2;
    const EACH: usize = 256;
    for stream in 0..STREAMS {
        for n in 0..EACH {
            client.run(["EVENT.SCHEMA", &format!("s{stream}"), "SET", &format!("t{n}"), &required(stream, n)]);
        }
        let error = client.error(["EVENT.SCHEMA", &format!("s{stream}"), "SET", "one.more", "{}"]);
        assert!(error.starts_with("TOOBIG "), "{error}");
        // A change of one that is there is none more.
        client.run(["EVENT.SCHEMA", &format!("s{stream}"), "SET", "t0", &required(stream, 0)]);
    }
    for n in 0..EACH {
        for stream in 0..STREAMS {
            let (name, event_type) = (format!("s{stream}"), format!("t{n}"));
            let fits = format!(r#"{{"m{stream}_{n}":1}}"#);
            client.run(["EVENT.PUBLISH", &name, &event_type, &fits]);
            let error = client.error(["EVENT.PUBLISH", &name, &event_type, r#"{"m":1}"#]);
            assert!(error.starts_with("SCHEMA "), "{error}");
        }
    }
}

#[test]
fn schemas_go_through_transactions_and_scripts() {
    let mut pair = Pair::start(Options::new());
    let client = &mut pair.client;
    client.run("MULTI");
    client.run(["EVENT.SCHEMA", "s", "SET", "quote", PRICED]);
    client.run("EVENT.PUBLISH s quote {}");
    client.run("EVENT.SCHEMA s DEL quote");
    client.run("EVENT.PUBLISH s quote {}");
    let Value::Array(replies) = client.run("EXEC") else { panic!("EXEC replies an array") };
    let replies: Vec<_> = replies.iter().map(text).collect();
    assert!(replies[0] == "OK" && replies[1].starts_with("(error) SCHEMA "), "{replies:?}");
    assert!(replies[2] == "1" && replies[3].starts_with('"'), "{replies:?}");
    pair.effects();
    let script = "redis.call('EVENT.SCHEMA', KEYS[1], 'SET', 'quote', ARGV[1]) return redis.call('EVENT.SCHEMA', KEYS[1], 'LIST')";
    assert_eq!(pair.client.text(["EVAL", script, "1", "s", PRICED]), r#"["quote"]"#);
    pair.effects();
}
