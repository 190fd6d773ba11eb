//! All keys of a server and of the model, side by side.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use redis::Value as Reply;
use tradebus_core::memory::Value;
use tradebus_core::stream_id::StreamId;

use crate::support::Client;

/// What keys hold, by name.
pub type Keys = BTreeMap<String, Held>;

/// What a key holds.
#[derive(Debug, PartialEq)]
pub struct Held {
    /// Of a stream the newest entries, as many as were asked for.
    value: Value,
    /// Entries of a stream, all of them.
    len: usize,
    expires_at: Option<i64>,
}

/// How much of the keys is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look<'l> {
    /// All keys, to the last entry.
    Whole,
    /// The keys of one name, and of streams what a command usually adds: cheap enough to be done all the time.
    Newest(&'l str),
}

impl Look<'_> {
    /// Whether a key is looked at.
    pub fn covers(self, key: &str) -> bool {
        match self {
            Look::Whole => true,
            Look::Newest(name) => key.contains(&format!("{{{name}}}")),
        }
    }

    fn entries(self) -> usize {
        match self {
            Look::Whole => 1_000_000,
            Look::Newest(_) => 6,
        }
    }
}

impl Held {
    /// As the model has it.
    pub fn of(value: &Value, expires_at: Option<i64>, look: Look<'_>) -> Held {
        let (value, len) = match value {
            Value::Stream(entries) => {
                let newest = entries.iter().rev().take(look.entries());
                (Value::Stream(newest.map(|(id, fields)| (*id, fields.clone())).collect()), entries.len())
            }
            other => (other.clone(), 0),
        };
        Held { value, len, expires_at }
    }
}

/// Reads keys in one step: name, type, expiry, length and value of each; before that when it begins and ends.
const DUMP: &str = "
    local function now()
        local time = redis.call('TIME')
        return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
    end
    local begun, keys = now(), {}
    for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
        local kind, value, len = redis.call('TYPE', key).ok, {}, 0
        if kind == 'hash' then value = redis.call('HGETALL', key)
        elseif kind == 'zset' then value = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
        elseif kind == 'stream' then
            value, len = redis.call('XREVRANGE', key, '+', '-', 'COUNT', ARGV[2]), redis.call('XLEN', key)
        elseif kind == 'string' then value = {redis.call('GET', key)} end
        keys[#keys + 1] = {key, kind, redis.call('PEXPIRETIME', key), len, value}
    end
    return {begun, now(), keys}";

/// The server's keys, and the time that reading them took.
pub fn dump(client: &mut Client, look: Look<'_>) -> (RangeInclusive<i64>, Keys) {
    let pattern = match look {
        Look::Whole => "*".to_owned(),
        Look::Newest(name) => format!("*{{{name}}}*"),
    };
    let [begun, ended, keys] = parts(client.run(["EVAL", DUMP, "0", &pattern, &look.entries().to_string()]));
    (int(&begun)..=int(&ended), items(keys).into_iter().map(key).collect())
}

fn key(described: Reply) -> (String, Held) {
    let [name, kind, expires_at, len, value] = parts(described);
    let value = match string(&kind).as_str() {
        "hash" => Value::Hash(pairs(value).map(|(field, value)| (string(&field), bytes(value))).collect()),
        "zset" => Value::SortedSet(
            pairs(value)
                .map(|(member, score)| (string(&member), string(&score).parse().expect("a whole number")))
                .collect(),
        ),
        "stream" => Value::Stream(items(value).into_iter().map(entry).collect()),
        "string" => Value::String(bytes(items(value).remove(0))),
        other => panic!("no key of ours is a {other}"),
    };
    let expires_at = Some(int(&expires_at)).filter(|&at| at >= 0);
    (string(&name), Held { value, len: usize::try_from(int(&len)).expect("a length"), expires_at })
}

fn entry(entry: Reply) -> (StreamId, Vec<(String, Vec<u8>)>) {
    let [id, fields] = parts(entry);
    let fields = pairs(fields).map(|(field, value)| (string(&field), bytes(value))).collect();
    (string(&id).parse().expect("an id"), fields)
}

fn items(reply: Reply) -> Vec<Reply> {
    match reply {
        Reply::Array(items) => items,
        other => panic!("not an array: {other:?}"),
    }
}

fn parts<const N: usize>(reply: Reply) -> [Reply; N] {
    items(reply).try_into().expect("as many parts")
}

fn pairs(reply: Reply) -> impl Iterator<Item = (Reply, Reply)> {
    let mut items = items(reply).into_iter();
    std::iter::from_fn(move || Some((items.next()?, items.next()?)))
}

fn int(reply: &Reply) -> i64 {
    match reply {
        Reply::Int(number) => *number,
        other => panic!("not an integer: {other:?}"),
    }
}

fn bytes(reply: Reply) -> Vec<u8> {
    match reply {
        Reply::BulkString(bytes) => bytes,
        other => panic!("not a string: {other:?}"),
    }
}

fn string(reply: &Reply) -> String {
    match reply {
        Reply::BulkString(bytes) => String::from_utf8(bytes.clone()).expect("UTF-8"),
        Reply::SimpleString(text) => text.clone(),
        other => panic!("not a string: {other:?}"),
    }
}

/// What differs, as text; `None` when nothing does.
pub fn difference(server: &Keys, model: &Keys) -> Option<String> {
    let names = server.keys().chain(model.keys());
    let name = names.into_iter().find(|name| server.get(*name) != model.get(*name))?;
    let shown = |keys: &Keys| keys.get(name).map_or_else(|| "no such key".to_owned(), shown);
    Some(format!("{name}\n  server: {}\n  model:  {}", shown(server), shown(model)))
}

fn shown(Held { value, len, expires_at }: &Held) -> String {
    let field = |(name, value): (&String, &Vec<u8>)| format!("{name}={}", value.escape_ascii());
    let value = match value {
        Value::Hash(fields) => fields.iter().map(field).collect::<Vec<_>>().join(" "),
        Value::SortedSet(members) => format!("{members:?}"),
        Value::Stream(entries) => {
            let entry = |(id, fields): (&StreamId, &Vec<(String, Vec<u8>)>)| {
                let fields: Vec<_> = fields.iter().map(|(name, value)| field((name, value))).collect();
                format!("\n    {id}: {}", fields.join(" "))
            };
            format!("{len} entries, {}", entries.iter().map(entry).collect::<String>())
        }
        Value::String(bytes) => bytes.escape_ascii().to_string(),
    };
    match expires_at {
        Some(at) => format!("{value} (expires at {at})"),
        None => value,
    }
}
