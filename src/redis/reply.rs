//! Replies to the client.

use std::ffi::{c_long, CString};

use tradebus_core::refusal::Refusal;
use tradebus_core::stream_id::StreamId;

use super::api::api;
use super::call::CallReply;
use super::ctx::{Ctx, Server};
use super::log::{c_string, one_line};

/// Error texts quote what the caller sent; a line of log or of `redis-cli` is long enough.
const ERROR_MAX: usize = 512;

impl Server<'_> {
    /// An error: the code and what was wrong, in one line.
    #[cold]
    pub fn reply_error(self, refusal: &Refusal) {
        let line = error_line(&refusal.to_string());
        // SAFETY: a live context; the server puts the text through `%s`.
        unsafe { (api().reply_with_error)(self.as_ptr(), line.as_ptr()) };
    }
}

impl Ctx<'_> {
    /// A string.
    pub fn reply_bulk(&self, text: &[u8]) {
        // SAFETY: a live context; the text is copied.
        unsafe { (api().reply_with_string_buffer)(self.server().as_ptr(), text.as_ptr().cast(), text.len()) };
    }

    /// The id of a log entry.
    pub fn reply_id(&self, id: StreamId) {
        let mut text = String::with_capacity(24);
        id.push_to(&mut text);
        self.reply_bulk(text.as_bytes());
    }

    /// A number.
    pub fn reply_integer(&self, number: i64) {
        // SAFETY: a live context.
        unsafe { (api().reply_with_long_long)(self.server().as_ptr(), number) };
    }

    /// Nothing.
    pub fn reply_null(&self) {
        // SAFETY: a live context.
        unsafe { (api().reply_with_null)(self.server().as_ptr()) };
    }

    /// `OK`.
    pub fn reply_ok(&self) {
        // SAFETY: a live context; the text is copied.
        unsafe { (api().reply_with_simple_string)(self.server().as_ptr(), c"OK".as_ptr()) };
    }

    /// The head of an array; its `len` elements follow.
    pub fn reply_array(&self, len: usize) {
        // SAFETY: a live context.
        unsafe { (api().reply_with_array)(self.server().as_ptr(), len as c_long) };
    }

    /// The head of a map, in RESP2 of a flat array; its `pairs` names and values follow in turn.
    pub fn reply_map(&self, pairs: usize) {
        // SAFETY: a live context.
        unsafe { (api().reply_with_map)(self.server().as_ptr(), pairs as c_long) };
    }

    /// The reply of a plain command, made in the client's protocol (modifier `0`).
    pub(super) fn reply_call(&self, reply: &CallReply<'_>) {
        // SAFETY: a live context and reply.
        unsafe { (api().reply_with_call_reply)(self.server().as_ptr(), reply.as_ptr()) };
    }
}

/// The text as it can stand on an error line: without what would end it early, and cut.
fn error_line(text: &str) -> CString {
    let mut end = text.len().min(ERROR_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    c_string(&one_line(&text[..end]))
}
