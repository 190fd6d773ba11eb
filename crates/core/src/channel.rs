//! The names of pub/sub channels.

use std::borrow::Cow;

use crate::event_name::EventName;
use crate::key::Scope;
use crate::timeframe::Timeframe;

/// What a message speaks of: the part of a channel's name that is not the symbol or the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topic<'t> {
    /// An event of a symbol or of a stream.
    Event(EventName<'t>),
    /// A candle that closed, or was corrected.
    Candle(Timeframe),
    /// A condition that triggered, by its id.
    Condition(Cow<'t, str>),
}

impl Topic<'_> {
    fn prefix(&self, scope: Scope<'_>) -> &'static str {
        match (self, scope) {
            (Topic::Event(_), Scope::Symbol(_)) => "trades:",
            (Topic::Event(_), Scope::Stream(_)) => "events:",
            (Topic::Candle(_), _) => "market:",
            (Topic::Condition(_), _) => "condition.",
        }
    }

    fn name(&self) -> &str {
        match self {
            Topic::Event(name) => name.as_str(),
            Topic::Candle(timeframe) => timeframe.as_str(),
            Topic::Condition(id) => id,
        }
    }
}

/// What every live channel begins with: of trade events, of streams, of candles and of conditions.
pub const LIVE: [&str; 4] = ["trades:", "events:", "market:", "condition."];

/// The channel for `PUBLISH`: `trades:<symbol>:<event_type>`, `events:<stream>:<event_type>`, `market:<symbol>:<tf>` or
/// `condition.<id>`.
pub fn classic(scope: Scope<'_>, topic: &Topic<'_>) -> String {
    match topic {
        Topic::Condition(id) => [topic.prefix(scope), id].concat(),
        Topic::Event(_) | Topic::Candle(_) => [topic.prefix(scope), scope.name(), ":", topic.name()].concat(),
    }
}

/// The same with the symbol or the stream in braces, for `SPUBLISH`: the hash tag puts the channel into the slot of the
/// keys, so the node that writes them is the one that may publish. A condition has its symbol before it then.
pub fn sharded(scope: Scope<'_>, topic: &Topic<'_>) -> String {
    let separator = match topic {
        Topic::Condition(_) => "}.",
        Topic::Event(_) | Topic::Candle(_) => "}:",
    };
    [topic.prefix(scope), "{", scope.name(), separator, topic.name()].concat()
}

/// Whether a live message may come on a channel of this name.
pub fn is_live(channel: &str) -> bool {
    LIVE.iter().any(|prefix| channel.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_type::EventType;

    #[test]
    fn channels_are_named_after_their_owner_and_the_topic() {
        let check = |scope: Scope<'_>, topic: Topic<'_>, plain: &str, tagged: &str| {
            assert_eq!(classic(scope, &topic), plain);
            assert_eq!(sharded(scope, &topic), tagged);
            assert!(is_live(plain) && is_live(tagged));
            assert!(!is_live(&["replay:", plain].concat()));
        };
        check(
            Scope::Symbol("XAUUSD"),
            Topic::Event(EventName::Trade(EventType::OrderCreated)),
            "trades:XAUUSD:order.created",
            "trades:{XAUUSD}:order.created",
        );
        check(
            Scope::Symbol("BTC/USDT:USDT"),
            Topic::Event(EventName::Trade(EventType::StopLossHit)),
            "trades:BTC/USDT:USDT:stop_loss.hit",
            "trades:{BTC/USDT:USDT}:stop_loss.hit",
        );
        check(
            Scope::Stream("policy"),
            Topic::Event(EventName::Stream("policy.updated")),
            "events:policy:policy.updated",
            "events:{policy}:policy.updated",
        );
        check(Scope::Symbol("BTC/USDT"), Topic::Candle(Timeframe::M1), "market:BTC/USDT:1m", "market:{BTC/USDT}:1m");
        check(
            Scope::Symbol("BTC/USDT"),
            Topic::Condition("187efde11d740283".into()),
            "condition.187efde11d740283",
            "condition.{BTC/USDT}.187efde11d740283",
        );
    }
}
