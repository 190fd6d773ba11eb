//! The words of an expression, with their places.

use crate::refusal::{quoted, Code, Refusal};

/// The signs, the longer ones before those that they begin with.
const SIGNS: [&str; 17] = ["<=", ">=", "==", "!=", "<", ">", "+", "-", "*", "/", "(", ")", "[", "]", ",", ".", "="];

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Number(f64),
    Word,
    Sign,
    /// What is none of these: a byte outside of the language, or something like a number. No rule takes it, so
    /// that it is told where it stands, with what would have been right there.
    Stray,
    End,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a [u8],
    /// The 1-based column of its first byte.
    pub(super) column: usize,
}

impl Token<'_> {
    /// Whether it is this word or sign.
    pub(super) fn is(&self, text: &str) -> bool {
        matches!(self.kind, Kind::Word | Kind::Sign) && self.text.eq_ignore_ascii_case(text.as_bytes())
    }

    /// That something else was expected here.
    #[cold]
    pub(super) fn refused(&self, expected: &str) -> Refusal {
        match self.kind {
            Kind::End => fault(self.column, expected, "the end"),
            _ => fault(self.column, expected, &quoted(self.text)),
        }
    }
}

#[cold]
pub(super) fn fault(column: usize, expected: &str, found: &str) -> Refusal {
    Code::BadExpr.because(format!("column {column}: expected {expected}, found {found}"))
}

/// Reads a text token by token.
pub(super) struct Tokens<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a [u8]) -> Tokens<'a> {
        Tokens { text, at: 0 }
    }

    /// The next token; at the end, again and again the end.
    pub(super) fn next(&mut self) -> Token<'a> {
        self.at += run(&self.text[self.at..], |byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
        let rest = &self.text[self.at..];
        let (kind, length) = token(rest);
        let token = Token { kind, text: &rest[..length], column: self.at + 1 };
        self.at += length;
        token
    }
}

/// What `rest` begins with, and its length.
fn token(rest: &[u8]) -> (Kind, usize) {
    match rest.first() {
        None => (Kind::End, 0),
        Some(b'0'..=b'9') => number(rest),
        Some(byte) if is_wordy(*byte) => (Kind::Word, run(rest, is_wordy)),
        Some(_) => {
            let sign = SIGNS.iter().find(|sign| rest.starts_with(sign.as_bytes()));
            sign.map_or((Kind::Stray, 1), |sign| (Kind::Sign, sign.len()))
        }
    }
}

/// A number as JSON has it, without its sign. Whatever else begins with a digit is one stray token: `030`, `1.`,
/// `1e`, `5bars`.
fn number(rest: &[u8]) -> (Kind, usize) {
    let digits = |from: usize| run(&rest[from..], |byte| byte.is_ascii_digit());
    let whole = digits(0);
    let mut length = whole;
    if rest.get(length) == Some(&b'.') && digits(length + 1) > 0 {
        length += 1 + digits(length + 1);
    }
    if matches!(rest.get(length), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(rest.get(length + 1), Some(b'+' | b'-')));
        match digits(length + 1 + sign) {
            0 => {}
            exponent => length += 1 + sign + exponent,
        }
    }
    let run_on = run(&rest[length..], |byte| is_wordy(byte) || byte == b'.');
    let is_json = run_on == 0 && (whole == 1 || rest[0] != b'0');
    let value = std::str::from_utf8(&rest[..length]).ok().and_then(|text| text.parse().ok());
    match value.filter(|value: &f64| is_json && value.is_finite()) {
        Some(value) => (Kind::Number(value), length),
        None => (Kind::Stray, length + run_on),
    }
}

fn is_wordy(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn run(bytes: &[u8], is_part: impl Fn(u8) -> bool) -> usize {
    bytes.iter().take_while(|&&byte| is_part(byte)).count()
}
