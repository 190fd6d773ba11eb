//! The ways to publish that are compared: what each sends for a workload, and how much of the state it vouches for.

use std::collections::{HashMap, HashSet};
use std::io;

use crate::check::Claim;
use crate::wire::{Batch, Connection};
use crate::workload::{About, Change, Event, Expiry, IndexChange, Subject, Workload, SYMBOLS};

/// Events in flight of a client that sends them one by one.
const PIPELINE: usize = 50;
/// Events of one TRADE.MPUBLISH.
const MPUBLISH_EVENTS: usize = 100;

/// Low enough that the logs of a full run are trimmed, as those of a server in its second week are.
const STREAM_MAXLEN: &str = "1000";
/// The module's defaults.
const CLOSED_TTL_MS: u64 = 7 * 86_400_000;
const SIGNAL_TTL_MS: u64 = 86_400_000;

const SCRIPT: &str = include_str!("publish.lua");

/// A way to publish.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    MultiBlind,
    MultiFull,
    Script,
    Publish,
    PublishWithId,
    Mpublish,
}

impl Peer {
    pub const ALL: [Peer; 6] =
        [Peer::MultiBlind, Peer::MultiFull, Peer::Script, Peer::Publish, Peer::PublishWithId, Peer::Mpublish];

    /// What the others are measured by: what clients send today.
    pub const BASELINE: Peer = Peer::MultiBlind;

    /// The name to choose it by on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Peer::MultiBlind => "multi",
            Peer::MultiFull => "multi-full",
            Peer::Script => "evalsha",
            Peer::Publish => "publish",
            Peer::PublishWithId => "publish-id",
            Peer::Mpublish => "mpublish",
        }
    }

    pub fn about(self) -> &'static str {
        match self {
            Peer::MultiBlind => "MULTI/EXEC of blind writes",
            Peer::MultiFull => "MULTI/EXEC, as many fields as the module",
            Peer::Script => "EVALSHA, the same rules (floats)",
            Peer::Publish => "TRADE.PUBLISH",
            Peer::PublishWithId => "TRADE.PUBLISH with ID",
            Peer::Mpublish => "TRADE.MPUBLISH of 100",
        }
    }

    pub fn needs_module(self) -> bool {
        matches!(self, Peer::Publish | Peer::PublishWithId | Peer::Mpublish)
    }

    /// What of the final state has to be right.
    pub fn claim(self) -> Claim {
        match self {
            Peer::MultiBlind => Claim::Status,
            _ => Claim::Everything,
        }
    }

    /// Sets the server up for it, and returns the workload as it will be sent. `now_ms` is the client's clock.
    pub fn prepare(self, connection: &mut Connection, workload: &Workload, now_ms: u64) -> io::Result<Vec<Batch>> {
        if self.needs_module() {
            connection.call(&["CONFIG", "SET", "tradebus.stream-maxlen", STREAM_MAXLEN])?;
        }
        Ok(match self {
            Peer::MultiBlind => pipelined(workload, |batch, event| multi_blind(batch, event, now_ms)),
            Peer::MultiFull => {
                let mut client = FullClient::new(now_ms);
                pipelined(workload, |batch, event| client.multi(batch, event))
            }
            Peer::Script => {
                let script = format!(
                    "local MAXLEN, CLOSED_TTL, SIGNAL_TTL = {STREAM_MAXLEN}, {CLOSED_TTL_MS}, {SIGNAL_TTL_MS}\n{SCRIPT}"
                );
                let sha = connection.call_text(&["SCRIPT", "LOAD", &script])?;
                pipelined(workload, |batch, event| evalsha(batch, event, &sha))
            }
            Peer::Publish => pipelined(workload, |batch, event| batch.push(&publish(event))),
            Peer::PublishWithId => pipelined(workload, |batch, event| {
                let mut args = publish(event).to_vec();
                args.extend(["ID", &event.event_id]);
                batch.push(&args);
            }),
            Peer::Mpublish => mpublish(workload),
        })
    }
}

fn pipelined(workload: &Workload, mut push: impl FnMut(&mut Batch, &Event)) -> Vec<Batch> {
    workload
        .events
        .chunks(PIPELINE)
        .map(|events| {
            let mut batch = Batch::default();
            for event in events {
                push(&mut batch, event);
            }
            batch
        })
        .collect()
}

fn publish(event: &Event) -> [&str; 4] {
    ["TRADE.PUBLISH", event.symbol, event.event_type, &event.data.json]
}

/// A batch is of one symbol, so the events are collected by symbol, and each call is its own round trip.
fn mpublish(workload: &Workload) -> Vec<Batch> {
    let mut waiting: HashMap<&str, Vec<&Event>> = HashMap::new();
    let mut batches = Vec::new();
    for event in &workload.events {
        let events = waiting.entry(event.symbol).or_default();
        events.push(event);
        if events.len() == MPUBLISH_EVENTS {
            batches.push(mpublish_of(events));
            events.clear();
        }
    }
    for (symbol, _) in SYMBOLS {
        if let Some(events) = waiting.get(symbol).filter(|events| !events.is_empty()) {
            batches.push(mpublish_of(events));
        }
    }
    batches
}

fn mpublish_of(events: &[&Event]) -> Batch {
    let count = events.len().to_string();
    let mut args = vec!["TRADE.MPUBLISH", events[0].symbol, &count];
    for event in events {
        args.extend([event.event_type, &event.data.json]);
    }
    let mut batch = Batch::default();
    batch.push(&args);
    batch
}

fn key(event: &Event, rest: &str) -> String {
    format!("trade:{{{}}}:{rest}", event.symbol)
}

fn channel(event: &Event) -> String {
    format!("trades:{}:{}", event.symbol, event.event_type)
}

/// Today's client: it writes what it was told, reads nothing and knows no ids.
fn multi_blind(batch: &mut Batch, event: &Event, now_ms: u64) {
    batch.push(&["MULTI"]);
    match &event.about {
        About::Entity(change) => {
            let entity = change.subject.key(event.symbol, &change.id);
            let mut args = vec!["HSET", &entity, "status", change.status];
            for (name, value) in &event.data.flat {
                args.extend([name, value.as_str()]);
            }
            batch.push(&args);
            push_index(batch, event, change);
            push_expiry(batch, &entity, change, now_ms);
        }
        About::Risk { limit } => {
            batch.push(&["HSET", &key(event, "risk"), limit, &event.data.json]);
        }
        About::Record => {}
    }
    push_xadd(batch, event, "*");
    let message = format!(
        r#"{{"event_type":"{}","symbol":"{}","timestamp":"{}","data":{}}}"#,
        event.event_type, event.symbol, event.timestamp, event.data.json
    );
    batch.push(&["PUBLISH", &channel(event), &message]);
    batch.push(&["EXEC"]);
}

fn push_xadd(batch: &mut Batch, event: &Event, id: &str) {
    batch.push(&[
        "XADD",
        &key(event, "events"),
        "MAXLEN",
        "~",
        STREAM_MAXLEN,
        id,
        "type",
        event.event_type,
        "data",
        &event.data.json,
        "ts",
        &event.ts.to_string(),
    ]);
}

fn push_index(batch: &mut Batch, event: &Event, change: &Change) {
    let Some(index) = change.subject.index_key(event.symbol) else {
        return;
    };
    match change.index {
        IndexChange::Enter => batch.push(&["ZADD", &index, &event.ts.to_string(), &change.id]),
        IndexChange::Leave => batch.push(&["ZREM", &index, &change.id]),
        IndexChange::Stay => {}
    }
}

fn push_expiry(batch: &mut Batch, key: &str, change: &Change, now_ms: u64) {
    let ttl_ms = match change.expiry {
        Expiry::Unchanged => return,
        Expiry::Unjudged => SIGNAL_TTL_MS,
        Expiry::Closed => CLOSED_TTL_MS,
    };
    batch.push(&["PEXPIREAT", key, &(now_ms + ttl_ms).to_string()]);
}

/// A client that knows everything beforehand: sums, versions, even the ids, which it gives out itself.
/// No real client can, but it shows what writing all the module's fields costs without deciding anything.
struct FullClient {
    now_ms: u64,
    events: u64,
    last_of_log: HashMap<&'static str, String>,
    last_of_channel: HashMap<String, String>,
    with_fills: HashSet<String>,
}

impl FullClient {
    fn new(now_ms: u64) -> FullClient {
        FullClient {
            now_ms,
            events: 0,
            last_of_log: HashMap::new(),
            last_of_channel: HashMap::new(),
            with_fills: HashSet::new(),
        }
    }

    fn multi(&mut self, batch: &mut Batch, event: &Event) {
        self.events += 1;
        let id_ms = (self.now_ms + self.events).to_string();
        let id = format!("{id_ms}-0");
        let mut message_end = String::new();

        batch.push(&["MULTI"]);
        match &event.about {
            About::Entity(change) => {
                self.push_entity(batch, event, change, &id_ms, &id);
                message_end = format!(r#","status":"{}""#, change.status);
                if let Some((_, version)) = change.derived.iter().find(|(n, _)| *n == "version") {
                    message_end += &format!(r#","version":{version}"#);
                }
            }
            About::Risk { limit } => {
                let breach = format!(r#"{{"breach":{},"id":"{id}"}}"#, event.data.json);
                batch.push(&["HSET", &key(event, "risk"), limit, &breach]);
            }
            About::Record => {}
        }
        push_xadd(batch, event, &id);

        let channel = channel(event);
        let first = || "0-0".to_owned();
        let prev_log_id = self.last_of_log.insert(event.symbol, id.clone());
        let prev_id = self.last_of_channel.insert(channel.clone(), id.clone());
        let message = format!(
            r#"{{"id":"{id}","prev_id":"{}","prev_log_id":"{}","event_type":"{}","symbol":"{}","timestamp":"{}","published_at":"{}","data":{}{message_end}}}"#,
            prev_id.unwrap_or_else(first),
            prev_log_id.unwrap_or_else(first),
            event.event_type,
            event.symbol,
            event.timestamp,
            event.timestamp,
            event.data.json,
        );
        batch.push(&["PUBLISH", &channel, &message]);
        batch.push(&["EXEC"]);
    }

    fn push_entity(&mut self, batch: &mut Batch, event: &Event, change: &Change, id_ms: &str, id: &str) {
        let entity = change.subject.key(event.symbol, &change.id);
        let mut args = vec!["HSET", &entity, "status", change.status];
        for (name, value) in &change.derived {
            args.extend([name, value.as_str()]);
        }
        args.extend(["updated_at", id_ms, "last_event_id", id]);
        for (name, value) in &event.data.flat {
            if change.derived.iter().all(|(derived, _)| derived != name) {
                args.extend([name, value.as_str()]);
            }
        }
        batch.push(&args);
        push_index(batch, event, change);
        push_expiry(batch, &entity, change, self.now_ms);

        let fills = key(event, &format!("fills:{}", change.id));
        if let Some((fill_id, content)) = &change.fill {
            batch.push(&["HSET", &fills, fill_id, &format!("{content} {id}")]);
            self.with_fills.insert(fills.clone());
        }
        if self.with_fills.contains(&fills) {
            push_expiry(batch, &fills, change, self.now_ms);
        }
    }
}

fn evalsha(batch: &mut Batch, event: &Event, sha: &str) {
    let mut keys = vec![key(event, "events"), key(event, "last")];
    match &event.about {
        About::Entity(change) => {
            keys.push(change.subject.key(event.symbol, &change.id));
            keys.extend(change.subject.index_key(event.symbol));
            if change.subject == Subject::Order {
                keys.push(key(event, &format!("fills:{}", change.id)));
            }
        }
        About::Risk { .. } => keys.push(key(event, "risk")),
        About::Record => {}
    }
    let count = keys.len().to_string();
    let ts = event.ts.to_string();
    let mut args = vec!["EVALSHA", sha, &count];
    args.extend(keys.iter().map(String::as_str));
    args.extend([event.event_type, &event.data.json, event.symbol, &ts]);
    batch.push(&args);
}
