//! Inputs that are made to take long. No clock is asked: what is tested here took minutes before it was mended, so that
//! nobody would wait for it to pass again.

mod support;

use support::Desk;
use tradebus_core::key::Key;
use tradebus_core::rebuild::{Mode, Rebuild, Step};

/// As many members as a batch can have, 1 MiB of them, published and then folded again.
#[test]
fn a_batch_that_names_a_hundred_thousand_fields() {
    const EVENTS: usize = 900;
    const MEMBERS: usize = 120;
    let member = |number: usize| format!(r#","{number:x}":1"#);
    let data = |event: usize| {
        let members: String = (event * MEMBERS..(event + 1) * MEMBERS).map(member).collect();
        format!(r#"{{"order_id":"1"{members}}}"#)
    };
    let data: Vec<String> = (0..EVENTS).map(data).collect();
    let events: Vec<_> = data.iter().map(|data| ("order.modified", data.as_str())).collect();
    let mut desk = Desk::new();
    desk.accept("order.created", r#"{"order_id":"1","volume":1}"#);
    let receipts = desk.publish_all(&events).expect("events that can be taken");
    assert_eq!(receipts.len(), EVENTS);
    let order = desk.memory.hash(Key::Order("1")).expect("an order");
    assert!((0..EVENTS * MEMBERS).all(|number| order.get(&format!("{number:x}")).is_some_and(|value| value == b"1")));

    let mut rebuild = Rebuild::new("XAUUSD", Mode::DryRun);
    let mut go_on = || desk.memory.rebuild(&mut rebuild, &desk.settings, desk.now, usize::MAX).expect("a rebuild");
    while go_on() == Step::Unfinished {}
    let progress = rebuild.progress();
    assert_eq!((progress.read, progress.entities, progress.differing), (EVENTS as u64 + 1, 1, 0));
}
