//! Publishers that go on whatever happens, and remember what was acknowledged.
//!
//! Each symbol has one: it sends one command after another, each with an id, and one that got no answer again
//! until it has one, as docs/consuming.md tells publishers to do. What it was promised is in the [`Ledger`],
//! for [`super::audit`] to hold against what is there in the end.

mod course;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use redis::Value;

use super::route::{Met, Route};
use super::wait::{deadline, pace_until, wait_until};
use super::{text, Words};
use course::{registration, Course, Sent, Step};
pub use course::{BOT_TYPE, TIMEFRAME};

/// When a publisher takes an event for safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Safety {
    /// With the reply.
    Replied,
    /// When a replica has it too; what none has is sent again.
    Replicated,
}

/// How long WAIT may wait, ms: until the next attempt.
const WAIT_MS: u32 = 1_000;

/// Between two commands of a publisher at least: a load is there to be hit by faults, not to fill the memory.
const PACE: Duration = Duration::from_millis(1);

/// Module arguments under which nothing of a long load is trimmed.
pub const KEEP_ALL: &str = "candle-history 100000 stream-maxlen 0 queue-maxlen 0";

/// An event of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The entry's id.
    pub id: String,
    /// The event's data, as it was sent.
    pub data: String,
}

/// What was promised about one symbol.
#[derive(Debug, Default)]
pub struct Promised {
    /// Events of the symbol's log by event id, with the entry's id that was replied.
    pub trades: BTreeMap<String, Entry>,
    /// The same of the stream of that name.
    pub events: BTreeMap<String, Entry>,
    /// Open times of candles.
    pub candles: Vec<u64>,
}

/// What was promised, and what it took.
#[derive(Debug, Default)]
pub struct Ledger {
    /// By symbol.
    pub promised: BTreeMap<String, Promised>,
    /// Commands that were answered.
    pub commands: u64,
    /// Commands that were sent again, because nobody answered or no replica had them.
    pub retries: u64,
    /// What the routes met.
    pub met: Met,
    /// The longest time from the first attempt to the promise.
    pub worst: Duration,
}

impl Ledger {
    /// How many events and candles were acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.promised.values().map(|p| p.trades.len() + p.events.len() + p.candles.len()).sum()
    }

    fn add(&mut self, other: Ledger) {
        self.promised.extend(other.promised);
        self.commands += other.commands;
        self.retries += other.retries;
        self.met.add(other.met);
        self.worst = self.worst.max(other.worst);
    }
}

/// How far a publisher has come.
#[derive(Default)]
struct Progress {
    /// Its condition and its bot are there.
    is_registered: AtomicBool,
    /// Commands that were answered since.
    commands: AtomicU64,
}

impl Progress {
    fn commands(&self) -> u64 {
        self.commands.load(Ordering::Relaxed)
    }
}

/// Publishers at work.
pub struct Load {
    ending: Arc<AtomicBool>,
    publishers: Vec<(Arc<Progress>, JoinHandle<Ledger>)>,
}

impl Load {
    /// Starts a publisher for each symbol, each with a route of its own; returns when all conditions and bots are
    /// registered. That is sent once and is in no ledger: a course that may lose what was acknowledged has to make it
    /// durable before it loses anything, or candles trigger nothing from then on.
    #[track_caller]
    pub fn start(symbols: &[String], safety: Safety, route: impl Fn() -> Box<dyn Route>) -> Load {
        let ending = Arc::new(AtomicBool::new(false));
        let publisher = |symbol: &String| {
            let publisher = Publisher { symbol: symbol.clone(), safety, route: route(), ledger: Ledger::default() };
            let (ending, progress) = (ending.clone(), Arc::new(Progress::default()));
            let told = progress.clone();
            (progress, thread::spawn(move || publisher.run(&ending, &told)))
        };
        let load = Load { ending: ending.clone(), publishers: symbols.iter().map(publisher).collect() };
        let is_registered = |progress: &Progress| progress.is_registered.load(Ordering::Relaxed);
        load.await_all("the publishers to register", || load.progress().all(is_registered));
        load
    }

    fn progress(&self) -> impl Iterator<Item = &Progress> {
        self.publishers.iter().map(|(progress, _)| &**progress)
    }

    /// Waits until so many more commands were answered, of whichever publishers.
    #[track_caller]
    pub fn await_more(&self, count: u64) {
        let commands = || self.progress().map(Progress::commands).sum::<u64>();
        let target = commands() + count;
        self.await_all("the publishers to go on", || commands() >= target);
    }

    /// Waits until so many commands were answered to each publisher.
    #[track_caller]
    pub fn await_of_each(&self, count: u64) {
        self.await_all("each publisher to go on", || self.progress().all(|progress| progress.commands() >= count));
    }

    /// Waits for what publishers come to, unless one gives up.
    #[track_caller]
    fn await_all(&self, what: &str, condition: impl Fn() -> bool) {
        let has_given_up = || self.publishers.iter().any(|(_, publisher)| publisher.is_finished());
        wait_until(what, || condition() || has_given_up());
        assert!(!has_given_up(), "a publisher gave up");
    }

    /// Lets each publisher end what it is at, and returns what they were promised.
    #[track_caller]
    pub fn stop(self) -> Ledger {
        self.ending.store(true, Ordering::Relaxed);
        let mut ledger = Ledger::default();
        for (_, publisher) in self.publishers {
            ledger.add(publisher.join().expect("a publisher gave up: see above"));
        }
        ledger
    }
}

/// The publisher of a symbol.
struct Publisher {
    symbol: String,
    safety: Safety,
    route: Box<dyn Route>,
    ledger: Ledger,
}

impl Publisher {
    fn run(mut self, ending: &AtomicBool, progress: &Progress) -> Ledger {
        let mut promised = Promised::default();
        for command in registration(&self.symbol) {
            self.until_promised(&command.words());
        }
        progress.is_registered.store(true, Ordering::Relaxed);
        let mut course = Course::new(&self.symbol);
        while !ending.load(Ordering::Relaxed) {
            let (command, step) = course.next();
            let next = Instant::now() + PACE;
            let reply = self.until_promised(&command.words());
            note(&mut promised, step, &reply);
            progress.commands.fetch_add(1, Ordering::Relaxed);
            self.ledger.commands += 1;
            pace_until(next);
        }
        self.ledger.met = self.route.met();
        self.ledger.promised.insert(self.symbol, promised);
        self.ledger
    }

    /// Sends a command until it is answered and as safe as wanted.
    fn until_promised(&mut self, command: &[Vec<u8>]) -> Value {
        let first = Instant::now();
        loop {
            match self.attempt(command) {
                Ok(Some(reply)) => {
                    self.ledger.worst = self.ledger.worst.max(first.elapsed());
                    return reply;
                }
                Ok(None) | Err(_) => self.ledger.retries += 1,
            }
            assert!(first.elapsed() < deadline() * 3, "{}: no promise in time", shown(command));
        }
    }

    /// One attempt: the reply, None when it is not safe, an error when nobody answered.
    fn attempt(&mut self, command: &[Vec<u8>]) -> Result<Option<Value>, String> {
        let reply = self.route.ask(&self.symbol, command)?;
        assert!(!matches!(reply, Value::ServerError(_)), "{}: {}", shown(command), text(&reply));
        if self.safety == Safety::Replied {
            return Ok(Some(reply));
        }
        let mark = format!("load:{{{}}}", self.symbol);
        Ok((self.route.wait(&mark, 1, WAIT_MS)? >= 1).then_some(reply))
    }
}

fn shown(command: &[Vec<u8>]) -> String {
    command.iter().map(|word| word.escape_ascii().to_string()).collect::<Vec<_>>().join(" ")
}

/// Notes what a reply promises.
fn note(promised: &mut Promised, step: Step, reply: &Value) {
    match step {
        Step::Trades(sent) => {
            let replied = match reply {
                Value::Array(replied) => replied.iter().map(id_of).collect(),
                one => vec![id_of(one)],
            };
            let entries =
                sent.into_iter().zip(replied).map(|(Sent { event_id, data }, id)| (event_id, Entry { id, data }));
            promised.trades.extend(entries);
        }
        Step::Event(Sent { event_id, data }) => {
            promised.events.insert(event_id, Entry { id: id_of(reply), data });
        }
        Step::Candle(open_time) => promised.candles.push(open_time),
    }
}

fn id_of(reply: &Value) -> String {
    match reply {
        Value::BulkString(id) => String::from_utf8_lossy(id).into_owned(),
        other => panic!("not an id: {}", text(other)),
    }
}
