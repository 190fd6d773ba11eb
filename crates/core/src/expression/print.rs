//! The canonical text. Parentheses stand where the tree needs them and nowhere else.

use super::function::Function;
use super::{Condition, Junction, Number, Operator, Term};

/// The text of a number: the fewest digits that read back as the same double, as JSON writes numbers.
#[must_use]
pub fn number_text(number: f64) -> String {
    // An exponent where zeros would be longer. The sum makes -0 a 0.
    match number.abs() {
        size if size == 0.0 || (1e-5..1e16).contains(&size) => format!("{}", number + 0.0),
        _ => format!("{number:e}"),
    }
}

/// The text of a condition.
pub(super) fn condition(root: &Condition, terms: &[Term]) -> String {
    let mut printer = Printer { terms, out: String::new() };
    printer.condition(root);
    printer.out
}

/// The text of a line of a function; `line` is its name, empty if it has none.
pub(super) fn line(
    function: &Function,
    source: Option<&Number>,
    parameters: &[f64],
    line: &str,
    terms: &[Term],
) -> String {
    let mut printer = Printer { terms, out: function.name.to_owned() };
    if !parameters.is_empty() {
        printer.out.push('(');
        if let Some(source) = source {
            printer.number(source);
            printer.out.push_str(", ");
        }
        let parameters: Vec<String> = parameters.iter().copied().map(number_text).collect();
        printer.out.push_str(&parameters.join(", "));
        printer.out.push(')');
    }
    if !line.is_empty() {
        printer.out.push('.');
        printer.out.push_str(line);
    }
    printer.out
}

struct Printer<'a> {
    terms: &'a [Term],
    out: String,
}

impl Printer<'_> {
    fn condition(&mut self, condition: &Condition) {
        match condition {
            Condition::Not(operand) => {
                self.out.push_str("NOT ");
                self.side(operand, matches!(**operand, Condition::Joined(..)));
            }
            Condition::Joined(junction, sides) => {
                for (at, side) in sides.iter().enumerate() {
                    if at > 0 {
                        self.spaced(junction.text());
                    }
                    let is_looser = *junction == Junction::And && matches!(side, Condition::Joined(Junction::Or, _));
                    self.side(side, is_looser);
                }
            }
            Condition::Related(relation, left, right) => {
                self.number(left);
                self.spaced(relation.text());
                self.number(right);
            }
            Condition::Between(x, from, to) => {
                self.number(x);
                self.spaced("BETWEEN");
                self.number(from);
                self.spaced("AND");
                self.number(to);
            }
            Condition::Touches(x) => {
                self.out.push_str("TOUCHES ");
                self.number(x);
            }
        }
    }

    fn side(&mut self, condition: &Condition, in_parentheses: bool) {
        self.enclosed(in_parentheses, |printer| printer.condition(condition));
    }

    fn number(&mut self, number: &Number) {
        match number {
            Number::Constant(value) => self.out.push_str(&number_text(*value)),
            Number::Term { index, ago } => {
                self.out.push_str(&self.terms[*index].text);
                if *ago > 0 {
                    self.out.push_str(&format!("[{ago}]"));
                }
            }
            Number::Minus(operand) => {
                self.out.push('-');
                self.operand(operand, Binding::Unary);
            }
            Number::Arithmetic(operator, operands) => {
                let [left, right] = &**operands;
                let binding = Binding::of(*operator);
                self.operand(left, binding);
                self.spaced(operator.text());
                // Operators group to the left, so the right one must bind tighter.
                self.operand(right, binding.tighter());
            }
        }
    }

    fn operand(&mut self, number: &Number, least: Binding) {
        let is_looser = match number {
            Number::Arithmetic(operator, _) => Binding::of(*operator) < least,
            Number::Constant(_) | Number::Term { .. } | Number::Minus(_) => false,
        };
        self.enclosed(is_looser, |printer| printer.number(number));
    }

    fn enclosed(&mut self, in_parentheses: bool, print: impl FnOnce(&mut Self)) {
        let (open, close) = if in_parentheses { ("(", ")") } else { ("", "") };
        self.out.push_str(open);
        print(self);
        self.out.push_str(close);
    }

    fn spaced(&mut self, word: &str) {
        self.out.push(' ');
        self.out.push_str(word);
        self.out.push(' ');
    }
}

/// How tight an operator binds, the loosest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Binding {
    Sum,
    Product,
    Unary,
}

impl Binding {
    fn of(operator: Operator) -> Binding {
        match operator {
            Operator::Plus | Operator::Minus => Binding::Sum,
            Operator::Times | Operator::Over => Binding::Product,
        }
    }

    fn tighter(self) -> Binding {
        match self {
            Binding::Sum => Binding::Product,
            Binding::Product | Binding::Unary => Binding::Unary,
        }
    }
}
