//! No call holds the server for long, however long the log is: a million entries, a million of them pending.
//!
//! What is measured is the server's own time of each call (SLOWLOG). The machine that tests run on is shared, so
//! of calls that do the same the fastest counts, and of slices the 95th percentile.

use redis::Value;

use crate::support::{Client, Options, Server};

const ENTRIES: i64 = 1_000_000;

/// What a call may take, in microseconds: as `docs/monitoring.md` states it.
const BOUND_US: i64 = 25_000;

/// A log as a day of orders leaves it: created, filled in part, filled, and a record; four entries an order.
const FILL_LOG: &str = r#"
    for order = ARGV[1], ARGV[2] do
        local id = '{"order_id":"ord-' .. order .. '"'
        local function add(event_type, data)
            redis.call('XADD', KEYS[1], '*', 'type', event_type, 'data', id .. data, 'ts', '1763402400000',
                'source', 'strategy-evaluator', 'correlation_id', 'corr-' .. order)
        end
        add('order.created', ',"order_type":"LIMIT","side":"BUY","price":2000.50,"volume":2,"strategy":"momentum"}')
        add('order.partially_filled', ',"fill_id":"a' .. order .. '","fill_volume":1,"fill_price":2000.25}')
        add('order.filled', ',"fill_id":"b' .. order .. '","fill_volume":1,"fill_price":2000.75}')
        add('trade.executed', ',"trade_id":"t' .. order .. '","strategy":"momentum","entry":2000.50,"volume":2}')
    end"#;

/// The server's time of every call since the last reset, in microseconds.
fn times(client: &mut Client) -> Vec<i64> {
    let Value::Array(calls) = client.run("SLOWLOG GET -1") else { panic!("SLOWLOG replies an array") };
    let time = |call: &Value| match call {
        Value::Array(fields) => match fields[2] {
            Value::Int(time) => time,
            ref other => panic!("not a time: {other:?}"),
        },
        other => panic!("not a call: {other:?}"),
    };
    client.run("SLOWLOG RESET");
    let mut times: Vec<i64> = calls.iter().map(time).collect();
    // What was asked for first is the SLOWLOG RESET before.
    times.pop();
    times.sort_unstable();
    times
}

/// Runs a command several times; the fastest must be within the bound.
#[track_caller]
fn check(client: &mut Client, command: &str) {
    client.run("SLOWLOG RESET");
    for _ in 0..5 {
        client.run(command);
    }
    let times = times(client);
    println!("{:8} us  {command}", times[0]);
    assert!(times[0] <= BOUND_US, "{command}: {times:?} us");
}

#[test]
fn a_long_log_holds_nobody_up() {
    let server = Server::start(Options::new().config("slowlog-log-slower-than 0").config("slowlog-max-len 100000"));
    let mut client = server.client();
    client.run("TRADE.PUBLISH S trade.executed {}");
    for from in (1..ENTRIES / 4).step_by(10_000) {
        let (from, to) = (from.to_string(), (from + 9_999).to_string());
        client.run(["EVAL", FILL_LOG, "1", "trade:{S}:events", &from, &to]);
    }
    client.run("XGROUP CREATE trade:{S}:events workers 0");
    client.run("CONFIG SET slowlog-log-slower-than -1");
    while client.int("EVAL \"return #redis.call('XREADGROUP', 'GROUP', 'workers', 'w', 'COUNT', 20000, 'STREAMS', KEYS[1], '>')[1][2]\" 1 trade:{S}:events") == 20_000 {}
    client.run("CONFIG SET slowlog-log-slower-than 0");
    assert!(client.int("XLEN trade:{S}:events") > ENTRIES);

    for command in [
        "TRADE.EVENTS S - + COUNT 2000",
        "TRADE.EVENTS S + - COUNT 2000 REV",
        "TRADE.EVENTS S - + TYPE risk.limit_breached",
        "TRADE.EVENTS S - + ORDER ord-249999",
        "TRADE.EVENTS S - + CORRELATION corr-249999 SINCE 1763402400000",
        "TRADE.REPLAY S - + COUNT 2000",
        "TRADE.REPLAY S - + TYPE risk.limit_breached",
        "TRADE.STATS S",
        "TRADE.SYMBOLS 0 COUNT 2000",
        // Nothing is idle for so long: everything is looked at in vain.
        "TRADE.CLAIM S workers other 86400000 3 COUNT 2000",
        "TRADE.CLAIM S workers other 0 1000 COUNT 1000",
        "TRADE.CLAIM S workers other 0 0 COUNT 1000",
    ] {
        check(&mut client, command);
    }

    client.run("SLOWLOG RESET");
    for options in ["DRYRUN", ""] {
        let mut next = client.map(format!("TRADE.REBUILD S {options}").as_str())["next"].clone();
        // Every entry is folded and every order missed; mending all of them takes longer than a test should.
        for _ in 0..if options.is_empty() { 900 } else { usize::MAX } {
            if next == "0" {
                break;
            }
            next = client.map(format!("TRADE.REBUILD S FROM {next} {options}").as_str())["next"].clone();
        }
        let times = times(&mut client);
        let of_most = times[times.len() * 95 / 100];
        println!(
            "{of_most:8} us  TRADE.REBUILD S {options}, {} slices, the slowest {}",
            times.len(),
            times[times.len() - 1]
        );
        assert!(of_most <= BOUND_US, "TRADE.REBUILD {options}: {of_most} us");
    }
}
