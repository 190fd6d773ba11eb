//! The last numbers of a series.

use super::state::{take_count, take_number, State};

/// Up to `period` numbers, each in the place that it came to.
// Invariant: `oldest < period`, and it is 0 until all places are taken.
#[derive(Clone, Debug)]
pub(super) struct Window {
    period: u16,
    oldest: u16,
    places: Vec<f64>,
}

impl Window {
    /// An empty one. A period is at least 1.
    pub(super) fn new(period: u16) -> Window {
        Window { period, oldest: 0, places: Vec::new() }
    }

    /// Takes in a number, and gives back the one whose place it took.
    pub(super) fn push(&mut self, x: f64) -> Option<f64> {
        if !self.is_full() {
            self.places.push(x);
            return None;
        }
        let place = self.places.get_mut(usize::from(self.oldest))?;
        self.oldest = (self.oldest + 1) % self.period;
        Some(std::mem::replace(place, x))
    }

    /// The number whose place the next one takes, once every place is taken.
    pub(super) fn oldest(&self) -> Option<f64> {
        self.places.get(usize::from(self.oldest)).copied().filter(|_| self.is_full())
    }

    /// Whether every place is taken.
    pub(super) fn is_full(&self) -> bool {
        self.places.len() == usize::from(self.period)
    }

    /// How many numbers it holds: of this type, for it is at most the period.
    pub(super) fn count(&self) -> u16 {
        u16::try_from(self.places.len()).unwrap_or(self.period)
    }

    /// The numbers by place, which is not by age.
    pub(super) fn places(&self) -> &[f64] {
        &self.places
    }
}

impl State for Window {
    fn save(&self, out: &mut Vec<u8>) {
        self.count().save(out);
        self.oldest.save(out);
        for number in &self.places {
            number.save(out);
        }
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Option<()> {
        let count = take_count(bytes, self.period)?;
        self.oldest = take_count(bytes, if count == self.period { self.period - 1 } else { 0 })?;
        self.places = (0..count).map(|_| take_number(bytes)).collect::<Option<_>>()?;
        Some(())
    }
}
