//! Consumer groups: looking through what is pending, claiming and acknowledging.
//!
//! The module API knows no groups, so this is all done by the plain commands. They queue their own effects.

use std::ffi::{c_int, CStr};

use tradebus_core::hash::hash;
use tradebus_core::pending::{Pending, Step};
use tradebus_core::refusal::{Code, Outcome};
use tradebus_core::store::Slot;
use tradebus_core::stream_id::StreamId;

use super::api::api;
use super::call::{CallReply, ReplyPart};
use super::cell::LockedCell;
use super::ctx::Ctx;
use super::keyspace::Keyspace;
use super::log::warn;
use super::strings::RString;

/// A consumer group of a stream, for the time of one command.
pub struct Group<'k, 'a> {
    keyspace: &'k Keyspace<'a>,
    slot: Slot,
    stream: RString,
    name: RString,
}

/// An entry that a consumer got.
pub struct Claimed<'c>(CallReply<'c>);

impl<'a> Keyspace<'a> {
    /// A group of the stream in `slot`. Whether it exists is found out when it is read.
    pub fn group(&self, slot: Slot, name: &[u8]) -> Group<'_, 'a> {
        Group { keyspace: self, slot, stream: self.key(slot).name, name: RString::new(name) }
    }
}

impl<'a> Group<'_, 'a> {
    /// The stream that it reads.
    pub fn slot(&self) -> Slot {
        self.slot
    }

    /// The key of the stream.
    pub fn stream(&self) -> &[u8] {
        self.stream.as_bytes()
    }

    /// Its name.
    pub fn name(&self) -> &[u8] {
        self.name.as_bytes()
    }

    /// Some of its pending entries. Without a filter by age: with one, XPENDING looks at any number of entries for
    /// those that it replies.
    ///
    /// # Errors
    /// NOTFOUND when there is no such group.
    pub fn pending(&self, step: Step) -> Outcome<Vec<Pending>> {
        let id = |id: StreamId| RString::new(id.to_string().as_bytes());
        let count = RString::from_number(i64::try_from(step.count).unwrap_or(i64::MAX));
        let reply = self.call(c"XPENDING", c"v", [id(step.lowest), id(step.highest), count])?;
        match reply.whole().bytes() {
            Some(error) if error.starts_with(b"NOGROUP") => Err(Code::NotFound.because(format!(
                "there is no consumer group {} on {}",
                String::from_utf8_lossy(self.name()),
                String::from_utf8_lossy(self.stream())
            ))),
            Some(error) => Err(Code::Err.because(String::from_utf8_lossy(error))),
            None => Ok(reply.whole().elements().filter_map(read_pending).collect()),
        }
    }

    /// Gives a pending entry to a consumer. `None` when the entry is gone from the stream; it is not pending any
    /// longer then.
    pub fn claim(&self, consumer: &[u8], id: StreamId) -> Option<Claimed<'a>> {
        let id = RString::new(id.to_string().as_bytes());
        // Whether it is idle was looked at before.
        let reply = self.call(c"XCLAIM", c"!v", [RString::new(consumer), RString::from_number(0), id]);
        let reply = reply.map_err(|refusal| warn(&format!("an entry was not claimed: {refusal}"))).ok()?;
        if let Some(error) = reply.whole().bytes() {
            warn(&format!("an entry was not claimed: {}", String::from_utf8_lossy(error)));
        }
        let is_there = reply.whole().elements().any(ReplyPart::is_array);
        is_there.then_some(Claimed(reply))
    }

    /// Acknowledges entries; nothing when there are none.
    pub fn acknowledge(&self, ids: &[StreamId]) {
        if ids.is_empty() {
            return;
        }
        let ids = ids.iter().map(|id| RString::new(id.to_string().as_bytes()));
        let failed = match self.call(c"XACK", c"!v", ids) {
            Ok(reply) => reply.whole().is_error(),
            Err(_) => true,
        };
        if failed {
            warn("dead entries were not acknowledged");
        }
    }

    fn call(
        &self,
        command: &CStr,
        modifiers: &CStr,
        rest: impl IntoIterator<Item = RString>,
    ) -> Outcome<CallReply<'a>> {
        let mut arguments = vec![self.stream.clone(), self.name.clone()];
        arguments.extend(rest);
        let reply = self.keyspace.ctx.server().call(command, modifiers, &arguments);
        reply.map_err(|error| Code::Err.because(format!("{command:?} cannot be called: {error}")))
    }

    /// Where the next sweep through the pending entries begins.
    pub fn sweep_begin(&self) -> StreamId {
        let key = self.sweep_key();
        let marks = MARKS.borrow();
        let mark = marks.get(place(&key)).and_then(Option::as_ref).filter(|mark| mark.key == key);
        mark.map_or(StreamId::ZERO, |mark| mark.begin)
    }

    /// Remembers where the next sweep begins.
    pub fn remember_sweep(&self, begin: StreamId) {
        let key = self.sweep_key();
        let mut marks = MARKS.borrow();
        if marks.is_empty() {
            if begin == StreamId::ZERO {
                return;
            }
            marks.resize_with(MARKS_MAX, || None);
        }
        let mark = &mut marks[place(&key)];
        if begin > StreamId::ZERO {
            *mark = Some(Mark { key, begin });
        } else if mark.as_ref().is_some_and(|mark| mark.key == key) {
            *mark = None;
        }
    }

    /// The database, the stream and the group, so that no two of them have the same bytes.
    fn sweep_key(&self) -> Vec<u8> {
        let database: c_int = self.keyspace.ctx.database();
        [&database.to_le_bytes(), &self.name().len().to_le_bytes()[..], self.name(), self.stream()].concat()
    }
}

impl Claimed<'_> {
    /// The size of the reply, in bytes.
    pub fn size(&self) -> usize {
        self.0.wire_len()
    }

    /// Replies with the entry as XREADGROUP does: its id, and its fields and values in turn, in both protocols.
    pub fn reply(&self, ctx: &Ctx<'_>) {
        if let Some(entry) = self.0.whole().elements().next() {
            // SAFETY: a live context and a part of a live reply.
            unsafe { (api().reply_with_call_reply)(ctx.server().as_ptr(), entry.as_ptr()) };
        }
    }
}

/// `[id, consumer, idle, deliveries]`.
fn read_pending(entry: ReplyPart<'_>) -> Option<Pending> {
    let mut parts = entry.elements();
    Some(Pending {
        id: StreamId::from_bytes(parts.next()?.bytes()?)?,
        consumer: parts.next()?.bytes()?.to_vec(),
        idle_ms: parts.next()?.integer()?.try_into().unwrap_or(0),
        deliveries: parts.next()?.integer()?.try_into().unwrap_or(0),
    })
}

/// Where a sweep stopped.
struct Mark {
    key: Vec<u8>,
    begin: StreamId,
}

/// Where sweeps stopped, each in the one place that follows from its key: a newcomer takes the place over. What is
/// lost is begun again at the oldest entry, which is why none of this is kept on disk or told to replicas.
static MARKS: LockedCell<Vec<Option<Mark>>> = LockedCell::new(Vec::new());
/// How many are kept; a power of two.
const MARKS_MAX: usize = 1_024;

fn place(key: &[u8]) -> usize {
    hash(key) as usize & (MARKS_MAX - 1)
}

/// Gives everything back to the server, before the module is unloaded.
pub fn clear() {
    *MARKS.borrow() = Vec::new();
}
