//! Events of a symbol, one after the other or in batches, sensible or not.
//!
//! A line is an event: its type, perhaps with `#` and its id, `@` and its time, `=` and the version that it expects; then a
//! space and its data, which is JSON or words such as `order_id=1 volume=2.5`, of which JSON is made. A line that begins
//! with `+` goes into one command with those before it, and one that begins with `!` changes what events are judged on.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tradebus_core::event_type::EventType;
use tradebus_core::instrument::check_setting;
use tradebus_core::json;
use tradebus_core::key::Key;
use tradebus_core::log::{Accepted, Labels, Receipt};
use tradebus_core::memory::{Memory, Value};
use tradebus_core::rebuild::Mode;
use tradebus_core::refusal::{Code, Outcome};
use tradebus_core::session::Request;
use tradebus_core::settings::{Lifecycle, PubSub, Settings};
use tradebus_fuzz::{check_messages, check_refusal, check_untouched, lines, named, number, projection, word, START};

const LINES_MAX: usize = 40;

fuzz_target!(|input: &[u8]| {
    let mut course = Course::new();
    let mut batch: Vec<Event<'_>> = Vec::new();
    for line in lines(input, LINES_MAX) {
        let (line, joins) = line.strip_prefix(b"+").map_or((line, false), |line| (line, true));
        if !joins {
            course.publish(&batch);
            batch.clear();
        }
        match line.strip_prefix(b"!") {
            Some(change) => course.change(change),
            None if line.is_empty() => {}
            None => batch.push(Event::read(line)),
        }
    }
    course.publish(&batch);
    course.finish();
});

struct Event<'i> {
    event_type: EventType,
    event_id: Option<&'i [u8]>,
    timestamp: Option<&'i [u8]>,
    expect: Option<u64>,
    data: Vec<u8>,
}

impl<'i> Event<'i> {
    fn read(line: &'i [u8]) -> Event<'i> {
        let (head, data) = word(line);
        let is_mark = |byte: &u8| matches!(byte, b'#' | b'@' | b'=');
        let (name, mut rest) = head.split_at(head.iter().position(is_mark).unwrap_or(head.len()));
        let event_type = *named(EventType::ALL, |event_type| event_type.as_str(), name);
        let data = if data.starts_with(b"{") { data.to_vec() } else { object(data) };
        let mut event = Event { event_type, event_id: None, timestamp: None, expect: None, data };
        while let Some((mark, behind)) = rest.split_first() {
            let (label, next) = behind.split_at(behind.iter().position(is_mark).unwrap_or(behind.len()));
            match mark {
                b'#' => event.event_id = Some(label),
                b'@' => event.timestamp = Some(label),
                _ => event.expect = Some(number(label).unsigned_abs()),
            }
            rest = next;
        }
        event
    }

    fn request(&self) -> Request<'_> {
        let labels = Labels { event_id: self.event_id, timestamp: self.timestamp, ..Labels::default() };
        Request { event_type: self.event_type, data: &self.data, labels, expect: self.expect }
    }
}

/// A JSON object out of words: whatever they are, it can be parsed.
fn object(words: &[u8]) -> Vec<u8> {
    let mut object = String::from("{");
    let text = String::from_utf8_lossy(words);
    for member in text.split(' ').filter(|member| !member.is_empty()) {
        let (name, value) = member.split_once('=').unwrap_or((member, "1"));
        if object.len() > 1 {
            object.push(',');
        }
        json::push_string(name, &mut object);
        object.push(':');
        match json::parse_object(format!("{{\"v\":{value}}}").as_bytes()) {
            Ok(alone) if alone.members.len() == 1 => object.push_str(value),
            _ => json::push_string(value, &mut object),
        }
    }
    object.push('}');
    object.into_bytes()
}

struct Course {
    memory: Memory,
    settings: Settings,
    now: i64,
    /// Whether all that is stored comes from events that were judged.
    is_whole: bool,
}

impl Course {
    fn new() -> Course {
        let settings = Settings { stream_maxlen: 20, max_event_size: 4_096, ..Settings::default() };
        Course { memory: Memory::of_symbol("XAUUSD"), settings, now: START, is_whole: true }
    }

    fn change(&mut self, change: &[u8]) {
        let (what, value) = word(change);
        match what {
            b"later" => self.now += number(value).clamp(0, 1_000_000_000),
            b"restart" => self.memory.journal = None,
            b"strict" => self.settings.lifecycle = Lifecycle::Strict,
            b"lenient" => self.settings.lifecycle = Lifecycle::Lenient,
            b"off" => {
                // Entities then are not what their events say.
                self.settings.lifecycle = Lifecycle::Off;
                self.is_whole = false;
            }
            b"quiet" => self.settings.pubsub = PubSub::Off,
            b"ttl" => self.settings.closed_ttl_ms = number(value).unsigned_abs().clamp(1, 1_000_000),
            b"ids" => self.settings.dedupe_max = number(value).unsigned_abs().clamp(1, 100),
            _ => self.set_instrument(what, value),
        }
    }

    fn set_instrument(&mut self, field: &[u8], value: &[u8]) {
        let Ok((name, value)) = check_setting(field, value) else { return };
        let key = self.memory.key_name(Key::Instrument);
        let fields = self.memory.keys.entry(key).or_insert_with(|| Value::Hash([].into()));
        if let Value::Hash(fields) = fields {
            fields.insert(name.to_owned(), value.as_bytes().to_vec());
        }
    }

    fn publish(&mut self, events: &[Event<'_>]) {
        if events.is_empty() {
            return;
        }
        self.now += 1;
        let before = self.memory.clone();
        match self.try_publish(events) {
            Err(refusal) => {
                check_refusal(&refusal);
                assert!(![Code::Corrupt, Code::WrongType, Code::Schema].contains(&refusal.code), "{refusal}");
                check_untouched(&before, &self.memory, self.now);
            }
            Ok(receipts) => {
                assert_eq!(receipts.len(), events.len());
                check_messages(&self.memory, before.messages.len());
                self.check_repeats(events, &receipts);
                if self.is_whole {
                    projection::check(&self.memory);
                }
            }
        }
    }

    fn try_publish(&mut self, events: &[Event<'_>]) -> Outcome<Vec<Receipt>> {
        let requests: Vec<_> = events.iter().map(Event::request).collect();
        self.memory.publish(&requests, &self.settings, self.now)
    }

    /// An event with an id that is told again is a repeat, and changes nothing.
    fn check_repeats(&mut self, events: &[Event<'_>], receipts: &[Receipt]) {
        let with_id = events.iter().zip(receipts).rfind(|(event, _)| event.event_id.is_some());
        let Some((event, first)) = with_id else { return };
        let before = self.memory.clone();
        let again = self.try_publish(std::slice::from_ref(event)).expect("a repeat is taken");
        assert_eq!((again[0].id, again[0].outcome), (first.id, Accepted::Duplicate));
        check_untouched(&before, &self.memory, self.now);
    }

    /// The log comes to what is stored.
    fn finish(mut self) {
        if self.is_whole {
            let progress = projection::rebuild(&mut self.memory, Mode::DryRun, &self.settings, self.now, 7);
            assert_eq!(progress.differing, 0, "{progress:?}");
        }
    }
}
