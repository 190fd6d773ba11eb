//! EVENT commands as the model does them.

use std::collections::BTreeMap;

use tradebus_core::event_name::{fold_case, StreamType};
use tradebus_core::key::Key;
use tradebus_core::log::Accepted;
use tradebus_core::memory::{Memory, Value, View};
use tradebus_core::refusal::{Code, Outcome};
use tradebus_core::schema::Schema;
use tradebus_core::settings::Settings;
use tradebus_core::store::Store;
use tradebus_core::stream::{self, Newest, Request};

use super::options::Options;
use super::said::Said;

/// The newest events may be so large together.
const NEWEST_MAX: usize = 4 << 20;

/// EVENT.PUBLISH; `words` are those behind the stream.
pub fn publish(memory: &mut Memory, words: &[String], settings: &Settings, now: i64) -> Outcome<Said> {
    let folded = fold_case(words[0].as_bytes());
    let event_type = StreamType::parse(&folded)?;
    let (data, options) = (words[1].as_bytes(), Options::of(&words[2..]));
    let schema = memory.field(Key::Schema, event_type.as_str());
    let key = memory.key_name(Key::Schema);
    let opened = View::of(memory).open(Key::Schema).map(drop);
    let fits = || match &schema {
        Some(text) => {
            let compiled = Schema::compile(text.as_bytes(), usize::MAX).map_err(|refusal| {
                let unusable = format!("field {} of {key} cannot be used: {}", event_type.as_str(), refusal.text);
                Code::Corrupt.because(unusable)
            });
            compiled?.check(event_type.as_str(), data)
        }
        None => opened.clone(),
    };
    let told = memory.messages.len();
    let request = Request { event_type, data, labels: options.labels() };
    let receipt = memory.publish_event(&request, settings, now, fits)?;
    if !options.has("FULL") {
        return Ok(Said::id(receipt.id));
    }
    Ok(Said::map([
        ("id", Said::id(receipt.id)),
        ("duplicate", Said::Int(i64::from(receipt.outcome == Accepted::Duplicate))),
        ("receivers", Said::count((memory.messages.len() - told) as u64)),
    ]))
}

/// EVENT.LAST.
pub fn last(memory: &Memory, words: &[String]) -> Outcome<Said> {
    let (view, stream) = (View::of(memory), memory.scope().name());
    let shown = |newest: &Newest| {
        let fields = newest.fields.iter().map(|(name, value)| (name, Said::text(value)));
        Said::list([Said::id(newest.id), Said::map(fields)])
    };
    match words.first() {
        None => Ok(Said::list(stream::newest_of_each(&view, stream, NEWEST_MAX)?.iter().map(shown))),
        Some(name) => {
            let folded = fold_case(name.as_bytes());
            let newest = stream::newest(&view, stream, StreamType::parse(&folded)?)?;
            Ok(newest.as_ref().map_or(Said::Nil, shown))
        }
    }
}

/// EVENT.SCHEMA.
pub fn schema(memory: &mut Memory, words: &[String], settings: &Settings) -> Outcome<Said> {
    let name = memory.key_name(Key::Schema);
    if let ("SET", [_, text]) = (words[0].as_str(), &words[1..]) {
        Schema::compile(text.as_bytes(), settings.max_event_size)?;
    }
    View::of(memory).open(Key::Schema)?;
    let known = memory.hash(Key::Schema).cloned().unwrap_or_default();
    let [operation, arguments @ ..] = words else { panic!("an operation") };
    if operation == "LIST" {
        return Ok(Said::list(known.keys().map(Said::text)));
    }
    let event_type = arguments[0].as_str();
    match operation.as_str() {
        "GET" => Ok(known.get(event_type).map_or(Said::Nil, Said::text)),
        "DEL" => {
            let mut left = known;
            let was_there = left.remove(event_type).is_some();
            match left.is_empty() {
                true => memory.keys.remove(&name),
                false => memory.keys.insert(name, Value::Hash(left)),
            };
            Ok(Said::Int(i64::from(was_there)))
        }
        _ => {
            let text = arguments[1].as_bytes();
            let more: BTreeMap<_, _> = known.into_iter().chain([(event_type.to_owned(), text.to_vec())]).collect();
            memory.keys.insert(name, Value::Hash(more));
            Ok(Said::Ok)
        }
    }
}
