//! Ten thousand symbols: publishing, listing them, and bars that the clock closes for all of them at once.

use std::time::Instant;

use crate::desk::{mib, words, Desk, Times};
use crate::pages::all_symbols;
use crate::sized;
use crate::support::Options;

pub fn run() {
    let symbols = sized(10_000);
    let mut desk = Desk::start(Options::new().module_args("bar-grace 3600000"));
    let before = desk.used();
    let publish = |at: usize| {
        let (symbol, order) = (at % symbols, at / symbols);
        words(&format!(r#"TRADE.PUBLISH SYM{symbol} order.created {{"order_id":"{order}","volume":1}}"#))
    };
    desk.accept_all((0..symbols).map(publish));
    println!("  {symbols} symbols with an order each: {} bytes each", (desk.used() - before) / symbols as i64);
    desk.report("TRADE.PUBLISH, another symbol each time", 1.0, (symbols..symbols * 3).map(publish));

    for count in [100, 1_000] {
        let (found, times) = all_symbols(&mut desk, count);
        assert_eq!(found.len(), symbols);
        desk.print(&format!("TRADE.SYMBOLS COUNT {count}"), 10.0, times);
    }
    clock(&mut desk, symbols);
}

/// All bars end at once. Others are served meanwhile.
fn clock(desk: &mut Desk, symbols: usize) {
    desk.accept_all((0..symbols).map(|at| words(&format!("COND.REGISTER SYM{at} 1s close>5 ID c{at}"))));
    desk.accept_all((0..symbols).map(|at| words(&format!("MARKET.TICK SYM{at} 7 1"))));
    let forming = |desk: &Desk| desk.info("tradebus", "tradebus_symbols_with_forming_bars");
    assert_eq!(forming(desk), symbols as i64);
    println!("  engines: {}", mib(desk.info("tradebus", "tradebus_engines_cached_bytes")));
    desk.client.run("CONFIG SET tradebus.bar-grace 0");
    let begun = Instant::now();
    // What a PING waits for is what the server does before it.
    let mut waits = Vec::new();
    while forming(desk) > 0 {
        waits.push(desk.timed("PING").0);
        assert!(begun.elapsed().as_secs() < 300, "{} bars are open still", forming(desk));
    }
    println!("  {symbols} bars closed by the clock in {:.1} s", begun.elapsed().as_secs_f64());
    desk.print("PING meanwhile", 60.0, Times::of(waits));
    assert_eq!(desk.info("tradebus", "tradebus_candles"), symbols as i64);
}
