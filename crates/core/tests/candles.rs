//! Closed candles: what is taken, stored and told, and what a repeat, a correction and a gap do.

mod support;

use support::market::{Command, Desk, Limits, MINUTE};
use support::START;
use tradebus_core::condition::Mode;
use tradebus_core::key::Key;
use tradebus_core::market::{Origin, Tally};
use tradebus_core::memory::Value;
use tradebus_core::refusal::Code;
use tradebus_core::settings::{PubSub, Settings};
use tradebus_core::timeframe::Timeframe;

const CANDLES: Key<'static> = Key::Candles(Timeframe::M1);
const NONE: Limits<'static> = Limits { id: None, mode: None, cooldown: None, expire_at: None, max_triggers: None };

/// The candle of the minute `bar`, counted from the start, with one price.
fn flat(bar: i64, price: &str, origin: Origin) -> Command<'_> {
    Command::Candle(Timeframe::M1, START + bar * MINUTE, [price, price, price, price, "1"], origin)
}

/// Late enough for all candles here.
fn desk() -> Desk {
    Desk { now: START + 1_000 * MINUTE, ..Desk::new() }
}

/// With the condition `a`, whose only trigger is to become true.
fn desk_with(expression: &str) -> Desk {
    let mut desk = desk();
    desk.register(expression, Limits { id: Some("a"), ..NONE });
    desk
}

/// Tells candles from the minute `from` on, one price each, and marks those that trigger something.
fn tell(desk: &mut Desk, from: i64, prices: &str) -> String {
    let marks = prices.split(' ').zip(from..).map(|(price, bar)| {
        if desk.accept(flat(bar, price, Origin::Live)).is_empty() {
            '.'
        } else {
            '*'
        }
    });
    marks.collect()
}

fn entry(bar: i64, correction: u64, price: &str) -> String {
    format!("{}-{correction}: open={price} high={price} low={price} close={price} volume=1", START + bar * MINUTE)
}

#[test]
fn what_is_refused() {
    let mut desk = desk_with("close > 10");
    desk.accept(flat(0, "9", Origin::Live));
    let good = ["5", "7", "4", "6", "1"];
    let end = START + MINUTE;
    let mut check = |code: Code, open_time: i64, numbers: [&str; 5], told: &str| {
        for origin in [Origin::Live, Origin::Backfill] {
            let text = desk.refuse(code, Command::Candle(Timeframe::M1, open_time, numbers, origin));
            assert!(text.contains(told), "{text}");
        }
    };
    check(Code::BadField, end, ["5", "4.5", "4", "4", "1"], "high must be at least the open 5");
    check(Code::BadField, end, ["5", "5.5", "4", "6", "1"], "high must be at least the close 6");
    check(Code::BadField, end, ["5", "7", "5.1", "6", "1"], "low must be at most the open 5");
    check(Code::BadField, end, ["6", "7", "5.5", "5", "1"], "low must be at most the close 5");
    check(Code::BadField, end, ["5", "7", "4", "6", "-1"], "volume must be 0 or more");
    check(Code::BadField, end, ["x", "7", "4", "6", "1"], "open must be a number");
    check(Code::BadField, end + 1, good, "open_time must be when a bar of 1m opens");
    check(Code::BadField, -MINUTE, good, "open_time");
    check(Code::BadField, 0, good, "open_time");
    check(Code::TooLate, START - MINUTE, good, "only the last one can be corrected");
}

#[test]
fn a_candle_of_the_future_is_refused() {
    let mut desk = Desk::new();
    desk.now = START + MINUTE - 2_001;
    desk.refuse(Code::BadField, flat(0, "5", Origin::Live));
    desk.now += 1;
    desk.accept(flat(0, "5", Origin::Live));
}

#[test]
fn what_is_stored_and_told() {
    let mut desk = desk();
    let first = ["2650.10", "2651", "2650.1", "2.6505e3", "12.50"];
    desk.accept(Command::Candle(Timeframe::H1, START, first, Origin::Live));
    let stored = format!("{START}-0: open=2650.1 high=2651 low=2650.1 close=2650.5 volume=12.5");
    assert_eq!(desk.entries(Key::Candles(Timeframe::H1)), [stored]);
    let next = START + 60 * MINUTE;
    desk.accept(Command::Candle(Timeframe::H1, next, ["5", "5", "5", "5", "0"], Origin::Live));
    let body = |id: i64, prev_id: &str, start: &str, end: &str, data: &str| {
        format!(
            concat!(
                r#"{{"id":"{}-0","prev_id":"{}","event_type":"candle.closed","symbol":"XAUUSD","timeframe":"1h","#,
                r#""timestamp":"2025-11-17T{}:00:00.000Z","published_at":"2025-11-18T10:40:00.000Z","#,
                r#""data":{{"open_time":{},{}}}}}"#
            ),
            id, prev_id, end, start, data
        )
    };
    let numbers = r#""open":2650.1,"high":2651,"low":2650.1,"close":2650.5,"volume":12.5"#;
    let one = body(START, "0-0", &START.to_string(), "19", numbers);
    let five = r#""open":5,"high":5,"low":5,"close":5,"volume":0"#;
    let two = body(next, &format!("{START}-0"), &next.to_string(), "20", five);
    let channels: Vec<_> = desk.memory.messages.iter().map(|message| &*message.channel).collect();
    assert_eq!(channels, ["market:XAUUSD:1h"; 2]);
    assert_eq!(desk.messages("market:XAUUSD:1h"), [one, two]);
    // Without a condition there is nothing to compute, and nothing is kept for it.
    let keys: Vec<_> = desk.memory.keys.keys().collect();
    assert_eq!(keys, ["market:{XAUUSD}:1h", "market:{XAUUSD}:forming"]);
    assert_eq!(desk.tally, Tally { candles: 1, ..Tally::default() });
}

#[test]
fn messages_can_be_off() {
    let mut desk = Desk { settings: Settings { pubsub: PubSub::Off, ..Settings::default() }, ..desk() };
    tell(&mut desk, 0, "5 6");
    assert!(desk.memory.messages.is_empty());
}

#[test]
fn a_repeat_is_ignored() {
    let mut desk = desk_with("close > 10");
    desk.register("close > 1", Limits { id: Some("b"), mode: Some(Mode::Level), ..NONE });
    assert_eq!(tell(&mut desk, 0, "9 11"), "**");
    let before = desk.snapshot();
    for origin in [Origin::Live, Origin::Backfill] {
        let again = ["11.0", "1.1e1", "11", "11.00", "1.0"];
        assert_eq!(desk.accept(Command::Candle(Timeframe::M1, START + MINUTE, again, origin)), "");
        assert_eq!(desk.tally, Tally::default());
        desk.restart();
    }
    assert!(desk.snapshot() == before);
    assert_eq!(tell(&mut desk, 2, "9"), "*");
}

#[test]
fn gaps_are_counted_and_not_filled() {
    let mut desk = desk_with("close > close[1]");
    tell(&mut desk, 0, "9");
    assert_eq!(desk.tally, Tally { candles: 1, evaluations: 1, ..Tally::default() });
    tell(&mut desk, 1, "8");
    assert_eq!(desk.tally.gaps, 0);
    assert_eq!(tell(&mut desk, 5, "9"), "*");
    assert_eq!(desk.tally.gaps, 1);
    assert_eq!(desk.entries(CANDLES), [entry(0, 0, "9"), entry(1, 0, "8"), entry(5, 0, "9")]);
    assert_eq!(desk.explain("a").map(|explained| explained.bars), Ok(3));
    // A correction behind a gap counts it no second time.
    tell(&mut desk, 5, "10");
    assert_eq!((desk.tally.gaps, desk.tally.corrections, desk.tally.candles), (0, 1, 1));
}

#[test]
fn history_is_loaded_silently() {
    let mut desk = desk_with("close > 10");
    desk.register("close > 1", Limits { id: Some("b"), mode: Some(Mode::Level), ..NONE });
    for (bar, price) in ["9", "11", "9", "8"].into_iter().enumerate() {
        assert_eq!(desk.accept(flat(bar as i64, price, Origin::Backfill)), "");
    }
    assert_eq!(desk.tally, Tally { candles: 1, evaluations: 2, ..Tally::default() });
    assert!(desk.memory.messages.is_empty() && desk.entries(Key::Triggers).is_empty());
    assert_eq!(desk.memory.field(Key::Forming, "1m").as_deref(), Some("ticks"));
    // What it made known is the baseline of what comes.
    assert_eq!((desk.field("a", "value"), desk.field("a", "trigger_count")), ("false".into(), "0".into()));
    assert_eq!(desk.accept(flat(4, "11", Origin::Live)), "a b");
    // A correction by history is told to nobody.
    let messages = desk.memory.messages.len();
    assert_eq!(desk.accept(flat(4, "9", Origin::Backfill)), "");
    assert_eq!((desk.field("a", "value"), desk.memory.messages.len()), ("false".into(), messages));
    desk.refuse(Code::TooLate, flat(3, "9", Origin::Backfill));
}

#[test]
fn a_correction_takes_the_place() {
    let mut desk = desk_with("close > 10");
    tell(&mut desk, 0, "9 11");
    assert_eq!(tell(&mut desk, 1, "12"), ".");
    assert_eq!(tell(&mut desk, 1, "13"), ".");
    assert_eq!(desk.entries(CANDLES), [entry(0, 0, "9"), entry(1, 2, "13")]);
    let told = desk.messages("market:XAUUSD:1m");
    let last = START + MINUTE;
    let begin = format!(r#"{{"id":"{last}-2","prev_id":"{last}-1","event_type":"candle.corrected","#);
    assert!(told.len() == 4 && told[3].starts_with(&begin), "{told:?}");
    assert_eq!(desk.field("a", "trigger_count"), "1");
    tell(&mut desk, 2, "9");
    assert_eq!(desk.entries(CANDLES)[2], entry(2, 0, "9"));
    desk.refuse(Code::TooLate, flat(1, "14", Origin::Live));
}

/// Bars, then corrections of the last one, then bars: which of the first and the last trigger, and the known value
/// between them. With and without restarts, and whatever the expression's functions have taken in.
#[test]
fn what_a_correction_changes() {
    #[track_caller]
    fn check(expression: &str, before: &str, corrections: &str, after: &str, expected: [&str; 3]) {
        for restarts in [false, true] {
            let mut desk = desk_with(expression);
            let mut straight = desk_with(expression);
            let marks = tell(&mut desk, 0, before);
            let count = before.split(' ').count() as i64;
            for price in corrections.split(' ') {
                if restarts {
                    desk.restart();
                }
                assert_eq!(tell(&mut desk, count - 1, price), ".");
            }
            // As if the last correction had been told in the first place, of all but what had triggered.
            let kept = before.rsplit_once(' ').map_or("", |(kept, _)| kept);
            let told = format!("{kept} {}", corrections.rsplit(' ').next().unwrap_or_default());
            tell(&mut straight, count - told.trim().split(' ').count() as i64, told.trim());
            assert_eq!(desk.explain("a"), straight.explain("a"), "{expression}");
            let value = desk.field("a", "value");
            assert_eq!(value, straight.field("a", "value"), "{expression}");
            if restarts {
                desk.restart();
            }
            let after = tell(&mut desk, count, after);
            assert_eq!([&*marks, &value, &after], expected, "{expression}: {before} then {corrections}");
        }
    }
    let above = "close > 10";
    check(above, "9 11", "9", "11 12", [".*", "false", "*."]);
    check(above, "9 9", "11", "12 9 11", ["..", "true", "..*"]);
    check(above, "9 11", "9 11", "12", [".*", "true", "."]);
    check(above, "9 11", "12 9 13 8", "11", [".*", "false", "*"]);
    check(above, "9 11 12", "9", "11", [".*.", "false", "*"]);
    check(above, "9", "11", "12 9 11", [".", "true", "..*"]);
    check(above, "11", "9", "11", [".", "false", "*"]);
    // Unknown on a close of 5: what was known before is known again.
    let unknown = "1 / (close - 5) > 0";
    check(unknown, "4 6", "5", "6", [".*", "false", "*"]);
    check(unknown, "4 6 4", "5", "6", [".*.", "true", "."]);
    check(unknown, "4 5", "6", "6", ["..", "true", "."]);
    check(unknown, "5 6", "5", "6 4 6", ["..", "", "..*"]);
    check(unknown, "6", "5", "6", [".", "", "."]);
    // Functions and past numbers go back with it.
    check("close > close[1]", "9 8 7", "20", "15 16", ["...", "true", ".*"]);
    check("rsi(2) > 50", "9 8 7 6 9", "5", "9", ["....*", "false", "*"]);
    check("ema(3) CROSSES_ABOVE sma(5)", "9 8 7 6 5 4 4 20", "4", "20", [".......*", "false", "*"]);
    check("obv >= 0 AND highest(3) > 10", "9 8 7 12", "11", "6 12", ["...*", "true", ".*"]);
}

#[test]
fn a_correction_right_behind_a_registration() {
    for (stored, corrected, next, expected) in [
        ("9", "11", "12", ["false", "true", ""]),
        ("9", "9.5", "11", ["false", "false", "a"]),
        ("11", "9", "11", ["true", "false", "a"]),
        ("11", "5", "11", ["true", "", ""]),
        ("5", "9", "11", ["", "false", "a"]),
    ] {
        let mut desk = desk();
        tell(&mut desk, 0, "7 7");
        tell(&mut desk, 2, stored);
        desk.register("1 / (close - 5) > 0.2 OR close > 10 AND close != 5", Limits { id: Some("x"), ..NONE });
        desk.register("(close - 10) * (close - 5) / (close - 5) > 0", Limits { id: Some("a"), ..NONE });
        let first = desk.field("a", "value");
        tell(&mut desk, 2, corrected);
        let second = desk.field("a", "value");
        desk.restart();
        let fired = desk.accept(flat(3, next, Origin::Live)).replace("x", "").trim().to_owned();
        assert_eq!([first, second, fired], expected, "{stored}, then {corrected}");
    }
}

#[test]
fn a_long_history_is_gone_back_in() {
    // The state is saved each 64 bars: a correction right before, at and behind that bar, and of a save's own bar.
    for bars in [63, 64, 65, 66, 127, 128, 129, 130] {
        let mut desk = desk_with("ema(5) > 10 AND rsi(close[3], 4) > 1");
        let mut straight = desk_with("ema(5) > 10 AND rsi(close[3], 4) > 1");
        for bar in 0..bars {
            let price = (7 + bar * bar % 11).to_string();
            desk.accept(flat(bar, &price, Origin::Live));
            if bar + 1 < bars {
                straight.accept(flat(bar, &price, Origin::Live));
            }
        }
        tell(&mut desk, bars - 1, "3");
        tell(&mut straight, bars - 1, "3");
        assert_eq!(desk.explain("a"), straight.explain("a"), "{bars}");
        desk.restart();
        assert_eq!(desk.explain("a"), straight.explain("a"), "{bars}, restarted");
    }
}

#[test]
fn the_history_is_trimmed() {
    let mut desk = desk();
    desk.settings.candle_history = 3;
    tell(&mut desk, 0, "1 2 3 4 5");
    assert_eq!(desk.entries(CANDLES), [entry(2, 0, "3"), entry(3, 0, "4"), entry(4, 0, "5")]);
    desk.settings.candle_history = 0;
    tell(&mut desk, 5, "6 7");
    assert_eq!(desk.entries(CANDLES).len(), 5);
}

/// Made shorter, the history is trimmed by whatever comes next: the state is saved before that.
#[test]
fn a_shorter_history_begins_with_any_candle() {
    for (price, is_correction) in [("7", true), ("7", false)] {
        let mut desk = desk_with("ema(5) > 10");
        let mut long = desk_with("ema(5) > 10");
        for desk in [&mut desk, &mut long] {
            tell(desk, 0, &(0..40).map(|bar| (5 + bar % 7).to_string()).collect::<Vec<_>>().join(" "));
        }
        desk.settings.candle_history = 1;
        for desk in [&mut desk, &mut long] {
            tell(desk, if is_correction { 39 } else { 40 }, price);
        }
        assert_eq!(desk.entries(CANDLES).len(), 1);
        desk.restart();
        assert_eq!(desk.explain("a"), long.explain("a"));
        tell(&mut desk, 41, "8 9");
        tell(&mut desk, 42, "3");
        tell(&mut long, 41, "8 3");
        assert_eq!(desk.explain("a"), long.explain("a"));
    }
}

#[test]
fn timeframes_do_not_touch_each_other() {
    let mut desk = desk_with("close > 10");
    desk.accept(Command::Register(Timeframe::M5, "close > 10", Limits { id: Some("b"), ..NONE }));
    tell(&mut desk, 0, "9");
    for (open_time, price) in [(START, "9"), (START + 5 * MINUTE, "11")] {
        let told = Command::Candle(Timeframe::M5, open_time, [price, price, price, price, "1"], Origin::Live);
        let reply = desk.accept(told);
        assert_eq!(reply, if price == "11" { "b" } else { "" });
    }
    assert_eq!(desk.field("a", "value"), "false");
    assert_eq!(desk.engines.iter().count(), 2);
}

/// A stream takes no id again that it has given out, be the candle deleted or not; writing shows where that ended.
#[test]
fn candles_that_were_deleted_by_hand() {
    let mut desk = desk_with("close > close[1]");
    tell(&mut desk, 0, "7 8 9");
    let name = desk.memory.key_name(CANDLES);
    if let Some(Value::Stream(entries)) = desk.memory.keys.get_mut(&name) {
        entries.pop_last();
    }
    assert_eq!(desk.explain("a").map(|explained| explained.bars), Ok(2));
    desk.refuse(Code::TooLate, flat(1, "9", Origin::Live));
    assert_eq!(tell(&mut desk, 2, "7.5"), ".");
    assert_eq!(desk.tally, Tally { candles: 1, evaluations: 1, ..Tally::default() });
    assert_eq!(desk.entries(CANDLES)[2], entry(2, 1, "7.5"));
    assert_eq!(desk.explain("a").map(|explained| (explained.bars, explained.state)), Ok((3, "false")));
    // Without any the functions begin anew.
    desk.overwrite(CANDLES, Value::Stream(Default::default()));
    tell(&mut desk, 3, "8");
    assert_eq!(desk.explain("a").map(|explained| explained.bars), Ok(1));
}
