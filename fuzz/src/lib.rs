//! What the fuzz targets share: how an input is read, and what holds of every refusal and every message.
//!
//! Inputs are lines of text, so that the corpus can be read, changed and written by hand, and so that what libFuzzer
//! makes of an input by cutting and joining is an input again.

// The desk of the core's own tests: commands on a market as values.
#[path = "../../crates/core/tests/support/market.rs"]
pub mod market;
pub mod projection;

use tradebus_core::memory::Memory;
use tradebus_core::refusal::Refusal;

/// When every course begins, Unix ms: a minute, and a Monday.
pub const START: i64 = 1_763_402_400_000;

/// The lines of an input, `most` of them: what a run costs must follow from its size.
pub fn lines(input: &[u8], most: usize) -> impl Iterator<Item = &[u8]> {
    input.split(|&byte| byte == b'\n').take(most)
}

/// Splits at the first space; what is behind is empty when there is none.
pub fn word(line: &[u8]) -> (&[u8], &[u8]) {
    match line.iter().position(|&byte| byte == b' ') {
        Some(at) => (&line[..at], &line[at + 1..]),
        None => (line, &[]),
    }
}

/// One of `all`, which must not be empty: the one that a word names, or else one that follows from the word, so that no
/// input is in vain.
pub fn named<'t, T>(all: &'t [T], name_of: impl Fn(&T) -> &str, word: &[u8]) -> &'t T {
    let named = all.iter().find(|one| name_of(one).as_bytes() == word);
    let sum = || word.iter().fold(0, |sum: usize, &byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte)));
    named.unwrap_or_else(|| &all[sum() % all.len()])
}

/// A number written in digits, or else one that follows from the text.
pub fn number(text: &[u8]) -> i64 {
    let written = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    written.unwrap_or_else(|| text.iter().fold(0, |sum: i64, &byte| sum * 7 % 100_003 + i64::from(byte)))
}

/// What every refusal is, whatever was refused: one line that a client can show, and short.
pub fn check_refusal(refusal: &Refusal) {
    let text = &refusal.text;
    assert!(!text.is_empty() && text.len() < 1_500, "{} bytes: {text}", text.len());
    assert!(!text.contains(['\r', '\n', '\0']), "{text:?}");
}

/// Messages are what subscribers can parse.
pub fn check_messages(memory: &Memory, from: usize) {
    for message in &memory.messages[from..] {
        let parsed = serde_json::from_str::<&serde_json::value::RawValue>(&message.body);
        parsed.unwrap_or_else(|error| panic!("{}: {error}: {}", message.channel, message.body));
    }
}

/// A refused command leaves everything as it was, but for what had expired before it.
pub fn check_untouched(before: &Memory, after: &Memory, now: i64) {
    let is_due = |name: &String| before.expiries.get(name).is_some_and(|at| *at <= now);
    let kept = before.keys.iter().filter(|(name, _)| !is_due(name));
    assert!(kept.eq(&after.keys), "a refusal changed a key");
    let kept = before.expiries.iter().filter(|(_, at)| **at > now);
    assert!(kept.eq(&after.expiries), "a refusal changed an expiry");
    assert_eq!(before.messages.len(), after.messages.len(), "a refusal published something");
}
