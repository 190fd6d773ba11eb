//! The ground under the live tests: a real server for each test, in a directory and on a port of
//! its own, and clients to talk to it.
//!
//! Two rules hold here, so that a test that uses it fails for one reason only:
//! - Nothing sleeps for a fixed time and hopes. What takes time is waited for by its condition, with
//!   a deadline and a name ([`wait_until`]); that nothing comes is shown by something that must
//!   come after it ([`Subscriber::until_now`]).
//! - No server outlives its test, and one that dies under its test fails it, with its log.

mod audit;
mod client;
mod cluster;
mod cluster_client;
mod faults;
mod listener;
mod load;
mod random;
mod route;
mod server;
mod slots;
mod subscriber;
mod wait;

pub use audit::{audit, Findings};
pub use client::{entry_id, text, unix_ms, Client, Id, Words};
pub use cluster::Cluster;
pub use cluster_client::ToCluster;
pub use faults::Fault;
pub use listener::{Hearing, Listener};
pub use load::{Ledger, Load, Safety, KEEP_ALL};
pub use random::Random;
pub use route::{Address, Met, Route, ToMaster};
pub use server::{project_path, server_version, Options, Server, Stop};
pub use slots::{can_migrate_slots, slot_of, Moves};
pub use subscriber::{Message, Subscriber};
pub use wait::wait_until;
