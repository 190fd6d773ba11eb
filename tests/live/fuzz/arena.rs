//! Servers to run sequences on, and what is looked at while they run.

use std::collections::{BTreeMap, BTreeSet};

use redis::Value;

use super::beginning::begin_anew;
use super::invariants::{check_keys, check_rebuild, check_reply, fault, Chains, Fault};
use super::step::{line, origin, Step};
use crate::support::{text, Client, Options, Server, Stop, Subscriber};

/// Steps between two looks at everything.
const CHECK_EVERY: usize = 40;

/// Looks at two digests before they are said to differ: while the clock closes bars and keys expire, one is newer.
const DIGESTS_MAX: usize = 200;

/// What the module or the server logs when something went wrong that no reply told.
const COMPLAINTS: [&str; 5] = ["internal error", "was not carried out", "was not added", "was not done", "panicked"];

/// A server with everything on, a replica without the module, and who talks and listens to them.
pub struct Arena {
    server: Server,
    replica: Server,
    /// Looks at things, whatever the sequence's own connection is in the midst of.
    control: Client,
    messages: Subscriber,
    /// Bytes of the server's log that were looked at.
    log_read: usize,
}

/// A sequence and how it is sent.
#[derive(Clone, Debug)]
pub struct Course {
    pub steps: Vec<Step>,
    /// Commands that are sent before the first reply is read.
    pub pipeline: usize,
}

/// What a run came to: commands of ours.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub accepted: u64,
    pub refused: u64,
    pub plain: u64,
}

/// What is known of a run so far.
#[derive(Default)]
struct Progress {
    /// Symbols and streams whose keys somebody else has written.
    spoiled: BTreeSet<String>,
    chains: Chains,
    /// Whether symbols may be in two databases, whose messages come on one channel.
    is_mixed: bool,
    /// Whether keys may expire while the sequence runs.
    is_brief: bool,
    /// Whether keys of the replica may outlive those of the master: one that loads its data again leaves out what has
    /// expired, and tells nobody. It does so for DEBUG only: after a restart there is a replica that asks.
    is_replica_behind: bool,
}

impl Arena {
    pub fn start() -> Arena {
        let options = Options::new().append_only().config("stream-node-max-entries 10");
        let server = Server::start(options);
        let replica = Server::start(Options::plain().replica_of(&server));
        let control = server.client_resp3();
        let messages = server.subscribe("PSUBSCRIBE trades:* events:* market:* condition.*");
        Arena { server, replica, control, messages, log_read: 0 }
    }

    /// Runs a sequence; the error says what did not hold.
    pub fn run(&mut self, course: &Course, counts: &mut Counts) -> Result<(), Fault> {
        let outcome = self.run_steps(course, counts);
        match outcome {
            Err(fault) if fault.kind == "crash" => {
                let text = format!("{}\n{}", fault.text, self.server.log());
                self.renew();
                Err(Fault { text, ..fault })
            }
            outcome => outcome,
        }
    }

    /// Other servers in the place of these, of which one is dead.
    fn renew(&mut self) {
        self.server.stop(Stop::Kill);
        self.replica.stop(Stop::Kill);
        *self = Arena::start();
    }

    fn run_steps(&mut self, course: &Course, counts: &mut Counts) -> Result<(), Fault> {
        self.reset();
        let mut progress = Progress::default();
        let mut client = self.server.client();
        let origin = origin(self.control.time_ms());
        let mut checked = 0;
        for (place, steps) in course.steps.chunks(course.pipeline).enumerate() {
            let sent: Vec<_> = steps.iter().map(|step| step.words(origin)).collect();
            self.listen(&mut progress)?;
            let mut is_gap = false;
            sent.iter().for_each(|words| is_gap |= progress.note(words));
            sent.iter().for_each(|words| client.send(words));
            for words in &sent {
                let reply = client.receive().map_err(|error| fault("crash", format!("{}: {error}", line(words))))?;
                counts.count(words, &reply);
                let is_spoiled = !progress.spoiled.is_empty();
                check_reply(words, &reply, is_spoiled)
                    .map_err(|found| Fault { text: format!("{}: {}", line(words), found.text), ..found })?;
            }
            if is_gap {
                self.messages.until_now();
                progress.chains.forget();
            }
            if (place * course.pipeline) / CHECK_EVERY > checked {
                checked += 1;
                self.check(&mut progress)?;
            }
        }
        // What the sequence is still in the midst of ends with its connection.
        drop(client);
        self.check(&mut progress)
    }

    fn reset(&mut self) {
        self.control.run("CLIENT UNPAUSE");
        begin_anew(&mut self.control);
        self.messages.until_now();
    }

    /// Takes in what was published meanwhile.
    fn listen(&mut self, progress: &mut Progress) -> Result<(), Fault> {
        let heard = self.messages.until_now();
        match progress.is_mixed {
            true => Ok(()),
            false => progress.chains.check(&heard, &progress.spoiled),
        }
    }

    fn check(&mut self, progress: &mut Progress) -> Result<(), Fault> {
        let alive = self.control.try_reply("PING");
        alive.map_err(|error| fault("crash", error.to_string()))?;
        self.listen(progress)?;
        for database in ["1", "0"] {
            self.control.run(["SELECT", database]);
            check_keys(&mut self.control, &progress.spoiled)?;
        }
        check_rebuild(&mut self.control, &progress.spoiled)?;
        self.check_log()?;
        match progress.is_replica_behind {
            true => Ok(()),
            false => self.check_replica(),
        }
    }

    fn check_log(&mut self) -> Result<(), Fault> {
        let log = self.server.log();
        let new = log.get(self.log_read..).unwrap_or(&log);
        let found = new.lines().find(|line| COMPLAINTS.iter().any(|complaint| line.contains(complaint)));
        let found = found.map(|line| fault("log", line));
        self.log_read = log.len();
        found.map_or(Ok(()), Err)
    }

    fn check_replica(&mut self) -> Result<(), Fault> {
        let mut replica = self.replica.client_resp3();
        for _ in 0..DIGESTS_MAX {
            self.replica.catch_up_with(&self.server);
            if self.control.string("DEBUG DIGEST") == replica.string("DEBUG DIGEST") {
                return Ok(());
            }
        }
        match self.difference(&mut replica) {
            Some(difference) => Err(fault("replica", difference)),
            None => Ok(()),
        }
    }

    /// A key that the replica has otherwise, if there is one.
    fn difference(&mut self, replica: &mut Client) -> Option<String> {
        for database in ["1", "0"] {
            let [here, there] = [&mut self.control, &mut *replica].map(|client| {
                client.run(["SELECT", database]);
                values(client)
            });
            let differs = |key: &&String| here.get(*key) != there.get(*key);
            if let Some(key) = here.keys().chain(there.keys()).find(differs) {
                return Some(format!(
                    "{key} in database {database}: {:?}, on the replica {:?}",
                    here.get(key),
                    there.get(key)
                ));
            }
        }
        None
    }
}

/// A digest of each key that has not expired, and when it will.
fn values(client: &mut Client) -> BTreeMap<String, String> {
    let Value::Array(keys) = client.run("KEYS *") else { panic!("KEYS replies an array") };
    let mut values = BTreeMap::new();
    for key in &keys {
        let Value::BulkString(key) = key else { panic!("not a key: {key:?}") };
        let digest = text(&client.run([&b"DEBUG"[..], b"DIGEST-VALUE", key]));
        let expiry = text(&client.run([&b"PEXPIRETIME"[..], key]));
        values.insert(String::from_utf8_lossy(key).into_owned(), format!("{digest} until {expiry}"));
    }
    values
}

impl Progress {
    /// Takes note of what a command may do to others; says whether messages before and behind it do not belong
    /// together.
    fn note(&mut self, words: &[String]) -> bool {
        const SPOILERS: [&str; 19] = [
            "DEL", "HSET", "HDEL", "SET", "ZADD", "ZREM", "RENAME", "PEXPIRE", "PERSIST", "COPY", "RPUSH", "APPEND",
            "XADD", "XTRIM", "XSETID", "MOVE", "UNLINK", "HINCRBY", "SETRANGE",
        ];
        let name = words[0].as_str();
        let is_script = name == "EVAL" && ["XDEL", "RESTORE"].iter().any(|write| words[1].contains(write));
        if SPOILERS.contains(&name) || is_script {
            self.spoiled
                .extend(words.iter().filter_map(|word| Some(word.split_once('{')?.1.split_once('}')?.0.to_owned())));
        }
        let brief = ["closed-ttl 300", "signal-ttl 200", "dedupe-window 1000"];
        self.is_brief |= name == "PEXPIRE" || brief.iter().any(|setting| words[1..].join(" ").ends_with(setting));
        self.is_replica_behind |= self.is_brief && name == "DEBUG";
        self.is_mixed |= name == "SELECT" && words[1] != "0" || name == "SWAPDB";
        // Nobody is told of what is loaded as history, nor of anything while messages go elsewhere.
        let is_silent = |word: &String| word == "BACKFILL" || word == "tradebus.pubsub";
        ["FLUSHDB", "EXEC"].contains(&name) || words.iter().any(is_silent)
    }
}

impl Counts {
    fn count(&mut self, words: &[String], reply: &Value) {
        let is_ours = words[0].contains('.');
        let count = match reply {
            _ if !is_ours => &mut self.plain,
            Value::ServerError(_) => &mut self.refused,
            _ => &mut self.accepted,
        };
        *count += 1;
    }
}
