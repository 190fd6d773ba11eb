//! What TRADE.ORDERS and TRADE.POSITIONS share, and the part of a list that any command replies.

use tradebus_core::key::Key;
use tradebus_core::refusal::Outcome;

use crate::args::{once, unknown_option, Args};
use crate::commands::spec::Arg;
use crate::config;
use crate::redis::{Access, Ctx, Keyspace};

/// How many elements a reply has when COUNT is not given.
const COUNT_DEFAULT: i64 = 100;

/// A reply ends with the element that brings it to this size, in bytes.
pub const REPLY_MAX: usize = 4 * 1_024 * 1_024;

/// `[OFFSET n] [COUNT n]`.
pub const OFFSET: Arg = Arg::integer("offset").option("OFFSET");
/// See [`OFFSET`].
pub const COUNT: Arg = Arg::integer("count").option("COUNT");

/// The part of a list that a caller wants.
#[derive(Default)]
pub struct Window {
    offset: Option<i64>,
    count: Option<i64>,
}

impl Window {
    /// Takes the value of `option` if it is OFFSET or COUNT; `false` when it is not.
    ///
    /// # Errors
    /// ERR when it has no value, one out of range, or was given before.
    pub fn take(&mut self, option: &[u8], args: &mut Args<'_>) -> Outcome<bool> {
        if option.eq_ignore_ascii_case(b"OFFSET") {
            once(&mut self.offset, "OFFSET", args.integer_of("OFFSET", 0..=i64::MAX)?)?;
        } else if option.eq_ignore_ascii_case(b"COUNT") {
            once(&mut self.count, "COUNT", args.integer_of("COUNT", 0..=config::scan_limit())?)?;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// How many elements come before it.
    pub fn offset(&self) -> u64 {
        self.offset.unwrap_or(0).unsigned_abs()
    }

    /// How many elements it has at most.
    pub fn count(&self) -> usize {
        usize::try_from(self.count.unwrap_or(COUNT_DEFAULT)).unwrap_or(usize::MAX)
    }
}

/// Replies with the entities of an index, oldest first. An id whose hash is gone (it expired, or somebody
/// deleted it) is left out.
pub fn reply(ctx: &Ctx<'_>, index: Key<'_>, key_of: impl for<'k> Fn(&'k str) -> Key<'k>) -> Outcome<()> {
    let mut args = Args::of_command(ctx.args());
    let symbol = args.symbol()?;
    let mut window = Window::default();
    while let Some(option) = args.next() {
        if !window.take(option, &mut args)? {
            return Err(unknown_option(option, "OFFSET and COUNT"));
        }
    }
    let (offset, count) = (window.offset.unwrap_or(0), window.count.unwrap_or(COUNT_DEFAULT));
    Keyspace::open_scope(ctx, symbol, Access::Read)?.reply_index(index, offset, count, REPLY_MAX, key_of)
}
