//! Conditions and bots on real candles: a history is loaded, conditions are registered, bots subscribed, and the
//! rest of the candles comes in one by one. Behind each the executors of `examples/bots` do what there is to do.
//!
//! `goog.csv` is a year of daily candles of a stock, and tells for each which conditions it triggers and what the
//! bots do. That was computed from the same candles with TA-Lib, and not by the module.

use std::collections::BTreeMap;

use redis::{Connection, FromRedisValue, RedisError};

use crate::executor::{Executor, Kind, Pace, Turn};
use crate::report::Screen;
use crate::server::Server;
use crate::Outcome;

const SYMBOL: &str = "GOOG";
const TIMEFRAME: &str = "1d";
const CANDLES: &str = include_str!("goog.csv");

/// The first candle that is not history.
const FIRST_LIVE: &str = "2008-11-03";

/// On this day an executor takes its work and is never heard of again.
const DAY_OF_LOSS: &str = "2008-11-19";

/// What is registered, and who subscribes to it. Durations are in milliseconds: 20 days, 30 days.
const REGISTERED: &[(&str, &str, &[&str])] = &[
    (
        "rsi(14) < 35",
        "",
        &[r#"dca-1 TYPE dca ACTION {"volume":2}"#, r#"dca-2 TYPE dca ACTION {"volume":5} COOLDOWN 2592000000"#],
    ),
    ("TOUCHES 300", " COOLDOWN 1728000000", &[r#"grid-1 TYPE grid ACTION {"side":"BUY","level":300,"volume":10}"#]),
    ("TOUCHES 350", " COOLDOWN 1728000000", &[r#"grid-1 TYPE grid ACTION {"side":"SELL","level":350,"volume":10}"#]),
    ("close CROSSES_ABOVE sma(20)", "", &[r#"trend-1 TYPE trend ACTION {"do":"enter","volume":10}"#]),
    ("close CROSSES_BELOW sma(20)", "", &[r#"trend-1 TYPE trend ACTION {"do":"exit"}"#]),
];

/// What COND.EXPLAIN tells at the end of the condition that is explained; the averages are TA-Lib's.
const EXPLAINED: (&str, &str) =
    ("close CROSSES_ABOVE sma(20)", "state false, bars 280, close 385.95, sma(20) 372.53850000000017");

/// What the bots' trading comes to, by TRADE.STATS.
const STATISTICS: &[(&str, &str)] = &[("open_orders", "0"), ("active_positions", "1"), ("realized_pnl", "-135.9")];
const EVENTS: &[(&str, u64)] =
    &[("order.created", 23), ("order.filled", 23), ("position.closed", 4), ("position.opened", 5)];

/// A line of the recording.
struct Day<'a> {
    date: &'a str,
    /// open, high, low, close and volume.
    numbers: &'a [&'a str],
    /// Conditions.
    triggered: &'a str,
    /// What the bots do.
    work: &'a str,
}

/// Runs a command: a line without spaces in its words, and what goes behind that.
fn run<T: FromRedisValue>(connection: &mut Connection, line: &str, words: &[&str]) -> Outcome<T> {
    let mut parts = line.split(' ');
    let mut command = redis::cmd(parts.next().unwrap_or_default());
    command.arg(parts.collect::<Vec<_>>()).arg(words);
    let reply: Result<T, RedisError> = command.query(connection);
    reply.map_err(|error| format!("{line} {}: {error}", words.join(" ")))
}

/// Plays the year, shows it, and holds it against the recording.
pub fn play(server: &Server, screen: &Screen) -> Outcome<()> {
    let connection = &mut server.connect()?;
    screen.heading(&format!("Conditions and bots: {SYMBOL}, candles of {TIMEFRAME}"));
    let mut expressions = BTreeMap::new();
    let mut executors = Vec::new();
    let (mut history, mut live) = (0, 0);
    for line in CANDLES.lines().skip(1) {
        let cells: Vec<_> = line.split(',').collect();
        let [date, numbers @ .., triggered, work] = cells.as_slice() else {
            return Err(format!("goog.csv: {line}"));
        };
        let day = Day { date, numbers, triggered, work };
        if day.date < FIRST_LIVE {
            let ids = candle(connection, &day, &["BACKFILL"])?;
            expect(&day, "triggers", "", &ids.join("; "))?;
            history += 1;
            continue;
        }
        if live == 0 {
            screen.note(&format!("{history} candles of history are loaded, by MARKET.CANDLE with BACKFILL. Then:"));
            expressions = register(connection, screen)?;
            executors = start_executors(server)?;
            println!();
        }
        live += 1;
        let ids = candle(connection, &day, &[])?;
        let triggered: Vec<_> =
            ids.iter().map(|id| expressions.get(id).copied().unwrap_or("an unknown condition")).collect();
        expect(&day, "triggers", day.triggered, &triggered.join("; "))?;
        if !triggered.is_empty() {
            let close = day.numbers.get(3).copied().unwrap_or_default();
            screen.note(&format!("{}  close {close:6}  {}", day.date, triggered.join(", ")));
        }
        if day.date == DAY_OF_LOSS {
            lose_executor(connection, screen)?;
        }
        expect(&day, "is followed by", day.work, &work_off(&mut executors, screen)?.join("; "))?;
    }
    screen.note(&format!("{live} candles came in live, and these are the ones that triggered something."));
    println!();
    explain(connection, &expressions, screen)?;
    check_end(connection, screen)
}

fn candle(connection: &mut Connection, day: &Day<'_>, options: &[&str]) -> Outcome<Vec<String>> {
    let line = format!("MARKET.CANDLE {SYMBOL} {TIMEFRAME} {}T00:00:00Z {}", day.date, day.numbers.join(" "));
    run(connection, &line, options)
}

fn expect(day: &Day<'_>, verb: &str, recorded: &str, found: &str) -> Outcome<()> {
    match recorded == found {
        true => Ok(()),
        false => Err(format!("the candle of {} {verb} '{found}', recorded is '{recorded}'", day.date)),
    }
}

/// Registers the conditions and subscribes the bots; the expressions by their ids.
fn register(connection: &mut Connection, screen: &Screen) -> Outcome<BTreeMap<String, &'static str>> {
    let mut expressions = BTreeMap::new();
    for &(expression, options, subscriptions) in REGISTERED {
        let words: Vec<_> = [expression].into_iter().chain(options.split_whitespace()).collect();
        let id: String = run(connection, &format!("COND.REGISTER {SYMBOL} {TIMEFRAME}"), &words)?;
        screen.note(&format!("{id}  COND.REGISTER {SYMBOL} {TIMEFRAME} '{expression}'{options}"));
        for subscription in subscriptions {
            let line = format!("COND.SUBSCRIBE {SYMBOL} {id} {subscription}");
            run::<u64>(connection, &line, &[])?;
            screen.note(&format!("{:16}  subscribed: {subscription}", ""));
        }
        expressions.insert(id, expression);
    }
    Ok(expressions)
}

fn start_executors(server: &Server) -> Outcome<Vec<Executor>> {
    // Each runs only when the one before it is done, so what is pending was left.
    let pace = Pace { idle_ms: 0, max_deliveries: 5, wait_ms: None };
    let start = |(name, kind)| {
        let executor = Executor::start(server.connect()?, kind, SYMBOL, name, pace);
        executor.map_err(|error| format!("the executor {name}: {error}"))
    };
    Kind::ALL.into_iter().map(start).collect()
}

/// Has the executors do all that there is to do.
fn work_off(executors: &mut [Executor], screen: &Screen) -> Outcome<Vec<String>> {
    let mut done = Vec::new();
    for executor in executors {
        loop {
            match executor.turn().map_err(|error| format!("an executor: {error}"))? {
                Turn::Idle => break,
                Turn::Done(what) => {
                    screen.note(&format!("{:10}> {what}", ""));
                    done.push(what);
                }
                Turn::Left(reason) => return Err(format!("an executor: {reason}")),
            }
        }
    }
    Ok(done)
}

/// Takes an entry as an executor would that dies before its XACK.
fn lose_executor(connection: &mut Connection, screen: &Screen) -> Outcome<()> {
    let line = format!("XREADGROUP GROUP executors lost COUNT 1 STREAMS bots:{{{SYMBOL}}}:dca >");
    match run(connection, &line, &[])? {
        redis::Value::Nil => Err(format!("{line}: nothing")),
        _ => {
            screen.note(&format!("{:12}an executor takes it and is lost; another one claims it, by COND.CLAIM:", ""));
            Ok(())
        }
    }
}

fn explain(connection: &mut Connection, expressions: &BTreeMap<String, &str>, screen: &Screen) -> Outcome<()> {
    let (expression, expected) = EXPLAINED;
    let id = expressions.iter().find(|(_, registered)| **registered == expression);
    let (id, _) = id.ok_or_else(|| format!("{expression} is not registered"))?;
    let line = format!("COND.EXPLAIN {SYMBOL} {id}");
    let reply: BTreeMap<String, redis::Value> = run(connection, &line, &[])?;
    let text = |name: &str| reply.get(name).and_then(|value| String::from_redis_value_ref(value).ok());
    let terms = reply.get("terms").and_then(|terms| BTreeMap::<String, String>::from_redis_value_ref(terms).ok());
    let terms: Vec<_> = terms.unwrap_or_default().iter().map(|(term, number)| format!("{term} {number}")).collect();
    let (state, bars) = (text("state").unwrap_or_default(), text("bars").unwrap_or_default());
    let shown = format!("state {state}, bars {bars}, {}", terms.join(", "));
    screen.note(&format!("{line}  ({expression})"));
    screen.note(&shown);
    match shown == expected {
        true => Ok(()),
        false => Err(format!("{line} tells\n{shown}, recorded is\n{expected}")),
    }
}

/// What the bots have done, in sum, and that nothing is left to do.
fn check_end(connection: &mut Connection, screen: &Screen) -> Outcome<()> {
    let line = format!("TRADE.STATS {SYMBOL}");
    let reply: BTreeMap<String, redis::Value> = run(connection, &line, &[])?;
    let mut shown = Vec::new();
    for &(name, expected) in STATISTICS {
        let found = reply.get(name).and_then(|value| String::from_redis_value_ref(value).ok()).unwrap_or_default();
        if found != expected {
            return Err(format!("{line}: {name} is {found}, recorded is {expected}"));
        }
        shown.push(format!("{name} {found}"));
    }
    let events = reply.get("events_by_type").map(BTreeMap::<String, u64>::from_redis_value_ref);
    let events = events.and_then(Result::ok).unwrap_or_default();
    let expected: BTreeMap<_, _> = EVENTS.iter().map(|&(name, count)| (name.to_owned(), count)).collect();
    if events != expected {
        return Err(format!("{line}: there are {events:?}, recorded is {expected:?}"));
    }
    shown.extend(events.iter().map(|(name, count)| format!("{name} {count}")));
    screen.note(&line);
    screen.note(&shown.join("  "));
    for (name, _) in Kind::ALL {
        let line = format!("XPENDING bots:{{{SYMBOL}}}:{name} executors - + 1");
        if !run::<Vec<redis::Value>>(connection, &line, &[])?.is_empty() {
            return Err(format!("{line}: somebody has left work behind"));
        }
    }
    Ok(())
}
