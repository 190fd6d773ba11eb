//! The evaluator: what holds for any conditions that come and go over any bars, and tables for what functions read.

use std::rc::Rc;

use proptest::prelude::*;
use proptest::sample::Index;
use tradebus_core::evaluator::{Evaluator, Watch, STATE_MAX};
use tradebus_core::expression::{Expression, Truth, Verdict};
use tradebus_core::indicators::{Bar, Indicator, Spec, Value};
use xxhash_rust::xxh3::xxh3_64;

/// Sums of columns and functions, whose periods are short and few: many are shared, and soon warm.
fn any_number() -> BoxedStrategy<String> {
    let names = vec!["open", "high", "low", "close", "volume", "obv", "1", "100.3", "atr(2)", "adx(2)", "cci(3)"];
    let leaf = prop::sample::select(names).prop_map(str::to_owned);
    let tree = leaf.prop_recursive(3, 8, 2, |inner| {
        let one = prop::sample::select(vec!["sma", "ema", "wma", "rma", "rsi", "roc", "highest", "lowest"]);
        let three = prop::sample::select(vec!["line", "signal", "hist"]);
        let band = prop::sample::select(vec!["upper", "middle", "lower"]);
        let smooth = prop::sample::select(vec!["k", "d"]);
        let source = prop_oneof![
            Just(String::new()),
            inner.clone().prop_map(|source| format!("{source}, ")),
            inner.clone().prop_map(|source| format!("{source} - low, ")),
        ];
        let operator = prop::sample::select(vec!["+", "-", "*", "/"]);
        prop_oneof![
            3 => (one, source.clone(), 2..4_u8).prop_map(|(name, source, n)| format!("{name}({source}{n})")),
            1 => (source.clone(), three).prop_map(|(source, line)| format!("macd({source}2, 4, 3).{line}")),
            1 => (source, band).prop_map(|(source, line)| format!("bb({source}3, 2).{line}")),
            1 => smooth.prop_map(|line| format!("stoch(3, 2, 2).{line}")),
            2 => (inner.clone(), 0..5_u8).prop_map(|(operand, ago)| format!("({operand})[{ago}]")),
            1 => (inner.clone(), operator, inner).prop_map(|(left, sign, right)| format!("({left} {sign} {right})")),
        ]
    });
    tree.boxed()
}

fn any_expression() -> impl Strategy<Value = Rc<Expression>> {
    let relation = prop::sample::select(vec!["<", ">=", "==", "CROSSES", "CROSSES_ABOVE"]);
    let leaf = prop_oneof![
        4 => (any_number(), relation, any_number()).prop_map(|(left, word, right)| format!("{left} {word} {right}")),
        1 => any_number().prop_map(|x| format!("TOUCHES {x}")),
    ];
    let junction = prop::sample::select(vec!["AND", "OR", "AND NOT"]);
    let both = (leaf.clone(), junction, leaf.clone());
    let text = prop_oneof![leaf, both.prop_map(|(left, word, right)| format!("{left} {word} {right}"))];
    // A constant is no source.
    text.prop_filter_map("a condition", |text| Expression::parse(text.as_bytes()).ok().map(Rc::new))
}

fn any_expressions() -> impl Strategy<Value = Vec<Rc<Expression>>> {
    prop::collection::vec(any_expression(), 1..6)
}

/// Prices that tie often, and once in a while any number there is.
fn any_price() -> impl Strategy<Value = f64> {
    prop_oneof![
        40 => (0..8_u8).prop_map(|ticks| 100.1 + f64::from(ticks) * 0.1),
        1 => any::<f64>(),
        1 => prop::sample::select(vec![0.0, -0.0, 1e100, -1e100, 1e101, f64::MAX, f64::INFINITY, f64::NAN]),
    ]
}

fn any_bar() -> impl Strategy<Value = Bar> {
    let prices = (any_price(), any_price(), any_price(), any_price(), any_price());
    prices.prop_map(|(open, high, low, close, volume)| Bar { open, high, low, close, volume })
}

fn any_bars() -> impl Strategy<Value = Vec<Bar>> {
    prop::collection::vec(any_bar(), 1..40)
}

fn parsed(text: &str) -> Rc<Expression> {
    Rc::new(Expression::parse(text.as_bytes()).unwrap_or_else(|refusal| panic!("{text}: {refusal}")))
}

fn flat(price: f64) -> Bar {
    Bar { open: price, high: price, low: price, close: price, volume: 1.0 }
}

fn watched(expressions: &[Rc<Expression>]) -> (Evaluator, Vec<Watch>) {
    let mut evaluator = Evaluator::default();
    let watches = expressions.iter().map(|expression| evaluator.watch(Rc::clone(expression))).collect();
    (evaluator, watches)
}

fn run(evaluator: &mut Evaluator, bars: &[Bar]) {
    for bar in bars {
        evaluator.next(evaluator.last_bar().map_or(0, |last| last + 60_000), bar);
    }
}

fn saved(evaluator: &Evaluator) -> Vec<u8> {
    let mut bytes = Vec::new();
    evaluator.save(&mut bytes);
    assert!(bytes.len() <= evaluator.saved_len_max());
    bytes
}

/// What is told of a condition on the last bar, to the bit.
type Told = (Verdict, Vec<(String, Option<u64>)>);

fn told(evaluator: &Evaluator, watch: &Watch) -> Told {
    let terms = evaluator.terms(watch).map(|(text, number)| (text.to_owned(), number.map(f64::to_bits)));
    (evaluator.judge(watch), terms.collect())
}

fn told_of_all(evaluator: &Evaluator, watches: &[Watch]) -> Vec<Told> {
    watches.iter().map(|watch| told(evaluator, watch)).collect()
}

/// What a caller does for a new condition: the stored bars warm up what is not there.
fn registered(evaluator: &mut Evaluator, expression: &Rc<Expression>, stored: &[Bar]) -> Watch {
    if evaluator.covers(expression) {
        let before = saved(evaluator);
        let watch = evaluator.watch(Rc::clone(expression));
        assert_eq!(saved(evaluator), before, "{expression} was covered");
        return watch;
    }
    let watch = evaluator.watch(Rc::clone(expression));
    let (mut warm, _) = watched(std::slice::from_ref(expression));
    run(&mut warm, stored);
    evaluator.adopt(warm);
    assert!(evaluator.covers(expression));
    watch
}

proptest! {
    #[test]
    fn a_saved_state_goes_on_bit_for_bit(expressions in any_expressions(), bars in any_bars(), at in any::<Index>()) {
        let (before, after) = bars.split_at(at.index(bars.len()));
        let (mut straight, watches) = watched(&expressions);
        run(&mut straight, before);
        let bytes = saved(&straight);

        let (mut restored, rewatched) = watched(&expressions);
        run(&mut restored, after);
        prop_assert_eq!(restored.restore(&bytes), Some(()));
        prop_assert_eq!(saved(&restored), &bytes[..]);
        prop_assert_eq!((restored.bars(), restored.last_bar()), (straight.bars(), straight.last_bar()));
        prop_assert_eq!(told_of_all(&restored, &rewatched), told_of_all(&straight, &watches));
        for bar in after {
            run(&mut straight, &[*bar]);
            run(&mut restored, &[*bar]);
            prop_assert_eq!(told_of_all(&restored, &rewatched), told_of_all(&straight, &watches));
            prop_assert_eq!(saved(&restored), saved(&straight));
        }
    }

    #[test]
    fn sharing_changes_nothing(expressions in any_expressions(), bars in any_bars()) {
        let (mut shared, watches) = watched(&expressions);
        let mut alone: Vec<_> = expressions.iter().map(|one| watched(std::slice::from_ref(one))).collect();
        for bar in &bars {
            run(&mut shared, &[*bar]);
            for (watch, (evaluator, own)) in watches.iter().zip(&mut alone) {
                run(evaluator, &[*bar]);
                prop_assert_eq!(told(&shared, watch), told(evaluator, &own[0]), "{}", watch.expression());
            }
        }
    }

    /// Conditions come and go, states are saved and restored, with bars in between; in the end there is what there
    /// would be if those that are left had been there from the first bar on.
    #[test]
    fn what_is_kept_follows_from_what_is_watched_now(
        expressions in any_expressions(),
        steps in prop::collection::vec((any::<Index>(), prop_oneof![
            2 => any_bar().prop_map(Some),
            1 => Just(None),
        ]), 1..40),
    ) {
        let mut evaluator = Evaluator::default();
        let mut watches: Vec<Watch> = Vec::new();
        let mut stored = Vec::new();
        for (at, bar) in steps {
            if let Some(bar) = bar {
                run(&mut evaluator, &[bar]);
                stored.push(bar);
                continue;
            }
            let choice = at.index(2 * expressions.len() + 1);
            if let Some(expression) = expressions.get(choice) {
                watches.push(registered(&mut evaluator, expression, &stored));
            } else if choice < 2 * expressions.len() {
                if !watches.is_empty() {
                    evaluator.unwatch(watches.swap_remove(at.index(watches.len())));
                }
            } else {
                let bytes = saved(&evaluator);
                let left: Vec<_> = watches.iter().map(|watch| Rc::clone(watch.expression())).collect();
                (evaluator, watches) = watched(&left);
                prop_assert_eq!(evaluator.restore(&bytes), Some(()));
            }
            let left: Vec<_> = watches.iter().map(|watch| Rc::clone(watch.expression())).collect();
            let (mut straight, straight_watches) = watched(&left);
            run(&mut straight, &stored);
            prop_assert_eq!(told_of_all(&evaluator, &watches), told_of_all(&straight, &straight_watches));
            prop_assert_eq!(saved(&evaluator), saved(&straight));
            prop_assert!(left.iter().all(|expression| evaluator.is_whole(expression)));
            prop_assert_eq!(evaluator.functions(), straight.functions());
            prop_assert_eq!(evaluator.saved_len_max(), straight.saved_len_max());
        }
    }

    /// The stored bars do not reach as far back as what the others have seen.
    #[test]
    fn a_late_condition_leaves_the_others_as_they_are(
        early in any_expressions(),
        late in any_expressions(),
        bars in any_bars(),
        at in any::<Index>(),
        stored in any::<Index>(),
    ) {
        let (before, after) = bars.split_at(at.index(bars.len()));
        let stored = &before[stored.index(before.len() + 1)..];
        let (mut alone, own) = watched(&early);
        let (mut evaluator, watches) = watched(&early);
        run(&mut alone, before);
        run(&mut evaluator, before);
        let _late: Vec<_> = late.iter().map(|expression| evaluator.watch(Rc::clone(expression))).collect();
        let (mut warm, _) = watched(&late);
        for (bar, at) in stored.iter().zip(before.len() - stored.len()..) {
            warm.next(60_000 * at as i64, bar);
        }
        evaluator.adopt(warm);
        prop_assert_eq!(told_of_all(&evaluator, &watches), told_of_all(&alone, &own));
        for bar in after {
            run(&mut alone, &[*bar]);
            run(&mut evaluator, &[*bar]);
            prop_assert_eq!(told_of_all(&evaluator, &watches), told_of_all(&alone, &own));
        }
    }

    #[test]
    fn a_damaged_state_is_none(
        expressions in any_expressions(),
        bars in any_bars(),
        at in any::<Index>(),
        change in 1..=u8::MAX,
    ) {
        let (mut evaluator, _watches) = watched(&expressions);
        let fresh = saved(&evaluator);
        run(&mut evaluator, &bars);
        let bytes = saved(&evaluator);
        let at = at.index(bytes.len());

        let mut damaged = bytes.clone();
        damaged[at] ^= change;
        prop_assert_eq!(evaluator.restore(&damaged), None);
        prop_assert_eq!(saved(&evaluator), &fresh[..]);
        prop_assert_eq!(evaluator.restore(&bytes[..at]), None);
        prop_assert_eq!(evaluator.restore(&[bytes.as_slice(), b"x"].concat()), None);
        prop_assert_eq!(evaluator.restore(&bytes), Some(()));
        prop_assert_eq!(saved(&evaluator), bytes);
    }

    #[test]
    fn no_bytes_make_a_panic(
        expressions in any_expressions(),
        bars in any_bars(),
        junk in prop::collection::vec(any::<u8>(), 0..100),
        damage in prop::collection::vec((any::<Index>(), any::<u8>()), 1..6),
    ) {
        let (mut evaluator, watches) = watched(&expressions);
        prop_assert_eq!(evaluator.restore(&junk), None);
        run(&mut evaluator, &bars);
        let mut bytes = saved(&evaluator);
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        // Whatever it says with a checksum that fits.
        let _ = evaluator.restore(&sealed(bytes));
        for bar in &bars {
            run(&mut evaluator, &[*bar]);
            told_of_all(&evaluator, &watches);
        }
        saved(&evaluator);
    }
}

/// The bytes with the checksum that they should have.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.len() - 8);
    let checksum = xxh3_64(&bytes).to_le_bytes();
    bytes.extend_from_slice(&checksum);
    bytes
}

#[test]
fn a_length_that_lies_is_none() {
    let (mut evaluator, _watch) = watched(&[parsed("obv > 0")]);
    run(&mut evaluator, &[flat(1.0), flat(2.0)]);
    let bytes = saved(&evaluator);
    let columns = 4 + 8 + 8;
    let functions = columns + 5 * (2 + 2 * 9);
    let mut check = |at: usize, lie: &[u8], is_state: bool| {
        let mut bytes = bytes.clone();
        bytes[at..at + lie.len()].copy_from_slice(lie);
        assert_eq!(evaluator.restore(&sealed(bytes)).is_some(), is_state, "{lie:?} at {at}");
        assert_eq!(evaluator.bars() > 0, is_state, "{lie:?} at {at}");
    };
    check(0, b"TBE\x01", true);
    check(0, b"TBE\x02", false);
    check(columns, &[1, 0], false);
    check(columns, &[255, 255], false);
    check(columns + 2, &[3], false);
    check(functions, &[1, 0, 0, 0, 3, 0], true);
    check(functions, &[0, 0, 0, 0], false);
    check(functions, &[255, 255, 255, 255], false);
    check(functions + 4, &[255, 255], false);
    // Another text is a function that nobody needs.
    check(functions + 6, b"obw", true);
    check(functions + 6, b"ob\xFF", false);
    check(functions + 9, &[255, 255, 255, 255], false);
    check(functions + 9, &[0, 0, 0, 0], false);
    check(bytes.len() - 8 - 9 - 2, &[0, 0], false);
}

/// Bars that narrow, so that each of them stays a candidate for the highest and the lowest.
#[test]
fn no_state_is_longer_than_told() {
    let check = |text: &str| {
        let (mut evaluator, _watch) = watched(&[parsed(text)]);
        for at in 0..400 {
            let range = 500.0 - f64::from(at);
            run(&mut evaluator, &[Bar { high: range, low: -range, ..flat(range / 2.0) }]);
            saved(&evaluator);
        }
        let (length, most) = (saved(&evaluator).len(), evaluator.saved_len_max());
        assert!(length * 10 >= most * 7, "{text}: {length} bytes of {most}");
        assert!(most < STATE_MAX / 500);
    };
    for function in ["sma(90)", "ema(90)", "wma(90)", "rma(90)", "rsi(90)", "roc(90)", "cci(90)", "atr(90)", "adx(90)"]
    {
        check(&format!("{function} > 0"));
    }
    for function in ["macd(12, 26, 9).hist", "bb(90, 2).upper", "stoch(90, 90, 90).k", "obv", "lowest(low, 90)"] {
        check(&format!("{function} > 0"));
    }
    check("highest(high, 90)[50] CROSSES close[60]");
}

#[test]
fn functions_are_fed_what_their_source_says() {
    let noise = |at: u32| f64::from(at.wrapping_mul(2_654_435_761) >> 20) / 64.0;
    let bars: Vec<Bar> = (0..60).map(|at| Bar { high: 70.0, low: noise(at + 100), ..flat(noise(at)) }).collect();
    let chain = |specs: &[Spec], source: fn(&Bar) -> f64| -> Vec<Option<f64>> {
        let mut chain: Vec<Indicator> = specs.iter().map(|spec| Indicator::new(*spec).unwrap()).collect();
        let values = bars.iter().map(|bar| {
            let first = Value::Known(source(bar));
            chain.iter_mut().fold(first, |value, function| function.next(bar, value.fed())[0]).known()
        });
        values.collect()
    };
    let check = |texts: &[&str], expected: Vec<Option<f64>>, ago: usize| {
        let expressions: Vec<_> = texts.iter().map(|text| parsed(&format!("{text} > 0"))).collect();
        let (mut evaluator, watches) = watched(&expressions);
        for at in 0..bars.len() {
            run(&mut evaluator, &bars[at..=at]);
            let (_, number) = evaluator.terms(&watches[0]).last().unwrap();
            assert_eq!(number, expected[at], "{texts:?} on bar {at}");
            let is_above = at.checked_sub(ago).and_then(|at| expected[at]).map(|number| number > 0.0);
            assert_eq!(evaluator.judge(&watches[0]).value, Truth::from(is_above), "{texts:?} on bar {at}");
        }
    };
    let smooth_rsi = || chain(&[Spec::Rsi(14), Spec::Sma(5)], |bar| bar.close);
    check(&["sma(rsi(14), 5)"], smooth_rsi(), 0);
    check(&["sma(rsi(14), 5)[3]"], smooth_rsi(), 3);
    check(&["sma(rsi(14), 5)", "rsi(14)[30]"], smooth_rsi(), 0);
    check(&["sma(rsi(14), 5)[3]", "sma(rsi(14), 5)", "ema(sma(rsi(14), 5), 2)"], smooth_rsi(), 3);
    check(&["sma(high - low, 10)"], chain(&[Spec::Sma(10)], |bar| bar.high - bar.low), 0);
    check(
        &["rsi(ema(highest(-low, 3), 2), 4)"],
        chain(&[Spec::Highest(3), Spec::Ema(2), Spec::Rsi(4)], |bar| -bar.low),
        0,
    );
}

#[test]
fn a_stand_in_is_not_told() {
    let (mut evaluator, watches) = watched(&[parsed("sma(rsi(2), 2) == 0")]);
    run(&mut evaluator, &[flat(5.0); 6]);
    assert_eq!(evaluator.terms(&watches[0]).collect::<Vec<_>>(), [("rsi(2)", None), ("sma(rsi(2), 2)", Some(0.0))]);
}

/// The last verdict over flat bars of these prices.
#[test]
fn judged_on_the_last_bar() {
    let check = |text: &str, prices: &[f64], expected: Truth| {
        let (mut evaluator, watches) = watched(&[parsed(text)]);
        prices.iter().for_each(|price| run(&mut evaluator, &[flat(*price)]));
        assert_eq!(evaluator.judge(&watches[0]).value, expected, "{text} after {} bars", prices.len());
    };
    check("close > 1", &[], Truth::Unknown);
    check("close > 1", &[2.0], Truth::True);
    check("close[1] > 1", &[2.0], Truth::Unknown);
    check("close[1] > 1", &[2.0, 1.0], Truth::True);
    check("TOUCHES 5", &[4.0, 6.0], Truth::True);
    check("TOUCHES 5", &[6.0, 4.0], Truth::True);
    check("TOUCHES 5", &[5.0, 6.0], Truth::False);
    check("TOUCHES sma(2)", &[1.0, 3.0, 5.0], Truth::False);
    // An index that has no value is none to a condition, and TA-Lib's number to an average of it.
    check("rsi(2) == 0", &[5.0; 6], Truth::Unknown);
    check("sma(rsi(2), 2) == 0", &[5.0; 6], Truth::True);
    check("sma(rsi(2)[2], 2) == 0", &[5.0; 6], Truth::True);
    check("sma(rsi(2)[2], 2) == 0", &[5.0; 5], Truth::Unknown);
    let rising: Vec<f64> = (0..1_003).map(f64::from).collect();
    check("close[1000] == 2", &rising, Truth::True);
    check("close[1000] CROSSES_ABOVE 1", &rising, Truth::True);
    check("sma(2)[1000] CROSSES_ABOVE 1", &rising, Truth::True);
    check("sma(2)[1000] CROSSES_ABOVE 0", &rising[..1_002], Truth::Unknown);
}

#[test]
fn a_function_is_computed_once() {
    let check = |texts: &[&str], expected: usize| {
        let (evaluator, _watches) = watched(&texts.iter().map(|text| parsed(text)).collect::<Vec<_>>());
        assert_eq!(evaluator.functions(), expected, "{texts:?}");
    };
    check(&["close > open", "TOUCHES 3"], 0);
    check(&["rsi(14) < 30", "RSI(close, 14) > 70", "rsi(14)[3] < 30"], 1);
    check(&["rsi(14) < 30", "rsi(15) < 30", "rsi(open, 14) < 30"], 3);
    check(&["macd(2, 3, 4).line > macd(2, 3, 4).signal", "macd(2, 3, 4).hist > 0"], 1);
    check(&["sma(rsi(14), 5) > 3", "rsi(14) < 30"], 2);
    check(&["sma(bb(20, 2).upper - bb(20, 2).lower, 5) > 3", "bb(20, 2).middle > 4", "bb(20, 1).middle > 4"], 3);
}

#[test]
fn covered_is_what_is_computed_and_deep_enough() {
    let check = |others: &[&str], text: &str, expected: bool| {
        let (evaluator, _watches) = watched(&others.iter().map(|text| parsed(text)).collect::<Vec<_>>());
        assert_eq!(evaluator.covers(&parsed(text)), expected, "{text} by {others:?}");
    };
    check(&[], "close CROSSES_ABOVE 5", true);
    check(&[], "TOUCHES 5", true);
    check(&[], "close[2] > 5", false);
    check(&["close[3] > 4"], "close[2] > 5", true);
    check(&["close[3] > 4"], "open[2] > 5", false);
    check(&[], "rsi(2) > 5", false);
    check(&["rsi(2) > 4"], "rsi(2) > 5", true);
    check(&["rsi(2) > 4"], "rsi(2) CROSSES 5", false);
    check(&["rsi(2) CROSSES 4"], "rsi(2) CROSSES 5", true);
    check(&["macd(2, 3, 4).line CROSSES 4"], "macd(2, 3, 4).signal > 5", true);
    check(&["macd(2, 3, 4).line CROSSES 4"], "macd(2, 3, 4).signal CROSSES 5", false);
    check(&["sma(rsi(2), 3) > 4"], "rsi(2) > 5", true);
    check(&["rsi(2) > 4"], "sma(rsi(2), 3) > 5", false);
}

#[test]
fn whole_is_what_has_seen_all_that_it_keeps() {
    let check = |saved_text: &str, text: &str, bars: usize, expected: bool| {
        let (mut before, _watches) = watched(&[parsed(saved_text)]);
        run(&mut before, &vec![flat(1.0); bars]);
        let (mut evaluator, _watches) = watched(&[parsed(text)]);
        assert_eq!(evaluator.restore(&saved(&before)), Some(()));
        assert_eq!(
            evaluator.is_whole(&parsed(text)),
            expected,
            "{text} from a state of {saved_text} after {bars} bars"
        );
    };
    check("rsi(2) > 5", "rsi(2) < 5", 9, true);
    check("rsi(2)[3] > 5", "rsi(2)[2] < 5", 9, true);
    check("rsi(2)[2] > 5", "rsi(2)[3] < 5", 9, false);
    check("rsi(2)[2] > 5", "rsi(2)[3] < 5", 3, true);
    check("rsi(2) > 5", "rsi(3) < 5", 9, false);
    check("rsi(2) > 5", "rsi(3) < 5", 0, true);
    check("rsi(2) > 5", "TOUCHES 5", 9, true);
    check("rsi(2) > 5", "close[2] > 5", 9, false);
}

#[test]
fn who_stands_at_another_bar_gives_nothing() {
    let expression = parsed("sma(1) > close[3]");
    let (mut evaluator, _watch) = watched(std::slice::from_ref(&expression));
    evaluator.next(60_000, &flat(1.0));
    let before = saved(&evaluator);
    let (mut other, _) = watched(std::slice::from_ref(&expression));
    run(&mut other, &[flat(1.0), flat(2.0), flat(3.0)]);
    evaluator.adopt(other);
    evaluator.adopt(Evaluator::default());
    assert_eq!(saved(&evaluator), before);
    evaluator.reset();
    assert_eq!((evaluator.bars(), evaluator.last_bar()), (0, None));
}
