//! Which event ids are remembered, and where.
//!
//! Records live in hashes, `trade:{S}:seen:<n>`: a record in a shared hash costs two thirds of a key of its
//! own. The hashes come in generations. One generation takes the new ids until it is as old as the window, or
//! full; one that was closed longer than a window ago is dropped whole. A lookup asks the living generations,
//! as a rule two.
//!
//! A busy generation is spread over `SHARDS` buckets, because Redis may free an expired hash in one go and
//! a single one of a million ids would stop the server for a third of a second. A quiet one has a single bucket.
//!
//! Redis keeps a hash of up to 512 short fields as a list, which is searched from the front: to look for an id in a long
//! one and to add it takes nearly as much as the rest of a publish. One value longer than a list may hold makes it a
//! table, so one record of a bucket is made that long (see [`Width`]).

use std::fmt::Write;

use crate::refusal::Outcome;
use crate::time::Millis;
use xxhash_rust::xxh3::xxh3_64;

/// Buckets of a busy generation.
const SHARDS: u64 = 16;

/// Ids in one bucket: about 10 ms to free.
const BUCKET_MAX: u64 = 32_768;

/// Ids up to which a bucket stays a list: that takes half the memory, and is searched about as fast as a table.
const LISTED_MAX: u64 = 32;

/// Digits of a digest in a record that Redis keeps in no list: `hash-max-listpack-value` is 64 by default. Where it is
/// more, buckets stay lists for longer, which costs time and nothing else.
const WIDE_DIGITS: usize = 65;

/// Generations that live at the same time at most.
const GENERATIONS: usize = 4;

/// Ids taken in within a short time, in buckets of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Generation {
    /// The number of its first bucket.
    first: u64,
    /// How many buckets it has: 1 or [`SHARDS`].
    shards: u64,
    /// When it took its first id.
    started: Millis,
    /// For how long its ids are remembered: what was configured when it began.
    window: u64,
}

impl Generation {
    /// The bucket of an id.
    pub fn bucket(&self, event_id: &str) -> u64 {
        self.first + xxh3_64(event_id.as_bytes()) % self.shards.max(1)
    }

    /// All its buckets.
    pub fn buckets(&self) -> std::ops::Range<u64> {
        self.first..self.first.saturating_add(self.shards)
    }

    /// When the last of its ids may be forgotten: it took none after its own window.
    pub fn expires_at(&self) -> Millis {
        self.started.saturating_add_unsigned(self.window.saturating_mul(2))
    }
}

/// The living generations of a symbol, oldest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Generations {
    list: [Generation; GENERATIONS],
    len: usize,
}

impl Generations {
    /// Reads what [`Generations::to_text`] wrote.
    pub fn from_text(text: &str) -> Option<Generations> {
        let mut generations = Generations::default();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let mut numbers = part.split(':');
            let generation = Generation {
                first: numbers.next()?.parse().ok()?,
                shards: numbers.next()?.parse().ok().filter(|shards| (1..=SHARDS).contains(shards))?,
                started: numbers.next()?.parse().ok()?,
                window: numbers.next()?.parse().ok()?,
            };
            let ends = generation.first.checked_add(generation.shards);
            if ends.is_none() || numbers.next().is_some() || generations.len == GENERATIONS {
                return None;
            }
            generations.list[generations.len] = generation;
            generations.len += 1;
        }
        Some(generations)
    }

    /// The text form, `<first bucket>:<buckets>:<started>:<window>,...`.
    pub fn to_text(self) -> String {
        let mut text = String::new();
        for generation in self.oldest_first() {
            let comma = if text.is_empty() { "" } else { "," };
            // Writing to a String cannot fail.
            let Generation { first, shards, started, window } = generation;
            let _ = write!(text, "{comma}{first}:{shards}:{started}:{window}");
        }
        text
    }

    /// The generations, oldest first.
    pub fn oldest_first(&self) -> &[Generation] {
        &self.list[..self.len]
    }

    /// Those that may hold an id that is not forgotten at `now`, newest first: most repeats come soon.
    pub fn living(&self, now: Millis) -> impl Iterator<Item = Generation> + '_ {
        self.oldest_first().iter().rev().copied().filter(move |generation| generation.expires_at() > now)
    }

    /// Makes sure that there is a generation that takes ids at `now`; `filled` tells how many ids a bucket
    /// holds. One generation takes half of `max_ids` at most. Gives the generation and those to drop.
    ///
    /// # Errors
    /// What `filled` says.
    pub fn take_in(
        &mut self,
        event_id: &str,
        now: Millis,
        window: u64,
        max_ids: u64,
        mut filled: impl FnMut(u64) -> Outcome<u64>,
    ) -> Outcome<(Generation, Vec<Generation>)> {
        let capacity = |shards: u64| BUCKET_MAX.min(max_ids / 2 / shards.max(1)).max(1);
        let newest = self.oldest_first().last().copied();
        let shards = match newest {
            None => 1,
            Some(newest) => {
                let fill = filled(newest.bucket(event_id))?;
                let is_young = now < newest.started.saturating_add_unsigned(window) && now >= newest.started;
                // Its bucket's expiry was set for its own window.
                if newest.window == window && is_young && fill < capacity(newest.shards) {
                    return Ok((newest, Vec::new()));
                }
                if fill >= BUCKET_MAX.min(capacity(1)) / 2 {
                    SHARDS
                } else {
                    1
                }
            }
        };
        let next = Generation { first: newest.map_or(0, |newest| newest.buckets().end), shards, started: now, window };
        let mut kept = Generations::default();
        let mut dropped = Vec::new();
        let holds = |generation: &Generation| capacity(generation.shards).saturating_mul(generation.shards);
        let mut room = max_ids.saturating_sub(holds(&next));
        let mut living: Vec<Generation> = Vec::with_capacity(GENERATIONS);
        for (age, generation) in self.oldest_first().iter().rev().enumerate() {
            let fits = age < GENERATIONS - 1 && holds(generation) <= room;
            if fits && generation.expires_at() > now {
                room -= holds(generation);
                living.push(*generation);
            } else {
                room = 0;
                dropped.push(*generation);
            }
        }
        for generation in living.into_iter().rev().chain(std::iter::once(next)) {
            kept.list[kept.len] = generation;
            kept.len += 1;
        }
        *self = kept;
        Ok((next, dropped))
    }
}

/// How long a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// No longer than what it says.
    Usual,
    /// Too long for a list. Only leading zeros of the digest are added, so it reads as any other.
    Wide,
}

impl Width {
    /// Of the record of the next id in a bucket of so many.
    pub fn of_next(ids: u64) -> Width {
        match ids == LISTED_MAX {
            true => Width::Wide,
            false => Width::Usual,
        }
    }
}

/// What is remembered of an event: its id in the log and the digest of its content.
pub fn record_text(id: crate::stream_id::StreamId, digest: u64, width: Width) -> String {
    let digits = match width {
        Width::Usual => 16,
        Width::Wide => WIDE_DIGITS,
    };
    let mut text = String::with_capacity(24 + digits);
    id.push_to(&mut text);
    let _ = write!(text, " {digest:0digits$x}");
    text
}

/// Reads what [`record_text`] wrote.
pub fn parse_record(text: &[u8]) -> Option<(crate::stream_id::StreamId, u64)> {
    let (id, digest) = std::str::from_utf8(text).ok()?.split_once(' ')?;
    Some((id.parse().ok()?, u64::from_str_radix(digest, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// Takes ids in at the given times and gives the generations after each.
    fn run(
        window: u64,
        max_ids: u64,
        times: impl IntoIterator<Item = Millis>,
    ) -> (Generations, HashMap<u64, u64>, u64) {
        let mut generations = Generations::default();
        let mut buckets: HashMap<u64, u64> = HashMap::new();
        let mut most = 0;
        for (i, now) in times.into_iter().enumerate() {
            let id = format!("id-{i}");
            let filled = |bucket| Ok(buckets.get(&bucket).copied().unwrap_or(0));
            let (current, dropped) = generations.take_in(&id, now, window, max_ids, filled).unwrap();
            for bucket in dropped.iter().flat_map(Generation::buckets) {
                buckets.remove(&bucket);
            }
            *buckets.entry(current.bucket(&id)).or_default() += 1;
            most = most.max(buckets.values().sum());
        }
        (generations, buckets, most)
    }

    #[test]
    fn a_quiet_symbol_keeps_one_bucket_a_generation() {
        let (generations, buckets, _) = run(1_000, 1_000_000, (0..100).map(|i| i * 100));
        assert_eq!(generations.oldest_first().len(), 2);
        assert!(generations.oldest_first().iter().all(|generation| generation.shards == 1));
        assert_eq!(buckets.len(), 2);
    }

    #[test]
    fn an_id_is_remembered_for_a_whole_window() {
        let window = 1_000;
        for gap in [1, 7, 400, 999] {
            let mut generations = Generations::default();
            let mut homes = Vec::new();
            for i in 0..200 {
                let now = i * gap;
                let id = format!("id-{i}");
                let (home, dropped) = generations.take_in(&id, now, window, 1_000_000, |_| Ok(0)).unwrap();
                homes.push((now, home));
                assert!(dropped.iter().all(|gone| homes.iter().all(|(at, home)| home != gone || now - at >= 1_000)));
                for (at, home) in homes.iter().filter(|(at, _)| now - at < 1_000) {
                    assert!(generations.living(now).any(|living| living == *home), "gap {gap}, id of {at} at {now}");
                }
            }
        }
    }

    #[test]
    fn a_busy_symbol_is_bounded_and_spread() {
        let (generations, buckets, most) = run(600_000, 100_000, (0..400_000).map(|i| i / 10));
        assert!(most <= 100_000, "{most}");
        assert!(most >= 50_000, "{most}");
        assert!(buckets.values().all(|&ids| ids <= BUCKET_MAX));
        assert_eq!(generations.oldest_first().last().unwrap().shards, SHARDS);
    }

    #[test]
    fn a_record_of_any_width_reads_back() {
        let id = crate::stream_id::StreamId { ms: 1, seq: 2 };
        for digest in [0, 0xab, u64::MAX] {
            for (width, lengths) in [(Width::Usual, 20..=64), (Width::Wide, 65..=100)] {
                let text = record_text(id, digest, width);
                assert!(lengths.contains(&text.len()), "{text}");
                assert_eq!(parse_record(text.as_bytes()), Some((id, digest)));
            }
        }
    }

    #[test]
    fn text_reads_back() {
        let (generations, _, _) = run(1_000, 1_000_000, (0..30).map(|i| i * 100));
        assert_eq!(Generations::from_text(&generations.to_text()), Some(generations));
        assert_eq!(Generations::from_text(""), Some(Generations::default()));
        for text in [
            "1",
            "1:2",
            "1:1:3",
            "1:0:3:9",
            "1:17:3:9",
            "1:1:1:1:1",
            "a:1:1:9",
            "18446744073709551615:16:1:9",
            "0:1:1:9,1:1:1:9,2:1:1:9,3:1:1:9,4:1:1:9",
        ] {
            assert_eq!(Generations::from_text(text), None, "{text}");
        }
    }
}
