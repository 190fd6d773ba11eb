//! A condition as its hash holds it, and what holds a trigger of it back.

use crate::record::Record;
use crate::refusal::{Code, Outcome};
use crate::store::Store;
use crate::stream_id::StreamId;
use crate::time::Millis;
use crate::timeframe::Timeframe;
use crate::word::Word;

/// On which bars a condition fires.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// When it becomes true, and at each pulse.
    #[default]
    Edge,
    /// On every closed bar on which it is true.
    Level,
    /// As an edge does, one time; then it is paused.
    Once,
}

impl Word for Mode {
    const WORDS: &'static [(&'static str, Mode)] =
        &[("edge", Mode::Edge), ("level", Mode::Level), ("once", Mode::Once)];
}

/// Whether a condition may fire at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// It may.
    #[default]
    Active,
    /// Not until it is resumed.
    Paused,
}

impl Word for Status {
    const WORDS: &'static [(&'static str, Status)] = &[("active", Status::Active), ("paused", Status::Paused)];
}

/// Why a trigger is held back, and so gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldBack {
    /// The condition is paused.
    Paused,
    /// Its time is over.
    Expired,
    /// It has triggered as often as it may.
    Exhausted,
    /// It has triggered too shortly before.
    CoolingDown,
}

/// The names of the fields, those that a bar reads first.
pub mod field {
    /// [`Status`](super::Status).
    pub const STATUS: &str = "status";
    /// The last known value: `true` or `false`; absent until there is one.
    pub const VALUE: &str = "value";
    /// The open time of the bar that set it.
    pub const VALUE_SINCE: &str = "value_since";
    /// The value before that bar, for when the bar is corrected; absent when there was none.
    pub const VALUE_BEFORE: &str = "value_before";
    /// How often it has triggered.
    pub const TRIGGER_COUNT: &str = "trigger_count";
    /// When it did last, in the time of the trigger, ms.
    pub const LAST_TRIGGERED_AT: &str = "last_triggered_at";
    /// The id of that trigger.
    pub const LAST_TRIGGER_ID: &str = "last_trigger_id";
    /// [`Mode`](super::Mode).
    pub const MODE: &str = "mode";
    /// At least this long between two triggers, ms.
    pub const COOLDOWN: &str = "cooldown";
    /// It does not trigger from this time on, ms.
    pub const EXPIRE_AT: &str = "expire_at";
    /// It triggers so many times at most.
    pub const MAX_TRIGGERS: &str = "max_triggers";
    /// Its timeframe.
    pub const TIMEFRAME: &str = "timeframe";
    /// The canonical text of its expression.
    pub const EXPRESSION: &str = "expression";
    /// When it was registered, ms.
    pub const CREATED_AT: &str = "created_at";
    /// When it was last changed by a command, ms.
    pub const UPDATED_AT: &str = "updated_at";

    /// All of them, in the order of a new hash.
    pub const ALL: [&str; 15] = [
        STATUS,
        VALUE,
        VALUE_SINCE,
        VALUE_BEFORE,
        TRIGGER_COUNT,
        LAST_TRIGGERED_AT,
        LAST_TRIGGER_ID,
        MODE,
        COOLDOWN,
        EXPIRE_AT,
        MAX_TRIGGERS,
        TIMEFRAME,
        EXPRESSION,
        CREATED_AT,
        UPDATED_AT,
    ];
}

/// What a condition is, and what it has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// On which candles it is judged.
    pub timeframe: Timeframe,
    /// The canonical text of its expression.
    pub expression: String,
    /// When it fires.
    pub mode: Mode,
    /// Whether it may.
    pub status: Status,
    /// At least this long between two triggers, ms; 0: no limit.
    pub cooldown_ms: u64,
    /// It does not trigger from this time on.
    pub expire_at: Option<Millis>,
    /// It triggers so many times at most.
    pub max_triggers: Option<u64>,
    /// How often it has.
    pub trigger_count: u64,
    /// When it did last.
    pub last_triggered_at: Option<Millis>,
    /// The id of its last trigger, `0-0` when there was none.
    pub last_trigger_id: StreamId,
}

impl Condition {
    /// Reads the condition of a record, all of whose fields are loaded then; `None` when there is none.
    ///
    /// # Errors
    /// CORRUPT.
    pub fn load<'a, S: Store<'a>>(store: &S, record: &mut Record<'a>) -> Outcome<Option<Condition>> {
        if !record.exists() {
            return Ok(None);
        }
        record.read_whole(store, &field::ALL);
        Ok(Some(Condition {
            timeframe: timeframe_of(record)?,
            expression: expression_of(record)?.to_owned(),
            mode: mode_of(record)?,
            status: Status::load(record, field::STATUS)?.unwrap_or_default(),
            cooldown_ms: record.integer(field::COOLDOWN)?.unwrap_or(0),
            expire_at: record.integer(field::EXPIRE_AT)?,
            max_triggers: record.integer(field::MAX_TRIGGERS)?,
            trigger_count: record.integer(field::TRIGGER_COUNT)?.unwrap_or(0),
            last_triggered_at: record.integer(field::LAST_TRIGGERED_AT)?,
            last_trigger_id: match record.text(field::LAST_TRIGGER_ID)? {
                None => StreamId::ZERO,
                Some(text) => text.parse().map_err(|_| record.corrupt(field::LAST_TRIGGER_ID, "the id of an entry"))?,
            },
        }))
    }

    /// What holds a trigger back that happened at `triggered_at` and is told at `now`; `None` when nothing does.
    ///
    /// A cooldown is measured in the time of the triggers: bars that come late have the same triggers as bars that
    /// come in time. It holds back a trigger from before the last one too.
    #[must_use]
    pub fn holds_back(&self, triggered_at: Millis, now: Millis) -> Option<HeldBack> {
        let cools_down = |last: Millis| triggered_at < last.saturating_add_unsigned(self.cooldown_ms);
        if self.status == Status::Paused {
            Some(HeldBack::Paused)
        } else if self.expire_at.is_some_and(|at| at <= triggered_at.max(now)) {
            Some(HeldBack::Expired)
        } else if self.max_triggers.is_some_and(|most| self.trigger_count >= most) {
            Some(HeldBack::Exhausted)
        } else if self.cooldown_ms > 0 && self.last_triggered_at.is_some_and(cools_down) {
            Some(HeldBack::CoolingDown)
        } else {
            None
        }
    }

    /// One word for what it can do at `now`: `active`, `paused`, `expired` or `exhausted`.
    #[must_use]
    pub fn standing(&self, now: Millis) -> &'static str {
        // A cooldown ends by itself: as if it had never triggered.
        let rested = Condition { last_triggered_at: None, ..self.clone() };
        match rested.holds_back(now, now) {
            Some(HeldBack::Paused) => "paused",
            Some(HeldBack::Expired) => "expired",
            Some(HeldBack::Exhausted) => "exhausted",
            Some(HeldBack::CoolingDown) | None => "active",
        }
    }
}

/// The last known value of a condition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The value; `None` until there is one.
    pub value: Option<bool>,
    since: Option<Millis>,
    before: Option<bool>,
}

impl Known {
    /// Reads what was written of it.
    ///
    /// # Errors
    /// CORRUPT.
    pub fn load<'a, S: Store<'a>>(store: &S, record: &mut Record<'a>) -> Outcome<Known> {
        record.load(store, &[field::VALUE, field::VALUE_SINCE, field::VALUE_BEFORE]);
        Ok(Known {
            value: truth(record, field::VALUE)?,
            since: record.integer(field::VALUE_SINCE)?,
            before: truth(record, field::VALUE_BEFORE)?,
        })
    }

    /// What was known before the bar that opened at `open_time`, which is the last one.
    fn before(&self, open_time: Millis) -> Option<bool> {
        match self.since == Some(open_time) {
            true => self.before,
            false => self.value,
        }
    }

    /// Takes in the value on the bar that opened at `open_time`: the last one, or another candle in its place. What is not
    /// known changes nothing, but for what that bar had made known before it was corrected. Says whether it is to be
    /// written.
    pub fn learn(&mut self, value: Option<bool>, open_time: Millis) -> bool {
        let before = self.before(open_time);
        let value = value.or(before);
        let is_changed = value != self.value;
        if is_changed {
            *self = Known { value, since: Some(open_time), before };
        }
        is_changed
    }

    /// Writes it into a record whose fields of it are loaded.
    pub fn write(&self, record: &mut Record<'_>) {
        record.put(field::VALUE, self.value.map(word));
        record.put(field::VALUE_SINCE, self.since);
        record.put(field::VALUE_BEFORE, self.before.map(word));
    }
}

const fn word(value: bool) -> &'static str {
    match value {
        true => "true",
        false => "false",
    }
}

fn truth(record: &Record<'_>, name: &str) -> Outcome<Option<bool>> {
    match record.text(name)? {
        None => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(_) => Err(record.corrupt(name, "true or false")),
    }
}

/// The mode of a condition whose fields are loaded.
///
/// # Errors
/// CORRUPT.
pub fn mode_of(record: &Record<'_>) -> Outcome<Mode> {
    Mode::load(record, field::MODE)?.ok_or_else(|| record.corrupt(field::MODE, "one of edge, level, once"))
}

/// The text of its expression.
///
/// # Errors
/// CORRUPT.
pub fn expression_of<'r>(record: &'r Record<'_>) -> Outcome<&'r str> {
    record.text(field::EXPRESSION)?.ok_or_else(|| record.corrupt(field::EXPRESSION, "an expression"))
}

/// Its timeframe.
///
/// # Errors
/// CORRUPT.
pub fn timeframe_of(record: &Record<'_>) -> Outcome<Timeframe> {
    let text = record.text(field::TIMEFRAME)?.unwrap_or_default();
    Timeframe::parse(text.as_bytes()).map_err(|_| record.corrupt(field::TIMEFRAME, "a timeframe"))
}

/// The refusal of an id that no condition of the symbol has.
#[cold]
pub fn unknown(id: &str, symbol: &str) -> crate::refusal::Refusal {
    Code::NotFound.because(format!("{symbol} has no condition {id}"))
}
