//! What TRADE.ORDER, TRADE.POSITION and TRADE.SIGNAL share.

use tradebus_core::key::Key;
use tradebus_core::refusal::{Code, Outcome};
use tradebus_core::symbol::parse_id;

use crate::args::Args;
use crate::redis::{Access, Ctx, Keyspace};

/// Replies with the hash of one entity as a map, or nil. `id_name` is how an error names the id.
pub fn reply(ctx: &Ctx<'_>, id_name: &str, key_of: impl for<'k> FnOnce(&'k str) -> Key<'k>) -> Outcome<()> {
    let mut args = Args::of_command(ctx.args());
    let symbol = args.symbol()?;
    let id = parse_id(id_name, args.required(id_name)?)?;
    if args.len() > 0 {
        return Err(Code::Err.because(format!("there is nothing to come behind {id_name}")));
    }
    Keyspace::open_scope(ctx, symbol, Access::Read)?.reply_hash(key_of(id))
}
