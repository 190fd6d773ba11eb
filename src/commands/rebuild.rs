//! `TRADE.REBUILD symbol [FROM next] [DRYRUN]`

use std::time::{Duration, Instant};

use tradebus_core::rebuild::{Done, Mode, Step};
use tradebus_core::refusal::{Code, Outcome};

use crate::args::{once, unknown_option, Args};
use crate::commands::spec::{Arg, Spec, Speed, SYMBOL};
use crate::config;
use crate::info::counters;
use crate::rebuilds;
use crate::redis::{Access, Command, Ctx, Keyspace};

/// Folds a symbol's log again and mends what differs.
pub struct TradeRebuild;

/// How long one call folds and compares. Writing what is mended comes on top: together, at most 10 ms are wanted.
const SLICE: Duration = Duration::from_millis(5);

/// Entries that a slice folds however long it takes, and bytes of them that are enough too: to where the last one ended
/// may be a long way in a stream of one node, and who publishes meanwhile must not be the faster one for ever.
const FOLDED_MIN: usize = 50;
const FOLDED_BYTES_MIN: usize = 256 << 10;

impl Command for TradeRebuild {
    const SPEC: Spec = Spec {
        name: "TRADE.REBUILD",
        summary: "Compares a symbol's hashes and indexes with its log and mends what differs",
        complexity: "O(N) over all calls, where N is the number of log entries and of entities; one call takes about 10 ms, or what its largest entity takes",
        since: "0.1.0",
        tips: "nondeterministic_output",
        arity: -2,
        access: Access::Write,
        speed: Speed::Slow,
        args: &[SYMBOL, Arg::text("next").option("FROM"), Arg::flag("dryrun", "DRYRUN")],
    };

    fn run(ctx: &Ctx<'_>) -> Outcome<()> {
        let mut args = Args::of_command(ctx.args());
        let symbol = args.symbol()?;
        let (mut from, mut dry_run) = (None, None);
        while let Some(option) = args.next() {
            if option.eq_ignore_ascii_case(b"FROM") {
                once(&mut from, "FROM", args.value_of("FROM")?)?;
            } else if option.eq_ignore_ascii_case(b"DRYRUN") {
                once(&mut dry_run, "DRYRUN", Mode::DryRun)?;
            } else {
                return Err(unknown_option(option, "FROM and DRYRUN"));
            }
        }
        let mode = dry_run.unwrap_or(Mode::Repair);
        let keyspace = Keyspace::open_scope(ctx, symbol, Access::Write)?;
        let mut entry = match from {
            Some(token) => rebuilds::take(token, symbol.name(), ctx.database(), mode)?,
            None => rebuilds::begin(symbol.name(), ctx.database(), mode, ctx.now())?,
        };
        let outcome = run_slice(ctx, &keyspace, &mut entry);
        let progress = entry.rebuild.progress();
        let next = match &outcome {
            Ok(Step::Finished) => {
                rebuilds::end(entry);
                "0".to_owned()
            }
            // The caller of the first slice has nothing to go on with, and another log cannot be gone on with.
            Err(refusal) if refusal.code == Code::Err || from.is_none() => {
                rebuilds::end(entry);
                String::new()
            }
            // A key of another type can be removed, and the slice tried again: it is all or nothing.
            Ok(Step::Unfinished) | Err(_) => {
                let token = entry.token.clone();
                rebuilds::keep(entry);
                token
            }
        };
        outcome?;
        ctx.reply_map(6);
        ctx.reply_bulk(b"next");
        ctx.reply_bulk(next.as_bytes());
        for (name, number) in [
            ("read", progress.read),
            ("entities", progress.entities),
            ("differing", progress.differing),
            ("repaired", progress.repaired),
            ("skipped", progress.skipped),
        ] {
            ctx.reply_bulk(name.as_bytes());
            ctx.reply_integer(i64::try_from(number).unwrap_or(i64::MAX));
        }
        Ok(())
    }
}

fn run_slice(ctx: &Ctx<'_>, keyspace: &Keyspace<'_>, entry: &mut rebuilds::Entry) -> Outcome<Step> {
    let begun = Instant::now();
    let now = ctx.now();
    let repaired = entry.rebuild.progress().repaired;
    let (mut entries, mut bytes_left) = (0, FOLDED_BYTES_MIN);
    let mut may_go_on = |done| {
        if let Done::Folded { bytes } = done {
            entries += 1;
            bytes_left = bytes_left.saturating_sub(bytes);
            if entries < FOLDED_MIN && bytes_left > 0 {
                return true;
            }
        }
        begun.elapsed() < SLICE
    };
    let (step, plan) = entry.rebuild.step(keyspace, &config::settings(), now, &mut may_go_on)?;
    if !plan.is_empty() {
        keyspace.write(&plan)?;
        // `last` may have been mended: what memory holds of it is no better than what it held.
        keyspace.forget_journal();
        counters().repaired(entry.rebuild.progress().repaired - repaired);
    }
    Ok(step)
}
