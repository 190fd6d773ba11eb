//! Eviction, which tradebus warns of: whatever key is gone, the server and every command go on, and TRADE.REBUILD mends
//! what the log still tells.

use super::{run_course, READS};
use crate::support::{wait_until, Options, Server};

/// What goes on after [`super::COURSE`], whatever of it was lost.
const GOING_ON: &[&str] = &[
    r#"TRADE.PUBLISH S order.partially_filled '{"order_id":"open","fill_volume":0.5,"fill_price":2000,"fill_id":"f2"}'"#,
    r#"TRADE.PUBLISH S order.filled '{"order_id":"open","fill_price":2001}'"#,
    r#"TRADE.PUBLISH S position.closed '{"position_id":"p","exit_price":3}'"#,
    r#"TRADE.PUBLISH S signal.validated '{"signal_id":"g"}'"#,
    r#"TRADE.PUBLISH S risk.limit_breached '{"limit":"dd","value":2}'"#,
    "TRADE.PUBLISH S trade.executed {} ID e1",
    "EVENT.PUBLISH S model.done {} ID m1",
    "MARKET.CANDLE S 1m 1763402580000 9 9 9 9 1",
    "MARKET.TICK S 8 1",
    "COND.REGISTER S 1m 'close > sma(3)' ID c MODE level",
    "COND.SUBSCRIBE S c bot TYPE dca",
    "COND.TRIGGER S c ID t1",
];

#[test]
fn any_key_may_be_lost() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    run_course(&mut client);
    let all = client.keys("*");
    assert!(all.len() > 24, "{all:?}");
    for lost in all {
        client.run("FLUSHALL");
        run_course(&mut client);
        assert_eq!(client.int(["UNLINK", &lost]), 1, "{lost}");
        for command in READS.iter().chain(GOING_ON).chain(READS) {
            let reply = client.text(*command);
            // Until it is registered again, a condition without its definition is none, and one without its place is told.
            let is_lost = lost.starts_with("cond:{S}:def:") && reply.starts_with("(error) NOTFOUND ");
            let is_nowhere =
                lost.starts_with("cond:{S}:index:") && reply.starts_with("(error) CORRUPT condition c is not in");
            assert!(is_lost || is_nowhere || !reply.starts_with("(error)"), "without {lost}: {command}: {reply}");
        }
        assert!(client.text("COND.EXPLAIN S c").contains("bars"), "without {lost}: registered again, it is judged");
        client.rebuild("S", &[]);
        assert_eq!(client.rebuild("S", &["DRYRUN"])["differing"], 0, "without {lost}");
    }
}

/// As it comes in a server that is too small. What is accepted is answered with an id, and what is not with a reason.
#[test]
fn a_server_that_evicts_goes_on() {
    for policy in ["allkeys-random", "allkeys-lru", "volatile-random", "volatile-ttl"] {
        let server = Server::start(Options::new().config(&format!("maxmemory-policy {policy}")));
        let mut client = server.client();
        run_course(&mut client);
        let used: u64 = server.info("memory", "used_memory").expect("a field").parse().expect("bytes");
        client.run(["CONFIG".to_owned(), "SET".to_owned(), "maxmemory".to_owned(), (used + 1_000_000).to_string()]);
        let padding = "x".repeat(500);
        for at in 0..3_000 {
            for command in [
                format!(
                    r#"TRADE.PUBLISH S order.created '{{"order_id":"{at}","volume":1,"note":"{padding}"}}' ID {at}"#
                ),
                format!(r#"TRADE.PUBLISH S order.filled '{{"order_id":"{}","price":1}}'"#, at / 2),
            ] {
                let reply = client.text(&command);
                let codes = ["INVALIDSTATE", "OVERFILL", "OOM"];
                let is_known = codes.iter().any(|code| reply.starts_with(&format!("(error) {code} ")));
                assert!(reply.starts_with('"') || is_known, "{policy}: {command}: {reply}");
            }
        }
        let evicted = server.info("stats", "evicted_keys").expect("a field");
        assert!(evicted.parse::<u64>().expect("a count") > 100, "{policy}: {evicted}");
        client.run("CONFIG SET maxmemory 0");
        for command in READS {
            // Conditions and streams may be gone as a whole.
            let reply = client.text(*command);
            assert!(!reply.starts_with("(error)") || reply.contains("NOTFOUND"), "{policy}: {command}: {reply}");
        }
        client.rebuild("S", &[]);
        assert_eq!(client.rebuild("S", &["DRYRUN"])["differing"], 0, "{policy}");
    }
}

/// The danger is told when it comes, not only when the server starts.
#[test]
fn a_policy_that_comes_later_is_warned_of() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    client.run("CONFIG SET maxmemory 1gb");
    assert!(!server.log().contains("maxmemory-policy is"), "{}", server.log());
    client.run("CONFIG SET maxmemory-policy allkeys-lru");
    wait_until("the warning", || server.log().contains("maxmemory-policy is allkeys-lru"));
    client.run("CONFIG SET maxmemory-policy noeviction");
    client.run("CONFIG SET hz 20");
    client.run("CONFIG SET maxmemory-policy volatile-ttl maxmemory 2gb");
    wait_until("the warning", || server.log().contains("maxmemory-policy is volatile-ttl"));
    assert_eq!(server.log().matches("maxmemory-policy is").count(), 2, "{}", server.log());
}
