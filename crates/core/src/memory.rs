//! The keyspace of one symbol or stream in memory: the model that tests hold a server against, and a way to try the
//! core without one.

mod changes;
mod view;

use std::collections::BTreeMap;

use crate::key::{Key, KeyType, Scope};
use crate::log::journal::Journal;
use crate::log::{Clock, Decision, Receipt};
use crate::market::{self, Engines, Market, Tally};
use crate::plan::{Expiry, Plan};
use crate::rebuild::{Rebuild, Step};
use crate::refusal::Outcome;
use crate::session::{Request, Session};
use crate::settings::Settings;
use crate::store::Store;
use crate::stream;
use crate::stream_id::StreamId;
use crate::time::Millis;
use changes::{Changes, Write};

pub use view::View;

/// A value of one of the types that keys have.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Field and value.
    Hash(BTreeMap<String, Vec<u8>>),
    /// Member and score.
    SortedSet(BTreeMap<String, i64>),
    /// Id and fields.
    Stream(Entries),
    /// Any bytes.
    String(Vec<u8>),
}

/// The entries of a stream.
type Entries = BTreeMap<StreamId, Vec<(String, Vec<u8>)>>;

impl Value {
    fn empty(key_type: KeyType) -> Value {
        match key_type {
            KeyType::Hash => Value::Hash(BTreeMap::new()),
            KeyType::SortedSet => Value::SortedSet(BTreeMap::new()),
            KeyType::Stream => Value::Stream(BTreeMap::new()),
            KeyType::String => Value::String(Vec::new()),
        }
    }

    fn key_type(&self) -> KeyType {
        match self {
            Value::Hash(_) => KeyType::Hash,
            Value::SortedSet(_) => KeyType::SortedSet,
            Value::Stream(_) => KeyType::Stream,
            Value::String(_) => KeyType::String,
        }
    }

    fn len(&self) -> usize {
        match self {
            Value::Hash(fields) => fields.len(),
            Value::SortedSet(members) => members.len(),
            Value::Stream(entries) => entries.len(),
            Value::String(bytes) => bytes.len(),
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
    pub journal: Option<Box<Journal>>,
    /// The highest id that was deleted by itself, by the name of the stream's key.
    deleted: BTreeMap<String, StreamId>,
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
            deleted: BTreeMap::new(),
            fields_set: Vec::new(),
        }
    }

    /// Whose keys these are.
    pub fn scope(&self) -> Scope<'_> {
        self.owner.scope()
    }

    /// The keys as a command that reads finds them.
    pub fn view(&self) -> impl Store<'_> {
        View::of(self)
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
        let (changes, (journal, receipts)) = self.decide(now, |view, clock| {
            let symbol = self.scope().name();
            let mut session = Session::open(view, symbol, settings, clock, self.journal.as_deref())?;
            for (i, request) in requests.iter().enumerate() {
                let judged = session.publish(request);
                judged.map_err(|refusal| if requests.len() > 1 { refusal.at_event(i + 1) } else { refusal })?;
            }
            let Decision { plan, journal, receipts, .. } = session.finish()?;
            Ok((plan, (journal, receipts)))
        })?;
        // A command that adds nothing has nothing to remember.
        if changes.first_append().is_some() {
            self.journal = Some(journal);
        }
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
        // What fits once fits again with another id.
        let mut check_schema = Some(check_schema);
        let (changes, receipt) = self.decide(now, |view, clock| {
            let check = || check_schema.take().map_or(Ok(()), |check| check());
            let decision = stream::publish(view, self.scope().name(), settings, clock, request, check)?;
            Ok((decision.plan, decision.receipts[0]))
        })?;
        self.apply(changes);
        Ok(receipt)
    }

    /// Does what a command on the symbol's market does: `decide` asks for it and ends it. Gives what it replies, what it
    /// counts, and the conditions that triggered.
    ///
    /// # Errors
    /// Those of `decide`.
    pub fn market<T>(
        &mut self,
        engines: &mut Engines,
        settings: &Settings,
        now: Millis,
        mut decide: impl for<'s, 'm> FnMut(Market<'s, 'm, View<'m>>) -> Outcome<(T, market::Decision<'m>)>,
    ) -> Outcome<(T, Tally, Vec<String>)> {
        self.expire(now);
        let (changes, (reply, touched, tally, triggered)) = self.decide(now, |view, clock| {
            let market = Market::open(view, self.scope().name(), settings, clock, &mut *engines);
            let (reply, decision) = decide(market)?;
            Ok((decision.plan, (reply, decision.engines, decision.tally, decision.triggered)))
        })?;
        self.apply(changes);
        touched.into_iter().for_each(|engine| engines.put(engine));
        Ok((reply, tally, triggered))
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
        let view = View::of(self);
        let mut may_go_on = |_| {
            parts = parts.saturating_sub(1);
            parts > 0
        };
        let (step, plan) = rebuild.step(&view, settings, now, &mut may_go_on)?;
        let changes = Changes::of(plan, view);
        self.apply(changes);
        Ok(step)
    }

    /// Deletes a key.
    pub fn delete(&mut self, key: Key<'_>) {
        let name = self.key_name(key);
        self.remove(&name);
    }

    /// Deletes an entry of the log, as XDEL does.
    pub fn delete_entry(&mut self, id: StreamId) {
        self.delete_entry_of(&self.key_name(Key::Log), id);
    }

    /// Deletes an entry of any stream, which is known by the name of its key, as XDEL does.
    pub fn delete_entry_of(&mut self, name: &str, id: StreamId) {
        if let Some(Value::Stream(entries)) = self.keys.get_mut(name) {
            if entries.remove(&id).is_some() {
                let highest = self.deleted.entry(name.to_owned()).or_default();
                *highest = id.max(*highest);
            }
        }
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

    /// Drops what has expired, as every command does first.
    pub fn expire(&mut self, now: Millis) {
        let due: Vec<_> = self.expiries.iter().filter(|(_, at)| **at <= now).map(|(name, _)| name.clone()).collect();
        for name in due {
            self.remove(&name);
        }
    }

    /// Deletes a key by its name, as DEL does.
    pub fn remove(&mut self, name: &str) {
        self.keys.remove(name);
        self.expiries.remove(name);
        self.added.remove(name);
        self.deleted.remove(name);
    }

    /// Decides, and once more when the first new id is not behind the last one of its stream: entries that were deleted
    /// have used theirs up. A server writes nothing then.
    fn decide<'m, T>(
        &'m self,
        now: Millis,
        mut decide: impl FnMut(&View<'m>, Clock) -> Outcome<(Plan<'m>, T)>,
    ) -> Outcome<(Changes, T)> {
        let mut behind = StreamId::ZERO;
        loop {
            let view = View::of(self);
            let (plan, decided) = decide(&view, Clock { now, behind })?;
            let changes = Changes::of(plan, view);
            let last_of = |(name, id)| self.added.get(name).map(|&(last, _)| last).filter(|last| id <= *last);
            match changes.first_append().and_then(last_of) {
                Some(last) => behind = last,
                None => return Ok((changes, decided)),
            }
        }
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
                (Value::Stream(entries), Write::Remove(id)) => {
                    entries.remove(&id);
                    let highest = self.deleted.entry(change.name.clone()).or_default();
                    *highest = id.max(*highest);
                }
                (Value::Stream(entries), Write::Trim { keep, min_id }) => {
                    while entries.len() > keep || entries.first_key_value().is_some_and(|(id, _)| *id < min_id) {
                        entries.pop_first();
                    }
                }
                (Value::String(bytes), Write::Replace(value)) => *bytes = value,
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
