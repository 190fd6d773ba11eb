//! What is done without a command: the server calls, ten times a second by default.

use std::ffi::c_void;

use redis_module::raw::{self, RedisModuleCtx, RedisModuleEvent};

use super::api::api;
use super::ctx::Server;
use super::load::guarded;
use super::strings::OK;
use crate::rebuilds;

const CRON: RedisModuleEvent = RedisModuleEvent { id: raw::REDISMODULE_EVENT_CRON_LOOP, dataver: 1 };

/// Has the server call.
///
/// # Errors
/// When it does not want to.
pub fn register(server: Server<'_>) -> Result<(), String> {
    // SAFETY: a live context; the server forgets the callback when it unloads the module.
    match unsafe { (api().subscribe_to_server_event)(server.as_ptr(), CRON, Some(run)) } {
        OK => Ok(()),
        _ => Err("the server did not accept a cron callback".to_owned()),
    }
}

unsafe extern "C" fn run(_ctx: *mut RedisModuleCtx, _event: RedisModuleEvent, _sub: u64, _data: *mut c_void) {
    guarded("cron", (), rebuilds::clean_up);
}
