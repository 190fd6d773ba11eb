//! What was not stored as tradebus stores it, and what no caller should say: a refusal, nothing changed, no panic.

mod support;

use proptest::prelude::*;
use proptest::sample::Index;
use support::market::{Command, Desk, Limits, Told, Wishes, MINUTE};
use support::START;
use tradebus_core::candle::Candle;
use tradebus_core::condition::{field, Mode, Status};
use tradebus_core::forming::Tick;
use tradebus_core::key::Key;
use tradebus_core::market::{parse_id, Order, Origin, Registration, Removal};
use tradebus_core::memory::Value;
use tradebus_core::refusal::Code;
use tradebus_core::subscription::{parse_action, Terms};
use tradebus_core::time;
use tradebus_core::timeframe::Timeframe;

const BARS: i64 = 70;

/// Conditions that every bar triggers, candles behind a saved state, ticks, bots and ids of triggers.
fn desk() -> Desk {
    let mut desk = Desk::new();
    let limits = Limits {
        id: Some("a"),
        mode: Some(Mode::Level),
        cooldown: Some(1),
        expire_at: Some(START as u64 * 2),
        max_triggers: Some(1_000),
    };
    desk.register("ema(3) > 0 OR close > 0", limits);
    desk.accept(Command::Register(Timeframe::M5, "close > 0", Limits { id: Some("b"), ..Limits::default() }));
    desk.accept(Command::Subscribe("a", "bot", Wishes { action: Some("{}"), cooldown: Some(1), ..Wishes::default() }));
    for bar in 0..BARS {
        desk.bar(if bar == 5 { "-1" } else { "9" });
    }
    desk.accept(Command::Tick("5", "1", None));
    desk.accept(Command::Trigger("a", Told { id: Some("e1"), ..Told::default() }));
    desk.now += MINUTE;
    desk
}

fn candle(bar: i64, close: &str) -> Command<'_> {
    Command::Candle(Timeframe::M1, START + bar * MINUTE, [close, "20", "1", close, "1"], Origin::Live)
}

const AGAIN: Command<'static> = Command::Register(
    Timeframe::M1,
    "ema(3) > 0 OR close > 0",
    Limits { id: Some("a"), mode: None, cooldown: Some(2), expire_at: None, max_triggers: None },
);
const NEW: Command<'static> = Command::Register(
    Timeframe::M1,
    "sma(4) > 0",
    Limits { id: Some("n"), mode: None, cooldown: None, expire_at: None, max_triggers: None },
);
const PAUSE: Command<'static> = Command::SetStatus("a", Status::Paused);
const REMOVE: Command<'static> = Command::Remove("a", Removal::Force);
const WISHES: Wishes<'static> =
    Wishes { bot_type: None, action: None, cooldown: None, max_triggers: None, max_age: None };
const SUBSCRIBE: Command<'static> = Command::Subscribe("a", "bot", WISHES);
const UNSUBSCRIBE: Command<'static> = Command::Unsubscribe("a", "bot");
const TRIGGER: Command<'static> = Command::Trigger("a", Told { value: None, id: None, at: None });
const REPEAT: Command<'static> = Command::Trigger("a", Told { value: None, id: Some("e1"), at: None });
const TICK: Command<'static> = Command::Tick("5", "1", None);

fn every_command() -> [Command<'static>; 13] {
    let (next, correction) = (candle(BARS, "9"), candle(BARS - 1, "8"));
    [
        next,
        correction,
        AGAIN,
        NEW,
        PAUSE,
        REMOVE,
        SUBSCRIBE,
        UNSUBSCRIBE,
        TRIGGER,
        REPEAT,
        TICK,
        Command::CloseDue,
        candle(BARS - 1, "9"),
    ]
}

#[test]
fn without_damage_every_command_is_taken() {
    for command in every_command() {
        let mut desk = desk();
        desk.restart();
        desk.accept(command);
    }
}

#[test]
fn fields_of_a_condition() {
    let whole = [&AGAIN, &PAUSE, &Command::Remove("a", Removal::IfUnused), &SUBSCRIBE, &TRIGGER, &candle(BARS, "9")];
    let loaded = [&candle(BARS, "9"), &candle(BARS - 1, "8"), &NEW];
    let check = |name: &str, commands: &[&Command<'static>], expected: &str| {
        for junk in [&b"x"[..], b"", b"\xff", b"1x", b" 1", b"99999999999999999999999"] {
            for command in commands {
                let mut desk = desk();
                desk.restart();
                desk.overwrite_field(Key::Condition("a"), name, junk);
                let told = desk.refuse(Code::Corrupt, **command);
                let begin = format!("condition 'a': stored field {name} must be {expected}");
                assert!(told.starts_with(&begin) || junk == b"\xff", "{told}");
                assert!(desk.explain("a").is_err_and(|refusal| refusal.code == Code::Corrupt));
            }
        }
    };
    check(field::STATUS, &whole, "one of active, paused, not");
    check(field::MODE, &whole, "one of edge, level, once, not");
    check(field::MODE, &loaded, "one of edge, level, once, not");
    check(field::TIMEFRAME, &whole, "a timeframe, not");
    check(field::EXPRESSION, &loaded, "an expression (");
    for name in [field::COOLDOWN, field::EXPIRE_AT, field::MAX_TRIGGERS, field::TRIGGER_COUNT, field::LAST_TRIGGERED_AT]
    {
        check(name, &whole, "a whole number, not");
    }
    check(field::LAST_TRIGGER_ID, &whole, "the id of an entry, not");
}

/// There is a way out that needs nothing but the id, and leaves nothing that the next of its name would inherit.
#[test]
fn what_cannot_be_read_can_be_removed() {
    let left = |desk: &Desk| desk.memory.keys.keys().filter(|name| name.ends_with(":a")).cloned().collect::<Vec<_>>();
    for name in [field::STATUS, field::TIMEFRAME, field::COOLDOWN, field::EXPRESSION] {
        let mut desk = desk();
        desk.restart();
        desk.overwrite_field(Key::Condition("a"), name, b"x");
        assert_eq!(desk.accept(REMOVE), "1");
        assert!(left(&desk).is_empty(), "{:?}", left(&desk));
        desk.accept(candle(BARS, "9"));
        assert_eq!(desk.accept(REMOVE), "0");
    }
    // Its hash was deleted by hand: who subscribed and its place in the index go too.
    let mut desk = desk();
    desk.memory.delete(Key::Condition("a"));
    assert_eq!(desk.accept(Command::Remove("a", Removal::IfUnused)), "0");
    assert_eq!(desk.accept(REMOVE), "1");
    assert!(left(&desk).is_empty() && !desk.memory.members(Key::Conditions(Timeframe::M1)).contains(&"a".to_owned()));
}

/// As after an eviction. A condition that is in no index is not judged: who registers it again has that mended, and who
/// subscribed is told again.
#[test]
fn a_lost_place_in_the_index_is_taken_again() {
    for restart in [false, true] {
        let mut desk = desk();
        desk.memory.delete(Key::Conditions(Timeframe::M1));
        if restart {
            desk.restart();
        }
        assert!(desk.explain("a").is_err_and(|refusal| refusal.code == Code::Corrupt));
        assert_eq!(desk.accept(candle(BARS, "9")), "");
        desk.now += MINUTE;
        assert_eq!(desk.accept(AGAIN), "a");
        assert_eq!(desk.memory.members(Key::Conditions(Timeframe::M1)), ["a"]);
        let work = desk.entries(Key::Work("bot")).len();
        assert!(desk.explain("a").is_ok());
        assert_eq!(desk.accept(candle(BARS + 1, "9")), "a");
        assert_eq!(desk.entries(Key::Work("bot")).len(), work + 1);
        let as_it_is = desk.snapshot();
        desk.accept(AGAIN);
        assert_eq!(desk.snapshot(), as_it_is, "it is not put there twice");
    }
}

#[test]
fn the_known_value_of_a_condition() {
    for name in [field::VALUE, field::VALUE_SINCE, field::VALUE_BEFORE] {
        for command in [candle(BARS, "9"), candle(BARS - 1, "8"), NEW] {
            let mut desk = desk();
            desk.restart();
            desk.overwrite_field(Key::Condition("a"), name, b"maybe");
            desk.refuse(Code::Corrupt, command);
        }
        // It is read from memory as long as that holds, by a correction too.
        let mut desk = desk();
        desk.overwrite_field(Key::Condition("a"), name, b"maybe");
        desk.accept(candle(BARS, "9"));
        desk.accept(candle(BARS, "8"));
    }
}

#[test]
fn fields_that_are_gone() {
    for name in [field::MODE, field::TIMEFRAME, field::EXPRESSION] {
        let mut desk = desk();
        desk.restart();
        let key = desk.memory.key_name(Key::Condition("a"));
        if let Some(Value::Hash(fields)) = desk.memory.keys.get_mut(&key) {
            fields.remove(name);
        }
        for command in [candle(BARS, "9"), PAUSE, TRIGGER] {
            desk.refuse(Code::Corrupt, command);
        }
    }
    // Without its hash a condition is gone, whatever the index says.
    let mut desk = desk();
    desk.memory.delete(Key::Condition("a"));
    for _ in 0..2 {
        assert_eq!(desk.accept(candle(BARS, "9")), "");
        desk.now += MINUTE;
        assert_eq!(desk.accept(candle(BARS + 1, "9")), "");
        assert_eq!(desk.accept(candle(BARS + 1, "8")), "");
        desk.now -= MINUTE;
        desk = self::desk();
        desk.memory.delete(Key::Condition("a"));
        desk.restart();
    }
    desk.refuse(Code::NotFound, TRIGGER);
    desk.accept(AGAIN);
    assert_eq!(desk.field("a", field::TRIGGER_COUNT), "0");
}

#[test]
fn subscriptions() {
    for junk in ["", "{}", "[]", "x", r#"{"type":"bot","created_at":5,"trigger_count":0,"new":1}"#] {
        for command in [SUBSCRIBE, TRIGGER, candle(BARS, "9")] {
            let mut desk = desk();
            desk.overwrite_field(Key::Subscriptions("a"), "bot", junk.as_bytes());
            let told = desk.refuse(Code::Corrupt, command);
            assert!(told.starts_with("condition 'a': subscription of 'bot': "), "{told}");
            desk.accept(UNSUBSCRIBE);
        }
    }
}

#[test]
fn forming_bars() {
    for junk in [&b"x"[..], b"", b"\xff", b"1 2 3", b"0 5 5 5 5 1 1 0 0"] {
        let mut desk = desk();
        desk.overwrite_field(Key::Forming, "5m", junk);
        for command in [TICK, Command::CloseDue, Command::Remove("b", Removal::Force)] {
            let told = desk.refuse(Code::Corrupt, command);
            assert_eq!(
                told,
                "field 5m of the forming bars is not as tradebus writes it; HDEL it, and ticks build the bar anew"
            );
        }
        // Another timeframe is not touched by it.
        desk.accept(candle(BARS, "9"));
        desk.now += MINUTE;
        desk.overwrite_field(Key::Forming, "1m", junk);
        desk.refuse(Code::Corrupt, candle(BARS + 1, "9"));
        desk.refuse(Code::Corrupt, NEW);
    }
}

#[test]
fn candles() {
    for at in 0..5 {
        let damage = |desk: &mut Desk, bar: usize| {
            let name = desk.memory.key_name(Key::Candles(Timeframe::M1));
            let Some(Value::Stream(entries)) = desk.memory.keys.get_mut(&name) else { panic!("no candles") };
            entries.values_mut().nth(bar).expect("a candle")[at].1 = b"x".to_vec();
        };
        let field = ["open", "high", "low", "close", "volume"][at];
        // Behind the saved state every candle is read, before it only for a new function.
        let mut desk = desk();
        desk.restart();
        damage(&mut desk, 67);
        for command in [candle(BARS, "9"), candle(BARS - 1, "8"), NEW] {
            let told = desk.refuse(Code::Corrupt, command);
            let begin = format!("1m: candle {}-0: stored field {field} must be a number", START + 67 * MINUTE);
            assert!(told.starts_with(&begin), "{told}");
        }
        let mut desk = self::desk();
        desk.restart();
        damage(&mut desk, 3);
        desk.refuse(Code::Corrupt, NEW);
        desk.accept(candle(BARS - 1, "8"));
        desk.accept(candle(BARS, "9"));
        // The last one is read to be compared.
        let mut desk = self::desk();
        damage(&mut desk, BARS as usize - 1);
        desk.refuse(Code::Corrupt, candle(BARS - 1, "9"));
    }
}

#[test]
fn saved_states() {
    let intact = desk();
    let name = intact.memory.key_name(Key::State(Timeframe::M1));
    let Some(Value::String(state)) = intact.memory.keys.get(&name).cloned() else { panic!("no state") };
    let flipped = (0..state.len()).map(|at| {
        let mut damaged = state.clone();
        damaged[at] ^= 1 << (at % 8);
        damaged
    });
    let cut = (0..state.len()).map(|len| state[..len].to_vec());
    let longer = [state.iter().copied().chain([0]).collect()];
    let (mut desk, mut reread) = (desk(), desk());
    for damaged in flipped.chain(cut).chain(longer) {
        for desk in [&mut desk, &mut reread] {
            desk.overwrite(Key::State(Timeframe::M1), Value::String(damaged.clone()));
        }
        reread.restart();
        let told = reread.refuse(Code::Corrupt, candle(BARS, "9"));
        assert_eq!(told, "the state of 1m is damaged; without it (DEL) the functions warm up from the stored candles");
        reread.refuse(Code::Corrupt, NEW);
        assert!(reread.explain("a").is_err_and(|refusal| refusal.code == Code::Corrupt));
    }
    // Memory that holds does not read it. A correction does.
    desk.refuse(Code::Corrupt, candle(BARS - 1, "8"));
    desk = intact;
    desk.overwrite(Key::State(Timeframe::M1), Value::String(b"x".to_vec()));
    desk.accept(candle(BARS, "9"));
    // Without it the functions take in all candles again.
    reread.memory.delete(Key::State(Timeframe::M1));
    let told = [&mut desk, &mut reread].map(|desk| {
        if desk.memory.keys.contains_key(&name) {
            return desk.explain("a");
        }
        desk.accept(candle(BARS, "9"));
        desk.explain("a")
    });
    assert_eq!(told[0], told[1]);
}

/// What registering and removing make of memory holds, so that nothing is read again for it.
#[test]
fn memory_goes_on_behind_a_change_of_conditions() {
    let remove = Command::Remove("n", Removal::Force);
    for commands in [&[NEW][..], &[NEW, remove], &[NEW, candle(BARS, "9"), remove]] {
        let mut desk = desk();
        desk.now += MINUTE;
        commands.iter().for_each(|command| drop(desk.accept(*command)));
        desk.overwrite(Key::State(Timeframe::M1), Value::String(b"x".to_vec()));
        desk.accept(candle(BARS + 1, "9"));
    }
}

#[test]
fn ids_of_triggers() {
    for (key, name) in [(Key::TriggerSeen(0), ":generations"), (Key::TriggerSeen(1), "e1")] {
        for junk in [&b"x"[..], b"\xff", b"1:2", b"1-1 1", b"1-1 1 x", b"1:0:1:1"] {
            let mut desk = desk();
            desk.overwrite_field(key, name, junk);
            desk.refuse(Code::Corrupt, REPEAT);
            desk.accept(TRIGGER);
        }
    }
}

#[test]
fn keys_of_another_type() {
    let next = candle(BARS, "9");
    let of_conditions: &[&Command<'static>] = &[&AGAIN, &PAUSE, &REMOVE, &SUBSCRIBE, &TRIGGER, &next];
    let reading: &[&Command<'static>] = &[&next, &NEW];
    for (key, commands) in [
        (Key::Condition("a"), of_conditions),
        (Key::Subscriptions("a"), &[&SUBSCRIBE, &UNSUBSCRIBE, &REMOVE, &TRIGGER, &next]),
        (Key::Conditions(Timeframe::M1), &[&NEW, &REMOVE, &next]),
        (Key::Candles(Timeframe::M1), reading),
        (Key::State(Timeframe::M1), reading),
        (Key::Forming, &[&NEW, &next, &TICK, &Command::CloseDue]),
        (Key::Triggers, &[&TRIGGER, &next]),
        (Key::Work("bot"), &[&TRIGGER, &next]),
        (Key::TriggerSeen(0), &[&REPEAT]),
        (Key::TriggerSeen(1), &[&REPEAT]),
    ] {
        for command in commands {
            let mut desk = desk();
            desk.restart();
            let other = match key {
                Key::State(_) => Value::Hash([("x".to_owned(), Vec::new())].into()),
                _ => Value::String(b"x".to_vec()),
            };
            desk.overwrite(key, other);
            let told = desk.refuse(Code::WrongType, **command);
            assert!(told.contains(&desk.memory.key_name(key)), "{told}");
        }
    }
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        "[0-9]{1,25}|-?[0-9.e+-]{1,12}|[a-z(), <>=0-9\\[\\].]{0,40}|[{}\":,a-z_0-9\\[\\]]{0,60}"
            .prop_map(String::into_bytes),
        prop::sample::select(vec![
            "true",
            "once",
            "paused",
            "5m",
            "close > 9",
            "0-0",
            "18446744073709551615-1",
            "ticks"
        ])
        .prop_map(|word| word.as_bytes().to_vec()),
    ]
}

proptest! {
    /// Any value of any key, and any command.
    #[test]
    fn damage_never_panics_and_refusals_change_nothing(
        key in any::<Index>(),
        at in any::<Index>(),
        junk in any_bytes(),
        command in prop::sample::select(every_command().to_vec()),
        restarts: bool,
    ) {
        let mut desk = desk();
        let names: Vec<_> = desk.memory.keys.keys().cloned().collect();
        match desk.memory.keys.get_mut(key.get(&names)).expect("a key") {
            Value::Hash(fields) => {
                let place = at.index(fields.len());
                *fields.values_mut().nth(place).expect("a field") = junk;
            }
            Value::Stream(entries) => {
                let place = at.index(entries.len());
                let fields = entries.values_mut().nth(place).expect("an entry");
                let field = at.index(fields.len());
                fields[field].1 = junk;
            }
            Value::SortedSet(members) => {
                members.insert(String::from_utf8_lossy(&junk).into_owned(), junk.len() as i64);
            }
            Value::String(bytes) => {
                let from = at.index(bytes.len());
                bytes.splice(from..bytes.len().min(from + junk.len()), junk);
            }
        }
        if restarts {
            desk.restart();
        }
        let before = desk.snapshot();
        if let Err(refusal) = desk.run(&command) {
            // What can be read may be another condition, or a bar whose volume has too many digits.
            let codes = [Code::Corrupt, Code::IdConflict, Code::BadField];
            prop_assert!(codes.contains(&refusal.code), "{}", refusal);
            prop_assert!(desk.snapshot() == before, "{}", refusal);
        }
        let _ = desk.explain("a");
    }

    #[test]
    fn nothing_that_is_said_panics(
        one in any_bytes(),
        two in any_bytes(),
        three in any_bytes(),
        number in prop_oneof![any::<u64>(), Just(0), Just(u64::MAX)],
        now in prop_oneof![Just(START), 0..=time::MAX, Just(0), Just(time::MAX)],
        grace in prop_oneof![Just(2_000), any::<u64>()],
    ) {
        let mut desk = Desk::new();
        desk.register("close > 0", Limits { id: Some("a"), mode: Some(Mode::Level), ..Limits::default() });
        desk.accept(SUBSCRIBE);
        desk.now = now;
        desk.settings.bar_grace_ms = grace;
        let [one, two, three] = [&*one, &*two, &*three];
        let limit = Some(number);
        let timeframe = Timeframe::parse(one).unwrap_or(Timeframe::M1);
        for (expression, id) in [(one, Some(two)), (b"close > 0", Some(one)), (b"close > 0", Some(b"a"))] {
            let (mode, cooldown_ms, expire_at, max_triggers) = (None, limit, limit, limit);
            let request = Registration { timeframe, expression, id, mode, cooldown_ms, expire_at, max_triggers };
            let _ = desk.decide(|market| market.register(&request));
        }
        let said = |taken: bool| taken.to_string();
        let word = String::from_utf8_lossy(one).into_owned();
        let _ = parse_id(one);
        let bot_type = Some(&*word);
        let action = parse_action(two).ok();
        let terms = Terms { bot_type, action, cooldown_ms: limit, max_triggers: limit, max_age_ms: limit };
        let _ = desk.decide(|market| market.subscribe("a", &word, &terms).map(|(new, decision)| (said(new), decision)));
        for event_id in [Some(one), None] {
            let order = Order { condition: "a", value: Some(two), event_id, timestamp: Some(three) };
            let _ = desk.decide(|market| market.trigger(&order).map(|(_, decision)| (String::new(), decision)));
            let order = Order { condition: "a", value: None, event_id, timestamp: None };
            let _ = desk.decide(|market| market.trigger(&order).map(|(_, decision)| (String::new(), decision)));
        }
        for at in [Some(three), None] {
            if let Ok(tick) = Tick::parse(one, two, at, now) {
                let _ = desk.decide(|market| market.tick(&tick).map(|decision| (String::new(), decision)));
            }
        }
        let _ = desk.run(&Command::CloseDue);
        for open_time in [one, three, b"1763402400000"] {
            for numbers in [[one, two, three, one, two], [two; 5], [&b"5"[..]; 5]] {
                if let Ok(candle) = Candle::parse(timeframe, open_time, numbers, now) {
                    let _ = desk.decide(|market| {
                        let decision = market.candle(timeframe, &candle, Origin::Live)?;
                        Ok((String::new(), decision))
                    });
                }
            }
        }
        let _ = desk.run(&Command::Remove(&word, Removal::Force));
        let _ = desk.run(&Command::SetStatus(&word, Status::Paused));
        let _ = desk.explain(&word);
        let _ = desk.explain("a");
    }
}
