//! `TRADE.MPUBLISH symbol numevents event_type data [event_type data ...] [IDS id [id ...]] [SOURCE s] [CORRELATION c]`

use tradebus_core::event_type::EventType;
use tradebus_core::log::Labels;
use tradebus_core::refusal::{Code, Outcome};
use tradebus_core::session::Request;

use crate::args::{once, unknown_option, Args};
use crate::commands::publishing::publish_events;
use crate::commands::spec::{Arg, Spec, Speed, SYMBOL};
use crate::redis::{Access, Command, Ctx};

/// Publishes several events, all or none.
pub struct Mpublish;

/// Events in one command at most.
const EVENTS_MAX: usize = 1_000;

/// Bytes of data in one command at most.
const BYTES_MAX: usize = 1_024 * 1_024;

impl Command for Mpublish {
    const SPEC: Spec = Spec {
        name: "TRADE.MPUBLISH",
        summary: "Publishes several trade events of a symbol, all or none",
        complexity:
            "O(N) where N is the size of all data and of the entities they change, plus the subscribers of the channels",
        since: "0.1.0",
        tips: "nondeterministic_output",
        arity: -5,
        access: Access::Write,
        speed: Speed::Slow,
        args: &[
            SYMBOL,
            Arg::integer("numevents"),
            Arg::block("event", &[Arg::text("event_type"), Arg::text("data")]).multiple(),
            Arg::text("event_id").option("IDS").multiple(),
            Arg::text("source").option("SOURCE"),
            Arg::text("correlation_id").option("CORRELATION"),
        ],
    };

    fn run(ctx: &Ctx<'_>) -> Outcome<()> {
        let mut args = Args::of_command(ctx.args());
        let symbol = args.symbol()?;
        let mut requests = parse_events(&mut args)?;
        parse_options(args, &mut requests)?;
        let published = publish_events(ctx, symbol, &requests)?;
        ctx.reply_array(published.receipts.len());
        for receipt in &published.receipts {
            ctx.reply_id(receipt.id);
        }
        Ok(())
    }
}

fn parse_events<'a>(args: &mut Args<'a>) -> Outcome<Vec<Request<'a>>> {
    let events = args.integer_of("numevents", 1..=i64::MAX)?;
    let events = usize::try_from(events).ok().filter(|&events| events <= EVENTS_MAX).ok_or_else(|| {
        Code::TooBig.because(format!("{events} events are more than the {EVENTS_MAX} that one command may have"))
    })?;
    if args.len() < 2 * events {
        return Err(Code::Err.because(format!(
            "numevents is {events}, but only {} arguments follow: each event has a type and data",
            args.len()
        )));
    }
    let mut bytes = 0;
    let mut requests = Vec::with_capacity(events);
    for place in 1..=events {
        let event_type = EventType::parse(args.required("event_type")?).map_err(|refusal| refusal.at_event(place))?;
        let data = args.required("data")?;
        bytes += data.len();
        requests.push(Request { event_type, data, labels: Labels::default(), expect: None });
    }
    match bytes > BYTES_MAX {
        true => Err(Code::TooBig
            .because(format!("{bytes} bytes of data are more than the {BYTES_MAX} that one command may have"))),
        false => Ok(requests),
    }
}

fn parse_options<'a>(mut args: Args<'a>, requests: &mut [Request<'a>]) -> Outcome<()> {
    let (mut ids, mut source, mut correlation_id) = (None, None, None);
    while let Some(option) = args.next() {
        let is = |name: &str| option.eq_ignore_ascii_case(name.as_bytes());
        if is("IDS") {
            once(&mut ids, "IDS", ())?;
            for request in &mut *requests {
                request.labels.event_id = Some(args.required("an id for each event behind IDS")?);
            }
        } else if is("SOURCE") {
            once(&mut source, "SOURCE", args.value_of("SOURCE")?)?;
        } else if is("CORRELATION") {
            once(&mut correlation_id, "CORRELATION", args.value_of("CORRELATION")?)?;
        } else {
            return Err(unknown_option(option, "IDS (as many ids as events), SOURCE and CORRELATION"));
        }
    }
    for request in requests {
        (request.labels.source, request.labels.correlation_id) = (source, correlation_id);
    }
    Ok(())
}
