//! What TRADE.PUBLISH and TRADE.MPUBLISH share: judge, commit, remember, count.

use tradebus_core::refusal::{Code, Outcome};
use tradebus_core::session::{Accepted, Clock, Decision, Receipt, Request, Session};
use tradebus_core::stream_id::StreamId;
use tradebus_core::symbol::Symbol;

use crate::config;
use crate::info::counters;
use crate::redis::{Access, CommitError, Ctx, Keyspace};

/// What became of the events of a command.
pub struct Published {
    /// One receipt an event.
    pub receipts: Vec<Receipt>,
    /// Subscribers of this node that got a message.
    pub receivers: u64,
}

/// Publishes events of one symbol, all or none.
///
/// # Errors
/// Any refusal of an event, with its position when there are several.
pub fn publish_events<'c>(ctx: &'c Ctx<'c>, symbol: Symbol<'c>, requests: &[Request<'c>]) -> Outcome<Published> {
    let settings = config::settings();
    let keyspace = Keyspace::open_symbol(ctx, symbol, Access::Write)?;
    let mut behind = StreamId::ZERO;
    loop {
        let clock = Clock { now: i64::try_from(ctx.now_ms()).unwrap_or(i64::MAX), behind };
        let remembered = keyspace.remembered_journal();
        let mut session = Session::open(&keyspace, symbol.as_str(), &settings, clock, remembered.as_ref())?;
        for (place, request) in requests.iter().enumerate() {
            session.publish(request).map_err(|refusal| match requests.len() {
                1 => refusal,
                _ => refusal.at_event(place + 1),
            })?;
        }
        let decision = session.finish()?;
        if decision.plan.log.is_empty() {
            return Ok(count(requests, decision, 0));
        }
        match keyspace.commit(&decision.plan, settings.pubsub) {
            Ok(receivers) => {
                keyspace.remember_journal(decision.journal);
                return Ok(count(requests, decision, receivers.iter().sum()));
            }
            // The ids of deleted entries are not to be used again; once known, they are not in the way.
            Err(CommitError::BehindLastId(last)) if last > behind => behind = last,
            Err(CommitError::BehindLastId(last)) => {
                return Err(Code::Err.because(format!("the log does not take ids behind its last one, {last}")))
            }
            Err(CommitError::Refused(refusal)) => return Err(refusal),
        }
    }
}

fn count(requests: &[Request<'_>], decision: Decision<'_>, receivers: u64) -> Published {
    let counters = counters();
    for (request, receipt) in requests.iter().zip(&decision.receipts) {
        match receipt.outcome {
            Accepted::Duplicate => counters.duplicate(),
            Accepted::Late => {
                counters.event(request.event_type);
                counters.late();
            }
            Accepted::New => counters.event(request.event_type),
        }
    }
    counters.received(receivers);
    counters.dedupe_forgotten(decision.forgotten);
    Published { receipts: decision.receipts, receivers }
}
