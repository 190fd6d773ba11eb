//! `lowest`: TA-Lib's MIN, the lowest of the last `period` numbers. First value on bar `period`.

use super::highest::Highest;
use super::state::State;

/// The highest of the negated numbers, negated: which is exact.
#[derive(Clone, Debug)]
pub(super) struct Lowest(Highest);

impl Lowest {
    pub(super) fn new(period: u16) -> Lowest {
        Lowest(Highest::new(period))
    }

    /// Takes in a number, and says the lowest.
    pub(super) fn next(&mut self, x: f64) -> Option<f64> {
        self.0.next(-x).map(|highest| -highest)
    }
}

impl State for Lowest {
    fn save(&self, out: &mut Vec<u8>) {
        self.0.save(out);
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Option<()> {
        self.0.load(bytes)
    }
}
