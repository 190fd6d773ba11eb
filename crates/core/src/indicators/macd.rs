//! `macd`: TA-Lib's MACD. `line` is the fast EMA less the slow one, `signal` the EMA of `line`, `hist` is `line`
//! less `signal`. All begin with the signal, on bar `slow + signal - 1`.
//!
//! The fast EMA's seed is the mean of the `fast` numbers that end where the slow one's seed ends, so that both
//! begin on one bar: it leaves out the first `slow - fast` numbers, and is not `ema(fast)`. When `fast` is the
//! longer period, the two change places.

use super::ema::Ema;
use super::state::{take_count, State};
use super::{Reading, Value, NOTHING};

#[derive(Clone, Debug)]
pub(super) struct Macd {
    /// How many numbers the fast average has yet to leave out, of the `lead` at first.
    waiting: u16,
    lead: u16,
    fast: Ema,
    slow: Ema,
    signal: Ema,
}

impl Macd {
    pub(super) fn new(fast: u16, slow: u16, signal: u16) -> Macd {
        let (fast, slow) = (fast.min(slow), fast.max(slow));
        let lead = slow - fast;
        Macd { waiting: lead, lead, fast: Ema::new(fast), slow: Ema::new(slow), signal: Ema::new(signal) }
    }

    /// Takes in a number, and says line, signal and histogram.
    pub(super) fn next(&mut self, x: f64) -> Reading {
        let fast = if self.waiting == 0 {
            self.fast.next(x)
        } else {
            self.waiting -= 1;
            None
        };
        let (Some(fast), Some(slow)) = (fast, self.slow.next(x)) else {
            return NOTHING;
        };
        let line = fast - slow;
        let Some(signal) = self.signal.next(line) else {
            return NOTHING;
        };
        [line, signal, line - signal].map(|value| Value::of(Some(value)))
    }
}

impl State for Macd {
    fn save(&self, out: &mut Vec<u8>) {
        self.waiting.save(out);
        self.fast.save(out);
        self.slow.save(out);
        self.signal.save(out);
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Option<()> {
        self.waiting = take_count(bytes, self.lead)?;
        self.fast.load(bytes)?;
        self.slow.load(bytes)?;
        self.signal.load(bytes)
    }
}
