//! The ids that a server gave, beside those of the model: which is which, and what else follows from an id.

use std::collections::HashMap;

use tradebus_core::stream_id::StreamId;
use tradebus_core::time::push_rfc3339;

use crate::model::Model;
use crate::workload::Workload;

const DAY_MS: u64 = 86_400_000;
/// How long finished entities and signals without a judgement are kept: the module's defaults.
pub const CLOSED_TTL_MS: u64 = 7 * DAY_MS;
pub const SIGNAL_TTL_MS: u64 = DAY_MS;

/// The server's id for each of the model's.
pub struct Ids {
    given: HashMap<StreamId, StreamId>,
}

impl Ids {
    /// Of a client that gives out the ids itself, and takes the model's.
    pub fn of_model(model: &Model) -> Ids {
        Ids { given: model.told.iter().map(|told| (told.id, told.id)).collect() }
    }

    /// From what events were answered with: `order` has the number of the event of each reply.
    ///
    /// # Errors
    /// When a repeat is not answered with the first id, or the ids of a symbol do not grow.
    pub fn of_replies(model: &Model, workload: &Workload, order: &[usize], replies: &[String]) -> Result<Ids, String> {
        if order.len() != replies.len() {
            return Err(format!("{} replies to {} events", replies.len(), order.len()));
        }
        let mut ids = Ids { given: HashMap::with_capacity(order.len()) };
        let mut newest: HashMap<&str, StreamId> = HashMap::new();
        for (&number, reply) in order.iter().zip(replies) {
            let (told, event) = (&model.told[number], &workload.events[number]);
            let id: StreamId = reply.parse().map_err(|_| format!("{} is answered with {reply}", event.event_id))?;
            if told.is_repeat {
                let first = ids.of(told.id);
                if first != id {
                    return Err(format!("{} is told again and answered with {id}, not {first}", event.event_id));
                }
                continue;
            }
            let before = newest.insert(event.symbol, id);
            if before.is_some_and(|before| before >= id) {
                return Err(format!("{} is answered with {id}, behind {before:?}", event.event_id));
            }
            ids.given.insert(told.id, id);
        }
        Ok(ids)
    }

    /// The server's id; that of no event stays as it is.
    pub fn of(&self, id: StreamId) -> StreamId {
        self.given.get(&id).copied().unwrap_or(id)
    }

    /// The same, of a text that may be an id.
    pub fn of_text(&self, text: &str) -> String {
        text.parse().map_or_else(|_| text.to_owned(), |id| self.of(id).to_string())
    }

    /// When a key expires that the model has expire at `at`: as long after the event that said so.
    pub fn of_expiry(&self, at: i64) -> i64 {
        let of_ttl = |ttl: u64| {
            let event = StreamId { ms: (at as u64).checked_sub(ttl)?, seq: 0 };
            Some((self.given.get(&event)?.ms + ttl) as i64)
        };
        of_ttl(CLOSED_TTL_MS).or_else(|| of_ttl(SIGNAL_TTL_MS)).unwrap_or(at)
    }

    /// The message as the server sends it.
    pub fn of_message(&self, message: &str) -> Option<String> {
        let mut rest = message;
        let mut text = String::with_capacity(message.len());
        let mut own = StreamId::ZERO;
        for lead in [r#"{"id":""#, r#"","prev_id":""#, r#"","prev_log_id":""#] {
            rest = rest.strip_prefix(lead)?;
            let end = rest.find('"')?;
            let id = self.of(rest[..end].parse().ok()?);
            if own == StreamId::ZERO {
                own = id;
            }
            text += lead;
            id.push_to(&mut text);
            rest = &rest[end..];
        }
        let (before, after) = published_at(rest)?;
        text += before;
        text.push('"');
        push_rfc3339(own.ms as i64, &mut text);
        text.push('"');
        text += after;
        Some(text)
    }
}

/// What stands before and behind the time of publishing, which a script cannot write as a calendar has it.
pub fn published_at(message: &str) -> Option<(&str, &str)> {
    const LEAD: &str = r#""published_at":"#;
    let begin = message.find(LEAD)? + LEAD.len();
    let end = begin + message[begin..].find(r#","data":"#)?;
    Some((&message[..begin], &message[end..]))
}
