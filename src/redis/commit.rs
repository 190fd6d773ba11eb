//! Carrying a plan out: the only place that writes to the keyspace.
//!
//! Every step writes through an open, type-checked handle, queues the same change as a plain command for
//! replicas and the AOF, tells WATCH and client-side caching, and emits the keyspace event that the plain
//! command would. Nothing here decides: what is refused was refused before the plan was made. A step that fails
//! all the same is logged and the rest goes on, since half a plan is worse than a plan without one step.

use std::ffi::{c_int, CStr};
use std::ptr;
use std::time::{Duration, Instant};

use redis_module::raw::{self, RedisModuleKey, RedisModuleStreamID, RedisModuleString};
use tradebus_core::plan::{Append, Expiry, Groups, HashPatch, IndexPatch, Message, Plan};
use tradebus_core::refusal::{Code, Outcome, Refusal};
use tradebus_core::settings::PubSub;
use tradebus_core::store::Slot;
use tradebus_core::stream_id::StreamId;

use super::api::api;
use super::cell::LockedCell;
use super::config::consumer_groups;
use super::effects::Target;
use super::keyspace::{Keyspace, OpenKey};
use super::log::warn;
use super::strings::{self, as_vector, RString, OK};

/// Why a plan was not carried out. Nothing was written.
#[derive(Debug)]
pub enum CommitError {
    /// The last id of the plan's first stream is this one, and not that of its newest entry, because newer entries
    /// were deleted: plan again with ids behind it.
    BehindLastId(StreamId),
    /// The log cannot take the entry.
    Refused(Refusal),
}

/// The vector of the last commit's arguments, for the next one.
static ARGUMENTS: LockedCell<Vec<RString>> = LockedCell::new(Vec::new());
/// A vector that grew beyond this is given back to the allocator.
const ARGUMENTS_KEPT: usize = 1_024;

/// Entries that one call of the server's trims at the least when there are so many too many, and nodes of streams are as
/// small as can be: it is a hundred times what a node may hold.
const TRIMMED_AT_LEAST: usize = 100;

/// How long a command goes on trimming a log that is far too long. One call of the server's is not interrupted: some
/// milliseconds with nodes as they are by default, and everything at once with `stream-node-max-entries 0`.
const TRIMMING_MAX: Duration = Duration::from_millis(3);

impl Keyspace<'_> {
    /// Carries the plan out and publishes its messages. The slots are those of this keyspace, which was opened
    /// for writing.
    ///
    /// Returns how many subscribers of this node each message reached.
    ///
    /// # Errors
    /// Only before the first write, see [`CommitError`].
    pub fn commit(&self, plan: &Plan<'_>, pubsub: PubSub) -> Result<Vec<u64>, CommitError> {
        let mut arguments = std::mem::take(&mut *ARGUMENTS.borrow());
        let done = self.carry_out(plan, pubsub, &mut arguments);
        arguments.clear();
        if arguments.capacity() <= ARGUMENTS_KEPT {
            *ARGUMENTS.borrow() = arguments;
        }
        done
    }

    /// Carries out a plan that adds to no stream and tells nobody.
    ///
    /// # Errors
    /// Never in practice: only appending can fail.
    pub fn write(&self, plan: &Plan<'_>) -> Outcome<()> {
        self.commit(plan, PubSub::Off).map(drop).map_err(|error| match error {
            CommitError::Refused(refusal) => refusal,
            CommitError::BehindLastId(_) => Code::Err.because("no log was to be written"),
        })
    }

    fn carry_out(
        &self,
        plan: &Plan<'_>,
        pubsub: PubSub,
        arguments: &mut Vec<RString>,
    ) -> Result<Vec<u64>, CommitError> {
        for (place, append) in plan.appends.iter().enumerate() {
            match self.append(&self.key(append.slot), append, arguments) {
                Err(error) if place == 0 => return Err(error),
                Err(error) => warn(&format!("a part of a plan was not carried out: {error:?}")),
                Ok(()) => {}
            }
        }
        for (slot, value) in &plan.strings {
            self.set_string(&self.key(*slot), value, arguments);
        }
        for patch in &plan.hashes {
            self.patch_hash(&self.key(patch.slot), patch, arguments);
        }
        for run in plan.indexes.chunk_by(|a, b| a.slot == b.slot && a.score.is_some() == b.score.is_some()) {
            self.patch_index(&self.key(run[0].slot), run, arguments);
        }
        for &(slot, expiry) in &plan.expiries {
            self.expire(&self.key(slot), expiry, arguments);
        }
        if !plan.unlinks.is_empty() {
            self.unlink(&plan.unlinks, arguments);
        }
        self.ctx.server().signal_modified(self.strings.name());
        Ok(self.publish(&plan.messages, pubsub, arguments))
    }

    /// Appends the entries, creates the configured groups on a new log, and trims.
    fn append(&self, log: &OpenKey, append: &Append<'_>, arguments: &mut Vec<RString>) -> Result<(), CommitError> {
        let server = self.ctx.server();
        let is_new = !log.exists();
        let mut id_text = String::with_capacity(24);
        for (place, entry) in append.entries.iter().enumerate() {
            start(arguments, log);
            id_text.clear();
            entry.id.push_to(&mut id_text);
            arguments.push(RString::new(id_text.as_bytes()));
            for (name, value) in &entry.fields {
                arguments.push(strings::name(name.as_bytes()));
                arguments.push(strings::value(value));
            }
            let mut id = RedisModuleStreamID { ms: entry.id.ms, seq: entry.id.seq };
            // SAFETY: an open handle, the id, and as many pairs as the entry has fields.
            let added = unsafe {
                (api().stream_add)(log.handle, 0, &mut id, as_vector(&arguments[2..]), entry.fields.len() as i64)
            };
            if added != OK {
                let refused = self.why_not_added(log, entry.id);
                if place == 0 {
                    return Err(refused);
                }
                warn(&format!("an entry was not added: {refused:?}"));
                continue;
            }
            server.replicate(c"XADD", arguments, Target::All);
            server.notify(raw::REDISMODULE_NOTIFY_STREAM, c"xadd", &log.name);
        }
        if is_new && append.groups == Groups::Configured {
            self.create_groups(log);
        }
        if let Some(replaced) = append.replaced {
            self.delete_entry(log, replaced);
        }
        self.trim(log, append, arguments);
        server.signal_modified(&log.name);
        Ok(())
    }

    #[cold]
    fn why_not_added(&self, log: &OpenKey, id: StreamId) -> CommitError {
        match self.last_id_of(log) {
            Some(last) if last >= id => CommitError::BehindLastId(last),
            _ => CommitError::Refused(Code::Err.because(format!(
                "{} cannot take an entry with the id {id}",
                String::from_utf8_lossy(log.name.as_bytes())
            ))),
        }
    }

    fn create_groups(&self, log: &OpenKey) {
        for group in consumer_groups() {
            let arguments = [RString::new(b"CREATE"), log.name.clone(), group, RString::from_number(0)];
            self.call_with_effect(c"XGROUP", &arguments);
        }
    }

    /// Calls a plain command, which replicates and notifies by itself.
    fn call_with_effect(&self, command: &CStr, arguments: &[RString]) {
        let done = self.ctx.server().call(command, c"!v", arguments);
        if done.is_err() || done.is_ok_and(|reply| reply.whole().is_error()) {
            let words: Vec<_> = arguments.iter().map(|word| String::from_utf8_lossy(word.as_bytes())).collect();
            warn(&format!("{command:?} {} was not done", words.join(" ")));
        }
    }

    /// Trims whole nodes, as `~` does, and tells the replicas the length that came of it: their nodes may be
    /// of another size.
    ///
    /// In as many calls as trim more than a command adds, and in more of them for a few milliseconds: a log gets shorter
    /// with every command, and one of millions whose limit was lowered is not freed in one go.
    fn trim(&self, log: &OpenKey, append: &Append<'_>, arguments: &mut Vec<RString>) {
        let approximately = raw::REDISMODULE_STREAM_TRIM_APPROX as c_int;
        let before = log.len();
        if let Some(max_len) = append.retention.max_len.filter(|&max_len| before > max_len) {
            // SAFETY: an open handle; above i64::MAX entries nothing is ever over the limit.
            let trim = || unsafe { (api().stream_trim_by_length)(log.handle, approximately, max_len as i64) };
            repeat(append.entries.len(), || trim() > 0 && log.len() > max_len);
        }
        if let Some(min_id) = append.retention.min_id {
            let mut min_id = RedisModuleStreamID { ms: min_id.ms, seq: min_id.seq };
            // SAFETY: an open handle and an id.
            let mut trim = || unsafe { (api().stream_trim_by_id)(log.handle, approximately, &mut min_id) };
            repeat(append.entries.len(), || trim() > 0);
        }
        if log.len() < before {
            start(arguments, log);
            arguments.push(strings::name(b"MAXLEN"));
            arguments.push(strings::name(b"="));
            arguments.push(RString::from_number(log.len() as i64));
            self.ctx.server().replicate(c"XTRIM", arguments, Target::All);
            self.ctx.server().notify(raw::REDISMODULE_NOTIFY_STREAM, c"xtrim", &log.name);
        }
    }

    /// The module API can delete an entry too, but does not tell the stream: the lag of groups would be wrong.
    fn delete_entry(&self, stream: &OpenKey, id: StreamId) {
        let arguments = [stream.name.clone(), RString::new(id.to_string().as_bytes())];
        self.call_with_effect(c"XDEL", &arguments);
    }

    fn set_string(&self, key: &OpenKey, value: &[u8], arguments: &mut Vec<RString>) {
        let server = self.ctx.server();
        start(arguments, key);
        // The server keeps this very string as the value, so it must be nobody else's.
        arguments.push(RString::new(value));
        // SAFETY: an open handle of a string or of no key, and a live string.
        if unsafe { (api().string_set)(key.handle, arguments[1].as_ptr()) } != OK {
            warn(&format!("{} was not set", String::from_utf8_lossy(key.name.as_bytes())));
            return;
        }
        server.replicate(c"SET", arguments, Target::All);
        server.signal_modified(&key.name);
        server.notify(raw::REDISMODULE_NOTIFY_STRING, c"set", &key.name);
    }

    fn patch_hash(&self, key: &OpenKey, patch: &HashPatch<'_>, arguments: &mut Vec<RString>) {
        let server = self.ctx.server();
        if !patch.set.is_empty() {
            start(arguments, key);
            for (name, value) in &patch.set {
                arguments.push(strings::name(name.as_bytes()));
                arguments.push(strings::value(value));
            }
            for batch in arguments[1..].chunks(2 * HASH_SET_BATCH) {
                // SAFETY: an open handle of a hash or of no key.
                unsafe { hash_set_batch(key.handle, batch) };
            }
            server.replicate(c"HSET", arguments, Target::All);
            server.signal_modified(&key.name);
            server.notify(raw::REDISMODULE_NOTIFY_HASH, c"hset", &key.name);
        }
        if !patch.delete.is_empty() {
            start(arguments, key);
            for name in &patch.delete {
                let name = strings::name(name.as_bytes());
                // SAFETY: as above; the pointer 1 is what the API defines for deleting.
                unsafe {
                    (api().hash_set)(
                        key.handle,
                        raw::REDISMODULE_HASH_NONE as c_int,
                        name.as_ptr(),
                        ptr::null_mut::<RedisModuleString>().wrapping_byte_add(1),
                        ptr::null_mut::<RedisModuleString>(),
                    )
                };
                arguments.push(name);
            }
            server.replicate(c"HDEL", arguments, Target::All);
            server.signal_modified(&key.name);
            server.notify(raw::REDISMODULE_NOTIFY_HASH, c"hdel", &key.name);
            self.notify_if_emptied(key);
        }
    }

    /// Changes the membership of some ids, all in or all out.
    fn patch_index(&self, key: &OpenKey, patches: &[IndexPatch], arguments: &mut Vec<RString>) {
        let server = self.ctx.server();
        let mut is_added = false;
        start(arguments, key);
        for patch in patches {
            let member = RString::new(&patch.member);
            match patch.score {
                Some(score) => {
                    is_added = true;
                    // SAFETY: an open handle of a sorted set or of no key; no flags.
                    unsafe { (api().zset_add)(key.handle, score as f64, member.as_ptr(), ptr::null_mut()) };
                    arguments.push(RString::from_number(score));
                    arguments.push(member);
                }
                None => {
                    let mut deleted = 0;
                    // SAFETY: as above.
                    unsafe { (api().zset_rem)(key.handle, member.as_ptr(), &mut deleted) };
                    if deleted != 0 {
                        arguments.push(member);
                    }
                }
            }
        }
        if arguments.len() == 1 {
            return;
        }
        let (command, event) = if is_added { (c"ZADD", c"zadd") } else { (c"ZREM", c"zrem") };
        server.replicate(command, arguments, Target::All);
        server.signal_modified(&key.name);
        server.notify(raw::REDISMODULE_NOTIFY_ZSET, event, &key.name);
        self.notify_if_emptied(key);
    }

    fn expire(&self, key: &OpenKey, expiry: Expiry, arguments: &mut Vec<RString>) {
        let server = self.ctx.server();
        let no_expire = i64::from(raw::REDISMODULE_NO_EXPIRE);
        start(arguments, key);
        let (at, command, event) = match expiry {
            Expiry::At(at) => {
                arguments.push(RString::from_number(at));
                (at, c"PEXPIREAT", c"expire")
            }
            // SAFETY: an open handle.
            Expiry::Never if unsafe { (api().get_abs_expire)(key.handle) } == no_expire => return,
            Expiry::Never => (no_expire, c"PERSIST", c"persist"),
        };
        // SAFETY: an open handle.
        if unsafe { (api().set_abs_expire)(key.handle, at) } != OK {
            warn(&format!("{} was not given its expiry", String::from_utf8_lossy(key.name.as_bytes())));
            return;
        }
        server.replicate(command, arguments, Target::All);
        server.signal_modified(&key.name);
        server.notify(raw::REDISMODULE_NOTIFY_GENERIC, event, &key.name);
    }

    fn unlink(&self, slots: &[Slot], arguments: &mut Vec<RString>) {
        let server = self.ctx.server();
        arguments.clear();
        for &slot in slots {
            let key = self.key(slot);
            // SAFETY: an open handle; it stays usable, for a key that does not exist.
            if key.exists() && unsafe { (api().unlink_key)(key.handle) } == OK {
                server.signal_modified(&key.name);
                server.notify(raw::REDISMODULE_NOTIFY_GENERIC, c"del", &key.name);
                arguments.push(key.name);
            }
        }
        if !arguments.is_empty() {
            server.replicate(c"UNLINK", arguments, Target::All);
        }
    }

    /// Publishes, behind the state that the messages speak of.
    fn publish(&self, messages: &[Message<'_>], pubsub: PubSub, arguments: &mut Vec<RString>) -> Vec<u64> {
        let (server, scope) = (self.ctx.server(), self.scope());
        let publish = |message: &Message<'_>| {
            let channel = match pubsub {
                PubSub::Off => return 0,
                PubSub::Classic => self.strings.classic_channel(scope, &message.topic),
                PubSub::Sharded => self.strings.sharded_channel(scope, &message.topic),
            };
            server.publish(pubsub, channel, &message.body, arguments)
        };
        messages.iter().map(publish).collect()
    }

    /// The API deletes a hash or a sorted set with its last element.
    fn notify_if_emptied(&self, key: &OpenKey) {
        if !key.exists() {
            self.ctx.server().notify(raw::REDISMODULE_NOTIFY_GENERIC, c"del", &key.name);
        }
    }
}

/// Trims until nothing is left to `trim`, or the time is over and more was trimmed than a command of `added` entries adds.
fn repeat(added: usize, mut trim: impl FnMut() -> bool) {
    let calls_min = added / TRIMMED_AT_LEAST + 1;
    let mut begun = None;
    for call in 1.. {
        if !trim() {
            return;
        }
        // Most commands trim nothing, or once: they need no clock.
        let begun = *begun.get_or_insert_with(Instant::now);
        if call >= calls_min && begun.elapsed() >= TRIMMING_MAX {
            return;
        }
    }
}

/// A new vector of arguments, which begins with the key.
fn start(arguments: &mut Vec<RString>, key: &OpenKey) {
    arguments.clear();
    arguments.push(key.name.clone());
}

/// Fields in one variadic call.
const HASH_SET_BATCH: usize = 16;

/// Sets fields of a hash. The call ends at the first null name, so a shorter batch needs no call of its own;
/// there are two only because most patches are short.
///
/// # Safety
/// `handle` is open for writing, and a hash or no key yet; `pairs` are names and values in turn.
unsafe fn hash_set_batch(handle: *mut RedisModuleKey, pairs: &[RString]) {
    let at = |place: usize| pairs.get(place).map_or(ptr::null_mut(), RString::as_ptr);
    let none = raw::REDISMODULE_HASH_NONE as c_int;
    macro_rules! set {
        ($($place:literal)*) => {
            // SAFETY: pairs of live strings, ended by a null of a pointer's size; the values are copied.
            unsafe {
                (api().hash_set)(handle, none, $( at(2 * $place), at(2 * $place + 1), )* ptr::null_mut::<RedisModuleString>())
            }
        };
    }
    match pairs.len() {
        ..=8 => set!(0 1 2 3),
        _ => set!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15),
    };
}

/// Gives everything back to the server, before the module is unloaded.
pub fn clear() {
    *ARGUMENTS.borrow() = Vec::new();
}
