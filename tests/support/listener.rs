//! Subscribers that listen on whatever happens to their server, and what they heard, held against the logs.
//!
//! Each node has one of its own: it subscribes again when its connection is lost, as a client does, and looks with
//! every message whether the state that it speaks of is there already, on the same node.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{self, AtomicU32};
use std::thread::{self, JoinHandle};

use redis::{ProtocolVersion, Value};

use super::wait::{poll, wait_until};
use super::{entry_id, Client, Id, Server};

/// The channel that ends a listener begins so.
const END: &str = "test-listener-end:";

/// A listener at work on one node.
pub struct Listener {
    port: u16,
    end: String,
    thread: JoinHandle<Vec<Vec<Told>>>,
}

/// What one message said.
struct Told {
    /// The key of the log.
    log: String,
    channel: String,
    id: Id,
    prev_id: Id,
    prev_log_id: Id,
    state: State,
}

/// The state that a message speaks of, as its node had it when the message was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Older than the message.
    Early,
    /// As the message tells it.
    Prompt,
    /// Newer, or not shown: whoever hears a message late cannot see that it came early.
    Unknown,
}

/// What a listener heard, held against the logs as they are in the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hearing {
    /// Messages.
    pub messages: usize,
    /// Connections that it took.
    pub connections: usize,
    /// Messages that say that some before them were missed on their connection. The log has those.
    pub gaps: usize,
    /// Messages of events that are in no log any more: their master has lost them since. Nothing tells whether they were
    /// truthful, and not early.
    pub vanished: usize,
    /// Messages that were not newer than the one before, on one connection.
    pub repeated: usize,
    /// Messages that name another entry than the one that the log has before theirs.
    pub untruthful: usize,
    /// Messages that came before the state that they speak of.
    pub early: usize,
    /// Messages that were heard so soon that the state was still the one that they speak of: had it come later than
    /// they did, that would have been seen. Of all others `early` says nothing.
    pub prompt: usize,
}

impl Hearing {
    /// Whether nobody was told anything wrong, and that could be seen of some messages.
    pub fn is_sound(&self) -> bool {
        (self.repeated, self.untruthful, self.early) == (0, 0, 0) && self.prompt > 0
    }
}

impl fmt::Display for Hearing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Hearing { messages, connections, gaps, vanished, repeated, untruthful, early, prompt } = self;
        write!(
            f,
            "{messages} messages on {connections} connections, {gaps} gaps told, {vanished} vanished, {repeated} repeated, \
             {untruthful} with a wrong predecessor, {early} before their state and {prompt} with it"
        )
    }
}

impl Listener {
    /// Listens to all events of symbols and streams on this server, from the time of the return on.
    #[track_caller]
    pub fn start(server: &Server) -> Listener {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let end = format!("{END}{}", NEXT.fetch_add(1, atomic::Ordering::Relaxed));
        let (port, channel) = (server.port(), end.clone());
        let first = subscribe(port, &channel).expect("a subscription");
        let thread = thread::spawn(move || listen(port, &channel, first));
        Listener { port, end, thread }
    }

    /// Ends it, when it has heard all that its server published before this call.
    #[track_caller]
    pub fn stop(self) -> Heard {
        let mut publisher = connect(self.port).expect("its server");
        // Again, as it may be about to connect.
        wait_until("a listener to end", || {
            publisher.run(["PUBLISH", &self.end, ""]);
            self.thread.is_finished()
        });
        Heard { connections: self.thread.join().expect("a listener gave up: see above") }
    }
}

/// All that a listener heard.
pub struct Heard {
    connections: Vec<Vec<Told>>,
}

impl Heard {
    /// Holds it against the logs of a server.
    pub fn check(&self, server: &Server) -> Hearing {
        let mut client = server.client();
        let mut logs = HashMap::new();
        let mut hearing = Hearing { connections: self.connections.len(), ..Hearing::default() };
        for connection in &self.connections {
            let mut newest: HashMap<&str, Id> = HashMap::new();
            for told in connection {
                let log = logs.entry(told.log.clone()).or_insert_with(|| Log::read(&mut client, &told.log));
                hearing.messages += 1;
                if let Some(before) = newest.insert(&told.log, told.id) {
                    hearing.repeated += usize::from(told.id <= before);
                    hearing.gaps += usize::from(told.prev_log_id > before);
                }
                let Some(entry) = log.entries.get(&told.id) else {
                    hearing.vanished += 1;
                    continue;
                };
                let is_truthful = (told.prev_id, told.prev_log_id) == (entry.prev_id, entry.prev_log_id);
                hearing.untruthful += usize::from(!is_truthful || !told.channel.ends_with(&entry.suffix));
                hearing.early += usize::from(told.state == State::Early);
                hearing.prompt += usize::from(told.state == State::Prompt);
            }
        }
        hearing
    }
}

/// A log, and what comes before each of its entries.
struct Log {
    entries: BTreeMap<Id, Place>,
}

struct Place {
    /// How the channel ends.
    suffix: String,
    prev_id: Id,
    prev_log_id: Id,
}

impl Log {
    fn read(client: &mut Client, key: &str) -> Log {
        let Value::Array(stored) = client.run(["XRANGE", key, "-", "+"]) else { panic!("XRANGE replies an array") };
        let mut newest: HashMap<String, Id> = HashMap::new();
        let mut prev_log_id = (0, 0);
        let mut entries = BTreeMap::new();
        for entry in &stored {
            let Value::Array(parts) = entry else { panic!("not an entry: {entry:?}") };
            let Value::Array(fields) = &parts[1] else { panic!("not fields: {entry:?}") };
            let id = entry_id(&string(&parts[0]));
            // The type is the first field of an entry.
            let suffix = format!(":{}", string(&fields[1]));
            let prev_id = newest.insert(suffix.clone(), id).unwrap_or((0, 0));
            entries.insert(id, Place { suffix, prev_id, prev_log_id });
            prev_log_id = id;
        }
        Log { entries }
    }
}

fn connect(port: u16) -> redis::RedisResult<Client> {
    Client::connect(port, Client::settings(ProtocolVersion::RESP2))
}

fn subscribe(port: u16, end: &str) -> redis::RedisResult<Client> {
    let mut client = connect(port)?;
    client.try_reply("PSUBSCRIBE trades:* events:*")?;
    // Each channel is confirmed.
    client.receive()?;
    client.try_reply(["SUBSCRIBE", end])?;
    Ok(client)
}

/// Hears until the end is told, on one connection after another.
fn listen(port: u16, end: &str, first: Client) -> Vec<Vec<Told>> {
    let mut connections = Vec::new();
    let (mut client, mut reader) = (first, None);
    loop {
        let mut heard = Vec::new();
        let is_over = hear(&mut client, end, |channel, payload| {
            heard.push(told(port, &mut reader, channel, payload));
        });
        connections.push(heard);
        if is_over {
            return connections;
        }
        client = poll(|| subscribe(port, end).ok()).expect("nobody to listen to for too long");
    }
}

/// Hears messages until the connection ends, or the end is told: then it is `true`.
fn hear(client: &mut Client, end: &str, mut message: impl FnMut(String, &str)) -> bool {
    loop {
        let Ok(Value::Array(parts)) = client.receive() else { return false };
        let parts: Vec<_> = parts.iter().map(string).collect();
        match parts.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["message", channel, _] if channel == end => return true,
            ["pmessage", _, channel, payload] => message(channel.to_owned(), payload),
            _ => panic!("not a message: {parts:?}"),
        }
    }
}

fn told(port: u16, reader: &mut Option<Client>, channel: String, payload: &str) -> Told {
    let json: serde_json::Value = serde_json::from_str(payload).unwrap_or_else(|error| panic!("{error}: {payload}"));
    let id = |member: &str| entry_id(json[member].as_str().unwrap_or_else(|| panic!("no {member}: {payload}")));
    let log = match (json["symbol"].as_str(), json["stream"].as_str()) {
        (Some(symbol), _) => format!("trade:{{{symbol}}}:events"),
        (None, Some(stream)) => format!("events:{{{stream}}}"),
        (None, None) => panic!("of what? {payload}"),
    };
    let state = state(port, reader, &log, &json);
    Told { log, channel, id: id("id"), prev_id: id("prev_id"), prev_log_id: id("prev_log_id"), state }
}

/// The node's state beside the message: the version of the entity, or the newest entry of the log. A node that does not
/// answer now shows none to anybody.
fn state(port: u16, reader: &mut Option<Client>, log: &str, message: &serde_json::Value) -> State {
    if reader.is_none() {
        *reader = connect(port).ok();
    }
    let Some(client) = reader else { return State::Unknown };
    let kinds = ["order", "position", "signal"];
    let entity = kinds.iter().find_map(|kind| Some((kind, message["data"][format!("{kind}_id")].as_str()?)));
    let reply = match (message["version"].as_u64(), entity) {
        (Some(_), Some((kind, id))) => {
            let key = format!("{}{kind}:{id}", log.trim_end_matches("events"));
            client.try_reply(["HGET", &key, "version"])
        }
        _ => client.try_reply(["XREVRANGE", log, "+", "-", "COUNT", "1"]),
    };
    let compared = match reply {
        Ok(Value::BulkString(version)) => {
            let found: u64 = String::from_utf8_lossy(&version).parse().expect("a version");
            found.cmp(&message["version"].as_u64().expect("a version"))
        }
        Ok(Value::Array(entries)) => match entries.first() {
            Some(Value::Array(newest)) => {
                entry_id(&string(&newest[0])).cmp(&entry_id(message["id"].as_str().expect("an id")))
            }
            _ => Ordering::Less,
        },
        Ok(Value::Nil) => Ordering::Less,
        // LOADING or MASTERDOWN.
        Ok(_) => return State::Unknown,
        Err(_) => {
            *reader = None;
            return State::Unknown;
        }
    };
    match compared {
        Ordering::Less => State::Early,
        Ordering::Equal => State::Prompt,
        Ordering::Greater => State::Unknown,
    }
}

fn string(value: &Value) -> String {
    match value {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::Int(number) => number.to_string(),
        other => panic!("not a string: {other:?}"),
    }
}
