//! Tests against real servers, one binary, a module for each concern.

#[path = "../support/mod.rs"]
mod support;

mod acl;
mod bounds;
mod claim;
mod clients;
mod conf;
mod config;
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
mod twin;
