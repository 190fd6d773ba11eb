//! `cci`: TA-Lib's CCI. With the typical price of a bar (the mean of high, low and close), its distance from the
//! mean of `period` of them, in units of 0.015 mean absolute deviations. First value on bar `period`.
//!
//! The window is summed afresh on each bar, by place and not by age, as TA-Lib does: where the prices are close
//! together, the rounding of the mean shows in the quotient. There is no value when the mean deviation is no more
//! than rounding (TA-Lib's number is 0): the prices are equal.

use super::state::State;
use super::window::Window;
use super::{Bar, Value};

/// The part of the prices that a difference between them has to exceed, to be more than rounding.
const ROUNDING: f64 = 1e-14;

#[derive(Clone, Debug)]
pub(super) struct Cci {
    window: Window,
}

impl Cci {
    pub(super) fn new(period: u16) -> Cci {
        Cci { window: Window::new(period) }
    }

    /// Takes in a bar, and says the index.
    pub(super) fn next(&mut self, bar: &Bar) -> Value {
        let price = (bar.high + bar.low + bar.close) / 3.0;
        self.window.push(price);
        if !self.window.is_full() {
            return Value::Absent;
        }
        let (prices, period) = (self.window.places(), f64::from(self.window.count()));
        let mean = prices.iter().sum::<f64>() / period;
        let deviations: f64 = prices.iter().map(|price| (price - mean).abs()).sum();
        let (distance, deviation) = (price - mean, deviations / period);
        let rounding = ROUNDING * (price.abs() + mean.abs());
        if deviation <= rounding {
            Value::StandIn(0.0)
        } else if distance.abs() <= rounding {
            Value::Known(0.0)
        } else {
            Value::of(Some(distance / (0.015 * deviation)))
        }
    }
}

impl State for Cci {
    fn save(&self, out: &mut Vec<u8>) {
        self.window.save(out);
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Option<()> {
        self.window.load(bytes)
    }
}
