//! What holds of a symbol's orders, positions and indexes, whatever came to them.

use std::collections::BTreeMap;

use tradebus_core::decimal::Decimal;
use tradebus_core::key::Key;
use tradebus_core::memory::{Memory, Value};
use tradebus_core::rebuild::{Mode, Progress, Rebuild, Step};
use tradebus_core::settings::Settings;

type Hash = BTreeMap<String, Vec<u8>>;

/// Each index has the ids that are open and no others, what is finished expires, and volumes add up.
pub fn check(memory: &Memory) {
    let (mut open_orders, mut active_positions) = (0, 0);
    for (name, value) in &memory.keys {
        let Value::Hash(fields) = value else { continue };
        let (prefix, id) = name.split_once("}:").map_or(("", ""), |(_, tail)| tail.split_once(':').unwrap_or_default());
        let expires = memory.expiries.contains_key(name);
        match prefix {
            "order" => {
                let is_open = matches!(status(fields), b"pending" | b"partially_filled");
                open_orders += usize::from(is_open);
                assert_eq!(is_member(memory, Key::OpenOrders, id), is_open, "the index and order {id}");
                assert_eq!(expires, !is_open, "the expiry of order {id}");
                check_volumes(fields, is_open);
            }
            "position" => {
                let is_open = status(fields) == b"active";
                active_positions += usize::from(is_open);
                assert_eq!(is_member(memory, Key::ActivePositions, id), is_open, "the index and position {id}");
                assert_eq!(expires, !is_open, "the expiry of position {id}");
                assert!(!decimal(fields, "volume").is_negative(), "the volume of position {id}");
            }
            _ => {}
        }
    }
    assert_eq!(memory.members(Key::OpenOrders).len(), open_orders, "an index has more than there is");
    assert_eq!(memory.members(Key::ActivePositions).len(), active_positions, "an index has more than there is");
}

fn check_volumes(order: &Hash, is_open: bool) {
    let (filled, remaining) = (decimal(order, "filled_volume"), decimal(order, "remaining_volume"));
    if is_open && order.contains_key("volume") {
        assert_eq!(filled.checked_add(remaining), Some(decimal(order, "volume")), "{order:?}");
        assert!(remaining.is_positive(), "{order:?}");
    } else {
        assert!(remaining.is_zero(), "{order:?}");
    }
}

fn status(fields: &Hash) -> &[u8] {
    fields.get("status").expect("an entity has a status")
}

fn decimal(fields: &Hash, name: &str) -> Decimal {
    let stored = |text: &Vec<u8>| Decimal::from_stored(text).expect("a stored number");
    fields.get(name).map_or(Decimal::ZERO, stored)
}

fn is_member(memory: &Memory, index: Key<'_>, id: &str) -> bool {
    memory.members(index).iter().any(|member| member == id)
}

/// Rebuilds a symbol in slices of so many parts.
///
/// # Panics
/// When the rebuild is refused, or does not end.
pub fn rebuild(memory: &mut Memory, mode: Mode, settings: &Settings, now: i64, parts: usize) -> Progress {
    let mut rebuild = Rebuild::new(memory.scope().name(), mode);
    for _ in 0..100_000 {
        if memory.rebuild(&mut rebuild, settings, now, parts).expect("a rebuild") == Step::Finished {
            return rebuild.progress();
        }
    }
    panic!("a rebuild does not end");
}
