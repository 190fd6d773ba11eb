//! A desk to try the core at: one symbol in memory, a clock that is set by hand, events as short texts.
// Each test program uses its own part of it.
#![allow(dead_code)]

pub mod courses;
pub mod events;
pub mod market;

use std::collections::BTreeMap;

use tradebus_core::event_type::EventType;
use tradebus_core::key::Key;
use tradebus_core::log::{Accepted, Labels, Receipt};
use tradebus_core::memory::{Memory, Value};
use tradebus_core::refusal::{Code, Outcome};
use tradebus_core::session::Request;
use tradebus_core::settings::Settings;

pub const START: i64 = 1_763_402_400_000;

pub struct Desk {
    pub memory: Memory,
    pub settings: Settings,
    pub now: i64,
}

/// Options of one event; the default has none.
#[derive(Clone, Copy, Default)]
pub struct Options<'o> {
    pub id: Option<&'o str>,
    pub at: Option<&'o str>,
    pub expect: Option<u64>,
}

impl Desk {
    pub fn new() -> Desk {
        Desk { memory: Memory::of_symbol("XAUUSD"), settings: Settings::default(), now: START }
    }

    pub fn with(settings: Settings) -> Desk {
        Desk { settings, ..Desk::new() }
    }

    /// Sets one of the symbol's settings.
    pub fn set_instrument(&mut self, field: &str, value: &str) {
        let name = Key::Instrument.name(self.memory.scope());
        let fields = self.memory.keys.entry(name).or_insert_with(|| Value::Hash(BTreeMap::new()));
        if let Value::Hash(fields) = fields {
            fields.insert(field.to_owned(), value.as_bytes().to_vec());
        }
    }

    /// Publishes one event a millisecond later than the last one.
    pub fn publish(&mut self, event_type: &str, data: &str) -> Outcome<Receipt> {
        self.publish_with(event_type, data, Options::default())
    }

    pub fn publish_with(&mut self, event_type: &str, data: &str, options: Options<'_>) -> Outcome<Receipt> {
        self.now += 1;
        let request = request(event_type, data, options);
        let receipts = self.memory.publish(&[request], &self.settings, self.now)?;
        Ok(receipts[0])
    }

    pub fn publish_all(&mut self, events: &[(&str, &str)]) -> Outcome<Vec<Receipt>> {
        self.now += 1;
        let requests: Vec<_> = events.iter().map(|(name, data)| request(name, data, Options::default())).collect();
        self.memory.publish(&requests, &self.settings, self.now)
    }

    /// Publishes and describes what came of it: `filled`, `filled late`, `duplicate` or the code of the refusal.
    pub fn outcome(&mut self, event_type: &str, data: &str) -> String {
        describe(&self.publish(event_type, data))
    }

    pub fn accept(&mut self, event_type: &str, data: &str) -> Receipt {
        match self.publish(event_type, data) {
            Ok(receipt) => receipt,
            Err(refusal) => panic!("{event_type} {data}: {refusal}"),
        }
    }

    pub fn refuse(&mut self, code: Code, event_type: &str, data: &str) -> String {
        let before = self.memory.clone();
        match self.publish(event_type, data) {
            Ok(receipt) => panic!("{event_type} {data} was accepted: {receipt:?}"),
            Err(refusal) => {
                assert_eq!(refusal.code, code, "{event_type} {data}: {refusal}");
                assert_eq!(before.keys, self.memory.keys, "a refusal changed something");
                assert_eq!(before.messages, self.memory.messages, "a refusal published something");
                refusal.text
            }
        }
    }

    #[track_caller]
    pub fn check_fields(&self, key: Key<'_>, expected: &[(&str, Option<&str>)]) {
        for (field, value) in expected {
            assert_eq!(
                self.memory.field(key, field).as_deref(),
                *value,
                "{field} of {:?}",
                self.memory.hash(key).map(|hash| {
                    hash.iter()
                        .map(|(field, value)| format!("{field}={}", String::from_utf8_lossy(value)))
                        .collect::<Vec<_>>()
                })
            );
        }
    }

    pub fn last_message(&self) -> &str {
        &self.memory.messages.last().expect("a message").body
    }
}

pub fn request<'a>(event_type: &str, data: &'a str, options: Options<'a>) -> Request<'a> {
    Request {
        event_type: EventType::parse(event_type.as_bytes()).expect("a known type"),
        data: data.as_bytes(),
        labels: Labels {
            event_id: options.id.map(str::as_bytes),
            timestamp: options.at.map(str::as_bytes),
            ..Labels::default()
        },
        expect: options.expect,
    }
}

pub fn describe(outcome: &Outcome<Receipt>) -> String {
    match outcome {
        Err(refusal) => refusal.code.as_str().to_owned(),
        Ok(Receipt { outcome: Accepted::Duplicate, .. }) => String::from("duplicate"),
        Ok(Receipt { outcome, entity, .. }) => {
            let status = entity.map_or("-", |(status, _)| status);
            let late = if *outcome == Accepted::Late { " late" } else { "" };
            format!("{status}{late}")
        }
    }
}
