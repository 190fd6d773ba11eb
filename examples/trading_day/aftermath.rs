//! What the log is good for once the day is over: it is told again, the state is held against it, and counted.

use std::collections::BTreeMap;
use std::time::Duration;

use redis::{Connection, FromRedisValue, PubSub, RedisError};

use crate::report::Screen;
use crate::Outcome;

/// How long a message that was sent may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The symbol whose log is told again.
const SYMBOL: &str = "XAUUSD";

/// Runs a command, written as for redis-cli.
fn run<T: FromRedisValue>(connection: &mut Connection, command: &str) -> Outcome<T> {
    let mut words = command.split(' ');
    let mut sent = redis::cmd(words.next().unwrap_or_default());
    sent.arg(words.collect::<Vec<_>>());
    let reply: Result<T, RedisError> = sent.query(connection);
    reply.map_err(|error| format!("{command}: {error}"))
}

/// Tells the orders of a symbol again to whoever is subscribed to `replay:*`, which no live listener is.
pub fn replay(connection: &mut Connection, mut listening: PubSub<'_>, screen: &Screen) -> Outcome<()> {
    let command = format!("TRADE.REPLAY {SYMBOL} - + TYPE order.created TYPE order.filled");
    screen.heading(&format!("The day again: {command}"));
    let subscribed = listening.psubscribe("replay:*").and_then(|()| listening.set_read_timeout(Some(PATIENCE)));
    subscribed.map_err(|error| format!("PSUBSCRIBE replay:*: {error}"))?;
    let (next, told): (String, usize) = run(connection, &command)?;
    for _ in 0..told {
        let message = listening.get_message().map_err(|error| format!("{told} messages were sent, but: {error}"))?;
        let body: String = message.get_payload().map_err(|error| error.to_string())?;
        if !body.contains(r#""replay":true"#) {
            return Err(format!("a replayed message does not say so: {body}"));
        }
        screen.line(&format!("> {}  {body}", message.get_channel_name()));
    }
    match (next.as_str(), told) {
        ("0", 1..) => Ok(()),
        _ => Err(format!("{command} replied {next} and {told}")),
    }
}

/// Runs a rebuild to its end and gives its last reply.
fn rebuild_all(connection: &mut Connection, symbol: &str, options: &str) -> Outcome<BTreeMap<String, String>> {
    let mut from = String::new();
    loop {
        let command = format!("TRADE.REBUILD {symbol}{from}{options}");
        let reply: BTreeMap<String, String> = run(connection, &command)?;
        match reply.get("next").map(String::as_str) {
            Some("0") => return Ok(reply),
            Some(next) => from = format!(" FROM {next}"),
            None => return Err(format!("{command} replied {reply:?}")),
        }
    }
}

/// Damages the state by hand, as somebody may, and has it mended from the log.
pub fn rebuild(connection: &mut Connection, screen: &Screen) -> Outcome<()> {
    let key = format!("trade:{{{SYMBOL}}}:position:P-50231877");
    let damage = format!("HSET {key} status active volume 7");
    screen.heading(&format!("A position changed by hand: {damage}"));
    let before: BTreeMap<String, String> = run(connection, &format!("HGETALL {key}"))?;
    run::<u64>(connection, &damage)?;
    for (options, differing, repaired) in [(" DRYRUN", "1", "0"), ("", "1", "1"), (" DRYRUN", "0", "0")] {
        let reply = rebuild_all(connection, SYMBOL, options)?;
        let shown: Vec<_> = reply.iter().map(|(name, number)| format!("{name} {number}")).collect();
        screen.note(&format!("{:27}  {}", format!("TRADE.REBUILD {SYMBOL}{options}"), shown.join("  ")));
        let found = (reply.get("differing").map(String::as_str), reply.get("repaired").map(String::as_str));
        if found != (Some(differing), Some(repaired)) {
            return Err(format!("{differing} should differ and {repaired} be repaired, but {found:?}"));
        }
    }
    let after: BTreeMap<String, String> = run(connection, &format!("HGETALL {key}"))?;
    match before == after {
        true => Ok(()),
        false => Err(format!("{key} was {before:?} and is {after:?}")),
    }
}

/// Shows what a symbol's log comes to.
pub fn statistics(connection: &mut Connection, screen: &Screen) -> Outcome<()> {
    let command = format!("TRADE.STATS {SYMBOL}");
    screen.heading(&format!("Statistics: {command}"));
    let reply: BTreeMap<String, redis::Value> = run(connection, &command)?;
    let mut line = Vec::new();
    for (name, value) in &reply {
        // The map by type and the array of groups have lines of their own.
        if let Ok(text) = String::from_redis_value_ref(value) {
            line.push(format!("{name} {text}"));
        }
    }
    screen.note(&line.join("  "));
    let types = reply.get("events_by_type").map(BTreeMap::<String, u64>::from_redis_value_ref);
    let types = types.and_then(Result::ok).ok_or_else(|| format!("{command} replied no events_by_type"))?;
    screen.note(&types.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join("  "));
    match reply.get("events").map(u64::from_redis_value_ref) {
        Some(Ok(events)) if events == types.values().sum::<u64>() => Ok(()),
        other => Err(format!("{command} counts {other:?} events, and by type {types:?}")),
    }
}
