//! Signals: generated, then validated or rejected.

use crate::entity::{self, Fields, Merge, Verdict};
use crate::event::Event;
use crate::event_type::EventType;
use crate::record::Record;
use crate::refusal::{Code, Outcome};
use crate::store::Store;
use crate::time::Millis;
use crate::word::Word;

/// The state of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nobody has judged it yet.
    Generated,
    /// It may be acted on.
    Validated,
    /// It may not.
    Rejected,
}

impl Word for Status {
    const WORDS: &'static [(&'static str, Status)] =
        &[("generated", Status::Generated), ("validated", Status::Validated), ("rejected", Status::Rejected)];
}

/// The fields that every event of a signal reads or changes, first in a new hash.
pub const FACTS: [&str; 4] = ["status", "version", "updated_at", "last_event_id"];

/// The rules by which a signal keeps members: it has no field of its own.
pub struct SignalFields;

impl Fields for SignalFields {
    fn is_own(_name: &str) -> bool {
        false
    }
}

/// Judges an event of a signal and writes what it changes into `record`.
///
/// # Errors
/// MISSING, INVALIDSTATE, CORRUPT.
pub fn judge<'a, S: Store<'a>>(
    record: &mut Record<'a>,
    store: &S,
    event: &Event<'a>,
    happened_at: Millis,
) -> Outcome<Verdict> {
    record.load(store, &FACTS);
    let was = Status::load(record, "status")?;
    if record.exists() && was.is_none() {
        return Err(record.corrupt("status", "a signal's status"));
    }
    let mut merge = Merge::Overwrite;
    let status = match (was, event.event_type) {
        (None, EventType::SignalGenerated) => Status::Generated,
        (Some(status), EventType::SignalGenerated) if entity::is_shell(record, store) => {
            record.remove("external");
            merge = Merge::FillIn;
            status
        }
        (None | Some(Status::Generated), EventType::SignalValidated) => Status::Validated,
        (None | Some(Status::Generated | Status::Validated), EventType::SignalRejected) => {
            event.required_text("reason")?;
            Status::Rejected
        }
        (Some(status), _) => {
            return Err(Code::InvalidState.because(format!(
                "the signal is {} already: {} is not possible",
                status.as_str(),
                event.event_type.as_str()
            )))
        }
        (None, _) => Status::Generated,
    };
    if was.is_none() || merge == Merge::FillIn {
        record.set("created_at", happened_at);
    }
    if was.is_none() && event.event_type != EventType::SignalGenerated {
        record.set("external", "1");
    }
    Ok(Verdict { late: false, merge, status: status.as_str(), open: status == Status::Generated })
}
