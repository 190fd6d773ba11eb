//! The commands, one file each: its syntax and documentation, and what it does.

mod claim;
mod entity;
mod event_last;
mod event_publish;
mod event_schema;
mod events;
mod index;
mod instrument;
mod mpublish;
mod order;
mod orders;
mod position;
mod positions;
mod publish;
mod publishing;
mod query;
mod rebuild;
mod replay;
mod signal;
pub mod spec;
mod stats;
mod symbols;

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
    Registration::of::<rebuild::TradeRebuild>(),
    Registration::of::<stats::TradeStats>(),
    Registration::of::<event_publish::EventPublish>(),
    Registration::of::<event_last::EventLast>(),
    Registration::of::<event_schema::EventSchema>(),
    Registration::of::<stats::EventStats>(),
    Registration::of::<events::Events>(),
    Registration::of::<events::Range>(),
    Registration::of::<replay::TradeReplay>(),
    Registration::of::<replay::EventReplay>(),
    Registration::of::<symbols::Symbols>(),
    Registration::of::<claim::TradeClaim>(),
    Registration::of::<claim::EventClaim>(),
];
