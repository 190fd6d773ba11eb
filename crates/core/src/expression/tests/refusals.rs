//! Every error, with its column and its whole text.

use super::super::{Expression, AGO_MAX, DEPTH_MAX, NODES_MAX, TEXT_MAX};
use crate::refusal::Code;

#[track_caller]
fn check(text: &[u8], expected: &str) {
    let refusal = Expression::parse(text).expect_err(&text.escape_ascii().to_string());
    assert_eq!(refusal.code, Code::BadExpr);
    assert_eq!(refusal.text, expected, "{}", text.escape_ascii());
}

/// Lines of the form `text => column and what was expected`.
#[track_caller]
fn check_table(table: &str) {
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (text, expected) = line.split_once(" => ").expect(line);
        check(text.as_bytes(), &format!("column {expected}"));
    }
}

#[test]
fn where_something_else_must_stand() {
    let value = "expected a number, a series, a function or '(',";
    check(b"", &format!("column 1: {value} found the end"));
    check(b"  ", &format!("column 3: {value} found the end"));
    check(b"close > ", &format!("column 9: {value} found the end"));
    check(b"close > AND", &format!("column 9: {value} found 'AND'"));
    check(b"foo > 1", &format!("column 1: {value} found 'foo'"));
    check(b"close < NOT open", &format!("column 9: {value} found 'NOT'"));
    check(b"close TOUCHES 1", "column 7: expected an operator or the end, found 'TOUCHES'");
    check(b"+1 < 2", &format!("column 1: {value} found '+'"));
    check(b"() < 2", &format!("column 2: {value} found ')'"));
    check(b"line < 2", &format!("column 1: {value} found 'line'"));
    check(b"close > \xff", &format!("column 9: {value} found '\\xff'"));
    check("close > ä".as_bytes(), &format!("column 9: {value} found '\\xc3'"));
    check(b"close > \0", &format!("column 9: {value} found '\\x00'"));
    check(b"close = 1", "column 7: expected an operator or the end, found '='");
    check(b"close ! 1", "column 7: expected an operator or the end, found '!'");
    check(b"close => 1", "column 7: expected an operator or the end, found '='");
    for number in ["030", ".5", "5.", "1e", "1e+", "0x10", "1_000", "5bars", "1.2.3", "1e999", "00"] {
        let found = if number == ".5" { "." } else { number.trim_end_matches('+') };
        check(format!("close > {number}").as_bytes(), &format!("column 9: {value} found '{found}'"));
    }
}

#[test]
fn behind_what_is_whole() {
    check_table(
        "
        1<x<2 => 3: expected a number, a series, a function or '(', found 'x'
        1<close<2 => 8: expected AND, OR or the end, found '<'
        close < 1 == 1 => 11: expected AND, OR or the end, found '=='
        close BETWEEN 1 AND 2 BETWEEN 1 AND 2 => 23: expected AND, OR or the end, found 'BETWEEN'
        (1<close<2) => 9: expected AND, OR or ')', found '<'
        (close => 7: expected an operator or ')', found the end
        (close < 1 => 11: expected AND, OR or ')', found the end
        close) < 1 => 6: expected an operator or the end, found ')'
        close 1 => 7: expected an operator or the end, found '1'
        close < 1 open => 11: expected AND, OR or the end, found 'open'
        5[1] < 2 => 2: expected an operator or the end, found '['
        obv() < 2 => 4: expected an operator or the end, found '('
        rsi(14).line < 2 => 8: expected an operator or the end, found '.'
        close BETWEEN 1, 2 => 16: expected an operator or AND, found ','
        close BETWEEN 1 OR 2 => 17: expected an operator or AND, found 'OR'
        ",
    );
}

#[test]
fn numbers_and_conditions_do_not_mix() {
    check_table(
        "
        close => 1: expected a condition, found a number
        (1 + 2) => 1: expected a condition, found a number
        close < 1 AND 1 => 15: expected a condition, found a number
        1 OR close < 1 => 1: expected a condition, found a number
        NOT close => 5: expected a condition, found a number
        NOT (close + 1) => 5: expected a condition, found a number
        (close < 1) + 1 < 1 => 1: expected a number, found a condition
        1 + (close < 1) < 1 => 5: expected a number, found a condition
        -(close < 1) < 1 => 2: expected a number, found a condition
        (close < 1) < 1 => 1: expected a number, found a condition
        (close < 1) == (open < 1) => 1: expected a number, found a condition
        1 == (open < 1) => 6: expected a number, found a condition
        (close < 1)[1] => 1: expected a number, found a condition
        close BETWEEN (1 < 2) AND 2 => 15: expected a number, found a condition
        TOUCHES (1 < 2) => 9: expected a number, found a condition
        sma((close < 1), 5) > 1 => 5: expected a number, found a condition
        ",
    );
}

#[test]
fn calls() {
    check_table(
        "
        rsi < 30 => 5: expected '(', found '<'
        rsi(14 < 30 => 8: expected an operator, ',' or ')', found '<'
        rsi() < 30 => 5: expected a number, a series, a function or '(', found ')'
        rsi(14,) < 30 => 8: expected a number, a series, a function or '(', found ')'
        1 < macd(12, 26).line => 5: expected 3 parameters of macd, found 2
        1 < macd(close, 1, 2, 3, 4).line => 5: expected 3 parameters of macd, found 4
        1 < sma(close, 5, 6) => 5: expected 1 parameter of sma, found 2
        1 < sma(close) => 9: expected a number as parameter of sma, found an expression
        1 < sma(close, 2 + 3) => 16: expected a number as parameter of sma, found an expression
        1 < sma(5, close) => 12: expected a number as parameter of sma, found an expression
        1 < sma(3, 5) => 9: expected a series as source, found a constant
        1 < atr(high, 5) => 9: expected a parameter, found a source, and the function reads whole bars
        1 < sma(0) => 9: expected parameters in the bounds of sma (periods are whole, at most 1000), found 0
        1 < sma(1001) => 9: expected parameters in the bounds of sma (periods are whole, at most 1000), found 1001
        1 < sma(2.5) => 9: expected parameters in the bounds of sma (periods are whole, at most 1000), found 2.5
        1 < sma(-5) => 9: expected parameters in the bounds of sma (periods are whole, at most 1000), found -5
        1 < sma(1e300) => 9: expected parameters in the bounds of sma (periods are whole, at most 1000), found 1e300
        1 < rsi(open, 1) => 15: expected parameters in the bounds of rsi (periods are whole, at most 1000), found 1
        1 < bb(20, -1).upper => 8: expected parameters in the bounds of bb (periods are whole, at most 1000), found 20, -1
        1 < macd(12,26,9) => 18: expected .line or .signal or .hist, found the end
        1 < macd(12,26,9).upper => 19: expected .line or .signal or .hist, found 'upper'
        1 < stoch(1,2,3) + 1 => 18: expected .k or .d, found '+'
        1 < bb(20,2)[1].upper => 13: expected .upper or .middle or .lower, found '['
        ",
    );
}

#[test]
fn bars_ago() {
    let bars = format!("expected a whole number of bars, in all at most {AGO_MAX},");
    check(b"close[1001] < 1", &format!("column 7: {bars} found '1001'"));
    check(b"close[0.5] < 1", &format!("column 7: {bars} found '0.5'"));
    check(b"close[-1] < 1", &format!("column 7: {bars} found '-'"));
    check(b"close[n] < 1", &format!("column 7: {bars} found 'n'"));
    check(b"close[1e9] < 1", &format!("column 7: {bars} found '1e9'"));
    check(b"close[", &format!("column 7: {bars} found the end"));
    check(b"(open + close[999])[2] < 1", &format!("column 21: {bars} found '2'"));
    check(b"close[1 < 1", "column 9: expected ']', found '<'");
}

#[test]
fn ranges_without_a_number_in_them() {
    check_table(
        "
        close BETWEEN 2 AND 1 => 15: expected the lesser bound first, found 2 to 1
        close BETWEEN 1 + 1 AND -3 * -0.5 => 15: expected the lesser bound first, found 2 to 1.5
        close BETWEEN -1 AND -2 => 15: expected the lesser bound first, found -1 to -2
        ",
    );
}

#[test]
fn bounds() {
    check(&[b' '; TEXT_MAX + 1], &format!("the expression is {} bytes long, at most {TEXT_MAX} fit", TEXT_MAX + 1));
    for opening in ["(", "-", "NOT ", "sma("] {
        let column = opening.len() * DEPTH_MAX + 1;
        check(
            opening.repeat(DEPTH_MAX + 1).as_bytes(),
            &format!("column {column}: expected at most {DEPTH_MAX} levels, found one more"),
        );
    }
    let nodes = "close+".repeat(NODES_MAX / 2) + "close > 1";
    check(
        nodes.as_bytes(),
        &format!(
            "column {}: expected at most {NODES_MAX} numbers, series, functions and operators, found 'close'",
            6 * NODES_MAX / 2 + 1
        ),
    );
    // Whatever stands there, the text is one short line.
    check(
        "x".repeat(TEXT_MAX).as_bytes(),
        &format!(
            "column 1: expected a number, a series, a function or '(', found '{}...' ({TEXT_MAX} bytes)",
            "x".repeat(64)
        ),
    );
}

#[test]
fn what_an_expression_may_cost_is_bounded() {
    let sum = |function: &dyn Fn(usize) -> String, count: usize| {
        let text = (0..count).map(function).collect::<Vec<_>>().join(" + ");
        Expression::parse(format!("{text} > 0").as_bytes()).map(|_| ()).map_err(|refusal| refusal.text)
    };
    let average = |place: usize| format!("sma({})", 1_000 - place);
    assert_eq!(sum(&average, 10), Ok(()));
    let text = "the periods of all functions sum up to 10945, at most 10000 are allowed: make it several conditions";
    assert_eq!(sum(&average, 11), Err(text.to_owned()));
    let nested = |place: usize| format!("{}close + {place}{}", "sma(".repeat(40), ", 1)".repeat(40));
    assert!(sum(&nested, 1).is_err_and(|text| text.starts_with("the texts of all functions have bytes: ")));
}
