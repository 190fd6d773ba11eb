//! The functions by name: from what stands in a call to what is computed.

use crate::indicators::Spec;

/// What a name needs to be a function.
#[derive(Clone, Copy)]
pub(super) struct Function {
    /// The canonical name.
    pub(super) name: &'static str,
    form: Form,
}

#[derive(Clone, Copy)]
enum Form {
    Bare(Spec),
    Period(fn(u16) -> Spec),
    Periods(fn([u16; 3]) -> Spec),
    Band(fn(u16, f64) -> Spec),
}

const fn function(name: &'static str, form: Form) -> Function {
    Function { name, form }
}

const FUNCTIONS: [Function; 15] = [
    function("sma", Form::Period(Spec::Sma)),
    function("ema", Form::Period(Spec::Ema)),
    function("wma", Form::Period(Spec::Wma)),
    function("rma", Form::Period(Spec::Rma)),
    function("rsi", Form::Period(Spec::Rsi)),
    function("macd", Form::Periods(|[fast, slow, signal]| Spec::Macd { fast, slow, signal })),
    function("bb", Form::Band(|period, deviations| Spec::Bb { period, deviations })),
    function("atr", Form::Period(Spec::Atr)),
    function("stoch", Form::Periods(|[k, d, slowing]| Spec::Stoch { k, d, slowing })),
    function("adx", Form::Period(Spec::Adx)),
    function("cci", Form::Period(Spec::Cci)),
    function("roc", Form::Period(Spec::Roc)),
    function("obv", Form::Bare(Spec::Obv)),
    function("highest", Form::Period(Spec::Highest)),
    function("lowest", Form::Period(Spec::Lowest)),
];

impl Function {
    /// The function of this name, in any case.
    pub(super) fn named(name: &[u8]) -> Option<Function> {
        FUNCTIONS.into_iter().find(|function| name.eq_ignore_ascii_case(function.name.as_bytes()))
    }

    /// How many parameters it takes, a source not counted. With none it is written without parentheses.
    pub(super) fn arity(&self) -> usize {
        match self.form {
            Form::Bare(_) => 0,
            Form::Period(_) => 1,
            Form::Band(_) => 2,
            Form::Periods(_) => 3,
        }
    }

    /// The function with these parameters; `None` when they are not as many as it takes, or not in its bounds.
    pub(super) fn with(&self, parameters: &[f64]) -> Option<Spec> {
        let spec = match (self.form, parameters) {
            (Form::Bare(spec), []) => spec,
            (Form::Period(of), [n]) => of(period(*n)?),
            (Form::Periods(of), [a, b, c]) => of([period(*a)?, period(*b)?, period(*c)?]),
            (Form::Band(of), [n, width]) => of(period(*n)?, *width),
            _ => return None,
        };
        spec.is_valid().then_some(spec)
    }
}

/// A whole number of bars that a period can hold; its bounds are the function's.
pub(super) fn period(number: f64) -> Option<u16> {
    let is_period = number.fract() == 0.0 && (0.0..=f64::from(u16::MAX)).contains(&number);
    is_period.then_some(number as u16)
}
