//! Tables for what the text names; for the rest, what holds for any text and any market.

mod grammar;
mod properties;
mod refusals;
mod values;

use super::{Column, Expression, History, Truth};

#[track_caller]
fn parsed(text: &str) -> Expression {
    Expression::parse(text.as_bytes()).unwrap_or_else(|refusal| panic!("{text}: {refusal}"))
}

/// The last bars, as a table says them: `close 1 2 -; rsi(14) 30 20 10`. The newest number is the last, `-` is none.
struct Market<'a> {
    expression: &'a Expression,
    series: Vec<(&'a str, Vec<Option<f64>>)>,
}

impl<'a> Market<'a> {
    fn new(expression: &'a Expression, table: &'a str) -> Market<'a> {
        let series = table.split(';').map(str::trim).filter(|line| !line.is_empty()).map(|line| {
            // The name of a function has spaces itself.
            let bracket = line.rfind(')').unwrap_or(0);
            let name = line[bracket..].find(' ').map_or(line.len(), |space| bracket + space);
            let numbers = line[name..].split_whitespace().map(|word| word.parse().ok());
            (&line[..name], numbers.collect())
        });
        Market { expression, series: series.collect() }
    }

    fn number(&self, name: &str, ago: usize) -> Option<f64> {
        let (_, numbers) = self.series.iter().find(|(known, _)| *known == name)?;
        *numbers.iter().rev().nth(ago)?
    }
}

impl History for Market<'_> {
    fn column(&self, column: Column, ago: usize) -> Option<f64> {
        self.number(column.name(), ago)
    }

    fn line(&self, term: usize, ago: usize) -> Option<f64> {
        self.number(self.expression.terms()[term].text(), ago)
    }
}

/// What is judged of a text on the last bar of a table.
#[track_caller]
fn judged(text: &str, table: &str) -> &'static str {
    let expression = parsed(text);
    let verdict = expression.judge(&Market::new(&expression, table));
    match verdict.value {
        Truth::True if verdict.is_pulse() => "pulse",
        Truth::True => "true",
        Truth::False => "false",
        Truth::Unknown => "unknown",
    }
}
