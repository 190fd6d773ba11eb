//! What comparing the keys of a symbol with its log reads beside what a publish does. Rare, so plain commands do.

use tradebus_core::refusal::Outcome;
use tradebus_core::store::{Audit, History, Slot};
use tradebus_core::stream_id::StreamId;
use tradebus_core::time::Millis;

use super::api::api;
use super::keyspace::Keyspace;
use super::strings::RString;

/// Members of a large sorted set that are read in one go.
const MEMBERS_READ: i64 = 200;

impl<'a> Audit<'a> for Keyspace<'a> {
    fn history(&self, slot: Slot) -> Outcome<History> {
        let key = self.key(slot);
        let mut history = History::default();
        if !key.exists() {
            return Ok(history);
        }
        self.stream_info(&key.name, &mut |name, value| match name {
            b"entries-added" => history.added = value.integer().unwrap_or(0).try_into().unwrap_or(0),
            b"max-deleted-entry-id" => {
                history.deleted = value.bytes().and_then(StreamId::from_bytes).unwrap_or_default();
            }
            _ => {}
        })?;
        Ok(history)
    }

    fn expires_at(&self, slot: Slot) -> Option<Millis> {
        // SAFETY: null is answered as a key without an expiry; any other handle is open.
        let at = unsafe { (api().get_abs_expire)(self.key(slot).handle) };
        (at >= 0).then_some(at)
    }

    fn members(&self, slot: Slot, cursor: u64, visit: &mut dyn FnMut(&[u8])) -> Outcome<u64> {
        let key = self.key(slot);
        if !key.exists() {
            return Ok(0);
        }
        let cursor = RString::new(cursor.to_string().as_bytes());
        let arguments = [key.name, cursor, RString::new(b"COUNT"), RString::from_number(MEMBERS_READ)];
        let reply = self.plain(c"ZSCAN", c"v", &arguments)?;
        let mut parts = reply.whole().elements();
        let next = parts.next().and_then(|cursor| std::str::from_utf8(cursor.bytes()?).ok()?.parse().ok());
        if let Some(members) = parts.next() {
            members.elements().step_by(2).filter_map(|member| member.bytes()).for_each(visit);
        }
        Ok(next.unwrap_or(0))
    }
}
