//! Closed candles: what a caller says one is, what is stored of it, and what subscribers hear.

use crate::decimal::{Decimal, DecimalError};
use crate::event::parse_time;
use crate::indicators::Bar;
use crate::message::{push_ids, push_times};
use crate::refusal::{quoted, Code, Outcome};
use crate::store::Entry;
use crate::stream_id::StreamId;
use crate::time::{self, Millis};
use crate::timeframe::Timeframe;

/// The fields of a stored candle, in the order in which commands take the numbers.
pub const FIELDS: [&str; 5] = ["open", "high", "low", "close", "volume"];

/// A bar of a market. Equality is of the content: `2650.10` is `2650.1`.
///
/// Prices may be below 0, as those of spreads are and that of oil was in 2020.
// Invariant: `low <= open, close <= high`, and the volume is not below 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candle {
    /// When it opened.
    pub open_time: Millis,
    /// The first price.
    pub open: Decimal,
    /// The highest price.
    pub high: Decimal,
    /// The lowest price.
    pub low: Decimal,
    /// The last price.
    pub close: Decimal,
    /// The volume traded.
    pub volume: Decimal,
}

impl Candle {
    /// Takes a candle as a caller wrote it: `numbers` in the order of [`FIELDS`].
    ///
    /// # Errors
    /// BADFIELD, naming the argument: no number, prices that cannot be of one bar, a volume below 0, an `open_time` at
    /// which no bar of the timeframe opens, or one whose bar ends after `latest_end`.
    pub fn parse(timeframe: Timeframe, open_time: &[u8], numbers: [&[u8]; 5], latest_end: Millis) -> Outcome<Candle> {
        let open_time = parse_open_time(timeframe, open_time, latest_end)?;
        let mut values = [Decimal::ZERO; 5];
        for ((value, name), text) in values.iter_mut().zip(FIELDS).zip(numbers) {
            *value = parse_number(name, text)?;
        }
        Candle::new(open_time, values).map_err(|fault| Code::BadField.because(fault))
    }

    /// Reads a candle back from its entry.
    ///
    /// # Errors
    /// CORRUPT, naming the entry and the field.
    pub fn read(id: StreamId, entry: &Entry<'_>) -> Outcome<Candle> {
        let corrupt = |fault: &str| Code::Corrupt.because(format!("candle {id}: {fault}"));
        let open_time = Millis::try_from(id.ms).ok().filter(|&open_time| open_time <= time::MAX);
        let open_time = open_time.ok_or_else(|| corrupt("the id must begin with Unix milliseconds"))?;
        let mut values = [Decimal::ZERO; 5];
        for (value, name) in values.iter_mut().zip(FIELDS) {
            let stored = entry.iter().find(|(field, _)| *field == name.as_bytes()).map(|&(_, stored)| stored);
            *value = stored.and_then(Decimal::from_stored).ok_or_else(|| {
                let found = stored.map_or(String::from("nothing"), quoted);
                corrupt(&format!("stored field {name} must be a number, not {found}"))
            })?;
        }
        Candle::new(open_time, values).map_err(|fault| corrupt(&format!("stored field {fault}")))
    }

    /// A candle with `values` in the order of [`FIELDS`], or what is wrong with which of them.
    pub(crate) fn new(open_time: Millis, values: [Decimal; 5]) -> Result<Candle, String> {
        let [open, high, low, close, volume] = values;
        for (name, price) in [("open", open), ("close", close)] {
            if low > price {
                return Err(format!("low must be at most the {name} {price}, not {low}"));
            }
            if high < price {
                return Err(format!("high must be at least the {name} {price}, not {high}"));
            }
        }
        if volume.is_negative() {
            return Err(format!("volume must be 0 or more, not {volume}"));
        }
        Ok(Candle { open_time, open, high, low, close, volume })
    }

    /// What is stored, beside `open_time`, which is in the entry's id.
    pub fn fields(&self) -> [(&'static str, String); 5] {
        let values = self.values();
        std::array::from_fn(|place| {
            let mut text = String::with_capacity(24);
            values[place].push_to(&mut text);
            (FIELDS[place], text)
        })
    }

    /// The numbers, in the order of [`FIELDS`].
    pub(crate) fn values(&self) -> [Decimal; 5] {
        [self.open, self.high, self.low, self.close, self.volume]
    }

    /// The doubles nearest to the numbers. All are finite: the largest decimal is far below the largest double.
    pub fn bar(&self) -> Bar {
        let mut text = String::with_capacity(24);
        // Through the text, which is rounded once; a mantissa, made a double and divided by a power of ten, would be
        // rounded at each step.
        let [open, high, low, close, volume] = self.values().map(|value| {
            text.clear();
            value.push_to(&mut text);
            // Plain digits are always a number to Rust.
            text.parse().unwrap_or(f64::NAN)
        });
        Bar { open, high, low, close, volume }
    }
}

/// Takes a number that `what` names as a caller wrote it.
///
/// # Errors
/// BADFIELD.
pub(crate) fn parse_number(what: &str, text: &[u8]) -> Outcome<Decimal> {
    // What is not UTF-8 is no number either.
    Decimal::parse(std::str::from_utf8(text).unwrap_or_default()).map_err(|error| {
        let rule = match error {
            DecimalError::Syntax => "a number as JSON writes it",
            DecimalError::Range => "below 1e18, with at most 18 significant digits and 60 places after the point",
        };
        Code::BadField.because(format!("{what} must be {rule}, not {}", quoted(text)))
    })
}

/// Takes the open of a bar as a caller wrote it.
fn parse_open_time(timeframe: Timeframe, text: &[u8], latest_end: Millis) -> Outcome<Millis> {
    const WHAT: &str = "open_time";
    let at = parse_time(WHAT, text)?;
    // The id `0-0`, of a bar that opened when Unix time began, is none that a stream can have.
    if !timeframe.is_open(at) || at == 0 {
        let (before, after) = (timeframe.open_of(at), timeframe.end_of(timeframe.open_of(at)));
        let nearest = if before <= 0 || (after - at < at - before && after <= time::MAX) { after } else { before };
        let mut nearest_text = String::new();
        time::push_rfc3339(nearest, &mut nearest_text);
        return Err(Code::BadField.because(format!(
            "{WHAT} must be when a bar of {} opens, counted in UTC from 1970; {} is not, the nearest is {nearest} \
             ({nearest_text})",
            timeframe.as_str(),
            quoted(text)
        )));
    }
    // Venues end a list of candles with the one that is not closed yet. Taken for closed, it would be corrected when it
    // is, and a correction triggers nothing.
    let end = timeframe.end_of(at);
    if end > latest_end {
        return Err(Code::BadField.because(format!(
            "{WHAT} must be of a closed bar; that of {at} ends at {end}, and at the latest {latest_end} has passed"
        )));
    }
    Ok(at)
}

/// What happened to a candle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Closed,
    /// It is told again, with other numbers.
    Corrected,
}

impl Change {
    /// The type of the event in messages.
    pub const fn event_type(self) -> &'static str {
        match self {
            Change::Closed => "candle.closed",
            Change::Corrected => "candle.corrected",
        }
    }
}

/// What the message of a candle says.
#[derive(Clone, Copy, Debug)]
pub struct Content<'c> {
    /// The id of its entry.
    pub id: StreamId,
    /// The id of the candle before it: who sees a gap reads on from the stream.
    pub prev_id: StreamId,
    /// What happened.
    pub change: Change,
    /// Of what symbol: no byte of the name needs escaping.
    pub symbol: &'c str,
    /// Of what timeframe.
    pub timeframe: Timeframe,
    /// The candle.
    pub candle: &'c Candle,
    /// When it was published.
    pub published_at: Millis,
}

impl Content<'_> {
    /// The JSON text. Numbers are exact; `timestamp` is when the bar ended.
    pub fn to_json(&self) -> String {
        let mut out = String::with_capacity(384);
        push_ids(self.id, self.prev_id, &mut out);
        for (lead, text) in [
            (r#"","event_type":""#, self.change.event_type()),
            (r#"","symbol":""#, self.symbol),
            (r#"","timeframe":""#, self.timeframe.as_str()),
        ] {
            out.push_str(lead);
            out.push_str(text);
        }
        push_times(self.timeframe.end_of(self.candle.open_time), self.published_at, &mut out);
        out.push_str(r#"","data":{"open_time":"#);
        out.push_str(itoa::Buffer::new().format(self.candle.open_time));
        for (name, value) in FIELDS.into_iter().zip(self.candle.values()) {
            out.push_str(",\"");
            out.push_str(name);
            out.push_str("\":");
            value.push_to(&mut out);
        }
        out.push_str("}}");
        out
    }
}

#[cfg(test)]
mod tests;
