//! `TRADE.CLAIM symbol group consumer min-idle-ms max-deliveries [COUNT n]`, `EVENT.CLAIM stream ...` and
//! `COND.CLAIM symbol TRIGGERS|QUEUE:<bot_type> ...`

use tradebus_core::dead_letter::{bury, DeadLetter};
use tradebus_core::key::{Key, Scope};
use tradebus_core::log::Clock;
use tradebus_core::pending::{Pending, Sweep, Wanted};
use tradebus_core::refusal::{quoted, Code, Outcome};
use tradebus_core::settings::PubSub;
use tradebus_core::store::{Direction, Flow, Slot, Span, Store};
use tradebus_core::stream_id::StreamId;
use tradebus_core::symbol::parse_word;

use crate::args::{once, unknown_option, Args};
use crate::commands::spec::{Arg, Spec, Speed, STREAM, SYMBOL};
use crate::config;
use crate::info::counters;
use crate::redis::{Access, Command, CommitError, Ctx, Group, Keyspace};

/// Claims entries of a symbol's log.
pub struct TradeClaim;

/// Claims entries of a stream.
pub struct EventClaim;

/// Claims entries of a symbol's triggers, or of a work queue.
pub struct CondClaim;

/// How many idle entries are looked for when COUNT is not given.
const COUNT_DEFAULT: i64 = 100;

/// Claiming ends with the entry that brings the reply to this size, and so does moving, in bytes.
const BYTES_MAX: usize = 4 * 1_024 * 1_024;

/// The longest name of a group or a consumer, in bytes.
const NAME_MAX: usize = 128;

const GROUP: Arg = Arg::text("group");
const CONSUMER: Arg = Arg::text("consumer");
const MIN_IDLE: Arg = Arg::integer("min-idle-ms");
const MAX_DELIVERIES: Arg = Arg::integer("max-deliveries");
const COUNT: Arg = Arg::integer("count").option("COUNT");

const COMPLEXITY: &str =
    "O(L+N) where L is the number of pending entries looked at, tradebus.scan-limit at most, and N the size of those found";

impl Command for TradeClaim {
    const SPEC: Spec = Spec {
        name: "TRADE.CLAIM",
        summary: "Claims idle entries of a symbol's log for a consumer, and moves those delivered too often to the dead letters",
        complexity: COMPLEXITY,
        since: "0.1.0",
        tips: "nondeterministic_output",
        arity: -6,
        access: Access::Relieve,
        speed: Speed::Slow,
        args: &[SYMBOL, GROUP, CONSUMER, MIN_IDLE, MAX_DELIVERIES, COUNT],
    };

    fn run(ctx: &Ctx<'_>) -> Outcome<()> {
        let mut args = Args::of_command(ctx.args());
        let symbol = args.symbol()?;
        claim(ctx, symbol, Key::Log, args)
    }
}

impl Command for EventClaim {
    const SPEC: Spec = Spec {
        name: "EVENT.CLAIM",
        summary:
            "Claims idle entries of a stream for a consumer, and moves those delivered too often to the dead letters",
        complexity: COMPLEXITY,
        since: "0.1.0",
        tips: "nondeterministic_output",
        arity: -6,
        access: Access::Relieve,
        speed: Speed::Slow,
        args: &[STREAM, GROUP, CONSUMER, MIN_IDLE, MAX_DELIVERIES, COUNT],
    };

    fn run(ctx: &Ctx<'_>) -> Outcome<()> {
        let mut args = Args::of_command(ctx.args());
        let stream = args.stream()?;
        claim(ctx, stream, Key::Log, args)
    }
}

impl Command for CondClaim {
    const SPEC: Spec = Spec {
        name: "COND.CLAIM",
        summary: "Claims idle entries of a symbol's triggers or of a work queue for a consumer, and moves those delivered too often to the dead letters",
        complexity: COMPLEXITY,
        since: "0.1.0",
        tips: "nondeterministic_output",
        arity: -7,
        access: Access::Relieve,
        speed: Speed::Slow,
        args: &[
            SYMBOL,
            Arg::one_of("source", &[Arg::word("triggers", "TRIGGERS"), Arg::text("QUEUE:bot_type")]),
            GROUP,
            CONSUMER,
            MIN_IDLE,
            MAX_DELIVERIES,
            COUNT,
        ],
    };

    fn run(ctx: &Ctx<'_>) -> Outcome<()> {
        let mut args = Args::of_command(ctx.args());
        let symbol = args.symbol()?;
        let source = parse_source(args.required("TRIGGERS or QUEUE:<bot_type>")?)?;
        claim(ctx, symbol, source, args)
    }
}

fn parse_source(text: &[u8]) -> Outcome<Key<'_>> {
    const QUEUE: &[u8] = b"QUEUE:";
    if text.eq_ignore_ascii_case(b"TRIGGERS") {
        return Ok(Key::Triggers);
    }
    match text.split_at_checked(QUEUE.len()) {
        Some((queue, bot_type)) if queue.eq_ignore_ascii_case(QUEUE) => parse_word("bot_type", bot_type).map(Key::Work),
        _ => Err(Code::Err.because(format!("expected TRIGGERS or QUEUE:<bot_type>, not {}", quoted(text)))),
    }
}

/// What a caller asks for, behind the stream.
struct Request<'a> {
    group: &'a [u8],
    consumer: &'a [u8],
    max_deliveries: u64,
    wanted: Wanted,
}

impl<'a> Request<'a> {
    fn parse(mut args: Args<'a>) -> Outcome<Request<'a>> {
        let group = parse_name("group", &mut args)?;
        let consumer = parse_name("consumer", &mut args)?;
        let min_idle = args.integer_of("min-idle-ms", 0..=i64::MAX)?;
        let max_deliveries = args.integer_of("max-deliveries", 0..=i64::MAX)?;
        let looks = config::scan_limit();
        let mut count = None;
        while let Some(option) = args.next() {
            if option.eq_ignore_ascii_case(b"COUNT") {
                once(&mut count, "COUNT", args.integer_of("COUNT", 1..=looks)?)?;
            } else {
                return Err(unknown_option(option, "COUNT"));
            }
        }
        let size = |number: i64| usize::try_from(number).unwrap_or(usize::MAX);
        let wanted = Wanted {
            min_idle_ms: min_idle.unsigned_abs(),
            count: size(count.unwrap_or(COUNT_DEFAULT)),
            looks: size(looks),
        };
        Ok(Request { group, consumer, max_deliveries: max_deliveries.unsigned_abs(), wanted })
    }
}

fn parse_name<'a>(what: &str, args: &mut Args<'a>) -> Outcome<&'a [u8]> {
    let name = args.required(what)?;
    match (1..=NAME_MAX).contains(&name.len()) {
        true => Ok(name),
        false => {
            Err(Code::BadField.because(format!("the {what} must have 1 to {NAME_MAX} bytes, not {}", quoted(name))))
        }
    }
}

/// Claims entries of the stream `key` of `scope`, and replies.
fn claim<'c>(ctx: &'c Ctx<'c>, scope: Scope<'c>, key: Key<'_>, args: Args<'c>) -> Outcome<()> {
    let request = Request::parse(args)?;
    let keyspace = Keyspace::open_scope(ctx, scope, Access::Relieve)?;
    let (log, dead) = (keyspace.open(key)?, keyspace.open(Key::Dead)?);
    let group = keyspace.group(log, request.group);
    let mut sweep = Sweep::new(group.sweep_begin(), request.wanted);
    while let Some(step) = sweep.step() {
        sweep.take(step, group.pending(step)?);
    }
    let (found, mut next) = sweep.finish();
    let sorted = sort(&keyspace, &group, &found, request.max_deliveries, &mut next);
    move_to_dead(ctx, &keyspace, dead, &sorted.letters)?;

    // From here on things are written, and nothing is refused.
    group.acknowledge(&sorted.poison);
    let (mut claimed, mut bytes) = (Vec::new(), 0);
    for id in sorted.claimable {
        if bytes >= BYTES_MAX {
            next = id;
            break;
        }
        if let Some(entry) = group.claim(request.consumer, id) {
            bytes += entry.size();
            claimed.push(entry);
        }
    }
    group.remember_sweep(next);
    counters().dead_lettered(sorted.letters.len() as u64);
    ctx.reply_array(2);
    ctx.reply_array(claimed.len());
    for entry in &claimed {
        entry.reply(ctx);
    }
    ctx.reply_integer(i64::try_from(sorted.letters.len()).unwrap_or(i64::MAX));
    Ok(())
}

/// Idle entries, by what becomes of them.
#[derive(Default)]
struct Sorted {
    /// To be claimed.
    claimable: Vec<StreamId>,
    /// Delivered too often.
    poison: Vec<StreamId>,
    /// What is written for those of them that are still in the stream.
    letters: Vec<DeadLetter>,
}

/// Sorts what was found. Behind the dead letter that makes them too large together, it is left to the next sweep,
/// which begins at `next`.
fn sort(
    keyspace: &Keyspace<'_>,
    group: &Group<'_, '_>,
    found: &[Pending],
    max_deliveries: u64,
    next: &mut StreamId,
) -> Sorted {
    let key = String::from_utf8_lossy(group.stream());
    let (mut sorted, mut bytes) = (Sorted::default(), 0);
    for pending in found {
        if bytes >= BYTES_MAX {
            *next = pending.id;
            break;
        }
        if pending.deliveries <= max_deliveries {
            sorted.claimable.push(pending.id);
            continue;
        }
        sorted.poison.push(pending.id);
        let span = Span { lowest: pending.id, highest: pending.id, direction: Direction::Forward };
        keyspace.entries(group.slot(), span, &mut |_, entry| {
            let letter = DeadLetter::of(&key, group.name(), pending, entry);
            bytes += letter.size();
            sorted.letters.push(letter);
            Flow::Stop
        });
    }
    sorted
}

fn move_to_dead(ctx: &Ctx<'_>, keyspace: &Keyspace<'_>, dead: Slot, letters: &[DeadLetter]) -> Outcome<()> {
    if letters.is_empty() {
        return Ok(());
    }
    // Letters are rare, and looked at and deleted by hand: ids that were used up are asked for at once.
    let behind = keyspace.last_id(dead).unwrap_or_default();
    let clock = Clock { now: ctx.now(), behind };
    let plan = bury(dead, letters, clock, &config::settings())?;
    match keyspace.commit(&plan, PubSub::Off) {
        Ok(_) => Ok(()),
        Err(CommitError::Refused(refusal)) => Err(refusal),
        Err(CommitError::BehindLastId(last)) => {
            Err(Code::Err.because(format!("the dead letters take no ids behind their last one, {last}")))
        }
    }
}
