//! The way of a command through a cluster: a client as clients of clusters are, that also counts what it meets.

use std::collections::btree_map::{BTreeMap, Entry};

use redis::{ProtocolVersion, Value};

use super::cluster::{slot_map, Range};
use super::route::is_unavailable;
use super::slots::slot_of;
use super::wait::poll;
use super::{Client, Met, Route};

/// A route to the masters of a cluster.
pub struct ToCluster {
    /// Where the nodes of the cluster listen.
    nodes: Vec<u16>,
    map: Vec<Range>,
    clients: BTreeMap<u16, Client>,
    /// Who answered last.
    last: Option<u16>,
    met: Met,
}

/// What one attempt came to.
enum Attempt {
    Reply(Result<Value, String>),
    /// Elsewhere, at once: the port, and whether with ASKING.
    Elsewhere(u16, Way),
    /// Later.
    NotNow,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Plain,
    Asking,
}

impl ToCluster {
    /// A route to a cluster, of which some nodes are known. It connects when it is asked.
    pub fn new(nodes: &[u16]) -> ToCluster {
        ToCluster { nodes: nodes.to_vec(), map: Vec::new(), clients: BTreeMap::new(), last: None, met: Met::default() }
    }

    /// Follows redirects until somebody answers; None when that is to be tried again later.
    fn follow(&mut self, slot: u16, command: &[Vec<u8>]) -> Option<Result<Value, String>> {
        const HOPS_MAX: usize = 5;
        let mut place = (self.port_of(slot)?, Way::Plain);
        for _ in 0..HOPS_MAX {
            match self.attempt(place, command) {
                Attempt::Reply(reply) => return Some(reply),
                Attempt::Elsewhere(port, way) => place = (port, way),
                Attempt::NotNow => return None,
            }
        }
        None
    }

    /// Where the master of a slot listens, as far as is known.
    fn port_of(&mut self, slot: u16) -> Option<u16> {
        if self.map.is_empty() {
            let port = self.nodes[0];
            // The next one is asked when this one does not answer.
            self.nodes.rotate_left(1);
            self.map = slot_map(self.client(port)?)?;
        }
        let port = self.map.iter().find(|range| range.has(slot)).map(|range| range.port);
        if port.is_none() {
            self.map.clear();
        }
        port
    }

    fn client(&mut self, port: u16) -> Option<&mut Client> {
        match self.clients.entry(port) {
            Entry::Occupied(known) => Some(known.into_mut()),
            Entry::Vacant(place) => match Client::connect(port, Client::settings(ProtocolVersion::RESP2)) {
                Ok(client) => Some(place.insert(client)),
                Err(_) => {
                    self.met.reconnects += 1;
                    self.map.clear();
                    None
                }
            },
        }
    }

    fn attempt(&mut self, (port, way): (u16, Way), command: &[Vec<u8>]) -> Attempt {
        let Some(client) = self.client(port) else { return Attempt::NotNow };
        let sent = match way {
            Way::Asking => client.try_reply("ASKING").and_then(|_| client.try_reply(command)),
            Way::Plain => client.try_reply(command),
        };
        let error = match sent {
            Ok(Value::ServerError(error)) => error,
            Ok(reply) => {
                self.last = Some(port);
                return Attempt::Reply(Ok(reply));
            }
            Err(error) => {
                self.met.reconnects += 1;
                self.clients.remove(&port);
                self.map.clear();
                return Attempt::Reply(Err(error.to_string()));
            }
        };
        // MOVED <slot> <address>
        let elsewhere = || error.details()?.rsplit_once(':')?.1.parse().ok();
        match (error.code(), elsewhere()) {
            ("MOVED", Some(port)) => {
                self.met.moved += 1;
                self.map.clear();
                Attempt::Elsewhere(port, Way::Plain)
            }
            ("ASK", Some(port)) => {
                self.met.asked += 1;
                Attempt::Elsewhere(port, Way::Asking)
            }
            ("TRYAGAIN", _) => {
                self.met.try_again += 1;
                Attempt::NotNow
            }
            _ if is_unavailable(&error) => {
                self.met.unavailable += 1;
                self.map.clear();
                Attempt::NotNow
            }
            _ => {
                self.last = Some(port);
                Attempt::Reply(Ok(Value::ServerError(error)))
            }
        }
    }
}

impl Route for ToCluster {
    fn ask(&mut self, symbol: &str, command: &[Vec<u8>]) -> Result<Value, String> {
        let slot = slot_of(symbol);
        poll(|| self.follow(slot, command)).unwrap_or_else(|| Err("no master served in time".to_owned()))
    }

    fn wait(&mut self, mark: &str, replicas: u32, milliseconds: u32) -> Result<i64, String> {
        let client = self.last.and_then(|port| self.clients.get_mut(&port)).ok_or("not connected")?;
        let reached = client.wait_marked(mark, replicas, milliseconds);
        if reached.is_err() {
            self.clients.retain(|port, _| Some(*port) != self.last);
        }
        reached
    }

    fn met(&self) -> Met {
        self.met
    }
}
