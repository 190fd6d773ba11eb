//! Every indicator against TA-Lib's numbers, which scripts/vectors.py has written, and what is no number.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use tradebus_core::indicators::{Bar, Indicator, Reading, Spec, Value, DEVIATIONS_MAX, PERIOD_MAX};

/// A function over a column of the bars, or over another function, as the vectors' headers write it:
/// `macd 12 26 9 signal`, `sma 5 of rsi 14`, `roc 1 of volume`.
struct Column {
    name: String,
    indicator: Indicator,
    line: usize,
    source: Source,
}

enum Source {
    Price(fn(&Bar) -> f64),
    Line(Box<Column>),
}

impl Column {
    fn parse(name: &str) -> Column {
        let (function, source) = name.split_once(" of ").unwrap_or((name, "close"));
        let words: Vec<_> = function.split(' ').collect();
        let numbers: Vec<f64> = words[1..].iter().map_while(|word| word.parse().ok()).collect();
        let spec = spec(words[0], &numbers);
        let line = words[1 + numbers.len()..].first().copied().unwrap_or("");
        let source = match source {
            "close" => Source::Price(|bar| bar.close),
            "high" => Source::Price(|bar| bar.high),
            "low" => Source::Price(|bar| bar.low),
            "volume" => Source::Price(|bar| bar.volume),
            function => Source::Line(Box::new(Column::parse(function))),
        };
        Column {
            name: name.to_owned(),
            indicator: Indicator::new(spec).expect("parameters in bounds"),
            line: spec.lines().iter().position(|name| *name == line).expect("a line of the function"),
            source,
        }
    }

    fn next(&mut self, bar: &Bar) -> Value {
        let source = match &mut self.source {
            Source::Price(price) => Some(price(bar)),
            Source::Line(column) => column.next(bar).fed(),
        };
        self.indicator.next(bar, source)[self.line]
    }
}

fn spec(function: &str, numbers: &[f64]) -> Spec {
    let period = |at: usize| numbers[at] as u16;
    match function {
        "sma" => Spec::Sma(period(0)),
        "ema" => Spec::Ema(period(0)),
        "wma" => Spec::Wma(period(0)),
        "rma" => Spec::Rma(period(0)),
        "rsi" => Spec::Rsi(period(0)),
        "macd" => Spec::Macd { fast: period(0), slow: period(1), signal: period(2) },
        "bb" => Spec::Bb { period: period(0), deviations: numbers[1] },
        "atr" => Spec::Atr(period(0)),
        "stoch" => Spec::Stoch { k: period(0), d: period(1), slowing: period(2) },
        "adx" => Spec::Adx(period(0)),
        "cci" => Spec::Cci(period(0)),
        "roc" => Spec::Roc(period(0)),
        "obv" => Spec::Obv,
        "highest" => Spec::Highest(period(0)),
        "lowest" => Spec::Lowest(period(0)),
        _ => panic!("{function} is no function"),
    }
}

/// The rows of a file of vectors, the first one being the header.
fn rows(file: &str) -> Vec<Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(file).with_extension("csv");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

fn number(text: &str) -> Option<f64> {
    (!text.is_empty()).then(|| text.parse().expect("a number"))
}

/// The bars with the name of the series that each is of.
fn bars() -> Vec<(String, Bar)> {
    let bar = |row: &Vec<String>| {
        let numbers: Vec<f64> = row[1..].iter().filter_map(|text| number(text)).collect();
        let &[open, high, low, close, volume] = numbers.as_slice() else {
            panic!("{row:?} is no bar");
        };
        (row[0].clone(), Bar { open, high, low, close, volume })
    };
    rows("bars").iter().skip(1).map(bar).collect()
}

/// Holds each column of a function's file against TA-Lib's numbers, on every bar of every series.
#[track_caller]
fn check(function: &str) {
    let (bars, rows) = (bars(), rows(function));
    assert_eq!(rows.len(), bars.len() + 1, "a row for each bar");
    for (at, name) in rows[0].iter().enumerate() {
        assert!(name.starts_with(function));
        let mut columns = BTreeMap::new();
        let mut values = 0;
        for ((series, bar), row) in bars.iter().zip(&rows[1..]) {
            let (column, age) = columns.entry(series).or_insert_with(|| (Column::parse(name), 0));
            *age += 1;
            let (ours, theirs) = (column.next(bar).known(), number(&row[at]));
            let close_enough = match (ours, theirs) {
                (Some(ours), Some(theirs)) => (ours - theirs).abs() <= 1e-9 * theirs.abs().max(bar.close / 1000.0),
                (ours, theirs) => ours == theirs,
            };
            assert!(close_enough, "{} on bar {age} of {series}: {ours:?}, TA-Lib has {theirs:?}", column.name);
            values += usize::from(theirs.is_some());
        }
        assert!(values > 0, "{name} has no number");
    }
}

macro_rules! equal_to_ta_lib {
    ($($function:ident),*) => {
        mod equal_to_ta_lib {
            $(
                #[test]
                fn $function() {
                    super::check(stringify!($function));
                }
            )*
        }
    };
}

equal_to_ta_lib!(sma, ema, wma, rma, rsi, macd, bb, atr, stoch, adx, cci, roc, obv, highest, lowest);

fn flat(price: f64) -> Bar {
    Bar { open: price, high: price, low: price, close: price, volume: 0.0 }
}

fn last_of(spec: Spec, bars: &[Bar]) -> Reading {
    let mut indicator = Indicator::new(spec).expect("parameters in bounds");
    bars.iter().map(|bar| indicator.next(bar, Some(bar.close))).last().expect("a bar")
}

#[test]
fn a_market_that_never_moved_has_no_oscillation() {
    let check = |spec: Spec, expected: &[Value]| {
        let reading = last_of(spec, &[flat(100_000.1); 60]);
        assert_eq!(&reading[..expected.len()], expected, "{spec:?}");
    };
    let (nothing, zero) = (Value::StandIn(0.0), Value::Known(0.0));
    check(Spec::Rsi(14), &[nothing]);
    check(Spec::Cci(20), &[nothing]);
    check(Spec::Stoch { k: 5, d: 1, slowing: 1 }, &[nothing, nothing]);
    // An average of numbers that TA-Lib puts in is a value.
    check(Spec::Stoch { k: 5, d: 3, slowing: 1 }, &[nothing, zero]);
    check(Spec::Stoch { k: 5, d: 1, slowing: 3 }, &[zero, zero]);
    check(Spec::Adx(14), &[zero]);
    check(Spec::Roc(5), &[zero]);
    check(Spec::Atr(14), &[zero]);
}

#[test]
fn a_market_that_stands_still_keeps_its_strength() {
    let mut bars = vec![flat(1.0), flat(2.0), flat(1.5)];
    bars.extend([flat(1.5); 500]);
    let Value::Known(rsi) = last_of(Spec::Rsi(2), &bars)[0] else {
        panic!("it has moved once");
    };
    assert!((rsi - 200.0 / 3.0).abs() < 1e-9, "{rsi}");
}

/// The movements decay until the range swallows them: such bars have no index, and leave the average as it is.
#[test]
fn a_trend_that_is_over_keeps_its_strength() {
    let wide = |low: f64| Bar { high: low + 1e12, ..flat(low) };
    let mut bars: Vec<_> = [1.0, 5.0, 3.0, 7.0, 8.0, 6.0, 6.0].map(wide).to_vec();
    bars.extend([wide(6.0); 2_000]);
    let kept = last_of(Spec::Adx(2), &bars);
    bars.extend([wide(6.0); 2_000]);
    assert_eq!(last_of(Spec::Adx(2), &bars), kept);
    assert!(kept[0].known() > Some(1.0), "{kept:?}");
}

#[test]
fn the_balance_begins_with_the_first_volume() {
    for close in [1.0, 0.0, -1.0] {
        let bar = Bar { volume: 7.0, ..flat(close) };
        assert_eq!(last_of(Spec::Obv, &[bar])[0], Value::Known(7.0));
    }
}

#[test]
fn bands_of_equal_numbers_have_no_width() {
    let mut bars = vec![flat(1e9), flat(3.3)];
    bars.extend([flat(0.1); 50]);
    let [upper, middle, lower] = last_of(Spec::Bb { period: 50, deviations: 2.0 }, &bars);
    assert_eq!((upper, lower), (middle, middle));
}

#[test]
fn a_stand_in_is_fed_but_not_known() {
    assert_eq!((Value::StandIn(1.0).known(), Value::StandIn(1.0).fed()), (None, Some(1.0)));
    assert_eq!((Value::Known(1.0).known(), Value::Known(1.0).fed()), (Some(1.0), Some(1.0)));
    assert_eq!((Value::Absent.known(), Value::Absent.fed()), (None, None));
}

#[test]
fn parameters_are_bounded() {
    let check = |spec: fn(u16) -> Spec, least: u16| {
        for (period, is_valid) in [(0, false), (least - 1, false), (least, true), (PERIOD_MAX, true)] {
            assert_eq!(Indicator::new(spec(period)).is_some(), is_valid, "{:?}", spec(period));
        }
        assert!(Indicator::new(spec(PERIOD_MAX + 1)).is_none(), "{:?}", spec(PERIOD_MAX + 1));
    };
    check(Spec::Sma, 1);
    check(Spec::Ema, 1);
    check(Spec::Wma, 1);
    check(Spec::Rma, 1);
    check(Spec::Rsi, 2);
    check(|fast| Spec::Macd { fast, slow: 26, signal: 9 }, 2);
    check(|slow| Spec::Macd { fast: 12, slow, signal: 9 }, 2);
    check(|signal| Spec::Macd { fast: 12, slow: 26, signal }, 1);
    check(|period| Spec::Bb { period, deviations: 2.0 }, 2);
    check(Spec::Atr, 1);
    check(|k| Spec::Stoch { k, d: 3, slowing: 3 }, 1);
    check(|d| Spec::Stoch { k: 14, d, slowing: 3 }, 1);
    check(|slowing| Spec::Stoch { k: 14, d: 3, slowing }, 1);
    check(Spec::Adx, 2);
    check(Spec::Cci, 2);
    check(Spec::Roc, 1);
    check(Spec::Highest, 2);
    check(Spec::Lowest, 2);

    let bands = [(0.0, true), (DEVIATIONS_MAX, true), (-1.0, false), (DEVIATIONS_MAX * 1.1, false), (f64::NAN, false)];
    for (deviations, is_valid) in bands {
        assert_eq!(Indicator::new(Spec::Bb { period: 20, deviations }).is_some(), is_valid, "{deviations}");
    }
}
