//! `MARKET.TICK symbol price volume [TIMESTAMP ms|rfc3339]`

use tradebus_core::forming::Tick;
use tradebus_core::refusal::Outcome;

use crate::args::{once, unknown_option, Args};
use crate::closing;
use crate::commands::market::{change, reply_ids};
use crate::commands::spec::{Arg, Spec, Speed, SYMBOL};
use crate::redis::{Access, Command, Ctx, Keyspace};

/// Takes in a tick.
pub struct MarketTick;

impl Command for MarketTick {
    const SPEC: Spec = Spec {
        name: "MARKET.TICK",
        summary: "Builds the bars of every timeframe that has conditions, and closes those that the tick is behind of",
        complexity:
            "O(T) where T is the number of timeframes with conditions; a bar that closes costs what MARKET.CANDLE does",
        since: "0.1.0",
        tips: "nondeterministic_output",
        arity: -4,
        access: Access::Write,
        speed: Speed::Slow,
        args: &[SYMBOL, Arg::text("price"), Arg::text("volume"), Arg::text("timestamp").option("TIMESTAMP")],
    };

    fn run(ctx: &Ctx<'_>) -> Outcome<()> {
        let mut args = Args::of_command(ctx.args());
        let symbol = args.symbol()?;
        let (price, volume) = (args.required("price")?, args.required("volume")?);
        let mut timestamp = None;
        while let Some(option) = args.next() {
            if option.eq_ignore_ascii_case(b"TIMESTAMP") {
                once(&mut timestamp, "TIMESTAMP", args.value_of("TIMESTAMP")?)?;
            } else {
                return Err(unknown_option(option, "TIMESTAMP"));
            }
        }
        let now = ctx.now();
        let tick = Tick::parse(price, volume, timestamp, now)?;
        let keyspace = Keyspace::open_scope(ctx, symbol, Access::Write)?;
        let changed = change(ctx, &keyspace, |market| Ok(((), market.tick(&tick)?)))?;
        if let Some(next) = changed.next_close {
            closing::note_tick(ctx.database(), symbol.name(), next, now);
        }
        reply_ids(ctx, &changed.triggered);
        Ok(())
    }
}
