//! What TRADE.ORDERS and TRADE.POSITIONS share.

use tradebus_core::key::Key;
use tradebus_core::refusal::Outcome;

use crate::args::{once, unknown_option, Args};
use crate::commands::spec::Arg;
use crate::config;
use crate::redis::{Access, Ctx, Keyspace};

/// How many entities a reply has when COUNT is not given.
const COUNT_DEFAULT: i64 = 100;

/// A reply ends with the entity that brings it to this size, in bytes.
const REPLY_MAX: usize = 4 * 1_024 * 1_024;

/// `[OFFSET n] [COUNT n]`.
pub const OFFSET: Arg = Arg::integer("offset").option("OFFSET");
/// See [`OFFSET`].
pub const COUNT: Arg = Arg::integer("count").option("COUNT");

/// Replies with the entities of an index, oldest first. An id whose hash is gone (it expired, or somebody
/// deleted it) is left out.
pub fn reply(ctx: &Ctx<'_>, index: Key<'_>, key_of: impl for<'k> Fn(&'k str) -> Key<'k>) -> Outcome<()> {
    let mut args = Args::of_command(ctx.args());
    let symbol = args.symbol()?;
    let (mut offset, mut count) = (None, None);
    while let Some(option) = args.next() {
        if option.eq_ignore_ascii_case(b"OFFSET") {
            once(&mut offset, "OFFSET", args.integer_of("OFFSET", 0..=i64::MAX)?)?;
        } else if option.eq_ignore_ascii_case(b"COUNT") {
            once(&mut count, "COUNT", args.integer_of("COUNT", 0..=config::scan_limit())?)?;
        } else {
            return Err(unknown_option(option, "OFFSET and COUNT"));
        }
    }
    let (offset, count) = (offset.unwrap_or(0), count.unwrap_or(COUNT_DEFAULT));
    Keyspace::open_scope(ctx, symbol, Access::Read)?.reply_index(index, offset, count, REPLY_MAX, key_of)
}
