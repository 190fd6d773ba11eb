//! A number that tells short texts apart.

/// The hash of a name of a field or a key, for tables in memory. Nothing stored depends on it. Names with one hash cost a
/// search of what the command has at hand, or a place in a cache, and never a wrong answer; so it needs no secret.
///
/// Most names of fields have less than 16 bytes, and so are wholly in their first and their last word: these take one
/// multiplication. What is between counts too: the keys of one kind differ only there.
#[inline]
pub fn hash(bytes: &[u8]) -> u64 {
    const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |word: u64| {
        let wide = u128::from(word) * u128::from(MULTIPLIER);
        (wide as u64) ^ (wide >> 64) as u64
    };
    let mut state = (bytes.len() as u64).wrapping_mul(MULTIPLIER);
    match (bytes.split_first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (Some((first, rest)), Some(last)) => {
            for word in rest.chunks_exact(8).filter_map(<[u8]>::first_chunk) {
                state = mix(state ^ u64::from_le_bytes(*word));
            }
            state ^= u64::from_le_bytes(*first) ^ u64::from_le_bytes(*last).rotate_left(29);
        }
        _ => state ^= short(bytes),
    }
    mix(state)
}

/// All bytes of a text of less than 8.
fn short(bytes: &[u8]) -> u64 {
    match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        (Some(&first), Some(&last)) => u64::from(u32::from_le_bytes(first)) << 32 | u64::from(u32::from_le_bytes(last)),
        _ => bytes.iter().fold(0, |all, &byte| all << 8 | u64::from(byte)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_byte_counts_and_so_does_the_length() {
        let mut hashes = HashSet::new();
        for len in 0..70 {
            let text = vec![b'a'; len];
            assert!(hashes.insert(hash(&text)), "{len}");
            for place in 0..len {
                let mut other = text.clone();
                other[place] = b'b';
                assert!(hashes.insert(hash(&other)), "{len} {place}");
            }
        }
    }

    #[test]
    fn both_ends_of_a_hash_tell_names_apart() {
        let names: Vec<String> = (0..64).map(|strike| format!("BTC-27DEC24-{strike}000-C")).collect();
        for bits in [|hash: u64| hash >> 57, |hash: u64| hash & 127] {
            let buckets: HashSet<u64> = names.iter().map(|name| bits(hash(name.as_bytes()))).collect();
            assert!(buckets.len() > 32, "{}", buckets.len());
        }
    }
}
