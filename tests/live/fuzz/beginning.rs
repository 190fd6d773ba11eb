//! What every sequence finds: no data, and these settings.

use crate::support::Client;

/// What sequences change, as each finds it.
const SETTINGS: [&str; 15] = [
    "lifecycle lenient",
    "pubsub classic",
    "stream-maxlen 1000000",
    "stream-maxage 0",
    "queue-maxlen 100000",
    "closed-ttl 604800000",
    "signal-ttl 86400000",
    "dedupe-window 600000",
    "dedupe-max 1000000",
    "max-event-size 65536",
    "candle-history 1000",
    "bar-grace 3600000",
    "scan-limit 2000",
    "any-db no",
    "consumer-groups ''",
];

/// Takes away what the sequence before has left.
pub fn begin_anew(client: &mut Client) {
    client.run("FLUSHALL");
    for setting in SETTINGS {
        client.run(format!("CONFIG SET tradebus.{setting}"));
    }
}
