//! A refusal of every code that a command on a server of its own can meet.

use std::collections::BTreeSet;

use redis::Value;
use tradebus_core::refusal::Code;

use crate::desk::{words, Desk};
use crate::support::text;

const REFUSED: &[&str] = &[
    "TRADE.PUBLISH R trade.executed {} NONSENSE",
    "TRADE.PUBLISH a{b} trade.executed {}",
    "TRADE.PUBLISH R order.unknown {}",
    r#"TRADE.PUBLISH R order.created {"order_id":"1","volume":NaN}"#,
    r#"TRADE.PUBLISH R order.created {"order_id":"N"}"#,
    r#"TRADE.PUBLISH R order.created {"order_id":"N","volume":-1}"#,
    r#"TRADE.PUBLISH R trade.executed {"n":N} ID known"#,
    r#"TRADE.PUBLISH R order.created {"order_id":"open","volume":N}"#,
    r#"TRADE.PUBLISH R order.modified {"order_id":"open","price":N} EXPECT 77"#,
    r#"TRADE.PUBLISH R order.cancelled {"order_id":"done"}"#,
    r#"TRADE.PUBLISH R order.partially_filled {"order_id":"open","fill_volume":3}"#,
    r#"TRADE.MPUBLISH R 2 order.created {"order_id":"N","volume":1} order.created {"order_id":"N","volume":1}"#,
    "TRADE.CLAIM R nobody a 0 1",
    "COND.REGISTER R 1m rsi(N",
    "COND.TRIGGER R unknownN",
    r#"EVENT.PUBLISH R checked {"n":N}"#,
    "TRADE.PUBLISH FOREIGN trade.executed {}",
    "TRADE.PUBLISH DAMAGED trade.executed {}",
    "TRADE.REBUILD R FROM N",
];

/// Codes that the server gives before the module is asked, or that need a cluster.
const NOT_HERE: [Code; 3] = [Code::Oom, Code::NoPerm, Code::TryAgain];

/// Makes what the refusals meet, and sees to it that they meet every code.
pub fn set_up(desk: &mut Desk) {
    desk.client.run("CONFIG SET tradebus.closed-ttl 0 tradebus.dedupe-window 36000000");
    for command in [
        r#"TRADE.PUBLISH R order.created '{"order_id":"open","volume":2}'"#,
        r#"TRADE.PUBLISH R order.filled '{"order_id":"done","volume":1,"price":1}'"#,
        r#"TRADE.PUBLISH R trade.executed '{}' ID known"#,
        r#"EVENT.SCHEMA R SET checked '{"required":["missing"]}'"#,
        "SET trade:{FOREIGN}:events x",
        "HSET trade:{DAMAGED}:last order.created x",
    ] {
        desk.client.run(command);
    }
    desk.client.run("CONFIG SET tradebus.closed-ttl 200");
    let mut met = BTreeSet::new();
    for at in 0..REFUSED.len() {
        let reply = text(&desk.client.try_reply(refusal(at)).expect("a reply"));
        met.insert(reply.trim_start_matches("(error) ").split(' ').next().expect("a code").to_owned());
    }
    let all = Code::ALL.iter().filter(|code| !NOT_HERE.contains(code)).map(|code| code.as_str().to_owned());
    assert_eq!(met, all.collect(), "every code is met");
}

/// Runs so many of them.
pub fn run(desk: &mut Desk, count: usize) {
    desk.run_all((0..count).map(refusal), |reply| {
        assert!(matches!(reply, Value::ServerError(_)), "accepted: {}", text(reply));
    });
}

fn refusal(at: usize) -> Vec<String> {
    let mut command = words(REFUSED[at % REFUSED.len()]);
    for word in &mut command[2..] {
        *word = word.replace('N', &at.to_string());
    }
    // Larger than an event may be: now and then, since it is mostly the sending that it costs.
    if at % 1_000 == 0 {
        command = words("TRADE.PUBLISH R trade.executed");
        command.push(format!(r#"{{"note":"{}"}}"#, "x".repeat(70_000)));
    }
    command
}
