//! One hash as a command sees it: the fields it read, and what it makes of them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::decimal::Decimal;
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
    tag: u64,
    name: Name<'a>,
    stored: Stored<'a>,
    now: Now<'a>,
}

impl<'a> Field<'a> {
    fn new(name: Name<'a>, stored: Stored<'a>, now: Now<'a>) -> Field<'a> {
        Field { tag: tag(&name), name, stored, now }
    }

    fn value(&self) -> Option<&[u8]> {
        match (&self.now, self.stored) {
            (Now::Set(value), _) => Some(value),
            (Now::AsStored, Stored::Value(value)) => Some(value),
            _ => None,
        }
    }
}

/// A number that tells most names apart, so that a search compares numbers and, as a rule, one name: the length, the first
/// bytes and the last ones, which is where `filled_volume` and `filled_value` differ.
fn tag(name: &str) -> u64 {
    let bytes = name.as_bytes();
    let halves = |first: &[u8; 4], last: &[u8; 4]| {
        u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last))
    };
    let ends = match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>(), bytes.first_chunk::<4>()) {
        (Some(first), Some(last), _) => u64::from_le_bytes(*first) ^ u64::from_le_bytes(*last).rotate_left(29),
        (_, _, Some(first)) => halves(first, bytes.last_chunk::<4>().unwrap_or(first)),
        _ => bytes.iter().fold(0, |all, &byte| all << 8 | u64::from(byte)),
    };
    ends ^ (bytes.len() as u64) << 56
}

/// Where to look for a tag first, by seven bits of it: the place of the first field that has these, so that as a rule
/// one look finds a field, or that there is none.
#[derive(Debug)]
struct Hints([u8; 128]);

impl Hints {
    const NONE: u8 = 0;
    /// Of every place that a hint cannot name.
    const SOMEWHERE: u8 = u8::MAX;

    fn bits(tag: u64) -> usize {
        (tag.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 57) as usize
    }

    fn add(&mut self, tag: u64, place: usize) {
        let hint = &mut self.0[Hints::bits(tag)];
        if *hint == Hints::NONE {
            *hint = u8::try_from(place + 1).unwrap_or(Hints::SOMEWHERE);
        }
    }

    fn get(&self, tag: u64) -> u8 {
        self.0[Hints::bits(tag)]
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
                    self.push(Field::new(Cow::Borrowed(name), Stored::Value(value), Now::AsStored));
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
            match self.position(&name) {
                None => self.push(Field::new(name, Stored::Absent, Now::AsStored)),
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
    pub fn set(&mut self, name: impl Into<Name<'a>>, value: impl Into<Value<'a>>) {
        let name = name.into();
        let value = value.into().0;
        self.changed = true;
        match self.position(&name) {
            Some(at) => self.fields[at].now = Now::Set(value),
            None => {
                let is_known = self.is_whole || !self.existed;
                let stored = if is_known { Stored::Absent } else { Stored::Unread };
                self.push(Field::new(name, stored, Now::Set(value)));
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

    fn position(&self, name: &str) -> Option<usize> {
        if !self.places.is_empty() {
            return self.places.get(name).copied();
        }
        let tag = tag(name);
        let is_it = |field: &Field<'_>| field.tag == tag && field.name == name;
        match self.hints.get(tag) {
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
        self.hints.add(field.tag, self.fields.len());
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
