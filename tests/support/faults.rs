//! What happens to a server in production, done to one on purpose while others use it.

use super::wait::wait_until;
use super::{Client, Options, Server, Stop};

/// What is done to one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL, and a start on what is on the disk.
    Kill,
    /// SHUTDOWN, and a start.
    Restart,
    /// SIGKILL, a start without the module, SHUTDOWN, a start with it.
    WithoutModule,
    /// The keyspace saved and loaded as an RDB.
    Reload,
    /// The keyspace loaded from the append-only file.
    LoadAof,
    /// The append-only file written anew.
    Rewrite,
    /// A snapshot in the background.
    Snapshot,
    /// MODULE UNLOAD and MODULE LOAD.
    SwapModule,
}

impl Fault {
    /// All of them.
    pub const ALL: [Fault; 8] = [
        Fault::Kill,
        Fault::Restart,
        Fault::WithoutModule,
        Fault::Reload,
        Fault::LoadAof,
        Fault::Rewrite,
        Fault::Snapshot,
        Fault::SwapModule,
    ];
}

impl Server {
    /// Does it, and returns when the server serves again. `with` and `without` are how it starts, with the module
    /// and without.
    #[track_caller]
    pub fn strike(&mut self, fault: Fault, with: &Options, without: &Options) {
        match fault {
            Fault::Kill => self.restart(Stop::Kill, with.clone()),
            Fault::Restart => self.restart(Stop::Shutdown, with.clone()),
            Fault::WithoutModule => {
                self.restart(Stop::Kill, without.clone());
                self.restart(Stop::Shutdown, with.clone());
            }
            Fault::Reload => drop(self.client().run("DEBUG RELOAD")),
            Fault::LoadAof => drop(self.client().run("DEBUG LOADAOF")),
            Fault::Rewrite => self.in_background("BGREWRITEAOF", "aof_rewrite_in_progress"),
            Fault::Snapshot => self.in_background("BGSAVE", "rdb_bgsave_in_progress"),
            Fault::SwapModule => {
                let mut client = self.client();
                wait_until("the module to go", || unload(&mut client));
                client.run(format!("MODULE LOAD {}", with.module()));
            }
        }
    }

    /// Has a replica take over, and returns when that has begun: right behind a full transfer a replica does not count
    /// yet, and is refused.
    #[track_caller]
    pub fn hand_over_to(&self, replica: &Server) {
        let command = format!("FAILOVER TO 127.0.0.1 {}", replica.port());
        let mut client = self.client();
        wait_until("the failover to be taken", || client.text(&command) == "OK");
    }

    /// Starts a child of the server's and waits for its end. Only one runs at a time, so one may have to be waited
    /// for first.
    fn in_background(&self, command: &str, running: &str) {
        let mut client = self.client();
        wait_until("a child to be started", || !client.text(command).starts_with("(error)"));
        wait_until("the child to end", || {
            // A rewrite may be scheduled behind a snapshot.
            let info = client.string("INFO persistence");
            info.contains(&format!("{running}:0")) && !info.contains("aof_rewrite_scheduled:1")
        });
    }
}

/// Unloads the module; connections that used it are ended in the same breath, before they can use it again.
fn unload(client: &mut Client) -> bool {
    const STEPS: [&str; 3] = ["CLIENT KILL TYPE normal", "CLIENT KILL TYPE pubsub", "MODULE UNLOAD tradebus"];
    STEPS.iter().for_each(|step| client.send(step));
    let replies = STEPS.map(|step| client.receive().unwrap_or_else(|error| panic!("{step}: {error}")));
    matches!(replies[2], redis::Value::Okay)
}
