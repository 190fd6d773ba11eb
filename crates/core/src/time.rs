//! Event times: Unix milliseconds inside, RFC 3339 in UTC outside.

use chrono::{DateTime, Datelike, NaiveDateTime, Timelike};

/// Unix milliseconds, from 1970 to the end of the year 9999.
pub type Millis = i64;

/// The last millisecond that RFC 3339 can write.
pub const MAX: Millis = 253_402_300_799_999;

/// Parses Unix milliseconds, RFC 3339, or a date and time without a zone, which is UTC.
pub fn parse(text: &str) -> Option<Millis> {
    let millis = if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        text.parse().ok()?
    } else if let Ok(zoned) = DateTime::parse_from_rfc3339(text) {
        zoned.timestamp_millis()
    } else {
        let naive = |format| NaiveDateTime::parse_from_str(text, format).ok();
        let naive = naive("%Y-%m-%dT%H:%M:%S%.f").or_else(|| naive("%Y-%m-%d %H:%M:%S%.f"))?;
        naive.and_utc().timestamp_millis()
    };
    (0..=MAX).contains(&millis).then_some(millis)
}

/// A time as text: `2025-11-17T18:00:00.000Z`.
#[derive(Clone, Copy, Debug)]
pub struct Rfc3339([u8; 24]);

impl Rfc3339 {
    /// Of a time, the nearest that can be written if it is before 1970 or after [`MAX`]. Written digit by digit: chrono's formatter costs more than all else in a message.
    pub fn of(millis: Millis) -> Rfc3339 {
        let mut text = *b"0000-00-00T00:00:00.000Z";
        let mut put = |at: usize, digits: usize, mut number: u32| {
            for place in (at..at + digits).rev() {
                text[place] = b'0' + (number % 10) as u8;
                number /= 10;
            }
        };
        let time = DateTime::from_timestamp_millis(millis.clamp(0, MAX)).unwrap_or_default();
        put(0, 4, time.year().unsigned_abs());
        put(5, 2, time.month());
        put(8, 2, time.day());
        put(11, 2, time.hour());
        put(14, 2, time.minute());
        put(17, 2, time.second());
        put(20, 3, time.timestamp_subsec_millis());
        Rfc3339(text)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        // Digits and punctuation only, so it is always UTF-8.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Appends a time as [`Rfc3339`].
pub fn push_rfc3339(millis: Millis, out: &mut String) {
    out.push_str(Rfc3339::of(millis).as_str());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn forms_of_a_time() {
        #[track_caller]
        fn check(text: &str, expected: Option<Millis>) {
            assert_eq!(parse(text), expected, "{text}");
        }
        check("1763402400000", Some(1_763_402_400_000));
        check("2025-11-17T18:00:00Z", Some(1_763_402_400_000));
        check("2025-11-17T18:00:00", Some(1_763_402_400_000));
        check("2025-11-17 18:00:00.25", Some(1_763_402_400_250));
        check("2025-11-17T18:00:00.123456", Some(1_763_402_400_123));
        check("2025-11-17T19:00:00+01:00", Some(1_763_402_400_000));
        check("0", Some(0));
        check("253402300799999", Some(MAX));
        check("253402300800000", None);
        check("99999999999999999999999", None);
        check("1969-12-31T23:59:59Z", None);
        check("-1", None);
        check("1.5", None);
        check("", None);
        check("yesterday", None);
        check("2025-13-17T18:00:00Z", None);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(millis in 0..=MAX) {
            let mut text = String::new();
            push_rfc3339(millis, &mut text);
            prop_assert_eq!(parse(&text), Some(millis));
            prop_assert_eq!(DateTime::parse_from_rfc3339(&text).unwrap().timestamp_millis(), millis);
        }

        #[test]
        fn nothing_panics(text in ".{0,40}") {
            parse(&text);
        }
    }
}
