//! Loading the module, and the edge that no panic crosses.

use std::any::Any;
use std::ffi::{c_int, CString};
use std::panic::{self, AssertUnwindSafe};

use redis_module::raw::{self, RedisModuleCtx, RedisModuleString};

use super::api::{self, api};
use super::ctx::{Arguments, Server};
use super::effects::NEEDED_COMMANDS;
use super::log::{c_string, log, warn, Level};
use super::strings::{RString, OK};
use super::unload::give_back;
use super::{arrivals, config, cron, info, registry};
use crate::commands::COMMANDS;
use crate::config::Defaults;
use crate::info::counters;

const NAME: &std::ffi::CStr = c"tradebus";

/// `REDISMODULE_ERR` as callbacks return it.
const ERR: c_int = raw::REDISMODULE_ERR as c_int;

/// Announces to Valkey 9 that a slot may move while we run: everything we keep in a slot travels as effects.
/// The number is not in Redis' header, and other servers give it other meanings.
const VALKEY_OPTION_ATOMIC_SLOT_MIGRATION: c_int = 1 << 5;

/// The version as the server wants it: 1.2.3 is 10203.
const fn version() -> c_int {
    const fn parse(text: &str) -> c_int {
        let (digits, mut number, mut place) = (text.as_bytes(), 0, 0);
        while place < digits.len() && digits[place].is_ascii_digit() {
            number = number * 10 + (digits[place] - b'0') as c_int;
            place += 1;
        }
        number
    }
    parse(env!("CARGO_PKG_VERSION_MAJOR")) * 10_000
        + parse(env!("CARGO_PKG_VERSION_MINOR")) * 100
        + parse(env!("CARGO_PKG_VERSION_PATCH"))
}

/// Runs what the server has called. A panic is a defect of ours; it is logged, with its place by the hook,
/// and ends here, because unwinding into the server would abort it.
pub fn guarded<T>(what: &str, fallback: T, run: impl FnOnce() -> T) -> T {
    match panic::catch_unwind(AssertUnwindSafe(run)) {
        Ok(value) => value,
        Err(payload) => {
            warn(&format!("internal error in {what}"));
            // The payload's own drop may panic.
            drop_quietly(payload);
            fallback
        }
    }
}

fn drop_quietly(payload: Box<dyn Any + Send>) {
    if let Err(second) = panic::catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(second);
    }
}

/// The server's entry when it loads the module.
///
/// # Safety
/// Called by the server, with its context and the module's arguments.
#[no_mangle]
pub unsafe extern "C" fn RedisModule_OnLoad(
    ctx: *mut RedisModuleCtx,
    argv: *mut *mut RedisModuleString,
    argc: c_int,
) -> c_int {
    // Before this nothing may allocate: it brings the allocator.
    // SAFETY: the context of this very callback.
    if unsafe { raw::Export_RedisModule_Init(ctx, NAME.as_ptr(), version(), raw::REDISMODULE_APIVER_1 as c_int) } != OK
    {
        return ERR;
    }
    guarded("loading", ERR, || {
        panic::set_hook(Box::new(|place| warn(&format!("internal error: {place}"))));
        // SAFETY: the server's context and arguments, live during the callback.
        match unsafe { load(ctx, argv, argc) } {
            Ok(()) => OK,
            Err(reason) => {
                warn(&format!("not loaded: {reason}"));
                give_back();
                ERR
            }
        }
    })
}

/// # Safety
/// The context and arguments of a callback.
unsafe fn load(ctx: *mut RedisModuleCtx, argv: *mut *mut RedisModuleString, argc: c_int) -> Result<(), String> {
    api::resolve().map_err(|missing| format!("this server does not have {missing}; Redis 7.0 or newer is needed"))?;
    // SAFETY: the context of this very callback.
    let server = unsafe { Server::new(ctx) }.ok_or("no context")?;
    // SAFETY: the arguments of this very callback.
    let arguments = unsafe { Arguments::read(argv, argc) };
    let defaults = Defaults::from_arguments(arguments.as_slice())?;
    check_commands(server)?;
    counters().reset();
    server.remember_mode();
    set_options(server);
    registry::register(server, COMMANDS)?;
    config::register(server, &defaults)?;
    cron::register(server)?;
    arrivals::register(server)?;
    info::register(server);
    info::warn_of_eviction();
    log(Level::Notice, &format!("version {} is ready", env!("CARGO_PKG_VERSION")));
    Ok(())
}

/// Makes sure that every plain command is there under its name.
fn check_commands(server: Server<'_>) -> Result<(), String> {
    for command in NEEDED_COMMANDS {
        let arguments = [RString::new(b"INFO"), RString::new(command.as_bytes())];
        let reply = server.call(c"COMMAND", c"v", &arguments);
        let reply = reply.map_err(|error| format!("COMMAND INFO cannot be called ({error}); was it renamed?"))?;
        let is_there = reply.whole().elements().any(|entry| entry.is_array());
        if !is_there {
            return Err(format!("the command {command} does not exist on this server; was it renamed?"));
        }
    }
    Ok(())
}

fn set_options(server: Server<'_>) {
    // We say ourselves which keys have changed: a key opened for writing often has not. And while a replica loads beside
    // the data that it has, commands read the latter; what is remembered of it is forgotten when it is replaced.
    let mut options = (raw::REDISMODULE_OPTION_NO_IMPLICIT_SIGNAL_MODIFIED
        | raw::REDISMODULE_OPTIONS_HANDLE_REPL_ASYNC_LOAD) as c_int;
    if is_valkey() {
        options |= VALKEY_OPTION_ATOMIC_SLOT_MIGRATION;
    }
    // SAFETY: a live context.
    unsafe { (api().set_module_options)(server.as_ptr(), options) };
}

/// Valkey offers its API under a second prefix, and nothing else does.
pub fn is_valkey() -> bool {
    let name: CString = c_string("ValkeyModule_SetModuleOptions");
    let mut function: *mut std::ffi::c_void = std::ptr::null_mut();
    // SAFETY: the lookup writes a function pointer to the place it is given.
    unsafe { (api().get_api)(name.as_ptr(), std::ptr::addr_of_mut!(function).cast()) == OK && !function.is_null() }
}
