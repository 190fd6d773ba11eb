//! `MARKET.CANDLES symbol timeframe start end [COUNT n] [REV]`

use std::borrow::Cow;

use tradebus_core::candle::{Candle, FIELDS};
use tradebus_core::key::Key;
use tradebus_core::log::query::parse_span;
use tradebus_core::refusal::Outcome;
use tradebus_core::store::{Direction, Flow, Store};
use tradebus_core::time;

use crate::args::{once, unknown_option, Args};
use crate::commands::spec::{Arg, Spec, Speed, SYMBOL, TIMEFRAME};
use crate::config;
use crate::redis::{Access, Command, Ctx, Keyspace};

/// Lists closed candles.
pub struct MarketCandles;

/// How many candles a reply has when COUNT is not given.
const COUNT_DEFAULT: i64 = 100;

impl Command for MarketCandles {
    const SPEC: Spec = Spec {
        name: "MARKET.CANDLES",
        summary: "Returns closed candles of a timeframe",
        complexity: "O(log(N)+M) where N is the number of stored candles and M the number returned",
        since: "0.1.0",
        tips: "",
        arity: -5,
        access: Access::Read,
        speed: Speed::Slow,
        args: &[
            SYMBOL,
            TIMEFRAME,
            Arg::text("start"),
            Arg::text("end"),
            Arg::integer("count").option("COUNT"),
            Arg::flag("rev", "REV"),
        ],
    };

    fn run(ctx: &Ctx<'_>) -> Outcome<()> {
        let mut args = Args::of_command(ctx.args());
        let symbol = args.symbol()?;
        let timeframe = args.timeframe()?;
        let (start, end) = (args.required("start")?, args.required("end")?);
        let (mut count, mut rev) = (None, None);
        while let Some(option) = args.next() {
            if option.eq_ignore_ascii_case(b"COUNT") {
                once(&mut count, "COUNT", args.integer_of("COUNT", 1..=config::scan_limit())?)?;
            } else if option.eq_ignore_ascii_case(b"REV") {
                once(&mut rev, "REV", ())?;
            } else {
                return Err(unknown_option(option, "COUNT and REV"));
            }
        }
        let direction = if rev.is_some() { Direction::Backward } else { Direction::Forward };
        let span = parse_span(&as_millis(start), &as_millis(end), direction)?;
        let count = usize::try_from(count.unwrap_or(COUNT_DEFAULT)).unwrap_or(usize::MAX);
        let keyspace = Keyspace::open_scope(ctx, symbol, Access::Read)?;
        let candles = read(&keyspace, Key::Candles(timeframe), span, count)?;
        ctx.reply_array(candles.len());
        for candle in &candles {
            ctx.reply_array(1 + FIELDS.len());
            ctx.reply_integer(candle.open_time);
            candle.fields().iter().for_each(|(_, value)| ctx.reply_bulk(value.as_bytes()));
        }
        Ok(())
    }
}

/// A time as the first part of an id; what is none stays as it is.
fn as_millis(text: &[u8]) -> Cow<'_, [u8]> {
    let millis = std::str::from_utf8(text).ok().and_then(time::parse);
    millis.map_or(Cow::Borrowed(text), |millis| Cow::Owned(millis.to_string().into_bytes()))
}

fn read(keyspace: &Keyspace<'_>, key: Key<'_>, span: tradebus_core::store::Span, count: usize) -> Outcome<Vec<Candle>> {
    let mut candles = Ok(Vec::new());
    keyspace.entries(keyspace.open(key)?, span, &mut |id, entry| {
        match (&mut candles, Candle::read(id, entry)) {
            (Ok(read), Ok(candle)) => {
                read.push(candle);
                if read.len() < count {
                    return Flow::Continue;
                }
            }
            (_, Err(refusal)) => candles = Err(refusal),
            (Err(_), Ok(_)) => {}
        }
        Flow::Stop
    });
    candles
}
