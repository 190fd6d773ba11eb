//! What the commands that read a log have in common: where to read, what to look for, and how much.

use tradebus_core::event::parse_time;
use tradebus_core::key::{Key, Scope};
use tradebus_core::log::logged::Logged;
use tradebus_core::log::query::{self, parse_span, Budget, Filter};
use tradebus_core::refusal::Outcome;
use tradebus_core::store::{Direction, Entry, Store};
use tradebus_core::stream_id::StreamId;
use tradebus_core::symbol::parse_id;

use crate::args::{once, unknown_option, Args};
use crate::commands::spec::Arg;
use crate::config;
use crate::redis::{Access, Ctx, Keyspace};

/// How many entries are taken when COUNT is not given.
const COUNT_DEFAULT: i64 = 100;

/// What is taken ends with the entry that brings it to this size, in bytes.
const TAKEN_MAX: usize = 4 * 1_024 * 1_024;

/// What is read ends with the entry that brings it to this size, in bytes: entries may be large, and a search that finds
/// nothing must end as well.
const READ_MAX: usize = 8 * 1_024 * 1_024;

/// The arguments behind the symbol or the stream.
pub const START: Arg = Arg::text("start");
/// See [`START`].
pub const END: Arg = Arg::text("end");
/// What is looked for; ORDER and POSITION in the log of a symbol only.
pub const TYPE: Arg = Arg::text("event_type").option("TYPE").multiple().with_token_each();
/// See [`TYPE`].
pub const ORDER: Arg = Arg::text("order_id").option("ORDER");
/// See [`TYPE`].
pub const POSITION: Arg = Arg::text("position_id").option("POSITION");
/// See [`TYPE`].
pub const CORRELATION: Arg = Arg::text("correlation_id").option("CORRELATION");
/// See [`TYPE`].
pub const SOURCE: Arg = Arg::text("source").option("SOURCE");
/// See [`TYPE`].
pub const SINCE: Arg = Arg::text("since").option("SINCE");
/// See [`TYPE`].
pub const UNTIL: Arg = Arg::text("until").option("UNTIL");
/// How many.
pub const COUNT: Arg = Arg::integer("count").option("COUNT");

/// What a caller wants to read.
pub struct Query<'a> {
    /// Of which log.
    pub scope: Scope<'a>,
    start: &'a [u8],
    end: &'a [u8],
    filter: Filter<'a>,
    count: Option<i64>,
}

impl<'a> Query<'a> {
    /// Takes `start end` and the options. An option that is none of a filter's is offered to `take_own`, the option of the
    /// command itself, which errors call `own`.
    ///
    /// # Errors
    /// ERR, BADEVENT, BADFIELD.
    pub fn parse(
        scope: Scope<'a>,
        mut args: Args<'a>,
        own: &str,
        mut take_own: impl FnMut(&[u8], &mut Args<'a>) -> Outcome<bool>,
    ) -> Outcome<Query<'a>> {
        let (start, end) = (args.required("start")?, args.required("end")?);
        let mut query = Query { scope, start, end, filter: Filter::default(), count: None };
        while let Some(option) = args.next() {
            if query.take_option(option, &mut args)? || take_own(option, &mut args)? {
                continue;
            }
            let of_symbol = match scope {
                Scope::Symbol(_) => " ORDER, POSITION,",
                Scope::Stream(_) => "",
            };
            let known = format!("TYPE,{of_symbol} CORRELATION, SOURCE, SINCE, UNTIL, COUNT and {own}");
            return Err(unknown_option(option, &known));
        }
        Ok(query)
    }

    fn take_option(&mut self, option: &[u8], args: &mut Args<'a>) -> Outcome<bool> {
        let filter = &mut self.filter;
        let is_symbol = matches!(self.scope, Scope::Symbol(_));
        match option.to_ascii_uppercase().as_slice() {
            b"TYPE" => filter.add_type(self.scope, args.value_of("TYPE")?)?,
            b"ORDER" if is_symbol => once(&mut filter.order, "ORDER", parse_id("ORDER", args.value_of("ORDER")?)?)?,
            b"POSITION" if is_symbol => {
                once(&mut filter.position, "POSITION", parse_id("POSITION", args.value_of("POSITION")?)?)?;
            }
            b"CORRELATION" => once(&mut filter.correlation_id, "CORRELATION", args.value_of("CORRELATION")?)?,
            b"SOURCE" => once(&mut filter.source, "SOURCE", args.value_of("SOURCE")?)?,
            b"SINCE" => once(&mut filter.since, "SINCE", parse_time("SINCE", args.value_of("SINCE")?)?)?,
            b"UNTIL" => once(&mut filter.until, "UNTIL", parse_time("UNTIL", args.value_of("UNTIL")?)?)?,
            b"COUNT" => once(&mut self.count, "COUNT", args.integer_of("COUNT", 1..=config::scan_limit())?)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Reads, and calls `take` as [`query::read`] does. Returns where to go on.
    ///
    /// # Errors
    /// ERR when start or end is no id, WRONGTYPE, TRYAGAIN.
    pub fn read(
        &self,
        ctx: &Ctx<'_>,
        access: Access,
        direction: Direction,
        take: &mut dyn FnMut(&Logged<'_>, &Entry<'_>) -> Option<usize>,
    ) -> Outcome<Option<StreamId>> {
        let span = parse_span(self.start, self.end, direction)?;
        let keyspace = Keyspace::open_scope(ctx, self.scope, access)?;
        let log = keyspace.open(Key::Log)?;
        let budget = Budget {
            entries: config::scan_limit().unsigned_abs(),
            bytes: READ_MAX,
            taken: self.count.unwrap_or(COUNT_DEFAULT).unsigned_abs(),
            taken_bytes: TAKEN_MAX,
        };
        Ok(query::read(&keyspace, log, span, &self.filter, budget, take))
    }
}

/// Replies where to go on: `0` when nothing is left.
pub fn reply_next(ctx: &Ctx<'_>, next: Option<StreamId>) {
    match next {
        Some(next) => ctx.reply_id(next),
        None => ctx.reply_bulk(b"0"),
    }
}
