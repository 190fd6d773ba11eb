//! Sequences of commands from a seed: mostly right, with a memory of the ids that they have used, so that they get far.

use super::market::Tape;
use super::step::{at, Step};
use super::trade::Book;
use crate::support::Random;

/// Symbols that sequences use: a plain one, and those whose names look like a part of a key or a channel.
pub const SYMBOLS: [&str; 3] = ["XAUUSD", "BTC/USDT:USDT", "A:order:1"];

/// Streams that sequences use; one is called as a symbol is.
pub const STREAMS: [&str; 2] = ["policy", "XAUUSD"];

/// Makes the commands of a sequence, one after the other.
pub struct Generator<'r> {
    pub random: &'r mut Random,
    /// What happened on each symbol.
    books: [Book; SYMBOLS.len()],
    tapes: [Tape; SYMBOLS.len()],
    /// The symbol of the command that is being made.
    place: usize,
    stream_ids: usize,
}

impl<'r> Generator<'r> {
    pub fn new(random: &'r mut Random) -> Generator<'r> {
        Generator { random, books: Default::default(), tapes: Default::default(), place: 0, stream_ids: 0 }
    }

    pub fn book(&mut self) -> &mut Book {
        &mut self.books[self.place]
    }

    pub fn tape(&mut self) -> &mut Tape {
        &mut self.tapes[self.place]
    }

    pub fn symbol(&self) -> String {
        SYMBOLS[self.place].to_owned()
    }

    /// The next command is on another symbol, or not: one has most of them.
    pub fn turn(&mut self) {
        self.place = [0, 0, 0, 1, 1, 2][self.random.below(6)];
    }

    /// A command of ours that a model can follow.
    pub fn command(&mut self) -> Step {
        self.turn();
        match self.random.below(100) {
            0..=32 => self.publish(),
            33..=36 => self.mpublish(),
            37..=38 => self.instrument(),
            39..=45 => self.trade_read(),
            46..=51 => self.register(),
            52..=56 => self.subscribe(),
            57..=60 => self.trigger(),
            61..=66 => self.condition_command(),
            67..=80 => self.candle(),
            81..=86 => self.tick(),
            87 => self.candles(),
            _ => self.stream_command(),
        }
    }

    /// How a setting is changed in the midst of a sequence.
    pub fn setting(&mut self) -> Step {
        let setting = *self.random.pick(&[
            "lifecycle lenient",
            "lifecycle lenient",
            "lifecycle strict",
            "lifecycle off",
            "pubsub off",
            "pubsub classic",
            "stream-maxlen 0",
            "stream-maxlen 5",
            "stream-maxlen 30",
            "stream-maxage 0",
            "stream-maxage 60000",
            "queue-maxlen 3",
            "queue-maxlen 100000",
            "dedupe-window 1000",
            "dedupe-window 600000",
            "dedupe-max 1000",
            "max-event-size 1024",
            "max-event-size 65536",
            "candle-history 3",
            "candle-history 40",
            "candle-history 0",
        ]);
        Step::of(&format!("CONFIG SET tradebus.{setting}"))
    }

    /// How long things stay: set once, because a rebuild judges by what is set then.
    pub fn lifetimes(&mut self) -> Vec<Step> {
        let closed = self.random.word("604800000 604800000 604800000 0 300");
        let signal = self.random.word("86400000 86400000 0 200");
        vec![
            Step::of(&format!("CONFIG SET tradebus.closed-ttl {closed}")),
            Step::of(&format!("CONFIG SET tradebus.signal-ttl {signal}")),
        ]
    }

    fn stream_command(&mut self) -> Step {
        let stream = *self.random.pick(&STREAMS);
        let event_type = self.random.word("policy.updated MODEL_PROMOTED health order.created 9bad");
        match self.random.below(12) {
            0 => Step::of("EVENT.LAST").with(stream),
            1 => Step::of("EVENT.LAST").with(stream).with(event_type),
            2 => {
                let step = Step::of("EVENT.RANGE").with(stream);
                self.range(step)
            }
            3 => Step::of("EVENT.STATS").with(stream),
            4 => self.schema_command(stream),
            _ => self.stream_publish(stream, event_type),
        }
    }

    fn schema_command(&mut self, stream: &str) -> Step {
        let step = Step::of("EVENT.SCHEMA").with(stream);
        match self.random.below(6) {
            0 => step.and("LIST"),
            1 => step.and("GET policy.updated"),
            2 => step.and("DEL policy.updated"),
            3 => step.and("SET health 7"),
            _ => step
                .and("SET policy.updated")
                .with(r#"{"type":"object","properties":{"n":{"type":"integer","maximum":4}}}"#),
        }
    }

    fn stream_publish(&mut self, stream: &str, event_type: &str) -> Step {
        let data = format!(r#"{{"n":{},"text":"{}"}}"#, self.random.below(6), self.random.word("a b ü \\n"));
        let mut step = Step::of("EVENT.PUBLISH").with(stream).with(event_type).with(data);
        if self.random.one_in(3) {
            self.stream_ids += usize::from(!self.random.one_in(4));
            step = step.with("ID").with(format!("m{}", self.stream_ids));
        }
        if self.random.one_in(4) {
            step = step.with("TIMESTAMP").with(at(self.random.between(0, 40 * 60_000)));
        }
        step = self.labels(step);
        match self.random.below(3) {
            0 => step.with("FULL"),
            _ => step,
        }
    }
}
