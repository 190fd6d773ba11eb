//! A log with entries that somebody else wrote: read, told again, moved to the dead letters, rebuilt from, written on.
//!
//! A line is an entry: its id, `<ms>-<seq>` or whatever else for the next one, then a space, and fields such as
//! `type=order.created`, with tabs between. A line that begins with `!` publishes an event of this data in between, one
//! that begins with `?` does a part of a rebuild.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tradebus_core::dead_letter::{bury, DeadLetter};
use tradebus_core::event_name::StreamType;
use tradebus_core::event_type::EventType;
use tradebus_core::key::Key;
use tradebus_core::log::journal::Journal;
use tradebus_core::log::logged::Logged;
use tradebus_core::log::query::{read, wire_len, Budget, Filter};
use tradebus_core::log::replay::Replay;
use tradebus_core::log::{Clock, Labels};
use tradebus_core::memory::{Memory, Value, View};
use tradebus_core::pending::{Pending, Sweep, Wanted};
use tradebus_core::rebuild::{Mode, Rebuild};
use tradebus_core::session;
use tradebus_core::settings::Settings;
use tradebus_core::store::{Direction, Flow, Span, Store};
use tradebus_core::stream::{newest, newest_of_each, tails, Request};
use tradebus_core::stream_id::StreamId;
use tradebus_fuzz::{check_messages, check_refusal, check_untouched, lines, projection, word, START};

const LINES_MAX: usize = 32;

fuzz_target!(|input: &[u8]| {
    for memory in [Memory::of_symbol("XAUUSD"), Memory::of_stream("policy")] {
        let mut course = Course::new(memory);
        for line in lines(input, LINES_MAX) {
            match line {
                [b'!', data @ ..] => course.publish(data),
                [b'?', rest @ ..] => course.rebuild_some(rest.len()),
                entry => course.add(entry),
            }
        }
        course.read();
        course.rebuild();
    }
});

struct Course {
    memory: Memory,
    settings: Settings,
    now: i64,
    rebuild: Rebuild,
}

impl Course {
    fn new(memory: Memory) -> Course {
        let rebuild = Rebuild::new(memory.scope().name(), Mode::Repair);
        Course { memory, settings: Settings { stream_maxlen: 16, ..Settings::default() }, now: START, rebuild }
    }

    fn is_symbol(&self) -> bool {
        self.memory.key_name(Key::Log).starts_with("trade:")
    }

    fn add(&mut self, line: &[u8]) {
        let (id, fields) = word(line);
        let field = |field: &[u8]| {
            let at = field.iter().position(|&byte| byte == b'=').unwrap_or(field.len());
            let value = field.get(at + 1..).unwrap_or_default().to_vec();
            (String::from_utf8_lossy(&field[..at]).into_owned(), value)
        };
        let fields = fields.split(|&byte| byte == b'\t').map(field).collect();
        let key = self.memory.key_name(Key::Log);
        let Value::Stream(log) = self.memory.keys.entry(key).or_insert_with(|| Value::Stream([].into())) else {
            panic!("a log is a stream");
        };
        let newest = log.keys().next_back().copied().unwrap_or_default();
        // A stream takes no id that is not behind its last one.
        let told = StreamId::from_bytes(id).filter(|id| *id > newest);
        if let Some(id) = told.or_else(|| newest.next(self.now.unsigned_abs())) {
            log.insert(id, fields);
        }
    }

    fn publish(&mut self, data: &[u8]) {
        self.now += 1;
        let before = self.memory.clone();
        let labels = Labels { event_id: data.get(..1), ..Labels::default() };
        let outcome = if self.is_symbol() {
            let event_type = EventType::OrderCreated;
            let request = session::Request { event_type, data, labels, expect: None };
            self.memory.publish(&[request], &self.settings, self.now).map(drop)
        } else {
            let event_type = StreamType::parse(b"order.created").expect("a type");
            let request = Request { event_type, data, labels };
            self.memory.publish_event(&request, &self.settings, self.now, || Ok(())).map(drop)
        };
        match outcome {
            Ok(()) => check_messages(&self.memory, before.messages.len()),
            Err(refusal) => {
                check_refusal(&refusal);
                check_untouched(&before, &self.memory, self.now);
            }
        }
    }

    fn rebuild_some(&mut self, parts: usize) {
        if self.is_symbol() {
            let before = self.memory.clone();
            if let Err(refusal) = self.memory.rebuild(&mut self.rebuild, &self.settings, self.now, parts + 1) {
                check_refusal(&refusal);
                check_untouched(&before, &self.memory, self.now);
            }
        }
    }

    /// Whatever is in a log, a rebuild leaves nothing for a second one to do.
    fn rebuild(&mut self) {
        if self.is_symbol() {
            projection::rebuild(&mut self.memory, Mode::Repair, &self.settings, self.now, 3);
            let progress = projection::rebuild(&mut self.memory, Mode::DryRun, &self.settings, self.now, 1_000);
            assert_eq!(progress.differing, 0, "{progress:?}");
        }
    }

    fn read(&self) {
        let view = View::of(&self.memory);
        let log = view.open(Key::Log).expect("a log is a stream");
        let order = Filter { order: Some("1"), ..Filter::default() };
        let recent = Filter { since: Some(START), source: Some(b"s"), ..Filter::default() };
        for filter in [Filter::default(), order, recent] {
            let all = Budget { entries: u64::MAX, bytes: usize::MAX, taken: u64::MAX, taken_bytes: usize::MAX };
            for direction in [Direction::Forward, Direction::Backward] {
                let (whole, next) = self.page(Span { direction, ..Span::BACKWARD }, &filter, all);
                assert_eq!(next, None);
                let pages = [
                    Budget { entries: 2, ..all },
                    Budget { bytes: 300, ..all },
                    Budget { taken: 1, ..all },
                    Budget { taken_bytes: 1, ..all },
                ];
                assert!(pages.iter().all(|budget| self.paged(direction, &filter, *budget) == whole));
            }
        }
        let mut replay = Replay::new(self.memory.scope(), self.now);
        let mut letters = Vec::new();
        view.entries(log, Span::after(StreamId::ZERO), &mut |id, entry| {
            let told = replay.take(&Logged::read(id, entry));
            assert_eq!(told, told.and_then(|_| replay.messages().last()).map(|message| message.body.len()));
            let pending = Pending { id, consumer: b"c".to_vec(), idle_ms: id.seq, deliveries: id.ms };
            letters.push(DeadLetter::of("log", b"g", &pending, entry));
            Flow::Continue
        });
        for message in replay.messages() {
            assert!(serde_json::from_str::<&serde_json::value::RawValue>(&message.body).is_ok(), "{}", message.body);
        }
        let behind = view.newest_id(log).unwrap_or_default();
        match bury(log, &letters, Clock { now: self.now, behind }, &self.settings) {
            Ok(plan) => assert!(plan.appends[0].entries.iter().all(|entry| entry.id > behind)),
            Err(refusal) => check_refusal(&refusal),
        }
        self.sweep();
        self.tails(&view);
    }

    fn page(&self, span: Span, filter: &Filter<'_>, budget: Budget) -> (Vec<StreamId>, Option<StreamId>) {
        let view = View::of(&self.memory);
        let log = view.open(Key::Log).expect("a log is a stream");
        let mut taken = Vec::new();
        let next = read(&view, log, span, filter, budget, &mut |logged, entry| {
            taken.push(logged.id);
            Some(wire_len(entry))
        });
        (taken, next)
    }

    fn paged(&self, direction: Direction, filter: &Filter<'_>, budget: Budget) -> Vec<StreamId> {
        let mut span = Span { direction, ..Span::BACKWARD };
        let mut all = Vec::new();
        loop {
            let (taken, next) = self.page(span, filter, budget);
            all.extend(taken);
            match (next, direction) {
                (None, _) => return all,
                (Some(next), Direction::Forward) => span.lowest = next,
                (Some(next), Direction::Backward) => span.highest = next,
            }
        }
    }

    /// Every entry gets its turn, wherever a sweep of pending entries begins.
    fn sweep(&self) {
        let Some(Value::Stream(log)) = self.memory.keys.get(&self.memory.key_name(Key::Log)) else { return };
        let middle = log.keys().nth(log.len() / 2).copied().unwrap_or_default();
        for begin in [StreamId::ZERO, middle, StreamId::MAX] {
            let mut sweep = Sweep::new(begin, Wanted { min_idle_ms: 0, count: 1_000, looks: 1_000 });
            while let Some(step) = sweep.step() {
                let within = log.range(step.lowest..=step.highest).take(step.count);
                let pending = |(&id, _)| Pending { id, consumer: Vec::new(), idle_ms: 0, deliveries: 1 };
                sweep.take(step, within.map(pending).collect());
            }
            let mut found: Vec<_> = sweep.finish().0.into_iter().map(|pending| pending.id).collect();
            found.sort_unstable();
            assert!(found.iter().eq(log.keys()));
        }
    }

    fn tails(&self, view: &View<'_>) {
        let scope = self.memory.scope();
        let log = view.open(Key::Log).expect("a log is a stream");
        let journal = Journal::open(view, scope, log, || view.open(Key::Last), None, None);
        let journal = match journal {
            Ok(journal) => journal,
            Err(refusal) => return check_refusal(&refusal),
        };
        if self.is_symbol() {
            return;
        }
        match tails(view, &journal) {
            Ok(tails) => assert!(tails.values().all(|tail| tail.count > 0)),
            Err(refusal) => check_refusal(&refusal),
        }
        if let Err(refusal) = newest_of_each(view, scope.name(), 1_000) {
            check_refusal(&refusal);
        }
        let event_type = StreamType::parse(b"order.created").expect("a type");
        if let Err(refusal) = newest(view, scope.name(), event_type) {
            check_refusal(&refusal);
        }
    }
}
