//! `MARKET.CANDLE symbol timeframe open_time open high low close volume [BACKFILL]`

use tradebus_core::candle::Candle;
use tradebus_core::market::Origin;
use tradebus_core::refusal::Outcome;

use crate::args::{once, unknown_option, Args};
use crate::commands::market::{change, reply_ids};
use crate::commands::spec::{Arg, Spec, Speed, SYMBOL, TIMEFRAME};
use crate::config;
use crate::redis::{Access, Command, Ctx, Keyspace};

/// Takes in a closed candle.
pub struct MarketCandle;

impl Command for MarketCandle {
    const SPEC: Spec = Spec {
        name: "MARKET.CANDLE",
        summary: "Stores and publishes a closed candle, judges the conditions on it and hands the bots their work",
        complexity: "O(C+F+B) where C is the number of conditions of the timeframe, F the number of distinct functions that they name and B the number of bots that are triggered",
        since: "0.1.0",
        tips: "nondeterministic_output",
        arity: -9,
        access: Access::Write,
        speed: Speed::Slow,
        args: &[
            SYMBOL,
            TIMEFRAME,
            Arg::text("open_time"),
            Arg::text("open"),
            Arg::text("high"),
            Arg::text("low"),
            Arg::text("close"),
            Arg::text("volume"),
            Arg::flag("backfill", "BACKFILL"),
        ],
    };

    fn run(ctx: &Ctx<'_>) -> Outcome<()> {
        let mut args = Args::of_command(ctx.args());
        let symbol = args.symbol()?;
        let timeframe = args.timeframe()?;
        let open_time = args.required("open_time")?;
        let mut numbers = [&[][..]; 5];
        for (number, name) in numbers.iter_mut().zip(tradebus_core::candle::FIELDS) {
            *number = args.required(name)?;
        }
        let mut backfill = None;
        while let Some(option) = args.next() {
            if option.eq_ignore_ascii_case(b"BACKFILL") {
                once(&mut backfill, "BACKFILL", ())?;
            } else {
                return Err(unknown_option(option, "BACKFILL"));
            }
        }
        let origin = if backfill.is_some() { Origin::Backfill } else { Origin::Live };
        let latest_end = ctx.now().saturating_add_unsigned(config::settings().bar_grace_ms);
        let candle = Candle::parse(timeframe, open_time, numbers, latest_end)?;
        let keyspace = Keyspace::open_scope(ctx, symbol, Access::Write)?;
        let changed = change(ctx, &keyspace, |market| Ok(((), market.candle(timeframe, &candle, origin)?)))?;
        reply_ids(ctx, &changed.triggered);
        Ok(())
    }
}
