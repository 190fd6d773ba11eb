//! Technical indicators, bar by bar: TA-Lib's functions as streams.
//!
//! On the same bars from the same first bar each function gives TA-Lib's numbers, beginning with the same
//! bar. All lines of a function begin together. TA-Lib's order of operations is kept where it matters:
//! rounding is part of "equal" where a market hardly moves.
//!
//! Where TA-Lib divides by nothing, it puts a number in the place of the result (RSI 0 for a market that never
//! moved). A condition must not see it as a value, but a further smoothing has to count it as TA-Lib does:
//! hence [`Value::StandIn`].
//!
//! Numbers are finite and at most 1e100 in size; what a bar or a source has beyond is no number to a function,
//! and the bar is none of its series. No sum or square of a thousand such numbers overflows, so that a state is
//! never infinite; a quotient that is not finite is [`Value::Absent`]. Rejected: to let the state overflow and
//! begin again, for the same bars would then give another number after a restart in between.
//!
//! Only these files of the core, and `expression` with their numbers, compute in floating point, as TA-Lib does. Money never goes through them.

mod adx;
mod atr;
mod bb;
mod cci;
mod ema;
mod highest;
mod lowest;
mod macd;
mod obv;
mod rma;
mod roc;
mod rsi;
mod seeded;
mod sma;
mod spec;
mod state;
mod stoch;
mod window;
mod wma;

use adx::Adx;
use atr::Atr;
use bb::Bb;
use cci::Cci;
use ema::Ema;
use highest::Highest;
use lowest::Lowest;
use macd::Macd;
use obv::Obv;
use rma::Rma;
use roc::Roc;
use rsi::Rsi;
use sma::Sma;
pub use spec::{Input, Spec, DEVIATIONS_MAX, PERIOD_MAX};
use state::State;
use stoch::Stoch;
use wma::Wma;

/// The most that a number may be in size to be one.
const MAGNITUDE_MAX: f64 = 1e100;

/// A closed bar, as numbers. The caller has checked it: low <= open, close <= high.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    /// The first price.
    pub open: f64,
    /// The highest price.
    pub high: f64,
    /// The lowest price.
    pub low: f64,
    /// The last price.
    pub close: f64,
    /// The volume traded.
    pub volume: f64,
}

impl Bar {
    fn is_sound(&self) -> bool {
        [self.open, self.high, self.low, self.close, self.volume].into_iter().all(is_sound)
    }
}

/// A line of a function on a bar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// There is none: the function still warms up, or has no input, or its result is not finite.
    Absent,
    /// The formula has no value, and TA-Lib goes on with this number.
    StandIn(f64),
    /// The value.
    Known(f64),
}

impl Value {
    /// What a condition sees: only values.
    #[must_use]
    pub fn known(self) -> Option<f64> {
        match self {
            Value::Known(value) => Some(value),
            Value::Absent | Value::StandIn(_) => None,
        }
    }

    /// What a function over this line counts: TA-Lib's number where the formula has no value.
    #[must_use]
    pub fn fed(self) -> Option<f64> {
        match self {
            Value::Known(value) | Value::StandIn(value) => Some(value),
            Value::Absent => None,
        }
    }

    fn of(value: Option<f64>) -> Value {
        value.filter(|value| value.is_finite()).map_or(Value::Absent, Value::Known)
    }
}

/// The lines of a function on a bar, in the order of [`Spec::lines`]. Those that the function has not are absent.
pub type Reading = [Value; 3];

const NOTHING: Reading = [Value::Absent; 3];

fn one(value: Value) -> Reading {
    [value, Value::Absent, Value::Absent]
}

/// A function and what it has seen so far.
///
/// A clone is how the state before the last bar is kept, for when that bar is corrected; it copies 8 bytes for
/// each bar of the period.
#[derive(Clone, Debug)]
pub struct Indicator {
    spec: Spec,
    function: Function,
}

#[derive(Clone, Debug)]
enum Function {
    Sma(Sma),
    Ema(Ema),
    Wma(Wma),
    Rma(Rma),
    Rsi(Rsi),
    Macd(Macd),
    Bb(Bb),
    Atr(Atr),
    Stoch(Stoch),
    Adx(Adx),
    Cci(Cci),
    Roc(Roc),
    Obv(Obv),
    Highest(Highest),
    Lowest(Lowest),
}

impl Indicator {
    /// A function before its first bar; `None` when a parameter is out of bounds ([`Spec::is_valid`]).
    #[must_use]
    pub fn new(spec: Spec) -> Option<Indicator> {
        spec.is_valid().then(|| Indicator { spec, function: Function::new(spec) })
    }

    /// What it computes.
    #[must_use]
    pub fn spec(&self) -> Spec {
        self.spec
    }

    /// Takes in the next bar, and says the lines on it.
    ///
    /// `source` is the number of the source series on this bar, which functions of one series read, and only
    /// they. A source that has none yet (or not on this bar) leaves the function as it is.
    pub fn next(&mut self, bar: &Bar, source: Option<f64>) -> Reading {
        match (self.spec.input(), source) {
            (Input::Series, Some(source)) if is_sound(source) => self.function.next_number(source),
            (Input::Bars, _) if bar.is_sound() => self.function.next_bar(bar),
            _ => NOTHING,
        }
    }

    /// Appends the state, which [`Indicator::restore`] reads back bit for bit.
    ///
    /// The form: the [`Spec`] (one byte for the function, its parameters), then the parts of the state in the
    /// order of their declaration. Counts are 2 bytes, numbers the 8 bytes of their bits, all little-endian; an
    /// optional number has a byte 0 or 1 before it; a window has its count, the place of its oldest number and
    /// its numbers by place.
    pub fn save(&self, out: &mut Vec<u8>) {
        self.spec.save(out);
        self.function.state().save(out);
    }

    /// Reads a saved state off the front of `bytes`. `None` when that is no state of this function, with these
    /// parameters; what is left of `bytes` then says nothing.
    #[must_use]
    pub fn restore(spec: Spec, bytes: &mut &[u8]) -> Option<Indicator> {
        let mut indicator = Indicator::new(spec)?;
        let mut head = Vec::new();
        spec.save(&mut head);
        *bytes = bytes.strip_prefix(head.as_slice())?;
        indicator.function.state_mut().load(bytes)?;
        Some(indicator)
    }
}

/// The state of a function, borrowed as the function is.
macro_rules! state_of {
    ($function:expr) => {
        match $function {
            Function::Sma(state) => state,
            Function::Ema(state) => state,
            Function::Wma(state) => state,
            Function::Rma(state) => state,
            Function::Rsi(state) => state,
            Function::Macd(state) => state,
            Function::Bb(state) => state,
            Function::Atr(state) => state,
            Function::Stoch(state) => state,
            Function::Adx(state) => state,
            Function::Cci(state) => state,
            Function::Roc(state) => state,
            Function::Obv(state) => state,
            Function::Highest(state) => state,
            Function::Lowest(state) => state,
        }
    };
}

impl Function {
    fn new(spec: Spec) -> Function {
        match spec {
            Spec::Sma(period) => Function::Sma(Sma::new(period)),
            Spec::Ema(period) => Function::Ema(Ema::new(period)),
            Spec::Wma(period) => Function::Wma(Wma::new(period)),
            Spec::Rma(period) => Function::Rma(Rma::new(period)),
            Spec::Rsi(period) => Function::Rsi(Rsi::new(period)),
            Spec::Macd { fast, slow, signal } => Function::Macd(Macd::new(fast, slow, signal)),
            Spec::Bb { period, deviations } => Function::Bb(Bb::new(period, deviations)),
            Spec::Atr(period) => Function::Atr(Atr::new(period)),
            Spec::Stoch { k, d, slowing } => Function::Stoch(Stoch::new(k, d, slowing)),
            Spec::Adx(period) => Function::Adx(Adx::new(period)),
            Spec::Cci(period) => Function::Cci(Cci::new(period)),
            Spec::Roc(period) => Function::Roc(Roc::new(period)),
            Spec::Obv => Function::Obv(Obv::default()),
            Spec::Highest(period) => Function::Highest(Highest::new(period)),
            Spec::Lowest(period) => Function::Lowest(Lowest::new(period)),
        }
    }

    fn next_number(&mut self, x: f64) -> Reading {
        match self {
            Function::Sma(sma) => one(Value::of(sma.next(x))),
            Function::Ema(ema) => one(Value::of(ema.next(x))),
            Function::Wma(wma) => one(Value::of(wma.next(x))),
            Function::Rma(rma) => one(Value::of(rma.next(x))),
            Function::Rsi(rsi) => one(rsi.next(x)),
            Function::Macd(macd) => macd.next(x),
            Function::Bb(bb) => bb.next(x),
            Function::Roc(roc) => one(roc.next(x)),
            Function::Highest(highest) => one(Value::of(highest.next(x))),
            Function::Lowest(lowest) => one(Value::of(lowest.next(x))),
            Function::Atr(_) | Function::Stoch(_) | Function::Adx(_) | Function::Cci(_) | Function::Obv(_) => NOTHING,
        }
    }

    fn next_bar(&mut self, bar: &Bar) -> Reading {
        match self {
            Function::Atr(atr) => one(Value::of(atr.next(bar))),
            Function::Stoch(stoch) => stoch.next(bar),
            Function::Adx(adx) => one(Value::of(adx.next(bar))),
            Function::Cci(cci) => one(cci.next(bar)),
            Function::Obv(obv) => one(Value::of(Some(obv.next(bar)))),
            _ => NOTHING,
        }
    }

    fn state(&self) -> &dyn State {
        state_of!(self)
    }

    fn state_mut(&mut self) -> &mut dyn State {
        state_of!(self)
    }
}

/// False for NaN too.
fn is_sound(x: f64) -> bool {
    x.abs() <= MAGNITUDE_MAX
}
