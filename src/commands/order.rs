//! `TRADE.ORDER symbol order_id`

use tradebus_core::key::Key;
use tradebus_core::refusal::Outcome;

use crate::commands::entity;
use crate::commands::spec::{Arg, Spec, Speed, SYMBOL};
use crate::redis::{Access, Command, Ctx};

/// Reads an order.
pub struct Order;

impl Command for Order {
    const SPEC: Spec = Spec {
        name: "TRADE.ORDER",
        summary: "Returns all fields of an order",
        complexity: "O(N) where N is the number of fields of the order",
        since: "0.1.0",
        tips: "",
        arity: 3,
        access: Access::Read,
        speed: Speed::Slow,
        args: &[SYMBOL, Arg::text("order_id")],
    };

    fn run(ctx: &Ctx<'_>) -> Outcome<()> {
        entity::reply(ctx, "order_id", |id| Key::Order(id))
    }
}
