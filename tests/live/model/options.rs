//! The words of a command behind its name, as the module reads them. Only commands that are well formed come here.

use tradebus_core::log::Labels;

/// Options by name.
pub struct Options<'w> {
    words: &'w [String],
}

/// Options that stand for themselves.
const FLAGS: [&str; 4] = ["FULL", "REV", "FORCE", "DRYRUN"];

impl<'w> Options<'w> {
    pub fn of(words: &'w [String]) -> Options<'w> {
        Options { words }
    }

    /// Every option, and its value if it has one.
    fn each(&self) -> impl Iterator<Item = (&'w str, Option<&'w str>)> {
        let mut words = self.words.iter();
        std::iter::from_fn(move || {
            let name = words.next()?;
            match FLAGS.contains(&name.as_str()) {
                true => Some((name.as_str(), None)),
                false => Some((name.as_str(), words.next().map(String::as_str))),
            }
        })
    }

    pub fn value(&self, name: &str) -> Option<&'w str> {
        self.each().find(|(option, _)| *option == name)?.1
    }

    pub fn bytes(&self, name: &str) -> Option<&'w [u8]> {
        self.value(name).map(str::as_bytes)
    }

    pub fn number(&self, name: &str) -> Option<u64> {
        self.value(name).map(|text| text.parse().expect("a number"))
    }

    /// All values of an option that may come again.
    pub fn values(&self, name: &'static str) -> impl Iterator<Item = &'w str> {
        self.each().filter(move |(option, _)| *option == name).filter_map(|(_, value)| value)
    }

    pub fn has(&self, flag: &str) -> bool {
        self.each().any(|(option, _)| option == flag)
    }

    /// What every event has.
    pub fn labels(&self) -> Labels<'w> {
        Labels {
            event_id: self.bytes("ID"),
            timestamp: self.bytes("TIMESTAMP"),
            source: self.bytes("SOURCE"),
            correlation_id: self.bytes("CORRELATION"),
        }
    }
}
