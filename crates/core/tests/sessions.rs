//! What holds for every command: identity, versions, batches, the log, the journal, expiries and messages.

mod support;

use support::{request, Desk, Options};
use tradebus_core::event_name::EventName;
use tradebus_core::event_type::EventType;
use tradebus_core::key::{Key, Scope};
use tradebus_core::log::Accepted;
use tradebus_core::memory::Value;
use tradebus_core::refusal::Code;
use tradebus_core::settings::{PubSub, Settings};
use tradebus_core::stream_id::StreamId;

const CREATED: &str = r#"{"order_id":"1","volume":10}"#;

fn id(id: &str) -> Options<'_> {
    Options { id: Some(id), ..Options::default() }
}

fn log(desk: &Desk) -> Vec<(StreamId, Vec<(String, String)>)> {
    let Some(Value::Stream(entries)) = desk.memory.keys.get("trade:{XAUUSD}:events") else {
        return Vec::new();
    };
    let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
    let entry =
        |fields: &Vec<(String, Vec<u8>)>| fields.iter().map(|(field, value)| (field.clone(), text(value))).collect();
    entries.iter().map(|(id, fields)| (*id, entry(fields))).collect()
}

#[test]
fn the_same_id_with_the_same_content_is_a_duplicate() {
    let mut desk = Desk::new();
    let first = desk.publish_with("order.created", CREATED, id("e1")).unwrap();
    // With a log that is short now, `last` is to be written with the next entry; a repeat is none.
    desk.accept("trade.executed", "{}");
    desk.settings.stream_maxlen = 5;
    let before = desk.memory.clone();
    for same in [CREATED, r#" { "volume" : 10 , "order_id" : "\u0031" } "#] {
        // A version that no longer holds does not stand in the way of a retry.
        let again = desk.publish_with("ORDER_CREATED", same, Options { expect: Some(0), ..id("e1") }).unwrap();
        assert_eq!((again.id, again.outcome, again.entity), (first.id, Accepted::Duplicate, Some(("pending", 1))));
    }
    assert_eq!(before.keys, desk.memory.keys);
    assert_eq!(before.messages, desk.memory.messages);
    for (event_type, other) in [
        ("order.created", r#"{"order_id":"1","volume":10.0}"#),
        ("order.created", r#"{"order_id":"1","volume":"10"}"#),
        ("order.modified", CREATED),
    ] {
        let refusal = desk.publish_with(event_type, other, id("e1")).unwrap_err();
        assert_eq!(refusal.code, Code::IdConflict);
        assert!(refusal.text.contains(&first.id.to_string()), "{refusal}");
    }
}

#[test]
fn an_id_is_forgotten_after_its_window() {
    let mut desk = Desk::with(Settings { dedupe_window_ms: 60_000, ..Settings::default() });
    let first = desk.publish_with("trade.executed", "{}", id("e1")).unwrap();
    desk.now += 59_000;
    assert_eq!(desk.publish_with("trade.executed", "{}", id("e1")).unwrap().id, first.id);
    desk.publish_with("trade.executed", "{}", id("e2")).unwrap();
    desk.now += 62_000;
    assert_ne!(desk.publish_with("trade.executed", "{}", id("e1")).unwrap().id, first.id);
}

#[test]
fn buckets_expire_and_are_bounded_within_a_batch() {
    let settings = Settings { dedupe_window_ms: 60_000, dedupe_max: 1_000, ..Settings::default() };
    let mut desk = Desk::with(settings);
    let ids: Vec<_> = (0..1_000).map(|i| format!("id-{i}")).collect();
    let batch: Vec<_> = ids.iter().map(|text| request("trade.executed", "{}", id(text))).collect();
    desk.memory.publish(&batch, &desk.settings, desk.now).unwrap();
    let buckets: Vec<_> = desk.memory.keys.keys().filter(|name| name.contains(":seen:")).cloned().collect();
    let ids_in = |name: &String| match &desk.memory.keys[name] {
        Value::Hash(records) => records.len(),
        _ => 0,
    };
    assert!(buckets.len() > 1 && buckets.iter().all(|name| ids_in(name) <= 500), "{buckets:?}");
    assert!(buckets.iter().all(|name| desk.memory.expiries[name] == desk.now + 120_000));
    assert!(
        desk.memory.fields_set.iter().all(|(key, _)| desk.memory.keys.contains_key(key)),
        "what is dropped is not written"
    );
}

#[test]
fn only_what_changed_is_written() {
    let mut desk = Desk::new();
    desk.accept("order.created", r#"{"order_id":"1","volume":10,"side":"BUY","account":"a"}"#);
    desk.accept("order.modified", r#"{"order_id":"1","side":"BUY","account":"b","volume":10}"#);
    let mut set: Vec<_> = desk.memory.fields_set.iter().map(|(_, field)| field.as_str()).collect();
    set.sort_unstable();
    assert_eq!(set, ["account", "last_event_id", "modified_at", "updated_at", "version"]);
    // What is set before it is read is compared all the same, in a hash that is not read as a whole.
    let many: String = (0..30).map(|i| format!(r#","m{i}":{i}"#)).collect();
    let opened = r#"{"position_id":"1","direction":"LONG","entry_price":1,"volume":1,"timestamp":5"#;
    desk.set_instrument("position_mode", "netting");
    desk.accept("position.opened", &format!("{opened}{many}}}"));
    desk.accept("position.closed", r#"{"position_id":"1","exit_price":1}"#);
    desk.accept("position.opened", &format!("{opened}}}"));
    let mut set: Vec<_> = desk.memory.fields_set.iter().map(|(_, field)| field.as_str()).collect();
    set.sort_unstable();
    assert_eq!(set, ["closed_volume", "cycle", "last_event_id", "status", "updated_at", "version", "volume"]);
}

#[test]
fn a_new_window_is_that_of_the_ids_behind_it() {
    let mut desk = Desk::with(Settings { dedupe_window_ms: 1_000, ..Settings::default() });
    desk.publish_with("trade.executed", "{}", id("a")).unwrap();
    desk.settings.dedupe_window_ms = 60_000;
    desk.now += 700;
    let first = desk.publish_with("trade.executed", "{}", id("b")).unwrap();
    desk.now += 50_000;
    assert_eq!(desk.publish_with("trade.executed", "{}", id("b")).unwrap().id, first.id);
}

#[test]
fn expect_guards_a_version() {
    let mut desk = Desk::new();
    let expect = |version| Options { expect: Some(version), ..Options::default() };
    desk.publish_with("order.created", CREATED, expect(0)).unwrap();
    desk.publish_with("order.modified", r#"{"order_id":"1","price":1}"#, expect(1)).unwrap();
    let refusal = desk.publish_with("order.modified", r#"{"order_id":"1","price":2}"#, expect(1)).unwrap_err();
    assert_eq!(refusal.code, Code::VersionConflict);
    assert!(refusal.text.contains('1') && refusal.text.contains('2'), "{refusal}");
    assert_eq!(desk.publish_with("order.created", CREATED, expect(0)).unwrap_err().code, Code::VersionConflict);
    for event_type in ["trade.executed", "risk.limit_breached"] {
        let data = r#"{"limit":"x","value":1}"#;
        assert_eq!(desk.publish_with(event_type, data, expect(0)).unwrap_err().code, Code::Err);
    }
}

#[test]
fn a_batch_is_judged_in_turn_and_all_or_nothing() {
    let mut desk = Desk::new();
    let batch = [
        ("order.created", CREATED),
        ("order.partially_filled", r#"{"order_id":"1","fill_volume":4,"fill_price":2,"fill_id":"a"}"#),
        ("order.partially_filled", r#"{"order_id":"1","fill_volume":4,"fill_price":2,"fill_id":"a"}"#),
        ("order.filled", r#"{"order_id":"1","fill_volume":6,"fill_price":3}"#),
    ];
    let receipts = desk.publish_all(&batch).unwrap();
    assert_eq!(receipts[1].id, receipts[2].id);
    assert_eq!(receipts[2].outcome, Accepted::Duplicate);
    assert_eq!(receipts[3].id, StreamId { ms: receipts[0].id.ms, seq: 2 });
    desk.check_fields(
        Key::Order("1"),
        &[("status", Some("filled")), ("version", Some("3")), ("avg_fill_price", Some("2.6"))],
    );
    assert_eq!(desk.memory.members(Key::OpenOrders), [""; 0]);
    assert_eq!(desk.memory.messages.len(), 3);
    let before = desk.memory.clone();
    let refusal = desk
        .publish_all(&[("order.created", r#"{"order_id":"2","volume":1}"#), ("order.cancelled", r#"{"order_id":"1"}"#)])
        .unwrap_err();
    assert_eq!(refusal.code, Code::TooLate);
    assert!(refusal.text.starts_with("event 2: "), "{refusal}");
    assert_eq!(before.keys, desk.memory.keys);
}

/// Accepted events come to the same state one by one and in a batch, for hashes of few and of many fields.
#[track_caller]
fn check_same_singly_and_batched(course: &[(&str, &str)], batch: &[(&str, &str)], instrument: &[(&str, &str)]) -> Desk {
    let many: String = (0..30).map(|i| format!(r#","m{i}":{i}"#)).collect();
    let mut last = None;
    for padding in ["", &many] {
        let desk = || {
            let mut desk = Desk::new();
            for (field, value) in instrument {
                desk.set_instrument(field, value);
            }
            for (place, (event_type, data)) in course.iter().enumerate() {
                let padding = if place == 0 { padding } else { "" };
                desk.accept(event_type, &data.replacen('}', &format!("{padding}}}"), 1));
            }
            desk
        };
        let (mut singly, mut batched) = (desk(), desk());
        batched.publish_all(batch).unwrap();
        singly.now = batched.now;
        for (event_type, data) in batch {
            let request = request(event_type, data, Options::default());
            singly.memory.publish(&[request], &singly.settings, singly.now).unwrap();
        }
        let state = |desk: &Desk| {
            let mut memory = desk.memory.clone();
            memory.keys.remove(&Key::Last.name(Scope::Symbol("XAUUSD")));
            (memory.keys, memory.expiries)
        };
        assert_eq!(state(&singly), state(&batched), "{} more fields", padding.len());
        last = Some(batched);
    }
    last.expect("two runs")
}

#[test]
fn what_a_batch_reads_late_or_never_is_right_all_the_same() {
    let failed = ("trade.failed", r#"{"order_id":"1","reason":"x"}"#);
    let cancelled = ("order.cancelled", r#"{"order_id":"1"}"#);
    let desk = check_same_singly_and_batched(&[("order.created", CREATED)], &[failed, cancelled], &[]);
    assert_eq!(desk.memory.members(Key::OpenOrders), [""; 0]);
    let priced = ("order.partially_filled", r#"{"order_id":"1","fill_volume":1,"fill_price":"12.5"}"#);
    let bare = ("order.partially_filled", r#"{"order_id":"1","fill_volume":1}"#);
    let desk = check_same_singly_and_batched(&[("order.created", CREATED), priced], &[priced, bare], &[]);
    desk.check_fields(Key::Order("1"), &[("last_fill_price", None)]);
    let opened = ("position.opened", r#"{"position_id":"1","direction":"LONG","entry_price":1,"volume":1}"#);
    let stopped = ("stop_loss.hit", r#"{"position_id":"1","price":1}"#);
    let closed = ("position.closed", r#"{"position_id":"1","exit_price":1,"reason":"tp"}"#);
    let netting = [("position_mode", "netting")];
    let desk = check_same_singly_and_batched(&[opened, stopped], &[closed, opened], &netting);
    desk.check_fields(Key::Position("1"), &[("close_reason", None), ("close_reason_at", None), ("cycle", Some("2"))]);
}

#[test]
fn an_id_that_was_left_in_an_index_goes_with_the_end() {
    let mut desk = Desk::new();
    desk.accept("order.created", CREATED);
    desk.memory.keys.remove(&Key::Order("1").name(Scope::Symbol("XAUUSD")));
    desk.accept("order.filled", r#"{"order_id":"1"}"#);
    assert_eq!(desk.memory.members(Key::OpenOrders), [""; 0]);
}

#[test]
fn a_batch_with_ids_knows_its_own() {
    let mut desk = Desk::new();
    desk.now += 1;
    let same = request("trade.executed", "{}", id("a"));
    let receipts = desk.memory.publish(&[same, same], &desk.settings, desk.now).unwrap();
    assert_eq!(receipts[0].id, receipts[1].id);
    let other = request("trade.executed", r#"{"a":1}"#, id("b"));
    let conflict = request("trade.executed", r#"{"a":2}"#, id("b"));
    let refusal = desk.memory.publish(&[other, conflict], &desk.settings, desk.now).unwrap_err();
    assert_eq!(refusal.code, Code::IdConflict);
}

#[test]
fn log_entries_have_their_fields_in_order() {
    let mut desk = Desk::new();
    desk.set_instrument("contract_size", "100");
    let opened = r#"{"position_id":"1","direction":"LONG","entry_price":1,"volume":1}"#;
    let mut full = request("position.opened", opened, Options { at: Some("5"), ..id("e1") });
    full.labels.source = Some(b"bot \"7\"");
    full.labels.correlation_id = Some(b"c");
    desk.memory.publish(&[full], &desk.settings, desk.now).unwrap();
    desk.accept("position.closed", r#"{"position_id":"1","exit_price":1}"#);
    desk.accept("stop_loss.hit", r#"{"position_id":"1","price":1}"#);
    let log = log(&desk);
    let named: Vec<_> = log[0].1.iter().map(|(field, value)| (field.as_str(), value.as_str())).collect();
    assert_eq!(
        named,
        [
            ("type", "position.opened"),
            ("data", opened),
            ("ts", "5"),
            ("source", "bot \"7\""),
            ("correlation_id", "c"),
            ("event_id", "e1"),
            ("context", r#"{"contract_size":"100"}"#),
        ]
    );
    assert_eq!(log[1].1.iter().map(|(field, _)| field.as_str()).collect::<Vec<_>>(), ["type", "data", "ts"]);
    assert_eq!(log[2].1.last().unwrap(), &("outcome".to_owned(), "late".to_owned()));
    assert!(desk.memory.messages[0].body.contains(r#""source":"bot \"7\"","correlation_id":"c","event_id":"e1""#));
}

#[test]
fn messages_chain_by_channel_and_by_log() {
    let mut desk = Desk::new();
    let mut ids = Vec::new();
    for (event_type, data) in [("trade.executed", "{}"), ("order.created", CREATED), ("trade.executed", "{}")] {
        ids.push(desk.accept(event_type, data).id.to_string());
    }
    let body = desk.last_message();
    assert!(body.contains(&format!(r#""prev_id":"{}","prev_log_id":"{}""#, ids[0], ids[1])), "{body}");
    assert!(desk.memory.messages[1].body.contains(&format!(r#""prev_id":"0-0","prev_log_id":"{}""#, ids[0])));
    desk.settings.pubsub = PubSub::Off;
    desk.accept("trade.executed", "{}");
    assert_eq!(desk.memory.messages.len(), 3);
}

#[test]
fn the_journal_is_found_again_without_memory() {
    for gap in [1, 3, 64, 65, 200] {
        let mut with = Desk::new();
        let mut without = Desk::new();
        for i in 0..260 {
            let order = format!(r#"{{"order_id":"{i}","volume":1}}"#);
            for desk in [&mut with, &mut without] {
                desk.accept(if i % 3 == 0 { "trade.executed" } else { "order.created" }, &order);
            }
            if i % gap == 0 {
                without.memory.journal = None;
            }
        }
        assert_eq!(with.memory.messages, without.memory.messages, "gap {gap}");
    }
}

#[test]
fn the_journal_survives_a_log_that_is_trimmed_or_removed() {
    let mut desk = Desk::with(Settings { stream_maxlen: 5, ..Settings::default() });
    for _ in 0..20 {
        desk.accept("trade.executed", "{}");
    }
    assert_eq!(log(&desk).len(), 5);
    desk.memory.journal = None;
    let last = desk.accept("order.created", CREATED).id;
    desk.memory.keys.remove("trade:{XAUUSD}:events");
    desk.accept("trade.executed", "{}");
    let body = desk.last_message();
    assert!(body.contains(&format!(r#""prev_log_id":"{last}""#)), "{body}");
    desk.memory.journal = None;
    desk.accept("trade.executed", "{}");
    assert_eq!(desk.memory.journal.as_ref().unwrap().events(EventName::Trade(EventType::TradeExecuted)), 22);
}

#[test]
fn the_newest_ids_are_written_before_they_can_be_lost() {
    let newest_written = |desk: &Desk| match desk.memory.field(Key::Last, ":log_id") {
        Some(id) => id.parse().unwrap(),
        None => StreamId::ZERO,
    };
    let mut desk = Desk::new();
    for _ in 0..1_000 {
        desk.accept("trade.executed", "{}");
        let written = newest_written(&desk);
        assert!(log(&desk).iter().filter(|(id, _)| *id > written).count() <= 64);
    }
    let mut aged = Desk::with(Settings { stream_maxage_ms: 1_000, ..Settings::default() });
    for _ in 0..20 {
        aged.now += 300;
        aged.accept("trade.executed", "{}");
    }
    assert!(log(&aged).len() < 6);
    aged.memory.journal = None;
    aged.accept("trade.executed", "{}");
    assert_eq!(aged.memory.journal.as_ref().unwrap().events(EventName::Trade(EventType::TradeExecuted)), 21);
}

#[test]
fn what_deleted_entries_told_outlives_a_restart() {
    let mut desk = Desk::new();
    let ids: Vec<_> = (0..5).map(|_| desk.accept("trade.executed", "{}").id).collect();
    ids[3..].iter().for_each(|&id| desk.memory.delete_entry(id));
    desk.accept("trade.executed", "{}");
    desk.memory.journal = None;
    desk.accept("trade.executed", "{}");
    assert_eq!(desk.memory.journal.as_ref().unwrap().events(EventName::Trade(EventType::TradeExecuted)), 7);
}

#[test]
fn memory_holds_when_the_newest_entries_are_deleted() {
    let mut desk = Desk::new();
    let ids: Vec<_> = (0..3).map(|_| desk.accept("trade.executed", "{}").id).collect();
    if let Some(Value::Stream(entries)) = desk.memory.keys.get_mut("trade:{XAUUSD}:events") {
        entries.remove(&ids[2]);
    }
    desk.accept("trade.executed", "{}");
    let newest = ids[2];
    assert!(desk.last_message().contains(&format!(r#""prev_id":"{newest}","prev_log_id":"{newest}""#)));
}

#[test]
fn foreign_entries_and_fields_are_refused_as_corrupt() {
    let mut desk = Desk::new();
    desk.accept("order.created", CREATED);
    let whole = desk.memory.clone();
    let mut damage = |key: &str, field: &str, value: &str, event_type: &str, data: &str| {
        desk.memory = whole.clone();
        match desk.memory.keys.entry(key.to_owned()).or_insert_with(|| Value::Hash(Default::default())) {
            Value::Hash(fields) => {
                fields.insert(field.to_owned(), value.as_bytes().to_vec());
            }
            Value::Stream(entries) => {
                entries.insert(StreamId::MAX, vec![(field.to_owned(), value.as_bytes().to_vec())]);
            }
            Value::SortedSet(_) | Value::String(_) => unreachable!(),
        }
        let text = desk.refuse(Code::Corrupt, event_type, data);
        assert!(text.contains(field), "{text}");
    };
    let order = "trade:{XAUUSD}:order:1";
    let fill = r#"{"order_id":"1","fill_volume":1,"fill_id":"a"}"#;
    for (field, value) in
        [("status", "open"), ("version", "x"), ("volume", "ten"), ("filled_volume", "1.x"), ("inferred_volume", "")]
    {
        damage(order, field, value, "order.partially_filled", fill);
    }
    damage("trade:{XAUUSD}:fills:1", "a", "junk", "order.partially_filled", fill);
    damage("trade:{XAUUSD}:events", "type", "foreign", "order.partially_filled", fill);
    damage(
        "trade:{XAUUSD}:instrument",
        "contract_size",
        "-1",
        "position.closed",
        r#"{"position_id":"9","exit_price":1}"#,
    );
    damage("trade:{XAUUSD}:risk", "dd", "{}", "risk.limit_breached", r#"{"limit":"dd","value":1}"#);
}

#[test]
fn the_last_ids_of_a_log_end_it_politely() {
    let mut desk = Desk::new();
    desk.memory.keys.insert(
        "trade:{XAUUSD}:events".to_owned(),
        Value::Stream([(StreamId::MAX, vec![("type".to_owned(), b"trade.executed".to_vec())])].into()),
    );
    assert_eq!(desk.outcome("trade.executed", "{}"), "CORRUPT");
}

#[test]
fn finished_entities_expire_with_their_fills() {
    let mut desk = Desk::with(Settings { closed_ttl_ms: 1_000, signal_ttl_ms: 500, ..Settings::default() });
    let expiry = |desk: &Desk, key: Key<'_>| {
        desk.memory.expiries.get(&key.name(Scope::Symbol("XAUUSD"))).map(|at| at - desk.now)
    };
    desk.accept("order.created", CREATED);
    assert_eq!(expiry(&desk, Key::Order("1")), None);
    desk.accept("order.partially_filled", r#"{"order_id":"1","fill_volume":4,"fill_id":"a"}"#);
    assert_eq!(expiry(&desk, Key::Fills("1")), None);
    desk.accept("order.cancelled", r#"{"order_id":"1"}"#);
    assert_eq!((expiry(&desk, Key::Order("1")), expiry(&desk, Key::Fills("1"))), (Some(1_000), Some(1_000)));
    desk.accept("order.rejected", r#"{"order_id":"2","reason":"x"}"#);
    assert_eq!(expiry(&desk, Key::Order("2")), Some(1_000));
    desk.accept("order.partially_filled", r#"{"order_id":"2","fill_volume":4,"fill_id":"a"}"#);
    assert_eq!((expiry(&desk, Key::Order("2")), expiry(&desk, Key::Fills("2"))), (None, None));
    assert_eq!(desk.memory.members(Key::OpenOrders), ["2"]);
    desk.accept("signal.generated", r#"{"signal_id":"1"}"#);
    assert_eq!(expiry(&desk, Key::Signal("1")), Some(500));
    desk.accept("signal.validated", r#"{"signal_id":"1"}"#);
    assert_eq!(expiry(&desk, Key::Signal("1")), Some(1_000));
    desk.now += 2_000;
    assert_eq!(desk.outcome("order.created", CREATED), "pending", "the id is free again");
}

#[test]
fn a_signal_may_bear_the_events_id() {
    let mut desk = Desk::new();
    desk.publish_with("signal.generated", r#"{"side":"BUY"}"#, id("s1")).unwrap();
    desk.check_fields(Key::Signal("s1"), &[("status", Some("generated")), ("signal_id", Some("s1"))]);
    assert_eq!(desk.outcome("signal.generated", "{}"), "MISSING");
    assert_eq!(desk.outcome("signal.validated", "{}"), "MISSING");
}

#[test]
fn risk_limits_keep_their_newest_breach() {
    let mut desk = Desk::new();
    desk.accept("risk.limit_breached", r#"{"limit":"dd","value":-5.20,"threshold":"-5","timestamp":10}"#);
    let first = desk.memory.field(Key::Risk, "dd").unwrap();
    assert!(first.starts_with(r#"{"value":"-5.20","threshold":"-5","ts":10,"id":""#), "{first}");
    assert_eq!(desk.outcome("risk.limit_breached", r#"{"limit":"dd","value":-6,"timestamp":9}"#), "- late");
    assert_eq!(desk.memory.field(Key::Risk, "dd").unwrap(), first);
    assert_eq!(desk.outcome("risk.limit_breached", r#"{"limit":"dd","value":-7,"timestamp":10}"#), "-");
    assert_ne!(desk.memory.field(Key::Risk, "dd").unwrap(), first);
    for i in 1..1_000 {
        desk.accept("risk.limit_breached", &format!(r#"{{"limit":"l{i}","value":1}}"#));
    }
    desk.refuse(Code::TooBig, "risk.limit_breached", r#"{"limit":"one more","value":1}"#);
    let mut batch = Desk::new();
    let limits: Vec<_> = (0..1_001).map(|i| format!(r#"{{"limit":"l{i}","value":1}}"#)).collect();
    let events: Vec<_> = limits.iter().map(|data| ("risk.limit_breached", data.as_str())).collect();
    assert_eq!(batch.publish_all(&events).unwrap_err().code, Code::TooBig);
}

#[test]
fn a_failed_trade_leaves_its_reason_on_the_order() {
    let mut desk = Desk::new();
    desk.accept("order.created", CREATED);
    desk.accept("trade.failed", r#"{"order_id":1,"reason":"no connection"}"#);
    desk.check_fields(Key::Order("1"), &[("last_error", Some("no connection")), ("version", Some("1"))]);
}

#[test]
fn options_are_checked() {
    let mut desk = Desk::new();
    let mut bad = request("trade.executed", "{}", Options::default());
    for (event_id, source, timestamp) in [
        (Some(&b"a b"[..]), None, None),
        (Some(b""), None, None),
        (None, Some(&b"a\nb"[..]), None),
        (None, Some(b"\xff"), None),
        (None, Some(b""), None),
        (None, None, Some(&b"tomorrow"[..])),
        (None, None, Some(b"\xff")),
    ] {
        (bad.labels.event_id, bad.labels.source, bad.labels.timestamp) = (event_id, source, timestamp);
        assert_eq!(desk.memory.publish(&[bad], &desk.settings, desk.now).unwrap_err().code, Code::BadField);
    }
    desk.settings.max_event_size = 3;
    assert_eq!(desk.outcome("trade.executed", "{  }"), "TOOBIG");
}
