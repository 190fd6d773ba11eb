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
use super::wait::{pace_until, wait_until};
use super::{text, Words};
pub use course::{registration, BOT_TYPE, CONDITION, TIMEFRAME};
use course::{Course, Step};

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

/// What was promised about one symbol.
#[derive(Debug, Default)]
pub struct Promised {
    /// Events of the symbol's log by event id, with the entry's id that was replied.
    pub trades: BTreeMap<String, String>,
    /// The same of the stream of that name.
    pub events: BTreeMap<String, String>,
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

/// Publishers at work.
pub struct Load {
    ending: Arc<AtomicBool>,
    commands: Arc<AtomicU64>,
    publishers: Vec<JoinHandle<Ledger>>,
}

impl Load {
    /// Starts a publisher for each symbol, each with a route of its own.
    pub fn start(symbols: &[String], safety: Safety, route: impl Fn() -> Box<dyn Route>) -> Load {
        let (ending, commands) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let publisher = |symbol: &String| {
            let publisher = Publisher { symbol: symbol.clone(), safety, route: route(), ledger: Ledger::default() };
            let (ending, commands) = (ending.clone(), commands.clone());
            thread::spawn(move || publisher.run(&ending, &commands))
        };
        let publishers = symbols.iter().map(publisher).collect();
        Load { ending, commands, publishers }
    }

    /// How many commands were answered so far.
    pub fn commands(&self) -> u64 {
        self.commands.load(Ordering::Relaxed)
    }

    /// Waits until so many more commands were answered.
    #[track_caller]
    pub fn await_more(&self, count: u64) {
        let target = self.commands() + count;
        wait_until("the publishers to go on", || {
            self.commands() >= target || self.publishers.iter().any(JoinHandle::is_finished)
        });
        assert!(self.publishers.iter().all(|publisher| !publisher.is_finished()), "a publisher gave up");
    }

    /// Lets each publisher end what it is at, and returns what they were promised.
    #[track_caller]
    pub fn stop(self) -> Ledger {
        self.ending.store(true, Ordering::Relaxed);
        let mut ledger = Ledger::default();
        for publisher in self.publishers {
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
    fn run(mut self, ending: &AtomicBool, commands: &AtomicU64) -> Ledger {
        let mut promised = Promised::default();
        for command in registration(&self.symbol) {
            self.until_promised(&command.words());
        }
        let mut course = Course::new(&self.symbol);
        while !ending.load(Ordering::Relaxed) {
            let (command, step) = course.next();
            let next = Instant::now() + PACE;
            let reply = self.until_promised(&command.words());
            note(&mut promised, step, &reply);
            commands.fetch_add(1, Ordering::Relaxed);
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
            assert!(first.elapsed() < super::wait::DEADLINE * 3, "{}: no promise in time", shown(command));
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
        Step::Trades(ids) => {
            let replied = match reply {
                Value::Array(replied) => replied.iter().map(id_of).collect(),
                one => vec![id_of(one)],
            };
            promised.trades.extend(ids.into_iter().zip(replied));
        }
        Step::Event(id) => {
            promised.events.insert(id, id_of(reply));
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
