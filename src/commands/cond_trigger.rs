//! `COND.TRIGGER symbol id [VALUE json] [ID event_id] [TIMESTAMP ms|rfc3339]`

use tradebus_core::market::{parse_id, Order};
use tradebus_core::refusal::Outcome;

use crate::args::{once, unknown_option, Args};
use crate::commands::market::change;
use crate::commands::spec::{Arg, Spec, Speed, SYMBOL};
use crate::info::counters;
use crate::redis::{Access, Command, Ctx, Keyspace};

/// Triggers a condition.
pub struct CondTrigger;

impl Command for CondTrigger {
    const SPEC: Spec = Spec {
        name: "COND.TRIGGER",
        summary: "Triggers a condition, whatever its expression says, and hands the bots their work",
        complexity: "O(N*log(N)) where N is the number of subscriptions",
        since: "0.1.0",
        tips: "nondeterministic_output",
        arity: -3,
        access: Access::Write,
        speed: Speed::Slow,
        args: &[
            SYMBOL,
            Arg::text("id"),
            Arg::text("value").option("VALUE"),
            Arg::text("event_id").option("ID"),
            Arg::text("timestamp").option("TIMESTAMP"),
        ],
    };

    fn run(ctx: &Ctx<'_>) -> Outcome<()> {
        let mut args = Args::of_command(ctx.args());
        let symbol = args.symbol()?;
        let order = parse(args)?;
        let keyspace = Keyspace::open_scope(ctx, symbol, Access::Write)?;
        let triggered = change(ctx, &keyspace, |market| market.trigger(&order))?.reply;
        if triggered.is_repeat {
            counters().duplicate();
        }
        match triggered.trigger {
            Some((id, notified)) => {
                ctx.reply_array(2);
                ctx.reply_id(id);
                ctx.reply_integer(i64::try_from(notified).unwrap_or(i64::MAX));
            }
            None => ctx.reply_null(),
        }
        Ok(())
    }
}

fn parse(mut args: Args<'_>) -> Outcome<Order<'_>> {
    let condition = parse_id(args.required("id")?)?;
    let mut order = Order { condition, value: None, event_id: None, timestamp: None };
    while let Some(option) = args.next() {
        if option.eq_ignore_ascii_case(b"VALUE") {
            once(&mut order.value, "VALUE", args.value_of("VALUE")?)?;
        } else if option.eq_ignore_ascii_case(b"ID") {
            once(&mut order.event_id, "ID", args.value_of("ID")?)?;
        } else if option.eq_ignore_ascii_case(b"TIMESTAMP") {
            once(&mut order.timestamp, "TIMESTAMP", args.value_of("TIMESTAMP")?)?;
        } else {
            return Err(unknown_option(option, "VALUE, ID and TIMESTAMP"));
        }
    }
    Ok(order)
}
