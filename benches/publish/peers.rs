//! The ways to publish that are compared: what each sends for a workload, and how much of the state it vouches for.

pub mod multi;
mod script;

use std::collections::HashMap;
use std::io;

use crate::check::{Claim, Numbers};
use crate::ids::Ids;
use crate::model::{EventIds, Model};
use crate::wire::{Batch, Connection, Reply};
use crate::workload::{Event, Retries, Workload, SYMBOLS};
use script::Form;

/// Events of one TRADE.MPUBLISH.
const MPUBLISH_EVENTS: usize = 100;

/// The module's default, which nobody's log reaches here.
pub const STREAM_MAXLEN: &str = "1000000";

/// A way to publish.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Peer {
    MultiBlind,
    MultiFull,
    Evalsha,
    Fcall,
    EvalshaWithId,
    FcallWithId,
    Publish,
    PublishWithId,
    Mpublish,
}

impl Peer {
    pub const ALL: [Peer; 9] = [
        Peer::MultiBlind,
        Peer::MultiFull,
        Peer::Evalsha,
        Peer::Fcall,
        Peer::Publish,
        Peer::EvalshaWithId,
        Peer::FcallWithId,
        Peer::PublishWithId,
        Peer::Mpublish,
    ];

    /// What the others are measured by: what clients send today.
    pub const BASELINE: Peer = Peer::MultiBlind;

    /// The name to choose it by on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Peer::MultiBlind => "multi",
            Peer::MultiFull => "multi-full",
            Peer::Evalsha => "evalsha",
            Peer::Fcall => "fcall",
            Peer::EvalshaWithId => "evalsha-id",
            Peer::FcallWithId => "fcall-id",
            Peer::Publish => "publish",
            Peer::PublishWithId => "publish-id",
            Peer::Mpublish => "mpublish",
        }
    }

    pub fn about(self) -> &'static str {
        match self {
            Peer::MultiBlind => "MULTI of blind writes",
            Peer::MultiFull => "MULTI of the module's writes",
            Peer::Evalsha => "EVALSHA",
            Peer::Fcall => "FCALL",
            Peer::EvalshaWithId => "EVALSHA with an event id",
            Peer::FcallWithId => "FCALL with an event id",
            Peer::Publish => "TRADE.PUBLISH",
            Peer::PublishWithId => "TRADE.PUBLISH with ID",
            Peer::Mpublish => "TRADE.MPUBLISH of 100",
        }
    }

    pub fn needs_module(self) -> bool {
        matches!(self, Peer::Publish | Peer::PublishWithId | Peer::Mpublish)
    }

    /// Whether it tells the ids that producers gave to events.
    pub fn event_ids(self) -> EventIds {
        match self {
            Peer::EvalshaWithId | Peer::FcallWithId | Peer::PublishWithId => EventIds::Given,
            _ => EventIds::LeftOut,
        }
    }

    /// What it is tried with: whatever it can tell a repeat of.
    pub fn trial(self) -> Retries {
        match self.event_ids() {
            EventIds::Given => Retries::Anything,
            EventIds::LeftOut => Retries::ManyFills,
        }
    }

    /// What of the final state has to be right, and how its numbers are compared.
    pub fn claim(self) -> (Claim, Numbers) {
        match self {
            Peer::MultiBlind => (Claim::Status, Numbers::Exact),
            Peer::Evalsha | Peer::Fcall | Peer::EvalshaWithId | Peer::FcallWithId => {
                (Claim::Everything, Numbers::Doubles)
            }
            _ => (Claim::Everything, Numbers::Exact),
        }
    }

    /// Whether it judges each event by itself, and so can refuse one.
    pub fn refuses(self) -> bool {
        !matches!(self, Peer::MultiBlind | Peer::MultiFull | Peer::Mpublish)
    }

    /// Sets the server up for it, and returns the workload as it will be sent, `pipeline` events at a time.
    ///
    /// # Errors
    /// When the server refuses to be set up.
    pub fn prepare(
        self,
        connection: &mut Connection,
        workload: &Workload,
        model: &Model,
        pipeline: usize,
    ) -> io::Result<Prepared> {
        let sent = |push: &mut dyn FnMut(&mut Batch, usize, &Event)| pipelined(workload, pipeline, push);
        let event_id = |event: &'_ Event| match self.event_ids() {
            EventIds::Given => Some(event.event_id.clone()),
            EventIds::LeftOut => None,
        };
        let batches = match self {
            Peer::MultiBlind => {
                let now_ms = model.told.first().map_or(0, |told| told.id.ms);
                sent(&mut |batch, _, event| multi::blind(batch, event, now_ms))
            }
            Peer::MultiFull => sent(&mut |batch, number, _| multi::of(batch, &model.told[number].effects)),
            Peer::Evalsha | Peer::EvalshaWithId => {
                let form = Form::load_script(connection)?;
                sent(&mut |batch, _, event| form.call(batch, event, event_id(event).as_deref()))
            }
            Peer::Fcall | Peer::FcallWithId => {
                let form = Form::load_function(connection)?;
                sent(&mut |batch, _, event| form.call(batch, event, event_id(event).as_deref()))
            }
            Peer::Publish => sent(&mut |batch, _, event| batch.push(&publish(event))),
            Peer::PublishWithId => sent(&mut |batch, _, event| {
                let [name, symbol, event_type, data] = publish(event);
                batch.push(&[name, symbol, event_type, data, "ID", &event.event_id]);
            }),
            Peer::Mpublish => return Ok(mpublish(workload)),
        };
        Ok(Prepared { batches, order: (0..workload.events.len()).collect() })
    }

    /// Which of the server's ids is which of the model's.
    ///
    /// # Errors
    /// What is wrong with the replies.
    pub fn ids(self, model: &Model, workload: &Workload, order: &[usize], replies: &[Reply]) -> Result<Ids, String> {
        match self {
            Peer::MultiBlind | Peer::MultiFull => Ok(Ids::of_model(model)),
            _ => {
                let mut texts = Vec::with_capacity(order.len());
                replies.iter().for_each(|reply| push_texts(reply, &mut texts));
                Ids::of_replies(model, workload, order, &texts)
            }
        }
    }
}

/// A workload as it is sent.
pub struct Prepared {
    /// Each is a round trip.
    pub batches: Vec<Batch>,
    /// The numbers of the events in the order in which they are sent.
    pub order: Vec<usize>,
}

fn pipelined(workload: &Workload, pipeline: usize, push: &mut dyn FnMut(&mut Batch, usize, &Event)) -> Vec<Batch> {
    let mut batches = Vec::with_capacity(workload.events.len().div_ceil(pipeline));
    for (place, events) in workload.events.chunks(pipeline).enumerate() {
        let mut batch = Batch::default();
        for (number, event) in events.iter().enumerate() {
            push(&mut batch, place * pipeline + number, event);
        }
        batches.push(batch);
    }
    batches
}

fn publish(event: &Event) -> [&str; 4] {
    ["TRADE.PUBLISH", event.symbol, event.event_type, &event.data.json]
}

/// A batch is of one symbol, so the events are collected by symbol, and each call is its own round trip.
fn mpublish(workload: &Workload) -> Prepared {
    let mut waiting: HashMap<&str, Vec<usize>> = HashMap::new();
    let mut prepared = Prepared { batches: Vec::new(), order: Vec::with_capacity(workload.events.len()) };
    let mut send = |numbers: &mut Vec<usize>| {
        let count = numbers.len().to_string();
        let mut args = vec!["TRADE.MPUBLISH", workload.events[numbers[0]].symbol, &count];
        for &number in numbers.iter() {
            let event = &workload.events[number];
            args.extend([event.event_type, &event.data.json]);
        }
        let mut batch = Batch::default();
        batch.push(&args);
        prepared.batches.push(batch);
        prepared.order.append(numbers);
    };
    for (number, event) in workload.events.iter().enumerate() {
        let numbers = waiting.entry(event.symbol).or_default();
        numbers.push(number);
        if numbers.len() == MPUBLISH_EVENTS {
            send(numbers);
        }
    }
    for (symbol, _) in SYMBOLS {
        if let Some(numbers) = waiting.get_mut(symbol).filter(|numbers| !numbers.is_empty()) {
            send(numbers);
        }
    }
    prepared
}

fn push_texts(reply: &Reply, texts: &mut Vec<String>) {
    match reply {
        Reply::Text(text) => texts.push(text.clone()),
        Reply::Array(items) => items.iter().for_each(|item| push_texts(item, texts)),
        _ => {}
    }
}
