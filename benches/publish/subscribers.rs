//! Connections that listen to every event. The first keeps what it hears, so that it can be compared; of the others it is
//! enough that they heard as much.

use std::io::{self, BufReader, Read};
use std::net::TcpStream;
use std::thread::{self, JoinHandle};

use crate::server::Server;
use crate::wire::{self, Connection, Reply};

/// No event says this: what is published when there is nothing more to come.
const END: &str = "that is all of them";

/// Listening threads.
pub struct Subscribers {
    first: Option<JoinHandle<io::Result<Vec<u8>>>>,
    others: Vec<JoinHandle<io::Result<usize>>>,
}

impl Subscribers {
    /// Subscribes so many of them.
    ///
    /// # Errors
    /// When a connection cannot be had.
    pub fn start(server: &Server, count: usize) -> io::Result<Subscribers> {
        let mut streams = Vec::with_capacity(count);
        for _ in 0..count {
            let mut connection = server.connect()?;
            connection.call(&["PSUBSCRIBE", "trades:*"])?;
            streams.push(connection.into_stream());
        }
        let mut streams = streams.into_iter();
        let first = streams.next().map(|stream| {
            thread::spawn(move || {
                let mut heard = Vec::new();
                listen(stream, |bytes| heard.extend_from_slice(bytes)).map(|()| heard)
            })
        });
        let others = streams.map(|stream| {
            thread::spawn(move || {
                let mut count = 0;
                listen(stream, |bytes| count += bytes.len()).map(|()| count)
            })
        });
        Ok(Subscribers { first, others: others.collect() })
    }

    /// Waits until all have heard everything: channels and messages, in order.
    ///
    /// # Errors
    /// When somebody heard less than another.
    pub fn finish(self, connection: &mut Connection) -> io::Result<Vec<(String, String)>> {
        let Some(first) = self.first else {
            return Ok(Vec::new());
        };
        connection.call(&["PUBLISH", "trades:end", END])?;
        let heard = join(first)?;
        for other in self.others {
            let count = join(other)?;
            if count != heard.len() {
                return Err(io::Error::other(format!("one heard {} bytes, another {count}", heard.len())));
            }
        }
        let mut rest = heard.as_slice();
        let mut messages = Vec::new();
        while !rest.is_empty() {
            match wire::read_reply(&mut rest)? {
                Reply::Array(parts) => match <[Reply; 4]>::try_from(parts) {
                    Ok([_, _, Reply::Text(channel), Reply::Text(message)]) => messages.push((channel, message)),
                    other => return Err(io::Error::other(format!("a subscriber got {other:?}"))),
                },
                other => return Err(io::Error::other(format!("a subscriber got {other:?}"))),
            }
        }
        messages.pop();
        Ok(messages)
    }
}

/// Reads until the end is told.
fn listen(mut stream: BufReader<TcpStream>, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    // A read may end within the last words.
    let mut tail = Vec::new();
    loop {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let bytes = &buffer[..length];
        take(bytes);
        tail.extend_from_slice(bytes);
        tail.drain(..tail.len().saturating_sub(END.len() + 2));
        if tail.strip_suffix(b"\r\n") == Some(END.as_bytes()) {
            return Ok(());
        }
    }
}

fn join<T>(thread: JoinHandle<io::Result<T>>) -> io::Result<T> {
    thread.join().map_err(|_| io::Error::other("a subscriber panicked"))?
}
