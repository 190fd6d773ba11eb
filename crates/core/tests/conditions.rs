//! Conditions: registering, when they fire, what holds them back, and how they go.

mod support;

use support::market::{Command, Desk, Limits, Wishes, MINUTE};
use support::START;
use tradebus_core::condition::{Mode, Status};
use tradebus_core::key::Key;
use tradebus_core::market::{Origin, Removal};
use tradebus_core::refusal::Code;
use tradebus_core::timeframe::Timeframe;

const NONE: Limits<'static> = Limits { id: None, mode: None, cooldown: None, expire_at: None, max_triggers: None };

fn mode(mode: Mode) -> Limits<'static> {
    Limits { mode: Some(mode), ..NONE }
}

/// The condition `a` in the rest of the tests here: true above 10.
fn above_ten(desk: &mut Desk, limits: Limits<'_>) {
    assert_eq!(desk.register("close > 10", Limits { id: Some("a"), ..limits }), "a");
}

fn candles(desk: &mut Desk, prices: &str, origin: Origin) -> String {
    let mut marks = String::new();
    for price in prices.split(' ') {
        desk.now += MINUTE;
        let candle = [price, price, price, price, "1"];
        let reply = desk.accept(Command::Candle(Timeframe::M1, desk.last_open(), candle, origin));
        marks.push(if reply.is_empty() { '.' } else { '*' });
    }
    marks
}

#[test]
fn one_meaning_is_one_condition() {
    let mut desk = Desk::new();
    let id = desk.register("RSI(14)<30", NONE);
    assert_eq!(id.len(), 16);
    for same in ["rsi( 14 ) < 30.0", "rsi(price, 14) < 3e1", "((RSI(close,14))) < 30"] {
        assert_eq!(desk.register(same, NONE), id, "{same}");
        assert_eq!(desk.register(same, mode(Mode::Edge)), id, "{same}");
    }
    assert_eq!(desk.field(&id, "expression"), "rsi(14) < 30");
    assert_eq!(desk.memory.members(Key::Conditions(Timeframe::M1)), [&*id]);
    let others = [
        desk.register("rsi(14) <= 30", NONE),
        desk.register("rsi(14) < 30", mode(Mode::Level)),
        desk.register("rsi(14) < 30", mode(Mode::Once)),
        desk.accept(Command::Register(Timeframe::M5, "rsi(14) < 30", NONE)),
    ];
    for (place, other) in others.iter().enumerate() {
        assert!(*other != id && !others[..place].contains(other));
    }
    assert_eq!(desk.memory.members(Key::Conditions(Timeframe::M1)), [&*id, &others[0], &others[1], &others[2]]);
    assert_eq!(desk.memory.members(Key::Conditions(Timeframe::M5)), [&*others[3]]);
}

#[test]
fn a_new_condition() {
    let mut desk = Desk::new();
    let limits = Limits {
        mode: Some(Mode::Level),
        cooldown: Some(5),
        expire_at: Some(START as u64 + 1),
        max_triggers: Some(3),
        ..NONE
    };
    above_ten(&mut desk, limits);
    let stored = desk.memory.hash(Key::Condition("a")).expect("a condition");
    let stored: Vec<_> =
        stored.iter().map(|(name, value)| format!("{name}={}", String::from_utf8_lossy(value))).collect();
    let expected = "cooldown=5 created_at=1763402400000 expire_at=1763402400001 expression=close > 10 max_triggers=3 \
                    mode=level status=active timeframe=1m trigger_count=0 updated_at=1763402400000";
    assert_eq!(stored.join(" "), expected);
    assert_eq!(desk.memory.field(Key::Forming, "1m").as_deref(), Some("ticks"));
    assert!(desk.memory.messages.is_empty());
    // The state is saved with the next bar, however many conditions come before it.
    let has_state = |desk: &Desk| desk.memory.keys.contains_key("market:{XAUUSD}:1m:state");
    assert!(!has_state(&desk));
    desk.bar("9");
    assert!(has_state(&desk));
}

#[test]
fn a_second_registration_changes_what_it_names() {
    let mut desk = Desk::new();
    above_ten(&mut desk, Limits { cooldown: Some(5), max_triggers: Some(3), ..NONE });
    let check = |desk: &mut Desk, limits: Limits<'_>, expected: [&str; 4]| {
        desk.now += 1;
        above_ten(desk, limits);
        let fields = ["cooldown", "expire_at", "max_triggers", "updated_at"].map(|name| desk.field("a", name));
        assert_eq!(fields, expected, "{limits:?}");
        assert_eq!((desk.field("a", "mode"), desk.field("a", "created_at")), ("edge".into(), START.to_string()));
    };
    let future = Some(START as u64 + 100);
    check(&mut desk, NONE, ["5", "", "3", "1763402400000"]);
    check(&mut desk, Limits { cooldown: Some(5), ..NONE }, ["5", "", "3", "1763402400000"]);
    check(&mut desk, Limits { cooldown: Some(6), ..NONE }, ["6", "", "3", "1763402400003"]);
    check(&mut desk, Limits { expire_at: future, ..NONE }, ["6", "1763402400100", "3", "1763402400004"]);
    check(&mut desk, Limits { max_triggers: Some(0), ..NONE }, ["6", "1763402400100", "", "1763402400005"]);
    let none = Limits { cooldown: Some(0), expire_at: Some(0), ..NONE };
    check(&mut desk, none, ["", "", "", "1763402400006"]);
    check(&mut desk, none, ["", "", "", "1763402400006"]);
    // What it has done and whether it is paused stay.
    desk.bars("9 11");
    desk.accept(Command::SetStatus("a", Status::Paused));
    above_ten(&mut desk, Limits { cooldown: Some(7), ..NONE });
    let fields = ["status", "value", "trigger_count", "cooldown"].map(|name| desk.field("a", name));
    assert_eq!(fields, ["paused", "true", "1", "7"]);
}

#[test]
fn an_id_of_the_callers_own() {
    let mut desk = Desk::new();
    above_ten(&mut desk, NONE);
    above_ten(&mut desk, mode(Mode::Edge));
    let a = Limits { id: Some("a"), ..NONE };
    let text = desk.refuse(Code::IdConflict, Command::Register(Timeframe::M1, "close > 11", a));
    assert_eq!(text, "condition a is `close > 10` on 1m, edge");
    desk.refuse(Code::IdConflict, Command::Register(Timeframe::M5, "close > 10", a));
    let level = Limits { mode: Some(Mode::Level), ..a };
    desk.refuse(Code::IdConflict, Command::Register(Timeframe::M1, "close > 10", level));
    // Under an own id it is another condition than under none.
    assert_ne!(desk.register("close > 10", NONE), "a");
    // Without MODE the one that it has stays.
    desk.register("close > 9", Limits { id: Some("b"), ..mode(Mode::Level) });
    assert_eq!(desk.register("close > 9", Limits { id: Some("b"), ..NONE }), "b");
    assert_eq!(desk.field("b", "mode"), "level");
    for bad in ["", "a b", "a:b", "{a}", "ä", &"x".repeat(65)] {
        desk.refuse(Code::BadField, Command::Register(Timeframe::M1, "close > 1", Limits { id: Some(bad), ..NONE }));
    }
    desk.register("close > 1", Limits { id: Some(&"x".repeat(64)), ..NONE });
}

#[test]
fn what_is_not_registered() {
    let mut desk = Desk::new();
    for now in [START, START + 1] {
        let expired = Limits { expire_at: Some(START as u64), ..NONE };
        desk.now = now;
        desk.refuse(Code::BadField, Command::Register(Timeframe::M1, "close > 1", expired));
    }
    let never = Limits { expire_at: Some(u64::MAX), ..NONE };
    desk.refuse(Code::BadField, Command::Register(Timeframe::M1, "close > 1", never));
    for bad in ["", "close", "1 < close < 2", "close BETWEEN 2 AND 1", "sma(1001) > 1"] {
        desk.refuse(Code::BadExpr, Command::Register(Timeframe::M1, bad, NONE));
    }
    assert!(desk.memory.keys.is_empty());
}

#[test]
fn when_it_fires() {
    #[track_caller]
    fn check(how: Mode, expression: &str, prices: &str, expected: &str) {
        let mut desk = Desk::new();
        desk.register(expression, mode(how));
        assert_eq!(desk.bars(prices), expected, "{expression} on {prices}");
        let mut desk = Desk::new();
        desk.register(expression, mode(how));
        let restarted: Vec<_> = prices
            .split(' ')
            .map(|price| {
                desk.restart();
                desk.bars(price)
            })
            .collect();
        assert_eq!(restarted.concat(), expected, "{expression} on {prices}, restarted");
    }
    use Mode::{Edge, Level, Once};
    check(Edge, "close > 10", "11 9 11 12 9 11", "..*..*");
    check(Level, "close > 10", "11 9 11 12 9 11", "*.**.*");
    check(Once, "close > 10", "11 9 11 12 9 11", "..*...");
    // Unknown at 5. The known value outlasts it; the first one is the baseline.
    check(Edge, "1 / (close - 5) > 0", "4 5 6 5 6 4 5 5 6", "..*.....*");
    check(Edge, "1 / (close - 5) > 0", "5 6 5 6", "....");
    check(Level, "1 / (close - 5) > 0", "5 6 5 6", ".*.*");
    check(Edge, "sma(2) > 10", "11 11 9 9 11 13", ".....*");
    // A pulse is told from two bars, and fires on each of them.
    check(Edge, "close CROSSES 10", "9 11 9 11 12", ".***.");
    check(Level, "close CROSSES 10", "9 11 9 11 12", ".***.");
    check(Once, "close CROSSES 10", "9 11 9 11 12", ".*...");
    check(Edge, "close CROSSES_ABOVE 10", "9 11 9 10 11", ".*..*");
    check(Edge, "close CROSSES_BELOW 10", "11 9 10 9 8", ".*.*.");
    check(Edge, "TOUCHES 10", "8:9 9:11 9:11 12:13 8:9", ".**.*");
    // With others it is a pulse where it alone makes it true.
    check(Edge, "close CROSSES 10 OR close > 20", "9 9 21 22 9 11 22 21 9", "..*.**..*");
    check(Edge, "close CROSSES 10 AND close != 11", "9 11 9 12 8", "..***");
    check(Edge, "close CROSSES 10 OR close > 0", "9 11 9", "...");
    check(Edge, "NOT close CROSSES 10", "9 9 11 11 11 9 9", "...*..*");
    check(Edge, "NOT NOT close CROSSES 10", "9 11 9 11", ".***");
}

#[test]
fn what_is_already_true_does_not_fire() {
    let mut desk = Desk::new();
    candles(&mut desk, "9 11", Origin::Live);
    above_ten(&mut desk, NONE);
    assert_eq!((desk.field("a", "value"), desk.field("a", "trigger_count")), ("true".into(), "0".into()));
    assert_eq!(desk.bars("12 9 11"), "..*");
    // With candles stored, a false one is the baseline of the very next bar.
    desk.register("close > 13", Limits { id: Some("b"), ..NONE });
    assert_eq!(desk.field("b", "value"), "false");
    assert_eq!(desk.bar("14"), "b");
    // A function is warm from them.
    desk.register("sma(5) < 11.5", Limits { id: Some("c"), ..NONE });
    assert_eq!(desk.field("c", "value"), "true");
    // Registered on an unknown bar there is no value, and no time of one.
    desk.register("sma(50) > 1", Limits { id: Some("d"), ..NONE });
    assert_eq!((desk.field("d", "value"), desk.field("d", "value_since")), Default::default());
}

#[test]
fn a_known_value_is_written_when_it_changes() {
    let mut desk = Desk::new();
    above_ten(&mut desk, NONE);
    let mut check = |price: &str, expected: [&str; 2], since: Option<i64>| {
        desk.bar(price);
        let since = since.map_or(String::new(), |bar| (START + bar * MINUTE).to_string());
        let [value, before] = expected;
        let fields = ["value", "value_since", "value_before"].map(|name| desk.field("a", name));
        assert_eq!(fields, [value.to_owned(), since, before.to_owned()], "{price}");
        let is_set = desk.memory.fields_set.iter().any(|(key, _)| key.ends_with(":def:a"));
        assert_eq!(is_set, desk.field("a", "value_since") == desk.last_open().to_string(), "{price}");
    };
    check("9", ["false", ""], Some(0));
    check("8", ["false", ""], Some(0));
    check("11", ["true", "false"], Some(2));
    check("12", ["true", "false"], Some(2));
    check("7", ["false", "true"], Some(4));
}

#[test]
fn cooldown() {
    let mut desk = Desk::new();
    above_ten(&mut desk, Limits { cooldown: Some(2 * MINUTE as u64), ..mode(Mode::Level) });
    assert_eq!(desk.bars("11 11 11 11 9 11"), "*.*..*");
    // It is measured between triggers, so bars that come late fire as they would have.
    let mut late = Desk::new();
    above_ten(&mut late, Limits { cooldown: Some(2 * MINUTE as u64), ..mode(Mode::Level) });
    late.now += 1_000 * MINUTE;
    let marks: Vec<_> = (0..4)
        .map(|bar| {
            let open_time = START + bar * MINUTE;
            !late
                .accept(Command::Candle(Timeframe::M1, open_time, ["11", "11", "11", "11", "1"], Origin::Live))
                .is_empty()
        })
        .collect();
    assert_eq!(marks, [true, false, true, false]);
    // What an edge lost to it is gone, and its known value goes on.
    let mut edge = Desk::new();
    above_ten(&mut edge, Limits { cooldown: Some(3 * MINUTE as u64), ..NONE });
    assert_eq!(edge.bars("9 11 9 11 11 11 9 11"), ".*.....*");
}

#[test]
fn max_triggers() {
    let mut desk = Desk::new();
    above_ten(&mut desk, Limits { max_triggers: Some(2), ..NONE });
    assert_eq!(desk.bars("9 11 9 11 9 11"), ".*.*..");
    above_ten(&mut desk, Limits { max_triggers: Some(3), ..NONE });
    assert_eq!(desk.bars("12 9 11 9 11"), "..*..");
    assert_eq!(desk.field("a", "trigger_count"), "3");
}

#[test]
fn expiry() {
    let mut desk = Desk::new();
    // The second bar ends before it, the third with it.
    above_ten(&mut desk, Limits { expire_at: Some((START + 3 * MINUTE) as u64), ..mode(Mode::Level) });
    assert_eq!(desk.bars("11 11 11 11"), "**..");
    above_ten(&mut desk, Limits { expire_at: Some(0), ..NONE });
    assert_eq!(desk.bars("11"), "*");
    // A bar from before, told behind it, does not fire any more.
    let mut late = Desk::new();
    above_ten(&mut late, Limits { expire_at: Some((START + 3 * MINUTE) as u64), ..mode(Mode::Level) });
    late.now = START + 3 * MINUTE;
    let first = Command::Candle(Timeframe::M1, START, ["11", "11", "11", "11", "1"], Origin::Live);
    assert_eq!(late.accept(first), "");
}

#[test]
fn a_pause_is_not_caught_up_with() {
    let mut desk = Desk::new();
    above_ten(&mut desk, NONE);
    desk.bars("9");
    assert_eq!(desk.accept(Command::SetStatus("a", Status::Paused)), "OK");
    assert_eq!((desk.field("a", "status"), desk.field("a", "updated_at")), ("paused".into(), desk.now.to_string()));
    assert_eq!(desk.bars("11 12"), "..");
    assert_eq!(desk.field("a", "value"), "true");
    desk.accept(Command::SetStatus("a", Status::Active));
    assert_eq!(desk.bars("12 9 11"), "..*");
    // To pause what is paused changes nothing.
    desk.accept(Command::SetStatus("a", Status::Paused));
    let before = desk.snapshot();
    desk.now += 1;
    desk.accept(Command::SetStatus("a", Status::Paused));
    assert!(desk.snapshot() == before);
    for status in [Status::Active, Status::Paused] {
        assert_eq!(desk.refuse(Code::NotFound, Command::SetStatus("b", status)), "XAUUSD has no condition b");
    }
}

#[test]
fn once_pauses_and_can_be_armed_again() {
    let mut desk = Desk::new();
    above_ten(&mut desk, mode(Mode::Once));
    assert_eq!(desk.bars("9 11"), ".*");
    assert_eq!(desk.field("a", "status"), "paused");
    assert_eq!(desk.bars("9 11"), "..");
    desk.accept(Command::SetStatus("a", Status::Active));
    assert_eq!(desk.bars("12 9 11 9 11"), "..*..");
    // One that is held back has not had its time.
    desk.accept(Command::SetStatus("a", Status::Active));
    above_ten(&mut desk, Limits { max_triggers: Some(2), ..NONE });
    assert_eq!(desk.bars("9 11"), "..");
    assert_eq!(desk.field("a", "status"), "active");
}

#[test]
fn removal() {
    let mut desk = Desk::new();
    above_ten(&mut desk, NONE);
    desk.register("sma(3) > 10", Limits { id: Some("b"), ..NONE });
    desk.accept(Command::Subscribe("a", "bot-1", Wishes::default()));
    desk.bars("9 9 9");
    let text = desk.refuse(Code::InvalidState, Command::Remove("a", Removal::IfUnused));
    assert_eq!(text, "condition a has 1 subscribers; FORCE removes them with it");
    assert_eq!(desk.accept(Command::Remove("a", Removal::Force)), "1");
    let keys: Vec<_> = desk.memory.keys.keys().map(String::as_str).collect();
    let left = ["cond:{XAUUSD}:def:b", "cond:{XAUUSD}:index:1m", "market:{XAUUSD}:1m", "market:{XAUUSD}:1m:state"];
    assert_eq!(keys, [&left[..], &["market:{XAUUSD}:forming"]].concat());
    assert_eq!(desk.accept(Command::Remove("a", Removal::Force)), "0");
    assert_eq!(desk.bar("20"), "b");
    // With the last one the state goes, and what fed it.
    assert_eq!(desk.accept(Command::Remove("b", Removal::IfUnused)), "1");
    let keys: Vec<_> = desk.memory.keys.keys().map(String::as_str).collect();
    assert_eq!(keys, ["cond:{XAUUSD}:triggers", "market:{XAUUSD}:1m"]);
    assert_eq!(desk.engines.iter().count(), 0);
    // Registered again it begins anew, with the candles.
    above_ten(&mut desk, NONE);
    assert_eq!((desk.field("a", "trigger_count"), desk.field("a", "value")), ("0".into(), "true".into()));
    assert_eq!(desk.explain("a").map(|explained| explained.bars), Ok(4));

    let mut ticks = Desk::new();
    above_ten(&mut ticks, NONE);
    ticks.accept(Command::Tick("9", "1", None));
    ticks.accept(Command::Remove("a", Removal::IfUnused));
    assert!(ticks.memory.keys.is_empty(), "{:?}", ticks.memory.keys);
}

/// An engine from before another node's work, which looks as if nothing had happened: as many conditions, and none newer.
#[test]
fn an_old_engine_is_not_believed_for_being_changed() {
    let mut desk = Desk::new();
    above_ten(&mut desk, mode(Mode::Level));
    desk.now += 1;
    desk.register("close > 12", Limits { id: Some("b"), ..NONE });
    let old = std::mem::take(&mut desk.engines);
    desk.accept(Command::Remove("a", Removal::IfUnused));
    desk.now += 1;
    desk.register("close > 13", Limits { id: Some("c"), ..NONE });
    desk.engines = old;
    desk.accept(Command::Remove("c", Removal::IfUnused));
    desk.now += 1;
    above_ten(&mut desk, mode(Mode::Level));
    desk.bars("11");
    assert_eq!(desk.field("a", "trigger_count"), "1");
}

#[test]
fn explain() {
    let mut desk = Desk::new();
    desk.register("close > sma(2) AND sma(2) > 1 / (close - 5)", Limits { id: Some("a"), ..NONE });
    let check = |desk: &mut Desk, state: &str, bars: u64, close: Option<&str>, sma: Option<&str>| {
        let explained = desk.explain("a").expect("a condition");
        assert_eq!((explained.state, explained.bars), (state, bars));
        assert_eq!(explained.last_bar, (bars > 0).then(|| desk.last_open()));
        let term = |text: &str, number: Option<&str>| (text.to_owned(), number.map(str::to_owned));
        assert_eq!(explained.terms, [term("close", close), term("sma(2)", sma)]);
        desk.restart();
        assert_eq!(desk.explain("a"), Ok(explained));
    };
    check(&mut desk, "unknown", 0, None, None);
    desk.bar("2.5");
    check(&mut desk, "unknown", 1, Some("2.5"), None);
    desk.bar("3");
    check(&mut desk, "true", 2, Some("3"), Some("2.75"));
    desk.bar("2");
    check(&mut desk, "false", 3, Some("2"), Some("2.5"));
    desk.bar("5");
    check(&mut desk, "unknown", 4, Some("5"), Some("3.5"));
    assert_eq!(desk.explain("b").unwrap_err().code, Code::NotFound);
}

/// Its place in the index of the old timeframe says nothing any more.
#[test]
fn a_hash_that_was_deleted_by_hand_and_its_id_on_another_timeframe() {
    let mut desk = Desk::new();
    above_ten(&mut desk, NONE);
    assert_eq!(candles(&mut desk, "9", Origin::Live), ".");
    desk.memory.delete(Key::Condition("a"));
    desk.accept(Command::Register(Timeframe::M5, "close > 10", Limits { id: Some("a"), ..NONE }));
    assert_eq!(candles(&mut desk, "9 11 9 11", Origin::Live), "....");
    assert_eq!(desk.field("a", "trigger_count"), "0");
}
