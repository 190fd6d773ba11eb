//! What conditions and candles read beside what events do: members of an index in their order, strings.

use std::ffi::c_int;
use std::ptr;

use redis_module::raw;
use tradebus_core::key::Key;
use tradebus_core::refusal::Outcome;
use tradebus_core::store::{Flow, MarketStore, Score, Slot};
use tradebus_core::stream_id::StreamId;

use super::api::api;
use super::keyspace::{Keyspace, OpenKey};
use super::strings::{RString, OK};

impl<'a> MarketStore<'a> for Keyspace<'a> {
    fn sorted_each(&self, slot: Slot, visit: &mut dyn FnMut(&[u8], i64) -> Flow) {
        let key = self.key(slot);
        let mut range = Range::start(&key, api().zset_first_in_score_range);
        while let Some((member, score)) = range.as_mut().and_then(Range::current) {
            let goes_on = visit(member.as_bytes(), score) == Flow::Continue;
            if !goes_on || !range.as_mut().is_some_and(Range::step) {
                return;
            }
        }
    }

    fn score(&self, slot: Slot, member: &str) -> Score {
        let key = self.key(slot);
        if !key.exists() {
            return Score::Absent;
        }
        let member = RString::new(member.as_bytes());
        let mut score = 0.0;
        // SAFETY: an open handle of a sorted set.
        if unsafe { (api().zset_score)(key.handle, member.as_ptr(), ptr::addr_of_mut!(score)) } != OK {
            return Score::Absent;
        }
        // A double holds every whole number that a time can be.
        let whole = score as i64;
        match whole as f64 == score {
            true => Score::Whole(whole),
            false => Score::Foreign,
        }
    }

    fn highest_score(&self, slot: Slot) -> Option<i64> {
        let key = self.key(slot);
        let mut range = Range::start(&key, api().zset_last_in_score_range);
        range.as_mut().and_then(Range::current).map(|(_, score)| score)
    }

    fn last_id_of(&self, stream: Key<'_>) -> Outcome<Option<StreamId>> {
        self.last_id_by_name(&RString::new(stream.name(self.scope()).as_bytes()))
    }

    fn string(&self, slot: Slot) -> Option<&'a [u8]> {
        let key = self.key(slot);
        if !key.exists() {
            return None;
        }
        let mut len = 0;
        // SAFETY: an open handle of a string. The bytes are live until the key is written, and copied before.
        let bytes = unsafe {
            let start = (api().string_dma)(key.handle, &mut len, raw::REDISMODULE_READ as c_int);
            if start.is_null() {
                return None;
            }
            std::slice::from_raw_parts(start.cast::<u8>(), len).to_vec()
        };
        Some(self.ctx.keep_buffer(bytes))
    }
}

type Start = unsafe extern "C" fn(*mut raw::RedisModuleKey, f64, f64, c_int, c_int) -> c_int;

/// An iteration over an open sorted set, of which a handle has one at a time.
struct Range<'k> {
    key: &'k OpenKey,
}

impl<'k> Range<'k> {
    /// Begins at one end; `None` when there is no set.
    fn start(key: &'k OpenKey, start: Start) -> Option<Range<'k>> {
        if !key.exists() {
            return None;
        }
        // SAFETY: an open handle of a sorted set; every score is in the range.
        let started = unsafe { start(key.handle, f64::NEG_INFINITY, f64::INFINITY, 0, 0) };
        (started == OK).then_some(Range { key })
    }

    /// The member at hand, and its score.
    fn current(&mut self) -> Option<(RString, i64)> {
        let mut score = 0.0;
        // SAFETY: a started iteration; null when it is over, else a string that is ours.
        let member = unsafe {
            RString::from_owned((api().zset_range_current_element)(self.key.handle, ptr::addr_of_mut!(score)))
        }?;
        // Ours are times, which a double holds; what another score is cut to matters to nobody.
        Some((member, score as i64))
    }

    /// On to the next; `false` at the end.
    fn step(&mut self) -> bool {
        // SAFETY: a started iteration.
        unsafe { (api().zset_range_next)(self.key.handle) != 0 }
    }
}

impl Drop for Range<'_> {
    fn drop(&mut self) {
        // SAFETY: a started iteration.
        unsafe { (api().zset_range_stop)(self.key.handle) };
    }
}
