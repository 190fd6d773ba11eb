//! States and settings as the words that stand for them in hashes, messages and commands.

use crate::record::Record;
use crate::refusal::Outcome;

/// A type whose values each have a word.
pub trait Word: Copy + PartialEq + 'static {
    /// Every value with its word.
    const WORDS: &'static [(&'static str, Self)];

    /// Reads a word.
    fn parse(text: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(word, _)| *word == text).map(|&(_, value)| value)
    }

    /// The word.
    fn as_str(self) -> &'static str {
        // Every value is listed, so there always is one.
        Self::WORDS.iter().find(|(_, value)| *value == self).map_or("", |&(word, _)| word)
    }

    /// The value that a field's word stands for, if the hash has the field.
    ///
    /// # Errors
    /// CORRUPT when it is none of the words.
    fn load(record: &Record<'_>, field: &str) -> Outcome<Option<Self>> {
        let Some(text) = record.text(field)? else {
            return Ok(None);
        };
        match Self::parse(text) {
            Some(value) => Ok(Some(value)),
            None => {
                let words: Vec<_> = Self::WORDS.iter().map(|(word, _)| *word).collect();
                Err(record.corrupt(field, &format!("one of {}", words.join(", "))))
            }
        }
    }
}
