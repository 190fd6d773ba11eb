//! A desk for conditions, candles and bots: commands as values, and what a caller would be replied as a text.

use std::cell::Cell;
use std::ops::Deref;

use tradebus_core::candle::Candle;
use tradebus_core::condition::{Mode, Status};
use tradebus_core::forming::Tick;
use tradebus_core::key::Key;
use tradebus_core::market::{self, Engines, Explained, Market, Order, Origin, Registration, Removal, Tally, Triggered};
use tradebus_core::memory::{Memory, Value, View};
use tradebus_core::refusal::{Code, Outcome};
use tradebus_core::settings::Settings;
use tradebus_core::stream_id::StreamId;
use tradebus_core::subscription::{parse_action, Terms};
use tradebus_core::timeframe::Timeframe;

use super::START;

pub const MINUTE: i64 = 60_000;

/// What REGISTER is given beside timeframe and expression; the default has nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits<'c> {
    pub id: Option<&'c str>,
    pub mode: Option<Mode>,
    pub cooldown: Option<u64>,
    pub expire_at: Option<u64>,
    pub max_triggers: Option<u64>,
}

/// What SUBSCRIBE is given beside condition and bot.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wishes<'c> {
    pub bot_type: Option<&'c str>,
    pub action: Option<&'c str>,
    pub cooldown: Option<u64>,
    pub max_triggers: Option<u64>,
    pub max_age: Option<u64>,
}

/// What COND.TRIGGER is given beside the condition.
#[derive(Clone, Copy, Debug, Default)]
pub struct Told<'c> {
    pub value: Option<&'c str>,
    pub id: Option<&'c str>,
    pub at: Option<&'c str>,
}

#[derive(Clone, Copy, Debug)]
pub enum Command<'c> {
    Register(Timeframe, &'c str, Limits<'c>),
    SetStatus(&'c str, Status),
    Remove(&'c str, Removal),
    Subscribe(&'c str, &'c str, Wishes<'c>),
    Unsubscribe(&'c str, &'c str),
    Trigger(&'c str, Told<'c>),
    /// Open time, then open, high, low, close and volume.
    Candle(Timeframe, i64, [&'c str; 5], Origin),
    /// Price, volume, TIMESTAMP.
    Tick(&'c str, &'c str, Option<i64>),
    CloseDue,
}

pub struct Desk {
    pub memory: Memory,
    pub engines: Engines,
    pub settings: Settings,
    pub now: i64,
    /// What the last command counted.
    pub tally: Tally,
    /// When it said that the next bar ends.
    pub next_close: Option<i64>,
}

impl Desk {
    pub fn new() -> Desk {
        let (memory, settings) = (Memory::of_symbol("XAUUSD"), Settings::default());
        Desk { memory, engines: Engines::default(), settings, now: START, tally: Tally::default(), next_close: None }
    }

    pub fn with(settings: Settings) -> Desk {
        Desk { settings, ..Desk::new() }
    }

    /// Nothing is remembered but what is stored: as behind a restart, a failover, or in another process.
    pub fn restart(&mut self) {
        self.engines = Engines::default();
    }

    /// Does a command and says what it replies: an id, `OK`, `1` or `0`, the ids of what triggered, or a trigger's id
    /// and the number of bots, or `nil`.
    pub fn run(&mut self, command: &Command<'_>) -> Outcome<String> {
        let Desk { now, settings, .. } = *self;
        match *command {
            Command::Register(timeframe, expression, limits) => {
                let Limits { id, mode, cooldown: cooldown_ms, expire_at, max_triggers } = limits;
                let (id, expression) = (id.map(str::as_bytes), expression.as_bytes());
                let request = Registration { timeframe, expression, id, mode, cooldown_ms, expire_at, max_triggers };
                self.decide(|market| market.register(&request))
            }
            Command::SetStatus(id, status) => {
                self.decide(|market| market.set_status(id, status).map(|decision| ("OK".to_owned(), decision)))
            }
            Command::Remove(id, removal) => self.decide(|market| said(market.remove(id, removal))),
            Command::Subscribe(id, bot, wishes) => {
                let action = wishes.action.map(|text| parse_action(text.as_bytes()));
                let Wishes { bot_type, cooldown: cooldown_ms, max_triggers, max_age: max_age_ms, .. } = wishes;
                let terms = Terms { bot_type, action: action.transpose()?, cooldown_ms, max_triggers, max_age_ms };
                self.decide(|market| said(market.subscribe(id, bot, &terms)))
            }
            Command::Unsubscribe(id, bot) => self.decide(|market| said(market.unsubscribe(id, bot))),
            Command::Trigger(condition, told) => {
                let [value, event_id, timestamp] = [told.value, told.id, told.at].map(|text| text.map(str::as_bytes));
                let order = Order { condition, value, event_id, timestamp };
                self.decide(|market| {
                    let (Triggered { trigger, .. }, decision) = market.trigger(&order)?;
                    let reply = trigger.map_or("nil".to_owned(), |(id, notified)| format!("{id} {notified}"));
                    Ok((reply, decision))
                })
            }
            Command::Candle(timeframe, open_time, numbers, origin) => {
                let latest_end = now.saturating_add_unsigned(settings.bar_grace_ms);
                let open_time = open_time.to_string();
                let candle = Candle::parse(timeframe, open_time.as_bytes(), numbers.map(str::as_bytes), latest_end)?;
                self.decide(|market| market.candle(timeframe, &candle, origin).map(listed))
            }
            Command::Tick(price, volume, at) => {
                let at = at.map(|at| at.to_string());
                let at = at.as_ref().map(|at| at.as_bytes());
                let tick = Tick::parse(price.as_bytes(), volume.as_bytes(), at, now)?;
                self.decide(|market| market.tick(&tick).map(listed))
            }
            Command::CloseDue => self.decide(|market| market.close_due().map(listed)),
        }
    }

    pub fn decide(
        &mut self,
        decide: impl for<'s, 'm> Fn(Market<'s, 'm, View<'m>>) -> Outcome<(String, market::Decision<'m>)>,
    ) -> Outcome<String> {
        let next_close = Cell::new(None);
        let (reply, tally, _) = self.memory.market(&mut self.engines, &self.settings, self.now, |market| {
            let (reply, decision) = decide(market)?;
            next_close.set(decision.next_close.map(|next| next.end));
            Ok((reply, decision))
        })?;
        (self.tally, self.next_close) = (tally, next_close.get());
        Ok(reply)
    }

    /// All that is stored and was published.
    pub fn snapshot(&self) -> String {
        let mut memory = self.memory.clone();
        memory.fields_set.clear();
        format!("{memory:?}")
    }

    #[track_caller]
    pub fn accept(&mut self, command: Command<'_>) -> String {
        self.run(&command).unwrap_or_else(|refusal| panic!("{command:?}: {refusal}"))
    }

    /// Does a command that is refused, sees to it that nothing has changed by it, and gives the text.
    #[track_caller]
    pub fn refuse(&mut self, code: Code, command: Command<'_>) -> String {
        let before = self.snapshot();
        match self.run(&command) {
            Ok(reply) => panic!("{command:?} was accepted: {reply}"),
            Err(refusal) => {
                assert_eq!(refusal.code, code, "{command:?}: {refusal}");
                assert!(before == self.snapshot(), "{command:?} changed something");
                refusal.text
            }
        }
    }

    /// Registers a condition of 1m.
    #[track_caller]
    pub fn register(&mut self, expression: &str, limits: Limits<'_>) -> String {
        self.accept(Command::Register(Timeframe::M1, expression, limits))
    }

    /// Tells the candle of 1m that ends with the minute that begins now, `close` or `low:close`, and says what
    /// triggered.
    #[track_caller]
    pub fn bar(&mut self, prices: &str) -> String {
        let (low, close) = prices.split_once(':').unwrap_or((prices, prices));
        self.now += MINUTE;
        let open_time = self.last_open();
        self.accept(Command::Candle(Timeframe::M1, open_time, [low, close, low, close, "1"], Origin::Live))
    }

    /// When the minute opened that has just ended.
    pub fn last_open(&self) -> i64 {
        Timeframe::M1.open_of(self.now) - MINUTE
    }

    /// Tells candles as [`Desk::bar`] does, and marks those that triggered something: `*`, others `.`.
    #[track_caller]
    pub fn bars(&mut self, prices: &str) -> String {
        prices.split(' ').map(|prices| if self.bar(prices).is_empty() { '.' } else { '*' }).collect()
    }

    /// Tells the last candle again, with another price.
    #[track_caller]
    pub fn correct(&mut self, price: &str) -> String {
        let candle = [price, price, price, price, "1"];
        self.accept(Command::Candle(Timeframe::M1, self.last_open(), candle, Origin::Live))
    }

    pub fn explain(&mut self, id: &str) -> Outcome<Explained> {
        market::explain(&View::of(&self.memory), "XAUUSD", id, &mut self.engines)
    }

    /// A field of a condition; empty when it is absent.
    pub fn field(&self, id: &str, name: &str) -> String {
        self.memory.field(Key::Condition(id), name).unwrap_or_default()
    }

    /// The entries of a stream, each as `id: name=value ...`.
    pub fn entries(&self, key: Key<'_>) -> Vec<String> {
        let Some(Value::Stream(entries)) = self.memory.keys.get(&self.memory.key_name(key)) else {
            return Vec::new();
        };
        let shown = |(name, value): &(String, Vec<u8>)| format!("{name}={}", String::from_utf8_lossy(value));
        let entry = |(id, fields): (&StreamId, &Vec<(String, Vec<u8>)>)| {
            format!("{id}: {}", fields.iter().map(shown).collect::<Vec<_>>().join(" "))
        };
        entries.iter().map(entry).collect()
    }

    /// The bodies of the messages on a channel.
    pub fn messages(&self, channel: &str) -> Vec<&str> {
        let messages = self.memory.messages.iter().filter(|message| message.channel == channel);
        messages.map(|message| message.body.deref()).collect()
    }

    /// Puts a value in the place of a key's, whatever its type.
    pub fn overwrite(&mut self, key: Key<'_>, value: Value) {
        let name = self.memory.key_name(key);
        self.memory.keys.insert(name, value);
    }

    pub fn overwrite_field(&mut self, key: Key<'_>, field: &str, value: &[u8]) {
        let name = self.memory.key_name(key);
        match self.memory.keys.get_mut(&name) {
            Some(Value::Hash(fields)) => fields.insert(field.to_owned(), value.to_vec()),
            other => panic!("{name} is {other:?}"),
        };
    }
}

fn said<'m>(outcome: Outcome<(bool, market::Decision<'m>)>) -> Outcome<(String, market::Decision<'m>)> {
    outcome.map(|(is_so, decision)| (u8::from(is_so).to_string(), decision))
}

fn listed(decision: market::Decision<'_>) -> (String, market::Decision<'_>) {
    (decision.triggered.join(" "), decision)
}
