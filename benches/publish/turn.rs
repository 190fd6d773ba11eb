//! One turn: a fresh server, one peer, all events; what it cost, and whether the answer was right.

use std::io;
use std::path::Path;
use std::time::Instant;

use crate::axes::{Case, Replica};
use crate::check::{Check, Look};
use crate::model::{EventIds, Model};
use crate::peers::Peer;
use crate::server::{self, Server};
use crate::subscribers::Subscribers;
use crate::wire::Connection;
use crate::workload::{Retries, Workload};

/// What an event cost.
#[derive(Clone, Copy)]
pub struct Figures {
    /// CPU time, user and system, of the server's process, us.
    pub cpu_us: f64,
    /// Events in a second of the clock on the wall.
    pub per_second: f64,
    /// Growth of the append-only file, if there is one.
    pub aof_bytes: Option<f64>,
    /// Growth of what the server has allocated, but for buffers: those of many subscribers come and go.
    pub memory_bytes: Option<f64>,
    /// CPU time of the replica's process, if there is one.
    pub replica_us: Option<f64>,
    /// CPU time of the client's process, where it is a real one.
    pub client_us: Option<f64>,
}

/// Events, and what they come to.
pub struct Play {
    pub workload: Workload,
    pub model: Model,
}

impl Play {
    /// Makes so many events. Their generator has its own opinion of what they come to.
    ///
    /// # Errors
    /// When the model is of another: nothing can be compared with either then.
    pub fn new(events: usize, retries: Retries, event_ids: EventIds, start_ms: u64) -> io::Result<Play> {
        let workload = Workload::new(events, retries);
        let model = Model::new(&workload, event_ids, start_ms)?;
        match model.difference(&workload.expected()) {
            None => Ok(Play { workload, model }),
            Some(difference) => {
                Err(io::Error::other(format!("the model and the generator of the events differ: {difference}")))
            }
        }
    }
}

/// A server's counters at one moment.
pub struct Meter {
    cpu_us: f64,
    memory_bytes: f64,
    aof_bytes: Option<f64>,
}

impl Meter {
    /// Reads them.
    pub fn read(connection: &mut Connection) -> io::Result<Meter> {
        Ok(Meter {
            memory_bytes: server::memory_bytes(connection)?,
            aof_bytes: server::aof_bytes(connection)?,
            cpu_us: server::cpu_us(connection)?,
        })
    }

    /// What an event cost, of `events` since then that took so many seconds.
    pub fn figures(&self, connection: &mut Connection, events: usize, seconds: f64) -> io::Result<Figures> {
        let cpu_us = server::cpu_us(connection)?;
        let now = Meter { cpu_us, ..Meter::read(connection)? };
        let per_event = |difference: f64| difference / events as f64;
        Ok(Figures {
            cpu_us: per_event(now.cpu_us - self.cpu_us),
            per_second: events as f64 / seconds,
            aof_bytes: now.aof_bytes.zip(self.aof_bytes).map(|(now, before)| per_event(now - before)),
            memory_bytes: Some(per_event(now.memory_bytes - self.memory_bytes)),
            replica_us: None,
            client_us: None,
        })
    }
}

/// Runs it. What is wrong with the answer is an error too.
pub fn measure(peer: Peer, case: Case, play: &Play, look: Look, module: &Path) -> io::Result<Figures> {
    let module = Some(module).filter(|_| peer.needs_module());
    let server = Server::start(case.persistence, module)?;
    let mut connection = server.connect()?;
    let prepared = peer.prepare(&mut connection, &play.workload, &play.model, case.pipeline)?;
    let mut replica = match case.replica {
        Replica::None => None,
        Replica::One => {
            let replica = server.start_replica(case.persistence, module)?;
            let mut connection = replica.connect()?;
            let before = server::cpu_us(&mut connection)?;
            Some((replica, connection, before))
        }
    };
    let subscribers = Subscribers::start(&server, case.subscribers)?;
    let mut replies = Vec::with_capacity(prepared.order.len());

    let before = Meter::read(&mut connection)?;
    let begun = Instant::now();
    for batch in &prepared.batches {
        replies.extend(connection.round_trip(batch)?);
    }
    let seconds = begun.elapsed().as_secs_f64();
    let heard = subscribers.finish(&mut connection)?;
    if replica.is_some() {
        // The replica has applied all that it was sent when it acknowledges.
        connection.call(&["WAIT", "1", "0"])?;
    }
    let mut figures = before.figures(&mut connection, prepared.order.len(), seconds)?;
    if let Some((_, connection, before)) = &mut replica {
        figures.replica_us = Some((server::cpu_us(connection)? - *before) / prepared.order.len() as f64);
    }

    let Play { workload, model } = play;
    let ids = peer.ids(model, workload, &prepared.order, &replies).map_err(io::Error::other)?;
    let (claim, numbers) = peer.claim();
    let check = Check { model, workload, ids: &ids, claim, numbers, look };
    wrong(check.keyspace(&mut connection)?)?;
    if case.subscribers > 0 {
        figures.memory_bytes = None;
        wrong(check.messages(&heard))?;
    }
    if let Some((_, connection, _)) = &mut replica {
        wrong(check.keyspace(connection)?.map(|difference| format!("on the replica, {difference}")))?;
    }
    Ok(figures)
}

fn wrong(difference: Option<String>) -> io::Result<()> {
    difference.map_or(Ok(()), |difference| Err(io::Error::other(difference)))
}
