//! Tests against real servers, one binary, a module for each concern.

#[path = "../support/mod.rs"]
mod support;

mod acl;
mod bots;
mod bounds;
mod candles;
mod claim;
mod clients;
mod cond;
mod cond_claim;
mod cond_effects;
mod cond_refusals;
mod cond_restart;
mod conf;
mod config;
mod crash;
mod day;
mod docs;
mod effects;
mod event;
mod events;
mod fuzz;
mod groups;
mod harness;
mod info;
mod input;
mod loading;
mod readme;
mod rebuild;
mod redis_cli;
mod refusals;
mod replay;
mod replication;
mod restart;
mod retention;
mod run;
mod schema;
mod stats;
mod symbols;
mod ticks;
mod timer;
mod twin;
