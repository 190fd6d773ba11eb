//! What the commands that publish share: decide, commit, remember, count.

use tradebus_core::key::Scope;
use tradebus_core::log::{Accepted, Clock, Decision, Labels, Receipt};
use tradebus_core::refusal::{Code, Outcome};
use tradebus_core::session::{Request, Session};
use tradebus_core::settings::Settings;
use tradebus_core::stream;
use tradebus_core::stream_id::StreamId;

use crate::args::{once, Args};
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

/// Takes one of the options that every event has, behind its name; `false` when `option` is none of them.
///
/// # Errors
/// ERR when it has no value or was given before.
pub fn take_label<'a>(option: &[u8], args: &mut Args<'a>, labels: &mut Labels<'a>) -> Outcome<bool> {
    let places = [
        ("ID", &mut labels.event_id),
        ("TIMESTAMP", &mut labels.timestamp),
        ("SOURCE", &mut labels.source),
        ("CORRELATION", &mut labels.correlation_id),
    ];
    for (name, place) in places {
        if option.eq_ignore_ascii_case(name.as_bytes()) {
            once(place, name, args.value_of(name)?)?;
            return Ok(true);
        }
    }
    Ok(false)
}

/// Publishes events of one symbol, all or none.
///
/// # Errors
/// Any refusal of an event, with its position when there are several.
pub fn publish_events<'c>(ctx: &'c Ctx<'c>, symbol: Scope<'c>, requests: &[Request<'c>]) -> Outcome<Published> {
    let settings = config::settings();
    let keyspace = Keyspace::open_scope(ctx, symbol, Access::Write)?;
    let decide = |clock| {
        let open = |remembered: Option<&_>| Session::open(&keyspace, symbol.name(), &settings, clock, remembered);
        let mut session = keyspace.with_journal(open)?;
        for (place, request) in requests.iter().enumerate() {
            session.publish(request).map_err(|refusal| match requests.len() {
                1 => refusal,
                _ => refusal.at_event(place + 1),
            })?;
        }
        session.finish()
    };
    let (decision, receivers) = commit(ctx, &keyspace, &settings, decide)?;
    for (request, receipt) in requests.iter().zip(&decision.receipts) {
        count(receipt, || counters().event(request.event_type));
    }
    counters().dedupe_forgotten(decision.forgotten);
    if receivers.is_some() {
        keyspace.remember_journal(decision.journal);
    }
    Ok(Published { receipts: decision.receipts, receivers: receivers.unwrap_or(0) })
}

/// Publishes one event of a stream.
///
/// # Errors
/// Any refusal of the event, that of `check_schema` included.
pub fn publish_to_stream<'c>(
    ctx: &'c Ctx<'c>,
    keyspace: &Keyspace<'c>,
    request: &stream::Request<'c>,
    check_schema: impl Fn() -> Outcome<()>,
) -> Outcome<Published> {
    let settings = config::settings();
    let stream = keyspace.scope().name();
    let decide = |clock| stream::publish(keyspace, stream, &settings, clock, request, &check_schema);
    let (decision, receivers) = commit(ctx, keyspace, &settings, decide)?;
    for receipt in &decision.receipts {
        count(receipt, || counters().stream_event());
    }
    counters().dedupe_forgotten(decision.forgotten);
    Ok(Published { receipts: decision.receipts, receivers: receivers.unwrap_or(0) })
}

/// Decides and writes what was decided. The receivers are those of this node; `None` when there was nothing to write.
fn commit<'c>(
    ctx: &Ctx<'_>,
    keyspace: &Keyspace<'c>,
    settings: &Settings,
    decide: impl Fn(Clock) -> Outcome<Decision<'c>>,
) -> Outcome<(Decision<'c>, Option<u64>)> {
    let mut behind = StreamId::ZERO;
    loop {
        let clock = Clock { now: ctx.now(), behind };
        let decision = decide(clock)?;
        if decision.plan.appends.is_empty() {
            return Ok((decision, None));
        }
        match keyspace.commit(&decision.plan, settings.pubsub) {
            Ok(receivers) => {
                let receivers = receivers.iter().sum();
                counters().received(receivers);
                return Ok((decision, Some(receivers)));
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

fn count(receipt: &Receipt, accepted: impl FnOnce()) {
    match receipt.outcome {
        Accepted::Duplicate => counters().duplicate(),
        Accepted::Late => {
            accepted();
            counters().late();
        }
        Accepted::New => accepted(),
    }
}
