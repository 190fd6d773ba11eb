//! Tests against real servers, one binary, a module for each concern.

#[path = "../support/mod.rs"]
mod support;

mod acl;
mod clients;
mod conf;
mod config;
mod day;
mod docs;
mod effects;
mod fuzz;
mod harness;
mod info;
mod input;
mod loading;
mod readme;
mod redis_cli;
mod refusals;
mod replication;
mod restart;
mod retention;
mod run;
mod twin;
