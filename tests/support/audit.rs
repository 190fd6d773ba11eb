//! What is there in the end, held against what was promised: nothing lost, nothing doubled, nothing in two places,
//! and hashes and indexes as the log has them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use redis::Value;

use super::load::{Entry, Ledger, Promised, BOT_TYPE, TIMEFRAME};
use super::{text, Client};

/// How much is read at once.
const PAGE: usize = 5_000;

/// What an audit found. All but `acknowledged` should be 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Events and candles that were promised.
    pub acknowledged: usize,
    /// Promised, and not there, or not under the id that was replied, or with other data; triggers and work of candles
    /// included.
    pub lost: usize,
    /// There more than once; triggers and work included, also where they are of no candle.
    pub doubled: usize,
    /// Symbols with keys on more than one node.
    pub split: usize,
    /// Fields, keys and members that differ from what the log comes to.
    pub differing: i64,
}

impl Findings {
    /// Whether everything was kept.
    pub fn is_clean(&self) -> bool {
        *self == Findings { acknowledged: self.acknowledged, ..Findings::default() }
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Findings { acknowledged, lost, doubled, split, differing } = self;
        write!(
            f,
            "{acknowledged} acknowledged, {lost} lost, {doubled} doubled, {split} split, {differing} differing from the log"
        )
    }
}

/// Looks at all symbols of the ledger; `masters` are connections to all nodes that serve some of them.
pub fn audit(ledger: &Ledger, masters: &mut [Client]) -> Findings {
    let mut findings = Findings { acknowledged: ledger.acknowledged(), ..Findings::default() };
    let holders: Vec<BTreeSet<String>> = masters.iter_mut().map(|master| master.keys("*")).collect();
    for (symbol, promised) in &ledger.promised {
        let tag = format!("{{{symbol}}}");
        let mut with_keys =
            holders.iter().enumerate().filter(|(_, keys)| keys.iter().any(|key| key.contains(&tag))).map(|(n, _)| n);
        let Some(holder) = with_keys.next() else {
            findings.lost += promised.trades.len() + promised.events.len() + promised.candles.len();
            continue;
        };
        findings.split += usize::from(with_keys.next().is_some());
        examine(symbol, promised, &mut masters[holder], &mut findings);
    }
    findings
}

fn examine(symbol: &str, promised: &Promised, client: &mut Client, findings: &mut Findings) {
    for (key, promised) in
        [(format!("trade:{{{symbol}}}:events"), &promised.trades), (format!("events:{{{symbol}}}"), &promised.events)]
    {
        let stored = entries(client, &key, "event_id");
        findings.doubled += stored.values().map(|entries| entries.len() - 1).sum::<usize>();
        findings.lost += promised
            .iter()
            .filter(|(event_id, entry)| stored.get(*event_id).is_none_or(|stored| !stored.contains(entry)))
            .count();
    }
    let candles = open_times(client, &format!("market:{{{symbol}}}:{TIMEFRAME}"));
    findings.lost += promised.candles.iter().filter(|open| !candles.contains(&open.to_string())).count();
    // Each candle has triggered the condition once, and reached the one bot once.
    for key in [format!("cond:{{{symbol}}}:triggers"), format!("bots:{{{symbol}}}:{BOT_TYPE}")] {
        let told = entries(client, &key, "bar_time");
        findings.lost += candles.iter().filter(|open| !told.contains_key(*open)).count();
        let wanted = |open: &String| usize::from(candles.contains(open));
        findings.doubled += told.iter().map(|(open, entries)| entries.len() - wanted(open)).sum::<usize>();
    }
    findings.differing += client.rebuild(symbol, &["DRYRUN"])["differing"];
}

/// The entries of a stream by one of their fields.
fn entries(client: &mut Client, key: &str, field: &str) -> BTreeMap<String, Vec<Entry>> {
    let mut found: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
    each_entry(client, key, |id, fields| {
        let [value, data] = [field, "data"].map(|name| fields.get(name).cloned().unwrap_or_default());
        found.entry(value).or_default().push(Entry { id: id.to_owned(), data });
    });
    found
}

/// The open times of the candles in a stream: what their ids begin with.
fn open_times(client: &mut Client, key: &str) -> BTreeSet<String> {
    let mut times = BTreeSet::new();
    each_entry(client, key, |id, _| {
        times.insert(id.strip_suffix("-0").unwrap_or(id).to_owned());
    });
    times
}

fn each_entry(client: &mut Client, key: &str, mut visit: impl FnMut(&str, &BTreeMap<String, String>)) {
    let mut from = "-".to_owned();
    loop {
        let Value::Array(page) = client.run(["XRANGE", key, &from, "+", "COUNT", &PAGE.to_string()]) else {
            panic!("XRANGE replies an array")
        };
        for entry in &page {
            let Value::Array(parts) = entry else { panic!("not an entry: {}", text(entry)) };
            let Value::Array(words) = &parts[1] else { panic!("not fields: {}", text(entry)) };
            let fields = words.chunks_exact(2).map(|pair| (string(&pair[0]), string(&pair[1]))).collect();
            let id = string(&parts[0]);
            visit(&id, &fields);
            from = format!("({id}");
        }
        if page.len() < PAGE {
            return;
        }
    }
}

fn string(value: &Value) -> String {
    match value {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        other => panic!("not a string: {}", text(other)),
    }
}
