//! `ema`: TA-Lib's EMA. The first value, on bar `period`, is the mean of the first `period` numbers; each further
//! one moves from the last by `2 / (period + 1)` of the way to the new number.

use super::seeded::Seeded;
use super::state::State;

#[derive(Clone, Debug)]
pub(super) struct Ema {
    share: f64,
    average: Seeded,
}

impl Ema {
    pub(super) fn new(period: u16) -> Ema {
        Ema { share: 2.0 / (f64::from(period) + 1.0), average: Seeded::new(period) }
    }

    /// Takes in a number, and says the average.
    pub(super) fn next(&mut self, x: f64) -> Option<f64> {
        let share = self.share;
        self.average.next(x, |last| (x - last) * share + last)
    }
}

impl State for Ema {
    fn save(&self, out: &mut Vec<u8>) {
        self.average.save(out);
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Option<()> {
        self.average.load(bytes)
    }
}
