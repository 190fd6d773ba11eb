//! The keyspace of one symbol or stream in memory: the model that tests hold a server against, and a way to try the
//! core without one.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::channel;
use crate::key::{Key, KeyType, Scope};
use crate::log::journal::Journal;
use crate::log::{Clock, Decision, Receipt};
use crate::plan::{Expiry, Plan};
use crate::rebuild::{Rebuild, Step};
use crate::refusal::{Code, Outcome};
use crate::session::{Request, Session};
use crate::settings::Settings;
use crate::store::{Audit, Direction, Flow, Score, Slot, Span, Store};
use crate::stream;
use crate::stream_id::StreamId;
use crate::time::Millis;
use xxhash_rust::xxh3::xxh3_64;

/// A value of one of the types that keys have.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Field and value.
    Hash(BTreeMap<String, Vec<u8>>),
    /// Member and score.
    SortedSet(BTreeMap<String, i64>),
    /// Id and fields.
    Stream(Entries),
}

/// The entries of a stream.
type Entries = BTreeMap<StreamId, Vec<(String, Vec<u8>)>>;

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

/// A message that went out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its channel, as `tradebus.pubsub classic` has it.
    pub channel: String,
    /// The JSON text.
    pub body: String,
}

/// Whose keys they are.
#[derive(Clone, Debug)]
enum Owner {
    Symbol(String),
    Stream(String),
}

impl Owner {
    fn scope(&self) -> Scope<'_> {
        match self {
            Owner::Symbol(name) => Scope::Symbol(name),
            Owner::Stream(name) => Scope::Stream(name),
        }
    }
}

/// A symbol or a stream, its keys and what was published.
#[derive(Clone, Debug)]
pub struct Memory {
    owner: Owner,
    /// Values by the name of their key.
    pub keys: BTreeMap<String, Value>,
    /// Expiries by the name of the key, Unix ms.
    pub expiries: BTreeMap<String, Millis>,
    /// Messages, oldest first.
    pub messages: Vec<Published>,
    /// What the last command on a symbol remembered.
    pub journal: Option<Journal>,
    /// The last id of each stream and how many entries it has had, by the name of its key: they outlive the entries.
    added: BTreeMap<String, (StreamId, u64)>,
    /// The fields of hashes that the last command set: key and name.
    pub fields_set: Vec<(String, String)>,
}

impl Memory {
    /// A symbol without anything yet.
    pub fn of_symbol(symbol: &str) -> Memory {
        Memory::new(Owner::Symbol(symbol.to_owned()))
    }

    /// A stream without anything yet.
    pub fn of_stream(stream: &str) -> Memory {
        Memory::new(Owner::Stream(stream.to_owned()))
    }

    fn new(owner: Owner) -> Memory {
        Memory {
            owner,
            keys: BTreeMap::new(),
            expiries: BTreeMap::new(),
            messages: Vec::new(),
            journal: None,
            added: BTreeMap::new(),
            fields_set: Vec::new(),
        }
    }

    /// Whose keys these are.
    pub fn scope(&self) -> Scope<'_> {
        self.owner.scope()
    }

    /// The keys as a command that reads finds them.
    pub fn view(&self) -> impl Store<'_> {
        View { memory: self, opened: RefCell::default() }
    }

    /// The name of a key.
    pub fn key_name(&self, key: Key<'_>) -> String {
        key.name(self.scope())
    }

    /// Does what a command with these events of a symbol does, all or nothing.
    ///
    /// # Errors
    /// Any refusal, with its 1-based position when there are several events.
    pub fn publish(&mut self, requests: &[Request<'_>], settings: &Settings, now: Millis) -> Outcome<Vec<Receipt>> {
        self.expire(now);
        let view = View { memory: self, opened: RefCell::default() };
        let clock = Clock { now, behind: StreamId::ZERO };
        let symbol = self.scope().name();
        let mut session = Session::open(&view, symbol, settings, clock, self.journal.as_ref())?;
        for (i, request) in requests.iter().enumerate() {
            let judged = session.publish(request);
            judged.map_err(|refusal| if requests.len() > 1 { refusal.at_event(i + 1) } else { refusal })?;
        }
        let Decision { plan, journal, receipts, .. } = session.finish()?;
        let changes = Changes::of(plan, view);
        self.journal = Some(journal);
        self.apply(changes);
        Ok(receipts)
    }

    /// Does what a command with this event of a stream does.
    ///
    /// # Errors
    /// Any refusal, that of `check_schema` included.
    pub fn publish_event(
        &mut self,
        request: &stream::Request<'_>,
        settings: &Settings,
        now: Millis,
        check_schema: impl FnOnce() -> Outcome<()>,
    ) -> Outcome<Receipt> {
        self.expire(now);
        let view = View { memory: self, opened: RefCell::default() };
        let clock = Clock { now, behind: StreamId::ZERO };
        let name = self.scope().name();
        let Decision { plan, receipts, .. } = stream::publish(&view, name, settings, clock, request, check_schema)?;
        let changes = Changes::of(plan, view);
        self.apply(changes);
        Ok(receipts[0])
    }

    /// Does a slice of a rebuild, of so many parts.
    ///
    /// # Errors
    /// As [`Rebuild::step`].
    pub fn rebuild(
        &mut self,
        rebuild: &mut Rebuild,
        settings: &Settings,
        now: Millis,
        mut parts: usize,
    ) -> Outcome<Step> {
        self.expire(now);
        let view = View { memory: self, opened: RefCell::default() };
        let mut may_go_on = || {
            parts = parts.saturating_sub(1);
            parts > 0
        };
        let (step, plan) = rebuild.step(&view, settings, now, &mut may_go_on)?;
        let changes = Changes::of(plan, view);
        self.apply(changes);
        Ok(step)
    }

    /// A hash, if there is one.
    pub fn hash(&self, key: Key<'_>) -> Option<&BTreeMap<String, Vec<u8>>> {
        match self.keys.get(&self.key_name(key)) {
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
        match self.keys.get(&self.key_name(key)) {
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
        self.added.remove(name);
    }

    fn apply(&mut self, changes: Changes) {
        self.fields_set.clear();
        for change in changes.writes {
            let value = self.keys.entry(change.name.clone()).or_insert_with(|| Value::empty(change.key_type));
            match (value, change.write) {
                (Value::Stream(entries), Write::Append(id, fields)) => {
                    let (last_id, count) = self.added.entry(change.name.clone()).or_default();
                    (*last_id, *count) = (id, *count + 1);
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
    messages: Vec<Published>,
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
    fn of(plan: Plan<'_>, view: View<'_>) -> Changes {
        let scope = view.memory.scope();
        let opened = view.opened.into_inner();
        let name = |slot: Slot| opened[slot.0 as usize].0.clone();
        let mut writes = Vec::new();
        let mut push =
            |slot: Slot, write| writes.push(Change { name: name(slot), key_type: opened[slot.0 as usize].1, write });
        for append in plan.appends {
            for entry in append.entries {
                let fields = entry.fields.into_iter().map(|(field, value)| (field.into_owned(), value.into_owned()));
                push(append.slot, Write::Append(entry.id, fields.collect()));
            }
            let keep = append.retention.max_len.map_or(usize::MAX, |len| usize::try_from(len).unwrap_or(usize::MAX));
            let min_id = append.retention.min_id.unwrap_or(StreamId::ZERO);
            push(append.slot, Write::Trim { keep, min_id });
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
        let published = |message: crate::plan::Message<'_>| Published {
            channel: channel::classic(scope, message.event_type.as_str()),
            body: message.body,
        };
        Changes {
            writes,
            expiries: plan.expiries.into_iter().map(|(slot, expiry)| (name(slot), expiry)).collect(),
            unlinks: plan.unlinks.into_iter().map(name).collect(),
            messages: plan.messages.into_iter().map(published).collect(),
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
        self.stream(slot)?.keys().next_back().copied()
    }

    fn last_id(&self, slot: Slot) -> Option<StreamId> {
        self.value(slot)?;
        self.added(slot).map(|(last_id, _)| last_id)
    }

    fn entries(&self, slot: Slot, span: Span, visit: &mut dyn FnMut(StreamId, &crate::store::Entry<'_>) -> Flow) {
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

impl<'a> Audit<'a> for View<'a> {
    fn entries_added(&self, slot: Slot) -> u64 {
        self.added(slot).map_or(0, |(_, count)| count)
    }

    fn expires_at(&self, slot: Slot) -> Option<Millis> {
        self.memory.expiries.get(&self.name(slot)).copied()
    }

    fn score(&self, slot: Slot, member: &str) -> Score {
        match self.value(slot) {
            Some(Value::SortedSet(members)) => members.get(member).map_or(Score::Absent, |&score| Score::Whole(score)),
            _ => Score::Absent,
        }
    }

    /// Three at a time, since going on is to be tried, by a digest that stays when others leave.
    fn members(&self, slot: Slot, cursor: u64, visit: &mut dyn FnMut(&[u8])) -> u64 {
        let Some(Value::SortedSet(members)) = self.value(slot) else {
            return 0;
        };
        let place = |member: &str| xxh3_64(member.as_bytes()).max(1);
        let mut left: Vec<_> = members.keys().filter(|member| place(member) >= cursor).collect();
        left.sort_unstable_by_key(|member| place(member));
        left.iter().take(3).for_each(|member| visit(member.as_bytes()));
        left.get(3).map_or(0, |member| place(member))
    }
}
