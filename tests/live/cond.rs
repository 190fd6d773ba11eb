//! Conditions and who subscribed to them: what the commands reply, and what they leave.

use redis::Value;

use crate::support::{text, Client, Options, Server};

/// The open time of the first candle of these tests.
const FIRST_MS: i64 = 1_763_402_400_000;

/// A candle of one price, the `n`th of a minute.
pub fn candle(symbol: &str, n: i64, price: i64) -> String {
    format!("MARKET.CANDLE {symbol} 1m {} {price} {price} {price} {price} 1", FIRST_MS + 60_000 * n)
}

/// A reply as text, in which a time of the server, at most an hour ago, is `$now`.
fn shown(client: &mut Client, command: &str) -> String {
    let reply = client.text(command);
    let now = client.time_ms();
    let is_now = |digits: &str| digits.parse().is_ok_and(|time: i64| (now - 3_600_000..=now).contains(&time));
    let (mut shown, mut rest) = (String::new(), reply.as_str());
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, number) = rest.split_at(start);
        let (digits, behind) = number.split_at(number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len()));
        shown = shown + before + if is_now(digits) { "$now" } else { digits };
        rest = behind;
    }
    shown + rest
}

#[test]
fn a_condition_is_read_back() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    assert_eq!(client.text("COND.GET S rsi"), "nil");
    let register =
        "COND.REGISTER S 1h 'RSI( price, 14 )<30.0' ID rsi MODE LEVEL cooldown 5 EXPIREAT 4102444800000 MAXTRIGGERS 2";
    assert_eq!(client.string(register), "rsi");
    client.run("COND.SUBSCRIBE S rsi b1");
    client.run("COND.SUBSCRIBE S rsi b2");
    let fields = [
        ("id", "rsi"),
        ("symbol", "S"),
        ("status", "active"),
        ("trigger_count", "0"),
        ("mode", "level"),
        ("cooldown", "5"),
        ("expire_at", "4102444800000"),
        ("max_triggers", "2"),
        ("timeframe", "1h"),
        ("expression", "rsi(14) < 30"),
        ("created_at", "$now"),
        ("updated_at", "$now"),
    ];
    let flat = fields.map(|(name, value)| format!(r#""{name}", "{value}""#)).join(", ");
    assert_eq!(shown(&mut client, "COND.GET S rsi"), format!(r#"[{flat}, "subscribers", 2]"#));
    let map = fields.map(|(name, value)| format!(r#""{name}": "{value}""#)).join(", ");
    assert_eq!(shown(&mut server.client_resp3(), "COND.GET S rsi"), format!(r#"{{{map}, "subscribers": 2}}"#));
    assert_eq!(shown(&mut client, "COND.LIST S"), format!(r#"[[{flat}, "subscribers", 2]]"#));

    // A field of somebody else's is none of the reply, and a long expression changes nothing about the order, though
    // the server keeps such a hash in none.
    let long = format!("close > {}", ["1"; 100].join(" + "));
    client.run(["COND.REGISTER", "S", "1h", &long, "ID", "long"]);
    client.run("HSET cond:{S}:def:long note mine");
    let wanted = format!(
        r#"["id", "long", "symbol", "S", "status", "active", "trigger_count", "0", "mode", "edge", "timeframe", "1h", "expression", "{long}", "created_at", "$now", "updated_at", "$now", "subscribers", 0]"#
    );
    assert_eq!(shown(&mut client, "COND.GET S long"), wanted);
}

#[test]
fn a_second_registration_changes_what_it_names() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    let id = client.string("COND.REGISTER S 1m 'close > 5' COOLDOWN 5 MAXTRIGGERS 3");
    assert_eq!(id.len(), 16);
    let before = server.digest();
    assert_eq!(client.string("COND.REGISTER S 1m '((CLOSE))>5.0'"), id);
    assert_eq!(server.digest(), before, "nothing is named");
    assert_eq!(client.string("COND.REGISTER S 1m 'price > 5' MODE edge COOLDOWN 0 MAXTRIGGERS 4"), id);
    let condition = client.map(format!("COND.GET S {id}"));
    assert_eq!((condition.get("cooldown"), condition["max_triggers"].as_str()), (None, "4"));
    assert_eq!(client.int("ZCARD cond:{S}:index:1m"), 1);
    for other in [
        "COND.REGISTER S 1m 'close > 5' MODE level",
        "COND.REGISTER S 5m 'close > 5'",
        "COND.REGISTER T 1m 'close > 5'",
    ] {
        assert_ne!(client.string(other), id, "{other}");
    }
    // The defaults of an option that is not named do not count as named.
    client.run("COND.REGISTER S 1m 'close > 6' ID own MODE once");
    assert_eq!(client.string("COND.REGISTER S 1m 'close > 6' ID own"), "own");
    assert!(client.error("COND.REGISTER S 1m 'close > 6' ID own MODE edge").starts_with("IDCONFLICT "));
}

#[test]
fn the_status_is_what_it_can_do_now() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    client.run("COND.REGISTER S 1m 'close > 5' ID a");
    let mut check = |commands: &[&str], status: &str| {
        for command in commands {
            client.run(command);
        }
        assert_eq!(client.map("COND.GET S a")["status"], status, "{commands:?}");
    };
    check(&[], "active");
    check(&["COND.PAUSE S a"], "paused");
    check(&["COND.RESUME S a"], "active");
    check(&["COND.TRIGGER S a", "COND.REGISTER S 1m 'close > 5' ID a MAXTRIGGERS 1"], "exhausted");
    check(&["HSET cond:{S}:def:a expire_at 1"], "expired");
    check(&["COND.PAUSE S a"], "paused");
    check(&["COND.RESUME S a", "COND.REGISTER S 1m 'close > 5' ID a MAXTRIGGERS 0 EXPIREAT 0"], "active");
    // A cooldown ends by itself.
    check(&["COND.REGISTER S 1m 'close > 5' ID a COOLDOWN 3600000", "COND.TRIGGER S a"], "active");
}

/// The ids that a listing replies.
fn listed(client: &mut Client, command: &str) -> Vec<String> {
    let Value::Array(maps) = client.run(command) else { panic!("{command} replies an array") };
    let second = |map: &Value| match map {
        Value::Array(parts) => text(&parts[1]).replace('"', ""),
        other => panic!("not names and values: {}", text(other)),
    };
    maps.iter().map(second).collect()
}

#[test]
fn conditions_are_listed_by_timeframe_and_registration() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    for (id, timeframe) in [("d", "1h"), ("b", "1m"), ("a", "1m"), ("e", "1d"), ("c", "1m")] {
        client.run(format!("COND.REGISTER S {timeframe} 'close > 5' ID {id}"));
    }
    let mut check = |command: &str, ids: &str| assert_eq!(listed(&mut client, command).concat(), ids, "{command}");
    check("COND.LIST T", "");
    check("COND.LIST S", "bacde");
    check("COND.LIST S COUNT 2", "ba");
    check("COND.LIST S OFFSET 2 COUNT 2", "cd");
    check("COND.LIST S OFFSET 3", "de");
    check("COND.LIST S offset 4 count 9", "e");
    check("COND.LIST S OFFSET 5", "");
    check("COND.LIST S OFFSET 9223372036854775807", "");
    check("COND.LIST S COUNT 0", "");
    check("COND.LIST S TIMEFRAME 1m", "bac");
    check("COND.LIST S timeframe 1m OFFSET 1 COUNT 1", "a");
    check("COND.LIST S TIMEFRAME 5m", "");
    // Somebody's own doing: a hash that is gone is left out, an id that is none tells where it stands.
    client.run("DEL cond:{S}:def:a");
    assert_eq!(listed(&mut client, "COND.LIST S COUNT 3").concat(), "bc");
    client.run("ZADD cond:{S}:index:1m 0 'not an id'");
    let error = client.error("COND.LIST S");
    assert!(error.starts_with("CORRUPT cond:{S}:index:1m: "), "{error}");
    assert_eq!(listed(&mut client, "COND.LIST S TIMEFRAME 1d").concat(), "e");
}

#[test]
fn a_long_listing_ends_at_its_size() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    let megabyte = "x".repeat(1_024 * 1_024);
    for n in 0..8 {
        client.run(format!("COND.REGISTER S 1m 'close > {n}' ID c{n}"));
        client.run(["HSET", &format!("cond:{{S}}:def:c{n}"), "created_at", &megabyte]);
        let subscription =
            format!(r#"{{"type":"bot","action":{{"a":"{megabyte}"}},"created_at":1,"trigger_count":0}}"#);
        client.run(["HSET", "cond:{S}:subs:c0", &format!("b{n}"), &subscription]);
    }
    assert_eq!(listed(&mut client, "COND.LIST S").concat(), "c0c1c2c3");
    assert_eq!(listed(&mut client, "COND.LIST S OFFSET 4").concat(), "c4c5c6c7");
    assert_eq!(listed(&mut client, "COND.SUBSCRIBERS S c0").concat(), "b0b1b2b3");
    assert_eq!(listed(&mut client, "COND.SUBSCRIBERS S c0 OFFSET 6").concat(), "b6b7");
}

#[test]
fn removing_leaves_what_has_happened() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    assert_eq!(client.int("COND.REMOVE S a"), 0);
    client.run("COND.REGISTER S 1m 'sma(2) > 5' ID a");
    client.run("COND.REGISTER S 1m 'sma(2) > 6' ID b");
    client.run("COND.SUBSCRIBE S a bot");
    client.run("COND.TRIGGER S a");
    assert!(client.error("COND.REMOVE S a").starts_with("INVALIDSTATE "));
    assert_eq!(client.int("COND.REMOVE S a FORCE"), 1);
    assert_eq!(client.int("COND.REMOVE S a FORCE"), 0);
    assert_eq!(client.int("EXISTS cond:{S}:def:a cond:{S}:subs:a"), 0);
    assert_eq!(listed(&mut client, "COND.LIST S").concat(), "b");
    assert_eq!((client.int("XLEN cond:{S}:triggers"), client.int("XLEN bots:{S}:bot")), (1, 1));
    assert_eq!(client.int("COND.REMOVE S b force"), 1);
    assert_eq!(client.int("EXISTS cond:{S}:index:1m market:{S}:1m:state market:{S}:forming"), 0);
    // It begins anew, and is judged again.
    client.run("COND.REGISTER S 1m 'close > 5' ID a");
    assert_eq!(client.map("COND.GET S a")["trigger_count"], "0");
    client.run(candle("S", 0, 4));
    assert_eq!(client.text(candle("S", 1, 6)), r#"["a"]"#);
}

#[test]
fn a_pause_holds_back_and_nothing_is_caught_up() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    client.run("COND.REGISTER S 1m 'close > 5' ID edge");
    client.run("COND.REGISTER S 1m 'close > 5' ID level MODE level");
    client.run("COND.REGISTER S 1m 'close > 5' ID once MODE once");
    let mut check = |n: i64, price: i64, triggered: &str| {
        assert_eq!(client.text(candle("S", n, price)), triggered, "bar {n}");
    };
    check(0, 6, r#"["level"]"#);
    check(1, 4, "[]");
    let mut pause = server.client();
    pause.run("COND.PAUSE S edge");
    pause.run("COND.PAUSE S level");
    assert_eq!(pause.text("COND.PAUSE S level"), "OK");
    check(2, 6, r#"["once"]"#);
    assert_eq!(pause.text("COND.TRIGGER S edge"), "nil");
    assert_eq!(pause.map("COND.GET S edge")["value"], "true", "it is judged all the same");
    assert_eq!(pause.text("COND.RESUME S edge"), "OK");
    check(3, 7, "[]");
    pause.run("COND.RESUME S level");
    check(4, 7, r#"["level"]"#);
    check(5, 4, "[]");
    check(6, 6, r#"["edge", "level"]"#);
    assert_eq!(pause.map("COND.GET S once")["status"], "paused");
    pause.run("COND.RESUME S once");
    check(7, 6, r#"["level"]"#);
    check(8, 4, "[]");
    check(9, 6, r#"["edge", "level", "once"]"#);
}

#[test]
fn a_bot_is_subscribed_once() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    client.run("COND.REGISTER S 1m 'close > 5' ID a");
    assert_eq!(client.text("COND.SUBSCRIBERS S a"), "[]");
    let action = r#"{"size": 1.50,  "side":"BUY"}"#;
    let first = [
        "COND.SUBSCRIBE",
        "S",
        "a",
        "b2",
        "type",
        "dca",
        "ACTION",
        action,
        "COOLDOWN",
        "5",
        "MAXTRIGGERS",
        "2",
        "MAXAGE",
        "60000",
    ];
    assert_eq!(client.int(first), 1);
    assert_eq!(client.int(first), 0);
    assert_eq!(client.int("COND.SUBSCRIBE S a b1"), 1);
    assert_eq!(client.map("COND.GET S a")["subscribers"], "2");
    client.run(format!("COND.TRIGGER S a TIMESTAMP {FIRST_MS}"));
    let b1 = format!(
        r#"["bot_id", "b1", "type", "bot", "created_at", $now, "last_triggered_at", {FIRST_MS}, "trigger_count", 1]"#
    );
    let b2 = r#"["bot_id", "b2", "type", "dca", "action", "{\"size\": 1.50,  \"side\":\"BUY\"}", "cooldown", 5, "max_triggers", 2, "max_age", 60000, "created_at", $now, "trigger_count", 0]"#;
    assert_eq!(
        shown(&mut client, "COND.SUBSCRIBERS S a"),
        format!("[{b1}, {b2}]"),
        "the trigger is older than b2 takes"
    );
    let resp3 = shown(&mut server.client_resp3(), "COND.SUBSCRIBERS S a COUNT 1");
    assert_eq!(
        resp3,
        format!(
            r#"[{{"bot_id": "b1", "type": "bot", "created_at": $now, "last_triggered_at": {FIRST_MS}, "trigger_count": 1}}]"#
        )
    );
    assert_eq!(shown(&mut client, "COND.SUBSCRIBERS S a OFFSET 1"), format!("[{b2}]"));
    assert_eq!(client.int("COND.SUBSCRIBE S a b2 COOLDOWN 0 MAXAGE 0"), 0);
    let trigger = client.text("COND.TRIGGER S a");
    assert!(trigger.ends_with(", 2]"), "{trigger}");
    assert_eq!((client.int("XLEN bots:{S}:bot"), client.int("XLEN bots:{S}:dca")), (2, 1));

    assert_eq!(client.int("COND.UNSUBSCRIBE S a b2"), 1);
    assert_eq!(client.int("COND.UNSUBSCRIBE S a b2"), 0);
    assert_eq!(client.int("COND.UNSUBSCRIBE S unknown b2"), 0);
    assert_eq!(client.int("COND.SUBSCRIBE S a b2"), 1);
    assert_eq!(listed(&mut client, "COND.SUBSCRIBERS S a"), ["b1", "b2"]);
}

#[test]
fn a_trigger_by_command_is_one() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    client.run("COND.REGISTER S 1m 'close > 5' ID a COOLDOWN 1000");
    client.run("COND.REGISTER S 1m 'close > 6' ID b");
    client.run("COND.SUBSCRIBE S a bot");
    let first = client.text(format!(r#"COND.TRIGGER S a VALUE '{{"x":1, "y":2}}' ID e TIMESTAMP {FIRST_MS}"#));
    assert!(first.ends_with("-0\", 1]"), "{first}");
    let state = server.digest();
    // A repeat has the same answer, whatever has become of the condition, and the order of members is none of the value.
    let repeat = r#"COND.TRIGGER S a ID e VALUE '{"y":2,"x":1}' TIMESTAMP 5"#;
    assert_eq!(client.text(repeat), first);
    for other in ["COND.TRIGGER S a ID e", "COND.TRIGGER S b VALUE '{\"x\":1, \"y\":2}' ID e"] {
        assert!(client.error(other).starts_with("IDCONFLICT "), "{other}");
    }
    // Within the cooldown, by the trigger's own time; that it was held back is remembered too.
    assert_eq!(client.text(format!("COND.TRIGGER S a TIMESTAMP {}", FIRST_MS + 999)), "nil");
    assert_eq!(server.digest(), state);
    assert_eq!(client.text("COND.TRIGGER S a TIMESTAMP 2025-11-17T18:00:00.500Z ID held"), "nil");
    client.run(format!("COND.TRIGGER S a TIMESTAMP {}", FIRST_MS + 1_000));
    assert_eq!(client.text("COND.TRIGGER S a ID held"), "nil");
    assert_eq!(client.int("XLEN cond:{S}:triggers"), 2);
    client.run("COND.REMOVE S a FORCE");
    assert_eq!(client.text(repeat), first);
    assert!(client.error("COND.TRIGGER S a").starts_with("NOTFOUND "));
    assert_eq!(client.map("COND.GET S b")["trigger_count"], "0");
}

#[test]
fn a_condition_is_explained_on_the_newest_bar() {
    let server = Server::start(Options::new());
    let (mut client, mut resp3) = (server.client(), server.client_resp3());
    client.run("COND.REGISTER S 1m 'close > sma(3) AND obv / 0 != 1 OR close > 100' ID a");
    let mut check = |state: &str, bars: i64, last: &str, terms: [&str; 3]| {
        let [close, sma, obv] = terms;
        let flat = format!(
            r#"["state", "{state}", "bars", {bars}, "last_bar", {last}, "terms", ["close", {close}, "sma(3)", {sma}, "obv", {obv}]]"#
        );
        assert_eq!(client.text("COND.EXPLAIN S a"), flat);
        let map = format!(
            r#"{{"state": "{state}", "bars": {bars}, "last_bar": {last}, "terms": {{"close": {close}, "sma(3)": {sma}, "obv": {obv}}}}}"#
        );
        assert_eq!(resp3.text("COND.EXPLAIN S a"), map);
    };
    check("unknown", 0, "nil", ["nil"; 3]);
    let mut feed = server.client();
    let last = |n: i64| (FIRST_MS + 60_000 * n).to_string();
    feed.run(candle("S", 0, 7));
    check("unknown", 1, &last(0), ["\"7\"", "nil", "\"1\""]);
    feed.run(candle("S", 1, 8));
    feed.run(candle("S", 2, 5));
    check("false", 3, &last(2), ["\"5\"", "\"6.666666666666667\"", "\"1\""]);
    let correction = candle("S", 2, 101);
    feed.run(&correction);
    check("true", 3, &last(2), ["\"101\"", "\"38.666666666666664\"", "\"3\""]);
    feed.run(&correction);
    check("true", 3, &last(2), ["\"101\"", "\"38.666666666666664\"", "\"3\""]);
    // Nothing is written by looking, and what is stored is believed, not what is remembered.
    let state = server.digest();
    feed.run("COND.EXPLAIN S a");
    assert_eq!(server.digest(), state);
    assert!(feed.error("COND.EXPLAIN S b").starts_with("NOTFOUND "));
    feed.run("HSET cond:{S}:def:b expression x timeframe 1m mode edge");
    assert!(feed.error("COND.EXPLAIN S b").starts_with("CORRUPT "));
}
