//! The keys of a symbol and of a stream. Every one carries that name as its hash tag, so a command stays in
//! one slot.

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

    const fn key_prefix(self) -> &'static str {
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
}

impl Key<'_> {
    /// The type that the key must have.
    pub const fn key_type(&self) -> KeyType {
        match self {
            Key::Log | Key::Dead => KeyType::Stream,
            Key::OpenOrders | Key::ActivePositions => KeyType::SortedSet,
            _ => KeyType::Hash,
        }
    }

    /// Appends the key's name.
    pub fn push_name(&self, scope: Scope<'_>, out: &mut String) {
        let (middle, id) = match *self {
            // A stream's log is the stream itself: `events:{T}`.
            Key::Log if matches!(scope, Scope::Stream(_)) => ("", ""),
            Key::Log => (":events", ""),
            Key::Order(id) => (":order:", id),
            Key::Position(id) => (":position:", id),
            Key::Signal(id) => (":signal:", id),
            Key::Fills(id) => (":fills:", id),
            Key::Slices(id) => (":slices:", id),
            Key::OpenOrders => (":orders:open", ""),
            Key::ActivePositions => (":positions:active", ""),
            Key::Last => (":last", ""),
            Key::Risk => (":risk", ""),
            Key::Instrument => (":instrument", ""),
            Key::Seen(_) => (":seen:", ""),
            Key::Dead => (":dead", ""),
            Key::Schema => (":schema", ""),
        };
        // Prefix, brace, the longest middle and a bucket's number.
        out.reserve(scope.name().len() + id.len() + 48);
        for part in [scope.key_prefix(), scope.name(), "}", middle, id] {
            out.push_str(part);
        }
        if let Key::Seen(bucket) = *self {
            out.push_str(itoa::Buffer::new().format(bucket));
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
}
