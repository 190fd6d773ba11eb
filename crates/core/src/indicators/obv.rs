//! `obv`: TA-Lib's OBV. It begins with the volume of the first bar; a bar that closes above the last one adds its
//! volume, one that closes below takes it off.

use super::state::State;
use super::Bar;

#[derive(Clone, Debug, Default)]
pub(super) struct Obv {
    last_close: Option<f64>,
    balance: f64,
}

impl Obv {
    /// Takes in a bar, and says the balance.
    pub(super) fn next(&mut self, bar: &Bar) -> f64 {
        // The first bar counts as a rise.
        let last_close = self.last_close.replace(bar.close).unwrap_or(f64::NEG_INFINITY);
        if bar.close > last_close {
            self.balance += bar.volume;
        } else if bar.close < last_close {
            self.balance -= bar.volume;
        }
        self.balance
    }
}

impl State for Obv {
    fn save(&self, out: &mut Vec<u8>) {
        self.last_close.save(out);
        self.balance.save(out);
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Option<()> {
        self.last_close.load(bytes)?;
        self.balance.load(bytes)
    }
}
