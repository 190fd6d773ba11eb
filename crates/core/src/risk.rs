//! The last breach of each risk limit of a symbol.

use crate::event::Event;
use crate::json::{self, Value};
use crate::record::Record;
use crate::refusal::{Code, Outcome};
use crate::store::Store;
use crate::stream_id::StreamId;
use crate::time::Millis;

/// Limits that a symbol's hash holds at most.
pub const MAX_LIMITS: u64 = 1_000;

/// Whether a breach is the newest of its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breach {
    /// It is, and the hash holds it now.
    Newest,
    /// A newer one is known.
    Late,
}

/// Notes a breach under the limit's name.
///
/// # Errors
/// MISSING, BADFIELD, TOOBIG when the symbol has too many limits, CORRUPT.
pub fn judge<'a, S: Store<'a>>(
    record: &mut Record<'a>,
    store: &S,
    event: &Event<'a>,
    id: StreamId,
    happened_at: Millis,
) -> Outcome<Breach> {
    let limit = event.required_text("limit")?;
    if limit.len() > 128 || limit.chars().any(char::is_control) {
        return Err(Code::BadField.because("limit must be a name of at most 128 bytes without control characters"));
    }
    let value = event.required_number("value")?;
    let threshold = event.number("threshold")?;
    record.load_named(store, std::iter::once(limit.clone()));
    match record.get(&limit) {
        Some(known)
            if breach_time(known).ok_or_else(|| record.corrupt(&limit, "a breach as tradebus writes it"))?
                > happened_at =>
        {
            return Ok(Breach::Late);
        }
        None if store.len(record.slot()) + record.added() >= MAX_LIMITS => {
            return Err(Code::TooBig
                .because(format!("the symbol has {MAX_LIMITS} limits already; '{limit}' would be one more")));
        }
        _ => {}
    }
    let mut text = String::from(r#"{"value":"#);
    json::push_string(&value.text, &mut text);
    if let Some(threshold) = threshold {
        text.push_str(r#","threshold":"#);
        json::push_string(&threshold.text, &mut text);
    }
    text.push_str(r#","ts":"#);
    text.push_str(itoa::Buffer::new().format(happened_at));
    text.push_str(r#","id":""#);
    id.push_to(&mut text);
    text.push_str(r#""}"#);
    record.set(limit, text);
    Ok(Breach::Newest)
}

fn breach_time(text: &[u8]) -> Option<Millis> {
    let object = json::parse_object(text).ok()?;
    let ts = object.members.iter().find(|member| member.name == "ts")?;
    match ts.value {
        Value::Number(digits) => digits.parse().ok(),
        _ => None,
    }
}
