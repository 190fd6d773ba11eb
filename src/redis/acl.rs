//! What the user behind a command may do, where the server cannot know it from the arguments.

use std::ffi::c_int;
use std::ptr::NonNull;

use redis_module::raw::{self, RedisModuleUser};
use tradebus_core::refusal::{quoted, Code, Outcome};

use super::api::api;
use super::call::EINVAL;
use super::ctx::{Ctx, Server};
use super::strings::{RString, OK};

/// On whose behalf a command runs.
pub struct Caller<'c> {
    server: Server<'c>,
    rights: Rights,
}

enum Rights {
    /// Nobody's: another module calls, for reasons of its own.
    All,
    /// Those of a user.
    Of(NonNull<RedisModuleUser>),
    /// The user is not known by its name any more.
    None,
}

impl Ctx<'_> {
    /// Who calls.
    pub fn caller(&self) -> Caller<'_> {
        let server = self.server();
        let rights = match user_name(server) {
            None => Rights::All,
            Some(name) => {
                // SAFETY: a live string; null when there is no such user.
                let user = unsafe { (api().get_module_user_from_user_name)(name.as_ptr()) };
                NonNull::new(user).map_or(Rights::None, Rights::Of)
            }
        };
        Caller { server, rights }
    }
}

/// The name of the user that the client of this call has.
fn user_name(server: Server<'_>) -> Option<RString> {
    // SAFETY: a live context; null for a client without a user, and for one that is not connected.
    let connected = unsafe {
        let id = (api().get_client_id)(server.as_ptr());
        RString::from_owned((api().get_client_user_name_by_id)(server.as_ptr(), id))
    };
    if connected.is_some() || !has_user(server) {
        return connected;
    }
    // SAFETY: a live context, the client of which has a user; the string is ours, automatic memory being off.
    unsafe { RString::from_owned((api().get_current_user_name)(server.as_ptr())) }
}

/// Whether the client of this call, which need not be a connected one (a script's is not), has a user. Asking for the
/// name of a user that is not there crashes most servers. A call in the user's name is refused for want of a user first,
/// and for its arity only then; so this one is always refused.
fn has_user(server: Server<'_>) -> bool {
    match server.call(c"PUBLISH", c"Cv", &[]) {
        Ok(_) => true,
        Err(error) => error.raw_os_error() == Some(EINVAL),
    }
}

impl Caller<'_> {
    /// Whether the caller may read a key.
    pub fn may_read(&self, key: &str) -> bool {
        self.may(|user| {
            let key = RString::new(key.as_bytes());
            // SAFETY: a live user and string.
            unsafe { (api().acl_check_key_permissions)(user, key.as_ptr(), raw::REDISMODULE_CMD_KEY_ACCESS as c_int) }
        })
    }

    /// Makes sure that the caller may publish on a channel. Who may not is in the ACL log then, as with PUBLISH.
    ///
    /// # Errors
    /// NOPERM.
    pub fn check_publish(&self, channel: &str) -> Outcome<()> {
        let name = RString::new(channel.as_bytes());
        let is_allowed = self.may(|user| {
            // SAFETY: a live user and string.
            unsafe {
                let publish = raw::REDISMODULE_CMD_CHANNEL_PUBLISH as c_int;
                (api().acl_check_channel_permissions)(user, name.as_ptr(), publish)
            }
        });
        if is_allowed {
            return Ok(());
        }
        if let Rights::Of(user) = self.rights {
            let reason = raw::RedisModuleACLLogEntryReason_REDISMODULE_ACL_LOG_CHANNEL;
            // SAFETY: a live context, user and string; the name is copied.
            unsafe { (api().acl_add_log_entry)(self.server.as_ptr(), user.as_ptr(), name.as_ptr(), reason) };
        }
        Err(Code::NoPerm.because(format!("this user has no permissions to publish on {}", quoted(channel.as_bytes()))))
    }

    fn may(&self, check: impl FnOnce(*mut RedisModuleUser) -> c_int) -> bool {
        match self.rights {
            Rights::All => true,
            Rights::Of(user) => check(user.as_ptr()) == OK,
            Rights::None => false,
        }
    }
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        if let Rights::Of(user) = self.rights {
            // SAFETY: ours, and freed only here; the user itself is the server's and stays.
            unsafe { (api().free_module_user)(user.as_ptr()) };
        }
    }
}
