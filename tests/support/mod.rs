//! The ground under the live tests: a real server for each test, in a directory and on a port of
//! its own, and clients to talk to it.
//!
//! Two rules hold here, so that a test that uses it fails for one reason only:
//! - Nothing sleeps for a fixed time and hopes. What takes time is waited for by its condition, with
//!   a deadline and a name ([`wait_until`]); that nothing comes is shown by something that must
//!   come after it ([`Subscriber::until_now`]).
//! - No server outlives its test, and one that dies under its test fails it, with its log.

mod client;
mod server;
mod subscriber;
mod wait;

pub use client::{text, Client, Words};
pub use server::{project_path, Options, Server, Stop};
pub use subscriber::{Message, Subscriber};
pub use wait::wait_until;
