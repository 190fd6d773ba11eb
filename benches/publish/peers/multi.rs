//! MULTI/EXEC: what a client sends that knows no rules, and one that knew beforehand what they come to.

use super::STREAM_MAXLEN;
use crate::ids::{CLOSED_TTL_MS, SIGNAL_TTL_MS};
use crate::wire::Batch;
use crate::workload::{About, Change, Event, Expiry, IndexChange};

/// The commands as one transaction; nothing when there are none, as for a repeat.
pub fn of(batch: &mut Batch, commands: &Batch) {
    if !commands.is_empty() {
        batch.push(&["MULTI"]);
        batch.append(commands);
        batch.push(&["EXEC"]);
    }
}

/// Today's client: it writes what it was told, reads nothing and knows no ids. `now_ms` is its clock.
pub fn blind(batch: &mut Batch, event: &Event, now_ms: u64) {
    let mut commands = Batch::default();
    push_blind(&mut commands, event, now_ms, STREAM_MAXLEN);
    of(batch, &commands);
}

/// The commands of that transaction, with another length of the log.
pub fn push_blind(batch: &mut Batch, event: &Event, now_ms: u64, maxlen: &str) {
    match &event.about {
        About::Entity(change) => {
            let entity = change.subject.key(event.symbol, &change.id);
            let mut args = vec!["HSET", &entity, "status", change.status];
            for (name, value) in &event.data.flat {
                args.extend([name, value.as_str()]);
            }
            batch.push(&args);
            if let Some(args) = index(event, change) {
                batch.push(&args.iter().map(String::as_str).collect::<Vec<_>>());
            }
            if let Some(at) = expires_at(change, now_ms) {
                batch.push(&["PEXPIREAT", &entity, &at.to_string()]);
            }
        }
        About::Risk { limit } => {
            batch.push(&["HSET", &key(event, "risk"), limit, &event.data.json]);
        }
        About::Record => {}
    }
    batch.push(&[
        "XADD",
        &key(event, "events"),
        "MAXLEN",
        "~",
        maxlen,
        "*",
        "type",
        event.event_type,
        "data",
        &event.data.json,
        "ts",
        &event.ts.to_string(),
    ]);
    let message = format!(
        r#"{{"event_type":"{}","symbol":"{}","timestamp":"{}","data":{}}}"#,
        event.event_type, event.symbol, event.timestamp, event.data.json
    );
    batch.push(&["PUBLISH", &format!("trades:{}:{}", event.symbol, event.event_type), &message]);
}

/// A key of the event's symbol.
pub fn key(event: &Event, rest: &str) -> String {
    format!("trade:{{{}}}:{rest}", event.symbol)
}

/// The command that keeps the index.
pub fn index(event: &Event, change: &Change) -> Option<Vec<String>> {
    let key = change.subject.index_key(event.symbol)?;
    match change.index {
        IndexChange::Enter => Some(vec!["ZADD".to_owned(), key, event.ts.to_string(), change.id.clone()]),
        IndexChange::Leave => Some(vec!["ZREM".to_owned(), key, change.id.clone()]),
        IndexChange::Stay => None,
    }
}

/// When the entity expires, if the event says so.
pub fn expires_at(change: &Change, now_ms: u64) -> Option<u64> {
    match change.expiry {
        Expiry::Unchanged => None,
        Expiry::Unjudged => Some(now_ms + SIGNAL_TTL_MS),
        Expiry::Closed => Some(now_ms + CLOSED_TTL_MS),
    }
}
