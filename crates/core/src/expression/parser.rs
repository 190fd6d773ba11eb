//! The parser: one function for each level of the grammar, the loosest first.
//!
//! A parenthesis may hold a number or a condition, and which one is known only at its end. So the levels give an
//! [`Operand`], of either kind, and each operator asks for the kind that it takes.

use super::function::{period, Function};
use super::token::{fault, Kind, Token, Tokens};
use super::{
    evaluate, print, Column, Condition, Junction, Number, Operator, Relation, Series, Term, AGO_MAX, DEPTH_MAX,
    NODES_MAX, TEXT_MAX,
};
use crate::indicators::{Input, Spec, PERIOD_MAX};
use crate::refusal::{Code, Outcome};

/// Parses a whole text. The terms have no reach yet.
pub(super) fn parse(text: &[u8]) -> Outcome<(Condition, Vec<Term>)> {
    if text.len() > TEXT_MAX {
        let length = text.len();
        return Err(Code::BadExpr.because(format!("the expression is {length} bytes long, at most {TEXT_MAX} fit")));
    }
    let mut tokens = Tokens::new(text);
    let token = tokens.next();
    let mut parser = Parser { tokens, token, terms: Vec::new(), depth: 0, nodes: 0 };
    let whole = parser.disjunction()?;
    if parser.token.kind != Kind::End {
        return Err(parser.token.refused(&whole.followers("the end")));
    }
    Ok((whole.condition()?, parser.terms))
}

struct Parser<'a> {
    tokens: Tokens<'a>,
    /// The next token to take.
    token: Token<'a>,
    terms: Vec<Term>,
    depth: usize,
    nodes: usize,
}

/// A parsed part and the column where it begins.
struct Operand {
    column: usize,
    node: Node,
}

enum Node {
    Number(Number),
    Condition(Condition),
}

impl Operand {
    fn number(self) -> Outcome<Number> {
        match self.node {
            Node::Number(number) => Ok(number),
            Node::Condition(_) => Err(fault(self.column, "a number", "a condition")),
        }
    }

    fn condition(self) -> Outcome<Condition> {
        match self.node {
            Node::Number(_) => Err(fault(self.column, "a condition", "a number")),
            Node::Condition(condition) => Ok(condition),
        }
    }

    /// What may stand behind it, `end` among that.
    fn followers(&self, end: &str) -> String {
        match self.node {
            Node::Number(_) => format!("an operator or {end}"),
            Node::Condition(_) => format!("AND, OR or {end}"),
        }
    }
}

impl<'a> Parser<'a> {
    fn disjunction(&mut self) -> Outcome<Operand> {
        self.joined(Junction::Or, Parser::conjunction)
    }

    fn conjunction(&mut self) -> Outcome<Operand> {
        self.joined(Junction::And, Parser::negation)
    }

    fn joined(&mut self, junction: Junction, side: fn(&mut Self) -> Outcome<Operand>) -> Outcome<Operand> {
        let first = side(self)?;
        if !self.token.is(junction.text()) {
            return Ok(first);
        }
        let column = first.column;
        let mut sides = Vec::new();
        let mut add = |side: Condition| match side {
            Condition::Joined(inner, parts) if inner == junction => sides.extend(parts),
            side => sides.push(side),
        };
        add(first.condition()?);
        while self.token.is(junction.text()) {
            self.take_node()?;
            add(side(self)?.condition()?);
        }
        Ok(Operand { column, node: Node::Condition(Condition::Joined(junction, sides)) })
    }

    fn negation(&mut self) -> Outcome<Operand> {
        if !self.token.is("NOT") {
            return self.predicate();
        }
        let column = self.take_node()?.column;
        let operand = self.deeper(column, Parser::negation)?.condition()?;
        Ok(Operand { column, node: Node::Condition(Condition::Not(Box::new(operand))) })
    }

    fn predicate(&mut self) -> Outcome<Operand> {
        if self.token.is("TOUCHES") {
            let column = self.take_node()?.column;
            let x = self.sum()?.number()?;
            return Ok(Operand { column, node: Node::Condition(Condition::Touches(x)) });
        }
        let left = self.sum()?;
        let column = left.column;
        let condition = if let Some(relation) = Relation::ALL.into_iter().find(|known| self.token.is(known.text())) {
            let left = left.number()?;
            self.take_node()?;
            Condition::Related(relation, left, self.sum()?.number()?)
        } else if self.token.is("BETWEEN") {
            self.between(left.number()?)?
        } else {
            return Ok(left);
        };
        Ok(Operand { column, node: Node::Condition(condition) })
    }

    fn between(&mut self, x: Number) -> Outcome<Condition> {
        self.take_node()?;
        let from = self.sum()?;
        let column = from.column;
        let from = from.number()?;
        self.expect("AND", "an operator or AND")?;
        let to = self.sum()?.number()?;
        match (evaluate::constant(&from), evaluate::constant(&to)) {
            (Some(least), Some(most)) if least > most => {
                let range = format!("{} to {}", print::number_text(least), print::number_text(most));
                Err(fault(column, "the lesser bound first", &range))
            }
            _ => Ok(Condition::Between(x, from, to)),
        }
    }

    fn sum(&mut self) -> Outcome<Operand> {
        self.grouped_to_the_left([Operator::Plus, Operator::Minus], Parser::product)
    }

    fn product(&mut self) -> Outcome<Operand> {
        self.grouped_to_the_left([Operator::Times, Operator::Over], Parser::unary)
    }

    fn grouped_to_the_left(
        &mut self,
        operators: [Operator; 2],
        operand: fn(&mut Self) -> Outcome<Operand>,
    ) -> Outcome<Operand> {
        let mut left = operand(self)?;
        while let Some(operator) = operators.into_iter().find(|operator| self.token.is(operator.text())) {
            let column = left.column;
            let first = left.number()?;
            self.take_node()?;
            let second = operand(self)?.number()?;
            let number = Number::Arithmetic(operator, Box::new([first, second]));
            left = Operand { column, node: Node::Number(number) };
        }
        Ok(left)
    }

    fn unary(&mut self) -> Outcome<Operand> {
        if !self.token.is("-") {
            return self.value();
        }
        let column = self.take_node()?.column;
        let number = match self.deeper(column, Parser::unary)?.number()? {
            // The subtraction gives 0 for 0, not -0.
            Number::Constant(value) => Number::Constant(0.0 - value),
            operand => Number::Minus(Box::new(operand)),
        };
        Ok(Operand { column, node: Node::Number(number) })
    }

    fn value(&mut self) -> Outcome<Operand> {
        let column = self.token.column;
        if let Kind::Number(value) = self.token.kind {
            self.take_node()?;
            return Ok(Operand { column, node: Node::Number(Number::Constant(value)) });
        }
        let mut series = self.series()?;
        while self.token.is("[") {
            let mut number = series.number()?;
            self.ago(&mut number)?;
            series = Operand { column, node: Node::Number(number) };
        }
        Ok(series)
    }

    /// Takes `[n]`. Behind parentheses it goes to every series in them, which comes to the same.
    fn ago(&mut self, number: &mut Number) -> Outcome<()> {
        self.take();
        let bars = match self.token.kind {
            Kind::Number(bars) => period(bars).filter(|bars| *bars <= AGO_MAX),
            _ => None,
        };
        let bracket = self.token;
        let in_all = bars.and_then(|bars| shifted(number, bars));
        if in_all.is_none() {
            return Err(bracket.refused(&format!("a whole number of bars, in all at most {AGO_MAX}")));
        }
        self.take();
        self.expect("]", "']'")
    }

    fn series(&mut self) -> Outcome<Operand> {
        let token = self.token;
        if token.is("(") {
            self.take();
            let inner = self.deeper(token.column, Parser::disjunction)?;
            if !self.token.is(")") {
                return Err(self.token.refused(&inner.followers("')'")));
            }
            self.take();
            return Ok(Operand { column: token.column, ..inner });
        }
        let name = if token.kind == Kind::Word { token.text } else { b"" };
        let index = if let Some(column) = column_named(name) {
            self.take_node()?;
            self.intern(column.name().to_owned(), Series::Column(column))
        } else if let Some(function) = Function::named(name) {
            self.take_node()?;
            self.call(&function, token.column)?
        } else {
            return Err(token.refused("a number, a series, a function or '('"));
        };
        Ok(Operand { column: token.column, node: Node::Number(Number::Term { index, ago: 0 }) })
    }

    /// Takes what stands behind a function's name, and gives the index of its term.
    fn call(&mut self, function: &Function, column: usize) -> Outcome<usize> {
        let terms_before = self.terms.len();
        let mut arguments = Vec::new();
        if function.arity() > 0 {
            self.expect("(", "'('")?;
            arguments.push(self.deeper(column, Parser::sum)?);
            while self.token.is(",") {
                self.take();
                arguments.push(self.deeper(column, Parser::sum)?);
            }
            if !self.token.is(")") {
                return Err(self.token.refused("an operator, ',' or ')'"));
            }
            self.take();
        }
        let has_source = arguments.len() > function.arity();
        let parameters = arguments.split_off(usize::from(has_source));
        let (spec, parameters) = with_parameters(function, parameters, column)?;
        let source = match arguments.pop() {
            Some(argument) => self.source(spec, argument, terms_before)?,
            None => None,
        };
        let line = self.line(spec)?;
        let text = print::line(function, source.as_ref(), &parameters, spec.lines()[line], &self.terms);
        Ok(self.intern(text, Series::Line { function: spec, line, source }))
    }

    /// The source that stands before the parameters. `close` is none, as without it; then it is no term either.
    fn source(&mut self, function: Spec, argument: Operand, terms_before: usize) -> Outcome<Option<Number>> {
        let column = argument.column;
        let source = argument.number()?;
        if function.input() != Input::Series {
            return Err(fault(column, "a parameter", "a source, and the function reads whole bars"));
        }
        match source {
            Number::Term { index, ago: 0 } if self.terms[index].series == Series::Column(Column::Close) => {
                self.terms.truncate(terms_before);
                Ok(None)
            }
            source if source.has_terms() => Ok(Some(source)),
            _ => Err(fault(column, "a series as source", "a constant")),
        }
    }

    /// The place of the line whose name follows; a function of one line has none.
    fn line(&mut self, function: Spec) -> Outcome<usize> {
        let lines = function.lines();
        if lines.len() == 1 {
            return Ok(0);
        }
        let expected = format!(".{}", lines.join(" or ."));
        if !self.token.is(".") {
            return Err(self.token.refused(&expected));
        }
        self.take();
        let line = lines.iter().position(|line| self.token.is(line));
        let line = line.ok_or_else(|| self.token.refused(&expected))?;
        self.take();
        Ok(line)
    }

    /// The index of the term with this text.
    fn intern(&mut self, text: String, series: Series) -> usize {
        if let Some(known) = self.terms.iter().position(|term| term.text == text) {
            return known;
        }
        self.terms.push(Term { text, series, reach: 0 });
        self.terms.len() - 1
    }

    fn take(&mut self) -> Token<'a> {
        std::mem::replace(&mut self.token, self.tokens.next())
    }

    /// Takes a token that makes a node of the tree.
    fn take_node(&mut self) -> Outcome<Token<'a>> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(self.token.refused(&format!("at most {NODES_MAX} numbers, series, functions and operators")));
        }
        Ok(self.take())
    }

    /// Takes this word or sign; `what` is how an error names it.
    fn expect(&mut self, text: &str, what: &str) -> Outcome<()> {
        if !self.token.is(text) {
            return Err(self.token.refused(what));
        }
        self.take();
        Ok(())
    }

    /// Parses what is inside of the thing at `column`.
    fn deeper(&mut self, column: usize, inner: fn(&mut Self) -> Outcome<Operand>) -> Outcome<Operand> {
        if self.depth == DEPTH_MAX {
            return Err(fault(column, &format!("at most {DEPTH_MAX} levels"), "one more"));
        }
        self.depth += 1;
        let operand = inner(self);
        self.depth -= 1;
        operand
    }
}

fn column_named(name: &[u8]) -> Option<Column> {
    if name.eq_ignore_ascii_case(b"price") {
        return Some(Column::Close);
    }
    Column::ALL.into_iter().find(|column| name.eq_ignore_ascii_case(column.name().as_bytes()))
}

/// The function with the arguments as its parameters, and these.
fn with_parameters(function: &Function, arguments: Vec<Operand>, column: usize) -> Outcome<(Spec, Vec<f64>)> {
    let Function { name, .. } = function;
    let (arity, given) = (function.arity(), arguments.len());
    if given != arity {
        let expected = format!("{arity} parameter{} of {name}", if arity == 1 { "" } else { "s" });
        return Err(fault(column, &expected, &given.to_string()));
    }
    let first = arguments.first().map_or(column, |argument| argument.column);
    let mut parameters = Vec::with_capacity(arity);
    for argument in arguments {
        match argument {
            Operand { node: Node::Number(Number::Constant(value)), .. } => parameters.push(value),
            other => return Err(fault(other.column, &format!("a number as parameter of {name}"), "an expression")),
        }
    }
    match function.with(&parameters) {
        Some(spec) => Ok((spec, parameters)),
        None => {
            let expected = format!("parameters in the bounds of {name} (periods are whole, at most {PERIOD_MAX})");
            let found: Vec<String> = parameters.into_iter().map(print::number_text).collect();
            Err(fault(first, &expected, &found.join(", ")))
        }
    }
}

/// Reads every series in the number so many bars earlier; `None` when that is too long ago.
fn shifted(number: &mut Number, bars: u16) -> Option<()> {
    match number {
        Number::Constant(_) => Some(()),
        Number::Term { ago, .. } => {
            *ago = ago.checked_add(bars).filter(|ago| *ago <= AGO_MAX)?;
            Some(())
        }
        Number::Minus(operand) => shifted(operand, bars),
        Number::Arithmetic(_, operands) => operands.iter_mut().try_for_each(|operand| shifted(operand, bars)),
    }
}
