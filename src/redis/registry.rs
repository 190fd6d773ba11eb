//! Registering the commands, and the way from the server into one.

use std::ffi::{c_char, c_int, CString};
use std::ptr;

use redis_module::raw::{self, RedisModuleCommandArg, RedisModuleCommandInfo, RedisModuleCommandInfoVersion};
use redis_module::raw::{RedisModuleCommandKeySpec, RedisModuleCtx, RedisModuleString};
use tradebus_core::refusal::{Code, Outcome, Refusal};

use super::api::api;
use super::call::EBUSY;
use super::ctx::{Arguments, Ctx, Server};
use super::keyspace::Access;
use super::load::guarded;
use super::log::{c_string, warn};
use super::strings::OK;
use crate::commands::spec::{Arg, ArgKind, Spec, Speed};
use crate::info::counters;

/// A command: what it is for the server, and what it does.
pub trait Command {
    /// Name, syntax and documentation.
    const SPEC: Spec;

    /// Does it, and replies.
    ///
    /// # Errors
    /// The refusal to reply instead; nothing was replied or written before.
    fn run(ctx: &Ctx<'_>) -> Outcome<()>;
}

/// An entry of the table of commands.
pub struct Registration {
    spec: &'static Spec,
    entry: unsafe extern "C" fn(*mut RedisModuleCtx, *mut *mut RedisModuleString, c_int) -> c_int,
}

impl Registration {
    /// The command's name.
    pub fn name(&self) -> &'static str {
        self.spec.name
    }

    /// The entry of `C`.
    pub const fn of<C: Command>() -> Registration {
        Registration { spec: const { &C::SPEC }, entry: enter::<C> }
    }
}

/// Called by the server when a client sends the command.
unsafe extern "C" fn enter<C: Command>(
    ctx: *mut RedisModuleCtx,
    argv: *mut *mut RedisModuleString,
    argc: c_int,
) -> c_int {
    // SAFETY: the context of this very call.
    let Some(server) = (unsafe { Server::new(ctx) }) else {
        return OK;
    };
    let internal = || Err(Code::Err.because("tradebus: internal error, see the server's log"));
    let outcome = guarded(C::SPEC.name, None, || {
        // SAFETY: the arguments of this very call.
        let arguments = unsafe { Arguments::read(argv, argc) };
        let ctx = Ctx::new(server, arguments.as_slice());
        Some(ctx.check_database().and_then(|()| C::run(&ctx)))
    });
    if let Err(refusal) = outcome.unwrap_or_else(internal) {
        refuse(server, &refusal);
    }
    OK
}

#[cold]
fn refuse(server: Server<'_>, refusal: &Refusal) {
    counters().refused(refusal.code);
    server.reply_error(refusal);
}

/// Registers the table.
///
/// # Errors
/// What the server did not accept.
pub fn register(server: Server<'_>, commands: &[Registration]) -> Result<(), String> {
    let has_category = add_category(server);
    for command in commands {
        let spec = command.spec;
        let (name, flags) = (c_string(spec.name), c_string(&spec.flags()));
        let refused = |what: &str| Err(format!("the server did not accept {what} of {}", spec.name));
        let place = c_int::from(spec.has_key());
        // SAFETY: a live context; the texts are copied. The key, if there is one, is the first argument.
        let created = unsafe {
            let entry = Some(command.entry);
            (api().create_command)(server.as_ptr(), name.as_ptr(), entry, flags.as_ptr(), place, place, place)
        };
        if created != OK {
            return refused("the name or the flags");
        }
        // SAFETY: a live context; null when there is none of the name.
        let handle = unsafe { (api().get_command)(server.as_ptr(), name.as_ptr()) };
        if handle.is_null() || !describe(handle, spec) {
            return refused("the description");
        }
        if let Some(set_categories) = api().set_command_acl_categories {
            let categories = c_string(&spec.categories(has_category));
            // SAFETY: a command of ours; the text is copied.
            if unsafe { set_categories(handle, categories.as_ptr()) } != OK {
                return refused("the ACL categories");
            }
        }
    }
    Ok(())
}

/// Adds `@tradebus`, where modules can have categories (7.4). Whether it is there now.
fn add_category(server: Server<'_>) -> bool {
    let Some(add) = api().add_acl_category else {
        return false;
    };
    // SAFETY: a live context; the name is copied.
    if unsafe { add(server.as_ptr(), c"tradebus".as_ptr()) } == OK {
        return true;
    }
    // A category outlives its module, so one that is loaded again finds it.
    let error = std::io::Error::last_os_error();
    let is_there = error.raw_os_error() == Some(EBUSY);
    if !is_there {
        warn(&format!("the ACL category @tradebus was not added: {error}"));
    }
    is_there
}

/// Hands syntax and documentation over; the server copies all of it.
fn describe(command: *mut raw::RedisModuleCommand, spec: &Spec) -> bool {
    let version = RedisModuleCommandInfoVersion {
        version: 1,
        sizeof_historyentry: size_of::<raw::RedisModuleCommandHistoryEntry>(),
        sizeof_keyspec: size_of::<RedisModuleCommandKeySpec>(),
        sizeof_arg: size_of::<RedisModuleCommandArg>(),
    };
    let mut texts = Texts::default();
    let first = if spec.has_key() { symbol_spec(spec.access) } else { no_key_spec() };
    let mut key_specs = [first, no_key_spec()];
    let mut args = texts.args(spec.args);
    let info = RedisModuleCommandInfo {
        version: &version,
        summary: texts.keep(spec.summary),
        complexity: texts.keep(spec.complexity),
        since: texts.keep(spec.since),
        history: ptr::null_mut(),
        tips: match spec.tips {
            "" => ptr::null(),
            tips => texts.keep(tips),
        },
        arity: spec.arity,
        key_specs: key_specs.as_mut_ptr(),
        args: args.as_mut_ptr(),
    };
    // SAFETY: a command of ours; lists end in an entry of zeros, and everything lives until the call returns.
    unsafe { (api().set_command_info)(command, &info) == OK }
}

fn no_key_spec() -> RedisModuleCommandKeySpec {
    // SAFETY: a struct of numbers, unions of numbers and pointers that may be null; all zeros end a list.
    unsafe { std::mem::zeroed() }
}

fn symbol_spec(access: Access) -> RedisModuleCommandKeySpec {
    let flags = match access {
        Access::Read | Access::Publish => raw::REDISMODULE_CMD_KEY_RO | raw::REDISMODULE_CMD_KEY_ACCESS,
        Access::Write | Access::Relieve => {
            raw::REDISMODULE_CMD_KEY_RW | raw::REDISMODULE_CMD_KEY_ACCESS | raw::REDISMODULE_CMD_KEY_UPDATE
        }
    };
    let mut spec = no_key_spec();
    spec.flags = u64::from(flags);
    spec.begin_search_type = raw::RedisModuleKeySpecBeginSearchType_REDISMODULE_KSPEC_BS_INDEX;
    spec.bs.index.pos = 1;
    spec.find_keys_type = raw::RedisModuleKeySpecFindKeysType_REDISMODULE_KSPEC_FK_RANGE;
    spec.fk.range = raw::RedisModuleCommandKeySpec__bindgen_ty_2__bindgen_ty_1 { lastkey: 0, keystep: 1, limit: 0 };
    spec
}

/// What a description points to, until the server has copied it.
#[derive(Default)]
struct Texts {
    texts: Vec<CString>,
    lists: Vec<Vec<RedisModuleCommandArg>>,
}

impl Texts {
    fn keep(&mut self, text: &str) -> *const c_char {
        self.texts.push(c_string(text));
        self.texts[self.texts.len() - 1].as_ptr()
    }

    /// A list of arguments, ended by an entry of zeros.
    fn args(&mut self, args: &[Arg]) -> Vec<RedisModuleCommandArg> {
        let mut list: Vec<_> = args.iter().map(|arg| self.arg(arg)).collect();
        // SAFETY: numbers and pointers that may be null; all zeros end a list.
        list.push(unsafe { std::mem::zeroed() });
        list
    }

    fn arg(&mut self, arg: &Arg) -> RedisModuleCommandArg {
        let subargs = match arg.parts {
            [] => ptr::null_mut(),
            parts => {
                let mut list = self.args(parts);
                let start = list.as_mut_ptr();
                // Its memory stays where it is when the vector that owns it moves.
                self.lists.push(list);
                start
            }
        };
        let mut flags = raw::REDISMODULE_CMD_ARG_NONE;
        if arg.is_optional {
            flags |= raw::REDISMODULE_CMD_ARG_OPTIONAL;
        }
        if arg.is_multiple {
            flags |= raw::REDISMODULE_CMD_ARG_MULTIPLE;
        }
        if arg.is_token_repeated {
            flags |= raw::REDISMODULE_CMD_ARG_MULTIPLE_TOKEN;
        }
        RedisModuleCommandArg {
            name: self.keep(arg.name),
            type_: match arg.kind {
                ArgKind::Key => raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_KEY,
                ArgKind::Text => raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_STRING,
                ArgKind::Integer => raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_INTEGER,
                ArgKind::Flag => raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_PURE_TOKEN,
                ArgKind::Block => raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_BLOCK,
                ArgKind::OneOf => raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_ONEOF,
            },
            key_spec_index: match arg.kind {
                ArgKind::Key => 0,
                _ => -1,
            },
            token: arg.token.map_or(ptr::null(), |token| self.keep(token)),
            summary: ptr::null(),
            since: ptr::null(),
            flags: flags as c_int,
            deprecated_since: ptr::null(),
            subargs,
            display_text: ptr::null(),
        }
    }
}

impl Spec {
    /// Whether the first argument is a symbol or a stream.
    fn has_key(&self) -> bool {
        self.args.first().is_some_and(|arg| arg.kind == ArgKind::Key)
    }

    fn flags(&self) -> String {
        let access = match self.access {
            Access::Read => "readonly",
            // Without this flag a command that replicates while writes are paused aborts the server.
            Access::Publish => "readonly may-replicate",
            Access::Write => "write deny-oom",
            Access::Relieve => "write",
        };
        match self.speed {
            Speed::Constant => format!("{access} fast"),
            Speed::Slow => access.to_owned(),
        }
    }

    fn categories(&self, has_category: bool) -> String {
        let access = match self.access {
            Access::Read => "read",
            Access::Publish => "read pubsub",
            Access::Write | Access::Relieve => "write",
        };
        let speed = match self.speed {
            Speed::Constant => "fast",
            Speed::Slow => "slow",
        };
        let own = if has_category { " tradebus" } else { "" };
        format!("{access} {speed}{own}")
    }
}
