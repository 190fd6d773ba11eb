//! `rsi`: TA-Lib's RSI, Wilder's averages of the gains and of the losses from number to number, as
//! `100 * gain / (gain + loss)`. First value on bar `period + 1`: the first number has no change.
//!
//! Of a market that never moved there is none (TA-Lib's number is 0, which would say "oversold"). One that moved
//! and then stands still keeps its last one.

use super::rma::Rma;
use super::state::State;
use super::Value;

#[derive(Clone, Debug)]
pub(super) struct Rsi {
    last: Option<f64>,
    gain: Rma,
    loss: Rma,
}

impl Rsi {
    pub(super) fn new(period: u16) -> Rsi {
        Rsi { last: None, gain: Rma::new(period), loss: Rma::new(period) }
    }

    /// Takes in a number, and says the index.
    pub(super) fn next(&mut self, x: f64) -> Value {
        let Some(last) = self.last.replace(x) else {
            return Value::Absent;
        };
        let change = x - last;
        let (Some(gain), Some(loss)) = (self.gain.next(change.max(0.0)), self.loss.next((-change).max(0.0))) else {
            return Value::Absent;
        };
        if gain + loss == 0.0 {
            return Value::StandIn(0.0);
        }
        Value::of(Some(100.0 * (gain / (gain + loss))))
    }
}

impl State for Rsi {
    fn save(&self, out: &mut Vec<u8>) {
        self.last.save(out);
        self.gain.save(out);
        self.loss.save(out);
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Option<()> {
        self.last.load(bytes)?;
        self.gain.load(bytes)?;
        self.loss.load(bytes)
    }
}
