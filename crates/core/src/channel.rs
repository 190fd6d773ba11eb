//! The names of pub/sub channels.

use crate::key::Scope;

const fn prefix(scope: Scope<'_>) -> &'static str {
    match scope {
        Scope::Symbol(_) => "trades:",
        Scope::Stream(_) => "events:",
    }
}

/// What every live channel begins with: of trade events, of streams, of candles and of conditions.
pub const LIVE: [&str; 4] = ["trades:", "events:", "market:", "condition."];

/// `trades:<symbol>:<event_type>` or `events:<stream>:<event_type>`, for `PUBLISH`.
pub fn classic(scope: Scope<'_>, event_type: &str) -> String {
    [prefix(scope), scope.name(), ":", event_type].concat()
}

/// The same with the name in braces, for `SPUBLISH`: the hash tag puts the channel into the slot of the keys, so
/// the node that writes them is the one that may publish.
pub fn sharded(scope: Scope<'_>, event_type: &str) -> String {
    [prefix(scope), "{", scope.name(), "}:", event_type].concat()
}

/// Whether a live message may come on a channel of this name.
pub fn is_live(channel: &str) -> bool {
    LIVE.iter().any(|prefix| channel.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_named_after_their_owner_and_the_type() {
        let check = |scope: Scope<'_>, event_type: &str, plain: &str, tagged: &str| {
            assert_eq!(classic(scope, event_type), plain);
            assert_eq!(sharded(scope, event_type), tagged);
            assert!(is_live(plain) && is_live(tagged));
            assert!(!is_live(&["replay:", plain].concat()));
        };
        check(Scope::Symbol("XAUUSD"), "order.created", "trades:XAUUSD:order.created", "trades:{XAUUSD}:order.created");
        check(
            Scope::Symbol("BTC/USDT:USDT"),
            "stop_loss.hit",
            "trades:BTC/USDT:USDT:stop_loss.hit",
            "trades:{BTC/USDT:USDT}:stop_loss.hit",
        );
        check(
            Scope::Stream("policy"),
            "policy.updated",
            "events:policy:policy.updated",
            "events:{policy}:policy.updated",
        );
    }
}
