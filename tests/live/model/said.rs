//! Replies in a form that compares: what the server says, and what the model expects it to say.

use std::collections::BTreeMap;
use std::fmt;

use redis::Value;
use tradebus_core::refusal::Refusal;
use tradebus_core::stream_id::StreamId;

use crate::support::text;

/// A reply. A map has no order, and a number that is sent as a string is a string.
#[derive(Clone, PartialEq, Eq)]
pub enum Said {
    Nil,
    Ok,
    Int(i64),
    Text(Vec<u8>),
    List(Vec<Said>),
    Map(BTreeMap<Vec<u8>, Said>),
    /// Code and text.
    Error(String),
}

impl Said {
    pub fn text(text: impl AsRef<[u8]>) -> Said {
        Said::Text(text.as_ref().to_vec())
    }

    pub fn id(id: StreamId) -> Said {
        Said::text(id.to_string())
    }

    pub fn count(count: u64) -> Said {
        Said::Int(i64::try_from(count).unwrap_or(i64::MAX))
    }

    pub fn list(items: impl IntoIterator<Item = Said>) -> Said {
        Said::List(items.into_iter().collect())
    }

    pub fn map<N: AsRef<[u8]>>(pairs: impl IntoIterator<Item = (N, Said)>) -> Said {
        Said::Map(pairs.into_iter().map(|(name, said)| (name.as_ref().to_vec(), said)).collect())
    }

    /// A field of a map that is a text.
    pub fn field(&self, name: &str) -> Option<&str> {
        match self {
            Said::Map(pairs) => match pairs.get(name.as_bytes())? {
                Said::Text(bytes) => std::str::from_utf8(bytes).ok(),
                _ => None,
            },
            _ => None,
        }
    }

    /// Takes a field out of a map: one that the model does not know.
    pub fn without(self, field: &str) -> Said {
        match self {
            Said::Map(mut pairs) => {
                pairs.remove(field.as_bytes());
                Said::Map(pairs)
            }
            other => other,
        }
    }
}

impl From<Refusal> for Said {
    fn from(refusal: Refusal) -> Said {
        Said::Error(refusal.to_string())
    }
}

impl From<&Value> for Said {
    /// A reply in RESP3.
    fn from(value: &Value) -> Said {
        match value {
            Value::Nil => Said::Nil,
            Value::Okay => Said::Ok,
            Value::Int(number) => Said::Int(*number),
            Value::BulkString(bytes) => Said::text(bytes),
            Value::Array(items) => Said::list(items.iter().map(Said::from)),
            Value::Map(pairs) => Said::map(pairs.iter().map(|(name, value)| match name {
                Value::BulkString(name) => (name.clone(), Said::from(value)),
                other => panic!("no module of ours names a field so: {other:?}"),
            })),
            Value::ServerError(_) => Said::Error(text(value).trim_start_matches("(error) ").to_owned()),
            other => panic!("no module of ours replies so: {other:?}"),
        }
    }
}

impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Said::Nil => f.write_str("nil"),
            Said::Ok => f.write_str("OK"),
            Said::Int(number) => write!(f, "{number}"),
            Said::Text(bytes) => write!(f, "\"{}\"", bytes.escape_ascii()),
            Said::List(items) => f.debug_list().entries(items).finish(),
            Said::Map(pairs) => {
                let pairs = pairs.iter().map(|(name, said)| (String::from_utf8_lossy(name).into_owned(), said));
                f.debug_map().entries(pairs).finish()
            }
            Said::Error(text) => write!(f, "(error) {text}"),
        }
    }
}
