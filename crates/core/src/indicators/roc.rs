//! `roc`: TA-Lib's ROC, the change since `period` bars ago in percent of the number then. First value on bar
//! `period + 1`. There is none when the number then was 0 (TA-Lib's is 0).

use super::state::State;
use super::window::Window;
use super::Value;

#[derive(Clone, Debug)]
pub(super) struct Roc {
    window: Window,
}

impl Roc {
    pub(super) fn new(period: u16) -> Roc {
        Roc { window: Window::new(period) }
    }

    /// Takes in a number, and says the change.
    pub(super) fn next(&mut self, x: f64) -> Value {
        match self.window.push(x) {
            Some(0.0) => Value::StandIn(0.0),
            then => Value::of(then.map(|then| (x / then - 1.0) * 100.0)),
        }
    }
}

impl State for Roc {
    fn save(&self, out: &mut Vec<u8>) {
        self.window.save(out);
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Option<()> {
        self.window.load(bytes)
    }
}
