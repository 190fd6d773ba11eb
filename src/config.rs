//! The configuration: what there is, its defaults and bounds, and its present values.
//!
//! One table is behind `CONFIG SET tradebus.<name>`, `redis.conf` and the arguments of `loadmodule`.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tradebus_core::settings::{Lifecycle, PubSub, Settings};

const KIB: i64 = 1_024;
const MIB: i64 = 1_024 * KIB;
const SECOND_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;
/// A hundred years: far enough for ever, and no sum with a time overflows.
const DURATION_MAX_MS: i64 = 100 * 365 * DAY_MS;

/// What a number counts, and so how it may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Things, or milliseconds: digits only.
    Plain,
    /// Bytes: `64kb` is allowed.
    Bytes,
}

/// A configuration with a number as its value.
pub struct Number {
    /// The name, without `tradebus.`.
    pub name: &'static str,
    /// What it is without being configured.
    pub default: i64,
    /// The smallest value.
    pub min: i64,
    /// The largest value.
    pub max: i64,
    /// How it is written.
    pub unit: Unit,
    value: AtomicU64,
}

/// A configuration with one of some words as its value.
pub struct Choice {
    /// The name, without `tradebus.`.
    pub name: &'static str,
    /// The words, the default first.
    pub words: &'static [&'static str],
    value: AtomicU64,
}

const fn number(name: &'static str, default: i64, min: i64, max: i64, unit: Unit) -> Number {
    Number { name, default, min, max, unit, value: AtomicU64::new(default as u64) }
}

const fn choice(name: &'static str, words: &'static [&'static str]) -> Choice {
    Choice { name, words, value: AtomicU64::new(0) }
}

static STREAM_MAXLEN: Number = number("stream-maxlen", 1_000_000, 0, i64::MAX, Unit::Plain);
static STREAM_MAXAGE: Number = number("stream-maxage", 0, 0, DURATION_MAX_MS, Unit::Plain);
static QUEUE_MAXLEN: Number = number("queue-maxlen", 100_000, 0, i64::MAX, Unit::Plain);
static CLOSED_TTL: Number = number("closed-ttl", 7 * DAY_MS, 0, DURATION_MAX_MS, Unit::Plain);
static SIGNAL_TTL: Number = number("signal-ttl", DAY_MS, 0, DURATION_MAX_MS, Unit::Plain);
static DEDUPE_WINDOW: Number = number("dedupe-window", 10 * MINUTE_MS, SECOND_MS, DURATION_MAX_MS, Unit::Plain);
static DEDUPE_MAX: Number = number("dedupe-max", 1_000_000, 1_000, 100_000_000, Unit::Plain);
static MAX_EVENT_SIZE: Number = number("max-event-size", 64 * KIB, KIB, 16 * MIB, Unit::Bytes);
static CANDLE_HISTORY: Number = number("candle-history", 1_000, 0, i64::MAX, Unit::Plain);
static BAR_GRACE: Number = number("bar-grace", 2 * SECOND_MS, 0, 60 * MINUTE_MS, Unit::Plain);
static SCAN_LIMIT: Number = number("scan-limit", 2_000, 100, 1_000_000, Unit::Plain);

/// The numbers.
pub static NUMBERS: [&Number; 11] = [
    &STREAM_MAXLEN,
    &STREAM_MAXAGE,
    &QUEUE_MAXLEN,
    &CLOSED_TTL,
    &SIGNAL_TTL,
    &DEDUPE_WINDOW,
    &DEDUPE_MAX,
    &MAX_EVENT_SIZE,
    &CANDLE_HISTORY,
    &BAR_GRACE,
    &SCAN_LIMIT,
];

static LIFECYCLE: Choice = choice("lifecycle", &["lenient", "strict", "off"]);
static PUBSUB: Choice = choice("pubsub", &["classic", "sharded", "off"]);
/// A boolean of the server's.
pub static ANY_DB: Choice = choice("any-db", &["no", "yes"]);

/// The choices.
pub static CHOICES: [&Choice; 3] = [&LIFECYCLE, &PUBSUB, &ANY_DB];

/// The name of the one text, without `tradebus.`: the groups that every new log gets.
pub const CONSUMER_GROUPS: &str = "consumer-groups";
/// More groups than this would make every new symbol slow.
const GROUPS_MAX: usize = 16;
const GROUP_NAME_MAX: usize = 64;

impl Number {
    /// The present value.
    pub fn get(&self) -> i64 {
        self.value.load(Relaxed) as i64
    }

    /// Sets a value that is within the bounds.
    pub fn set(&self, value: i64) {
        self.value.store(value as u64, Relaxed);
    }

    fn get_u64(&self) -> u64 {
        self.value.load(Relaxed)
    }

    fn parse(&self, text: &str) -> Result<i64, String> {
        let parsed = match self.unit {
            Unit::Plain => text.parse().ok(),
            Unit::Bytes => parse_bytes(text),
        };
        match parsed {
            Some(value) if (self.min..=self.max).contains(&value) => Ok(value),
            _ => Err(format!("{} must be a number from {} to {}, not `{text}`", self.name, self.min, self.max)),
        }
    }
}

impl Choice {
    /// The place of the present word.
    pub fn get(&self) -> usize {
        self.value.load(Relaxed) as usize
    }

    /// Sets the word at `place`, which is one of [`Choice::words`].
    pub fn set(&self, place: usize) {
        self.value.store(place as u64, Relaxed);
    }

    fn parse(&self, text: &str) -> Result<usize, String> {
        let found = self.words.iter().position(|word| word.eq_ignore_ascii_case(text));
        found.ok_or_else(|| format!("{} must be one of {}, not `{text}`", self.name, self.words.join(", ")))
    }
}

/// A size as `redis.conf` has them: `64kb` is 65,536, `64k` is 64,000.
fn parse_bytes(text: &str) -> Option<i64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (count, unit) = text.split_at(digits);
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1_000,
        "kb" => KIB,
        "m" => 1_000_000,
        "mb" => MIB,
        _ => return None,
    };
    count.parse::<i64>().ok()?.checked_mul(factor)
}

/// The names in a list of consumer groups, which are separated by spaces or commas.
///
/// # Errors
/// What is wrong, when a name is not `[A-Za-z0-9_.-]{1,64}`, comes twice, or there are more than 16.
pub fn parse_groups(text: &str) -> Result<Vec<&str>, String> {
    let mut groups = Vec::new();
    for name in text.split([' ', ',']).filter(|name| !name.is_empty()) {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        if name.len() > GROUP_NAME_MAX || !name.bytes().all(is_allowed) {
            return Err(format!(
                "{CONSUMER_GROUPS}: a name is 1 to {GROUP_NAME_MAX} of A-Z a-z 0-9 _ . -, not `{name}`"
            ));
        }
        if groups.contains(&name) {
            return Err(format!("{CONSUMER_GROUPS}: `{name}` comes twice"));
        }
        groups.push(name);
    }
    match groups.len() <= GROUPS_MAX {
        true => Ok(groups),
        false => Err(format!("{CONSUMER_GROUPS}: at most {GROUPS_MAX} names, not {}", groups.len())),
    }
}

/// What the arguments of `loadmodule` make of the defaults. `CONFIG SET` and `redis.conf` come after them.
pub struct Defaults {
    /// As [`NUMBERS`].
    pub numbers: [i64; NUMBERS.len()],
    /// As [`CHOICES`], by place of the word.
    pub choices: [usize; CHOICES.len()],
    /// The consumer groups.
    pub groups: String,
}

impl Defaults {
    /// Reads pairs of a name and a value.
    ///
    /// # Errors
    /// What is wrong with the first that cannot be used.
    pub fn from_arguments(arguments: &[&[u8]]) -> Result<Defaults, String> {
        let mut defaults = Defaults {
            numbers: std::array::from_fn(|place| NUMBERS[place].default),
            choices: [0; CHOICES.len()],
            groups: String::new(),
        };
        let mut seen: Vec<&str> = Vec::new();
        for pair in arguments.chunks(2) {
            let utf8 = |text| std::str::from_utf8(text).map_err(|_| "an argument is not UTF-8".to_owned());
            let name = utf8(pair[0])?;
            let value = utf8(pair.get(1).ok_or_else(|| format!("the argument {name} has no value"))?)?;
            if seen.contains(&name) {
                return Err(format!("the argument {name} comes twice"));
            }
            seen.push(name);
            defaults.take(name, value)?;
        }
        Ok(defaults)
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), String> {
        if let Some(place) = NUMBERS.iter().position(|number| number.name == name) {
            self.numbers[place] = NUMBERS[place].parse(value)?;
        } else if let Some(place) = CHOICES.iter().position(|choice| choice.name == name) {
            self.choices[place] = CHOICES[place].parse(value)?;
        } else if name == CONSUMER_GROUPS {
            parse_groups(value)?;
            value.clone_into(&mut self.groups);
        } else {
            let numbers = NUMBERS.iter().map(|number| number.name);
            let known = numbers.chain(CHOICES.iter().map(|choice| choice.name)).chain([CONSUMER_GROUPS]);
            let known = known.collect::<Vec<_>>().join(", ");
            return Err(format!("unknown argument `{name}`; known are {known}"));
        }
        Ok(())
    }
}

/// A snapshot for one command.
pub fn settings() -> Settings {
    Settings {
        lifecycle: match LIFECYCLE.get() {
            1 => Lifecycle::Strict,
            2 => Lifecycle::Off,
            _ => Lifecycle::Lenient,
        },
        pubsub: match PUBSUB.get() {
            1 => PubSub::Sharded,
            2 => PubSub::Off,
            _ => PubSub::Classic,
        },
        stream_maxlen: STREAM_MAXLEN.get_u64(),
        stream_maxage_ms: STREAM_MAXAGE.get_u64(),
        queue_maxlen: QUEUE_MAXLEN.get_u64(),
        closed_ttl_ms: CLOSED_TTL.get_u64(),
        signal_ttl_ms: SIGNAL_TTL.get_u64(),
        dedupe_window_ms: DEDUPE_WINDOW.get_u64(),
        dedupe_max: DEDUPE_MAX.get_u64(),
        max_event_size: MAX_EVENT_SIZE.get_u64() as usize,
        candle_history: CANDLE_HISTORY.get_u64(),
        bar_grace_ms: BAR_GRACE.get_u64(),
    }
}

/// Whether commands work in other databases than 0.
pub fn any_db() -> bool {
    ANY_DB.get() != 0
}

/// How many entries or members one command reads at most.
pub fn scan_limit() -> i64 {
    SCAN_LIMIT.get()
}
