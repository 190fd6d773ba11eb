//! What the conditions of one symbol and timeframe are judged by: the functions that they name, each computed once a
//! bar, and as many past numbers as they ask for.
//!
//! A condition is watched and gives a [`Watch`], by which it is judged on each bar. Conditions share functions by their
//! canonical text. What is computed and kept follows from the conditions that are watched now, whichever others were
//! watched before.
//!
//! A function begins with the bar that follows its first watch. Where there are older bars, another evaluator takes
//! them in and its state is [adopted](Evaluator::adopt):
//!
//! ```
//! # use std::rc::Rc;
//! # use tradebus_core::{evaluator::Evaluator, expression::Expression, indicators::Bar};
//! # let bars = [1.0, 2.0, 3.0].map(|x| Bar { open: x, high: x, low: x, close: x, volume: x });
//! # let mut evaluator = Evaluator::default();
//! # bars.iter().zip(0..).for_each(|(bar, minute)| evaluator.next(60_000 * minute, bar));
//! # let expression = Rc::new(Expression::parse(b"sma(3) < 5").unwrap());
//! let covered = evaluator.covers(&expression);
//! let watch = evaluator.watch(Rc::clone(&expression));
//! if !covered {
//!     let mut warm = Evaluator::default();
//!     let _ = warm.watch(expression);
//!     bars.iter().zip(0..).for_each(|(bar, minute)| warm.next(60_000 * minute, bar));
//!     evaluator.adopt(warm);
//! }
//! assert_eq!(evaluator.terms(&watch).collect::<Vec<_>>(), [("sma(3)", Some(2.0))]);
//! ```

mod functions;
mod past;
mod saved;

use std::rc::Rc;

use functions::{Functions, Places};
use past::Past;

use crate::expression::{Column, Expression, History, Verdict};
use crate::indicators::{Bar, Value};
use crate::time::Millis;

/// The most bytes of a state that are worth saving: [`Evaluator::saved_len_max`] is to stay below.
pub const STATE_MAX: usize = 4 << 20;

/// The columns of a bar and of the one before are kept whoever asks, for TOUCHES reads them without naming them.
const COLUMN_DEPTH_LEAST: usize = 2;

/// The state of the conditions of one symbol and timeframe.
pub struct Evaluator {
    bars: u64,
    // Invariant: some if and only if `bars` is not 0.
    last_bar: Option<Millis>,
    /// In the order of [`Column`].
    columns: [Past; 5],
    functions: Functions,
}

/// A watched expression. It is of use only with the evaluator that gave it, until [`Evaluator::unwatch`] takes it back;
/// if it is just dropped, its functions are computed for ever.
pub struct Watch {
    expression: Rc<Expression>,
    places: Places,
}

impl Watch {
    /// What is watched.
    #[must_use]
    pub fn expression(&self) -> &Rc<Expression> {
        &self.expression
    }
}

impl Default for Evaluator {
    /// Before the first bar, with nothing to compute.
    fn default() -> Evaluator {
        let columns = std::array::from_fn(|_| Past::new(COLUMN_DEPTH_LEAST));
        Evaluator { bars: 0, last_bar: None, columns, functions: Functions::default() }
    }
}

impl Evaluator {
    /// Watches an expression: from the next bar on its functions are computed, and as many of their numbers are kept
    /// as it reads.
    #[must_use]
    pub fn watch(&mut self, expression: Rc<Expression>) -> Watch {
        let places = self.functions.need(&expression);
        self.each_column(&expression, Past::need);
        Watch { expression, places }
    }

    /// Watches no more. What no other watch needs is no longer computed, kept or saved.
    pub fn unwatch(&mut self, watch: Watch) {
        self.functions.release(&watch.expression, &watch.places);
        self.each_column(&watch.expression, Past::release);
    }

    fn each_column(&mut self, expression: &Expression, change: fn(&mut Past, usize)) {
        for term in expression.terms() {
            if let Some(column) = term.column() {
                change(&mut self.columns[column as usize], term.reach() + 1);
            }
        }
    }

    /// Whether all that the expression reads is computed and kept already: then to watch it changes nothing that
    /// would be saved.
    #[must_use]
    pub fn covers(&self, expression: &Expression) -> bool {
        self.pasts(expression).all(|(past, depth)| past.is_some_and(|past| past.depth() >= depth))
    }

    /// Takes in a closed bar. Once the functions have warmed up this allocates nothing.
    pub fn next(&mut self, open_time: Millis, bar: &Bar) {
        self.bars = self.bars.saturating_add(1);
        self.last_bar = Some(open_time);
        let columns = [bar.open, bar.high, bar.low, bar.close, bar.volume];
        for (past, number) in self.columns.iter_mut().zip(columns) {
            past.push(Value::Known(number));
        }
        for at in 0..self.functions.count() {
            let slot = self.functions.order()[at];
            let source = self.functions.get(slot).and_then(|function| {
                let input = function.input();
                input.expression.source(input.term, &self.seen(&input.places, Value::fed))
            });
            if let Some(function) = self.functions.get_mut(slot) {
                function.next(bar, source);
            }
        }
    }

    /// Judges a watched expression on the last bar.
    #[must_use]
    pub fn judge(&self, watch: &Watch) -> Verdict {
        watch.expression.judge(&self.seen(&watch.places, Value::known))
    }

    /// The series and functions of a watched expression, in the order of [`Expression::terms`]: the canonical text,
    /// and the number on the last bar.
    pub fn terms<'a>(&'a self, watch: &'a Watch) -> impl Iterator<Item = (&'a str, Option<f64>)> + 'a {
        let seen = self.seen(&watch.places, Value::known);
        let terms = watch.expression.terms().iter().enumerate();
        terms.map(move |(index, term)| (term.text(), watch.expression.number(index, &seen)))
    }

    fn seen<'a, S: Fn(Value) -> Option<f64>>(&'a self, places: &'a Places, see: S) -> Seen<'a, S> {
        Seen { evaluator: self, places, see }
    }

    /// How many bars were taken in.
    #[must_use]
    pub fn bars(&self) -> u64 {
        self.bars
    }

    /// The open time of the last bar.
    #[must_use]
    pub fn last_bar(&self) -> Option<Millis> {
        self.last_bar
    }

    /// How many functions are computed on a bar. The lines of one function are one.
    #[must_use]
    pub fn functions(&self) -> usize {
        self.functions.count()
    }

    /// Whether all that the expression reads has seen as many of the bars as are kept. After a restore it has not if the
    /// save was made before it was watched.
    #[must_use]
    pub fn is_whole(&self, expression: &Expression) -> bool {
        let bars = usize::try_from(self.bars).unwrap_or(usize::MAX);
        self.pasts(expression).all(|(past, depth)| past.is_some_and(|past| past.len() >= depth.min(bars)))
    }

    /// The past of each term, and how much of it is read.
    fn pasts<'a>(&'a self, expression: &'a Expression) -> impl Iterator<Item = (Option<&'a Past>, usize)> {
        expression.terms().iter().map(|term| {
            let past = match term.column() {
                Some(column) => Some(&self.columns[column as usize]),
                None => self.functions.past(term),
            };
            (past, term.reach() + 1)
        })
    }

    /// Forgets all bars. What is watched stays watched.
    pub fn reset(&mut self) {
        self.bars = 0;
        self.last_bar = None;
        self.columns.iter_mut().for_each(Past::clear);
        self.functions.reset();
    }

    /// Takes over from an evaluator that has taken in the bars up to the same one: the state of watched functions
    /// that have seen no bar here, and past numbers from before those that are kept here. What is here already stays
    /// as it is, bit for bit.
    ///
    /// Before the first bar everything is taken over. If the two stand at different bars, nothing is. Says whether anything
    /// was.
    pub fn adopt(&mut self, other: Evaluator) -> bool {
        if self.last_bar.is_none() {
            self.bars = other.bars;
            self.last_bar = other.last_bar;
        } else if self.last_bar != other.last_bar {
            return false;
        }
        let columns = self.columns.iter_mut().zip(&other.columns);
        let adopted = columns.fold(false, |adopted, (past, other)| past.extend_from(other) || adopted);
        self.functions.adopt(other.functions) || adopted
    }
}

/// What an evaluator has seen, for the terms of one expression.
struct Seen<'a, S> {
    evaluator: &'a Evaluator,
    places: &'a Places,
    /// What of a value counts: what a condition sees, or what a function is fed.
    see: S,
}

impl<S: Fn(Value) -> Option<f64>> History for Seen<'_, S> {
    #[inline]
    fn column(&self, column: Column, ago: usize) -> Option<f64> {
        self.evaluator.columns[column as usize].at(ago).and_then(&self.see)
    }

    #[inline]
    fn line(&self, term: usize, ago: usize) -> Option<f64> {
        let place = (*self.places.get(term)?)?;
        self.evaluator.functions.value(place, ago).and_then(&self.see)
    }
}
