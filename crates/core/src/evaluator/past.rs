//! The last readings of a series, as far back as somebody reads them.

use std::collections::{BTreeMap, VecDeque};

use super::saved::take;
use crate::indicators::Value;

/// The readings of the last bars, the newest first.
pub(super) struct Past {
    // Invariant: not more than `depth`, and room for as many.
    readings: VecDeque<Value>,
    depth: usize,
    depth_least: usize,
    /// The depths that are asked for, and how often. Counted one by one, so that the depth falls again when who
    /// asked for most is gone: what is kept follows from the conditions that there are, not from those that were.
    needs: BTreeMap<usize, usize>,
}

impl Past {
    /// An empty one that keeps so many readings even if nobody asks.
    pub(super) fn new(depth_least: usize) -> Past {
        let mut past = Past { readings: VecDeque::new(), depth: 0, depth_least, needs: BTreeMap::new() };
        past.refit();
        past
    }

    /// How many readings are kept.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// Whether anybody asked for a depth.
    pub(super) fn is_needed(&self) -> bool {
        !self.needs.is_empty()
    }

    /// How many readings there are.
    pub(super) fn len(&self) -> usize {
        self.readings.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.readings.is_empty()
    }

    pub(super) fn need(&mut self, depth: usize) {
        *self.needs.entry(depth).or_default() += 1;
        self.refit();
    }

    /// Takes one [`Past::need`] back.
    pub(super) fn release(&mut self, depth: usize) {
        if let Some(count) = self.needs.get_mut(&depth) {
            *count -= 1;
            if *count == 0 {
                self.needs.remove(&depth);
            }
        }
        self.refit();
    }

    fn refit(&mut self) {
        let asked = self.needs.last_key_value().map_or(0, |(depth, _)| *depth);
        self.depth = asked.max(self.depth_least);
        self.readings.truncate(self.depth);
        self.readings.shrink_to(self.depth);
        self.readings.reserve_exact(self.depth - self.readings.len());
    }

    pub(super) fn push(&mut self, reading: Value) {
        if self.readings.len() == self.depth {
            self.readings.pop_back();
        }
        self.readings.push_front(reading);
    }

    #[inline]
    pub(super) fn at(&self, ago: usize) -> Option<Value> {
        self.readings.get(ago).copied()
    }

    pub(super) fn clear(&mut self) {
        self.readings.clear();
    }

    /// Takes over the readings from before its own oldest one, and says whether there were any. `other` ends with the same
    /// bar.
    pub(super) fn extend_from(&mut self, other: &Past) -> bool {
        let known = self.readings.len();
        self.readings.extend(other.readings.iter().skip(known).take(self.depth - known));
        self.readings.len() > known
    }

    /// The most bytes that [`Past::save`] takes.
    pub(super) fn saved_len_max(&self) -> usize {
        2 + 9 * self.depth
    }

    pub(super) fn save(&self, out: &mut Vec<u8>) {
        // It fits: no expression reads further back than `AGO_MAX` and one bar more.
        out.extend_from_slice(&(self.readings.len() as u16).to_le_bytes());
        for reading in &self.readings {
            let (kind, number) = match reading {
                Value::Absent => (0, None),
                Value::StandIn(number) => (1, Some(number)),
                Value::Known(number) => (2, Some(number)),
            };
            out.push(kind);
            if let Some(number) = number {
                out.extend_from_slice(&number.to_le_bytes());
            }
        }
    }

    /// Reads a saved one, and keeps of it what the depth has room for. After `None`, when the bytes are none, it
    /// holds a part.
    pub(super) fn load(&mut self, bytes: &mut &[u8]) -> Option<()> {
        self.readings.clear();
        for _ in 0..u16::from_le_bytes(take(bytes)?) {
            let reading = match take(bytes)? {
                [0] => Value::Absent,
                [1] => Value::StandIn(f64::from_le_bytes(take(bytes)?)),
                [2] => Value::Known(f64::from_le_bytes(take(bytes)?)),
                _ => return None,
            };
            if self.readings.len() < self.depth {
                self.readings.push_back(reading);
            }
        }
        Some(())
    }
}
