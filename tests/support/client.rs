//! A client that is short to write in a test: commands as one would type them, replies as values or
//! as text that compares.

use std::collections::{BTreeMap, BTreeSet};

use redis::{Client as Address, Connection, ConnectionLike, IntoConnectionInfo, Value};
use redis::{ProtocolVersion, RedisConnectionInfo, RedisResult};

use super::wait::deadline;

/// What a command can be given as: a line, split as a shell would (so that JSON stands in single
/// quotes), or its words as they are, which is the binary-safe way.
pub trait Words {
    /// The command's name and arguments.
    fn words(&self) -> Vec<Vec<u8>>;
}

impl Words for str {
    fn words(&self) -> Vec<Vec<u8>> {
        let words = shlex::split(self).unwrap_or_else(|| panic!("unbalanced quotes: {self}"));
        words.into_iter().map(String::into_bytes).collect()
    }
}

impl Words for String {
    fn words(&self) -> Vec<Vec<u8>> {
        self.as_str().words()
    }
}

impl<T: AsRef<[u8]>> Words for [T] {
    fn words(&self) -> Vec<Vec<u8>> {
        self.iter().map(|word| word.as_ref().to_vec()).collect()
    }
}

impl<T: AsRef<[u8]>, const N: usize> Words for [T; N] {
    fn words(&self) -> Vec<Vec<u8>> {
        self.as_slice().words()
    }
}

impl<T: AsRef<[u8]>> Words for Vec<T> {
    fn words(&self) -> Vec<Vec<u8>> {
        self.as_slice().words()
    }
}

impl<T: Words + ?Sized> Words for &T {
    fn words(&self) -> Vec<Vec<u8>> {
        (**self).words()
    }
}

/// One connection. Every method waits for its reply, and panics when none comes.
pub struct Client {
    connection: Connection,
}

impl Client {
    /// Connects to a server on this machine.
    ///
    /// # Errors
    /// Nobody listens there, or the login or the protocol is refused.
    pub fn connect(port: u16, settings: RedisConnectionInfo) -> RedisResult<Client> {
        let info = ("127.0.0.1", port).into_connection_info()?;
        let address = Address::open(info.set_redis_settings(settings))?;
        let connection = address.get_connection_with_timeout(deadline())?;
        connection.set_read_timeout(Some(deadline()))?;
        connection.set_write_timeout(Some(deadline()))?;
        Ok(Client { connection })
    }

    /// The settings of a connection as the default user.
    pub fn settings(protocol: ProtocolVersion) -> RedisConnectionInfo {
        RedisConnectionInfo::default().set_protocol(protocol)
    }

    /// The reply, be it an error ([`Value::ServerError`]) or not.
    ///
    /// # Errors
    /// The connection broke or its deadline passed.
    pub fn try_reply(&mut self, command: impl Words) -> RedisResult<Value> {
        self.connection.req_packed_command(&packed(&command.words()))
    }

    /// The reply of a command that must not fail; an error within it (of an EXEC) is the test's to see.
    #[track_caller]
    pub fn run(&mut self, command: impl Words) -> Value {
        match self.reply(&command) {
            Value::ServerError(error) => {
                panic!("{}: {}", shown(&command.words()), text(&Value::ServerError(error)))
            }
            reply => reply,
        }
    }

    /// The error of a command that must fail: its code and text as the server sent them.
    #[track_caller]
    pub fn error(&mut self, command: impl Words) -> String {
        match self.reply(&command) {
            Value::ServerError(error) => error_line(&error),
            reply => panic!("{}: no error, but {}", shown(&command.words()), text(&reply)),
        }
    }

    /// The reply as text, error or not, as [`text()`] has it.
    #[track_caller]
    pub fn text(&mut self, command: impl Words) -> String {
        text(&self.reply(&command))
    }

    /// The reply of a command that answers with a string, in UTF-8.
    #[track_caller]
    pub fn string(&mut self, command: impl Words) -> String {
        let reply = self.run(&command);
        plain(&reply).unwrap_or_else(|| wanted("a string", &command.words(), &reply))
    }

    /// The reply of a command that answers with an integer.
    #[track_caller]
    pub fn int(&mut self, command: impl Words) -> i64 {
        match self.run(&command) {
            Value::Int(number) => number,
            reply => wanted("an integer", &command.words(), &reply),
        }
    }

    /// The reply of a command that answers with names and values: a map (RESP3) or a flat array
    /// (RESP2, and what HGETALL stored). Values are strings as they are, everything else as text.
    #[track_caller]
    pub fn map(&mut self, command: impl Words) -> BTreeMap<String, String> {
        let value_text = |value: &Value| plain(value).unwrap_or_else(|| text(value));
        match self.run(&command) {
            Value::Map(pairs) => pairs.iter().map(|(name, value)| (value_text(name), value_text(value))).collect(),
            Value::Array(items) if items.len() % 2 == 0 => {
                items.chunks_exact(2).map(|pair| (value_text(&pair[0]), value_text(&pair[1]))).collect()
            }
            reply => wanted("names and values", &command.words(), &reply),
        }
    }

    /// Runs TRADE.REBUILD of a symbol to its end, slice by slice; gives the numbers that it came to.
    #[track_caller]
    pub fn rebuild(&mut self, symbol: &str, options: &[&str]) -> BTreeMap<String, i64> {
        let mut next = None::<String>;
        loop {
            let from = next.iter().flat_map(|next| ["FROM", next]);
            let command: Vec<_> =
                ["TRADE.REBUILD", symbol].into_iter().chain(from).chain(options.iter().copied()).collect();
            let mut reply = self.map(&command);
            next = reply.remove("next").filter(|next| next != "0");
            if next.is_none() {
                let number = |value: String| value.parse().expect("a number");
                return reply.into_iter().map(|(name, value)| (name, number(value))).collect();
            }
        }
    }

    /// The names of keys that a pattern covers, which must be UTF-8.
    #[track_caller]
    pub fn keys(&mut self, pattern: &str) -> BTreeSet<String> {
        let command = ["KEYS", pattern];
        let reply = self.run(command);
        let Value::Array(keys) = &reply else { wanted("an array", &command.words(), &reply) };
        keys.iter().map(|key| plain(key).unwrap_or_else(|| wanted("keys in UTF-8", &command.words(), &reply))).collect()
    }

    /// The server's time, Unix ms, also while writes are paused.
    #[track_caller]
    pub fn time_ms(&mut self) -> i64 {
        unix_ms(&self.run("TIME"))
    }

    /// Sets a key and waits until so many replicas have it, and so all that came before it.
    ///
    /// # Errors
    /// The connection broke, or the server refused either.
    pub fn wait_marked(&mut self, mark: &str, replicas: u32, milliseconds: u32) -> Result<i64, String> {
        let mut ask = |command: &[&str]| match self.try_reply(command) {
            Ok(Value::ServerError(error)) => Err(error_line(&error)),
            Ok(reply) => Ok(reply),
            Err(error) => Err(error.to_string()),
        };
        ask(&["SET", mark, ""])?;
        match ask(&["WAIT", &replicas.to_string(), &milliseconds.to_string()])? {
            Value::Int(reached) => Ok(reached),
            other => Err(text(&other)),
        }
    }

    /// Sends without waiting for a reply, for commands that block or that answer more than once.
    #[track_caller]
    pub fn send(&mut self, command: impl Words) {
        if let Err(error) = self.connection.send_packed_command(&packed(&command.words())) {
            panic!("{}: {error}", shown(&command.words()));
        }
    }

    /// The next thing that the server says, a reply or a push.
    ///
    /// # Errors
    /// The connection broke or its deadline passed.
    pub fn receive(&mut self) -> RedisResult<Value> {
        self.connection.recv_response()
    }

    #[track_caller]
    fn reply(&mut self, command: &impl Words) -> Value {
        match self.try_reply(command) {
            Ok(reply) => reply,
            Err(error) => panic!("{}: {error}", shown(&command.words())),
        }
    }
}

/// A reply as one line that compares and reads: strings in quotes, integers bare, `nil`, `[a, b]`
/// arrays, `{k: v}` maps, `~[a]` sets, `>[a]` pushes, `OK` and other simple strings bare, and
/// `(error) CODE text`.
pub fn text(value: &Value) -> String {
    let list = |items: &[Value]| items.iter().map(text).collect::<Vec<_>>().join(", ");
    match value {
        Value::Nil => "nil".to_owned(),
        Value::Int(number) => number.to_string(),
        Value::Double(number) => format!("{number:?}"),
        Value::Boolean(truth) => truth.to_string(),
        Value::Okay => "OK".to_owned(),
        Value::SimpleString(string) => string.clone(),
        Value::BulkString(bytes) => format!("\"{}\"", bytes.escape_ascii()),
        Value::VerbatimString { text, .. } => format!("\"{}\"", text.as_bytes().escape_ascii()),
        Value::Array(items) => format!("[{}]", list(items)),
        Value::Set(items) => format!("~[{}]", list(items)),
        Value::Push { data, .. } => format!(">[{}]", list(data)),
        Value::Map(pairs) => {
            let pairs = pairs.iter().map(|(key, value)| format!("{}: {}", text(key), text(value)));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        }
        Value::ServerError(error) => format!("(error) {}", error_line(error)),
        other => panic!("no module of ours replies so: {other:?}"),
    }
}

/// The reply of TIME as Unix ms.
#[track_caller]
pub fn unix_ms(time: &Value) -> i64 {
    let Value::Array(parts) = time else { panic!("TIME replies an array, not {}", text(time)) };
    let number = |part| plain(part).and_then(|digits| digits.parse::<i64>().ok()).expect("a number");
    number(&parts[0]) * 1_000 + number(&parts[1]) / 1_000
}

/// An id of an entry, `<ms>-<sequence>`, as it compares: as text 9 would come behind 10.
pub type Id = (u64, u64);

/// An id as the server writes it.
#[track_caller]
pub fn entry_id(text: &str) -> Id {
    let parts = text.split_once('-').and_then(|(ms, sequence)| Some((ms.parse().ok()?, sequence.parse().ok()?)));
    parts.unwrap_or_else(|| panic!("not an id: {text}"))
}

/// A string reply of any kind, without quotes.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        Value::SimpleString(string) => Some(string.clone()),
        Value::VerbatimString { text, .. } => Some(text.clone()),
        Value::Okay => Some("OK".to_owned()),
        _ => None,
    }
}

/// An error as the server sent it: code and text.
pub fn error_line(error: &redis::ServerError) -> String {
    match error.details() {
        Some(details) => format!("{} {details}", error.code()),
        None => error.code().to_owned(),
    }
}

#[track_caller]
fn wanted<T>(kind: &str, words: &[Vec<u8>], reply: &Value) -> T {
    panic!("{}: wanted {kind}, got {}", shown(words), text(reply))
}

fn shown(words: &[Vec<u8>]) -> String {
    let words = words.iter().map(|word| word.escape_ascii().to_string());
    words.collect::<Vec<_>>().join(" ")
}

fn packed(words: &[Vec<u8>]) -> Vec<u8> {
    let mut command = redis::Cmd::new();
    for word in words {
        command.arg(word.as_slice());
    }
    command.get_packed_command()
}
