//! Chance that a seed repeats: what a test did at random it does again.

/// A sequence of numbers that follows from its seed.
pub struct Random(fastrand::Rng);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(fastrand::Rng::with_seed(seed))
    }

    /// Any number, such as the seed of somebody else.
    pub fn next(&mut self) -> u64 {
        self.0.u64(..)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        self.0.usize(..bound)
    }

    pub fn between(&mut self, least: i64, most: i64) -> i64 {
        self.0.i64(least..=most)
    }

    /// True once in so many times.
    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub fn pick<'p, T>(&mut self, from: &'p [T]) -> &'p T {
        &from[self.below(from.len())]
    }

    /// One of the words of a text.
    pub fn word(&mut self, words: &'static str) -> &'static str {
        let place = self.below(words.split_whitespace().count());
        words.split_whitespace().nth(place).expect("below the count")
    }

    pub fn bytes(&mut self) -> Vec<u8> {
        (0..self.below(40)).map(|_| self.0.u8(..)).collect()
    }
}
