//! `INFO tradebus`: what happened since the start, in numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::support::{project_path, Options, Server};

/// The counters that are not 0, without their prefix.
fn counted(server: &Server) -> BTreeMap<String, u64> {
    let info = server.client().string("INFO tradebus");
    let fields = info.lines().filter_map(|line| line.strip_prefix("tradebus_")?.split_once(':'));
    let numbers = fields.filter_map(|(name, value)| Some((name.to_owned(), value.trim().parse().ok()?)));
    numbers.filter(|&(ref name, number)| number != 0 && !name.contains("_cached")).collect()
}

#[track_caller]
fn assert_counted(server: &Server, expected: &[(&str, u64)]) {
    let expected: BTreeMap<_, _> = expected.iter().map(|&(name, number)| (name.to_owned(), number)).collect();
    assert_eq!(counted(server), expected);
}

#[test]
fn what_happens_is_counted() {
    let server = Server::start(Options::new());
    assert_counted(&server, &[]);
    let _first = server.subscribe("PSUBSCRIBE trades:*");
    let _second = server.subscribe("SUBSCRIBE trades:S:order.created");
    let mut client = server.client();
    for command in [
        r#"TRADE.PUBLISH S order.created '{"order_id":"1","volume":1}' ID e"#,
        r#"TRADE.PUBLISH S order.created '{"order_id":"1","volume":1}' ID e"#,
        r#"TRADE.PUBLISH S order.cancelled '{"order_id":"1"}'"#,
        r#"TRADE.PUBLISH S order.cancelled '{"order_id":"1"}'"#,
        r#"TRADE.MPUBLISH S 3 trade.executed {} trade.executed {} signal.generated '{"signal_id":"1"}'"#,
        "TRADE.ORDERS S",
        "TRADE.INSTRUMENT S SET currency USD",
    ] {
        client.run(command);
    }
    for command in [
        "TRADE.PUBLISH S order.created x",
        "TRADE.PUBLISH S order.created {}",
        "TRADE.PUBLISH S order.created {} NOPE",
        "TRADE.PUBLISH S nope {}",
        "TRADE.ORDER '{S}' 1",
        // One refusal for the command, and none of its events.
        "TRADE.MPUBLISH S 3 trade.executed {} trade.executed {} order.created {}",
        // The server counts arguments itself.
        "TRADE.PUBLISH S",
    ] {
        client.error(command);
    }
    assert_counted(
        &server,
        &[
            ("events_total", 6),
            ("events_order_created", 1),
            ("events_order_cancelled", 2),
            ("events_trade_executed", 2),
            ("events_signal_generated", 1),
            ("duplicates", 1),
            ("late", 1),
            ("refusals_total", 6),
            ("refusals_badjson", 1),
            ("refusals_missing", 2),
            ("refusals_err", 1),
            ("refusals_badevent", 1),
            ("refusals_badsymbol", 1),
            // One message reached both.
            ("receivers", 7),
        ],
    );
}

#[test]
fn what_happens_on_streams_is_counted() {
    let server = Server::start(Options::new());
    let _listener = server.subscribe("SUBSCRIBE events:s:a");
    let mut client = server.client();
    for command in [
        "EVENT.PUBLISH s a {} ID e",
        "EVENT.PUBLISH s a {} ID e",
        "EVENT.PUBLISH s b {}",
        "EVENT.PUBLISH s b '{\"x\":1}' FULL",
        r#"EVENT.SCHEMA s SET b '{"required":["x"]}'"#,
        "EVENT.LAST s",
        "EVENT.STATS s",
    ] {
        client.run(command);
    }
    for command in [
        "EVENT.PUBLISH s b {}",
        "EVENT.PUBLISH s B! {}",
        "EVENT.PUBLISH s a '{\"x\":2}' ID e",
        "EVENT.SCHEMA s SET b 1",
    ] {
        client.error(command);
    }
    assert_counted(
        &server,
        &[
            ("stream_events", 3),
            ("duplicates", 1),
            ("receivers", 1),
            ("refusals_total", 4),
            ("refusals_schema", 1),
            ("refusals_badevent", 1),
            ("refusals_idconflict", 1),
            ("refusals_badjson", 1),
        ],
    );
}

/// What is told again and what is given up are counted for symbols and streams together.
#[test]
fn what_consumers_make_of_it_is_counted() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    for (publish, family, log) in [
        ("TRADE.PUBLISH S trade.executed {}", "TRADE", "trade:{S}:events"),
        ("EVENT.PUBLISH S a {}", "EVENT", "events:{S}"),
    ] {
        let id = client.string(publish);
        client.run(publish);
        client.run(format!("{family}.REPLAY S - +"));
        client.run(format!("XGROUP CREATE {log} g 0"));
        client.run(format!("XREADGROUP GROUP g c STREAMS {log} >"));
        client.run(format!("XCLAIM {log} g c 0 {id} RETRYCOUNT 9"));
        client.run(format!("{family}.CLAIM S g d 0 5"));
    }
    let counted = counted(&server);
    assert_eq!((counted["replayed"], counted["dead_lettered"]), (4, 2), "{counted:?}");
}

#[test]
fn what_happens_to_candles_is_counted() {
    // The timer closes nothing meanwhile.
    let server = Server::start(Options::new().module_args("bar-grace 3600000"));
    let _listener = server.subscribe("SUBSCRIBE market:S:1m");
    let mut client = server.client();
    for command in [
        "COND.REGISTER S 1m 'close > 1' MODE level ID a",
        "COND.REGISTER S 1m 'close > 2' MODE level ID b",
        "COND.REGISTER T 1m 'close > 2'",
        "COND.REGISTER T 1h 'close > 2'",
        "COND.SUBSCRIBE S a x",
        "COND.SUBSCRIBE S a y",
        "MARKET.CANDLE S 1m 1763402340000 3 3 3 3 1 BACKFILL",
        // Triggers both, and two bots of one.
        "MARKET.CANDLE S 1m 1763402400000 3 3 3 3 1",
        "MARKET.CANDLE S 1m 1763402400000 3 3 3 3 1",
        "MARKET.CANDLE S 1m 1763402400000 3 3 3 3 2",
        "MARKET.CANDLE S 1m 1763402520000 1 1 1 1 1",
        "MARKET.TICK T 1 1 TIMESTAMP 1763402400000",
        // Closes a bar, and is followed by a late one.
        "MARKET.TICK T 1 1 TIMESTAMP 1763402460000",
        "MARKET.TICK T 1 1 TIMESTAMP 1763402400000",
        "MARKET.CANDLES S 1m - +",
    ] {
        client.run(command);
    }
    for command in [
        "MARKET.CANDLE S 1m 1763402400000 1 1 1 1 1",
        "MARKET.CANDLE S 1m 1763402580000 1 x 1 1 1",
        "MARKET.TICK S 1 -1",
        "COND.REGISTER S 1m nope",
        "COND.EXPLAIN S nope",
    ] {
        client.error(command);
    }
    assert_counted(
        &server,
        &[
            ("candles", 5),
            ("candle_corrections", 1),
            ("candle_gaps", 1),
            ("late_ticks", 1),
            ("evaluations", 9),
            ("triggers", 2),
            ("bots_notified", 2),
            ("receivers", 3),
            ("symbols_with_forming_bars", 1),
            ("refusals_total", 5),
            ("refusals_toolate", 1),
            ("refusals_badfield", 2),
            ("refusals_badexpr", 1),
            ("refusals_notfound", 1),
        ],
    );
    let cached = |field: &str| -> u64 {
        let number = server.info("tradebus", &format!("tradebus_{field}"));
        number.expect(field).parse().expect("a number")
    };
    assert_eq!(cached("engines_cached"), 3);
    assert!((100..100_000).contains(&cached("engines_cached_bytes")), "{}", cached("engines_cached_bytes"));
    client.run("FLUSHALL");
    assert_eq!((cached("engines_cached"), cached("engines_cached_bytes")), (0, 0));
}

fn monitoring() -> String {
    fs::read_to_string(project_path("docs/monitoring.md")).expect("the page")
}

#[test]
fn every_field_is_documented() {
    let server = Server::start(Options::new().config("maxmemory-policy allkeys-lru"));
    let info = server.client().string("INFO tradebus");
    let names = info.lines().filter_map(|line| Some(line.strip_prefix("tradebus_")?.split_once(':')?.0));
    let kinds = names.map(|name| match name.split_once('_') {
        Some(("events", rest)) if rest != "total" => "events_<type>",
        Some(("refusals", rest)) if rest != "total" => "refusals_<code>",
        _ => name,
    });
    let page = monitoring();
    let section = page.split("| field | counts |").nth(1).expect("the table").split("\n\n").next().expect("its rows");
    // Every second piece is code.
    let documented = section.split('`').skip(1).step_by(2);
    let is_field = |name: &&str| name.starts_with(char::is_alphabetic) && !name.contains(['.', '-', ' ']);
    assert_eq!(kinds.collect::<BTreeSet<_>>(), documented.filter(is_field).collect());
}

/// As redis_exporter runs it, and as a user who may do no more than it needs.
#[test]
fn the_documented_script_replies_names_and_numbers() {
    let page = monitoring();
    let script = page.split("```lua\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a script");
    let server = Server::start(Options::new());
    let mut client = server.client();
    client.run("ACL SETUSER exporter on >pw +eval +info +trade.stats %R~*");
    client.run("TRADE.PUBLISH XAUUSD trade.executed {} ID e");
    client.run("TRADE.PUBLISH XAUUSD trade.executed {} ID e");
    client.run("XGROUP CREATE trade:{XAUUSD}:events risk 0");
    let values = server.client_as("exporter", "pw").map(["EVAL", script, "0"]);
    for (name, value) in [
        ("tradebus_events_total", "1"),
        ("tradebus_duplicates", "1"),
        ("XAUUSD log_length", "1"),
        ("XAUUSD risk lag", "1"),
        ("XAUUSD risk pending", "0"),
        ("BTCUSDT dead_letters", "0"),
    ] {
        assert_eq!(values.get(name).map(String::as_str), Some(value), "{name} of {values:?}");
    }
    assert!(values.values().all(|value| value.parse::<f64>().is_ok()), "{values:?}");
    let info = client.string("INFO tradebus");
    let numbers =
        info.lines().filter(|line| line.split_once(':').is_some_and(|(_, v)| v.trim().parse::<u64>().is_ok()));
    assert_eq!(values.keys().filter(|name| name.starts_with("tradebus_")).count(), numbers.count());
}

#[test]
fn every_type_and_every_code_has_a_counter() {
    let server = Server::start(Options::new());
    let info = server.client().string("INFO tradebus");
    let types = tradebus_core::event_type::EventType::ALL.iter();
    let types = types.map(|event_type| format!("tradebus_events_{}:0", event_type.as_str().replace('.', "_")));
    let codes = tradebus_core::refusal::Code::ALL.iter();
    let codes = codes.map(|code| format!("tradebus_refusals_{}:0", code.as_str().to_lowercase()));
    for line in types.chain(codes) {
        assert!(info.lines().any(|known| known.trim_end() == line), "{line} in {info}");
    }
}

#[test]
fn a_policy_that_evicts_is_warned_of() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    for (policy, risk) in [("noeviction", "0"), ("allkeys-lru", "1"), ("volatile-ttl", "1"), ("noeviction", "0")] {
        client.run(["CONFIG", "SET", "maxmemory-policy", policy]);
        assert_eq!(server.info("tradebus", "tradebus_eviction_risk").as_deref(), Some(risk), "{policy}");
        let warning = server.info("tradebus", "tradebus_eviction_warning");
        assert_eq!(warning.is_some_and(|text| text.contains("noeviction")), risk == "1", "{policy}");
    }
    let log = server.log();
    let warnings: Vec<_> = log.lines().filter_map(|line| line.split_once("maxmemory-policy is ")).collect();
    assert_eq!(warnings.iter().map(|(_, rest)| &rest[..5]).collect::<Vec<_>>(), ["allke", "volat"], "{log}");
    let evicting = Server::start(Options::new().config("maxmemory-policy allkeys-lfu"));
    assert!(evicting.log().contains("maxmemory-policy is allkeys-lfu"), "{}", evicting.log());
}
