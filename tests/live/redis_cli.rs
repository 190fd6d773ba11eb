//! Examples in documentation: sessions of `redis-cli`, read from Markdown and played again.
//!
//! A block that is fenced as `redis-cli` has lines `> command`, each followed by what `redis-cli --no-raw`
//! shows for the reply; in one fenced as `redis-cli -3` the connection speaks RESP3. Ids and times differ each
//! time, so any 13 digits stand for milliseconds, and an id behind a `-` for any id, but for the same one
//! wherever it is shown again, or named by a command.

use std::collections::BTreeMap;
use std::path::Path;

use redis::Value;

use crate::support::{text, Client, Server};

/// A command and what it shows.
pub struct Example {
    /// The line, as typed.
    pub command: String,
    shown: String,
    protocol: Protocol,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Resp2,
    Resp3,
}

/// The examples of a page, in their order.
pub fn examples(page: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut protocol = None;
    for line in page.lines() {
        let was_within = protocol.is_some();
        protocol = fence(protocol, line);
        let Some(protocol) = protocol.filter(|_| was_within) else { continue };
        match (line.strip_prefix("> "), examples.last_mut()) {
            (Some(command), _) => {
                examples.push(Example { command: command.to_owned(), shown: String::new(), protocol });
            }
            (None, Some(example)) => example.shown += &format!("{line}\n"),
            (None, None) => panic!("a reply to no command: {line}"),
        }
    }
    examples
}

/// The protocol of the block that goes on behind this line, if there is one.
fn fence(before: Option<Protocol>, line: &str) -> Option<Protocol> {
    match (before, line) {
        (None, "```redis-cli") => Some(Protocol::Resp2),
        (None, "```redis-cli -3") => Some(Protocol::Resp3),
        (Some(_), "```") => None,
        _ => before,
    }
}

/// A run through the examples of a page.
pub struct Session {
    resp2: Client,
    resp3: Client,
    /// The ids that were shown, and those that they stand for.
    ids: BTreeMap<String, String>,
}

impl Session {
    /// A session on a server.
    pub fn new(server: &Server) -> Session {
        Session { resp2: server.client(), resp3: server.client_resp3(), ids: BTreeMap::new() }
    }

    /// Sends the command and compares.
    #[track_caller]
    pub fn check(&mut self, page: &Path, example: &Example) {
        let command = with_ids(&example.command, |shown| self.ids.get(shown).cloned());
        let actual = without_sizes(&self.play(&command, example.protocol));
        let wanted = without_sizes(&example.shown);
        let shown_parts = parts(&wanted);
        let actual_parts = parts(&actual);
        let is_same = shown_parts.len() == actual_parts.len()
            && shown_parts.iter().zip(&actual_parts).all(|(shown, actual)| match (shown, actual) {
                (Part::Text(shown), Part::Text(actual)) => shown == actual,
                (Part::Millis(_), Part::Millis(_)) => true,
                (Part::Id(shown), Part::Id(actual)) => {
                    self.ids.entry((*shown).to_owned()).or_insert_with(|| (*actual).to_owned()) == actual
                }
                _ => false,
            });
        let (path, command, shown) = (page.display(), &example.command, &example.shown);
        assert!(is_same, "{path}\n> {command}\nshown:\n{shown}\nactual:\n{actual}\n(UPDATE_DOCS=1 rewrites it)");
    }

    /// The page with what its examples show now. Times are made up, as they would differ each time.
    pub fn rewrite(&mut self, page: &str) -> String {
        const FIRST_MS: u64 = 1_763_402_460_000;
        const STEP_MS: u64 = 1_250;
        let mut times: BTreeMap<String, u64> = BTreeMap::new();
        let mut rewritten = String::new();
        let mut protocol = None;
        for line in page.lines() {
            let was_within = protocol.is_some();
            protocol = fence(protocol, line);
            let command = line.strip_prefix("> ");
            if was_within && protocol.is_some() && command.is_none() {
                continue;
            }
            rewritten += &format!("{line}\n");
            let (Some(protocol), Some(command)) = (protocol, command) else { continue };
            let command = with_ids(command, |shown| {
                let (ms, sequence) = shown.split_at(MILLIS_DIGITS);
                let actual = times.iter().find(|(_, made_up)| made_up.to_string() == ms);
                actual.map(|(ms, _)| format!("{ms}{sequence}"))
            });
            for part in parts(&self.play(&command, protocol)) {
                let (Part::Text(text) | Part::Millis(text) | Part::Id(text)) = part;
                let (ms, rest) = text.split_at(text.len().min(MILLIS_DIGITS));
                // A time that a command names is no matter of the clock.
                if matches!(part, Part::Text(_)) || page.contains(ms) {
                    rewritten += text;
                    continue;
                }
                let count = times.len() as u64;
                let made_up = times.entry(ms.to_owned()).or_insert(FIRST_MS + count * STEP_MS);
                rewritten += &format!("{made_up}{rest}");
            }
        }
        rewritten
    }

    fn play(&mut self, command: &str, protocol: Protocol) -> String {
        let client = match protocol {
            Protocol::Resp2 => &mut self.resp2,
            Protocol::Resp3 => &mut self.resp3,
        };
        format_reply(&client.try_reply(command).expect("a reply"), "")
    }
}

/// The same with any number as `log_bytes`: how much memory a log takes is a matter of the allocator.
fn without_sizes(reply: &str) -> String {
    let mut is_size = false;
    let line = |line: &str| {
        let was_size = std::mem::replace(&mut is_size, line.ends_with("\"log_bytes\""));
        match line.rsplit_once("(integer) ") {
            Some((head, size)) if (was_size || head.ends_with("\"log_bytes\" => ")) && size != "0" => {
                format!("{head}(integer) some\n")
            }
            _ => format!("{line}\n"),
        }
    };
    reply.lines().map(line).collect()
}

/// A command, each id in which is replaced by what it stands for, where that is known.
fn with_ids(command: &str, actual: impl Fn(&str) -> Option<String>) -> String {
    let known = parts(command).into_iter().map(|part| match part {
        Part::Id(shown) => actual(shown).unwrap_or_else(|| shown.to_owned()),
        Part::Text(text) | Part::Millis(text) => text.to_owned(),
    });
    known.collect()
}

/// Unix milliseconds of our time have so many.
const MILLIS_DIGITS: usize = 13;

/// A piece of output, as it compares.
#[derive(Debug, PartialEq, Eq)]
enum Part<'t> {
    Text(&'t str),
    Millis(&'t str),
    Id(&'t str),
}

/// Cuts a text at its ids and times.
fn parts(text: &str) -> Vec<Part<'_>> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let mut parts = Vec::new();
    let (mut start, mut at) = (0, 0);
    while at < text.len() {
        let run = digits(&text[at..]);
        if run != MILLIS_DIGITS {
            let next = text[at..].chars().next().map_or(1, char::len_utf8);
            at += run.max(next);
            continue;
        }
        if start < at {
            parts.push(Part::Text(&text[start..at]));
        }
        let end = at + run;
        let sequence = text[end..].strip_prefix('-').map_or(0, digits);
        let next = if sequence > 0 { end + 1 + sequence } else { end };
        parts.push(if sequence > 0 { Part::Id(&text[at..next]) } else { Part::Millis(&text[at..next]) });
        (start, at) = (next, next);
    }
    if start < text.len() {
        parts.push(Part::Text(&text[start..]));
    }
    parts
}

/// A reply as `redis-cli --no-raw` shows it, behind `prefix` from its second line on.
fn format_reply(reply: &Value, prefix: &str) -> String {
    match reply {
        Value::Nil => "(nil)\n".to_owned(),
        Value::Int(number) => format!("(integer) {number}\n"),
        Value::BulkString(bytes) => format!("\"{}\"\n", escaped(bytes)),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| (None, item)).collect();
            format_list(&items, prefix, ')', "(empty array)\n")
        }
        Value::Map(pairs) => {
            let items: Vec<_> = pairs.iter().map(|(name, value)| (Some(name), value)).collect();
            format_list(&items, prefix, '#', "(empty hash)\n")
        }
        other => format!("{}\n", text(other)),
    }
}

fn format_list(items: &[(Option<&Value>, &Value)], prefix: &str, mark: char, empty: &str) -> String {
    if items.is_empty() {
        return empty.to_owned();
    }
    let width = items.len().to_string().len();
    let inner = format!("{prefix}{}", " ".repeat(width + 2));
    let mut shown = String::new();
    for (place, (name, value)) in items.iter().enumerate() {
        let lead = if place == 0 { "" } else { prefix };
        shown += &format!("{lead}{:>width$}{mark} ", place + 1);
        if let Some(name) = name {
            shown += &format!("{} => ", format_reply(name, &inner).trim_end());
            // In a map, a list begins on a line of its own.
            if format_reply(value, &inner).lines().count() > 1 {
                shown += &format!("\n{inner}");
            }
        }
        shown += &format_reply(value, &inner);
    }
    shown
}

fn escaped(bytes: &[u8]) -> String {
    let escape = |&byte: &u8| match byte {
        b'\\' | b'"' => format!("\\{}", char::from(byte)),
        b'\n' => "\\n".to_owned(),
        b'\r' => "\\r".to_owned(),
        b'\t' => "\\t".to_owned(),
        b' '..=b'~' => char::from(byte).to_string(),
        _ => format!("\\x{byte:02x}"),
    };
    bytes.iter().map(escape).collect()
}

#[test]
fn ids_and_times_are_found() {
    #[track_caller]
    fn check(text: &str, expected: &[Part<'_>]) {
        assert_eq!(parts(text), expected, "{text}");
    }
    use Part::{Id, Millis, Text};
    check("a", &[Text("a")]);
    check("\"1763402400000-0\"\n", &[Text("\""), Id("1763402400000-0"), Text("\"\n")]);
    check("at 1763402400000", &[Text("at "), Millis("1763402400000")]);
    check("1763402400000-", &[Millis("1763402400000"), Text("-")]);
    check("176340240000 17634024000000 é", &[Text("176340240000 17634024000000 é")]);
}

#[test]
fn replies_are_shown_as_redis_cli_shows_them() {
    let string = |text: &str| Value::BulkString(text.into());
    let pair = Value::Array(vec![string("a\"\n"), Value::Nil]);
    let map = Value::Map(vec![(string("k"), Value::Int(1)), (string("l"), pair.clone())]);
    let nested = Value::Array(vec![pair, Value::Array(vec![]), map]);
    let shown = "1) 1) \"a\\\"\\n\"\n   2) (nil)\n2) (empty array)\n3) 1# \"k\" => (integer) 1\n   \
                 2# \"l\" => \n      1) \"a\\\"\\n\"\n      2) (nil)\n";
    assert_eq!(format_reply(&nested, ""), shown);
    let ten = Value::Array((0..10).map(Value::Int).collect());
    assert!(format_reply(&ten, "").starts_with(" 1) (integer) 0\n 2) "));
}
