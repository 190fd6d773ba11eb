//! Writing numbers: plain digits, as short as exactness allows.

use std::fmt;

use ethnum::U256;

use super::{digit_count, power_of_ten, Decimal};

impl Decimal {
    /// Appends the plain text, trimmed of trailing zeros, never with an exponent: `2000.1`, `0`, `-0.05`.
    pub fn push_to(self, out: &mut String) {
        if self.is_negative() {
            out.push('-');
        }
        let magnitude = self.magnitude();
        let scale = usize::from(self.scale);
        if scale == 0 {
            push_digits(magnitude, out);
            return;
        }
        let digits = usize::from(digit_count(magnitude));
        if digits > scale {
            push_digits(magnitude, out);
            out.insert(out.len() - scale, '.');
        } else {
            out.push_str("0.");
            push_zeros(scale - digits, out);
            push_digits(magnitude, out);
        }
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.push_to(&mut text);
        // Not `pad`: a precision would cut the text, which is no rounding.
        f.write_str(&text)
    }
}

fn push_digits(magnitude: U256, out: &mut String) {
    /// A mantissa has at most twice as many, and as many always fit a `u128`.
    const HALF_DIGITS: u16 = 38;

    let mut buffer = itoa::Buffer::new();
    if let Ok(word) = u128::try_from(magnitude) {
        out.push_str(buffer.format(word));
        return;
    }
    let half = power_of_ten(HALF_DIGITS);
    out.push_str(buffer.format((magnitude / half).as_u128()));
    let low = buffer.format((magnitude % half).as_u128());
    push_zeros(usize::from(HALF_DIGITS) - low.len(), out);
    out.push_str(low);
}

fn push_zeros(count: usize, out: &mut String) {
    out.extend(std::iter::repeat_n('0', count));
}
