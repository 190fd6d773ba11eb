//! One hash as a command sees it: the fields it read, and what it makes of them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::decimal::Decimal;
use crate::hash::hash;
use crate::plan::{HashPatch, Name, Text};
use crate::refusal::{quoted, Code, Outcome, Refusal};
use crate::store::{Slot, Store};

/// A hash under change. Fields are written in the order in which they were first named, so whoever loads the
/// module's own fields first has them at the front of a new hash, where Redis finds them soonest.
#[derive(Debug)]
pub struct Record<'a> {
    slot: Slot,
    existed: bool,
    changed: bool,
    /// Every stored field is in `fields`, and those to be first in a new hash.
    is_whole: bool,
    fields: Vec<Field<'a>>,
    /// The places in `fields` by name, once there are more than [`FIELDS_SCANNED`]; then of all of them.
    places: BTreeMap<Name<'a>, usize>,
    hints: Hints,
}

/// Fields that an entity has, with some to spare.
const FIELDS_USUAL: usize = 32;

/// Fields up to which a record is searched from the front: more than one event reads and sets. Those of a batch can name
/// a hundred thousand, which would stop the server for minutes if each was found by a scan.
const FIELDS_SCANNED: usize = 512;

#[derive(Debug)]
struct Field<'a> {
    hash: u64,
    name: Name<'a>,
    stored: Stored<'a>,
    now: Now<'a>,
}

impl Field<'_> {
    fn value(&self) -> Option<&[u8]> {
        match (&self.now, self.stored) {
            (Now::Set(value), _) => Some(value),
            (Now::AsStored, Stored::Value(value)) => Some(value),
            _ => None,
        }
    }
}

/// Where to look for a name first, by seven bits of its hash: the place of the first field that has these, so that as a
/// rule one look finds a field, or that there is none.
#[derive(Debug)]
struct Hints([u8; 128]);

impl Hints {
    const NONE: u8 = 0;
    /// Of every place that a hint cannot name.
    const SOMEWHERE: u8 = u8::MAX;

    fn bits(hash: u64) -> usize {
        (hash >> 57) as usize
    }

    fn add(&mut self, hash: u64, place: usize) {
        let hint = &mut self.0[Hints::bits(hash)];
        if *hint == Hints::NONE {
            *hint = u8::try_from(place + 1).unwrap_or(Hints::SOMEWHERE);
        }
    }

    fn get(&self, hash: u64) -> u8 {
        self.0[Hints::bits(hash)]
    }
}

/// What is known of a field's stored value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stored<'a> {
    /// Nothing: the field was set without being read.
    Unread,
    /// There is none.
    Absent,
    Value(&'a [u8]),
}

/// What the command makes of a field.
#[derive(Debug)]
enum Now<'a> {
    AsStored,
    Set(Text<'a>),
    Removed,
}

impl<'a> From<Option<&'a [u8]>> for Stored<'a> {
    fn from(value: Option<&'a [u8]>) -> Self {
        value.map_or(Stored::Absent, Stored::Value)
    }
}

impl<'a> Record<'a> {
    /// The hash at `slot`, nothing read yet.
    pub fn new<S: Store<'a>>(store: &S, slot: Slot) -> Record<'a> {
        let (fields, places, hints) = (Vec::new(), BTreeMap::new(), Hints([Hints::NONE; 128]));
        Record { slot, existed: store.exists(slot), changed: false, is_whole: false, fields, places, hints }
    }

    /// Reads the whole hash, where that is cheap, and else the fields of `first`. A new one gets its fields in the
    /// order of `first`, then in the order in which they are set.
    pub fn read_whole<S: Store<'a>>(&mut self, store: &S, first: &[&'static str]) {
        if self.fields.is_empty() {
            self.fields.reserve(FIELDS_USUAL);
            self.is_whole = self.existed
                && store.hash_all(self.slot, &mut |name, value| {
                    let (name, stored) = (Cow::Borrowed(name), Stored::Value(value));
                    self.push(Field { hash: hash(name.as_bytes()), name, stored, now: Now::AsStored });
                });
        }
        // Of a record that an earlier event of the command has made, something else may have been read only.
        self.load(store, first);
        // Of a hash that is not stored there is no more to be read.
        self.is_whole |= !self.existed;
    }

    /// The hash's slot.
    pub fn slot(&self) -> Slot {
        self.slot
    }

    /// Whether the hash existed before the command.
    pub fn is_stored(&self) -> bool {
        self.existed
    }

    /// Whether the hash exists, with what this command has put into it so far.
    pub fn exists(&self) -> bool {
        self.existed || self.changed
    }

    /// Reads those of `names` that are not read yet. A field that is set without being read counts as changed.
    pub fn load<S: Store<'a>>(&mut self, store: &S, names: &[&'static str]) {
        self.load_named(store, names.iter().map(|&name| Cow::Borrowed(name)));
    }

    /// As [`Record::load`], for names that are data.
    pub fn load_named<S: Store<'a>>(&mut self, store: &S, names: impl Iterator<Item = Name<'a>>) {
        if self.is_whole {
            return;
        }
        let known = self.fields.len();
        let mut set_unread = Vec::new();
        for name in names {
            let hash = hash(name.as_bytes());
            match self.find(hash, &name) {
                None => self.push(Field { hash, name, stored: Stored::Absent, now: Now::AsStored }),
                Some(at) if self.fields[at].stored == Stored::Unread => set_unread.push(at),
                Some(_) => {}
            }
        }
        if !self.existed {
            return;
        }
        let wanted: Vec<usize> = set_unread.iter().copied().chain(known..self.fields.len()).collect();
        if wanted.is_empty() {
            return;
        }
        let names: Vec<&str> = wanted.iter().map(|&at| self.fields[at].name.as_ref()).collect();
        let mut values = Vec::with_capacity(names.len());
        store.hash_get(self.slot, &names, &mut values);
        for (at, value) in wanted.into_iter().zip(values) {
            // What the command has set meanwhile stays set.
            self.fields[at].stored = value.into();
        }
    }

    /// The value of a field that was loaded or set.
    #[inline]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.fields[self.position(name)?].value()
    }

    /// Whether a field differs from what is stored.
    pub fn is_changed(&self, name: &str) -> bool {
        self.position(name).is_some_and(|at| self.fields[at].stored != self.fields[at].value().into())
    }

    /// Fields that the hash did not have and has now.
    pub fn added(&self) -> u64 {
        self.fields.iter().filter(|field| field.stored == Stored::Absent && field.value().is_some()).count() as u64
    }

    /// A stored text.
    ///
    /// # Errors
    /// CORRUPT when it is not UTF-8.
    pub fn text(&self, name: &str) -> Outcome<Option<&str>> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        std::str::from_utf8(value).map(Some).map_err(|_| self.corrupt(name, "text"))
    }

    /// A stored decimal.
    ///
    /// # Errors
    /// CORRUPT when it is none.
    pub fn decimal(&self, name: &str) -> Outcome<Option<Decimal>> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        Decimal::from_stored(value).map(Some).ok_or_else(|| self.corrupt(name, "a number"))
    }

    /// A stored whole number.
    ///
    /// # Errors
    /// CORRUPT when it is none.
    pub fn integer<T: std::str::FromStr>(&self, name: &str) -> Outcome<Option<T>> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        text.parse().map(Some).map_err(|_| self.corrupt(name, "a whole number"))
    }

    /// A refusal for a stored value that we cannot have written.
    #[cold]
    pub fn corrupt(&self, name: &str, expected: &str) -> Refusal {
        let value = self.get(name).map_or(String::from("nothing"), quoted);
        Code::Corrupt.because(format!("stored field {name} must be {expected}, not {value}"))
    }

    /// Sets a field.
    #[inline]
    pub fn set(&mut self, name: impl Into<Name<'a>>, value: impl Into<Value<'a>>) {
        let name = name.into();
        self.set_hashed(hash(name.as_bytes()), name, value.into().0);
    }

    fn set_hashed(&mut self, hash: u64, name: Name<'a>, value: Text<'a>) {
        self.changed = true;
        match self.find(hash, &name) {
            Some(at) => self.fields[at].now = Now::Set(value),
            None => {
                let is_known = self.is_whole || !self.existed;
                let stored = if is_known { Stored::Absent } else { Stored::Unread };
                self.push(Field { hash, name, stored, now: Now::Set(value) });
            }
        }
    }

    /// Takes a loaded field away.
    pub fn remove(&mut self, name: &str) {
        if let Some(at) = self.position(name) {
            self.changed |= self.fields[at].value().is_some();
            self.fields[at].now = Now::Removed;
        }
    }

    /// Sets a field, or takes it away.
    pub fn put(&mut self, name: impl Into<Name<'a>>, value: Option<impl Into<Value<'a>>>) {
        let name = name.into();
        match value {
            Some(value) => self.set(name, value),
            None => self.remove(&name),
        }
    }

    /// What differs from the stored hash; `None` when nothing does.
    pub fn into_patch(self) -> Option<HashPatch<'a>> {
        if !self.changed {
            return None;
        }
        let set = Vec::with_capacity(if self.existed { FIELDS_USUAL / 2 } else { self.fields.len() });
        let mut patch = HashPatch { slot: self.slot, set, delete: Vec::new() };
        for field in self.fields {
            match (field.stored, field.now) {
                (stored, Now::Set(now)) if stored != Stored::Value(&now) => patch.set.push((field.name, now)),
                (Stored::Value(_), Now::Removed) => patch.delete.push(field.name),
                _ => {}
            }
        }
        (!patch.set.is_empty() || !patch.delete.is_empty()).then_some(patch)
    }

    /// Inlined, as the hash of a name that stands in the code is computed by the compiler then.
    #[inline(always)]
    fn position(&self, name: &str) -> Option<usize> {
        self.find(hash(name.as_bytes()), name)
    }

    fn find(&self, hash: u64, name: &str) -> Option<usize> {
        if !self.places.is_empty() {
            return self.places.get(name).copied();
        }
        let is_it = |field: &Field<'_>| field.hash == hash && field.name == name;
        match self.hints.get(hash) {
            Hints::NONE => None,
            hint => {
                let hinted = usize::from(hint) - 1;
                match self.fields.get(hinted).is_some_and(is_it) {
                    true => Some(hinted),
                    false => self.fields.iter().position(is_it),
                }
            }
        }
    }

    fn push(&mut self, field: Field<'a>) {
        self.hints.add(field.hash, self.fields.len());
        self.fields.push(field);
        if self.fields.len() > FIELDS_SCANNED {
            let unnoted = self.fields.iter().enumerate().skip(self.places.len());
            self.places.extend(unnoted.map(|(at, field)| (field.name.clone(), at)));
        }
    }
}

/// A value on its way into a field.
pub struct Value<'a>(Text<'a>);

impl<'a> From<Cow<'a, str>> for Value<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        Value(match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        })
    }
}

impl<'a> From<Text<'a>> for Value<'a> {
    fn from(bytes: Text<'a>) -> Self {
        Value(bytes)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Value(Cow::Borrowed(text.as_bytes()))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Value(Cow::Owned(text.into_bytes()))
    }
}

impl From<Decimal> for Value<'_> {
    fn from(number: Decimal) -> Self {
        let mut text = String::with_capacity(24);
        number.push_to(&mut text);
        text.into()
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        itoa::Buffer::new().format(number).to_owned().into()
    }
}

impl From<u64> for Value<'_> {
    fn from(number: u64) -> Self {
        itoa::Buffer::new().format(number).to_owned().into()
    }
}
