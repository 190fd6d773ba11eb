//! The configuration that a decision depends on: a snapshot, taken once a command.

/// What happens with events of an entity that is unknown, and whether events are judged at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lifecycle {
    /// An unknown id becomes a shell that its first event fills in later.
    #[default]
    Lenient,
    /// An unknown id is refused.
    Strict,
    /// Events are logged and published; nothing is judged, no hash kept.
    Off,
}

/// How messages are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PubSub {
    /// `PUBLISH`.
    #[default]
    Classic,
    /// `SPUBLISH`, on channels that carry the symbol as their hash tag.
    Sharded,
    /// Not at all.
    Off,
}

/// The settings of a decision. Durations are milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `tradebus.lifecycle`.
    pub lifecycle: Lifecycle,
    /// `tradebus.pubsub`.
    pub pubsub: PubSub,
    /// `tradebus.stream-maxlen`: entries a log keeps, 0: all.
    pub stream_maxlen: u64,
    /// `tradebus.stream-maxage`: 0: for ever.
    pub stream_maxage_ms: u64,
    /// `tradebus.queue-maxlen`: entries that dead letters and work queues keep, 0: all.
    pub queue_maxlen: u64,
    /// `tradebus.closed-ttl`: how long a finished entity stays, 0: for ever.
    pub closed_ttl_ms: u64,
    /// `tradebus.signal-ttl`: how long a signal waits for its judgement, 0: for ever.
    pub signal_ttl_ms: u64,
    /// `tradebus.dedupe-window`: how long an event id is remembered.
    pub dedupe_window_ms: u64,
    /// `tradebus.dedupe-max`: how many ids a symbol remembers.
    pub dedupe_max: u64,
    /// `tradebus.max-event-size`: bytes of data.
    pub max_event_size: usize,
    /// `tradebus.candle-history`: candles kept of each timeframe.
    pub candle_history: u64,
    /// `tradebus.bar-grace`: how long after its end a bar is still open for late ticks, and how far ahead a tick may be.
    pub bar_grace_ms: u64,
}

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

impl Default for Settings {
    fn default() -> Self {
        Settings {
            lifecycle: Lifecycle::default(),
            pubsub: PubSub::default(),
            stream_maxlen: 1_000_000,
            stream_maxage_ms: 0,
            queue_maxlen: 100_000,
            closed_ttl_ms: 7 * DAY_MS,
            signal_ttl_ms: DAY_MS,
            dedupe_window_ms: 10 * 60 * 1_000,
            dedupe_max: 1_000_000,
            max_event_size: 64 * 1_024,
            candle_history: 1_000,
            bar_grace_ms: 2_000,
        }
    }
}
