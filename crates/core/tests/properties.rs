//! What holds whatever comes, in whatever order.

mod support;

use proptest::prelude::*;
use support::events::{any_event, hundredths};
use support::{describe, Desk, Options};
use tradebus_core::decimal::Decimal;
use tradebus_core::event_type::EventType;
use tradebus_core::key::{Key, Scope};
use tradebus_core::memory::Value;
use tradebus_core::refusal::Code;

const ORDER: Key<'static> = Key::Order("1");

fn decimal(desk: &Desk, key: Key<'_>, field: &str) -> Decimal {
    let text = desk.memory.field(key, field);
    text.map_or(Decimal::ZERO, |text| Decimal::from_stored(text.as_bytes()).expect("a stored number"))
}

/// The events of one order: its creation, proven fills that do not exceed its volume, and perhaps its cancel
/// and an `order.filled` that tells no fill.
fn course() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    let fills = prop::collection::vec((1..500_u32, 1..100_000_u32), 0..6);
    (fills, 0..3_u32, any::<bool>()).prop_map(|(fills, beyond, ends)| {
        let filled: u32 = fills.iter().map(|(volume, _)| volume).sum();
        let volume = filled + beyond * 10 + u32::from(filled == 0);
        let mut events =
            vec![("order.created", format!(r#"{{"order_id":"1","volume":{},"price":7}}"#, hundredths(volume)))];
        for (i, (volume, price)) in fills.iter().enumerate() {
            let (volume, price) = (hundredths(*volume), hundredths(*price));
            events.push((
                "order.partially_filled",
                format!(r#"{{"order_id":"1","fill_id":"f{i}","fill_volume":{volume},"fill_price":{price}}}"#),
            ));
        }
        match (beyond, ends) {
            (0, true) => events.push(("order.filled", r#"{"order_id":"1"}"#.to_owned())),
            (_, true) => events.push(("order.cancelled", r#"{"order_id":"1"}"#.to_owned())),
            _ => {}
        }
        events
    })
}

/// The sum of the fills that the order remembers.
fn told_volume(desk: &Desk) -> Decimal {
    let fills = desk.memory.hash(Key::Fills("1")).into_iter().flatten();
    fills.fold(Decimal::ZERO, |sum, (_, fill)| {
        let fill: serde_json::Value = serde_json::from_slice(fill).expect("a fill is JSON");
        let volume = fill["volume"].as_str().and_then(|text| Decimal::parse(text).ok()).expect("a volume");
        sum.checked_add(volume).expect("a sum that can be held")
    })
}

/// An order's facts, which no order of arrival may change.
fn facts(desk: &Desk) -> Vec<Option<String>> {
    let fields = [
        "status",
        "volume",
        "price",
        "filled_volume",
        "remaining_volume",
        "filled_value",
        "avg_fill_price",
        "external",
    ];
    let mut facts: Vec<_> = fields.iter().map(|field| desk.memory.field(ORDER, field)).collect();
    facts.push(Some(desk.memory.members(Key::OpenOrders).join(",")));
    facts
}

proptest! {
    #[test]
    fn fills_and_cancels_commute(events in course(), seed in any::<u64>()) {
        let mut in_order = Desk::new();
        for (event_type, data) in &events {
            in_order.accept(event_type, data);
        }
        let mut shuffled = events.clone();
        let mut state = seed;
        for i in (1..shuffled.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            shuffled.swap(i, usize::try_from(state >> 33).unwrap() % (i + 1));
        }
        let mut desk = Desk::new();
        for (event_type, data) in &shuffled {
            desk.accept(event_type, data);
        }
        prop_assert_eq!(facts(&in_order), facts(&desk), "{:?}", shuffled);
        let told = told_volume(&desk);
        let inferred = decimal(&desk, ORDER, "inferred_volume");
        prop_assert_eq!(told.checked_add(inferred), Some(decimal(&desk, ORDER, "filled_volume")), "sum of fills");
    }

    #[test]
    fn one_batch_is_the_same_as_one_by_one(events in course()) {
        let mut singly = Desk::new();
        for (event_type, data) in &events {
            singly.accept(event_type, data);
        }
        let mut batch = Desk::new();
        let all: Vec<_> = events.iter().map(|(event_type, data)| (*event_type, data.as_str())).collect();
        batch.publish_all(&all).unwrap();
        prop_assert_eq!(facts(&singly), facts(&batch));
        prop_assert_eq!(singly.memory.field(ORDER, "version"), batch.memory.field(ORDER, "version"));
    }
}

/// What every reachable state satisfies.
fn check_invariants(desk: &Desk) {
    let mut open_orders = 0;
    let mut active_positions = 0;
    for (name, value) in &desk.memory.keys {
        let Value::Hash(fields) = value else { continue };
        let text = |field: &str| fields.get(field).map(|value| String::from_utf8_lossy(value).into_owned());
        if let Some(id) = name.strip_prefix("trade:{XAUUSD}:order:") {
            let key = Key::Order(id);
            let status = text("status").expect("a status");
            let is_open = matches!(status.as_str(), "pending" | "partially_filled");
            open_orders += usize::from(is_open);
            assert_eq!(desk.memory.members(Key::OpenOrders).contains(&id.to_owned()), is_open, "index of order {id}");
            assert_eq!(desk.memory.expiries.contains_key(name), !is_open, "expiry of order {id}");
            let (filled, remaining) = (decimal(desk, key, "filled_volume"), decimal(desk, key, "remaining_volume"));
            if is_open && text("volume").is_some() {
                assert_eq!(filled.checked_add(remaining), Some(decimal(desk, key, "volume")), "order {id}");
                assert!(!remaining.is_negative() && !remaining.is_zero());
            } else {
                assert!(remaining.is_zero());
            }
            if let Some(Value::Hash(fills)) = desk.memory.keys.get(&Key::Fills(id).name(Scope::Symbol("XAUUSD"))) {
                assert!(!fills.is_empty());
            }
        }
        if let Some(id) = name.strip_prefix("trade:{XAUUSD}:position:") {
            let is_open = text("status").as_deref() == Some("active");
            active_positions += usize::from(is_open);
            assert_eq!(
                desk.memory.members(Key::ActivePositions).contains(&id.to_owned()),
                is_open,
                "index of position {id}"
            );
            assert_eq!(desk.memory.expiries.contains_key(name), !is_open, "expiry of position {id}");
            assert!(!decimal(desk, Key::Position(id), "volume").is_negative());
        }
    }
    assert_eq!(desk.memory.members(Key::OpenOrders).len(), open_orders, "an index without its hash");
    assert_eq!(desk.memory.members(Key::ActivePositions).len(), active_positions, "an index without its hash");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn whatever_comes_the_state_holds_together(events in prop::collection::vec(any_event(), 1..40), netting in any::<bool>()) {
        let mut desk = Desk::new();
        if netting {
            desk.set_instrument("position_mode", "netting");
        }
        let mut versions = 0;
        for (event_type, data) in &events {
            let before = desk.memory.clone();
            let outcome = desk.publish(event_type.as_str(), data);
            match &outcome {
                Ok(_) => {}
                Err(refusal) => {
                    prop_assert_ne!(refusal.code, Code::Corrupt, "{}", refusal);
                    prop_assert_eq!(&before.keys, &desk.memory.keys);
                }
            }
            if let (Ok(receipt), true) = (&outcome, describe(&outcome) != "duplicate") {
                versions += u64::from(receipt.entity.is_some());
            }
            check_invariants(&desk);
        }
        let stored: u64 = desk.memory.keys.values().filter_map(|value| match value {
            Value::Hash(fields) => String::from_utf8_lossy(fields.get("version")?).parse::<u64>().ok(),
            _ => None,
        }).sum();
        prop_assert_eq!(stored, versions, "every accepted event of an entity counts once");
    }

    #[test]
    fn a_batch_of_anything_equals_its_events(
        events in prop::collection::vec(any_event(), 1..40),
        before in 0..20_usize,
        netting in any::<bool>(),
        wide in any::<bool>(),
    ) {
        let new_desk = || {
            let mut desk = Desk::new();
            if netting {
                desk.set_instrument("position_mode", "netting");
            }
            desk
        };
        // More members than a hash may have that is read as a whole.
        let more: String = (0..30).map(|i| format!(r#","m{i}":{i}"#)).collect();
        let more = if wide { format!("{more}}}") } else { "}".to_owned() };
        let events: Vec<_> = events
            .iter()
            .map(|(event_type, data)| (event_type.as_str(), format!("{}{more}", data.trim_end_matches('}'))))
            .collect();
        let mut singly = new_desk();
        let mut accepted = Vec::new();
        singly.now += 1;
        for (event_type, data) in &events {
            let request = support::request(event_type, data, Options::default());
            if singly.memory.publish(&[request], &singly.settings, singly.now).is_ok() {
                accepted.push((*event_type, data.as_str()));
            }
        }
        let mut batched = new_desk();
        batched.now = singly.now;
        let (first, batch) = accepted.split_at(before.min(accepted.len()));
        for (event_type, data) in first {
            let request = support::request(event_type, data, Options::default());
            batched.memory.publish(&[request], &batched.settings, batched.now).unwrap();
        }
        let requests: Vec<_> =
            batch.iter().map(|(event_type, data)| support::request(event_type, data, Options::default())).collect();
        batched.memory.publish(&requests, &batched.settings, batched.now).unwrap();
        prop_assert_eq!(&singly.memory.messages, &batched.memory.messages);
        let without_last = |desk: &Desk| {
            let mut memory = desk.memory.clone();
            // When the hash of the newest ids is written differs; what it comes to does not.
            memory.keys.remove(&Key::Last.name(Scope::Symbol("XAUUSD")));
            (memory.keys, memory.expiries)
        };
        prop_assert_eq!(without_last(&singly), without_last(&batched));
    }

    #[test]
    fn no_input_panics(event_type in 0..EventType::ALL.len(), data in prop::collection::vec(any::<u8>(), 0..200), id in ".{0,20}") {
        let mut desk = Desk::new();
        let mut request = support::request(EventType::ALL[event_type].as_str(), "", Options::default());
        request.data = &data;
        request.labels.event_id = Some(id.as_bytes());
        request.labels.timestamp = Some(&data);
        let _ = desk.memory.publish(&[request], &desk.settings, desk.now);
    }
}
