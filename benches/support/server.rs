//! A server of our own for each measurement: its own directory, a free port, gone when dropped.
//! A fresh process, rather than FLUSHALL, so that no peer inherits another's heap, AOF or loaded module.
// Each benchmark uses its own part of it.
#![allow(dead_code)]

use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

use crate::wire::Connection;

/// Between finding a free port and the server's bind another process may take it.
const START_ATTEMPTS: usize = 3;
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// How the server keeps what it is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Persistence {
    /// Not at all.
    Off,
    /// An append-only file, synced every second.
    AofEverysec,
}

impl Persistence {
    pub const ALL: [Persistence; 2] = [Persistence::Off, Persistence::AofEverysec];

    pub fn name(self) -> &'static str {
        match self {
            Persistence::Off => "AOF off",
            Persistence::AofEverysec => "everysec",
        }
    }

    fn appendonly(self) -> &'static str {
        match self {
            Persistence::Off => "no",
            Persistence::AofEverysec => "yes",
        }
    }
}

/// A running server, killed and removed on drop.
pub struct Server {
    child: Child,
    directory: PathBuf,
    port: u16,
}

impl Server {
    /// Starts a server, with a module if one is named, and waits until it answers.
    pub fn start(persistence: Persistence, module: Option<&Path>) -> io::Result<Server> {
        let mut attempt = 1;
        loop {
            match Server::try_start(persistence, module) {
                Err(_) if attempt < START_ATTEMPTS => attempt += 1,
                result => return result,
            }
        }
    }

    fn try_start(persistence: Persistence, module: Option<&Path>) -> io::Result<Server> {
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        let directory = env::temp_dir().join(format!(
            "tradebus-bench-{}-{}",
            process::id(),
            STARTED.fetch_add(1, Ordering::Relaxed)
        ));
        fs::create_dir(&directory)?;
        let binary = env::var("TRADEBUS_TEST_SERVER").unwrap_or_else(|_| "redis-server".to_owned());
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();

        let mut command = Command::new(&binary);
        command
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(["--save", "", "--appendonly", persistence.appendonly()])
            .args(["--appendfsync", "everysec"])
            // Or a replica's first synchronisation waits for five seconds for another replica.
            .args(["--repl-diskless-sync-delay", "0"])
            // A subscriber that is slow on a busy machine is no fault of the server's.
            .args(["--client-output-buffer-limit", "pubsub 0 0 0"])
            // A rewrite in the middle of one peer's turn would be charged to that peer.
            .args(["--auto-aof-rewrite-percentage", "0"])
            .args(["--logfile", "server.log"])
            .arg("--dir")
            .arg(&directory);
        if let Some(module) = module {
            command.arg("--loadmodule").arg(module);
        }
        let child =
            command.current_dir(&directory).stdout(Stdio::null()).stderr(Stdio::null()).spawn().map_err(|error| {
                let _ = fs::remove_dir(&directory);
                io::Error::other(format!("{binary}: {error}"))
            })?;

        let mut server = Server { child, directory, port };
        server.await_ready()?;
        Ok(server)
    }

    fn await_ready(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            let answer = self.connect().and_then(|mut connection| connection.call_text(&["PING"]));
            if answer.is_ok() {
                return Ok(());
            }
            if self.child.try_wait()?.is_some() || Instant::now() > deadline {
                let log = fs::read_to_string(self.directory.join("server.log"));
                return Err(io::Error::other(format!("the server did not start:\n{}", log.unwrap_or_default())));
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Starts a replica of this server, and waits until it follows.
    pub fn start_replica(&self, persistence: Persistence, module: Option<&Path>) -> io::Result<Server> {
        let replica = Server::start(persistence, module)?;
        let mut connection = replica.connect()?;
        connection.call(&["REPLICAOF", "127.0.0.1", &self.port.to_string()])?;
        let deadline = Instant::now() + START_TIMEOUT;
        let mut master = self.connect()?;
        loop {
            let follows =
                info_field(&connection.call_text(&["INFO", "replication"])?, "master_link_status") == Some("up");
            let is_online = master.call_text(&["INFO", "replication"])?.contains("state=online");
            if follows && is_online {
                return Ok(replica);
            }
            if Instant::now() > deadline {
                return Err(io::Error::other("the replica does not follow"));
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Opens a connection.
    pub fn connect(&self) -> io::Result<Connection> {
        Connection::open(self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing can be done about a failure here, and nothing is lost but a directory in /tmp.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// CPU time, user and system, that the server's process (all its threads) has used, in microseconds.
pub fn cpu_us(connection: &mut Connection) -> io::Result<f64> {
    let info = connection.call_text(&["INFO", "cpu"])?;
    Ok((number(&info, "used_cpu_user")? + number(&info, "used_cpu_sys")?) * 1e6)
}

/// Bytes that the server has allocated, but for buffers of clients, of replicas and of the AOF.
pub fn memory_bytes(connection: &mut Connection) -> io::Result<f64> {
    let info = connection.call_text(&["INFO", "memory"])?;
    let buffers = ["mem_clients_normal", "mem_total_replication_buffers", "mem_aof_buffer"];
    let buffers: f64 = buffers.iter().map(|name| number(&info, name)).sum::<io::Result<f64>>()?;
    Ok(number(&info, "used_memory")? - buffers)
}

/// Bytes of the append-only file; none without one.
pub fn aof_bytes(connection: &mut Connection) -> io::Result<Option<f64>> {
    let info = connection.call_text(&["INFO", "persistence"])?;
    match number(&info, "aof_enabled")? {
        enabled if enabled > 0.0 => number(&info, "aof_current_size").map(Some),
        _ => Ok(None),
    }
}

fn number(info: &str, name: &str) -> io::Result<f64> {
    info_field(info, name)
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| io::Error::other(format!("INFO without {name}")))
}

/// The server's name and version.
pub fn version(connection: &mut Connection) -> io::Result<String> {
    let info = connection.call_text(&["INFO", "server"])?;
    // Valkey also reports the Redis version that it is compatible with: its own goes first.
    Ok(["valkey", "redis"]
        .iter()
        .find_map(|name| info_field(&info, &format!("{name}_version")).map(|version| format!("{name} {version}")))
        .unwrap_or_else(|| "unknown server".to_owned()))
}

fn info_field<'i>(info: &'i str, name: &str) -> Option<&'i str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
}

/// The module that is measured: what TRADEBUS_MODULE names, else the release build.
///
/// # Errors
/// When it is not there.
pub fn module_path() -> io::Result<PathBuf> {
    let release = || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/release/libtradebus.so");
    let path = env::var_os("TRADEBUS_MODULE").map_or_else(release, PathBuf::from);
    match path.exists() {
        true => Ok(path),
        false => Err(io::Error::other(format!(
            "there is no module at {}: make build, or name one: TRADEBUS_MODULE=<path>",
            path.display()
        ))),
    }
}

/// Whether a smoke test is enough: QUICK=1, or `cargo test --benches`, which gives no --bench. Nobody waits for figures.
pub fn is_quick() -> bool {
    env::var("QUICK").is_ok_and(|value| value == "1") || env::args().all(|argument| argument != "--bench")
}

/// The figure in the middle.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    if figures.len() % 2 == 1 {
        figures[middle]
    } else {
        (figures[middle - 1] + figures[middle]) / 2.0
    }
}
