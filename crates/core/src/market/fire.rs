//! A trigger: everything that it does, in one step.

use std::borrow::Cow;

use super::subscribe::{read_subscriptions, Stored};
use super::{number_field, text_field, Market};
use crate::channel::{self, Topic};
use crate::condition::{field, Condition, Mode, Status};
use crate::json::push_string;
use crate::key::{Key, Scope};
use crate::message::push_ids;
use crate::plan::{HashPatch, Message, Text};
use crate::refusal::Outcome;
use crate::settings::PubSub;
use crate::store::{MarketStore, Slot};
use crate::stream_id::StreamId;
use crate::subscription::{order_ref, Occasion, Subscription};
use crate::time::Millis;
use crate::word::Word;

/// Why a condition triggers.
pub(super) struct Cause<'c> {
    /// When it happened: the end of the bar, or what the caller says.
    pub(super) triggered_at: Millis,
    /// The open time of the bar; `None` for a trigger by command.
    pub(super) bar: Option<Millis>,
    /// What it was like: a JSON object.
    pub(super) value: &'c str,
    /// The caller's id of it.
    pub(super) event_id: Option<&'c str>,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fired {
    /// Its id.
    pub(super) id: StreamId,
    /// How many bots have work from it.
    pub(super) notified: u64,
}

/// A bot that is triggered.
struct Work {
    bot_id: String,
    bot_type: String,
    action: Vec<u8>,
}

impl<'a, S: MarketStore<'a>> Market<'_, 'a, S> {
    /// Triggers a condition, whose record is at `record`, and the bots that subscribed to it; `None` when it is held back.
    pub(super) fn fire(
        &mut self,
        id: &str,
        condition: &Condition,
        record: usize,
        cause: &Cause<'_>,
    ) -> Outcome<Option<Fired>> {
        if condition.holds_back(cause.triggered_at, self.now).is_some() {
            return Ok(None);
        }
        let triggers = self.queue(None)?;
        let trigger_id = self.next_id(triggers)?;
        let slot = self.store.open(Key::Subscriptions(id))?;
        let subscribers = read_subscriptions(self.store, slot);
        let work = self.reach(slot, &subscribers, cause)?;
        let fired = Fired { id: trigger_id, notified: work.len() as u64 };

        self.note_trigger(condition, record, cause, trigger_id);
        self.log_trigger(triggers, id, condition, cause, fired, subscribers.len());
        for bot in work {
            self.hand_out(id, trigger_id, bot, cause)?;
        }
        self.tell_trigger(id, condition, cause, trigger_id, subscribers.len());
        self.tally.triggers += 1;
        self.tally.notified += fired.notified;
        self.triggered.push(id.to_owned());
        Ok(Some(fired))
    }

    fn note_trigger(&mut self, condition: &Condition, record: usize, cause: &Cause<'_>, trigger_id: StreamId) {
        let record = &mut self.records[record];
        record.set(field::TRIGGER_COUNT, condition.trigger_count.saturating_add(1));
        // A trigger that is told late does not end a cooldown before its time.
        record.set(field::LAST_TRIGGERED_AT, condition.last_triggered_at.unwrap_or(0).max(cause.triggered_at));
        record.set(field::LAST_TRIGGER_ID, trigger_id.to_string());
        if condition.mode == Mode::Once {
            record.set(field::STATUS, Status::Paused.as_str());
        }
    }

    /// The bots that are not held back, their subscriptions brought up to date.
    fn reach(&mut self, slot: Slot, subscribers: &Stored, cause: &Cause<'_>) -> Outcome<Vec<Work>> {
        let mut patch = HashPatch { slot, set: Vec::new(), delete: Vec::new() };
        let mut work = Vec::new();
        for (bot_id, stored) in subscribers {
            let mut subscription = Subscription::read(bot_id, stored)?;
            if subscription.holds_back(cause.triggered_at, self.now).is_some() {
                continue;
            }
            subscription.record_trigger(cause.triggered_at);
            let bot_id = subscription.bot_id.to_owned();
            patch.set.push((Cow::Owned(bot_id.clone()), text_field(subscription.to_json())));
            work.push(Work {
                bot_id,
                bot_type: subscription.bot_type.to_owned(),
                action: subscription.action.map_or_else(|| b"{}".to_vec(), |action| action.get().into()),
            });
        }
        if !patch.set.is_empty() {
            self.plan.hashes.push(patch);
        }
        Ok(work)
    }

    /// The entry in the triggers of the symbol.
    fn log_trigger(
        &mut self,
        triggers: usize,
        id: &str,
        condition: &Condition,
        cause: &Cause<'_>,
        fired: Fired,
        subscribers: usize,
    ) {
        let fields = [
            ("condition_id", text_field(id.to_owned())),
            ("timeframe", Cow::Borrowed(condition.timeframe.as_str().as_bytes())),
            ("expression", text_field(condition.expression.clone())),
            ("value", text_field(cause.value.to_owned())),
            ("bar_time", bar_time(cause)),
            ("ts", number_field(cause.triggered_at)),
            ("subscribers_count", text_field(subscribers.to_string())),
            ("notified", text_field(fired.notified.to_string())),
        ];
        let event_id = cause.event_id.map(|event_id| ("event_id", text_field(event_id.to_owned())));
        self.push(triggers, fired.id, fields.into_iter().chain(event_id));
    }

    /// The entry in the work queue of a bot's type.
    fn hand_out(&mut self, id: &str, trigger_id: StreamId, bot: Work, cause: &Cause<'_>) -> Outcome<()> {
        let queue = self.queue(Some(&bot.bot_type))?;
        let entry_id = self.next_id(queue)?;
        let occasion = cause.bar.map_or(Occasion::Told(trigger_id), Occasion::Bar);
        let order_ref = order_ref(self.symbol, id, occasion, &bot.bot_id);
        let fields = [
            ("bot_id", text_field(bot.bot_id)),
            ("bot_type", text_field(bot.bot_type)),
            ("condition_id", text_field(id.to_owned())),
            ("trigger_id", text_field(trigger_id.to_string())),
            ("order_ref", text_field(order_ref)),
            ("action", Cow::Owned(bot.action)),
            ("value", text_field(cause.value.to_owned())),
            ("bar_time", bar_time(cause)),
            ("ts", number_field(cause.triggered_at)),
        ];
        self.push(queue, entry_id, fields.into_iter());
        Ok(())
    }

    fn tell_trigger(
        &mut self,
        id: &str,
        condition: &Condition,
        cause: &Cause<'_>,
        trigger_id: StreamId,
        subscribers: usize,
    ) {
        let (topic, scope) = (Topic::Condition(Cow::Owned(id.to_owned())), Scope::Symbol(self.symbol));
        let channel = match self.settings.pubsub {
            PubSub::Off => return,
            PubSub::Classic => channel::classic(scope, &topic),
            PubSub::Sharded => channel::sharded(scope, &topic),
        };
        let mut body = String::with_capacity(512);
        push_ids(trigger_id, condition.last_trigger_id, &mut body);
        for (lead, text) in [
            (r#"","condition_id":""#, id),
            (r#"","symbol":""#, self.symbol),
            (r#"","timeframe":""#, condition.timeframe.as_str()),
        ] {
            body.push_str(lead);
            body.push_str(text);
        }
        body.push_str(r#"","expression":"#);
        push_string(&condition.expression, &mut body);
        body.push_str(r#","triggered_at":""#);
        crate::time::push_rfc3339(cause.triggered_at, &mut body);
        body.push_str(r#"","trigger_value":"#);
        body.push_str(cause.value);
        body.push_str(r#","subscribers_count":"#);
        body.push_str(itoa::Buffer::new().format(subscribers));
        body.push_str(r#","published_at":""#);
        crate::time::push_rfc3339(self.now, &mut body);
        body.push_str(r#"","channel":"#);
        push_string(&channel, &mut body);
        body.push('}');
        self.tell(Message { topic, body });
    }
}

/// The open time of the bar; empty for a trigger by command.
fn bar_time<'a>(cause: &Cause<'_>) -> Text<'a> {
    cause.bar.map_or(Cow::Borrowed(&[]), number_field)
}
