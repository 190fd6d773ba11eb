//! The commands, one file each: its syntax and documentation, and what it does.

mod entity;
mod index;
mod instrument;
mod mpublish;
mod order;
mod orders;
mod position;
mod positions;
mod publish;
mod publishing;
mod signal;
pub mod spec;

use crate::redis::Registration;

/// Every command.
pub const COMMANDS: &[Registration] = &[
    Registration::of::<publish::Publish>(),
    Registration::of::<mpublish::Mpublish>(),
    Registration::of::<order::Order>(),
    Registration::of::<position::Position>(),
    Registration::of::<signal::Signal>(),
    Registration::of::<orders::Orders>(),
    Registration::of::<positions::Positions>(),
    Registration::of::<instrument::Instrument>(),
];
