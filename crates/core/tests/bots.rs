//! Triggers: all that one does, which bots it reaches, and COND.TRIGGER.

mod support;

use support::market::{Command, Desk, Limits, Told, Wishes, MINUTE};
use support::START;
use tradebus_core::condition::{Mode, Status};
use tradebus_core::key::Key;
use tradebus_core::market::{each_subscription, Removal, SUBSCRIBERS_MAX};
use tradebus_core::memory::{Value, View};
use tradebus_core::refusal::Code;
use tradebus_core::settings::{PubSub, Settings};
use tradebus_core::stream_id::StreamId;
use tradebus_core::subscription::{order_ref, Occasion};
use tradebus_core::timeframe::Timeframe;

const PLAIN: Wishes<'static> =
    Wishes { bot_type: None, action: None, cooldown: None, max_triggers: None, max_age: None };

/// A condition `a` of 1m that each bar above 10 triggers.
fn desk() -> Desk {
    let mut desk = Desk::new();
    desk.register("close > 10", Limits { id: Some("a"), mode: Some(Mode::Level), ..Limits::default() });
    desk
}

fn subscribe(desk: &mut Desk, bot: &str, wishes: Wishes<'_>) -> String {
    desk.accept(Command::Subscribe("a", bot, wishes))
}

fn trigger(desk: &mut Desk, told: Told<'_>) -> String {
    desk.accept(Command::Trigger("a", told))
}

fn subscription(desk: &Desk, bot: &str) -> String {
    desk.memory.field(Key::Subscriptions("a"), bot).unwrap_or_default()
}

/// Which bots the last trigger reached, in the order of their entries.
fn reached(desk: &Desk, bot_type: &str, before: usize) -> String {
    let entries = desk.entries(Key::Work(bot_type)).split_off(before);
    let bots = entries.iter().filter_map(|entry| entry.split("bot_id=").nth(1)?.split(' ').next());
    bots.collect::<Vec<_>>().join(" ")
}

#[test]
fn all_that_a_bar_does() {
    let mut desk = desk();
    assert_eq!(subscribe(&mut desk, "b2", Wishes { action: Some(r#"{ "buy": 1.50 }"#), ..PLAIN }), "1");
    subscribe(&mut desk, "b1", Wishes { bot_type: Some("dca"), ..PLAIN });
    subscribe(&mut desk, "b3", PLAIN);
    subscribe(&mut desk, "b0", Wishes { max_age: Some(1), ..PLAIN });
    desk.now += 500;
    assert_eq!(desk.bar("11"), "a");
    let (end, ms) = (START + MINUTE, START + MINUTE + 500);
    let id = StreamId { ms: ms as u64, seq: 0 };

    let fields = ["status", "trigger_count", "last_triggered_at", "last_trigger_id", "value", "updated_at"];
    let expected = ["active", "1", &end.to_string(), &id.to_string(), "true", &START.to_string()];
    assert_eq!(fields.map(|name| desk.field("a", name)), expected);

    let value = r#"{"price":11,"volume":1,"close":11}"#;
    let trigger = format!(
        "{id}: condition_id=a timeframe=1m expression=close > 10 value={value} bar_time={START} ts={end} \
         subscribers_count=4 notified=3"
    );
    assert_eq!(desk.entries(Key::Triggers), [trigger]);

    let work = |seq: u64, bot: &str, bot_type: &str, action: &str| {
        let (entry, order_ref) = (StreamId { seq, ..id }, order_ref("XAUUSD", "a", Occasion::Bar(START), bot));
        format!(
            "{entry}: bot_id={bot} bot_type={bot_type} condition_id=a trigger_id={id} order_ref={order_ref} \
             action={action} value={value} bar_time={START} ts={end}"
        )
    };
    let bots = [work(0, "b2", "bot", r#"{ "buy": 1.50 }"#), work(1, "b3", "bot", "{}")];
    assert_eq!(desk.entries(Key::Work("bot")), bots);
    assert_eq!(desk.entries(Key::Work("dca")), [work(0, "b1", "dca", "{}")]);

    let stored = format!(r#"{{"type":"bot","created_at":{START},"last_triggered_at":{end},"trigger_count":1}}"#);
    assert_eq!(subscription(&desk, "b3"), stored);
    let held_back = format!(r#"{{"type":"bot","max_age":1,"created_at":{START},"trigger_count":0}}"#);
    assert_eq!(subscription(&desk, "b0"), held_back);

    let message = |id: StreamId, prev_id: StreamId, price: &str, minute: &str| {
        format!(
            concat!(
                r#"{{"id":"{}","prev_id":"{}","condition_id":"a","symbol":"XAUUSD","timeframe":"1m","#,
                r#""expression":"close > 10","triggered_at":"2025-11-17T{}:00.000Z","#,
                r#""trigger_value":{{"price":{},"volume":1,"close":{}}},"subscribers_count":4,"#,
                r#""published_at":"2025-11-17T{}:00.500Z","channel":"condition.a"}}"#
            ),
            id, prev_id, minute, price, price, minute
        )
    };
    let first = message(id, StreamId::ZERO, "11", "18:01");
    assert_eq!(desk.messages("condition.a"), [&*first]);
    assert_eq!((desk.tally.triggers, desk.tally.notified, desk.tally.evaluations), (1, 3, 1));

    // The next one says which it follows on its own channel, whatever else has triggered meanwhile.
    desk.register("close > 0", Limits { id: Some("z"), ..Limits::default() });
    desk.accept(Command::Trigger("z", Told::default()));
    assert_eq!(desk.bar("12"), "a");
    let second = message(StreamId { ms: id.ms + MINUTE as u64, seq: 0 }, id, "12", "18:02");
    assert_eq!(desk.messages("condition.a"), [&*first, &*second]);
}

#[test]
fn what_a_bar_says_of_its_numbers() {
    let mut desk = Desk::new();
    desk.register(
        "sma(high, 2) > 10 OR volume > 1 / (close - 11) OR sma(3) > 1",
        Limits { id: Some("a"), mode: Some(Mode::Level), ..Limits::default() },
    );
    desk.bars("10.125 11");
    let value = r#" value={"price":11,"volume":1,"high":11,"sma(high, 2)":10.5625,"close":11,"sma(3)":null} "#;
    let entries = desk.entries(Key::Triggers);
    assert!(entries[1].contains(value), "{entries:?}");
}

#[test]
fn one_candle_triggers_in_the_order_of_registration() {
    let mut desk = Desk::new();
    for id in ["z", "m", "a"] {
        desk.register("close > 10", Limits { id: Some(id), mode: Some(Mode::Level), ..Limits::default() });
        desk.accept(Command::Subscribe(id, "b", PLAIN));
    }
    assert_eq!(desk.bar("11"), "z m a");
    desk.restart();
    assert_eq!(desk.bar("11"), "z m a");
    for (place, entry) in desk.entries(Key::Work("bot")).iter().enumerate() {
        let (minute, seq) = (1 + place / 3, place % 3);
        let id = format!("{}-{seq}", START + minute as i64 * MINUTE);
        assert!(entry.starts_with(&format!("{id}: ")) && entry.contains(&format!(" trigger_id={id} ")), "{entry}");
    }
}

#[test]
fn messages_can_be_off() {
    let mut desk = Desk::with(Settings { pubsub: PubSub::Off, ..Settings::default() });
    desk.register("close > 10", Limits { id: Some("a"), mode: Some(Mode::Level), ..Limits::default() });
    assert_eq!(desk.bar("11"), "a");
    assert!(desk.memory.messages.is_empty() && desk.entries(Key::Triggers).len() == 1);
    desk.settings.pubsub = PubSub::Sharded;
    desk.bar("11");
    let body = &desk.memory.messages[1].body;
    assert!(body.ends_with(r#""channel":"condition.{XAUUSD}.a"}"#), "{body}");
}

#[test]
fn queues_keep_so_many_entries() {
    let mut desk = desk();
    desk.settings.queue_maxlen = 2;
    subscribe(&mut desk, "b", PLAIN);
    desk.bars("11 12 13");
    for key in [Key::Triggers, Key::Work("bot")] {
        let entries = desk.entries(key);
        assert!(entries.len() == 2 && entries[1].contains("\"price\":13"), "{entries:?}");
    }
}

#[test]
fn subscriptions_hold_back_for_themselves() {
    // The bots that each bar reaches, of five bars above 10.
    #[track_caller]
    fn check(wishes: Wishes<'_>, lateness: i64, expected: &str) {
        let mut desk = desk();
        subscribe(&mut desk, "b", wishes);
        let marks = (0..5).map(|_| {
            desk.now += lateness;
            let before = desk.entries(Key::Work("bot")).len();
            assert_eq!(desk.bar("11"), "a");
            desk.now -= lateness;
            if desk.entries(Key::Work("bot")).len() > before {
                '*'
            } else {
                '.'
            }
        });
        assert_eq!(marks.collect::<String>(), expected, "{wishes:?}");
    }
    check(PLAIN, 0, "*****");
    check(Wishes { cooldown: Some(2 * MINUTE as u64), ..PLAIN }, 0, "*.*.*");
    check(Wishes { cooldown: Some(2 * MINUTE as u64 + 1), ..PLAIN }, 0, "*..*.");
    check(Wishes { max_triggers: Some(2), ..PLAIN }, 0, "**...");
    check(Wishes { max_age: Some(100), ..PLAIN }, 100, "*****");
    check(Wishes { max_age: Some(100), ..PLAIN }, 101, ".....");
}

#[test]
fn subscribing() {
    let mut desk = desk();
    let full = Wishes {
        bot_type: Some("dca"),
        action: Some(r#"{"a":1}"#),
        cooldown: Some(1),
        max_triggers: Some(2),
        max_age: Some(3),
    };
    assert_eq!(subscribe(&mut desk, "b", full), "1");
    let limits = r#""cooldown":1,"max_triggers":2,"max_age":3,"#;
    let rest = format!(r#""created_at":{START},"trigger_count":0}}"#);
    assert_eq!(subscription(&desk, "b"), format!(r#"{{"type":"dca","action":{{"a":1}},{limits}{rest}"#));
    desk.now += 1;
    let none = Wishes { cooldown: Some(0), max_triggers: Some(0), max_age: Some(0), ..PLAIN };
    assert_eq!(subscribe(&mut desk, "b", none), "0");
    assert_eq!(subscription(&desk, "b"), format!(r#"{{"type":"dca","action":{{"a":1}},{rest}"#));
    assert_eq!(subscribe(&mut desk, "b", PLAIN), "0");

    subscribe(&mut desk, "a", PLAIN);
    let listed = |desk: &Desk, id: &str| {
        let mut bots = Vec::new();
        let view = View::of(&desk.memory);
        each_subscription(&view, "XAUUSD", id, &mut |subscription| bots.push(subscription.bot_id.to_owned()))?;
        Ok::<_, tradebus_core::refusal::Refusal>(bots.join(" "))
    };
    assert_eq!(listed(&desk, "a"), Ok("a b".to_owned()));
    assert_eq!(listed(&desk, "x").unwrap_err().code, Code::NotFound);
    assert_eq!(desk.accept(Command::Unsubscribe("a", "b")), "1");
    assert_eq!(desk.accept(Command::Unsubscribe("a", "b")), "0");
    assert_eq!(desk.accept(Command::Unsubscribe("x", "b")), "0");
    assert_eq!(listed(&desk, "a"), Ok("a".to_owned()));
    desk.accept(Command::Unsubscribe("a", "a"));
    assert!(!desk.memory.keys.contains_key("cond:{XAUUSD}:subs:a"));
    desk.refuse(Code::NotFound, Command::Subscribe("x", "b", PLAIN));
    desk.refuse(Code::BadJson, Command::Subscribe("a", "b", Wishes { action: Some("[1]"), ..PLAIN }));
}

#[test]
fn a_new_subscription_gets_nothing_from_before() {
    let mut desk = Desk::new();
    desk.register("close > 10", Limits { id: Some("a"), ..Limits::default() });
    desk.bars("9 11");
    subscribe(&mut desk, "b", PLAIN);
    desk.bars("12 13");
    assert!(desk.entries(Key::Work("bot")).is_empty());
    desk.bars("9 11");
    assert_eq!(reached(&desk, "bot", 0), "b");
}

#[test]
fn subscribers_have_a_bound() {
    let mut desk = desk();
    subscribe(&mut desk, "b", PLAIN);
    let stored = subscription(&desk, "b");
    let full = (0..SUBSCRIBERS_MAX).map(|bot| (format!("b{bot}"), stored.clone().into_bytes())).collect();
    desk.overwrite(Key::Subscriptions("a"), Value::Hash(full));
    desk.refuse(Code::TooBig, Command::Subscribe("a", "b", PLAIN));
    assert_eq!(subscribe(&mut desk, "b0", PLAIN), "0");
    assert_eq!(trigger(&mut desk, Told::default()), format!("{START}-0 10000"));
}

#[test]
fn a_trigger_by_command() {
    let mut desk = desk();
    subscribe(&mut desk, "b", PLAIN);
    let told = Told { value: Some(r#"{ "why": "news" }"#), id: Some("e1"), at: Some("2025-11-17T17:59:00Z") };
    let at = START - MINUTE;
    assert_eq!(trigger(&mut desk, told), format!("{START}-0 1"));
    assert_eq!(
        desk.entries(Key::Triggers),
        [format!(
            "{START}-0: condition_id=a timeframe=1m expression=close > 10 value={{ \"why\": \"news\" }} bar_time= \
             ts={at} subscribers_count=1 notified=1 event_id=e1"
        )]
    );
    let entry = &desk.entries(Key::Work("bot"))[0];
    assert!(entry.ends_with(&format!("value={{ \"why\": \"news\" }} bar_time= ts={at}")), "{entry}");
    assert_eq!((desk.field("a", "last_triggered_at"), desk.field("a", "value")), (at.to_string(), String::new()));
    let message = desk.messages("condition.a")[0];
    let told = r#""triggered_at":"2025-11-17T17:59:00.000Z","trigger_value":{ "why": "news" },"#;
    assert!(message.contains(told) && message.contains(r#""published_at":"2025-11-17T18:00:00.000Z""#), "{message}");

    // Without anything it is of now, and has no data.
    desk.now += 5;
    assert_eq!(trigger(&mut desk, Told::default()), format!("{}-0 1", desk.now));
    let entry = &desk.entries(Key::Triggers)[1];
    let rest = format!("value={{}} bar_time= ts={} subscribers_count=1 notified=1", desk.now);
    assert!(entry.ends_with(&rest), "{entry}");
    // Of the times of triggers the latest counts.
    trigger(&mut desk, Told { at: Some("5"), ..Told::default() });
    assert_eq!(desk.field("a", "last_triggered_at"), desk.now.to_string());
    assert_eq!(desk.field("a", "trigger_count"), "3");

    assert_eq!(desk.refuse(Code::NotFound, Command::Trigger("x", Told::default())), "XAUUSD has no condition x");
    for (code, told) in [
        (Code::BadJson, Told { value: Some("[1]"), ..Told::default() }),
        (Code::BadJson, Told { value: Some(r#"{"a":1,"a":2}"#), ..Told::default() }),
        (Code::BadField, Told { at: Some("yesterday"), ..Told::default() }),
        (Code::BadField, Told { id: Some("a b"), ..Told::default() }),
        (Code::BadField, Told { id: Some(""), ..Told::default() }),
    ] {
        desk.refuse(code, Command::Trigger("a", told));
    }
    desk.settings.max_event_size = 6;
    desk.refuse(Code::TooBig, Command::Trigger("a", Told { value: Some(r#"{"a":1}"#), ..Told::default() }));
}

#[test]
fn what_holds_a_bar_back_holds_a_command_back() {
    let check = |limits: Limits<'_>, at: i64, is_held_back: bool| {
        let mut desk = desk();
        trigger(&mut desk, Told::default());
        desk.accept(Command::Register(Timeframe::M1, "close > 10", Limits { id: Some("a"), ..limits }));
        let before = desk.snapshot();
        let at = (START + at).to_string();
        let reply = trigger(&mut desk, Told { at: Some(&at), ..Told::default() });
        assert_eq!(reply == "nil", is_held_back, "{limits:?} {at}: {reply}");
        assert_eq!(desk.snapshot() == before, is_held_back);
    };
    check(Limits::default(), 0, false);
    check(Limits { cooldown: Some(100), ..Limits::default() }, 99, true);
    check(Limits { cooldown: Some(100), ..Limits::default() }, 100, false);
    check(Limits { cooldown: Some(100), ..Limits::default() }, -1_000, true);
    check(Limits { max_triggers: Some(1), ..Limits::default() }, 0, true);
    check(Limits { max_triggers: Some(2), ..Limits::default() }, 0, false);
    check(Limits { expire_at: Some(START as u64 + 100), ..Limits::default() }, 99, false);
    check(Limits { expire_at: Some(START as u64 + 100), ..Limits::default() }, 100, true);
    let mut desk = desk();
    desk.accept(Command::SetStatus("a", Status::Paused));
    assert_eq!(trigger(&mut desk, Told::default()), "nil");
    // What fires once has then fired.
    desk.register("close > 11", Limits { id: Some("o"), mode: Some(Mode::Once), ..Limits::default() });
    assert_ne!(desk.accept(Command::Trigger("o", Told::default())), "nil");
    assert_eq!(desk.accept(Command::Trigger("o", Told::default())), "nil");
}

#[test]
fn an_id_makes_a_trigger_idempotent() {
    let mut desk = desk();
    subscribe(&mut desk, "b", PLAIN);
    let told = Told { value: Some(r#"{"a":1,"b":2}"#), id: Some("e1"), at: None };
    let first = trigger(&mut desk, told);
    assert_eq!(first, format!("{START}-0 1"));
    // A repeat says what the first said and does nothing, whatever has become of the condition; so written in another
    // way, or told of another time.
    desk.now += 1;
    subscribe(&mut desk, "c", PLAIN);
    desk.accept(Command::SetStatus("a", Status::Paused));
    let before = desk.snapshot();
    desk.restart();
    assert_eq!(trigger(&mut desk, told), first);
    assert_eq!(trigger(&mut desk, Told { value: Some(r#"{ "b": 2, "a": 1 }"#), at: Some("7"), ..told }), first);
    assert!(desk.snapshot() == before);

    let other = Told { value: Some(r#"{"a":1}"#), ..told };
    desk.refuse(Code::IdConflict, Command::Trigger("a", other));
    desk.refuse(Code::IdConflict, Command::Trigger("a", Told { value: None, ..told }));
    desk.register("close > 11", Limits { id: Some("z"), ..Limits::default() });
    desk.refuse(Code::IdConflict, Command::Trigger("z", told));
    desk.refuse(Code::IdConflict, Command::Trigger("x", told));

    // What was held back stays so.
    let held_back = Told { id: Some("e2"), ..Told::default() };
    assert_eq!(trigger(&mut desk, held_back), "nil");
    desk.accept(Command::SetStatus("a", Status::Active));
    assert_eq!(trigger(&mut desk, held_back), "nil");
    assert_eq!(desk.field("a", "trigger_count"), "1");
    // An id of nothing that was done is free: the refused ones above, and that of an unknown condition.
    desk.refuse(Code::NotFound, Command::Trigger("x", Told { id: Some("e3"), ..Told::default() }));
    assert_ne!(trigger(&mut desk, Told { id: Some("e3"), ..Told::default() }), "nil");

    // A removed condition's triggers are known still, until the window has passed.
    desk.accept(Command::Remove("a", Removal::Force));
    assert_eq!(trigger(&mut desk, told), first);
    desk.now += 2 * desk.settings.dedupe_window_ms as i64;
    // Whatever comes lets the expired keys go.
    desk.accept(Command::CloseDue);
    desk.refuse(Code::NotFound, Command::Trigger("a", told));
    assert!(!desk.memory.keys.keys().any(|name| name.starts_with("cond:{XAUUSD}:seen")), "ids outlive the window");
}

#[test]
fn ids_of_triggers_are_forgotten_when_they_are_too_many() {
    let mut desk = desk();
    desk.settings.dedupe_max = 4;
    let mut forgotten = 0;
    for event in 0..20 {
        trigger(&mut desk, Told { id: Some(&format!("e{event}")), ..Told::default() });
        forgotten += desk.tally.forgotten;
    }
    let known: usize = desk
        .memory
        .keys
        .iter()
        .filter(|(name, _)| name.starts_with("cond:{XAUUSD}:seen:"))
        .map(|(name, value)| match value {
            Value::Hash(fields) => fields.len() - usize::from(name.ends_with(":0")),
            _ => 0,
        })
        .sum();
    assert!(forgotten > 0 && known as u64 == 20 - forgotten, "{known} known, {forgotten} forgotten");
    assert_eq!(trigger(&mut desk, Told { id: Some("e19"), ..Told::default() }), format!("{START}-19 0"));
    assert_eq!(trigger(&mut desk, Told { id: Some("e0"), ..Told::default() }), format!("{START}-20 0"));
    // Triggers have ids of their own: no event of the log has one of these.
    assert!(!desk.memory.keys.keys().any(|name| name.starts_with("trade:")));
}

#[test]
fn ids_of_entries_come_behind_those_that_are_gone() {
    let mut desk = desk();
    subscribe(&mut desk, "b", PLAIN);
    let first = trigger(&mut desk, Told::default());
    for key in [Key::Triggers, Key::Work("bot")] {
        desk.overwrite(key, Value::Stream(Default::default()));
    }
    desk.now -= 10;
    let second = trigger(&mut desk, Told::default());
    assert_eq!((&*first, &*second), (&*format!("{START}-0 1"), &*format!("{START}-1 1")));
    assert!(desk.entries(Key::Work("bot"))[0].starts_with(&format!("{START}-1: ")));
}
