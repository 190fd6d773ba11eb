//! Reading a log again: parts of it, filters, pages, and replays.

mod support;

use std::collections::BTreeMap;

use proptest::prelude::*;
use support::{Desk, Options};
use tradebus_core::key::{Key, Scope};
use tradebus_core::log::query::{self, parse_span, Budget, Filter, TYPES_MAX};
use tradebus_core::log::replay::{Prefix, Replay};
use tradebus_core::memory::{Memory, Value};
use tradebus_core::refusal::Code;
use tradebus_core::settings::PubSub;
use tradebus_core::store::Direction::{self, Backward, Forward};
use tradebus_core::store::{Span, Store};
use tradebus_core::stream_id::StreamId;

const EVERYTHING: Budget = Budget { entries: u64::MAX, bytes: usize::MAX, taken: u64::MAX, taken_bytes: usize::MAX };

fn id(ms: u64, seq: u64) -> StreamId {
    StreamId { ms, seq }
}

/// A log that anybody may have written.
fn log_of(entries: &[(StreamId, &[(&str, &str)])]) -> Memory {
    let mut memory = Memory::of_symbol("S");
    let owned = |fields: &[(&str, &str)]| {
        let owned = fields.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
        owned.collect::<Vec<_>>()
    };
    let entries: BTreeMap<_, _> = entries.iter().map(|(id, fields)| (*id, owned(fields))).collect();
    memory.keys.insert(memory.key_name(Key::Log), Value::Stream(entries));
    memory
}

/// The ids of one page, and where it goes on. What is taken of an entry counts as the length of its data.
fn page(memory: &Memory, span: Span, filter: &Filter<'_>, budget: Budget) -> (Vec<StreamId>, Option<StreamId>) {
    let store = memory.view();
    let slot = store.open(Key::Log).expect("a log");
    let mut ids = Vec::new();
    let next = query::read(&store, slot, span, filter, budget, &mut |logged, _| {
        ids.push(logged.id);
        Some(logged.data.len())
    });
    (ids, next)
}

#[test]
fn parts_are_given_as_to_xrange() {
    let check = |start: &str, end: &str, direction: Direction, expected: Option<(StreamId, StreamId)>| {
        let span = parse_span(start.as_bytes(), end.as_bytes(), direction).expect("a part");
        match expected {
            Some((lowest, highest)) => assert_eq!(span, Span { lowest, highest, direction }, "{start} {end}"),
            None => assert!(span.is_empty(), "{start} {end}: {span:?}"),
        }
    };
    const MAX: u64 = u64::MAX;
    let last = format!("{MAX}-{MAX}");
    check("-", "+", Forward, Some((StreamId::ZERO, StreamId::MAX)));
    check("+", "-", Backward, Some((StreamId::ZERO, StreamId::MAX)));
    check("5-1", "7-2", Forward, Some((id(5, 1), id(7, 2))));
    check("7-2", "5-1", Backward, Some((id(5, 1), id(7, 2))));
    check("5", "5", Forward, Some((id(5, 0), id(5, MAX))));
    check("5", "5", Backward, Some((id(5, 0), id(5, MAX))));
    check("(5-1", "(7-2", Forward, Some((id(5, 2), id(7, 1))));
    check("(5", "(7", Forward, Some((id(5, 1), id(7, MAX - 1))));
    check("(7-0", "(5-18446744073709551615", Backward, Some((id(6, 0), id(6, MAX))));
    check("7", "5", Forward, None);
    check("5", "7", Backward, None);
    check("+", "-", Forward, None);
    check(&format!("({last}"), "+", Forward, None);
    check("-", "(0-0", Forward, None);
    check(&last, "+", Forward, Some((StreamId::MAX, StreamId::MAX)));
    for bad in ["", "(", "(-", "(+", "5-", "-5", "5-1-1", "5-*", "a", "+5", " 5", "5.0", "18446744073709551616", "((5"]
    {
        for (what, start, end) in [("start", bad, "+"), ("end", "-", bad)] {
            let refusal = parse_span(start.as_bytes(), end.as_bytes(), Forward).expect_err(bad);
            assert_eq!(refusal.code, Code::Err);
            assert!(refusal.text.starts_with(&format!("{what} must be an id")), "{}", refusal.text);
        }
    }
    assert!(parse_span(b"+", b"\xff\0", Backward).is_err());
}

#[test]
fn types_are_taken_as_publishing_takes_them() {
    let mut filter = Filter::default();
    for name in [&b"ORDER_CREATED"[..], b"order.created", b"stop_loss.hit"] {
        filter.add_type(Scope::Symbol("S"), name).expect("a type");
    }
    assert_eq!(filter.types, [&b"order.created"[..], b"stop_loss.hit"], "each once");
    assert_eq!(filter.add_type(Scope::Symbol("S"), b"policy.updated").expect_err("unknown").code, Code::BadEvent);
    let mut filter = Filter::default();
    filter.add_type(Scope::Stream("T"), b"Policy.Updated").expect("a type");
    assert_eq!(filter.types, [&b"policy.updated"[..]]);
    assert_eq!(filter.add_type(Scope::Stream("T"), b"9").expect_err("no letter").code, Code::BadEvent);
    let names: Vec<_> = (0..=TYPES_MAX).map(|number| format!("t{number}")).collect();
    let mut filter = Filter::default();
    for name in &names[..TYPES_MAX] {
        filter.add_type(Scope::Stream("T"), name.as_bytes()).expect("room");
    }
    filter.add_type(Scope::Stream("T"), names[0].as_bytes()).expect("one that is there");
    assert_eq!(filter.add_type(Scope::Stream("T"), names[TYPES_MAX].as_bytes()).expect_err("full").code, Code::Err);
}

#[test]
fn filters_ask_for_everything_that_is_given() {
    let data = r#"{"order_id":"A","position_id":"7"}"#;
    let fields =
        [("type", "order.created"), ("data", data), ("ts", "1000"), ("source", "desk"), ("correlation_id", "c")];
    let memory = log_of(&[(id(1, 0), &fields)]);
    let check = |filter: Filter<'_>, expected: bool| {
        let (ids, _) = page(&memory, Span::after(StreamId::ZERO), &filter, EVERYTHING);
        assert_eq!(ids.len() == 1, expected, "{filter:?}");
    };
    let types = |names: &[&'static str]| names.iter().map(|name| name.as_bytes().into()).collect::<Vec<_>>();
    let any = Filter::default;
    check(any(), true);
    check(Filter { types: types(&["order.created"]), ..any() }, true);
    check(Filter { types: types(&["trade.failed", "order.created"]), ..any() }, true);
    check(Filter { types: types(&["trade.failed"]), ..any() }, false);
    check(Filter { source: Some(b"desk"), ..any() }, true);
    check(Filter { source: Some(b"des"), ..any() }, false);
    check(Filter { correlation_id: Some(b"c"), ..any() }, true);
    check(Filter { correlation_id: Some(b"C"), ..any() }, false);
    check(Filter { since: Some(1000), until: Some(1000), ..any() }, true);
    check(Filter { since: Some(1001), ..any() }, false);
    check(Filter { until: Some(999), ..any() }, false);
    check(Filter { order: Some("A"), ..any() }, true);
    check(Filter { order: Some("7"), ..any() }, false);
    check(Filter { position: Some("7"), ..any() }, true);
    check(Filter { order: Some("A"), position: Some("7"), source: Some(b"desk"), ..any() }, true);
    check(Filter { order: Some("A"), position: Some("8"), ..any() }, false);
}

#[test]
fn ids_in_the_data_are_found_as_publishing_reads_them() {
    let check = |data: &str, wanted: &str, expected: bool| {
        let memory = log_of(&[(id(1, 0), &[("type", "trade.executed"), ("data", data)])]);
        let filter = Filter { order: Some(wanted), ..Filter::default() };
        let (ids, _) = page(&memory, Span::after(StreamId::ZERO), &filter, EVERYTHING);
        assert_eq!(ids.len() == 1, expected, "{wanted} in {data}");
    };
    check(r#"{"order_id":"12"}"#, "12", true);
    check(r#"{"order_id":12}"#, "12", true);
    check(r#"{"order_id":-12}"#, "-12", true);
    check(r#"{"order_id":"\u0031\u0032"}"#, "12", true);
    check(r#"{"order\u005fid":"12"}"#, "12", true);
    check(r#"{"order_id":"a\/b"}"#, "a/b", true);
    check(r#"{"order_id":12.0}"#, "12.0", false);
    check(r#"{"order_id":1e2}"#, "1e2", false);
    check(r#"{"order_id":"12.0"}"#, "12.0", true);
    check(r#"{"order_id":"112"}"#, "12", false);
    check(r#"{"position_id":"12"}"#, "12", false);
    check(r#"{"a":{"order_id":"12"}}"#, "12", false);
    check(r#"{"order_id":null,"a":"null"}"#, "null", false);
    check(r#"{"order_id":["12"]}"#, "12", false);
    check(r#"{"order_id":"12""#, "12", false);
    check("12", "12", false);
    check("", "12", false);
}

/// What tradebus did not write is there when nothing is asked for, and fits no question that it has no answer to.
#[test]
fn foreign_entries_are_only_shown() {
    let mut memory = log_of(&[(id(1, 0), &[("a", "b")]), (id(2, 0), &[]), (id(3, 0), &[("ts", "x"), ("data", "{")])]);
    let name = memory.key_name(Key::Log);
    if let Some(Value::Stream(entries)) = memory.keys.get_mut(&name) {
        entries.insert(id(4, 0), vec![("data".to_owned(), b"\xff12\\".to_vec()), ("type".to_owned(), vec![0xff])]);
    }
    let count = |filter: Filter<'_>| page(&memory, Span::BACKWARD, &filter, EVERYTHING).0.len();
    assert_eq!(count(Filter::default()), 4);
    for filter in [
        Filter { types: vec![b"order.created"[..].into()], ..Filter::default() },
        Filter { order: Some("12"), ..Filter::default() },
        Filter { source: Some(b""), ..Filter::default() },
        Filter { since: Some(i64::MIN), ..Filter::default() },
        Filter { until: Some(i64::MAX), ..Filter::default() },
    ] {
        assert_eq!(count(filter.clone()), 0, "{filter:?}");
    }
    let mut replay = Replay::new(memory.scope(), 0);
    let store = memory.view();
    let slot = store.open(Key::Log).expect("a log");
    let next =
        query::read(&store, slot, Span::BACKWARD, &Filter::default(), EVERYTHING, &mut |logged, _| replay.take(logged));
    assert_eq!((next, replay.messages().len(), replay.types().count()), (None, 0, 0));
}

#[test]
fn what_makes_no_message_is_not_told() {
    let check = |fields: &[(&str, &str)], expected: bool| {
        let memory = log_of(&[(id(1, 0), fields)]);
        let (store, mut replay) = (memory.view(), Replay::new(memory.scope(), 0));
        let slot = store.open(Key::Log).expect("a log");
        query::read(&store, slot, Span::BACKWARD, &Filter::default(), EVERYTHING, &mut |logged, _| replay.take(logged));
        assert_eq!(replay.messages().len() == 1, expected, "{fields:?}");
    };
    let (event_type, data, ts) = (("type", "trade.executed"), ("data", "{}"), ("ts", "1"));
    check(&[event_type, data, ts], true);
    check(&[data, event_type, ts, ("other", "x")], true);
    check(&[event_type, data], false);
    check(&[event_type, ts], false);
    check(&[data, ts], false);
    check(&[event_type, data, ("ts", "x")], false);
    check(&[event_type, ("data", "{}}"), ts], false);
    check(&[event_type, ("data", "[]"), ts], false);
    check(&[("type", "TRADE_EXECUTED"), data, ts], false);
    check(&[("type", "policy.updated"), data, ts], false);
}

#[test]
fn a_call_ends_where_its_budget_does() {
    let data = [("type", "trade.executed"), ("data", "0123456789")];
    let entries: Vec<_> = (1..=5).map(|ms| (id(ms, 0), &data[..])).collect();
    let memory = log_of(&entries);
    let check = |budget: Budget, count: usize, next: Option<u64>| {
        let (ids, found) = page(&memory, Span::after(StreamId::ZERO), &Filter::default(), budget);
        assert_eq!((ids.len(), found), (count, next.map(|ms| id(ms, 0))), "{budget:?}");
    };
    // An entry counts as 112 bytes, 10 of which are taken: 32 of text, 20 for each of two fields, 40 for itself.
    check(EVERYTHING, 5, None);
    check(Budget { entries: 5, ..EVERYTHING }, 5, None);
    check(Budget { entries: 4, ..EVERYTHING }, 4, Some(5));
    check(Budget { taken: 2, ..EVERYTHING }, 2, Some(3));
    check(Budget { taken_bytes: 20, ..EVERYTHING }, 2, Some(3));
    check(Budget { taken_bytes: 21, ..EVERYTHING }, 3, Some(4));
    check(Budget { bytes: 224, ..EVERYTHING }, 2, Some(3));
    check(Budget { bytes: 225, ..EVERYTHING }, 3, Some(4));
    // Something is always done, or who goes on would never arrive.
    check(Budget { entries: 0, bytes: 0, taken: 0, taken_bytes: 0 }, 1, Some(2));
}

#[test]
fn prefixes_never_lead_to_a_live_channel() {
    let scopes = [Scope::Symbol("S"), Scope::Stream("T")];
    for scope in scopes {
        for good in
            ["replay:", "r", "backtest:2025:", "Trades:", "xtrades:", "trade", "trades", "events", ":", "market"]
        {
            let prefix = Prefix::parse(good.as_bytes(), scope).expect(good);
            for pubsub in [PubSub::Classic, PubSub::Sharded] {
                let channel = prefix.channel(pubsub, scope, "order.created").expect("a channel");
                assert!(!tradebus_core::channel::is_live(&channel), "{channel}");
                assert!(channel.starts_with(good), "{channel}");
            }
            assert_eq!(prefix.channel(PubSub::Off, scope, "order.created"), None);
        }
        for (bad, code) in [
            ("trades:", Code::Err),
            ("trades:X:", Code::Err),
            ("events:", Code::Err),
            ("events:policy:", Code::Err),
            ("market:S:", Code::Err),
            ("condition.", Code::Err),
            ("condition.x", Code::Err),
            ("", Code::BadField),
            ("a b", Code::BadField),
            ("{x}", Code::BadField),
            ("a*", Code::BadField),
            (&"x".repeat(65), Code::BadField),
        ] {
            assert_eq!(Prefix::parse(bad.as_bytes(), scope).expect_err(bad).code, code, "{bad}");
        }
        assert_eq!(Prefix::parse(b"replay:", scope), Ok(Prefix::DEFAULT));
    }
    let channel = Prefix::DEFAULT.channel(PubSub::Sharded, Scope::Symbol("S"), "order.created");
    assert_eq!(channel.as_deref(), Some("replay:trades:{S}:order.created"));
}

#[test]
fn a_replay_tells_what_was_told() {
    let mut desk = Desk::new();
    let options = |event_id| Options { id: Some(event_id), ..Options::default() };
    desk.publish_with("order.created", r#"{ "order_id": "1", "volume": 2 }"#, options("first")).expect("accepted");
    desk.accept("order.cancelled", r#"{"order_id":"1"}"#);
    desk.accept("order.created", r#"{"order_id":"2","volume":2}"#);
    desk.accept("order.cancelled", r#"{"order_id":"1"}"#);
    let store = desk.memory.view();
    let slot = store.open(Key::Log).expect("a log");
    let mut replay = Replay::new(desk.memory.scope(), desk.now);
    let mut bytes = 0;
    query::read(&store, slot, Span::after(StreamId::ZERO), &Filter::default(), EVERYTHING, &mut |logged, _| {
        let taken = replay.take(logged);
        bytes += taken.unwrap_or_default();
        taken
    });
    assert_eq!(replay.types().collect::<Vec<_>>(), ["order.created", "order.cancelled"]);
    assert_eq!(replay.messages().iter().map(|message| message.topic).collect::<Vec<_>>(), [0, 1, 0, 1]);
    assert_eq!(bytes, replay.messages().iter().map(|message| message.body.len()).sum::<usize>());
    for (told, again) in desk.memory.messages.iter().zip(replay.messages()) {
        let told: BTreeMap<String, serde_json::Value> = serde_json::from_str(&told.body).expect("JSON");
        let mut again: BTreeMap<String, serde_json::Value> = serde_json::from_str(&again.body).expect("JSON");
        assert_eq!(again.remove("replay"), Some(true.into()));
        let but_for_the_state = told.into_iter().filter(|(name, _)| !matches!(name.as_str(), "status" | "version"));
        let mut wanted: BTreeMap<_, _> = but_for_the_state.collect();
        wanted.insert("published_at".to_owned(), again["published_at"].clone());
        assert_eq!(again, wanted);
    }
    assert!(replay.messages()[3].body.contains(r#""late":true"#));
}

/// A page chain's entry: a type, an order, a source, perhaps; and how far its id is from the one before.
fn entry() -> impl Strategy<Value = (u64, u64, u8, u8, u8)> {
    (0..3_u64, 1..4_u64, 0..4_u8, 0..3_u8, 0..3_u8)
}

proptest! {
    #[test]
    fn pages_are_the_whole_without_gap_or_repeat(
        steps in prop::collection::vec(entry(), 0..40),
        (first, last) in (0..40_u64, 0..60_u64),
        (count, scan, bytes_read, bytes_taken) in (1..6_u64, 1..6_u64, 1..800_usize, 1..100_usize),
        (by_type, by_order, since) in (any::<bool>(), any::<bool>(), prop::option::of(0..40_i64)),
        is_backward in any::<bool>(),
    ) {
        let mut at = id(1, 0);
        let mut owned = Vec::new();
        for (ms, seq, event_type, order, source) in steps {
            at = if ms == 0 { id(at.ms, at.seq + seq) } else { id(at.ms + ms, 0) };
            let event_type = ["order.created", "order.filled", "trade.executed", "?"][usize::from(event_type)];
            let data = format!(r#"{{"order_id":"{order}","at":"{at}"}}"#);
            owned.push((at, event_type, data, at.ms.to_string(), source));
        }
        let fields: Vec<_> = owned.iter().map(|(id, event_type, data, ts, source)| {
            let mut fields = vec![("type", *event_type), ("data", data.as_str()), ("ts", ts.as_str())];
            if *source > 0 {
                fields.push(("source", "x"));
            }
            (*id, fields)
        }).collect();
        let entries: Vec<_> = fields.iter().map(|(id, fields)| (*id, fields.as_slice())).collect();
        let memory = log_of(&entries);
        let types = if by_type { vec![b"order.created"[..].into(), b"?"[..].into()] } else { Vec::new() };
        let filter = Filter { types, order: by_order.then_some("1"), since, ..Filter::default() };
        let direction = if is_backward { Backward } else { Forward };
        let (low, high) = (first.to_string(), last.to_string());
        let ends = |low: &str, high: &str| match direction {
            Forward => parse_span(low.as_bytes(), high.as_bytes(), direction),
            Backward => parse_span(high.as_bytes(), low.as_bytes(), direction),
        };
        let span = ends(&low, &high).expect("a part");
        let mut wanted: Vec<_> = owned.iter().filter(|(id, event_type, data, _, _)| {
            (first..=last).contains(&id.ms)
                && (!by_type || matches!(*event_type, "order.created" | "?"))
                && (!by_order || data.contains(r#""order_id":"1""#))
                && since.is_none_or(|since| id.ms as i64 >= since)
        }).map(|entry| entry.0).collect();
        if is_backward {
            wanted.reverse();
        }
        prop_assert_eq!(page(&memory, span, &filter, EVERYTHING), (wanted.clone(), None));
        let budget = Budget { entries: scan, bytes: bytes_read, taken: count, taken_bytes: bytes_taken };
        let (mut pages, mut walked, mut span) = (0, Vec::new(), span);
        loop {
            let (ids, next) = page(&memory, span, &filter, budget);
            prop_assert!(ids.len() as u64 <= count.min(scan));
            walked.extend(ids);
            pages += 1;
            prop_assert!(pages <= owned.len() + 1, "it goes round in circles");
            // As a caller goes on: the text of the id as the start, and the same end.
            let Some(next) = next else { break };
            span = match direction {
                Forward => ends(&next.to_string(), &high),
                Backward => ends(&low, &next.to_string()),
            }.expect("a part");
        }
        prop_assert_eq!(walked, wanted);
    }

    #[test]
    fn no_part_and_no_data_panics(start in ".{0,30}", end in "[-+(0-9]{0,30}", data in ".{0,60}", wanted in "[!-~]{1,8}") {
        for direction in [Forward, Backward] {
            let _ = parse_span(start.as_bytes(), end.as_bytes(), direction);
        }
        let memory = log_of(&[(id(1, 0), &[("type", "order.created"), ("data", &data), ("ts", "1")])]);
        let filter = Filter { order: Some(&wanted), ..Filter::default() };
        page(&memory, Span::BACKWARD, &filter, EVERYTHING);
    }
}
