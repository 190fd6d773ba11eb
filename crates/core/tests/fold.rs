//! For any events, with trims, expiries, restarts and changes of the configuration in between: what is stored is
//! what the log comes to.

mod support;

use proptest::prelude::*;
use support::events::any_event;
use support::{Desk, Options};
use tradebus_core::event_type::EventType;
use tradebus_core::key::Key;
use tradebus_core::memory::{Memory, Value};
use tradebus_core::rebuild::{Mode, Progress, Rebuild, Step};
use tradebus_core::settings::{Lifecycle, Settings};

/// Runs a rebuild to its end in slices of `parts`.
fn rebuild_in_slices(desk: &mut Desk, mode: Mode, parts: usize) -> Progress {
    let mut rebuild = Rebuild::new("XAUUSD", mode);
    while desk.memory.rebuild(&mut rebuild, &desk.settings, desk.now, parts).expect("a rebuild") == Step::Unfinished {}
    rebuild.progress()
}

fn remove(memory: &mut Memory, key: Key<'_>) {
    let name = memory.key_name(key);
    memory.keys.remove(&name);
    memory.expiries.remove(&name);
}

fn trim(desk: &mut Desk, entries: usize) {
    let name = desk.memory.key_name(Key::Log);
    if let Some(Value::Stream(log)) = desk.memory.keys.get_mut(&name) {
        (0..entries).for_each(|_| drop(log.pop_first()));
    }
}

/// Something that happens to a symbol.
#[derive(Clone, Debug)]
enum Happening {
    Event(EventType, String, Option<u8>),
    Batch(Vec<(EventType, String)>),
    TimePasses(i64),
    Trim(usize),
    Restart,
    Lifecycle(Lifecycle),
    Instrument(&'static str, &'static str),
    ShorterTtl(u64),
    Delete(u8),
}

fn happening() -> impl Strategy<Value = Happening> {
    let event = (any_event(), prop::option::of(0..6_u8));
    let event = event.prop_map(|((event_type, data), event_id)| Happening::Event(event_type, data, event_id));
    prop_oneof![
        30 => event,
        5 => prop::collection::vec(any_event(), 2..5).prop_map(Happening::Batch),
        3 => prop::sample::select(vec![1_i64, 1_000, 60_000, 600_000, 90_000_000, 700_000_000]).prop_map(Happening::TimePasses),
        1 => (1..6_usize).prop_map(Happening::Trim),
        1 => Just(Happening::Restart),
        1 => prop::sample::select(vec![Lifecycle::Lenient, Lifecycle::Strict, Lifecycle::Off, Lifecycle::Lenient]).prop_map(Happening::Lifecycle),
        1 => prop::sample::select(vec![
            ("position_mode", "netting"), ("position_mode", "hedging"), ("contract_size", "10"), ("inverse", "1"), ("inverse", "0"),
        ]).prop_map(|(field, value)| Happening::Instrument(field, value)),
        1 => prop::sample::select(vec![1_000_u64, 60_000]).prop_map(Happening::ShorterTtl),
        1 => (1..4_u8).prop_map(Happening::Delete),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn the_log_comes_to_what_is_stored(happenings in prop::collection::vec(happening(), 1..60), parts in 1..40_usize) {
        let mut desk = Desk::with(Settings { stream_maxlen: 50, ..Settings::default() });
        let mut deleted = false;
        for happening in &happenings {
            match happening {
                Happening::Event(event_type, data, event_id) => {
                    let event_id = event_id.map(|id| id.to_string());
                    let options = Options { id: event_id.as_deref(), ..Options::default() };
                    let _refused_or_not = desk.publish_with(event_type.as_str(), data, options);
                }
                Happening::Batch(events) => {
                    let events: Vec<_> = events.iter().map(|(name, data)| (name.as_str(), data.as_str())).collect();
                    let _refused_or_not = desk.publish_all(&events);
                }
                Happening::TimePasses(ms) => desk.now += ms,
                Happening::Trim(entries) => trim(&mut desk, *entries),
                Happening::Restart => desk.memory.journal = None,
                Happening::Lifecycle(lifecycle) => desk.settings.lifecycle = *lifecycle,
                Happening::Instrument(field, value) => desk.set_instrument(field, value),
                Happening::ShorterTtl(ms) => {
                    desk.settings.closed_ttl_ms = desk.settings.closed_ttl_ms.min(*ms);
                    desk.settings.signal_ttl_ms = desk.settings.signal_ttl_ms.min(*ms);
                }
                // Only a whole entity: half of one is damage, which the events behind it are judged on.
                Happening::Delete(id) => {
                    deleted = true;
                    let id = id.to_string();
                    remove(&mut desk.memory, Key::Order(&id));
                    remove(&mut desk.memory, Key::Fills(&id));
                    if let Some(Value::SortedSet(open)) = desk.memory.keys.get_mut(&desk.memory.key_name(Key::OpenOrders)) {
                        open.remove(&id);
                    }
                }
            }
        }
        let before = desk.memory.clone();
        let progress = rebuild_in_slices(&mut desk, Mode::Repair, parts);
        if !deleted {
            prop_assert_eq!(progress.differing, 0, "{:?}", progress);
            // Looking has let what was due expire, and done nothing else.
            prop_assert!(desk.memory.keys.iter().all(|(name, value)| before.keys.get(name) == Some(value)));
            prop_assert!(desk.memory.expiries.iter().all(|(name, at)| before.expiries.get(name) == Some(at)));
        }
        let again = rebuild_in_slices(&mut desk, Mode::DryRun, 1_000);
        prop_assert_eq!(again.differing, 0, "{:?}", again);
    }
}

/// Hashes may be of any size, and freeing one takes as long as it is large.
#[test]
fn memory_is_given_back_by_fields() {
    const FIELDS: usize = 100;
    let mut desk = Desk::new();
    let members: Vec<_> = (0..FIELDS).map(|field| format!(r#""f{field}":1"#)).collect();
    for order in 0..3 {
        desk.accept("order.created", &format!(r#"{{"order_id":"{order}","volume":1,{}}}"#, members.join(",")));
    }
    let mut rebuild = Rebuild::new("XAUUSD", Mode::DryRun);
    assert_eq!(desk.memory.rebuild(&mut rebuild, &desk.settings, desk.now, 1_000), Ok(Step::Finished));
    for _ in 0..3 {
        assert_eq!(rebuild.give_back(FIELDS), Step::Unfinished);
    }
    assert_eq!(rebuild.give_back(FIELDS), Step::Finished);
}
