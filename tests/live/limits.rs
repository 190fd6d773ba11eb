//! What the server's own limits do to the module: memory that is full, keys that are evicted, clients that are too slow,
//! and settings that change how a key is kept.

mod clients;
mod encodings;
mod eviction;
mod memory;

use crate::support::Client;

/// One key of each kind, of symbol and stream `S`, by commands none of which is refused.
const COURSE: &[&str] = &[
    "TRADE.INSTRUMENT S SET contract_size 10",
    r#"TRADE.PUBLISH S order.created '{"order_id":"open","volume":2,"price":2000.50}' ID e0 TIMESTAMP 1763402400000"#,
    r#"TRADE.PUBLISH S order.partially_filled '{"order_id":"open","fill_volume":1,"fill_price":2000,"fill_id":"f1"}'"#,
    r#"TRADE.PUBLISH S order.created '{"order_id":"done","volume":1}' TIMESTAMP 1763402400001"#,
    r#"TRADE.PUBLISH S order.cancelled '{"order_id":"done"}'"#,
    r#"TRADE.PUBLISH S position.opened '{"position_id":"p","direction":"LONG","entry_price":1,"volume":3}' TIMESTAMP 1763402400002"#,
    r#"TRADE.PUBLISH S position.partially_closed '{"position_id":"p","closed_volume":1,"exit_price":2,"fill_id":"s1"}'"#,
    r#"TRADE.PUBLISH S signal.generated '{"signal_id":"g"}'"#,
    r#"TRADE.PUBLISH S risk.limit_breached '{"limit":"dd","value":1}'"#,
    "XGROUP CREATE trade:{S}:events g 0",
    "XREADGROUP GROUP g a COUNT 3 STREAMS trade:{S}:events >",
    "TRADE.CLAIM S g b 0 1 COUNT 1",
    r#"EVENT.SCHEMA S SET model.done '{"type":"object"}'"#,
    r#"EVENT.PUBLISH S model.done '{"score":0.5}' ID m0"#,
    "XGROUP CREATE events:{S} g 0",
    "XREADGROUP GROUP g a STREAMS events:{S} >",
    "EVENT.CLAIM S g b 0 1",
    "COND.REGISTER S 1m 'close > sma(3)' ID c MODE level",
    "COND.REGISTER S 1h 'close > 7' ID ticks",
    "COND.SUBSCRIBE S c bot TYPE dca",
    "MARKET.CANDLE S 1m 1763402400000 5 5 5 5 1",
    "MARKET.CANDLE S 1m 1763402460000 6 6 6 6 1",
    "MARKET.CANDLE S 1m 1763402520000 9 9 9 9 1",
    "COND.TRIGGER S c ID t0",
    "XGROUP CREATE bots:{S}:dca g 0",
    "XREADGROUP GROUP g a STREAMS bots:{S}:dca >",
    "MARKET.TICK S 8 1",
];

/// Every command that reads, on what [`COURSE`] leaves.
const READS: &[&str] = &[
    "TRADE.ORDER S open",
    "TRADE.ORDER S done",
    "TRADE.ORDERS S",
    "TRADE.POSITION S p",
    "TRADE.POSITIONS S",
    "TRADE.SIGNAL S g",
    "TRADE.EVENTS S - +",
    "TRADE.EVENTS S - + ORDER open TYPE order.created",
    "TRADE.REPLAY S - +",
    "TRADE.STATS S",
    "TRADE.SYMBOLS 0",
    "EVENT.RANGE S - +",
    "EVENT.LAST S",
    "EVENT.REPLAY S - +",
    "EVENT.STATS S",
    "COND.GET S c",
    "COND.LIST S",
    "COND.SUBSCRIBERS S c",
    "COND.EXPLAIN S c",
    "MARKET.CANDLES S 1m - +",
];

/// Runs [`COURSE`].
#[track_caller]
fn run_course(client: &mut Client) {
    for command in COURSE {
        client.run(*command);
    }
}
