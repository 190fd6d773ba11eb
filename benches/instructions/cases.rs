//! What is measured. Everything in a case is fixed, down to ids and times, so that a run does the same as any other.

use std::io;

use crate::{market, orders};

/// One kind of command.
pub struct Case {
    /// As it is stored: without spaces.
    pub name: &'static str,
    /// What comes first.
    pub settings: Vec<Command>,
    /// As the measured ones, so that these find caches filled, and tables grown.
    pub warm_up: Vec<Command>,
    /// Commands, each of which is one event of the case.
    pub measured: Vec<Command>,
    /// What INFO counts in the end.
    pub expected: Vec<(&'static str, usize)>,
}

pub type Command = Vec<String>;

impl Case {
    /// Every case.
    pub fn all() -> Vec<Case> {
        vec![orders::publish(), orders::publish_with_id(), orders::mpublish(), market::candle(), market::tick()]
    }

    /// Makes sure that what was counted is what was meant: every event accepted, no repeat, nothing late, all judged.
    ///
    /// # Errors
    /// When it was not.
    pub fn check(&self, info: &str) -> io::Result<()> {
        let never = ["duplicates", "late", "late_ticks", "refusals_total", "candle_gaps"].map(|field| (field, 0));
        for (field, count) in self.expected.iter().copied().chain(never) {
            let start = format!("tradebus_{field}:");
            if !info.contains(&format!("{start}{count}\r\n")) {
                let line = info.lines().find(|line| line.starts_with(&start)).unwrap_or("nothing");
                return Err(io::Error::other(format!(
                    "{}: INFO should tell {start}{count}, and tells {line}",
                    self.name
                )));
            }
        }
        Ok(())
    }
}

/// A command of words.
pub fn command(words: &[&str]) -> Command {
    words.iter().map(|&word| word.to_owned()).collect()
}
