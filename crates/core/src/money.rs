//! Exact arithmetic on money, and what is said when it would not be exact.

use crate::decimal::Decimal;
use crate::refusal::{Code, Outcome, Refusal};

/// `a + b`.
///
/// # Errors
/// BADFIELD when the sum has more digits than are kept.
pub fn add(a: Decimal, b: Decimal) -> Outcome<Decimal> {
    a.checked_add(b).ok_or_else(inexact)
}

/// `a - b`.
///
/// # Errors
/// BADFIELD when the difference has more digits than are kept.
pub fn sub(a: Decimal, b: Decimal) -> Outcome<Decimal> {
    a.checked_sub(b).ok_or_else(inexact)
}

/// `a * b`.
///
/// # Errors
/// BADFIELD when the product has more digits than are kept.
pub fn mul(a: Decimal, b: Decimal) -> Outcome<Decimal> {
    a.checked_mul(b).ok_or_else(inexact)
}

/// `a / b`, half-even to 28 significant digits.
///
/// # Errors
/// BADFIELD when the quotient cannot be held, or `b` is 0.
pub fn div(a: Decimal, b: Decimal) -> Outcome<Decimal> {
    a.checked_div(b).ok_or_else(inexact)
}

#[cold]
fn inexact() -> Refusal {
    Code::BadField
        .because("the numbers are too far apart in size: a sum, product or quotient of them would not be exact")
}
