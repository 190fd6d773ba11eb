//! What happened to a position before its opening was seen: kept in order, and done again when it opens.

use crate::decimal::Decimal;

/// Steps that a shell remembers at most.
pub const MAX_PENDING: usize = 128;

/// A change of a position's volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Volume was added at a price.
    Add {
        /// How much.
        volume: Decimal,
        /// At what price.
        price: Decimal,
    },
    /// The total became this much, by adding at a price.
    GrowTo {
        /// The total after it.
        total: Decimal,
        /// At what price.
        price: Decimal,
    },
    /// A slice was closed.
    Close {
        /// How much.
        volume: Decimal,
        /// At what price.
        price: Decimal,
    },
    /// Whatever was left was closed.
    CloseRest {
        /// At what price.
        price: Decimal,
    },
}

/// The text form, `+1@10;=3@11;-0.5@12;x@13`.
pub fn to_text(steps: &[Step]) -> String {
    let mut text = String::new();
    for step in steps {
        if !text.is_empty() {
            text.push(';');
        }
        let (sign, volume, price) = match *step {
            Step::Add { volume, price } => ('+', Some(volume), price),
            Step::GrowTo { total, price } => ('=', Some(total), price),
            Step::Close { volume, price } => ('-', Some(volume), price),
            Step::CloseRest { price } => ('x', None, price),
        };
        text.push(sign);
        if let Some(volume) = volume {
            volume.push_to(&mut text);
        }
        text.push('@');
        price.push_to(&mut text);
    }
    text
}

/// Reads what [`to_text`] wrote.
pub fn from_text(text: &str) -> Option<Vec<Step>> {
    let step = |text: &str| {
        let (what, price) = text.split_once('@')?;
        let price = Decimal::from_stored(price.as_bytes())?;
        let volume = |digits: &str| Decimal::from_stored(digits.as_bytes()).filter(|volume| volume.is_positive());
        Some(match (what.chars().next()?, what.get(1..)?) {
            ('+', digits) => Step::Add { volume: volume(digits)?, price },
            ('=', digits) => Step::GrowTo { total: volume(digits)?, price },
            ('-', digits) => Step::Close { volume: volume(digits)?, price },
            ('x', "") => Step::CloseRest { price },
            _ => return None,
        })
    };
    if text.is_empty() {
        return Some(Vec::new());
    }
    text.split(';').map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_read_back_as_written() {
        for text in ["", "+1@10", "+1@10;=3@-11.5;-0.5@12;x@13"] {
            assert_eq!(from_text(text).map(|steps| to_text(&steps)).as_deref(), Some(text));
        }
        for text in [";", "+", "+1", "1@2", "+0@1", "-1@", "x1@2", "é1@2", "+1@2;", "+1@2@3"] {
            assert_eq!(from_text(text), None, "{text}");
        }
    }
}
