//! The border to the server: the only folder that knows the module API, and the only one with `unsafe`.
//!
//! Everything that it hands out is safe to use. Three invariants carry that, and every `SAFETY` comment
//! rests on them:
//!
//! 1. **One thread at a time.** The server calls a module with its global lock held, so whatever is reached
//!    from a callback is never used concurrently, although Rust does not know it.
//! 2. **Calls are bounded.** A [`Ctx`] exists for one callback; handles and replies borrow it and are
//!    released, in that order, before the callback returns.
//! 3. **The table is complete.** Nothing is called before [`api`] has resolved it while loading.

mod acl;
mod alloc;
mod api;
mod arrivals;
mod audit;
mod blocks;
mod call;
mod cell;
mod claim;
mod commit;
mod config;
mod cron;
mod ctx;
mod effects;
mod info;
mod keys;
mod keyspace;
mod load;
mod log;
mod market;
mod publish;
mod read;
mod registry;
mod reply;
mod scan;
mod stats;
mod strings;
mod unload;

pub use cell::LockedCell;
pub use claim::Group;
pub use commit::CommitError;
pub use ctx::Ctx;
pub use keyspace::{Access, Keyspace};
pub use registry::{Command, Registration};
pub use stats::GroupStats;
