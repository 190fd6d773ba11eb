//! What is judged of a bar.

use super::super::Truth::{self, False, True, Unknown};
use super::{judged, parsed, Market};

/// Lines of the form `expression | bars | judged`, bars as in [`Market`].
#[track_caller]
fn check_table(table: &str) {
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        let [text, bars, expected] = columns[..] else { panic!("{line}") };
        assert_eq!(judged(text, bars), expected, "{line}");
    }
}

#[test]
fn kleenes_tables() {
    let all = [False, Unknown, True];
    let and = [[False, False, False], [False, Unknown, Unknown], [False, Unknown, True]];
    let or = [[False, Unknown, True], [Unknown, Unknown, True], [True, True, True]];
    for (i, a) in all.into_iter().enumerate() {
        for (j, b) in all.into_iter().enumerate() {
            assert_eq!(a.and(b), and[i][j], "{a:?} AND {b:?}");
            assert_eq!(a.or(b), or[i][j], "{a:?} OR {b:?}");
        }
        assert_eq!(!a, [True, Unknown, False][i], "NOT {a:?}");
    }
    assert_eq!([Some(true), Some(false), None].map(Truth::from), [True, False, Unknown]);
}

#[test]
fn null_is_known_to_be_null() {
    check_table(
        "
        open > 0 AND close > 0 | close 0 | false
        open > 0 AND close > 0 | close 1 | unknown
        open > 0 OR close > 0 | close 1 | true
        open > 0 OR close > 0 | close 0 | unknown
        NOT open > 0 | close 1 | unknown
        open == open | close 1 | unknown
        open != close | close 1 | unknown
        close BETWEEN 1 AND open | close 0 | false
        close BETWEEN 1 AND open | close 1 | unknown
        close[1] > 0 | close 1 | unknown
        close / open > 0 | close 1; open 0 | unknown
        close / open > 0 | close 0; open 0 | unknown
        close / open == close / open | close 0; open 0 | unknown
        1 / (1 / open) == 0 | open 0 | unknown
        -(close / 0) < 0 OR close == 1 | close 1 | true
        close * 1e300 > 1 | close 1e300 | unknown
        close > 1 | close NaN | unknown
        close > 1 | close inf | unknown
        rsi(14) > 1 OR TOUCHES rsi(14) | close 1; rsi(14) -; low 1; high 2 | unknown
        ",
    );
}

#[test]
fn arithmetic() {
    check_table(
        "
        close + open * 2 == 7 | close 1; open 3 | true
        (close + open) * 2 == 8 | close 1; open 3 | true
        close - open - 1 == -3 | close 1; open 3 | true
        close / open / 2 == 3 | close 12; open 2 | true
        -close[1] == -5 | close 5 6 | true
        (close - open)[1] == 2 | close 5 9; open 3 9 | true
        sma(high, 5)[2] == 7 | sma(high, 5) 7 8 9 | true
        macd(12, 26, 9).hist < bb(20, 2).upper | macd(12, 26, 9).hist 1; bb(20, 2).upper 2 | true
        ",
    );
}

#[test]
fn comparisons_are_not_stricter_than_sums() {
    check_table(
        "
        close < 1 | close 0.9 | true
        close < 1 | close 1 | false
        close < 1 | close 0.9999999999999 | false
        close < 1 | close 0.999999999998 | true
        close <= 1 | close 1.0000000000001 | true
        close <= 1 | close 1.000000000002 | false
        close > 1 | close 1.0000000000001 | false
        close > 1 | close 1.000000000002 | true
        close >= 1 | close 0.9999999999999 | true
        close >= 1 | close 0.999999999998 | false
        close == 0.3 | close 0.30000000000000004 | true
        close != 0.3 | close 0.30000000000000004 | false
        close == 0.3 | close 0.300000000001 | false
        close != 0.3 | close 0.300000000001 | true
        close == 0 | close 1e-300 | false
        close > 0 | close 1e-300 | true
        close == -0 | close -0 | true
        close < open | close -1e308; open 1e308 | true
        close > 123456789 | close 123456789.00001 | false
        close BETWEEN 1 AND 2 | close 1 | true
        close BETWEEN 1 AND 2 | close 2 | true
        close BETWEEN 1 AND 2 | close 2.1 | false
        close BETWEEN 1 AND 2 | close 0.9 | false
        close BETWEEN 1 AND 2 | close 2.0000000000001 | true
        close BETWEEN open AND 2 | close 3; open 5 | false
        ",
    );
}

#[test]
fn crosses() {
    check_table(
        "
        close CROSSES_ABOVE 5 | close 4 6 | pulse
        close CROSSES_ABOVE 5 | close 5 6 | pulse
        close CROSSES_ABOVE 5 | close 5.0000000000001 6 | pulse
        close CROSSES_ABOVE 5 | close 4 5 | false
        close CROSSES_ABOVE 5 | close 4 5.0000000000001 | false
        close CROSSES_ABOVE 5 | close 6 7 | false
        close CROSSES_ABOVE 5 | close 6 4 | false
        close CROSSES_ABOVE 5 | close 6 | unknown
        close CROSSES_ABOVE 5 | close 4 | false
        close CROSSES_ABOVE 5 | close 6 - | false
        close CROSSES_ABOVE 5 | close 4 - | unknown
        close CROSSES_BELOW 5 | close 6 4 | pulse
        close CROSSES_BELOW 5 | close 5 4 | pulse
        close CROSSES_BELOW 5 | close 6 5 | false
        close CROSSES_BELOW 5 | close 4 6 | false
        close CROSSES 5 | close 4 6 | pulse
        close CROSSES 5 | close 6 4 | pulse
        close CROSSES 5 | close 6 7 | false
        close CROSSES 5 | close 4 5 | false
        close CROSSES 5 | close 6 | unknown
        close CROSSES_ABOVE sma(9) | close 4 4; sma(9) 5 3 | pulse
        close[1] CROSSES_ABOVE sma(9) | close 4 6 1; sma(9) 9 5 5 | pulse
        close - open CROSSES_ABOVE 0 | close 4 6; open 5 5 | pulse
        ",
    );
}

#[test]
fn touches() {
    check_table(
        "
        TOUCHES 5 | low 4; high 6 | pulse
        TOUCHES 5 | low 5; high 6 | pulse
        TOUCHES 5 | low 4; high 5 | pulse
        TOUCHES 5 | low 5.0000000000001; high 6 | pulse
        TOUCHES 5 | low 3 6; high 4 7 | pulse
        TOUCHES 5 | low 6 3; high 7 4 | pulse
        TOUCHES 5 | low 6 8; high 7 9 | false
        TOUCHES 5 | low 4 6; high 6 7 | false
        TOUCHES 5 | low 5 3; high 6 4 | false
        TOUCHES 5 | low 4; high inf | unknown
        TOUCHES 5 | low 4 6; high 5 7 | false
        TOUCHES 5 | low 6; high 7 | unknown
        TOUCHES 5 | low 4 4; high 6 6 | pulse
        TOUCHES open | low 3 3; high 4 4; open 5 2 | pulse
        TOUCHES open | low 3 3; high 4 4; open 2 5 | pulse
        TOUCHES open | low 3 3; high 4 4; open 5 6 | false
        TOUCHES open | low 3 3; high 4 4; open - 6 | unknown
        TOUCHES open | low 3 3; high 4 4; open 5 - | unknown
        ",
    );
}

/// A pulse counts as one only where nothing else makes the expression true.
#[test]
fn pulses_among_others() {
    check_table(
        "
        close CROSSES_ABOVE 5 AND open > 1 | close 4 6; open 2 | pulse
        close CROSSES_ABOVE 5 AND open > 1 | close 4 6; open 1 | false
        close CROSSES_ABOVE 5 OR open > 1 | close 4 6; open 1 | pulse
        close CROSSES_ABOVE 5 OR open > 1 | close 4 6; open 2 | true
        close CROSSES_ABOVE 5 OR open > 1 | close 6 6; open 2 | true
        close CROSSES_ABOVE 5 OR open > 1 | close 4 6 | pulse
        close CROSSES_ABOVE 5 OR TOUCHES 1 | close 4 6; low 2 2; high 3 3 | pulse
        NOT close CROSSES_ABOVE 5 | close 4 6 | false
        NOT close CROSSES_ABOVE 5 | close 6 6 | true
        NOT NOT close CROSSES_ABOVE 5 | close 4 6 | pulse
        NOT (NOT TOUCHES 5 AND open > 1) | low 4; high 6; open 2 | pulse
        NOT (NOT TOUCHES 5 AND open > 1) | low 4; high 6; open 1 | true
        (TOUCHES 5 OR open > 1) AND close > 1 | low 4; high 6; open 1; close 2 | pulse
        (TOUCHES 5 OR open > 1) AND close > 1 | low 4; high 6; open 2; close 2 | true
        open > 1 | open 2 | true
        ",
    );
}

#[test]
fn terms_and_sources_have_numbers() {
    let expression = parsed("sma(high - low[1], 5) > rsi(14) AND atr(3) > open / 0");
    let market = Market::new(&expression, "high 9; low 4 5; close 7; open 1; sma(high - low[1], 5) 2; atr(3) 8");
    let terms: Vec<_> = (0..expression.terms().len() + 1)
        .map(|term| (expression.number(term, &market), expression.source(term, &market)))
        .collect();
    let expected = [
        (Some(9.0), None),
        (Some(5.0), None),
        (Some(2.0), Some(5.0)),
        (None, Some(7.0)),
        (Some(8.0), None),
        (Some(1.0), None),
        (None, None),
    ];
    assert_eq!(terms, expected);
    let kinds: Vec<_> =
        expression.terms().iter().map(|term| (term.column().is_some(), term.line().is_some())).collect();
    assert_eq!(kinds, [true, true, false, false, false, true].map(|is_column| (is_column, !is_column)));
}
