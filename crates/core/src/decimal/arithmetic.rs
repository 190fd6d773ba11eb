//! Sums, products and quotients.
//!
//! A sum or product is `None` only if the exact result itself cannot be held, never because a step on
//! the way to it was too large.

use std::cmp::Ordering;

use ethnum::{I256, U256};

use super::{digit_count, power_of_ten, small, Decimal, DIGITS_MAX, POWERS_OF_TEN, SCALE_MAX};

/// The significant digits of a quotient.
const QUOTIENT_DIGITS: u16 = 28;

impl Decimal {
    /// Exact sum; `None` if it cannot be held.
    #[must_use]
    pub fn checked_add(self, other: Decimal) -> Option<Decimal> {
        // It often is: what is filled of a new order, what is left out of a report.
        if other.is_zero() {
            return Some(self);
        }
        let scale = self.scale.max(other.scale);
        if let Some((a, b)) = self.aligned_small(other) {
            return canonical_narrow(a + b, scale);
        }
        // Overflow proves that the sum cannot be held. If the scales differ, the finer number's last
        // digit is the sum's, so no trimming would help; and where the sum has 76 digits, both aligned
        // numbers are within 2 * 10^76, which 255 bits hold.
        let a = rescaled(self, scale)?;
        let b = rescaled(other, scale)?;
        canonical(a.checked_add(b)?, scale)
    }

    /// Exact difference; `None` if it cannot be held.
    #[must_use]
    pub fn checked_sub(self, other: Decimal) -> Option<Decimal> {
        self.checked_add(other.negated())
    }

    /// Exact product; `None` if it cannot be held.
    #[must_use]
    pub fn checked_mul(self, other: Decimal) -> Option<Decimal> {
        let scale = self.scale + other.scale;
        if let (Some(a), Some(b)) = (small(self.mantissa), small(other.mantissa)) {
            return canonical_narrow(i128::from(a) * i128::from(b), scale);
        }
        match self.mantissa.checked_mul(other.mantissa) {
            Some(product) => canonical(product, scale),
            None => {
                let (a, b, scale) = cancel_tens(self.mantissa, other.mantissa, scale);
                canonical(a.checked_mul(b)?, scale)
            }
        }
    }

    /// Quotient to 28 significant digits, half-even; `None` for a zero divisor, or if it cannot be held.
    #[must_use]
    pub fn checked_div(self, divisor: Decimal) -> Option<Decimal> {
        if divisor.is_zero() {
            return None;
        }
        let denominator = divisor.magnitude();
        let denominator_digits = digit_count(denominator);
        let mut scale = i32::from(self.scale) - i32::from(divisor.scale);

        // Long division, many digits at a time, until one digit more than wanted is known or it comes
        // out even. The remainder then only breaks ties.
        let mut quotient = U256::ZERO;
        let mut remainder = self.magnitude();
        while remainder != U256::ZERO && digit_count(quotient) <= QUOTIENT_DIGITS {
            let remainder_digits = digit_count(remainder);
            // At least 1 while more digits are needed, as then the remainder is below the denominator.
            // The first bound is what is wanted; the others keep the two products below 10^77 < 2^256.
            let shift = (QUOTIENT_DIGITS + 1 + denominator_digits)
                .saturating_sub(remainder_digits)
                .min(DIGITS_MAX + 1 - remainder_digits)
                .min(DIGITS_MAX - QUOTIENT_DIGITS);
            let dividend = remainder * power_of_ten(shift);
            let digits = dividend / denominator;
            remainder = dividend - digits * denominator;
            quotient = quotient * power_of_ten(shift) + digits;
            scale += i32::from(shift);
        }

        let excess = digit_count(quotient).saturating_sub(QUOTIENT_DIGITS);
        if excess > 0 {
            quotient = rounded(quotient, excess, remainder);
            scale -= i32::from(excess);
        }
        if scale < 0 {
            let factor = POWERS_OF_TEN.get(scale.unsigned_abs() as usize)?;
            quotient = quotient.checked_mul(*factor)?;
            scale = 0;
        }
        let mantissa = I256::try_from(quotient).ok()?;
        let negative = self.is_negative() != divisor.is_negative();
        canonical(if negative { -mantissa } else { mantissa }, u16::try_from(scale).ok()?)
    }
}

/// The number in canonical form, if it can be held.
fn canonical(mut mantissa: I256, mut scale: u16) -> Option<Decimal> {
    loop {
        if let Ok(narrow) = i128::try_from(mantissa) {
            return canonical_narrow(narrow, scale);
        }
        if scale == 0 || !is_multiple_of_ten(mantissa.unsigned_abs()) {
            break;
        }
        mantissa /= 10;
        scale -= 1;
    }
    let fits = scale <= SCALE_MAX && mantissa.unsigned_abs() < power_of_ten(DIGITS_MAX);
    fits.then_some(Decimal { mantissa, scale })
}

/// [`canonical`] for what nearly all results are, where only the scale can be too large.
fn canonical_narrow(mut mantissa: i128, mut scale: u16) -> Option<Decimal> {
    const LEAP: u16 = 9;
    const LEAP_FACTOR: i128 = 1_000_000_000;

    let mut word = loop {
        if let Ok(word) = i64::try_from(mantissa) {
            break word;
        }
        // A quotient that came out even drags up to 28 zeros, too many to drop one by one; and a
        // multiple of 10^n is one of 2^n, which is cheap to see.
        if scale >= LEAP && mantissa.trailing_zeros() >= u32::from(LEAP) && mantissa % LEAP_FACTOR == 0 {
            mantissa /= LEAP_FACTOR;
            scale -= LEAP;
        } else if scale > 0 && is_multiple_of_ten(U256::from(mantissa.unsigned_abs())) {
            mantissa /= 10;
            scale -= 1;
        } else {
            return (scale <= SCALE_MAX).then(|| Decimal { mantissa: I256::from(mantissa), scale });
        }
    };
    if word == 0 {
        return Some(Decimal::ZERO);
    }
    while scale > 0 && word % 10 == 0 {
        word /= 10;
        scale -= 1;
    }
    (scale <= SCALE_MAX).then(|| Decimal { mantissa: I256::from(word), scale })
}

/// Whether the last digit is 0, without the cost of a wide division.
fn is_multiple_of_ten(magnitude: U256) -> bool {
    // 2^64 is 1 modulo 5, so the words of a number may be added up, as the digits are for 9.
    let (high, low) = magnitude.into_words();
    let words = [high >> 64, high, low >> 64, low].map(|word| word as u64 % 5);
    low % 2 == 0 && words.iter().sum::<u64>() % 5 == 0
}

/// The mantissa the number has at a scale that is not below its own.
fn rescaled(number: Decimal, scale: u16) -> Option<I256> {
    if number.scale == scale || number.is_zero() {
        return Some(number.mantissa);
    }
    let factor = POWERS_OF_TEN.get(usize::from(scale - number.scale))?;
    number.mantissa.checked_mul(I256::try_from(*factor).ok()?)
}

/// Takes every ten out of two factors that the scale allows, also where one has the 2 and the other the 5.
fn cancel_tens(mut a: I256, mut b: I256, mut scale: u16) -> (I256, I256, u16) {
    let divides = |divisor: i32, number: I256| number % I256::from(divisor) == I256::ZERO;
    while scale > 0 {
        let (of_a, of_b) = if divides(10, a) {
            (10, 1)
        } else if divides(10, b) {
            (1, 10)
        } else if divides(2, a) && divides(5, b) {
            (2, 5)
        } else if divides(5, a) && divides(2, b) {
            (5, 2)
        } else {
            break;
        };
        a /= of_a;
        b /= of_b;
        scale -= 1;
    }
    (a, b, scale)
}

/// The number without its last `excess` digits (at least 1), half to even. What lies beyond those digits is
/// `remainder`, of which only whether it is 0 matters.
fn rounded(number: U256, excess: u16, remainder: U256) -> U256 {
    let unit = power_of_ten(excess);
    let (kept, dropped) = (number / unit, number % unit);
    let up = match dropped.cmp(&(unit / 2)) {
        Ordering::Less => false,
        Ordering::Equal => remainder != U256::ZERO || kept % 2 == U256::ONE,
        Ordering::Greater => true,
    };
    kept + U256::from(u8::from(up))
}
