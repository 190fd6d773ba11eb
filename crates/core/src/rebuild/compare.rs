//! What is stored beside what the log comes to: each part as a plan of its repair, which is empty where they agree.

use std::borrow::Cow;

use super::fields::Fields;
use super::fold::{Entity, EntityKey, Fold};
use crate::event_type::Subject;
use crate::key::{Key, Scope};
use crate::log::journal::Journal;
use crate::plan::{Expiry, HashPatch, IndexPatch, Plan};
use crate::refusal::Outcome;
use crate::session::SubjectId;
use crate::settings::Settings;
use crate::store::{Audit, Score, Slot};
use crate::symbol::parse_id;
use crate::time::Millis;

/// What a log holds of what ever was in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// All of it.
    Whole,
    /// Its beginning is gone.
    Tail,
    /// Entries were deleted from the middle.
    Holes,
}

/// A comparison at one moment.
pub struct Comparison<'c, S> {
    /// What is stored.
    pub store: &'c S,
    /// The symbol.
    pub symbol: &'c str,
    /// How long what has ended is kept.
    pub settings: &'c Settings,
    /// Unix ms.
    pub now: Millis,
    /// What the log seems to hold.
    pub reach: Reach,
    /// How many entries it has ever had.
    pub added: u64,
}

/// A part of an index.
pub struct IndexPage {
    /// Takes out who should not be in it.
    pub repair: Plan<'static>,
    /// Ids that the log does not tell of, and that have a hash.
    pub skipped: u64,
    /// Where to go on, 0 at the end.
    pub next: u64,
}

impl<'a, S: Audit<'a>> Comparison<'_, S> {
    /// An entity: its hash, its fills, their expiry, its place in its index. `None` when the log lacks events of it.
    ///
    /// # Errors
    /// WRONGTYPE.
    pub fn entity(&self, subject: &SubjectId<'_>, entity: &Entity) -> Outcome<Option<Plan<'static>>> {
        let mut repair = Plan::default();
        let text = |name: &str| entity.hash.get(name.as_bytes()).and_then(|value| std::str::from_utf8(value).ok());
        let millis = |name: &str| text(name).and_then(|text| text.parse::<Millis>().ok()).unwrap_or_default();
        let is_open = text("status").is_some_and(|status| subject.is_open(status));
        let due = match subject.ttl_ms(is_open, self.settings) {
            0 => None,
            ttl => Some(millis("updated_at").saturating_add_unsigned(ttl)),
        };
        let hash = self.store.open(subject.key())?;
        let was_there = self.store.exists(hash);
        if self.reach == Reach::Holes && self.stored_version(hash) > text("version").and_then(|text| text.parse().ok())
        {
            return Ok(None);
        }
        let is_expired = !was_there && due.is_some_and(|due| due <= self.now);
        if !is_expired {
            self.hash(hash, &entity.hash, Extra::Delete, &mut repair);
            let expiry = match was_there {
                true => self.store.expires_at(hash),
                false => due,
            };
            match expiry {
                Some(due) if !was_there => repair.expiries.push((hash, Expiry::At(due))),
                // Somebody set an expiry on what is still open.
                Some(_) if due.is_none() && is_open => repair.expiries.push((hash, Expiry::Never)),
                _ => {}
            }
            if let Some(key) = subject.fills_key() {
                let fills = self.store.open(key)?;
                let had_fills = self.store.exists(fills);
                self.hash(fills, &entity.fills, Extra::Delete, &mut repair);
                let has_expiry = had_fills && self.store.expires_at(fills).is_some();
                match (entity.fills.is_empty(), is_open, expiry) {
                    (false, true, _) if has_expiry => repair.expiries.push((fills, Expiry::Never)),
                    (false, false, Some(due)) if !has_expiry => repair.expiries.push((fills, Expiry::At(due))),
                    _ => {}
                }
            }
        }
        if let Some(index) = subject.index_key() {
            let index = self.store.open(index)?;
            let wanted = if is_open { Score::Whole(millis("created_at")) } else { Score::Absent };
            if self.store.score(index, subject.id()) != wanted {
                let score = is_open.then(|| millis("created_at"));
                repair.indexes.push(IndexPatch { slot: index, member: subject.id().as_bytes().to_vec(), score });
            }
        }
        Ok(Some(repair))
    }

    fn stored_version(&self, hash: Slot) -> Option<u64> {
        let mut stored = Vec::with_capacity(1);
        self.store.hash_get(hash, &["version"], &mut stored);
        std::str::from_utf8(stored.pop()??).ok()?.parse().ok()
    }

    /// The risk limits that the log tells of.
    ///
    /// # Errors
    /// WRONGTYPE.
    pub fn risk(&self, risk: &Fields) -> Outcome<Plan<'static>> {
        let mut repair = Plan::default();
        let extra = match self.is_whole(&self.stored_journal()?) {
            true => Extra::Delete,
            false => Extra::Keep,
        };
        self.hash(self.store.open(Key::Risk)?, risk, extra, &mut repair);
        Ok(repair)
    }

    /// The counts and sums of `last`, which only the whole log can tell.
    ///
    /// # Errors
    /// WRONGTYPE.
    pub fn last(&self, wanted: &Journal) -> Outcome<Plan<'static>> {
        let mut repair = Plan::default();
        let stored = self.stored_journal()?;
        if !self.is_whole(&stored) {
            return Ok(repair);
        }
        let slot = self.store.open(Key::Last)?;
        if stored.as_ref().is_ok_and(|stored| stored.types() == wanted.types() && stored.profits() == wanted.profits())
        {
            return Ok(repair);
        }
        // What is junk cannot say which event ids are known.
        let seen = stored.map(|stored| stored.seen).unwrap_or_default();
        let fields = wanted.to_fields(seen);
        let fields = fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        self.hash(slot, &fields, Extra::Delete, &mut repair);
        Ok(repair)
    }

    fn stored_journal(&self) -> Outcome<Outcome<Box<Journal>>> {
        let (log, last) = (self.store.open(Key::Log)?, self.store.open(Key::Last)?);
        Ok(Journal::open(self.store, Scope::Symbol(self.symbol), log, || Ok(last), None, None))
    }

    /// Whether the log holds all that the symbol ever had. `last` knows how many events there were: a log that
    /// somebody copied or made anew has fewer.
    fn is_whole(&self, stored: &Outcome<Box<Journal>>) -> bool {
        let ever = stored.as_ref().map_or(0, |stored| stored.types().iter().map(|(_, tail)| tail.count).sum());
        self.reach == Reach::Whole && self.added > 0 && ever <= self.added
    }

    /// Ids in an index, from a cursor on, that belong to no entity of `fold`.
    ///
    /// # Errors
    /// WRONGTYPE.
    pub fn index(&self, kind: Subject, cursor: u64, fold: &Fold) -> Outcome<IndexPage> {
        let mut page = IndexPage { repair: Plan::default(), skipped: 0, next: 0 };
        let of_kind = |id: &str| EntityKey { kind, id: id.into() };
        let Some(index) = of_kind("").subject().and_then(|subject| subject.index_key()) else {
            return Ok(page);
        };
        let index = self.store.open(index)?;
        let mut members: Vec<Vec<u8>> = Vec::new();
        page.next = self.store.members(index, cursor, &mut |member| members.push(member.to_vec()))?;
        members.sort_unstable();
        members.dedup();
        for member in members {
            if let Ok(id) = parse_id("a member", &member) {
                let key = of_kind(id);
                if fold.entities.contains_key(&key) {
                    continue;
                }
                // Whose hash is there may be true, although the log does not tell of it.
                let hash = key.subject().map(|subject| self.store.open(subject.key())).transpose()?;
                if hash.is_some_and(|hash| self.store.exists(hash)) {
                    page.skipped += 1;
                    continue;
                }
            }
            page.repair.indexes.push(IndexPatch { slot: index, member, score: None });
        }
        Ok(page)
    }

    fn hash(&self, slot: Slot, wanted: &Fields, extra: Extra, repair: &mut Plan<'static>) {
        if wanted.is_empty() {
            if extra == Extra::Delete && self.store.exists(slot) {
                repair.unlinks.push(slot);
            }
            return;
        }
        let mut patch = HashPatch { slot, set: Vec::new(), delete: Vec::new() };
        let (names, values): (Vec<_>, Vec<_>) = wanted.iter().unzip();
        // The names are the module's own and of members of JSON, so they are UTF-8.
        let names: Vec<&str> = names.into_iter().map(|name| std::str::from_utf8(name).unwrap_or_default()).collect();
        let mut stored = Vec::with_capacity(names.len());
        self.store.hash_get(slot, &names, &mut stored);
        let mut common = 0;
        for ((name, value), stored) in names.iter().zip(values).zip(stored) {
            common += u64::from(stored.is_some());
            if stored != Some(value) {
                patch.set.push((Cow::Owned((*name).to_owned()), Cow::Owned(value.to_vec())));
            }
        }
        if extra == Extra::Delete && self.store.len(slot) > common {
            self.store.hash_each(slot, &mut |name, _| {
                if wanted.get(name).is_none() {
                    // A name that is not UTF-8 cannot be named by a plan.
                    patch.delete.extend(std::str::from_utf8(name).ok().map(|name| Cow::Owned(name.to_owned())));
                }
            });
            patch.delete.sort_unstable();
            patch.delete.dedup();
        }
        if !patch.set.is_empty() || !patch.delete.is_empty() {
            repair.hashes.push(patch);
        }
    }
}

/// What becomes of fields that the log does not tell of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extra {
    Delete,
    Keep,
}
