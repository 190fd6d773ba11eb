//! Folding a log: what its entries come to, one after the other. It applies what was accepted and never judges
//! again: the judgement runs on the state that it ran on then, with what it took from outside the event, and so
//! comes to the same.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::fields::Fields;
use super::view::{Place, View, LOG_END};
use crate::event::Event;
use crate::event_name::EventName;
use crate::event_type::{EventType, Subject};
use crate::instrument::TERMS;
use crate::json::{self, Value};
use crate::key::Scope;
use crate::log::journal::Journal;
use crate::log::logged::{self, Logged};
use crate::log::Clock;
use crate::plan::HashPatch;
use crate::session::{begins_life, Life, Session, SubjectId, LIFE};
use crate::settings::Settings;
use crate::word::Word;

/// What a log comes to, up to some entry.
pub struct Fold {
    symbol: String,
    /// Everything that the log speaks of. Not hashed: a large table that grows takes longer than a slice may, and
    /// callers choose the ids.
    pub entities: BTreeMap<EntityKey, Entity>,
    /// The last breach by limit, of the limits that the log tells of for certain.
    pub risk: Fields,
    /// Whether these can be told from the log.
    pub risk_standing: Standing,
    /// Whether the sums of [`Fold::journal`] can: not once an entity is unknown.
    pub sums: Standing,
    /// What `last` holds of a log that was never trimmed.
    pub journal: Journal,
    /// How the log was judged cannot depend on the settings of today, nor be refused for them.
    settings: Settings,
    /// The journal of the log that a [`View`] has.
    view_journal: Journal,
}

/// Which entity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EntityKey {
    /// Of what kind.
    pub kind: Subject,
    /// Its id.
    pub id: Box<str>,
}

/// An entity, as the log has it.
#[derive(Clone, Debug, Default)]
pub struct Entity {
    /// Whether it is known.
    pub standing: Standing,
    /// Its hash.
    pub hash: Fields,
    /// Its fills or slices.
    pub fills: Fields,
}

/// Whether what the log says of an entity is all there is to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// It is.
    #[default]
    Known,
    /// Its first event is not in the log any more, or one was not accepted on what the ones before it come to, as
    /// when somebody had changed its hash by hand.
    Unknown,
}

impl Entity {
    fn unknown() -> Entity {
        Entity { standing: Standing::Unknown, ..Entity::default() }
    }
}

impl EntityKey {
    /// The entity as the judgement knows it.
    pub fn subject(&self) -> Option<SubjectId<'_>> {
        let id = Cow::Borrowed(&*self.id);
        match self.kind {
            Subject::Order => Some(SubjectId::Order(id)),
            Subject::Position => Some(SubjectId::Position(id)),
            Subject::Signal => Some(SubjectId::Signal(id)),
            Subject::None => None,
        }
    }
}

impl Fold {
    /// Nothing yet.
    pub fn new(symbol: &str) -> Fold {
        Fold {
            symbol: symbol.to_owned(),
            entities: BTreeMap::new(),
            risk: Fields::default(),
            risk_standing: Standing::Known,
            sums: Standing::Known,
            settings: Settings { max_event_size: usize::MAX, ..Settings::default() },
            journal: Journal::empty(Scope::Symbol(symbol)),
            view_journal: Journal::empty(Scope::Symbol(symbol)),
        }
    }

    /// Takes the next entry in. One that tradebus did not write says nothing.
    pub fn take(&mut self, entry: &Logged<'_>) {
        let known = EventType::ALL.iter().find(|known| known.as_str().as_bytes() == entry.event_type);
        let Some(&event_type) = known else {
            return;
        };
        self.journal.append(EventName::Trade(event_type), entry.id);
        if entry.outcome == logged::Outcome::Record {
            return;
        }
        let Ok(event) = Event::scan(event_type, entry.data, usize::MAX) else {
            return;
        };
        let event_id = entry.event_id.and_then(|id| std::str::from_utf8(id).ok());
        let context = Context::of(entry.context);
        match (event_type, SubjectId::of(&event, event_id)) {
            (_, Ok(Some(subject))) => {
                let key = EntityKey { kind: event_type.subject(), id: subject.id().into() };
                let begins = if begins_life(event_type) { Life::New } else { Life::Known };
                let entity = match context.life.unwrap_or(begins) {
                    Life::New => Some(Entity::default()),
                    Life::Known => self.take_known(&key),
                };
                let folded = entity.and_then(|entity| self.apply(&event, event_id, entry, &context, entity));
                if folded.is_none() {
                    self.sums = Standing::Unknown;
                }
                self.entities.insert(key, folded.unwrap_or_else(Entity::unknown));
            }
            (EventType::TradeFailed, Ok(None)) => {
                let Ok(Some(order_id)) = event.id("order_id") else {
                    return;
                };
                let key = EntityKey { kind: Subject::Order, id: order_id.as_ref().into() };
                // Of an order that was not there, nothing was noted.
                if let Some(order) = self.take_known(&key) {
                    let order = self.apply(&event, event_id, entry, &context, order);
                    self.entities.insert(key, order.unwrap_or_else(Entity::unknown));
                }
            }
            (EventType::RiskLimitBreached, Ok(None)) => {
                let limit = event.text("limit").ok().flatten().unwrap_or_default();
                // Late behind a breach that the log does not hold any more: which one, nobody knows.
                if entry.outcome == logged::Outcome::Late && self.risk.get(limit.as_bytes()).is_none() {
                    return;
                }
                if self.apply(&event, event_id, entry, &context, Entity::default()).is_none() {
                    self.risk_standing = Standing::Unknown;
                }
            }
            _ => {}
        }
    }

    /// An entity, out of its place: copies of large ones would add up.
    fn take_known(&mut self, key: &EntityKey) -> Option<Entity> {
        let entity = self.entities.get_mut(key).filter(|known| known.standing == Standing::Known)?;
        Some(std::mem::take(entity))
    }

    /// What an event makes of an entity; `None` when it cannot have been accepted on that.
    fn apply(
        &mut self,
        event: &Event<'_>,
        event_id: Option<&str>,
        entry: &Logged<'_>,
        context: &Context,
        mut entity: Entity,
    ) -> Option<Entity> {
        let clock = Clock { now: i64::try_from(entry.id.ms).ok()?, behind: LOG_END };
        let view =
            View { entity: &entity.hash, fills: &entity.fills, risk: &self.risk, instrument: &context.instrument };
        let mut session = Session::open(&view, &self.symbol, &self.settings, clock, Some(&self.view_journal)).ok()?;
        session.fold(event, event_id, entry.id, entry.happened_at?).ok()?;
        let decision = session.finish().ok()?;
        let (realized, reported) = decision.journal.profits();
        let patches: Vec<_> = decision.plan.hashes.into_iter().map(OwnedPatch::of).collect();
        // What was accepted was exact.
        self.journal.add_profit(realized, reported).ok()?;
        for patch in patches {
            let fields = match patch.place {
                Place::Entity => &mut entity.hash,
                Place::Fills => &mut entity.fills,
                Place::Risk => &mut self.risk,
                Place::Instrument | Place::Other(_) => continue,
            };
            fields.patch(&patch.set, &patch.delete);
        }
        Some(entity)
    }
}

/// A patch that borrows nothing of what it is for.
struct OwnedPatch {
    place: Place,
    set: Vec<(String, Vec<u8>)>,
    delete: Vec<String>,
}

impl OwnedPatch {
    fn of(patch: HashPatch<'_>) -> OwnedPatch {
        OwnedPatch {
            place: Place::at(patch.slot),
            set: patch.set.into_iter().map(|(name, value)| (name.into_owned(), value.into_owned())).collect(),
            delete: patch.delete.into_iter().map(Cow::into_owned).collect(),
        }
    }
}

/// What an entry says of the judgement's surroundings.
#[derive(Default)]
struct Context {
    life: Option<Life>,
    instrument: Fields,
}

impl Context {
    fn of(text: Option<&[u8]>) -> Context {
        let Some(Ok(object)) = text.map(json::parse_object) else {
            return Context::default();
        };
        let member = |name: &str| {
            object.members.iter().find(|member| member.name == name).and_then(|member| match &member.value {
                Value::String(text) => Some(text.as_ref()),
                _ => None,
            })
        };
        let terms = TERMS.into_iter().filter_map(|name| Some((name.as_bytes(), member(name)?.as_bytes())));
        Context { life: member(LIFE).and_then(Life::parse), instrument: terms.collect() }
    }
}
