//! `TRADE.REPLAY symbol start end [TYPE t]... [ORDER id] [POSITION id] [CORRELATION c] [SOURCE s] [SINCE ms] [UNTIL ms]
//! [COUNT n] [CHANNEL prefix]`, and EVENT.REPLAY, which has no ORDER and no POSITION

use tradebus_core::key::Scope;
use tradebus_core::log::replay::{Prefix, Replay};
use tradebus_core::refusal::{Code, Outcome};
use tradebus_core::settings::PubSub;
use tradebus_core::store::Direction;

use crate::args::{once, Args};
use crate::commands::query::{self, reply_next, Query};
use crate::commands::spec::{Arg, Spec, Speed, STREAM, SYMBOL};
use crate::config;
use crate::info::counters;
use crate::redis::{Access, Command, Ctx};

/// Publishes events of a symbol again.
pub struct TradeReplay;

/// Publishes events of a stream again.
pub struct EventReplay;

const COMPLEXITY: &str =
    "O(log(N)+M) where N is the length of the log and M what is read of it, which tradebus.scan-limit bounds, plus the subscribers of each message";
const CHANNEL: Arg = Arg::text("prefix").option("CHANNEL");

impl Command for TradeReplay {
    const SPEC: Spec = Spec {
        name: "TRADE.REPLAY",
        summary: "Publishes events of a symbol again, from its log, on channels of their own",
        complexity: COMPLEXITY,
        since: "0.1.0",
        tips: "",
        arity: -4,
        access: Access::Publish,
        speed: Speed::Slow,
        args: &[
            SYMBOL,
            query::START,
            query::END,
            query::TYPE,
            query::ORDER,
            query::POSITION,
            query::CORRELATION,
            query::SOURCE,
            query::SINCE,
            query::UNTIL,
            query::COUNT,
            CHANNEL,
        ],
    };

    fn run(ctx: &Ctx<'_>) -> Outcome<()> {
        let mut args = Args::of_command(ctx.args());
        let symbol = args.symbol()?;
        replay(ctx, symbol, args)
    }
}

impl Command for EventReplay {
    const SPEC: Spec = Spec {
        name: "EVENT.REPLAY",
        summary: "Publishes events of a stream again, from its log, on channels of their own",
        complexity: COMPLEXITY,
        since: "0.1.0",
        tips: "",
        arity: -4,
        access: Access::Publish,
        speed: Speed::Slow,
        args: &[
            STREAM,
            query::START,
            query::END,
            query::TYPE,
            query::CORRELATION,
            query::SOURCE,
            query::SINCE,
            query::UNTIL,
            query::COUNT,
            CHANNEL,
        ],
    };

    fn run(ctx: &Ctx<'_>) -> Outcome<()> {
        let mut args = Args::of_command(ctx.args());
        let stream = args.stream()?;
        replay(ctx, stream, args)
    }
}

fn replay<'a>(ctx: &Ctx<'a>, scope: Scope<'a>, args: Args<'a>) -> Outcome<()> {
    let mut prefix = None;
    let query = Query::parse(scope, args, "CHANNEL", |option, args| {
        let is_channel = option.eq_ignore_ascii_case(b"CHANNEL");
        if is_channel {
            once(&mut prefix, "CHANNEL", Prefix::parse(args.value_of("CHANNEL")?, scope)?)?;
        }
        Ok(is_channel)
    })?;
    let prefix = prefix.unwrap_or(Prefix::DEFAULT);
    let pubsub = config::settings().pubsub;
    if pubsub == PubSub::Off {
        return Err(Code::Err.because("nothing is published while tradebus.pubsub is off"));
    }
    let mut replay = Replay::new(scope, ctx.now());
    let next = query.read(ctx, Access::Publish, Direction::Forward, &mut |logged, _| replay.take(logged))?;
    let channels: Vec<_> = replay.types().filter_map(|name| prefix.channel(pubsub, scope, name)).collect();
    // Whoever may run the command may publish on the channels of the symbol, with the default prefix too.
    if prefix != Prefix::DEFAULT {
        let caller = ctx.caller();
        channels.iter().try_for_each(|channel| caller.check_publish(channel))?;
    }
    let messages = replay.messages();
    ctx.publish_on(pubsub, &channels, messages.iter().map(|message| (message.topic, message.body.as_str())));
    counters().replayed(messages.len() as u64);
    ctx.reply_array(2);
    reply_next(ctx, next);
    ctx.reply_integer(i64::try_from(messages.len()).unwrap_or(i64::MAX));
    Ok(())
}
