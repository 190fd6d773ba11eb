//! Keys that come to a cluster node with a slot. A slot that is moved key by key comes by RESTORE, and that is all that a
//! module hears of it: not when the slot went, nor what other nodes have done to it.

use std::ffi::{c_char, c_int, CStr};

use redis_module::raw::{self, RedisModuleCtx, RedisModuleString};
use tradebus_core::key::{Key, Scope};

use super::api::api;
use super::ctx::{Ctx, Server};
use super::keys::symbol_of;
use super::load::guarded;
use super::strings::{bytes_of, ScopeStrings, OK};
use crate::closing;

/// Has the server tell of keys that come.
///
/// # Errors
/// When it does not want to.
pub fn register(server: Server<'_>) -> Result<(), String> {
    // Elsewhere it would cost every order that closes a callback, for its `expire`.
    if !server.is_cluster() {
        return Ok(());
    }
    let class = raw::REDISMODULE_NOTIFY_GENERIC as c_int;
    // SAFETY: a live context; the server forgets the callback when it unloads the module.
    match unsafe { (api().subscribe_to_keyspace_events)(server.as_ptr(), class, Some(generic_event)) } {
        OK => Ok(()),
        _ => Err("the server did not accept a callback for keyspace events".to_owned()),
    }
}

/// Called by the server for every event of its class, our own among them.
unsafe extern "C" fn generic_event(
    ctx: *mut RedisModuleCtx,
    _class: c_int,
    event: *const c_char,
    key: *mut RedisModuleString,
) -> c_int {
    // SAFETY: the name of an event, live during the call.
    if unsafe { CStr::from_ptr(event) } == c"restore" {
        guarded("a restored key", (), || {
            // SAFETY: the context and the key of this very callback.
            let (server, name) = unsafe { (Server::new(ctx), bytes_of(key)) };
            if let Some(server) = server {
                arrived(server, name);
            }
        });
    }
    OK
}

fn arrived(server: Server<'_>, name: &[u8]) {
    if let Some(symbol) = symbol_of(Key::Last, name) {
        // What is remembered is of the time before the slot went. The log may end with the same entry still, and the
        // sums have been mended elsewhere.
        *ScopeStrings::of(Scope::Symbol(symbol)).journal.borrow_mut() = None;
    } else if server.may_write() {
        // On a replica, or while a file is loaded, it is for later: the survey finds it.
        if let Some(symbol) = symbol_of(Key::Forming, name) {
            closing::note_found(Ctx::new(server, &[]).database(), symbol, server.now());
        }
    }
}
