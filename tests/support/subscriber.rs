//! A subscriber that collects messages, and can tell that there are no more of them.

use std::sync::atomic::{AtomicU32, Ordering};

use redis::Value;

use super::{text, Client};

/// A sentinel's channel starts so, and no message on such a channel is ever shown to a test: two
/// subscribers to everything would otherwise see each other's.
const SENTINEL: &str = "test-sentinel:";

/// A message as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Where it was published.
    pub channel: String,
    /// What was published.
    pub payload: String,
}

impl Message {
    /// The payload, which must be JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.payload).unwrap_or_else(|error| panic!("{error} in a message on {self:?}"))
    }
}

/// A connection that has subscribed, in RESP2 or RESP3, to channels, patterns or shard channels.
pub struct Subscriber {
    client: Client,
    /// Publishes the sentinels, on the same server: its messages come after all earlier ones there.
    publisher: Client,
    /// The channel that carries them, this subscriber's alone.
    sentinel: String,
}

impl Subscriber {
    /// Subscribes with `client` by `command` (`PSUBSCRIBE trades:*`), and returns when the server
    /// has confirmed every channel. `publisher` is another connection to the same server.
    #[track_caller]
    pub fn new(client: Client, publisher: Client, command: &str) -> Subscriber {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let sentinel = format!("{SENTINEL}{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let mut subscriber = Subscriber { client, publisher, sentinel };
        subscriber.subscribe(command);
        subscriber.subscribe(&format!("SUBSCRIBE {}", subscriber.sentinel));
        subscriber
    }

    #[track_caller]
    fn subscribe(&mut self, command: &str) {
        self.client.send(command);
        for _ in command.split_whitespace().skip(1) {
            let parts = self.parts();
            assert!(parts[0].ends_with("subscribe"), "{command}: {parts:?}");
        }
    }

    /// The next `count` messages, in order, however long the server needs for them (but for the
    /// deadline). It does not tell whether there are more: [`Self::until_now`] does.
    #[track_caller]
    pub fn take(&mut self, count: usize) -> Vec<Message> {
        let mut messages = Vec::with_capacity(count);
        while messages.len() < count {
            match self.next() {
                Ok(message) if message.channel.starts_with(SENTINEL) => {}
                Ok(message) => messages.push(message),
                Err(error) => panic!("{error}: {count} messages wanted, got {messages:#?}"),
            }
        }
        messages
    }

    /// Every message that the server has published to us before this call, and that was not taken.
    /// A sentinel that is published now and received last proves that these are all: no waiting,
    /// and no guess how long to wait. For a replica's subscriber, let the replica catch up first.
    #[track_caller]
    pub fn until_now(&mut self) -> Vec<Message> {
        self.publisher.run(["PUBLISH", &self.sentinel, ""]);
        let mut messages = Vec::new();
        loop {
            let parts = self.parts();
            match message(&parts) {
                // Only the channel's own: the copy for a pattern that covers it comes after.
                Some(message) if parts[0] == "message" && message.channel == self.sentinel => {
                    return messages;
                }
                Some(message) if message.channel.starts_with(SENTINEL) => {}
                Some(message) => messages.push(message),
                None => panic!("not a message: {}", parts.join(" ")),
            }
        }
    }

    /// Nothing came that was not taken.
    #[track_caller]
    pub fn assert_silent(&mut self) {
        let messages = self.until_now();
        assert!(messages.is_empty(), "unexpected: {messages:#?}");
    }

    fn next(&mut self) -> Result<Message, String> {
        let parts = self.try_parts()?;
        message(&parts).ok_or_else(|| format!("not a message: {}", parts.join(" ")))
    }

    #[track_caller]
    fn parts(&mut self) -> Vec<String> {
        self.try_parts().unwrap_or_else(|error| panic!("{error}"))
    }

    /// What comes next, as RESP2 has it: kind first. RESP3 sends the same as a push.
    fn try_parts(&mut self) -> Result<Vec<String>, String> {
        let reply = self.client.receive().map_err(|error| error.to_string())?;
        let part = |value: &Value| match value {
            Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            other => text(other),
        };
        match &reply {
            Value::Array(parts) if !parts.is_empty() => Ok(parts.iter().map(part).collect()),
            Value::Push { kind, data } => Ok(std::iter::once(kind.to_string()).chain(data.iter().map(part)).collect()),
            other => Err(format!("neither message nor confirmation: {}", text(other))),
        }
    }
}

fn message(parts: &[String]) -> Option<Message> {
    let (channel, payload) = match parts {
        [kind, channel, payload] if kind == "message" || kind == "smessage" => (channel, payload),
        [kind, _pattern, channel, payload] if kind == "pmessage" => (channel, payload),
        _ => return None,
    };
    Some(Message { channel: channel.clone(), payload: payload.clone() })
}
