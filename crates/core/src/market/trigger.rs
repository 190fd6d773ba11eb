//! Triggers by command.

use std::borrow::Cow;

use super::fire::{Cause, Fired};
use super::{Decision, Market};
use crate::engine::within_condition;
use crate::event::{parse_time, scan_object};
use crate::json::Object;
use crate::key::{Key, Scope};
use crate::log::dedupe::{parse_record, record_text, Generations};
use crate::log::identity::Ids;
use crate::plan::Expiry;
use crate::refusal::{Code, Outcome};
use crate::store::MarketStore;
use crate::stream_id::StreamId;
use crate::symbol;
use xxhash_rust::xxh3::xxh3_64;

/// Which generations of ids live; in the first bucket, which takes no ids itself. No id can begin with a colon here,
/// and none is looked for in it.
const GENERATIONS: &str = ":generations";

/// The most bytes of VALUE that all bots get together.
const WORK_MAX: u64 = 16 << 20;

/// What a caller wants triggered.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// The condition.
    pub condition: &'a str,
    /// VALUE.
    pub value: Option<&'a [u8]>,
    /// ID.
    pub event_id: Option<&'a [u8]>,
    /// TIMESTAMP.
    pub timestamp: Option<&'a [u8]>,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Triggered {
    /// The id of the trigger and how many bots have work from it; `None` when it was held back.
    pub trigger: Option<(StreamId, u64)>,
    /// Whether the ID was known, and nothing done.
    pub is_repeat: bool,
}

impl<'a, S: MarketStore<'a>> Market<'_, 'a, S> {
    /// Triggers a condition, and ends. An ID that is known does nothing, and has the same answer as the first time;
    /// also where that was that it is held back.
    ///
    /// # Errors
    /// NOTFOUND, TOOBIG, BADJSON, BADFIELD, IDCONFLICT, WRONGTYPE, CORRUPT.
    pub fn trigger(mut self, order: &Order<'_>) -> Outcome<(Triggered, Decision<'a>)> {
        let value = scan_object("VALUE", order.value.unwrap_or(b"{}"), self.settings.max_event_size)?;
        let told_at = order.timestamp.map(|text| parse_time("TIMESTAMP", text)).transpose()?;
        told_at.map_or(Ok(()), |at| self.check_time(at))?;
        let event_id = order.event_id.map(|id| symbol::parse_id("ID", id)).transpose()?;
        let identity = event_id.map(|event_id| (event_id, digest(order.condition, &value)));
        let mut seen = Generations::default();
        if let Some((event_id, digest)) = identity {
            seen = self.living_ids()?;
            if let Some(known) = self.recall(&mut seen, event_id, digest)? {
                return Ok((Triggered { trigger: known, is_repeat: true }, self.finish()));
            }
        }
        let (condition, at) = self.known_condition(order.condition)?;
        self.check_work(order.condition, value.text)?;
        let cause = Cause { triggered_at: told_at.unwrap_or(self.now), bar: None, value: value.text, event_id };
        let fired = self.fire(order.condition, &condition, at, &cause);
        let fired = fired.map_err(|refusal| within_condition(refusal, order.condition))?;
        if let Some((event_id, digest)) = identity {
            self.remember(seen, event_id, digest, fired)?;
        }
        let trigger = fired.map(|fired| (fired.id, fired.notified));
        Ok((Triggered { trigger, is_repeat: false }, self.finish()))
    }

    /// Makes sure that what the bots get together is not too much for one step.
    fn check_work(&self, condition: &str, value: &str) -> Outcome<()> {
        let subscribers = self.store.len(self.store.open(Key::Subscriptions(condition))?);
        if subscribers.saturating_mul(value.len() as u64) <= WORK_MAX {
            return Ok(());
        }
        Err(Code::TooBig.because(format!(
            "VALUE has {} bytes, and each of {subscribers} subscribers gets it: together at most {} MiB are allowed",
            value.len(),
            WORK_MAX >> 20
        )))
    }

    fn living_ids(&mut self) -> Outcome<Generations> {
        let at = self.record(Key::TriggerSeen(0))?;
        let registry = &mut self.records[at];
        registry.load(self.store, &[GENERATIONS]);
        Generations::from_text(registry.text(GENERATIONS)?.unwrap_or_default())
            .ok_or_else(|| registry.corrupt(GENERATIONS, "generations as tradebus writes them"))
            .map_err(|refusal| refusal.within(&Key::TriggerSeen(0).name(Scope::Symbol(self.symbol))))
    }

    fn ids<'i>(&'i mut self, seen: &'i mut Generations) -> Ids<'i, 'a, S> {
        Ids {
            store: self.store,
            records: &mut self.records,
            notes: &mut self.notes,
            seen,
            bucket: |bucket| Key::TriggerSeen(bucket.saturating_add(1)),
            now: self.now,
        }
    }

    /// What the first trigger with this id came to; `None` when there was none.
    fn recall(
        &mut self,
        seen: &mut Generations,
        event_id: &str,
        digest: u64,
    ) -> Outcome<Option<Option<(StreamId, u64)>>> {
        match self.ids(seen).recall(&Cow::Owned(event_id.to_owned()), parse_trigger)? {
            None => Ok(None),
            Some((_, known, _)) if known != digest => Err(Code::IdConflict.because(format!(
                "ID '{event_id}' is known from a trigger of another condition or with another VALUE"
            ))),
            Some((StreamId::ZERO, ..)) => Ok(Some(None)),
            Some((id, _, notified)) => Ok(Some(Some((id, notified)))),
        }
    }

    fn remember(&mut self, seen: Generations, event_id: &str, digest: u64, fired: Option<Fired>) -> Outcome<()> {
        let Fired { id, notified } = fired.unwrap_or(Fired { id: StreamId::ZERO, notified: 0 });
        let (mut living, settings) = (seen, self.settings);
        let record = |width| format!("{} {notified}", record_text(id, digest, width));
        self.tally.forgotten += self.ids(&mut living).remember(Cow::Owned(event_id.to_owned()), record, settings)?;
        if living != seen {
            let at = self.record(Key::TriggerSeen(0))?;
            self.records[at].set(Cow::Borrowed(GENERATIONS), living.to_text());
            let last = living.oldest_first().iter().map(|generation| generation.expires_at()).max();
            if let Some(last) = last {
                self.notes.expire(self.records[at].slot(), Expiry::At(last));
            }
        }
        Ok(())
    }
}

/// The same for two triggers of one condition with the same data.
fn digest(condition: &str, value: &Object<'_>) -> u64 {
    let parts = [xxh3_64(condition.as_bytes()).to_le_bytes(), value.digest().to_le_bytes()];
    xxh3_64(parts.as_flattened())
}

/// Reads `<id> <digest> <notified>`; the id is `0-0` where the trigger was held back.
fn parse_trigger(text: &[u8]) -> Option<(StreamId, u64, u64)> {
    let end = text.iter().rposition(|byte| *byte == b' ')?;
    let (id, digest) = parse_record(&text[..end])?;
    let notified = std::str::from_utf8(&text[end + 1..]).ok()?.parse().ok()?;
    Some((id, digest, notified))
}
