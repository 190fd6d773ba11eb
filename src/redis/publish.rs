//! Publishing: to the subscribers of this node, and to those of its replicas.

use tradebus_core::settings::PubSub;

use super::api::api;
use super::ctx::{Ctx, Server};
use super::effects::Target;
use super::strings::RString;

impl Server<'_> {
    /// Publishes a message, and tells the replicas to. In a cluster the bus carries it to every node, replicas
    /// included: an effect would double it there. `arguments` is a vector to be used again.
    ///
    /// Returns how many subscribers of this node it reached.
    pub(super) fn publish(self, pubsub: PubSub, channel: RString, body: &str, arguments: &mut Vec<RString>) -> u64 {
        let (command, send) = match pubsub {
            PubSub::Off => return 0,
            PubSub::Classic => (c"PUBLISH", api().publish_message),
            PubSub::Sharded => (c"SPUBLISH", api().publish_message_shard),
        };
        arguments.clear();
        arguments.push(channel);
        arguments.push(RString::new(body.as_bytes()));
        // SAFETY: a live context and strings.
        let reached = unsafe { send(self.as_ptr(), arguments[0].as_ptr(), arguments[1].as_ptr()) };
        if !self.is_cluster() {
            self.replicate(command, arguments, Target::Replicas);
        }
        u64::try_from(reached).unwrap_or(0)
    }
}

impl Ctx<'_> {
    /// Publishes messages, each of them on one of `channels`, by its place.
    pub fn publish_on<'m>(
        &self,
        pubsub: PubSub,
        channels: &[String],
        messages: impl Iterator<Item = (usize, &'m str)>,
    ) {
        let channels: Vec<_> = channels.iter().map(|channel| RString::new(channel.as_bytes())).collect();
        let mut arguments = Vec::with_capacity(2);
        for (channel, body) in messages {
            self.server().publish(pubsub, channels[channel].clone(), body, &mut arguments);
        }
    }
}
