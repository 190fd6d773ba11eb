//! An entry of a work queue.

use std::collections::BTreeMap;

use tradebus_core::json::{parse_object, Value};

use super::{Failure, Outcome};

/// A stream's entry as the server sends it: its id and its fields.
pub type Entry = (String, BTreeMap<String, String>);

/// What one trigger means for one bot.
pub struct Work {
    /// Of the entry.
    pub id: String,
    /// Whose work it is.
    pub bot_id: String,
    /// The same each time that the entry comes, and of no other trigger or bot.
    pub order_ref: String,
    /// The trigger.
    pub trigger_id: String,
    /// When it was, in Unix milliseconds.
    pub ts: String,
    action: String,
    value: String,
}

impl From<Entry> for Work {
    fn from((id, mut fields): Entry) -> Work {
        let mut field = |name: &str| fields.remove(name).unwrap_or_default();
        Work {
            id,
            bot_id: field("bot_id"),
            order_ref: field("order_ref"),
            trigger_id: field("trigger_id"),
            ts: field("ts"),
            action: field("action"),
            value: field("value"),
        }
    }
}

impl Work {
    /// A member of the subscription's action, as it is written.
    pub fn action(&self, name: &str) -> Outcome<String> {
        member(&self.action, name).ok_or_else(|| Failure::Work(format!("no {name} in the action {}", self.action)))
    }

    /// The price at which the condition triggered.
    pub fn price(&self) -> Outcome<String> {
        member(&self.value, "price").ok_or_else(|| Failure::Work(format!("no price in the value {}", self.value)))
    }
}

/// A string or a number of a JSON object. Numbers stay text: as floats they would not be the same money.
fn member(object: &str, name: &str) -> Option<String> {
    let members = parse_object(object.as_bytes()).ok()?.members;
    match members.into_iter().find(|member| member.name == name)?.value {
        Value::String(text) => Some(text.into_owned()),
        Value::Number(text) => Some(text.to_owned()),
        Value::Null | Value::Bool(_) | Value::Nested { .. } => None,
    }
}
