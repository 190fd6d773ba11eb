//! `TRADE.POSITIONS symbol [OFFSET n] [COUNT n]`

use tradebus_core::key::Key;
use tradebus_core::refusal::Outcome;

use crate::commands::index::{self, COUNT, OFFSET};
use crate::commands::spec::{Spec, Speed, SYMBOL};
use crate::redis::{Access, Command, Ctx};

/// Lists the active positions of a symbol.
pub struct Positions;

impl Command for Positions {
    const SPEC: Spec = Spec {
        name: "TRADE.POSITIONS",
        summary: "Returns the active positions of a symbol, oldest first",
        complexity: "O(log(N)+M) where N is the number of active positions and M the number of fields returned",
        since: "0.1.0",
        tips: "",
        arity: -2,
        access: Access::Read,
        speed: Speed::Slow,
        args: &[SYMBOL, OFFSET, COUNT],
    };

    fn run(ctx: &Ctx<'_>) -> Outcome<()> {
        index::reply(ctx, Key::ActivePositions, |id| Key::Position(id))
    }
}
