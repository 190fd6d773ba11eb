//! Looking through the pending entries of a consumer group for those whose consumer is gone.
//!
//! A pending list has no index by age, so finding what is idle means looking at one entry after the other. A sweep
//! looks at a bounded number of them. The next one goes on behind it, and from the beginning again at the end: each
//! entry gets its turn, however many in front of it are in good hands.

use crate::stream_id::StreamId;

/// An entry that was delivered to a consumer and not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Its id.
    pub id: StreamId,
    /// Who has it.
    pub consumer: Vec<u8>,
    /// How long ago it was delivered last, in ms.
    pub idle_ms: u64,
    /// How often it was delivered.
    pub deliveries: u64,
}

/// What a sweep looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Entries that were delivered this long ago, in ms, or longer.
    pub min_idle_ms: u64,
    /// How many of them at most; not 0.
    pub count: usize,
    /// How many entries are looked at for it, at most; not 0.
    pub looks: usize,
}

/// The next read of a sweep: pending entries from `lowest` to `highest`, oldest first, `count` at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The lowest id.
    pub lowest: StreamId,
    /// The highest id.
    pub highest: StreamId,
    /// How many; not 0.
    pub count: usize,
}

/// Entries in one read: what is read behind the last one that is wanted is read in vain.
const STEP_COUNT: usize = 100;

/// One look through a pending list, or a part of it.
#[derive(Debug)]
pub struct Sweep {
    wanted: Wanted,
    /// What is still to be looked at: lowest and highest id of each part, the next part last.
    ahead: Vec<(StreamId, StreamId)>,
    looked: usize,
    found: Vec<Pending>,
}

impl Sweep {
    /// A sweep from an id to the end, and from the beginning up to that id.
    pub fn new(begin: StreamId, wanted: Wanted) -> Sweep {
        let mut ahead: Vec<_> = begin.predecessor().map(|end| (StreamId::ZERO, end)).into_iter().collect();
        ahead.push((begin, StreamId::MAX));
        Sweep { wanted, ahead, looked: 0, found: Vec::new() }
    }

    /// What to read next; `None` when the sweep is over.
    pub fn step(&self) -> Option<Step> {
        let count = self.wanted.looks.saturating_sub(self.looked).min(STEP_COUNT);
        let &(lowest, highest) = self.ahead.last()?;
        (count > 0 && self.found.len() < self.wanted.count).then_some(Step { lowest, highest, count })
    }

    /// Takes what the step has read.
    pub fn take(&mut self, step: Step, read: Vec<Pending>) {
        let is_rest = read.len() < step.count;
        for pending in read {
            self.looked += 1;
            self.pass(pending.id);
            if pending.idle_ms >= self.wanted.min_idle_ms {
                self.found.push(pending);
                if self.found.len() >= self.wanted.count {
                    return;
                }
            }
        }
        // Its last id may have ended the part already.
        if is_rest && self.ahead.last().is_some_and(|&(_, highest)| highest == step.highest) {
            self.ahead.pop();
        }
    }

    fn pass(&mut self, id: StreamId) {
        let Some((lowest, highest)) = self.ahead.last_mut() else {
            return;
        };
        match id.successor().filter(|next| next <= highest) {
            Some(next) => *lowest = next,
            None => drop(self.ahead.pop()),
        }
    }

    /// What was found, in the order of the sweep, and where the next one begins.
    pub fn finish(self) -> (Vec<Pending>, StreamId) {
        let next = self.ahead.last().map_or(StreamId::ZERO, |&(lowest, _)| lowest);
        (self.found, next)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Ids and idle times.
    type List = BTreeMap<StreamId, u64>;

    fn read(list: &List, step: Step) -> Vec<Pending> {
        assert!(step.lowest <= step.highest && step.count > 0, "{step:?}");
        let within = list.range(step.lowest..=step.highest).take(step.count);
        let pending = |(&id, &idle_ms)| Pending { id, consumer: b"c".to_vec(), idle_ms, deliveries: 1 };
        within.map(pending).collect()
    }

    /// A sweep: the ids it looked at, those it found, and where the next one begins.
    fn sweep(list: &List, begin: StreamId, wanted: Wanted) -> (Vec<StreamId>, Vec<StreamId>, StreamId) {
        let mut sweep = Sweep::new(begin, wanted);
        let mut seen = Vec::new();
        while let Some(step) = sweep.step() {
            let read = read(list, step);
            let before = sweep.looked;
            let ids: Vec<_> = read.iter().map(|pending| pending.id).collect();
            sweep.take(step, read);
            seen.extend(&ids[..sweep.looked - before]);
        }
        let (found, next) = sweep.finish();
        (seen, found.into_iter().map(|pending| pending.id).collect(), next)
    }

    fn id(number: u64) -> StreamId {
        match number {
            // The ends of what there can be.
            0 => StreamId::ZERO.successor().unwrap(),
            999 => StreamId::MAX,
            number => StreamId { ms: 1 + number / 7, seq: number % 7 },
        }
    }

    fn lists() -> impl Strategy<Value = List> {
        proptest::collection::btree_map((0..1_000u64).prop_map(id), 0..10u64, 0..400)
    }

    proptest! {
        #[test]
        fn a_sweep_is_bounded_and_misses_nothing_in_its_way(
            list in lists(), begin in 0..1_000u64, count in 1..50usize, looks in 1..500usize,
        ) {
            let (begin, min_idle_ms) = (id(begin), 5);
            let (seen, found, next) = sweep(&list, begin, Wanted { min_idle_ms, count, looks });
            prop_assert!(seen.len() <= looks && found.len() <= count);
            let around: Vec<_> = list.range(begin..).chain(list.range(..begin)).map(|(&id, _)| id).collect();
            prop_assert_eq!(&seen[..], &around[..seen.len()]);
            let idle: Vec<_> = seen.iter().copied().filter(|id| list[id] >= min_idle_ms).collect();
            prop_assert_eq!(&found, &idle);
            let is_all = seen.len() == list.len();
            prop_assert!(is_all || seen.len() == looks || found.len() == count, "it ended early");
            // Nothing is passed over on the way to where the next one begins.
            if !is_all {
                prop_assert_eq!(around.get(seen.len()), list.range(next..).chain(&list).map(|(id, _)| id).next());
            }
        }

        #[test]
        fn every_entry_gets_its_turn(list in lists(), begin in 0..1_000u64, count in 1..50usize, looks in 1..500usize) {
            let wanted = Wanted { min_idle_ms: 5, count, looks };
            let mut begin = id(begin);
            let mut unseen: std::collections::BTreeSet<_> = list.keys().copied().collect();
            // A sweep ends with a new entry behind it, or with all of them.
            for _ in 0..2 * list.len() + 2 {
                let (seen, _, next) = sweep(&list, begin, wanted);
                seen.iter().for_each(|id| { unseen.remove(id); });
                begin = next;
            }
            prop_assert!(unseen.is_empty(), "{unseen:?}");
        }
    }

    #[test]
    fn a_list_that_was_seen_whole_is_begun_again() {
        let list: List = [1, 2, 3].map(|number| (id(number), 0)).into();
        let check = |begin: u64, looks: usize, next: StreamId| {
            let (_, _, went_on) = sweep(&list, id(begin), Wanted { min_idle_ms: 1, count: 9, looks });
            assert_eq!(went_on, next, "from {begin}, {looks} looks");
        };
        check(1, 2, id(2).successor().unwrap());
        check(3, 2, id(1).successor().unwrap());
        check(1, 9, StreamId::ZERO);
        check(3, 3, StreamId::ZERO);
        check(3, 9, StreamId::ZERO);
        check(500, 9, StreamId::ZERO);
        check(999, 9, StreamId::ZERO);
    }
}
