//! The state of an evaluator as bytes.
//!
//! ```text
//! "TBE" version    4 bytes, the version is 1
//! bars             8 bytes, how many were taken in
//! last bar         8 bytes, its open time in milliseconds; 0 before the first
//! columns          5 pasts: open, high, low, close, volume
//! functions        4 bytes, how many; then each of them, in the order of their texts:
//!   text           2 bytes, its length; then the text, `bb(20, 2)`
//!   length         4 bytes, of what follows of this function, by which one that nobody needs is skipped
//!   indicator      as `Indicator::save` writes it
//!   lines          a past for each line of the function
//! checksum         8 bytes, XXH3 of all that stands before
//! ```
//!
//! A past is 2 bytes, how many readings, and the readings, the newest first: a byte 0 for none, 1 for a stand-in and
//! 2 for a value, and behind 1 and 2 the 8 bytes of the number's bits. All is little-endian.
//!
//! The bytes follow from the conditions and the bars, not from the order in which conditions came and went.

use xxhash_rust::xxh3::xxh3_64;

use super::past::Past;
use super::Evaluator;
use crate::time::Millis;

const HEAD: [u8; 4] = *b"TBE\x01";
const CHECKSUM_LEN: usize = 8;

impl Evaluator {
    /// Appends the state.
    pub fn save(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&HEAD);
        out.extend_from_slice(&self.bars.to_le_bytes());
        out.extend_from_slice(&self.last_bar.unwrap_or(0).to_le_bytes());
        self.columns.iter().for_each(|past| past.save(out));
        // The counts and lengths fit: an expression, and so a function's text, is shorter than 64 KiB, and a state
        // of 4 GiB fits nowhere.
        out.extend_from_slice(&(self.functions.count() as u32).to_le_bytes());
        for (text, function) in self.functions.by_text() {
            out.extend_from_slice(&(text.len() as u16).to_le_bytes());
            out.extend_from_slice(text.as_bytes());
            let length_at = out.len();
            out.extend_from_slice(&[0; 4]);
            function.save(out);
            let length = (out.len() - length_at - 4) as u32;
            out[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
        }
        let checksum = xxh3_64(&out[start..]);
        out.extend_from_slice(&checksum.to_le_bytes());
    }

    /// The most bytes that [`Evaluator::save`] appends for the functions of now, however many bars come.
    #[must_use]
    pub fn saved_len_max(&self) -> usize {
        let columns: usize = self.columns.iter().map(Past::saved_len_max).sum();
        let functions = self.functions.by_text().map(|(text, function)| 2 + text.len() + 4 + function.saved_len_max());
        HEAD.len() + 8 + 8 + columns + 4 + functions.sum::<usize>() + CHECKSUM_LEN
    }

    /// Goes back, or on, to a saved state. What is watched stays watched: a function that is not in the save has then
    /// seen no bar, and what nobody needs of the save is left out.
    ///
    /// `None` when the bytes are no state, or damaged; the evaluator has then taken in no bar.
    #[must_use]
    pub fn restore(&mut self, bytes: &[u8]) -> Option<()> {
        self.reset();
        let restored = self.load(bytes);
        if restored.is_none() {
            self.reset();
        }
        restored
    }

    fn load(&mut self, bytes: &[u8]) -> Option<()> {
        let (mut bytes, checksum) = bytes.split_last_chunk::<CHECKSUM_LEN>()?;
        if xxh3_64(bytes) != u64::from_le_bytes(*checksum) {
            return None;
        }
        let bytes = &mut bytes;
        if take(bytes)? != HEAD {
            return None;
        }
        self.bars = u64::from_le_bytes(take(bytes)?);
        let last_bar = Millis::from_le_bytes(take(bytes)?);
        self.last_bar = (self.bars > 0).then_some(last_bar);
        self.columns.iter_mut().try_for_each(|past| past.load(bytes))?;
        for _ in 0..u32::from_le_bytes(take(bytes)?) {
            let length = u16::from_le_bytes(take(bytes)?);
            let text = std::str::from_utf8(take_slice(bytes, usize::from(length))?).ok()?;
            let length = u32::from_le_bytes(take(bytes)?);
            let mut saved = take_slice(bytes, usize::try_from(length).ok()?)?;
            if let Some(function) = self.functions.named_mut(text) {
                function.load(&mut saved).filter(|()| saved.is_empty())?;
            }
        }
        bytes.is_empty().then_some(())
    }
}

/// Reads so many bytes off the front.
pub(super) fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*taken)
}

fn take_slice<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}
