//! `COND.EXPLAIN symbol id`

use tradebus_core::market::{explain, parse_id};
use tradebus_core::refusal::Outcome;

use crate::args::Args;
use crate::commands::spec::{Arg, Spec, Speed, SYMBOL};
use crate::engines;
use crate::redis::{Access, Command, Ctx, Keyspace};

/// Tells what a condition is on the newest bar, and why.
pub struct CondExplain;

impl Command for CondExplain {
    const SPEC: Spec = Spec {
        name: "COND.EXPLAIN",
        summary: "Returns what a condition is on the newest bar, and the numbers behind it",
        complexity: "O(1), or O(C+H) after a restart, where C is the number of conditions of the timeframe and H the number of candles since the state was saved",
        since: "0.1.0",
        tips: "",
        arity: 3,
        access: Access::Read,
        speed: Speed::Slow,
        args: &[SYMBOL, Arg::text("id")],
    };

    fn run(ctx: &Ctx<'_>) -> Outcome<()> {
        let mut args = Args::of_command(ctx.args());
        let symbol = args.symbol()?;
        let id = parse_id(args.required("id")?)?;
        let keyspace = Keyspace::open_scope(ctx, symbol, Access::Read)?;
        let database = ctx.database();
        let mut engines = engines::take(database, symbol.name());
        let explained = explain(&keyspace, symbol.name(), id, &mut engines);
        engines::keep(database, symbol.name(), engines);
        let explained = explained?;

        ctx.reply_map(4);
        ctx.reply_bulk(b"state");
        ctx.reply_bulk(explained.state.as_bytes());
        ctx.reply_bulk(b"bars");
        ctx.reply_integer(i64::try_from(explained.bars).unwrap_or(i64::MAX));
        ctx.reply_bulk(b"last_bar");
        match explained.last_bar {
            Some(open_time) => ctx.reply_integer(open_time),
            None => ctx.reply_null(),
        }
        ctx.reply_bulk(b"terms");
        ctx.reply_map(explained.terms.len());
        for (text, number) in &explained.terms {
            ctx.reply_bulk(text.as_bytes());
            match number {
                Some(number) => ctx.reply_bulk(number.as_bytes()),
                None => ctx.reply_null(),
            }
        }
        Ok(())
    }
}
