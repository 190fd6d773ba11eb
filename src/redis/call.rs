//! Calling plain commands. The publish path does without, except to make sure of a cluster slot.

use std::ffi::{c_int, CStr};
use std::io;
use std::marker::PhantomData;
use std::ptr::NonNull;

use redis_module::raw::{self, RedisModuleCallReply};

use super::api::api;
use super::ctx::Server;
use super::strings::{as_vector, RString};

/// The reply of a plain command.
pub struct CallReply<'c> {
    raw: NonNull<RedisModuleCallReply>,
    callback: PhantomData<&'c ()>,
}

/// A part of a reply.
#[derive(Clone, Copy)]
pub struct ReplyPart<'r> {
    raw: *mut RedisModuleCallReply,
    reply: PhantomData<&'r ()>,
}

impl<'c> Server<'c> {
    /// Calls a command; `modifiers` end in `v`, which stands for the arguments.
    ///
    /// # Errors
    /// What `errno` says when the command could not be called: unknown, of the wrong arity, or not for this
    /// node of a cluster (`EPERM`).
    pub fn call(self, command: &CStr, modifiers: &CStr, arguments: &[RString]) -> io::Result<CallReply<'c>> {
        // SAFETY: a live context; the format announces one vector, which is given as pointer and length.
        let reply = unsafe {
            (api().call)(self.as_ptr(), command.as_ptr(), modifiers.as_ptr(), as_vector(arguments), arguments.len())
        };
        let raw = NonNull::new(reply).ok_or_else(io::Error::last_os_error)?;
        Ok(CallReply { raw, callback: PhantomData })
    }
}

impl CallReply<'_> {
    pub fn as_ptr(&self) -> *mut RedisModuleCallReply {
        self.raw.as_ptr()
    }

    /// The whole reply.
    pub fn whole(&self) -> ReplyPart<'_> {
        ReplyPart { raw: self.as_ptr(), reply: PhantomData }
    }

    /// The reply's size on the wire, in bytes.
    pub fn wire_len(&self) -> usize {
        let mut len = 0;
        // SAFETY: a live reply.
        unsafe { (api().call_reply_proto)(self.as_ptr(), &mut len) };
        len
    }
}

impl Drop for CallReply<'_> {
    fn drop(&mut self) {
        // SAFETY: owned, and freed before the callback ends.
        unsafe { (api().free_call_reply)(self.as_ptr()) };
    }
}

impl<'r> ReplyPart<'r> {
    fn kind(self) -> isize {
        // SAFETY: a live reply; parts live as long as the whole.
        unsafe { (api().call_reply_type)(self.raw) as isize }
    }

    pub fn is_error(self) -> bool {
        self.kind() == raw::REDISMODULE_REPLY_ERROR
    }

    pub fn is_array(self) -> bool {
        self.kind() == raw::REDISMODULE_REPLY_ARRAY
    }

    /// The elements of an array.
    pub fn elements(self) -> impl Iterator<Item = ReplyPart<'r>> {
        let len = match self.is_array() {
            // SAFETY: a live array.
            true => unsafe { (api().call_reply_length)(self.raw) },
            false => 0,
        };
        (0..len).map(move |place| ReplyPart {
            // SAFETY: a live array, within its length.
            raw: unsafe { (api().call_reply_array_element)(self.raw, place) },
            reply: PhantomData,
        })
    }

    pub fn as_ptr(self) -> *mut RedisModuleCallReply {
        self.raw
    }

    /// An integer.
    pub fn integer(self) -> Option<i64> {
        // SAFETY: a live reply of the kind that is a number.
        (self.kind() == raw::REDISMODULE_REPLY_INTEGER).then(|| unsafe { (api().call_reply_integer)(self.raw) })
    }

    /// The text of a string or an error.
    pub fn bytes(self) -> Option<&'r [u8]> {
        if !matches!(self.kind(), raw::REDISMODULE_REPLY_STRING | raw::REDISMODULE_REPLY_ERROR) {
            return None;
        }
        let mut len = 0;
        // SAFETY: a live reply of the kind that has a text; the text lives as long as the whole reply.
        unsafe {
            let start = (api().call_reply_string_ptr)(self.raw, &mut len);
            (!start.is_null()).then(|| std::slice::from_raw_parts(start.cast(), len))
        }
    }
}

/// The command is not allowed here; the number is the same on every system the server runs on.
pub const EPERM: c_int = 1;
/// The arguments do not fit; the number is the same on every system the server runs on.
pub const EINVAL: c_int = 22;
/// It is taken already; the number is the same on every system the server runs on.
pub const EBUSY: c_int = 16;
