//! `COND.SUBSCRIBERS symbol id [OFFSET n] [COUNT n]`

use tradebus_core::market::{each_subscription, parse_id};
use tradebus_core::refusal::Outcome;
use tradebus_core::subscription::Subscription;

use crate::args::{unknown_option, Args};
use crate::commands::index::{Window, COUNT, OFFSET, REPLY_MAX};
use crate::commands::spec::{Arg, Spec, Speed, SYMBOL};
use crate::redis::{Access, Command, Ctx, Keyspace};

/// Lists who subscribed to a condition.
pub struct CondSubscribers;

impl Command for CondSubscribers {
    const SPEC: Spec = Spec {
        name: "COND.SUBSCRIBERS",
        summary: "Returns the subscriptions to a condition, by bot id",
        complexity: "O(N*log(N)) where N is the number of subscriptions",
        since: "0.1.0",
        tips: "",
        arity: -3,
        access: Access::Read,
        speed: Speed::Slow,
        args: &[SYMBOL, Arg::text("id"), OFFSET, COUNT],
    };

    fn run(ctx: &Ctx<'_>) -> Outcome<()> {
        let mut args = Args::of_command(ctx.args());
        let symbol = args.symbol()?;
        let id = parse_id(args.required("id")?)?;
        let mut window = Window::default();
        while let Some(option) = args.next() {
            if !window.take(option, &mut args)? {
                return Err(unknown_option(option, "OFFSET and COUNT"));
            }
        }
        let keyspace = Keyspace::open_scope(ctx, symbol, Access::Read)?;
        let (mut skipped, count) = (window.offset(), window.count());
        let (mut listed, mut bytes) = (Vec::new(), 0);
        each_subscription(&keyspace, symbol.name(), id, &mut |subscription| {
            if skipped > 0 {
                skipped -= 1;
            } else if listed.len() < count && bytes < REPLY_MAX {
                let fields = fields(subscription);
                bytes += fields.iter().map(Field::size).sum::<usize>();
                listed.push(fields);
            }
        })?;
        ctx.reply_array(listed.len());
        for fields in &listed {
            ctx.reply_map(fields.len());
            fields.iter().for_each(|field| field.reply(ctx));
        }
        Ok(())
    }
}

/// A name and a value of the reply.
enum Field {
    Text(&'static str, String),
    Number(&'static str, i64),
}

/// What a subscription has.
fn fields(subscription: &Subscription<'_>) -> Vec<Field> {
    let number = |name, number: Option<u64>| Some(Field::Number(name, i64::try_from(number?).unwrap_or(i64::MAX)));
    let action = subscription.action.map(|action| Field::Text("action", action.get().to_owned()));
    let fields = [
        Some(Field::Text("bot_id", subscription.bot_id.to_owned())),
        Some(Field::Text("type", subscription.bot_type.to_owned())),
        action,
        number("cooldown", subscription.cooldown.map(u64::from)),
        number("max_triggers", subscription.max_triggers.map(u64::from)),
        number("max_age", subscription.max_age.map(u64::from)),
        Some(Field::Number("created_at", subscription.created_at)),
        subscription.last_triggered_at.map(|at| Field::Number("last_triggered_at", at)),
        number("trigger_count", Some(subscription.trigger_count)),
    ];
    fields.into_iter().flatten().collect()
}

impl Field {
    /// About how many bytes of a reply it is.
    fn size(&self) -> usize {
        match self {
            Field::Text(name, text) => name.len() + text.len(),
            Field::Number(name, _) => name.len() + size_of::<i64>(),
        }
    }

    fn reply(&self, ctx: &Ctx<'_>) {
        match self {
            Field::Text(name, text) => {
                ctx.reply_bulk(name.as_bytes());
                ctx.reply_bulk(text.as_bytes());
            }
            Field::Number(name, number) => {
                ctx.reply_bulk(name.as_bytes());
                ctx.reply_integer(*number);
            }
        }
    }
}
