//! Telling the events of a log again: on which channels, and in which words.

use std::collections::BTreeMap;

use crate::channel;
use crate::event_name::{EventName, StreamType};
use crate::event_type::EventType;
use crate::json;
use crate::key::Scope;
use crate::log::logged::{Logged, Outcome as Accepted};
use crate::message::{Content, Telling};
use crate::refusal::{quoted, Code, Outcome, Refusal};
use crate::settings::PubSub;
use crate::stream_id::StreamId;
use crate::symbol::parse_name;
use crate::time::Millis;

/// What stands before the name of a live channel in the name of the one that a replay uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix<'p>(&'p str);

impl<'p> Prefix<'p> {
    /// The one that needs no permission of its own.
    pub const DEFAULT: Prefix<'static> = Prefix("replay:");

    /// Takes a prefix as a caller wrote it.
    ///
    /// # Errors
    /// BADFIELD when it has not the form of a symbol, ERR when a live message of `scope` could come on a channel with it.
    pub fn parse(text: &'p [u8], scope: Scope<'_>) -> Outcome<Prefix<'p>> {
        let bad = |refusal: Refusal| Code::BadField.because(refusal.text);
        let prefix = Prefix(parse_name("the prefix after CHANNEL", text).map_err(bad)?);
        // Types do not matter: with a prefix and a name, a channel is longer than all that makes it a live one.
        let channels = [PubSub::Classic, PubSub::Sharded].map(|pubsub| prefix.channel(pubsub, scope, ""));
        match channels.iter().flatten().find(|channel| channel::is_live(channel)) {
            None => Ok(prefix),
            Some(_) => Err(Code::Err.because(format!(
                "a replay must not be taken for news, so the prefix must not begin with {}, as {} does",
                channel::LIVE.join(", "),
                quoted(text)
            ))),
        }
    }

    /// The name of the channel for events of a type; `None` when nothing is published at all.
    pub fn channel(self, pubsub: PubSub, scope: Scope<'_>, event_type: &str) -> Option<String> {
        let topic = channel::Topic::Event(EventName::Stream(event_type));
        let channel = match pubsub {
            PubSub::Classic => channel::classic(scope, &topic),
            PubSub::Sharded => channel::sharded(scope, &topic),
            PubSub::Off => return None,
        };
        Some([self.0, &channel].concat())
    }
}

/// The messages of one replay.
#[derive(Debug)]
pub struct Replay<'r> {
    scope: Scope<'r>,
    published_at: Millis,
    newest: StreamId,
    topics: Vec<Topic>,
    places: BTreeMap<String, usize>,
    messages: Vec<Retold>,
}

/// A type of which there is a message.
#[derive(Debug)]
struct Topic {
    event_type: String,
    newest: StreamId,
}

/// A message of a replay.
#[derive(Debug)]
pub struct Retold {
    /// The place of its type in [`Replay::types`].
    pub topic: usize,
    /// The JSON text.
    pub body: String,
}

impl<'r> Replay<'r> {
    /// A replay without messages yet, that is published at `published_at`.
    pub fn new(scope: Scope<'r>, published_at: Millis) -> Replay<'r> {
        Replay {
            scope,
            published_at,
            newest: StreamId::ZERO,
            topics: Vec::new(),
            places: BTreeMap::new(),
            messages: Vec::new(),
        }
    }

    /// Takes the next event and returns the length of its message. `None` for an entry that tradebus cannot have written,
    /// which is not told: a subscriber could not read it.
    pub fn take(&mut self, logged: &Logged<'_>) -> Option<usize> {
        let event_type = match self.scope {
            Scope::Symbol(_) => {
                let is_it = |known: &&EventType| known.as_str().as_bytes() == logged.event_type;
                EventName::Trade(*EventType::ALL.iter().find(is_it)?)
            }
            Scope::Stream(_) => EventName::Stream(StreamType::parse(logged.event_type).ok()?.as_str()),
        };
        let data = json::parse_object(logged.data).ok()?;
        let text = std::str::from_utf8;
        let mut content = Content {
            id: logged.id,
            prev_id: StreamId::ZERO,
            prev_log_id: self.newest,
            event_type,
            scope: self.scope,
            happened_at: logged.happened_at?,
            published_at: self.published_at,
            data: data.text,
            source: logged.source.map(text).transpose().ok()?,
            correlation_id: logged.correlation_id.map(text).transpose().ok()?,
            event_id: logged.event_id.map(text).transpose().ok()?,
            late: logged.outcome == Accepted::Late,
            // The log does not keep what the entity became; its hash tells what it is now.
            entity: None,
            telling: Telling::Replay,
        };
        let topic = self.place_of(event_type.as_str());
        content.prev_id = std::mem::replace(&mut self.topics[topic].newest, logged.id);
        self.newest = logged.id;
        let body = content.to_json();
        let bytes = body.len();
        self.messages.push(Retold { topic, body });
        Some(bytes)
    }

    fn place_of(&mut self, event_type: &str) -> usize {
        if let Some(&place) = self.places.get(event_type) {
            return place;
        }
        self.topics.push(Topic { event_type: event_type.to_owned(), newest: StreamId::ZERO });
        self.places.insert(event_type.to_owned(), self.topics.len() - 1);
        self.topics.len() - 1
    }

    /// The types of which there are messages, each once.
    pub fn types(&self) -> impl Iterator<Item = &str> {
        self.topics.iter().map(|topic| topic.event_type.as_str())
    }

    /// The messages, in the order of the log.
    pub fn messages(&self) -> &[Retold] {
        &self.messages
    }
}
