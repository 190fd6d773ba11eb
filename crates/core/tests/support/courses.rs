//! Random courses of commands on the market of a symbol: candles of 1m, ticks for 30s, and all that is done to conditions.

use proptest::prelude::*;
use proptest::sample::{select, Index};
use tradebus_core::condition::{Mode, Status};
use tradebus_core::market::{Origin, Removal};
use tradebus_core::settings::Settings;
use tradebus_core::timeframe::Timeframe;

use super::market::{Command, Desk, Limits, Told, Wishes, MINUTE};
use super::START;

/// Every function, crosses, touches, nulls, and reaches back that are short and long.
pub const EXPRESSIONS: [&str; 18] = [
    "close > open",
    "close CROSSES sma(3)",
    "TOUCHES 10",
    "rsi(3) < 40",
    "ema(3) > wma(4)",
    "macd(2, 4, 3).hist CROSSES 0",
    "close > bb(4, 1).upper OR close < bb(4, 1).lower",
    "atr(3) > 2 AND close != 9",
    "stoch(3, 2, 2).k CROSSES_BELOW stoch(3, 2, 2).d",
    "adx(3) > 30",
    "cci(4) BETWEEN -50 AND 50",
    "roc(3)[2] > 0",
    "obv > obv[5]",
    "close >= highest(high, 5)[1]",
    "lowest(low, 40) == low",
    "rma(rsi(3), 3) > 50 AND NOT TOUCHES 12",
    "1 / (close - 10) > 0",
    "sma(close[7], 30) < close",
];

/// What a candle is to the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Next,
    BehindGap,
    Correction,
    Repeat,
    Late,
}

/// A condition is known by which expression, timeframe and mode it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Which {
    pub expression: usize,
    pub timeframe: Timeframe,
    pub mode: Mode,
}

impl Which {
    pub fn id(self) -> String {
        format!("{}.{}.{:?}", self.expression, self.timeframe.as_str(), self.mode)
    }
}

#[derive(Clone, Debug)]
pub enum Step {
    /// Cooldown and the most triggers; when it expires, counted from now.
    Register(Which, Option<u64>, Option<u64>, Option<u64>),
    SetStatus(Which, Status),
    Remove(Which, Removal),
    Subscribe(Which, u8, Option<u64>),
    Unsubscribe(Which, u8),
    /// With one of a few ids, or none, and a value.
    Trigger(Which, Option<u8>, u8),
    Candle(Place, Origin, [i64; 5]),
    Tick(i64, i64),
    CloseDue,
    History(u64),
    Clock(i64),
}

/// The conditions of a course are few, so that much is done to each.
pub fn any_which(timeframes: &'static [Timeframe]) -> impl Strategy<Value = Vec<Which>> {
    let mode = select(vec![Mode::Edge, Mode::Edge, Mode::Level, Mode::Once]);
    let which = (0..EXPRESSIONS.len(), select(timeframes), mode).prop_map(|(expression, timeframe, mode)| Which {
        expression,
        timeframe,
        mode,
    });
    prop::collection::vec(which, 1..6)
}

pub fn any_candle() -> impl Strategy<Value = Step> {
    let place = prop_oneof![
        30 => Just(Place::Next),
        2 => Just(Place::BehindGap),
        5 => Just(Place::Correction),
        1 => Just(Place::Repeat),
        1 => Just(Place::Late),
    ];
    let origin = prop_oneof![8 => Just(Origin::Live), 1 => Just(Origin::Backfill)];
    let numbers = (5..15_i64, 5..15_i64, 0..3_i64, 0..3_i64, 0..4_i64);
    (place, origin, numbers).prop_map(|(place, origin, (open, close, above, below, volume))| {
        Step::Candle(place, origin, [open, open.max(close) + above, open.min(close) - below, close, volume])
    })
}

/// Anything that is done beside candles.
pub fn any_other(conditions: Vec<Which>) -> impl Strategy<Value = Step> {
    let limit = || prop::option::of(prop_oneof![Just(0), 1..4_u64, Just(3 * MINUTE as u64)]);
    let which = any::<Index>().prop_map(move |at| conditions[at.index(conditions.len())]);
    let status = select(vec![Status::Active, Status::Paused]);
    prop_oneof![
        5 => (which.clone(), limit(), limit(), limit()).prop_map(|(a, b, c, d)| Step::Register(a, b, c, d)),
        2 => (which.clone(), status).prop_map(|(a, b)| Step::SetStatus(a, b)),
        2 => (which.clone(), select(vec![Removal::Force, Removal::IfUnused])).prop_map(|(a, b)| Step::Remove(a, b)),
        3 => (which.clone(), 0..3_u8, limit()).prop_map(|(a, b, c)| Step::Subscribe(a, b, c)),
        1 => (which.clone(), 0..3_u8).prop_map(|(a, b)| Step::Unsubscribe(a, b)),
        2 => (which, prop::option::of(0..3_u8), 0..2_u8).prop_map(|(a, b, c)| Step::Trigger(a, b, c)),
        6 => (-5_000..40_000_i64, 5..15_i64).prop_map(|(a, b)| Step::Tick(a, b)),
        1 => Just(Step::CloseDue),
        1 => any_history(),
        1 => (-5 * MINUTE..20 * MINUTE).prop_map(Step::Clock),
    ]
}

pub fn any_history() -> impl Strategy<Value = Step> {
    prop_oneof![0..5_u64, Just(60), Just(200)].prop_map(Step::History)
}

/// A desk in the midst of a course.
pub struct Course {
    pub desk: Desk,
    /// The newest candle of 1m.
    pub last: Option<(i64, [i64; 5])>,
}

impl Course {
    pub fn new() -> Course {
        let settings = Settings { candle_history: 0, ..Settings::default() };
        Course { desk: Desk::with(settings), last: None }
    }

    /// The next candle: its open time, and its numbers.
    pub fn candle(&self, place: Place, numbers: [i64; 5]) -> (i64, [i64; 5]) {
        let Some((last, told)) = self.last else {
            return (START, numbers);
        };
        match place {
            Place::Next => (last + MINUTE, numbers),
            Place::BehindGap => (last + 3 * MINUTE, numbers),
            Place::Correction => (last, numbers),
            Place::Repeat => (last, told),
            Place::Late => (last - MINUTE, numbers),
        }
    }

    /// Does a step and says what it replied or why it was refused.
    pub fn run(&mut self, step: &Step) -> String {
        let desk = &mut self.desk;
        let outcome = match *step {
            Step::Register(which, cooldown, max_triggers, expires_in) => {
                let id = which.id();
                let expire_at = expires_in.map(|ms| if ms == 0 { 0 } else { desk.now as u64 + 30 * ms });
                let limits = Limits { id: Some(&id), mode: Some(which.mode), cooldown, expire_at, max_triggers };
                desk.run(&Command::Register(which.timeframe, EXPRESSIONS[which.expression], limits))
            }
            Step::SetStatus(which, status) => desk.run(&Command::SetStatus(&which.id(), status)),
            Step::Remove(which, removal) => desk.run(&Command::Remove(&which.id(), removal)),
            Step::Subscribe(which, bot, limit) => {
                let bot_type = (bot == 2).then_some("dca");
                let wishes =
                    Wishes { bot_type, cooldown: limit, max_age: limit.map(|ms| 30 * ms), ..Wishes::default() };
                desk.run(&Command::Subscribe(&which.id(), &format!("b{bot}"), wishes))
            }
            Step::Unsubscribe(which, bot) => desk.run(&Command::Unsubscribe(&which.id(), &format!("b{bot}"))),
            Step::Trigger(which, id, value) => {
                let (id, value) = (id.map(|id| format!("e{id}")), format!(r#"{{"n":{value}}}"#));
                let told = Told { value: Some(&value), id: id.as_deref(), at: None };
                desk.run(&Command::Trigger(&which.id(), told))
            }
            Step::Candle(place, origin, numbers) => {
                let (open_time, numbers) = self.candle(place, numbers);
                let desk = &mut self.desk;
                desk.now = desk.now.max(open_time + MINUTE);
                let texts = numbers.map(|number| number.to_string());
                let numbers_of = std::array::from_fn(|at| &*texts[at]);
                let outcome = desk.run(&Command::Candle(Timeframe::M1, open_time, numbers_of, origin));
                if outcome.is_ok() {
                    self.last = Some((open_time, numbers));
                }
                outcome
            }
            Step::Tick(later, price) => {
                desk.now += later.max(0);
                let at = desk.now + later.min(0);
                desk.run(&Command::Tick(&price.to_string(), "1", Some(at)))
            }
            Step::CloseDue => desk.run(&Command::CloseDue),
            Step::History(candles) => {
                desk.settings.candle_history = candles;
                Ok(String::new())
            }
            Step::Clock(by) => {
                desk.now += by;
                Ok(String::new())
            }
        };
        match outcome {
            Ok(reply) => format!("{reply} {:?}", self.desk.tally),
            Err(refusal) => refusal.to_string(),
        }
    }
}
