//! Tests of candles: what is taken, what is stored and read back, what subscribers get.

use proptest::prelude::*;

use super::*;

const NOW: Millis = 1_763_402_580_000;
const OPEN: Millis = 1_763_402_400_000;

fn decimal(text: &str) -> Decimal {
    Decimal::parse(text).expect("a number")
}

fn parse(timeframe: Timeframe, open_time: &str, numbers: [&str; 5]) -> Outcome<Candle> {
    Candle::parse(timeframe, open_time.as_bytes(), numbers.map(str::as_bytes), NOW)
}

fn entry<'e>(fields: &'e [(&str, &str)]) -> Vec<(&'e [u8], &'e [u8])> {
    fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect()
}

fn stored(candle: &Candle) -> Outcome<Candle> {
    let fields = candle.fields();
    let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
    Candle::read(StreamId { ms: candle.open_time.unsigned_abs(), seq: 3 }, &entry(&fields))
}

#[test]
fn what_a_caller_may_send() {
    #[track_caller]
    fn check(numbers: [&str; 5], expected: Result<[&str; 5], &str>) {
        let candle = parse(Timeframe::M1, "1763402400000", numbers).map_err(|refusal| refusal.to_string());
        let values = candle.map(|candle| candle.fields().map(|(_, text)| text));
        assert_eq!(values, expected.map(|values| values.map(str::to_owned)).map_err(str::to_owned), "{numbers:?}");
    }
    check(["2650.10", "2651", "2649.5", "2650", "12"], Ok(["2650.1", "2651", "2649.5", "2650", "12"]));
    check(["1", "1", "1", "1", "0"], Ok(["1", "1", "1", "1", "0"]));
    check(["-37.63", "-1e0", "-40.32", "-13.1", "0"], Ok(["-37.63", "-1", "-40.32", "-13.1", "0"]));
    check(["1", "2", "1.5", "2", "0"], Err("BADFIELD low must be at most the open 1, not 1.5"));
    check(["2", "2", "1.5", "1", "0"], Err("BADFIELD low must be at most the close 1, not 1.5"));
    check(["2", "1.5", "1", "1", "0"], Err("BADFIELD high must be at least the open 2, not 1.5"));
    check(["1", "1.5", "1", "2", "0"], Err("BADFIELD high must be at least the close 2, not 1.5"));
    check(["1", "2", "1", "2", "-1"], Err("BADFIELD volume must be 0 or more, not -1"));
    check(["NaN", "2", "1", "2", "1"], Err("BADFIELD open must be a number as JSON writes it, not 'NaN'"));
    check(["1", "inf", "1", "2", "1"], Err("BADFIELD high must be a number as JSON writes it, not 'inf'"));
    check(["1", "2", "", "2", "1"], Err("BADFIELD low must be a number as JSON writes it, not ''"));
    check(["1", "2", "1", "+2", "1"], Err("BADFIELD close must be a number as JSON writes it, not '+2'"));
    let range = "below 1e18, with at most 18 significant digits and 60 places after the point";
    check(["1", "2", "1", "2", "1e18"], Err(&format!("BADFIELD volume must be {range}, not '1e18'")));
    let refusal = Candle::parse(Timeframe::M1, b"1763402400000", [b"1", b"\xff\n", b"1", b"1", b"1"], NOW);
    assert_eq!(refusal.unwrap_err().text, r"high must be a number as JSON writes it, not '\xff\n'");
}

#[test]
fn when_a_bar_may_open() {
    #[track_caller]
    fn check(timeframe: Timeframe, open_time: &str, expected: Result<Millis, &str>) {
        let candle = parse(timeframe, open_time, ["1"; 5]).map_err(|refusal| refusal.to_string());
        assert_eq!(candle.map(|candle| candle.open_time), expected.map_err(str::to_owned), "{open_time}");
    }
    let unaligned = |timeframe: &str, given: &str, nearest: &str| {
        format!(
            "BADFIELD open_time must be when a bar of {timeframe} opens, counted in UTC from 1970; '{given}' is not, the \
             nearest is {nearest}"
        )
    };
    check(Timeframe::M1, "1763402400000", Ok(OPEN));
    check(Timeframe::M1, "2025-11-17T18:00:00Z", Ok(OPEN));
    check(Timeframe::M1, "1763402520000", Ok(NOW - 60_000));
    check(
        Timeframe::W1,
        "2025-11-17",
        Err("BADFIELD open_time must be Unix milliseconds or RFC 3339 up to the year 9999, not '2025-11-17'"),
    );
    check(Timeframe::M1, "1763402580000", Err(
        "BADFIELD open_time must be of a closed bar; that of 1763402580000 ends at 1763402640000, and at the latest \
         1763402580000 has passed",
    ));
    let before = unaligned("5m", "1763402400001", "1763402400000 (2025-11-17T18:00:00.000Z)");
    check(Timeframe::M5, "1763402400001", Err(&before));
    let half = unaligned("5m", "1763402550000", "1763402400000 (2025-11-17T18:00:00.000Z)");
    check(Timeframe::M5, "1763402550000", Err(&half));
    let after = unaligned("5m", "1763402550001", "1763402700000 (2025-11-17T18:05:00.000Z)");
    check(Timeframe::M5, "1763402550001", Err(&after));
    // The first week that opens within Unix time, and the open that no stream id can name.
    check(Timeframe::W1, "0", Err(&unaligned("1w", "0", "345600000 (1970-01-05T00:00:00.000Z)")));
    check(Timeframe::D1, "0", Err(&unaligned("1d", "0", "86400000 (1970-01-02T00:00:00.000Z)")));
    check(Timeframe::D1, "86400000", Ok(86_400_000));
    let last = unaligned("1d", "253402300799999", "253402214400000 (9999-12-31T00:00:00.000Z)");
    check(Timeframe::D1, "253402300799999", Err(&last));
}

#[test]
fn what_cannot_have_been_stored() {
    #[track_caller]
    fn check(id: StreamId, fields: &[(&str, &str)], expected: &str) {
        let refusal = Candle::read(id, &entry(fields)).unwrap_err();
        assert_eq!(refusal.to_string(), expected);
    }
    let id = StreamId { ms: 60_000, seq: 1 };
    let fields = [("open", "1"), ("high", "2"), ("low", "1"), ("close", "2"), ("volume", "0.5")];
    assert!(Candle::read(id, &entry(&fields)).is_ok());
    let with = |place: usize, value| {
        let mut fields = fields;
        fields[place].1 = value;
        fields
    };
    check(id, &fields[..4], "CORRUPT candle 60000-1: stored field volume must be a number, not nothing");
    check(id, &with(3, "x\n"), r"CORRUPT candle 60000-1: stored field close must be a number, not 'x\n'");
    check(id, &with(1, "1.5"), "CORRUPT candle 60000-1: stored field high must be at least the close 2, not 1.5");
    check(id, &with(4, "-1"), "CORRUPT candle 60000-1: stored field volume must be 0 or more, not -1");
    let late = StreamId { ms: time::MAX.unsigned_abs() + 1, seq: 0 };
    check(late, &fields, "CORRUPT candle 253402300800000-0: the id must begin with Unix milliseconds");
    check(
        StreamId::MAX,
        &fields,
        &format!("CORRUPT candle {}: the id must begin with Unix milliseconds", StreamId::MAX),
    );
}

#[test]
fn equal_numbers_are_equal_candles() {
    let candle = |open| parse(Timeframe::M1, "1763402400000", [open, "2651", "2649", "2650", "1"]).expect("a candle");
    assert_eq!(candle("2650.10"), candle("2650.1"));
    assert_eq!(candle("26501e-1"), candle("2650.1"));
    assert_ne!(candle("2650.1"), candle("2650.2"));
}

#[test]
fn a_message_in_full() {
    let candle = parse(Timeframe::M1, "1763402400000", ["2650.10", "1e3", "-0.000000001", "0.3", "100000000000000000"]);
    assert_eq!(candle.unwrap_err().text, "high must be at least the open 2650.1, not 1000");
    let candle = parse(Timeframe::M1, "1763402400000", ["2650.10", "3e3", "-0.000000001", "0.3", "100000000000000000"]);
    let mut content = Content {
        id: StreamId { ms: 1_763_402_400_000, seq: 0 },
        prev_id: StreamId { ms: 1_763_402_340_000, seq: 2 },
        change: Change::Closed,
        symbol: "BTC/USDT",
        timeframe: Timeframe::M1,
        candle: &candle.expect("a candle"),
        published_at: 1_763_402_460_250,
    };
    let closed = concat!(
        r#"{"id":"1763402400000-0","prev_id":"1763402340000-2","event_type":"candle.closed","symbol":"BTC/USDT","#,
        r#""timeframe":"1m","timestamp":"2025-11-17T18:01:00.000Z","published_at":"2025-11-17T18:01:00.250Z","#,
        r#""data":{"open_time":1763402400000,"open":2650.1,"high":3000,"low":-0.000000001,"close":0.3,"#,
        r#""volume":100000000000000000}}"#
    );
    assert_eq!(content.to_json(), closed);
    assert!(serde_json::from_str::<serde_json::Value>(closed).is_ok());
    content.change = Change::Corrected;
    assert_eq!(content.to_json(), closed.replace("candle.closed", "candle.corrected"));
}

/// A number as callers may send it.
fn number() -> impl Strategy<Value = Decimal> {
    (-999_999_999_999_999_999_i64..=999_999_999_999_999_999, 0..=60_u32)
        .prop_map(|(digits, places)| decimal(&format!("{digits}e-{places}")))
}

prop_compose! {
    fn candle()(minutes in 1..=time::MAX / 60_000, mut prices in [number(), number(), number(), number()], volume in number())
        -> Candle {
        prices.sort();
        let [low, open, close, high] = prices;
        let volume = if volume.is_negative() { volume.negated() } else { volume };
        Candle::new(minutes * 60_000, [open, high, low, close, volume]).expect("a candle")
    }
}

proptest! {
    #[test]
    fn what_is_stored_reads_back(candle in candle()) {
        prop_assert_eq!(stored(&candle), Ok(candle));
        let numbers = candle.fields().map(|(_, text)| text);
        let numbers = numbers.each_ref().map(String::as_bytes);
        let open_time = candle.open_time.to_string();
        prop_assert_eq!(Candle::parse(Timeframe::M1, open_time.as_bytes(), numbers, time::MAX), Ok(candle));
    }

    #[test]
    fn the_doubles_are_the_nearest(digits in -999_999_999_999_999_999_i64..=999_999_999_999_999_999, places in 0..=22_u32) {
        let number = decimal(&format!("{digits}e-{places}"));
        let candle = Candle { open_time: OPEN, open: number, high: number, low: number, close: number, volume: number };
        let bar = candle.bar();
        prop_assert!([bar.high, bar.low, bar.close, bar.volume] == [bar.open; 4] && bar.open.is_finite());
        let off = |double: f64| distance(double, digits, places);
        // Of 0 the one below is a NaN, which is taken for a number beyond all others.
        let bits = bar.open.to_bits();
        for neighbour in [bits.wrapping_add(1), bits.wrapping_sub(1)].map(f64::from_bits) {
            prop_assert!(off(bar.open) <= off(neighbour));
        }
    }

    #[test]
    fn nothing_panics(
        place in 0..Timeframe::ALL.len(),
        open_time in "[0-9]{0,16}|.{0,30}",
        numbers in prop::array::uniform5("-?[0-9]{0,20}(\\.[0-9]{0,70})?(e-?[0-9]{1,20})?|.{0,9}"),
        seq: u64,
        ms in 0..=2 * time::MAX.unsigned_abs(),
    ) {
        let timeframe = Timeframe::ALL[place];
        let texts = numbers.each_ref().map(String::as_bytes);
        let _ = Candle::parse(timeframe, open_time.as_bytes(), texts, time::MAX);
        let fields: Vec<_> = FIELDS.iter().map(|name| name.as_bytes()).zip(texts).collect();
        if let Ok(candle) = Candle::read(StreamId { ms, seq }, &fields) {
            candle.bar();
        }
    }
}

/// How far a double is from `digits * 10^-places`, in units that are the same for both its neighbours: exact.
fn distance(double: f64, digits: i64, places: u32) -> num_bigint::BigUint {
    use num_bigint::BigInt;
    const FINEST: u32 = 1_200;
    let bits = double.to_bits();
    let (exponent, fraction) = ((bits >> 52) & 0x7ff, bits & ((1 << 52) - 1));
    let (mantissa, power) = match exponent {
        0 => (fraction, -1_074),
        _ => (fraction | 1 << 52, exponent as i64 - 1_075),
    };
    let scaled = BigInt::from(mantissa) << (i64::from(FINEST) + power) as u32;
    let scaled = if double.is_sign_negative() { -scaled } else { scaled };
    let ten = BigInt::from(10).pow(places);
    (scaled * ten - (BigInt::from(digits) << FINEST)).magnitude().clone()
}
