//! Settings: each does what it says from the next command on, however it was set; and no other value than
//! those that make sense is taken.

use std::fs;

use crate::support::{wait_until, Client, Options, Server, Words};

/// `observe` sees `before` with the defaults, and `after` behind a CONFIG SET as with the module's argument.
/// It is given a symbol of its own each time.
#[track_caller]
fn check(setting: &str, value: &str, observe: fn(&Server, &str) -> String, before: &str, after: &str) {
    let server = Server::start(Options::new());
    assert_eq!(observe(&server, "BEFORE"), before, "{setting} by default");
    server.client().run(["CONFIG", "SET", &format!("tradebus.{setting}"), value]);
    assert_eq!(observe(&server, "AFTER"), after, "{setting} {value} by CONFIG SET");
    let server = Server::start(Options::new().module_args(&format!("{setting} {value}")));
    assert_eq!(observe(&server, "AFTER"), after, "{setting} {value} as an argument");
}

/// What becomes of a command: `taken`, or the code of its error.
fn outcome(client: &mut Client, command: impl Words) -> String {
    let reply = client.text(command);
    match reply.strip_prefix("(error) ") {
        Some(error) => error.split(' ').next().unwrap_or_default().to_owned(),
        None => "taken".to_owned(),
    }
}

/// Milliseconds from an entity's last event to its expiry, or `never`.
fn lifetime(client: &mut Client, key: &str) -> String {
    let updated: i64 = client.string(["HGET", key, "updated_at"]).parse().expect("milliseconds");
    match client.int(["PEXPIRETIME", key]) {
        -1 => "never".to_owned(),
        at => (at - updated).to_string(),
    }
}

/// A batch of `count` records.
fn records(symbol: &str, count: usize) -> Vec<String> {
    let mut words = vec!["TRADE.MPUBLISH".to_owned(), symbol.to_owned(), count.to_string()];
    words.extend(["trade.executed", "{}"].repeat(count).into_iter().map(str::to_owned));
    words
}

#[test]
fn lifecycle() {
    fn unknown_order(server: &Server, symbol: &str) -> String {
        let mut client = server.client();
        let outcome = outcome(&mut client, format!(r#"TRADE.PUBLISH {symbol} order.cancelled '{{"order_id":"1"}}'"#));
        let order = client.text(format!("HGET trade:{{{symbol}}}:order:1 status"));
        format!("{outcome}, {order}, {} in the log", client.int(format!("XLEN trade:{{{symbol}}}:events")))
    }
    let lenient = r#"taken, "cancelled", 1 in the log"#;
    check("lifecycle", "strict", unknown_order, lenient, "NOTFOUND, nil, 0 in the log");
    check("lifecycle", "off", unknown_order, lenient, "taken, nil, 1 in the log");
    check("lifecycle", "lenient", unknown_order, lenient, lenient);
}

#[test]
fn closed_ttl() {
    fn of_a_cancelled_order(server: &Server, symbol: &str) -> String {
        let mut client = server.client();
        client.run(format!(r#"TRADE.PUBLISH {symbol} order.created '{{"order_id":"1","volume":1}}'"#));
        let key = format!("trade:{{{symbol}}}:order:1");
        assert_eq!(lifetime(&mut client, &key), "never", "an open order stays");
        client.run(format!(r#"TRADE.PUBLISH {symbol} order.cancelled '{{"order_id":"1"}}'"#));
        lifetime(&mut client, &key)
    }
    check("closed-ttl", "60000", of_a_cancelled_order, "604800000", "60000");
    check("closed-ttl", "0", of_a_cancelled_order, "604800000", "never");
}

#[test]
fn signal_ttl() {
    fn of_a_signal(server: &Server, symbol: &str) -> String {
        let mut client = server.client();
        client.run(format!(r#"TRADE.PUBLISH {symbol} signal.generated '{{"signal_id":"1"}}'"#));
        let key = format!("trade:{{{symbol}}}:signal:1");
        let waiting = lifetime(&mut client, &key);
        client.run(format!(r#"TRADE.PUBLISH {symbol} signal.validated '{{"signal_id":"1"}}'"#));
        format!("{waiting}, judged {}", lifetime(&mut client, &key))
    }
    let default = "86400000, judged 604800000";
    check("signal-ttl", "5000", of_a_signal, default, "5000, judged 604800000");
    check("signal-ttl", "0", of_a_signal, default, "never, judged 604800000");
}

/// Whole nodes of 100 entries go, so somewhat more than the limit may stay.
#[test]
fn stream_maxlen() {
    fn log_of_350(server: &Server, symbol: &str) -> String {
        let mut client = server.client();
        client.run(records(symbol, 350));
        match client.int(format!("XLEN trade:{{{symbol}}}:events")) {
            350 => "whole".to_owned(),
            100..=199 => "trimmed".to_owned(),
            length => length.to_string(),
        }
    }
    check("stream-maxlen", "100", log_of_350, "whole", "trimmed");
    check("stream-maxlen", "0", log_of_350, "whole", "whole");
}

#[test]
fn stream_maxage() {
    fn log_a_moment_later(server: &Server, symbol: &str) -> String {
        let mut client = server.client();
        client.run(records(symbol, 250));
        let mut now = || {
            let id = client.string("XADD clock * a b");
            id.split('-').next().and_then(|ms| ms.parse::<u64>().ok()).expect("milliseconds")
        };
        let published = now();
        wait_until("the clock to go on by 2 ms", || now() > published + 2);
        client.run(format!("TRADE.PUBLISH {symbol} trade.executed {{}}"));
        match client.int(format!("XLEN trade:{{{symbol}}}:events")) {
            251 => "whole".to_owned(),
            1..=100 => "trimmed".to_owned(),
            length => length.to_string(),
        }
    }
    check("stream-maxage", "1", log_a_moment_later, "whole", "trimmed");
}

#[test]
fn max_event_size() {
    fn sizes(server: &Server, symbol: &str) -> String {
        let mut client = server.client();
        let sizes = [1_024, 1_025, 65_536, 65_537].map(|size: usize| {
            let data = format!(r#"{{"note":"{}"}}"#, "x".repeat(size - r#"{"note":""}"#.len()));
            outcome(&mut client, ["TRADE.PUBLISH", symbol, "trade.executed", &data])
        });
        sizes.join(" ")
    }
    let default = "taken taken taken TOOBIG";
    check("max-event-size", "1024", sizes, default, "taken TOOBIG TOOBIG TOOBIG");
    check("max-event-size", "1kb", sizes, default, "taken TOOBIG TOOBIG TOOBIG");
    check("max-event-size", "1mb", sizes, default, "taken taken taken taken");
}

#[test]
fn dedupe_window() {
    fn expiry_of_the_records(server: &Server, symbol: &str) -> String {
        let mut client = server.client();
        client.run(format!("TRADE.PUBLISH {symbol} trade.executed {{}} ID e"));
        let id = client.text(format!("XRANGE trade:{{{symbol}}}:events - + COUNT 1"));
        let published: i64 = id[3..16].parse().expect("milliseconds");
        let redis::Value::Array(keys) = client.run(format!("KEYS trade:{{{symbol}}}:seen:*")) else {
            panic!("KEYS replies an array");
        };
        let [redis::Value::BulkString(key)] = &keys[..] else { panic!("one bucket, not {keys:?}") };
        (client.int([b"PEXPIRETIME".as_slice(), key]) - published).to_string()
    }
    // A bucket takes ids for one window, and keeps each of them for one.
    check("dedupe-window", "1000", expiry_of_the_records, "1200000", "2000");

    let server = Server::start(Options::new().module_args("dedupe-window 1000"));
    let mut client = server.client();
    let publish = "TRADE.PUBLISH S trade.executed {} ID e";
    let first = client.string(publish);
    assert_eq!(client.string(publish), first);
    wait_until("the id to be forgotten", || client.string(publish) != first);
}

#[test]
fn dedupe_max() {
    fn first_of_3000(server: &Server, symbol: &str) -> String {
        let mut client = server.client();
        let first = format!("TRADE.PUBLISH {symbol} trade.executed {{}} ID first");
        let id = client.string(&first);
        for batch in 0..3 {
            let mut words = records(symbol, 1_000);
            words.push("IDS".to_owned());
            words.extend((0..1_000).map(|n| format!("{batch}-{n}")));
            client.run(&words);
        }
        let forgotten = server.info("tradebus", "tradebus_dedupe_forgotten").expect("a counter");
        match (client.string(&first) == id, forgotten == "0") {
            (true, true) => "known".to_owned(),
            (false, false) => "forgotten and counted".to_owned(),
            (is_known, _) => format!("known: {is_known}, forgotten: {forgotten}"),
        }
    }
    check("dedupe-max", "1000", first_of_3000, "known", "forgotten and counted");
}

#[test]
fn pubsub() {
    fn channels(server: &Server, symbol: &str) -> String {
        let mut classic = server.subscribe("PSUBSCRIBE trades:*");
        let mut sharded = server.subscribe(&format!("SSUBSCRIBE trades:{{{symbol}}}:trade.executed"));
        server.client().run(format!("TRADE.PUBLISH {symbol} trade.executed {{}}"));
        let messages = classic.until_now().into_iter().chain(sharded.until_now());
        messages.map(|message| message.channel).collect::<Vec<_>>().join(" ")
    }
    let classic = "trades:BEFORE:trade.executed";
    check("pubsub", "sharded", channels, classic, "trades:{AFTER}:trade.executed");
    check("pubsub", "off", channels, classic, "");
}

#[test]
fn any_db() {
    fn in_database_1(server: &Server, symbol: &str) -> String {
        let mut client = server.client();
        client.run("SELECT 1");
        let publish = outcome(&mut client, format!("TRADE.PUBLISH {symbol} trade.executed {{}}"));
        let read = outcome(&mut client, format!("TRADE.ORDERS {symbol}"));
        format!("{publish} {read} {}", client.int("DBSIZE") > 0)
    }
    check("any-db", "yes", in_database_1, "ERR ERR false", "taken taken true");
}

#[test]
fn scan_limit() {
    fn counts(server: &Server, symbol: &str) -> String {
        let mut client = server.client();
        let counts =
            [100, 101, 2_000, 2_001].map(|n| outcome(&mut client, format!("TRADE.POSITIONS {symbol} COUNT {n}")));
        counts.join(" ")
    }
    check("scan-limit", "100", counts, "taken taken taken ERR", "taken ERR ERR ERR");
}

#[test]
fn consumer_groups() {
    fn groups(server: &Server, symbol: &str) -> String {
        let mut client = server.client();
        client.run(records(symbol, 2));
        let redis::Value::Array(groups) = client.run(format!("XINFO GROUPS trade:{{{symbol}}}:events")) else {
            panic!("XINFO GROUPS replies an array");
        };
        let mut shown = Vec::new();
        for group in &groups {
            let text = crate::support::text(group);
            // Created at the beginning: the entries that made the log are for them, too.
            assert!(text.contains(r#""last-delivered-id", "0-0""#), "{text}");
            shown.push(text.split('"').nth(3).unwrap_or_default().to_owned());
        }
        shown.join(" ")
    }
    check("consumer-groups", "risk,audit", groups, "", "audit risk");
    let server = Server::start(Options::new());
    server.client().run(["CONFIG", "SET", "tradebus.consumer-groups", " risk  audit, "]);
    assert_eq!(groups(&server, "S"), "audit risk");
}

#[test]
fn values_that_make_no_sense_are_refused() {
    let too_many = (0..17).map(|n| format!("g{n}")).collect::<Vec<_>>().join(",");
    let long_name = "g".repeat(65);
    let server = Server::start(Options::new());
    let mut client = server.client();
    let before = client.map("CONFIG GET tradebus.*");
    for (setting, value) in [
        ("stream-maxlen", "-1"),
        ("stream-maxlen", "many"),
        ("stream-maxlen", "9223372036854775808"),
        ("stream-maxage", "-1"),
        ("stream-maxage", "3153600000001"),
        ("closed-ttl", "-1"),
        ("closed-ttl", "7d"),
        ("closed-ttl", "3153600000001"),
        ("signal-ttl", "-1"),
        ("signal-ttl", "3153600000001"),
        ("dedupe-window", "999"),
        ("dedupe-window", "0"),
        ("dedupe-max", "999"),
        ("dedupe-max", "100000001"),
        ("max-event-size", "1023"),
        ("max-event-size", "16777217"),
        ("max-event-size", "17mb"),
        ("scan-limit", "99"),
        ("scan-limit", "1000001"),
        ("lifecycle", "sloppy"),
        ("lifecycle", ""),
        ("pubsub", "loud"),
        ("any-db", "perhaps"),
        ("consumer-groups", "a/b"),
        ("consumer-groups", "a,a"),
        ("consumer-groups", "a b a"),
        ("consumer-groups", &long_name),
        ("consumer-groups", &too_many),
    ] {
        let error = client.error(["CONFIG", "SET", &format!("tradebus.{setting}"), value]);
        assert!(error.starts_with("ERR"), "{setting} {value}: {error}");
        assert_eq!(client.map("CONFIG GET tradebus.*"), before, "{setting} {value}");
    }
}

#[test]
fn a_rewritten_file_has_what_was_set() {
    let server = Server::start(Options::new().module_args("dedupe-max 5000"));
    let mut client = server.client();
    let set = [
        ("lifecycle", "strict"),
        ("pubsub", "sharded"),
        ("any-db", "yes"),
        ("closed-ttl", "60000"),
        ("stream-maxlen", "0"),
        ("max-event-size", "131072"),
        ("consumer-groups", "risk audit"),
        // Its default: the module's argument must not come back.
        ("dedupe-max", "1000000"),
    ];
    for (setting, value) in set {
        client.run(["CONFIG", "SET", &format!("tradebus.{setting}"), value]);
    }
    client.run("CONFIG REWRITE");
    let before = client.map("CONFIG GET tradebus.*");
    for (setting, value) in set {
        assert_eq!(before[&format!("tradebus.{setting}")], value);
    }
    let copy = tempfile::NamedTempFile::new().expect("a temporary file");
    fs::copy(server.dir().join("server.conf"), copy.path()).expect("the server's file");
    let again = Server::start(Options::from_file(copy.path()));
    assert_eq!(again.client().map("CONFIG GET tradebus.*"), before);
}
