//! A server under callgrind, from which profiles are asked by a command.
//!
//! `callgrind_control` would stop the server to talk to valgrind in it, which a container may forbid; a server that dumps
//! when it comes to ECHO needs nobody's leave, and does it between two commands, always at the same place.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, io, process, thread};

use crate::profile::Profile;
use crate::server;
use crate::wire::{Batch, Connection};

/// The server's function that every command of a module, and nothing else, goes through; Valkey puts its own name first.
const COUNTED: &str = "*ModuleCommandDispatcher";
/// The function of a command that nothing else uses.
const DUMPS: &str = "echoCommand";

/// A slow machine, and a slow server on it.
const START_TIMEOUT: Duration = Duration::from_secs(120);
/// Commands in one round trip.
const PIPELINE: usize = 32;

/// A running server, killed and removed on drop.
pub struct Profiled {
    child: Child,
    directory: PathBuf,
    module: PathBuf,
    connection: Connection,
    /// Profiles written so far.
    dumps: usize,
}

impl Profiled {
    /// Starts a server with the module, that keeps nothing, and waits until it answers.
    ///
    /// # Errors
    /// When there is no valgrind or no server, or it does not start.
    pub fn start(module: &Path) -> io::Result<Profiled> {
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        let started = STARTED.fetch_add(1, Ordering::Relaxed);
        let directory = env::temp_dir().join(format!("tradebus-instructions-{}-{started}", process::id()));
        fs::create_dir(&directory)?;
        let binary = env::var("TRADEBUS_TEST_SERVER").unwrap_or_else(|_| "redis-server".to_owned());
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let mut child = Command::new("valgrind")
            .args(["--tool=callgrind", "--vgdb=no", "--log-file=valgrind.log", "--callgrind-out-file=profile"])
            .arg(format!("--toggle-collect={COUNTED}"))
            .arg(format!("--dump-before={DUMPS}"))
            // A profile that needs no table of names and no state to be read.
            .args(["--compress-strings=no", "--compress-pos=no", "--dump-line=no"])
            // What is named as the server may be a script that ends by executing it.
            .arg("--trace-children=yes")
            .arg(&binary)
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(["--save", "", "--appendonly", "no"])
            // How far a table has grown would depend on time.
            .args(["--activerehashing", "no"])
            .args(["--logfile", "server.log"])
            .arg("--loadmodule")
            .arg(module)
            .current_dir(&directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| {
                let _ = fs::remove_dir(&directory);
                io::Error::other(format!("valgrind: {error} (scripts/instructions installs it)"))
            })?;
        let connection = await_ready(&mut child, port).map_err(|error| {
            let _ = child.kill();
            let _ = child.wait();
            let logs =
                ["valgrind.log", "server.log"].map(|name| fs::read_to_string(directory.join(name)).unwrap_or_default());
            let _ = fs::remove_dir_all(&directory);
            io::Error::other(format!("{binary} under valgrind: {error}\n{}", logs.concat()))
        })?;
        Ok(Profiled { child, directory, module: module.to_owned(), connection, dumps: 0 })
    }

    /// Sends a command.
    pub fn call(&mut self, command: &[String]) -> io::Result<()> {
        self.play(&[command.to_vec()])
    }

    /// Sends commands, none of which may fail.
    pub fn play(&mut self, commands: &[Vec<String>]) -> io::Result<()> {
        for commands in commands.chunks(PIPELINE) {
            let mut batch = Batch::default();
            for command in commands {
                batch.push(&command.iter().map(String::as_str).collect::<Vec<_>>());
            }
            self.connection.round_trip(&batch)?;
        }
        Ok(())
    }

    /// Counts from 0 on.
    pub fn reset(&mut self) -> io::Result<()> {
        self.dump().map(drop)
    }

    /// What was counted since [`Self::reset`]. It is kept under `name`, to be looked at.
    ///
    /// # Errors
    /// When nothing was, because the server does not tell the names of its functions.
    pub fn profile(&mut self, name: &str) -> io::Result<Profile> {
        let dump = self.dump()?;
        let profile = Profile::parse(&fs::read_to_string(&dump)?, &self.module)?;
        if profile.of_module == 0 {
            return Err(unnamed(COUNTED));
        }
        fs::create_dir_all(kept_in())?;
        fs::copy(dump, kept_in().join(name).with_extension("callgrind"))?;
        Ok(profile)
    }

    /// A section of INFO.
    pub fn info(&mut self, section: &str) -> io::Result<String> {
        self.connection.call_text(&["INFO", section])
    }

    /// The server's name and version.
    pub fn version(&mut self) -> io::Result<String> {
        server::version(&mut self.connection)
    }

    /// Has it write a profile, which begins a new one. When ECHO replies, it is written.
    fn dump(&mut self) -> io::Result<PathBuf> {
        self.connection.call(&["ECHO", "dump"])?;
        self.dumps += 1;
        let path = self.directory.join(format!("profile.{}", self.dumps));
        if path.exists() {
            Ok(path)
        } else {
            Err(unnamed(DUMPS))
        }
    }
}

impl Drop for Profiled {
    fn drop(&mut self) {
        // Nothing can be done about a failure here, and nothing is lost but a directory in /tmp.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Where the profiles are kept until the next run.
pub fn kept_in() -> &'static Path {
    Path::new(concat!(env!("CARGO_TARGET_TMPDIR"), "/instructions"))
}

fn await_ready(child: &mut Child, port: u16) -> io::Result<Connection> {
    let deadline = Instant::now() + START_TIMEOUT;
    loop {
        let ready = Connection::open(port).and_then(|mut connection| {
            connection.call_text(&["PING"])?;
            Ok(connection)
        });
        match ready {
            Ok(connection) => return Ok(connection),
            Err(_) if child.try_wait()?.is_some() => return Err(io::Error::other("it has ended")),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
}

fn unnamed(function: &str) -> io::Error {
    io::Error::other(format!(
        "valgrind finds no function {function} in the server: it was stripped of the names of its functions. Name one that \
         has them, as the redis-server of Debian and Ubuntu does: TRADEBUS_TEST_SERVER=<path>"
    ))
}
