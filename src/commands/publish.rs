//! `TRADE.PUBLISH symbol event_type data [ID event_id] [TIMESTAMP ms|rfc3339] [SOURCE s] [CORRELATION c] [EXPECT version] [FULL]`

use tradebus_core::event_type::EventType;
use tradebus_core::log::{Accepted, Labels};
use tradebus_core::refusal::Outcome;
use tradebus_core::session::Request;

use crate::args::{once, unknown_option, Args};
use crate::commands::publishing::{publish_events, take_label, Published};
use crate::commands::spec::{Arg, Spec, Speed, SYMBOL};
use crate::redis::{Access, Command, Ctx};

/// Publishes an event.
pub struct Publish;

/// What is replied.
enum Reply {
    Id,
    Full,
}

impl Command for Publish {
    const SPEC: Spec = Spec {
        name: "TRADE.PUBLISH",
        summary: "Validates a trade event, applies it to its order, position or signal, logs and publishes it",
        complexity:
            "O(N) where N is the size of the data and of the entity it changes, plus the subscribers of the channel",
        since: "0.1.0",
        tips: "nondeterministic_output",
        arity: -4,
        access: Access::Write,
        speed: Speed::Slow,
        args: &[
            SYMBOL,
            Arg::text("event_type"),
            Arg::text("data"),
            Arg::text("event_id").option("ID"),
            Arg::text("timestamp").option("TIMESTAMP"),
            Arg::text("source").option("SOURCE"),
            Arg::text("correlation_id").option("CORRELATION"),
            Arg::integer("version").option("EXPECT"),
            Arg::flag("full", "FULL"),
        ],
    };

    fn run(ctx: &Ctx<'_>) -> Outcome<()> {
        let mut args = Args::of_command(ctx.args());
        let symbol = args.symbol()?;
        let event_type = EventType::parse(args.required("event_type")?)?;
        let data = args.required("data")?;
        let (request, reply) = parse_options(args, event_type, data)?;
        let published = publish_events(ctx, symbol, &[request])?;
        match reply {
            Reply::Id => ctx.reply_id(published.receipts[0].id),
            Reply::Full => reply_full(ctx, &published),
        }
        Ok(())
    }
}

fn parse_options<'a>(mut args: Args<'a>, event_type: EventType, data: &'a [u8]) -> Outcome<(Request<'a>, Reply)> {
    let mut labels = Labels::default();
    let (mut expect, mut full) = (None, None);
    while let Some(option) = args.next() {
        if take_label(option, &mut args, &mut labels)? {
            continue;
        }
        if option.eq_ignore_ascii_case(b"EXPECT") {
            once(&mut expect, "EXPECT", args.integer_of("EXPECT", 0..=i64::MAX)?)?;
        } else if option.eq_ignore_ascii_case(b"FULL") {
            once(&mut full, "FULL", ())?;
        } else {
            return Err(unknown_option(option, "ID, TIMESTAMP, SOURCE, CORRELATION, EXPECT and FULL"));
        }
    }
    let reply = if full.is_some() { Reply::Full } else { Reply::Id };
    let expect = expect.map(i64::unsigned_abs);
    Ok((Request { event_type, data, labels, expect }, reply))
}

fn reply_full(ctx: &Ctx<'_>, published: &Published) {
    let receipt = published.receipts[0];
    ctx.reply_map(6);
    ctx.reply_bulk(b"id");
    ctx.reply_id(receipt.id);
    for (name, outcome) in [("duplicate", Accepted::Duplicate), ("late", Accepted::Late)] {
        ctx.reply_bulk(name.as_bytes());
        ctx.reply_integer(i64::from(receipt.outcome == outcome));
    }
    ctx.reply_bulk(b"status");
    match receipt.entity {
        Some((status, _)) => ctx.reply_bulk(status.as_bytes()),
        None => ctx.reply_null(),
    }
    ctx.reply_bulk(b"version");
    match receipt.entity {
        Some((_, version)) => ctx.reply_integer(i64::try_from(version).unwrap_or(i64::MAX)),
        None => ctx.reply_null(),
    }
    ctx.reply_bulk(b"receivers");
    ctx.reply_integer(i64::try_from(published.receivers).unwrap_or(i64::MAX));
}
