//! `COND.LIST symbol [TIMEFRAME tf] [OFFSET n] [COUNT n]`

use tradebus_core::key::Key;
use tradebus_core::market::parse_id;
use tradebus_core::refusal::{Code, Outcome};
use tradebus_core::store::{Flow, MarketStore, Store};
use tradebus_core::timeframe::Timeframe;

use crate::args::{once, unknown_option, Args};
use crate::commands::cond_map::Described;
use crate::commands::index::{Window, COUNT, OFFSET, REPLY_MAX};
use crate::commands::spec::{Arg, Spec, Speed, SYMBOL};
use crate::redis::{Access, Command, Ctx, Keyspace};

/// Lists conditions.
pub struct CondList;

impl Command for CondList {
    const SPEC: Spec = Spec {
        name: "COND.LIST",
        summary: "Returns the conditions of a symbol, by timeframe and registration time",
        complexity: "O(N) where N is the offset and the number of conditions returned",
        since: "0.1.0",
        tips: "",
        arity: -2,
        access: Access::Read,
        speed: Speed::Slow,
        args: &[SYMBOL, Arg::text("timeframe").option("TIMEFRAME"), OFFSET, COUNT],
    };

    fn run(ctx: &Ctx<'_>) -> Outcome<()> {
        let mut args = Args::of_command(ctx.args());
        let symbol = args.symbol()?;
        let (mut timeframe, mut window) = (None, Window::default());
        while let Some(option) = args.next() {
            if option.eq_ignore_ascii_case(b"TIMEFRAME") {
                once(&mut timeframe, "TIMEFRAME", Timeframe::parse(args.value_of("TIMEFRAME")?)?)?;
            } else if !window.take(option, &mut args)? {
                return Err(unknown_option(option, "TIMEFRAME, OFFSET and COUNT"));
            }
        }
        let keyspace = Keyspace::open_scope(ctx, symbol, Access::Read)?;
        let timeframes = timeframe.as_ref().map_or(Timeframe::ALL, std::slice::from_ref);
        let (mut conditions, mut bytes) = (Vec::new(), 0);
        for id in ids(&keyspace, timeframes, &window)? {
            // One that somebody deleted by hand is left out, as an order is.
            if let Some(condition) = Described::read(ctx, &keyspace, &id)? {
                bytes += condition.size();
                conditions.push(condition);
            }
            if bytes >= REPLY_MAX {
                break;
            }
        }
        ctx.reply_array(conditions.len());
        conditions.iter().for_each(|condition| condition.reply(ctx, symbol.name()));
        Ok(())
    }
}

/// The ids within the window of the indexes of some timeframes.
fn ids(keyspace: &Keyspace<'_>, timeframes: &[Timeframe], window: &Window) -> Outcome<Vec<String>> {
    let (mut skipped, mut members) = (window.offset(), Vec::new());
    let count = window.count();
    for &timeframe in timeframes {
        let index = keyspace.open(Key::Conditions(timeframe))?;
        let len = keyspace.len(index);
        if skipped >= len || members.len() >= count {
            skipped = skipped.saturating_sub(len);
            continue;
        }
        keyspace.sorted_each(index, &mut |member, _| {
            if skipped > 0 {
                skipped -= 1;
            } else {
                members.push((timeframe, member.to_vec()));
            }
            match members.len() < count {
                true => Flow::Continue,
                false => Flow::Stop,
            }
        });
    }
    let parse = |(timeframe, member): (Timeframe, Vec<u8>)| {
        parse_id(&member).map(str::to_owned).map_err(|refusal| {
            let index = Key::Conditions(timeframe).name(keyspace.scope());
            Code::Corrupt.because(format!("{index}: {}", refusal.text))
        })
    };
    members.into_iter().map(parse).collect()
}
