//! What is known already: events by their id, fills by theirs. A repeat changes nothing.

use std::borrow::Cow;

use super::subject::{known_status, SubjectId};
use super::{Accepted, Receipt, Session};
use crate::dedupe;
use crate::event::Event;
use crate::fill::Fill;
use crate::key::Key;
use crate::plan::Expiry;
use crate::refusal::{Code, Outcome};
use crate::settings::Settings;
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
    /// The event that bore this id, if it is remembered and says the same.
    pub(super) fn recall_event(&mut self, event_id: &'a str, event: &Event<'a>) -> Outcome<Option<StreamId>> {
        let seen = self.journal.seen;
        for generation in seen.living(self.clock.now) {
            let at = self.record(Key::Seen(generation.bucket(event_id)))?;
            let bucket = &mut self.records[at];
            bucket.load_named(self.store, std::iter::once(Cow::Borrowed(event_id)));
            let Some(known) = bucket.get(event_id) else {
                continue;
            };
            let (id, digest) = dedupe::parse_record(known)
                .ok_or_else(|| bucket.corrupt(event_id, "an idempotency record as tradebus writes it"))?;
            if digest != event.digest() {
                return Err(
                    Code::IdConflict.because(format!("ID '{event_id}' is known from event {id} with another content"))
                );
            }
            return Ok(Some(id));
        }
        Ok(None)
    }

    pub(super) fn remember_event(&mut self, event_id: &'a str, id: StreamId, digest: u64) -> Outcome<()> {
        let Settings { dedupe_window_ms: window, dedupe_max, .. } = *self.settings;
        let mut seen = self.journal.seen;
        let filled = |bucket| {
            let slot = self.store.open(Key::Seen(bucket))?;
            Ok(self.store.len(slot) + self.entities.new_ids(slot))
        };
        let (home, dropped) = seen.take_in(event_id, self.clock.now, window, dedupe_max, filled)?;
        if seen != self.journal.seen {
            self.journal.seen = seen;
            self.journal.flush_now();
        }
        for generation in dropped {
            let is_needed = generation.expires_at() > self.clock.now;
            for bucket in generation.buckets() {
                let slot = self.store.open(Key::Seen(bucket))?;
                if is_needed {
                    self.forgotten += self.store.len(slot) + self.entities.new_ids(slot);
                }
                self.entities.unlink(slot);
            }
        }
        let at = self.record(Key::Seen(home.bucket(event_id)))?;
        let slot = self.records[at].slot();
        if !self.records[at].exists() {
            self.entities.expire(slot, Expiry::At(home.expires_at()));
        }
        self.entities.count_new_id(slot);
        self.records[at].set(event_id, dedupe::record_text(id, digest));
        Ok(())
    }

    /// A repeat changes nothing; its receipt shows the entity as it is.
    pub(super) fn accept_repeat(&mut self, first: StreamId, event: &Event<'a>, event_id: &'a str) -> Receipt {
        // What is wrong with the entity's hash is no reason to refuse a retry: it writes nothing.
        let entity = self.entity_now(event, event_id).unwrap_or(None);
        let receipt = Receipt { id: first, outcome: Accepted::Duplicate, entity };
        self.receipts.push(receipt);
        receipt
    }

    fn entity_now(&mut self, event: &Event<'a>, event_id: &'a str) -> Outcome<Option<(&'static str, u64)>> {
        let Some(subject) = SubjectId::of(event, Some(event_id))? else {
            return Ok(None);
        };
        let at = self.record(subject.key())?;
        let record = &mut self.records[at];
        record.load(self.store, &["status", "version"]);
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
        let memory = self.record(memory_key)?;
        self.records[memory].load_named(self.store, std::iter::once(fill_id.clone()));
        Ok(match fill.recall(&fill_id, &self.records[memory])? {
            Some(first) => Recalled::Known(first),
            None => Recalled::New(fill, memory),
        })
    }
}
