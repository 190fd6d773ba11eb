//! What must be refused: a peer that saves itself the checks is no peer. The model says what is, and by which code.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use tradebus_core::event_type::EventType;
use tradebus_core::log::Labels;
use tradebus_core::memory::Memory;
use tradebus_core::session::Request;
use tradebus_core::settings::Settings;

use crate::model::{EventIds, Model};
use crate::peers::Peer;
use crate::server::{Persistence, Server};
use crate::wire::Reply;
use crate::workload::{About, Change, Event, Expiry, IndexChange, Members, Subject, Workload};

/// Type, subject, and the members that the event has beside its id.
const EVENTS: [(&str, Subject, &str); 25] = [
    ("order.created", Subject::Order, r#""volume":0"#),
    ("order.created", Subject::Order, r#""volume":10.50,"price":100.25,"side":"buy""#),
    ("order.created", Subject::Order, r#""volume":10.50"#),
    ("order.partially_filled", Subject::Order, r#""fill_volume":11.00,"fill_price":100.25"#),
    ("order.partially_filled", Subject::Order, r#""fill_volume":3.25,"fill_price":100.25,"fill_id":"f1""#),
    ("order.partially_filled", Subject::Order, r#""fill_volume":3.25,"fill_price":100.25,"fill_id":"f1""#),
    ("order.partially_filled", Subject::Order, r#""fill_volume":3.25,"fill_price":100.50,"fill_id":"f1""#),
    ("order.rejected", Subject::Order, r#""reason":"market_closed""#),
    ("order.modified", Subject::Order, r#""price":101.25"#),
    ("order.filled", Subject::Order, r#""fill_volume":7.25,"fill_price":100.25"#),
    ("order.cancelled", Subject::Order, r#""reason":"user_request""#),
    ("order.modified", Subject::Order, r#""price":101.25"#),
    ("order.lost", Subject::Order, r#""reason":"unknown""#),
    ("position.opened", Subject::Position, r#""direction":"LONG","entry_price":100.25,"volume":0"#),
    ("position.opened", Subject::Position, r#""direction":"LONG","entry_price":100.25,"volume":2.50"#),
    ("position.opened", Subject::Position, r#""direction":"LONG","entry_price":100.25,"volume":2.50"#),
    ("position.partially_closed", Subject::Position, r#""closed_volume":2.75,"exit_price":101.25"#),
    ("position.closed", Subject::Position, r#""exit_price":101.25"#),
    ("position.closed", Subject::Position, r#""exit_price":101.25"#),
    ("position.partially_closed", Subject::Position, r#""closed_volume":1.25,"exit_price":101.25"#),
    ("signal.generated", Subject::Signal, r#""direction":"LONG""#),
    ("signal.generated", Subject::Signal, r#""direction":"LONG""#),
    ("signal.rejected", Subject::Signal, r#""reason":"correlation_too_high""#),
    ("signal.validated", Subject::Signal, r#""score":5"#),
    ("signal.lost", Subject::Signal, r#""score":5"#),
];

const SYMBOL: &str = "REFUSED";
const ID: &str = "one";
/// Midnight of 2025-01-01, UTC.
const TS: u64 = 1_735_689_600_000;
const TIMESTAMP: &str = "2025-01-01T00:00:00.000Z";

/// The first event that a peer answers otherwise than the model.
///
/// # Errors
/// When the server does not answer.
pub fn difference(peer: Peer, module: &Path) -> io::Result<Option<String>> {
    let server = Server::start(Persistence::Off, peer.needs_module().then_some(module))?;
    let mut connection = server.connect()?;
    let workload = Workload { events: EVENTS.into_iter().enumerate().map(event).collect() };
    let model = Model { told: Vec::new(), symbols: BTreeMap::new() };
    let prepared = peer.prepare(&mut connection, &workload, &model, 1)?;
    let mut memory = Memory::of_symbol(SYMBOL);
    for (number, (event, batch)) in workload.events.iter().zip(&prepared.batches).enumerate() {
        let event_id = (peer.event_ids() == EventIds::Given).then_some(event.event_id.as_bytes());
        let wanted = answer(&mut memory, event, event_id, TS as i64 + number as i64);
        let found = connection.ask(batch)?;
        let refusal = found.first().and_then(Reply::error);
        let found = refusal.map_or("accepted", |text| text.split(' ').next().unwrap_or(text));
        if found != wanted {
            let Event { event_type, data, .. } = event;
            return Ok(Some(format!("{event_type} {} is answered by {refusal:?}, not {wanted}", data.json)));
        }
    }
    let found = connection.call(&["XLEN", &format!("trade:{{{SYMBOL}}}:events")])?;
    let wanted = Reply::Integer(memory.messages.len() as i64);
    Ok((found != wanted).then(|| format!("with refusals between, the log has {found:?} entries, not {wanted:?}")))
}

/// The code of the model's refusal, or that there is none.
fn answer(memory: &mut Memory, event: &Event, event_id: Option<&[u8]>, now: i64) -> &'static str {
    let labels = Labels { event_id, ..Labels::default() };
    let told = EventType::parse(event.event_type.as_bytes()).and_then(|event_type| {
        let request = Request { event_type, data: event.data.json.as_bytes(), labels, expect: None };
        memory.publish(&[request], &Settings::default(), now)
    });
    told.map_or_else(|refusal| refusal.code.as_str(), |_| "accepted")
}

fn event((number, (event_type, subject, members)): (usize, (&'static str, Subject, &str))) -> Event {
    let member = match subject {
        Subject::Order => "order_id",
        Subject::Position => "position_id",
        Subject::Signal => "signal_id",
    };
    let json = format!(r#"{{"{member}":"{ID}",{members},"timestamp":"{TIMESTAMP}"}}"#);
    let change = Change {
        subject,
        id: ID.to_owned(),
        status: "",
        derived: Vec::new(),
        index: IndexChange::Stay,
        expiry: Expiry::Unchanged,
        has_fill_id: false,
    };
    Event {
        symbol: SYMBOL,
        event_type,
        event_id: format!("evt-{number}"),
        ts: TS,
        timestamp: TIMESTAMP.to_owned(),
        data: Members { flat: Vec::new(), json },
        about: About::Entity(change),
    }
}
