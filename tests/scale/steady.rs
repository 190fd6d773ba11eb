//! Memory in a steady state: events whose entities end and expire, in logs that are trimmed; queries; refusals of every
//! code; candles and ticks with conditions; and symbols that come and go.

use crate::desk::{mib, words, Desk};
use crate::refusals;
use crate::sized;
use crate::support::{wait_until, Options};

/// Rounds of each kind, of which the first ones fill what is bounded.
const ROUNDS: usize = 20;
const WARM: usize = 8;

const SYMBOLS: usize = 10;

/// What one kind of commands may add to memory from the end of the warm-up to the end, bytes: what a trimmed log and
/// generations of ids swing by.
const GROWTH_MAX: i64 = 3 << 20;

pub fn run() {
    let bounded =
        "stream-maxlen 5000 closed-ttl 200 signal-ttl 200 dedupe-window 1000 dedupe-max 20000 queue-maxlen 1000 \
                   candle-history 200 bar-grace 3600000";
    let mut desk = Desk::start(Options::new().module_args(bounded));
    let mut numbers = 0..;
    check(&mut desk, "publishes", sized(1_000_000), &mut |desk, count| {
        desk.accept_all(numbers.by_ref().take(count / 10).flat_map(life));
    });
    desk.report("TRADE.PUBLISH", 1.0, numbers.by_ref().take(500).flat_map(life));
    check(&mut desk, "queries", sized(1_000_000), &mut |desk, count| {
        desk.accept_all((0..count).map(query));
    });
    refusals::set_up(&mut desk);
    check(&mut desk, "refusals", sized(1_000_000), &mut refusals::run);
    conditions(&mut desk);
    for at in 0..CONDITIONS {
        desk.client.run(format!("COND.REMOVE SYM0 c{at} FORCE"));
    }
    symbols(&mut desk);
}

fn symbol(at: usize) -> String {
    format!("SYM{}", at % SYMBOLS)
}

/// Ten events, at the end of which nothing lives any more.
fn life(at: usize) -> [Vec<String>; 10] {
    let symbol = symbol(at);
    [
        format!(r#"order.created {{"order_id":"o{at}","order_type":"LIMIT","side":"BUY","price":2000.50,"volume":2}} ID e{at}"#),
        format!(r#"order.partially_filled {{"order_id":"o{at}","fill_id":"f{at}","fill_volume":1,"fill_price":2000.25}} ID p{at}"#),
        format!(r#"order.modified {{"order_id":"o{at}","price":2001.50,"note{}":"{at}"}}"#, at % 3_000),
        format!(r#"order.filled {{"order_id":"o{at}","fill_id":"g{at}","fill_volume":1,"fill_price":2000.75}} CORRELATION c{at}"#),
        format!(r#"position.opened {{"position_id":"p{at}","direction":"LONG","entry_price":2000.5,"volume":2}}"#),
        format!(r#"position.partially_closed {{"position_id":"p{at}","closed_volume":1,"exit_price":2001,"fill_id":"s{at}"}}"#),
        format!(r#"position.closed {{"position_id":"p{at}","exit_price":2002,"pnl":"1.5"}} SOURCE venue{}"#, at % 5_000),
        format!(r#"signal.generated {{"signal_id":"s{at}"}}"#),
        format!(r#"risk.limit_breached {{"limit":"l{}","value":{at}}}"#, at % 50),
        format!(r#"trade.executed {{"order_id":"o{at}","entry":2000.50}}"#),
    ]
    .map(|rest| words(&format!("TRADE.PUBLISH {symbol} {rest}")))
}

const QUERIES: [&str; 12] = [
    "TRADE.EVENTS SYM - + COUNT 2",
    "TRADE.EVENTS SYM + - REV COUNT 1 TYPE order.created",
    "TRADE.ORDER SYM o1",
    "TRADE.ORDERS SYM COUNT 1",
    "TRADE.POSITION SYM p1",
    "TRADE.POSITIONS SYM",
    "TRADE.SIGNAL SYM s1",
    "TRADE.STATS SYM",
    "TRADE.INSTRUMENT SYM",
    "TRADE.SYMBOLS 0 COUNT 1",
    "TRADE.REPLAY SYM - + COUNT 1",
    "INFO tradebus",
];

fn query(at: usize) -> Vec<String> {
    let symbol = symbol(at / QUERIES.len());
    words(&QUERIES[at % QUERIES.len()].replace(" SYM", &format!(" {symbol}")))
}

/// Runs `count` commands in rounds; memory is where it was after the first of them.
fn check(desk: &mut Desk, what: &str, count: usize, run: &mut dyn FnMut(&mut Desk, usize)) {
    let (before, resident) = (desk.used(), desk.resident());
    let mut used = Vec::new();
    for _ in 0..ROUNDS {
        run(desk, count / ROUNDS);
        settle(desk);
        used.push(desk.used());
    }
    let (warm, after) = used.split_at(WARM);
    let (low, high) = (warm[WARM / 2..].iter().min().copied(), after.iter().max().copied());
    let growth = high.zip(low).map_or(0, |(high, low)| high - low);
    println!(
        "  {count:>9} {what:<12} used {} -> {} -> {}, {growth:+} bytes since the warm-up; resident {} -> {}",
        mib(before),
        mib(warm[WARM - 1]),
        mib(used[ROUNDS - 1]),
        mib(resident),
        mib(desk.resident())
    );
    assert!(growth <= GROWTH_MAX, "{what}: {used:?}");
}

/// Waits until what had ended has expired.
fn settle(desk: &mut Desk) {
    let client = &mut desk.client;
    wait_until("what has ended to expire", || {
        // A log, `last`, risk and the like of each symbol, and generations of ids.
        client.int("DBSIZE") < 60 * SYMBOLS as i64
    });
}

const CONDITIONS: usize = 200;

fn conditions(desk: &mut Desk) {
    for at in 0..CONDITIONS {
        let expression = ["sma(N) > close", "rsi(N) < 50", "close CROSSES ema(N)", "macd(N,200,9).hist > 0"][at % 4];
        let expression = expression.replace('N', &(at / 4 + 2).to_string());
        desk.client.run(["COND.REGISTER", "SYM0", "1m", &expression, "ID", &format!("c{at}"), "MODE", "level"]);
        desk.client.run(format!("COND.SUBSCRIBE SYM0 c{at} bot TYPE dca"));
    }
    desk.client.run("COND.REGISTER SYM1 1s close>5 ID tick");
    let begin = 1_500_000_000_000_i64;
    let mut bars = (0_i64..).map(|bar| {
        let price = 100 + bar * 7_919 % 53;
        words(&format!("MARKET.CANDLE SYM0 1m {} {price} {price} {price} {price} 1", begin + bar * 60_000))
    });
    check(desk, "candles", sized(40_000), &mut |desk, count| desk.accept_all(bars.by_ref().take(count)));
    desk.report(&format!("MARKET.CANDLE, {CONDITIONS} conditions, a bot each"), 20.0, bars.by_ref().take(500));
    let mut ticks =
        (0_i64..).map(|tick| words(&format!("MARKET.TICK SYM1 {} 1 TIMESTAMP {}", 1 + tick % 9, begin + tick * 250)));
    check(desk, "ticks", sized(200_000), &mut |desk, count| desk.accept_all(ticks.by_ref().take(count)));
    desk.report("MARKET.TICK", 1.0, ticks.by_ref().take(2_000));
}

/// Each symbol comes once, and its keys go. What stays is what the module remembers of symbols, which is bounded.
fn symbols(desk: &mut Desk) {
    let cached = |desk: &Desk| desk.info("tradebus", "tradebus_symbols_cached");
    desk.client.run("FLUSHALL");
    let before = (desk.used(), cached(desk));
    let mut numbers = 0..;
    // As many as fill what remembers them within the warm-up, however small the run is.
    check(desk, "symbols", sized(1_000_000).max(200_000), &mut |desk, count| {
        desk.accept_all(numbers.by_ref().take(count).map(|at: usize| {
            words(&format!(r#"TRADE.PUBLISH S{at} order.created {{"order_id":"1","volume":1}} ID 1"#))
        }));
        desk.client.run("FLUSHALL");
    });
    let (used, symbols) = (desk.used() - before.0, cached(desk) - before.1);
    println!("  {symbols} symbols more are remembered, {} bytes each", used / symbols.max(1));
}
