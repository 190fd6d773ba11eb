//! `rma`: Wilder's average, which is in TA-Lib the smoothing of ATR and RSI. The first value, on bar `period`, is
//! the mean of the first `period` numbers; each further one is `(last * (period - 1) + x) / period`.

use super::seeded::Seeded;
use super::state::State;

#[derive(Clone, Debug)]
pub(super) struct Rma {
    period: f64,
    average: Seeded,
}

impl Rma {
    pub(super) fn new(period: u16) -> Rma {
        Rma { period: f64::from(period), average: Seeded::new(period) }
    }

    /// Takes in a number, and says the average.
    pub(super) fn next(&mut self, x: f64) -> Option<f64> {
        let period = self.period;
        self.average.next(x, |last| (last * (period - 1.0) + x) / period)
    }

    /// The average as it is, once there is one.
    pub(super) fn value(&self) -> Option<f64> {
        self.average.value()
    }
}

impl State for Rma {
    fn save(&self, out: &mut Vec<u8>) {
        self.average.save(out);
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Option<()> {
        self.average.load(bytes)
    }
}
