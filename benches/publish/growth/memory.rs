//! What an event takes of memory, beside a plain XADD of the fields that its log entry has.

use std::io;
use std::path::Path;

use crate::peers::{multi, STREAM_MAXLEN};
use crate::server::{self, is_quick, Persistence, Server};
use crate::wire::Batch;
use crate::workload::{Event, Retries, Workload};

const EVENTS: usize = 100_000;
const PIPELINE: usize = 50;

/// Who writes, and what.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Writer {
    /// The log entry alone.
    Xadd,
    XaddWithId,
    Multi,
    Publish,
    PublishWithId,
}

impl Writer {
    const ALL: [(Writer, &'static str); 5] = [
        (Writer::Xadd, "XADD"),
        (Writer::Multi, "MULTI"),
        (Writer::Publish, "PUBLISH"),
        (Writer::XaddWithId, "XADD, id"),
        (Writer::PublishWithId, "PUBLISH ID"),
    ];

    fn push(self, batch: &mut Batch, event: &Event, now_ms: u64) {
        let ts = event.ts.to_string();
        let key = multi::key(event, "events");
        let mut xadd = vec!["XADD", &key, "MAXLEN", "~", STREAM_MAXLEN, "*"];
        xadd.extend(["type", event.event_type, "data", &event.data.json, "ts", &ts]);
        let publish = ["TRADE.PUBLISH", event.symbol, event.event_type, &event.data.json];
        let with_id = |args: &[&'_ str], name| -> Vec<String> {
            args.iter().copied().chain([name, event.event_id.as_str()]).map(str::to_owned).collect()
        };
        let mut push_texts = |args: Vec<String>| batch.push(&args.iter().map(String::as_str).collect::<Vec<_>>());
        match self {
            Writer::Xadd => batch.push(&xadd),
            Writer::XaddWithId => push_texts(with_id(&xadd, "event_id")),
            Writer::Multi => multi::blind(batch, event, now_ms),
            Writer::Publish => batch.push(&publish),
            Writer::PublishWithId => push_texts(with_id(&publish, "ID")),
        }
    }
}

/// Prints the table.
///
/// # Errors
/// When a server refuses.
pub fn run(module: &Path) -> io::Result<()> {
    let count = if is_quick() { 1_000 } else { EVENTS };
    println!("\nBytes of memory that an event takes, of {count}.\n");
    print!("{:<42}", "memory");
    Writer::ALL.iter().for_each(|(_, name)| print!("{name:>12}"));
    println!("{:>16}{:>16}", "PUBLISH / XADD", "with ids");
    print_row("an event of no entity", &Workload::of_records(count), module)?;
    print_row("an event of the workload, with its hashes", &Workload::new(count, Retries::Fills), module)
}

fn print_row(about: &str, workload: &Workload, module: &Path) -> io::Result<()> {
    print!("{about:<42}");
    let mut all = Vec::new();
    for (writer, _) in Writer::ALL {
        let bytes = measure(writer, workload, module)?;
        print!("{bytes:>12.0}");
        all.push(bytes);
    }
    println!("{:>16.2}{:>16.2}", all[2] / all[0], all[4] / all[3]);
    Ok(())
}

fn measure(writer: Writer, workload: &Workload, module: &Path) -> io::Result<f64> {
    let needs_module = matches!(writer, Writer::Publish | Writer::PublishWithId);
    let server = Server::start(Persistence::Off, needs_module.then_some(module))?;
    let mut connection = server.connect()?;
    let now_ms = 4_000_000_000_000;
    let before = server::memory_bytes(&mut connection)?;
    for events in workload.events.chunks(PIPELINE) {
        let mut batch = Batch::default();
        events.iter().for_each(|event| writer.push(&mut batch, event, now_ms));
        connection.round_trip(&batch)?;
    }
    Ok((server::memory_bytes(&mut connection)? - before) / workload.events.len() as f64)
}
