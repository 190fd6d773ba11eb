//! The keys of a symbol. Every one carries the symbol as its hash tag, so a command stays in one slot.

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

/// One key of a symbol, without the symbol.
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
}

impl Key<'_> {
    /// The type that the key must have.
    pub const fn key_type(&self) -> KeyType {
        match self {
            Key::Log => KeyType::Stream,
            Key::OpenOrders | Key::ActivePositions => KeyType::SortedSet,
            _ => KeyType::Hash,
        }
    }

    /// Appends the key's name for `symbol`.
    pub fn push_name(&self, symbol: &str, out: &mut String) {
        let (middle, id) = match *self {
            Key::Log => ("events", ""),
            Key::Order(id) => ("order:", id),
            Key::Position(id) => ("position:", id),
            Key::Signal(id) => ("signal:", id),
            Key::Fills(id) => ("fills:", id),
            Key::Slices(id) => ("slices:", id),
            Key::OpenOrders => ("orders:open", ""),
            Key::ActivePositions => ("positions:active", ""),
            Key::Last => ("last", ""),
            Key::Risk => ("risk", ""),
            Key::Instrument => ("instrument", ""),
            Key::Seen(_) => ("seen:", ""),
        };
        // Braces, colons, the longest middle and a bucket's number.
        out.reserve(symbol.len() + id.len() + 48);
        for part in ["trade:{", symbol, "}:", middle, id] {
            out.push_str(part);
        }
        if let Key::Seen(bucket) = *self {
            out.push_str(itoa::Buffer::new().format(bucket));
        }
    }

    /// The key's name for `symbol`.
    pub fn name(&self, symbol: &str) -> String {
        let mut name = String::new();
        self.push_name(symbol, &mut name);
        name
    }
}
