//! A server that holds so much, and what an event costs it.

use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::book::Book;
use super::Size;
use crate::peers::{multi, STREAM_MAXLEN};
use crate::server::{self, Persistence, Server};
use crate::wire::{Batch, Connection, Reply};
use crate::workload::Event;

/// Events in a round trip, and in a TRADE.MPUBLISH while the server is filled.
const PIPELINE: usize = 50;
const FILLED_AT_ONCE: usize = 500;
/// Orders that are looked at in the end.
const SAMPLE: usize = 200;
const DEDUPE_WINDOW_MS: &str = "600000";

/// Who writes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Multi,
    Module,
}

impl Side {
    pub const ALL: [Side; 2] = [Side::Multi, Side::Module];

    pub fn about(self) -> &'static str {
        match self {
            Side::Multi => "MULTI",
            Side::Module => "the module",
        }
    }
}

/// A server, and the book that it has.
pub struct Desk {
    side: Side,
    size: Size,
    book: Book,
    connection: Connection,
    now_ms: u64,
    /// What each log keeps.
    maxlen: String,
    _server: Server,
}

impl Desk {
    /// Starts a server and fills it.
    ///
    /// # Errors
    /// When it refuses.
    pub fn open(side: Side, size: Size, module: &Path) -> io::Result<Desk> {
        let server = Server::start(Persistence::Off, (side == Side::Module).then_some(module))?;
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_err(io::Error::other)?.as_millis() as u64;
        let mut desk = Desk {
            side,
            size,
            book: Book::new(size.symbols, size.orders),
            connection: server.connect()?,
            now_ms,
            maxlen: size.log_entries.map_or_else(|| STREAM_MAXLEN.to_owned(), |entries| entries.to_string()),
            _server: server,
        };
        if side == Side::Module {
            desk.connection.call(&["CONFIG", "SET", "tradebus.stream-maxlen", &desk.maxlen])?;
        }
        desk.fill_book()?;
        desk.fill_logs()?;
        desk.fill_ids()?;
        Ok(desk)
    }

    fn fill_book(&mut self) -> io::Result<()> {
        let numbers: Vec<usize> = (0..self.book.len()).collect();
        for numbers in numbers.chunks(PIPELINE) {
            let mut batch = Batch::default();
            for &number in numbers {
                let event = self.book.opening(number);
                self.push(&mut batch, &event);
            }
            self.connection.round_trip(&batch)?;
        }
        Ok(())
    }

    /// Records fill the logs: events that change nothing else.
    fn fill_logs(&mut self) -> io::Result<()> {
        let Some(entries) = self.size.log_entries else {
            return Ok(());
        };
        let data = r#"{"trade_id":"trd-00000001","side":"buy","volume":12.50,"price":2650.40,"liquidity":"maker","venue":"lmax-ny4","strategy":"grid_v2","account":"acc-7741","timestamp":"2025-01-01T00:00:00.000Z"}"#;
        for symbol in self.book.symbols().to_vec() {
            for begun in (0..entries).step_by(FILLED_AT_ONCE) {
                let count = FILLED_AT_ONCE.min(entries - begun);
                let mut batch = Batch::default();
                match self.side {
                    Side::Module => {
                        let counted = count.to_string();
                        let mut args = vec!["TRADE.MPUBLISH", symbol, &counted];
                        (0..count).for_each(|_| args.extend(["trade.executed", data]));
                        batch.push(&args);
                    }
                    Side::Multi => {
                        let key = format!("trade:{{{symbol}}}:events");
                        let ts = "1735689600000";
                        let entry = ["XADD", &key, "*", "type", "trade.executed", "data", data, "ts", ts];
                        (0..count).for_each(|_| batch.push(&entry));
                    }
                }
                self.connection.round_trip(&batch)?;
            }
        }
        Ok(())
    }

    fn fill_ids(&mut self) -> io::Result<()> {
        let Some(ids) = self.size.event_ids else {
            return Ok(());
        };
        let symbols = self.book.symbols().to_vec();
        for (place, begun) in (0..ids).step_by(FILLED_AT_ONCE).enumerate() {
            let symbol = symbols[place % symbols.len()];
            let ids: Vec<String> = (begun..ids.min(begun + FILLED_AT_ONCE)).map(old_id).collect();
            let mut batch = Batch::default();
            match self.side {
                Side::Module => {
                    let counted = ids.len().to_string();
                    let mut args = vec!["TRADE.MPUBLISH", symbol, &counted];
                    ids.iter().for_each(|_| args.extend(["trade.executed", "{}"]));
                    args.push("IDS");
                    args.extend(ids.iter().map(String::as_str));
                    batch.push(&args);
                }
                Side::Multi => ids.iter().for_each(|id| push_seen(&mut batch, symbol, id)),
            }
            self.connection.round_trip(&batch)?;
        }
        Ok(())
    }

    fn push(&self, batch: &mut Batch, event: &Event) {
        let bears_id = self.size.event_ids.is_some();
        match self.side {
            Side::Module => {
                let mut args = vec!["TRADE.PUBLISH", event.symbol, event.event_type, &event.data.json];
                if bears_id {
                    args.extend(["ID", &event.event_id]);
                }
                batch.push(&args);
            }
            Side::Multi => {
                let mut commands = Batch::default();
                if bears_id {
                    push_seen(&mut commands, event.symbol, &event.event_id);
                }
                multi::push_blind(&mut commands, event, self.now_ms, &self.maxlen);
                multi::of(batch, &commands);
            }
        }
    }

    /// Sends so many events; the CPU time of one, us.
    ///
    /// # Errors
    /// When one is refused.
    pub fn round(&mut self, events: usize) -> io::Result<f64> {
        let mut batches = Vec::with_capacity(events / PIPELINE);
        for _ in 0..events / PIPELINE {
            let mut batch = Batch::default();
            for _ in 0..PIPELINE {
                let event = self.book.next();
                self.push(&mut batch, &event);
            }
            batches.push(batch);
        }
        let before = server::cpu_us(&mut self.connection)?;
        for batch in &batches {
            self.connection.round_trip(batch)?;
        }
        let used = server::cpu_us(&mut self.connection)? - before;
        Ok(used / (batches.len() * PIPELINE) as f64)
    }

    /// Makes sure that the server has the book.
    ///
    /// # Errors
    /// When it has another.
    pub fn check(&mut self) -> io::Result<()> {
        let mut open = 0;
        for symbol in self.book.symbols().to_vec() {
            match self.connection.call(&["ZCARD", &format!("trade:{{{symbol}}}:orders:open")])? {
                Reply::Integer(count) => open += count as usize,
                other => return Err(io::Error::other(format!("ZCARD replied {other:?}"))),
            }
        }
        if open != self.book.open() {
            return Err(io::Error::other(format!("{open} orders are open, not {}", self.book.open())));
        }
        for number in (0..self.book.len()).step_by(self.book.len().div_ceil(SAMPLE)) {
            let (symbol, id, order) = self.book.order(number);
            let status = if order.filled == 0 { "pending" } else { "partially_filled" };
            let key = format!("trade:{{{symbol}}}:order:{id}");
            let found = self.connection.call(&["HMGET", &key, "status", "version", "filled_volume"])?;
            let filled = crate::workload::trimmed(order.filled as i64, 2);
            let wanted = match self.side {
                Side::Multi => [Reply::Text(status.to_owned()), Reply::Nil, Reply::Nil],
                Side::Module => [status.to_owned(), order.version.to_string(), filled].map(Reply::Text),
            };
            if found != Reply::Array(wanted.into()) {
                return Err(io::Error::other(format!("{key} is {found:?}, not {order:?}")));
            }
        }
        self.check_ids()
    }

    /// The first id of all must be known still.
    fn check_ids(&mut self) -> io::Result<()> {
        let (Side::Module, Some(_)) = (self.side, self.size.event_ids) else {
            return Ok(());
        };
        let (symbol, id) = (self.book.symbols()[0], old_id(0));
        let log = format!("trade:{{{symbol}}}:events");
        let before = self.connection.call(&["XLEN", &log])?;
        self.connection.call(&["TRADE.PUBLISH", symbol, "trade.executed", "{}", "ID", &id])?;
        match self.connection.call(&["XLEN", &log])? == before {
            true => Ok(()),
            false => Err(io::Error::other(format!("the event id {id} is forgotten"))),
        }
    }
}

/// An id that the server remembers from before.
fn old_id(number: usize) -> String {
    format!("old-{number:016}")
}

/// How a client remembers an event id for itself.
fn push_seen(batch: &mut Batch, symbol: &str, event_id: &str) {
    batch.push(&["SET", &format!("trade:{{{symbol}}}:seen:{event_id}"), "1", "NX", "PX", DEDUPE_WINDOW_MS]);
}
