//! Tables for what has a name; for the rest, agreement with big integers.

use std::cmp::Ordering;
use std::str::FromStr;

use ethnum::I256;
use num_bigint::{BigInt, Sign};
use proptest::prelude::*;

use super::{digit_count, power_of_ten, Decimal, DecimalError};

/// Checks lines of the form `operation operands = result`. Operands are read as stored numbers; a result
/// is the printed number, an error's name or `none`.
fn check(table: &str) {
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (question, answer) = line.split_once(" = ").expect(line);
        let words: Vec<&str> = question.split_whitespace().collect();
        let number = |text: &str| Decimal::from_stored(text.as_bytes()).expect(text);
        let result = match words[..] {
            ["parse", text] => Decimal::parse(text).map_err(|error| format!("{error:?}")),
            ["stored", text] => Decimal::from_stored(text.as_bytes()).ok_or("none".into()),
            ["add", a, b] => number(a).checked_add(number(b)).ok_or("none".into()),
            ["sub", a, b] => number(a).checked_sub(number(b)).ok_or("none".into()),
            ["mul", a, b] => number(a).checked_mul(number(b)).ok_or("none".into()),
            ["div", a, b] => number(a).checked_div(number(b)).ok_or("none".into()),
            _ => panic!("{line}"),
        };
        let actual = result.map_or_else(|error| error, |number| number.to_string());
        assert_eq!(actual, answer, "{line}");
    }
}

#[test]
fn reads_and_prints_plainly() {
    check(
        "
        parse 0 = 0
        parse -0 = 0
        parse -0.00e5 = 0
        parse 100 = 100
        parse 2000.10 = 2000.1
        parse -0.05 = -0.05
        parse 1.50000000000000000000 = 1.5
        parse 0.000000000000000000000000000000000001 = 0.000000000000000000000000000000000001
        parse 100e3 = 100000
        parse 1E+2 = 100
        parse 12.5e1 = 125
        parse 12.5e-1 = 1.25
        parse 120e-1 = 12
        parse 120e-2 = 1.2
        parse 0.0012e2 = 0.12
        parse 1e017 = 100000000000000000
        parse 100000000000000000000e-5 = 1000000000000000
        ",
    );
}

#[test]
fn holds_callers_to_their_limits() {
    check(
        "
        parse 999999999999999999 = 999999999999999999
        parse -999999999999999999 = -999999999999999999
        parse 1000000000000000000 = Range
        parse 1e18 = Range
        parse 0.1e18 = 100000000000000000
        parse 0.123456789012345678 = 0.123456789012345678
        parse 1.123456789012345678 = Range
        parse 1234567890.1234567800 = 1234567890.12345678
        parse 1e-60 = 0.000000000000000000000000000000000000000000000000000000000001
        parse 1e-61 = Range
        parse 10e-61 = 0.000000000000000000000000000000000000000000000000000000000001
        parse 1e999999 = Range
        parse 1e-999999 = Range
        parse 1e99999999999999999999999999 = Range
        parse 1e18446744073709551616 = Range
        parse -1e-99999999999999999999999999 = Range
        parse 0e999999 = 0
        parse 0.0e-99999999999999999999999999 = 0
        parse 12345678901234567890x = Syntax
        ",
    );
}

#[test]
fn reads_back_more_than_callers_may_send() {
    check(
        "
        stored 1234567890123456789.5 = 1234567890123456789.5
        stored 9999999999999999999999999999999999999999999999999999999999999999999999999999 = 9999999999999999999999999999999999999999999999999999999999999999999999999999
        stored 10000000000000000000000000000000000000.00000000000000000000000000000000000001 = 10000000000000000000000000000000000000.00000000000000000000000000000000000001
        stored 1e75 = 1000000000000000000000000000000000000000000000000000000000000000000000000000
        stored 1e76 = none
        stored 1e-256 = none
        stored 2000.50 = 2000.5
        stored 1e3 = 1000
        stored x = none
        ",
    );
    let smallest = Decimal::from_stored(b"1e-255").unwrap();
    assert_eq!(smallest.to_string(), format!("0.{:0>255}", 1));
}

#[test]
fn refuses_what_is_no_json_number() {
    for text in [
        "", "-", "+1", "--1", ".", ".5", "-.5", "5.", "5.e1", "01", "-01", "00", "1e", "1e+", "1e1.5", "1E--1",
        "1.2.3", "1_000", "1,5", " 1", "1 ", "1\0", "0x1", "NaN", "Infinity", "1a", "\u{661}", "\u{ff11}",
    ] {
        assert_eq!(Decimal::parse(text), Err(DecimalError::Syntax), "{text:?}");
        assert_eq!(Decimal::from_stored(text.as_bytes()), None, "{text:?}");
    }
    assert_eq!(Decimal::from_stored(b"1\xff"), None);
}

#[test]
fn padding_of_any_length_is_only_read() {
    let zeros = "0".repeat(1_000_000);
    let one = Ok(Decimal::ONE);
    assert_eq!(Decimal::parse(&format!("1.{zeros}")), one);
    assert_eq!(Decimal::parse(&format!("1{zeros}e-1000000")), one);
    assert_eq!(Decimal::parse(&format!("0.{zeros}1e1000001")), one);
    assert_eq!(Decimal::parse(&format!("1e{zeros}")), one);
    assert_eq!(Decimal::parse(&format!("1{zeros}")), Err(DecimalError::Range));
}

#[test]
fn sums_and_products_are_exact_or_nothing() {
    check(
        "
        add 0.1 0.2 = 0.3
        add 0.5 0.5 = 1
        add 1.5 -1.5 = 0
        add 1e17 1e-17 = 100000000000000000.00000000000000001
        add 1e75 0.1 = none
        add 1e75 9e75 = none
        add 9999999999999999999999999999999999999999999999999999999999999999999999999999 1 = none
        sub 0.3 0.1 = 0.2
        sub 1 1.25 = -0.25
        mul 0.5 2000.5 = 1000.25
        mul -0.5 -2 = 1
        mul 0 -5 = 0
        mul 999999999999999999 999999999999999999 = 999999999999999998000000000000000001
        mul 1e40 1e35 = 1000000000000000000000000000000000000000000000000000000000000000000000000000
        mul 1e40 1e36 = none
        mul 1e75 1.23456789 = 1234567890000000000000000000000000000000000000000000000000000000000000000000
        mul 1e-200 1e-56 = none
        mul 1809251394333065553493296640760748560207343510400633813116524750123642650624 7888609052210118054117285652827862296732064351090230047702789306640625e-100 = 1427247692705959881058285969449495136382746624
        mul 1809251394333065553493296640760748560207343510400633813116524750123642650623 7888609052210118054117285652827862296732064351090230047702789306640625e-99 = none
        ",
    );
}

#[test]
fn quotients_round_half_to_even_at_28_digits() {
    check(
        "
        div 1 0 = none
        div 0 0 = none
        div 0 -7 = 0
        div 6 3 = 2
        div 1 8 = 0.125
        div 10 0.00001 = 1000000
        div 1000.5 0.25 = 4002
        div 1 3 = 0.3333333333333333333333333333
        div 2 3 = 0.6666666666666666666666666667
        div -2 3 = -0.6666666666666666666666666667
        div 2 -300 = -0.006666666666666666666666666667
        div 1234567890123456789012345678.5 1 = 1234567890123456789012345678
        div 1234567890123456789012345677.5 1 = 1234567890123456789012345678
        div 1234567890123456789012345678.50000000000000000000000001 1 = 1234567890123456789012345679
        div 9999999999999999999999999999.5 1 = 10000000000000000000000000000
        div 12345678901234567890123456785 1 = 12345678901234567890123456780
        div 12345678901234567890123456795 1 = 12345678901234567890123456800
        div 1000000000000000000000000000000000000000000000000000000000000000000000000001 1e56 = 10000000000000000000
        div 1e60 1e-15 = 1000000000000000000000000000000000000000000000000000000000000000000000000000
        div 1e60 1e-16 = none
        div 1e-200 1e56 = none
        div 1e-255 3 = none
        div 1 9999999999999999999999999999999999999999999999999999999999999999999999999999 = 0.0000000000000000000000000000000000000000000000000000000000000000000000000001
        ",
    );
}

#[test]
fn zero_is_neutral_at_every_scale() {
    for scale in 0..=255 {
        let number = Decimal::from_stored(format!("-7e-{scale}").as_bytes()).unwrap();
        assert_eq!(number.checked_add(Decimal::ZERO), Some(number));
        assert_eq!(Decimal::ZERO.checked_sub(number), Some(number.negated()));
        assert_eq!(number.checked_mul(Decimal::ZERO), Some(Decimal::ZERO));
        assert!(number < Decimal::ZERO && Decimal::ZERO < number.negated());
    }
}

#[test]
fn signs() {
    let number = |text| Decimal::parse(text).unwrap();
    for (text, negative, positive) in [("-0.1", true, false), ("0", false, false), ("3", false, true)] {
        let number = number(text);
        assert_eq!((number.is_negative(), number.is_positive()), (negative, positive));
        assert_eq!(number.is_zero(), !negative && !positive);
        assert_eq!(number.negated().negated(), number);
        assert_eq!(number.negated().is_positive(), negative);
    }
    assert_eq!(Decimal::default(), Decimal::ZERO);
    assert_eq!(number("1.0"), Decimal::ONE);
}

#[test]
fn digits_are_counted_right_around_every_power_of_ten() {
    for n in 0..=77 {
        assert_eq!(power_of_ten(n).to_string(), format!("1{:0>1$}", "", usize::from(n)));
        assert_eq!(digit_count(power_of_ten(n) - 1), n);
        assert_eq!(digit_count(power_of_ten(n)), n + 1);
    }
}

fn big(number: Decimal) -> BigInt {
    BigInt::from_str(&number.mantissa.to_string()).unwrap()
}

fn ten_to(n: i64) -> BigInt {
    BigInt::from(10).pow(u32::try_from(n).unwrap())
}

fn digits(number: &BigInt) -> i64 {
    number.magnitude().to_string().len() as i64
}

/// `mantissa * 10^-scale` in canonical form, whatever its size.
fn trimmed(mut mantissa: BigInt, mut scale: i64) -> (BigInt, i64) {
    if scale < 0 {
        mantissa *= ten_to(-scale);
        scale = 0;
    }
    while scale > 0 && (&mantissa % 10_u8).sign() == Sign::NoSign {
        mantissa /= 10;
        scale -= 1;
    }
    (mantissa, scale)
}

/// The one right answer of an operation whose exact result is `mantissa * 10^-scale`.
fn held(mantissa: BigInt, scale: i64) -> Option<Decimal> {
    let (mantissa, scale) = trimmed(mantissa, scale);
    (digits(&mantissa) <= 76 && scale <= 255)
        .then(|| Decimal { mantissa: I256::from_str(&mantissa.to_string()).unwrap(), scale: scale as u16 })
}

/// The exact quotient, rounded by the book: no digit is wrong and the remainder is never approximated.
fn quotient(a: Decimal, b: Decimal) -> Option<Decimal> {
    if b.is_zero() {
        return None;
    }
    let magnitude = |number| BigInt::from(big(number).magnitude().clone());
    let parts = |shift: i64| {
        let numerator = magnitude(a) * ten_to(shift.max(0));
        let denominator = magnitude(b) * ten_to((-shift).max(0));
        let whole = &numerator / &denominator;
        (numerator - &whole * &denominator, denominator, whole)
    };
    let mut shift = 28 - digits(&big(a)) + digits(&big(b));
    if digits(&parts(shift).2) > 28 {
        shift -= 1;
    }
    let (rest, denominator, mut whole) = parts(shift);
    let up = match (rest * 2_u8).cmp(&denominator) {
        Ordering::Less => false,
        Ordering::Equal => whole.bit(0),
        Ordering::Greater => true,
    };
    whole += u8::from(up);
    if a.is_negative() != b.is_negative() {
        whole = -whole;
    }
    held(whole, i64::from(a.scale) - i64::from(b.scale) + shift)
}

/// Numbers of every size, many of them with factors of 2, 5 and 10 that can cancel.
fn number() -> impl Strategy<Value = Decimal> {
    let mantissa = prop_oneof![
        (-1000_i64..1000).prop_map(BigInt::from),
        any::<i64>().prop_map(BigInt::from),
        any::<i128>().prop_map(BigInt::from),
        "-?[1-9][0-9]{0,75}".prop_map(|text| BigInt::from_str(&text).unwrap()),
        (0_u32..253).prop_map(|n| BigInt::from(2).pow(n)),
        (0_u32..109).prop_map(|n| BigInt::from(-5).pow(n)),
    ];
    let zeros = prop_oneof![Just(0), 0_i64..60];
    let scale = prop_oneof![Just(0), 0_i64..20, 0_i64..=255];
    (mantissa, zeros, scale)
        .prop_filter_map("cannot be held", |(mantissa, zeros, scale)| held(mantissa * ten_to(zeros), scale))
}

/// Two numbers, often nearly equal.
fn pair() -> impl Strategy<Value = (Decimal, Decimal)> {
    let near = (number(), 0_i64..40, -1_i64..=1).prop_filter_map("cannot be held", |(number, places, change)| {
        let mantissa = big(number) * ten_to(places) + change;
        Some((number, held(mantissa, i64::from(number.scale) + places)?))
    });
    prop_oneof![(number(), number()), near]
}

/// A dividend and a divisor whose quotient lies on the middle between two numbers of 28 digits, or a
/// hair beside it.
fn near_tie() -> impl Strategy<Value = (Decimal, Decimal)> {
    let parts = ("[1-9][0-9]{27}5", 1..i64::MAX, 0_i64..25, -1_i64..=1, 0_i64..40);
    parts.prop_filter_map("cannot be held", |(middle, divisor, places, change, scale)| {
        let product = BigInt::from_str(&middle).unwrap() * divisor * ten_to(places) + change;
        Some((held(product, scale)?, held(BigInt::from(divisor), 0)?))
    })
}

/// The parts of a number in JSON's grammar.
fn literal() -> impl Strategy<Value = (String, String, String)> {
    let integer = "-?(0|[1-9][0-9]{0,20}|[1-9][0-9]{0,3}0{0,20})";
    let fraction = "|[0-9]{1,25}|0{0,60}[0-9]{1,5}0{0,20}";
    let exponent = "|[+-]?[0-9]{1,2}";
    (integer, fraction, exponent).prop_map(|parts| parts)
}

proptest! {
    #[test]
    fn printing_and_parsing_round_trip(number in number()) {
        let text = number.to_string();
        prop_assert_eq!(Decimal::from_stored(text.as_bytes()), Some(number));
        prop_assert!(!text.contains(['e', 'E', '+']));
        prop_assert!(!text.contains('.') || !text.ends_with(['0', '.']));
    }

    #[test]
    fn parsing_agrees_with_big_integers((integer, fraction, exponent) in literal()) {
        let mut text = integer.clone();
        if !fraction.is_empty() {
            text = text + "." + &fraction;
        }
        if !exponent.is_empty() {
            text = text + "e" + &exponent;
        }
        let power: i64 = if exponent.is_empty() { 0 } else { exponent.parse().unwrap() };
        let mantissa = BigInt::from_str(&(integer + &fraction)).unwrap();
        let (mantissa, scale) = trimmed(mantissa, fraction.len() as i64 - power);
        let significant = mantissa.to_string().trim_matches(['-', '0']).len();
        let limit = ten_to(18) * ten_to(scale);
        let accepted = significant <= 18
            && mantissa.magnitude() < limit.magnitude()
            && scale <= 60;
        let expected = if accepted {
            Ok(held(mantissa.clone(), scale).unwrap())
        } else {
            Err(DecimalError::Range)
        };
        prop_assert_eq!(Decimal::parse(&text), expected);
        prop_assert_eq!(Decimal::from_stored(text.as_bytes()), held(mantissa, scale));
    }

    #[test]
    fn no_text_panics(
        text in prop_oneof![any::<String>(), "[-+.eE0-9]{0,40}", "-?[0-9]{1,90}\\.[0-9]{1,300}(e-?[0-9]{1,30})?"],
    ) {
        let stored = Decimal::from_stored(text.as_bytes());
        match Decimal::parse(&text) {
            Ok(number) => prop_assert_eq!(stored, Some(number)),
            Err(DecimalError::Syntax) => prop_assert_eq!(stored, None),
            Err(DecimalError::Range) => {}
        }
    }

    #[test]
    fn no_bytes_panic(text in any::<Vec<u8>>()) {
        let _ = Decimal::from_stored(&text);
    }

    #[test]
    fn sums_agree_with_big_integers((a, b) in pair()) {
        let scale = i64::from(a.scale.max(b.scale));
        let aligned = |number: Decimal| big(number) * ten_to(scale - i64::from(number.scale));
        prop_assert_eq!(a.checked_add(b), held(aligned(a) + aligned(b), scale));
        prop_assert_eq!(a.checked_sub(b), held(aligned(a) - aligned(b), scale));
        prop_assert_eq!(a.cmp(&b), aligned(a).cmp(&aligned(b)));
        prop_assert_eq!(a == b, a.cmp(&b).is_eq());
    }

    #[test]
    fn what_is_added_can_be_taken_away((a, b) in pair()) {
        if let Some(sum) = a.checked_add(b) {
            prop_assert_eq!(sum.checked_sub(b), Some(a));
        }
    }

    #[test]
    fn products_agree_with_big_integers(a in number(), b in number()) {
        let expected = held(big(a) * big(b), i64::from(a.scale) + i64::from(b.scale));
        prop_assert_eq!(a.checked_mul(b), expected);
        prop_assert_eq!(b.checked_mul(a), expected);
    }

    #[test]
    fn products_distribute_over_sums(a in number(), (b, c) in pair()) {
        let whole = b.checked_add(c).and_then(|sum| a.checked_mul(sum));
        let parts = a.checked_mul(b).zip(a.checked_mul(c));
        if let (Some(whole), Some((left, right))) = (whole, parts) {
            prop_assert_eq!(left.checked_add(right), Some(whole));
        }
    }

    #[test]
    fn quotients_agree_with_big_integers((a, b) in prop_oneof![pair(), near_tie()]) {
        prop_assert_eq!(a.checked_div(b), quotient(a, b));
    }
}
