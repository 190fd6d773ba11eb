//! The events of a run: the same for every peer and every run of the same size, and with each event what
//! a client that knew everything would write for it. From that follows the state that every peer must end in.

use std::collections::BTreeMap;

use crate::lives::{self, Life, Step};

/// What trades, with a price in hundredths. Names with a slash or a colon are symbols like any other.
pub const SYMBOLS: [(&str, u64); 20] = [
    ("XAUUSD", 265_040),
    ("XAGUSD", 3_112),
    ("EURUSD", 10_850),
    ("GBPUSD", 12_690),
    ("USDJPY", 15_120),
    ("AUDUSD", 6_540),
    ("USDCHF", 8_810),
    ("NAS100", 2_014_550),
    ("US30", 4_190_020),
    ("GER40", 2_230_010),
    ("BTC/USDT", 9_640_010),
    ("ETH/USDT", 334_050),
    ("SOL/USDT", 18_820),
    ("XRP/USDT", 245),
    ("BNB/USDT", 69_110),
    ("BTC/USDT:USDT", 9_642_030),
    ("ETH/USDT:USDT", 334_170),
    ("BINANCE:ADAUSDT", 9_640),
    ("BINANCE:LTCUSDT", 12_330),
    ("AAPL", 22_720),
];

/// Entities that are in the middle of their lives at any time.
const LIVE_ENTITIES: usize = 2_000;
/// A short run has fewer of them: else most would never come to their end.
const EVENTS_PER_LIVE_ENTITY: usize = 20;
const SEED: u64 = 0x7261_6465_6275_7300;
/// Midnight of 2025-01-01, UTC.
const FIRST_EVENT_MS: u64 = 1_735_689_600_000;
const EVENT_INTERVAL_MS: u64 = 20;
const DAY_MS: u64 = 86_400_000;

/// What producers tell twice.
#[derive(Clone, Copy)]
pub enum Retries {
    /// Two in a hundred of the fills that have a fill_id, as venues do.
    Fills,
    /// A tenth of them: to see what a peer makes of them.
    ManyFills,
    /// A tenth of everything that is not a record: for peers that know an event by its id.
    Anything,
}

impl Retries {
    fn is_due(self, event: &Event, rng: &mut Rng) -> bool {
        match self {
            Retries::Fills => event.has_fill_id() && rng.chance(2),
            Retries::ManyFills => event.has_fill_id() && rng.chance(10),
            Retries::Anything => rng.chance(10),
        }
    }
}

/// An event as its producer has it.
#[derive(Clone)]
pub struct Event {
    pub symbol: &'static str,
    pub event_type: &'static str,
    /// The id that makes it idempotent; a redelivery bears the same.
    pub event_id: String,
    /// Event time, ms.
    pub ts: u64,
    /// Event time, RFC 3339: also a member of the data.
    pub timestamp: String,
    pub data: Members,
    pub about: About,
}

/// A flat JSON object: as a client flattens it for HSET, and as text.
#[derive(Clone, Default)]
pub struct Members {
    pub flat: Vec<(&'static str, String)>,
    pub json: String,
}

impl Members {
    /// Appends a string member, that needs no escapes.
    pub fn text(mut self, name: &'static str, value: impl Into<String>) -> Members {
        let value = value.into();
        let json = format!("\"{value}\"");
        self.append(name, value, &json);
        self
    }

    /// Appends a number as it is written, or any other JSON value.
    pub fn raw(mut self, name: &'static str, value: impl ToString) -> Members {
        let value = value.to_string();
        let json = value.clone();
        self.append(name, value, &json);
        self
    }

    fn append(&mut self, name: &'static str, value: String, json: &str) {
        self.json.pop();
        let separator = if self.flat.is_empty() { "{" } else { "," };
        self.json += &format!("{separator}\"{name}\":{json}}}");
        self.flat.push((name, value));
    }
}

/// What an event changes beside the log.
#[derive(Clone)]
pub enum About {
    Entity(Change),
    Risk { limit: &'static str },
    Record,
}

/// What an event does to its entity.
#[derive(Clone)]
pub struct Change {
    pub subject: Subject,
    pub id: String,
    pub status: &'static str,
    /// What follows from the entity's history: fields and their values after the event.
    pub derived: Vec<(&'static str, String)>,
    pub index: IndexChange,
    pub expiry: Expiry,
    /// Whether it is a fill to which the venue gave an id.
    pub has_fill_id: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    Order,
    Position,
    Signal,
}

impl Subject {
    pub fn key(self, symbol: &str, id: &str) -> String {
        let kind = match self {
            Subject::Order => "order",
            Subject::Position => "position",
            Subject::Signal => "signal",
        };
        format!("trade:{{{symbol}}}:{kind}:{id}")
    }

    /// The index of those that are open; signals have none.
    pub fn index_key(self, symbol: &str) -> Option<String> {
        match self {
            Subject::Order => Some(format!("trade:{{{symbol}}}:orders:open")),
            Subject::Position => Some(format!("trade:{{{symbol}}}:positions:active")),
            Subject::Signal => None,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum IndexChange {
    Enter,
    Leave,
    Stay,
}

/// Which time to live begins with the event.
#[derive(Clone, Copy)]
pub enum Expiry {
    Unchanged,
    /// Of a signal that waits for a judgement.
    Unjudged,
    /// Of whatever has reached its end.
    Closed,
}

/// The events, in order.
pub struct Workload {
    pub events: Vec<Event>,
}

/// What must be in the keyspace in the end, as the lives have it: a second opinion beside the core's.
pub struct Expected {
    /// Key -> field -> value.
    pub hashes: BTreeMap<String, BTreeMap<&'static str, String>>,
    /// Index key -> members.
    pub indexes: BTreeMap<String, i64>,
}

impl Workload {
    /// Makes `count` events.
    pub fn new(count: usize, retries: Retries) -> Workload {
        let mut rng = Rng(fastrand::Rng::with_seed(SEED));
        let live = LIVE_ENTITIES.min(count.div_ceil(EVENTS_PER_LIVE_ENTITY));
        let mut slots: Vec<Slot> = (0..live).map(|_| Slot::default()).collect();
        let mut lives_begun = 0;
        let mut events = Vec::with_capacity(count);
        while events.len() < count {
            let number = events.len() as u64;
            let now = Moment::of_event(number);
            if rng.chance(3) {
                events.push(now.event(rng.symbol().0, lives::record(&mut rng, number, &now)));
                continue;
            }
            let slot_number = rng.below(live as u64) as usize;
            let slot = &mut slots[slot_number];
            if let Some(event) = slot.redelivery.take() {
                events.push(event);
                continue;
            }
            let (symbol, life) = slot.life.get_or_insert_with(|| {
                lives_begun += 1;
                let (symbol, price) = rng.symbol();
                (symbol, lives::begin(&mut rng, price, lives_begun))
            });
            let step = life.next(&mut rng, &now);
            let last = step.last;
            let event = now.event(symbol, step);
            if last {
                slot.life = None;
            }
            if retries.is_due(&event, &mut rng) {
                slot.redelivery = Some(event.clone());
            }
            events.push(event);
        }
        Workload { events }
    }

    /// Makes `count` events of no entity.
    pub fn of_records(count: usize) -> Workload {
        let mut rng = Rng(fastrand::Rng::with_seed(SEED));
        let record = |number| {
            let now = Moment::of_event(number as u64);
            now.event(rng.symbol().0, lives::record(&mut rng, number as u64, &now))
        };
        Workload { events: (0..count).map(record).collect() }
    }

    /// What the data is like, in words.
    pub fn describe(&self) -> String {
        let [bytes, members] = [|e: &Event| e.data.json.len(), |e: &Event| e.data.flat.len()].map(|size| {
            let mut sizes: Vec<usize> = self.events.iter().map(size).collect();
            sizes.sort_unstable();
            let percentile = |percent| sizes.get(sizes.len() * percent / 100).copied().unwrap_or(0);
            [percentile(2), percentile(50), percentile(98)]
        });
        format!(
            "data of {} to {} bytes (median {}), {} to {} members, {} symbols",
            bytes[0],
            bytes[2],
            bytes[1],
            members[0],
            members[2],
            SYMBOLS.len()
        )
    }

    /// The state after the last event.
    pub fn expected(&self) -> Expected {
        let mut hashes: BTreeMap<String, BTreeMap<_, _>> = BTreeMap::new();
        let mut indexes = BTreeMap::new();
        for event in &self.events {
            let About::Entity(change) = &event.about else {
                continue;
            };
            let hash = hashes.entry(change.subject.key(event.symbol, &change.id)).or_default();
            let known_before = hash.insert("status", change.status.to_owned());
            hash.extend(change.derived.iter().cloned());
            if let Some(key) = change.subject.index_key(event.symbol) {
                let open = indexes.entry(key).or_insert(0);
                match change.index {
                    // What is told twice happens once.
                    IndexChange::Enter if known_before.is_none() => *open += 1,
                    IndexChange::Leave if known_before.as_deref() != Some(change.status) => *open -= 1,
                    _ => {}
                }
            }
        }
        Expected { hashes, indexes }
    }
}

/// A place in the set of live entities.
#[derive(Default)]
struct Slot {
    life: Option<(&'static str, Box<dyn Life>)>,
    redelivery: Option<Event>,
}

/// When an event happens, by its number.
pub struct Moment {
    number: u64,
    pub ms: u64,
    pub rfc3339: String,
}

impl Moment {
    fn of_event(number: u64) -> Moment {
        // All within one day, so that no calendar is needed: a longer run begins the day again.
        let of_day = number * EVENT_INTERVAL_MS % DAY_MS;
        Moment {
            number,
            ms: FIRST_EVENT_MS + of_day,
            rfc3339: format!(
                "2025-01-01T{:02}:{:02}:{:02}.{:03}Z",
                of_day / 3_600_000,
                of_day / 60_000 % 60,
                of_day / 1_000 % 60,
                of_day % 1_000
            ),
        }
    }

    fn event(&self, symbol: &'static str, step: Step) -> Event {
        Event {
            symbol,
            event_type: step.event_type,
            event_id: format!("evt-{:08}", self.number),
            ts: self.ms,
            timestamp: self.rfc3339.clone(),
            data: step.data,
            about: step.about,
        }
    }
}

impl Event {
    fn has_fill_id(&self) -> bool {
        matches!(&self.about, About::Entity(change) if change.has_fill_id)
    }
}

/// Chance, the same in every run.
pub struct Rng(fastrand::Rng);

impl Rng {
    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0.u64(..bound)
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.0.usize(..choices.len())]
    }

    fn symbol(&mut self) -> (&'static str, u64) {
        self.pick(&SYMBOLS)
    }
}

/// Hundredths as a producer writes them: always two places.
pub fn written(hundredths: u64) -> String {
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// A scaled integer as a computed value is written: without zeros that say nothing.
pub fn trimmed(value: i64, places: u32) -> String {
    let scale = 10_u64.pow(places);
    let sign = if value < 0 { "-" } else { "" };
    let magnitude = value.unsigned_abs();
    let fraction = format!("{:0width$}", magnitude % scale, width = places as usize);
    let text = format!("{sign}{}.{fraction}", magnitude / scale);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
