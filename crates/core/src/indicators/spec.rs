//! Which function with which parameters, and what it reads and gives.

use super::state::State;

/// The longest period, in bars.
pub const PERIOD_MAX: u16 = 1_000;

/// The widest band of [`Spec::Bb`], in standard deviations.
pub const DEVIATIONS_MAX: f64 = 1_000.0;

/// A function and its parameters. Periods are bars, up to [`PERIOD_MAX`]; the least is TA-Lib's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Spec {
    /// Simple moving average, period from 1.
    Sma(u16),
    /// Exponential moving average, period from 1.
    Ema(u16),
    /// Linearly weighted moving average, period from 1.
    Wma(u16),
    /// Wilder's moving average, period from 1.
    Rma(u16),
    /// Relative strength index, period from 2.
    Rsi(u16),
    /// Difference of two exponential averages, and its own average.
    Macd {
        /// Period of the faster average, from 2.
        fast: u16,
        /// Period of the slower average, from 2. The shorter of the two is the fast one.
        slow: u16,
        /// Period of the signal, from 1.
        signal: u16,
    },
    /// Bollinger's bands.
    Bb {
        /// Period of the average and of the deviation, from 2.
        period: u16,
        /// Distance of the bands in standard deviations, from 0 to [`DEVIATIONS_MAX`].
        deviations: f64,
    },
    /// Average true range, period from 1.
    Atr(u16),
    /// Stochastic oscillator.
    Stoch {
        /// Period of the range, from 1.
        k: u16,
        /// Period of the average that makes %D of %K, from 1.
        d: u16,
        /// Period of the average that makes %K of the place in the range, from 1.
        slowing: u16,
    },
    /// Average directional index, period from 2.
    Adx(u16),
    /// Commodity channel index, period from 2.
    Cci(u16),
    /// Rate of change in percent, period from 1.
    Roc(u16),
    /// On-balance volume.
    Obv,
    /// The highest of the last numbers, period from 2.
    Highest(u16),
    /// The lowest of the last numbers, period from 2.
    Lowest(u16),
}

/// What a function reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// One series: a column of the bars, or a line of another function, or what is made of them.
    Series,
    /// The bars, several columns of them.
    Bars,
}

impl Spec {
    /// What the function reads.
    #[must_use]
    pub fn input(self) -> Input {
        match self {
            Spec::Atr(_) | Spec::Stoch { .. } | Spec::Adx(_) | Spec::Cci(_) | Spec::Obv => Input::Bars,
            _ => Input::Series,
        }
    }

    /// The names of its lines; of a function with one line the name is empty.
    #[must_use]
    pub fn lines(self) -> &'static [&'static str] {
        match self {
            Spec::Macd { .. } => &["line", "signal", "hist"],
            Spec::Bb { .. } => &["upper", "middle", "lower"],
            Spec::Stoch { .. } => &["k", "d"],
            _ => &[""],
        }
    }

    /// The sum of its periods, in bars.
    #[must_use]
    pub fn periods(self) -> usize {
        let periods: &[u16] = match self {
            Spec::Sma(n) | Spec::Ema(n) | Spec::Wma(n) | Spec::Rma(n) | Spec::Rsi(n) | Spec::Atr(n) => &[n],
            Spec::Adx(n) | Spec::Cci(n) | Spec::Roc(n) | Spec::Highest(n) | Spec::Lowest(n) => &[n],
            Spec::Macd { fast, slow, signal } => &[fast, slow, signal],
            Spec::Bb { period, .. } => &[period],
            Spec::Stoch { k, d, slowing } => &[k, d, slowing],
            Spec::Obv => &[],
        };
        periods.iter().map(|period| usize::from(*period)).sum()
    }

    /// Whether the parameters are in bounds.
    #[must_use]
    pub fn is_valid(self) -> bool {
        let periods = |least: u16, periods: &[u16]| periods.iter().all(|period| (least..=PERIOD_MAX).contains(period));
        match self {
            Spec::Sma(n) | Spec::Ema(n) | Spec::Wma(n) | Spec::Rma(n) | Spec::Atr(n) | Spec::Roc(n) => periods(1, &[n]),
            Spec::Rsi(n) | Spec::Adx(n) | Spec::Cci(n) | Spec::Highest(n) | Spec::Lowest(n) => periods(2, &[n]),
            Spec::Macd { fast, slow, signal } => periods(2, &[fast, slow]) && periods(1, &[signal]),
            Spec::Bb { period, deviations } => periods(2, &[period]) && (0.0..=DEVIATIONS_MAX).contains(&deviations),
            Spec::Stoch { k, d, slowing } => periods(1, &[k, d, slowing]),
            Spec::Obv => true,
        }
    }

    /// The most bytes that [`Indicator::save`](super::Indicator::save) takes for the function, however many bars it
    /// has seen. A number of a window takes 8 bytes, a candidate for an extreme 10, and all the rest fits in 64.
    #[must_use]
    pub fn state_len_max(self) -> usize {
        let windows = match self {
            Spec::Sma(n) | Spec::Wma(n) | Spec::Cci(n) | Spec::Roc(n) | Spec::Bb { period: n, .. } => {
                8 * usize::from(n)
            }
            Spec::Highest(n) | Spec::Lowest(n) => 10 * usize::from(n),
            Spec::Stoch { k, d, slowing } => 20 * usize::from(k) + 8 * (usize::from(d) + usize::from(slowing)),
            _ => 0,
        };
        windows + 64
    }

    /// Appends a byte for the function and its parameters. The bytes are never given to another function.
    pub(super) fn save(self, out: &mut Vec<u8>) {
        let (function, periods): (u8, &[u16]) = match self {
            Spec::Sma(period) => (1, &[period]),
            Spec::Ema(period) => (2, &[period]),
            Spec::Wma(period) => (3, &[period]),
            Spec::Rma(period) => (4, &[period]),
            Spec::Rsi(period) => (5, &[period]),
            Spec::Macd { fast, slow, signal } => (6, &[fast, slow, signal]),
            Spec::Bb { period, .. } => (7, &[period]),
            Spec::Atr(period) => (8, &[period]),
            Spec::Stoch { k, d, slowing } => (9, &[k, d, slowing]),
            Spec::Adx(period) => (10, &[period]),
            Spec::Cci(period) => (11, &[period]),
            Spec::Roc(period) => (12, &[period]),
            Spec::Obv => (13, &[]),
            Spec::Highest(period) => (14, &[period]),
            Spec::Lowest(period) => (15, &[period]),
        };
        out.push(function);
        for period in periods {
            period.save(out);
        }
        if let Spec::Bb { deviations, .. } = self {
            deviations.save(out);
        }
    }
}
