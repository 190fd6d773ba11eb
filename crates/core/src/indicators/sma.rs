//! `sma`: TA-Lib's SMA, the mean of the last `period` numbers. First value on bar `period`.
//!
//! As in TA-Lib one running sum is carried from the first bar on, the number that leaves being taken off before
//! the new one is added. A sum anew on each bar would be more exact, but another number than TA-Lib's.

use super::state::State;
use super::window::Window;

#[derive(Clone, Debug)]
pub(super) struct Sma {
    window: Window,
    sum: f64,
}

impl Sma {
    pub(super) fn new(period: u16) -> Sma {
        Sma { window: Window::new(period), sum: 0.0 }
    }

    /// Takes in a number, and says the mean.
    pub(super) fn next(&mut self, x: f64) -> Option<f64> {
        if let Some(left) = self.window.push(x) {
            self.sum -= left;
        }
        self.sum += x;
        self.window.is_full().then(|| self.sum / f64::from(self.window.count()))
    }

    /// The numbers that the mean is of.
    pub(super) fn window(&self) -> &Window {
        &self.window
    }
}

impl State for Sma {
    fn save(&self, out: &mut Vec<u8>) {
        self.window.save(out);
        self.sum.save(out);
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Option<()> {
        self.window.load(bytes)?;
        self.sum.load(bytes)
    }
}
