//! Working off what conditions trigger: COND.CLAIM, what an executor may do, and a server that is full.

use redis::Value;

use crate::support::{text, Client, Options, Server};
use crate::twin::Pair;

/// The two streams that COND.CLAIM knows, as it names them and by key.
const SOURCES: [(&str, &str); 2] = [("TRIGGERS", "cond:{S}:triggers"), ("QUEUE:dca", "bots:{S}:dca")];

/// Triggers a condition `count` times, with a bot of the type `dca`; consumer `a` of group `g` reads of both streams and
/// leaves it.
fn leave_work(client: &mut Client, count: usize) {
    client.run("COND.REGISTER S 1m 'close > 5' ID c");
    client.run("COND.SUBSCRIBE S c bot TYPE dca");
    for _ in 0..count {
        client.run("COND.TRIGGER S c");
    }
    for (_, key) in SOURCES {
        client.run(["XGROUP", "CREATE", key, "g", "0"]);
        client.run(["XREADGROUP", "GROUP", "g", "a", "STREAMS", key, ">"]);
    }
}

#[test]
fn work_is_taken_over_and_what_fails_is_buried() {
    for (source, key) in SOURCES {
        let mut pair = Pair::start(Options::new());
        // What they are made of has effects of its own, one transaction each: seen elsewhere.
        let mut client = pair.connect();
        for command in ["COND.REGISTER S 1m 'close > 5' ID c", "COND.SUBSCRIBE S c bot TYPE dca"] {
            client.run(command);
            pair.effects();
        }
        for _ in 0..2 {
            client.run("COND.TRIGGER S c");
            pair.effects();
        }
        client.run(["XGROUP", "CREATE", key, "g", "0"]);
        pair.effects();
        let stored = client.run(["XRANGE", key, "-", "+"]);
        let entries = text(&stored);
        // As if read: XREADGROUP itself emits other events than its effects do.
        let Value::Array(stored) = stored else { panic!("no array: {entries}") };
        for entry in &stored {
            let Value::Array(parts) = entry else { panic!("no entry: {entries}") };
            let id = text(&parts[0]);
            client.run(["XCLAIM", key, "g", "a", "0", id.trim_matches('"'), "FORCE", "RETRYCOUNT", "1", "JUSTID"]);
            pair.effects();
        }

        let claim = |rest: &str| format!("COND.CLAIM S {source} {rest}");
        assert_eq!(client.text(claim("g b 60000 5")), "[[], 0]", "{source}");
        assert_eq!(client.text(claim("g b 0 5")), format!("[{entries}, 0]"), "{source}");
        let names = |pair: &mut Pair| -> Vec<String> {
            // Servers differ in how they tell of a new consumer.
            let names = pair.effects().into_iter().map(|mut words| words.remove(0));
            names.filter(|name| name != "XGROUP").collect()
        };
        assert_eq!(names(&mut pair), ["XCLAIM", "XCLAIM"], "{source}");
        assert_eq!(client.text(claim(&"g c 0 1 COUNT 1".to_lowercase())), "[[], 1]", "{source}");
        assert_eq!(names(&mut pair), ["XADD", "XACK"], "{source}");
        let letter = text(&client.run("XRANGE trade:{S}:dead - +"));
        assert!(letter.contains(&format!(r#"["key", "{key}", "id", "#)), "{letter}");
        assert!(letter.contains(r#""group", "g", "consumer", "b", "deliveries", "2", "#), "{letter}");
        assert!(letter.contains(r#""condition_id", "c""#), "{letter}");
        assert_eq!(client.int(["XLEN", key]), 2, "the stream keeps it");
        let pending = client.text(["XPENDING", key, "g"]);
        assert!(pending.starts_with("[1, ") && pending.contains(r#"["b", "1"]"#), "{pending}");
    }
}

#[test]
fn types_are_queues_of_their_own() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    leave_work(&mut client, 1);
    client.run("COND.SUBSCRIBE S c other TYPE grid.v2");
    client.run("COND.TRIGGER S c");
    client.run("XGROUP CREATE bots:{S}:grid.v2 g 0");
    client.run("XREADGROUP GROUP g a STREAMS bots:{S}:grid.v2 >");
    let Value::Array(parts) = client.run("COND.CLAIM S queue:grid.v2 g b 0 5") else { panic!("two parts") };
    let claimed = text(&parts[0]);
    assert!(claimed.contains(r#""bot_id", "other""#) && !claimed.contains(r#""bot_id", "bot""#), "{claimed}");
    assert!(client.error("COND.CLAIM S QUEUE:GRID.V2 g b 0 5").starts_with("NOTFOUND "), "case matters in a name");
    let triggers = client.text("COND.CLAIM S triggers g b 0 5");
    assert!(triggers.contains(r#""condition_id", "c""#) && !triggers.contains("bot_id"), "{triggers}");
}

/// What the documentation says that an executor needs.
#[test]
fn an_executor_needs_no_more_than_is_documented() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    leave_work(&mut client, 1);
    client.run("ACL SETUSER executor reset on >secret resetchannels ~S ~bots:{S}:dca +xreadgroup +xack +cond.claim +trade.publish");
    let mut executor = server.client_as("executor", "secret");
    let claimed = executor.text("COND.CLAIM S QUEUE:dca g host-1 0 5");
    let id = claimed.split('"').nth(1).expect("an entry").to_owned();
    let order_ref = claimed.split(r#""order_ref", ""#).nth(1).expect("an order_ref")[..32].to_owned();
    let data = format!(r#"{{"order_id":"{order_ref}","quote_volume":100}}"#);
    for _ in 0..2 {
        executor.run(["TRADE.PUBLISH", "S", "order.created", &data, "ID", &order_ref]);
    }
    assert_eq!(executor.int(["XACK", "bots:{S}:dca", "g", &id]), 1);
    executor.run("XREADGROUP GROUP g host-1 STREAMS bots:{S}:dca >");
    assert_eq!(client.int("XLEN trade:{S}:events"), 1, "sent twice, logged once");
    for denied in
        ["COND.TRIGGER S c", "COND.CLAIM T QUEUE:dca g host-1 0 5", "XREADGROUP GROUP g host-1 STREAMS bots:{S}:grid >"]
    {
        assert!(executor.error(denied).starts_with("NOPERM"), "{denied}");
    }
}

#[test]
fn a_full_server_lets_bots_be_stopped_and_work_be_done() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    leave_work(&mut client, 2);
    client.run("COND.REGISTER S 1m 'close > 6' ID paused");
    client.run("COND.PAUSE S paused");
    client.run("CONFIG SET maxmemory 1");
    let state = server.digest();
    for command in [
        "COND.REGISTER S 1m 'close > 7'",
        "COND.RESUME S paused",
        "COND.SUBSCRIBE S c bot2",
        "COND.TRIGGER S c",
        "MARKET.CANDLE S 1m 1763402400000 1 1 1 1 1",
    ] {
        assert!(client.error(command).starts_with("OOM "), "{command}");
    }
    assert_eq!(server.digest(), state);
    for command in [
        "COND.GET S c",
        "COND.LIST S",
        "COND.SUBSCRIBERS S c",
        "COND.EXPLAIN S c",
        "COND.PAUSE S c",
        "COND.UNSUBSCRIBE S c bot",
        "COND.REMOVE S c",
    ] {
        client.run(command);
    }
    for (source, _) in SOURCES {
        let claimed = client.text(format!("COND.CLAIM S {source} g b 0 1"));
        assert!(claimed.ends_with("], 0]") && claimed.matches("condition_id").count() == 2, "{claimed}");
        assert_eq!(client.text(format!("COND.CLAIM S {source} g b 0 1")), "[[], 2]");
    }
}
