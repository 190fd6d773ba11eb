//! Slots of a cluster, and how an operator moves them: key by key as redis-cli does, or all at once where the server
//! can.

use std::fmt;

use redis::Value;

use super::cluster::Cluster;
use super::wait::{wait_for, wait_until};
use super::{server_version, text, Client, Options, Server};

/// How many slots there are.
pub const SLOTS: u16 = 16_384;

/// Keys that one MIGRATE takes along, as `redis-cli --cluster-pipeline` sets it.
const PIPELINE: usize = 100;

/// The slot of a symbol, and of all its keys. (CRC-16/XMODEM of what stands in braces, of all when nothing does.)
pub fn slot_of(name: &str) -> u16 {
    let tag = match name.split_once('{').and_then(|(_, rest)| rest.split_once('}')) {
        Some((tag, _)) if !tag.is_empty() => tag,
        _ => name,
    };
    let crc = tag.bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ u16::from(byte) << 8, |crc, _| match crc & 0x8000 {
            0 => crc << 1,
            _ => crc << 1 ^ 0x1021,
        })
    });
    crc % SLOTS
}

/// Whether this server can move slots atomically; a test of that has nothing to do otherwise, and says so.
pub fn can_migrate_slots() -> bool {
    let told = Server::start(Options::plain()).client().text("COMMAND INFO CLUSTER|MIGRATESLOTS");
    let can = told.contains("migrateslots");
    if !can {
        println!("not tested: {} has no CLUSTER MIGRATESLOTS", server_version());
    }
    can
}

/// What was moved, for the line that a test prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moves {
    /// Slots that changed their node key by key.
    pub slots: u64,
    /// The keys of these.
    pub keys: u64,
    /// Moves that were given up.
    pub given_up: u64,
    /// Atomic migrations that ended well, of any number of slots.
    pub migrations: u64,
    /// Atomic migrations that were cancelled.
    pub cancelled: u64,
    /// Changes of masters.
    pub failovers: u64,
}

impl fmt::Display for Moves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Moves { slots, keys, given_up, migrations, cancelled, failovers } = *self;
        let parts = [
            (slots, "slots moved"),
            (keys, "keys with them"),
            (given_up, "moves given up"),
            (migrations, "atomic migrations"),
            (cancelled, "cancelled"),
            (failovers, "failovers"),
        ];
        let done: Vec<_> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        f.write_str(&done.join(", "))
    }
}

/// A slot on its way from node to node, key by key: open from [`Cluster::open_slot`] until one of the ends.
pub struct SlotMove<'c> {
    cluster: &'c Cluster,
    slot: u16,
    from: usize,
    to: usize,
    source: Client,
    keys: u64,
}

impl Cluster {
    /// Opens a slot for its way to node `to`, from the node that has it.
    #[track_caller]
    pub fn open_slot(&self, slot: u16, to: usize) -> SlotMove<'_> {
        let from = self.owner(slot);
        assert_ne!(from, to, "slot {slot} is there");
        let way = SlotMove { cluster: self, slot, from, to, source: self.client(from), keys: 0 };
        // In this order: once the source sends clients on, the target must take them.
        way.set(to, &["IMPORTING", self.id(from)]);
        way.set(from, &["MIGRATING", self.id(to)]);
        way
    }

    /// Moves a slot key by key, whatever is published meanwhile. Gives the number of keys.
    #[track_caller]
    pub fn reshard(&self, slot: u16, to: usize) -> u64 {
        self.open_slot(slot, to).finish()
    }

    /// Begins to move slots of one node atomically; [`Self::migration`] tells how it goes.
    #[track_caller]
    pub fn migrate(&self, slots: &[u16], to: usize) {
        let from = self.owner(slots[0]);
        let mut command = vec!["CLUSTER".to_owned(), "MIGRATESLOTS".to_owned(), "SLOTSRANGE".to_owned()];
        command.extend(slots.iter().flat_map(|slot| [slot.to_string(), slot.to_string()]));
        command.extend(["NODE".to_owned(), self.id(to).to_owned()]);
        self.client(from).run(&command);
    }

    /// Moves slots of one node atomically, to the end.
    #[track_caller]
    pub fn migrate_whole(&self, slots: &[u16], to: usize) {
        let from = self.owner(slots[0]);
        self.migrate(slots, to);
        assert_eq!(self.await_migration(from), "success");
        slots.iter().for_each(|&slot| self.await_owner(slot, to));
    }

    /// The state of the newest migration of a node's: `success`, `failed`, `cancelled`, or where it is.
    pub fn migration(&self, node: usize) -> String {
        let Value::Array(jobs) = self.client(node).run("CLUSTER GETSLOTMIGRATIONS") else { panic!("an array of jobs") };
        let newest = jobs.first().map(text).unwrap_or_default();
        let (_, state) = newest.split_once("\"state\", \"").unwrap_or_else(|| panic!("no state in {newest}"));
        state.split('"').next().expect("a first part").to_owned()
    }

    /// Cancels what a node is migrating.
    #[track_caller]
    pub fn cancel_migrations(&self, node: usize) {
        self.client(node).run("CLUSTER CANCELSLOTMIGRATIONS");
    }

    /// Waits until the newest migration of a node's has ended, and gives how.
    #[track_caller]
    pub fn await_migration(&self, node: usize) -> String {
        wait_for("the migration to end", || {
            let state = self.migration(node);
            ["success", "failed", "cancelled"].contains(&state.as_str()).then_some(state)
        })
    }
}

impl SlotMove<'_> {
    /// Carries some keys over, at most `count`; gives how many, 0 when there are none left.
    ///
    /// # Errors
    /// What MIGRATE says; the keys stay where they are then, or some of them do.
    pub fn carry(&mut self, count: usize) -> Result<usize, String> {
        let keys = self.keys_left(count);
        if keys.is_empty() {
            return Ok(0);
        }
        let target = self.cluster.server(self.to).port().to_string();
        let mut command: Vec<Vec<u8>> =
            ["MIGRATE", "127.0.0.1", &target, "", "0", "10000", "KEYS"].map(Into::into).into();
        command.extend(keys.iter().cloned());
        match self.source.text(&command).as_str() {
            // A key that has expired meanwhile needs no carrying.
            "OK" | "NOKEY" => {
                self.keys += keys.len() as u64;
                Ok(keys.len())
            }
            error => Err(error.to_owned()),
        }
    }

    /// The keys that are still at the source, at most `count`.
    fn keys_left(&mut self, count: usize) -> Vec<Vec<u8>> {
        match self.source.run(["CLUSTER", "GETKEYSINSLOT", &self.slot.to_string(), &count.to_string()]) {
            Value::Array(keys) => keys
                .into_iter()
                .map(|key| match key {
                    Value::BulkString(name) => name,
                    other => panic!("not a key: {}", text(&other)),
                })
                .collect(),
            other => panic!("GETKEYSINSLOT: {}", text(&other)),
        }
    }

    /// Carries over what is left, and ends the move: target first, then source, then all others. Gives the number of
    /// keys.
    #[track_caller]
    pub fn finish(mut self) -> u64 {
        while self.carry(PIPELINE).expect("no key is in the way") > 0 {}
        let mut nodes = vec![self.to, self.from];
        nodes.extend(self.cluster.masters().into_iter().filter(|node| ![self.to, self.from].contains(node)));
        for node in nodes {
            self.set(node, &["NODE", self.cluster.id(self.to)]);
        }
        self.cluster.await_epoch(self.to);
        self.keys
    }

    /// Gives the move up before any key was carried over. Once one was, a slot can only go on: a source that is told
    /// that its slot is stable serves what it has left as if it were everything.
    #[track_caller]
    pub fn give_up(self) {
        assert_eq!(self.keys, 0, "keys are at both nodes");
        self.set(self.to, &["STABLE"]);
        self.set(self.from, &["STABLE"]);
    }

    #[track_caller]
    fn set(&self, node: usize, state: &[&str]) {
        let slot = self.slot.to_string();
        let command = [&["CLUSTER", "SETSLOT", &slot], state].concat();
        // Servers that tell their replicas of it first may have to wait for one.
        wait_until("SETSLOT", || {
            let reply = self.cluster.client(node).text(&command);
            assert!(reply == "OK" || reply.contains("NOREPLICAS"), "{command:?}: {reply}");
            reply == "OK"
        });
    }
}
