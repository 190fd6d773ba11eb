//! What replicas and the AOF get: plain commands that say what has changed, never the command that decided it.

use std::ffi::CStr;

use super::api::api;
use super::ctx::Server;
use super::log::warn;
use super::strings::{as_vector, RString, OK};

/// Every plain command that effects, and reads that decide, need. A replicated command that does not exist is
/// dropped without an error, so a server that has renamed one of them must not load the module at all.
pub const NEEDED_COMMANDS: &[&str] = &[
    "SET",
    "HSET",
    "HDEL",
    "HGETALL",
    "ZADD",
    "ZREM",
    "ZRANGE",
    "XADD",
    "XTRIM",
    "XDEL",
    "XINFO",
    "XGROUP",
    "XACK",
    "XCLAIM",
    "XPENDING",
    "PEXPIREAT",
    "PERSIST",
    "UNLINK",
    "EXISTS",
    "ZSCAN",
    "PUBLISH",
    "SPUBLISH",
];

/// Who gets an effect.
#[derive(Clone, Copy)]
pub enum Target {
    /// Replicas and the AOF.
    All,
    /// Replicas only: loading an AOF publishes nothing.
    Replicas,
}

impl Server<'_> {
    /// Queues a command for replicas and the AOF; all of one callback arrive as one transaction.
    pub fn replicate(self, command: &CStr, arguments: &[RString], target: Target) {
        let format = match target {
            Target::All => c"v",
            Target::Replicas => c"Av",
        };
        // SAFETY: a live context; the format announces one vector, which is given as pointer and length; the
        // server takes its own references to the strings.
        let result = unsafe {
            (api().replicate)(self.as_ptr(), command.as_ptr(), format.as_ptr(), as_vector(arguments), arguments.len())
        };
        if result != OK {
            // Looked up while loading, and commands cannot be renamed at run time.
            warn(&format!("{command:?} could not be replicated: the replicas may differ"));
        }
    }
}
