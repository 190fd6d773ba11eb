//! TRADE.REBUILD: what is stored equals what the log comes to; what was damaged is mended, in slices, and replicas
//! and files get the same.

use redis::Value;

use crate::fuzz::{random_data, TYPES};
use crate::support::{text, wait_until, Client, Options, Random, Server, Stop};
use crate::twin::expiries;

/// A text without its quotes.
fn word(value: &Value) -> String {
    text(value).trim_matches('"').to_owned()
}

/// Publishes events made at random from a seed; the server accepts some.
fn trade_at_random(client: &mut Client, seed: u64, events: usize) {
    let mut random = Random::new(seed);
    for _ in 0..events {
        let event_type = random.word(TYPES).into();
        let data = random_data(&mut random);
        client.send(&[b"TRADE.PUBLISH".to_vec(), b"S".to_vec(), event_type, data]);
    }
    for _ in 0..events {
        let _accepted_or_not = client.receive();
    }
}

#[track_caller]
fn check_agrees(client: &mut Client) {
    let found = client.rebuild("S", &["DRYRUN"]);
    assert_eq!((found["differing"], found["repaired"]), (0, 0), "{found:?}");
}

#[test]
fn a_random_day_agrees_and_damage_is_mended_everywhere() {
    let options = || Options::new().append_only().config("stream-node-max-entries 3");
    let mut master = Server::start(options());
    let replica = Server::start(Options::plain().replica_of(&master));
    let mut client = master.client();
    for mode in ["hedging", "netting"] {
        client.run(format!("TRADE.INSTRUMENT S SET position_mode {mode} contract_size 10").as_str());
        trade_at_random(&mut client, mode.len() as u64, 3_000);
        check_agrees(&mut client);
    }
    let whole = (master.digest(), expiries(&mut client));

    let mut damaged = 0;
    for key in client.keys("trade:{S}:[ops]*:*") {
        damaged += 1;
        let index = key.ends_with(":open") || key.ends_with(":active");
        let command = match damaged % 5 {
            _ if index => format!("ZADD {key} 7 stray"),
            0 => format!("DEL {key}"),
            1 => format!("HSET {key} status filled mine yes"),
            2 => format!("HDEL {key} version status"),
            3 => format!("HSET {key} volume 77 order_id other"),
            _ => continue,
        };
        client.run(command.as_str());
    }
    for command in [
        "DEL trade:{S}:orders:open",
        "DEL trade:{S}:fills:a",
        "HSET trade:{S}:risk l {}",
        "HSET trade:{S}:last :realized_pnl 7",
    ] {
        client.run(command);
    }
    assert_ne!(master.digest(), whole.0);
    let looked = client.rebuild("S", &["DRYRUN"]);
    assert_eq!(looked["repaired"], 0);
    let mended = client.rebuild("S", &[]);
    assert!(mended["differing"] >= 6, "{mended:?}");
    assert_eq!(
        (mended["differing"], mended["repaired"], mended["skipped"]),
        (looked["differing"], looked["differing"], 0)
    );
    check_agrees(&mut client);
    // `last` may lag before, and does not after: it comes to the same.
    client.run("TRADE.PUBLISH S trade.executed {}");
    let entities = |server: &Server, client: &mut Client| {
        let keys = client.keys("trade:{S}:[opsfr]*:*").into_iter().filter(|key| !key.contains(":seen:"));
        let command: Vec<String> = ["DEBUG", "DIGEST-VALUE"].map(String::from).into_iter().chain(keys).collect();
        (text(&client.run(&command)), server.port())
    };
    let on_master = entities(&master, &mut client).0;
    replica.catch_up_with(&master);
    assert_eq!(replica.digest(), master.digest());
    assert_eq!(expiries(&mut replica.client()), expiries(&mut client));
    assert_eq!(expiries(&mut client), whole.1);
    let digest = master.digest();
    master.restart(Stop::Kill, options());
    assert_eq!(master.digest(), digest);
    let mut client = master.client();
    assert_eq!(entities(&master, &mut client).0, on_master);
    check_agrees(&mut client);
}

#[test]
fn what_was_trimmed_is_skipped_and_said() {
    let server = Server::start(Options::new().config("stream-node-max-entries 1"));
    let mut client = server.client();
    for order in 0..10 {
        client.run(format!(r#"TRADE.PUBLISH S order.created '{{"order_id":{order},"volume":1}}'"#).as_str());
    }
    client.run("XTRIM trade:{S}:events MAXLEN 4");
    client.run("HSET trade:{S}:order:0 status filled");
    client.run("HSET trade:{S}:order:9 status filled");
    client.run("ZADD trade:{S}:orders:open 1 stray");
    let found = client.rebuild("S", &[]);
    let wanted = [("read", 4), ("entities", 4), ("differing", 2), ("repaired", 2), ("skipped", 6)];
    assert_eq!(found, wanted.map(|(name, number)| (name.to_owned(), number)).into());
    assert_eq!(client.string("HGET trade:{S}:order:0 status"), "filled", "what is skipped is never touched");
    assert_eq!(client.string("HGET trade:{S}:order:9 status"), "pending");
    assert_eq!(client.text("ZSCORE trade:{S}:orders:open stray"), "nil");
}

#[test]
fn it_goes_in_slices_and_others_are_served() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    let mut other = server.client();
    // Entries as a publish writes them, made by a script: the log shall be long, and its orders lost.
    let script = "for i = 1, ARGV[1] do redis.call('XADD', KEYS[1], '*', 'type', 'order.created', 'data', \
                  '{\"order_id\":' .. i .. ',\"volume\":2,\"price\":2000.50,\"side\":\"BUY\"}', 'ts', '1763402400000') end";
    client.run(["EVAL", script, "1", "trade:{S}:events", "40000"]);
    let mut published = 0;
    let mut calls = 0;
    let mut next = "0".to_owned();
    loop {
        calls += 1;
        let from = if next == "0" { String::new() } else { format!("FROM {next}") };
        next = client.map(format!("TRADE.REBUILD S {from}").as_str())["next"].clone();
        if next == "0" {
            break;
        }
        assert_eq!(server.info("tradebus", "tradebus_rebuilds_running").as_deref(), Some("1"));
        published += 1;
        let event = format!(r#"TRADE.PUBLISH S order.created '{{"order_id":"n{published}","volume":1}}'"#);
        other.run(event.as_str());
        other.run(r#"TRADE.PUBLISH S order.modified '{"order_id":"n1","note":"again"}'"#);
    }
    assert!(calls > 20, "{calls} calls");
    assert_eq!(client.int("ZCARD trade:{S}:orders:open"), 40_000 + published);
    assert_eq!(client.string("HGET trade:{S}:order:n1 version"), (published + 1).to_string());
    assert_eq!(client.string("HGET trade:{S}:order:39999 price"), "2000.50");
    check_agrees(&mut client);
    // The memory is given back.
    wait_until("no rebuild is kept", || server.info("tradebus", "tradebus_rebuilds_running").as_deref() == Some("0"));
}

#[test]
fn the_map_in_both_protocols() {
    let server = Server::start(Options::new());
    server.client().run("TRADE.PUBLISH S trade.executed {}");
    let Value::Map(map) = server.client_resp3().run("TRADE.REBUILD S") else { panic!("a map") };
    let names: Vec<_> = map.iter().map(|(name, _)| word(name)).collect();
    assert_eq!(names, ["next", "read", "entities", "differing", "repaired", "skipped"]);
    let Value::Array(flat) = server.client().run("TRADE.REBUILD S DRYRUN") else { panic!("an array") };
    assert_eq!(flat.len(), 12);
    // A symbol that never was.
    assert_eq!(server.client().map("TRADE.REBUILD NEVER")["read"], "0");
}

#[test]
fn what_cannot_be_gone_on_with_is_refused() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    let script = "for i = 1, 30000 do redis.call('XADD', KEYS[1], '*', 'type', 'order.created', 'data', \
                  '{\"order_id\":' .. i .. ',\"volume\":2}', 'ts', '1763402400000') end";
    for symbol in ["A", "B", "C", "D", "E"] {
        client.run(["EVAL", script, "1", &format!("trade:{{{symbol}}}:events")]);
    }
    let begin = |client: &mut Client, symbol: &str| {
        client.map(format!("TRADE.REBUILD {symbol} DRYRUN").as_str())["next"].clone()
    };
    let first = begin(&mut client, "A");
    let second = begin(&mut client, "A");
    assert_ne!(first, second);
    let check = |client: &mut Client, command: String, wanted: &str| {
        let error = client.error(command.as_str());
        assert!(error.starts_with("ERR") && error.contains(wanted), "{command}: {error}");
    };
    check(&mut client, format!("TRADE.REBUILD A FROM {first} DRYRUN"), "another one begins");
    check(&mut client, format!("TRADE.REBUILD B FROM {second} DRYRUN"), "no such rebuild of B");
    check(&mut client, format!("TRADE.REBUILD A FROM {second}"), "DRYRUN must be given");
    check(&mut client, "TRADE.REBUILD A FROM".to_owned(), "needs a value");
    check(&mut client, "TRADE.REBUILD A DRYRUN DRYRUN".to_owned(), "twice");
    check(&mut client, "TRADE.REBUILD A SLOWLY".to_owned(), "FROM and DRYRUN");
    for symbol in ["B", "C", "D"] {
        begin(&mut client, symbol);
    }
    check(&mut client, "TRADE.REBUILD E".to_owned(), "4 rebuilds are under way");
    // Another log under the name, that is longer: the rebuild is over, and makes room for others.
    client.run("DEL trade:{A}:events");
    client.run(["EVAL", &script.replace("30000", "40000"), "1", "trade:{A}:events"]);
    check(&mut client, format!("TRADE.REBUILD A FROM {second} DRYRUN"), "start again");
    check(&mut client, format!("TRADE.REBUILD A FROM {second} DRYRUN"), "no such rebuild");
    begin(&mut client, "E");
}

#[test]
fn a_key_of_another_type_stops_it_until_it_is_gone() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    for order in 1..4 {
        client.run(format!(r#"TRADE.PUBLISH S order.created '{{"order_id":{order},"volume":1}}'"#).as_str());
    }
    client.run("SET trade:{S}:order:2 mine");
    // A server may be so slow that its first slice ends before the second order.
    wait_until("a slice that compares two orders", || {
        client.run("HSET trade:{S}:order:1 status filled");
        client.text("TRADE.REBUILD S").contains("WRONGTYPE")
    });
    assert_eq!(client.string("HGET trade:{S}:order:1 status"), "filled", "a slice is all or nothing");
    client.run("DEL trade:{S}:order:2");
    let mended = client.rebuild("S", &[]);
    assert_eq!((mended["entities"], mended["repaired"]), (3, 2));
}
