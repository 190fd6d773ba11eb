//! Tests against real servers, one binary, a module for each concern.

#[path = "../support/mod.rs"]
mod support;

mod conf;
mod harness;
mod loading;
