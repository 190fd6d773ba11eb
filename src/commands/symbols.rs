//! `TRADE.SYMBOLS cursor [COUNT n]`

use tradebus_core::key::Key;
use tradebus_core::refusal::{quoted, Code, Outcome};

use crate::args::{once, unknown_option, Args};
use crate::commands::spec::{Arg, Spec, Speed};
use crate::config;
use crate::redis::{Access, Command, Ctx};

/// Lists the symbols of the node.
pub struct Symbols;

/// How many symbols are enough when COUNT is not given.
const COUNT_DEFAULT: i64 = 100;

/// Keys that are looked at in one go: enough that going on costs little beside it.
const STEP: i64 = 100;

impl Command for Symbols {
    const SPEC: Spec = Spec {
        name: "TRADE.SYMBOLS",
        summary: "Iterates over the symbols that have a log on this node",
        complexity: "O(1) for every call, O(N) for a complete iteration, where N is the number of keys",
        since: "0.1.0",
        tips: "nondeterministic_output request_policy:special response_policy:special",
        arity: -2,
        access: Access::Read,
        speed: Speed::Slow,
        args: &[Arg::integer("cursor"), Arg::integer("count").option("COUNT")],
    };

    fn run(ctx: &Ctx<'_>) -> Outcome<()> {
        let mut args = Args::of_command(ctx.args());
        let mut cursor = parse_cursor(args.required("cursor")?)?;
        let mut count = None;
        while let Some(option) = args.next() {
            if !option.eq_ignore_ascii_case(b"COUNT") {
                return Err(unknown_option(option, "COUNT"));
            }
            once(&mut count, "COUNT", args.integer_of("COUNT", 1..=config::scan_limit())?)?;
        }
        let count = count.unwrap_or(COUNT_DEFAULT);
        let step = count.min(STEP);
        let caller = ctx.caller();
        let mut symbols = Vec::new();
        let mut keys_left = config::scan_limit();
        while keys_left > 0 && (symbols.len() as i64) < count {
            let found = ctx.scan_symbols(cursor, Key::Log, step)?;
            symbols.extend(found.symbols.into_iter().filter(|symbol| caller.may_read(symbol)));
            cursor = found.cursor;
            keys_left -= step;
            if cursor == 0 {
                break;
            }
        }
        ctx.reply_array(2);
        ctx.reply_bulk(cursor.to_string().as_bytes());
        ctx.reply_array(symbols.len());
        for symbol in &symbols {
            ctx.reply_bulk(symbol.as_bytes());
        }
        Ok(())
    }
}

/// A cursor as [`Symbols`] replied it, or 0.
fn parse_cursor(text: &[u8]) -> Outcome<u64> {
    let digits = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| {
        Code::Err.because(format!("the cursor must be 0 or what the last call replied, not {}", quoted(text)))
    })
}
