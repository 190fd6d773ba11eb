//! `COND.SUBSCRIBE symbol id bot_id [TYPE t] [ACTION json] [COOLDOWN ms] [MAXTRIGGERS n] [MAXAGE ms]` and
//! `COND.UNSUBSCRIBE symbol id bot_id`

use tradebus_core::market::parse_id;
use tradebus_core::refusal::Outcome;
use tradebus_core::subscription::{parse_action, Terms};
use tradebus_core::symbol::parse_word;

use crate::args::{once, unknown_option, Args};
use crate::commands::market::change;
use crate::commands::spec::{Arg, Spec, Speed, SYMBOL};
use crate::redis::{Access, Command, Ctx, Keyspace};

/// Subscribes a bot to a condition.
pub struct CondSubscribe;

/// Ends a bot's subscription.
pub struct CondUnsubscribe;

impl Command for CondSubscribe {
    const SPEC: Spec = Spec {
        name: "COND.SUBSCRIBE",
        summary: "Subscribes a bot to a condition, or changes its subscription",
        complexity: "O(N) where N is the size of the action",
        since: "0.1.0",
        tips: "",
        arity: -4,
        access: Access::Write,
        speed: Speed::Slow,
        args: &[
            SYMBOL,
            Arg::text("id"),
            Arg::text("bot_id"),
            Arg::text("type").option("TYPE"),
            Arg::text("action").option("ACTION"),
            Arg::integer("cooldown").option("COOLDOWN"),
            Arg::integer("maxtriggers").option("MAXTRIGGERS"),
            Arg::integer("maxage").option("MAXAGE"),
        ],
    };

    fn run(ctx: &Ctx<'_>) -> Outcome<()> {
        let mut args = Args::of_command(ctx.args());
        let symbol = args.symbol()?;
        let id = parse_id(args.required("id")?)?;
        let bot_id = parse_word("bot_id", args.required("bot_id")?)?;
        let terms = parse_terms(args)?;
        let keyspace = Keyspace::open_scope(ctx, symbol, Access::Write)?;
        let is_new = change(ctx, &keyspace, |market| market.subscribe(id, bot_id, &terms))?.reply;
        ctx.reply_integer(i64::from(is_new));
        Ok(())
    }
}

fn parse_terms(mut args: Args<'_>) -> Outcome<Terms<'_>> {
    let mut terms = Terms::default();
    while let Some(option) = args.next() {
        let limits = [
            ("COOLDOWN", &mut terms.cooldown_ms),
            ("MAXTRIGGERS", &mut terms.max_triggers),
            ("MAXAGE", &mut terms.max_age_ms),
        ];
        if option.eq_ignore_ascii_case(b"TYPE") {
            once(&mut terms.bot_type, "TYPE", parse_word("TYPE", args.value_of("TYPE")?)?)?;
        } else if option.eq_ignore_ascii_case(b"ACTION") {
            once(&mut terms.action, "ACTION", parse_action(args.value_of("ACTION")?)?)?;
        } else if !args.limit(option, limits)? {
            return Err(unknown_option(option, "TYPE, ACTION, COOLDOWN, MAXTRIGGERS and MAXAGE"));
        }
    }
    Ok(terms)
}

impl Command for CondUnsubscribe {
    const SPEC: Spec = Spec {
        name: "COND.UNSUBSCRIBE",
        summary: "Ends a bot's subscription to a condition",
        complexity: "O(1)",
        since: "0.1.0",
        tips: "",
        arity: 4,
        access: Access::Relieve,
        speed: Speed::Constant,
        args: &[SYMBOL, Arg::text("id"), Arg::text("bot_id")],
    };

    fn run(ctx: &Ctx<'_>) -> Outcome<()> {
        let mut args = Args::of_command(ctx.args());
        let symbol = args.symbol()?;
        let id = parse_id(args.required("id")?)?;
        let bot_id = parse_word("bot_id", args.required("bot_id")?)?;
        let keyspace = Keyspace::open_scope(ctx, symbol, Access::Relieve)?;
        let was_there = change(ctx, &keyspace, |market| market.unsubscribe(id, bot_id))?.reply;
        ctx.reply_integer(i64::from(was_there));
        Ok(())
    }
}
