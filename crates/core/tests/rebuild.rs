//! The hashes and indexes are what the log comes to, whatever happened: REBUILD finds no difference, and mends
//! what somebody damaged.

mod support;

use support::Desk;
use tradebus_core::key::Key;
use tradebus_core::memory::{Memory, Value};
use tradebus_core::rebuild::{Mode, Progress, Rebuild, Step};
use tradebus_core::refusal::Code;
use tradebus_core::settings::Lifecycle;

/// Runs a rebuild to its end in slices of `parts`.
fn rebuild_in_slices(desk: &mut Desk, mode: Mode, parts: usize) -> Progress {
    let mut rebuild = Rebuild::new("XAUUSD", mode);
    while desk.memory.rebuild(&mut rebuild, &desk.settings, desk.now, parts).expect("a rebuild") == Step::Unfinished {}
    rebuild.progress()
}

fn rebuild(desk: &mut Desk, mode: Mode) -> Progress {
    rebuild_in_slices(desk, mode, 1_000)
}

/// Makes sure that nothing differs, and that looking changes nothing.
#[track_caller]
fn check_agrees(desk: &mut Desk) -> Progress {
    // Once, so that what is due expires.
    rebuild(desk, Mode::DryRun);
    let before = desk.memory.clone();
    let progress = rebuild(desk, Mode::Repair);
    check_same(&before, &desk.memory);
    assert_eq!((progress.differing, progress.repaired), (0, 0), "{progress:?}");
    progress
}

/// Names what differs only: all of it would be a screen of bytes.
#[track_caller]
fn check_same(wanted: &Memory, found: &Memory) {
    let names: std::collections::BTreeSet<_> = wanted.keys.keys().chain(found.keys.keys()).collect();
    let differing: Vec<_> = names.into_iter().filter(|name| wanted.keys.get(*name) != found.keys.get(*name)).collect();
    assert!(differing.is_empty(), "{differing:?}");
    assert_eq!(wanted.expiries, found.expiries);
}

/// Orders in every state, a position with a slice, a signal, a breach.
fn trading_day() -> Desk {
    let mut desk = Desk::new();
    for (event_type, data) in [
        ("order.created", r#"{"order_id":"1","volume":10,"price":5}"#),
        ("order.partially_filled", r#"{"order_id":"1","fill_id":"a","fill_volume":4,"fill_price":5}"#),
        ("order.created", r#"{"order_id":"2","volume":1}"#),
        ("order.filled", r#"{"order_id":"2","price":7,"fill_id":"b","fill_volume":1}"#),
        ("order.cancelled", r#"{"order_id":"3"}"#),
        ("trade.failed", r#"{"order_id":"1","reason":"no money"}"#),
        ("position.opened", r#"{"position_id":"p","direction":"LONG","entry_price":10,"volume":3}"#),
        ("position.partially_closed", r#"{"position_id":"p","closed_volume":1,"exit_price":12,"fill_id":"s","fee":1}"#),
        ("signal.generated", r#"{"signal_id":"s","action":"BUY"}"#),
        ("risk.limit_breached", r#"{"limit":"drawdown","value":5}"#),
    ] {
        desk.accept(event_type, data);
    }
    desk
}

#[test]
fn a_day_agrees_with_its_log() {
    let mut desk = trading_day();
    let progress = check_agrees(&mut desk);
    assert_eq!((progress.read, progress.entities, progress.skipped), (10, 6, 0));
    for parts in [1, 2, 3, 7] {
        assert_eq!(rebuild_in_slices(&mut desk, Mode::DryRun, parts), progress);
    }
}

/// Damages the memory, and makes sure that it is found, mended exactly, and not mended by looking.
#[track_caller]
fn check_mended(differing: u64, damage: impl Fn(&mut Memory)) {
    let mut desk = trading_day();
    let whole = desk.memory.clone();
    damage(&mut desk.memory);
    assert!(desk.memory.keys != whole.keys || desk.memory.expiries != whole.expiries, "nothing was damaged");
    let damaged = desk.memory.clone();
    let looked = rebuild(&mut desk, Mode::DryRun);
    assert_eq!((looked.differing, looked.repaired), (differing, 0));
    check_same(&damaged, &desk.memory);
    let mended = rebuild_in_slices(&mut desk, Mode::Repair, 3);
    assert_eq!((mended.differing, mended.repaired), (differing, differing));
    check_same(&whole, &desk.memory);
    check_agrees(&mut desk);
}

fn hash<'m>(memory: &'m mut Memory, key: Key<'_>) -> &'m mut std::collections::BTreeMap<String, Vec<u8>> {
    let name = memory.key_name(key);
    match memory.keys.get_mut(&name) {
        Some(Value::Hash(fields)) => fields,
        other => panic!("{name}: {other:?}"),
    }
}

fn index<'m>(memory: &'m mut Memory, key: Key<'_>) -> &'m mut std::collections::BTreeMap<String, i64> {
    let name = memory.key_name(key);
    match memory.keys.get_mut(&name) {
        Some(Value::SortedSet(members)) => members,
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn what_was_damaged_by_hand_is_mended() {
    check_mended(1, |memory| {
        hash(memory, Key::Order("1")).insert("status".into(), b"filled".to_vec());
    });
    check_mended(1, |memory| {
        hash(memory, Key::Order("1")).remove("last_error");
    });
    check_mended(1, |memory| {
        hash(memory, Key::Order("2")).insert("note".into(), b"mine".to_vec());
    });
    check_mended(1, |memory| memory.delete(Key::Order("1")));
    check_mended(1, |memory| memory.delete(Key::Fills("1")));
    check_mended(1, |memory| {
        hash(memory, Key::Fills("1")).insert("x".into(), b"{}".to_vec());
    });
    check_mended(1, |memory| {
        hash(memory, Key::Slices("p")).clear();
        memory.delete(Key::Slices("p"));
    });
    check_mended(1, |memory| {
        let name = memory.key_name(Key::Fills("3"));
        memory.keys.insert(name, Value::Hash([("f".to_owned(), b"{}".to_vec())].into()));
    });
    check_mended(1, |memory| memory.delete(Key::Signal("s")));
    // An order that has ended gets its expiry back with its hash, and its fills theirs.
    check_mended(1, |memory| memory.delete(Key::Order("2")));
    check_mended(1, |memory| {
        memory.delete(Key::Order("2"));
        memory.delete(Key::Fills("2"));
    });
    check_mended(1, |memory| {
        let name = memory.key_name(Key::Order("1"));
        memory.expiries.insert(name, support::START + 100_000);
    });
    check_mended(1, |memory| {
        index(memory, Key::OpenOrders).clear();
        memory.delete(Key::OpenOrders);
    });
    check_mended(1, |memory| {
        index(memory, Key::ActivePositions).insert("p".into(), 7);
    });
    check_mended(1, |memory| {
        index(memory, Key::OpenOrders).insert("2".into(), 7);
    });
    check_mended(9, |memory| {
        index(memory, Key::OpenOrders).extend((10..19).map(|id| (id.to_string(), id)));
    });
    check_mended(1, |memory| {
        index(memory, Key::ActivePositions).insert("not an id".into(), 7);
    });
    check_mended(2, |memory| {
        let limits = hash(memory, Key::Risk);
        limits.insert("drawdown".into(), b"{}".to_vec());
        limits.insert("other".into(), b"{}".to_vec());
    });
    check_mended(6, |memory| {
        for key in [
            Key::Order("1"),
            Key::Order("2"),
            Key::Order("3"),
            Key::Position("p"),
            Key::Signal("s"),
            Key::Fills("1"),
            Key::Fills("2"),
            Key::Slices("p"),
            Key::OpenOrders,
            Key::ActivePositions,
            Key::Risk,
        ] {
            memory.delete(key);
        }
    });
}

fn trim(desk: &mut Desk, entries: usize) {
    let name = desk.memory.key_name(Key::Log);
    let Some(Value::Stream(log)) = desk.memory.keys.get_mut(&name) else { panic!("a log") };
    (0..entries).for_each(|_| drop(log.pop_first()));
}

#[test]
fn what_was_trimmed_is_skipped_and_said() {
    let mut desk = trading_day();
    // The creation of order 1 and its fill go, trade.failed about it stays.
    trim(&mut desk, 2);
    desk.memory.delete(Key::Order("2"));
    hash(&mut desk.memory, Key::Order("1")).insert("status".into(), b"cancelled".to_vec());
    let damaged = desk.memory.clone();
    let progress = rebuild(&mut desk, Mode::Repair);
    assert_eq!((progress.read, progress.differing, progress.repaired, progress.skipped), (8, 1, 1, 1));
    assert_eq!(desk.memory.hash(Key::Order("1")), damaged.hash(Key::Order("1")), "what is skipped is never touched");
    // An event of it, and it is known to be unknown.
    let mut desk = trading_day();
    trim(&mut desk, 1);
    let progress = check_agrees(&mut desk);
    assert_eq!((progress.read, progress.entities, progress.skipped), (9, 5, 1));
    // Once all of it is gone, what an index has is left alone, unless there is no hash behind it.
    let all = desk.memory.keys.len();
    trim(&mut desk, 9);
    index(&mut desk.memory, Key::OpenOrders).insert("stray".into(), 1);
    let progress = rebuild(&mut desk, Mode::Repair);
    assert_eq!((progress.read, progress.entities, progress.differing, progress.skipped), (0, 0, 1, 2));
    assert_eq!(desk.memory.keys.len(), all);
    check_agrees(&mut desk);
}

#[test]
fn a_breach_behind_one_that_was_trimmed_says_nothing() {
    let mut desk = Desk::new();
    for at in [2, 1] {
        desk.accept("risk.limit_breached", &format!(r#"{{"limit":"l","value":{at},"timestamp":{at}}}"#));
    }
    check_agrees(&mut desk);
    trim(&mut desk, 1);
    check_agrees(&mut desk);
}

#[test]
fn an_id_that_has_a_hash_stays_in_its_index() {
    let mut desk = trading_day();
    let made_by_hand = desk.memory.key_name(Key::Order("hand"));
    desk.memory.keys.insert(made_by_hand, Value::Hash([("status".to_owned(), b"pending".to_vec())].into()));
    index(&mut desk.memory, Key::OpenOrders).insert("hand".into(), 1);
    let progress = rebuild(&mut desk, Mode::Repair);
    assert_eq!((progress.differing, progress.skipped), (0, 1));
}

#[test]
fn a_log_that_is_not_the_symbols_whole_log_undoes_nothing() {
    // Somebody deleted the log, and somebody else copied what was left of it.
    for published_since in [0, 1] {
        let mut desk = trading_day();
        desk.memory.delete(Key::Log);
        for _ in 0..published_since {
            desk.accept("trade.executed", "{}");
        }
        let before = desk.memory.clone();
        let progress = rebuild(&mut desk, Mode::Repair);
        assert_eq!((progress.differing, progress.skipped), (0, 2), "{progress:?}");
        check_same(&before, &desk.memory);
    }
}

#[test]
fn what_an_entry_deleted_from_the_middle_told_is_not_undone() {
    let mut desk = Desk::new();
    desk.accept("order.created", r#"{"order_id":"1","volume":1,"price":5}"#);
    let filled = desk.accept("order.filled", r#"{"order_id":"1","price":5}"#);
    desk.accept("order.created", r#"{"order_id":"2","volume":1}"#);
    desk.memory.delete_entry(filled.id);
    hash(&mut desk.memory, Key::Order("2")).insert("volume".into(), b"9".to_vec());
    let progress = rebuild(&mut desk, Mode::Repair);
    assert_eq!((progress.differing, progress.repaired, progress.skipped), (1, 1, 1), "{progress:?}");
    desk.check_fields(Key::Order("1"), &[("status", Some("filled"))]);
    desk.check_fields(Key::Order("2"), &[("volume", Some("1"))]);
    // One that is deleted between two slices, before it is folded.
    let mut desk = trading_day();
    let mut under_way = Rebuild::new("XAUUSD", Mode::Repair);
    desk.memory.rebuild(&mut under_way, &desk.settings, desk.now, 1).expect("a slice");
    let Some(Value::Stream(log)) = desk.memory.keys.get(&desk.memory.key_name(Key::Log)) else { panic!("a log") };
    let slice = *log.keys().nth(7).expect("the slice of the position");
    desk.memory.delete_entry(slice);
    while desk.memory.rebuild(&mut under_way, &desk.settings, desk.now, 50).expect("a slice") == Step::Unfinished {}
    desk.check_fields(Key::Position("p"), &[("volume", Some("2")), ("realized_pnl", Some("2"))]);
    desk.check_fields(Key::Last, &[(":realized_pnl", Some("2"))]);
}

#[test]
fn a_fill_that_was_accepted_again_is_not_undone() {
    let mut desk = Desk::new();
    let fill = r#"{"order_id":"1","fill_id":"a","fill_volume":2,"fill_price":5}"#;
    desk.accept("order.created", r#"{"order_id":"1","volume":10}"#);
    desk.accept("order.partially_filled", fill);
    desk.memory.delete(Key::Fills("1"));
    desk.accept("order.partially_filled", fill);
    let progress = rebuild(&mut desk, Mode::Repair);
    assert_eq!((progress.differing, progress.skipped), (0, 1), "{progress:?}");
    desk.check_fields(Key::Order("1"), &[("version", Some("3")), ("filled_volume", Some("4"))]);
}

#[test]
fn a_slice_that_is_refused_is_done_again() {
    let mut desk = trading_day();
    let whole = desk.memory.clone();
    hash(&mut desk.memory, Key::Order("1")).insert("status".into(), b"filled".to_vec());
    let foreign = desk.memory.key_name(Key::Order("2"));
    desk.memory.keys.insert(foreign.clone(), Value::SortedSet([("a".to_owned(), 1)].into()));
    let mut under_way = Rebuild::new("XAUUSD", Mode::Repair);
    let refusal = desk.memory.rebuild(&mut under_way, &desk.settings, desk.now, 1_000).unwrap_err();
    assert_eq!((refusal.code, under_way.progress().repaired), (Code::WrongType, 0));
    desk.memory.keys.remove(&foreign);
    while desk.memory.rebuild(&mut under_way, &desk.settings, desk.now, 3).expect("a slice") == Step::Unfinished {}
    let progress = under_way.progress();
    assert_eq!((progress.entities, progress.repaired), (6, 2), "{progress:?}");
    assert_eq!(desk.memory.keys, whole.keys);
}

#[test]
fn fills_of_an_open_order_do_not_expire() {
    let mut desk = trading_day();
    let fills = desk.memory.key_name(Key::Fills("1"));
    desk.memory.expiries.insert(fills.clone(), desk.now + 100_000);
    assert_eq!(rebuild(&mut desk, Mode::Repair).repaired, 1);
    assert!(!desk.memory.expiries.contains_key(&fills));
    check_agrees(&mut desk);
}

#[test]
fn what_has_expired_is_not_made_again() {
    let mut desk = trading_day();
    desk.now += i64::try_from(desk.settings.closed_ttl_ms + desk.settings.signal_ttl_ms).expect("a time");
    let progress = check_agrees(&mut desk);
    assert_eq!(progress.entities, 6);
    assert!(desk.memory.hash(Key::Order("2")).is_none() && desk.memory.hash(Key::Signal("s")).is_none());
    // Its id lives again, as a shell or anew, and the log tells the two lives apart.
    desk.accept("order.cancelled", r#"{"order_id":"2"}"#);
    desk.accept("order.created", r#"{"order_id":"3","volume":1}"#);
    desk.accept("signal.validated", r#"{"signal_id":"s"}"#);
    check_agrees(&mut desk);
    desk.accept("order.created", r#"{"order_id":"2","volume":7}"#);
    check_agrees(&mut desk);
    desk.check_fields(Key::Order("2"), &[("status", Some("cancelled")), ("volume", Some("7"))]);
}

#[test]
fn an_open_order_that_somebody_deleted_comes_back() {
    let mut desk = trading_day();
    let whole = desk.memory.clone();
    desk.memory.delete(Key::Order("1"));
    desk.now += 1_000_000_000_000;
    rebuild(&mut desk, Mode::Repair);
    assert_eq!(desk.memory.hash(Key::Order("1")), whole.hash(Key::Order("1")));
}

#[test]
fn records_change_nothing() {
    let mut desk = trading_day();
    desk.settings.lifecycle = Lifecycle::Off;
    desk.accept("order.cancelled", r#"{"order_id":"1"}"#);
    desk.accept("order.created", r#"{"order_id":"9"}"#);
    desk.settings.lifecycle = Lifecycle::Strict;
    check_agrees(&mut desk);
    desk.accept("order.cancelled", r#"{"order_id":"1"}"#);
    check_agrees(&mut desk);
}

#[test]
fn settings_of_the_symbol_count_as_they_were() {
    let mut desk = Desk::new();
    let open = |id: &str| format!(r#"{{"position_id":"{id}","direction":"LONG","entry_price":10,"volume":2}}"#);
    let slice = |id: &str| format!(r#"{{"position_id":"{id}","closed_volume":1,"exit_price":12}}"#);
    desk.accept("position.opened", &open("a"));
    desk.set_instrument("contract_size", "100");
    desk.set_instrument("position_mode", "netting");
    desk.accept("position.opened", &open("b"));
    desk.set_instrument("contract_size", "7");
    desk.set_instrument("inverse", "1");
    desk.set_instrument("position_mode", "hedging");
    desk.accept("position.partially_closed", &slice("a"));
    desk.accept("position.partially_closed", &slice("b"));
    desk.accept("position.partially_closed", &slice("c"));
    desk.accept("position.closed", r#"{"position_id":"b","exit_price":11}"#);
    // The next cycle takes the settings of now.
    desk.accept("position.opened", &open("b"));
    check_agrees(&mut desk);
    for id in ["a", "b", "c"] {
        desk.memory.delete(Key::Position(id));
    }
    let whole = check_whole_after_repair(&mut desk);
    assert_eq!(whole, 3);
}

/// Repairs, and gives how much there was to repair.
fn check_whole_after_repair(desk: &mut Desk) -> u64 {
    let progress = rebuild(desk, Mode::Repair);
    check_agrees(desk);
    progress.repaired
}

#[test]
fn what_is_published_meanwhile_is_taken_in() {
    let mut desk = trading_day();
    hash(&mut desk.memory, Key::Position("p")).insert("volume".into(), b"7".to_vec());
    let mut rebuild = Rebuild::new("XAUUSD", Mode::Repair);
    let mut slices = 0;
    while desk.memory.rebuild(&mut rebuild, &desk.settings, desk.now, 2).expect("a slice") == Step::Unfinished {
        slices += 1;
        desk.accept("order.created", &format!(r#"{{"order_id":"n{slices}","volume":1}}"#));
        desk.accept("order.modified", r#"{"order_id":"1","note":"again"}"#);
        if slices > 10 {
            desk.now += 1;
            while desk.memory.rebuild(&mut rebuild, &desk.settings, desk.now, 50).expect("a slice") == Step::Unfinished
            {
            }
            break;
        }
    }
    assert_eq!(rebuild.progress().differing, 1);
    check_agrees(&mut desk);
    desk.check_fields(Key::Position("p"), &[("volume", Some("2"))]);
}

#[test]
fn a_log_trimmed_beyond_what_was_read_is_read_again() {
    let mut desk = trading_day();
    let mut rebuild = Rebuild::new("XAUUSD", Mode::Repair);
    let step = desk.memory.rebuild(&mut rebuild, &desk.settings, desk.now, 3).expect("a slice");
    assert_eq!((step, rebuild.progress().read), (Step::Unfinished, 3));
    trim(&mut desk, 5);
    while desk.memory.rebuild(&mut rebuild, &desk.settings, desk.now, 50).expect("a slice") == Step::Unfinished {}
    let progress = rebuild.progress();
    assert_eq!((progress.read, progress.differing, progress.skipped), (5, 0, 1), "{progress:?}");
}

#[test]
fn another_log_under_the_same_name_is_not_gone_on_with() {
    // A shorter one, one as long, and a longer one, all of them with newer ids.
    for events in [1, 10, 30] {
        let mut desk = trading_day();
        let mut rebuild = Rebuild::new("XAUUSD", Mode::Repair);
        desk.memory.rebuild(&mut rebuild, &desk.settings, desk.now, 3).expect("a slice");
        let mut other = Desk::new();
        other.now = desk.now + 1_000;
        for _ in 0..events {
            other.accept("trade.executed", "{}");
        }
        let refusal = other.memory.rebuild(&mut rebuild, &other.settings, other.now, 50).unwrap_err();
        assert_eq!(refusal.code, Code::Err, "{events} events");
    }
}

#[test]
fn entries_that_tradebus_did_not_write_say_nothing() {
    let mut desk = trading_day();
    let name = desk.memory.key_name(Key::Log);
    let Some(Value::Stream(log)) = desk.memory.keys.get_mut(&name) else { panic!("a log") };
    let field = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
    for (seq, fields) in [
        vec![field("type", "junk"), field("data", "{}")],
        vec![field("type", "order.created"), field("data", "[")],
        vec![field("type", "order.created"), field("data", "{}"), field("ts", "1")],
        vec![field("type", "risk.limit_breached"), field("data", "{}"), field("ts", "x"), field("context", "{")],
        vec![],
    ]
    .into_iter()
    .enumerate()
    {
        log.insert(tradebus_core::stream_id::StreamId { ms: 1, seq: seq as u64 + 1 }, fields);
    }
    rebuild(&mut desk, Mode::DryRun);
    // An entry that could not have been accepted makes its entity unknown: it is left alone.
    let data = field("data", r#"{"order_id":"1","volume":3}"#);
    let Some(Value::Stream(log)) = desk.memory.keys.get_mut(&name) else { panic!("a log") };
    let context = field("context", r#"{"entity":"known"}"#);
    let last = *log.keys().next_back().expect("entries");
    log.insert(last.successor().expect("an id"), vec![field("type", "order.created"), data, field("ts", "1"), context]);
    hash(&mut desk.memory, Key::Order("1")).insert("status".into(), b"x".to_vec());
    let progress = rebuild(&mut desk, Mode::Repair);
    assert_eq!((progress.differing, progress.skipped), (0, 1), "{progress:?}");
}

#[test]
fn counts_and_sums_are_mended_from_a_whole_log() {
    for (field, value) in [
        (":realized_pnl", "7"),
        (":log_id", "junk"),
        (":seen", "junk"),
        ("order.created", "junk"),
        ("order.created", "1-1 1"),
        ("signal.rejected", "junk"),
    ] {
        let mut desk = trading_day();
        hash(&mut desk.memory, Key::Last).insert(field.to_owned(), value.as_bytes().to_vec());
        desk.memory.journal = None;
        let progress = rebuild(&mut desk, Mode::Repair);
        assert_eq!((progress.differing, progress.repaired), (1, 1), "{field}");
        desk.check_fields(Key::Last, &[(":realized_pnl", Some("2")), (":log_id", Some("1763402400010-0"))]);
        assert!(desk.memory.field(Key::Last, "order.created").is_some_and(|tail| tail.ends_with(" 2")), "{field}");
        check_agrees(&mut desk);
        // Of a part, it cannot be told what is right.
        trim(&mut desk, 1);
        hash(&mut desk.memory, Key::Last).insert(field.to_owned(), value.as_bytes().to_vec());
        assert_eq!(rebuild(&mut desk, Mode::Repair).differing, 0, "{field}");
    }
}
