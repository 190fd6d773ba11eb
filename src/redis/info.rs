//! `INFO tradebus`.

use std::ffi::{c_int, c_void, CStr};
use std::{ptr, slice};

use redis_module::raw::{
    RedisModuleConfigChange, RedisModuleCtx, RedisModuleEvent, RedisModuleInfoCtx, REDISMODULE_EVENT_CONFIG,
};

use super::api::api;
use super::ctx::Server;
use super::load::guarded;
use super::log::{c_string, warn};
use super::strings::{symbols_cached, OK};
use crate::info::counters;
use crate::{closing, engines, rebuilds, schemas};

/// Why eviction is a risk, and what to do about it.
const EVICTION_WARNING: &str =
    "keys of tradebus can be evicted and the state then no longer equals the log: set maxmemory-policy noeviction";

/// Adds the module's section to `INFO`, and has a change of settings told.
pub fn register(server: Server<'_>) {
    // SAFETY: a live context; the callback lives as long as the module.
    if unsafe { (api().register_info_func)(server.as_ptr(), Some(fill)) } != OK {
        warn("INFO tradebus is not available");
    }
    let changed = RedisModuleEvent { id: REDISMODULE_EVENT_CONFIG, dataver: 1 };
    // SAFETY: a live context; the server forgets the callback when it unloads the module. A server that does not tell
    // has the warning in INFO alone.
    let _ = unsafe { (api().subscribe_to_server_event)(server.as_ptr(), changed, Some(config_changed)) };
}

unsafe extern "C" fn config_changed(_ctx: *mut RedisModuleCtx, _event: RedisModuleEvent, _sub: u64, data: *mut c_void) {
    guarded("CONFIG SET", (), || {
        // SAFETY: what the server gives along with this event, names and all; it lives until the callback returns.
        let is_of_eviction = unsafe {
            let change = &*data.cast::<RedisModuleConfigChange>();
            let names = slice::from_raw_parts(change.config_names, change.num_changes as usize);
            names.iter().any(|name| CStr::from_ptr(*name) == c"maxmemory-policy")
        };
        if is_of_eviction {
            warn_of_eviction();
        }
    });
}

/// Says in the log, while loading and when the policy is changed, that eviction is a risk.
pub fn warn_of_eviction() {
    if let Some(policy) = evicting_policy() {
        warn(&format!("maxmemory-policy is {policy}: {EVICTION_WARNING}"));
    }
}

unsafe extern "C" fn fill(info: *mut RedisModuleInfoCtx, for_crash_report: c_int) {
    guarded("INFO", (), || {
        // SAFETY: the callback's own context; null stands for the section that bears the module's name.
        if unsafe { (api().info_add_section)(info, ptr::null()) } != OK {
            return;
        }
        let version = c_string(env!("CARGO_PKG_VERSION"));
        // SAFETY: the callback's own context; the texts are copied.
        unsafe { (api().info_add_field_cstring)(info, c"version".as_ptr(), version.as_ptr()) };
        if for_crash_report != 0 {
            // Any structure may be half changed, the heap too.
            // SAFETY: as above.
            unsafe { (api().info_add_field_u_long_long)(info, c"events_total".as_ptr(), counters().events_total()) };
            return;
        }
        let number = |name: &str, value: u64| {
            let name = c_string(name);
            // SAFETY: as above.
            unsafe { (api().info_add_field_u_long_long)(info, name.as_ptr(), value) };
        };
        counters().visit(number);
        number("symbols_cached", symbols_cached() as u64);
        number("rebuilds_running", rebuilds::count() as u64);
        let (schemas, bytes) = schemas::kept();
        number("schemas_cached", schemas as u64);
        number("schemas_cached_bytes", bytes as u64);
        let (engines, bytes) = engines::kept();
        number("engines_cached", engines as u64);
        number("engines_cached_bytes", bytes as u64);
        number("symbols_with_forming_bars", closing::waiting() as u64);
        let policy = evicting_policy();
        number("eviction_risk", u64::from(policy.is_some()));
        if policy.is_some() {
            let text = c_string(EVICTION_WARNING);
            // SAFETY: as above.
            unsafe { (api().info_add_field_cstring)(info, c"eviction_warning".as_ptr(), text.as_ptr()) };
        }
    });
}

/// The server's `maxmemory-policy`, when it is one that evicts.
fn evicting_policy() -> Option<String> {
    server_info(c"memory", c"maxmemory_policy").filter(|policy| policy != "noeviction")
}

impl Server<'_> {
    /// How many replicas keep up, as `min-replicas-max-lag` has it.
    pub(super) fn good_replicas(self) -> u64 {
        server_info(c"replication", c"min_slaves_good_slaves").and_then(|count| count.parse().ok()).unwrap_or(0)
    }
}

/// A field of the server's INFO.
fn server_info(section: &CStr, field: &CStr) -> Option<String> {
    // SAFETY: without a context the result is the caller's to free, which is done below.
    let info = unsafe { (api().get_server_info)(ptr::null_mut(), section.as_ptr()) };
    if info.is_null() {
        return None;
    }
    // SAFETY: a live result; the text is copied before it is freed.
    let text = unsafe {
        let text = (api().server_info_get_field_c)(info, field.as_ptr());
        (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned())
    };
    // SAFETY: made above, not used any more.
    unsafe { (api().free_server_info)(ptr::null_mut(), info) };
    text
}
