//! A step of a sequence: one command, the same whenever it is run.

use std::fmt;

/// One command as words. A time is written as `<+N>` in them: N ms behind the sequence's origin, because what is told
/// must be near the server's time, and the server's time is never the same again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step(pub Vec<String>);

/// How far the origin of a sequence is before the server's time, ms. Bars that ticks have built there are closed by the
/// clock an hour after their end, with the longest grace; and there are 50 minutes for candles that are closed.
const PAST_MS: i64 = 50 * 60_000;

/// The origin of a sequence that is run now: an open of the timeframes up to 5 minutes.
pub fn origin(now: i64) -> i64 {
    now - now.rem_euclid(5 * 60_000) - PAST_MS
}

/// How a time is written in a step.
pub fn at(after_origin: i64) -> String {
    format!("<+{after_origin}>")
}

impl Step {
    /// A command without spaces in its words.
    pub fn of(line: &str) -> Step {
        Step(line.split(' ').map(str::to_owned).collect())
    }

    /// The same with one more word, whatever is in it.
    #[must_use]
    pub fn with(mut self, word: impl Into<String>) -> Step {
        self.0.push(word.into());
        self
    }

    /// The same with more words.
    #[must_use]
    pub fn and(mut self, words: &str) -> Step {
        self.0.extend(words.split(' ').map(str::to_owned));
        self
    }

    /// The words as they are sent.
    pub fn words(&self, origin: i64) -> Vec<String> {
        self.0.iter().map(|word| resolve(word, origin)).collect()
    }
}

fn resolve(word: &str, origin: i64) -> String {
    let mut parts = word.split("<+");
    let mut resolved = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let time = part.split_once('>').and_then(|(digits, rest)| Some((digits.parse::<i64>().ok()?, rest)));
        match time {
            Some((after, rest)) => resolved += &format!("{}{rest}", origin + after),
            None => resolved += &format!("<+{part}"),
        }
    }
    resolved
}

/// Words as a line for redis-cli.
pub fn line(words: &[String]) -> String {
    let quoted = words.iter().map(|word| shlex::try_quote(word).map_or_else(|_| format!("{word:?}"), Into::into));
    quoted.collect::<Vec<_>>().join(" ")
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&line(&self.0))
    }
}
