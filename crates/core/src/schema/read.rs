//! JSON texts as the crate wants them: read by `serde_json`, with what is harmful in them refused or rewritten.

use serde_json::{Deserializer, Number, Value};

use super::MAX_DIGITS;
use crate::json::parse_object;
use crate::refusal::quoted;

/// Why a text is not read.
pub enum Unread {
    /// It is not one JSON object within the limits of all data.
    Json(String),
    /// A number in it has more than [`MAX_DIGITS`] digits.
    Number(String),
}

/// What the names begin with by which `serde_json` tells itself that an object stands for something else.
const PRIVATE: &str = "$serde_json::private::";

/// Reads a text that is one JSON object. Numbers are written out in it: the crate's arithmetic takes a thousand times as
/// long for `1e-60` as for most other numbers.
pub fn read(text: &[u8]) -> Result<Value, Unread> {
    parse_object(text).map_err(|error| Unread::Json(format!("at byte {}: {}", error.at, error.what)))?;
    // `serde_json` takes an object whose first member has such a name for the number, or for the value of the JSON, that is
    // the text below it. Nobody has such data but who wants one thing to pass for another.
    if has_private_name(text) {
        return Err(Unread::Json(format!("a member whose name begins with '{PRIVATE}'")));
    }
    let mut value: Value = serde_json::from_slice(text).map_err(|error| Unread::Json(error.to_string()))?;
    settle(&mut value)?;
    Ok(value)
}

/// Writes numbers out.
fn settle(value: &mut Value) -> Result<(), Unread> {
    match value {
        Value::Number(number) => {
            let long = |text: &str| {
                Unread::Number(format!("the number {} has more than {MAX_DIGITS} digits", quoted(text.as_bytes())))
            };
            let text = number.as_str();
            let plain = write_out(text).ok_or_else(|| long(text))?;
            if plain != text {
                *number = plain.parse::<Number>().map_err(|_| long(text))?;
            }
            Ok(())
        }
        Value::Array(items) => items.iter_mut().try_for_each(settle),
        Value::Object(members) => members.values_mut().try_for_each(settle),
        Value::Null | Value::Bool(_) | Value::String(_) => Ok(()),
    }
}

/// Whether the name of a member begins with [`PRIVATE`], in a text that is JSON.
fn has_private_name(text: &[u8]) -> bool {
    let text = std::str::from_utf8(text).unwrap_or_default();
    // Of all escapes only this one can stand for a byte of it.
    if !text.contains(PRIVATE) && !text.contains("\\u") {
        return false;
    }
    let mut rest = text;
    while let Some(open) = rest.find('"') {
        let mut strings = Deserializer::from_str(&rest[open..]).into_iter::<String>();
        match strings.next() {
            Some(Ok(string)) => {
                rest = &rest[open + strings.byte_offset()..];
                if string.starts_with(PRIVATE) && rest.trim_start().starts_with(':') {
                    return true;
                }
            }
            _ => return true,
        }
    }
    false
}

/// A number's text without an exponent; `None`: it has more than [`MAX_DIGITS`] digits.
fn write_out(text: &str) -> Option<String> {
    let (sign, unsigned) = text.split_at(text.len() - text.trim_start_matches('-').len());
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Some("0".to_owned());
    }
    // Where the point goes, counted from the first digit.
    let leading_zeros = whole.len() + fraction.len() - digits.len();
    let shift: i64 = exponent.parse().ok()?;
    let point = i64::try_from(whole.len()).ok()?.checked_sub_unsigned(leading_zeros as u64)?.checked_add(shift)?;
    let digits = digits.trim_end_matches('0');
    let count = i64::try_from(digits.len()).ok()?;
    let written = count.max(point).max(count.checked_sub(point)?);
    if written > MAX_DIGITS as i64 {
        return None;
    }
    let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or(0));
    Some(if point <= 0 {
        format!("{sign}0.{}{digits}", zeros(-point))
    } else if point >= count {
        format!("{sign}{digits}{}", zeros(point - count))
    } else {
        let (whole, fraction) = digits.split_at(usize::try_from(point).ok()?);
        format!("{sign}{whole}.{fraction}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_out() {
        let check = |text: &str, expected: Option<&str>| assert_eq!(write_out(text).as_deref(), expected, "{text}");
        check("0", Some("0"));
        check("-0.00e99999999999999999999", Some("0"));
        check("5", Some("5"));
        check("-2000.50", Some("-2000.5"));
        check("100", Some("100"));
        check("1e2", Some("100"));
        check("1.0", Some("1"));
        check("1.25E+1", Some("12.5"));
        check("0.00125e3", Some("1.25"));
        check("12e-1", Some("1.2"));
        check("12e-2", Some("0.12"));
        check("1e-05", Some("0.00001"));
        check("1e39", Some(&format!("1{}", "0".repeat(39))));
        check("1e40", None);
        check("1e-40", Some(&format!("0.{}1", "0".repeat(39))));
        check("1e-41", None);
        check(&"7".repeat(40), Some(&"7".repeat(40)));
        check(&"7".repeat(41), None);
        check("1e9223372036854775807", None);
        check("1e-9223372036854775808", None);
        check("0.1e-9223372036854775808", None);
        check("1e99999999999999999999", None);
    }

    #[test]
    fn numbers_in_data_are_written_out() {
        let value = read(br#"{"a":[1E-5,{"b":-12.50e1}],"c":7}"#).ok();
        assert_eq!(value.map(|value| value.to_string()).as_deref(), Some(r#"{"a":[0.00001,{"b":-125}],"c":7}"#));
    }
}
