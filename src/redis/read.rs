//! Replying with what the keys of a symbol hold.

use std::ffi::CStr;

use tradebus_core::key::Key;
use tradebus_core::refusal::{Code, Outcome};
use tradebus_core::store::Store;
use tradebus_core::symbol::parse_id;

use super::call::CallReply;
use super::keyspace::Keyspace;
use super::strings::RString;

impl<'a> Keyspace<'a> {
    /// Replies with all fields of a hash as a map, or nil when the key does not exist.
    ///
    /// # Errors
    /// WRONGTYPE as [`Store::open`].
    pub fn reply_hash(&self, key: Key<'_>) -> Outcome<()> {
        match self.hash(key)? {
            Some(fields) => self.ctx.reply_call(&fields),
            None => self.ctx.reply_null(),
        }
        Ok(())
    }

    /// Replies with an array of the hashes whose ids are in an index, from rank `offset` on, by creation time.
    /// At most `count`, and none behind the one that brings the reply to `bytes_max`; without those that do
    /// not exist.
    ///
    /// # Errors
    /// WRONGTYPE as [`Store::open`], CORRUPT when a member is not an id.
    pub fn reply_index(
        &self,
        index: Key<'_>,
        offset: i64,
        count: i64,
        bytes_max: usize,
        key_of: impl for<'k> Fn(&'k str) -> Key<'k>,
    ) -> Outcome<()> {
        let slot = self.open(index)?;
        let index = self.key(slot).name;
        // A last rank of -1 would mean the end of the index, so nothing is asked for as nothing.
        let last = offset.saturating_add(count) - 1;
        let mut hashes = Vec::new();
        if count > 0 && self.exists(slot) {
            let arguments = [index.clone(), RString::from_number(offset), RString::from_number(last)];
            let members = self.plain(c"ZRANGE", c"v", &arguments)?;
            let mut bytes = 0;
            for member in members.whole().elements() {
                let member = member.bytes().unwrap_or_default();
                let id = parse_id("a member", member).map_err(|refusal| {
                    let index = String::from_utf8_lossy(index.as_bytes());
                    Code::Corrupt.because(format!("{index}: {}", refusal.text))
                })?;
                if let Some(fields) = self.hash(key_of(id))? {
                    bytes += fields.wire_len();
                    hashes.push(fields);
                }
                if bytes >= bytes_max {
                    break;
                }
            }
        }
        self.ctx.reply_array(hashes.len());
        for fields in &hashes {
            self.ctx.reply_call(fields);
        }
        Ok(())
    }

    /// All fields of a hash, in the client's protocol: a map, or in RESP2 a flat array.
    fn hash(&self, key: Key<'_>) -> Outcome<Option<CallReply<'a>>> {
        let slot = self.open(key)?;
        if !self.exists(slot) {
            return Ok(None);
        }
        self.plain(c"HGETALL", c"0v", &[self.key(slot).name]).map(Some)
    }

    /// Calls a plain command that only reads.
    pub(super) fn plain(&self, command: &CStr, modifiers: &CStr, arguments: &[RString]) -> Outcome<CallReply<'a>> {
        let reply = self.ctx.server().call(command, modifiers, arguments);
        let reply = reply.map_err(|error| Code::Err.because(format!("{command:?} cannot be called: {error}")))?;
        match reply.whole().is_error() {
            true => Err(Code::Err.because(String::from_utf8_lossy(reply.whole().bytes().unwrap_or_default()))),
            false => Ok(reply),
        }
    }
}
