//! The configuration as the server sees it.

use std::ffi::{c_char, c_int, c_longlong, c_uint, c_void, CString};
use std::ptr;

use redis_module::raw::{self, RedisModuleString};

use super::api::api;
use super::cell::LockedCell;
use super::ctx::Server;
use super::load::guarded;
use super::log::c_string;
use super::strings::{bytes_of, RString, OK};
use crate::config::{parse_groups, Choice, Defaults, Number, Unit, ANY_DB, CHOICES, CONSUMER_GROUPS, NUMBERS};

/// `REDISMODULE_ERR` as callbacks return it.
const ERR: c_int = raw::REDISMODULE_ERR as c_int;

/// The consumer groups, as configured and one by one.
///
/// The server copies what its getter returns and never frees it, so a fresh string for every `CONFIG GET`
/// would leak: this one is kept and handed out each time.
struct Groups {
    text: Option<RString>,
    names: Vec<RString>,
}

static GROUPS: LockedCell<Groups> = LockedCell::new(Groups { text: None, names: Vec::new() });

/// The consumer groups that a new log gets.
pub fn consumer_groups() -> Vec<RString> {
    GROUPS.borrow().names.clone()
}

/// Registers everything and sets the values: those of `redis.conf` or `MODULE LOADEX` where there are any, else
/// `defaults`.
///
/// # Errors
/// What the server did not accept.
pub fn register(server: Server<'_>, defaults: &Defaults) -> Result<(), String> {
    for (number, &default) in NUMBERS.into_iter().zip(&defaults.numbers) {
        let name = c_string(number.name);
        let flags = match number.unit {
            Unit::Plain => raw::REDISMODULE_CONFIG_DEFAULT,
            Unit::Bytes => raw::REDISMODULE_CONFIG_MEMORY,
        };
        // SAFETY: a live context; name and bounds are copied, the private data is a static.
        let result = unsafe {
            (api().register_numeric_config)(
                server.as_ptr(),
                name.as_ptr(),
                default,
                flags,
                number.min,
                number.max,
                Some(get_number),
                Some(set_number),
                None,
                private(number),
            )
        };
        accepted(result, number.name)?;
    }
    for (choice, &default) in CHOICES.into_iter().zip(&defaults.choices) {
        let result = match std::ptr::eq(choice, &ANY_DB) {
            true => register_flag(server, choice, default),
            false => register_choice(server, choice, default),
        };
        accepted(result, choice.name)?;
    }
    let (name, groups) = (c_string(CONSUMER_GROUPS), c_string(&defaults.groups));
    // SAFETY: a live context; name and default are copied.
    let result = unsafe {
        (api().register_string_config)(
            server.as_ptr(),
            name.as_ptr(),
            groups.as_ptr(),
            raw::REDISMODULE_CONFIG_DEFAULT,
            Some(get_groups),
            Some(set_groups),
            None,
            ptr::null_mut(),
        )
    };
    accepted(result, CONSUMER_GROUPS)?;
    // SAFETY: a live context, after the last registration.
    match unsafe { (api().load_configs)(server.as_ptr()) } {
        OK => Ok(()),
        _ => Err("a configured value was refused, see the line above".to_owned()),
    }
}

fn register_flag(server: Server<'_>, choice: &'static Choice, default: usize) -> c_int {
    let name = c_string(choice.name);
    // SAFETY: a live context; the name is copied, the private data is a static.
    unsafe {
        (api().register_bool_config)(
            server.as_ptr(),
            name.as_ptr(),
            default as c_int,
            raw::REDISMODULE_CONFIG_DEFAULT,
            Some(get_choice),
            Some(set_choice),
            None,
            private(choice),
        )
    }
}

fn register_choice(server: Server<'_>, choice: &'static Choice, default: usize) -> c_int {
    let name = c_string(choice.name);
    let words: Vec<CString> = choice.words.iter().map(|word| c_string(word)).collect();
    let mut words: Vec<*const c_char> = words.iter().map(|word| word.as_ptr()).collect();
    let places: Vec<c_int> = (0..words.len() as c_int).collect();
    // SAFETY: a live context; name, words and places are copied, the private data is a static.
    unsafe {
        (api().register_enum_config)(
            server.as_ptr(),
            name.as_ptr(),
            default as c_int,
            raw::REDISMODULE_CONFIG_DEFAULT as c_uint,
            words.as_mut_ptr(),
            places.as_ptr(),
            places.len() as c_int,
            Some(get_choice),
            Some(set_choice),
            None,
            private(choice),
        )
    }
}

fn accepted(result: c_int, name: &str) -> Result<(), String> {
    match result {
        OK => Ok(()),
        _ => Err(format!("the server did not accept the configuration {name}")),
    }
}

fn private<T>(config: &'static T) -> *mut c_void {
    ptr::from_ref(config).cast_mut().cast()
}

/// Gives everything back to the server, before the module is unloaded.
pub fn clear() {
    *GROUPS.borrow() = Groups { text: None, names: Vec::new() };
}

unsafe extern "C" fn get_number(_name: *const c_char, config: *mut c_void) -> c_longlong {
    // SAFETY: the private data of a number is its static.
    let number = unsafe { &*config.cast::<Number>() };
    number.get()
}

unsafe extern "C" fn set_number(
    _name: *const c_char,
    value: c_longlong,
    config: *mut c_void,
    _error: *mut *mut RedisModuleString,
) -> c_int {
    // SAFETY: the private data of a number is its static. The server has checked the bounds.
    let number = unsafe { &*config.cast::<Number>() };
    number.set(value);
    OK
}

unsafe extern "C" fn get_choice(_name: *const c_char, config: *mut c_void) -> c_int {
    // SAFETY: the private data of a choice is its static.
    let choice = unsafe { &*config.cast::<Choice>() };
    choice.get() as c_int
}

unsafe extern "C" fn set_choice(
    _name: *const c_char,
    value: c_int,
    config: *mut c_void,
    _error: *mut *mut RedisModuleString,
) -> c_int {
    // SAFETY: the private data of a choice is its static. The server only has the places it was given.
    let choice = unsafe { &*config.cast::<Choice>() };
    choice.set(usize::try_from(value).unwrap_or(0));
    OK
}

unsafe extern "C" fn get_groups(_name: *const c_char, _config: *mut c_void) -> *mut RedisModuleString {
    guarded("CONFIG GET", ptr::null_mut(), || GROUPS.borrow().text.as_ref().map_or(ptr::null_mut(), RString::as_ptr))
}

unsafe extern "C" fn set_groups(
    _name: *const c_char,
    value: *mut RedisModuleString,
    _config: *mut c_void,
    error: *mut *mut RedisModuleString,
) -> c_int {
    guarded("CONFIG SET", ERR, || {
        // SAFETY: the server's argument, live during the call.
        let text = String::from_utf8_lossy(unsafe { bytes_of(value) });
        match parse_groups(&text) {
            Ok(names) => {
                let names = names.into_iter().map(|name| RString::new(name.as_bytes())).collect();
                *GROUPS.borrow() = Groups { text: Some(RString::new(text.as_bytes())), names };
                OK
            }
            Err(reason) => {
                let reason = RString::new(reason.as_bytes());
                // SAFETY: the place for an error text, whose reference goes over to the server.
                unsafe { error.write(reason.into_owned()) };
                ERR
            }
        }
    })
}
