//! `adx`: TA-Lib's ADX. How far the high rose and how far the low fell since the last bar: the farther of them is
//! the movement of its direction, the other is 0 (both are, when they are equal or negative). Movements and true
//! ranges are summed as Wilder does: plainly over the first `period - 1` bars, from then on
//! `sum - sum / period + x`. The index of a bar is `100 * |up - down| / (up + down)` of the movements' shares of
//! the range, and the ADX is Wilder's average of it. First value on bar `2 * period`.
//!
//! A bar without range or movement has no index: it counts as 0 in the first average, and leaves the later ones
//! as they are, as in TA-Lib. The ADX itself thus always has a value.

use super::atr::true_range;
use super::rma::Rma;
use super::state::{take_count, State};
use super::Bar;

#[derive(Clone, Debug)]
pub(super) struct Adx {
    period: u16,
    last: Option<Last>,
    /// The movements that were summed plainly, `period - 1` at the end.
    summed: u16,
    up: f64,
    down: f64,
    range: f64,
    average: Rma,
}

/// What is needed of the last bar.
#[derive(Clone, Debug, Default)]
struct Last {
    high: f64,
    low: f64,
    close: f64,
}

impl Adx {
    pub(super) fn new(period: u16) -> Adx {
        Adx { period, last: None, summed: 0, up: 0.0, down: 0.0, range: 0.0, average: Rma::new(period) }
    }

    /// Takes in a bar, and says the ADX.
    pub(super) fn next(&mut self, bar: &Bar) -> Option<f64> {
        let last = self.last.replace(Last { high: bar.high, low: bar.low, close: bar.close })?;
        let (rise, fall) = (bar.high - last.high, last.low - bar.low);
        let up = if rise > 0.0 && rise > fall { rise } else { 0.0 };
        let down = if fall > 0.0 && fall > rise { fall } else { 0.0 };
        let range = true_range(bar, last.close);
        if self.summed < self.period - 1 {
            self.summed += 1;
            self.up += up;
            self.down += down;
            self.range += range;
            return None;
        }
        let period = f64::from(self.period);
        self.up = self.up - self.up / period + up;
        self.down = self.down - self.down / period + down;
        self.range = self.range - self.range / period + range;
        match (self.index(), self.average.value()) {
            (Some(index), _) => self.average.next(index),
            (None, None) => self.average.next(0.0),
            (None, average) => average,
        }
    }

    /// The directional index, if there is any movement.
    fn index(&self) -> Option<f64> {
        if self.range == 0.0 {
            return None;
        }
        let (up, down) = (100.0 * (self.up / self.range), 100.0 * (self.down / self.range));
        (up + down != 0.0).then(|| 100.0 * ((up - down).abs() / (up + down)))
    }
}

impl State for Adx {
    fn save(&self, out: &mut Vec<u8>) {
        self.last.save(out);
        self.summed.save(out);
        self.up.save(out);
        self.down.save(out);
        self.range.save(out);
        self.average.save(out);
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Option<()> {
        self.last.load(bytes)?;
        self.summed = take_count(bytes, self.period - 1)?;
        self.up.load(bytes)?;
        self.down.load(bytes)?;
        self.range.load(bytes)?;
        self.average.load(bytes)
    }
}

impl State for Last {
    fn save(&self, out: &mut Vec<u8>) {
        self.high.save(out);
        self.low.save(out);
        self.close.save(out);
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Option<()> {
        self.high.load(bytes)?;
        self.low.load(bytes)?;
        self.close.load(bytes)
    }
}
