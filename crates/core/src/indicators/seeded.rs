//! An average of all that came before, which begins as the simple average of the first numbers.

use super::state::{take_count, State};

/// What [`Ema`](super::ema::Ema) and [`Rma`](super::rma::Rma) have in common: all but the step.
#[derive(Clone, Debug)]
pub(super) struct Seeded {
    period: u16,
    seen: u16,
    /// Until `period` numbers are seen their sum, then the average.
    value: f64,
}

impl Seeded {
    pub(super) fn new(period: u16) -> Seeded {
        Seeded { period, seen: 0, value: 0.0 }
    }

    /// Takes in a number. `step` makes the next average of the last one.
    pub(super) fn next(&mut self, x: f64, step: impl FnOnce(f64) -> f64) -> Option<f64> {
        if self.is_seeded() {
            self.value = step(self.value);
            return Some(self.value);
        }
        self.value += x;
        self.seen += 1;
        if !self.is_seeded() {
            return None;
        }
        self.value /= f64::from(self.period);
        Some(self.value)
    }

    /// Whether there is an average.
    pub(super) fn is_seeded(&self) -> bool {
        self.seen == self.period
    }

    /// The average, once there is one.
    pub(super) fn value(&self) -> Option<f64> {
        self.is_seeded().then_some(self.value)
    }
}

impl State for Seeded {
    fn save(&self, out: &mut Vec<u8>) {
        self.seen.save(out);
        self.value.save(out);
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Option<()> {
        self.seen = take_count(bytes, self.period)?;
        self.value.load(bytes)
    }
}
