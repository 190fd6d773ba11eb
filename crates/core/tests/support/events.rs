//! Events made at random.

use proptest::prelude::*;
use tradebus_core::event_type::{EventType, Subject};

/// A volume or price as hundredths, written with two digits.
pub fn hundredths(number: u32) -> String {
    format!("{}.{:02}", number / 100, number % 100)
}

/// Any event of one of three orders, two positions and two signals, sensible or not.
pub fn any_event() -> impl Strategy<Value = (EventType, String)> {
    let number = prop_oneof![
        5 => (0..2_000_u32).prop_map(hundredths),
        1 => Just("999999999999999999".to_owned()),
        1 => Just("0.000000000000000001".to_owned()),
        1 => Just("-3".to_owned()),
        1 => Just("\"7e-3\"".to_owned()),
        1 => Just("null".to_owned()),
    ];
    let members = prop_oneof![
        Just("volume"),
        Just("price"),
        Just("fill_volume"),
        Just("fill_price"),
        Just("cum_qty"),
        Just("closed_volume"),
        Just("exit_price"),
        Just("entry_price"),
        Just("added_volume"),
        Just("fee"),
        Just("pnl"),
        Just("value"),
        Just("contract_size"),
        Just("timestamp"),
        Just("quote_volume"),
        Just("status"),
        Just("version"),
    ];
    let members = prop::collection::btree_map(members, number, 0..7);
    let fill = prop::option::of(0..4_u8);
    // Orders have the most rules, and trade.failed touches them from aside.
    let is_order_event = |event_type: &EventType| event_type.subject() == Subject::Order;
    let order_events: Vec<_> = EventType::ALL.iter().copied().filter(is_order_event).collect();
    let event_type = prop_oneof![
        3 => prop::sample::select(order_events),
        1 => Just(EventType::TradeFailed),
        4 => prop::sample::select(EventType::ALL),
    ];
    (event_type, 1..4_u8, members, fill).prop_map(|(event_type, id, members, fill)| {
        let mut data = format!(
            r#"{{"order_id":{id},"position_id":"{}","signal_id":"{}","limit":"l{id}","reason":"r","direction":"{}""#,
            id % 2,
            id % 2,
            if id == 1 { "LONG" } else { "SELL" }
        );
        for (name, number) in &members {
            data.push_str(&format!(r#","{name}":{number}"#));
        }
        if let Some(fill) = fill {
            data.push_str(&format!(r#","fill_id":"{fill}""#));
        }
        data.push('}');
        (event_type, data)
    })
}
