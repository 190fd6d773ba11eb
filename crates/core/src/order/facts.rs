//! The facts of an order and what follows from them.

use crate::decimal::Decimal;
use crate::fill::Fill;
use crate::money::{add, div, mul, sub};
use crate::record::Record;
use crate::refusal::{Code, Outcome};
use crate::store::Store;
use crate::word::Word;

/// The state of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Known, nothing filled.
    Pending,
    /// A part is filled, the rest still stands.
    PartiallyFilled,
    /// All is filled.
    Filled,
    /// The rest was cancelled, or expired.
    Cancelled,
    /// The venue refused it.
    Rejected,
}

impl Word for Status {
    const WORDS: &'static [(&'static str, Status)] = &[
        ("pending", Status::Pending),
        ("partially_filled", Status::PartiallyFilled),
        ("filled", Status::Filled),
        ("cancelled", Status::Cancelled),
        ("rejected", Status::Rejected),
    ];
}

impl Status {
    /// Whether the order can still be filled in the ordinary course: it is in the index of open orders.
    pub const fn is_open(self) -> bool {
        matches!(self, Status::Pending | Status::PartiallyFilled)
    }
}

/// An `order.filled` whose order has no known volume yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FillReported {
    /// It told its own fill.
    Own,
    /// It told none: whatever remains once the volume is known was filled.
    Rest,
}

impl Word for FillReported {
    const WORDS: &'static [(&'static str, FillReported)] = &[("own", FillReported::Own), ("rest", FillReported::Rest)];
}

/// The facts of an order that its status follows from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// What was ordered; `None` when only a quote volume, or nothing yet, is known.
    pub volume: Option<Decimal>,
    /// What is filled, however it was told.
    pub filled: Decimal,
    /// Sum of volume x price over what was filled at a known price.
    value: Decimal,
    /// What was filled at an unknown price.
    unpriced: Decimal,
    /// The part of `filled` that no fill has told yet: an `order.filled` implied it.
    pub inferred: Decimal,
    /// At what price.
    pub inferred_price: Option<Decimal>,
    /// An `order.filled` was seen while the volume was not known.
    pub fill_reported: Option<FillReported>,
    /// A cancel was seen.
    pub cancelled: bool,
    /// A reject was seen and nothing filled.
    pub rejected: bool,
}

/// The fields that every event of an order reads or changes. They come first in a new hash: Redis searches a
/// small one from the front.
pub const FACTS: [&str; 13] = [
    "status",
    "version",
    "updated_at",
    "last_event_id",
    "filled_volume",
    "remaining_volume",
    "filled_value",
    "avg_fill_price",
    "volume",
    "unpriced_volume",
    "inferred_volume",
    "cancelled_at",
    "fill_reported",
];

/// Who vouches for a fill that is larger than what remains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The venue: it gave the fill an id.
    FillId,
    /// Nobody.
    None,
}

impl Proof {
    /// Who vouches for a fill.
    pub fn of(fill: &Fill<'_>) -> Proof {
        match fill.id {
            Some(_) => Proof::FillId,
            None => Proof::None,
        }
    }
}

impl Order {
    /// Reads the facts. An order that does not exist has none.
    ///
    /// # Errors
    /// CORRUPT.
    pub fn load<'a, S: Store<'a>>(record: &mut Record<'a>, store: &S) -> Outcome<Order> {
        record.load(store, &FACTS);
        let number = |record: &Record<'_>, name| Ok(record.decimal(name)?.unwrap_or(Decimal::ZERO));
        let mut order = Order {
            volume: record.decimal("volume")?,
            filled: number(record, "filled_volume")?,
            value: number(record, "filled_value")?,
            unpriced: number(record, "unpriced_volume")?,
            inferred: number(record, "inferred_volume")?,
            inferred_price: None,
            fill_reported: FillReported::load(record, "fill_reported")?,
            cancelled: record.get("cancelled_at").is_some(),
            rejected: Status::load(record, "status")? == Some(Status::Rejected),
        };
        if record.exists() && record.get("status").is_none() {
            return Err(record.corrupt("status", "an order's status"));
        }
        if order.inferred.is_positive() || order.fill_reported.is_some() {
            record.load(store, &["inferred_price"]);
            order.inferred_price = record.decimal("inferred_price")?;
        }
        Ok(order)
    }

    /// The status that the facts come to.
    pub fn status(&self) -> Status {
        let complete = match self.volume {
            Some(volume) => self.filled.is_positive() && self.filled >= volume,
            None => self.fill_reported.is_some(),
        };
        if complete {
            Status::Filled
        } else if self.cancelled {
            Status::Cancelled
        } else if self.filled.is_positive() {
            Status::PartiallyFilled
        } else if self.rejected {
            Status::Rejected
        } else {
            Status::Pending
        }
    }

    /// What can still be filled: nothing when the order is finished, `None` when it is not and its volume is not
    /// known.
    pub fn remaining(&self) -> Option<Decimal> {
        match self.status().is_open() {
            true => self.volume?.checked_sub(self.filled),
            false => Some(Decimal::ZERO),
        }
    }

    /// What was filled beyond the volume.
    pub fn overfill(&self) -> Option<Decimal> {
        // To compare costs less than a difference, and hardly any order is overfilled.
        let volume = self.volume.filter(|&volume| self.filled > volume)?;
        self.filled.checked_sub(volume)
    }

    /// The average price, unless nothing is filled or a part was filled at an unknown price.
    fn average(&self) -> Outcome<Option<Decimal>> {
        match self.filled.is_positive() && self.unpriced.is_zero() {
            true => div(self.value, self.filled).map(Some),
            false => Ok(None),
        }
    }

    /// What an `order.filled` without a fill of its own stands for.
    pub fn unfilled(&self) -> Option<Decimal> {
        self.volume?.checked_sub(self.filled).filter(|rest| rest.is_positive())
    }

    fn count(&mut self, volume: Decimal, price: Option<Decimal>) -> Outcome<()> {
        self.filled = add(self.filled, volume)?;
        match price {
            Some(price) => self.value = add(self.value, mul(volume, price)?)?,
            None => self.unpriced = add(self.unpriced, volume)?,
        }
        Ok(())
    }

    /// Takes a fill in. What was inferred before gives way to it: that much is re-priced, not filled again.
    fn fill(&mut self, volume: Decimal, price: Option<Decimal>, proof: Proof) -> Outcome<()> {
        let absorbed = volume.min(self.inferred);
        if absorbed.is_positive() {
            self.inferred = sub(self.inferred, absorbed)?;
            self.filled = sub(self.filled, absorbed)?;
            match self.inferred_price {
                Some(price) => self.value = sub(self.value, mul(absorbed, price)?)?,
                None => self.unpriced = sub(self.unpriced, absorbed)?,
            }
        }
        self.count(volume, price)?;
        self.refuse_overfill(volume, proof)
    }

    fn refuse_overfill(&self, told: Decimal, proof: Proof) -> Outcome<()> {
        match self.overfill() {
            Some(excess) if proof == Proof::None => Err(Code::Overfill.because(format!(
                "the fill of {told} is {excess} more than remains; with a fill_id it would be taken as a fact"
            ))),
            _ => Ok(()),
        }
    }

    /// Takes what remains as filled; says whether anything did.
    ///
    /// # Errors
    /// BADFIELD when a sum would not be exact.
    pub fn infer_rest(&mut self, price: Option<Decimal>) -> Outcome<Told> {
        let Some(rest) = self.unfilled() else {
            return Ok(Told::Nothing);
        };
        self.infer(rest, price)?;
        Ok(Told::News)
    }

    /// Takes a volume as filled that no fill has told yet; fills that come later consume it.
    ///
    /// # Errors
    /// BADFIELD when a sum would not be exact.
    pub fn infer(&mut self, volume: Decimal, price: Option<Decimal>) -> Outcome<()> {
        let mut price = price;
        if self.inferred.is_positive() && self.inferred_price != price {
            // Which part a later fill stands for cannot be told, so no part has a known price until then.
            if let Some(known) = self.inferred_price.take() {
                self.value = sub(self.value, mul(self.inferred, known)?)?;
                self.unpriced = add(self.unpriced, self.inferred)?;
            }
            price = None;
        }
        self.inferred = add(self.inferred, volume)?;
        self.inferred_price = price;
        self.count(volume, price)
    }

    /// Takes a sum that an order ended with: what no fill has told of it is inferred.
    ///
    /// # Errors
    /// OVERFILL, BADFIELD.
    pub fn end_at(&mut self, cumulative: Decimal, price: Option<Decimal>, proof: Proof) -> Outcome<Told> {
        if cumulative <= self.filled {
            return Ok(Told::Nothing);
        }
        let news = sub(cumulative, self.filled)?;
        self.infer(news, price)?;
        self.refuse_overfill(news, proof)?;
        Ok(Told::News)
    }

    /// Takes a report of the volume filled so far; says whether it told anything new. The fill's own price
    /// covers its own volume: what else the report reveals was filled at a price that nobody told.
    ///
    /// # Errors
    /// OVERFILL, BADFIELD.
    fn fill_up_to(&mut self, cumulative: Decimal, fill: &Fill<'_>) -> Outcome<Told> {
        let news = match cumulative > self.filled {
            true => sub(cumulative, self.filled)?,
            false => return Ok(Told::Nothing),
        };
        let own = fill.volume.as_ref().map_or(news, |volume| volume.value.min(news));
        let unseen = sub(news, own)?;
        // The sum covers what was inferred too, so what is new comes on top of that.
        if unseen.is_positive() {
            self.count(unseen, None)?;
        }
        self.count(own, fill.price.as_ref().map(|price| price.value))?;
        self.refuse_overfill(news, Proof::of(fill))?;
        Ok(Told::News)
    }

    /// A fill with an id or without a cumulative volume is counted by itself; any other tells a sum.
    ///
    /// # Errors
    /// OVERFILL, BADFIELD.
    pub fn take(&mut self, fill: &Fill<'_>) -> Outcome<Told> {
        let price = fill.price.as_ref().map(|price| price.value);
        match (&fill.volume, &fill.cumulative) {
            (Some(volume), None) => self.fill(volume.value, price, Proof::of(fill))?,
            (Some(volume), Some(_)) if fill.id.is_some() => self.fill(volume.value, price, Proof::FillId)?,
            (_, Some(cumulative)) => return self.fill_up_to(cumulative.value, fill),
            (None, None) => return Ok(Told::Nothing),
        }
        Ok(Told::News)
    }
}

/// Whether an event told a fact that was not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    News,
    Nothing,
}

impl Order {
    /// Writes the facts that differ from `before`, and what follows from them.
    ///
    /// # Errors
    /// BADFIELD when the average cannot be held.
    pub fn store<'a, S: Store<'a>>(&self, before: &Order, record: &mut Record<'a>, store: &S) -> Outcome<()> {
        let after = self;

        if record.get("filled_volume").is_none() || after.filled != before.filled {
            record.set("filled_volume", after.filled);
        }
        if after.remaining() != before.remaining() {
            record.put("remaining_volume", after.remaining());
        }
        for (name, was, is) in [
            ("filled_value", before.value, after.value),
            ("unpriced_volume", before.unpriced, after.unpriced),
            ("inferred_volume", before.inferred, after.inferred),
        ] {
            if was != is {
                record.put(name, (!is.is_zero()).then_some(is));
            }
        }
        let pending_price =
            after.inferred_price.filter(|_| after.inferred.is_positive() || after.fill_reported.is_some());
        if pending_price.is_some() || before.inferred_price.is_some() {
            record.put("inferred_price", pending_price);
        }
        if after.fill_reported != before.fill_reported {
            record.put("fill_reported", after.fill_reported.map(Word::as_str));
        }
        // Set even if the quotient is the same: a patch leaves out what is stored already.
        let priced = |order: &Order| (order.filled, order.value, order.unpriced);
        if priced(before) != priced(after) {
            record.put("avg_fill_price", after.average()?);
        }
        if before.overfill() != after.overfill() {
            record.load(store, &["overfill_volume"]);
            record.put("overfill_volume", after.overfill());
        }
        Ok(())
    }
}
