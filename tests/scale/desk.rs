//! A server that is measured: many commands at once, memory, and the time of each call.

use std::fs;
use std::time::Instant;

use redis::{Connection, ConnectionLike, Value};

use crate::support::{text, Client, Options, Server, Words};

/// Commands that are on their way together.
const DEPTH: usize = 200;

/// What a fixed piece of work is: long enough that the clock tells, short enough to be done often.
const UNIT: &str = "local n = 0 for i = 1, 100000 do n = n + i % 7 end return n";

/// A server, its clients, and how fast it is.
pub struct Desk {
    pub server: Server,
    pub client: Client,
    many: Connection,
    process: i64,
    begun: Instant,
    unit_us: f64,
}

/// What calls took of the server's main thread, microseconds. What the server does between commands, ten times a second,
/// is in the longest.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    pub median: f64,
    pub p99: f64,
    pub worst: f64,
}

impl Desk {
    pub fn start(options: Options) -> Desk {
        Desk::of(Server::start(options))
    }

    /// Of a server that was started again.
    pub fn of(server: Server) -> Desk {
        let address = redis::Client::open(format!("redis://127.0.0.1:{}", server.port())).expect("an address");
        let many = address.get_connection().expect("a connection");
        let mut desk = Desk { client: server.client(), server, many, process: 0, begun: Instant::now(), unit_us: 0.0 };
        desk.process = desk.info("server", "process_id");
        desk.unit_us = desk.measure((0..50).map(|_| ["EVAL".to_owned(), UNIT.to_owned(), "0".to_owned()])).median;
        desk
    }

    /// Time of the server's main thread on a processor, where the system tells (Linux), so that others who use the machine
    /// do not count; else the time that passes. Microseconds.
    fn clock_us(&self) -> f64 {
        let on_processor = fs::read_to_string(format!("/proc/{}/schedstat", self.process)).ok();
        let nanoseconds = on_processor.and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
        nanoseconds.map_or_else(|| self.begun.elapsed().as_secs_f64() * 1e6, |ns| ns / 1e3)
    }

    /// Sends commands none of which is refused, one by one.
    fn measure<C: Words>(&mut self, commands: impl IntoIterator<Item = C>) -> Times {
        Times::of(commands.into_iter().map(|command| self.timed(command).0).collect())
    }

    /// Sends a command that is not refused; gives what it took, microseconds, and its reply.
    pub fn timed(&mut self, command: impl Words) -> (f64, Value) {
        let before = self.clock_us();
        let reply = self.client.run(command);
        (self.clock_us() - before, reply)
    }

    /// Measures, prints what came of it, and sees to it that 99 of 100 calls take no more than so many units.
    pub fn report<C: Words>(&mut self, what: &str, units: f64, commands: impl IntoIterator<Item = C>) -> Times {
        let times = self.measure(commands);
        self.print(what, units, times);
        times
    }

    /// What [`Self::report`] does with what was measured.
    pub fn print(&self, what: &str, units: f64, times: Times) {
        let Times { median, p99, worst } = times;
        println!("  {what:<66} median {median:>8.0}  99 % {p99:>8.0}  worst {worst:>8.0} us");
        let bound = units * self.unit_us;
        assert!(p99 <= bound, "{what}: {times:?}, and {units} units are {bound} us");
    }

    /// Sends commands, as many together as are worth it; `see` gets each reply.
    pub fn run_all(&mut self, commands: impl IntoIterator<Item = Vec<String>>, mut see: impl FnMut(&Value)) {
        let (mut packed, mut waiting) = (Vec::new(), 0);
        let mut commands = commands.into_iter().peekable();
        while let Some(words) = commands.next() {
            packed.extend(redis::Cmd::new().arg(words).get_packed_command());
            waiting += 1;
            if waiting == DEPTH || commands.peek().is_none() {
                let replies = self.many.req_packed_commands(&packed, 0, waiting).expect("a server that answers");
                replies.iter().for_each(&mut see);
                packed.clear();
                waiting = 0;
            }
        }
    }

    /// Sends commands none of which is refused.
    pub fn accept_all(&mut self, commands: impl IntoIterator<Item = Vec<String>>) {
        self.run_all(commands, |reply| assert!(!matches!(reply, Value::ServerError(_)), "{}", text(reply)));
    }

    /// A number of INFO.
    pub fn info(&self, section: &str, field: &str) -> i64 {
        self.server.info(section, field).unwrap_or_else(|| panic!("no {field}")).parse().expect("a number")
    }

    /// What the server has taken from its allocator, bytes.
    pub fn used(&self) -> i64 {
        self.info("memory", "used_memory")
    }

    /// What the process takes of the machine, bytes.
    pub fn resident(&self) -> i64 {
        self.info("memory", "used_memory_rss")
    }
}

impl Times {
    /// Of what each call took.
    pub fn of(mut taken: Vec<f64>) -> Times {
        taken.sort_by(f64::total_cmp);
        let at = |percent: usize| taken[(taken.len() - 1) * percent / 100];
        Times { median: at(50), p99: at(99), worst: at(100) }
    }
}

/// A command of words that a string splits into at its spaces; JSON without spaces.
pub fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

/// Bytes as MiB with a digit.
pub fn mib(bytes: i64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
