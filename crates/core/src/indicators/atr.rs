//! `atr`: TA-Lib's ATR, Wilder's average of the true range: the widest of high to low, last close to high, and
//! last close to low. First value on bar `period + 1`: the first bar has no last close, and no true range.

use super::rma::Rma;
use super::state::State;
use super::Bar;

#[derive(Clone, Debug)]
pub(super) struct Atr {
    last_close: Option<f64>,
    range: Rma,
}

impl Atr {
    pub(super) fn new(period: u16) -> Atr {
        Atr { last_close: None, range: Rma::new(period) }
    }

    /// Takes in a bar, and says the average.
    pub(super) fn next(&mut self, bar: &Bar) -> Option<f64> {
        let last_close = self.last_close.replace(bar.close)?;
        self.range.next(true_range(bar, last_close))
    }
}

/// The widest of high to low, last close to high, and last close to low.
pub(super) fn true_range(bar: &Bar, last_close: f64) -> f64 {
    (bar.high - bar.low).max((bar.high - last_close).abs()).max((bar.low - last_close).abs())
}

impl State for Atr {
    fn save(&self, out: &mut Vec<u8>) {
        self.last_close.save(out);
        self.range.save(out);
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Option<()> {
        self.last_close.load(bytes)?;
        self.range.load(bytes)
    }
}
