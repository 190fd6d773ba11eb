//! Reading numbers: JSON's grammar, within limits.

use ethnum::U256;

use super::{power_of_ten, Decimal, DecimalError, DIGITS_MAX, SCALE_MAX};

/// What may be read, by whom it was written.
struct Limits {
    /// The most significant digits, and the most digits before the point.
    digits: u16,
    /// The most places after the point.
    scale: u16,
}

/// 18 digits are an `i64`, and more than any venue quotes; 60 places are more than any token divides into.
const CALLER: Limits = Limits { digits: 18, scale: 60 };

/// All that arithmetic can hold.
const STORED: Limits = Limits { digits: DIGITS_MAX, scale: SCALE_MAX };

/// The most digits that always fit a `u64`.
const WORD_DIGITS: usize = 19;

impl Decimal {
    /// Parses what a caller sent: a number in JSON's grammar, nothing around it.
    ///
    /// Zeros that only pad, before or after, count for nothing: `1.50000000000000000000` has 2 digits,
    /// and `100000000000000000e-17` is 1.
    ///
    /// # Errors
    /// [`DecimalError::Syntax`] if the text is no such number; [`DecimalError::Range`] if `|x| >= 1e18`,
    /// or it has more than 18 significant digits, or more than 60 places after the point.
    pub fn parse(text: &str) -> Result<Decimal, DecimalError> {
        let literal = Literal::scan(text.as_bytes()).ok_or(DecimalError::Syntax)?;
        literal.value(&CALLER).ok_or(DecimalError::Range)
    }

    /// Parses what [`Decimal::push_to`] wrote, or anything that [`Decimal::parse`] accepts.
    ///
    /// `None` if it is not a number in JSON's grammar or this type cannot hold it.
    #[must_use]
    pub fn from_stored(text: &[u8]) -> Option<Decimal> {
        Literal::scan(text)?.value(&STORED)
    }
}

/// The parts of a well-formed number, not yet judged for size.
struct Literal<'a> {
    negative: bool,
    integer: &'a [u8],
    fraction: &'a [u8],
    /// Saturated: no text is long enough for its digits to bring such an exponent back into range.
    exponent: i64,
}

impl<'a> Literal<'a> {
    fn scan(text: &'a [u8]) -> Option<Literal<'a>> {
        let (negative, rest) = match text {
            [b'-', rest @ ..] => (true, rest),
            _ => (false, text),
        };
        let (integer, rest) = split_digits(rest);
        if matches!(integer, [] | [b'0', _, ..]) {
            return None;
        }
        let (fraction, rest) = match rest {
            [b'.', rest @ ..] => match split_digits(rest) {
                ([], _) => return None,
                parts => parts,
            },
            _ => rest.split_at(0),
        };
        let exponent = match rest {
            [] => 0,
            [b'e' | b'E', rest @ ..] => scan_exponent(rest)?,
            _ => return None,
        };
        Some(Literal { negative, integer, fraction, exponent })
    }

    fn value(&self, limits: &Limits) -> Option<Decimal> {
        // The padding goes first, by looking at bytes only: what stays is `digits * 10^power`, neither
        // beginning nor ending with 0. All limits are then known before any arithmetic is done, so that
        // neither a long text nor a wild exponent costs more than reading it.
        let fraction = trim_end_zeros(self.fraction);
        let mut power = self.exponent.saturating_sub(fraction.len() as i64);
        let (integer, fraction) = if fraction.is_empty() {
            let integer = trim_end_zeros(self.integer);
            power = power.saturating_add((self.integer.len() - integer.len()) as i64);
            (integer, fraction)
        } else if self.integer == b"0" {
            (&self.integer[..0], trim_start_zeros(fraction))
        } else {
            (self.integer, fraction)
        };
        let count = integer.len() + fraction.len();
        if count == 0 {
            return Some(Decimal::ZERO);
        }
        let digits_max = i64::from(limits.digits);
        if count > usize::from(limits.digits)
            || power.saturating_add(count as i64) > digits_max
            || power < -i64::from(limits.scale)
        {
            return None;
        }
        let mut magnitude = if count <= WORD_DIGITS {
            U256::from(fold(fold(0, integer), fraction))
        } else {
            fold_long(fold_long(U256::ZERO, integer), fraction)
        };
        if power > 0 {
            magnitude *= power_of_ten(power.unsigned_abs() as u16);
        }
        let mantissa = magnitude.as_i256();
        Some(Decimal {
            mantissa: if self.negative { -mantissa } else { mantissa },
            scale: power.min(0).unsigned_abs() as u16,
        })
    }
}

fn split_digits(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !byte.is_ascii_digit());
    text.split_at(end.unwrap_or(text.len()))
}

fn scan_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        _ => (false, text),
    };
    let (digits, []) = split_digits(digits) else {
        return None;
    };
    if digits.is_empty() {
        return None;
    }
    let magnitude =
        digits.iter().fold(0_i64, |sum, byte| sum.saturating_mul(10).saturating_add(i64::from(byte - b'0')));
    Some(if negative { -magnitude } else { magnitude })
}

fn trim_start_zeros(digits: &[u8]) -> &[u8] {
    let start = digits.iter().position(|&byte| byte != b'0');
    &digits[start.unwrap_or(digits.len())..]
}

fn trim_end_zeros(digits: &[u8]) -> &[u8] {
    let last = digits.iter().rposition(|&byte| byte != b'0');
    &digits[..last.map_or(0, |last| last + 1)]
}

/// Appends digits to a number. Callers know that the result has at most [`WORD_DIGITS`].
fn fold(start: u64, digits: &[u8]) -> u64 {
    let append = |sum, byte: &u8| sum * 10 + u64::from(byte - b'0');
    digits.iter().fold(start, append)
}

/// Appends digits to a number, a word at a time. Callers know that the result fits.
fn fold_long(start: U256, digits: &[u8]) -> U256 {
    digits
        .chunks(WORD_DIGITS)
        .fold(start, |sum, chunk| sum * power_of_ten(chunk.len() as u16) + U256::from(fold(0, chunk)))
}
