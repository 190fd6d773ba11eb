//! What somebody does to our keys by hand: the plain command, and the same on the model.

use std::collections::BTreeMap;

use tradebus_core::memory::{Memory, Value};
use tradebus_core::stream_id::StreamId;

/// The commands that are done by hand, the key behind each.
pub const COMMANDS: [&str; 7] = ["DEL", "HSET", "HDEL", "SET", "ZADD", "ZREM", "XDEL"];

/// Whether a command by hand can be followed. What an engine stands for is believed while the newest candle and the
/// index are the ones it knows: a server may see a change of these keys later than a model that looks each time.
pub fn is_followed(words: &[String]) -> bool {
    let key = &words[1];
    let is_believed = key.starts_with("market:") && !key.ends_with(":forming");
    !is_believed && !["}:def:", "}:index:", "}:subs:"].iter().any(|part| key.contains(part))
}

/// Whose key it is: the name between the braces, and whether that is a stream's.
pub fn owner(key: &str) -> (bool, &str) {
    let name = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map_or("", |(name, _)| name);
    (key.starts_with("events:"), name)
}

/// The words as a server takes them: which entry is the first or the last, only the model knows.
pub fn resolve(memory: &Memory, words: &[String]) -> Vec<String> {
    let mut words = words.to_vec();
    if words[0] == "XDEL" {
        let id = match memory.keys.get(&words[1]) {
            Some(Value::Stream(entries)) if words[2] == "first" => entries.keys().next().copied(),
            Some(Value::Stream(entries)) => entries.keys().next_back().copied(),
            _ => None,
        };
        words[2] = id.unwrap_or_default().to_string();
    }
    words
}

/// Does it. What the server refuses, a command for another type, changes nothing.
pub fn apply(memory: &mut Memory, words: &[String]) {
    let (key, rest) = (&words[1], &words[2..]);
    let is_missing = !memory.keys.contains_key(key);
    match words[0].as_str() {
        "DEL" => memory.remove(key),
        "SET" => {
            memory.remove(key);
            memory.keys.insert(key.clone(), Value::String(rest[0].clone().into_bytes()));
        }
        "XDEL" => memory.delete_entry_of(key, rest[0].parse::<StreamId>().expect("an id")),
        "HSET" if is_missing => {
            memory.keys.insert(key.clone(), Value::Hash(BTreeMap::from([field(rest)])));
        }
        "ZADD" if is_missing => {
            memory.keys.insert(key.clone(), Value::SortedSet(BTreeMap::from([member(rest)])));
        }
        _ => change(memory, words),
    }
}

fn field(words: &[String]) -> (String, Vec<u8>) {
    (words[0].clone(), words[1].clone().into_bytes())
}

fn member(words: &[String]) -> (String, i64) {
    (words[1].clone(), words[0].parse().expect("a whole number"))
}

fn change(memory: &mut Memory, words: &[String]) {
    let (key, rest) = (&words[1], &words[2..]);
    let left = match (memory.keys.get_mut(key), words[0].as_str()) {
        (Some(Value::Hash(fields)), "HSET") => {
            fields.extend([field(rest)]);
            fields.len()
        }
        (Some(Value::Hash(fields)), "HDEL") => {
            fields.remove(&rest[0]);
            fields.len()
        }
        (Some(Value::SortedSet(members)), "ZADD") => {
            members.extend([member(rest)]);
            members.len()
        }
        (Some(Value::SortedSet(members)), "ZREM") => {
            members.remove(&rest[0]);
            members.len()
        }
        _ => return,
    };
    if left == 0 {
        memory.remove(key);
    }
}
