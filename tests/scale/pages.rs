//! Commands that go on where the last call ended, each call measured.

use std::collections::{BTreeMap, BTreeSet};

use redis::Value;

use crate::desk::{Desk, Times};
use crate::support::text;

/// Calls in turn, each made of the cursor that the last one replied.
fn all(desk: &mut Desk, mut call: impl FnMut(&mut Desk, Option<&str>) -> (f64, Option<String>)) -> Vec<f64> {
    let (mut taken, mut next) = (Vec::new(), None);
    loop {
        let (time, cursor) = call(desk, next.as_deref());
        taken.push(time);
        match cursor {
            Some(cursor) => next = Some(cursor),
            None => return taken,
        }
    }
}

fn cursor(reply: &Value) -> Option<String> {
    let cursor = text(reply).trim_matches('"').to_owned();
    (cursor != "0").then_some(cursor)
}

/// All symbols, by TRADE.SYMBOLS.
pub fn all_symbols(desk: &mut Desk, count: usize) -> (BTreeSet<String>, Times) {
    let mut found = BTreeSet::new();
    let taken = all(desk, |desk, from| {
        let (time, reply) = desk.timed(format!("TRADE.SYMBOLS {} COUNT {count}", from.unwrap_or("0")));
        let Value::Array(parts) = reply else { panic!("TRADE.SYMBOLS replies an array") };
        let Value::Array(names) = &parts[1] else { panic!("not symbols: {}", text(&parts[1])) };
        found.extend(names.iter().map(text));
        (time, cursor(&parts[0]))
    });
    (found, Times::of(taken))
}

/// Up to `pages` pages of a query whose second argument is where it begins.
pub fn events(desk: &mut Desk, query: &str, pages: usize) -> Times {
    let mut left = pages;
    let taken = all(desk, |desk, from| {
        let mut words: Vec<&str> = query.split(' ').collect();
        words[2] = from.unwrap_or(words[2]);
        let (time, reply) = desk.timed(words);
        let Value::Array(parts) = reply else { panic!("TRADE.EVENTS replies an array") };
        left -= 1;
        (time, cursor(&parts[0]).filter(|_| left > 0))
    });
    Times::of(taken)
}

/// A rebuild of `S` that mends nothing, since nothing differs: its last reply, the times of its slices and how many there
/// were, and the most memory in use. `between` is done between two slices.
pub fn rebuild_all(
    desk: &mut Desk,
    mut between: impl FnMut(&mut Desk),
) -> (BTreeMap<String, String>, (Times, usize), i64) {
    let (mut last, mut high) = (BTreeMap::new(), 0);
    let taken = all(desk, |desk, from| {
        let from = from.map_or(String::new(), |next| format!(" FROM {next}"));
        let (time, reply) = desk.timed(format!("TRADE.REBUILD S{from} DRYRUN"));
        let Value::Array(parts) = reply else { panic!("TRADE.REBUILD replies an array") };
        let name = |name: &Value| text(name).trim_matches('"').to_owned();
        last = parts.chunks_exact(2).map(|pair| (name(&pair[0]), text(&pair[1]))).collect();
        high = high.max(desk.used());
        between(desk);
        (time, cursor(&parts[1]))
    });
    assert_eq!(last["differing"], "0", "{last:?}");
    let slices = taken.len();
    (last, (Times::of(taken), slices), high)
}
