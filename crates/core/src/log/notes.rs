//! What a command has done to each key so far, apart from the fields of hashes: index membership, expiries,
//! what is dropped. Of several changes to one key only the last is written.

use crate::key::Key;
use crate::plan::{Expiry, IndexPatch, Plan};
use crate::record::Record;
use crate::refusal::Outcome;
use crate::store::{Slot, Store};

/// Notes on keys, by slot: slots are small numbers, given out one after the other.
#[derive(Debug, Default)]
pub struct Notes {
    notes: Vec<Note>,
}

#[derive(Debug, Default)]
struct Note {
    record: Option<usize>,
    membership: Option<Membership>,
    expiry: Option<Expiry>,
    new_ids: u64,
    is_dropped: bool,
}

#[derive(Debug)]
struct Membership {
    member: String,
    is_open: bool,
    /// The index and the new score (`None`: out of it), once anything about it changed.
    change: Option<(Slot, Option<i64>)>,
}

impl Notes {
    fn note(&self, slot: Slot) -> Option<&Note> {
        self.notes.get(slot.0 as usize)
    }

    fn note_mut(&mut self, slot: Slot) -> &mut Note {
        let at = slot.0 as usize;
        if self.notes.len() <= at {
            self.notes.resize_with(at + 1, Note::default);
        }
        &mut self.notes[at]
    }

    /// The place in `records` of the record of a key, the same one for the whole command.
    ///
    /// # Errors
    /// WRONGTYPE.
    pub fn record<'a, S: Store<'a>>(
        &mut self,
        store: &S,
        records: &mut Vec<Record<'a>>,
        key: Key<'_>,
    ) -> Outcome<usize> {
        let slot = store.open(key)?;
        if let Some(at) = self.note(slot).and_then(|note| note.record) {
            return Ok(at);
        }
        records.push(Record::new(store, slot));
        self.note_mut(slot).record = Some(records.len() - 1);
        Ok(records.len() - 1)
    }

    /// Notes whether an entity, which its index knows as `member`, was open before its first event of this command.
    pub fn begin(&mut self, slot: Slot, member: &str, is_open: impl FnOnce() -> bool) {
        let note = self.note_mut(slot);
        if note.membership.is_none() {
            note.membership = Some(Membership { member: member.to_owned(), is_open: is_open(), change: None });
        }
    }

    /// Whether the entity is open now.
    pub fn is_open(&self, slot: Slot) -> bool {
        self.note(slot).and_then(|note| note.membership.as_ref()).is_some_and(|membership| membership.is_open)
    }

    /// Notes whether it is open from now on; says whether it was.
    pub fn set_open(&mut self, slot: Slot, is_open: bool) -> bool {
        match &mut self.note_mut(slot).membership {
            Some(membership) => std::mem::replace(&mut membership.is_open, is_open),
            None => false,
        }
    }

    /// Notes the entity's place in its index.
    pub fn set_index(&mut self, slot: Slot, index: Slot, score: Option<i64>) {
        if let Some(membership) = &mut self.note_mut(slot).membership {
            membership.change = Some((index, score));
        }
    }

    /// Whether this command has said when a key expires.
    pub fn has_expiry(&self, slot: Slot) -> bool {
        self.note(slot).is_some_and(|note| note.expiry.is_some())
    }

    /// Notes when a key expires.
    pub fn expire(&mut self, slot: Slot, expiry: Expiry) {
        self.note_mut(slot).expiry = Some(expiry);
    }

    /// Notes that a key is dropped whole.
    pub fn unlink(&mut self, slot: Slot) {
        self.note_mut(slot).is_dropped = true;
    }

    /// Ids that this command has put into a bucket so far.
    pub fn new_ids(&self, slot: Slot) -> u64 {
        self.note(slot).map_or(0, |note| note.new_ids)
    }

    /// Counts one.
    pub fn count_new_id(&mut self, slot: Slot) {
        self.note_mut(slot).new_ids += 1;
    }

    /// Whether a key is dropped whole.
    pub fn is_dropped(&self, slot: Slot) -> bool {
        self.note(slot).is_some_and(|note| note.is_dropped)
    }

    /// Adds what was noted to the plan.
    pub fn finish(self, plan: &mut Plan<'_>) {
        for (slot, note) in self.notes.into_iter().enumerate() {
            let slot = Slot(slot as u32);
            if note.is_dropped {
                plan.unlinks.push(slot);
                continue;
            }
            if let Some(Membership { member, change: Some((index, score)), .. }) = note.membership {
                plan.indexes.push(IndexPatch { slot: index, member: member.into_bytes(), score });
            }
            if let Some(expiry) = note.expiry {
                plan.expiries.push((slot, expiry));
            }
        }
    }
}
