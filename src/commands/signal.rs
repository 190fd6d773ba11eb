//! `TRADE.SIGNAL symbol signal_id`

use tradebus_core::key::Key;
use tradebus_core::refusal::Outcome;

use crate::commands::entity;
use crate::commands::spec::{Arg, Spec, Speed, SYMBOL};
use crate::redis::{Access, Command, Ctx};

/// Reads a signal.
pub struct Signal;

impl Command for Signal {
    const SPEC: Spec = Spec {
        name: "TRADE.SIGNAL",
        summary: "Returns all fields of a signal",
        complexity: "O(N) where N is the number of fields of the signal",
        since: "0.1.0",
        tips: "",
        arity: 3,
        access: Access::Read,
        speed: Speed::Slow,
        args: &[SYMBOL, Arg::text("signal_id")],
    };

    fn run(ctx: &Ctx<'_>) -> Outcome<()> {
        entity::reply(ctx, "signal_id", |id| Key::Signal(id))
    }
}
