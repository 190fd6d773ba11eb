//! What one event changes: state, log, expiry, message, reply, and the effects that replicas and the AOF get.

use std::collections::BTreeMap;

use crate::support::{Options, Server};
use crate::twin::{ms_of, shown, Pair};

const SYMBOL: &str = "BTC/USDT:USDT";
const DAY_MS: i64 = 86_400_000;
/// The event time of most rows.
const TS: u64 = 1_763_402_400_000;
const TS_TEXT: &str = "2025-11-17T18:00:00.000Z";

/// How the log says that an event made the entity that it speaks of.
const SHELL: &str = r#" context {"entity":"new"}"#;

/// One event and what it must do. Effects are as [`shown`] has them, but for placeholders: `$id` is its id, `$ms` the id's time, `$+closed`, `$+signal` and
/// `$+seen` that time and the TTL of it, `$order.created` the newest id of the type, `$:` the keys' prefix.
struct Row {
    event_type: &'static str,
    data: &'static str,
    /// TIMESTAMP, as given and as the message has it.
    timestamp: (u64, &'static str),
    /// SOURCE, CORRELATION and ID, in this order.
    labels: [Option<&'static str>; 3],
    late: bool,
    /// The context of its log entry, which begins with a space where there is one.
    context: &'static str,
    entity: Option<(&'static str, u64)>,
    /// All effects but the entry of the log, which is the first of every event.
    effects: &'static [&'static str],
}

fn row(
    event_type: &'static str,
    data: &'static str,
    entity: Option<(&'static str, u64)>,
    effects: &'static [&'static str],
) -> Row {
    Row { event_type, data, timestamp: (TS, TS_TEXT), labels: [None; 3], late: false, context: "", entity, effects }
}

/// RFC 3339 in UTC with milliseconds, by the civil calendar's rules.
fn rfc3339(ms: i64) -> String {
    let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let (mut days, mut year, mut month) = (ms / DAY_MS, 1970, 0);
    while days >= 365 + i64::from(is_leap(year)) {
        days -= 365 + i64::from(is_leap(year));
        year += 1;
    }
    let months = [31, 28 + i64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    while days >= months[month] {
        days -= months[month];
        month += 1;
    }
    let (second, milli) = (ms % DAY_MS / 1_000, ms % 1_000);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z", month + 1, days + 1)
}

/// Publishes a row's event, and compares everything that comes of it. `newest` has the newest id by type, and
/// under "" that of the log.
fn check(pair: &mut Pair, newest: &mut BTreeMap<String, String>, row: &Row) {
    let Row { event_type, data, timestamp: (ts, ts_text), labels, late, context, entity, effects } = *row;
    let mut command = vec!["TRADE.PUBLISH".to_owned(), SYMBOL.to_owned(), event_type.to_owned(), data.to_owned()];
    command.extend(["FULL".to_owned(), "TIMESTAMP".to_owned(), ts.to_string()]);
    for (option, label) in ["SOURCE", "CORRELATION", "ID"].iter().zip(labels) {
        command.extend(label.iter().flat_map(|label| [option.to_string(), label.to_string()]));
    }
    let before = pair.client.time_ms();
    let reply = pair.client.map(&command);
    let after = pair.client.time_ms();
    let id = reply["id"].clone();
    assert!((before..=after).contains(&ms_of(&id)), "{id} was not made between {before} and {after}");

    let (status, version) = entity.map_or(("nil".to_owned(), "nil".to_owned()), |(s, v)| (s.into(), v.to_string()));
    let (id_text, late_text) = (id.as_str(), u8::from(late).to_string());
    let fields = [
        ("id", id_text),
        ("duplicate", "0"),
        ("late", &late_text),
        ("status", &status),
        ("version", &version),
        ("receivers", "1"),
    ];
    assert_eq!(reply, fields.map(|(k, v)| (k.to_owned(), v.to_owned())).into(), "{data}");

    let prev_id = newest.insert(event_type.to_owned(), id.clone()).unwrap_or("0-0".to_owned());
    let prev_log_id = newest.insert(String::new(), id.clone()).unwrap_or("0-0".to_owned());
    let mut message = format!(
        r#"{{"id":"{id}","prev_id":"{prev_id}","prev_log_id":"{prev_log_id}","event_type":"{event_type}","symbol":"{SYMBOL}","timestamp":"{ts_text}","published_at":"{}","data":{data}"#,
        rfc3339(ms_of(&id))
    );
    let mut entry = format!("XADD trade:{{{SYMBOL}}}:events {id} type {event_type} data {data} ts {ts}");
    for (field, label) in ["source", "correlation_id", "event_id"].iter().zip(labels) {
        if let Some(label) = label {
            message += &format!(",\"{field}\":{}", serde_json::Value::from(label));
            entry += &format!(" {field} {label}");
        }
    }
    if late {
        message += ",\"late\":true";
        entry += " outcome late";
    }
    entry += context;
    if let Some((status, version)) = entity {
        message += &format!(",\"status\":\"{status}\",\"version\":{version}");
    }
    let messages = pair.messages.until_now();
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert_eq!(messages[0].channel, format!("trades:{SYMBOL}:{event_type}"));
    assert_eq!(messages[0].payload, message + "}");

    let filled_in = |effect: &&str| {
        let mut text = effect.replace("$:", &format!("trade:{{{SYMBOL}}}:"));
        for (event_type, newest) in newest.iter().filter(|(event_type, _)| !event_type.is_empty()) {
            text = text.replace(&format!("${event_type}+"), &format!("{newest}+"));
        }
        let ms = ms_of(&id);
        let times = [("$+closed", 7 * DAY_MS), ("$+signal", DAY_MS), ("$+seen", DAY_MS / 72), ("$ms", 0)];
        let text = times
            .iter()
            .fold(text.replace("$id", &id), |text, (name, ttl)| text.replace(name, &(ms + ttl).to_string()));
        shown(&text.split_whitespace().map(|word| word.replace('+', " ")).collect::<Vec<_>>())
    };
    let wanted: Vec<String> = std::iter::once(entry).chain(effects.iter().map(filled_in)).collect();
    let found: Vec<String> = pair.effects().iter().map(|effect| shown(effect)).collect();
    assert_eq!(found, wanted, "{data}");
}

#[test]
fn every_event_type_does_all_of_this_in_one_step() {
    let rows = [
        row(
            "order.created",
            r#"{ "order_id": "1",  "side":"BUY", "volume":"2.0", "price":2000.50, "tag":"Größe" }"#,
            Some(("pending", 1)),
            &[
                "HSET $:order:1 status pending version 1 filled_volume 0 volume 2.0 price 2000.50 created_at 1763402400000 \
                 remaining_volume 2 order_id 1 side BUY tag Größe updated_at $ms last_event_id $id",
                "ZADD $:orders:open 1763402400000 1",
            ],
        ),
        Row {
            labels: [Some("bot \"7\""), Some("run-1"), None],
            ..row(
                "order.partially_filled",
                r#"{"order_id":"1","fill_volume":0.5,"fill_price":2000.1,"fill_id":"f1"}"#,
                Some(("partially_filled", 2)),
                &[
                    "HSET $:order:1 status partially_filled version 2 filled_volume 0.5 filled_value 1000.05 last_fill_volume 0.5 \
                     last_fill_price 2000.1 remaining_volume 1.5 avg_fill_price 2000.1 fill_volume 0.5 fill_price 2000.1 fill_id f1 \
                     updated_at $ms last_event_id $id",
                    "HSET $:fills:1 f1 {\"id\":\"$id\",\"volume\":\"0.5\",\"price\":\"2000.1\"}",
                ],
            )
        },
        // The fills expire with their order.
        row(
            "order.filled",
            r#"{"order_id":"1"}"#,
            Some(("filled", 3)),
            &[
                "HSET $:order:1 status filled version 3 filled_volume 2 filled_value 4000.8 inferred_volume 1.5 last_fill_volume 1.5 last_fill_price 2000.5 \
                 remaining_volume 0 inferred_price 2000.5 avg_fill_price 2000.4 updated_at $ms last_event_id $id",
                "ZREM $:orders:open 1",
                "PEXPIREAT $:order:1 $+closed",
                "PEXPIREAT $:fills:1 $+closed",
            ],
        ),
        // A shell: the order itself was never announced.
        Row {
            context: SHELL,
            ..row(
                "order.cancelled",
                r#"{"order_id":2,"reason":"expired"}"#,
                Some(("cancelled", 1)),
                &[
                    "HSET $:order:2 status cancelled version 1 filled_volume 0 cancelled_at 1763402400000 \
                     created_at 1763402400000 external 1 remaining_volume 0 order_id 2 reason expired updated_at $ms \
                     last_event_id $id",
                    "PEXPIREAT $:order:2 $+closed",
                ],
            )
        },
        Row {
            context: SHELL,
            timestamp: (TS + 1, "2025-11-17T18:00:00.001Z"),
            ..row(
                "order.modified",
                r#"{"order_id":"3","volume":"3","note":{"a":[1]}}"#,
                Some(("pending", 1)),
                &[
                    "HSET $:order:3 status pending version 1 filled_volume 0 modified_at 1763402400001 volume 3 \
                     created_at 1763402400001 external 1 remaining_volume 3 order_id 3 note {\"a\":[1]} updated_at $ms last_event_id $id",
                    "ZADD $:orders:open 1763402400001 3",
                ],
            )
        },
        row(
            "order.rejected",
            r#"{"order_id":"3","reason":"no money"}"#,
            Some(("rejected", 2)),
            &[
                "HSET $:order:3 status rejected version 2 remaining_volume 0 reason no+money updated_at $ms last_event_id $id",
                "ZREM $:orders:open 3",
                "PEXPIREAT $:order:3 $+closed",
            ],
        ),
        // The one thing that opens a finished order again.
        Row {
            late: true,
            ..row(
                "order.partially_filled",
                r#"{"order_id":"3","fill_volume":1}"#,
                Some(("partially_filled", 3)),
                &[
                    "HSET $:order:3 status partially_filled version 3 filled_volume 1 unpriced_volume 1 last_fill_volume 1 \
                     remaining_volume 2 fill_volume 1 updated_at $ms last_event_id $id",
                    "ZADD $:orders:open 1763402400001 3",
                    "PERSIST $:order:3",
                ],
            )
        },
        row(
            "position.opened",
            r#"{"position_id":"p","direction":"LONG","entry_price":"100.0","volume":"2"}"#,
            Some(("active", 1)),
            &[
                "HSET $:position:p status active version 1 volume 2 entry_price 100.0 direction LONG created_at 1763402400000 \
                 initial_volume 2 position_id p updated_at $ms last_event_id $id",
                "ZADD $:positions:active 1763402400000 p",
            ],
        ),
        row(
            "position.modified",
            r#"{"position_id":"p","added_volume":1,"price":103,"fee":0.5}"#,
            Some(("active", 2)),
            &["HSET $:position:p version 2 volume 3 entry_price 101 entry_value 303 fees 0.5 added_volume 1 price 103 fee 0.5 \
               updated_at $ms last_event_id $id"],
        ),
        // What was realised is added to the symbol's sums at once, with all that they are up to.
        row(
            "position.partially_closed",
            r#"{"position_id":"p","closed_volume":1,"exit_price":110,"fill_id":"s1"}"#,
            Some(("active", 3)),
            &[
                "HSET $:position:p version 3 volume 2 closed_volume 1 realized_pnl 9 exit_price 110 fill_id s1 \
                 updated_at $ms last_event_id $id",
                "HDEL $:position:p entry_value",
                "HSET $:slices:p s1 {\"id\":\"$id\",\"volume\":\"1\",\"price\":\"110\"}",
                "HSET $:last :log_id $id order.created $order.created+1 order.partially_filled $order.partially_filled+2 \
                 order.filled $order.filled+1 order.cancelled $order.cancelled+1 order.rejected $order.rejected+1 \
                 order.modified $order.modified+1 position.opened $position.opened+1 position.modified $position.modified+1 \
                 position.partially_closed $id+1 :realized_pnl 9",
            ],
        ),
        row(
            "stop_loss.hit",
            r#"{"position_id":"p","price":90}"#,
            Some(("active", 4)),
            &["HSET $:position:p version 4 close_reason stop_loss close_reason_at 1763402400000 price 90 updated_at $ms \
               last_event_id $id"],
        ),
        Row {
            late: true,
            timestamp: (0, "1970-01-01T00:00:00.000Z"),
            ..row(
                "take_profit.hit",
                r#"{"position_id":"p","price":120}"#,
                Some(("active", 5)),
                &["HSET $:position:p version 5 updated_at $ms last_event_id $id"],
            )
        },
        row(
            "position.closed",
            r#"{"position_id":"p","exit_price":111,"pnl":"20.0"}"#,
            Some(("closed", 6)),
            &[
                "HSET $:position:p status closed version 6 volume 0 closed_volume 3 realized_pnl 29 exit_price 111 pnl 20.0 \
                 updated_at $ms last_event_id $id",
                "HSET $:last :log_id $id position.closed $id+1 stop_loss.hit $stop_loss.hit+1 take_profit.hit $take_profit.hit+1 \
                 :realized_pnl 29 :reported_pnl 20",
                "ZREM $:positions:active p",
                "PEXPIREAT $:position:p $+closed",
                "PEXPIREAT $:slices:p $+closed",
            ],
        ),
        row("trade.executed", "{}", None, &[]),
        row("trade.failed", r#"{"order_id":"1","reason":"x"}"#, None, &["HSET $:order:1 last_error x"]),
        row(
            "risk.limit_breached",
            r#"{"limit":"dd","value":5,"threshold":"4.0"}"#,
            None,
            &["HSET $:risk dd {\"value\":\"5\",\"threshold\":\"4.0\",\"ts\":1763402400000,\"id\":\"$id\"}"],
        ),
        // The only signal here that nobody judges; the first event of the symbol that has an id.
        Row {
            labels: [None, None, Some("ev1")],
            ..row(
                "signal.generated",
                r#"{"a":null,"b":true}"#,
                Some(("generated", 1)),
                &[
                    "HSET $:signal:ev1 status generated version 1 created_at 1763402400000 b true signal_id ev1 updated_at $ms \
                     last_event_id $id",
                    "HSET $:seen:0 ev1 $id+0123456789abcdef",
                    "HSET $:last :log_id $id trade.executed $trade.executed+1 trade.failed $trade.failed+1 \
                     risk.limit_breached $risk.limit_breached+1 signal.generated $id+1 :seen 0:1:$ms:600000",
                    "PEXPIREAT $:signal:ev1 $+signal",
                    "PEXPIREAT $:seen:0 $+seen",
                ],
            )
        },
        row(
            "signal.validated",
            r#"{"signal_id":"ev1"}"#,
            Some(("validated", 2)),
            &[
                "HSET $:signal:ev1 status validated version 2 updated_at $ms last_event_id $id",
                "PEXPIREAT $:signal:ev1 $+closed",
            ],
        ),
        row(
            "signal.rejected",
            r#"{"signal_id":"ev1","reason":"r"}"#,
            Some(("rejected", 3)),
            &[
                "HSET $:signal:ev1 status rejected version 3 reason r updated_at $ms last_event_id $id",
                "PEXPIREAT $:signal:ev1 $+closed",
            ],
        ),
    ];
    let mut pair = Pair::start(Options::new());
    let mut newest = BTreeMap::new();
    for row in &rows {
        check(&mut pair, &mut newest, row);
    }
    assert_eq!(newest.len() - 1, 18, "all types: {newest:?}");
}

#[test]
fn messages_go_where_the_setting_says() {
    for (setting, heard_on) in [("classic", "message"), ("sharded", "smessage"), ("off", "nowhere")] {
        let server = Server::start(Options::new().module_args(&format!("pubsub {setting}")));
        let replica = Server::start(Options::plain().replica_of(&server));
        let listen = |node: &Server| {
            [node.subscribe("SUBSCRIBE trades:S:order.created"), node.subscribe("SSUBSCRIBE trades:{S}:order.created")]
        };
        let (mut on_server, mut on_replica) = (listen(&server), listen(&replica));
        let full = server.client().map(r#"TRADE.PUBLISH S order.created '{"order_id":1,"volume":1}' FULL"#);
        assert_eq!(full["receivers"], if setting == "off" { "0" } else { "1" }, "{setting}");
        replica.catch_up_with(&server);
        for [classic, sharded] in [&mut on_server, &mut on_replica] {
            let (classic, sharded) = (classic.until_now(), sharded.until_now());
            assert_eq!(classic.len(), usize::from(heard_on == "message"), "{setting}");
            assert_eq!(sharded.len(), usize::from(heard_on == "smessage"), "{setting}");
            assert!(classic.iter().chain(&sharded).all(|m| m.json()["id"] == full["id"].as_str()), "{setting}");
        }
    }
}

#[test]
fn a_new_log_gets_the_configured_groups() {
    let mut pair = Pair::start(Options::new().module_args("consumer-groups risk,audit"));
    for _ in 0..2 {
        for wanted in [&["XADD", "XGROUP", "XGROUP"][..], &["XADD"]] {
            pair.client.run("TRADE.PUBLISH S trade.executed {}");
            let effects = pair.effects();
            assert_eq!(effects.iter().map(|effect| effect[0].as_str()).collect::<Vec<_>>(), wanted);
        }
        let groups = pair.client.text("XINFO GROUPS trade:{S}:events");
        for group in ["risk", "audit"] {
            assert!(groups.contains(&format!(r#""name", "{group}""#)), "{groups}");
        }
        assert_eq!(groups.matches(r#""last-delivered-id", "0-0""#).count(), 2, "from the beginning: {groups}");
        pair.client.run("DEL trade:{S}:events");
        pair.effects();
    }
}
