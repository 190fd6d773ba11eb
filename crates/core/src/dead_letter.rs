//! Dead letters: entries that consumers got again and again and never finished, moved out of their way.

use std::borrow::Cow;

use crate::log::Clock;
use crate::pending::Pending;
use crate::plan::{Append, Groups, LogEntry, Name, Plan, Retention, Text};
use crate::refusal::{Code, Outcome};
use crate::settings::Settings;
use crate::store::{Entry, Slot};

/// The fields that a dead letter has before those of its entry: where the entry is, and who failed on it.
const FIELDS: [&str; 5] = ["key", "id", "group", "consumer", "deliveries"];

/// An entry on its way to the dead letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    fields: Vec<(String, Vec<u8>)>,
}

impl DeadLetter {
    /// What becomes of `entry` of the stream `key`, on which the consumers of `group` failed.
    pub fn of(key: &str, group: &[u8], pending: &Pending, entry: &Entry<'_>) -> DeadLetter {
        let told = [
            key.as_bytes(),
            pending.id.to_string().as_bytes(),
            group,
            &pending.consumer,
            pending.deliveries.to_string().as_bytes(),
        ]
        .map(<[u8]>::to_vec);
        let told = FIELDS.map(str::to_owned).into_iter().zip(told);
        // Tradebus writes no name that is not UTF-8; somebody else's is shown as well as it can be, and the entry
        // itself stays where it is.
        let original = entry.iter().map(|&(name, value)| (String::from_utf8_lossy(name).into_owned(), value.to_vec()));
        DeadLetter { fields: told.chain(original).collect() }
    }

    /// The size of its names and values, in bytes.
    pub fn size(&self) -> usize {
        self.fields.iter().map(|(name, value)| name.len() + value.len()).sum()
    }
}

/// The plan that adds `letters`, in their order, to the dead letters in `slot`.
///
/// # Errors
/// CORRUPT when the stream's ids are used up.
pub fn bury<'l>(slot: Slot, letters: &'l [DeadLetter], clock: Clock, settings: &Settings) -> Outcome<Plan<'l>> {
    let now = clock.now.try_into().unwrap_or(0);
    let mut last = clock.behind;
    let mut entries = Vec::with_capacity(letters.len());
    for letter in letters {
        let used_up = || Code::Corrupt.because("the newest dead letter has the last id there can be");
        last = last.next(now).ok_or_else(used_up)?;
        let fields = letter.fields.iter().map(|(name, value)| -> (Name<'l>, Text<'l>) {
            (Cow::Borrowed(name.as_str()), Cow::Borrowed(value.as_slice()))
        });
        entries.push(LogEntry { id: last, fields: fields.collect() });
    }
    let retention = Retention::of_queue(settings);
    let append = Append { slot, entries, replaced: None, retention, groups: Groups::Nobody };
    Ok(Plan { appends: vec![append], ..Plan::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream_id::StreamId;

    fn letters(consumers: &[&str]) -> Vec<DeadLetter> {
        let letter = |consumer: &&str| {
            let id = StreamId { ms: 7, seq: 1 };
            let pending = Pending { id, consumer: consumer.as_bytes().to_vec(), idle_ms: 9, deliveries: 4 };
            let entry: [(&[u8], &[u8]); 3] = [(b"type", b"t"), (b"data", b"{\xff}"), (b"type", b"")];
            DeadLetter::of("events:{T}", b"g\xff", &pending, &entry)
        };
        consumers.iter().map(letter).collect()
    }

    #[test]
    fn a_letter_tells_where_its_entry_is_and_who_failed() {
        let letters = letters(&["c"]);
        let clock = Clock { now: 5, behind: StreamId::ZERO };
        let plan = bury(Slot(3), &letters, clock, &Settings::default()).unwrap();
        let append = &plan.appends[0];
        assert_eq!((append.slot, append.groups, append.retention.max_len), (Slot(3), Groups::Nobody, Some(100_000)));
        let fields = append.entries[0].fields.iter().map(|(name, value)| (&**name, &**value));
        let wanted: [(&str, &[u8]); 8] = [
            ("key", b"events:{T}"),
            ("id", b"7-1"),
            ("group", b"g\xff"),
            ("consumer", b"c"),
            ("deliveries", b"4"),
            ("type", b"t"),
            ("data", b"{\xff}"),
            ("type", b""),
        ];
        assert!(fields.eq(wanted), "{:?}", append.entries);
        let bytes: usize = wanted.iter().map(|(name, value)| name.len() + value.len()).sum();
        assert_eq!(letters[0].size(), bytes);
    }

    #[test]
    fn letters_come_behind_every_id_that_was_used() {
        let letters = letters(&["a", "b"]);
        let check = |behind: StreamId, now: i64, ids: Option<[(u64, u64); 2]>| {
            let plan = bury(Slot(0), &letters, Clock { now, behind }, &Settings::default());
            let given =
                plan.map(|plan| plan.appends[0].entries.iter().map(|e| (e.id.ms, e.id.seq)).collect::<Vec<_>>());
            match ids {
                Some(ids) => assert_eq!(given.unwrap(), ids),
                None => assert_eq!(given.unwrap_err().code, Code::Corrupt),
            }
        };
        check(StreamId::ZERO, 5, Some([(5, 0), (5, 1)]));
        check(StreamId { ms: 5, seq: 3 }, 5, Some([(5, 4), (5, 5)]));
        check(StreamId { ms: 9, seq: 0 }, 5, Some([(9, 1), (9, 2)]));
        check(StreamId { ms: u64::MAX, seq: u64::MAX - 1 }, 5, None);
        check(StreamId::MAX, 5, None);
    }
}
