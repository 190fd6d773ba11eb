//! What a plan changes, once it no longer borrows the keyspace that it was made from.

use super::view::View;
use super::Published;
use crate::channel;
use crate::key::KeyType;
use crate::plan::{Expiry, Message, Plan};
use crate::store::Slot;
use crate::stream_id::StreamId;

/// A plan that no longer borrows what it was made from.
pub(super) struct Changes {
    pub(super) writes: Vec<Change>,
    pub(super) expiries: Vec<(String, Expiry)>,
    pub(super) unlinks: Vec<String>,
    pub(super) messages: Vec<Published>,
}

pub(super) struct Change {
    pub(super) name: String,
    pub(super) key_type: KeyType,
    pub(super) write: Write,
}

pub(super) enum Write {
    Append(StreamId, Vec<(String, Vec<u8>)>),
    Remove(StreamId),
    Trim { keep: usize, min_id: StreamId },
    Replace(Vec<u8>),
    Set(String, Vec<u8>),
    Delete(String),
    Score(String, Option<i64>),
}

impl Changes {
    /// The stream and the id of the first entry that is added.
    pub(super) fn first_append(&self) -> Option<(&str, StreamId)> {
        self.writes.iter().find_map(|change| match change.write {
            Write::Append(id, _) => Some((change.name.as_str(), id)),
            _ => None,
        })
    }

    pub(super) fn of(plan: Plan<'_>, view: View<'_>) -> Changes {
        let scope = view.memory.scope();
        let opened = view.into_opened();
        let name = |slot: Slot| opened[slot.0 as usize].0.clone();
        let mut writes = Vec::new();
        let mut push =
            |slot: Slot, write| writes.push(Change { name: name(slot), key_type: opened[slot.0 as usize].1, write });
        for append in plan.appends {
            for entry in append.entries {
                let fields = entry.fields.into_iter().map(|(field, value)| (field.into_owned(), value.into_owned()));
                push(append.slot, Write::Append(entry.id, fields.collect()));
            }
            if let Some(id) = append.replaced {
                push(append.slot, Write::Remove(id));
            }
            let keep = append.retention.max_len.map_or(usize::MAX, |len| usize::try_from(len).unwrap_or(usize::MAX));
            let min_id = append.retention.min_id.unwrap_or(StreamId::ZERO);
            push(append.slot, Write::Trim { keep, min_id });
        }
        for (slot, value) in plan.strings {
            push(slot, Write::Replace(value.into_owned()));
        }
        for patch in plan.hashes {
            for (field, value) in patch.set {
                push(patch.slot, Write::Set(field.into_owned(), value.into_owned()));
            }
            for field in patch.delete {
                push(patch.slot, Write::Delete(field.into_owned()));
            }
        }
        for patch in plan.indexes {
            push(patch.slot, Write::Score(String::from_utf8_lossy(&patch.member).into_owned(), patch.score));
        }
        let published =
            |message: Message<'_>| Published { channel: channel::classic(scope, &message.topic), body: message.body };
        Changes {
            writes,
            expiries: plan.expiries.into_iter().map(|(slot, expiry)| (name(slot), expiry)).collect(),
            unlinks: plan.unlinks.into_iter().map(name).collect(),
            messages: plan.messages.into_iter().map(published).collect(),
        }
    }
}
