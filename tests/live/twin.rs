//! Effects as they come into the AOF, and a twin that has nothing but them.
//!
//! The twin, a server without the module, replays what the module's server wrote. Data, expiries and keyspace
//! events that are the same there prove that the effects tell all that the module did, and that it announces
//! what the plain commands would.

use std::collections::BTreeMap;
use std::fs;

use crate::support::{Client, Options, Server, Subscriber};

/// Effects as they come into the AOF, one line each.
struct Aof {
    read: usize,
}

impl Aof {
    /// What was written since the last call: all of one command in one transaction, which is checked here and
    /// left out.
    fn next(&mut self, server: &Server) -> Vec<Vec<Vec<u8>>> {
        let dir = server.dir().join("appendonlydir");
        let bytes = fs::read(dir.join("appendonly.aof.1.incr.aof")).expect("an append-only file");
        let mut rest = &bytes[self.read..];
        self.read = bytes.len();
        let mut commands = Vec::new();
        while !rest.is_empty() {
            let count = number(&mut rest);
            let words = (0..count).map(|_| {
                let len = number(&mut rest);
                let (word, tail) = rest.split_at(len);
                rest = &tail[2..];
                word.to_vec()
            });
            commands.push(words.collect::<Vec<_>>());
        }
        commands.retain(|command| command[0] != b"SELECT");
        if commands.len() > 1 {
            let shown: Vec<_> = commands.iter().map(|command| lossy(command)).collect();
            assert_eq!((shown[0][0].as_str(), shown[shown.len() - 1][0].as_str()), ("MULTI", "EXEC"), "{shown:?}");
            commands.remove(0);
            commands.pop();
            assert!(commands.iter().all(|c| c[0] != b"MULTI"), "more than one transaction: {shown:?}");
        }
        commands
    }
}

/// The number of a line such as `*3`, which is taken.
fn number(rest: &mut &[u8]) -> usize {
    let end = rest.iter().position(|&byte| byte == b'\r').expect("a complete command");
    let digits = std::str::from_utf8(&rest[1..end]).expect("digits");
    *rest = &rest[end + 2..];
    digits.parse().expect("a number")
}

/// Words as text. Saved states are none.
fn lossy(command: &[Vec<u8>]) -> Vec<String> {
    command.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

/// A server with the module, its twin without, and who listens to both.
pub struct Pair {
    server: Server,
    pub client: Client,
    aof: Aof,
    pub messages: Subscriber,
    events: Subscriber,
    twin: Server,
    twin_events: Subscriber,
}

impl Pair {
    /// Starts both; `options` are of the one with the module.
    pub fn start(options: Options) -> Pair {
        const KEYSPACE: &str = "PSUBSCRIBE __keyspace@0__:*";
        // Every event there is, new keys included.
        const NOTIFY: &str = "notify-keyspace-events AKn";
        let server = Server::start(options.append_only().config(NOTIFY));
        let twin = Server::start(Options::plain().config(NOTIFY));
        Pair {
            client: server.client(),
            aof: Aof { read: 0 },
            messages: server.subscribe("PSUBSCRIBE trades:* events:*"),
            events: server.subscribe(KEYSPACE),
            twin_events: twin.subscribe(KEYSPACE),
            server,
            twin,
        }
    }

    /// Another connection to the server with the module.
    pub fn connect(&self) -> Client {
        self.server.client()
    }

    /// The effects since the last call, replayed on the twin, which must be the same then.
    pub fn effects(&mut self) -> Vec<Vec<String>> {
        let effects = self.aof.next(&self.server);
        let mut twin = self.twin.client();
        for effect in &effects {
            twin.run(effect);
        }
        let effects: Vec<_> = effects.iter().map(|effect| lossy(effect)).collect();
        assert_eq!(self.server.digest(), self.twin.digest(), "{effects:#?}");
        assert_eq!(expiries(&mut self.client), expiries(&mut twin), "{effects:#?}");
        assert_eq!(self.events.until_now(), self.twin_events.until_now(), "{effects:#?}");
        effects
    }
}

/// An effect as one line. The fields of HSET are sorted, since no order of them is promised; a space within a
/// value is shown as `+`; an idempotency record ends before its digest.
pub fn shown(effect: &[String]) -> String {
    let (head, rest) = effect.split_at(2);
    if head[0] != "HSET" {
        return effect.join(" ");
    }
    let mut rest: Vec<String> =
        rest.chunks(2).map(|pair| format!("{} {}", pair[0], pair[1].replace(' ', "+"))).collect();
    if head[1].contains(":seen:") {
        rest.iter_mut().for_each(|record| record.truncate(record.find('+').unwrap_or(record.len())));
    }
    rest.sort();
    format!("{} {}", head.join(" "), rest.join(" "))
}

/// When each key expires, -1 for those that do not.
pub fn expiries(client: &mut Client) -> BTreeMap<String, i64> {
    let keys = client.keys("*");
    keys.into_iter().map(|key| (key.clone(), client.int(["PEXPIRETIME", &key]))).collect()
}

/// The time in a log entry's id.
pub fn ms_of(id: &str) -> i64 {
    id.split_once('-').expect("ms-seq").0.parse().expect("a time")
}
