//! The model of a whole server: the symbols and streams that it has, and its settings.

use std::collections::BTreeMap;

use tradebus_core::key::Key;
use tradebus_core::memory::{Memory, Published};
use tradebus_core::refusal::Outcome;
use tradebus_core::settings::{Lifecycle, PubSub, Settings};

use super::keyspace::{Held, Keys, Look};
use super::said::Said;
use super::{hand, market, stream, trade};

/// A symbol or a stream, as the model knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Symbol,
    Stream,
}

/// What every key has, and how it came to that.
pub struct World {
    settings: Settings,
    memories: BTreeMap<(Kind, String), Memory>,
}

/// What a command comes to. Nothing is changed until [`World::take`] has it.
pub struct Answer {
    pub said: Said,
    pub messages: Vec<Published>,
    changed: Option<((Kind, String), Memory)>,
}

impl World {
    pub fn new() -> World {
        // The timer stays out of it: its turn comes an hour after the bars of a sequence.
        World { settings: Settings { bar_grace_ms: 3_600_000, ..Settings::default() }, memories: BTreeMap::new() }
    }

    /// What a command replies and changes if it runs at `now`.
    pub fn answer(&self, words: &[String], now: i64) -> Answer {
        let kind = match words[0].starts_with("EVENT.") {
            true => Kind::Stream,
            false => Kind::Symbol,
        };
        let place = (kind, words[1].clone());
        let mut memory = self.memory(&place);
        memory.expire(now);
        let outcome = self.run(&mut memory, words, now);
        let messages = std::mem::take(&mut memory.messages);
        match outcome {
            Ok(said) => Answer { said, messages, changed: Some((place, memory)) },
            Err(refusal) => Answer { said: refusal.into(), messages: Vec::new(), changed: None },
        }
    }

    fn memory(&self, (kind, name): &(Kind, String)) -> Memory {
        let known = self.memories.get(&(*kind, name.clone())).cloned();
        known.unwrap_or_else(|| match kind {
            Kind::Symbol => Memory::of_symbol(name),
            Kind::Stream => Memory::of_stream(name),
        })
    }

    /// Nothing is remembered between commands any more, as after a load.
    pub fn forget(&mut self) {
        self.memories.values_mut().for_each(|memory| memory.journal = None);
    }

    /// Does what somebody does by hand at `now`; gives the words as a server takes them.
    pub fn by_hand(&mut self, words: &[String], now: i64) -> Vec<String> {
        let (is_stream, name) = hand::owner(&words[1]);
        let place = (if is_stream { Kind::Stream } else { Kind::Symbol }, name.to_owned());
        let mut memory = self.memory(&place);
        memory.expire(now);
        let words = hand::resolve(&memory, words);
        hand::apply(&mut memory, &words);
        self.memories.insert(place, memory);
        words
    }

    fn run(&self, memory: &mut Memory, words: &[String], now: i64) -> Outcome<Said> {
        let (name, settings, rest) = (words[0].as_str(), &self.settings, &words[2..]);
        if let Some(outcome) = market::change(memory, name, rest, settings, now) {
            return outcome;
        }
        match name {
            "TRADE.PUBLISH" => trade::publish(memory, rest, settings, now),
            "TRADE.MPUBLISH" => trade::mpublish(memory, rest, settings, now),
            "TRADE.INSTRUMENT" => trade::instrument(memory, rest),
            "TRADE.ORDER" => trade::entity(memory, Key::Order(&rest[0])),
            "TRADE.POSITION" => trade::entity(memory, Key::Position(&rest[0])),
            "TRADE.SIGNAL" => trade::entity(memory, Key::Signal(&rest[0])),
            "TRADE.ORDERS" => trade::listed(memory, rest, Key::OpenOrders, |id| Key::Order(id)),
            "TRADE.POSITIONS" => trade::listed(memory, rest, Key::ActivePositions, |id| Key::Position(id)),
            "TRADE.EVENTS" | "EVENT.RANGE" => trade::range(memory, rest),
            "TRADE.STATS" | "EVENT.STATS" => trade::stats(memory),
            "TRADE.REBUILD" => trade::rebuild(memory, settings, now),
            "EVENT.PUBLISH" => stream::publish(memory, rest, settings, now),
            "EVENT.LAST" => stream::last(memory, rest),
            "EVENT.SCHEMA" => stream::schema(memory, rest, settings),
            "COND.GET" => market::get(memory, rest, now),
            "COND.LIST" => market::list(memory, rest, now),
            "COND.EXPLAIN" => market::explained(memory, rest),
            "COND.SUBSCRIBERS" => market::subscribers(memory, rest),
            "MARKET.CANDLES" => market::candles(memory, rest),
            other => panic!("the model does not know {other}"),
        }
    }

    /// Takes over what a command came to.
    pub fn take(&mut self, answer: Answer) {
        self.memories.extend(answer.changed);
    }

    /// CONFIG SET of one of ours.
    pub fn configure(&mut self, name: &str, value: &str) {
        let settings = &mut self.settings;
        let number = || value.parse::<u64>().expect("a number");
        match name {
            "lifecycle" => {
                settings.lifecycle = match value {
                    "strict" => Lifecycle::Strict,
                    "off" => Lifecycle::Off,
                    _ => Lifecycle::Lenient,
                }
            }
            "pubsub" => settings.pubsub = if value == "off" { PubSub::Off } else { PubSub::Classic },
            "stream-maxlen" => settings.stream_maxlen = number(),
            "stream-maxage" => settings.stream_maxage_ms = number(),
            "queue-maxlen" => settings.queue_maxlen = number(),
            "closed-ttl" => settings.closed_ttl_ms = number(),
            "signal-ttl" => settings.signal_ttl_ms = number(),
            "dedupe-window" => settings.dedupe_window_ms = number(),
            "dedupe-max" => settings.dedupe_max = number(),
            "max-event-size" => settings.max_event_size = number() as usize,
            "candle-history" => settings.candle_history = number(),
            other => panic!("the model does not know tradebus.{other}"),
        }
    }

    /// Every key of those that are looked at that has not expired at `now`, with what `answer` would change.
    pub fn keys(&self, answer: Option<&Answer>, look: Look<'_>, now: i64) -> Keys {
        let changed = answer.and_then(|answer| answer.changed.as_ref()).map(|(place, memory)| (place, memory));
        let others = self.memories.iter().filter(|(place, _)| changed.is_none_or(|(changed, _)| changed != *place));
        let mut keys = Keys::new();
        for (_, memory) in others.chain(changed) {
            let covered = memory.keys.iter().filter(|(name, _)| look.covers(name));
            let living = covered.filter_map(|(name, value)| {
                let expires_at = memory.expiries.get(name).copied();
                let lives = expires_at.is_none_or(|at| at > now);
                lives.then(|| (name.clone(), Held::of(value, expires_at, look)))
            });
            keys.extend(living);
        }
        keys
    }

    /// When keys expire, with what `answer` would change.
    pub fn expiries<'w>(&'w self, answer: Option<&'w Answer>) -> impl Iterator<Item = i64> + 'w {
        let changed = answer.and_then(|answer| answer.changed.as_ref()).map(|(_, memory)| memory);
        self.memories.values().chain(changed).flat_map(|memory| memory.expiries.values().copied())
    }
}
