//! Fills by their id: the same fill again changes nothing. And what a repeat is answered.

use super::subject::{known_status, SubjectId};
use super::Session;
use crate::event::Event;
use crate::fill::Fill;
use crate::log::Receipt;
use crate::refusal::Outcome;
use crate::store::Store;
use crate::stream_id::StreamId;

/// How a fill stands to what is known.
pub(super) enum Recalled<'a> {
    /// The event tells none that has an id.
    Anonymous(Option<Fill<'a>>),
    /// A new one, to be remembered in this record.
    New(Fill<'a>, usize),
    /// The event of this id told it already.
    Known(StreamId),
}

impl<'a, S: Store<'a>> Session<'_, 'a, S> {
    /// A repeat changes nothing; its receipt shows the entity as it is.
    pub(super) fn accept_repeat(&mut self, first: StreamId, event: &Event<'a>, event_id: &'a str) -> Receipt {
        // What is wrong with the entity's hash is no reason to refuse a retry: it writes nothing.
        let entity = self.entity_now(event, event_id).unwrap_or(None);
        self.log.accept_repeat(first, entity)
    }

    fn entity_now(&mut self, event: &Event<'a>, event_id: &'a str) -> Outcome<Option<(&'static str, u64)>> {
        let Some(subject) = SubjectId::of(event, Some(event_id))? else {
            return Ok(None);
        };
        let at = self.log.record(subject.key())?;
        let record = &mut self.log.records[at];
        record.load(self.log.store, &["status", "version"]);
        let status = record.text("status")?.and_then(known_status);
        Ok(status.zip(record.integer("version")?))
    }

    /// Looks the fill that an event tells up by its id.
    pub(super) fn recall_fill(&mut self, event: &Event<'a>, subject: &SubjectId<'a>) -> Outcome<Recalled<'a>> {
        let fill = match Fill::read(event)? {
            Some(fill) => fill,
            None => return Ok(Recalled::Anonymous(None)),
        };
        let (Some(fill_id), Some(memory_key)) = (fill.id.clone(), subject.fills_key()) else {
            return Ok(Recalled::Anonymous(Some(fill)));
        };
        let memory = self.log.record(memory_key)?;
        self.log.records[memory].load_named(self.log.store, std::iter::once(fill_id.clone()));
        Ok(match fill.recall(&fill_id, &self.log.records[memory])? {
            Some(first) => Recalled::Known(first),
            None => Recalled::New(fill, memory),
        })
    }
}
