//! An order book that stays as large as it is: its events change orders at random, and what comes in goes out again.

use crate::workload::{written, About, Change, Event, Expiry, IndexChange, Members, Subject};

const PRICE: u64 = 265_040;
/// No fill fills so much.
const VOLUME: u64 = 1_000_000_000;
/// Midnight of 2025-01-01, UTC: what every event says, since nothing depends on it.
const TIMESTAMP: &str = "2025-01-01T00:00:00.000Z";
const TS: u64 = 1_735_689_600_000;

/// Orders, and what has happened to them.
pub struct Book {
    chance: fastrand::Rng,
    symbols: Vec<&'static str>,
    orders: Vec<Order>,
    /// A short-lived one, which is cancelled next.
    passing: Option<usize>,
    next_number: usize,
}

/// An order that stays.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    pub version: u64,
    /// Hundredths.
    pub filled: u64,
}

impl Book {
    /// A book of so many orders, of as many symbols.
    pub fn new(symbols: usize, orders: usize) -> Book {
        // Names that live as long as the program: it makes few books.
        let name = |number: usize| &*format!("SYM{number:05}").leak();
        Book {
            chance: fastrand::Rng::with_seed(0x626f_6f6b),
            symbols: (0..symbols).map(name).collect(),
            orders: vec![Order { version: 0, filled: 0 }; orders],
            passing: None,
            next_number: orders,
        }
    }

    pub fn symbols(&self) -> &[&'static str] {
        &self.symbols
    }

    pub fn len(&self) -> usize {
        self.orders.len()
    }

    /// An order that stays: its symbol, its id, what has happened to it.
    pub fn order(&self, number: usize) -> (&'static str, String, Order) {
        (self.symbol(number), id(number), self.orders[number])
    }

    /// The orders that are open, those that stay and the one that does not.
    pub fn open(&self) -> usize {
        self.orders.len() + usize::from(self.passing.is_some())
    }

    fn symbol(&self, number: usize) -> &'static str {
        self.symbols[number % self.symbols.len()]
    }

    /// The event that opens an order that stays.
    pub fn opening(&mut self, number: usize) -> Event {
        self.orders[number].version = 1;
        self.created(number)
    }

    /// The next event: as a rule a fill or a change of any order, at times a new order or the end of the last new one.
    pub fn next(&mut self) -> Event {
        match self.chance.u8(..20) {
            0 | 1 => match self.passing.take() {
                Some(number) => self.cancelled(number),
                None => {
                    let number = self.next_number;
                    self.next_number += 1;
                    self.passing = Some(number);
                    self.created(number)
                }
            },
            2..=10 => self.filled(),
            _ => self.modified(),
        }
    }

    fn any(&mut self) -> usize {
        let number = self.chance.usize(..self.orders.len());
        self.orders[number].version += 1;
        number
    }

    fn created(&mut self, number: usize) -> Event {
        let data = members(number)
            .text("order_type", "limit")
            .raw("volume", written(VOLUME))
            .raw("price", written(PRICE))
            .raw("stop_loss", written(PRICE - PRICE / 50))
            .raw("take_profit", written(PRICE + PRICE / 25))
            .text("time_in_force", "GTC");
        self.event(number, "order.created", data, "pending", IndexChange::Enter)
    }

    fn filled(&mut self) -> Event {
        let number = self.any();
        let volume = 1 + self.chance.u64(..500);
        self.orders[number].filled += volume;
        let data = members(number)
            .raw("fill_volume", written(volume))
            .raw("fill_price", written(PRICE + self.chance.u64(..500)))
            .text("liquidity", if self.chance.bool() { "maker" } else { "taker" })
            .text("venue", "lmax-ny4")
            .raw("latency_ms", 1 + self.chance.u64(..250));
        self.event(number, "order.partially_filled", data, "partially_filled", IndexChange::Stay)
    }

    fn modified(&mut self) -> Event {
        let number = self.any();
        let price = PRICE + self.chance.u64(..5_000);
        let data = members(number)
            .raw("price", written(price))
            .raw("stop_loss", written(price - price / 50))
            .raw("take_profit", written(price + price / 25))
            .text("reason", "trailing_stop_adjusted");
        let status = if self.orders[number].filled == 0 { "pending" } else { "partially_filled" };
        self.event(number, "order.modified", data, status, IndexChange::Stay)
    }

    fn cancelled(&mut self, number: usize) -> Event {
        let data =
            members(number).text("reason", "user_request").raw("code", 100).text("requested_by", "order_manager");
        self.event(number, "order.cancelled", data, "cancelled", IndexChange::Leave)
    }

    fn event(
        &mut self,
        number: usize,
        event_type: &'static str,
        data: Members,
        status: &'static str,
        index: IndexChange,
    ) -> Event {
        let expiry = if index == IndexChange::Leave { Expiry::Closed } else { Expiry::Unchanged };
        let change = Change {
            subject: Subject::Order,
            id: id(number),
            status,
            derived: Vec::new(),
            index,
            expiry,
            has_fill_id: false,
        };
        Event {
            symbol: self.symbol(number),
            event_type,
            event_id: format!("evt-{:016x}", self.chance.u64(..)),
            ts: TS,
            timestamp: TIMESTAMP.to_owned(),
            data: data.text("strategy", "grid_v2").text("account", "acc-7741").text("timestamp", TIMESTAMP),
            about: About::Entity(change),
        }
    }
}

fn id(number: usize) -> String {
    format!("ord-{number:08}")
}

fn members(number: usize) -> Members {
    Members::default().text("order_id", id(number)).text("side", if number % 2 == 0 { "buy" } else { "sell" })
}
