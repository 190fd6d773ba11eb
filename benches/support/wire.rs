//! RESP2 over one blocking connection. Commands are packed before anything is measured, and a round trip
//! is one write and a counted read, so the client takes as little of the machine as it can.
// Each benchmark uses its own part of it.
#![allow(dead_code)]

use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

/// No answer for this long means a hung server, not a slow one.
const REPLY_TIMEOUT: Duration = Duration::from_secs(60);

/// Commands that go out in one write, and whose replies are awaited together.
#[derive(Clone, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    replies: usize,
}

impl Batch {
    /// Appends one command.
    pub fn push(&mut self, args: &[&str]) {
        self.push_bytes(&args.iter().map(|arg| arg.as_bytes()).collect::<Vec<_>>());
    }

    /// Appends one command whose arguments may be any bytes.
    pub fn push_bytes(&mut self, args: &[&[u8]]) {
        self.bytes.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
        for arg in args {
            self.bytes.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
            self.bytes.extend_from_slice(arg);
            self.bytes.extend_from_slice(b"\r\n");
        }
        self.replies += 1;
    }

    /// Appends the commands of another batch.
    pub fn append(&mut self, other: &Batch) {
        self.bytes.extend_from_slice(&other.bytes);
        self.replies += other.replies;
    }

    /// Whether there is no command.
    pub fn is_empty(&self) -> bool {
        self.replies == 0
    }
}

/// A reply. Statuses and bulk strings are both text here: nothing in the benchmark tells them apart.
#[derive(Debug, PartialEq)]
pub enum Reply {
    Text(String),
    Error(String),
    Integer(i64),
    Nil,
    Array(Vec<Reply>),
}

impl Reply {
    /// The first error in the reply, however deep: a command that fails inside EXEC shows only there.
    pub fn error(&self) -> Option<&str> {
        match self {
            Reply::Error(text) => Some(text),
            Reply::Array(items) => items.iter().find_map(Reply::error),
            _ => None,
        }
    }
}

/// A connection to a server.
pub struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Connects to a port of this machine.
    pub fn open(port: u16) -> io::Result<Connection> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(REPLY_TIMEOUT))?;
        Ok(Connection { stream: BufReader::with_capacity(64 * 1024, stream) })
    }

    /// Sends a batch and returns its replies. An error reply, even a nested one, is an error.
    pub fn round_trip(&mut self, batch: &Batch) -> io::Result<Vec<Reply>> {
        let replies = self.ask(batch)?;
        match replies.iter().find_map(Reply::error) {
            Some(text) => Err(io::Error::other(text.to_owned())),
            None => Ok(replies),
        }
    }

    /// Sends a batch and returns its replies, whatever they are.
    pub fn ask(&mut self, batch: &Batch) -> io::Result<Vec<Reply>> {
        self.stream.get_mut().write_all(&batch.bytes)?;
        (0..batch.replies).map(|_| self.read()).collect()
    }

    /// Sends one command and returns its reply.
    pub fn call(&mut self, args: &[&str]) -> io::Result<Reply> {
        let mut batch = Batch::default();
        batch.push(args);
        let mut replies = self.round_trip(&batch)?;
        replies.pop().ok_or_else(|| malformed("no reply"))
    }

    /// Sends one command whose reply is text.
    pub fn call_text(&mut self, args: &[&str]) -> io::Result<String> {
        match self.call(args)? {
            Reply::Text(text) => Ok(text),
            other => Err(malformed(&format!("{args:?} replied {other:?}"))),
        }
    }

    /// What the server sends from now on, as it comes.
    pub fn into_stream(self) -> BufReader<TcpStream> {
        self.stream
    }

    fn read(&mut self) -> io::Result<Reply> {
        read_reply(&mut self.stream)
    }
}

/// Reads one reply.
pub fn read_reply(stream: &mut impl BufRead) -> io::Result<Reply> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let line = line.strip_suffix("\r\n").ok_or_else(|| malformed("the server closed the connection"))?;
    let (kind, rest) = line.split_at_checked(1).ok_or_else(|| malformed("an empty reply"))?;
    let number = || rest.parse::<i64>().map_err(|_| malformed(&format!("{line:?} holds no number")));
    Ok(match kind {
        "+" => Reply::Text(rest.to_owned()),
        "-" => Reply::Error(rest.to_owned()),
        ":" => Reply::Integer(number()?),
        "$" => match usize::try_from(number()?) {
            Ok(length) => Reply::Text(read_bulk(stream, length)?),
            Err(_) => Reply::Nil,
        },
        "*" => match usize::try_from(number()?) {
            Ok(length) => Reply::Array((0..length).map(|_| read_reply(stream)).collect::<io::Result<_>>()?),
            Err(_) => Reply::Nil,
        },
        _ => return Err(malformed(&format!("{line:?} is not RESP2"))),
    })
}

fn read_bulk(stream: &mut impl BufRead, length: usize) -> io::Result<String> {
    let mut bytes = vec![0; length + 2];
    stream.read_exact(&mut bytes)?;
    bytes.truncate(length);
    String::from_utf8(bytes).map_err(|_| malformed("a reply that is not UTF-8"))
}

fn malformed(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text.to_owned())
}
