//! Bots, and what they wait for.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{text_field, Decision, Market};
use crate::condition;
use crate::engine::{within_condition, SUBSCRIPTIONS_MAX};
use crate::key::Key;
use crate::refusal::{Code, Outcome};
use crate::store::{MarketStore, Slot};
use crate::subscription::{Subscription, Terms};
use crate::timeframe::Timeframe;

/// The most bots of a condition: what a single trigger can have to do.
pub const SUBSCRIBERS_MAX: u64 = 10_000;

impl<'a, S: MarketStore<'a>> Market<'_, 'a, S> {
    /// Subscribes a bot to a condition, or changes what `terms` name of its subscription, and ends. Says whether the
    /// bot is new.
    ///
    /// # Errors
    /// NOTFOUND, TOOBIG, WRONGTYPE, CORRUPT.
    pub fn subscribe(mut self, id: &str, bot_id: &str, terms: &Terms<'_>) -> Outcome<(bool, Decision<'a>)> {
        let (condition, _) = self.known_condition(id)?;
        let at = self.record(Key::Subscriptions(id))?;
        let record = &mut self.records[at];
        record.load_named(self.store, std::iter::once(Cow::Owned(bot_id.to_owned())));
        let stored = record.get(bot_id).map(|stored| stored.to_vec());
        let json = match &stored {
            Some(stored) => {
                let read = Subscription::read(bot_id.as_bytes(), stored);
                let mut subscription = read.map_err(|refusal| within_condition(refusal, id))?;
                subscription.apply(terms);
                subscription.to_json()
            }
            None => {
                if self.store.len(record.slot()) >= SUBSCRIBERS_MAX {
                    return Err(Code::TooBig.because(format!(
                        "condition {id} has {SUBSCRIBERS_MAX} subscribers, and more are not allowed"
                    )));
                }
                let mut subscription = Subscription::new(bot_id, self.now);
                subscription.apply(terms);
                subscription.to_json()
            }
        };
        record.set(bot_id.to_owned(), text_field(json));
        if stored.is_none() {
            self.count_subscription(condition.timeframe)?;
        }
        Ok((stored.is_none(), self.finish()))
    }

    /// Counts a new subscription, if there is room for it.
    fn count_subscription(&mut self, timeframe: Timeframe) -> Outcome<()> {
        let mut engine = self.engine(timeframe)?;
        if engine.subscriptions >= SUBSCRIPTIONS_MAX {
            let refusal = Code::TooBig.because(format!(
                "the conditions of {} on {} have {SUBSCRIPTIONS_MAX} subscriptions, and more are not allowed",
                self.symbol,
                timeframe.as_str()
            ));
            self.remembered.put(engine);
            return Err(refusal);
        }
        engine.subscriptions += 1;
        self.touched.push(engine);
        Ok(())
    }

    /// Ends a bot's subscription. Says whether there was one.
    ///
    /// # Errors
    /// WRONGTYPE.
    pub fn unsubscribe(mut self, id: &str, bot_id: &str) -> Outcome<(bool, Decision<'a>)> {
        let at = self.record(Key::Subscriptions(id))?;
        let record = &mut self.records[at];
        record.load_named(self.store, std::iter::once(Cow::Owned(bot_id.to_owned())));
        let is_there = record.get(bot_id).is_some();
        record.remove(bot_id);
        // A condition that cannot be read is nobody's count.
        let timeframe = self.condition(id).ok().flatten().map(|(condition, _)| condition.timeframe);
        if let Some(mut engine) = timeframe.filter(|_| is_there).and_then(|timeframe| self.remembered.take(timeframe)) {
            engine.subscriptions = engine.subscriptions.saturating_sub(1);
            self.touched.push(engine);
        }
        Ok((is_there, self.finish()))
    }
}

/// Subscriptions as they are stored, by the bots' ids and in their order, so that the same trigger always gives the same
/// entries.
pub(super) type Stored = BTreeMap<Vec<u8>, Vec<u8>>;

/// Reads all subscriptions of a hash.
pub(super) fn read_subscriptions<'a, S: MarketStore<'a>>(store: &S, slot: Slot) -> Stored {
    let mut stored = Stored::new();
    store.hash_each(slot, &mut |bot_id, text| {
        stored.insert(bot_id.to_vec(), text.to_vec());
    });
    stored
}

/// Calls `visit` with each subscription to a condition, by the order of the bots' ids.
///
/// # Errors
/// NOTFOUND, WRONGTYPE, CORRUPT.
pub fn each_subscription<'a, S: MarketStore<'a>>(
    store: &S,
    symbol: &str,
    id: &str,
    visit: &mut dyn FnMut(&Subscription<'_>),
) -> Outcome<()> {
    if !store.exists(store.open(Key::Condition(id))?) {
        return Err(condition::unknown(id, symbol));
    }
    let stored = read_subscriptions(store, store.open(Key::Subscriptions(id))?);
    let mut subscriptions = Vec::with_capacity(stored.len());
    for (bot_id, text) in &stored {
        subscriptions.push(Subscription::read(bot_id, text).map_err(|refusal| within_condition(refusal, id))?);
    }
    subscriptions.iter().for_each(visit);
    Ok(())
}
