//! Playing the day: every event is sent, what a subscriber hears is taken in, and both are held against the
//! recording.

use std::collections::{BTreeMap, BTreeSet};

use redis::{Cmd, Connection, PubSub, RedisError};

use crate::day::{End, Event, Kind, Published, Step};
use crate::report::Screen;
use crate::Outcome;

/// An entity at the end of the day.
pub struct Entity {
    pub symbol: String,
    pub kind: Kind,
    pub id: String,
    pub fields: BTreeMap<String, String>,
}

/// What the subscriber got for an event.
pub struct Heard {
    pub channel: String,
    pub id: String,
    pub prev_id: String,
    pub is_late: bool,
    /// Of the event's entity, where it has one.
    pub status: Option<String>,
    pub version: Option<u64>,
}

/// What came of an event.
pub enum Reply {
    /// It is in the log, and this is its message.
    Logged(Heard),
    /// It was there before.
    Known,
    /// The error's code and text.
    Error(String, String),
}

/// A publisher and a subscriber.
pub struct Player<'c> {
    connection: &'c mut Connection,
    messages: PubSub<'c>,
    screen: &'c Screen,
    /// The newest id on each channel.
    newest: BTreeMap<String, String>,
    /// Every id that was heard, with its symbol: ids are of one log.
    ids: BTreeSet<(String, String)>,
}

impl<'c> Player<'c> {
    /// Subscribes.
    pub fn new(connection: &'c mut Connection, mut messages: PubSub<'c>, screen: &'c Screen) -> Outcome<Player<'c>> {
        messages.psubscribe("trades:*").map_err(|error| format!("PSUBSCRIBE: {error}"))?;
        Ok(Player { connection, messages, screen, newest: BTreeMap::new(), ids: BTreeSet::new() })
    }

    /// Plays the day, and returns what it leaves.
    pub fn play(mut self, day: &[Step<'_>]) -> Outcome<Vec<Entity>> {
        let mut ends = Vec::new();
        for step in day {
            match step {
                Step::Instrument { symbol, settings } => {
                    let mut command = redis::cmd("TRADE.INSTRUMENT");
                    command.arg(symbol.as_ref()).arg("SET");
                    for (name, value) in settings {
                        command.arg(name.as_ref()).arg(value.as_ref());
                    }
                    let done: Result<(), RedisError> = command.query(self.connection);
                    done.map_err(|error| format!("TRADE.INSTRUMENT {symbol}: {error}"))?;
                    self.screen.instrument(symbol, settings);
                }
                Step::Publish(events) => self.publish(events)?,
                Step::End(end) => ends.push(self.read(end)?),
            }
        }
        self.assert_silent()?;
        Ok(ends)
    }

    fn publish(&mut self, events: &[Event<'_>]) -> Outcome<()> {
        let command = match events {
            [event] if event.batch.is_none() => publish_command(event),
            _ => mpublish_command(events),
        };
        let replies: Vec<Reply> = match command.query::<redis::Value>(self.connection).and_then(ids_of) {
            Ok(ids) => events.iter().zip(ids).map(|(event, id)| self.hear(event, id)).collect::<Outcome<_>>()?,
            Err(error) => {
                let code = error.code().ok_or_else(|| format!("the connection is lost: {error}"))?;
                let refused = || Reply::Error(code.to_owned(), error.detail().unwrap_or_default().to_owned());
                events.iter().map(|_| refused()).collect()
            }
        };
        if replies.len() != events.len() {
            return Err(format!("{} events were answered with {} ids", events.len(), replies.len()));
        }
        self.screen.published(events, &replies);
        for (event, reply) in events.iter().zip(&replies) {
            check(event, reply)?;
        }
        Ok(())
    }

    /// Takes the event's message in, unless it was logged before.
    fn hear(&mut self, event: &Event<'_>, id: String) -> Outcome<Reply> {
        let symbol = event.symbol.to_string();
        if self.ids.contains(&(symbol.clone(), id.clone())) {
            return Ok(Reply::Known);
        }
        let message = self.messages.get_message().map_err(|error| format!("no message came for {id}: {error}"))?;
        let channel = message.get_channel_name().to_owned();
        let heard = parse_message(channel, message.get_payload_bytes())?;
        if heard.id != id || !heard.channel.starts_with(&format!("trades:{symbol}:")) {
            return Err(format!("the message after {symbol} {id} is {} on {}", heard.id, heard.channel));
        }
        let newest = self.newest.insert(heard.channel.clone(), id.clone()).unwrap_or_else(|| "0-0".to_owned());
        if heard.prev_id != newest {
            return Err(format!("{} on {} follows {newest}, but says {}", id, heard.channel, heard.prev_id));
        }
        self.ids.insert((symbol, id));
        Ok(Reply::Logged(heard))
    }

    /// Nothing was published that was not heard: a message that is sent now is the next one.
    fn assert_silent(&mut self) -> Outcome<()> {
        const LAST: &str = "trades:day-is-over";
        let sent: Result<(), RedisError> = redis::cmd("PUBLISH").arg(LAST).arg("").query(self.connection);
        sent.map_err(|error| format!("PUBLISH: {error}"))?;
        match self.messages.get_message() {
            Ok(message) if message.get_channel_name() == LAST => Ok(()),
            Ok(message) => Err(format!("nobody published a message on {}", message.get_channel_name())),
            Err(error) => Err(format!("no message came for {LAST}: {error}")),
        }
    }

    fn read(&mut self, end: &End<'_>) -> Outcome<Entity> {
        let command = end.kind.command();
        let reply = redis::cmd(command).arg(end.symbol.as_ref()).arg(end.id.as_ref()).query(self.connection);
        let name = format!("{command} {} {}", end.symbol, end.id);
        let fields: BTreeMap<String, String> = reply.map_err(|error| format!("{name}: {error}"))?;
        for (field, value) in &end.fields {
            let found = fields.get(field.as_ref()).map(String::as_str);
            if found != Some(value.as_ref()) {
                let found = found.unwrap_or("nothing");
                return Err(format!("{name}: {field} is {found}, recorded is {value}"));
            }
        }
        Ok(Entity { symbol: end.symbol.to_string(), kind: end.kind, id: end.id.to_string(), fields })
    }
}

fn publish_command(event: &Event<'_>) -> Cmd {
    let mut command = redis::cmd("TRADE.PUBLISH");
    command.arg(event.symbol.as_ref()).arg(event.event_type.as_ref()).arg(event.data);
    for (option, value) in [
        ("ID", &event.id),
        ("TIMESTAMP", &event.timestamp),
        ("SOURCE", &event.source),
        ("CORRELATION", &event.correlation_id),
        ("EXPECT", &event.expect),
    ] {
        if let Some(value) = value {
            command.arg(option).arg(value.as_ref());
        }
    }
    command
}

/// Of the options, a batch has ids, all or none, and one source; times are in the data.
fn mpublish_command(events: &[Event<'_>]) -> Cmd {
    let mut command = redis::cmd("TRADE.MPUBLISH");
    command.arg(events[0].symbol.as_ref()).arg(events.len());
    for event in events {
        command.arg(event.event_type.as_ref()).arg(event.data);
    }
    if events.iter().all(|event| event.id.is_some()) {
        command.arg("IDS");
        for id in events.iter().filter_map(|event| event.id.as_ref()) {
            command.arg(id.as_ref());
        }
    }
    if let Some(source) = &events[0].source {
        command.arg("SOURCE").arg(source.as_ref());
    }
    command
}

/// TRADE.PUBLISH replies with an id, TRADE.MPUBLISH with an array of them.
fn ids_of(reply: redis::Value) -> Result<Vec<String>, RedisError> {
    match reply {
        redis::Value::Array(ids) => ids.into_iter().map(|id| Ok(redis::from_redis_value(id)?)).collect(),
        id => Ok(vec![redis::from_redis_value(id)?]),
    }
}

fn parse_message(channel: String, payload: &[u8]) -> Outcome<Heard> {
    let message: serde_json::Value =
        serde_json::from_slice(payload).map_err(|error| format!("a message on {channel}: {error}"))?;
    let text = |name: &str| message[name].as_str().map(str::to_owned);
    let missing = |name: &str| format!("a message on {channel} has no {name}");
    Ok(Heard {
        id: text("id").ok_or_else(|| missing("id"))?,
        prev_id: text("prev_id").ok_or_else(|| missing("prev_id"))?,
        is_late: message["late"] == true,
        status: text("status"),
        version: message["version"].as_u64(),
        channel,
    })
}

fn check(event: &Event<'_>, reply: &Reply) -> Outcome<()> {
    let name = format!("{} {} {}", event.symbol, event.event_type, event.data);
    let (result, status) = match reply {
        Reply::Logged(heard) if heard.is_late => (Published::Late, heard.status.as_deref()),
        Reply::Logged(heard) => (Published::Accepted, heard.status.as_deref()),
        Reply::Known => (Published::Duplicate, None),
        Reply::Error(code, _) => (Published::Refused(code.as_str().into()), None),
    };
    if result != event.result {
        return Err(format!("{name}\nis {result}, recorded is {}", event.result));
    }
    if status != event.status.as_deref() {
        let shown = |status: Option<&str>| status.unwrap_or("none").to_owned();
        let (found, recorded) = (shown(status), shown(event.status.as_deref()));
        return Err(format!("{name}\nleaves the status {found}, recorded is {recorded}"));
    }
    Ok(())
}
