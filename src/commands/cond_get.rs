//! `COND.GET symbol id`

use tradebus_core::market::parse_id;
use tradebus_core::refusal::Outcome;

use crate::args::Args;
use crate::commands::cond_map::Described;
use crate::commands::spec::{Arg, Spec, Speed, SYMBOL};
use crate::redis::{Access, Command, Ctx, Keyspace};

/// Reads a condition.
pub struct CondGet;

impl Command for CondGet {
    const SPEC: Spec = Spec {
        name: "COND.GET",
        summary: "Returns a condition: its expression, its limits and what it has done",
        complexity: "O(1)",
        since: "0.1.0",
        tips: "",
        arity: 3,
        access: Access::Read,
        speed: Speed::Constant,
        args: &[SYMBOL, Arg::text("id")],
    };

    fn run(ctx: &Ctx<'_>) -> Outcome<()> {
        let mut args = Args::of_command(ctx.args());
        let symbol = args.symbol()?;
        let id = parse_id(args.required("id")?)?;
        let keyspace = Keyspace::open_scope(ctx, symbol, Access::Read)?;
        match Described::read(ctx, &keyspace, id)? {
            Some(condition) => condition.reply(ctx, symbol.name()),
            None => ctx.reply_null(),
        }
        Ok(())
    }
}
