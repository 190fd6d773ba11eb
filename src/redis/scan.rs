//! Reading a hash in one pass.
//!
//! Redis keeps a small hash as a list, in which every lookup is a search from the front: a dozen of them costs
//! twice what one pass over all fields does.

use std::ffi::c_void;
use std::ptr::NonNull;

use redis_module::raw::{RedisModuleKey, RedisModuleScanCursor, RedisModuleString};

use super::api::api;
use super::ctx::Ctx;
use super::keyspace::OpenKey;
use super::load::guarded;
use super::strings::bytes_of;

/// A hash of more fields is not kept as a list under any usual setting.
const FIELDS_MAX: usize = 512;

/// What was read so far: names and values one behind the other, and where each one ends.
#[derive(Default)]
struct Collected {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

/// A cursor of the server.
struct Cursor(NonNull<RedisModuleScanCursor>);

impl Drop for Cursor {
    fn drop(&mut self) {
        // SAFETY: made by the server for us, and used nowhere else.
        unsafe { (api().scan_cursor_destroy)(self.0.as_ptr()) };
    }
}

/// Shows all fields of a hash that is kept as a list, those left out whose names are not UTF-8. `false` for another one:
/// the server then gives a part of it at each call.
pub fn small_hash<'a>(ctx: &'a Ctx<'_>, key: &OpenKey, visit: &mut dyn FnMut(&'a str, &'a [u8])) -> bool {
    let fields = match usize::try_from(key.len()) {
        Ok(fields @ 1..=FIELDS_MAX) => fields,
        _ => return false,
    };
    let mut collected = Collected { bytes: Vec::with_capacity(fields * 32), ends: Vec::with_capacity(fields * 2) };
    // SAFETY: no precondition.
    let Some(cursor) = NonNull::new(unsafe { (api().scan_cursor_create)() }).map(Cursor) else {
        return false;
    };
    // SAFETY: an open handle of a hash, a fresh cursor; the callback gets what it expects and nothing else
    // uses `collected` meanwhile.
    let has_more = unsafe {
        (api().scan_key)(key.handle, cursor.0.as_ptr(), Some(collect), (&raw mut collected).cast::<c_void>())
    };
    if has_more != 0 || collected.ends.len() != fields * 2 {
        return false;
    }
    let bytes = ctx.keep_buffer(collected.bytes);
    // As a rule all of it is text, which is found out faster at once than name by name.
    let text = std::str::from_utf8(bytes).ok();
    let mut start = 0;
    for ends in collected.ends.chunks_exact(2) {
        let (name, value) = (start..ends[0], &bytes[ends[0]..ends[1]]);
        start = ends[1];
        let name = match text {
            Some(text) => text.get(name),
            None => std::str::from_utf8(&bytes[name]).ok(),
        };
        if let Some(name) = name {
            visit(name, value);
        }
    }
    true
}

/// Shows every field of a hash of any size to `visit`; one may come twice, should the hash be rehashed meanwhile.
pub fn each_field(key: &OpenKey, visit: &mut dyn FnMut(&[u8], &[u8])) {
    // A null handle is a key that is open for reading and does not exist.
    if !key.exists() {
        return;
    }
    // SAFETY: no precondition.
    let Some(cursor) = NonNull::new(unsafe { (api().scan_cursor_create)() }).map(Cursor) else {
        return;
    };
    let mut visit = visit;
    let state = (&raw mut visit).cast::<c_void>();
    // SAFETY: an open handle of a hash, its cursor; the callback gets what it expects and nothing else uses `visit`
    // meanwhile.
    while unsafe { (api().scan_key)(key.handle, cursor.0.as_ptr(), Some(show), state) } != 0 {}
}

/// Called by the server for each field.
unsafe extern "C" fn show(
    _key: *mut RedisModuleKey,
    name: *mut RedisModuleString,
    value: *mut RedisModuleString,
    visit: *mut c_void,
) {
    guarded("a hash", (), || {
        if name.is_null() || value.is_null() {
            return;
        }
        // SAFETY: what `each_field` gave along; the strings live until this call returns.
        unsafe {
            let visit = &mut *visit.cast::<&mut dyn FnMut(&[u8], &[u8])>();
            visit(bytes_of(name), bytes_of(value));
        }
    });
}

/// Called by the server for each field.
unsafe extern "C" fn collect(
    _key: *mut RedisModuleKey,
    name: *mut RedisModuleString,
    value: *mut RedisModuleString,
    collected: *mut c_void,
) {
    guarded("a hash", (), || {
        if name.is_null() || value.is_null() {
            return;
        }
        // SAFETY: what `small_hash` gave along, used by nobody else until the scan ends.
        let collected = unsafe { &mut *collected.cast::<Collected>() };
        for string in [name, value] {
            // SAFETY: live until this call returns.
            collected.bytes.extend_from_slice(unsafe { bytes_of(string) });
            collected.ends.push(collected.bytes.len());
        }
    });
}
