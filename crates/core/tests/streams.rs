//! Events of streams: what the log, `events:{T}:last` and the messages get, what stays of the newest when the log is
//! trimmed, and what an entry that somebody else added does to it.

mod support;

use std::collections::BTreeMap;

use proptest::prelude::*;
use support::START;
use tradebus_core::event_name::StreamType;
use tradebus_core::key::Key;
use tradebus_core::log::journal::Journal;
use tradebus_core::log::tails::STREAM_TYPES_MAX;
use tradebus_core::log::{Accepted, Labels, Receipt};
use tradebus_core::memory::{Memory, Value};
use tradebus_core::refusal::{Code, Outcome, Refusal};
use tradebus_core::settings::Settings;
use tradebus_core::store::Store;
use tradebus_core::stream::{newest, newest_of_each, tails, Newest, Request};
use tradebus_core::stream_id::StreamId;

/// A stream in memory, and a clock that is set by hand.
#[derive(Clone)]
struct Desk {
    memory: Memory,
    settings: Settings,
    now: i64,
}

impl Desk {
    fn new() -> Desk {
        Desk { memory: Memory::of_stream("policy"), settings: Settings::default(), now: START }
    }

    fn publish(&mut self, event_type: &str, data: &str) -> StreamId {
        self.publish_as(event_type, data, Labels::default()).unwrap_or_else(|refusal| panic!("{refusal}")).id
    }

    fn publish_as(&mut self, event_type: &str, data: &str, labels: Labels<'_>) -> Outcome<Receipt> {
        self.publish_checked(event_type, data, labels, || Ok(()))
    }

    fn publish_checked(
        &mut self,
        event_type: &str,
        data: &str,
        labels: Labels<'_>,
        check_schema: impl FnOnce() -> Outcome<()>,
    ) -> Outcome<Receipt> {
        self.now += 1;
        let request = Request { event_type: stream_type(event_type), data: data.as_bytes(), labels };
        self.memory.publish_event(&request, &self.settings, self.now, check_schema)
    }

    fn newest(&self, event_type: &str) -> Option<Newest> {
        newest(&self.memory.view(), "policy", stream_type(event_type)).expect("no fault")
    }

    fn newest_of_each(&self, size_max: usize) -> Outcome<Vec<Newest>> {
        newest_of_each(&self.memory.view(), "policy", size_max)
    }

    /// Number of events by type.
    fn counts(&self) -> Outcome<BTreeMap<String, u64>> {
        let store = self.memory.view();
        let (log, scope) = (store.open(Key::Log)?, self.memory.scope());
        let journal = Journal::open(&store, scope, log, || store.open(Key::Last), None, None)?;
        Ok(tails(&store, &journal)?.into_iter().map(|(name, tail)| (name, tail.count)).collect())
    }

    fn log(&mut self) -> &mut BTreeMap<StreamId, Vec<(String, Vec<u8>)>> {
        let name = self.memory.key_name(Key::Log);
        match self.memory.keys.entry(name).or_insert_with(|| Value::Stream(BTreeMap::new())) {
            Value::Stream(entries) => entries,
            other => panic!("not a stream: {other:?}"),
        }
    }

    /// Adds an entry as XADD does.
    fn add_by_hand(&mut self, fields: &[(&str, &str)]) -> StreamId {
        self.now += 1;
        let id = StreamId { ms: self.now.unsigned_abs(), seq: 0 };
        let fields = fields.iter().map(|(field, value)| ((*field).to_owned(), value.as_bytes().to_vec())).collect();
        self.log().insert(id, fields);
        id
    }

    fn set_last(&mut self, field: &str, value: &str) {
        let name = self.memory.key_name(Key::Last);
        match self.memory.keys.get_mut(&name) {
            Some(Value::Hash(fields)) => fields.insert(field.to_owned(), value.as_bytes().to_vec()),
            other => panic!("not a hash: {other:?}"),
        };
    }
}

fn stream_type(name: &str) -> StreamType<'_> {
    StreamType::parse(name.as_bytes()).expect("a type")
}

fn labels(event_id: &str) -> Labels<'_> {
    Labels { event_id: Some(event_id.as_bytes()), ..Labels::default() }
}

/// An event as one line: `type=a data={} ts=1`.
fn shown(newest: &Newest) -> String {
    let fields = newest.fields.iter().map(|(name, value)| format!("{name}={}", String::from_utf8_lossy(value)));
    fields.collect::<Vec<_>>().join(" ")
}

#[test]
fn an_event_has_its_place_in_the_log_the_summary_and_on_its_channel() {
    let mut desk = Desk::new();
    let all = Labels {
        event_id: Some(b"e1"),
        timestamp: Some(b"2025-11-17T18:00:00Z"),
        source: Some(b"desk"),
        correlation_id: Some(b"day"),
    };
    let first = desk.publish_as("policy.updated", r#"{"mode":"SAFE"}"#, all).expect("accepted");
    assert_eq!((first.outcome, first.entity), (Accepted::New, None));
    let found = desk.newest("policy.updated").expect("an event");
    let expected =
        "type=policy.updated data={\"mode\":\"SAFE\"} ts=1763402400000 source=desk correlation_id=day event_id=e1";
    assert_eq!((found.id, shown(&found).as_str()), (first.id, expected));
    let second = desk.publish("policy.updated", "{}");
    desk.publish("model.promoted", "{}");
    assert_eq!(
        shown(&desk.newest("policy.updated").expect("an event")),
        format!("type=policy.updated data={{}} ts={}", desk.now - 1)
    );
    let channels: Vec<_> = desk.memory.messages.iter().map(|message| message.channel.as_str()).collect();
    assert_eq!(
        channels,
        ["events:policy:policy.updated", "events:policy:policy.updated", "events:policy:model.promoted"]
    );
    let body = &desk.memory.messages[1].body;
    let ids = format!(
        r#"{{"id":"{second}","prev_id":"{0}","prev_log_id":"{0}","event_type":"policy.updated","stream":"policy""#,
        first.id
    );
    assert!(body.starts_with(&ids), "{body}");
    assert_eq!(desk.newest("strategy.promoted"), None);
}

#[test]
fn a_repeat_is_answered_before_the_schema_is_asked() {
    let mut desk = Desk::new();
    let first = desk.publish_as("a", r#"{"x":1}"#, labels("e1")).expect("accepted").id;
    let before = desk.clone();
    let no = || -> Outcome<()> { Err(Code::Schema.because("nothing fits any more")) };
    let again = desk.publish_checked("a", r#" { "x": 1 } "#, labels("e1"), no).expect("a repeat");
    assert_eq!((again.id, again.outcome), (first, Accepted::Duplicate));
    let code = |outcome: Outcome<Receipt>| outcome.map_err(|Refusal { code, .. }| code).unwrap_err();
    assert_eq!(code(desk.publish_checked("a", r#"{"x":2}"#, labels("e1"), no)), Code::IdConflict);
    assert_eq!(code(desk.publish_checked("b", r#"{"x":1}"#, labels("e1"), no)), Code::IdConflict);
    assert_eq!(code(desk.publish_checked("a", r#"{"x":1}"#, labels("e2"), no)), Code::Schema);
    assert_eq!(before.memory.keys, desk.memory.keys);
    assert_eq!(before.memory.messages, desk.memory.messages);
}

/// A log of one entry keeps the newest of one type only; `last` keeps the others.
#[test]
fn trimming_does_not_lose_the_newest_of_a_type() {
    let mut desk = Desk::new();
    desk.settings.stream_maxlen = 1;
    let rare = desk.publish_as("rare", r#"{"n":1}"#, labels("r")).expect("accepted").id;
    let expected = shown(&desk.newest("rare").expect("an event"));
    for n in 0..100 {
        desk.publish("often", &format!(r#"{{"n":{n}}}"#));
    }
    assert_eq!(desk.log().len(), 1);
    let found = desk.newest("rare").expect("it is retained");
    assert_eq!((found.id, shown(&found)), (rare, expected));
    assert_eq!(
        desk.newest_of_each(1_000)
            .expect("no fault")
            .iter()
            .map(|newest| newest.fields[0].1.as_slice())
            .collect::<Vec<_>>(),
        [&b"often"[..], b"rare"]
    );
    assert_eq!(desk.counts().expect("no fault"), [("often".to_owned(), 100), ("rare".to_owned(), 1)].into());
    // What an older event of the type had and the newest has not, is not retained of it.
    desk.publish("rare", r#"{"n":2}"#);
    desk.publish("often", "{}");
    assert_eq!(
        shown(&desk.newest("rare").expect("it is retained")),
        format!("type=rare data={{\"n\":2}} ts={}", desk.now - 1)
    );
}

#[test]
fn entries_that_were_added_by_hand_count_while_they_are_there() {
    let mut desk = Desk::new();
    desk.publish("a", r#"{"n":1}"#);
    let by_hand = desk.add_by_hand(&[("type", "a"), ("data", "{}"), ("note", "mine")]);
    let bare = desk.add_by_hand(&[("type", "b")]);
    assert_eq!(desk.newest("a").map(|found| (found.id, shown(&found))), Some((by_hand, "type=a data={}".to_owned())));
    assert_eq!(desk.newest("b").map(|found| (found.id, shown(&found))), Some((bare, "type=b".to_owned())));
    assert_eq!(desk.counts().expect("no fault"), [("a".to_owned(), 2), ("b".to_owned(), 1)].into());
    // The summary takes them in with the next event, but retains only what was published.
    desk.publish("c", "{}");
    desk.log().remove(&by_hand);
    desk.log().remove(&bare);
    assert_eq!((desk.newest("a"), desk.newest("b")), (None, None));
    let left = desk.newest_of_each(1_000).expect("no fault");
    assert_eq!(left.iter().map(shown).collect::<Vec<_>>(), [format!("type=c data={{}} ts={}", desk.now)]);
    assert_eq!(desk.counts().expect("no fault")["a"], 2);
}

#[test]
fn without_its_summary_a_stream_is_read_again() {
    let mut desk = Desk::new();
    for event_type in ["a", "b", "a"] {
        desk.publish(event_type, "{}");
    }
    let before = (desk.newest_of_each(1_000).expect("no fault"), desk.counts().expect("no fault"));
    desk.memory.keys.remove(&desk.memory.key_name(Key::Last));
    assert_eq!((desk.newest_of_each(1_000).expect("no fault"), desk.counts().expect("no fault")), before);
    desk.memory.keys.remove(&desk.memory.key_name(Key::Log));
    assert_eq!(desk.newest_of_each(1_000), Ok(Vec::new()));
    assert_eq!(desk.counts(), Ok(BTreeMap::new()));
}

#[test]
fn the_newest_of_each_type_is_bounded() {
    let mut desk = Desk::new();
    for event_type in ["a", "b", "c"] {
        desk.publish(event_type, &format!(r#"{{"text":"{}"}}"#, "x".repeat(1_000)));
    }
    let size: usize = desk
        .newest_of_each(usize::MAX)
        .expect("no fault")
        .iter()
        .flat_map(|newest| &newest.fields)
        .map(|(_, value)| value.len())
        .sum();
    assert_eq!(desk.newest_of_each(size).expect("it fits").len(), 3);
    let refusal = desk.newest_of_each(size - 1).unwrap_err();
    assert!(refusal.code == Code::TooBig && refusal.text.contains("one type"), "{refusal}");
}

#[test]
fn a_stream_has_so_many_types() {
    let mut desk = Desk::new();
    for n in 0..STREAM_TYPES_MAX {
        desk.publish(&format!("t{n}"), "{}");
    }
    let refusal = desk.publish_as("one.more", "{}", Labels::default()).unwrap_err();
    assert_eq!(refusal.code, Code::TooBig);
    desk.publish("t7", "{}");
    assert_eq!(desk.counts().expect("no fault").len() as u64, STREAM_TYPES_MAX);
}

#[test]
fn what_nobody_can_have_written_is_corrupt() {
    let check = |field: &str, value: &str| {
        let mut desk = Desk::new();
        desk.publish("a", "{}");
        desk.set_last(field, value);
        for fault in [desk.newest_of_each(1_000).map(|_| ()), desk.counts().map(|_| ())] {
            let refusal = fault.expect_err(field);
            assert!(refusal.code == Code::Corrupt && refusal.text.contains(field), "{refusal}");
        }
    };
    check("a", "1-0");
    check("a", "x 1");
    check("UPPER", "1-0 1");
    check("a b", "1-0 1");
}

proptest! {
    /// However the log is cut, the newest event of each type is what a list of all events says.
    #[test]
    fn the_newest_is_that_of_a_plain_list(
        events in prop::collection::vec((0..4usize, 0..3u8), 1..40),
        kept in 1..5u64,
    ) {
        let mut desk = Desk::new();
        desk.settings.stream_maxlen = kept;
        let mut model: BTreeMap<String, (StreamId, String)> = BTreeMap::new();
        for (n, (event_type, label)) in events.into_iter().enumerate() {
            let (name, data) = (["a", "a.b", "b", "zz_9"][event_type], format!(r#"{{"n":{n}}}"#));
            let source = (label > 0).then_some(&b"desk"[..]);
            let correlation_id = (label > 1).then_some(&b"day"[..]);
            let id = desk.publish_as(name, &data, Labels { source, correlation_id, ..Labels::default() }).expect("accepted").id;
            let mut text = format!("type={name} data={data} ts={}", desk.now);
            text += if label > 0 { " source=desk" } else { "" };
            text += if label > 1 { " correlation_id=day" } else { "" };
            model.insert(name.to_owned(), (id, text));
            let each: Vec<_> = desk.newest_of_each(10_000).expect("no fault").iter().map(|found| (found.id, shown(found))).collect();
            prop_assert_eq!(&each, &model.values().cloned().collect::<Vec<_>>());
            for (name, expected) in &model {
                let found = desk.newest(name).expect("an event");
                prop_assert_eq!(&(found.id, shown(&found)), expected);
            }
        }
    }
}
