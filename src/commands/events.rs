//! `TRADE.EVENTS symbol start end [TYPE t]... [ORDER id] [POSITION id] [CORRELATION c] [SOURCE s] [SINCE ms] [UNTIL ms]
//! [COUNT n] [REV]`, and EVENT.RANGE, which has no ORDER and no POSITION

use tradebus_core::key::Scope;
use tradebus_core::log::query::wire_len;
use tradebus_core::refusal::Outcome;
use tradebus_core::store::{Direction, Entry};
use tradebus_core::stream_id::StreamId;

use crate::args::{once, Args};
use crate::commands::query::{self, reply_next, Query};
use crate::commands::spec::{Arg, Spec, Speed, STREAM, SYMBOL};
use crate::redis::{Access, Command, Ctx};

/// Lists the events of a symbol.
pub struct Events;

/// Lists the events of a stream.
pub struct Range;

const COMPLEXITY: &str =
    "O(log(N)+M) where N is the length of the log and M what is read of it, which tradebus.scan-limit bounds";
const REV: Arg = Arg::flag("rev", "REV");

impl Command for Events {
    const SPEC: Spec = Spec {
        name: "TRADE.EVENTS",
        summary: "Returns events of a symbol from its log",
        complexity: COMPLEXITY,
        since: "0.1.0",
        tips: "",
        arity: -4,
        access: Access::Read,
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
            REV,
        ],
    };

    fn run(ctx: &Ctx<'_>) -> Outcome<()> {
        let mut args = Args::of_command(ctx.args());
        let symbol = args.symbol()?;
        reply(ctx, symbol, args)
    }
}

impl Command for Range {
    const SPEC: Spec = Spec {
        name: "EVENT.RANGE",
        summary: "Returns events of a stream from its log",
        complexity: COMPLEXITY,
        since: "0.1.0",
        tips: "",
        arity: -4,
        access: Access::Read,
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
            REV,
        ],
    };

    fn run(ctx: &Ctx<'_>) -> Outcome<()> {
        let mut args = Args::of_command(ctx.args());
        let stream = args.stream()?;
        reply(ctx, stream, args)
    }
}

fn reply<'a>(ctx: &Ctx<'a>, scope: Scope<'a>, args: Args<'a>) -> Outcome<()> {
    let mut rev = None;
    let query = Query::parse(scope, args, "REV", |option, _| {
        let is_rev = option.eq_ignore_ascii_case(b"REV");
        if is_rev {
            once(&mut rev, "REV", ())?;
        }
        Ok(is_rev)
    })?;
    let direction = if rev.is_some() { Direction::Backward } else { Direction::Forward };
    let mut page = Page::default();
    let next = query.read(ctx, Access::Read, direction, &mut |logged, entry| {
        page.push(logged.id, entry);
        Some(wire_len(entry))
    })?;
    page.reply(ctx, next);
    Ok(())
}

/// Entries to be replied. They are copied once, into one buffer: where to go on comes before them in the reply, and is
/// known behind them.
#[derive(Default)]
struct Page {
    text: Vec<u8>,
    /// The lengths of names and values in `text`, in turn.
    lengths: Vec<usize>,
    /// Each entry's id and number of fields.
    entries: Vec<(StreamId, usize)>,
}

impl Page {
    /// Adds an entry, as it is.
    fn push(&mut self, id: StreamId, entry: &Entry<'_>) {
        for text in entry.iter().flat_map(|&(name, value)| [name, value]) {
            self.text.extend_from_slice(text);
            self.lengths.push(text.len());
        }
        self.entries.push((id, entry.len()));
    }

    fn reply(&self, ctx: &Ctx<'_>, next: Option<StreamId>) {
        ctx.reply_array(2);
        reply_next(ctx, next);
        ctx.reply_array(self.entries.len());
        let mut rest = self.text.as_slice();
        let mut lengths = self.lengths.iter();
        for &(id, fields) in &self.entries {
            ctx.reply_array(2);
            ctx.reply_id(id);
            ctx.reply_map(fields);
            for &length in lengths.by_ref().take(2 * fields) {
                let (text, behind) = rest.split_at(length);
                ctx.reply_bulk(text);
                rest = behind;
            }
        }
    }
}
