//! `EVENT.PUBLISH stream event_type data [ID event_id] [TIMESTAMP ms|rfc3339] [SOURCE s] [CORRELATION c] [FULL]`

use tradebus_core::event_name::{fold_case, StreamType};
use tradebus_core::key::Key;
use tradebus_core::log::{Accepted, Labels};
use tradebus_core::refusal::Outcome;
use tradebus_core::store::Store;
use tradebus_core::stream::Request;

use crate::args::{once, unknown_option, Args};
use crate::commands::publishing::{publish_to_stream, take_label, Published};
use crate::commands::spec::{Arg, Spec, Speed, STREAM};
use crate::redis::{Access, Command, Ctx, Keyspace};
use crate::schemas;

/// Publishes an event of a stream.
pub struct EventPublish;

/// What is replied.
enum Reply {
    Id,
    Full,
}

impl Command for EventPublish {
    const SPEC: Spec = Spec {
        name: "EVENT.PUBLISH",
        summary: "Checks an event of a stream against its schema, logs and publishes it",
        complexity: "O(N) where N is the size of the data and of the schema, plus the subscribers of the channel",
        since: "0.1.0",
        tips: "nondeterministic_output",
        arity: -4,
        access: Access::Write,
        speed: Speed::Slow,
        args: &[
            STREAM,
            Arg::text("event_type"),
            Arg::text("data"),
            Arg::text("event_id").option("ID"),
            Arg::text("timestamp").option("TIMESTAMP"),
            Arg::text("source").option("SOURCE"),
            Arg::text("correlation_id").option("CORRELATION"),
            Arg::flag("full", "FULL"),
        ],
    };

    fn run(ctx: &Ctx<'_>) -> Outcome<()> {
        let mut args = Args::of_command(ctx.args());
        let stream = args.stream()?;
        let event_type = fold_case(args.required("event_type")?);
        let event_type = StreamType::parse(&event_type)?;
        let data = args.required("data")?;
        let (labels, reply) = parse_options(args)?;
        let keyspace = Keyspace::open_scope(ctx, stream, Access::Write)?;
        let request = Request { event_type, data, labels };
        let published = publish_to_stream(ctx, &keyspace, &request, || check_schema(&keyspace, event_type, data))?;
        match reply {
            Reply::Id => ctx.reply_id(published.receipts[0].id),
            Reply::Full => reply_full(ctx, &published),
        }
        Ok(())
    }
}

fn parse_options(mut args: Args<'_>) -> Outcome<(Labels<'_>, Reply)> {
    let mut labels = Labels::default();
    let mut full = None;
    while let Some(option) = args.next() {
        if take_label(option, &mut args, &mut labels)? {
            continue;
        }
        if option.eq_ignore_ascii_case(b"FULL") {
            once(&mut full, "FULL", ())?;
        } else {
            return Err(unknown_option(option, "ID, TIMESTAMP, SOURCE, CORRELATION and FULL"));
        }
    }
    Ok((labels, if full.is_some() { Reply::Full } else { Reply::Id }))
}

/// Whether the data fits the schema of its type, where the stream has one.
fn check_schema(keyspace: &Keyspace<'_>, event_type: StreamType<'_>, data: &[u8]) -> Outcome<()> {
    let mut stored = Vec::with_capacity(1);
    keyspace.hash_get(keyspace.open(Key::Schema)?, &[event_type.as_str()], &mut stored);
    match stored.first().copied().flatten() {
        Some(text) => schemas::check(keyspace.scope(), event_type.as_str(), text, data),
        None => Ok(()),
    }
}

fn reply_full(ctx: &Ctx<'_>, published: &Published) {
    let receipt = published.receipts[0];
    ctx.reply_map(3);
    ctx.reply_bulk(b"id");
    ctx.reply_id(receipt.id);
    ctx.reply_bulk(b"duplicate");
    ctx.reply_integer(i64::from(receipt.outcome == Accepted::Duplicate));
    ctx.reply_bulk(b"receivers");
    ctx.reply_integer(i64::try_from(published.receivers).unwrap_or(i64::MAX));
}
