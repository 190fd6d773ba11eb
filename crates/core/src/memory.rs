//! The keyspace of one symbol in memory: the model that tests hold a server against, and a way to try the
//! core without one.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::journal::Journal;
use crate::key::{Key, KeyType};
use crate::plan::{Expiry, Message, Plan};
use crate::refusal::{Code, Outcome};
use crate::session::{Clock, Decision, Receipt, Request, Session};
use crate::settings::Settings;
use crate::store::{Flow, Slot, Store};
use crate::stream_id::StreamId;
use crate::time::Millis;

/// A value of one of the types that keys have.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Field and value.
    Hash(BTreeMap<String, Vec<u8>>),
    /// Member and score.
    SortedSet(BTreeMap<String, i64>),
    /// Id and fields.
    Stream(BTreeMap<StreamId, Vec<(String, Vec<u8>)>>),
}

impl Value {
    fn empty(key_type: KeyType) -> Value {
        match key_type {
            KeyType::Hash => Value::Hash(BTreeMap::new()),
            KeyType::SortedSet => Value::SortedSet(BTreeMap::new()),
            KeyType::Stream => Value::Stream(BTreeMap::new()),
        }
    }

    fn key_type(&self) -> KeyType {
        match self {
            Value::Hash(_) => KeyType::Hash,
            Value::SortedSet(_) => KeyType::SortedSet,
            Value::Stream(_) => KeyType::Stream,
        }
    }

    fn len(&self) -> usize {
        match self {
            Value::Hash(fields) => fields.len(),
            Value::SortedSet(members) => members.len(),
            Value::Stream(entries) => entries.len(),
        }
    }
}

/// A symbol, its keys and what was published.
#[derive(Clone, Debug)]
pub struct Memory {
    /// The symbol.
    pub symbol: String,
    /// Values by the name of their key.
    pub keys: BTreeMap<String, Value>,
    /// Expiries by the name of the key, Unix ms.
    pub expiries: BTreeMap<String, Millis>,
    /// Messages, oldest first.
    pub messages: Vec<Message>,
    /// What the last command remembered.
    pub journal: Option<Journal>,
    /// The last id of each stream, by the name of its key: it outlives the entry.
    last_ids: BTreeMap<String, StreamId>,
    /// The fields of hashes that the last command set: key and name.
    pub fields_set: Vec<(String, String)>,
}

impl Memory {
    /// Nothing yet.
    pub fn new(symbol: &str) -> Memory {
        Memory {
            symbol: symbol.to_owned(),
            keys: BTreeMap::new(),
            expiries: BTreeMap::new(),
            messages: Vec::new(),
            journal: None,
            last_ids: BTreeMap::new(),
            fields_set: Vec::new(),
        }
    }

    /// Does what a command with these events does, all or nothing.
    ///
    /// # Errors
    /// Any refusal, with its 1-based position when there are several events.
    pub fn publish(&mut self, requests: &[Request<'_>], settings: &Settings, now: Millis) -> Outcome<Vec<Receipt>> {
        self.expire(now);
        let view = View { memory: self, opened: RefCell::default() };
        let clock = Clock { now, behind: StreamId::ZERO };
        let mut session = Session::open(&view, &self.symbol, settings, clock, self.journal.as_ref())?;
        for (i, request) in requests.iter().enumerate() {
            let judged = session.publish(request);
            judged.map_err(|refusal| if requests.len() > 1 { refusal.at_event(i + 1) } else { refusal })?;
        }
        let Decision { plan, journal, receipts, .. } = session.finish()?;
        let changes = Changes::of(plan, &view.opened.into_inner());
        self.journal = Some(journal);
        self.apply(changes);
        Ok(receipts)
    }

    /// A hash, if there is one.
    pub fn hash(&self, key: Key<'_>) -> Option<&BTreeMap<String, Vec<u8>>> {
        match self.keys.get(&key.name(&self.symbol)) {
            Some(Value::Hash(fields)) => Some(fields),
            _ => None,
        }
    }

    /// A field of a hash, as text.
    pub fn field(&self, key: Key<'_>, field: &str) -> Option<String> {
        Some(String::from_utf8_lossy(self.hash(key)?.get(field)?).into_owned())
    }

    /// The members of an index, oldest first.
    pub fn members(&self, key: Key<'_>) -> Vec<String> {
        match self.keys.get(&key.name(&self.symbol)) {
            Some(Value::SortedSet(members)) => {
                let mut by_score: Vec<_> = members.iter().map(|(member, score)| (*score, member.clone())).collect();
                by_score.sort();
                by_score.into_iter().map(|(_, member)| member).collect()
            }
            _ => Vec::new(),
        }
    }

    fn expire(&mut self, now: Millis) {
        let due: Vec<_> = self.expiries.iter().filter(|(_, at)| **at <= now).map(|(name, _)| name.clone()).collect();
        for name in due {
            self.remove(&name);
        }
    }

    fn remove(&mut self, name: &str) {
        self.keys.remove(name);
        self.expiries.remove(name);
        self.last_ids.remove(name);
    }

    fn apply(&mut self, changes: Changes) {
        self.fields_set.clear();
        for change in changes.writes {
            let value = self.keys.entry(change.name.clone()).or_insert_with(|| Value::empty(change.key_type));
            match (value, change.write) {
                (Value::Stream(entries), Write::Append(id, fields)) => {
                    self.last_ids.insert(change.name.clone(), id);
                    entries.insert(id, fields);
                }
                (Value::Stream(entries), Write::Trim { keep, min_id }) => {
                    entries.retain(|id, _| *id >= min_id);
                    while entries.len() > keep {
                        entries.pop_first();
                    }
                }
                (Value::Hash(fields), Write::Set(field, value)) => {
                    self.fields_set.push((change.name.clone(), field.clone()));
                    fields.insert(field, value);
                }
                (Value::Hash(fields), Write::Delete(field)) => {
                    fields.remove(&field);
                }
                (Value::SortedSet(members), Write::Score(member, Some(score))) => {
                    members.insert(member, score);
                }
                (Value::SortedSet(members), Write::Score(member, None)) => {
                    members.remove(&member);
                }
                _ => {}
            }
            if self.keys.get(&change.name).is_some_and(|value| value.len() == 0 && value.key_type() != KeyType::Stream)
            {
                self.remove(&change.name);
            }
        }
        for (name, expiry) in changes.expiries {
            match expiry {
                Expiry::At(at) if self.keys.contains_key(&name) => {
                    self.expiries.insert(name, at);
                }
                _ => {
                    self.expiries.remove(&name);
                }
            }
        }
        for name in changes.unlinks {
            self.remove(&name);
        }
        self.messages.extend(changes.messages);
    }
}

/// A plan that no longer borrows what it was made from.
struct Changes {
    writes: Vec<Change>,
    expiries: Vec<(String, Expiry)>,
    unlinks: Vec<String>,
    messages: Vec<Message>,
}

struct Change {
    name: String,
    key_type: KeyType,
    write: Write,
}

enum Write {
    Append(StreamId, Vec<(String, Vec<u8>)>),
    Trim { keep: usize, min_id: StreamId },
    Set(String, Vec<u8>),
    Delete(String),
    Score(String, Option<i64>),
}

impl Changes {
    fn of(plan: Plan<'_>, opened: &[(String, KeyType)]) -> Changes {
        let name = |slot: Slot| opened[slot.0 as usize].0.clone();
        let mut writes = Vec::new();
        let mut push =
            |slot: Slot, write| writes.push(Change { name: name(slot), key_type: opened[slot.0 as usize].1, write });
        if let Some(log) = plan.log_slot.filter(|_| !plan.log.is_empty()) {
            for entry in plan.log {
                let fields = entry.fields.into_iter().map(|(field, value)| (field.to_owned(), value.into_owned()));
                push(log, Write::Append(entry.id, fields.collect()));
            }
            let keep = plan.retention.max_len.map_or(usize::MAX, |len| usize::try_from(len).unwrap_or(usize::MAX));
            push(log, Write::Trim { keep, min_id: plan.retention.min_id.unwrap_or(StreamId::ZERO) });
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
            push(patch.slot, Write::Score(patch.member, patch.score));
        }
        Changes {
            writes,
            expiries: plan.expiries.into_iter().map(|(slot, expiry)| (name(slot), expiry)).collect(),
            unlinks: plan.unlinks.into_iter().map(name).collect(),
            messages: plan.messages,
        }
    }
}

/// The memory as one command sees it.
struct View<'a> {
    memory: &'a Memory,
    opened: RefCell<Vec<(String, KeyType)>>,
}

impl<'a> View<'a> {
    fn value(&self, slot: Slot) -> Option<&'a Value> {
        self.memory.keys.get(&self.opened.borrow()[slot.0 as usize].0)
    }

    fn entries(&self, slot: Slot) -> impl DoubleEndedIterator<Item = (StreamId, &'a [(String, Vec<u8>)])> {
        let entries = match self.value(slot) {
            Some(Value::Stream(entries)) => Some(entries.iter().map(|(id, fields)| (*id, fields.as_slice()))),
            _ => None,
        };
        entries.into_iter().flatten()
    }
}

fn visit_each<'e>(
    entries: impl Iterator<Item = (StreamId, &'e [(String, Vec<u8>)])>,
    visit: &mut dyn FnMut(StreamId, &crate::store::Entry<'_>) -> Flow,
) {
    for (id, fields) in entries {
        let fields: Vec<_> = fields.iter().map(|(field, value)| (field.as_bytes(), value.as_slice())).collect();
        if visit(id, &fields) == Flow::Stop {
            return;
        }
    }
}

impl<'a> Store<'a> for View<'a> {
    fn open(&self, key: Key<'_>) -> Outcome<Slot> {
        let name = key.name(&self.memory.symbol);
        if self.memory.keys.get(&name).is_some_and(|value| value.key_type() != key.key_type()) {
            return Err(Code::WrongType.because(format!("key {name} holds the wrong kind of value")));
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
    fn hash_all(&self, slot: Slot) -> Option<Vec<(&'a [u8], &'a [u8])>> {
        match self.value(slot) {
            Some(Value::Hash(hash)) if hash.len() <= 20 => {
                Some(hash.iter().map(|(field, value)| (field.as_bytes(), value.as_slice())).collect())
            }
            _ => None,
        }
    }

    fn newest_id(&self, slot: Slot) -> Option<StreamId> {
        self.entries(slot).next_back().map(|(id, _)| id)
    }

    fn last_id(&self, slot: Slot) -> Option<StreamId> {
        self.value(slot)?;
        self.memory.last_ids.get(&self.opened.borrow()[slot.0 as usize].0).copied()
    }

    fn entries_after(
        &self,
        slot: Slot,
        after: StreamId,
        visit: &mut dyn FnMut(StreamId, &crate::store::Entry<'_>) -> Flow,
    ) {
        visit_each(self.entries(slot).filter(|(id, _)| *id > after), visit);
    }

    fn entries_backwards(&self, slot: Slot, visit: &mut dyn FnMut(StreamId, &crate::store::Entry<'_>) -> Flow) {
        visit_each(self.entries(slot).rev(), visit);
    }
}
