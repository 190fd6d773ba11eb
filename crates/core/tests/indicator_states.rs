//! What holds of indicators for any bars: their state survives bit for bit, and nothing makes them panic.

use proptest::prelude::*;
use proptest::sample::Index;
use tradebus_core::indicators::{Bar, Indicator, Reading, Spec, Value};

fn any_spec() -> impl Strategy<Value = Spec> {
    let one = || 1..12_u16;
    let two = || 2..12_u16;
    prop_oneof![
        one().prop_map(Spec::Sma),
        one().prop_map(Spec::Ema),
        one().prop_map(Spec::Wma),
        one().prop_map(Spec::Rma),
        two().prop_map(Spec::Rsi),
        (two(), two(), one()).prop_map(|(fast, slow, signal)| Spec::Macd { fast, slow, signal }),
        (two(), 0.0..4.0).prop_map(|(period, deviations)| Spec::Bb { period, deviations }),
        one().prop_map(Spec::Atr),
        (one(), one(), one()).prop_map(|(k, d, slowing)| Spec::Stoch { k, d, slowing }),
        two().prop_map(Spec::Adx),
        two().prop_map(Spec::Cci),
        one().prop_map(Spec::Roc),
        Just(Spec::Obv),
        two().prop_map(Spec::Highest),
        two().prop_map(Spec::Lowest),
    ]
}

/// Prices that tie often, and once in a while any number there is.
fn any_number() -> impl Strategy<Value = f64> {
    prop_oneof![
        20 => (0..8_u8).prop_map(|ticks| 100.1 + f64::from(ticks) * 0.1),
        2 => 0.0..1e6,
        1 => any::<f64>(),
        1 => prop::sample::select(vec![0.0, -0.0, 1e100, -1e100, 1e101, 5e-324, f64::MAX, f64::INFINITY, f64::NAN]),
    ]
}

fn any_bar() -> impl Strategy<Value = Bar> {
    (any_number(), any_number(), any_number(), any_number(), any_number())
        .prop_map(|(open, high, low, close, volume)| Bar { open, high, low, close, volume })
}

fn any_bars() -> impl Strategy<Value = Vec<Bar>> {
    prop::collection::vec(any_bar(), 1..80)
}

fn started(spec: Spec) -> Indicator {
    Indicator::new(spec).expect("parameters in bounds")
}

fn run(indicator: &mut Indicator, bars: &[Bar]) -> Vec<Reading> {
    bars.iter().map(|bar| indicator.next(bar, Some(bar.close))).collect()
}

fn saved(indicator: &Indicator) -> Vec<u8> {
    let mut bytes = Vec::new();
    indicator.save(&mut bytes);
    bytes
}

/// Equal to the bit: 0.0 and -0.0 are two numbers.
fn bits(readings: &[Reading]) -> Vec<[(Option<u64>, Option<u64>); 3]> {
    let value = |value: Value| (value.known().map(f64::to_bits), value.fed().map(f64::to_bits));
    readings.iter().map(|reading| reading.map(value)).collect()
}

proptest! {
    #[test]
    fn a_saved_state_goes_on_bit_for_bit(spec in any_spec(), bars in any_bars(), at in any::<Index>()) {
        let (before, after) = bars.split_at(at.index(bars.len()));
        let mut uninterrupted = started(spec);
        run(&mut uninterrupted, before);
        let mut bytes = saved(&uninterrupted);
        let length = bytes.len();
        bytes.extend_from_slice(b"next");

        let mut rest = bytes.as_slice();
        let mut restored = Indicator::restore(spec, &mut rest).expect("a state that was saved");
        prop_assert_eq!(rest, b"next");
        prop_assert_eq!(&saved(&restored), &bytes[..length]);
        prop_assert_eq!(bits(&run(&mut restored, after)), bits(&run(&mut uninterrupted, after)));
        prop_assert_eq!(saved(&restored), saved(&uninterrupted));
    }

    #[test]
    fn a_corrected_bar_leaves_no_trace(spec in any_spec(), bars in any_bars(), wrong in any_bar(), right in any_bar()) {
        let mut indicator = started(spec);
        run(&mut indicator, &bars);
        let kept = indicator.clone();
        run(&mut indicator, &[wrong]);

        let mut corrected = kept.clone();
        let mut straight = started(spec);
        run(&mut straight, &bars);
        prop_assert_eq!(bits(&run(&mut corrected, &[right])), bits(&run(&mut straight, &[right])));
        prop_assert_eq!(saved(&corrected), saved(&straight));
    }

    #[test]
    fn a_cut_state_is_none(spec in any_spec(), bars in any_bars(), at in any::<Index>()) {
        let mut indicator = started(spec);
        run(&mut indicator, &bars);
        let bytes = saved(&indicator);
        prop_assert!(Indicator::restore(spec, &mut &bytes[..at.index(bytes.len())]).is_none());
    }

    #[test]
    fn the_state_of_another_function_is_none(spec in any_spec(), other in any_spec(), bars in any_bars()) {
        let mut indicator = started(spec);
        run(&mut indicator, &bars);
        let is_same = spec == other;
        prop_assert_eq!(Indicator::restore(other, &mut saved(&indicator).as_slice()).is_some(), is_same);
    }

    /// What a damaged state gives is of no matter, as long as it is a number or nothing.
    #[test]
    fn no_junk_makes_a_panic(
        spec in any_spec(),
        bars in any_bars(),
        damage in prop::collection::vec((any::<Index>(), any::<u8>()), 1..4),
    ) {
        let mut indicator = started(spec);
        run(&mut indicator, &bars);
        let mut bytes = saved(&indicator);
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(mut restored) = Indicator::restore(spec, &mut bytes.as_slice()) {
            prop_assert!(run(&mut restored, &bars).iter().flatten().all(|value| is_finite(*value)));
        }
    }

    #[test]
    fn every_value_is_finite(spec in any_spec(), bars in any_bars()) {
        let readings = run(&mut started(spec), &bars);
        prop_assert!(readings.iter().flatten().all(|value| is_finite(*value)));
    }

    /// A bar that has no number for a function is none of its series.
    #[test]
    fn what_is_no_number_leaves_no_trace(
        spec in any_spec(),
        bars in any_bars(),
        beyond in prop::sample::select(vec![1.1e100, -f64::MAX, f64::INFINITY, f64::NAN]),
    ) {
        let mut indicator = started(spec);
        run(&mut indicator, &bars);
        let before = saved(&indicator);
        let bar = Bar { open: beyond, high: beyond, low: beyond, close: beyond, volume: beyond };
        prop_assert_eq!(run(&mut indicator, &[bar]), vec![[Value::Absent; 3]]);
        prop_assert_eq!(saved(&indicator), before);
    }

    #[test]
    fn extremes_are_those_of_the_window(numbers in prop::collection::vec(0..20_u8, 1..200), period in 2..30_u16) {
        let (mut highest, mut lowest) = (started(Spec::Highest(period)), started(Spec::Lowest(period)));
        let numbers: Vec<f64> = numbers.into_iter().map(f64::from).collect();
        for end in 1..=numbers.len() {
            let bar = flat(numbers[end - 1]);
            let window = end.checked_sub(usize::from(period)).map(|start| &numbers[start..end]);
            let expected = |pick: fn(f64, f64) -> f64| window.and_then(|window| window.iter().copied().reduce(pick));
            prop_assert_eq!(highest.next(&bar, Some(bar.close))[0].known(), expected(f64::max));
            prop_assert_eq!(lowest.next(&bar, Some(bar.close))[0].known(), expected(f64::min));
        }
    }

    /// However far the numbers fall or rise, and however long ago that was.
    #[test]
    fn the_width_of_bands_is_that_of_the_window(
        stretches in prop::collection::vec((0..10_u32, prop::collection::vec(0.0..1.0, 1..40)), 1..8),
        period in 2..20_u16,
    ) {
        let mut bands = started(Spec::Bb { period, deviations: 1.0 });
        let numbers: Vec<f64> = stretches
            .into_iter()
            .flat_map(|(size, steps)| steps.into_iter().map(move |step| 10_f64.powf(f64::from(size)) * (1.0 + step)))
            .collect();
        for end in 1..=numbers.len() {
            let bar = flat(numbers[end - 1]);
            let [upper, _, lower] = bands.next(&bar, Some(bar.close)).map(Value::known);
            let Some(start) = end.checked_sub(usize::from(period)) else {
                prop_assert_eq!((upper, lower), (None, None));
                continue;
            };
            let (window, count) = (&numbers[start..end], f64::from(period));
            let mean = window.iter().sum::<f64>() / count;
            let deviation = (window.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count).sqrt();
            let width = upper.zip(lower).map(|(upper, lower)| (upper - lower) / 2.0).expect("a full window");
            // The width is a difference of numbers of the size of the middle, which carries a running sum.
            let rounding = 1e-9 * deviation + 1e-15 * (numbers.iter().copied().fold(0.0, f64::max) + mean);
            prop_assert!((width - deviation).abs() <= rounding, "{width}, the window has {deviation}");
        }
    }
}

/// Equal states of two functions have different bytes.
#[test]
fn each_function_has_its_own_states() {
    let all = [
        Spec::Sma(2),
        Spec::Ema(2),
        Spec::Wma(2),
        Spec::Rma(2),
        Spec::Rsi(2),
        Spec::Rsi(3),
        Spec::Macd { fast: 2, slow: 3, signal: 2 },
        Spec::Macd { fast: 3, slow: 2, signal: 2 },
        Spec::Bb { period: 2, deviations: 2.0 },
        Spec::Bb { period: 2, deviations: 2.5 },
        Spec::Atr(2),
        Spec::Stoch { k: 2, d: 2, slowing: 3 },
        Spec::Stoch { k: 2, d: 3, slowing: 2 },
        Spec::Adx(2),
        Spec::Cci(2),
        Spec::Roc(2),
        Spec::Obv,
        Spec::Highest(2),
        Spec::Lowest(2),
    ];
    for spec in all {
        let bytes = saved(&started(spec));
        for other in all {
            let restored = Indicator::restore(other, &mut bytes.as_slice());
            assert_eq!(restored.is_some(), spec == other, "{spec:?} as {other:?}");
        }
    }
}

/// A state that no bars lead to, written as its parts: counts and numbers.
#[test]
fn an_impossible_state_is_none() {
    enum Part {
        Count(u16),
        Number(f64),
    }
    use Part::{Count, Number};
    let check = |spec: Spec, parts: &[Part], is_possible: bool| {
        // The function and its period.
        let mut bytes = saved(&started(spec))[..3].to_vec();
        for part in parts {
            match part {
                Count(count) => bytes.extend_from_slice(&count.to_le_bytes()),
                Number(number) => bytes.extend_from_slice(&number.to_le_bytes()),
            }
        }
        assert_eq!(Indicator::restore(spec, &mut bytes.as_slice()).is_some(), is_possible, "{spec:?} {bytes:?}");
    };
    // Numbers seen, and their sum or average.
    check(Spec::Ema(2), &[Count(2), Number(1.0)], true);
    check(Spec::Ema(2), &[Count(3), Number(1.0)], false);
    check(Spec::Ema(2), &[Count(2), Number(f64::NAN)], false);
    check(Spec::Ema(2), &[Count(2), Number(f64::INFINITY)], false);
    // The window's count, the place of its oldest number, its numbers.
    check(Spec::Roc(2), &[Count(2), Count(1), Number(1.0), Number(2.0)], true);
    check(Spec::Roc(2), &[Count(2), Count(2), Number(1.0), Number(2.0)], false);
    check(Spec::Roc(2), &[Count(1), Count(1), Number(1.0)], false);
    check(Spec::Roc(2), &[Count(3), Count(0), Number(1.0), Number(2.0), Number(3.0)], false);
    // Numbers seen, and the candidates, each with its age.
    check(Spec::Highest(3), &[Count(3), Count(2), Count(2), Number(5.0), Count(0), Number(4.0)], true);
    check(Spec::Highest(3), &[Count(3), Count(2), Count(2), Number(5.0), Count(0), Number(5.0)], false);
    check(Spec::Highest(3), &[Count(3), Count(2), Count(2), Number(5.0), Count(1), Number(4.0)], false);
    check(Spec::Highest(3), &[Count(3), Count(2), Count(0), Number(5.0), Count(0), Number(4.0)], false);
    check(Spec::Highest(3), &[Count(3), Count(2), Count(3), Number(5.0), Count(0), Number(4.0)], false);
    check(Spec::Highest(3), &[Count(2), Count(1), Count(2), Number(5.0)], false);
    check(Spec::Highest(3), &[Count(3), Count(0)], false);
}

fn flat(price: f64) -> Bar {
    Bar { open: price, high: price, low: price, close: price, volume: 0.0 }
}

fn is_finite(value: Value) -> bool {
    value.fed().is_none_or(f64::is_finite)
}
