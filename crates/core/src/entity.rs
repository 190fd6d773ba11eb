//! What orders, positions and signals have in common: how an accepted event leaves its mark on their hash.

use crate::event::Event;
use crate::record::Record;
use crate::refusal::Outcome;
use crate::store::Store;
use crate::stream_id::StreamId;
use crate::time::Millis;

/// Fields that every entity has and that no member of an event's data may overwrite.
pub const COMMON_FIELDS: [&str; 6] = ["status", "version", "created_at", "updated_at", "last_event_id", "external"];

/// What a judgement comes to when the event is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The event is true but came after it could matter in full.
    pub late: bool,
    /// What becomes of the data's members.
    pub merge: Merge,
    /// The status after the event.
    pub status: &'static str,
    /// Whether the entity is in its index after the event.
    pub open: bool,
}

/// What becomes of the members of an accepted event's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// They are the newest values.
    Overwrite,
    /// Newer values are there already: only absent fields are filled in.
    FillIn,
    /// The event changes nothing.
    Ignore,
}

/// The rules by which a subject keeps members.
pub trait Fields {
    /// Whether `name` is a field that the module computes, or an input it turns into one.
    fn is_own(name: &str) -> bool;
}

/// Writes the members of `event` into `record` as `merge` says; those that bear the name of a field of the
/// module stay in the log only.
pub fn merge_members<'a, F: Fields, S: Store<'a>>(record: &mut Record<'a>, store: &S, event: &Event<'a>, merge: Merge) {
    if merge == Merge::Ignore {
        return;
    }
    let kept = |name: &str| !COMMON_FIELDS.contains(&name) && !F::is_own(name);
    if record.exists() {
        record.load_named(store, event.members().map(|(name, _)| name.clone()).filter(|name| kept(name)));
    }
    for (name, value) in event.members() {
        if kept(name) && !(merge == Merge::FillIn && record.get(name).is_some()) {
            record.set(name.clone(), value);
        }
    }
}

/// Counts the event and notes when it happened.
///
/// # Errors
/// CORRUPT when the stored version is no number.
pub fn stamp(record: &mut Record<'_>, id: StreamId, status: &'static str) -> Outcome<u64> {
    let version = version(record)?.saturating_add(1);
    let mut text = String::with_capacity(24);
    id.push_to(&mut text);
    record.set("status", status);
    record.set("version", version);
    record.set("updated_at", id.ms);
    record.set("last_event_id", text);
    Ok(version)
}

/// How many events the entity has had; 0 when there is none.
///
/// # Errors
/// CORRUPT.
pub fn version(record: &Record<'_>) -> Outcome<u64> {
    match record.integer("version")? {
        Some(version) => Ok(version),
        None if !record.is_stored() => Ok(0),
        None => Err(record.corrupt("version", "a whole number")),
    }
}

/// The score of the entity in its index.
///
/// # Errors
/// CORRUPT.
pub fn created_at<'a, S: Store<'a>>(record: &mut Record<'a>, store: &S) -> Outcome<Millis> {
    record.load(store, &["created_at"]);
    record.integer("created_at")?.ok_or_else(|| record.corrupt("created_at", "Unix milliseconds"))
}

/// Whether the entity was made by an event other than the one that begins its life.
pub fn is_shell<'a, S: Store<'a>>(record: &mut Record<'a>, store: &S) -> bool {
    record.load(store, &["external"]);
    record.get("external").is_some()
}
