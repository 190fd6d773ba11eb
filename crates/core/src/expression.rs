//! The language of conditions: parsed, printed in one canonical form, and judged on a bar.
//!
//! ```text
//! or        = and { OR and }
//! and       = not { AND not }
//! not       = NOT not | predicate
//! predicate = TOUCHES sum | sum [ relation sum | BETWEEN sum AND sum ]
//! relation  = "<" | "<=" | ">" | ">=" | "==" | "!=" | CROSSES_ABOVE | CROSSES_BELOW | CROSSES
//! sum       = product { ("+" | "-") product }
//! product   = unary { ("*" | "/") unary }
//! unary     = "-" unary | value
//! value     = number | series { "[" bars-ago "]" }
//! series    = column | name "(" [ sum "," ] parameters ")" [ "." line ] | obv | "(" or ")"
//! ```
//!
//! Case does not matter. A number is written as in JSON. The whole is a condition, and numbers and conditions do
//! not stand for each other. A function of one series reads `close` unless a source is its first argument.
//!
//! Two texts with one canonical form are one condition. The form keeps the order of operands, as sums of doubles
//! depend on it; it drops what cannot matter: case, space, needless parentheses, the way in which a number is
//! written, `close` as a source, and `[n]` behind parentheses, which goes to the series in them.

mod evaluate;
mod function;
mod id;
mod parser;
mod print;
#[cfg(test)]
mod tests;
mod token;
mod truth;

use std::fmt;

use crate::indicators::Spec;
use crate::refusal::{Code, Outcome};

pub use evaluate::{History, Verdict};
pub use id::condition_id;
pub use print::number_text;
pub use truth::Truth;

/// The longest text of an expression, in bytes. The canonical text of the largest expression fits: a node takes at
/// most 32 bytes of it.
pub const TEXT_MAX: usize = 8 * 1024;

/// How deep parentheses, arguments, NOT and unary minus may be in each other. Chains of operators are not deep.
pub const DEPTH_MAX: usize = 64;

/// The most numbers, series, functions and operators of an expression.
pub const NODES_MAX: usize = 256;

/// The most that the canonical texts of all series and functions of an expression have together, in bytes: what a trigger
/// tells has each of them, and an inner function is in the text of each outer one.
pub const TERMS_TEXT_MAX: usize = 4 * 1024;

/// The most bars that the functions of an expression read together: the sum of their periods. Some take as long on each
/// bar as their period.
pub const PERIODS_MAX: usize = 10_000;

/// The most bars that `[n]` goes back, or several of them together.
pub const AGO_MAX: u16 = 1_000;

/// A parsed condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Expression {
    text: String,
    root: Condition,
    terms: Vec<Term>,
}

/// A series or a function of an expression, which has a number on each bar.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    text: String,
    series: Series,
    reach: usize,
}

#[derive(Clone, Debug, PartialEq)]
enum Series {
    Column(Column),
    Line {
        function: Spec,
        /// The place in [`Spec::lines`].
        line: usize,
        /// `None` is `close`, and what functions of whole bars have.
        source: Option<Number>,
    },
}

/// A column of the bars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// The first price.
    Open,
    /// The highest price.
    High,
    /// The lowest price.
    Low,
    /// The last price, also called `price`.
    Close,
    /// The volume traded.
    Volume,
}

/// What is true, false or unknown.
#[derive(Clone, Debug, PartialEq)]
enum Condition {
    Not(Box<Condition>),
    /// At least two, and none of them is a junction of the same kind: `a AND (b AND c)` has three.
    Joined(Junction, Vec<Condition>),
    Related(Relation, Number, Number),
    Between(Number, Number, Number),
    Touches(Number),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Junction {
    And,
    Or,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Less,
    AtMost,
    Greater,
    AtLeast,
    Equal,
    Unequal,
    CrossesAbove,
    CrossesBelow,
    Crosses,
}

/// What has a number, or none.
#[derive(Clone, Debug, PartialEq)]
enum Number {
    /// Finite, and not -0.
    Constant(f64),
    /// The term of this index, so many bars ago.
    Term {
        index: usize,
        ago: u16,
    },
    /// Never of a constant, which is negative itself.
    Minus(Box<Number>),
    Arithmetic(Operator, Box<[Number; 2]>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Plus,
    Minus,
    Times,
    Over,
}

impl Expression {
    /// Parses a condition, as a caller wrote it.
    ///
    /// # Errors
    /// BADEXPR with the 1-based column, in bytes, and what was expected there; or when the text is too long.
    pub fn parse(text: &[u8]) -> Outcome<Expression> {
        let (root, mut terms) = parser::parse(text)?;
        check_size(&terms)?;
        measure_reach(&root, &mut terms);
        Ok(Expression { text: print::condition(&root, &terms), root, terms })
    }

    /// The canonical text, which parses to the same expression.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its series and functions, each once, in the order in which they end in the canonical text. What a function
    /// reads thus comes before it: computed in this order, every source is there when it is needed.
    ///
    /// The `close` that a function reads when no source is named is no term, nor are the prices that TOUCHES reads.
    #[must_use]
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Term {
    /// The canonical text, `bb(20, 2).upper`. In all expressions it says the same series.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The column, if it is one.
    #[must_use]
    pub fn column(&self) -> Option<Column> {
        match self.series {
            Series::Column(column) => Some(column),
            Series::Line { .. } => None,
        }
    }

    /// The function and the place of the line in [`Spec::lines`], if it is one.
    #[must_use]
    pub fn line(&self) -> Option<(Spec, usize)> {
        match self.series {
            Series::Column(_) => None,
            Series::Line { function, line, .. } => Some((function, line)),
        }
    }

    /// The text without the line's name, `bb(20, 2)`: terms for which it is the same need one indicator.
    #[must_use]
    pub fn function_text(&self) -> &str {
        let line = self.line().map_or("", |(function, line)| function.lines()[line]);
        let name = self.text.strip_suffix(line).unwrap_or(&self.text);
        name.strip_suffix('.').unwrap_or(name)
    }

    /// How many bars ago it is read at most. That many of its past numbers have to be kept.
    #[must_use]
    pub fn reach(&self) -> usize {
        self.reach
    }
}

impl Column {
    const ALL: [Column; 5] = [Column::Open, Column::High, Column::Low, Column::Close, Column::Volume];

    /// The name in expressions.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Column::Open => "open",
            Column::High => "high",
            Column::Low => "low",
            Column::Close => "close",
            Column::Volume => "volume",
        }
    }
}

impl Relation {
    const ALL: [Relation; 9] = [
        Relation::Less,
        Relation::AtMost,
        Relation::Greater,
        Relation::AtLeast,
        Relation::Equal,
        Relation::Unequal,
        Relation::CrossesAbove,
        Relation::CrossesBelow,
        Relation::Crosses,
    ];

    fn text(self) -> &'static str {
        match self {
            Relation::Less => "<",
            Relation::AtMost => "<=",
            Relation::Greater => ">",
            Relation::AtLeast => ">=",
            Relation::Equal => "==",
            Relation::Unequal => "!=",
            Relation::CrossesAbove => "CROSSES_ABOVE",
            Relation::CrossesBelow => "CROSSES_BELOW",
            Relation::Crosses => "CROSSES",
        }
    }

    /// Whether the bar before counts too.
    fn is_cross(self) -> bool {
        matches!(self, Relation::CrossesAbove | Relation::CrossesBelow | Relation::Crosses)
    }
}

impl Junction {
    fn text(self) -> &'static str {
        match self {
            Junction::And => "AND",
            Junction::Or => "OR",
        }
    }
}

impl Operator {
    fn text(self) -> &'static str {
        match self {
            Operator::Plus => "+",
            Operator::Minus => "-",
            Operator::Times => "*",
            Operator::Over => "/",
        }
    }
}

impl Number {
    /// Calls `visit` with each term in it and how many bars ago it is read.
    fn each_term(&self, visit: &mut dyn FnMut(usize, u16)) {
        match self {
            Number::Constant(_) => {}
            Number::Term { index, ago } => visit(*index, *ago),
            Number::Minus(operand) => operand.each_term(visit),
            Number::Arithmetic(_, operands) => operands.iter().for_each(|operand| operand.each_term(visit)),
        }
    }

    fn has_terms(&self) -> bool {
        let mut has = false;
        self.each_term(&mut |_, _| has = true);
        has
    }
}

impl Condition {
    /// Calls `visit` with each number that it reads, and how many bars before this one it is read too.
    fn each_number(&self, visit: &mut dyn FnMut(&Number, usize)) {
        match self {
            Condition::Not(operand) => operand.each_number(visit),
            Condition::Joined(_, sides) => sides.iter().for_each(|side| side.each_number(visit)),
            Condition::Related(relation, left, right) => {
                let before = usize::from(relation.is_cross());
                visit(left, before);
                visit(right, before);
            }
            Condition::Between(x, from, to) => [x, from, to].into_iter().for_each(|number| visit(number, 0)),
            Condition::Touches(x) => visit(x, 1),
        }
    }
}

fn check_size(terms: &[Term]) -> Outcome<()> {
    let text: usize = terms.iter().map(|term| term.text.len()).sum();
    let periods: usize = terms.iter().filter_map(|term| Some(term.line()?.0.periods())).sum();
    let too_much = |what: &str, has: usize, most: usize| {
        Code::BadExpr.because(format!("{what} {has}, at most {most} are allowed: make it several conditions"))
    };
    match () {
        () if text > TERMS_TEXT_MAX => Err(too_much("the texts of all functions have bytes:", text, TERMS_TEXT_MAX)),
        () if periods > PERIODS_MAX => Err(too_much("the periods of all functions sum up to", periods, PERIODS_MAX)),
        () => Ok(()),
    }
}

fn measure_reach(root: &Condition, terms: &mut [Term]) {
    let mut reach = vec![0; terms.len()];
    let mut read = |number: &Number, before: usize| {
        number.each_term(&mut |index, ago| reach[index] = reach[index].max(usize::from(ago) + before));
    };
    root.each_number(&mut read);
    for term in &*terms {
        if let Series::Line { source: Some(source), .. } = &term.series {
            read(source, 0);
        }
    }
    for (term, reach) in terms.iter_mut().zip(reach) {
        term.reach = reach;
    }
}
