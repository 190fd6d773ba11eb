//! Plain commands on our keys, and what else a server is told to do while we work: what the generator knows of our
//! keys is used against them.

use super::generator::{Generator, STREAMS};
use super::step::{at, Step};

/// Databases that sequences use.
const DATABASES: [&str; 2] = ["0", "1"];

/// A dump of a key under another's name.
const RESTORE: &str =
    "local d = redis.call('DUMP', KEYS[1]) if d then return redis.call('RESTORE', KEYS[2], 0, d, 'REPLACE') end";

/// The first or the last entries of a stream, whatever their ids.
const DELETE_ENTRIES: &str = "local entries = redis.call(ARGV[1], KEYS[1], ARGV[2], ARGV[3], 'COUNT', 2) \
     for _, entry in ipairs(entries) do redis.call('XDEL', KEYS[1], entry[1]) end return #entries";

/// The first entries of a stream, as read by a group, if there is one.
const ACKNOWLEDGE: &str = "local entries = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 2) \
     for _, entry in ipairs(entries) do redis.pcall('XACK', KEYS[1], 'g1', entry[1]) end return #entries";

/// Commands in one script, each with its number of words before it; the reply is that of the last.
const IN_A_SCRIPT: &str = "local i, last = 1, false while i <= #ARGV do local n = tonumber(ARGV[i]) \
     last = redis.pcall(unpack(ARGV, i + 1, i + n)) i = i + n + 1 end return last";

impl Generator<'_> {
    /// A key of ours, of any kind, most of which exist.
    fn key(&mut self) -> String {
        if self.random.one_in(8) {
            let tail = self.random.word("} }:last }:schema }:seen:0 }:dead");
            return format!("events:{{{}{tail}", self.random.pick(&STREAMS));
        }
        let symbol = self.symbol();
        let tail = match self.random.below(22) {
            0..=2 => "trade events".to_owned(),
            3 => format!("trade order:{}", self.known(|book| &mut book.orders, 'o')),
            4 => format!("trade position:{}", self.known(|book| &mut book.positions, 'p')),
            5 => format!("trade signal:{}", self.known(|book| &mut book.signals, 's')),
            6 => format!("trade fills:{}", self.known(|book| &mut book.orders, 'o')),
            7 => format!("trade slices:{}", self.known(|book| &mut book.positions, 'p')),
            8 => "trade orders:open".to_owned(),
            9 => "trade positions:active".to_owned(),
            10 => "trade last".to_owned(),
            11 => format!("trade {}", self.random.word("risk instrument seen:0 seen:1 dead")),
            12 => format!("market {}", self.random.word("1m 5m 1s 5s")),
            13 => format!("market {}", self.random.word("1m:state 5m:state 1s:state")),
            14 => "market forming".to_owned(),
            15..=16 => format!("cond def:c{}", self.random.below(6)),
            17 => format!("cond index:{}", self.random.word("1m 5m 1s")),
            18 => format!("cond subs:c{}", self.random.below(6)),
            19 => format!("cond {}", self.random.word("seen:0 seen:1")),
            20 => "cond triggers".to_owned(),
            _ => format!("bots {}", self.random.word("dca grid trend default")),
        };
        let (family, rest) = tail.split_once(' ').expect("two words");
        format!("{family}:{{{symbol}}}:{rest}")
    }

    fn stream_key(&mut self) -> String {
        let symbol = self.symbol();
        match self.random.below(6) {
            0 => format!("cond:{{{symbol}}}:triggers"),
            1 => format!("market:{{{symbol}}}:1m"),
            2 => format!("bots:{{{symbol}}}:{}", self.random.word("dca grid")),
            3 => format!("events:{{{}}}", self.random.pick(&STREAMS)),
            _ => format!("trade:{{{symbol}}}:events"),
        }
    }

    fn junk(&mut self) -> &'static str {
        self.random.word("x -1 0 1e999 1-1 999999999999999999999 active pending closed { [] true nan 5 1763402400000")
    }

    fn field(&mut self) -> &'static str {
        self.random.word(
            "status version volume filled_volume created_at updated_at last_event_id entry_price direction :log_id \
             :seen order.created expression timeframe mode trigger_count value c1 bot1 f1 1m 5m contract_size position_mode \
             policy.updated :types :generations",
        )
    }

    /// A plain command that writes a key of ours, which no invariant of it survives for sure.
    pub fn plain(&mut self) -> Step {
        self.turn();
        let (key, other, stream) = (self.key(), self.key(), self.stream_key());
        match self.random.below(34) {
            0..=3 => Step::of("DEL").with(key),
            4..=6 => Step::of("HSET").with(key).with(self.field()).with(self.junk()),
            7..=8 => Step::of("HDEL").with(key).with(self.field()),
            9 => Step::of("SET").with(key).with(self.junk()),
            10 => Step::of("ZADD").with(key).with(self.random.word("1 -1 1.5 inf 1763402400000")).with(self.junk()),
            11 => Step::of("ZREM").with(key).with(self.random.word("o1 p1 c1 c2")),
            12 => Step::of("RENAME").with(key).with(other),
            13 => Step::of("PEXPIRE").with(key).with(self.random.word("0 1 30 100000")),
            14 => Step::of("PERSIST").with(key),
            15 => Step::of("COPY").with(key).with(other).and("REPLACE"),
            16 => Step::of("COPY").with(key.clone()).with(key).and("DB 1 REPLACE"),
            17 => Step::of("RPUSH").with(key).and("a b"),
            18 => Step::of("APPEND").with(key).with(self.junk()),
            19 => Step::of("EVAL").with(RESTORE).with("2").with(key).with(other),
            20..=21 => Step::of("XADD")
                .with(stream)
                .with(self.random.word("* * 1-1 18446744073709551615-18446744073709551615"))
                .with(self.random.word("type data ts x open"))
                .with(self.random.word("order.created {} 5 nonsense")),
            22..=24 => Step::of("EVAL").with(DELETE_ENTRIES).with("1").with(stream).and(if self.random.one_in(2) {
                "XRANGE - +"
            } else {
                "XREVRANGE + -"
            }),
            25 => Step::of("XTRIM").with(stream).and("MAXLEN").with(self.random.word("0 1 2 10")),
            26 => Step::of("XSETID").with(stream).with(at(self.random.between(0, 200 * 60_000)) + "-0"),
            27 => Step::of("XGROUP DESTROY").with(stream).and("g1"),
            28 => Step::of("SWAPDB 0 1"),
            29 => Step::of("MOVE").with(key).and("1"),
            30 => Step::of("UNLINK").with(key).with(other),
            31 => Step::of("HINCRBY").with(key).with(self.field()).and("1"),
            32 => Step::of("SETRANGE").with(key).and("3 zz"),
            _ => Step::of("FLUSHDB"),
        }
    }

    /// A write by hand that a model can follow: see `model/hand.rs`.
    pub fn by_hand(&mut self) -> Step {
        self.turn();
        let (key, stream) = (self.key(), self.stream_key());
        match self.random.below(12) {
            0..=2 => Step::of("DEL").with(key),
            3..=4 => Step::of("HSET").with(key).with(self.field()).with(self.junk()),
            5..=6 => Step::of("HDEL").with(key).with(self.field()),
            7 => Step::of("SET").with(key).with(self.junk()),
            8 => Step::of("ZADD")
                .with(key)
                .with(self.random.word("1 -1 1763402400000"))
                .with(self.random.word("o1 c2 junk")),
            9 => Step::of("ZREM").with(key).with(self.random.word("o1 p1 c1 c2")),
            _ => Step::of("XDEL").with(stream).with(self.random.word("first last last")),
        }
    }

    /// A plain command that leaves what we have as it is: groups and their readers, reads, another way of speaking.
    pub fn harmless(&mut self) -> Vec<Step> {
        self.turn();
        let stream = self.stream_key();
        let step = match self.random.below(14) {
            0..=2 => Step::of("XGROUP CREATE").with(stream).and("g1 0"),
            3..=5 => Step::of("XREADGROUP GROUP g1 reader COUNT")
                .with(self.random.word("1 5"))
                .and("STREAMS")
                .with(stream)
                .and(">"),
            6 => Step::of("EVAL").with(ACKNOWLEDGE).with("1").with(stream),
            7 => Step::of("HELLO").with(self.random.word("2 3")),
            8 => Step::of("XINFO STREAM").with(stream),
            9 => Step::of("SELECT").with(*self.random.pick(&DATABASES)),
            10 => return vec![Step::of("SELECT 0")],
            11 => Step::of("CLIENT PAUSE 20").with(self.random.word("WRITE ALL")),
            12 => Step::of("CLIENT NO-TOUCH ON"),
            _ => Step::of("INFO").with(self.random.word("tradebus commandstats keyspace")),
        };
        vec![step]
    }

    /// What an operator does.
    pub fn operation(&mut self) -> Step {
        let setting = *self.random.pick(&[
            "pubsub sharded",
            "scan-limit 100",
            "scan-limit 2000",
            "bar-grace 0",
            "bar-grace 50",
            "bar-grace 2000",
            "any-db yes",
            "any-db no",
            "consumer-groups g1,g2",
            "lifecycle sideways",
        ]);
        match self.random.below(12) {
            0..=3 => Step::of(&format!("CONFIG SET tradebus.{setting}")),
            4..=5 => Step::of("DEBUG RELOAD"),
            6 => Step::of("DEBUG LOADAOF"),
            7 => Step::of("BGREWRITEAOF"),
            8 => Step::of("SCRIPT FLUSH"),
            9 => Step::of("MEMORY PURGE"),
            10 => Step::of("CONFIG RESETSTAT"),
            _ => Step::of("CLIENT UNPAUSE"),
        }
    }

    /// Commands of ours that nobody follows: their replies are a matter of what others have read, or of when.
    pub fn unfollowed(&mut self) -> Step {
        self.turn();
        let symbol = self.symbol();
        let claim = |step: Step, random: &mut crate::support::Random| {
            step.and("g1 helper 0").with(random.word("0 1 100")).and("COUNT 10")
        };
        match self.random.below(10) {
            0..=1 => claim(Step::of("TRADE.CLAIM").with(symbol), self.random),
            2 => claim(Step::of("EVENT.CLAIM").with(*self.random.pick(&STREAMS)), self.random),
            3..=4 => {
                let source = self.random.word("TRIGGERS QUEUE:dca QUEUE:grid");
                claim(Step::of("COND.CLAIM").with(symbol).with(source), self.random)
            }
            5 => Step::of("TRADE.SYMBOLS 0"),
            6 => Step::of("TRADE.REPLAY").with(symbol).and("- + COUNT 5"),
            7 => Step::of("EVENT.REPLAY").with(*self.random.pick(&STREAMS)).and("- + CHANNEL again:"),
            8 => Step::of("TRADE.REBUILD").with(symbol),
            _ => Step::of("TRADE.SYMBOLS 0 COUNT 1"),
        }
    }

    /// Some commands at once: a transaction, perhaps a watched one, or a script. What is within is ours.
    pub fn bundle(&mut self) -> Vec<Step> {
        let count = 1 + self.random.below(4);
        let within: Vec<_> = (0..count).map(|_| self.command()).collect();
        if self.random.one_in(3) {
            let mut step = Step::of("EVAL").with(IN_A_SCRIPT).with("0");
            for Step(words) in within.into_iter().filter(|step| step.0.len() < 100) {
                step = step.with(words.len().to_string());
                step.0.extend(words);
            }
            return vec![step];
        }
        let mut steps = vec![Step::of("MULTI")];
        steps.extend(within);
        steps.push(Step::of(self.random.word("EXEC EXEC EXEC EXEC DISCARD")));
        if self.random.one_in(2) {
            let watched = if self.random.one_in(2) { self.symbol() } else { self.key() };
            let between = self.command();
            steps.splice(0..0, [Step::of("WATCH").with(watched), between]);
        }
        steps
    }
}
