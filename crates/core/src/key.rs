//! The keys of a symbol and of a stream. Every one carries that name as its hash tag, so a command stays in
//! one slot.

use crate::timeframe::Timeframe;

/// Whose keys: the first argument of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope<'n> {
    /// A traded instrument, of the TRADE commands.
    Symbol(&'n str),
    /// A log of the EVENT commands.
    Stream(&'n str),
}

impl<'n> Scope<'n> {
    /// The symbol or the stream.
    pub const fn name(self) -> &'n str {
        match self {
            Scope::Symbol(name) | Scope::Stream(name) => name,
        }
    }

    /// What it is, as messages name it.
    pub const fn kind(self) -> &'static str {
        match self {
            Scope::Symbol(_) => "symbol",
            Scope::Stream(_) => "stream",
        }
    }

    /// What the keys of its log begin with.
    const fn log_prefix(self) -> &'static str {
        match self {
            Scope::Symbol(_) => "trade:{",
            Scope::Stream(_) => "events:{",
        }
    }
}

/// The Redis type of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyType {
    /// `HSET` and friends.
    Hash,
    /// `ZADD` and friends.
    SortedSet,
    /// `XADD` and friends.
    Stream,
    /// `SET` and friends.
    String,
}

/// One key of a symbol or a stream, without its name. A stream has those that speak of its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key<'k> {
    /// The log.
    Log,
    /// An order.
    Order(&'k str),
    /// A position.
    Position(&'k str),
    /// A signal.
    Signal(&'k str),
    /// The fills of an order, by fill id.
    Fills(&'k str),
    /// The slices of a position, by fill id.
    Slices(&'k str),
    /// Ids of the open orders.
    OpenOrders,
    /// Ids of the active positions.
    ActivePositions,
    /// The newest id and the number of events by type; the symbol's sums.
    Last,
    /// The last breach of each risk limit.
    Risk,
    /// The symbol's own settings.
    Instrument,
    /// One bucket of idempotency records.
    Seen(u64),
    /// Entries that consumers failed on again and again.
    Dead,
    /// The schemas of a stream's event types.
    Schema,
    /// The closed candles of a timeframe.
    Candles(Timeframe),
    /// What each timeframe with conditions is fed by, and the bars that ticks are building.
    Forming,
    /// The saved state of the functions that the conditions of a timeframe name.
    State(Timeframe),
    /// A condition.
    Condition(&'k str),
    /// Ids of the conditions of a timeframe.
    Conditions(Timeframe),
    /// Who subscribed to a condition.
    Subscriptions(&'k str),
    /// One bucket of idempotency records of triggers.
    TriggerSeen(u64),
    /// Every trigger of the symbol's conditions.
    Triggers,
    /// The work queue of a type of bots.
    Work(&'k str),
}

/// What comes behind the hash tag.
enum Tail<'k> {
    Text(&'static str),
    Id(&'static str, &'k str),
    Bucket(&'static str, u64),
    Timeframe(&'static str, Timeframe, &'static str),
}

impl Key<'_> {
    /// Those of which a symbol or a stream has one.
    pub const SINGLE: [Key<'static>; 10] = [
        Key::Log,
        Key::OpenOrders,
        Key::ActivePositions,
        Key::Last,
        Key::Risk,
        Key::Instrument,
        Key::Dead,
        Key::Schema,
        Key::Forming,
        Key::Triggers,
    ];

    /// The type that the key must have.
    pub const fn key_type(&self) -> KeyType {
        match self {
            Key::Log | Key::Dead | Key::Candles(_) | Key::Triggers | Key::Work(_) => KeyType::Stream,
            Key::OpenOrders | Key::ActivePositions | Key::Conditions(_) => KeyType::SortedSet,
            Key::State(_) => KeyType::String,
            _ => KeyType::Hash,
        }
    }

    /// Appends the key's name.
    pub fn push_name(&self, scope: Scope<'_>, out: &mut String) {
        const MARKET: &str = "market:{";
        const CONDITION: &str = "cond:{";
        let log = scope.log_prefix();
        let (prefix, tail) = match *self {
            // A stream's log is the stream itself: `events:{T}`.
            Key::Log if matches!(scope, Scope::Stream(_)) => (log, Tail::Text("")),
            Key::Log => (log, Tail::Text(":events")),
            Key::Order(id) => (log, Tail::Id(":order:", id)),
            Key::Position(id) => (log, Tail::Id(":position:", id)),
            Key::Signal(id) => (log, Tail::Id(":signal:", id)),
            Key::Fills(id) => (log, Tail::Id(":fills:", id)),
            Key::Slices(id) => (log, Tail::Id(":slices:", id)),
            Key::OpenOrders => (log, Tail::Text(":orders:open")),
            Key::ActivePositions => (log, Tail::Text(":positions:active")),
            Key::Last => (log, Tail::Text(":last")),
            Key::Risk => (log, Tail::Text(":risk")),
            Key::Instrument => (log, Tail::Text(":instrument")),
            Key::Seen(bucket) => (log, Tail::Bucket(":seen:", bucket)),
            Key::Dead => (log, Tail::Text(":dead")),
            Key::Schema => (log, Tail::Text(":schema")),
            Key::Candles(timeframe) => (MARKET, Tail::Timeframe(":", timeframe, "")),
            Key::Forming => (MARKET, Tail::Text(":forming")),
            Key::State(timeframe) => (MARKET, Tail::Timeframe(":", timeframe, ":state")),
            Key::Condition(id) => (CONDITION, Tail::Id(":def:", id)),
            Key::Conditions(timeframe) => (CONDITION, Tail::Timeframe(":index:", timeframe, "")),
            Key::Subscriptions(id) => (CONDITION, Tail::Id(":subs:", id)),
            Key::TriggerSeen(bucket) => (CONDITION, Tail::Bucket(":seen:", bucket)),
            Key::Triggers => (CONDITION, Tail::Text(":triggers")),
            Key::Work(bot_type) => ("bots:{", Tail::Id(":", bot_type)),
        };
        // Prefix, brace, the longest middle and a bucket's number or an id.
        out.reserve(scope.name().len() + 48);
        for part in [prefix, scope.name(), "}"] {
            out.push_str(part);
        }
        match tail {
            Tail::Text(text) => out.push_str(text),
            Tail::Id(middle, id) => {
                out.push_str(middle);
                out.push_str(id);
            }
            Tail::Bucket(middle, bucket) => {
                out.push_str(middle);
                out.push_str(itoa::Buffer::new().format(bucket));
            }
            Tail::Timeframe(middle, timeframe, end) => {
                for part in [middle, timeframe.as_str(), end] {
                    out.push_str(part);
                }
            }
        }
    }

    /// The key's name.
    pub fn name(&self, scope: Scope<'_>) -> String {
        let mut name = String::new();
        self.push_name(scope, &mut name);
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_carry_their_owner_as_the_hash_tag() {
        let check = |key: Key<'_>, of_symbol: &str, of_stream: &str| {
            assert_eq!(key.name(Scope::Symbol("BTC/USDT:USDT")), of_symbol);
            assert_eq!(key.name(Scope::Stream("policy")), of_stream);
        };
        check(Key::Log, "trade:{BTC/USDT:USDT}:events", "events:{policy}");
        check(Key::Last, "trade:{BTC/USDT:USDT}:last", "events:{policy}:last");
        check(Key::Seen(7), "trade:{BTC/USDT:USDT}:seen:7", "events:{policy}:seen:7");
        check(Key::Dead, "trade:{BTC/USDT:USDT}:dead", "events:{policy}:dead");
        check(Key::Order("a:b"), "trade:{BTC/USDT:USDT}:order:a:b", "events:{policy}:order:a:b");
    }

    #[test]
    fn keys_of_markets_conditions_and_bots() {
        let check = |key: Key<'_>, name: &str| assert_eq!(key.name(Scope::Symbol("BTC/USDT")), name);
        check(Key::Candles(Timeframe::M15), "market:{BTC/USDT}:15m");
        check(Key::Forming, "market:{BTC/USDT}:forming");
        check(Key::State(Timeframe::H1), "market:{BTC/USDT}:1h:state");
        check(Key::Condition("rsi.low"), "cond:{BTC/USDT}:def:rsi.low");
        check(Key::Conditions(Timeframe::W1), "cond:{BTC/USDT}:index:1w");
        check(Key::Subscriptions("rsi.low"), "cond:{BTC/USDT}:subs:rsi.low");
        check(Key::TriggerSeen(12), "cond:{BTC/USDT}:seen:12");
        check(Key::Triggers, "cond:{BTC/USDT}:triggers");
        check(Key::Work("dca"), "bots:{BTC/USDT}:dca");
    }
}
