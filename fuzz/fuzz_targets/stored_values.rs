//! Stored values that tradebus did not write, and every kind of command on them.
//!
//! A line says what is done: `set <key> <field> <value>`, `del <key> <field>`, `type <key>`, `splice <key> <at> <bytes>` for
//! the saved state of the functions, whose checksum is then set right, `restart` to forget what memory holds, or `do` and
//! the name of a command. Keys and fields are called as they are stored, keys by what is behind the symbol; any other word
//! stands for one of them too. Where no command is named, all of them are run.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tradebus_core::candle::Candle;
use tradebus_core::condition::{Mode, Status};
use tradebus_core::event_type::EventType;
use tradebus_core::key::Key;
use tradebus_core::log::Labels;
use tradebus_core::market::{each_subscription, Engines, Origin, Removal};
use tradebus_core::memory::{Value, View};
use tradebus_core::rebuild::{self, Rebuild};
use tradebus_core::refusal::{Code, Outcome, Refusal};
use tradebus_core::session::Request;
use tradebus_core::store::{Flow, Span, Store};
use tradebus_core::stream_id::StreamId;
use tradebus_core::timeframe::Timeframe;
use tradebus_fuzz::market::{Command, Desk, Limits, Told, Wishes, MINUTE};
use tradebus_fuzz::{check_messages, check_refusal, check_untouched, lines, named, number, word, START};
use xxhash_rust::xxh3::xxh3_64;

const LINES_MAX: usize = 24;
const BARS: i64 = 70;

thread_local! {
    static INTACT: Desk = intact();
}

fuzz_target!(|input: &[u8]| {
    let mut desk = INTACT.with(copy);
    let mut has_run = false;
    for line in lines(input, LINES_MAX) {
        let (what, rest) = word(line);
        let (key, rest) = word(rest);
        match what {
            b"set" => {
                let (field, value) = word(rest);
                set(&mut desk, key, field, value);
            }
            b"del" => del(&mut desk, key, rest),
            b"type" => retype(&mut desk, key),
            b"splice" => {
                let (at, bytes) = word(rest);
                splice(&mut desk, key, at, bytes);
            }
            b"restart" => {
                desk.restart();
                desk.memory.journal = None;
            }
            _ => {
                run(&mut desk, key);
                has_run = true;
            }
        }
    }
    // Damage alone is for every command to find, and not to be hidden by what memory holds.
    if !has_run {
        desk.restart();
        desk.memory.journal = None;
        COMMANDS.iter().for_each(|(name, _)| run(&mut desk, name.as_bytes()));
    }
});

fn copy(desk: &Desk) -> Desk {
    let (memory, settings) = (desk.memory.clone(), desk.settings);
    Desk { memory, engines: Engines::default(), settings, now: desk.now, tally: desk.tally, next_close: None }
}

/// A symbol with everything: orders with fills, positions in slices, signals, risk limits, settings of its own, ids;
/// candles behind a saved state, conditions, bots, bars that ticks are building.
fn intact() -> Desk {
    let mut desk = Desk::new();
    for (at, (event_type, data)) in EVENTS.iter().enumerate() {
        desk.now += 1;
        let id = at.to_string();
        publish(&mut desk, event_type, data, Some(&id)).expect("an event");
    }
    desk.overwrite(Key::Instrument, Value::Hash([("contract_size".to_owned(), b"100".to_vec())].into()));
    let limits = Limits {
        id: Some("a"),
        mode: Some(Mode::Level),
        cooldown: Some(1),
        expire_at: Some(START as u64 * 2),
        max_triggers: Some(1_000),
    };
    desk.register("ema(3) > 0 OR close > bb(4, 2).upper OR stoch(3, 2, 2).k > 0", limits);
    desk.accept(Command::Register(Timeframe::M5, "close > 0", Limits { id: Some("b"), ..Limits::default() }));
    let wishes = Wishes { action: Some(r#"{"buy":1}"#), cooldown: Some(1), max_age: Some(9), ..Wishes::default() };
    desk.accept(Command::Subscribe("a", "bot", wishes));
    for bar in 0..BARS {
        desk.bar(if bar == 5 { "-1" } else { "9" });
    }
    desk.accept(Command::Tick("5", "1", None));
    desk.accept(Command::Trigger("a", Told { id: Some("e1"), ..Told::default() }));
    desk.now += MINUTE;
    // Every run copies what is here.
    desk.memory.messages.clear();
    desk
}

const EVENTS: [(&str, &str); 12] = [
    ("order.created", r#"{"order_id":"o","volume":9,"price":2650.1,"side":"buy","note":"n"}"#),
    ("order.partially_filled", r#"{"order_id":"o","fill_id":"f","fill_volume":1,"fill_price":2650}"#),
    ("order.created", r#"{"order_id":"p","volume":2,"price":1}"#),
    ("order.filled", r#"{"order_id":"p","fill_price":1}"#),
    ("position.opened", r#"{"position_id":"q","direction":"LONG","volume":3,"entry_price":2650}"#),
    ("position.partially_closed", r#"{"position_id":"q","closed_volume":1,"exit_price":2651,"fill_id":"g"}"#),
    ("position.opened", r#"{"position_id":"r","direction":"SHORT","volume":1,"entry_price":5}"#),
    ("position.closed", r#"{"position_id":"r","exit_price":4}"#),
    ("signal.generated", r#"{"signal_id":"s","direction":"LONG","confidence":0.5}"#),
    ("risk.limit_breached", r#"{"limit":"l","value":5}"#),
    ("trade.executed", r#"{"order_id":"o","price":5,"volume":1}"#),
    ("trade.failed", r#"{"order_id":"o","reason":"r"}"#),
];

/// The key that a word stands for.
fn key_named(desk: &Desk, key: &[u8]) -> String {
    let names: Vec<&String> = desk.memory.keys.keys().collect();
    named(&names, |name| name.split_once("}:").map_or("", |(_, tail)| tail), key).to_string()
}

fn set(desk: &mut Desk, key: &[u8], field: &[u8], value: &[u8]) {
    let key = key_named(desk, key);
    match desk.memory.keys.get_mut(&key) {
        Some(Value::Hash(fields)) => {
            // A field of another name is a new one.
            fields.insert(String::from_utf8_lossy(field).into_owned(), value.to_vec());
        }
        Some(Value::Stream(entries)) if !entries.is_empty() => {
            let ids: Vec<_> = entries.keys().map(|id| (*id, id.to_string())).collect();
            let (name, value) = word(value);
            let (id, _) = *named(&ids, |(_, text)| text, field);
            let entry = entries.entry(id).or_default();
            match entry.iter_mut().find(|(known, _)| known.as_bytes() == name) {
                Some((_, known)) => *known = value.to_vec(),
                None => entry.push((String::from_utf8_lossy(name).into_owned(), value.to_vec())),
            }
        }
        Some(Value::SortedSet(members)) => {
            members.insert(String::from_utf8_lossy(field).into_owned(), number(value));
        }
        Some(Value::String(bytes)) => *bytes = value.to_vec(),
        _ => {}
    }
}

fn del(desk: &mut Desk, key: &[u8], field: &[u8]) {
    let key = key_named(desk, key);
    let is_empty = match desk.memory.keys.get_mut(&key) {
        Some(Value::Hash(fields)) => {
            let names: Vec<_> = fields.keys().cloned().collect();
            fields.remove(named(&names, |name| name, field));
            fields.is_empty()
        }
        Some(Value::SortedSet(members)) => {
            members.pop_first();
            members.is_empty()
        }
        Some(Value::Stream(entries)) => {
            entries.remove(&StreamId::from_bytes(field).unwrap_or_default());
            entries.pop_last();
            false
        }
        _ => true,
    };
    // As a server does, which keeps no empty value but a stream.
    if is_empty {
        desk.memory.keys.remove(&key);
        desk.memory.expiries.remove(&key);
    }
}

fn retype(desk: &mut Desk, key: &[u8]) {
    let key = key_named(desk, key);
    let other = match desk.memory.keys.get(&key) {
        Some(Value::String(_)) => Value::Hash([("x".to_owned(), Vec::new())].into()),
        _ => Value::String(b"x".to_vec()),
    };
    desk.memory.keys.insert(key, other);
}

/// Puts bytes in the place of others, and a checksum behind that is right: what follows is what a fault of tradebus, or
/// somebody who knows it, could have saved.
fn splice(desk: &mut Desk, key: &[u8], at: &[u8], with: &[u8]) {
    const CHECKSUM_LEN: usize = 8;
    let key = key_named(desk, key);
    if let Some(Value::String(bytes)) = desk.memory.keys.get_mut(&key) {
        bytes.truncate(bytes.len().saturating_sub(CHECKSUM_LEN));
        let at = number(at).unsigned_abs() as usize % (bytes.len() + 1);
        let end = bytes.len().min(at + with.len());
        bytes.splice(at..end, with.iter().copied());
        let checksum = xxh3_64(bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
    }
}

type Run = fn(&mut Desk) -> Outcome<()>;

/// Commands by name, of every kind there is.
const COMMANDS: [(&str, Run); 30] = [
    ("created", |desk| publish(desk, "order.created", r#"{"order_id":"n","volume":1}"#, None)),
    ("created-again", |desk| publish(desk, "order.created", r#"{"order_id":"o","volume":9}"#, Some("0"))),
    ("fill", |desk| {
        publish(
            desk,
            "order.partially_filled",
            r#"{"order_id":"o","fill_id":"h","fill_volume":2,"fill_price":5}"#,
            None,
        )
    }),
    ("fill-again", |desk| {
        publish(
            desk,
            "order.partially_filled",
            r#"{"order_id":"o","fill_id":"f","fill_volume":1,"fill_price":2650}"#,
            None,
        )
    }),
    ("filled", |desk| publish(desk, "order.filled", r#"{"order_id":"o","price":7}"#, None)),
    ("modified", |desk| publish(desk, "order.modified", r#"{"order_id":"o","volume":5,"price":"6"}"#, None)),
    ("cancelled", |desk| publish(desk, "order.cancelled", r#"{"order_id":"o"}"#, None)),
    ("late-fill", |desk| {
        publish(desk, "order.filled", r#"{"order_id":"p","fill_id":"z","fill_volume":1,"fill_price":1}"#, None)
    }),
    ("grow", |desk| {
        publish(desk, "position.modified", r#"{"position_id":"q","added_volume":1,"entry_price":3}"#, None)
    }),
    ("slice", |desk| {
        publish(desk, "position.partially_closed", r#"{"position_id":"q","closed_volume":1,"exit_price":9}"#, None)
    }),
    ("closed", |desk| publish(desk, "position.closed", r#"{"position_id":"q","exit_price":9}"#, None)),
    ("reopened", |desk| {
        publish(desk, "position.opened", r#"{"position_id":"r","direction":"LONG","volume":1,"entry_price":5}"#, None)
    }),
    ("stop-loss", |desk| publish(desk, "stop_loss.hit", r#"{"position_id":"q","exit_price":1}"#, None)),
    ("validated", |desk| publish(desk, "signal.validated", r#"{"signal_id":"s"}"#, None)),
    ("breached", |desk| publish(desk, "risk.limit_breached", r#"{"limit":"l","value":6}"#, None)),
    ("failed", |desk| publish(desk, "trade.failed", r#"{"order_id":"o","reason":"r"}"#, None)),
    ("next", |desk| candle(desk, BARS)),
    ("correction", |desk| candle(desk, BARS - 1)),
    ("tick", |desk| desk.run(&Command::Tick("5", "1", None)).map(drop)),
    ("close-due", |desk| desk.run(&Command::CloseDue).map(drop)),
    ("register", |desk| register(desk, "n", "sma(4) > 0")),
    ("register-again", |desk| register(desk, "a", "ema(3) > 0 OR close > bb(4, 2).upper OR stoch(3, 2, 2).k > 0")),
    ("pause", |desk| desk.run(&Command::SetStatus("a", Status::Paused)).map(drop)),
    ("subscribe", |desk| desk.run(&Command::Subscribe("a", "bot", Wishes::default())).map(drop)),
    ("trigger", |desk| desk.run(&Command::Trigger("a", Told { id: Some("e1"), ..Told::default() })).map(drop)),
    ("trigger-new", |desk| desk.run(&Command::Trigger("a", Told { value: Some("{}"), ..Told::default() })).map(drop)),
    ("read", read),
    ("unsubscribe", |desk| desk.run(&Command::Unsubscribe("a", "bot")).map(drop)),
    ("remove", |desk| desk.run(&Command::Remove("a", Removal::Force)).map(drop)),
    ("rebuild", rebuild),
];

fn run(desk: &mut Desk, name: &[u8]) {
    let (name, command) = *named(&COMMANDS, |(name, _)| name, name);
    let before = desk.memory.clone();
    match command(desk) {
        Ok(()) => check_messages(&desk.memory, before.messages.len()),
        Err(refusal) => {
            check_proper(name, &refusal);
            check_untouched(&before, &desk.memory, desk.now);
        }
    }
}

/// The commands are what callers may send: it is never they that are malformed.
fn check_proper(command: &str, refusal: &Refusal) {
    check_refusal(refusal);
    let improper = [Code::Err, Code::BadSymbol, Code::BadEvent, Code::BadJson, Code::BadExpr, Code::Schema];
    assert!(!improper.contains(&refusal.code), "{command}: {refusal}");
}

fn publish(desk: &mut Desk, event_type: &str, data: &str, event_id: Option<&str>) -> Outcome<()> {
    let event_type = EventType::parse(event_type.as_bytes())?;
    let labels = Labels { event_id: event_id.map(str::as_bytes), ..Labels::default() };
    let request = Request { event_type, data: data.as_bytes(), labels, expect: None };
    desk.memory.publish(&[request], &desk.settings, desk.now).map(drop)
}

fn candle(desk: &mut Desk, bar: i64) -> Outcome<()> {
    let open_time = Timeframe::M1.open_of(START) + bar * MINUTE;
    desk.run(&Command::Candle(Timeframe::M1, open_time, ["8", "20", "1", "8", "1"], Origin::Live)).map(drop)
}

fn register(desk: &mut Desk, id: &str, expression: &str) -> Outcome<()> {
    let limits = Limits { id: Some(id), cooldown: Some(2), ..Limits::default() };
    desk.run(&Command::Register(Timeframe::M1, expression, limits)).map(drop)
}

/// All that only reads.
fn read(desk: &mut Desk) -> Outcome<()> {
    let explained = desk.explain("a").map(drop);
    let view = View::of(&desk.memory);
    let subscriptions = each_subscription(&view, "XAUUSD", "a", &mut |_| {});
    let mut candles = Ok(());
    view.entries(view.open(Key::Candles(Timeframe::M1))?, Span::after(StreamId::ZERO), &mut |id, entry| {
        candles = Candle::read(id, entry).map(drop);
        Flow::Continue
    });
    explained.and(subscriptions).and(candles)
}

fn rebuild(desk: &mut Desk) -> Outcome<()> {
    let mut rebuild = Rebuild::new("XAUUSD", rebuild::Mode::Repair);
    while desk.memory.rebuild(&mut rebuild, &desk.settings, desk.now, 50)? == rebuild::Step::Unfinished {}
    Ok(())
}
