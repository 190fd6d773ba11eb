//! A condition judged on a bar, and what it needs to know for that.
//!
//! A number that is missing, a quotient by 0 and what is not finite are null; what is said of null is unknown.

use std::cmp::Ordering;

use super::{Column, Condition, Expression, Junction, Number, Operator, Relation, Series, Term, Truth};
use crate::indicators::Input;

/// Two numbers that differ by no more than this part of the larger are equal: averages of equal prices are, in
/// whatever order they were summed.
const SLACK: f64 = 1e-12;

/// The bars and the functions' numbers, as an expression asks for them: of the judged bar (`ago` is 0) or an
/// earlier one. What is not there, or was not yet there, is `None`; so may be what was not asked to be kept.
pub trait History {
    /// A column of a bar. Asked for columns of the expression up to [`Term::reach`] bars ago, and by TOUCHES for
    /// `high` and `low` of the judged bar and of the one before.
    fn column(&self, column: Column, ago: usize) -> Option<f64>;

    /// The number of the term that has this place in [`Expression::terms`] and is no column, up to
    /// [`Term::reach`] bars ago.
    fn line(&self, term: usize, ago: usize) -> Option<f64>;
}

/// What is known of an expression on a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it holds.
    pub value: Truth,
    /// Whether it would hold if no cross and no touch happened on this bar.
    pub steady: Truth,
}

impl Verdict {
    /// Whether it holds by a cross or a touch alone. Such a bar fires even if the one before was true; if other
    /// conditions make the expression true anyway, a pulse adds nothing to them.
    #[must_use]
    pub fn is_pulse(self) -> bool {
        self.value == Truth::True && self.steady != Truth::True
    }

    fn steady(value: Truth) -> Verdict {
        Verdict { value, steady: value }
    }

    fn pulse(value: Truth) -> Verdict {
        Verdict { value, steady: Truth::False }
    }

    fn joined(self, other: Verdict, join: fn(Truth, Truth) -> Truth) -> Verdict {
        Verdict { value: join(self.value, other.value), steady: join(self.steady, other.steady) }
    }
}

impl Expression {
    /// Judges the expression on a bar. `history` gives values only ([`known`](crate::indicators::Value::known)).
    pub fn judge(&self, history: &impl History) -> Verdict {
        Bar { terms: &self.terms, history }.condition(&self.root)
    }

    /// The number of a term on the judged bar; `None` when there is none, or no such term.
    pub fn number(&self, term: usize, history: &impl History) -> Option<f64> {
        self.terms.get(term)?;
        Bar { terms: &self.terms, history }.number(&Number::Term { index: term, ago: 0 }, 0)
    }

    /// What a term's function reads on the judged bar; `None` also when the term is a column or reads
    /// whole bars. `history` gives here what [`fed`](crate::indicators::Value::fed) gives, not what a condition sees.
    pub fn source(&self, term: usize, history: &impl History) -> Option<f64> {
        let bar = Bar { terms: &self.terms, history };
        match &self.terms.get(term)?.series {
            Series::Line { source: Some(source), .. } => bar.number(source, 0),
            Series::Line { function, .. } if function.input() == Input::Series => bar.column(Column::Close, 0),
            Series::Line { .. } | Series::Column(_) => None,
        }
    }
}

/// The number of what has no terms; `None` when it has some, or no value.
pub(super) fn constant(number: &Number) -> Option<f64> {
    struct Nothing;
    impl History for Nothing {
        fn column(&self, _: Column, _: usize) -> Option<f64> {
            None
        }

        fn line(&self, _: usize, _: usize) -> Option<f64> {
            None
        }
    }
    Bar { terms: &[], history: &Nothing }.number(number, 0)
}

/// The judged bar.
struct Bar<'a, H> {
    terms: &'a [Term],
    history: &'a H,
}

impl<H: History> Bar<'_, H> {
    fn condition(&self, condition: &Condition) -> Verdict {
        match condition {
            Condition::Not(operand) => {
                let Verdict { value, steady } = self.condition(operand);
                Verdict { value: !value, steady: !steady }
            }
            Condition::Joined(junction, sides) => {
                let (join, nothing): (fn(Truth, Truth) -> Truth, Truth) = match junction {
                    Junction::And => (Truth::and, Truth::True),
                    Junction::Or => (Truth::or, Truth::False),
                };
                let verdicts = sides.iter().map(|side| self.condition(side));
                verdicts.fold(Verdict::steady(nothing), |all, side| all.joined(side, join))
            }
            Condition::Related(relation, left, right) => {
                let value = self.related(*relation, left, right);
                if relation.is_cross() {
                    Verdict::pulse(value)
                } else {
                    Verdict::steady(value)
                }
            }
            Condition::Between(x, from, to) => {
                let [x, from, to] = [x, from, to].map(|number| self.number(number, 0));
                Verdict::steady(holds(from, x, Ordering::is_le).and(holds(x, to, Ordering::is_le)))
            }
            Condition::Touches(x) => Verdict::pulse(self.touches(x)),
        }
    }

    fn related(&self, relation: Relation, left: &Number, right: &Number) -> Truth {
        let now = |test| holds(self.number(left, 0), self.number(right, 0), test);
        let before = |test| holds(self.number(left, 1), self.number(right, 1), test);
        let above = || now(Ordering::is_gt).and(before(Ordering::is_le));
        let below = || now(Ordering::is_lt).and(before(Ordering::is_ge));
        match relation {
            Relation::Less => now(Ordering::is_lt),
            Relation::AtMost => now(Ordering::is_le),
            Relation::Greater => now(Ordering::is_gt),
            Relation::AtLeast => now(Ordering::is_ge),
            Relation::Equal => now(Ordering::is_eq),
            Relation::Unequal => now(Ordering::is_ne),
            Relation::CrossesAbove => above(),
            Relation::CrossesBelow => below(),
            Relation::Crosses => above().or(below()),
        }
    }

    /// Whether the bar has the number in its range, or lies wholly beyond it while the bar before lay wholly on
    /// the other side of what the number was then: a line of a grid that was jumped over.
    fn touches(&self, x: &Number) -> Truth {
        let (x, x_before) = (self.number(x, 0), self.number(x, 1));
        let (low, high) = (self.column(Column::Low, 0), self.column(Column::High, 0));
        let (low_before, high_before) = (self.column(Column::Low, 1), self.column(Column::High, 1));
        let inside = holds(low, x, Ordering::is_le).and(holds(x, high, Ordering::is_le));
        let jumped_up = holds(high_before, x_before, Ordering::is_lt).and(holds(x, low, Ordering::is_lt));
        let jumped_down = holds(x_before, low_before, Ordering::is_lt).and(holds(high, x, Ordering::is_lt));
        inside.or(jumped_up).or(jumped_down)
    }

    /// What the number was `before` bars before the judged one.
    fn number(&self, number: &Number, before: usize) -> Option<f64> {
        let value = match number {
            Number::Constant(value) => *value,
            Number::Term { index, ago } => {
                let ago = usize::from(*ago) + before;
                match self.terms.get(*index)?.series {
                    Series::Column(column) => self.column(column, ago)?,
                    Series::Line { .. } => self.history.line(*index, ago)?,
                }
            }
            Number::Minus(operand) => -self.number(operand, before)?,
            Number::Arithmetic(operator, operands) => {
                let [left, right] = &**operands;
                let (left, right) = (self.number(left, before)?, self.number(right, before)?);
                match operator {
                    Operator::Plus => left + right,
                    Operator::Minus => left - right,
                    Operator::Times => left * right,
                    // By 0 it is not finite, hence null.
                    Operator::Over => left / right,
                }
            }
        };
        value.is_finite().then_some(value)
    }

    fn column(&self, column: Column, ago: usize) -> Option<f64> {
        self.history.column(column, ago).filter(|value| value.is_finite())
    }
}

/// Whether the order of the two passes the test; unknown if one is null.
fn holds(left: Option<f64>, right: Option<f64>, test: fn(Ordering) -> bool) -> Truth {
    let order = || {
        let (left, right) = (left?, right?);
        let is_equal = (left - right).abs() <= SLACK * left.abs().max(right.abs());
        if is_equal {
            Some(Ordering::Equal)
        } else {
            left.partial_cmp(&right)
        }
    };
    Truth::from(order().map(test))
}
