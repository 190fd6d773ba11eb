//! A log of five million entries.

use std::time::Instant;

use redis::Value;

use crate::desk::{mib, words, Desk};
use crate::pages::{events, rebuild_all};
use crate::sized;
use crate::support::{text, Options, Stop};

/// Orders that the events are of.
const ORDERS: usize = 1_000;
const BATCH: usize = 1_000;

/// A batch: events of a few orders, so that the log is long and the state is not.
fn batch(number: usize) -> Vec<String> {
    let mut command = words(&format!("TRADE.MPUBLISH S {BATCH}"));
    for at in number * BATCH..(number + 1) * BATCH {
        let order = at % ORDERS;
        command.push("order.modified".to_owned());
        command.push(format!(
            r#"{{"order_id":"ord-{order}","price":{}.50,"strategy":"momentum","venue":"one"}}"#,
            at % 9_000
        ));
    }
    command
}

pub fn run() {
    let entries = sized(5_000_000);
    let options =
        || Options::new().module_args("stream-maxlen 0").append_only().config("auto-aof-rewrite-percentage 0");
    let mut desk = Desk::start(options());
    let single =
        |at: usize| words(&format!(r#"TRADE.PUBLISH S order.modified {{"order_id":"ord-{}","price":7}}"#, at % ORDERS));
    desk.accept_all(
        (0..ORDERS).map(|at| words(&format!(r#"TRADE.PUBLISH S order.created {{"order_id":"ord-{at}","volume":1}}"#))),
    );
    let short = desk.report("TRADE.PUBLISH, a short log", 1.0, (0..sized(20_000)).map(single));
    desk.report("TRADE.MPUBLISH of 1,000", 50.0, (0..entries / BATCH).map(batch));
    let long = desk.report("TRADE.PUBLISH, a long log", 1.0, (0..sized(20_000)).map(single));
    assert!(long.median <= short.median * 3.0 + 20.0, "{short:?} {long:?}");
    let length = desk.client.int("XLEN trade:{S}:events");
    println!("  {length} entries: used {}, resident {}", mib(desk.used()), mib(desk.resident()));

    queries(&mut desk);
    claims(&mut desk, entries);
    rebuild(&mut desk, entries);
    let mut desk = restart(desk, options());
    trim(&mut desk);
}

fn queries(desk: &mut Desk) {
    let Value::Array(entry) = desk.client.run("XRANGE trade:{S}:events - + COUNT 1") else { panic!("an array") };
    let first = text(&entry[0]).trim_start_matches("[\"").split('-').next().expect("milliseconds").to_owned();
    for (what, query) in [
        ("the oldest 2,000", "TRADE.EVENTS S - + COUNT 2000".to_owned()),
        ("the newest 2,000", "TRADE.EVENTS S + - REV COUNT 2000".to_owned()),
        ("by time", format!("TRADE.EVENTS S {first} + SINCE {first} COUNT 100")),
        ("a type that there is none of", "TRADE.EVENTS S - + TYPE risk.limit_breached".to_owned()),
        ("an order", "TRADE.EVENTS S + - REV ORDER ord-77 COUNT 2000".to_owned()),
        ("an order that there is none of", "TRADE.EVENTS S - + ORDER none".to_owned()),
    ] {
        let times = events(desk, &query, 50);
        desk.print(&format!("TRADE.EVENTS, {what}"), 50.0, times);
    }
    desk.report("TRADE.REPLAY COUNT 2000", 50.0, (0..50).map(|_| "TRADE.REPLAY S - + COUNT 2000"));
    desk.report("TRADE.STATS", 2.0, (0..200).map(|_| "TRADE.STATS S"));
}

/// A group that has got everything and acknowledged nothing.
fn claims(desk: &mut Desk, entries: usize) {
    desk.client.run("XGROUP CREATE trade:{S}:events workers 0");
    let pending = sized(1_000_000).min(entries);
    for _ in 0..pending / 2_000 {
        desk.client.run("XREADGROUP GROUP workers a COUNT 2000 STREAMS trade:{S}:events >");
    }
    for (what, line) in [
        ("none idle", "TRADE.CLAIM S workers b 86400000 5 COUNT 2000"),
        ("100 claimed", "TRADE.CLAIM S workers b 0 1000000 COUNT 100"),
        ("2,000 claimed", "TRADE.CLAIM S workers b 0 1000000 COUNT 2000"),
        ("2,000 dead letters", "TRADE.CLAIM S workers b 0 0 COUNT 2000"),
    ] {
        desk.report(&format!("TRADE.CLAIM, {pending} pending, {what}"), 100.0, (0..20).map(|_| line));
    }
    desk.client.run("XGROUP DESTROY trade:{S}:events workers");
}

/// Others publish between the slices, and what they publish is taken in.
fn rebuild(desk: &mut Desk, entries: usize) {
    let before = desk.used();
    let publish = r#"TRADE.PUBLISH S order.modified '{"order_id":"ord-1","price":8}'"#;
    let (reply, (times, slices), high) = rebuild_all(desk, |desk| {
        desk.client.run(publish);
    });
    assert!(reply["read"].parse::<usize>().expect("a number") >= entries, "{reply:?}");
    desk.print(&format!("TRADE.REBUILD, each of {slices} slices"), 20.0, times);
    println!("  its fold took {} at most", mib(high - before));
}

fn restart(desk: Desk, options: Options) -> Desk {
    let Desk { mut server, .. } = desk;
    let wanted = server.client().map("TRADE.STATS S");
    server.stop(Stop::Kill);
    let begun = Instant::now();
    server.start_again(options);
    println!("  started again from its AOF of single events in {:.1} s", begun.elapsed().as_secs_f64());
    let mut desk = Desk::of(server);
    let found = desk.client.map("TRADE.STATS S");
    for field in ["events", "log_length", "last_id", "open_orders"] {
        assert_eq!(found[field], wanted[field], "{field}");
    }
    let publish = r#"TRADE.PUBLISH S order.modified '{"order_id":"ord-1","price":9}'"#;
    desk.report("TRADE.PUBLISH, the first behind a restart", 10.0, [publish]);
    desk
}

/// The limit is lowered: what is too much goes with the events that come.
fn trim(desk: &mut Desk) {
    desk.client.run("CONFIG SET tradebus.stream-maxlen 1000");
    let publish = (0..1_000).map(|_| r#"TRADE.PUBLISH S order.modified '{"order_id":"ord-1","price":9}'"#);
    desk.report("TRADE.PUBLISH, with a limit of 1,000 entries from now on", 100.0, publish);
    println!("  {} entries are left", desk.client.int("XLEN trade:{S}:events"));
}
