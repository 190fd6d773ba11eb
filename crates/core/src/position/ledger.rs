//! A position's facts and its arithmetic.

use super::pending::{self, Step, MAX_PENDING};
use crate::decimal::Decimal;
use crate::instrument::{Contract, PositionMode, Terms};
use crate::money::{add, div, mul, sub};
use crate::record::Record;
use crate::refusal::{Code, Outcome};
use crate::store::Store;
use crate::word::Word;

/// The state of a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Something is open, or is believed to be.
    Active,
    /// Nothing is left.
    Closed,
}

impl Word for Status {
    const WORDS: &'static [(&'static str, Status)] = &[("active", Status::Active), ("closed", Status::Closed)];
}

/// Which way a position earns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// It earns when the price rises.
    Long,
    /// It earns when the price falls.
    Short,
}

impl Direction {
    /// Each word with the one for the other way.
    const WORDS: [(&'static str, Direction, &'static str); 4] = [
        ("LONG", Direction::Long, "SHORT"),
        ("SHORT", Direction::Short, "LONG"),
        ("BUY", Direction::Long, "SELL"),
        ("SELL", Direction::Short, "BUY"),
    ];

    /// Parses LONG, SHORT, BUY or SELL in any case.
    pub fn parse(text: &str) -> Option<Direction> {
        let known = Direction::WORDS.iter().find(|(word, _, _)| word.eq_ignore_ascii_case(text));
        known.map(|&(_, direction, _)| direction)
    }

    /// The word for the other way, of the same pair of words.
    pub fn turned_word(text: &str) -> Option<&'static str> {
        let known = Direction::WORDS.iter().find(|(word, _, _)| word.eq_ignore_ascii_case(text));
        known.map(|&(_, _, turned)| turned)
    }

    const fn turned(self) -> Direction {
        match self {
            Direction::Long => Direction::Short,
            Direction::Short => Direction::Long,
        }
    }
}

/// The facts of a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Active or closed.
    pub status: Status,
    /// What its profit and its modes are reckoned with.
    pub terms: Terms,
    /// What is open; `None` until the opening is seen.
    pub volume: Option<Decimal>,
    direction: Option<Direction>,
    entry_price: Option<Decimal>,
    /// The exact sum of volume x price behind an average that had to be rounded; it ends with the next reduction.
    entry_value: Option<Decimal>,
    closed: Decimal,
    overfill: Decimal,
    realized: Decimal,
    /// What earlier cycles realised within this command: the hash holds the newest cycle only.
    realized_before: Decimal,
    cycle: u64,
    pending: Vec<Step>,
}

/// The fields that every event of a position reads or changes. They come first in a new hash: Redis searches
/// a small one from the front.
pub const FACTS: [&str; 12] = [
    "status",
    "version",
    "updated_at",
    "last_event_id",
    "volume",
    "closed_volume",
    "realized_pnl",
    "entry_price",
    "direction",
    "entry_value",
    "pending",
    "cycle",
];

impl Position {
    /// Reads the facts. A position that does not exist is active with nothing known.
    ///
    /// # Errors
    /// CORRUPT.
    pub fn load<'a, S: Store<'a>>(record: &mut Record<'a>, store: &S) -> Outcome<Position> {
        record.load(store, &FACTS);
        let status = Status::load(record, "status")?;
        if record.exists() && status.is_none() {
            return Err(record.corrupt("status", "a position's status"));
        }
        let direction = match record.text("direction")? {
            None => None,
            Some(text) => Some(Direction::parse(text).ok_or_else(|| record.corrupt("direction", "a direction"))?),
        };
        let pending = match record.text("pending")? {
            None => Vec::new(),
            Some(text) => {
                pending::from_text(text).ok_or_else(|| record.corrupt("pending", "steps as tradebus writes them"))?
            }
        };
        Ok(Position {
            status: status.unwrap_or(Status::Active),
            terms: if record.exists() { Terms::load(record, store)? } else { Terms::default() },
            volume: record.decimal("volume")?,
            direction,
            entry_price: record.decimal("entry_price")?,
            entry_value: record.decimal("entry_value")?,
            closed: record.decimal("closed_volume")?.unwrap_or(Decimal::ZERO),
            overfill: Decimal::ZERO,
            realized: record.decimal("realized_pnl")?.unwrap_or(Decimal::ZERO),
            realized_before: Decimal::ZERO,
            cycle: record.integer("cycle")?.unwrap_or(1),
            pending,
        })
    }

    /// Begins the life that `position.opened` tells of.
    ///
    /// # Errors
    /// BADFIELD when an inverse contract has no price to take the reciprocal of.
    pub fn open(&mut self, direction: Direction, entry_price: Decimal, volume: Decimal) -> Outcome<()> {
        self.check_price(entry_price)?;
        self.direction = Some(direction);
        self.entry_price = Some(entry_price);
        self.volume = Some(volume);
        Ok(())
    }

    /// Does what happened before the opening was seen; gives the summary of the last cycle that ended by it.
    ///
    /// # Errors
    /// BADFIELD when a sum would not be exact.
    pub fn replay_pending(&mut self) -> Outcome<Option<String>> {
        // The steps count again what the shell had summed up.
        self.closed = Decimal::ZERO;
        let mut summary = None;
        for step in std::mem::take(&mut self.pending) {
            let excess = match step {
                Step::Close { volume, .. } if self.terms.mode == PositionMode::Netting => self.excess_of(volume)?,
                _ => None,
            };
            match (step, excess) {
                (Step::Close { price, .. }, Some(rest)) => summary = Some(self.flip(price, rest)?),
                _ => self.apply(step)?,
            }
        }
        Ok(summary)
    }

    /// Which way it earns, once its opening is seen.
    pub fn direction(&self) -> Option<Direction> {
        self.direction
    }

    /// Makes a step now, or remembers it when the opening has not been seen.
    ///
    /// # Errors
    /// TOOBIG when too much happened before the opening, BADFIELD.
    pub fn step(&mut self, step: Step) -> Outcome<()> {
        if self.volume.is_some() {
            return self.apply(step);
        }
        if self.pending.len() >= MAX_PENDING {
            return Err(Code::TooBig
                .because(format!("{MAX_PENDING} changes wait for position.opened already; publish it first")));
        }
        match step {
            Step::Close { volume, price } => {
                self.check_price(price)?;
                self.closed = add(self.closed, volume)?;
            }
            Step::CloseRest { price } => {
                self.check_price(price)?;
                self.status = Status::Closed;
            }
            Step::Add { price, .. } | Step::GrowTo { price, .. } => self.check_price(price)?,
        }
        self.pending.push(step);
        Ok(())
    }

    /// Closes a slice; what is more than open is overfill.
    ///
    /// # Errors
    /// TOOBIG, BADFIELD.
    pub fn close_slice(&mut self, volume: Decimal, price: Decimal) -> Outcome<()> {
        self.step(Step::Close { volume, price })
    }

    /// Closes what is left.
    ///
    /// # Errors
    /// TOOBIG, BADFIELD.
    pub fn close_rest(&mut self, price: Decimal) -> Outcome<()> {
        self.step(Step::CloseRest { price })
    }

    /// How much of `volume` is more than is open.
    ///
    /// # Errors
    /// BADFIELD.
    pub fn excess_of(&self, volume: Decimal) -> Outcome<Option<Decimal>> {
        match self.volume {
            Some(open) if volume > open => sub(volume, open).map(Some),
            _ => Ok(None),
        }
    }

    /// Closes all at `price` and opens `rest` the other way; gives the summary of the cycle that ended.
    ///
    /// # Errors
    /// BADFIELD.
    pub fn flip(&mut self, price: Decimal, rest: Decimal) -> Outcome<String> {
        self.close_rest(price)?;
        let turned = self.direction.map(Direction::turned);
        let summary = self.begin_next_cycle()?;
        if let Some(direction) = turned {
            self.open(direction, price, rest)?;
        }
        Ok(summary)
    }

    /// Ends the cycle; gives its summary, for the `context` of the log entry that begins the next.
    ///
    /// # Errors
    /// BADFIELD when a sum would not be exact.
    pub fn begin_next_cycle(&mut self) -> Outcome<String> {
        let summary = format!(
            r#""closed_cycle":"{}","closed_volume":"{}","realized_pnl":"{}""#,
            self.cycle, self.closed, self.realized
        );
        self.realized_before = add(self.realized_before, self.realized)?;
        self.cycle = self.cycle.saturating_add(1);
        self.status = Status::Active;
        self.volume = None;
        self.entry_value = None;
        self.closed = Decimal::ZERO;
        self.realized = Decimal::ZERO;
        Ok(summary)
    }

    /// What was realised since `before`, over all cycles.
    ///
    /// # Errors
    /// BADFIELD.
    pub fn realized_since(&self, before: &Position) -> Outcome<Decimal> {
        let before = before.realized;
        match self.realized_before.is_zero() && self.realized == before {
            true => Ok(Decimal::ZERO),
            false => sub(add(self.realized_before, self.realized)?, before),
        }
    }

    fn apply(&mut self, step: Step) -> Outcome<()> {
        let open = self.volume.unwrap_or(Decimal::ZERO);
        match step {
            Step::Add { volume, price } => self.grow(open, volume, price),
            Step::GrowTo { total, price } if total > open => self.grow(open, sub(total, open)?, price),
            Step::GrowTo { .. } => Ok(()),
            Step::Close { volume, price } => self.reduce(open, volume.min(open), volume, price),
            Step::CloseRest { price } => self.reduce(open, open, open, price),
        }
    }

    /// The average moves when volume is added, and only then.
    fn grow(&mut self, open: Decimal, added: Decimal, price: Decimal) -> Outcome<()> {
        self.check_price(price)?;
        let entry = self.entry_price.unwrap_or(price);
        let value = match self.entry_value {
            Some(value) => value,
            None => mul(entry, open)?,
        };
        let value = add(value, mul(added, price)?)?;
        let volume = add(open, added)?;
        self.volume = Some(volume);
        self.entry_value = Some(value);
        self.entry_price = Some(div(value, volume)?);
        Ok(())
    }

    fn reduce(&mut self, open: Decimal, counted: Decimal, told: Decimal, price: Decimal) -> Outcome<()> {
        self.check_price(price)?;
        if let (Some(entry), Some(direction)) = (self.entry_price, self.direction) {
            self.realized = add(self.realized, self.profit(direction, entry, price, counted)?)?;
        }
        self.entry_value = None;
        self.closed = add(self.closed, told)?;
        self.overfill = add(self.overfill, sub(told, counted)?)?;
        let left = sub(open, counted)?;
        self.volume = Some(left);
        if left.is_zero() {
            self.status = Status::Closed;
        }
        Ok(())
    }

    /// `(exit - entry) x volume x contract_size`, for a short the other way round; inverse contracts by
    /// reciprocals, in one division so that it is rounded once.
    fn profit(&self, direction: Direction, entry: Decimal, exit: Decimal, volume: Decimal) -> Outcome<Decimal> {
        let difference = match direction {
            Direction::Long => sub(exit, entry)?,
            Direction::Short => sub(entry, exit)?,
        };
        let money = mul(mul(difference, volume)?, self.terms.contract_size)?;
        match self.terms.contract {
            Contract::Linear => Ok(money),
            Contract::Inverse => div(money, mul(entry, exit)?),
        }
    }

    fn check_price(&self, price: Decimal) -> Outcome<()> {
        match self.terms.contract {
            Contract::Inverse if !price.is_positive() => {
                Err(Code::BadField.because(format!("an inverse contract needs prices above 0, not {price}")))
            }
            _ => Ok(()),
        }
    }

    /// Writes what differs from `before`.
    ///
    /// # Errors
    /// BADFIELD.
    pub fn store<'a, S: Store<'a>>(
        &self,
        before: &Position,
        record: &mut Record<'a>,
        store: &S,
        existed: bool,
    ) -> Outcome<()> {
        if self.volume != before.volume {
            record.put("volume", self.volume);
        }
        if self.entry_price != before.entry_price && self.entry_price.is_some() {
            // An opening has written its own text already; only a new average is ours to write.
            let told = record.decimal("entry_price").ok().flatten();
            if told != self.entry_price {
                record.put("entry_price", self.entry_price);
            }
        }
        if self.entry_value != before.entry_value {
            record.put("entry_value", self.entry_value);
        }
        if self.closed != before.closed {
            record.set("closed_volume", self.closed);
        }
        if self.realized != before.realized || self.closed != before.closed && self.entry_price.is_some() {
            record.set("realized_pnl", self.realized);
        }
        if self.pending != before.pending {
            let text = (!self.pending.is_empty()).then(|| pending::to_text(&self.pending));
            record.put("pending", text);
        }
        if self.cycle != before.cycle {
            record.set("cycle", self.cycle);
        }
        if !self.overfill.is_zero() {
            record.set("overfill_volume", self.overfill);
        }
        self.store_terms(before, record, store, existed);
        Ok(())
    }

    /// The terms stay with the position: a later change of the symbol's settings is not of its life.
    fn store_terms<'a, S: Store<'a>>(&self, before: &Position, record: &mut Record<'a>, store: &S, existed: bool) {
        let default = Terms::default();
        let known = if existed { before.terms } else { default };
        if self.terms == known {
            return;
        }
        record.load(store, &crate::instrument::TERMS);
        if self.terms.contract_size != known.contract_size {
            record.set("contract_size", self.terms.contract_size);
        }
        if self.terms.contract != known.contract {
            record.set("inverse", self.terms.contract.as_str());
        }
        if self.terms.mode != known.mode {
            record.set("position_mode", self.terms.mode.as_str());
        }
    }
}
