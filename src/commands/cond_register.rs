//! `COND.REGISTER symbol timeframe expression [ID id] [MODE edge|level|once] [COOLDOWN ms] [EXPIREAT ms]
//! [MAXTRIGGERS n]`

use tradebus_core::condition::Mode;
use tradebus_core::market::Registration;
use tradebus_core::refusal::{quoted, Code, Outcome};
use tradebus_core::word::Word;

use crate::args::{once, unknown_option, Args};
use crate::commands::market::change;
use crate::commands::spec::{Arg, Spec, Speed, SYMBOL, TIMEFRAME};
use crate::redis::{Access, Command, Ctx, Keyspace};

/// Registers a condition.
pub struct CondRegister;

impl Command for CondRegister {
    const SPEC: Spec = Spec {
        name: "COND.REGISTER",
        summary: "Registers a condition on the candles of a timeframe, or changes the limits of one that is known",
        complexity: "O(C), and O(H*P) for a condition with new functions, where C is the number of conditions of the timeframe, H the number of stored candles, 5,000 at most, and P the sum of the periods",
        since: "0.1.0",
        tips: "",
        arity: -4,
        access: Access::Write,
        speed: Speed::Slow,
        args: &[
            SYMBOL,
            TIMEFRAME,
            Arg::text("expression"),
            Arg::text("id").option("ID"),
            Arg::one_of("mode", &[Arg::word("edge", "edge"), Arg::word("level", "level"), Arg::word("once", "once")])
                .option("MODE"),
            Arg::integer("cooldown").option("COOLDOWN"),
            Arg::integer("expireat").option("EXPIREAT"),
            Arg::integer("maxtriggers").option("MAXTRIGGERS"),
        ],
    };

    fn run(ctx: &Ctx<'_>) -> Outcome<()> {
        let mut args = Args::of_command(ctx.args());
        let symbol = args.symbol()?;
        let request = parse(&mut args)?;
        let keyspace = Keyspace::open_scope(ctx, symbol, Access::Write)?;
        let id = change(ctx, &keyspace, |market| market.register(&request))?.reply;
        ctx.reply_bulk(id.as_bytes());
        Ok(())
    }
}

fn parse<'a>(args: &mut Args<'a>) -> Outcome<Registration<'a>> {
    let timeframe = args.timeframe()?;
    let expression = args.required("expression")?;
    let (mut id, mut mode) = (None, None);
    let (mut cooldown_ms, mut expire_at, mut max_triggers) = (None, None, None);
    while let Some(option) = args.next() {
        let limits = [("COOLDOWN", &mut cooldown_ms), ("EXPIREAT", &mut expire_at), ("MAXTRIGGERS", &mut max_triggers)];
        if option.eq_ignore_ascii_case(b"ID") {
            once(&mut id, "ID", args.value_of("ID")?)?;
        } else if option.eq_ignore_ascii_case(b"MODE") {
            once(&mut mode, "MODE", parse_mode(args.value_of("MODE")?)?)?;
        } else if !args.limit(option, limits)? {
            return Err(unknown_option(option, "ID, MODE, COOLDOWN, EXPIREAT and MAXTRIGGERS"));
        }
    }
    Ok(Registration { timeframe, expression, id, mode, cooldown_ms, expire_at, max_triggers })
}

fn parse_mode(text: &[u8]) -> Outcome<Mode> {
    let word = String::from_utf8_lossy(text).to_ascii_lowercase();
    Mode::parse(&word)
        .ok_or_else(|| Code::Err.because(format!("MODE must be edge, level or once, not {}", quoted(text))))
}
