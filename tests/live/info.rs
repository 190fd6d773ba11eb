//! `INFO tradebus`: what happened since the start, in numbers.

use std::collections::BTreeMap;

use crate::support::{Options, Server};

/// The counters that are not 0, without their prefix.
fn counted(server: &Server) -> BTreeMap<String, u64> {
    let info = server.client().string("INFO tradebus");
    let fields = info.lines().filter_map(|line| line.strip_prefix("tradebus_")?.split_once(':'));
    let numbers = fields.filter_map(|(name, value)| Some((name.to_owned(), value.trim().parse().ok()?)));
    numbers.filter(|&(ref name, number)| number != 0 && name != "symbols_cached").collect()
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
    assert!(!server.log().contains("maxmemory-policy is"));
    let evicting = Server::start(Options::new().config("maxmemory-policy allkeys-lfu"));
    assert!(evicting.log().contains("maxmemory-policy is allkeys-lfu"), "{}", evicting.log());
}
