//! A cursor over the arguments of a command.

use std::ops::RangeInclusive;

use tradebus_core::key::Scope;
use tradebus_core::refusal::{Code, Outcome, Refusal};
use tradebus_core::symbol::parse_name;
use tradebus_core::timeframe::Timeframe;

/// The arguments that are not read yet.
#[derive(Clone, Copy, Debug)]
pub struct Args<'a> {
    rest: &'a [&'a [u8]],
}

impl<'a> Args<'a> {
    /// The arguments behind the command's name, which is the first of `all`.
    pub fn of_command(all: &'a [&'a [u8]]) -> Args<'a> {
        Args { rest: all.get(1..).unwrap_or_default() }
    }

    /// How many are left.
    pub fn len(&self) -> usize {
        self.rest.len()
    }

    /// The next argument, if there is one.
    pub fn next(&mut self) -> Option<&'a [u8]> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    /// The next argument, which `what` names.
    ///
    /// # Errors
    /// ERR when there is none.
    pub fn required(&mut self, what: &str) -> Outcome<&'a [u8]> {
        self.next().ok_or_else(|| Code::Err.because(format!("{what} is missing")))
    }

    /// The next argument as the symbol.
    ///
    /// # Errors
    /// ERR when there is none, BADSYMBOL when it is not one.
    pub fn symbol(&mut self) -> Outcome<Scope<'a>> {
        parse_name("the symbol", self.required("symbol")?).map(Scope::Symbol)
    }

    /// The next argument as the stream.
    ///
    /// # Errors
    /// ERR when there is none, BADSYMBOL when it is not one.
    pub fn stream(&mut self) -> Outcome<Scope<'a>> {
        parse_name("the stream", self.required("stream")?).map(Scope::Stream)
    }

    /// The next argument as a timeframe.
    ///
    /// # Errors
    /// ERR when there is none, BADFIELD when it is not one.
    pub fn timeframe(&mut self) -> Outcome<Timeframe> {
        Timeframe::parse(self.required("timeframe")?)
    }

    /// Takes the value of `option` if it is one of `limits`, whole numbers from 0; `false` when it is not.
    ///
    /// # Errors
    /// ERR when it has no value, another one, or was given before.
    pub fn limit<const N: usize>(&mut self, option: &[u8], limits: [(&str, &mut Option<u64>); N]) -> Outcome<bool> {
        for (name, place) in limits {
            if option.eq_ignore_ascii_case(name.as_bytes()) {
                once(place, name, self.integer_of(name, 0..=i64::MAX)?.unsigned_abs())?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The value of an option, which comes behind its name.
    ///
    /// # Errors
    /// ERR when there is none.
    pub fn value_of(&mut self, option: &str) -> Outcome<&'a [u8]> {
        self.next().ok_or_else(|| Code::Err.because(format!("{option} needs a value")))
    }

    /// The value of an option that is a number within `range`.
    ///
    /// # Errors
    /// ERR when there is none or it is another.
    pub fn integer_of(&mut self, option: &str, range: RangeInclusive<i64>) -> Outcome<i64> {
        let text = self.value_of(option)?;
        let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
        number.filter(|number| range.contains(number)).ok_or_else(|| {
            let (least, most) = (range.start(), range.end());
            Code::Err.because(match *most {
                i64::MAX => format!("{option} must be an integer from {least}, not {}", quoted(text)),
                _ => format!("{option} must be an integer from {least} to {most}, not {}", quoted(text)),
            })
        })
    }
}

/// Takes an option's value, once.
///
/// # Errors
/// ERR when the option was given before.
pub fn once<T>(place: &mut Option<T>, option: &str, value: T) -> Outcome<()> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Code::Err.because(format!("{option} is given twice"))),
    }
}

/// The refusal of an option that the command does not have; `known` are those that it has.
#[cold]
pub fn unknown_option(option: &[u8], known: &str) -> Refusal {
    Code::Err.because(format!("unknown option {}, known are {known}", quoted(option)))
}

/// What a caller sent, as it can be shown.
fn quoted(text: &[u8]) -> String {
    const SHOWN: usize = 64;
    let shown = String::from_utf8_lossy(&text[..text.len().min(SHOWN)]);
    let dots = if text.len() > SHOWN { "..." } else { "" };
    format!("`{}{dots}`", shown.escape_debug())
}
