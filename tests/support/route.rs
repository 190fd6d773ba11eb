//! The way of a command to the server that serves its symbol now, whatever happens to servers meanwhile.

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::Arc;

use redis::{ProtocolVersion, Value};

use super::client::error_line;
use super::wait::poll;
use super::Client;

/// What a route met on the way, so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Met {
    /// MOVED: the slot belongs to another node.
    pub moved: u64,
    /// ASK: the slot is on its way, and the key is there already.
    pub asked: u64,
    /// TRYAGAIN: the slot is on its way, and the keys are on both sides.
    pub try_again: u64,
    /// Answers that say "not now": [`UNAVAILABLE`].
    pub unavailable: u64,
    /// Connections that were lost or refused.
    pub reconnects: u64,
}

impl Met {
    /// Adds what another route met.
    pub fn add(&mut self, other: Met) {
        self.moved += other.moved;
        self.asked += other.asked;
        self.try_again += other.try_again;
        self.unavailable += other.unavailable;
        self.reconnects += other.reconnects;
    }
}

/// Codes of answers that are no answer to the command: nothing was done, and later something will be.
pub const UNAVAILABLE: &[&str] = &["CLUSTERDOWN", "LOADING", "MASTERDOWN", "NOREPLICAS", "READONLY", "MISCONF"];

/// Whether an error says "not now". A server whose module is being changed knows no command of ours.
pub fn is_unavailable(error: &redis::ServerError) -> bool {
    UNAVAILABLE.contains(&error.code()) || error_line(error).starts_with("ERR unknown command")
}

/// A way to the server of each symbol.
pub trait Route: Send {
    /// The reply of whoever serves the symbol now. Redirects and "not now" are dealt with here.
    ///
    /// # Errors
    /// Why nobody has answered: it is unknown whether the command was carried out.
    fn ask(&mut self, symbol: &str, command: &[Vec<u8>]) -> Result<Value, String>;

    /// WAIT on the connection that answered the last [`Self::ask`], and on no other: how many replicas have what
    /// that server had then. WAIT waits for what its connection has written, and the answer to a repeat wrote
    /// nothing; so `mark`, a key of the same slot, is set first.
    ///
    /// # Errors
    /// The connection is lost, or its server is not the master any more.
    fn wait(&mut self, mark: &str, replicas: u32, milliseconds: u32) -> Result<i64, String>;

    /// What it met so far.
    fn met(&self) -> Met;
}

/// Where the master listens, as a name service would tell: who moves the master writes it here.
pub type Address = Arc<AtomicU16>;

/// A route to one master that may move, die and come back.
pub struct ToMaster {
    address: Address,
    client: Option<Client>,
    met: Met,
}

impl ToMaster {
    /// A route to who listens there; it connects when it is asked.
    pub fn new(address: &Address) -> ToMaster {
        ToMaster { address: address.clone(), client: None, met: Met::default() }
    }

    /// The reply of the master's, or None when it cannot serve now.
    fn attempt(&mut self, command: &[Vec<u8>]) -> Option<Result<Value, String>> {
        if self.client.is_none() {
            let port = self.address.load(Ordering::Relaxed);
            match Client::connect(port, Client::settings(ProtocolVersion::RESP2)) {
                Ok(client) => self.client = Some(client),
                Err(_) => {
                    self.met.reconnects += 1;
                    return None;
                }
            }
        }
        match self.client.as_mut().expect("connected above").try_reply(command) {
            Ok(Value::ServerError(error)) if is_unavailable(&error) => {
                self.met.unavailable += 1;
                // The address may have changed: a master that was demoted keeps its connections.
                self.client = None;
                None
            }
            Ok(reply) => Some(Ok(reply)),
            Err(error) => {
                self.met.reconnects += 1;
                self.client = None;
                Some(Err(error.to_string()))
            }
        }
    }
}

impl Route for ToMaster {
    fn ask(&mut self, _symbol: &str, command: &[Vec<u8>]) -> Result<Value, String> {
        poll(|| self.attempt(command)).unwrap_or_else(|| Err("no master served in time".to_owned()))
    }

    fn wait(&mut self, mark: &str, replicas: u32, milliseconds: u32) -> Result<i64, String> {
        let client = self.client.as_mut().ok_or("not connected")?;
        let reached = client.wait_marked(mark, replicas, milliseconds);
        if reached.is_err() {
            self.client = None;
        }
        reached
    }

    fn met(&self) -> Met {
        self.met
    }
}
