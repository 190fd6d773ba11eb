//! The memory as one command sees it: a store.

use std::cell::RefCell;

use super::{Entries, Memory, Value};
use crate::key::{Key, KeyType};
use crate::refusal::{Code, Outcome};
use crate::store::{Audit, Direction, Entry, Flow, History, MarketStore, Score, Slot, Span, Store};
use crate::stream_id::StreamId;
use crate::time::Millis;
use xxhash_rust::xxh3::xxh3_64;

/// The memory, and the keys that the command has opened.
pub struct View<'a> {
    pub(super) memory: &'a Memory,
    opened: RefCell<Vec<(String, KeyType)>>,
}

impl<'a> View<'a> {
    /// Nothing opened yet.
    pub fn of(memory: &'a Memory) -> View<'a> {
        View { memory, opened: RefCell::default() }
    }

    /// What was opened, by slot.
    pub fn into_opened(self) -> Vec<(String, KeyType)> {
        self.opened.into_inner()
    }

    fn value(&self, slot: Slot) -> Option<&'a Value> {
        self.memory.keys.get(&self.opened.borrow()[slot.0 as usize].0)
    }

    fn name(&self, slot: Slot) -> String {
        self.opened.borrow()[slot.0 as usize].0.clone()
    }

    fn added(&self, slot: Slot) -> Option<(StreamId, u64)> {
        self.memory.added.get(&self.name(slot)).copied()
    }

    fn stream(&self, slot: Slot) -> Option<&'a Entries> {
        match self.value(slot) {
            Some(Value::Stream(entries)) => Some(entries),
            _ => None,
        }
    }
}

impl<'a> Store<'a> for View<'a> {
    fn open(&self, key: Key<'_>) -> Outcome<Slot> {
        let name = self.memory.key_name(key);
        if self.memory.keys.get(&name).is_some_and(|value| value.key_type() != key.key_type()) {
            return Err(
                Code::WrongType.because(format!("Operation against a key holding the wrong kind of value: {name}"))
            );
        }
        let mut opened = self.opened.borrow_mut();
        let known = opened.iter().position(|(other, _)| *other == name);
        let at = known.unwrap_or_else(|| {
            opened.push((name, key.key_type()));
            opened.len() - 1
        });
        Ok(Slot(u32::try_from(at).unwrap_or(u32::MAX)))
    }

    fn exists(&self, slot: Slot) -> bool {
        self.value(slot).is_some()
    }

    fn len(&self, slot: Slot) -> u64 {
        self.value(slot).map_or(0, |value| value.len() as u64)
    }

    fn hash_get(&self, slot: Slot, fields: &[&str], values: &mut Vec<Option<&'a [u8]>>) {
        values.clear();
        let hash = match self.value(slot) {
            Some(Value::Hash(hash)) => Some(hash),
            _ => None,
        };
        values.extend(fields.iter().map(|field| hash?.get(*field).map(Vec::as_slice)));
    }

    /// As a server would, for hashes of up to 20 fields: both ways of reading are to be tried.
    fn hash_all(&self, slot: Slot, visit: &mut dyn FnMut(&'a str, &'a [u8])) -> bool {
        match self.value(slot) {
            Some(Value::Hash(hash)) if hash.len() <= 20 => {
                hash.iter().for_each(|(field, value)| visit(field, value));
                true
            }
            _ => false,
        }
    }

    fn newest_id(&self, slot: Slot) -> Option<StreamId> {
        self.stream(slot)?.keys().next_back().copied()
    }

    fn last_id(&self, slot: Slot) -> Option<StreamId> {
        self.value(slot)?;
        self.added(slot).map(|(last_id, _)| last_id)
    }

    fn entries(&self, slot: Slot, span: Span, visit: &mut dyn FnMut(StreamId, &Entry<'_>) -> Flow) {
        let Some(entries) = self.stream(slot).filter(|_| !span.is_empty()) else {
            return;
        };
        let mut within = entries.range(span.lowest..=span.highest);
        while let Some((id, fields)) = match span.direction {
            Direction::Forward => within.next(),
            Direction::Backward => within.next_back(),
        } {
            let fields: Vec<_> = fields.iter().map(|(field, value)| (field.as_bytes(), value.as_slice())).collect();
            if visit(*id, &fields) == Flow::Stop {
                return;
            }
        }
    }

    fn hash_each(&self, slot: Slot, visit: &mut dyn FnMut(&[u8], &[u8])) {
        if let Some(Value::Hash(hash)) = self.value(slot) {
            hash.iter().for_each(|(field, value)| visit(field.as_bytes(), value));
        }
    }
}

impl<'a> MarketStore<'a> for View<'a> {
    fn sorted_each(&self, slot: Slot, visit: &mut dyn FnMut(&[u8], i64) -> Flow) {
        let Some(Value::SortedSet(members)) = self.value(slot) else {
            return;
        };
        let mut by_score: Vec<_> = members.iter().map(|(member, score)| (*score, member)).collect();
        by_score.sort();
        for (score, member) in by_score {
            if visit(member.as_bytes(), score) == Flow::Stop {
                return;
            }
        }
    }

    fn score(&self, slot: Slot, member: &str) -> Score {
        match self.value(slot) {
            Some(Value::SortedSet(members)) => members.get(member).map_or(Score::Absent, |&score| Score::Whole(score)),
            _ => Score::Absent,
        }
    }

    fn highest_score(&self, slot: Slot) -> Option<i64> {
        match self.value(slot) {
            Some(Value::SortedSet(members)) => members.values().copied().max(),
            _ => None,
        }
    }

    fn last_id_of(&self, stream: Key<'_>) -> Outcome<Option<StreamId>> {
        Ok(self.last_id(self.open(stream)?))
    }

    fn string(&self, slot: Slot) -> Option<&'a [u8]> {
        match self.value(slot) {
            Some(Value::String(bytes)) => Some(bytes),
            _ => None,
        }
    }
}

impl<'a> Audit<'a> for View<'a> {
    fn history(&self, slot: Slot) -> Outcome<History> {
        let deleted = self.memory.deleted.get(&self.name(slot)).copied().unwrap_or_default();
        Ok(History { added: self.added(slot).map_or(0, |(_, count)| count), deleted })
    }

    fn expires_at(&self, slot: Slot) -> Option<Millis> {
        self.memory.expiries.get(&self.name(slot)).copied()
    }

    /// Three at a time, since going on is to be tried, by a digest that stays when others leave.
    fn members(&self, slot: Slot, cursor: u64, visit: &mut dyn FnMut(&[u8])) -> Outcome<u64> {
        let Some(Value::SortedSet(members)) = self.value(slot) else {
            return Ok(0);
        };
        let place = |member: &str| xxh3_64(member.as_bytes()).max(1);
        let mut left: Vec<_> = members.keys().filter(|member| place(member) >= cursor).collect();
        left.sort_unstable_by_key(|member| place(member));
        left.iter().take(3).for_each(|member| visit(member.as_bytes()));
        Ok(left.get(3).map_or(0, |member| place(member)))
    }
}
