//! Commands on candles, conditions and bots.

use super::generator::Generator;
use super::step::{at, Step};

/// Where a symbol's market is.
#[derive(Clone, Debug)]
pub struct Tape {
    /// The open of the next candle of each of [`FED`], ms behind the origin.
    next: [i64; FED.len()],
    /// The last price, in hundredths.
    price: i64,
    /// When the last tick was.
    ticked: i64,
    triggers: usize,
}

/// Timeframes that are told as candles, and their length.
const FED: [(&str, i64); 2] = [("1m", 60_000), ("5m", 300_000)];

/// As many minutes behind the origin are closed for sure.
const CLOSED_MS: i64 = 50 * 60_000;

/// Short periods, so that they soon have a value; crosses and touches, nulls, reaches back.
const EXPRESSIONS: &[&str] = &[
    "close > open",
    "close CROSSES sma(3)",
    "TOUCHES 10",
    "rsi(3) < 40",
    "ema(3) > wma(4)",
    "macd(2, 4, 3).hist CROSSES 0",
    "close > bb(4, 1).upper OR close < bb(4, 1).lower",
    "atr(3) > 0.1 AND close != 9",
    "stoch(3, 2, 2).k CROSSES_BELOW stoch(3, 2, 2).d",
    "adx(3) > 30",
    "cci(4) BETWEEN -50 AND 50",
    "roc(3)[2] > 0",
    "obv > obv[5]",
    "close >= highest(high, 5)[1]",
    "volume > 0",
    "lowest(low, 20) == low",
    "rma(rsi(3), 3) > 50 AND NOT TOUCHES 12",
    "1 / (close - 10) > 0",
    "sma(close[7], 5) < close",
    "close >",
];

impl Default for Tape {
    fn default() -> Tape {
        Tape { next: [0; FED.len()], price: 1_000, ticked: 0, triggers: 0 }
    }
}

impl Generator<'_> {
    fn timeframe(&mut self) -> &'static str {
        self.random.word("1m 1m 1m 1m 5m 5m 1s 5s 15s")
    }

    fn condition(&mut self) -> String {
        format!("c{}", self.random.below(6))
    }

    fn bot(&mut self) -> String {
        format!("bot{}", self.random.below(4))
    }

    pub fn register(&mut self) -> Step {
        let condition = self.condition();
        // One id has the same terms as a rule: others are a conflict.
        let seed = condition.as_bytes()[1] as usize + if self.random.one_in(15) { self.random.below(9) } else { 0 };
        let expression = EXPRESSIONS[seed * 7 % EXPRESSIONS.len()];
        let timeframe = ["1m", "1m", "5m", "1s", "1m", "5s"][seed % 6];
        let mut step = Step::of("COND.REGISTER").with(self.symbol());
        if self.random.one_in(4) {
            let (timeframe, expression) = (self.timeframe(), *self.random.pick(EXPRESSIONS));
            step = step.with(timeframe).with(expression);
        } else {
            step = step.with(timeframe).with(expression).with("ID").with(condition);
            step = step.with("MODE").with(["edge", "level", "once", "LEVEL"][seed % 4]);
        }
        if self.random.one_in(4) {
            step = step.with("COOLDOWN").with(self.random.word("0 60000 180000"));
        }
        if self.random.one_in(6) {
            step = step.with("MAXTRIGGERS").with(self.random.word("0 1 3"));
        }
        if self.random.one_in(10) {
            step = step.with("EXPIREAT").with(at(self.random.between(0, 2 * CLOSED_MS)));
        }
        step
    }

    pub fn subscribe(&mut self) -> Step {
        let mut step = Step::of("COND.SUBSCRIBE").with(self.symbol()).with(self.condition()).with(self.bot());
        if self.random.one_in(2) {
            step = step.with("TYPE").with(self.random.word("dca grid trend"));
        }
        if self.random.one_in(3) {
            step = step.with("ACTION").with(*self.random.pick(&[r#"{"do": "buy", "size":1.50}"#, "{}", "[1]"]));
        }
        if self.random.one_in(4) {
            step = step.with("COOLDOWN").with(self.random.word("0 60000 180000"));
        }
        if self.random.one_in(5) {
            step = step.with("MAXTRIGGERS").with(self.random.word("0 1 3"));
        }
        if self.random.one_in(6) {
            step = step.with("MAXAGE").with(self.random.word("0 1000 86400000"));
        }
        step
    }

    pub fn trigger(&mut self) -> Step {
        let mut step = Step::of("COND.TRIGGER").with(self.symbol()).with(self.condition());
        if self.random.one_in(2) {
            step = step.with("VALUE").with(*self.random.pick(&[r#"{"price": 10.50}"#, r#"{"price":11}"#, "{}", "7"]));
        }
        if self.random.one_in(2) {
            let is_new = !self.random.one_in(3);
            let tape = self.tape();
            tape.triggers += usize::from(is_new);
            let id = format!("t{}", tape.triggers);
            step = step.with("ID").with(id);
        }
        if self.random.one_in(3) {
            step = step.with("TIMESTAMP").with(at(self.random.between(0, CLOSED_MS)));
        }
        step
    }

    /// What changes a condition otherwise, or tells of it.
    pub fn condition_command(&mut self) -> Step {
        let (symbol, condition) = (self.symbol(), self.condition());
        let named = |command: &str| Step::of(command).with(symbol.clone()).with(condition.clone());
        match self.random.below(16) {
            0..=1 => named("COND.PAUSE"),
            2..=3 => named("COND.RESUME"),
            4 => named("COND.REMOVE"),
            5 => named("COND.REMOVE").with("FORCE"),
            6..=7 => named("COND.UNSUBSCRIBE").with(self.bot()),
            8 => named("COND.SUBSCRIBERS"),
            9..=10 => named("COND.GET"),
            11..=13 => named("COND.EXPLAIN"),
            14 => self.window(Step::of("COND.LIST").with(symbol)),
            _ => Step::of("COND.LIST").with(symbol).with("TIMEFRAME").with(self.timeframe()),
        }
    }

    /// The next candle of a timeframe; rarely a repeat, a correction, a late one or one behind a gap.
    pub fn candle(&mut self) -> Step {
        let fed = self.random.below(FED.len() + 2) % FED.len();
        let (name, length) = FED[fed];
        let (open, close) = (self.tape().price, self.walk());
        let high = open.max(close) + self.random.between(0, 30);
        let low = open.min(close) - self.random.between(0, 30);
        let place = self.random.below(24);
        let next = self.tape().next[fed];
        let open_time = match place {
            0..=2 if next > 0 => next - length,
            3 if next > length => next - 2 * length,
            4 => next + 2 * length,
            _ => next,
        };
        if open_time >= next && open_time + 3 * length <= CLOSED_MS {
            self.tape().next[fed] = open_time + length;
        }
        let mut step = Step::of("MARKET.CANDLE").with(self.symbol()).with(name).with(at(open_time));
        for number in [open, high, low, close] {
            step = step.with(hundredths(number));
        }
        step = step.with(self.random.word("1 12.5 0 3"));
        if self.random.one_in(12) {
            step = step.with("BACKFILL");
        }
        step
    }

    pub fn tick(&mut self) -> Step {
        let price = hundredths(self.walk());
        let step = Step::of("MARKET.TICK").with(self.symbol()).with(price).with(self.random.word("1 0.5 0 2e-1"));
        let later = self.random.between(-300, 2_500);
        let tape = self.tape();
        tape.ticked = (tape.ticked + later).clamp(0, CLOSED_MS);
        let ticked = tape.ticked;
        match self.random.below(30) {
            0 => step,
            _ => step.with("TIMESTAMP").with(at(ticked)),
        }
    }

    fn walk(&mut self) -> i64 {
        let by = self.random.between(-60, 60);
        let tape = self.tape();
        tape.price = (tape.price + by).clamp(500, 1_500);
        tape.price
    }

    pub fn candles(&mut self) -> Step {
        let step = Step::of("MARKET.CANDLES").with(self.symbol()).with(self.timeframe());
        match self.random.below(3) {
            0 => step.and("+ - REV COUNT 3"),
            1 => step.with(at(60_000)).with(at(600_000)),
            _ => step.and("- +"),
        }
    }
}

fn hundredths(number: i64) -> String {
    format!("{}.{:02}", number / 100, number % 100)
}
