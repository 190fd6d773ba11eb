//! One pass over an event's data: members as they were written, and what a digest of the content is made of.

mod digest;
mod plain;
mod scan;
#[cfg(test)]
mod tests;
mod write;

use std::borrow::Cow;

pub use scan::parse_object;
pub use write::push_string;

/// Most members an object has at its top level; those of nested objects are only bounded by the text's size.
pub const MAX_MEMBERS: usize = 128;

/// Most objects and arrays inside one another, the whole object included.
pub const MAX_DEPTH: usize = 64;

/// The members of a JSON object, borrowed from its text.
#[derive(Debug)]
pub struct Object<'a> {
    /// All of the text, as written.
    pub text: &'a str,
    /// In the order of the text; names are unique.
    pub members: Vec<Member<'a>>,
}

impl Object<'_> {
    /// The same for two texts that are the same data: member order at every level, white space and the way a
    /// string is escaped do not count; the text of a number does.
    pub fn digest(&self) -> u64 {
        let members = self.members.iter().map(|member| (digest::name(&member.name), member));
        let mut members: Vec<_> = members.collect();
        // Must be the order in which the scanner has the members of a nested object: digests are stored.
        members.sort_unstable_by(|(a, first), (b, second)| a.cmp(b).then_with(|| first.name.cmp(&second.name)));
        digest::object(members.iter().map(|(name, member)| (*name, digest::value(&member.value))))
    }
}

/// One member.
#[derive(Debug, Clone, PartialEq)]
pub struct Member<'a> {
    /// Its name, unescaped.
    pub name: Cow<'a, str>,
    /// Its value.
    pub value: Value<'a>,
}

/// A member's value; what is nested stays text, and is not scanned again for its digest.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as written.
    Number(&'a str),
    /// A string, unescaped.
    String(Cow<'a, str>),
    /// An object or an array.
    Nested {
        /// As written.
        text: &'a str,
        /// What it is in a digest.
        digest: u64,
    },
}

/// What is wrong with a text, and at which byte of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonError {
    /// Offset of the byte, from 0.
    pub at: usize,
    /// What was found or expected.
    pub what: &'static str,
}
