//! Whether a peer ended in the state that the model has, and told what the model tells: a fast wrong answer is no answer.

use std::collections::BTreeMap;
use std::io;

use serde_json::Value as Json;
use tradebus_core::memory::{Memory, Value};

use crate::ids::{published_at, Ids};
use crate::model::Model;
use crate::wire::{Batch, Connection, Reply};
use crate::workload::Workload;

/// How much of the state a peer vouches for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// Statuses, indexes, expiries and the log: all that a client that reads nothing can keep. It notices no repeats.
    Status,
    /// Every field of every hash, the log and the messages.
    Everything,
}

/// How its numbers are compared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    /// To the last digit, as text.
    Exact,
    /// As doubles: those of a script, or of a client that sends them.
    Doubles,
}

/// Which keys are compared.
#[derive(Clone, Copy)]
pub enum Look {
    /// All of them.
    Whole,
    /// One in eight, others with every round: reading all takes longer than a turn.
    Part { round: usize },
}

impl Look {
    const PARTS: usize = 8;

    fn covers(self, number: usize) -> bool {
        match self {
            Look::Whole => true,
            Look::Part { round } => number % Look::PARTS == round % Look::PARTS,
        }
    }
}

/// Keys that are read in one round trip.
const KEYS: usize = 200;
/// How far the clock of a client that sets expiries may be from the model's.
const CLOCK_MS: i64 = 3_600_000;

/// What is compared, and what was found.
pub struct Check<'c> {
    pub model: &'c Model,
    pub workload: &'c Workload,
    pub ids: &'c Ids,
    pub claim: Claim,
    pub numbers: Numbers,
    pub look: Look,
}

impl Check<'_> {
    /// Compares the keyspace, and tells the first difference.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn keyspace(&self, connection: &mut Connection) -> io::Result<Option<String>> {
        for (symbol, memory) in &self.model.symbols {
            let compared = memory.keys.iter().filter(|(key, _)| is_compared(key)).enumerate();
            let keys: Vec<_> = compared.filter(|(number, _)| self.look.covers(*number)).map(|(_, key)| key).collect();
            for chunk in keys.chunks(KEYS) {
                let mut batch = Batch::default();
                for (key, value) in chunk {
                    batch.push(&reading(key, value));
                    batch.push(&["PEXPIRETIME", key]);
                }
                let replies = connection.round_trip(&batch)?;
                for ((key, value), found) in chunk.iter().zip(replies.chunks(2)) {
                    let difference = self.value(symbol, memory, key, value, &found[0]);
                    let difference = difference.or_else(|| self.expiry(memory, key, &found[1]));
                    if let Some(difference) = difference {
                        return Ok(Some(format!("{key}: {difference}")));
                    }
                }
            }
        }
        Ok(None)
    }

    fn value(&self, symbol: &str, memory: &Memory, key: &str, value: &Value, found: &Reply) -> Option<String> {
        match value {
            Value::Hash(fields) => self.hash(key, fields, &pairs(found)),
            Value::SortedSet(members) => {
                let found = pairs(found);
                let is_same =
                    |(member, score): (&String, &i64)| found.get(member.as_str()) == Some(&&*score.to_string());
                let same = found.len() == members.len() && members.iter().all(is_same);
                (!same).then(|| format!("{} members, not the {} of the model", found.len(), members.len()))
            }
            Value::Stream(_) if self.claim == Claim::Status => self.log_of_all(symbol, found),
            Value::Stream(_) => self.log(memory, key, found),
            Value::String(_) => None,
        }
    }

    fn hash(&self, key: &str, wanted: &BTreeMap<String, Vec<u8>>, found: &BTreeMap<&str, &str>) -> Option<String> {
        if self.claim == Claim::Status {
            let wanted = wanted.get("status").map(|status| String::from_utf8_lossy(status))?;
            let found = found.get("status");
            return (found != Some(&&*wanted)).then(|| format!("status is {found:?}, not {wanted}"));
        }
        if let Some(more) = found.keys().find(|name| !wanted.contains_key(**name)) {
            return Some(format!("there is no {more} in the model"));
        }
        let last_event = wanted.get("last_event_id").map(|id| self.ids.of_text(&String::from_utf8_lossy(id)));
        wanted.iter().find_map(|(name, value)| {
            let value = String::from_utf8_lossy(value);
            let found = *found.get(name.as_str()).unwrap_or(&"nothing");
            let wanted = match (name.as_str(), &last_event) {
                ("last_event_id", Some(id)) => id.clone(),
                ("updated_at", Some(id)) => id.split('-').next().unwrap_or_default().to_owned(),
                _ => value.into_owned(),
            };
            let same = match kept_text(key) {
                KeptText::None => self.agrees(&wanted, found),
                KeptText::WithId => self.agrees_but_for_id(&wanted, found),
            };
            (!same).then(|| format!("{name} is {found}, not {wanted}"))
        })
    }

    /// Of a fill or a breach the module keeps a text with the event's id; others may keep it in another form.
    fn agrees_but_for_id(&self, wanted: &str, found: &str) -> bool {
        let Some((before, rest)) = wanted.split_once(r#""id":""#) else {
            return false;
        };
        let (id, after) = rest.split_once('"').unwrap_or((rest, ""));
        let id = self.ids.of_text(id);
        match self.numbers {
            Numbers::Exact => found == format!(r#"{before}"id":"{id}"{after}"#),
            Numbers::Doubles => found.contains(&id),
        }
    }

    fn agrees(&self, wanted: &str, found: &str) -> bool {
        wanted == found || self.numbers == Numbers::Doubles && same_json(wanted, found)
    }

    fn expiry(&self, memory: &Memory, key: &str, found: &Reply) -> Option<String> {
        let Reply::Integer(found) = *found else {
            return Some(format!("PEXPIRETIME replied {found:?}"));
        };
        if self.claim == Claim::Status && key.contains("}:fills:") {
            return None;
        }
        let wanted = memory.expiries.get(key).map_or(-1, |&at| match self.claim {
            Claim::Everything => self.ids.of_expiry(at),
            Claim::Status => at,
        });
        let may_differ = match self.claim {
            Claim::Everything => 0,
            Claim::Status if wanted < 0 => 0,
            Claim::Status => CLOCK_MS,
        };
        (found.abs_diff(wanted) > may_differ as u64).then(|| format!("expires at {found}, not {wanted}"))
    }

    fn log(&self, memory: &Memory, key: &str, found: &Reply) -> Option<String> {
        let found = entries(found);
        let Some(Value::Stream(wanted)) = memory.keys.get(key) else {
            return None;
        };
        if found.len() != wanted.len() {
            return Some(format!("{} entries, not {}", found.len(), wanted.len()));
        }
        wanted.iter().zip(&found).find_map(|((id, fields), (found_id, found))| {
            let id = self.ids.of(*id).to_string();
            let same = found.len() == 2 * fields.len()
                && fields.iter().zip(found.chunks(2)).all(|((name, value), found)| {
                    name == found[0] && self.agrees(&String::from_utf8_lossy(value), found[1])
                });
            (id != *found_id || !same).then(|| format!("the entry {found_id} {found:?} is not {id} of the model"))
        })
    }

    /// The log of a client that notices no repeats: every event, in order.
    fn log_of_all(&self, symbol: &str, found: &Reply) -> Option<String> {
        let found = entries(found);
        let events: Vec<_> = self.workload.events.iter().filter(|event| event.symbol == symbol).collect();
        if found.len() != events.len() {
            return Some(format!("{} entries, not {}", found.len(), events.len()));
        }
        events.iter().zip(&found).find_map(|(event, (id, found))| {
            let ts = event.ts.to_string();
            let wanted = ["type", event.event_type, "data", &event.data.json, "ts", &ts];
            let same = found.len() == wanted.len() && wanted.iter().zip(found).all(|(w, f)| self.agrees(w, f));
            (!same).then(|| format!("the entry {id} {found:?} is not {}", event.event_id))
        })
    }

    /// Compares what a subscriber to everything heard: channels and messages, in order.
    pub fn messages(&self, heard: &[(String, String)]) -> Option<String> {
        if self.claim == Claim::Status {
            let wanted = self.workload.events.len();
            return (heard.len() != wanted).then(|| format!("{} messages, not {wanted}", heard.len()));
        }
        let mut by_symbol: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
        for (channel, message) in heard {
            let symbol = channel.strip_prefix("trades:").and_then(|rest| rest.rsplit_once(':'));
            by_symbol.entry(symbol.map_or("", |(symbol, _)| symbol)).or_default().push((channel, message));
        }
        self.model.symbols.iter().find_map(|(symbol, memory)| {
            let heard = by_symbol.get(symbol).map(Vec::as_slice).unwrap_or_default();
            if heard.len() != memory.messages.len() {
                return Some(format!("{} messages of {symbol}, not {}", heard.len(), memory.messages.len()));
            }
            memory.messages.iter().zip(heard).find_map(|(wanted, (channel, found))| {
                let body = self.ids.of_message(&wanted.body)?;
                let same = match self.numbers {
                    Numbers::Exact => body == *found,
                    Numbers::Doubles => published_at(&body) == published_at(found),
                };
                (wanted.channel != *channel || !same).then(|| format!("{channel} said {found}, not {body}"))
            })
        })
    }
}

/// The journal may lag by as much as it likes, and ids of events are kept in buckets of the module's own.
fn is_compared(key: &str) -> bool {
    !key.ends_with("}:last") && !key.contains("}:seen:")
}

fn reading<'k>(key: &'k str, value: &Value) -> Vec<&'k str> {
    match value {
        Value::Hash(_) => vec!["HGETALL", key],
        Value::SortedSet(_) => vec!["ZRANGE", key, "0", "-1", "WITHSCORES"],
        Value::Stream(_) => vec!["XRANGE", key, "-", "+"],
        Value::String(_) => vec!["GET", key],
    }
}

/// Whether a hash has texts of the module's own as values.
enum KeptText {
    None,
    WithId,
}

fn kept_text(key: &str) -> KeptText {
    match key.contains("}:fills:") || key.ends_with("}:risk") {
        true => KeptText::WithId,
        false => KeptText::None,
    }
}

fn texts(reply: &Reply) -> Vec<&str> {
    fn text(item: &Reply) -> Option<&str> {
        match item {
            Reply::Text(text) => Some(text),
            _ => None,
        }
    }
    match reply {
        Reply::Array(items) => items.iter().filter_map(text).collect(),
        _ => Vec::new(),
    }
}

fn pairs(reply: &Reply) -> BTreeMap<&str, &str> {
    texts(reply).chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
}

/// Of each entry of a stream its id, and names and values in turn.
fn entries(reply: &Reply) -> Vec<(&str, Vec<&str>)> {
    fn entry(entry: &Reply) -> Option<(&str, Vec<&str>)> {
        match entry {
            Reply::Array(parts) => match &parts[..] {
                [Reply::Text(id), fields] => Some((id, texts(fields))),
                _ => None,
            },
            _ => None,
        }
    }
    match reply {
        Reply::Array(entries) => entries.iter().filter_map(entry).collect(),
        _ => Vec::new(),
    }
}

/// Whether two texts are the same JSON when numbers are doubles, of which fourteen digits were written.
fn same_json(a: &str, b: &str) -> bool {
    fn same(a: &Json, b: &Json) -> bool {
        match (a, b) {
            // A time has as many digits as the difference that is allowed.
            (Json::Number(a), Json::Number(b)) if a.is_i64() && b.is_i64() => a.as_i64() == b.as_i64(),
            (Json::Number(a), Json::Number(b)) => match (a.as_f64(), b.as_f64()) {
                (Some(a), Some(b)) => (a - b).abs() <= 1e-12 * a.abs().max(b.abs()),
                _ => false,
            },
            (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
            (Json::Object(a), Json::Object(b)) => {
                a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
            }
            _ => a == b,
        }
    }
    let (a, b) = (serde_json::from_str(a), serde_json::from_str(b));
    matches!((a, b), (Ok(a), Ok(b)) if same(&a, &b))
}
