//! The newest event of each type and how many there were: the trade types in an array, which a publish reaches
//! by number; a stream's types by name, and only those that a command asks for.

use std::borrow::Cow;

use crate::event_name::{EventName, StreamType};
use crate::event_type::{EventType, EVENT_TYPES};
use crate::key::Scope;
use crate::record::Record;
use crate::refusal::{Code, Outcome};
use crate::store::Store;
use crate::stream_id::StreamId;

/// Types that a stream may have: its `last` keeps the newest event of each.
pub const STREAM_TYPES_MAX: u64 = 256;

/// How many types a stream has had. Its name begins as no type can.
pub const TYPES: &str = ":types";

/// The events of one type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tail {
    /// The newest.
    pub newest: StreamId,
    /// How many there were, ever.
    pub count: u64,
}

impl Tail {
    /// Reads what [`Tail::to_text`] wrote.
    pub fn parse(text: &[u8]) -> Option<Tail> {
        let (id, count) = std::str::from_utf8(text).ok()?.split_once(' ')?;
        Some(Tail { newest: id.parse().ok()?, count: count.parse().ok()? })
    }

    /// The text form, `<newest id> <count>`.
    pub fn to_text(self) -> String {
        let mut text = String::with_capacity(48);
        self.newest.push_to(&mut text);
        text.push(' ');
        text.push_str(itoa::Buffer::new().format(self.count));
        text
    }

    fn add(&mut self, id: StreamId) {
        self.newest = self.newest.max(id);
        self.count = self.count.saturating_add(1);
    }
}

/// The tails of one log.
// A symbol's are copied at every publish and a stream's are few: an allocation would cost more than the space.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Debug)]
pub enum Tails {
    /// Of a symbol.
    Trade {
        /// By type.
        tails: [Tail; EVENT_TYPES],
        /// Types (by bit) that the hash is behind with.
        stale: u32,
    },
    /// Of a stream.
    Stream {
        /// Those asked for.
        tails: Vec<StreamTail>,
        /// How many types there are in all.
        types: u64,
    },
}

/// The tail of a stream's type.
#[derive(Clone, Debug)]
pub struct StreamTail {
    name: String,
    tail: Tail,
    /// The hash is behind with it.
    is_stale: bool,
}

impl Tails {
    /// Nothing read yet.
    pub fn of(scope: Scope<'_>) -> Tails {
        match scope {
            Scope::Symbol(_) => Tails::Trade { tails: [Tail::default(); EVENT_TYPES], stale: 0 },
            Scope::Stream(_) => Tails::Stream { tails: Vec::new(), types: 0 },
        }
    }

    /// Reads what the hash holds: all types of a symbol, `wanted` of a stream.
    ///
    /// # Errors
    /// CORRUPT.
    pub fn load<'a, S: Store<'a>>(
        &mut self,
        store: &S,
        last: &mut Record<'a>,
        wanted: Option<EventName<'_>>,
    ) -> Outcome<()> {
        match self {
            Tails::Trade { tails, .. } => {
                last.load_named(store, EventType::ALL.iter().map(|event_type| event_type.as_str().into()));
                for (&event_type, tail) in EventType::ALL.iter().zip(tails) {
                    *tail = stored(last, event_type.as_str())?;
                }
            }
            Tails::Stream { types, .. } => {
                last.load(store, &[TYPES]);
                *types = last.integer(TYPES)?.unwrap_or(0);
                if let Some(wanted) = wanted {
                    self.stream_tail(store, last, wanted.as_str())?;
                }
            }
        }
        Ok(())
    }

    /// Takes in an entry of the log that the hash does not hold yet; `false` when its type is none of ours.
    ///
    /// # Errors
    /// CORRUPT.
    pub fn read_entry<'a, S: Store<'a>>(
        &mut self,
        store: &S,
        last: &mut Record<'a>,
        name: &[u8],
        id: StreamId,
    ) -> Outcome<bool> {
        match self {
            Tails::Trade { .. } => {
                let Some(&event_type) = EventType::ALL.iter().find(|known| known.as_str().as_bytes() == name) else {
                    return Ok(false);
                };
                self.add(EventName::Trade(event_type), id);
                Ok(true)
            }
            Tails::Stream { .. } => {
                let Ok(name) = StreamType::parse(name) else {
                    return Ok(false);
                };
                self.stream_tail(store, last, name.as_str())?;
                self.add(EventName::Stream(name.as_str()), id);
                Ok(true)
            }
        }
    }

    /// Makes sure that a stream's type is at hand.
    fn stream_tail<'a, S: Store<'a>>(&mut self, store: &S, last: &mut Record<'a>, name: &str) -> Outcome<()> {
        if let Tails::Stream { tails, .. } = self {
            if tails.iter().all(|known| known.name != name) {
                last.load_named(store, std::iter::once(Cow::Owned(name.to_owned())));
                tails.push(StreamTail { name: name.to_owned(), tail: stored(last, name)?, is_stale: false });
            }
        }
        Ok(())
    }

    /// Makes sure that there may be an event of this type.
    ///
    /// # Errors
    /// TOOBIG when a stream has too many types.
    pub fn admit(&self, name: EventName<'_>) -> Outcome<()> {
        match self {
            Tails::Stream { types, .. } if *types >= STREAM_TYPES_MAX && self.get(name).count == 0 => Err(Code::TooBig
                .because(format!(
                    "the stream has {STREAM_TYPES_MAX} event types already; '{}' would be one more",
                    name.as_str()
                ))),
            _ => Ok(()),
        }
    }

    /// The tail of a type; of one that is not at hand, nothing.
    pub fn get(&self, name: EventName<'_>) -> Tail {
        match (self, name) {
            (Tails::Trade { tails, .. }, EventName::Trade(event_type)) => tails[event_type as usize],
            (Tails::Stream { tails, .. }, name) => {
                tails.iter().find(|known| known.name == name.as_str()).map_or_else(Tail::default, |known| known.tail)
            }
            (Tails::Trade { .. }, EventName::Stream(_)) => Tail::default(),
        }
    }

    /// Counts an event.
    pub fn add(&mut self, name: EventName<'_>, id: StreamId) {
        match (self, name) {
            (Tails::Trade { tails, stale }, EventName::Trade(event_type)) => {
                tails[event_type as usize].add(id);
                *stale |= 1 << event_type as u32;
            }
            (Tails::Stream { tails, types }, name) => {
                if let Some(known) = tails.iter_mut().find(|known| known.name == name.as_str()) {
                    *types = types.saturating_add(u64::from(known.tail.count == 0));
                    known.tail.add(id);
                    known.is_stale = true;
                }
            }
            (Tails::Trade { .. }, EventName::Stream(_)) => {}
        }
    }

    /// Has all that is known written with the next flush: the hash was removed.
    pub fn forget_flushed(&mut self) {
        match self {
            Tails::Trade { tails, stale } => {
                let known = tails.iter().enumerate().filter(|(_, tail)| tail.count > 0);
                *stale = known.fold(0, |stale, (place, _)| stale | 1 << place);
            }
            Tails::Stream { tails, .. } => tails.iter_mut().for_each(|known| known.is_stale = known.tail.count > 0),
        }
    }

    /// Writes what the hash is behind with.
    pub fn flush(&mut self, last: &mut Record<'_>) {
        match self {
            Tails::Trade { tails, stale } => {
                for &event_type in EventType::ALL {
                    if *stale & (1 << event_type as u32) != 0 {
                        last.set(event_type.as_str(), tails[event_type as usize].to_text());
                    }
                }
                *stale = 0;
            }
            Tails::Stream { tails, types } => {
                for known in tails.iter_mut().filter(|known| known.is_stale) {
                    last.set(known.name.clone(), known.tail.to_text());
                    known.is_stale = false;
                }
                last.set(TYPES, *types);
            }
        }
    }

    /// Every type that is at hand and has had events, with its tail.
    pub fn each(&self) -> Vec<(&str, Tail)> {
        match self {
            Tails::Trade { tails, .. } => {
                let named = EventType::ALL.iter().zip(tails).map(|(event_type, tail)| (event_type.as_str(), *tail));
                named.filter(|(_, tail)| tail.count > 0).collect()
            }
            Tails::Stream { tails, .. } => tails.iter().map(|known| (known.name.as_str(), known.tail)).collect(),
        }
    }
}

fn stored(last: &Record<'_>, name: &str) -> Outcome<Tail> {
    match last.get(name) {
        None => Ok(Tail::default()),
        Some(text) => Tail::parse(text).ok_or_else(|| last.corrupt(name, "'<id> <count>'")),
    }
}
