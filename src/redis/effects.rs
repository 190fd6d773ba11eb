//! What replicas and the AOF get: plain commands that say what has changed, never the command that decided it.

use std::ffi::{c_int, CStr};
use std::ptr;

use redis_module::raw::RedisModuleString;

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

impl Target {
    /// The format that announces one vector.
    fn of_vector(self) -> &'static CStr {
        match self {
            Target::All => c"v",
            Target::Replicas => c"vA",
        }
    }

    /// The format that announces `words` strings, [`WORDS_MAX`] at most.
    fn of_words(self, words: usize) -> &'static CStr {
        let most = match self {
            Target::All => WORDS,
            Target::Replicas => WORDS_TO_REPLICAS,
        };
        let tail = &most.to_bytes_with_nul()[WORDS_MAX - words..];
        // SAFETY: the end of a C string, its null included.
        unsafe { CStr::from_bytes_with_nul_unchecked(tail) }
    }
}

const WORDS: &CStr = c"ssssssssssss";
const WORDS_TO_REPLICAS: &CStr = c"ssssssssssssA";

/// Most strings that are given one by one.
const WORDS_MAX: usize = WORDS.count_bytes();
const _: () = assert!(WORDS_TO_REPLICAS.count_bytes() == WORDS_MAX + 1);

impl Server<'_> {
    /// Queues a command for replicas and the AOF; all of one callback arrive as one transaction.
    pub fn replicate(self, command: &CStr, arguments: &[RString], target: Target) {
        let result = match arguments.len() {
            // The server takes its room from the format's length, so a vector makes it take room twice.
            ..=WORDS_MAX => self.replicate_words(command, arguments, target),
            // SAFETY: a live context; the format announces one vector, which is given as pointer and length; the
            // server takes its own references to the strings.
            len => unsafe {
                let format = target.of_vector().as_ptr();
                (api().replicate)(self.as_ptr(), command.as_ptr(), format, as_vector(arguments), len)
            },
        };
        if result != OK {
            // Looked up while loading, and commands cannot be renamed at run time.
            warn(&format!("{command:?} could not be replicated: the replicas may differ"));
        }
    }

    /// Nulls behind the last string are not looked at, so a shorter command needs no call of its own; there are two
    /// only because most are short.
    fn replicate_words(self, command: &CStr, arguments: &[RString], target: Target) -> c_int {
        const { assert!(WORDS_MAX == 12, "as many as the longer call below gives") };
        let format = target.of_words(arguments.len()).as_ptr();
        let word = |place: usize| arguments.get(place).map_or(ptr::null_mut::<RedisModuleString>(), RString::as_ptr);
        macro_rules! replicate {
            ($($place:literal)*) => {
                // SAFETY: a live context; a C string that announces as many strings as there are arguments, which
                // are the first of those given; the server takes its own references to them.
                unsafe { (api().replicate)(self.as_ptr(), command.as_ptr(), format, $( word($place), )*) }
            };
        }
        match arguments.len() {
            ..=4 => replicate!(0 1 2 3),
            _ => replicate!(0 1 2 3 4 5 6 7 8 9 10 11),
        }
    }
}
