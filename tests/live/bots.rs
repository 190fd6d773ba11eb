//! The executors of `examples/bots`, killed wherever they can be: no work is lost, and none is done twice.
//!
//! Each of them talks to the server by way of the test, which lets so many commands through and then kills it
//! with SIGKILL. What a process does between two commands leaves no trace, so this is every point there is.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

use redis::FromRedisValue as _;

use crate::support::{wait_until, Client, Options, Random, Server};

/// How long a process or the server may take for a command.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the bots of one type get to do, and what must come of it.
struct Course {
    kind: &'static str,
    /// Condition, bot and action.
    subscriptions: &'static [(&'static str, &'static str, &'static str)],
    /// Condition and price.
    triggers: &'static [(&'static str, &'static str)],
    /// For each entry of the queue, in its order: the order that comes of it, and what its position earns.
    outcomes: &'static [&'static str],
}

const COURSES: [Course; 3] = [
    Course {
        kind: "dca",
        subscriptions: &[("dip", "dca-1", r#"{"volume":0.50}"#), ("dip", "dca-2", r#"{"volume":"2"}"#)],
        triggers: &[("dip", "100.25"), ("dip", "98")],
        outcomes: &["BUY 0.5 at 100.25", "BUY 2 at 100.25", "BUY 0.5 at 98", "BUY 2 at 98"],
    },
    Course {
        kind: "grid",
        subscriptions: &[
            ("low", "grid-1", r#"{"side":"BUY","level":300,"volume":5}"#),
            ("high", "grid-1", r#"{"side":"SELL","level":350.5,"volume":5}"#),
        ],
        triggers: &[("low", "300.1"), ("high", "349.9"), ("low", "299")],
        outcomes: &["BUY 5 at 300", "SELL 5 at 350.5", "BUY 5 at 300"],
    },
    Course {
        kind: "trend",
        subscriptions: &[("up", "trend-1", r#"{"do":"enter","volume":10}"#), ("down", "trend-1", r#"{"do":"exit"}"#)],
        triggers: &[("down", "9"), ("up", "10.5"), ("up", "11"), ("down", "12.25"), ("up", "12"), ("down", "11.9")],
        outcomes: &[
            "",
            "BUY 10 at 10.5 earns 17.5",
            "",
            "SELL 10 at 12.25",
            "BUY 10 at 12 earns -1",
            "SELL 10 at 11.9",
        ],
    },
];

/// An executor's process. It does not outlive its test, whatever becomes of that.
struct Process(Child);

impl Process {
    fn start(kind: &str, symbol: &str, port: u16, settings: &[(&str, &str)]) -> Process {
        let test = env::current_exe().expect("the path of this test");
        let profile = test.parent().and_then(|deps| deps.parent()).map(PathBuf::from).expect("target/<profile>/deps");
        let example = profile.join("examples/bots");
        assert!(example.exists(), "no {}: cargo build --example bots", example.display());
        let mut command = Command::new(example);
        command.args([kind, symbol]).env("REDIS_URL", format!("redis://127.0.0.1:{port}/"));
        command.envs(settings.iter().copied()).stdout(Stdio::null()).stderr(Stdio::piped());
        Process(command.spawn().expect("a program"))
    }

    fn complaint(&mut self) -> String {
        let mut complaint = String::new();
        if let Some(mut stderr) = self.0.stderr.take() {
            stderr.read_to_string(&mut complaint).expect("UTF-8");
        }
        complaint
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // SIGKILL. Neither fails for a child of our own.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A RESP value as it came: a command, or a reply in RESP2.
fn frame(from: &mut BufReader<TcpStream>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if from.read_until(b'\n', &mut bytes)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let head = String::from_utf8_lossy(&bytes[1..]).trim_end().to_owned();
    match bytes[0] {
        // A length of -1 is nil.
        b'$' => {
            if let Ok(length) = head.parse::<u64>() {
                let at = bytes.len();
                from.take(length + 2).read_to_end(&mut bytes)?;
                assert_eq!(bytes.len() - at, usize::try_from(length).expect("a length") + 2);
            }
        }
        b'*' => {
            for _ in 0..head.parse::<u64>().unwrap_or(0) {
                bytes.extend(frame(from)?);
            }
        }
        _ => {}
    }
    Ok(bytes)
}

fn patient(stream: TcpStream) -> BufReader<TcpStream> {
    stream.set_nonblocking(false).expect("a socket");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    stream.set_nodelay(true).expect("a socket");
    BufReader::new(stream)
}

/// Runs an executor until it is about to send a command before which `is_its_end` says so, given how many it
/// has sent. That one does not reach the server.
fn run_executor(
    server: &Server,
    kind: &str,
    symbol: &str,
    settings: &[(&str, &str)],
    mut is_its_end: impl FnMut(usize) -> bool,
) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    listener.set_nonblocking(true).expect("a socket");
    let mut process = Process::start(kind, symbol, listener.local_addr().expect("a port").port(), settings);
    let mut connected = None;
    wait_until("the executor to connect", || {
        connected = listener.accept().ok();
        connected.is_some()
    });
    let mut client = patient(connected.expect("a connection").0);
    let mut upstream = patient(TcpStream::connect(("127.0.0.1", server.port())).expect("a server"));
    for sent in 0.. {
        let command = frame(&mut client).unwrap_or_else(|error| panic!("{error}: {}", process.complaint()));
        if is_its_end(sent) {
            return;
        }
        assert!(sent < 20_000, "{symbol}: it turns and turns, and is not done");
        upstream.get_mut().write_all(&command).expect("a server");
        let reply = frame(&mut upstream).expect("a reply");
        client.get_mut().write_all(&reply).expect("the executor");
    }
}

/// Registers conditions, subscribes the bots and triggers: now the queue has work.
fn give_work(client: &mut Client, course: &Course, symbol: &str, rounds: usize) {
    for (condition, bot, action) in course.subscriptions {
        // It never fires by itself, for there are no candles.
        client.run(["COND.REGISTER", symbol, "1m", &format!("close > {}", condition.len()), "ID", condition]);
        client.run(["COND.SUBSCRIBE", symbol, condition, bot, "TYPE", course.kind, "ACTION", action]);
    }
    let triggers = course.triggers.iter().cycle().take(course.triggers.len() * rounds);
    for (number, (condition, price)) in triggers.enumerate() {
        let ts = 1_700_000_000_000 + number * 60_000;
        client.run(format!(r#"COND.TRIGGER {symbol} {condition} VALUE '{{"price":{price}}}' TIMESTAMP {ts}"#));
    }
}

/// Entries of a stream, by their fields.
fn entries(client: &mut Client, key: &str) -> Vec<(String, BTreeMap<String, String>)> {
    Vec::from_redis_value(client.run(["XRANGE", key, "-", "+"])).expect("entries")
}

/// All that is in the queue was delivered and acknowledged.
fn is_done(client: &mut Client, kind: &str, symbol: &str) -> bool {
    let queue = format!("bots:{{{symbol}}}:{kind}");
    let newest = entries(client, &queue).pop().expect("work").0;
    let groups = client.text(["XINFO", "GROUPS", &queue]);
    groups.contains("\"pending\", 0") && groups.contains(&format!("\"last-delivered-id\", \"{newest}\""))
}

/// Whether entries were done in the order of the queue.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sequence {
    OfQueue,
    Any,
}

/// Each order and position was made once, and is what its work says.
#[track_caller]
fn check_done(client: &mut Client, course: &Course, symbol: &str, sequence: Sequence) {
    let mut wanted = Vec::new();
    let work = entries(client, &format!("bots:{{{symbol}}}:{}", course.kind));
    for ((_, work), outcome) in work.iter().zip(course.outcomes.iter().cycle()) {
        let id = &work["order_ref"];
        if outcome.is_empty() {
            assert_eq!(client.text(["TRADE.ORDER", symbol, id]), "nil", "{work:?}");
            continue;
        }
        let order = client.map(["TRADE.ORDER", symbol, id]);
        let mut shown = format!("{} {} at {}", order["side"], order["filled_volume"], order["avg_fill_price"]);
        let mut events = vec![("order.created", "new"), ("order.filled", "fill")];
        if outcome.contains("earns") {
            let position = client.map(["TRADE.POSITION", symbol, id]);
            shown += &format!(" earns {}", position["realized_pnl"]);
            assert_eq!((position["status"].as_str(), position["version"].as_str()), ("closed", "2"), "{position:?}");
            events.push(("position.opened", "open"));
        } else if course.kind == "trend" {
            events.push(("position.closed", "close"));
        }
        assert_eq!(shown, *outcome, "{work:?}");
        assert_eq!((order["status"].as_str(), order["version"].as_str()), ("filled", "2"), "{order:?}");
        wanted.extend(events.into_iter().map(|(event_type, name)| (event_type.to_owned(), format!("{id}-{name}"))));
    }
    let log = entries(client, &format!("trade:{{{symbol}}}:events"));
    assert!(log.iter().all(|(_, event)| !event.contains_key("outcome")), "some are late: {log:#?}");
    let mut logged: Vec<_> =
        log.into_iter().map(|(_, event)| (event["type"].clone(), event["event_id"].clone())).collect();
    if sequence == Sequence::Any {
        logged.sort();
        wanted.sort();
    }
    assert_eq!(logged, wanted, "{symbol}");
    assert_eq!(client.int(format!("EXISTS trade:{{{symbol}}}:dead")), 0);
}

#[test]
fn an_executor_is_killed_before_each_of_its_commands() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    for course in &COURSES {
        let kind = course.kind;
        let mut allowed = 0;
        loop {
            let symbol = format!("{kind}-{allowed}");
            give_work(&mut client, course, &symbol, 1);
            run_executor(&server, kind, &symbol, &[("IDLE_MS", "0")], |sent| sent == allowed);
            let was_unharmed = is_done(&mut client, kind, &symbol);
            run_executor(&server, kind, &symbol, &[("IDLE_MS", "0")], |_| is_done(&mut client, kind, &symbol));
            check_done(&mut client, course, &symbol, Sequence::OfQueue);
            if was_unharmed {
                break;
            }
            allowed += 1;
            assert!(allowed < 500, "{kind}: no end of it");
        }
        // Each entry takes a claim, a read and an XACK at the least, and each order two events.
        let orders = course.outcomes.iter().filter(|outcome| !outcome.is_empty());
        assert!(allowed > course.outcomes.len() * 3 + orders.count() * 2, "{kind}: {allowed}");
    }
}

#[test]
fn two_executors_are_killed_again_and_again() {
    let server = Server::start(Options::new());
    // No entry is to blame for a kill, so none becomes a dead letter here.
    let settings = [("IDLE_MS", "20"), ("MAX_DELIVERIES", "1000000")];
    thread::scope(|scope| {
        for course in &COURSES {
            let kind = course.kind;
            give_work(&mut server.client(), course, kind, 6);
            for number in 1..=2 {
                let server = &server;
                scope.spawn(move || {
                    let mut client = server.client();
                    let mut random = Random::new(number);
                    let end = Instant::now() + 3 * PATIENCE;
                    while !is_done(&mut client, kind, kind) {
                        assert!(Instant::now() < end, "{kind}: killed again and again, and not done");
                        let allowed = random.below(32);
                        run_executor(server, kind, kind, &settings, |sent| {
                            sent == allowed || is_done(&mut client, kind, kind)
                        });
                    }
                });
            }
        }
    });
    let mut client = server.client();
    for course in &COURSES {
        let sequence = if course.kind == "trend" { Sequence::OfQueue } else { Sequence::Any };
        check_done(&mut client, course, course.kind, sequence);
    }
}

#[test]
fn work_that_cannot_be_done_ends_as_a_dead_letter_and_holds_nothing_up() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    client.run("COND.REGISTER S 1m 'close > 1' ID any");
    client.run(r#"COND.SUBSCRIBE S any refused TYPE dca ACTION '{"volume":-1}'"#);
    client.run(r#"COND.SUBSCRIBE S any vague TYPE dca ACTION '{"much":1}'"#);
    client.run(r#"COND.SUBSCRIBE S any well TYPE dca ACTION '{"volume":1}'"#);
    client.run(r#"COND.TRIGGER S any VALUE '{"price":7}'"#);
    // Nobody can trade at no price.
    client.run("COND.TRIGGER S any");
    let settings = [("IDLE_MS", "0"), ("MAX_DELIVERIES", "2")];
    run_executor(&server, "dca", "S", &settings, |_| is_done(&mut client, "dca", "S"));
    let dead = entries(&mut client, "trade:{S}:dead");
    let mut bots: Vec<_> = dead.iter().map(|(_, letter)| letter["bot_id"].as_str()).collect();
    bots.sort_unstable();
    assert_eq!(bots, ["refused", "refused", "vague", "vague", "well"]);
    let log = entries(&mut client, "trade:{S}:events");
    let types: Vec<_> = log.iter().map(|(_, event)| event["type"].as_str()).collect();
    assert_eq!(types, ["order.created", "order.filled"]);
}
