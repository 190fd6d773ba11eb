//! `wma`: TA-Lib's WMA, the mean of the last `period` numbers with the weights 1 (the oldest) to `period` (the
//! newest). First value on bar `period`.
//!
//! Two sums are carried as in TA-Lib: taking the plain sum off the weighted one lowers every weight by 1, which
//! drops the oldest number.

use super::state::State;
use super::window::Window;

#[derive(Clone, Debug)]
pub(super) struct Wma {
    window: Window,
    sum: f64,
    weighted: f64,
}

impl Wma {
    pub(super) fn new(period: u16) -> Wma {
        Wma { window: Window::new(period), sum: 0.0, weighted: 0.0 }
    }

    /// Takes in a number, and says the average.
    pub(super) fn next(&mut self, x: f64) -> Option<f64> {
        let left = self.window.push(x);
        if left.is_some() {
            self.weighted -= self.sum;
        }
        self.sum += x;
        self.sum -= left.unwrap_or(0.0);
        let count = f64::from(self.window.count());
        self.weighted += x * count;
        self.window.is_full().then(|| self.weighted / (count * (count + 1.0) / 2.0))
    }
}

impl State for Wma {
    fn save(&self, out: &mut Vec<u8>) {
        self.window.save(out);
        self.sum.save(out);
        self.weighted.save(out);
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Option<()> {
        self.window.load(bytes)?;
        self.sum.load(bytes)?;
        self.weighted.load(bytes)
    }
}
