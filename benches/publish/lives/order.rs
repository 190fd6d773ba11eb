//! An order: created, perhaps modified and filled in parts, then filled, cancelled or rejected.

use super::{around, Life, Producer, Step, VENUES};
use crate::workload::{trimmed, written, About, Change, Expiry, IndexChange, Members, Moment, Rng, Subject};

enum Ending {
    Filled,
    Cancelled,
    Rejected,
}

pub struct Order {
    id: String,
    producer: Producer,
    side: &'static str,
    price: u64,
    volume: u64,
    filled: u64,
    version: u64,
    partial_fills_left: u64,
    will_be_modified: bool,
    ending: Ending,
}

impl Order {
    pub fn new(rng: &mut Rng, price: u64, number: u64) -> Order {
        let (ending, partial_fills_left) = match rng.below(10) {
            0..=6 => (Ending::Filled, rng.below(4)),
            7..=8 => (Ending::Cancelled, rng.below(4)),
            _ => (Ending::Rejected, 0),
        };
        Order {
            id: format!("ord-{number:08}"),
            producer: Producer::new(rng),
            side: rng.pick(&["buy", "sell"]),
            price,
            volume: 100 * (1 + rng.below(50)),
            filled: 0,
            version: 0,
            partial_fills_left,
            will_be_modified: rng.chance(20),
            ending,
        }
    }

    fn created(&mut self, rng: &mut Rng, now: &Moment) -> Step {
        let data = self
            .members()
            .text("order_type", rng.pick(&["limit", "stop", "market"]))
            .raw("volume", written(self.volume))
            .raw("price", written(self.price))
            .raw("stop_loss", written(self.price - self.price / 50))
            .raw("take_profit", written(self.price + self.price / 25))
            .text("time_in_force", "GTC");
        let mut change = self.change("pending");
        change.index = IndexChange::Enter;
        change.derived.push(("created_at", now.ms.to_string()));
        self.step("order.created", self.producer.sign(data, now), change)
    }

    fn modified(&mut self, rng: &mut Rng, now: &Moment) -> Step {
        self.price = around(rng, self.price);
        let mut data = self
            .members()
            .raw("price", written(self.price))
            .raw("stop_loss", written(self.price - self.price / 50))
            .raw("take_profit", written(self.price + self.price / 25))
            .text("reason", "trailing_stop_adjusted");
        if rng.chance(33) {
            self.volume += 100;
            data = data.raw("volume", written(self.volume));
        }
        let status = if self.filled == 0 { "pending" } else { "partially_filled" };
        let change = self.change(status);
        self.step("order.modified", self.producer.sign(data, now), change)
    }

    fn filled(&mut self, rng: &mut Rng, now: &Moment, volume: u64) -> Step {
        let price = around(rng, self.price);
        self.filled += volume;
        let mut data = self
            .members()
            .raw("fill_volume", written(volume))
            .raw("fill_price", written(price))
            .text("liquidity", rng.pick(&["maker", "taker"]))
            .text("venue", rng.pick(&VENUES))
            .raw("latency_ms", 1 + rng.below(250));
        let (event_type, status) = if self.filled == self.volume {
            ("order.filled", "filled")
        } else {
            ("order.partially_filled", "partially_filled")
        };
        let mut change = self.change(status);
        if rng.chance(50) {
            data = data.text("fill_id", format!("fill-{}-{}", self.version, self.id));
            change.has_fill_id = true;
        }
        if self.filled == self.volume {
            change.closes();
        }
        self.step(event_type, self.producer.sign(data, now), change)
    }

    fn unfilled(&mut self, rng: &mut Rng, now: &Moment, ending: &EndingWords) -> Step {
        let data = self
            .members()
            .text("reason", rng.pick(ending.reasons))
            .raw("code", 100 + rng.below(40))
            .text("requested_by", ending.requested_by)
            .text("venue", rng.pick(&VENUES))
            .raw("latency_ms", 1 + rng.below(250));
        let mut change = self.change(ending.status);
        change.derived.retain(|(name, _)| *name != "remaining_volume");
        change.derived.push(("remaining_volume", "0".to_owned()));
        change.closes();
        self.step(ending.event_type, self.producer.sign(data, now), change)
    }

    fn members(&self) -> Members {
        Members::default().text("order_id", &self.id).text("side", self.side)
    }

    fn change(&self, status: &'static str) -> Change {
        Change::new(
            Subject::Order,
            &self.id,
            status,
            vec![
                ("version", self.version.to_string()),
                ("filled_volume", trimmed(self.filled as i64, 2)),
                ("remaining_volume", trimmed((self.volume - self.filled) as i64, 2)),
            ],
        )
    }

    fn step(&self, event_type: &'static str, data: Members, change: Change) -> Step {
        Step { event_type, data, last: matches!(change.expiry, Expiry::Closed), about: About::Entity(change) }
    }
}

struct EndingWords {
    event_type: &'static str,
    status: &'static str,
    reasons: &'static [&'static str],
    requested_by: &'static str,
}

const CANCELLED: EndingWords = EndingWords {
    event_type: "order.cancelled",
    status: "cancelled",
    reasons: &["user_request", "expired", "strategy_stopped"],
    requested_by: "order_manager",
};

const REJECTED: EndingWords = EndingWords {
    event_type: "order.rejected",
    status: "rejected",
    reasons: &["insufficient_margin", "market_closed", "invalid_price"],
    requested_by: "venue_gateway",
};

impl Life for Order {
    fn next(&mut self, rng: &mut Rng, now: &Moment) -> Step {
        self.version += 1;
        if self.version == 1 {
            return self.created(rng, now);
        }
        if self.will_be_modified && rng.chance(50) {
            self.will_be_modified = false;
            return self.modified(rng, now);
        }
        let remaining = self.volume - self.filled;
        if self.partial_fills_left > 0 {
            self.partial_fills_left -= 1;
            // A half at most, so that something is left for the end.
            let volume = remaining / (2 + rng.below(3));
            return self.filled(rng, now, volume);
        }
        match self.ending {
            Ending::Filled => self.filled(rng, now, remaining),
            Ending::Cancelled => self.unfilled(rng, now, &CANCELLED),
            Ending::Rejected => self.unfilled(rng, now, &REJECTED),
        }
    }
}
