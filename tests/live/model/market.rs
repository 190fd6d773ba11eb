//! MARKET and COND commands as the model does them. No engine is kept from one command to the next, while the server
//! keeps its own: that it does so must not show.

use tradebus_core::candle::Candle;
use tradebus_core::condition::{field, Condition, Mode, Status};
use tradebus_core::engine::within_condition;
use tradebus_core::forming::Tick;
use tradebus_core::key::Key;
use tradebus_core::log::query::parse_span;
use tradebus_core::market::{
    self, each_subscription, explain, parse_id, Engines, Market, Order, Origin, Registration, Removal,
};
use tradebus_core::memory::{Memory, View};
use tradebus_core::record::Record;
use tradebus_core::refusal::Outcome;
use tradebus_core::settings::Settings;
use tradebus_core::store::{Direction, Flow, Store};
use tradebus_core::subscription::{parse_action, Subscription, Terms};
use tradebus_core::symbol::parse_word;
use tradebus_core::timeframe::Timeframe;
use tradebus_core::word::Word;

use super::options::Options;
use super::said::Said;
use super::trade::{window, COUNT_DEFAULT};

/// A command that may change something; `words` are those behind the symbol. `None` when it is no such command.
pub fn change(
    memory: &mut Memory,
    name: &str,
    words: &[String],
    settings: &Settings,
    now: i64,
) -> Option<Outcome<Said>> {
    let said = match name {
        "COND.REGISTER" => register(memory, words, settings, now),
        "COND.PAUSE" => set_status(memory, words, Status::Paused, settings, now),
        "COND.RESUME" => set_status(memory, words, Status::Active, settings, now),
        "COND.REMOVE" => remove(memory, words, settings, now),
        "COND.SUBSCRIBE" => subscribe(memory, words, settings, now),
        "COND.UNSUBSCRIBE" => unsubscribe(memory, words, settings, now),
        "COND.TRIGGER" => trigger(memory, words, settings, now),
        "MARKET.CANDLE" => candle(memory, words, settings, now),
        "MARKET.TICK" => tick(memory, words, settings, now),
        _ => return None,
    };
    Some(said)
}

fn decide(
    memory: &mut Memory,
    settings: &Settings,
    now: i64,
    decide: impl for<'s, 'm> Fn(Market<'s, 'm, View<'m>>) -> Outcome<(Said, market::Decision<'m>)>,
) -> Outcome<Said> {
    memory.market(&mut Engines::default(), settings, now, decide).map(|(said, ..)| said)
}

fn one_or_none((is_so, decision): (bool, market::Decision<'_>)) -> (Said, market::Decision<'_>) {
    (Said::Int(i64::from(is_so)), decision)
}

fn triggered(decision: market::Decision<'_>) -> (Said, market::Decision<'_>) {
    (Said::list(decision.triggered.iter().map(Said::text)), decision)
}

fn register(memory: &mut Memory, words: &[String], settings: &Settings, now: i64) -> Outcome<Said> {
    let options = Options::of(&words[2..]);
    let mode = options.value("MODE").map(|word| Mode::parse(&word.to_ascii_lowercase()).expect("a mode"));
    let request = Registration {
        timeframe: Timeframe::parse(words[0].as_bytes())?,
        expression: words[1].as_bytes(),
        id: options.bytes("ID"),
        mode,
        cooldown_ms: options.number("COOLDOWN"),
        expire_at: options.number("EXPIREAT"),
        max_triggers: options.number("MAXTRIGGERS"),
    };
    decide(memory, settings, now, |market| market.register(&request).map(|(id, decision)| (Said::text(id), decision)))
}

fn set_status(memory: &mut Memory, words: &[String], status: Status, settings: &Settings, now: i64) -> Outcome<Said> {
    let id = parse_id(words[0].as_bytes())?;
    decide(memory, settings, now, |market| market.set_status(id, status).map(|decision| (Said::Ok, decision)))
}

fn remove(memory: &mut Memory, words: &[String], settings: &Settings, now: i64) -> Outcome<Said> {
    let id = parse_id(words[0].as_bytes())?;
    let removal = if Options::of(&words[1..]).has("FORCE") { Removal::Force } else { Removal::IfUnused };
    decide(memory, settings, now, |market| market.remove(id, removal).map(one_or_none))
}

fn subscribe(memory: &mut Memory, words: &[String], settings: &Settings, now: i64) -> Outcome<Said> {
    let (id, bot_id) = (parse_id(words[0].as_bytes())?, parse_word("bot_id", words[1].as_bytes())?);
    let options = Options::of(&words[2..]);
    let terms = Terms {
        bot_type: options.value("TYPE"),
        action: options.bytes("ACTION").map(parse_action).transpose()?,
        cooldown_ms: options.number("COOLDOWN"),
        max_triggers: options.number("MAXTRIGGERS"),
        max_age_ms: options.number("MAXAGE"),
    };
    decide(memory, settings, now, |market| market.subscribe(id, bot_id, &terms).map(one_or_none))
}

fn unsubscribe(memory: &mut Memory, words: &[String], settings: &Settings, now: i64) -> Outcome<Said> {
    let (id, bot_id) = (parse_id(words[0].as_bytes())?, parse_word("bot_id", words[1].as_bytes())?);
    decide(memory, settings, now, |market| market.unsubscribe(id, bot_id).map(one_or_none))
}

fn trigger(memory: &mut Memory, words: &[String], settings: &Settings, now: i64) -> Outcome<Said> {
    let options = Options::of(&words[1..]);
    let order = Order {
        condition: parse_id(words[0].as_bytes())?,
        value: options.bytes("VALUE"),
        event_id: options.bytes("ID"),
        timestamp: options.bytes("TIMESTAMP"),
    };
    decide(memory, settings, now, |market| {
        let (triggered, decision) = market.trigger(&order)?;
        let said = triggered.trigger.map(|(id, notified)| Said::list([Said::id(id), Said::count(notified)]));
        Ok((said.unwrap_or(Said::Nil), decision))
    })
}

fn candle(memory: &mut Memory, words: &[String], settings: &Settings, now: i64) -> Outcome<Said> {
    let timeframe = Timeframe::parse(words[0].as_bytes())?;
    let numbers = std::array::from_fn(|place| words[2 + place].as_bytes());
    let origin = if words.len() > 7 { Origin::Backfill } else { Origin::Live };
    let latest_end = now.saturating_add_unsigned(settings.bar_grace_ms);
    let candle = Candle::parse(timeframe, words[1].as_bytes(), numbers, latest_end)?;
    decide(memory, settings, now, |market| market.candle(timeframe, &candle, origin).map(triggered))
}

fn tick(memory: &mut Memory, words: &[String], settings: &Settings, now: i64) -> Outcome<Said> {
    let at = Options::of(&words[2..]).bytes("TIMESTAMP");
    let tick = Tick::parse(words[0].as_bytes(), words[1].as_bytes(), at, now)?;
    decide(memory, settings, now, |market| market.tick(&tick).map(triggered))
}

/// COND.GET.
pub fn get(memory: &Memory, words: &[String], now: i64) -> Outcome<Said> {
    Ok(described(memory, parse_id(words[0].as_bytes())?, now)?.unwrap_or(Said::Nil))
}

fn described(memory: &Memory, id: &str, now: i64) -> Outcome<Option<Said>> {
    let view = View::of(memory);
    let mut record = Record::new(&view, view.open(Key::Condition(id))?);
    let loaded = Condition::load(&view, &mut record).map_err(|refusal| within_condition(refusal, id))?;
    let Some(condition) = loaded else { return Ok(None) };
    let first = [("id", id), ("symbol", memory.scope().name()), (field::STATUS, condition.standing(now))];
    let stored = field::ALL.into_iter().filter(|name| *name != field::STATUS);
    let stored = stored.filter_map(|name| Some((name, Said::text(record.get(name)?))));
    let subscribers = view.len(view.open(Key::Subscriptions(id))?);
    let fields = first.into_iter().map(|(name, value)| (name, Said::text(value))).chain(stored);
    Ok(Some(Said::map(fields.chain([("subscribers", Said::count(subscribers))]))))
}

/// COND.LIST.
pub fn list(memory: &Memory, words: &[String], now: i64) -> Outcome<Said> {
    let options = Options::of(words);
    let timeframe = options.bytes("TIMEFRAME").map(Timeframe::parse).transpose()?;
    let timeframes = timeframe.as_ref().map_or(Timeframe::ALL, std::slice::from_ref);
    let mut ids = Vec::new();
    for &timeframe in timeframes {
        View::of(memory).open(Key::Conditions(timeframe))?;
        ids.extend(memory.members(Key::Conditions(timeframe)));
    }
    let listed = window(&options, &ids).iter().filter_map(|id| described(memory, id, now).transpose());
    Ok(Said::List(listed.collect::<Outcome<_>>()?))
}

/// COND.EXPLAIN.
pub fn explained(memory: &Memory, words: &[String]) -> Outcome<Said> {
    let (id, view) = (parse_id(words[0].as_bytes())?, View::of(memory));
    let explained = explain(&view, memory.scope().name(), id, &mut Engines::default())?;
    let terms = explained.terms.iter().map(|(text, number)| (text, number.as_ref().map_or(Said::Nil, Said::text)));
    Ok(Said::map([
        ("state", Said::text(explained.state)),
        ("bars", Said::count(explained.bars)),
        ("last_bar", explained.last_bar.map_or(Said::Nil, Said::Int)),
        ("terms", Said::map(terms)),
    ]))
}

/// COND.SUBSCRIBERS.
pub fn subscribers(memory: &Memory, words: &[String]) -> Outcome<Said> {
    let id = parse_id(words[0].as_bytes())?;
    let mut listed = Vec::new();
    each_subscription(&View::of(memory), memory.scope().name(), id, &mut |subscription| {
        listed.push(subscription_of(subscription));
    })?;
    Ok(Said::list(window(&Options::of(&words[1..]), &listed).iter().cloned()))
}

fn subscription_of(subscription: &Subscription<'_>) -> Said {
    let number = |number: Option<u64>| number.map(Said::count);
    let fields = [
        ("bot_id", Some(Said::text(subscription.bot_id))),
        ("type", Some(Said::text(subscription.bot_type))),
        ("action", subscription.action.map(|action| Said::text(action.get()))),
        ("cooldown", number(subscription.cooldown.map(u64::from))),
        ("max_triggers", number(subscription.max_triggers.map(u64::from))),
        ("max_age", number(subscription.max_age.map(u64::from))),
        ("created_at", Some(Said::Int(subscription.created_at))),
        ("last_triggered_at", subscription.last_triggered_at.map(Said::Int)),
        ("trigger_count", number(Some(subscription.trigger_count))),
    ];
    Said::map(fields.into_iter().filter_map(|(name, said)| Some((name, said?))))
}

/// MARKET.CANDLES.
pub fn candles(memory: &Memory, words: &[String]) -> Outcome<Said> {
    let (timeframe, options) = (Timeframe::parse(words[0].as_bytes())?, Options::of(&words[3..]));
    let direction = if options.has("REV") { Direction::Backward } else { Direction::Forward };
    let span = parse_span(words[1].as_bytes(), words[2].as_bytes(), direction)?;
    let count = options.number("COUNT").unwrap_or(COUNT_DEFAULT) as usize;
    let view = View::of(memory);
    let mut candles = Ok(Vec::new());
    view.entries(view.open(Key::Candles(timeframe))?, span, &mut |id, entry| {
        match (&mut candles, Candle::read(id, entry)) {
            (Ok(read), Ok(candle)) => {
                let numbers = candle.fields().map(|(_, number)| Said::text(number));
                read.push(Said::list([Said::Int(candle.open_time)].into_iter().chain(numbers)));
                if read.len() < count {
                    return Flow::Continue;
                }
            }
            (_, Err(refusal)) => candles = Err(refusal),
            (Err(_), Ok(_)) => {}
        }
        Flow::Stop
    });
    candles.map(Said::List)
}
