//! The message that subscribers get: one compact JSON object.

use crate::event_name::EventName;
use crate::json::push_string;
use crate::key::Scope;
use crate::stream_id::StreamId;
use crate::time::{Millis, Rfc3339};

/// What a message says. The data goes in byte for byte.
#[derive(Clone, Copy, Debug)]
pub struct Content<'c> {
    /// The event's id in the log.
    pub id: StreamId,
    /// The id before it on the same channel: who sees a gap reads on from the log.
    pub prev_id: StreamId,
    /// The id before it in the log, for who listens to all of a symbol.
    pub prev_log_id: StreamId,
    /// The type.
    pub event_type: EventName<'c>,
    /// Of what symbol or stream: no byte of the name needs escaping.
    pub scope: Scope<'c>,
    /// When it happened.
    pub happened_at: Millis,
    /// When it was published.
    pub published_at: Millis,
    /// The data, valid JSON.
    pub data: &'c str,
    /// Who says so.
    pub source: Option<&'c str>,
    /// What it belongs to.
    pub correlation_id: Option<&'c str>,
    /// The caller's id of the event.
    pub event_id: Option<&'c str>,
    /// Whether it came too late to matter in full.
    pub late: bool,
    /// Status and version of the entity after the event.
    pub entity: Option<(&'static str, u64)>,
    /// Whether it is told for the first time.
    pub telling: Telling,
}

/// Whether a message is the news or tells it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telling {
    /// The event has just been accepted.
    Live,
    /// It is read from the log again.
    Replay,
}

impl Content<'_> {
    /// The JSON text.
    pub fn to_json(&self) -> String {
        let mut out = String::with_capacity(320 + self.data.len());
        push_ids(self.id, self.prev_id, &mut out);
        out.push_str(r#"","prev_log_id":""#);
        self.prev_log_id.push_to(&mut out);
        for text in
            [r#"","event_type":""#, self.event_type.as_str(), r#"",""#, self.scope.kind(), r#"":""#, self.scope.name()]
        {
            out.push_str(text);
        }
        push_times(self.happened_at, self.published_at, &mut out);
        out.push_str(r#"","data":"#);
        out.push_str(self.data);
        for (lead, text) in [
            (r#","source":"#, self.source),
            (r#","correlation_id":"#, self.correlation_id),
            (r#","event_id":"#, self.event_id),
        ] {
            if let Some(text) = text {
                out.push_str(lead);
                push_string(text, &mut out);
            }
        }
        if self.late {
            out.push_str(r#","late":true"#);
        }
        if let Some((status, version)) = self.entity {
            out.push_str(r#","status":""#);
            out.push_str(status);
            out.push_str(r#"","version":"#);
            out.push_str(itoa::Buffer::new().format(version));
        }
        if self.telling == Telling::Replay {
            out.push_str(r#","replay":true"#);
        }
        out.push('}');
        out
    }
}

/// Appends what every message begins with, up to within the quotes of its second id.
pub(crate) fn push_ids(id: StreamId, prev_id: StreamId, out: &mut String) {
    for (lead, id) in [(r#"{"id":""#, id), (r#"","prev_id":""#, prev_id)] {
        out.push_str(lead);
        id.push_to(out);
    }
}

/// Appends the times of a message, from within the quotes of what is before to within those of the second.
pub(crate) fn push_times(happened_at: Millis, published_at: Millis, out: &mut String) {
    let happened = Rfc3339::of(happened_at);
    // Equal for an event that tells no time of its own.
    let published = if published_at == happened_at { happened } else { Rfc3339::of(published_at) };
    for (lead, time) in [(r#"","timestamp":""#, &happened), (r#"","published_at":""#, &published)] {
        out.push_str(lead);
        out.push_str(time.as_str());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_type::EventType;

    #[test]
    fn a_message_in_full_and_in_short() {
        let mut content = Content {
            id: StreamId { ms: 1_763_402_400_000, seq: 1 },
            prev_id: StreamId::ZERO,
            prev_log_id: StreamId { ms: 1_763_402_400_000, seq: 0 },
            event_type: EventName::Trade(EventType::OrderCreated),
            scope: Scope::Symbol("BTC/USDT"),
            happened_at: 1_763_402_400_000,
            published_at: 1_763_402_400_001,
            data: r#"{ "order_id": "1" }"#,
            source: None,
            correlation_id: None,
            event_id: None,
            late: false,
            entity: None,
            telling: Telling::Live,
        };
        let head = concat!(
            r#"{"id":"1763402400000-1","prev_id":"0-0","prev_log_id":"1763402400000-0","event_type":"order.created","#,
            r#""symbol":"BTC/USDT","timestamp":"2025-11-17T18:00:00.000Z","published_at":"2025-11-17T18:00:00.001Z","#,
            r#""data":{ "order_id": "1" }"#
        );
        assert_eq!(content.to_json(), format!("{head}}}"));
        content.source = Some("a\"b");
        content.correlation_id = Some("c");
        content.event_id = Some("e");
        content.late = true;
        content.entity = Some(("pending", 3));
        let tail =
            r#","source":"a\"b","correlation_id":"c","event_id":"e","late":true,"status":"pending","version":3}"#;
        assert_eq!(content.to_json(), format!("{head}{tail}"));
        content.telling = Telling::Replay;
        content.scope = Scope::Stream("policy");
        content.event_type = EventName::Stream("policy.updated");
        let replayed = head.replace(r#""symbol":"BTC/USDT""#, r#""stream":"policy""#);
        let replayed = replayed.replace("order.created", "policy.updated");
        let tail = tail.replace('}', r#","replay":true}"#);
        assert_eq!(content.to_json(), format!("{replayed}{tail}"));
    }
}
