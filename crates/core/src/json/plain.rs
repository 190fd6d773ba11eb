//! The part of a string that is the same in JSON and out of it.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Number of bytes before the first quote, backslash or control character: those that end a string, begin an
/// escape or must be written as one.
///
/// Eight bytes at a step without `memchr`: it looks for single bytes, not for the range of the control
/// characters, and the strings of an event are too short to earn back a call.
#[inline]
pub(super) fn plain_len(bytes: &[u8]) -> usize {
    let mut len = 0;
    while let Some(word) = bytes[len..].first_chunk() {
        let special = special_bytes(u64::from_le_bytes(*word));
        if special != 0 {
            return len + special.trailing_zeros() as usize / 8;
        }
        len += 8;
    }
    let is_plain = |&byte: &u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    let rest = &bytes[len..];
    len + rest.iter().position(|byte| !is_plain(byte)).unwrap_or(rest.len())
}

/// The high bit of each byte that is special. Exact up to the lowest such byte only: the subtractions borrow
/// from the bytes above one.
fn special_bytes(word: u64) -> u64 {
    let quote = (word ^ (ONES * b'"' as u64)).wrapping_sub(ONES);
    let backslash = (word ^ (ONES * b'\\' as u64)).wrapping_sub(ONES);
    let control = word.wrapping_sub(ONES * b' ' as u64);
    // Neither `"` nor `\` has its high bit set, so one mask of the word serves the three.
    (quote | backslash | control) & !word & HIGHS
}
