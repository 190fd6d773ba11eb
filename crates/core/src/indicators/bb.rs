//! `bb`: TA-Lib's BBANDS with a simple average. `middle` is `sma(period)`, `upper` and `lower` are `deviations`
//! standard deviations of the same numbers (the population's: divided by `period`) away. First values on bar
//! `period`.
//!
//! The squares are taken from the mean and moved along with it. Their rounding error is that of the largest sum
//! carried, so the window is summed afresh when the sum has shrunk to a small part of that, and every `period`
//! bars: O(1) over time. Rejected: the mean of squares less the square of the mean, TA-Lib's own until 2026,
//! which loses half the digits when prices are large and close together.

use super::sma::Sma;
use super::state::{take_count, State};
use super::window::Window;
use super::{Reading, Value, NOTHING};

/// The part of the largest sum of squares since the last fresh one, below which too few of its digits are left.
const SHRUNK: f64 = 1e-3;

#[derive(Clone, Debug)]
pub(super) struct Bb {
    deviations: f64,
    average: Sma,
    squares: Squares,
}

impl Bb {
    pub(super) fn new(period: u16, deviations: f64) -> Bb {
        Bb { deviations, average: Sma::new(period), squares: Squares::new(period) }
    }

    /// Takes in a number, and says upper, middle and lower.
    pub(super) fn next(&mut self, x: f64) -> Reading {
        let left = self.average.window().oldest();
        let Some(middle) = self.average.next(x) else {
            return NOTHING;
        };
        let variance = self.squares.next(x, left, self.average.window());
        let distance = variance.max(0.0).sqrt() * self.deviations;
        [middle + distance, middle, middle - distance].map(|value| Value::of(Some(value)))
    }
}

/// The squared distances of a full window from its mean.
#[derive(Clone, Debug)]
struct Squares {
    period: u16,
    mean: f64,
    sum: f64,
    /// The largest `sum` since it was last made afresh.
    largest: f64,
    /// Bars since then.
    age: u16,
}

impl Squares {
    fn new(period: u16) -> Squares {
        Squares { period, mean: 0.0, sum: 0.0, largest: 0.0, age: 0 }
    }

    /// The variance of the window, which has just taken `x` in for `left`.
    fn next(&mut self, x: f64, left: Option<f64>, window: &Window) -> f64 {
        let period = f64::from(self.period);
        self.age += 1;
        if let Some(left) = left {
            let mean = self.mean + (x - left) / period;
            self.sum += (x - left) * ((x - mean) + (left - self.mean));
            self.mean = mean;
            self.largest = self.largest.max(self.sum);
        }
        if left.is_none() || self.age >= self.period || self.sum < self.largest * SHRUNK {
            self.sum_afresh(window);
        }
        self.sum / period
    }

    fn sum_afresh(&mut self, window: &Window) {
        let period = f64::from(self.period);
        self.mean = window.places().iter().sum::<f64>() / period;
        let distances = || window.places().iter().map(|number| number - self.mean);
        let (sum, error) = (distances().map(|distance| distance * distance).sum::<f64>(), distances().sum::<f64>());
        // What the rounding of the mean has added.
        self.sum = (sum - error * error / period).max(0.0);
        self.largest = self.sum;
        self.age = 0;
    }
}

impl State for Bb {
    fn save(&self, out: &mut Vec<u8>) {
        self.average.save(out);
        self.squares.save(out);
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Option<()> {
        self.average.load(bytes)?;
        self.squares.load(bytes)
    }
}

impl State for Squares {
    fn save(&self, out: &mut Vec<u8>) {
        self.mean.save(out);
        self.sum.save(out);
        self.largest.save(out);
        self.age.save(out);
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Option<()> {
        self.mean.load(bytes)?;
        self.sum.load(bytes)?;
        self.largest.load(bytes)?;
        self.age = take_count(bytes, self.period)?;
        Some(())
    }
}
