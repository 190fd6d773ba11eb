//! Exact decimal numbers: what prices, volumes and money are made of.
//!
//! A number is `mantissa * 10^-scale` in 256 bits, so that sums of products of what callers may send
//! (18 digits each) stay exact. Nothing is ever rounded except a quotient; what does not fit is `None`.
//! rust_decimal was rejected for that reason: its checked operations round silently at 96 bits.

mod arithmetic;
mod format;
mod parse;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::fmt;

use ethnum::{I256, U256};

/// The most digits a mantissa has. 256 bits would hold some numbers of 77, but a round limit is
/// symmetric (negation cannot overflow) and leaves arithmetic a spare digit before 2^255.
const DIGITS_MAX: u16 = 76;

/// The most digits after the point a number has. Products and quotients of accepted numbers
/// (at most 60 each) stay well below; it bounds the length of the printed text.
const SCALE_MAX: u16 = 255;

/// A decimal number `mantissa * 10^-scale`, exact. Equality and order are numeric: `1.0 == 1`.
///
/// It holds up to 76 digits, of which up to 255 places after the point.
// Invariant: the form is canonical, that is `scale == 0`, or the mantissa's last digit is not 0; and
// `|mantissa| < 10^DIGITS_MAX`, `scale <= SCALE_MAX`. Equal numbers are thus equal field by field,
// which is what lets equality and hash be derived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Decimal {
    mantissa: I256,
    scale: u16,
}

/// Why a text is no number of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecimalError {
    /// Not a number in JSON's grammar.
    Syntax,
    /// `|x| >= 1e18`, or more than 18 significant digits, or more than 60 places after the point.
    Range,
}

impl Decimal {
    /// 0.
    pub const ZERO: Decimal = Decimal { mantissa: I256::ZERO, scale: 0 };
    /// 1.
    pub const ONE: Decimal = Decimal { mantissa: I256::ONE, scale: 0 };

    /// How many digits it has after the point.
    pub fn places(self) -> u16 {
        self.scale
    }

    /// Whether it is 0.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.mantissa == I256::ZERO
    }

    /// Whether it is below 0.
    #[must_use]
    pub fn is_negative(self) -> bool {
        self.mantissa.is_negative()
    }

    /// Whether it is above 0.
    #[must_use]
    pub fn is_positive(self) -> bool {
        self.mantissa.is_positive()
    }

    /// The number with the other sign.
    #[must_use]
    pub fn negated(self) -> Decimal {
        Decimal { mantissa: -self.mantissa, scale: self.scale }
    }

    fn magnitude(self) -> U256 {
        self.mantissa.unsigned_abs()
    }

    /// `n` where `10^(n-1) <= |self| < 10^n`; of no meaning for 0.
    fn exponent(self) -> i32 {
        i32::from(digit_count(self.magnitude())) - i32::from(self.scale)
    }

    /// Both mantissas at the larger of the two scales, when both are so small that this cannot overflow.
    fn aligned_small(self, other: Decimal) -> Option<(i128, i128)> {
        let (a, b) = (small(self.mantissa)?, small(other.mantissa)?);
        let shift = usize::from(self.scale.abs_diff(other.scale));
        let factor = i128::from(*SMALL_POWERS_OF_TEN.get(shift)?);
        Some(if self.scale < other.scale {
            (i128::from(a) * factor, i128::from(b))
        } else {
            (i128::from(a), i128::from(b) * factor)
        })
    }
}

impl Default for Decimal {
    fn default() -> Self {
        Decimal::ZERO
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        if self.scale == other.scale {
            return self.mantissa.cmp(&other.mantissa);
        }
        if let Some((a, b)) = self.aligned_small(*other) {
            return a.cmp(&b);
        }
        let signs = self.mantissa.signum128().cmp(&other.mantissa.signum128());
        if signs.is_ne() {
            return signs;
        }
        let magnitudes = self.exponent().cmp(&other.exponent()).then_with(|| {
            // Equal exponents: the mantissa of the smaller scale has as many digits fewer as its scale
            // is smaller, so that aligned both have the same number of digits. It cannot overflow.
            let a = self.magnitude() * power_of_ten(other.scale.saturating_sub(self.scale));
            let b = other.magnitude() * power_of_ten(self.scale.saturating_sub(other.scale));
            a.cmp(&b)
        });
        if self.is_negative() {
            magnitudes.reverse()
        } else {
            magnitudes
        }
    }
}

impl fmt::Display for DecimalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DecimalError::Syntax => "not a number",
            DecimalError::Range => "a number out of range",
        })
    }
}

impl std::error::Error for DecimalError {}

/// Every power of ten that 256 bits hold without a sign.
static POWERS_OF_TEN: [U256; 78] = {
    let mut powers = [U256::ONE; 78];
    let mut n = 1;
    while n < powers.len() {
        // U256's own multiplication is not const. Ten times each 64-bit half of the low word fits
        // 128 bits; what passes the word is carried.
        let (high, low) = powers[n - 1].into_words();
        let bottom = (low & u64::MAX as u128) * 10;
        let middle = (low >> 64) * 10 + (bottom >> 64);
        powers[n] = U256::from_words(high * 10 + (middle >> 64), (middle << 64) | (bottom & u64::MAX as u128));
        n += 1;
    }
    powers
};

/// The powers of ten by which any `i64` can be multiplied within an `i128`, and that are `i64` themselves.
static SMALL_POWERS_OF_TEN: [i64; 19] = {
    let mut powers = [1; 19];
    let mut n = 1;
    while n < powers.len() {
        powers[n] = powers[n - 1] * 10;
        n += 1;
    }
    powers
};

/// `10^n`. Callers know that `n` is at most 77.
fn power_of_ten(n: u16) -> U256 {
    POWERS_OF_TEN[usize::from(n)]
}

/// The number of decimal digits; 0 has none.
fn digit_count(value: U256) -> u16 {
    // 1233 / 4096 is log10(2) from below, near enough for 256 bits.
    let bits = (256 - value.leading_zeros()) as u16;
    let floor = ((u32::from(bits) * 1233) >> 12) as u16;
    floor + u16::from(value >= power_of_ten(floor))
}

/// The mantissa as a machine word, which nearly all are.
fn small(mantissa: I256) -> Option<i64> {
    i64::try_from(mantissa).ok()
}
