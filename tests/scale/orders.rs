//! A million live orders on one symbol.

use std::time::Instant;

use crate::desk::{mib, words, Desk};
use crate::pages::{all_symbols, rebuild_all};
use crate::sized;
use crate::support::{wait_until, Options, Stop};

fn created(at: usize) -> Vec<String> {
    words(&format!(
        r#"TRADE.PUBLISH S order.created {{"order_id":"ord-{at}","order_type":"LIMIT","side":"BUY","price":2000.50,"volume":2,"strategy":"momentum"}}"#
    ))
}

fn fill(at: usize, id: usize) -> Vec<String> {
    words(&format!(
        r#"TRADE.PUBLISH S order.partially_filled {{"order_id":"ord-{at}","fill_id":"f{id}","fill_volume":0.001,"fill_price":2000.25}}"#
    ))
}

pub fn run() {
    let orders = sized(1_000_000);
    let sample = sized(20_000).min(orders / 10);
    let options = || Options::new().append_only();
    let mut desk = Desk::start(options());
    desk.accept_all((0..sample).map(created));
    let few =
        desk.report(&format!("TRADE.PUBLISH of a fill, {sample} live orders"), 2.0, (0..sample).map(|at| fill(at, at)));
    let without_log = |desk: &mut Desk| desk.used() - desk.client.int("MEMORY USAGE trade:{S}:events SAMPLES 0");
    let before = without_log(&mut desk);
    desk.accept_all((sample..orders).map(created));
    println!("  {} bytes an order, beside the log", (without_log(&mut desk) - before) / (orders - sample) as i64);
    println!("  {orders} live orders: used {}, resident {}", mib(desk.used()), mib(desk.resident()));

    let anywhere = (0..sample).map(|at| fill((at * 7_919) % orders, sample + at));
    let many = desk.report(&format!("TRADE.PUBLISH of a fill, {orders} live orders"), 2.0, anywhere);
    // An index of a million is deeper, and nothing of it is in a cache.
    assert!(many.median <= few.median * 6.0 + 20.0, "{few:?} {many:?}");

    for offset in [0, orders / 2, orders - 100] {
        let query = format!("TRADE.ORDERS S COUNT 100 OFFSET {offset}");
        desk.report(&query, 10.0, (0..50).map(|_| &*query));
    }
    let pages = (0..5).map(|at| format!("TRADE.ORDERS S COUNT 2000 OFFSET {}", at * orders / 6));
    desk.report("TRADE.ORDERS S COUNT 2000", 50.0, pages);
    desk.report("TRADE.STATS", 1.0, (0..200).map(|_| "TRADE.STATS S"));
    symbols_among_orders(&mut desk);
    rebuild(&mut desk);
    restarts(desk, &options);
}

/// One symbol, and a million keys that are none.
fn symbols_among_orders(desk: &mut Desk) {
    let (found, times) = all_symbols(desk, 1_000);
    assert_eq!(found.len(), 1);
    desk.print("TRADE.SYMBOLS COUNT 1000", 10.0, times);
}

/// The fold has every order whose first event is in the log still.
fn rebuild(desk: &mut Desk) {
    let before = desk.used();
    let (reply, times, high) = rebuild_all(desk, |_| {});
    desk.print(&format!("TRADE.REBUILD, each of {} slices", times.1), 20.0, times.0);
    let [read, entities, skipped] = ["read", "entities", "skipped"].map(|name| &reply[name]);
    println!("  {read} entries, {entities} orders, {skipped} skipped; its fold took {} at most", mib(high - before));
}

fn restarts(mut desk: Desk, options: &dyn Fn() -> Options) {
    let digest = desk.client.map("TRADE.STATS S");
    desk.client.run("BGREWRITEAOF");
    wait_until("the rewrite", || desk.info("persistence", "aof_rewrite_in_progress") == 0);
    let size = desk.info("persistence", "aof_current_size");
    for (what, kept) in [("an AOF of one rewrite", true), ("a snapshot", false)] {
        let Desk { mut server, .. } = desk;
        if !kept {
            server.client().run("CONFIG SET appendonly no");
            server.client().run("SAVE");
        }
        server.stop(Stop::Shutdown);
        let begun = Instant::now();
        server.start_again(if kept { options() } else { Options::new() });
        println!("  started again from {what} in {:.1} s ({})", begun.elapsed().as_secs_f64(), mib(size));
        desk = Desk::of(server);
        let found = desk.client.map("TRADE.STATS S");
        for field in ["events", "open_orders", "last_id"] {
            assert_eq!(found[field], digest[field], "{what}: {field}");
        }
    }
}
