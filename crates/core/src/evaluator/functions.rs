//! The functions that somebody needs, each once, and where they are.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::past::Past;
use crate::expression::{Expression, Term};
use crate::indicators::{Bar, Indicator, Value};

/// The lines of a function keep their newest reading whoever asks for it: so a line is there as soon as its function
/// is, and a function without readings is one that has seen no bar.
const DEPTH_LEAST: usize = 1;

/// The lines of an expression's terms, in their order; none for a column.
pub(super) type Places = Rc<[Option<Place>]>;

/// A line of a function.
#[derive(Clone, Copy)]
pub(super) struct Place {
    slot: usize,
    /// The place in [`Spec::lines`](crate::indicators::Spec::lines).
    line: usize,
}

/// What a function reads: the source of a term of an expression.
///
/// The expression stays in memory as long as the function, even if nobody watches it any more. What the source reads
/// stays too: whoever names the function names that, as terms of its own.
pub(super) struct Input {
    pub(super) expression: Rc<Expression>,
    pub(super) term: usize,
    pub(super) places: Places,
}

/// A function, what it has seen, and its last readings.
pub(super) struct Function {
    indicator: Indicator,
    lines: Box<[Past]>,
    input: Input,
}

impl Function {
    fn new(indicator: Indicator, input: Input) -> Function {
        let lines = indicator.spec().lines().iter().map(|_| Past::new(DEPTH_LEAST)).collect();
        Function { indicator, lines, input }
    }

    pub(super) fn input(&self) -> &Input {
        &self.input
    }

    pub(super) fn line(&self, line: usize) -> Option<&Past> {
        self.lines.get(line)
    }

    /// Takes in a bar. `source` is the number of its input on it.
    pub(super) fn next(&mut self, bar: &Bar, source: Option<f64>) {
        let reading = self.indicator.next(bar, source);
        for (past, value) in self.lines.iter_mut().zip(reading) {
            past.push(value);
        }
    }

    /// Makes it one that has seen no bar.
    fn reset(&mut self) {
        self.lines.iter_mut().for_each(Past::clear);
        if let Some(fresh) = Indicator::new(self.indicator.spec()) {
            self.indicator = fresh;
        }
    }

    /// Takes over what the same function of another evaluator has and this one has not, and says whether that is anything.
    fn adopt(&mut self, other: Function) -> bool {
        if self.lines.iter().all(Past::is_empty) {
            self.indicator = other.indicator;
        }
        // A function that has seen a bar has readings, so its state never goes over without them.
        let lines = self.lines.iter_mut().zip(&other.lines);
        lines.fold(false, |adopted, (past, other)| past.extend_from(other) || adopted)
    }

    pub(super) fn saved_len_max(&self) -> usize {
        self.indicator.spec().state_len_max() + self.lines.iter().map(Past::saved_len_max).sum::<usize>()
    }

    pub(super) fn save(&self, out: &mut Vec<u8>) {
        self.indicator.save(out);
        self.lines.iter().for_each(|past| past.save(out));
    }

    /// Reads what is saved of it. After `None`, when the bytes are not that, it holds a part.
    pub(super) fn load(&mut self, bytes: &mut &[u8]) -> Option<()> {
        self.indicator = Indicator::restore(self.indicator.spec(), bytes)?;
        self.lines.iter_mut().try_for_each(|past| past.load(bytes))
    }
}

/// Functions by slot, text and order. A slot lasts as long as its function, and is then given to another one: a
/// lookup when a condition is judged is one step, and handles of others stay what they are.
#[derive(Default)]
pub(super) struct Functions {
    slots: Vec<Option<Function>>,
    vacant: Vec<usize>,
    /// The taken slots, sources before those who read them. It is the order in which they were first named: what a
    /// function reads is named with it or was before, and goes no sooner.
    order: Vec<usize>,
    /// The slots by [`Term::function_text`].
    by_text: BTreeMap<Box<str>, usize>,
}

impl Functions {
    pub(super) fn count(&self) -> usize {
        self.order.len()
    }

    /// The slots, sources before those who read them.
    pub(super) fn order(&self) -> &[usize] {
        &self.order
    }

    #[inline]
    pub(super) fn get(&self, slot: usize) -> Option<&Function> {
        self.slots.get(slot)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, slot: usize) -> Option<&mut Function> {
        self.slots.get_mut(slot)?.as_mut()
    }

    pub(super) fn named_mut(&mut self, text: &str) -> Option<&mut Function> {
        self.get_mut(*self.by_text.get(text)?)
    }

    /// The functions by their texts, in the order of these.
    pub(super) fn by_text(&self) -> impl Iterator<Item = (&str, &Function)> {
        self.by_text.iter().filter_map(|(text, slot)| Some((&**text, self.get(*slot)?)))
    }

    #[inline]
    pub(super) fn value(&self, place: Place, ago: usize) -> Option<Value> {
        self.get(place.slot)?.line(place.line)?.at(ago)
    }

    /// The readings of the term; `None` when its function is not computed.
    pub(super) fn past(&self, term: &Term) -> Option<&Past> {
        let (_, line) = term.line()?;
        self.get(*self.by_text.get(term.function_text())?)?.line(line)
    }

    /// Sees to it that the functions of an expression are there from the next bar on, and that no one else's release
    /// takes them away.
    pub(super) fn need(&mut self, expression: &Rc<Expression>) -> Places {
        let mut added = Vec::new();
        let mut place = |(index, term): (usize, &Term)| {
            let (spec, line) = term.line()?;
            let text = term.function_text();
            if let Some(slot) = self.by_text.get(text) {
                return Some(Place { slot: *slot, line });
            }
            let indicator = Indicator::new(spec)?;
            let slot = self.vacant.pop().unwrap_or_else(|| {
                self.slots.push(None);
                self.slots.len() - 1
            });
            self.by_text.insert(text.into(), slot);
            added.push((slot, index, indicator));
            Some(Place { slot, line })
        };
        let places: Places = expression.terms().iter().enumerate().map(&mut place).collect();
        for (slot, term, indicator) in added {
            let input = Input { expression: Rc::clone(expression), term, places: Rc::clone(&places) };
            self.slots[slot] = Some(Function::new(indicator, input));
            self.order.push(slot);
        }
        self.each_past(expression, &places, Past::need);
        places
    }

    /// Takes one [`Functions::need`] back, and drops the functions that nobody needs.
    pub(super) fn release(&mut self, expression: &Expression, places: &Places) {
        self.each_past(expression, places, Past::release);
        let mut is_dropped = false;
        for (term, place) in expression.terms().iter().zip(&**places) {
            let Some(place) = place else { continue };
            if self.get(place.slot).is_some_and(|function| !function.lines.iter().any(Past::is_needed)) {
                self.slots[place.slot] = None;
                self.vacant.push(place.slot);
                self.by_text.remove(term.function_text());
                is_dropped = true;
            }
        }
        if is_dropped {
            let slots = &self.slots;
            self.order.retain(|slot| slots[*slot].is_some());
        }
    }

    /// Calls `change` with the readings of each function's term, and how many of them the expression reads.
    fn each_past(&mut self, expression: &Expression, places: &Places, change: fn(&mut Past, usize)) {
        for (term, place) in expression.terms().iter().zip(&**places) {
            let past = place.and_then(|place| self.get_mut(place.slot)?.lines.get_mut(place.line));
            if let Some(past) = past {
                change(past, term.reach() + 1);
            }
        }
    }

    /// Makes them functions that have seen no bar.
    pub(super) fn reset(&mut self) {
        self.slots.iter_mut().flatten().for_each(Function::reset);
    }

    /// Takes over what the same functions of another evaluator have and these have not, and says whether that is anything.
    pub(super) fn adopt(&mut self, mut other: Functions) -> bool {
        let mut adopted = false;
        for (text, slot) in other.by_text {
            if let (Some(own), Some(other)) = (self.named_mut(&text), other.slots[slot].take()) {
                adopted |= own.adopt(other);
            }
        }
        adopted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_used_again() {
        let mut functions = Functions::default();
        for round in 0..100 {
            let text = format!("sma(rsi({}), 3) > macd(2, 3, {}).hist", 2 + round % 7, 1 + round);
            let expression = Rc::new(Expression::parse(text.as_bytes()).unwrap());
            let twice = [functions.need(&expression), functions.need(&expression)];
            assert_eq!(functions.count(), 3);
            for places in &twice {
                functions.release(&expression, places);
            }
        }
        assert_eq!((functions.count(), functions.by_text.len()), (0, 0));
        assert_eq!((functions.slots.len(), functions.vacant.len()), (3, 3));
    }
}
