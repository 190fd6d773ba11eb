//! The commands, one file each: its syntax and documentation, and what it does.

mod claim;
mod cond_explain;
mod cond_get;
mod cond_list;
mod cond_map;
mod cond_register;
mod cond_remove;
mod cond_status;
mod cond_subscribe;
mod cond_subscribers;
mod cond_trigger;
mod entity;
mod event_last;
mod event_publish;
mod event_schema;
mod events;
mod index;
mod instrument;
pub mod market;
mod market_candle;
mod market_candles;
mod market_tick;
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
    Registration::of::<cond_register::CondRegister>(),
    Registration::of::<cond_get::CondGet>(),
    Registration::of::<cond_list::CondList>(),
    Registration::of::<cond_remove::CondRemove>(),
    Registration::of::<cond_status::CondPause>(),
    Registration::of::<cond_status::CondResume>(),
    Registration::of::<cond_subscribe::CondSubscribe>(),
    Registration::of::<cond_subscribe::CondUnsubscribe>(),
    Registration::of::<cond_subscribers::CondSubscribers>(),
    Registration::of::<cond_trigger::CondTrigger>(),
    Registration::of::<cond_explain::CondExplain>(),
    Registration::of::<claim::CondClaim>(),
    Registration::of::<market_candle::MarketCandle>(),
    Registration::of::<market_tick::MarketTick>(),
    Registration::of::<market_candles::MarketCandles>(),
];
