//! `COND.PAUSE symbol id` and `COND.RESUME symbol id`

use tradebus_core::condition::Status;
use tradebus_core::market::parse_id;
use tradebus_core::refusal::Outcome;

use crate::args::Args;
use crate::commands::market::change;
use crate::commands::spec::{Arg, Spec, Speed, SYMBOL};
use crate::redis::{Access, Command, Ctx, Keyspace};

/// Pauses a condition.
pub struct CondPause;

/// Lets a condition go on.
pub struct CondResume;

impl Command for CondPause {
    const SPEC: Spec = Spec {
        name: "COND.PAUSE",
        summary: "Keeps a condition from triggering until it is resumed",
        complexity: "O(1)",
        since: "0.1.0",
        tips: "",
        arity: 3,
        // Stopping bots must be possible in every plight.
        access: Access::Relieve,
        speed: Speed::Constant,
        args: &[SYMBOL, Arg::text("id")],
    };

    fn run(ctx: &Ctx<'_>) -> Outcome<()> {
        set(ctx, Access::Relieve, Status::Paused)
    }
}

impl Command for CondResume {
    const SPEC: Spec = Spec {
        name: "COND.RESUME",
        summary: "Lets a condition trigger again",
        complexity: "O(1)",
        since: "0.1.0",
        tips: "",
        arity: 3,
        access: Access::Write,
        speed: Speed::Constant,
        args: &[SYMBOL, Arg::text("id")],
    };

    fn run(ctx: &Ctx<'_>) -> Outcome<()> {
        set(ctx, Access::Write, Status::Active)
    }
}

fn set(ctx: &Ctx<'_>, access: Access, status: Status) -> Outcome<()> {
    let mut args = Args::of_command(ctx.args());
    let symbol = args.symbol()?;
    let id = parse_id(args.required("id")?)?;
    let keyspace = Keyspace::open_scope(ctx, symbol, access)?;
    change(ctx, &keyspace, |market| market.set_status(id, status).map(|decision| ((), decision)))?;
    ctx.reply_ok();
    Ok(())
}
