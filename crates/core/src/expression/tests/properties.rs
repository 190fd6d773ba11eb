//! What holds for any text, any tree and any market.

use proptest::prelude::*;

use super::super::{Column, Expression, History, Relation, Truth, AGO_MAX};
use super::parsed;

/// A text as somebody may write it: with what it needs, and spaces, case and parentheses that it does not.
fn wrapped(text: impl Strategy<Value = String> + 'static) -> BoxedStrategy<String> {
    let forms = (text, 0..6_u8).prop_map(|(text, form)| match form {
        0 => format!("( {text})"),
        1 => text.to_ascii_uppercase(),
        2 => format!(" {text}\t"),
        _ => text,
    });
    forms.boxed()
}

fn constant() -> impl Strategy<Value = String> {
    prop_oneof![
        (0..100_u32).prop_map(|number| number.to_string()),
        (0..1_000_u32).prop_map(|number| format!("{}e-2", number)),
        any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(|number| format!("{number:e}")),
    ]
}

fn call(source: BoxedStrategy<String>) -> impl Strategy<Value = String> {
    let one = prop::sample::select(vec!["sma", "ema", "wma", "rma", "rsi", "roc", "highest", "lowest"]);
    let three = prop::sample::select(vec!["line", "signal", "hist"]);
    let band = prop::sample::select(vec!["upper", "middle", "lower"]);
    let whole = prop::sample::select(vec!["atr", "adx", "cci"]);
    // A sum with a series in it is a source, whatever else it has.
    let source = prop_oneof![Just(String::new()), source.prop_map(|source| format!("({source}) + low, "))];
    prop_oneof![
        (one, source.clone(), 2..=1_000_u16).prop_map(|(name, source, n)| format!("{name}({source}{n})")),
        (three, source.clone(), 2..50_u16).prop_map(|(line, source, n)| format!("macd({source}{n}, 26,9).{line}")),
        (band, source, 0..9_u8).prop_map(|(line, source, width)| format!("bb({source}20,{width}.5) . {line}")),
        (whole, 2..=1_000_u16).prop_map(|(name, n)| format!("{name}({n})")),
        (any::<bool>(), 1..9_u16).prop_map(|(k, n)| format!("stoch({n},3,3).{}", if k { "k" } else { "d" })),
    ]
}

fn number() -> BoxedStrategy<String> {
    let series = prop::sample::select(vec!["open", "high", "low", "close", "price", "volume", "obv"]);
    let leaf = prop_oneof![constant(), series.prop_map(str::to_owned)];
    let tree = leaf.prop_recursive(4, 16, 3, |inner| {
        let operator = prop::sample::select(vec!["+", "-", "*", "/"]);
        let both = (inner.clone(), operator, inner.clone());
        wrapped(prop_oneof![
            both.prop_map(|(left, operator, right)| format!("{left}{operator}{right}")),
            inner.clone().prop_map(|operand| format!("-{operand}")),
            (inner.clone(), 0..20_u16).prop_map(|(operand, ago)| format!("({operand})[{ago}]")),
            call(inner),
        ])
    });
    tree.boxed()
}

fn condition() -> BoxedStrategy<String> {
    let relation = prop::sample::select(Relation::ALL.to_vec());
    let leaf = prop_oneof![
        (number(), relation, number())
            .prop_map(|(left, relation, right)| format!("{left} {} {right}", relation.text())),
        (number(), number()).prop_map(|(x, to)| format!("{x} between {to} AND {to}+volume")),
        number().prop_map(|x| format!("touches {x}")),
    ];
    let tree = leaf.prop_recursive(3, 6, 3, |inner| {
        let junction = prop::sample::select(vec!["AND", "OR"]);
        wrapped(prop_oneof![
            (inner.clone(), junction, inner.clone()).prop_map(|(left, word, right)| format!("{left} {word} {right}")),
            inner.prop_map(|operand| format!("NOT {operand}")),
        ])
    });
    tree.boxed()
}

/// Words of the language in any order: what gets far into the parser.
fn soup() -> impl Strategy<Value = String> {
    let words =
        "open close price 1 2.5 14 0 1e308 1001 ( ) ( ) [ 1 ] [ , . + - * / < <= == != NOT AND OR BETWEEN TOUCHES \
                 CROSSES CROSSES_ABOVE rsi( sma( rsi(14) macd(12,26,9) .line bb( stoch(1,2,3).k obv foo ! 03";
    let words: Vec<&str> = words.split(' ').filter(|word| !word.is_empty()).collect();
    prop::collection::vec(prop::sample::select(words), 0..40).prop_map(|words| words.join(" "))
}

/// Numbers that follow from the place they are asked for, with gaps and extremes.
struct Noise(u64);

impl Noise {
    fn number(&self, place: usize, ago: usize) -> Option<f64> {
        let mixed = (self.0 ^ ((place as u64) << 32) ^ ago as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
        match mixed % 8 {
            0 => None,
            1 => Some(0.0),
            2 => Some(f64::from_bits(mixed)),
            _ => Some((mixed % 100) as f64 / 10.0),
        }
    }
}

impl History for Noise {
    fn column(&self, column: Column, ago: usize) -> Option<f64> {
        self.number(column as usize, ago)
    }

    fn line(&self, term: usize, ago: usize) -> Option<f64> {
        self.number(100 + term, ago)
    }
}

/// A market that holds an expression to the reach that it told.
struct Reached<'a>(&'a Expression, Noise);

impl History for Reached<'_> {
    fn column(&self, column: Column, ago: usize) -> Option<f64> {
        let term = self.0.terms().iter().find(|term| term.column() == Some(column));
        let of_touch = usize::from(matches!(column, Column::High | Column::Low));
        assert!(ago <= term.map_or(0, |term| term.reach()).max(of_touch), "{column:?} {ago} bars ago");
        self.1.column(column, ago)
    }

    fn line(&self, term: usize, ago: usize) -> Option<f64> {
        let term_read = &self.0.terms()[term];
        assert!(term_read.line().is_some() && ago <= term_read.reach(), "{} {ago} bars ago", term_read.text());
        self.1.line(term, ago)
    }
}

/// What no expression may do on any bar.
fn judge_everything(expression: &Expression, seed: u64) {
    let market = Reached(expression, Noise(seed));
    let verdict = expression.judge(&market);
    assert!(!verdict.is_pulse() || verdict.value == Truth::True);
    for (at, term) in expression.terms().iter().enumerate() {
        assert!(term.reach() <= usize::from(AGO_MAX) + 1);
        for number in [expression.number(at, &market), expression.source(at, &market)].into_iter().flatten() {
            assert!(number.is_finite());
        }
        assert!(term.text().starts_with(term.function_text()));
    }
    assert_eq!(expression.judge(&market), verdict);
}

proptest! {
    #[test]
    fn any_bytes_are_parsed_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Expression::parse(&bytes);
    }

    #[test]
    fn any_words_are_parsed_or_refused(text in soup(), seed in any::<u64>()) {
        match Expression::parse(text.as_bytes()) {
            Ok(expression) => {
                prop_assert_eq!(&parsed(expression.as_str()), &expression);
                judge_everything(&expression, seed);
            }
            Err(refusal) => prop_assert!(refusal.text.len() < 200 && !refusal.text.contains(['\r', '\n'])),
        }
    }

    #[test]
    fn what_is_printed_is_parsed_again(text in condition(), seed in any::<u64>()) {
        // A few are larger than the bounds or have a range that is empty.
        if let Ok(expression) = Expression::parse(text.as_bytes()) {
            let again = parsed(expression.as_str());
            prop_assert_eq!(again.as_str(), expression.as_str());
            prop_assert_eq!(&again, &expression);
            judge_everything(&expression, seed);
        }
    }

    #[test]
    fn printed_numbers_are_read_back(number in any::<f64>().prop_filter("finite", |number| number.is_finite())) {
        let text = super::super::number_text(number);
        prop_assert_eq!(text.parse::<f64>().unwrap(), number, "{}", text);
        prop_assert!(text.len() <= 24);
    }
}
