//! A server process and what a test does to it: start, stop, kill, start again, follow, look at.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, net, process, thread};

use redis::ProtocolVersion;
use tempfile::TempDir;

use super::wait::{poll, wait_for, wait_until};
use super::{text, Client, Subscriber};

/// Below the ports that the system hands out to clients, so that only another test run competes for
/// them; and a cluster's bus port, 10,000 above, exists and does not collide either.
const PORTS: std::ops::Range<u16> = 11_000..21_000;

/// How often a new server tries another port when somebody took its own.
const PORT_ATTEMPTS: u32 = 5;

/// A file of the project, by its path from the root.
pub fn project_path(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// How a server starts. Without more said: the module loaded, nothing saved, nothing followed.
#[derive(Clone, Debug)]
pub struct Options {
    base: Option<PathBuf>,
    module_line: Option<String>,
    config: String,
    replica_of: Option<u16>,
}

impl Options {
    /// A server with the module.
    pub fn new() -> Options {
        Options { module_line: Some(format!("loadmodule \"{}\"", module_path().display())), ..Options::plain() }
    }

    /// A server without the module: what reads our data has no need of it.
    pub fn plain() -> Options {
        Options { base: None, module_line: None, config: String::new(), replica_of: None }
    }

    /// A server as this configuration file has it, module included; only address, directory and what
    /// is said here differ.
    pub fn from_file(path: &Path) -> Options {
        Options { base: Some(path.to_owned()), ..Options::plain() }
    }

    /// The module's arguments, as in a `loadmodule` line.
    pub fn module_args(mut self, args: &str) -> Options {
        let line = self.module_line.as_mut().expect("a server with the module");
        write!(line, " {args}").expect("a String takes everything");
        self
    }

    /// The module and its arguments, as MODULE LOAD has them.
    pub fn module(&self) -> &str {
        let line = self.module_line.as_ref().expect("a server with the module");
        line.strip_prefix("loadmodule ").expect("our own line")
    }

    /// A line of configuration, as in redis.conf.
    pub fn config(mut self, line: &str) -> Options {
        self.config.push_str(line);
        self.config.push('\n');
        self
    }

    /// With an append-only file that is written before a reply goes out: what was acknowledged
    /// survives a kill. Syncing would protect from the machine's end only, and `everysec` delays
    /// writes while it syncs.
    pub fn append_only(self) -> Options {
        self.config("appendonly yes").config("appendfsync no")
    }

    /// As a replica; it has started when it is in sync.
    pub fn replica_of(mut self, master: &Server) -> Options {
        self.replica_of = Some(master.port);
        self
    }

    /// The text of the server's own configuration file.
    fn file(&self, port: u16, dir: &Path) -> String {
        let mut file = String::new();
        if let Some(base) = &self.base {
            file += &format!("include \"{}\"\n", base.display());
        } else {
            // A master that starts a transfer at once, rather than wait for a second replica.
            file += "save \"\"\nrepl-diskless-sync-delay 0\n";
        }
        file += &format!(
            "port {port}\nbind 127.0.0.1\ndir \"{}\"\nlogfile \"\"\ndaemonize no\n\
             enable-debug-command local\nenable-module-command local\n",
            dir.display()
        );
        if let Some(line) = &self.module_line {
            file += &format!("{line}\n");
        }
        if let Some(master) = self.replica_of {
            file += &format!("replicaof 127.0.0.1 {master}\n");
        }
        file + &self.config
    }
}

/// How a running server is brought down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// SHUTDOWN: as an operator does it.
    Shutdown,
    /// SIGKILL: as a crash does it.
    Kill,
}

/// A running server. It is killed, and its directory removed, when it goes out of scope.
pub struct Server {
    /// None only between a stop and the next start.
    child: Option<Child>,
    port: u16,
    dir: TempDir,
}

/// Why a server did not start.
enum Failure {
    PortTaken,
    Other(String),
}

impl Server {
    /// Starts a server and waits until it answers with its data loaded.
    ///
    /// Panics with the server's log if it does not.
    #[track_caller]
    pub fn start(options: Options) -> Server {
        match Server::try_start(&options) {
            Ok(server) => server,
            Err(log) => panic!("the server did not start; its log:\n{log}"),
        }
    }

    /// Starts a server that must refuse to start, and returns its log.
    #[track_caller]
    pub fn refuses_to_start(options: Options) -> String {
        match Server::try_start(&options) {
            Ok(_) => panic!("the server started, with {options:?}"),
            Err(log) => log,
        }
    }

    fn try_start(options: &Options) -> Result<Server, String> {
        let dir = tempfile::Builder::new().prefix("tradebus-test-").tempdir().expect("a temporary directory");
        let mut server = Server { child: None, port: 0, dir };
        for _ in 0..PORT_ATTEMPTS {
            server.port = free_port();
            match server.launch(options) {
                Ok(()) => return Ok(server),
                Err(Failure::PortTaken) => {}
                Err(Failure::Other(log)) => return Err(log),
            }
        }
        Err(format!("{PORT_ATTEMPTS} ports were taken under our hands"))
    }

    /// Brings the server down and starts it again on the same data and port, perhaps with other
    /// options than before.
    #[track_caller]
    pub fn restart(&mut self, stop: Stop, options: Options) {
        self.stop(stop);
        self.start_again(options);
    }

    /// Brings the server down.
    #[track_caller]
    pub fn stop(&mut self, stop: Stop) {
        match stop {
            // Its only answer is the end of the connection, unless it refuses.
            Stop::Shutdown => {
                if let Ok(reply) = self.client().try_reply("SHUTDOWN") {
                    panic!("SHUTDOWN: {}", text(&reply));
                }
            }
            Stop::Kill => self.running().kill().expect("a process of our own"),
        }
        wait_until("the server to end", || self.running().try_wait().expect("a child").is_some());
        self.child = None;
    }

    /// Starts a stopped server on the same data and port.
    #[track_caller]
    pub fn start_again(&mut self, options: Options) {
        assert!(self.child.is_none(), "stop it first");
        wait_until("its port to be free again", || match self.launch(&options) {
            Ok(()) => true,
            Err(Failure::PortTaken) => false,
            Err(Failure::Other(log)) => {
                panic!("the server did not start again; its log:\n{log}")
            }
        });
    }

    /// SIGSTOP: it hangs, with all its connections open.
    #[track_caller]
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// SIGCONT: it goes on, and knows of no time between.
    #[track_caller]
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    #[track_caller]
    fn signal(&self, signal: &str) {
        let pid = self.child.as_ref().expect("a running server").id();
        // A shell has it built in; as a program it is not on every machine.
        let kill = format!("kill {signal} {pid}");
        let status = Command::new("sh").args(["-c", &kill]).status().expect("a shell");
        assert!(status.success(), "{kill}");
    }

    fn running(&mut self) -> &mut Child {
        self.child.as_mut().expect("a running server")
    }

    fn launch(&mut self, options: &Options) -> Result<(), Failure> {
        let file = self.dir.path().join("server.conf");
        fs::write(&file, options.file(self.port, self.dir.path())).expect("our own directory");
        if options.base.is_some() {
            self.offer_module();
        }
        let log = fs::File::create(self.log_path()).expect("our own directory");
        let binary = server_binary();
        let child = Command::new(&binary)
            .arg(&file)
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stderr(log.try_clone().expect("a second handle"))
            .stdout(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{binary:?}: {error}; run scripts/setup"));
        self.child = Some(child);
        if let Err(failure) = self.await_ready(options) {
            self.end();
            return Err(failure);
        }
        Ok(())
    }

    /// Lays the module where redis.conf looks for it: a path that is relative to `dir`.
    fn offer_module(&self) {
        let link = self.dir.path().join("target/release/libtradebus.so");
        if !link.exists() {
            fs::create_dir_all(link.parent().expect("a path of three parts")).expect("our directory");
            symlink(module_path(), &link).expect("our own directory");
        }
    }

    fn await_ready(&mut self, options: &Options) -> Result<(), Failure> {
        let port = self.port;
        let child = self.running();
        let pid = child.id();
        let ended = poll(|| match child.try_wait().expect("a child") {
            Some(status) => Some(Some(status)),
            None => is_ready(port, pid, options).then_some(None),
        });
        match ended {
            Some(None) => Ok(()),
            Some(Some(status)) => {
                let log = self.log();
                if log.contains("Address already in use") {
                    Err(Failure::PortTaken)
                } else {
                    Err(Failure::Other(format!("{log}\n({status})")))
                }
            }
            None => Err(Failure::Other(format!("{}\n(not ready in time)", self.log()))),
        }
    }

    /// Where it listens, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where its data is.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// What it has logged since its last start.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_path()).unwrap_or_default()).into_owned()
    }

    /// A connection in RESP2.
    #[track_caller]
    pub fn client(&self) -> Client {
        self.connect(Client::settings(ProtocolVersion::RESP2))
    }

    /// A connection in RESP3.
    #[track_caller]
    pub fn client_resp3(&self) -> Client {
        self.connect(Client::settings(ProtocolVersion::RESP3))
    }

    /// A connection in RESP2 as another user.
    #[track_caller]
    pub fn client_as(&self, user: &str, password: &str) -> Client {
        let settings = Client::settings(ProtocolVersion::RESP2);
        self.connect(settings.set_username(user).set_password(password))
    }

    #[track_caller]
    fn connect(&self, settings: redis::RedisConnectionInfo) -> Client {
        match Client::connect(self.port, settings) {
            Ok(client) => client,
            Err(error) => panic!("no connection: {error}; the log:\n{}", self.log()),
        }
    }

    /// A subscriber in RESP2, by a command such as `PSUBSCRIBE trades:*`.
    #[track_caller]
    pub fn subscribe(&self, command: &str) -> Subscriber {
        Subscriber::new(self.client(), self.client(), command)
    }

    /// A digest of all data, equal on two servers if and only if their data is.
    #[track_caller]
    pub fn digest(&self) -> String {
        self.client().string("DEBUG DIGEST")
    }

    /// A field of INFO, if it is there; `section` is where it stands.
    #[track_caller]
    pub fn info(&self, section: &str, field: &str) -> Option<String> {
        info_field(&self.client().string(["INFO", section]), field)
    }

    /// Waits until this replica has applied all that `master` had written when this was called.
    #[track_caller]
    pub fn catch_up_with(&self, master: &Server) {
        let offset = |server: &Server, field| -> i64 {
            let offset = server.info("replication", field);
            offset.map_or(-1, |text| text.parse().expect("a number"))
        };
        let target = offset(master, "master_repl_offset");
        wait_until("the replica to catch up", || self.has_its_master() && offset(self, "slave_repl_offset") >= target);
    }

    /// Whether it says that it is a master.
    #[track_caller]
    pub fn is_master(&self) -> bool {
        self.info("replication", "role").as_deref() == Some("master")
    }

    /// Whether it is a replica, and connected to its master.
    #[track_caller]
    pub fn has_its_master(&self) -> bool {
        self.info("replication", "master_link_status").as_deref() == Some("up")
    }

    /// Waits until this replica knows that its master is gone: it then has applied all that came.
    #[track_caller]
    pub fn await_loss_of_master(&self) {
        wait_until("the link to go down", || !self.has_its_master());
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("server.log")
    }

    /// Ends the process, if there is one, however it is.
    fn end(&mut self) {
        // What looks for leaks does so at an end that is not violent: see scripts/memcheck.
        if self.child.is_some() && env::var_os("TRADEBUS_TEST_SHUTDOWN").is_some() {
            self.shut_down_now();
        }
        if let Some(mut child) = self.child.take() {
            // Neither can fail for a child that has not been waited for, and nobody is left to care.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Asks the process to end and gives it the time; one that cannot be asked is left as it is.
    fn shut_down_now(&mut self) {
        let asked = Client::connect(self.port, Client::settings(ProtocolVersion::RESP2))
            .map(|mut client| client.try_reply("SHUTDOWN NOSAVE NOW FORCE"));
        // The answer to SHUTDOWN is the end of the connection.
        if matches!(asked, Ok(Err(_))) {
            poll(|| self.running().try_wait().expect("a child"));
        }
    }

    /// Whether it lives and answers. A process that crashes answers no more while it still writes
    /// its report: the connection ends with it, and so this does not need to guess.
    fn answers(&self) -> bool {
        Client::connect(self.port, Client::settings(ProtocolVersion::RESP2))
            .and_then(|mut client| client.try_reply("PING"))
            .is_ok()
    }
}

impl Drop for Server {
    /// A server that ended without being told to has crashed: that is the failure to report, or the
    /// reason of the one under way.
    fn drop(&mut self) {
        let died = self.child.is_some() && !self.answers();
        self.end();
        if died {
            let report = format!("the server crashed or hung; its log:\n{}", self.log());
            if thread::panicking() {
                eprintln!("{report}");
            } else {
                panic!("{report}");
            }
        }
    }
}

/// A port that nobody listens on at this moment, and that no other test of this process gets.
fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let count = u32::from(PORTS.end - PORTS.start);
    wait_for("a free port", || {
        // Two test runs at once start far apart, and meet late if ever.
        let offset = process::id().wrapping_mul(97) + NEXT.fetch_add(1, Ordering::Relaxed);
        let port = PORTS.start + u16::try_from(offset % count).expect("below the count");
        net::TcpListener::bind(("127.0.0.1", port)).ok().map(|_| port)
    })
}

/// Whether process `pid` answers on the port, has loaded its data and, as a replica, is in sync. The
/// process matters: on a port that was taken, the other one answers.
fn is_ready(port: u16, pid: u32, options: &Options) -> bool {
    let Ok(redis::Value::BulkString(info)) = ask_info(port) else { return false };
    let info = String::from_utf8_lossy(&info);
    let is = |field: &str, value: &str| info_field(&info, field).as_deref() == Some(value);
    is("process_id", &pid.to_string())
        && is("loading", "0")
        && options.replica_of.is_none_or(|master| is("master_link_status", "up") && sends_all(master, port))
}

/// Whether a master sends what is written from now on to the replica on this port, and is done with the snapshot. A
/// replica says before that it is in sync; meanwhile its master counts no looks at keys (OBJECT FREQ), and has all that
/// is behind it wait. A master that answers only who has logged in is not asked.
fn sends_all(master: u16, replica: u16) -> bool {
    match ask_info(master) {
        Ok(redis::Value::BulkString(info)) => {
            let info = String::from_utf8_lossy(&info);
            info_field(&info, "rdb_bgsave_in_progress").as_deref() == Some("0")
                && info.contains(&format!(",port={replica},state=online,"))
        }
        Ok(redis::Value::ServerError(error)) => error.code() == "NOAUTH",
        _ => false,
    }
}

fn ask_info(port: u16) -> redis::RedisResult<redis::Value> {
    Client::connect(port, Client::settings(ProtocolVersion::RESP2))?.try_reply("INFO")
}

fn info_field(info: &str, field: &str) -> Option<String> {
    info.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name == field).then(|| value.trim_end().to_owned())
    })
}

/// The server that is tested: what TRADEBUS_TEST_SERVER names, else the one on the path.
fn server_binary() -> OsString {
    env::var_os("TRADEBUS_TEST_SERVER").unwrap_or_else(|| "redis-server".into())
}

/// Its name and version, as in "Redis 7.0.15".
pub fn server_version() -> String {
    let output = Command::new(server_binary()).arg("--version").output().expect("a server: run scripts/setup");
    let line = String::from_utf8_lossy(&output.stdout).into_owned();
    let name = line.split(' ').next().unwrap_or_default();
    let version = line.split("v=").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or_default();
    format!("{name} {version}")
}

/// The module that is tested: what TRADEBUS_MODULE names, else the release build.
fn module_path() -> PathBuf {
    let path =
        env::var_os("TRADEBUS_MODULE").map_or_else(|| project_path("target/release/libtradebus.so"), PathBuf::from);
    assert!(path.exists(), "no module at {}: run make build", path.display());
    path
}
