//! `TRADE.STATS symbol` and `EVENT.STATS stream`

use tradebus_core::decimal::Decimal;
use tradebus_core::key::{Key, Scope};
use tradebus_core::log::journal::Journal;
use tradebus_core::log::tails::Tail;
use tradebus_core::refusal::Outcome;
use tradebus_core::store::{Flow, Span, Store};
use tradebus_core::stream;
use tradebus_core::stream_id::StreamId;

use crate::args::Args;
use crate::commands::spec::{Spec, Speed, STREAM, SYMBOL};
use crate::redis::{Access, Command, Ctx, GroupStats, Keyspace};

/// What a symbol's log, entities and readers come to.
pub struct TradeStats;

/// What a stream's log and readers come to.
pub struct EventStats;

const COMPLEXITY: &str = "O(N) where N is the number of consumer groups and consumers, and of a stream the size of the newest events of its types";

impl Command for TradeStats {
    const SPEC: Spec = Spec {
        name: "TRADE.STATS",
        summary: "Returns how many events a symbol had, what its log, entities and consumer groups come to",
        complexity: COMPLEXITY,
        since: "0.1.0",
        tips: "nondeterministic_output",
        arity: 2,
        access: Access::Read,
        speed: Speed::Slow,
        args: &[SYMBOL],
    };

    fn run(ctx: &Ctx<'_>) -> Outcome<()> {
        reply(ctx, Args::of_command(ctx.args()).symbol()?)
    }
}

impl Command for EventStats {
    const SPEC: Spec = Spec {
        name: "EVENT.STATS",
        summary: "Returns how many events a stream had, what its log and consumer groups come to",
        complexity: COMPLEXITY,
        since: "0.1.0",
        tips: "nondeterministic_output",
        arity: 2,
        access: Access::Read,
        speed: Speed::Slow,
        args: &[STREAM],
    };

    fn run(ctx: &Ctx<'_>) -> Outcome<()> {
        reply(ctx, Args::of_command(ctx.args()).stream()?)
    }
}

/// What there is to tell.
struct Stats {
    /// By the type's name.
    types: Vec<(String, Tail)>,
    log_length: u64,
    first_id: Option<StreamId>,
    last_id: Option<StreamId>,
    log_bytes: i64,
    /// Of a symbol.
    entities: Option<Entities>,
    groups: Vec<GroupStats>,
    dead_letters: u64,
}

/// What only a symbol has.
struct Entities {
    open_orders: u64,
    active_positions: u64,
    realized: Decimal,
    reported: Decimal,
}

fn reply(ctx: &Ctx<'_>, scope: Scope<'_>) -> Outcome<()> {
    let stats = read(&Keyspace::open_scope(ctx, scope, Access::Read)?, scope)?;
    ctx.reply_map(match stats.entities {
        Some(_) => 12,
        None => 8,
    });
    reply_count(ctx, "events", stats.types.iter().fold(0, |sum: u64, (_, tail)| sum.saturating_add(tail.count)));
    ctx.reply_bulk(b"events_by_type");
    ctx.reply_map(stats.types.len());
    for (event_type, tail) in &stats.types {
        reply_count(ctx, event_type, tail.count);
    }
    reply_count(ctx, "log_length", stats.log_length);
    for (name, id) in [("first_id", stats.first_id), ("last_id", stats.last_id)] {
        ctx.reply_bulk(name.as_bytes());
        match id {
            Some(id) => ctx.reply_id(id),
            None => ctx.reply_null(),
        }
    }
    ctx.reply_bulk(b"log_bytes");
    ctx.reply_integer(stats.log_bytes);
    if let Some(entities) = &stats.entities {
        reply_count(ctx, "open_orders", entities.open_orders);
        reply_count(ctx, "active_positions", entities.active_positions);
        for (name, sum) in [("realized_pnl", entities.realized), ("reported_pnl", entities.reported)] {
            let mut text = String::new();
            sum.push_to(&mut text);
            ctx.reply_bulk(name.as_bytes());
            ctx.reply_bulk(text.as_bytes());
        }
    }
    ctx.reply_bulk(b"groups");
    ctx.reply_array(stats.groups.len());
    stats.groups.iter().for_each(|group| reply_group(ctx, group));
    reply_count(ctx, "dead_letters", stats.dead_letters);
    Ok(())
}

fn reply_group(ctx: &Ctx<'_>, group: &GroupStats) {
    ctx.reply_map(4);
    ctx.reply_bulk(b"name");
    ctx.reply_bulk(&group.name);
    for (name, number) in [("consumers", Some(group.consumers)), ("pending", Some(group.pending)), ("lag", group.lag)] {
        ctx.reply_bulk(name.as_bytes());
        match number {
            Some(number) => ctx.reply_integer(number),
            None => ctx.reply_null(),
        }
    }
}

fn reply_count(ctx: &Ctx<'_>, name: &str, count: u64) {
    ctx.reply_bulk(name.as_bytes());
    ctx.reply_integer(i64::try_from(count).unwrap_or(i64::MAX));
}

/// Reads all of it before anything is replied, so that a fault is the whole reply.
fn read(keyspace: &Keyspace<'_>, scope: Scope<'_>) -> Outcome<Stats> {
    let log = keyspace.open(Key::Log)?;
    let last = || keyspace.open(Key::Last);
    let journal = keyspace.with_journal(|remembered| Journal::open(keyspace, scope, log, last, remembered, None))?;
    let mut first_id = None;
    keyspace.entries(log, Span::after(StreamId::ZERO), &mut |id, _| {
        first_id = Some(id);
        Flow::Stop
    });
    let (types, entities) = match scope {
        Scope::Stream(_) => (stream::tails(keyspace, &journal)?.into_iter().collect(), None),
        Scope::Symbol(_) => {
            let types = journal.types().into_iter().map(|(event_type, tail)| (event_type.to_owned(), tail));
            let (realized, reported) = journal.profits();
            let entities = Entities {
                open_orders: keyspace.len(keyspace.open(Key::OpenOrders)?),
                active_positions: keyspace.len(keyspace.open(Key::ActivePositions)?),
                realized,
                reported,
            };
            (types.collect(), Some(entities))
        }
    };
    Ok(Stats {
        types,
        log_length: keyspace.len(log),
        first_id,
        last_id: Some(journal.log_id).filter(|&id| id != StreamId::ZERO),
        log_bytes: keyspace.memory_usage(Key::Log)?,
        entities,
        groups: keyspace.groups(Key::Log)?,
        dead_letters: keyspace.len(keyspace.open(Key::Dead)?),
    })
}
