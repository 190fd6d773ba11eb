//! The timeframes of candles: one list, and which bar a moment belongs to.

use crate::refusal::{quoted, Code, Outcome};
use crate::time::Millis;

const SECOND: Millis = 1_000;
const MINUTE: Millis = 60 * SECOND;
const HOUR: Millis = 60 * MINUTE;
const DAY: Millis = 24 * HOUR;
const WEEK: Millis = 7 * DAY;

/// The first Monday of Unix time, from which weeks are counted: it began on a Thursday.
const FIRST_MONDAY: Millis = 4 * DAY;

macro_rules! timeframes {
    ($( $name:ident = $wire:literal, $length:expr; )*) => {
        /// The length of a bar. Bars are aligned to UTC.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Timeframe { $( #[doc = $wire] $name, )* }

        impl Timeframe {
            /// Every timeframe, the shortest first.
            pub const ALL: &'static [Timeframe] = &[ $( Timeframe::$name, )* ];

            /// The name in commands, keys and channels.
            pub const fn as_str(self) -> &'static str {
                match self { $( Timeframe::$name => $wire, )* }
            }

            /// The length, in ms.
            pub const fn length(self) -> Millis {
                match self { $( Timeframe::$name => $length, )* }
            }
        }
    };
}

timeframes! {
    S1 = "1s", SECOND;
    S5 = "5s", 5 * SECOND;
    S15 = "15s", 15 * SECOND;
    S30 = "30s", 30 * SECOND;
    M1 = "1m", MINUTE;
    M3 = "3m", 3 * MINUTE;
    M5 = "5m", 5 * MINUTE;
    M15 = "15m", 15 * MINUTE;
    M30 = "30m", 30 * MINUTE;
    H1 = "1h", HOUR;
    H2 = "2h", 2 * HOUR;
    H4 = "4h", 4 * HOUR;
    H6 = "6h", 6 * HOUR;
    H8 = "8h", 8 * HOUR;
    H12 = "12h", 12 * HOUR;
    D1 = "1d", DAY;
    W1 = "1w", WEEK;
}

impl Timeframe {
    /// Parses a name, in any case but for minutes: `1M` is a month to most venues, and taken for a minute nobody
    /// would notice.
    ///
    /// # Errors
    /// BADFIELD, naming all there are.
    pub fn parse(text: &[u8]) -> Outcome<Timeframe> {
        let is_it = |name: &str| name.as_bytes().eq_ignore_ascii_case(text) && !text.ends_with(b"M");
        let known = Timeframe::ALL.iter().find(|known| is_it(known.as_str()));
        known.copied().ok_or_else(|| {
            let names: Vec<_> = Timeframe::ALL.iter().map(|known| known.as_str()).collect();
            Code::BadField.because(format!("unknown timeframe {}, known are {}", quoted(text), names.join(" ")))
        })
    }

    /// When the bar opened that a moment belongs to.
    pub const fn open_of(self, at: Millis) -> Millis {
        let origin = match self {
            Timeframe::W1 => FIRST_MONDAY,
            _ => 0,
        };
        at - (at - origin).rem_euclid(self.length())
    }

    /// Whether a bar can open at this moment.
    pub const fn is_open(self, at: Millis) -> bool {
        self.open_of(at) == at
    }

    /// When the bar that opened at `open` ends: the open of the next one.
    pub const fn end_of(self, open: Millis) -> Millis {
        open + self.length()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time;
    use chrono::{DateTime, Datelike, Weekday};
    use proptest::prelude::*;

    #[test]
    fn names_read_back() {
        for &timeframe in Timeframe::ALL {
            assert_eq!(Timeframe::parse(timeframe.as_str().as_bytes()), Ok(timeframe));
            let upper = Timeframe::parse(timeframe.as_str().to_uppercase().as_bytes());
            assert_eq!(upper.is_ok(), !timeframe.as_str().ends_with('m'), "{}", timeframe.as_str());
            assert!(upper.is_err() || upper == Ok(timeframe));
        }
        assert!(Timeframe::ALL.is_sorted_by_key(|timeframe| timeframe.length()));
        for bad in ["", "2m", "1M", "1M1", "60s", "1", "m", "1w "] {
            let refusal = Timeframe::parse(bad.as_bytes()).unwrap_err();
            assert_eq!(refusal.code, Code::BadField, "{bad}");
            assert!(refusal.text.ends_with("known are 1s 5s 15s 30s 1m 3m 5m 15m 30m 1h 2h 4h 6h 8h 12h 1d 1w"));
        }
    }

    #[test]
    fn bars_open_where_a_chart_has_them() {
        let check = |timeframe: Timeframe, at: &str, open: &str| {
            let at = time::parse(at).expect("a time");
            assert_eq!(Some(timeframe.open_of(at)), time::parse(open), "{} {at}", timeframe.as_str());
        };
        check(Timeframe::S5, "2025-11-17T18:00:09.999Z", "2025-11-17T18:00:05Z");
        check(Timeframe::M15, "2025-11-17T18:14:59Z", "2025-11-17T18:00:00Z");
        check(Timeframe::H4, "2025-11-17T19:30:00Z", "2025-11-17T16:00:00Z");
        check(Timeframe::D1, "2025-11-17T23:59:59.999Z", "2025-11-17T00:00:00Z");
        // A Monday, the Sunday before it, and the first days of Unix time.
        check(Timeframe::W1, "2025-11-17T00:00:00Z", "2025-11-17T00:00:00Z");
        check(Timeframe::W1, "2025-11-16T23:59:59.999Z", "2025-11-10T00:00:00Z");
        assert_eq!(Timeframe::W1.open_of(0), FIRST_MONDAY - WEEK);
    }

    proptest! {
        #[test]
        fn every_moment_is_in_one_bar(place in 0..Timeframe::ALL.len(), at in 0..=time::MAX) {
            let timeframe = Timeframe::ALL[place];
            let open = timeframe.open_of(at);
            prop_assert!(open <= at && at < timeframe.end_of(open));
            prop_assert!(timeframe.is_open(open) && timeframe.is_open(timeframe.end_of(open)));
            prop_assert!(!timeframe.is_open(open + 1) && !timeframe.is_open(timeframe.end_of(open) - 1));
            if timeframe == Timeframe::W1 {
                let day = DateTime::from_timestamp_millis(open).expect("a time");
                prop_assert_eq!(day.weekday(), Weekday::Mon);
            }
        }
    }
}
