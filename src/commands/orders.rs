//! `TRADE.ORDERS symbol [OFFSET n] [COUNT n]`

use tradebus_core::key::Key;
use tradebus_core::refusal::Outcome;

use crate::commands::index::{self, COUNT, OFFSET};
use crate::commands::spec::{Spec, Speed, SYMBOL};
use crate::redis::{Access, Command, Ctx};

/// Lists the open orders of a symbol.
pub struct Orders;

impl Command for Orders {
    const SPEC: Spec = Spec {
        name: "TRADE.ORDERS",
        summary: "Returns the open orders of a symbol, oldest first",
        complexity: "O(log(N)+M) where N is the number of open orders and M the number of fields returned",
        since: "0.1.0",
        tips: "",
        arity: -2,
        access: Access::Read,
        speed: Speed::Slow,
        args: &[SYMBOL, OFFSET, COUNT],
    };

    fn run(ctx: &Ctx<'_>) -> Outcome<()> {
        index::reply(ctx, Key::OpenOrders, |id| Key::Order(id))
    }
}
