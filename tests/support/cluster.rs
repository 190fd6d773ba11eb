//! A cluster on this machine: masters with their replicas, and what an operator asks them.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use redis::Value;

use super::slots::{slot_of, SLOTS};
use super::wait::{wait_for, wait_until};
use super::{text, Client, Options, Server, Stop};

/// How long a node is unheard of until it counts as failed, ms, while the cluster is made: several delays follow it.
const QUICK_TIMEOUT_MS: u32 = 1_000;

/// The same afterwards: a machine that runs tests makes servers wait, and none shall fail over for that.
const PATIENT_TIMEOUT_MS: u32 = 5_000;

/// After this long a server gives up a failover that it was asked for; a second more, as its clock is not ours.
const FAILOVER_GIVEN_UP: Duration = Duration::from_secs(6);

/// Masters, and behind them their replicas in the same order.
pub struct Cluster {
    nodes: Vec<Server>,
    ids: Vec<String>,
    options: Options,
    /// Nodes that were killed and not started again.
    down: BTreeSet<usize>,
}

impl Cluster {
    /// Starts `masters` masters with `replicas` replicas each, with the slots in equal shares; returns when all nodes
    /// know of all of it. No replica takes its master's place unless it is told to.
    #[track_caller]
    pub fn start(masters: usize, replicas: usize, options: &Options) -> Cluster {
        let options = options.clone().config("cluster-enabled yes").config("cluster-replica-no-failover yes");
        let options = options.config(&format!("cluster-node-timeout {QUICK_TIMEOUT_MS}"));
        let start = |_| {
            thread::spawn({
                let options = options.clone();
                move || Server::start(options)
            })
        };
        let starting: Vec<_> = (0..masters * (replicas + 1)).map(start).collect();
        let nodes: Vec<_> = starting.into_iter().map(|node| node.join().expect("a node, see above")).collect();
        let ids = nodes.iter().map(|node| node.client().string("CLUSTER MYID")).collect();
        let cluster = Cluster { nodes, ids, options, down: BTreeSet::new() };
        cluster.introduce();
        cluster.share_slots(masters);
        for replica in masters..cluster.nodes.len() {
            let command = ["CLUSTER", "REPLICATE", cluster.id(replica % masters)];
            wait_until("a replica to know its master", || cluster.client(replica).text(command) == "OK");
        }
        cluster.await_agreement();
        cluster.configure(&format!("cluster-node-timeout {PATIENT_TIMEOUT_MS}"));
        cluster
    }

    /// Makes every node known to every other one. With epochs of their own, none has to be argued about.
    fn introduce(&self) {
        for (epoch, node) in self.nodes.iter().enumerate() {
            node.client().run(format!("CLUSTER SET-CONFIG-EPOCH {}", epoch + 1));
        }
        for (place, node) in self.nodes.iter().enumerate() {
            let mut client = node.client();
            for other in &self.nodes[..place] {
                client.run(format!("CLUSTER MEET 127.0.0.1 {}", other.port()));
            }
        }
    }

    fn share_slots(&self, masters: usize) {
        let bound = |master: usize| usize::from(SLOTS) * master / masters;
        for master in 0..masters {
            let (first, last) = (bound(master), bound(master + 1) - 1);
            self.client(master).run(format!("CLUSTER ADDSLOTSRANGE {first} {last}"));
        }
    }

    /// Waits until all nodes that run tell the same of all: who has which slots, who follows whom, and that it works; and
    /// are connected to each other.
    #[track_caller]
    pub fn await_agreement(&self) {
        wait_until("the nodes to agree", || {
            let mut views: Vec<_> = self.nodes.iter().map(|node| self.view_of(node)).collect();
            views.dedup();
            matches!(views.as_slice(), [Some(_)])
        });
    }

    /// What a node tells of the cluster; None while it is not in order.
    fn view_of(&self, node: &Server) -> Option<Vec<String>> {
        let mut client = node.client();
        // A replica that loads what its master has sent answers with an error.
        let is_up = client.text("CLUSTER INFO").contains("cluster_state:ok");
        let is_replica = node.info("replication", "role").as_deref() == Some("slave");
        if !is_up || is_replica && !node.has_its_master() {
            return None;
        }
        // The times and epochs are no matter.
        let told = told_nodes(&mut client)?;
        let mut view = Vec::new();
        for line in told.lines() {
            let words: Vec<_> = line.split(' ').collect();
            let flags: Vec<_> = words[2].split(',').collect();
            let is_odd = ["handshake", "fail", "fail?", "noaddr"].iter().any(|odd| flags.contains(odd));
            if is_odd || words[7] != "connected" {
                return None;
            }
            let role = flags.into_iter().find(|flag| ["master", "slave"].contains(flag));
            let slots: Vec<_> = words[8..].iter().filter(|slots| !slots.starts_with('[')).collect();
            view.push(format!("{} {role:?} {} {slots:?}", words[0], words[3]));
        }
        view.sort_unstable();
        (view.len() == self.nodes.len()).then_some(view)
    }

    /// The connections from node to node that messages take, and when each was made: what is the same before and
    /// behind something was there all the time.
    #[track_caller]
    pub fn links(&self) -> BTreeSet<String> {
        let links_of = |(node, id): (usize, &String)| {
            let Value::Array(links) = self.client(node).run("CLUSTER LINKS") else { panic!("an array of links") };
            let told = links.iter().map(text).filter(|link| link.contains(r#""direction", "to""#));
            // [direction, to, node, <id>, create-time, <ms>, ...]; the others are the buffers.
            told.map(|link| format!("{id} {}", link.split(", ").take(6).collect::<Vec<_>>().join(" ")))
                .collect::<Vec<_>>()
        };
        self.ids.iter().enumerate().flat_map(links_of).collect()
    }

    /// A node.
    pub fn server(&self, node: usize) -> &Server {
        &self.nodes[node]
    }

    /// CONFIG SET on all nodes.
    #[track_caller]
    pub fn configure(&self, setting: &str) {
        for node in &self.nodes {
            node.client().run(format!("CONFIG SET {setting}"));
        }
    }

    /// A connection to a node.
    #[track_caller]
    pub fn client(&self, node: usize) -> Client {
        self.nodes[node].client()
    }

    /// What the cluster calls a node.
    pub fn id(&self, node: usize) -> &str {
        &self.ids[node]
    }

    /// Where the nodes listen.
    pub fn ports(&self) -> Vec<u16> {
        self.nodes.iter().map(Server::port).collect()
    }

    /// The nodes that say that they are masters.
    pub fn masters(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|node| !self.down.contains(node) && self.nodes[*node].is_master()).collect()
    }

    /// Connections to all masters, for an audit.
    pub fn master_clients(&self) -> Vec<Client> {
        self.masters().into_iter().map(|node| self.client(node)).collect()
    }

    /// The master that has a slot, as it says itself.
    #[track_caller]
    pub fn owner(&self, slot: u16) -> usize {
        let is_its_own = |node: &usize| self.owner_by(*node, slot) == Some(*node);
        wait_for("somebody to have the slot", || self.masters().into_iter().find(is_its_own))
    }

    /// The same as a node tells.
    fn owner_by(&self, node: usize, slot: u16) -> Option<usize> {
        let port = slot_map(&mut self.client(node))?.into_iter().find(|range| range.has(slot))?.port;
        self.nodes.iter().position(|node| node.port() == port)
    }

    /// Waits until every master knows that a slot belongs to a node. (Replicas of older servers hear of it later.)
    #[track_caller]
    pub fn await_owner(&self, slot: u16, owner: usize) {
        for node in self.masters() {
            wait_until("the masters to know the owner", || self.owner_by(node, slot) == Some(owner));
        }
    }

    /// Waits until every master knows the epoch that a node has come to. One that does not, and is given a slot of that
    /// node's, may take itself for the newest: it keeps its older epoch, and the next message of the other one takes the
    /// slot back.
    #[track_caller]
    pub fn await_epoch(&self, of: usize) {
        let id = self.id(of);
        let epoch_by = |node: usize| {
            let told = told_nodes(&mut self.client(node))?;
            let epoch = told.lines().find(|line| line.starts_with(id))?.split(' ').nth(6)?;
            epoch.parse::<u64>().ok()
        };
        wait_until("the masters to know the epoch", || {
            let own = epoch_by(of);
            own.is_some() && self.masters().into_iter().all(|node| epoch_by(node) == own)
        });
    }

    /// Names of symbols whose slots a node has, no two in one slot.
    pub fn symbols_on(&self, node: usize, count: usize) -> Vec<String> {
        let map = slot_map(&mut self.client(node)).expect("a map");
        let port = self.nodes[node].port();
        let is_there = |slot: u16| map.iter().any(|range| range.port == port && range.has(slot));
        let mut slots = Vec::new();
        let mut is_new = |name: &String| {
            let slot = slot_of(name);
            let is_new = is_there(slot) && !slots.contains(&slot);
            slots.push(slot);
            is_new
        };
        // As a contract's name with a settlement currency has it.
        (0..).map(|n| format!("S{n}/USDT:USDT")).filter(|name| is_new(name)).take(count).collect()
    }

    /// Has a replica take its master's place, with the master's help; returns when all nodes know.
    ///
    /// On a machine that is not idle an attempt can fail, and is repeated then. With the patient timeout that would be
    /// in vain: no election begins within four of them after the last one.
    #[track_caller]
    pub fn fail_over_to(&self, replica: usize) {
        self.configure(&format!("cluster-node-timeout {QUICK_TIMEOUT_MS}"));
        let mut asked: Option<Instant> = None;
        wait_until("the replica to lead", || {
            let is_asked = asked.is_some_and(|at| at.elapsed() < FAILOVER_GIVEN_UP);
            if !is_asked && self.client(replica).text("CLUSTER FAILOVER") == "OK" {
                asked = Some(Instant::now());
            }
            self.nodes[replica].is_master()
        });
        self.await_agreement();
        self.configure(&format!("cluster-node-timeout {PATIENT_TIMEOUT_MS}"));
    }

    /// SIGKILL to a master; returns when its replica has taken its place.
    #[track_caller]
    pub fn kill(&mut self, master: usize, replica: usize) {
        self.configure(&format!("cluster-node-timeout {QUICK_TIMEOUT_MS}"));
        self.configure("cluster-replica-no-failover no");
        self.nodes[master].stop(Stop::Kill);
        self.down.insert(master);
        self.await_leading(replica);
    }

    /// Starts a killed node again; returns when it follows whoever has taken its place, and all nodes know.
    #[track_caller]
    pub fn revive(&mut self, node: usize) {
        self.nodes[node].start_again(self.options.clone());
        self.down.remove(&node);
        self.await_agreement();
        self.configure("cluster-replica-no-failover yes");
        self.configure(&format!("cluster-node-timeout {PATIENT_TIMEOUT_MS}"));
    }

    #[track_caller]
    fn await_leading(&self, node: usize) {
        wait_until("the replica to lead", || self.nodes[node].is_master());
    }
}

/// Slots one behind the other that one master has.
pub struct Range {
    first: u16,
    last: u16,
    /// Where the master listens.
    pub port: u16,
}

impl Range {
    /// Whether a slot is among them.
    pub fn has(&self, slot: u16) -> bool {
        (self.first..=self.last).contains(&slot)
    }
}

/// Who has which slots, as the node of the connection knows it; None when it does not tell.
pub fn slot_map(client: &mut Client) -> Option<Vec<Range>> {
    let Ok(Value::Array(ranges)) = client.try_reply("CLUSTER SLOTS") else { return None };
    let number = |value: &Value| match value {
        Value::Int(number) => u16::try_from(*number).ok(),
        _ => None,
    };
    let range = |range: &Value| {
        let Value::Array(parts) = range else { return None };
        let Value::Array(master) = parts.get(2)? else { return None };
        Some(Range { first: number(&parts[0])?, last: number(&parts[1])?, port: number(master.get(1)?)? })
    };
    ranges.iter().map(range).collect()
}

/// What a node tells of all nodes, a line each: <id> <address> <flags> <master> <ping> <pong> <epoch> <link> <slots>. None
/// when it does not tell.
fn told_nodes(client: &mut Client) -> Option<String> {
    let Ok(Value::BulkString(told)) = client.try_reply("CLUSTER NODES") else { return None };
    Some(String::from_utf8_lossy(&told).into_owned())
}
