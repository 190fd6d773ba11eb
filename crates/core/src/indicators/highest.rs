//! `highest`: TA-Lib's MAX, the highest of the last `period` numbers. First value on bar `period`.
//!
//! Kept are only the candidates: a number goes when a later one is at least as high, or when it leaves the
//! window. Each comes and goes once, so a bar costs O(1) over time.

use std::collections::VecDeque;

use super::state::{take_count, take_number, State};

#[derive(Clone, Debug)]
pub(super) struct Highest {
    period: u16,
    /// Numbers taken in, counted up to `period`.
    seen: u16,
    // Invariant: from the oldest to the newest the numbers fall and the ages do; the last one has age 0.
    candidates: VecDeque<Candidate>,
    /// The position of the next number, from which ages are reckoned. It wraps: differences stay right.
    position: u16,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    position: u16,
    number: f64,
}

impl Highest {
    pub(super) fn new(period: u16) -> Highest {
        Highest { period, seen: 0, candidates: VecDeque::new(), position: 0 }
    }

    /// Takes in a number, and says the highest.
    pub(super) fn next(&mut self, x: f64) -> Option<f64> {
        while self.candidates.back().is_some_and(|newest| newest.number <= x) {
            self.candidates.pop_back();
        }
        let position = self.position;
        self.candidates.push_back(Candidate { position, number: x });
        if self.candidates.front().is_some_and(|oldest| position.wrapping_sub(oldest.position) >= self.period) {
            self.candidates.pop_front();
        }
        self.position = position.wrapping_add(1);
        self.seen = self.period.min(self.seen + 1);
        let highest = self.candidates.front().filter(|_| self.seen == self.period);
        highest.map(|candidate| candidate.number)
    }
}

/// Ages are saved, not positions: equal states are then equal bytes.
impl State for Highest {
    fn save(&self, out: &mut Vec<u8>) {
        self.seen.save(out);
        u16::try_from(self.candidates.len()).unwrap_or(self.period).save(out);
        for candidate in &self.candidates {
            (self.position.wrapping_sub(candidate.position) - 1).save(out);
            candidate.number.save(out);
        }
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Option<()> {
        self.seen = take_count(bytes, self.period)?;
        self.position = self.seen;
        let count = take_count(bytes, self.seen)?;
        let mut age_max = self.seen;
        for _ in 0..count {
            let age = take_count(bytes, age_max.checked_sub(1)?)?;
            let number = take_number(bytes)?;
            if self.candidates.back().is_some_and(|older| older.number <= number) {
                return None;
            }
            self.candidates.push_back(Candidate { position: self.position - 1 - age, number });
            age_max = age;
        }
        // The newest number is always a candidate.
        (age_max == 0).then_some(())
    }
}
