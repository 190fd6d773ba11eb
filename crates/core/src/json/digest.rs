//! The digest's construction: a tree of 64-bit hashes.
//!
//! Digests are stored and compared across versions and machines: what is here may not change, and is made of
//! little-endian bytes everywhere.
//!
//! A type's tag is applied to the hash, not given to XXH3 as its seed: with texts of up to three bytes the seed
//! and the text are only XORed, so with seeds that are near each other the number `1` would have the hash of
//! some string of one byte.

use xxhash_rust::xxh3::xxh3_64;

use super::Value;

// Arbitrary: the first bits of the fraction of pi.
const NULL: u64 = 0x243f_6a88_85a3_08d3;
const FALSE: u64 = 0x1319_8a2e_0370_7344;
const TRUE: u64 = 0xa409_3822_299f_31d0;
const NUMBER: u64 = 0x082e_fa98_ec4e_6c89;
const STRING: u64 = 0x4528_21e6_38d0_1377;
const ARRAY: u64 = 0xbe54_66cf_34e9_0c6c;
const OBJECT: u64 = 0xc0ac_29b7_c97c_50dd;

/// A member's name. Only ever used as a name, so it needs no tag.
#[inline]
pub(super) fn name(text: &str) -> u64 {
    xxh3_64(text.as_bytes())
}

/// A value: a number by its text, a string by its content.
#[inline]
pub(super) fn value(value: &Value<'_>) -> u64 {
    match value {
        Value::Null => NULL,
        Value::Bool(false) => FALSE,
        Value::Bool(true) => TRUE,
        Value::Number(text) => xxh3_64(text.as_bytes()) ^ NUMBER,
        Value::String(text) => xxh3_64(text.as_bytes()) ^ STRING,
        Value::Nested { digest, .. } => *digest,
    }
}

/// An array, from the hashes of its elements, in their order.
#[derive(Default)]
pub(super) struct Array(u64);

impl Array {
    pub(super) fn push(&mut self, value: u64) {
        self.0 = fold([self.0, value]);
    }

    pub(super) fn finish(self) -> u64 {
        self.0 ^ ARRAY
    }
}

/// An object, from its (name, value) hashes in an order that depends on the names only.
pub(super) fn object(members: impl Iterator<Item = (u64, u64)>) -> u64 {
    members.fold(0, |state, (name, value)| fold([state, name, value])) ^ OBJECT
}

/// One step of a chain. Chains of different lengths need no count at their end: they start from the same
/// state, so one is equal to a part of another only if a step's hash happens to be that state.
#[inline]
fn fold<const N: usize>(words: [u64; N]) -> u64 {
    let mut bytes = [[0; 8]; N];
    for (word, bytes) in words.into_iter().zip(&mut bytes) {
        *bytes = word.to_le_bytes();
    }
    xxh3_64(bytes.as_flattened())
}
