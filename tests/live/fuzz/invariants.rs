//! What holds whatever was sent.

use std::collections::{BTreeMap, BTreeSet};

use redis::Value;
use tradebus_core::refusal::Code;

use super::generator::SYMBOLS;
use crate::support::{text, Client, Message};

/// Looks at every key of a database.
const KEYS: &str = include_str!("invariants.lua");

/// What is wrong, under a name that a shorter sequence must fail by too.
#[derive(Clone, Debug)]
pub struct Fault {
    pub kind: &'static str,
    pub text: String,
}

pub fn fault(kind: &'static str, text: impl Into<String>) -> Fault {
    Fault { kind, text: text.into() }
}

/// What a command of ours may be refused with, when nobody else has written to keys of its symbol or stream.
pub fn check_reply(words: &[String], reply: &Value, is_spoiled: bool) -> Result<(), Fault> {
    let is_ours = |name: &str| ["TRADE.", "EVENT.", "COND.", "MARKET."].iter().any(|family| name.starts_with(family));
    let name = words[0].as_str();
    let holds_ours = is_ours(name) || name == "EXEC" || name == "EVAL" && words.iter().any(|word| is_ours(word));
    let Value::ServerError(error) = reply else {
        return match reply {
            Value::Array(items) if name == "EXEC" => {
                items.iter().try_for_each(|item| check_reply(words, item, is_spoiled))
            }
            _ => Ok(()),
        };
    };
    let line = text(reply);
    if line.contains("internal error") {
        return Err(fault("internal error", line));
    }
    if !holds_ours || ["EXECABORT", "READONLY"].contains(&error.code()) {
        return Ok(());
    }
    let Some(code) = Code::ALL.iter().find(|code| code.as_str() == error.code()) else {
        return Err(fault("unknown code", line));
    };
    match (code, is_spoiled) {
        (Code::Corrupt | Code::WrongType | Code::TryAgain, false) => Err(fault("refused without a reason", line)),
        _ => Ok(()),
    }
}

/// The keys of the database that `client` has selected; those of `spoiled` names are left out.
pub fn check_keys(client: &mut Client, spoiled: &BTreeSet<String>) -> Result<(), Fault> {
    let words = ["EVAL", KEYS, "0"].into_iter().chain(spoiled.iter().map(String::as_str));
    let Value::Array(faults) = client.run(words.collect::<Vec<_>>()) else { panic!("an array of faults") };
    match faults.first() {
        Some(first) => Err(fault("keys", text(first))),
        None => Ok(()),
    }
}

/// The log of each symbol comes to what is stored; and after a repair, also where somebody has written by hand.
pub fn check_rebuild(client: &mut Client, spoiled: &BTreeSet<String>) -> Result<(), Fault> {
    for symbol in SYMBOLS {
        let is_spoiled = spoiled.contains(symbol);
        // What cannot be read is not mended: it is named, and left to whoever did it.
        if is_spoiled && rebuild(client, symbol, None)?.is_err() {
            continue;
        }
        let kind = if is_spoiled { "repair" } else { "rebuild" };
        match rebuild(client, symbol, Some("DRYRUN"))? {
            Ok(told) if told["differing"] == "0" => {}
            Ok(told) => return Err(fault(kind, format!("{symbol} differs: {told:?}"))),
            Err(refusal) => return Err(fault(kind, format!("{symbol}: {refusal}"))),
        }
    }
    Ok(())
}

/// A whole rebuild: what it says at the end, or why it was refused.
fn rebuild(
    client: &mut Client,
    symbol: &str,
    mode: Option<&str>,
) -> Result<Result<BTreeMap<String, String>, String>, Fault> {
    let mut next = String::new();
    loop {
        let from = [("FROM", next.as_str())].into_iter().filter(|(_, next)| !next.is_empty());
        let words = ["TRADE.REBUILD", symbol].into_iter().chain(from.flat_map(|(from, next)| [from, next])).chain(mode);
        let reply = client.try_reply(words.collect::<Vec<_>>()).map_err(|error| fault("crash", error.to_string()))?;
        if let Value::ServerError(_) = reply {
            return Ok(Err(text(&reply)));
        }
        let told = client_map(&reply);
        if told["next"] == "0" {
            return Ok(Ok(told));
        }
        next.clone_from(&told["next"]);
    }
}

/// Names and values of a map in RESP3.
fn client_map(reply: &Value) -> BTreeMap<String, String> {
    let Value::Map(pairs) = reply else { panic!("not a map: {reply:?}") };
    pairs.iter().map(|(name, value)| (bare(name), bare(value))).collect()
}

fn bare(value: &Value) -> String {
    text(value).trim_matches('"').to_owned()
}

/// Each message names the one before it on its channel.
#[derive(Default)]
pub struct Chains {
    /// The newest id by channel and symbol: a condition's channel does not name one.
    newest: BTreeMap<(String, String), String>,
}

impl Chains {
    /// Something came between that messages do not tell.
    pub fn forget(&mut self) {
        self.newest.clear();
    }

    pub fn check(&mut self, messages: &[Message], spoiled: &BTreeSet<String>) -> Result<(), Fault> {
        for message in messages {
            let told = message.json();
            let part = |name: &str| told[name].as_str().unwrap_or_default().to_owned();
            let name = if told["stream"].is_string() { part("stream") } else { part("symbol") };
            let (id, previous) = (part("id"), part("prev_id"));
            let place = (message.channel.clone(), name);
            let known = self.newest.insert(place.clone(), id.clone());
            let Some(known) = known.filter(|_| !spoiled.contains(&place.1)) else { continue };
            // A condition may be a new one under an old id.
            let is_new = previous == "0-0" && message.channel.starts_with("condition.");
            if known != previous && !is_new {
                let text = format!("{}: {id} names {previous}, and {known} was before it", message.channel);
                return Err(fault("chain", text));
            }
        }
        Ok(())
    }
}
