//! An entry of a log, read back.

use crate::store::Entry;
use crate::stream_id::StreamId;
use crate::time::Millis;

/// What an entry says. Entries that tradebus did not write may lack anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Logged<'e> {
    /// Its id.
    pub id: StreamId,
    /// The event's type, as stored.
    pub event_type: &'e [u8],
    /// The event's data.
    pub data: &'e [u8],
    /// The event's own time.
    pub happened_at: Option<Millis>,
    /// SOURCE.
    pub source: Option<&'e [u8]>,
    /// CORRELATION.
    pub correlation_id: Option<&'e [u8]>,
    /// ID.
    pub event_id: Option<&'e [u8]>,
    /// How it was accepted.
    pub outcome: Outcome,
    /// What the judgement took from outside the event, as JSON.
    pub context: Option<&'e [u8]>,
}

/// How a logged event was accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outcome {
    /// In full.
    #[default]
    Applied,
    /// After it could matter in full.
    Late,
    /// Without being judged.
    Record,
}

impl<'e> Logged<'e> {
    /// Reads the fields of an entry.
    pub fn read(id: StreamId, entry: &Entry<'e>) -> Logged<'e> {
        let mut logged = Logged { id, ..Logged::default() };
        for &(name, value) in entry {
            match name {
                b"type" => logged.event_type = value,
                b"data" => logged.data = value,
                b"ts" => logged.happened_at = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()),
                b"source" => logged.source = Some(value),
                b"correlation_id" => logged.correlation_id = Some(value),
                b"event_id" => logged.event_id = Some(value),
                b"outcome" => {
                    logged.outcome = match value {
                        b"late" => Outcome::Late,
                        b"record" => Outcome::Record,
                        _ => Outcome::Applied,
                    }
                }
                b"context" => logged.context = Some(value),
                _ => {}
            }
        }
        logged
    }
}
