//! `TRADE.POSITION symbol position_id`

use tradebus_core::key::Key;
use tradebus_core::refusal::Outcome;

use crate::commands::entity;
use crate::commands::spec::{Arg, Spec, Speed, SYMBOL};
use crate::redis::{Access, Command, Ctx};

/// Reads a position.
pub struct Position;

impl Command for Position {
    const SPEC: Spec = Spec {
        name: "TRADE.POSITION",
        summary: "Returns all fields of a position",
        complexity: "O(N) where N is the number of fields of the position",
        since: "0.1.0",
        tips: "",
        arity: 3,
        access: Access::Read,
        speed: Speed::Slow,
        args: &[SYMBOL, Arg::text("position_id")],
    };

    fn run(ctx: &Ctx<'_>) -> Outcome<()> {
        entity::reply(ctx, "position_id", |id| Key::Position(id))
    }
}
