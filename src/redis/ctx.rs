//! One callback of the server: what it was called with and what it may ask.

use std::cell::RefCell;
use std::ffi::{c_int, CStr};
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};

use redis_module::raw::{self, RedisModuleCtx, RedisModuleString};
use tradebus_core::refusal::{Code, Outcome};
use tradebus_core::time::Millis;

use super::api::api;
use super::cell::LockedCell;
use super::strings::{bytes_of, RString};
use crate::config;

/// The server, for the time of one callback.
#[derive(Clone, Copy)]
pub struct Server<'c> {
    raw: NonNull<RedisModuleCtx>,
    callback: PhantomData<&'c ()>,
}

/// Whether the server is a cluster node: fixed for its life, and asked at every command.
static IS_CLUSTER: AtomicBool = AtomicBool::new(false);

impl<'c> Server<'c> {
    /// # Safety
    /// `raw` is the context of a callback that lasts for `'c`, or null.
    pub unsafe fn new(raw: *mut RedisModuleCtx) -> Option<Server<'c>> {
        NonNull::new(raw).map(|raw| Server { raw, callback: PhantomData })
    }

    pub fn as_ptr(self) -> *mut RedisModuleCtx {
        self.raw.as_ptr()
    }

    /// Looks once whether the server is a cluster node.
    pub fn remember_mode(self) {
        // SAFETY: a live context.
        let flags = unsafe { (api().get_context_flags)(self.as_ptr()) };
        IS_CLUSTER.store(flags & raw::REDISMODULE_CTX_FLAGS_CLUSTER as c_int != 0, Ordering::Relaxed);
    }

    /// Whether the server is a cluster node.
    pub fn is_cluster(self) -> bool {
        IS_CLUSTER.load(Ordering::Relaxed)
    }

    /// The server's time, Unix ms.
    pub fn now(self) -> Millis {
        // SAFETY: no argument, no precondition.
        unsafe { (api().milliseconds)() }
    }

    /// Emits a keyspace event, as the plain command that has the same effect does.
    pub fn notify(self, class: c_int, event: &CStr, key: &RString) {
        // SAFETY: a live context, event and key.
        unsafe { (api().notify_keyspace_event)(self.as_ptr(), class, event.as_ptr(), key.as_ptr()) };
    }

    /// Tells WATCH and client-side caching that a key has changed.
    pub fn signal_modified(self, key: &RString) {
        // SAFETY: a live context and key.
        unsafe { (api().signal_modified_key)(self.as_ptr(), key.as_ptr()) };
    }
}

/// One call of a command.
pub struct Ctx<'c> {
    server: Server<'c>,
    args: &'c [&'c [u8]],
    /// What was read from the keyspace: kept until the command ends, so that it can be borrowed.
    values: RefCell<Vec<RString>>,
    /// The same for what was copied out of it.
    buffers: RefCell<Vec<Vec<u8>>>,
}

/// The vector of the last command, for the next one.
static VALUES: LockedCell<Vec<RString>> = LockedCell::new(Vec::new());
/// A vector that grew beyond this is given back to the allocator.
const VALUES_KEPT: usize = 4_096;

impl<'c> Ctx<'c> {
    pub(super) fn new(server: Server<'c>, args: &'c [&'c [u8]]) -> Ctx<'c> {
        Ctx { server, args, values: RefCell::new(std::mem::take(&mut *VALUES.borrow())), buffers: RefCell::default() }
    }

    pub(super) fn server(&self) -> Server<'c> {
        self.server
    }

    /// The arguments, the command's name first.
    pub fn args(&self) -> &'c [&'c [u8]] {
        self.args
    }

    /// The server's time, Unix ms.
    pub fn now(&self) -> Millis {
        self.server.now()
    }

    /// Keeps a string until the command ends.
    pub(super) fn keep(&self, string: RString) -> &[u8] {
        let mut values = self.values.borrow_mut();
        // SAFETY: the string is live; its bytes do not move with the vector, nothing changes them, and it is
        // dropped with `self` at the earliest, because nothing is ever taken out of `values` before.
        let bytes = unsafe { bytes_of(string.as_ptr()) };
        values.push(string);
        bytes
    }

    /// The database that the client has selected.
    pub fn database(&self) -> c_int {
        // SAFETY: a live context.
        unsafe { (api().get_selected_db)(self.server.as_ptr()) }
    }

    /// Keeps a copy until the command ends.
    pub(super) fn keep_buffer(&self, buffer: Vec<u8>) -> &[u8] {
        // SAFETY: the bytes do not move with the vector, nothing changes them, and they are freed with `self`
        // at the earliest, because nothing is ever taken out of `buffers`.
        let bytes = unsafe { std::slice::from_raw_parts(buffer.as_ptr(), buffer.len()) };
        self.buffers.borrow_mut().push(buffer);
        bytes
    }

    /// Keys live in database 0 only, unless configured otherwise: channels do not know of databases, and two
    /// databases with one symbol would publish on the same ones.
    pub(super) fn check_database(&self) -> Outcome<()> {
        let database = self.database();
        if database == 0 || config::any_db() {
            return Ok(());
        }
        Err(Code::Err
            .because(format!("tradebus works in database 0 and this is {database}: SELECT 0 or set tradebus.any-db")))
    }
}

impl Drop for Ctx<'_> {
    fn drop(&mut self) {
        let values = self.values.get_mut();
        values.clear();
        if values.capacity() <= VALUES_KEPT {
            *VALUES.borrow() = std::mem::take(values);
        }
    }
}

/// The arguments of a command, as slices.
pub struct Arguments<'c> {
    inline: [&'c [u8]; INLINE_ARGUMENTS],
    spilled: Vec<&'c [u8]>,
    len: usize,
}

/// Enough for every command but a batch.
const INLINE_ARGUMENTS: usize = 16;

impl<'c> Arguments<'c> {
    /// # Safety
    /// `argv` holds `argc` strings that are live and unchanged for `'c`.
    pub unsafe fn read(argv: *mut *mut RedisModuleString, argc: c_int) -> Arguments<'c> {
        let len = usize::try_from(argc).unwrap_or(0);
        let mut arguments = Arguments { inline: [&[]; INLINE_ARGUMENTS], spilled: Vec::new(), len };
        // SAFETY: by the caller's promise.
        let read = |place: usize| unsafe { bytes_of(*argv.add(place)) };
        if len <= INLINE_ARGUMENTS {
            for (place, argument) in arguments.inline[..len].iter_mut().enumerate() {
                *argument = read(place);
            }
        } else {
            arguments.spilled.extend((0..len).map(read));
        }
        arguments
    }

    pub fn as_slice(&self) -> &[&'c [u8]] {
        if self.len <= INLINE_ARGUMENTS {
            &self.inline[..self.len]
        } else {
            &self.spilled
        }
    }
}

/// Gives everything back to the server, before the module is unloaded.
pub fn clear() {
    *VALUES.borrow() = Vec::new();
}
