//! The pure heart of tradebus: what an event means, and what is to be written because of it.
//!
//! Nothing here knows Redis, reads a clock, draws a random number or touches a global; the module in the
//! root package brings the facts in (through [`store::Store`]), asks for a decision, and carries the
//! resulting [`plan::Plan`] out. Every function is total: no input makes it panic.
//!
//! The way of an event: [`json`] scans its data, [`event`] reads what the type asks for, [`session`] finds
//! the entity it speaks of and lets [`order`], [`position`] or [`signal`] judge it, and the accepted facts
//! become a plan of log entries, hash patches, index changes, expiries and messages.
#![forbid(unsafe_code)]

pub mod candle;
pub mod channel;
pub mod condition;
pub mod dead_letter;
pub mod decimal;
pub mod engine;
pub mod entity;
pub mod evaluator;
pub mod event;
pub mod event_name;
pub mod event_type;
pub mod expression;
pub mod fill;
pub mod forming;
pub mod hash;
pub mod indicators;
pub mod instrument;
pub mod json;
pub mod key;
pub mod log;
pub mod market;
pub mod memory;
pub mod message;
pub mod money;
pub mod order;
pub mod pending;
pub mod plan;
pub mod position;
pub mod rebuild;
pub mod record;
pub mod refusal;
pub mod risk;
pub mod schema;
pub mod session;
pub mod settings;
pub mod signal;
pub mod store;
pub mod stream;
pub mod stream_id;
pub mod subscription;
pub mod symbol;
pub mod time;
pub mod timeframe;
pub mod word;
