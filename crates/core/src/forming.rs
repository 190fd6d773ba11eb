//! Bars that are not closed yet: what ticks have built of them, and what else a timeframe can be fed by.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::candle::{parse_number, Candle};
use crate::decimal::Decimal;
use crate::event::parse_time;
use crate::money;
use crate::refusal::{Code, Outcome};
use crate::time::{self, Millis};
use crate::timeframe::Timeframe;

/// The most digits of a tick's volume behind the point. With as many before it, and a sum of many, there is room to spare.
const VOLUME_PLACES_MAX: u16 = 18;

/// One trade, or one quote if its volume is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// At what price.
    pub price: Decimal,
    /// How much; not below 0.
    pub volume: Decimal,
    /// When; in a bar of every timeframe that opened after Unix time began.
    pub at: Millis,
}

impl Tick {
    /// Takes a tick as a caller wrote it; one without a time is of `now`.
    ///
    /// # Errors
    /// BADFIELD: no number, a volume below 0, no time, or one in the first days of 1970.
    pub fn parse(price: &[u8], volume: &[u8], at: Option<&[u8]>, now: Millis) -> Outcome<Tick> {
        let price = parse_number("price", price)?;
        let volume = parse_number("volume", volume)?;
        if volume.is_negative() {
            return Err(Code::BadField.because(format!("volume must be 0 or more, not {volume}")));
        }
        // A sum of volumes is exact or refused, and one absurd tick must not have all that follow refused.
        if volume.places() > VOLUME_PLACES_MAX {
            return Err(Code::BadField.because(format!(
                "volume must have at most {VOLUME_PLACES_MAX} digits after the point, not {}",
                volume.places()
            )));
        }
        let at = at.map_or(Ok(now), |text| parse_time("TIMESTAMP", text))?;
        // The week is the longest bar and the last to open; an open at 0 could not be stored, see `Candle::parse`.
        if Timeframe::W1.open_of(at) <= 0 {
            return Err(
                Code::BadField.because(format!("TIMESTAMP must be a time of a market, not {at} ms after 1970 began"))
            );
        }
        Ok(Tick { price, volume, at })
    }
}

/// The bar that ticks are building. In which order the ticks of a bar arrive makes no difference to it, except between
/// ticks of the same millisecond.
// Invariant: that of the candle; `open_time` is an open of the timeframe, above 0; `open_time <= first_at <= last_at`,
// which is before the bar's end; there is a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forming {
    timeframe: Timeframe,
    candle: Candle,
    ticks: u64,
    first_at: Millis,
    last_at: Millis,
}

impl Forming {
    /// The bar that a tick is the first to arrive of.
    pub fn begin(timeframe: Timeframe, tick: &Tick) -> Forming {
        let Tick { price, volume, at } = *tick;
        let open_time = timeframe.open_of(at);
        let candle = Candle { open_time, open: price, high: price, low: price, close: price, volume };
        Forming { timeframe, candle, ticks: 1, first_at: at, last_at: at }
    }

    /// Where the bar of the moment `at` is: before this one, this one, or behind it.
    pub fn bar_of(&self, at: Millis) -> Ordering {
        self.timeframe.open_of(at).cmp(&self.candle.open_time)
    }

    /// Takes in a tick of this bar. The bar opens with the tick of the earliest time, of several with the first that
    /// arrived; it closes with the tick of the latest time, of several with the last that arrived.
    ///
    /// # Errors
    /// BADFIELD, with the bar as it was: the tick is of another bar ([`Forming::bar_of`]), or the volume's sum would
    /// not be exact.
    pub fn take(&mut self, tick: &Tick) -> Outcome<()> {
        let Tick { price, volume, at } = *tick;
        if self.bar_of(at).is_ne() {
            return Err(Code::BadField.because(format!(
                "a tick of {at} is not of the {} bar that opened at {}",
                self.timeframe.as_str(),
                self.candle.open_time
            )));
        }
        let candle = &mut self.candle;
        candle.volume = money::add(candle.volume, volume)?;
        candle.high = candle.high.max(price);
        candle.low = candle.low.min(price);
        if at < self.first_at {
            (candle.open, self.first_at) = (price, at);
        }
        if at >= self.last_at {
            (candle.close, self.last_at) = (price, at);
        }
        self.ticks = self.ticks.saturating_add(1);
        Ok(())
    }

    /// When it ends: the open of the bar behind it.
    pub fn end(&self) -> Millis {
        self.timeframe.end_of(self.candle.open_time)
    }

    /// The closed bar.
    pub fn into_candle(self) -> Candle {
        self.candle
    }

    /// What is stored: `<open_time> <open> <high> <low> <close> <volume> <ticks> <first_at> <last_at>`.
    pub fn to_text(&self) -> String {
        let mut text = String::with_capacity(128);
        let mut buffer = itoa::Buffer::new();
        text.push_str(buffer.format(self.candle.open_time));
        for value in self.candle.values() {
            text.push(' ');
            value.push_to(&mut text);
        }
        text.push(' ');
        text.push_str(buffer.format(self.ticks));
        for at in [self.first_at, self.last_at] {
            text.push(' ');
            text.push_str(buffer.format(at));
        }
        text
    }

    /// Reads what [`Forming::to_text`] wrote of a bar of this timeframe; `None` for anything else.
    pub fn parse(timeframe: Timeframe, text: &[u8]) -> Option<Forming> {
        let mut words = std::str::from_utf8(text).ok()?.split(' ');
        let open_time = time_of(words.next()?)?;
        let mut values = [Decimal::ZERO; 5];
        for value in &mut values {
            *value = Decimal::from_stored(words.next()?.as_bytes())?;
        }
        let candle = Candle::new(open_time, values).ok()?;
        let ticks = whole(words.next()?)?;
        let (first_at, last_at) = (time_of(words.next()?)?, time_of(words.next()?)?);
        let is_sound = words.next().is_none()
            && open_time > 0
            && timeframe.is_open(open_time)
            && ticks > 0
            && (open_time..=last_at).contains(&first_at)
            && last_at < timeframe.end_of(open_time);
        is_sound.then_some(Forming { timeframe, candle, ticks, first_at, last_at })
    }
}

/// A time that `time` can write: far from where adding a bar's length would overflow.
fn time_of(word: &str) -> Option<Millis> {
    Millis::try_from(whole(word)?).ok().filter(|&at| at <= time::MAX)
}

/// A number without a sign, which `u64`'s own parsing would take.
fn whole(word: &str) -> Option<u64> {
    word.bytes().all(|byte| byte.is_ascii_digit()).then(|| word.parse().ok())?
}

/// What a timeframe is fed by: a field of `market:{S}:forming`.
// Read and written on every tick, and a bar is what it nearly always is: an allocation would cost more than the space.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feed {
    /// By ticks, none of which has arrived yet.
    Ticks,
    /// By candles of the caller's: no bar is built.
    Candles,
    /// By ticks, which are building this bar.
    Bar(Forming),
}

impl Feed {
    const TICKS: &'static str = "ticks";
    const CANDLES: &'static str = "candles";

    /// What is stored.
    pub fn to_text(&self) -> Cow<'static, str> {
        match self {
            Feed::Ticks => Cow::Borrowed(Feed::TICKS),
            Feed::Candles => Cow::Borrowed(Feed::CANDLES),
            Feed::Bar(forming) => Cow::Owned(forming.to_text()),
        }
    }

    /// Reads what [`Feed::to_text`] wrote for this timeframe; `None` for anything else.
    pub fn parse(timeframe: Timeframe, text: &[u8]) -> Option<Feed> {
        if text == Feed::TICKS.as_bytes() {
            return Some(Feed::Ticks);
        }
        if text == Feed::CANDLES.as_bytes() {
            return Some(Feed::Candles);
        }
        Forming::parse(timeframe, text).map(Feed::Bar)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_bigint::BigUint;
    use proptest::prelude::*;

    const OPEN: Millis = 1_763_402_400_000;

    fn tick(price: &str, volume: &str, at: Millis) -> Tick {
        Tick::parse(price.as_bytes(), volume.as_bytes(), Some(at.to_string().as_bytes()), 0).expect("a tick")
    }

    fn built(ticks: &[Tick]) -> Forming {
        let mut forming = Forming::begin(Timeframe::M1, &ticks[0]);
        for tick in &ticks[1..] {
            forming.take(tick).expect("a tick of the bar");
        }
        forming
    }

    #[test]
    fn what_a_tick_may_be() {
        #[track_caller]
        fn check(price: &str, volume: &str, at: Option<&str>, expected: Result<(&str, &str, Millis), &str>) {
            let tick = Tick::parse(price.as_bytes(), volume.as_bytes(), at.map(str::as_bytes), OPEN);
            let tick = tick.map(|tick| (tick.price.to_string(), tick.volume.to_string(), tick.at));
            let expected = expected.map(|(price, volume, at)| (price.to_owned(), volume.to_owned(), at));
            assert_eq!(
                tick.map_err(|refusal| refusal.to_string()),
                expected.map_err(str::to_owned),
                "{price} {volume}"
            );
        }
        check("2650.10", "0.5", None, Ok(("2650.1", "0.5", OPEN)));
        check("-1", "0", Some("2025-11-17T18:00:01Z"), Ok(("-1", "0", OPEN + 1_000)));
        check("1e-30", "1e-18", None, Ok(("0.000000000000000000000000000001", "0.000000000000000001", OPEN)));
        check("1", "1e-19", None, Err("BADFIELD volume must have at most 18 digits after the point, not 19"));
        check("x", "1", None, Err("BADFIELD price must be a number as JSON writes it, not 'x'"));
        check("1", "NaN", None, Err("BADFIELD volume must be a number as JSON writes it, not 'NaN'"));
        check("1", "-0.1", None, Err("BADFIELD volume must be 0 or more, not -0.1"));
        check(
            "1",
            "1",
            Some("soon"),
            Err("BADFIELD TIMESTAMP must be Unix milliseconds or RFC 3339 up to the year 9999, not 'soon'"),
        );
        check("1", "1", Some("345600000"), Ok(("1", "1", 345_600_000)));
        check(
            "1",
            "1",
            Some("345599999"),
            Err("BADFIELD TIMESTAMP must be a time of a market, not 345599999 ms after 1970 began"),
        );
    }

    #[test]
    fn a_bar_is_built() {
        let mut forming = Forming::begin(Timeframe::M1, &tick("10", "1", OPEN + 20_000));
        assert_eq!(forming.to_text(), "1763402400000 10 10 10 10 1 1 1763402420000 1763402420000");
        for (price, volume, at, expected) in [
            ("12", "0.1", 30_000, "10 12 10 12 1.1 2 1763402420000 1763402430000"),
            ("9", "0.2", 25_000, "10 12 9 12 1.3 3 1763402420000 1763402430000"),
            // Before the first, and at the same times as the first and the last.
            ("11", "0", 0, "11 12 9 12 1.3 4 1763402400000 1763402430000"),
            ("11.5", "0", 0, "11 12 9 12 1.3 5 1763402400000 1763402430000"),
            ("11.6", "0", 30_000, "11 12 9 11.6 1.3 6 1763402400000 1763402430000"),
            ("-1", "1", 59_999, "11 12 -1 -1 2.3 7 1763402400000 1763402459999"),
        ] {
            forming.take(&tick(price, volume, OPEN + at)).expect("a tick of the bar");
            assert_eq!(forming.to_text(), format!("1763402400000 {expected}"));
        }
        assert_eq!(forming.end(), OPEN + 60_000);
        let fields = forming.into_candle().fields().map(|(_, text)| text);
        assert_eq!(fields, ["11", "12", "-1", "-1", "2.3"]);
    }

    #[test]
    fn what_a_bar_refuses_leaves_it_as_it_was() {
        let mut forming = Forming::begin(Timeframe::M1, &tick("10", "100000000000000000", OPEN));
        let before = forming;
        for (at, place) in [(OPEN - 1, Ordering::Less), (OPEN + 60_000, Ordering::Greater)] {
            assert_eq!(forming.bar_of(at), place);
            let refusal = forming.take(&tick("10", "1", at)).unwrap_err().to_string();
            let told = format!("BADFIELD a tick of {at} is not of the 1m bar that opened at 1763402400000");
            assert_eq!(refusal, told);
        }
        assert_eq!(forming.bar_of(OPEN + 59_999), Ordering::Equal);
        let too_small = Tick { volume: Decimal::parse("1e-60").expect("a number"), ..tick("11", "1", OPEN + 1) };
        let refusal = forming.take(&too_small).unwrap_err();
        assert!(refusal.code == Code::BadField && refusal.text.contains("would not be exact"), "{refusal}");
        assert_eq!(forming, before);
    }

    #[test]
    fn what_is_stored() {
        #[track_caller]
        fn check(text: &str, is_known: bool) {
            let feed = Feed::parse(Timeframe::M1, text.as_bytes());
            assert_eq!(feed.map(|feed| feed.to_text().into_owned()).as_deref(), is_known.then_some(text), "{text}");
        }
        check("ticks", true);
        check("candles", true);
        check("1763402400000 10 12 9 11 1.5 3 1763402400000 1763402459999", true);
        check("1763402400000 10 12 9 11 1.5 1 1763402400001 1763402400001", true);
        for bad in [
            "",
            "Ticks",
            "ticks ",
            "1763402400000 10 12 9 11 1.5 3 1763402400000",
            "1763402400000 10 12 9 11 1.5 3 1763402400000 1763402459999 ",
            "1763402400000 10 12 9 11 1.5 3 1763402400000 1763402459999 1",
            "1763402400000  10 12 9 11 1.5 3 1763402400000 1763402459999",
            // No open of a minute, of no time, of 0.
            "1763402400001 10 12 9 11 1.5 3 1763402400001 1763402459999",
            "9223372036854720000 10 12 9 11 1.5 3 9223372036854720000 9223372036854720000",
            "0 10 12 9 11 1.5 3 0 0",
            // Prices of no bar, a volume of none, no number.
            "1763402400000 10 8 9 9 1.5 3 1763402400000 1763402459999",
            "1763402400000 10 12 11 12 1.5 3 1763402400000 1763402459999",
            "1763402400000 10 12 9 11 -1 3 1763402400000 1763402459999",
            "1763402400000 10 x 9 11 1 3 1763402400000 1763402459999",
            // No ticks; a sign; times outside of the bar or in the wrong order.
            "1763402400000 10 12 9 11 1.5 0 1763402400000 1763402459999",
            "1763402400000 10 12 9 11 1.5 +3 1763402400000 1763402459999",
            "1763402400000 10 12 9 11 1.5 3 1763402399999 1763402459999",
            "1763402400000 10 12 9 11 1.5 3 1763402400000 1763402460000",
            "1763402400000 10 12 9 11 1.5 3 1763402400002 1763402400001",
        ] {
            check(bad, false);
        }
        assert!(Feed::parse(Timeframe::M1, b"ticks\xff").is_none());
    }

    /// The ticks of one minute, at different times, in their order and in another.
    fn shuffled() -> impl Strategy<Value = (Vec<Tick>, Vec<Tick>)> {
        let ticks = prop::collection::btree_map(0..60_000_i64, (-500..500_i32, 0..=999_999_u64, 0..=18_u32), 1..20);
        ticks.prop_flat_map(|ticks| {
            let sorted: Vec<_> = ticks
                .into_iter()
                .map(|(at, (price, volume, places))| {
                    tick(&format!("{price}e-2"), &format!("{volume}e-{places}"), OPEN + at)
                })
                .collect();
            (Just(sorted.clone()), Just(sorted).prop_shuffle())
        })
    }

    proptest! {
        #[test]
        fn the_order_of_arrival_makes_no_difference((sorted, arriving) in shuffled()) {
            let forming = built(&arriving);
            prop_assert_eq!(forming, built(&sorted));
            let candle = forming.into_candle();
            prop_assert_eq!((candle.open, candle.close), (sorted[0].price, sorted[sorted.len() - 1].price));
            prop_assert_eq!(Some(candle.high), sorted.iter().map(|tick| tick.price).max());
            prop_assert_eq!(Some(candle.low), sorted.iter().map(|tick| tick.price).min());
            prop_assert_eq!(forming.ticks, sorted.len() as u64);
        }

        #[test]
        fn the_volume_is_the_exact_sum(volumes in prop::collection::vec((0..=u64::from(u32::MAX), 0..=18_u32), 1..20)) {
            let ticks: Vec<_> =
                volumes.iter().map(|(digits, places)| tick("1", &format!("{digits}e-{places}"), OPEN)).collect();
            let sum: BigUint = volumes.iter().map(|&(digits, places)| BigUint::from(digits) * BigUint::from(10_u32).pow(18 - places)).sum();
            let text = format!("{sum}e-18");
            prop_assert_eq!(Some(built(&ticks).into_candle().volume), Decimal::from_stored(text.as_bytes()));
        }

        #[test]
        fn what_is_stored_reads_back((_, arriving) in shuffled(), place in 0..Timeframe::ALL.len()) {
            let timeframe = Timeframe::ALL[place];
            let mut forming = Forming::begin(timeframe, &arriving[0]);
            for tick in &arriving[1..] {
                prop_assert_eq!(forming.bar_of(tick.at).is_eq(), forming.take(tick).is_ok());
            }
            prop_assert_eq!(Forming::parse(timeframe, forming.to_text().as_bytes()), Some(forming));
            prop_assert_eq!(Feed::parse(timeframe, forming.to_text().as_bytes()), Some(Feed::Bar(forming)));
        }

        #[test]
        fn nothing_panics(place in 0..Timeframe::ALL.len(), text in "([0-9]{1,19} ?){0,10}|.{0,60}", mut bytes: Vec<u8>) {
            let timeframe = Timeframe::ALL[place];
            bytes.extend_from_slice(text.as_bytes());
            for text in [text.as_bytes(), &bytes] {
                if let Some(forming) = Forming::parse(timeframe, text) {
                    forming.into_candle();
                }
                let _ = Tick::parse(text, text, Some(text), 0);
            }
        }
    }
}
