//! What is an expression, what its canonical text is, and what is read for it.

use super::super::{condition_id, number_text, AGO_MAX, DEPTH_MAX, NODES_MAX, TEXT_MAX};
use super::parsed;
use crate::indicators::Spec;
use crate::timeframe::Timeframe;

#[track_caller]
fn check(text: &str, canonical: &str) {
    let expression = parsed(text);
    assert_eq!(expression.as_str(), canonical, "{text}");
    assert_eq!(expression.to_string(), canonical);
    assert_eq!(parsed(canonical), expression, "{text}");
}

/// Lines of the form `text => canonical text`; a text that is its own canonical text stands alone.
#[track_caller]
fn check_table(table: &str) {
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (text, canonical) = line.split_once(" => ").unwrap_or((line, line));
        check(text, canonical);
    }
}

#[test]
fn one_condition_has_one_text() {
    check_table(
        "
        RSI(14)<30 => rsi(14) < 30
        rsi( 14 ) < 30.0 => rsi(14) < 30
        Rsi(1.4e1)\t<3E+1 => rsi(14) < 30
        rsi(price, 14) < 30 => rsi(14) < 30
        rsi((close)[0], 14) < 30 => rsi(14) < 30
        ((rsi((14)) < (30))) => rsi(14) < 30
        PRICE > Open => close > open
        ",
    );
    check(" \r\n\tclose\n>\r1 ", "close > 1");
}

#[test]
fn series_and_numbers() {
    check_table(
        "
        open + high + low + close + volume > 0
        close[1] > close[1000]
        close[2][3] > 1 => close[5] > 1
        (high - low)[1] > 2 => high[1] - low[1] > 2
        ((high - 2 * -low[2])[1] / 2)[1] > 2 => (high[2] - 2 * -low[4]) / 2 > 2
        1 < 2
        close > -0 => close > 0
        close > -0.0e5 => close > 0
        close > - 5 => close > -5
        close > --5 => close > 5
        close > --open
        close > 0.10 => close > 0.1
        ",
    );
}

#[test]
fn functions() {
    check_table(
        "
        sma(5) > ema(6) AND wma(7) > rma(8) AND rsi(9) > 1
        macd(12,26,9).line > macd(12, 26, 9).SIGNAL => macd(12, 26, 9).line > macd(12, 26, 9).signal
        macd(12, 26, 9).hist[1] < 0
        bb(20,2).upper > bb(20, 2.50).middle => bb(20, 2).upper > bb(20, 2.5).middle
        bb(20, 0).lower > 1
        atr(14) > 1 AND stoch(14, 3, 3).k > stoch(14, 3, 3).d AND adx(14) > cci(20)
        roc(1) > 5 AND OBV > obv[1] => roc(1) > 5 AND obv > obv[1]
        highest(high, 20)[1] < lowest(low, 1000)
        sma(volume, 20) < volume
        sma(high - low, 5) > 1
        sma(close[1], 5) > 1
        sma(obv, 5) > sma(macd(12, 26, 9).hist, 3)
        ema(ema(ema(close, 5), 5), 5) > 1 => ema(ema(ema(5), 5), 5) > 1
        bb(rsi(14), 20, 2).lower > 1
        sma(2 * close, 5) > 1
        ",
    );
}

/// A state is saved with the bits of its parameters, of which -0 has others than 0.
#[test]
fn parameters_of_one_text_are_the_same_bits() {
    let bits = |text: &str| match parsed(text).terms()[0].line() {
        Some((Spec::Bb { deviations, .. }, _)) => deviations.to_bits(),
        other => panic!("{other:?}"),
    };
    assert_eq!(bits("bb(20, -0).upper > 1"), bits("bb(20, 0).upper > 1"));
}

#[test]
fn precedence() {
    check_table(
        "
        1 + 2 * 3 < 4
        (1 + 2) * 3 < 4
        1 - 2 - 3 < 4
        (1 - 2) - 3 < 4 => 1 - 2 - 3 < 4
        1 - (2 - 3) < 4
        1 + (2 + 3) < 4
        1 / (2 / 3) < 4
        (1 / 2) / 3 < 4 => 1 / 2 / 3 < 4
        1 / (2 * 3) < 4
        1 - (2 * 3) < 4 => 1 - 2 * 3 < 4
        -close * 2 < 1
        -(close * 2) < 1
        -(close[1]) < 1 => -close[1] < 1
        1 - -close < -1 * -2
        close < 1 OR open < 1 AND high < 1
        close < 1 OR (open < 1 AND high < 1) => close < 1 OR open < 1 AND high < 1
        (close < 1 OR open < 1) AND high < 1
        close < 1 and (open < 1 And (high < 1 anD low < 1)) => close < 1 AND open < 1 AND high < 1 AND low < 1
        close < 1 or (open < 1 or high < 1) => close < 1 OR open < 1 OR high < 1
        not close < 1 and open < 1 => NOT close < 1 AND open < 1
        NOT (close < 1 AND open < 1)
        NOT (NOT (close < 1)) => NOT NOT close < 1
        close < 1 AND NOT open < 1 OR NOT high < 1
        ",
    );
}

#[test]
fn predicates() {
    check_table(
        "
        close<1 OR close<=1 OR close>1 OR close>=1 OR close==1 OR close!=1 => close < 1 OR close <= 1 OR close > 1 OR close >= 1 OR close == 1 OR close != 1
        close crosses_above 1 => close CROSSES_ABOVE 1
        close CROSSES_BELOW sma(5) + 1
        close CROSSES 1
        close between 1 and 2 => close BETWEEN 1 AND 2
        close BETWEEN 2 AND 2
        close BETWEEN 1 + 1 AND 4 / 2
        close BETWEEN low[1] AND 2 AND open > 1
        NOT close BETWEEN 1 AND 2
        touches 100 => TOUCHES 100
        TOUCHES -bb(20, 2).upper * 2
        NOT TOUCHES 1 AND TOUCHES 2
        ",
    );
}

#[test]
fn numbers_are_as_short_as_they_can_be() {
    for (number, text) in [
        (0.0, "0"),
        (-0.0, "0"),
        (30.0, "30"),
        (-2.5, "-2.5"),
        (0.1 + 0.2, "0.30000000000000004"),
        (1e15, "1000000000000000"),
        (1e16, "1e16"),
        (1e-5, "0.00001"),
        (9.5e-6, "9.5e-6"),
        (f64::MAX, "1.7976931348623157e308"),
        (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
        (5e-324, "5e-324"),
    ] {
        assert_eq!(number_text(number), text);
    }
}

#[test]
fn terms_are_told_once_sources_first() {
    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str, usize)]) {
        let expression = parsed(text);
        let terms: Vec<_> =
            expression.terms().iter().map(|term| (term.text(), term.function_text(), term.reach())).collect();
        assert_eq!(terms, expected, "{text}");
    }
    check("1 < 2", &[]);
    check("rsi(close, 14) < 30", &[("rsi(14)", "rsi(14)", 0)]);
    check("close > 1 AND rsi(close, 14) < close", &[("close", "close", 0), ("rsi(14)", "rsi(14)", 0)]);
    check("open[2] < price OR OPEN > 1", &[("open", "open", 2), ("close", "close", 0)]);
    check("close crosses low[1]", &[("close", "close", 1), ("low", "low", 2)]);
    check("TOUCHES obv[4]", &[("obv", "obv", 5)]);
    check(
        "macd(1e1,20,5).hist > macd(10,20,5).line",
        &[("macd(10, 20, 5).hist", "macd(10, 20, 5)", 0), ("macd(10, 20, 5).line", "macd(10, 20, 5)", 0)],
    );
    check(
        "sma(high - rsi(14)[3], 5)[7] > rsi(14)",
        &[
            ("high", "high", 0),
            ("rsi(14)", "rsi(14)", 3),
            ("sma(high - rsi(14)[3], 5)", "sma(high - rsi(14)[3], 5)", 7),
        ],
    );
}

#[test]
fn bounds_are_reached() {
    let depth = "(".repeat(DEPTH_MAX) + "close > 1" + &")".repeat(DEPTH_MAX);
    check(&depth, "close > 1");
    // 128 terms, and an operator before each but the first: with the comparison the most nodes there can be.
    let close = format!("close[{AGO_MAX}]");
    let sum = vec![close.as_str(); NODES_MAX / 2 - 1].join(" + ");
    check(&format!("{sum} > 1"), &format!("{sum} > 1"));
    let padded = format!("{:width$}", "close > 1", width = TEXT_MAX);
    check(&padded, "close > 1");
}

/// The largest texts that trees print to are texts that can be parsed.
#[test]
fn canonical_texts_are_not_too_long() {
    let long = "-1.2345678901234567e-300";
    let pairs = |pair: &str, nodes: usize| vec![pair; (NODES_MAX + 1) / (nodes + 1)].join("OR");
    for text in [
        pairs(&format!("(TOUCHES{long})"), 3),
        pairs(&format!("(bb({long}+low[1000],1000,9.234567890123456e-300).middle[1000]crosses_above{long})"), 10),
        format!("({}>0)", vec!["volume"; NODES_MAX / 2 - 1].join("/")),
    ] {
        let canonical = parsed(&text).to_string();
        assert!(canonical.len() <= NODES_MAX * 32, "{} bytes", canonical.len());
        check(&text, &canonical);
    }
}

#[test]
fn ids_say_what_is_judged() {
    #[track_caller]
    fn id(symbol: &str, timeframe: &str, text: &str, mode: &str) -> String {
        let timeframe = Timeframe::parse(timeframe.as_bytes()).expect("a timeframe");
        let id = condition_id(symbol, timeframe, &parsed(text), mode);
        assert!(id.len() == 16 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')), "{id}");
        id
    }
    let known = id("BTC/USDT", "1h", "rsi(14) < 30", "edge");
    // Stored under this id on servers: it may not change.
    assert_eq!(known, "f52109b50c2ea8ae");
    assert_eq!(id("BTC/USDT", "1h", "RSI( 14 )<30.0", "edge"), known);
    for other in [
        id("BTC/USD", "1h", "rsi(14) < 30", "edge"),
        id("BTC/USDT", "1m", "rsi(14) < 30", "edge"),
        id("BTC/USDT", "1h", "rsi(14) <= 30", "edge"),
        id("BTC/USDT", "1h", "rsi(14) < 30", "level"),
        id("BTC/USDT1", "1h", "rsi(14) < 30", "edge"),
    ] {
        assert_ne!(other, known);
    }
}
