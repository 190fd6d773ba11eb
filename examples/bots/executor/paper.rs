//! A desk with a paper venue: orders are published, and filled at once.

use std::collections::BTreeMap;

use redis::{Connection, RedisError};
use serde_json::{json, Value};

use super::work::Work;
use super::Outcome;

/// Where one executor trades one symbol.
pub struct Desk<'c> {
    connection: &'c mut Connection,
    symbol: &'c str,
    source: &'static str,
}

/// What to buy or sell.
pub struct Order<'a> {
    /// BUY or SELL.
    pub side: &'a str,
    /// `market` or `limit`.
    pub order_type: &'a str,
    /// How much.
    pub volume: &'a str,
    /// What the paper venue fills it at; of a limit order, its limit.
    pub price: &'a str,
}

/// The fields of a position.
pub type Position = BTreeMap<String, String>;

impl<'c> Desk<'c> {
    /// A desk whose events come from `source`.
    pub fn new(connection: &'c mut Connection, symbol: &'c str, source: &'static str) -> Desk<'c> {
        Desk { connection, symbol, source }
    }

    /// Places the one order of this work, and has it filled. If it was placed or filled before, that stands.
    pub fn trade(&mut self, work: &Work, order: &Order<'_>) -> Outcome<()> {
        let mut created = json!({
            "order_id": work.order_ref,
            "bot_id": work.bot_id,
            "side": order.side,
            "order_type": order.order_type,
            "volume": order.volume,
        });
        if order.order_type == "limit" {
            created["price"] = order.price.into();
        }
        self.publish(work, "new", "order.created", &created)?;
        // A venue of the real world gets the order here, with order_ref as its client order id: it refuses
        // to take a second one of the same, and so this step can be repeated, too. Its fills come by its feed.
        let filled = json!({
            "order_id": work.order_ref,
            "fill_id": work.order_ref,
            "fill_volume": order.volume,
            "fill_price": order.price,
        });
        self.publish(work, "fill", "order.filled", &filled)
    }

    /// Publishes an event of this work under an ID of its own, `<order_ref>-<name>`: a repeat does nothing.
    /// Its data must come of the entry alone, or of what cannot have changed since: the same ID with other
    /// data is refused.
    pub fn publish(&mut self, work: &Work, name: &str, event_type: &str, data: &Value) -> Outcome<()> {
        let mut command = redis::cmd("TRADE.PUBLISH");
        command.arg(self.symbol).arg(event_type).arg(data.to_string());
        command.arg("ID").arg(format!("{}-{name}", work.order_ref)).arg("TIMESTAMP").arg(&work.ts);
        command.arg("SOURCE").arg(self.source).arg("CORRELATION").arg(&work.trigger_id);
        let published: Result<(), RedisError> = command.query(self.connection);
        match published {
            // An ID is forgotten after tradebus.dedupe-window, but not the order or position: it exists, or it
            // is closed. That was us, for it bears our order_ref.
            Err(error) if matches!(error.code(), Some("INVALIDSTATE" | "TOOLATE")) => Ok(()),
            published => Ok(published?),
        }
    }

    /// The open positions of this work's bot.
    pub fn positions(&mut self, work: &Work) -> Outcome<Vec<Position>> {
        let mut positions: Vec<Position> = redis::cmd("TRADE.POSITIONS").arg(self.symbol).query(self.connection)?;
        positions.retain(|position| position.get("bot_id") == Some(&work.bot_id));
        Ok(positions)
    }
}
