//! The lives of orders, positions and signals, one event at a time. Quantities and prices are hundredths,
//! their products ten-thousandths: integers, so the sums that the peers must agree on are exact.

mod order;
mod position;

use order::Order;
use position::Position;

use crate::workload::{written, About, Change, Expiry, IndexChange, Members, Moment, Rng, Subject};

const STRATEGIES: [&str; 4] = ["trend_follow_h4", "mean_revert_m15", "grid_v2", "breakout_d1"];
const ACCOUNTS: [&str; 3] = ["acc-7741", "acc-7742", "acc-9003"];
const VENUES: [&str; 3] = ["lmax-ny4", "binance", "ic-markets"];

/// One event of a life.
pub struct Step {
    pub event_type: &'static str,
    pub data: Members,
    pub about: About,
    /// Nothing follows.
    pub last: bool,
}

/// Something that events happen to.
pub trait Life {
    /// The next event, at `now`.
    fn next(&mut self, rng: &mut Rng, now: &Moment) -> Step;
}

/// Begins the life of something that trades around `price`: mostly orders.
pub fn begin(rng: &mut Rng, price: u64, number: u64) -> Box<dyn Life> {
    let price = around(rng, price);
    match rng.below(10) {
        0..=5 => Box::new(Order::new(rng, price, number)),
        6..=7 => Box::new(Position::new(rng, price, number)),
        _ => {
            let producer = Producer::new(rng);
            Box::new(Signal { id: format!("sig-{number:08}"), producer, price, generated: false })
        }
    }
}

/// An event of no entity: an executed trade, or at times a breached limit.
pub fn record(rng: &mut Rng, number: u64, now: &Moment) -> Step {
    let members = || Members::default();
    let (event_type, about, data) = if rng.chance(15) {
        let limit = rng.pick(&["max_daily_loss", "max_exposure", "max_open_orders"]);
        let data = members()
            .text("limit", limit)
            .raw("value", written(500_000 + rng.below(90_000)))
            .raw("threshold", "5000.00")
            .text("scope", "account")
            .text("action", "block_new_orders")
            .text("severity", "critical");
        ("risk.limit_breached", About::Risk { limit }, data)
    } else {
        let data = members()
            .text("trade_id", format!("trd-{number:08}"))
            .text("side", rng.pick(&["buy", "sell"]))
            .raw("volume", written(1 + rng.below(5_000)))
            .raw("price", written(1_000 + rng.below(300_000)))
            .text("liquidity", rng.pick(&["maker", "taker"]))
            .text("venue", rng.pick(&VENUES));
        ("trade.executed", About::Record, data)
    };
    Step { event_type, data: Producer::new(rng).sign(data, now), about, last: true }
}

/// On whose behalf events are told: the same for all of a life.
struct Producer {
    strategy: &'static str,
    account: &'static str,
}

impl Producer {
    fn new(rng: &mut Rng) -> Producer {
        Producer { strategy: rng.pick(&STRATEGIES), account: rng.pick(&ACCOUNTS) }
    }

    /// Adds the members that every producer adds.
    fn sign(&self, data: Members, now: &Moment) -> Members {
        data.text("strategy", self.strategy).text("account", self.account).text("timestamp", &now.rfc3339)
    }
}

/// A price within a percent of `price`.
fn around(rng: &mut Rng, price: u64) -> u64 {
    price - price / 100 + rng.below(price / 50 + 1)
}

struct Signal {
    id: String,
    producer: Producer,
    price: u64,
    generated: bool,
}

impl Life for Signal {
    fn next(&mut self, rng: &mut Rng, now: &Moment) -> Step {
        let data = Members::default().text("signal_id", &self.id);
        let change = |status, version: u64| {
            let derived = vec![("version", version.to_string())];
            Change::new(Subject::Signal, &self.id, status, derived)
        };
        if self.generated {
            let data = data
                .text("validator", "risk_engine")
                .raw("score", written(rng.below(100)))
                .raw("checks_passed", 3 + rng.below(9))
                .raw("checks_total", 12)
                .raw("latency_ms", 1 + rng.below(90));
            let (event_type, data, status) = if rng.chance(60) {
                ("signal.validated", data, "validated")
            } else {
                let data = data.text("reason", "correlation_too_high");
                ("signal.rejected", data, "rejected")
            };
            let mut change = change(status, 2);
            change.expiry = Expiry::Closed;
            return Step { event_type, data: self.producer.sign(data, now), about: About::Entity(change), last: true };
        }
        self.generated = true;
        let data = data
            .text("direction", rng.pick(&["LONG", "SHORT"]))
            .raw("confidence", written(50 + rng.below(50)))
            .raw("entry_price", written(self.price))
            .raw("stop_loss", written(self.price - self.price / 50))
            .raw("take_profit", written(self.price + self.price / 25))
            .text("timeframe", rng.pick(&["M15", "H1", "H4"]))
            .raw("features", format!("{{\"rsi\":{}}}", rng.below(100)));
        let mut change = change("generated", 1);
        change.expiry = Expiry::Unjudged;
        change.derived.push(("created_at", now.ms.to_string()));
        Step {
            event_type: "signal.generated",
            data: self.producer.sign(data, now),
            about: About::Entity(change),
            // Some signals nobody judges.
            last: rng.chance(10),
        }
    }
}

impl Change {
    fn new(subject: Subject, id: &str, status: &'static str, derived: Vec<(&'static str, String)>) -> Change {
        Change {
            subject,
            id: id.to_owned(),
            status,
            derived,
            index: IndexChange::Stay,
            expiry: Expiry::Unchanged,
            has_fill_id: false,
        }
    }

    fn closes(&mut self) {
        self.index = IndexChange::Leave;
        self.expiry = Expiry::Closed;
    }
}
