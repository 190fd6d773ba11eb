//! What the commands on markets and conditions share: decide, commit, remember, count.

use tradebus_core::log::Clock;
use tradebus_core::market::{Decision, Engines, Market, NextClose};
use tradebus_core::refusal::{Code, Outcome};
use tradebus_core::stream_id::StreamId;

use crate::config;
use crate::engines;
use crate::info::counters;
use crate::redis::{CommitError, Ctx, Keyspace};

/// What a command on a market did.
pub struct Changed<T> {
    /// Its reply, or what that is made of.
    pub reply: T,
    /// The conditions that triggered, by id.
    pub triggered: Vec<String>,
    /// When the first of the bars that ticks are building ends, if the command has looked at them.
    pub next_close: Option<NextClose>,
}

/// Does a command on the market of the keyspace's symbol.
///
/// # Errors
/// Those of `decide`; nothing was written then.
pub fn change<'c, T>(
    ctx: &'c Ctx<'c>,
    keyspace: &Keyspace<'c>,
    decide: impl for<'s> Fn(Market<'s, 'c, Keyspace<'c>>) -> Outcome<(T, Decision<'c>)>,
) -> Outcome<Changed<T>> {
    let (database, symbol) = (ctx.database(), keyspace.scope().name());
    let mut engines = engines::take(database, symbol);
    let changed = decide_and_write(ctx, keyspace, &mut engines, decide);
    engines::keep(database, symbol, engines);
    changed
}

fn decide_and_write<'c, T>(
    ctx: &'c Ctx<'c>,
    keyspace: &Keyspace<'c>,
    engines: &mut Engines,
    decide: impl for<'s> Fn(Market<'s, 'c, Keyspace<'c>>) -> Outcome<(T, Decision<'c>)>,
) -> Outcome<Changed<T>> {
    let settings = config::settings();
    let now = ctx.now();
    let mut behind = StreamId::ZERO;
    loop {
        let clock = Clock { now, behind };
        let (reply, decision) =
            decide(Market::open(keyspace, keyspace.scope().name(), &settings, clock, &mut *engines))?;
        let Decision { plan, engines: touched, tally, triggered, next_close } = decision;
        if !plan.is_empty() {
            match keyspace.commit(&plan, settings.pubsub) {
                Ok(receivers) => counters().received(receivers.iter().sum()),
                // The newest candles were deleted by hand, and their ids are not to be used again.
                Err(CommitError::BehindLastId(last)) if last > behind => {
                    behind = last;
                    continue;
                }
                Err(CommitError::BehindLastId(last)) => {
                    return Err(Code::Err.because(format!("the candles take no ids behind their last one, {last}")))
                }
                Err(CommitError::Refused(refusal)) => return Err(refusal),
            }
        }
        counters().market(&tally);
        touched.into_iter().for_each(|engine| engines.put(engine));
        return Ok(Changed { reply, triggered, next_close });
    }
}

/// Replies ids of conditions.
pub fn reply_ids(ctx: &Ctx<'_>, ids: &[String]) {
    ctx.reply_array(ids.len());
    ids.iter().for_each(|id| ctx.reply_bulk(id.as_bytes()));
}
