//! `TRADE.INSTRUMENT symbol [SET field value [field value ...]]`

use tradebus_core::instrument::{check_setting, FIELDS};
use tradebus_core::key::{Key, Scope};
use tradebus_core::plan::Plan;
use tradebus_core::record::Record;
use tradebus_core::refusal::{Code, Outcome};
use tradebus_core::store::Store;

use crate::args::{unknown_option, Args};
use crate::commands::spec::{Arg, Spec, Speed, SYMBOL};
use crate::redis::{Access, Command, Ctx, Keyspace};

/// Reads or changes a symbol's own settings.
pub struct Instrument;

impl Command for Instrument {
    const SPEC: Spec = Spec {
        name: "TRADE.INSTRUMENT",
        summary: "Returns or sets a symbol's contract size, inverse, currency and position mode",
        complexity: "O(1)",
        since: "0.1.0",
        tips: "",
        arity: -2,
        access: Access::Write,
        speed: Speed::Constant,
        args: &[SYMBOL, Arg::block("setting", &[Arg::text("field"), Arg::text("value")]).multiple().option("SET")],
    };

    fn run(ctx: &Ctx<'_>) -> Outcome<()> {
        let mut args = Args::of_command(ctx.args());
        let symbol = args.symbol()?;
        match args.next() {
            None => show(ctx, symbol),
            Some(option) if option.eq_ignore_ascii_case(b"SET") => change(ctx, symbol, args),
            Some(option) => Err(unknown_option(option, "SET")),
        }
    }
}

/// Replies with every setting, the defaults included.
fn show<'c>(ctx: &'c Ctx<'c>, symbol: Scope<'c>) -> Outcome<()> {
    let keyspace = Keyspace::open_scope(ctx, symbol, Access::Read)?;
    let settings = open_settings(&keyspace)?;
    ctx.reply_map(FIELDS.len());
    for (name, default) in FIELDS {
        ctx.reply_bulk(name.as_bytes());
        ctx.reply_bulk(settings.get(name).map_or(default.as_bytes(), |value| value));
    }
    Ok(())
}

fn change<'c>(ctx: &'c Ctx<'c>, symbol: Scope<'c>, mut args: Args<'c>) -> Outcome<()> {
    if args.len() == 0 || args.len() % 2 != 0 {
        return Err(Code::Err.because("SET needs pairs of a field and a value"));
    }
    let keyspace = Keyspace::open_scope(ctx, symbol, Access::Write)?;
    let mut settings = open_settings(&keyspace)?;
    let mut seen = [false; FIELDS.len()];
    while let (Some(field), Some(value)) = (args.next(), args.next()) {
        let (name, value) = check_setting(field, value)?;
        let place = FIELDS.iter().position(|&(known, _)| known == name).unwrap_or_default();
        if std::mem::replace(&mut seen[place], true) {
            return Err(Code::Err.because(format!("{name} is given twice")));
        }
        settings.set(name, value);
    }
    if let Some(patch) = settings.into_patch() {
        keyspace.write(&Plan { hashes: vec![patch], ..Plan::default() })?;
    }
    ctx.reply_ok();
    Ok(())
}

fn open_settings<'a>(keyspace: &Keyspace<'a>) -> Outcome<Record<'a>> {
    let mut settings = Record::new(keyspace, keyspace.open(Key::Instrument)?);
    settings.load(keyspace, &FIELDS.map(|(name, _)| name));
    Ok(settings)
}
