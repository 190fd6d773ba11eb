//! Event ids: a repeat changes nothing.

use std::borrow::Cow;

use super::{dedupe, Log};
use crate::event::Event;
use crate::event_name::Named;
use crate::key::Key;
use crate::plan::Expiry;
use crate::refusal::{Code, Outcome};
use crate::settings::Settings;
use crate::store::Store;
use crate::stream_id::StreamId;

impl<'a, S: Store<'a>> Log<'_, 'a, S> {
    /// The event that bore this id, if it is remembered and says the same.
    ///
    /// # Errors
    /// IDCONFLICT, WRONGTYPE, CORRUPT.
    pub fn recall_event<T: Named>(&mut self, event_id: &'a str, event: &Event<'a, T>) -> Outcome<Option<StreamId>> {
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
            Ok(self.store.len(slot) + self.notes.new_ids(slot))
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
                    self.forgotten += self.store.len(slot) + self.notes.new_ids(slot);
                }
                self.notes.unlink(slot);
            }
        }
        let at = self.record(Key::Seen(home.bucket(event_id)))?;
        let slot = self.records[at].slot();
        if !self.records[at].exists() {
            self.notes.expire(slot, Expiry::At(home.expires_at()));
        }
        self.notes.count_new_id(slot);
        self.records[at].set(event_id, dedupe::record_text(id, digest));
        Ok(())
    }
}
