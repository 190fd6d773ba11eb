//! No call holds the server for long, however long the log is: a million entries, a million of them pending.
//!
//! What is measured is processor time of the server (INFO cpu). The machine that tests run on is shared, not least with
//! the other tests: by the clock a call takes as long as others keep the processor. Even so a busy neighbour slows its
//! memory, so of calls that do the same the fastest counts, and of slices the median.

use crate::support::{Client, Options, Server};

const ENTRIES: i64 = 1_000_000;

/// What a call may take with the largest COUNT, and a slice of a rebuild, in microseconds: as `docs/monitoring.md`
/// states it.
const BOUND_US: i64 = 50_000;
const SLICE_US: i64 = 10_000;

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

/// The processor time that the server has used so far, in microseconds.
fn used(client: &mut Client) -> i64 {
    let info = client.string("INFO cpu");
    let seconds = |field: &str| -> f64 {
        let line = info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.and_then(|number| number.trim_end().parse().ok()).unwrap_or_else(|| panic!("no {field} in {info}"))
    };
    ((seconds("used_cpu_user") + seconds("used_cpu_sys")) * 1e6) as i64
}

/// What `call` makes the server do, in microseconds of processor time.
fn time<T>(client: &mut Client, call: impl FnOnce(&mut Client) -> T) -> (i64, T) {
    let before = used(client);
    let result = call(client);
    (used(client) - before, result)
}

/// Runs a command several times; the fastest must be within the bound.
#[track_caller]
fn check(client: &mut Client, command: &str) {
    let mut times: Vec<_> = (0..5).map(|_| time(client, |client| client.run(command)).0).collect();
    times.sort_unstable();
    println!("{:8} us  {command}", times[0]);
    assert!(times[0] <= BOUND_US, "{command}: {times:?} us");
}

#[test]
fn a_long_log_holds_nobody_up() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    client.run("TRADE.PUBLISH S trade.executed {}");
    for from in (1..ENTRIES / 4).step_by(10_000) {
        let (from, to) = (from.to_string(), (from + 9_999).to_string());
        client.run(["EVAL", FILL_LOG, "1", "trade:{S}:events", &from, &to]);
    }
    client.run("XGROUP CREATE trade:{S}:events workers 0");
    let deliver = "redis.call('XREADGROUP', 'GROUP', 'workers', 'w', 'COUNT', ARGV[1], 'STREAMS', KEYS[1], '>')";
    for _ in 0..=ENTRIES / 50_000 {
        client.run(["EVAL", deliver, "1", "trade:{S}:events", "50000"]);
    }
    // What the script added is new to `last`: a publish takes it in.
    client.run("TRADE.PUBLISH S trade.executed {}");
    let pending = client.text("XPENDING trade:{S}:events workers");
    assert!(pending.starts_with("[1000001, "), "{pending}");

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
        "TRADE.CLAIM S workers other 0 1000",
        "TRADE.CLAIM S workers other 0 1000 COUNT 2000",
        "TRADE.CLAIM S workers other 0 0 COUNT 2000",
    ] {
        check(&mut client, command);
    }

    for options in ["DRYRUN", ""] {
        let mut slice = |from: &str| {
            let command = format!("TRADE.REBUILD S {from} {options}");
            time(&mut client, |client| client.map(command.as_str())["next"].clone())
        };
        let (first, mut next) = slice("");
        let mut times = vec![first];
        // Every entry is folded and every order missed; mending all of them takes longer than a test should.
        while next != "0" && (options == "DRYRUN" || times.len() <= 900) {
            let (time, following) = slice(&format!("FROM {next}"));
            times.push(time);
            next = following;
        }
        times.sort_unstable();
        let [median, most, slowest] = [50, 95, 100].map(|percent| times[(times.len() - 1) * percent / 100]);
        println!("{median:8} us  TRADE.REBUILD S {options}: {} slices, 95 % {most} us, all {slowest} us", times.len());
        assert!(median <= SLICE_US, "TRADE.REBUILD {options}: {median} us");
    }
}
