//! The server's log.

use std::ffi::{CStr, CString};
use std::ptr;

use redis_module::raw;

/// How loud a line is.
#[derive(Clone, Copy, Debug)]
pub enum Level {
    Notice,
    Warning,
}

impl Level {
    const fn name(self) -> &'static CStr {
        match self {
            Level::Notice => c"notice",
            Level::Warning => c"warning",
        }
    }
}

/// Writes a line under the module's name. Does nothing before the API is there.
#[cold]
pub fn log(level: Level, text: &str) {
    // Read here and not from the table: this also has to tell why the table could not be made.
    // SAFETY: the pointer is written once, while loading.
    let Some(write) = (unsafe { raw::RedisModule_Log }) else {
        return;
    };
    let line = c_string(&one_line(text));
    // SAFETY: the text is an argument, never the format; a null context is allowed.
    unsafe { write(ptr::null_mut(), level.name().as_ptr(), c"%s".as_ptr(), line.as_ptr()) }
}

/// The text without control characters: it may quote names that somebody chose, and these must neither begin a line that
/// looks like one of the server's nor command the terminal that shows it.
#[cold]
pub fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// A warning.
#[cold]
pub fn warn(text: &str) {
    log(Level::Warning, text);
}

/// The text up to its first NUL, as C sees it, but with the rest kept visible.
pub fn c_string(text: &str) -> CString {
    CString::new(text).unwrap_or_else(|_| CString::new(text.replace('\0', "?")).unwrap_or_default())
}
