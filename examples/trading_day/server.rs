//! The server that the day is played on: the project's redis.conf, a port, and a directory that is thrown away.

use std::io::{self, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use redis::Connection;

use crate::Outcome;

/// How long the server may take to start, and to answer.
const DEADLINE: Duration = Duration::from_secs(10);

/// A server. It ends with this process, however that ends.
pub struct Server {
    child: Child,
    port: u16,
    guard: Guard,
    log: PathBuf,
}

/// A process that waits for the end of a pipe and then ends the server. The pipe ends when this process does,
/// be it by Ctrl-C or by SIGKILL, which no handler of ours would see; and so there is one way to end, not
/// three. What the server holds is thrown away, so it is not asked to save it.
struct Guard {
    process: Child,
    pipe: Option<ChildStdin>,
}

/// A line says that the server has ended by itself: its process id may be another's by now.
const GUARD: &str = r#"read -r ended || kill -9 "$1"; rm -rf "$2""#;

impl Server {
    /// Starts a server and waits until it answers.
    pub fn start(port: u16) -> Outcome<Server> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let module =
            env::var_os("TRADEBUS_MODULE").map_or_else(|| root.join("target/release/libtradebus.so"), PathBuf::from);
        if !module.exists() {
            let module = module.display();
            return Err(format!("there is no module at {module}: make build, or name one: TRADEBUS_MODULE=<path>"));
        }
        if let Err(error) = TcpListener::bind(("127.0.0.1", port)) {
            return Err(match error.kind() {
                io::ErrorKind::AddrInUse => {
                    format!("port {port} is taken; use another one: PORT={} make run", port.wrapping_add(1).max(1_024))
                }
                _ => format!("port {port} cannot be used: {error}"),
            });
        }
        let dir = lay_out(&module).map_err(|error| format!("no directory for the server's data: {error}"))?;
        let log = dir.join("server.log");
        let binary = env::var_os("TRADEBUS_TEST_SERVER").unwrap_or_else(|| "redis-server".into());
        let log_file = fs::File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        // In a process group of its own: Ctrl-C is for this process, and its end is the server's.
        let child = Command::new(&binary)
            .arg(root.join("redis.conf"))
            .args(["--port", &port.to_string(), "--dir"])
            .arg(&dir)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log_file)
            .stderr(Stdio::null())
            .spawn();
        let child = child.map_err(|error| {
            let _ = fs::remove_dir_all(&dir);
            format!(
                "{} does not start ({error}): scripts/setup installs one, or name one: \
                 TRADEBUS_TEST_SERVER=/path/to/valkey-server make run",
                Path::new(&binary).display()
            )
        })?;
        let guard = Guard::of(&child, &dir)?;
        let mut server = Server { child, port, guard, log };
        server.await_ready()?;
        Ok(server)
    }

    fn await_ready(&mut self) -> Outcome<()> {
        let end = Instant::now() + DEADLINE;
        while Instant::now() < end {
            if self.has_ended()? {
                return Err(format!("the server did not start; its log:\n{}", self.log()));
            }
            if self.connect().is_ok() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Err(format!("the server did not answer in {DEADLINE:?}; its log:\n{}", self.log()))
    }

    fn has_ended(&mut self) -> Outcome<bool> {
        let status = self.child.try_wait().map_err(|error| format!("the server's process: {error}"))?;
        if status.is_some() {
            self.guard.note_end();
        }
        Ok(status.is_some())
    }

    /// Where it listens, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A new connection to it.
    pub fn connect(&self) -> Outcome<Connection> {
        let connect = || {
            let client = redis::Client::open(format!("redis://127.0.0.1:{}/", self.port))?;
            let connection = client.get_connection_with_timeout(DEADLINE)?;
            connection.set_read_timeout(Some(DEADLINE))?;
            connection.set_write_timeout(Some(DEADLINE))?;
            Ok(connection)
        };
        connect().map_err(|error: redis::RedisError| format!("no connection: {error}"))
    }

    /// Waits until the server is ended, which is not for this program to do.
    pub fn wait(mut self) -> Outcome<()> {
        let status = self.child.wait().map_err(|error| format!("the server's process: {error}"))?;
        self.guard.note_end();
        match status.success() {
            true => Ok(()),
            false => Err(format!("the server ended with {status}; its log:\n{}", self.log())),
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.guard.pipe.take());
        // Neither fails for a process of our own, and nobody is left to be told.
        let _ = self.guard.process.wait();
        let _ = self.child.wait();
    }
}

impl Guard {
    fn of(server: &Child, dir: &Path) -> Outcome<Guard> {
        let spawned = Command::new("sh")
            .args(["-c", GUARD, "guard", &server.id().to_string()])
            .arg(dir)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let mut process = spawned.map_err(|error| format!("sh does not start: {error}"))?;
        let pipe = process.stdin.take();
        Ok(Guard { process, pipe })
    }

    fn note_end(&mut self) {
        if let Some(mut pipe) = self.pipe.take() {
            // Without its reader there is nobody to kill anything.
            let _ = pipe.write_all(b"ended\n");
        }
    }
}

/// A new directory with the module where redis.conf looks for it: at a path that is relative to `dir`.
fn lay_out(module: &Path) -> io::Result<PathBuf> {
    let dir = tempfile::Builder::new().prefix("tradebus-day-").tempdir()?;
    let link = dir.path().join("target/release/libtradebus.so");
    fs::create_dir_all(dir.path().join("target/release"))?;
    symlink(fs::canonicalize(module)?, link)?;
    Ok(dir.keep())
}

/// The server's name and version, and the module's.
pub fn describe(connection: &mut Connection) -> Outcome<String> {
    let info: String = redis::cmd("INFO").arg("server").query(connection).map_err(|error| error.to_string())?;
    let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    Ok(match (field("valkey_version"), field("redis_version")) {
        (Some(version), _) => format!("Valkey {version}"),
        (None, Some(version)) => format!("Redis {version}"),
        (None, None) => "a server of unknown version".to_owned(),
    })
}
