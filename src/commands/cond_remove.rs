//! `COND.REMOVE symbol id [FORCE]`

use tradebus_core::market::{parse_id, Removal};
use tradebus_core::refusal::Outcome;

use crate::args::{once, unknown_option, Args};
use crate::commands::market::change;
use crate::commands::spec::{Arg, Spec, Speed, SYMBOL};
use crate::redis::{Access, Command, Ctx, Keyspace};

/// Removes a condition.
pub struct CondRemove;

impl Command for CondRemove {
    const SPEC: Spec = Spec {
        name: "COND.REMOVE",
        summary: "Removes a condition",
        complexity: "O(C) where C is the number of conditions of its timeframe",
        since: "0.1.0",
        tips: "",
        arity: -3,
        access: Access::Relieve,
        speed: Speed::Slow,
        args: &[SYMBOL, Arg::text("id"), Arg::flag("force", "FORCE")],
    };

    fn run(ctx: &Ctx<'_>) -> Outcome<()> {
        let mut args = Args::of_command(ctx.args());
        let symbol = args.symbol()?;
        let id = parse_id(args.required("id")?)?;
        let mut removal = None;
        while let Some(option) = args.next() {
            if option.eq_ignore_ascii_case(b"FORCE") {
                once(&mut removal, "FORCE", Removal::Force)?;
            } else {
                return Err(unknown_option(option, "FORCE"));
            }
        }
        let removal = removal.unwrap_or(Removal::IfUnused);
        let keyspace = Keyspace::open_scope(ctx, symbol, Access::Relieve)?;
        let was_there = change(ctx, &keyspace, |market| market.remove(id, removal))?.reply;
        ctx.reply_integer(i64::from(was_there));
        Ok(())
    }
}
