//! Ticks: the bars that they build, when these close, and what else a timeframe is fed by.

mod support;

use support::market::{Command, Desk, Limits, MINUTE};
use support::START;
use tradebus_core::condition::Mode;
use tradebus_core::key::Key;
use tradebus_core::market::{Origin, Removal, Tally};
use tradebus_core::refusal::Code;
use tradebus_core::timeframe::Timeframe;

/// A desk with a condition on each of these timeframes, by whose name it goes, true on every bar.
fn desk_of(timeframes: &[Timeframe]) -> Desk {
    let mut desk = Desk::new();
    for &timeframe in timeframes {
        let limits = Limits { id: Some(timeframe.as_str()), mode: Some(Mode::Level), ..Limits::default() };
        desk.accept(Command::Register(timeframe, "close > 0", limits));
    }
    desk
}

fn desk() -> Desk {
    desk_of(&[Timeframe::M1])
}

/// A tick so many ms behind the start, told when it happens.
fn tick(desk: &mut Desk, at: i64, price: &str) -> String {
    desk.now = desk.now.max(START + at);
    desk.accept(Command::Tick(price, "1", Some(START + at)))
}

fn feed(desk: &Desk, timeframe: Timeframe) -> String {
    let feed = desk.memory.field(Key::Forming, timeframe.as_str()).unwrap_or_default();
    feed.replace(&START.to_string(), "START")
}

fn candle(bar: i64, price: &str, origin: Origin) -> Command<'_> {
    Command::Candle(Timeframe::M1, START + bar * MINUTE, [price, price, price, price, "1"], origin)
}

fn candles(desk: &Desk) -> Vec<String> {
    let entries = desk.entries(Key::Candles(Timeframe::M1));
    entries.iter().map(|entry| entry.replace(&START.to_string(), "START")).collect()
}

#[test]
fn ticks_build_a_bar() {
    let mut desk = desk();
    assert_eq!(feed(&desk, Timeframe::M1), "ticks");
    // The open is of the earliest and the close of the latest, however they arrive.
    for (at, price) in [(500, "10"), (900, "12.50"), (700, "9"), (100, "11"), (800, "20")] {
        desk.restart();
        assert_eq!(tick(&mut desk, at, price), "");
        assert_eq!(desk.tally, Tally::default());
    }
    let expected = format!("START 11 20 9 12.5 5 5 {} {}", START + 100, START + 900);
    assert_eq!(feed(&desk, Timeframe::M1), expected);
    assert!(desk.memory.messages.is_empty() && candles(&desk).is_empty());
    // The first tick of a later bar closes it and begins the next, a gap between them or not.
    assert_eq!(tick(&mut desk, MINUTE, "13"), "1m");
    assert_eq!(candles(&desk), ["START-0: open=11 high=20 low=9 close=12.5 volume=5"]);
    assert_eq!(desk.tally, Tally { candles: 1, evaluations: 1, triggers: 1, ..Tally::default() });
    let message = desk.messages("market:XAUUSD:1m")[0];
    assert!(message.contains(r#""event_type":"candle.closed""#) && message.contains(r#""close":12.5"#), "{message}");
    assert_eq!(tick(&mut desk, 5 * MINUTE, "14"), "1m");
    assert_eq!(desk.tally.gaps, 0);
    tick(&mut desk, 6 * MINUTE, "14");
    assert_eq!((desk.tally.gaps, candles(&desk).len()), (1, 3));
    let first = &desk.entries(Key::Triggers)[0];
    assert!(first.ends_with(&format!("bar_time={START} ts={} subscribers_count=0 notified=0", START + MINUTE)));
}

#[test]
fn a_tick_without_a_time_is_of_now() {
    let mut desk = desk();
    desk.now += 7;
    desk.accept(Command::Tick("5", "0", None));
    assert_eq!(feed(&desk, Timeframe::M1), format!("START 5 5 5 5 0 1 {0} {0}", START + 7));
}

#[test]
fn every_timeframe_with_a_condition_has_its_bar() {
    let mut desk = desk_of(&[Timeframe::H1, Timeframe::M1, Timeframe::S30]);
    tick(&mut desk, 100, "10");
    tick(&mut desk, 30_000, "11");
    assert_eq!(feed(&desk, Timeframe::S30), format!("{0} 11 11 11 11 1 1 {0} {0}", START + 30_000));
    assert_eq!(feed(&desk, Timeframe::M1), format!("START 10 11 10 11 2 2 {} {}", START + 100, START + 30_000));
    assert!(desk.memory.field(Key::Forming, "5m").is_none());
    // One tick closes the bars of several, the shortest first.
    assert_eq!(tick(&mut desk, MINUTE, "12"), "30s 1m");
    assert_eq!(tick(&mut desk, 60 * MINUTE, "13"), "30s 1m 1h");
    assert_eq!(desk.tally.triggers, 3);
    let hour = desk.entries(Key::Candles(Timeframe::H1));
    assert_eq!(hour, [format!("{START}-0: open=10 high=12 low=10 close=12 volume=3")]);
    // Without its condition a timeframe has none.
    desk.accept(Command::Remove("1m", Removal::IfUnused));
    assert_eq!(feed(&desk, Timeframe::M1), "");
    assert_eq!(tick(&mut desk, 62 * MINUTE, "13"), "30s");
    // A condition that comes waits for the next tick.
    desk.accept(Command::Register(Timeframe::M1, "close > 0", Limits::default()));
    assert_eq!(feed(&desk, Timeframe::M1), "ticks");
}

#[test]
fn without_conditions_nothing_is_built() {
    let mut desk = Desk::new();
    tick(&mut desk, 0, "10");
    assert!(desk.memory.keys.is_empty());
    assert_eq!(desk.tally, Tally::default());
}

#[test]
fn the_timer_closes_what_has_ended() {
    let mut desk = desk_of(&[Timeframe::M1, Timeframe::M5]);
    let next = |desk: &Desk| desk.next_close.map(|end| end - START);
    desk.accept(Command::CloseDue);
    assert_eq!(next(&desk), None);
    tick(&mut desk, 4 * MINUTE, "10");
    assert_eq!(next(&desk), Some(5 * MINUTE));
    let mut close = |at: i64, expected: &str| {
        desk.now = START + at;
        desk.restart();
        assert_eq!(desk.accept(Command::CloseDue), expected, "{at}");
        next(&desk)
    };
    assert_eq!(close(5 * MINUTE, ""), Some(5 * MINUTE));
    assert_eq!(close(5 * MINUTE + 1_999, ""), Some(5 * MINUTE));
    assert_eq!(close(5 * MINUTE + 2_000, "1m 5m"), None);
    assert_eq!(close(9 * MINUTE, ""), None);
    assert_eq!((feed(&desk, Timeframe::M1), feed(&desk, Timeframe::M5)), ("ticks".into(), "ticks".into()));
    assert_eq!(desk.entries(Key::Candles(Timeframe::M5)).len(), 1);
    // Only what has ended.
    tick(&mut desk, 9 * MINUTE, "10");
    tick(&mut desk, 10 * MINUTE, "11");
    assert_eq!(next(&desk), Some(11 * MINUTE));
    tick(&mut desk, 9 * MINUTE, "10");
    assert_eq!((next(&desk), desk.tally.late_ticks), (Some(11 * MINUTE), 1));
    desk.now = START + 11 * MINUTE + 2_000;
    assert_eq!(desk.accept(Command::CloseDue), "1m");
    assert_eq!(next(&desk), Some(15 * MINUTE));
    // No grace, no waiting.
    desk.settings.bar_grace_ms = 0;
    desk.now = START + 15 * MINUTE;
    assert_eq!(desk.accept(Command::CloseDue), "5m");
}

#[test]
fn late_ticks_are_dropped_and_counted() {
    let mut desk = desk();
    tick(&mut desk, 0, "10");
    // Within the grace a tick of the bar is in time, as long as no later one has closed it.
    desk.now = START + MINUTE + 1_500;
    tick(&mut desk, MINUTE - 1, "11");
    assert_eq!(desk.tally.late_ticks, 0);
    tick(&mut desk, MINUTE, "12");
    let before = desk.snapshot();
    let is_dropped = |desk: &mut Desk, at: i64| {
        let (before, reply) = (desk.snapshot(), tick(desk, at, "99"));
        assert_eq!(reply, "");
        let is_dropped = desk.tally == Tally { late_ticks: 1, ..Tally::default() };
        assert_eq!(desk.snapshot() == before, is_dropped);
        is_dropped
    };
    assert!(is_dropped(&mut desk, MINUTE - 1) && is_dropped(&mut desk, 0) && is_dropped(&mut desk, -MINUTE));
    assert!(desk.snapshot() == before);
    // So when the timer has closed the bar, and behind a restart.
    desk.now = START + 10 * MINUTE;
    assert_eq!(desk.accept(Command::CloseDue), "1m");
    desk.restart();
    assert!(is_dropped(&mut desk, 2 * MINUTE - 1));
    assert!(!is_dropped(&mut desk, 2 * MINUTE));
    // Late for one timeframe, in time for another: counted once, and taken where it can be.
    let mut two = desk_of(&[Timeframe::M1, Timeframe::M5]);
    tick(&mut two, 0, "10");
    tick(&mut two, MINUTE, "11");
    tick(&mut two, 1, "12");
    assert_eq!(two.tally.late_ticks, 1);
    assert!(feed(&two, Timeframe::M5).starts_with("START 10 12 10 11 3 3 "));
    assert!(feed(&two, Timeframe::M1).starts_with(&format!("{} 11 11 11 11 1 1 ", START + MINUTE)));
}

#[test]
fn what_is_refused() {
    let mut desk = desk_of(&[Timeframe::M1, Timeframe::M5]);
    desk.accept(Command::Tick("1", "100000000000000000", None));
    let ahead = desk.now + 2_000;
    desk.accept(Command::Tick("2", "0", Some(ahead)));
    desk.now = START + MINUTE;
    for (price, volume, at, told) in [
        ("1", "1", Some(START + MINUTE + 2_001), "more than tradebus.bar-grace ahead"),
        ("1", "1", Some(0), "TIMESTAMP must be a time of a market"),
        ("x", "1", None, "price must be a number"),
        ("1", "-1", None, "volume must be 0 or more"),
        ("1", "1e18", None, "volume must be below 1e18"),
        ("1", "1e-19", None, "at most 18 digits after the point, not 19"),
    ] {
        let text = desk.refuse(Code::BadField, Command::Tick(price, volume, at));
        assert!(text.contains(told), "{text}");
    }
    assert!(candles(&desk).is_empty());
    tick(&mut desk, MINUTE, "3");
    assert_eq!(candles(&desk), ["START-0: open=1 high=2 low=1 close=2 volume=100000000000000000"]);
}

#[test]
fn sums_are_exact() {
    let mut desk = desk();
    for _ in 0..10 {
        desk.accept(Command::Tick("0.1", "0.1", None));
    }
    desk.accept(Command::Tick("0.3", "1e-17", None));
    desk.now += 2 * MINUTE;
    desk.accept(Command::CloseDue);
    assert_eq!(candles(&desk), ["START-0: open=0.1 high=0.3 low=0.1 close=0.3 volume=1.00000000000000001"]);
}

#[test]
fn a_timeframe_that_is_told_candles_is_not_built() {
    let mut desk = desk_of(&[Timeframe::M1, Timeframe::M5]);
    tick(&mut desk, 0, "10");
    tick(&mut desk, MINUTE, "11");
    // What ticks had begun is gone with it, and has closed nothing.
    desk.now = START + 2 * MINUTE;
    assert_eq!(desk.accept(candle(1, "20", Origin::Live)), "1m");
    assert_eq!(feed(&desk, Timeframe::M1), "candles");
    assert_eq!(tick(&mut desk, 3 * MINUTE, "12"), "");
    desk.now = START + 4 * MINUTE;
    assert_eq!(desk.accept(Command::CloseDue), "");
    assert_eq!(candles(&desk).len(), 2);
    assert_eq!(feed(&desk, Timeframe::M1), "candles");
    assert!(feed(&desk, Timeframe::M5).starts_with("START 10 12 10 12 3 3 "));
    // With the last condition it ends: who comes then may come with ticks.
    desk.accept(Command::Remove("1m", Removal::IfUnused));
    desk.accept(Command::Register(Timeframe::M1, "close > 0", Limits::default()));
    tick(&mut desk, 4 * MINUTE, "12");
    assert_eq!(feed(&desk, Timeframe::M1).split(' ').nth(1), Some("12"));

    // To tell a candle again that ticks have built, or to correct it, ends nothing.
    let mut desk = desk_of(&[Timeframe::M1]);
    tick(&mut desk, 0, "10");
    tick(&mut desk, MINUTE, "11");
    for price in ["10", "9"] {
        desk.accept(candle(0, price, Origin::Live));
        assert_eq!(feed(&desk, Timeframe::M1).split(' ').nth(1), Some("11"));
    }

    // Told before there is any condition.
    let mut desk = Desk::new();
    desk.now += 2 * MINUTE;
    desk.accept(candle(0, "9", Origin::Live));
    desk.accept(Command::Register(Timeframe::M1, "close > 0", Limits::default()));
    tick(&mut desk, 2 * MINUTE, "12");
    assert_eq!(feed(&desk, Timeframe::M1), "candles");
}

#[test]
fn history_leaves_ticks_their_timeframe() {
    let mut desk = desk();
    desk.now = START + 10 * MINUTE;
    desk.accept(candle(0, "9", Origin::Backfill));
    assert_eq!(feed(&desk, Timeframe::M1), "ticks");
    tick(&mut desk, 5 * MINUTE, "10");
    let forming = feed(&desk, Timeframe::M1);
    // Before the bar that is forming it changes nothing about it.
    desk.accept(candle(4, "9", Origin::Backfill));
    assert_eq!(feed(&desk, Timeframe::M1), forming);
    desk.accept(candle(4, "9", Origin::Backfill));
    desk.accept(candle(4, "9.5", Origin::Backfill));
    assert_eq!(feed(&desk, Timeframe::M1), forming);
    // Of that bar, or a later one, it takes its place; ticks of closed bars are late then.
    desk.accept(candle(5, "9", Origin::Backfill));
    assert_eq!(feed(&desk, Timeframe::M1), "ticks");
    tick(&mut desk, 5 * MINUTE + 1, "10");
    assert_eq!((desk.tally.late_ticks, feed(&desk, Timeframe::M1)), (1, "ticks".into()));
    assert_eq!(tick(&mut desk, 6 * MINUTE, "10"), "");
    desk.accept(candle(8, "9", Origin::Backfill));
    assert_eq!(feed(&desk, Timeframe::M1), "ticks");
    assert_eq!(tick(&mut desk, 9 * MINUTE, "10"), "");
    assert_eq!(tick(&mut desk, 10 * MINUTE, "10"), "1m");
    let closed: Vec<_> = candles(&desk).iter().map(|entry| entry[entry.len() - 16..].to_owned()).collect();
    assert_eq!(closed.len(), 5, "{closed:?}");
}

#[test]
fn an_expression_is_judged_on_what_ticks_have_built() {
    let mut desk = Desk::new();
    desk.register("close CROSSES_ABOVE open[1] AND volume > 1", Limits { id: Some("a"), ..Limits::default() });
    for (at, price) in [(0, "10"), (1, "9"), (MINUTE, "8"), (MINUTE + 5, "11"), (2 * MINUTE, "7")] {
        let reply = tick(&mut desk, at, price);
        assert_eq!(reply, "", "{at}");
    }
    assert_eq!(desk.explain("a").map(|explained| (explained.state, explained.bars)), Ok(("unknown", 2)));
    tick(&mut desk, 2 * MINUTE + 5, "12");
    assert_eq!(tick(&mut desk, 3 * MINUTE, "1"), "");
    tick(&mut desk, 3 * MINUTE + 1, "2");
    tick(&mut desk, 4 * MINUTE, "1");
    tick(&mut desk, 4 * MINUTE + 1, "9");
    assert_eq!(tick(&mut desk, 5 * MINUTE, "1"), "a");
    let entry = &desk.entries(Key::Triggers)[0];
    let value = r#"value={"price":9,"volume":2,"close":9,"open":1}"#;
    assert!(entry.contains(value), "{entry}");
}
