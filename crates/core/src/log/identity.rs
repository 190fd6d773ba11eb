//! Ids of events, and of triggers: a repeat changes nothing.

use std::borrow::Cow;

use super::dedupe::{self, Generations, Width};
use super::notes::Notes;
use super::Log;
use crate::event::Event;
use crate::event_name::Named;
use crate::key::Key;
use crate::plan::{Expiry, Name};
use crate::record::Record;
use crate::refusal::{Code, Outcome};
use crate::settings::Settings;
use crate::store::{Slot, Store};
use crate::stream_id::StreamId;
use crate::time::Millis;

/// The ids that are remembered, each with a record of what it stands for, during one command.
pub(crate) struct Ids<'i, 'a, S> {
    pub(crate) store: &'i S,
    pub(crate) records: &'i mut Vec<Record<'a>>,
    pub(crate) notes: &'i mut Notes,
    /// Those that live. Whoever keeps them has to write them when they change.
    pub(crate) seen: &'i mut Generations,
    /// Where a bucket is.
    pub(crate) bucket: fn(u64) -> Key<'static>,
    pub(crate) now: Millis,
}

impl<'a, S: Store<'a>> Ids<'_, 'a, S> {
    /// What an id stands for, read by `parse`; `None` when it is not remembered.
    ///
    /// # Errors
    /// WRONGTYPE; CORRUPT when `parse` cannot read it.
    pub(crate) fn recall<T>(&mut self, id: &Name<'a>, parse: impl Fn(&[u8]) -> Option<T>) -> Outcome<Option<T>> {
        for generation in self.seen.living(self.now) {
            let key = (self.bucket)(generation.bucket(id));
            let at = self.notes.record(self.store, self.records, key)?;
            let bucket = &mut self.records[at];
            bucket.load_named(self.store, std::iter::once(id.clone()));
            if let Some(known) = bucket.get(id) {
                let corrupt = || bucket.corrupt(id, "an idempotency record as tradebus writes it");
                return parse(known).map(Some).ok_or_else(corrupt);
            }
        }
        Ok(None)
    }

    /// Remembers an id, as `record` writes it; gives how many others are forgotten for it before their time.
    ///
    /// # Errors
    /// WRONGTYPE.
    pub(crate) fn remember(
        &mut self,
        id: Name<'a>,
        record: impl FnOnce(Width) -> String,
        settings: &Settings,
    ) -> Outcome<u64> {
        let (store, notes) = (self.store, &*self.notes);
        let filled = |bucket| Ok(ids_in(store, notes, store.open((self.bucket)(bucket))?));
        let Settings { dedupe_window_ms: window, dedupe_max, .. } = *settings;
        let (home, dropped) = self.seen.take_in(&id, self.now, window, dedupe_max, filled)?;
        let mut forgotten = 0;
        for generation in dropped {
            let is_needed = generation.expires_at() > self.now;
            for bucket in generation.buckets() {
                let slot = self.store.open((self.bucket)(bucket))?;
                if is_needed {
                    forgotten += ids_in(self.store, self.notes, slot);
                }
                self.notes.unlink(slot);
            }
        }
        let at = self.notes.record(self.store, self.records, (self.bucket)(home.bucket(&id)))?;
        let slot = self.records[at].slot();
        if !self.records[at].exists() {
            self.notes.expire(slot, Expiry::At(home.expires_at()));
        }
        let width = Width::of_next(ids_in(self.store, self.notes, slot));
        self.notes.count_new_id(slot);
        self.records[at].set(id, record(width));
        Ok(forgotten)
    }
}

/// The ids in a bucket, with those that this command has put there.
fn ids_in<'a, S: Store<'a>>(store: &S, notes: &Notes, bucket: Slot) -> u64 {
    store.len(bucket) + notes.new_ids(bucket)
}

impl<'a, S: Store<'a>> Log<'_, 'a, S> {
    fn ids(&mut self) -> Ids<'_, 'a, S> {
        Ids {
            store: self.store,
            records: &mut self.records,
            notes: &mut self.notes,
            seen: &mut self.journal.seen,
            bucket: Key::Seen,
            now: self.clock.now,
        }
    }

    /// The event that bore this id, if it is remembered and says the same.
    ///
    /// # Errors
    /// IDCONFLICT, WRONGTYPE, CORRUPT.
    pub fn recall_event<T: Named>(&mut self, event_id: &'a str, event: &Event<'a, T>) -> Outcome<Option<StreamId>> {
        match self.ids().recall(&Cow::Borrowed(event_id), dedupe::parse_record)? {
            Some((id, digest)) if digest != event.digest() => {
                Err(Code::IdConflict.because(format!("ID '{event_id}' is known from event {id} with another content")))
            }
            known => Ok(known.map(|(id, _)| id)),
        }
    }

    pub(super) fn remember_event(&mut self, event_id: &'a str, id: StreamId, digest: u64) -> Outcome<()> {
        let (settings, before) = (self.settings, self.journal.seen);
        let record = |width| dedupe::record_text(id, digest, width);
        self.forgotten += self.ids().remember(Cow::Borrowed(event_id), record, settings)?;
        if self.journal.seen != before {
            self.journal.flush_now();
        }
        Ok(())
    }
}
