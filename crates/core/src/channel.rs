//! The names of pub/sub channels.

/// `trades:<symbol>:<event_type>`, for `PUBLISH`.
pub fn classic(symbol: &str, event_type: &str) -> String {
    ["trades:", symbol, ":", event_type].concat()
}

/// `trades:{<symbol>}:<event_type>`, for `SPUBLISH`: the hash tag puts the channel into the slot of the
/// symbol's keys, so the node that writes them is the one that may publish.
pub fn sharded(symbol: &str, event_type: &str) -> String {
    ["trades:{", symbol, "}:", event_type].concat()
}

#[cfg(test)]
mod tests {
    use super::{classic, sharded};

    #[test]
    fn channels_are_named_after_symbol_and_type() {
        let check = |symbol: &str, event_type: &str, plain: &str, tagged: &str| {
            assert_eq!(classic(symbol, event_type), plain);
            assert_eq!(sharded(symbol, event_type), tagged);
        };
        check("XAUUSD", "order.created", "trades:XAUUSD:order.created", "trades:{XAUUSD}:order.created");
        check(
            "BTC/USDT:USDT",
            "stop_loss.hit",
            "trades:BTC/USDT:USDT:stop_loss.hit",
            "trades:{BTC/USDT:USDT}:stop_loss.hit",
        );
    }
}
