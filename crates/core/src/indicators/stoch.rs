//! `stoch(k, d, s)`: TA-Lib's STOCH with simple averages, the periods in the order of the platforms that call the
//! last one slowing (TA-Lib's own order is k, s, d). Where the close is between the lowest low and the highest
//! high of `k` bars, in percent; the mean of `s` of these is `k`, and the mean of `d` of those is `d`. Both begin
//! with `d`, on bar `k + s + d - 2`.
//!
//! In a range of no height the close has no place: there `k` has no value when it is not smoothed (`s` = 1), nor
//! `d` when it is not smoothed either. In an average the place counts as 0, as in TA-Lib.

use super::highest::Highest;
use super::lowest::Lowest;
use super::sma::Sma;
use super::state::State;
use super::{Bar, Reading, Value, NOTHING};

#[derive(Clone, Debug)]
pub(super) struct Stoch {
    highest: Highest,
    lowest: Lowest,
    k: Smoothing,
    d: Smoothing,
}

impl Stoch {
    pub(super) fn new(k: u16, d: u16, slowing: u16) -> Stoch {
        Stoch { highest: Highest::new(k), lowest: Lowest::new(k), k: Smoothing::new(slowing), d: Smoothing::new(d) }
    }

    /// Takes in a bar, and says %K and %D.
    pub(super) fn next(&mut self, bar: &Bar) -> Reading {
        let (Some(highest), Some(lowest)) = (self.highest.next(bar.high), self.lowest.next(bar.low)) else {
            return NOTHING;
        };
        let place = if highest == lowest {
            Value::StandIn(0.0)
        } else {
            Value::of(Some(100.0 * ((bar.close - lowest) / (highest - lowest))))
        };
        let k = self.k.next(place);
        match self.d.next(k) {
            Value::Absent => NOTHING,
            d => [k, d, Value::Absent],
        }
    }
}

impl State for Stoch {
    fn save(&self, out: &mut Vec<u8>) {
        self.highest.save(out);
        self.lowest.save(out);
        self.k.save(out);
        self.d.save(out);
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Option<()> {
        self.highest.load(bytes)?;
        self.lowest.load(bytes)?;
        self.k.load(bytes)?;
        self.d.load(bytes)
    }
}

/// A simple average of values; over one bar it is none, and hands the value through.
#[derive(Clone, Debug)]
enum Smoothing {
    Through,
    Average(Sma),
}

impl Smoothing {
    fn new(period: u16) -> Smoothing {
        if period == 1 {
            Smoothing::Through
        } else {
            Smoothing::Average(Sma::new(period))
        }
    }

    fn next(&mut self, value: Value) -> Value {
        match self {
            Smoothing::Through => value,
            Smoothing::Average(average) => Value::of(value.fed().and_then(|number| average.next(number))),
        }
    }
}

impl State for Smoothing {
    fn save(&self, out: &mut Vec<u8>) {
        if let Smoothing::Average(average) = self {
            average.save(out);
        }
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Option<()> {
        match self {
            Smoothing::Through => Some(()),
            Smoothing::Average(average) => average.load(bytes),
        }
    }
}
