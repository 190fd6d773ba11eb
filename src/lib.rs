//! tradebus: a trade-event bus inside a Redis or Valkey server.
//!
//! `redis` is the border to the server and the only place with `unsafe`; `commands` are the commands, one
//! file each; `config` and `info` are what an operator sees. What an event means is decided in
//! `tradebus-core`, which knows no server.
#![deny(unsafe_code)]

mod args;
mod closing;
mod commands;
mod config;
mod engines;
mod info;
mod rebuilds;
#[allow(unsafe_code)]
mod redis;
mod schemas;
