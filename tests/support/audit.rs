//! What is there in the end, held against what was promised: nothing lost, nothing doubled, nothing in two places,
//! and hashes and indexes as the log has them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use redis::Value;

use super::load::{Ledger, Promised, BOT_TYPE, CONDITION, TIMEFRAME};
use super::{text, Client};

/// How much is read at once.
const PAGE: usize = 5_000;

/// What an audit found. All but `acknowledged` should be 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Events and candles that were promised.
    pub acknowledged: usize,
    /// Promised, and not there or not under the id that was replied; triggers and work of candles included.
    pub lost: usize,
    /// There more than once; triggers and work of candles included.
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
    let holders: Vec<Vec<String>> = masters.iter_mut().map(keys).collect();
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

fn keys(client: &mut Client) -> Vec<String> {
    match client.run("KEYS *") {
        Value::Array(keys) => keys.iter().map(string).collect(),
        other => panic!("KEYS replied {}", text(&other)),
    }
}

fn examine(symbol: &str, promised: &Promised, client: &mut Client, findings: &mut Findings) {
    for (key, promised) in
        [(format!("trade:{{{symbol}}}:events"), &promised.trades), (format!("events:{{{symbol}}}"), &promised.events)]
    {
        let stored = entries(client, &key, |fields| fields.get("event_id").cloned().unwrap_or_default());
        findings.doubled += stored.values().map(|ids| ids.len() - 1).sum::<usize>();
        findings.lost += promised
            .iter()
            .filter(|(event_id, entry)| stored.get(*event_id).is_none_or(|stored| !stored.contains(entry)))
            .count();
    }
    let market = format!("market:{{{symbol}}}:{TIMEFRAME}");
    let candles = entry_ids(client, &market);
    findings.lost += promised.candles.iter().filter(|open| !candles.contains(&format!("{open}-0"))).count();
    // Each candle has triggered the condition once, and reached the one bot once.
    for (key, name) in
        [(format!("cond:{{{symbol}}}:triggers"), CONDITION), (format!("bots:{{{symbol}}}:{BOT_TYPE}"), BOT_TYPE)]
    {
        let stored = entries(client, &key, |fields| fields.get("bar_time").cloned().unwrap_or_default());
        let told: usize = stored.values().map(Vec::len).sum();
        findings.doubled += told - stored.len();
        assert!(told > 0 || candles.is_empty(), "{key} has nothing of {name}");
        findings.lost += candles.len().saturating_sub(stored.len());
        findings.doubled += stored.len().saturating_sub(candles.len());
    }
    findings.differing += differences(symbol, client);
}

/// The entries of a stream by a value of their fields.
fn entries(
    client: &mut Client,
    key: &str,
    value: impl Fn(&BTreeMap<String, String>) -> String,
) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    each_entry(client, key, |id, fields| found.entry(value(fields)).or_default().push(id.to_owned()));
    found
}

fn entry_ids(client: &mut Client, key: &str) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    each_entry(client, key, |id, _| {
        ids.insert(id.to_owned());
    });
    ids
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

/// What `TRADE.REBUILD DRYRUN` says that differs, over all its slices.
fn differences(symbol: &str, client: &mut Client) -> i64 {
    let mut next = "0".to_owned();
    loop {
        let mut command = vec!["TRADE.REBUILD", symbol];
        if next != "0" {
            command.extend(["FROM", &next]);
        }
        command.push("DRYRUN");
        let reply = client.map(&command);
        next.clone_from(&reply["next"]);
        if next == "0" {
            return reply["differing"].parse().expect("a number");
        }
    }
}
