//! Consumer groups: which streams have them, that their state reaches replicas and the AOF, and what a crowd of
//! consumers, some of which fail, makes of a log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use redis::Value;

use crate::support::{text, wait_until, Client, Options, Server, Stop};

/// A log with group `g`, and a replica without the module.
pub struct Desk {
    pub server: Server,
    pub client: Client,
    pub replica: Server,
    /// The command that claims.
    pub command: &'static str,
    /// The log's key.
    pub log: String,
    /// The key of its dead letters.
    pub dead: String,
}

impl Desk {
    /// An empty log of the symbol or stream `S`.
    pub fn start(command: &'static str, options: Options) -> Desk {
        let prefix = if command == "TRADE.CLAIM" { "trade:{S}" } else { "events:{S}" };
        let log = if command == "TRADE.CLAIM" { "trade:{S}:events" } else { prefix }.to_owned();
        // No pings: what a replica gets is what was done.
        let server = Server::start(options.append_only().config("repl-ping-replica-period 3600"));
        let replica = Server::start(Options::plain().replica_of(&server));
        let mut client = server.client();
        client.run(["XGROUP", "CREATE", &log, "g", "0", "MKSTREAM"]);
        Desk { client, server, replica, command, log, dead: format!("{prefix}:dead") }
    }

    /// A log with these entries, each with the one field `body`, that consumer `a` has read and left.
    pub fn with_entries(command: &'static str, bodies: &[&str]) -> (Desk, Vec<String>) {
        let mut desk = Desk::start(command, Options::new());
        let log = desk.log.clone();
        let ids = bodies.iter().map(|body| desk.client.string(["XADD", &log, "*", "body", body])).collect();
        desk.client.run(["XREADGROUP", "GROUP", "g", "a", "STREAMS", &log, ">"]);
        (desk, ids)
    }

    /// The claiming command with these arguments behind `S`.
    pub fn line(&self, rest: &str) -> String {
        format!("{} S {rest}", self.command)
    }

    /// The reply to it.
    pub fn claim(&mut self, rest: &str) -> String {
        let line = self.line(rest);
        self.client.text(line)
    }

    /// Sets how long ago, in ms, and how often an entry was delivered.
    pub fn deliver(&mut self, id: &str, idle_ms: u64, deliveries: u64) {
        let (idle_ms, deliveries) = (idle_ms.to_string(), deliveries.to_string());
        let count = ["IDLE", &idle_ms, "RETRYCOUNT", &deliveries, "JUSTID"];
        self.client.run([&["XCLAIM", &self.log, "g", "a", "0", id], &count[..]].concat());
    }

    /// What is pending: id, consumer, deliveries.
    pub fn pending(&mut self) -> Vec<String> {
        let Value::Array(entries) = self.client.run(["XPENDING", &self.log, "g", "-", "+", "10000"]) else {
            panic!("XPENDING replies an array");
        };
        let shown = |entry: &Value| match entry {
            Value::Array(parts) => [0, 1, 3].map(|place| text(&parts[place]).replace('"', "")).join(" "),
            other => panic!("not an entry: {}", text(other)),
        };
        entries.iter().map(shown).collect()
    }

    /// The replica has the same, and so has a server that has nothing but the AOF.
    #[track_caller]
    pub fn check_copies(mut self) {
        let state = |server: &Server, log: &str| (server.digest(), group_state(&mut server.client(), log));
        self.replica.catch_up_with(&self.server);
        let wanted = state(&self.server, &self.log);
        assert_eq!(state(&self.replica, &self.log), wanted, "replica");
        self.server.restart(Stop::Kill, Options::plain().append_only());
        assert_eq!(state(&self.server, &self.log), wanted, "AOF");
    }
}

/// What the groups of a stream know, where DEBUG DIGEST is blind: who has which entry since when, and how often it was
/// delivered. Without what the server itself does not tell its replicas, consumers that never got anything included.
pub fn group_state(client: &mut Client, stream: &str) -> Vec<String> {
    fn known(value: &Value) -> String {
        let Value::Array(items) = value else { return text(value) };
        let name = |item: &Value| text(item).replace('"', "");
        let is_map = items.first().is_some_and(|first| name(first) == "name");
        let shown: Vec<_> = match is_map {
            true => {
                let told = items.chunks(2).filter(|pair| {
                    !["seen-time", "active-time", "entries-read", "lag"].contains(&name(&pair[0]).as_str())
                });
                told.map(|pair| format!("{}: {}", name(&pair[0]), known(&pair[1]))).collect()
            }
            false => items.iter().map(known).filter(|item| !item.contains("pel-count: 0")).collect(),
        };
        format!("[{}]", shown.join(", "))
    }
    let Value::Array(info) = client.run(["XINFO", "STREAM", stream, "FULL", "COUNT", "0"]) else {
        panic!("XINFO replies an array");
    };
    let groups = info.chunks(2).find(|pair| text(&pair[0]) == "\"groups\"").expect("groups");
    let Value::Array(groups) = &groups[1] else { panic!("groups are an array") };
    groups.iter().map(known).collect()
}

fn group_names(client: &mut Client, stream: &str) -> BTreeSet<String> {
    let Value::Array(groups) = client.run(["XINFO", "GROUPS", stream]) else { panic!("XINFO replies an array") };
    let name = |group: &Value| match group {
        Value::Array(fields) => text(&fields[1]).replace('"', ""),
        other => panic!("not a group: {}", text(other)),
    };
    groups.iter().map(name).collect()
}

/// From the first event on, whatever command brings it; dead letters are for people.
#[test]
fn new_logs_have_the_configured_groups() {
    let server = Server::start(Options::new().module_args("consumer-groups risk,audit"));
    let mut client = server.client();
    let both = ["audit", "risk"].map(str::to_owned).into();
    for (publish, log, claim, dead) in [
        ("TRADE.PUBLISH S trade.executed {}", "trade:{S}:events", "TRADE.CLAIM S", "trade:{S}:dead"),
        ("TRADE.MPUBLISH T 1 trade.executed {}", "trade:{T}:events", "TRADE.CLAIM T", "trade:{T}:dead"),
        ("EVENT.PUBLISH S policy.updated {}", "events:{S}", "EVENT.CLAIM S", "events:{S}:dead"),
    ] {
        client.run(publish);
        assert_eq!(group_names(&mut client, log), both, "{publish}");
        let read = client.text(["XREADGROUP", "GROUP", "risk", "a", "STREAMS", log, ">"]);
        assert!(read.contains("{}"), "from the beginning: {read}");
        assert_eq!(client.text(format!("{claim} risk b 0 0")), "[[], 1]");
        assert_eq!(group_names(&mut client, dead), BTreeSet::new(), "{dead}");
        // What another group has read is its own affair.
        assert_eq!(client.text(format!("{claim} audit b 0 0")), "[[], 0]");
    }
}

/// One entry of XREADGROUP or of CLAIM: its id, and whether it is poison.
fn read_entry(entry: &Value) -> (String, bool) {
    let Value::Array(parts) = entry else { panic!("not an entry: {}", text(entry)) };
    (text(&parts[0]).replace('"', ""), text(&parts[1]).contains("poison"))
}

/// Sets a flag when it goes out of scope: threads that wait for it end with the test, however that ends.
struct SetAtEnd<'f>(&'f AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Two publishers, two consumers that work, and one that takes entries and dies with them, again and again. Some
/// entries are poison: nobody gets them done.
#[test]
fn a_crowd_loses_nothing_and_ends_what_is_poison() {
    const EVENTS: usize = 150;
    const PUBLISHERS: usize = 2;
    const MAX_DELIVERIES: usize = 2;
    let server = Server::start(Options::new().module_args("consumer-groups g").append_only());
    let replica = Server::start(Options::plain().replica_of(&server));
    server.client().run("TRADE.PUBLISH S trade.executed {}");
    let is_over = AtomicBool::new(false);
    let consume = |name: &str, fails: bool| {
        let mut client = server.client();
        let (mut delivered, mut done) = (Vec::new(), BTreeSet::new());
        let mut life = 0;
        while !is_over.load(Ordering::SeqCst) {
            // Who fails comes back under another name, and so never looks at what it left.
            life += usize::from(fails);
            let name = format!("{name}{life}");
            let read =
                ["XREADGROUP", "GROUP", "g", &name, "COUNT", "3", "BLOCK", "5", "STREAMS", "trade:{S}:events", ">"];
            let mut entries = Vec::new();
            if let Value::Array(streams) = client.run(read) {
                let Value::Array(stream) = &streams[0] else { panic!("a stream and its entries") };
                let Value::Array(new) = &stream[1] else { panic!("entries") };
                entries.extend(new.iter().map(read_entry));
            }
            if !fails {
                let claimed = client.run(format!("TRADE.CLAIM S g {name} 20 {MAX_DELIVERIES} COUNT 5"));
                let Value::Array(claimed) = claimed else { panic!("CLAIM replies an array") };
                let Value::Array(old) = &claimed[0] else { panic!("entries") };
                entries.extend(old.iter().map(read_entry));
            }
            for (id, is_poison) in entries {
                delivered.push(id.clone());
                if !fails && !is_poison {
                    client.run(["XACK", "trade:{S}:events", "g", &id]);
                    done.insert(id);
                }
            }
        }
        (delivered, done)
    };
    let publish = |number: usize| {
        let mut client = server.client();
        for event in 0..EVENTS {
            let data = if event % 30 == number { r#"{"poison":1}"# } else { "{}" };
            client.run(["TRADE.PUBLISH", "S", "trade.executed", data]);
        }
    };
    let results = thread::scope(|scope| {
        let stop = SetAtEnd(&is_over);
        let consumers = [("x", false), ("y", false), ("z", true)];
        let consumers = consumers.map(|(name, fails)| scope.spawn(move || consume(name, fails)));
        let publishers: Vec<_> = (0..PUBLISHERS).map(|number| scope.spawn(move || publish(number))).collect();
        publishers.into_iter().for_each(|publisher| publisher.join().expect("a publisher"));
        let mut client = server.client();
        wait_until("all to be done", || {
            let info = client.text("XINFO GROUPS trade:{S}:events");
            let newest = client.text("XREVRANGE trade:{S}:events + - COUNT 1");
            let id = newest.split('"').nth(1).expect("an id");
            info.contains("\"pending\", 0") && info.contains(id)
        });
        drop(stop);
        consumers.map(|consumer| consumer.join().expect("a consumer"))
    });

    let mut client = server.client();
    let Value::Array(log) = client.run("XRANGE trade:{S}:events - +") else { panic!("XRANGE replies an array") };
    let log: BTreeMap<_, _> = log.iter().map(read_entry).collect();
    assert_eq!(log.len(), EVENTS * PUBLISHERS + 1);
    let Value::Array(dead) = client.run("XRANGE trade:{S}:dead - +") else { panic!("XRANGE replies an array") };
    let dead: Vec<_> = dead.iter().map(|letter| text(letter).split('"').nth(9).expect("an id").to_owned()).collect();
    let mut deliveries: BTreeMap<&String, usize> = BTreeMap::new();
    results.iter().flat_map(|(delivered, _)| delivered).for_each(|id| *deliveries.entry(id).or_default() += 1);
    let done: BTreeSet<_> = results.iter().flat_map(|(_, done)| done).collect();
    for (id, is_poison) in &log {
        let letters = dead.iter().filter(|dead| *dead == id).count();
        assert!(letters <= 1, "{id} is dead {letters} times");
        assert!(done.contains(id) || letters == 1, "{id} is lost");
        assert!(!is_poison || letters == 1, "{id} is poison, and nobody said so");
        let count = deliveries.get(id).copied().unwrap_or_default();
        assert!((1..=MAX_DELIVERIES + 1).contains(&count), "{id} was delivered {count} times");
    }
    assert_eq!(server.info("tradebus", "tradebus_dead_lettered"), Some(dead.len().to_string()));
    replica.catch_up_with(&server);
    assert_eq!(replica.digest(), server.digest());
    let wanted = group_state(&mut client, "trade:{S}:events");
    assert_eq!(group_state(&mut replica.client(), "trade:{S}:events"), wanted);
}
