//! A bot's subscription to a condition: what it wants, what it has had, and when it is held back.

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use xxhash_rust::xxh3::xxh3_128;

use crate::json;
use crate::refusal::{quoted, Code, Outcome, Refusal};
use crate::stream_id::StreamId;
use crate::symbol::parse_word;
use crate::time::{self, Millis};

/// The type of a bot that never named one.
pub const TYPE_DEFAULT: &str = "bot";

/// A subscription as `cond:{S}:subs:<id>` has it under the bot's id: a JSON object, without what is not set.
///
/// A member that we do not know is refused, not skipped: what a newer version stored, a limit perhaps, would be lost
/// when the subscription is next written.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscription<'a> {
    /// Whose it is.
    #[serde(skip)]
    pub bot_id: &'a str,
    /// Which work queue its triggers go to.
    #[serde(rename = "type")]
    pub bot_type: &'a str,
    /// What the bot is to do: the caller's JSON object, byte for byte.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub action: Option<&'a RawValue>,
    /// The least time between two triggers, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cooldown: Option<NonZeroU64>,
    /// How many triggers it gets in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_triggers: Option<NonZeroU64>,
    /// How old a trigger may be when it is handed on, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<NonZeroU64>,
    /// When it was made.
    pub created_at: Millis,
    /// The time of the latest trigger that it got.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_triggered_at: Option<Millis>,
    /// How many triggers it got.
    pub trigger_count: u64,
}

/// The options of one SUBSCRIBE: what is not named stays as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terms<'a> {
    /// `TYPE`.
    pub bot_type: Option<&'a str>,
    /// `ACTION`.
    pub action: Option<&'a RawValue>,
    /// `COOLDOWN`, ms; 0 takes it away.
    pub cooldown_ms: Option<u64>,
    /// `MAXTRIGGERS`; 0 takes it away.
    pub max_triggers: Option<u64>,
    /// `MAXAGE`, ms; 0 takes it away.
    pub max_age_ms: Option<u64>,
}

/// Why a subscription does not get a trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldBack {
    /// It got one too short a time before.
    Cooldown,
    /// It has had all that it wanted.
    MaxTriggers,
    /// The trigger is too old.
    MaxAge,
}

impl<'a> Subscription<'a> {
    /// A bot's subscription before any of its terms is named.
    pub fn new(bot_id: &'a str, created_at: Millis) -> Subscription<'a> {
        Subscription {
            bot_id,
            bot_type: TYPE_DEFAULT,
            action: None,
            cooldown: None,
            max_triggers: None,
            max_age: None,
            created_at,
            last_triggered_at: None,
            trigger_count: 0,
        }
    }

    /// Reads what is stored under a bot's id.
    ///
    /// # Errors
    /// CORRUPT, naming the bot.
    pub fn read(bot_id: &'a [u8], text: &'a [u8]) -> Outcome<Subscription<'a>> {
        let corrupt = |what: &str| Code::Corrupt.because(format!("subscription of {}: {what}", quoted(bot_id)));
        let word = |what, text| parse_word(what, text).map_err(|refusal| corrupt(&refusal.text));
        let mut subscription: Subscription<'a> = serde_json::from_slice(text).map_err(|error| {
            // Serde's own words can hold line breaks of what is stored.
            let (column, shown) = (error.column(), quoted(text));
            corrupt(&format!(
                "must be a JSON object as COND.SUBSCRIBE writes it, but is not at column {column}: {shown}"
            ))
        })?;
        subscription.bot_id = word("the bot's id", bot_id)?;
        word("type", subscription.bot_type.as_bytes())?;
        if subscription.action.is_some_and(|action| !action.get().starts_with('{')) {
            return Err(corrupt("action must be a JSON object"));
        }
        for (name, at) in
            [("created_at", Some(subscription.created_at)), ("last_triggered_at", subscription.last_triggered_at)]
        {
            if at.is_some_and(|at| !(0..=time::MAX).contains(&at)) {
                return Err(corrupt(&format!("{name} must be Unix milliseconds up to the year 9999")));
            }
        }
        Ok(subscription)
    }

    /// What is stored.
    pub fn to_json(&self) -> String {
        // Numbers, texts and JSON that was parsed: there is nothing in it that writing to memory could fail at.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Changes what `terms` name.
    pub fn apply(&mut self, terms: &Terms<'a>) {
        self.bot_type = terms.bot_type.unwrap_or(self.bot_type);
        self.action = terms.action.or(self.action);
        for (limit, named) in [
            (&mut self.cooldown, terms.cooldown_ms),
            (&mut self.max_triggers, terms.max_triggers),
            (&mut self.max_age, terms.max_age_ms),
        ] {
            if let Some(named) = named {
                *limit = NonZeroU64::new(named);
            }
        }
    }

    /// Whether, and why, it does not get the trigger of `triggered_at`. A trigger from before the last one is within
    /// the cooldown, whatever its length: it would make two that are closer than that to a third.
    pub fn holds_back(&self, triggered_at: Millis, now: Millis) -> Option<HeldBack> {
        if self.max_triggers.is_some_and(|most| self.trigger_count >= most.get()) {
            return Some(HeldBack::MaxTriggers);
        }
        if let (Some(cooldown), Some(last)) = (self.cooldown, self.last_triggered_at) {
            if elapsed(last, triggered_at).is_none_or(|elapsed| elapsed < cooldown.get()) {
                return Some(HeldBack::Cooldown);
            }
        }
        if let Some(max_age) = self.max_age {
            if elapsed(triggered_at, now).is_some_and(|age| age > max_age.get()) {
                return Some(HeldBack::MaxAge);
            }
        }
        None
    }

    /// Counts a trigger that it gets. Without a cooldown an older one may follow a newer one, whose time stays: a
    /// cooldown that is set later counts from there.
    pub fn record_trigger(&mut self, triggered_at: Millis) {
        self.last_triggered_at = self.last_triggered_at.max(Some(triggered_at));
        self.trigger_count = self.trigger_count.saturating_add(1);
    }
}

/// The time from one moment to another; `None` when that is before.
fn elapsed(from: Millis, to: Millis) -> Option<u64> {
    u64::try_from(to.saturating_sub(from)).ok()
}

/// The most bytes of an action. A trigger writes it twice for each of up to 10,000 bots: into the queue, and with the
/// subscription's counters.
pub const ACTION_MAX: usize = 4 * 1_024;

/// Takes the action of a subscription as a caller wrote it. Space around it is dropped, all else is kept.
///
/// # Errors
/// TOOBIG, BADJSON.
pub fn parse_action(text: &[u8]) -> Outcome<&RawValue> {
    if text.len() > ACTION_MAX {
        return Err(Code::TooBig.because(format!("ACTION has {} bytes, at most {ACTION_MAX} are allowed", text.len())));
    }
    // Scanned as an event's data is: serde would let members through that are there twice, and any depth.
    json::parse_object(text).map_err(|error| bad_action(error.what, error.at))?;
    serde_json::from_slice(text).map_err(|error| bad_action("not JSON", error.column()))
}

#[cold]
fn bad_action(what: &str, at: usize) -> Refusal {
    Code::BadJson.because(format!("ACTION: {what} at byte {at}"))
}

/// What a condition triggers on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// The bar that opened then: it triggers a condition once.
    Bar(Millis),
    /// The trigger by command that has this id.
    Told(StreamId),
}

/// The client order id of what a bot orders because of a trigger: the same however often an executor gets or retries
/// its work, and another for every other trigger, bot, condition and symbol. For a bar it does not depend on when or where
/// the trigger was written: should a failover lose that, and the candle be told again, the order is still the same one. The venue, which takes such an id once,
/// thus makes at most one order of them all.
///
/// It is XXH3 in 128 bits over the parts, each behind its length (8 bytes, little-endian), as 32 lower-case hex digits:
/// venues take client order ids of at most 32 to 36 characters, some of them letters and digits only, so that a UUID
/// with its hyphens or an id with a prefix would not pass everywhere. It must never be computed in another way, or a
/// retry across an upgrade would be a second order.
pub fn order_ref(symbol: &str, condition_id: &str, occasion: Occasion, bot_id: &str) -> String {
    let mut text = String::with_capacity(24);
    match occasion {
        // An id has a hyphen, and so is no open time.
        Occasion::Bar(open_time) => text.push_str(itoa::Buffer::new().format(open_time)),
        Occasion::Told(trigger_id) => trigger_id.push_to(&mut text),
    }
    let mut bytes = Vec::with_capacity(160);
    // Without the lengths, other parts could be the same bytes.
    for part in [symbol, condition_id, &text, bot_id] {
        bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    format!("{:032x}", xxh3_128(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read<'a>(text: &'a str) -> Outcome<Subscription<'a>> {
        Subscription::read(b"bot-1", text.as_bytes())
    }

    const SHORT: &str = r#"{"type":"bot","created_at":5,"trigger_count":0}"#;
    const LONG: &str = concat!(
        r#"{"type":"dca","action":{ "side" : "buy", "size":1.50,"n":1e400 },"cooldown":60000,"max_triggers":3,"#,
        r#""max_age":500,"created_at":5,"last_triggered_at":1763402400000,"trigger_count":2}"#
    );

    #[test]
    fn what_is_stored_reads_back() {
        for text in [SHORT, LONG] {
            assert_eq!(read(text).expect("a subscription").to_json(), text);
        }
        assert_eq!(Subscription::new("bot-1", 5).to_json(), SHORT);
        let long = read(LONG).expect("a subscription");
        assert_eq!((long.bot_id, long.bot_type, long.trigger_count), ("bot-1", "dca", 2));
        assert_eq!(long.action.map(RawValue::get), Some(r#"{ "side" : "buy", "size":1.50,"n":1e400 }"#));
    }

    #[test]
    fn what_cannot_have_been_stored() {
        #[track_caller]
        fn check(text: &str, expected: &str) {
            let refusal = read(text).expect_err(text).to_string();
            let (start, end) = ("CORRUPT subscription of 'bot-1': ", expected);
            assert!(refusal.starts_with(start) && refusal.contains(end) && !refusal.contains('\n'), "{refusal}");
        }
        check("", "must be a JSON object as COND.SUBSCRIBE writes it, but is not at column 0: ''");
        check("[]", "must be a JSON object");
        check(&SHORT.replace("5", "-5"), "created_at must be Unix milliseconds up to the year 9999");
        check(&LONG.replace("1763402400000", "253402300800000"), "last_triggered_at must be Unix milliseconds");
        check(&LONG.replace("60000", "0"), "at column");
        check(&SHORT.replace("0}", "-1}"), "at column");
        check(&SHORT.replace("0}", "0,\"a\\nb\":1}"), "at column");
        check(&SHORT.replace("0}", "0,\"type\":\"bot\"}"), "at column");
        check(&SHORT.replace(",\"trigger_count\":0", ""), "at column");
        check(&SHORT.replace("\"bot\"", "\"b t\""), "type has a space at offset 1, which is not allowed");
        check(
            &LONG.replace("{ \"side\" : \"buy\", \"size\":1.50,\"n\":1e400 }", "[1]"),
            "action must be a JSON object",
        );
        let refusal = Subscription::read(b"b\n", SHORT.as_bytes()).unwrap_err().text;
        assert!(refusal.starts_with(r"subscription of 'b\n': the bot's id has byte 0x0a at offset 1"), "{refusal}");
    }

    #[test]
    fn terms_change_what_they_name() {
        let action = parse_action(b" {\"size\": 2} ").expect("an action");
        let mut subscription = Subscription::new("bot-1", 5);
        subscription.apply(&Terms::default());
        assert_eq!(subscription.to_json(), SHORT);
        let mut check = |terms: Terms<'static>, expected: &str| {
            subscription.apply(&terms);
            assert_eq!(subscription.to_json(), format!("{{{expected},\"created_at\":5,\"trigger_count\":0}}"));
        };
        check(Terms { cooldown_ms: Some(1), ..Terms::default() }, r#""type":"bot","cooldown":1"#);
        check(Terms { bot_type: Some("dca"), ..Terms::default() }, r#""type":"dca","cooldown":1"#);
        check(
            Terms { max_triggers: Some(2), max_age_ms: Some(3), ..Terms::default() },
            r#""type":"dca","cooldown":1,"max_triggers":2,"max_age":3"#,
        );
        check(
            Terms { cooldown_ms: Some(0), max_age_ms: Some(u64::MAX), ..Terms::default() },
            r#""type":"dca","max_triggers":2,"max_age":18446744073709551615"#,
        );
        check(
            Terms { action: Some(action), max_triggers: Some(0), max_age_ms: Some(0), ..Terms::default() },
            r#""type":"dca","action":{"size": 2}"#,
        );
        check(Terms { bot_type: Some("grid"), ..Terms::default() }, r#""type":"grid","action":{"size": 2}"#);
    }

    #[test]
    fn what_is_held_back() {
        const LAST: Millis = 1_763_402_400_000;
        let free = Subscription { last_triggered_at: Some(LAST), trigger_count: 2, ..Subscription::new("bot-1", 5) };
        let check = |subscription: Subscription<'_>, triggered_at: Millis, now: Millis, expected: Option<HeldBack>| {
            assert_eq!(
                subscription.holds_back(triggered_at, now),
                expected,
                "{} {triggered_at} {now}",
                subscription.to_json()
            );
        };
        check(free, LAST - 1, LAST + 1_000_000, None);
        let cooldown = Subscription { cooldown: NonZeroU64::new(100), ..free };
        check(cooldown, LAST + 99, LAST, Some(HeldBack::Cooldown));
        check(cooldown, LAST + 100, LAST, None);
        check(cooldown, LAST, LAST, Some(HeldBack::Cooldown));
        check(cooldown, LAST - 1_000, LAST, Some(HeldBack::Cooldown));
        check(Subscription { last_triggered_at: None, ..cooldown }, 0, LAST, None);
        let max_triggers = |most| Subscription { max_triggers: NonZeroU64::new(most), ..free };
        check(max_triggers(1), LAST, LAST, Some(HeldBack::MaxTriggers));
        check(max_triggers(2), LAST, LAST, Some(HeldBack::MaxTriggers));
        check(max_triggers(3), LAST, LAST, None);
        let max_age = Subscription { max_age: NonZeroU64::new(100), ..free };
        check(max_age, LAST, LAST + 100, None);
        check(max_age, LAST, LAST + 101, Some(HeldBack::MaxAge));
        check(max_age, LAST, LAST - 1_000, None);
    }

    #[test]
    fn triggers_are_counted() {
        let mut subscription = Subscription::new("bot-1", 5);
        for (triggered_at, latest, count) in [(10, 10, 1), (20, 20, 2), (15, 20, 3)] {
            subscription.record_trigger(triggered_at);
            assert_eq!((subscription.last_triggered_at, subscription.trigger_count), (Some(latest), count));
        }
        subscription.trigger_count = u64::MAX;
        subscription.record_trigger(30);
        assert_eq!(subscription.trigger_count, u64::MAX);
    }

    #[test]
    fn what_an_action_may_be() {
        #[track_caller]
        fn check(text: &str, expected: Result<&str, &str>) {
            let action = parse_action(text.as_bytes()).map_err(|refusal| refusal.to_string());
            assert_eq!(
                action.map(RawValue::get).map_err(|text| text.to_owned()),
                expected.map_err(str::to_owned),
                "{text}"
            );
        }
        check("{}", Ok("{}"));
        check("\n{ \"a\" : 1.0e5 }\t", Ok("{ \"a\" : 1.0e5 }"));
        check(r#"{"a":"\u0041","b":1E+999999}"#, Ok(r#"{"a":"\u0041","b":1E+999999}"#));
        check(r#"{"a":1,"a":1}"#, Err("BADJSON ACTION: this member's name appears twice at byte 7"));
        check("{\"a\":1", Err("BADJSON ACTION: expected ',' or '}' after a member at byte 6"));
        check(r#"{"a":"\ud800"}"#, Err("BADJSON ACTION: half a surrogate pair at byte 6"));
        check("[1]", Err("BADJSON ACTION: expected an object at byte 0"));
        check("", Err("BADJSON ACTION: expected an object at byte 0"));
        check(
            &format!("{{\"a\":\"{}\"}}", "x".repeat(ACTION_MAX)),
            Err("TOOBIG ACTION has 4104 bytes, at most 4096 are allowed"),
        );
    }

    /// Executors keep these ids, and so do venues: a change here makes second orders of retries.
    #[test]
    fn an_order_ref_is_for_ever() {
        let id = StreamId { ms: 1_763_402_400_000, seq: 7 };
        let trigger = Occasion::Told(id);
        assert_eq!(order_ref("BTC/USDT", "9f1c2a7b3d4e5f60", trigger, "dca-1"), "0248738b25700679ce514d70029a7c3d");
        let bar = Occasion::Bar(1_763_402_400_000);
        assert_eq!(order_ref("BTC/USDT", "9f1c2a7b3d4e5f60", bar, "dca-1"), "5c010b09070eadbdbec059a4522d4279");
        let refs = [
            order_ref("BTC/USDT", "a", trigger, "b"),
            order_ref("BTC/USD", "Ta", trigger, "b"),
            order_ref("BTC/USDT", "a", Occasion::Told(StreamId { seq: 8, ..id }), "b"),
            order_ref("BTC/USDT", "a", bar, "b"),
            order_ref("BTC/USDT", "a", trigger, "c"),
            order_ref("BTC/USDT", "b", trigger, "b"),
        ];
        for (place, one) in refs.iter().enumerate() {
            assert!(one.len() == 32 && one.bytes().all(|byte| byte.is_ascii_hexdigit()), "{one}");
            assert!(!refs[..place].contains(one), "{one}");
        }
    }

    proptest! {
        #[test]
        fn any_terms_read_back(
            bot_type in prop::option::of("[A-Za-z0-9_.-]{1,64}"),
            action in prop::option::of("\\{ ?\"[^\"\\\\\\x00-\\x1f]{0,9}\" ?: ?(-?[1-9][0-9]{0,30}\\.[0-9]{1,9}|null) ?\\}"),
            limits in prop::array::uniform3(prop::option::of(any::<u64>())),
            triggers in prop::collection::vec(0..=time::MAX, 0..3),
        ) {
            let action = action.as_deref().map(|text| parse_action(text.as_bytes()).expect("an action"));
            let [cooldown_ms, max_triggers, max_age_ms] = limits;
            let mut subscription = Subscription::new("bot-1", 5);
            subscription.apply(&Terms { bot_type: bot_type.as_deref(), action, cooldown_ms, max_triggers, max_age_ms });
            triggers.iter().for_each(|&at| subscription.record_trigger(at));
            let text = subscription.to_json();
            let again = read(&text).expect("a subscription");
            prop_assert_eq!(&again.to_json(), &text);
            prop_assert_eq!(again.action.map(RawValue::get), action.map(RawValue::get));
            let members = |subscription: &Subscription<'_>| {
                (subscription.cooldown, subscription.max_triggers, subscription.max_age, subscription.trigger_count)
            };
            prop_assert_eq!(members(&again), members(&subscription));
            prop_assert_eq!(again.last_triggered_at, triggers.iter().copied().max());
        }

        #[test]
        fn nothing_panics(text in "[{}\":,a-z_0-9\\[\\]]{0,60}|.{0,40}", bytes: Vec<u8>, at: Millis, now: Millis) {
            for text in [text.as_bytes(), &bytes] {
                let _ = read(&String::from_utf8_lossy(text));
                let _ = Subscription::read(text, text);
                let _ = parse_action(text);
            }
            let mut subscription = read(LONG).expect("a subscription");
            subscription.holds_back(at, now);
            subscription.record_trigger(at);
            subscription.holds_back(now, at);
        }
    }
}
