//! A real client, one event at a time: what it sends today, and what it sends to the module. `client.py` is it.

use std::env;
use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::check::{Check, Claim, Look, Numbers};
use crate::ids::Ids;
use crate::model::EventIds;
use crate::peers::multi;
use crate::results::Turns;
use crate::server::{is_quick, Persistence, Server};
use crate::turn::{Figures, Meter, Play};
use crate::workload::{About, Retries, Workload};

/// What `client.py` exits with when a package of its is missing.
const NOT_INSTALLED: i32 = 3;

/// The turns of both ways under one persistence.
pub struct ClientResult {
    pub persistence: Persistence,
    /// Its version, as it says.
    pub client: String,
    pub multi: Turns,
    pub publish: Turns,
}

/// A way to publish, by its name in `client.py`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Multi,
    Publish,
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Way::Multi => "multi",
            Way::Publish => "publish",
        }
    }
}

/// The file of the events, removed in the end.
struct EventsFile(PathBuf);

impl Drop for EventsFile {
    fn drop(&mut self) {
        // A temporary file that cannot be removed harms nobody.
        let _ = fs::remove_file(&self.0);
    }
}

/// What one run of `client.py` said.
enum Run {
    Done { client: String, figures: Figures },
    LeftOut(String),
}

/// Measures both ways in turn. Nothing, and the reason on stderr, when there is no such client here.
///
/// # Errors
/// When the workload is wrong, or the client fails.
pub fn measure(module: &Path, start_ms: u64, rounds: usize) -> io::Result<Vec<ClientResult>> {
    let events = if is_quick() { 100 } else { 5_000 };
    let play = Play::new(events, Retries::Fills, EventIds::LeftOut, start_ms)?;
    let file = EventsFile(env::temp_dir().join(format!("tradebus-bench-{}.jsonl", std::process::id())));
    fs::write(&file.0, lines(&play.workload, start_ms))?;

    let mut results = Vec::new();
    for persistence in Persistence::ALL {
        let (client, multi, publish) = (String::new(), Turns::default(), Turns::default());
        let mut result = ClientResult { persistence, client, multi, publish };
        for round in 0..rounds {
            eprintln!("redis-py, {}: round {} of {rounds}", persistence.name(), round + 1);
            let ways = if round % 2 == 0 { [Way::Multi, Way::Publish] } else { [Way::Publish, Way::Multi] };
            for way in ways {
                let turns = if way == Way::Multi { &mut result.multi } else { &mut result.publish };
                match run(way, persistence, module, &file.0, &play) {
                    Ok(Run::Done { client, figures }) => {
                        result.client = client;
                        turns.push(Ok(figures));
                    }
                    Ok(Run::LeftOut(reason)) => {
                        println!("Left out: redis-py, unpipelined: {reason}");
                        return Ok(Vec::new());
                    }
                    Err(error) => turns.push(Err(error)),
                }
            }
        }
        results.push(result);
    }
    Ok(results)
}

fn run(way: Way, persistence: Persistence, module: &Path, file: &Path, play: &Play) -> io::Result<Run> {
    let Play { workload, model } = play;
    let server = Server::start(persistence, Some(module).filter(|_| way == Way::Publish))?;
    let mut connection = server.connect()?;
    let python = env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/publish/client.py");
    let before = Meter::read(&mut connection)?;
    let output = Command::new(&python).arg(script).args([&server.port().to_string(), way.name()]).arg(file).output();
    let output = match output {
        Ok(output) => output,
        Err(error) => return Ok(Run::LeftOut(format!("{python} cannot be run ({error})"))),
    };
    let told = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.code() == Some(NOT_INSTALLED) {
        return Ok(Run::LeftOut(told));
    }
    if !output.status.success() {
        return Err(io::Error::other(told));
    }
    let answer = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut lines = answer.lines();
    let mut next = || lines.next().unwrap_or_default();
    let malformed = |_| io::Error::other(format!("client.py says {answer:?}"));
    let client = next().to_owned();
    let [seconds, client_seconds] = [next().parse::<f64>().map_err(malformed)?, next().parse().map_err(malformed)?];
    let events = workload.events.len();
    let mut figures = before.figures(&mut connection, events, seconds)?;
    figures.client_us = Some(client_seconds * 1e6 / events as f64);

    let (ids, claim) = match way {
        Way::Multi => (Ids::of_model(model), Claim::Status),
        Way::Publish => {
            let replies: Vec<String> = lines.map(str::to_owned).collect();
            let order: Vec<usize> = (0..events).collect();
            (Ids::of_replies(model, workload, &order, &replies).map_err(io::Error::other)?, Claim::Everything)
        }
    };
    let check = Check { model, workload, ids: &ids, claim, numbers: Numbers::Doubles, look: Look::Whole };
    match check.keyspace(&mut connection)? {
        None => Ok(Run::Done { client, figures }),
        Some(difference) => Err(io::Error::other(difference)),
    }
}

/// The events as the client reads them: what a producer has at hand, and what MULTI writes where.
fn lines(workload: &Workload, now_ms: u64) -> String {
    let mut lines = String::new();
    for event in &workload.events {
        // Writing to a String cannot fail.
        let _ = write!(
            lines,
            r#"{{"symbol":"{}","type":"{}","ts":{},"timestamp":"{}","data":{}"#,
            event.symbol, event.event_type, event.ts, event.timestamp, event.data.json
        );
        let mut hash = |key: String, fields: &[(&str, &str)]| {
            let fields: serde_json::Map<String, serde_json::Value> =
                fields.iter().map(|&(name, value)| (name.to_owned(), value.into())).collect();
            let _ = write!(lines, r#","key":"{key}","fields":{}"#, serde_json::Value::Object(fields));
        };
        match &event.about {
            About::Entity(change) => {
                let fields = event.data.flat.iter().map(|(name, value)| (*name, value.as_str()));
                let fields: Vec<_> = [("status", change.status)].into_iter().chain(fields).collect();
                hash(change.subject.key(event.symbol, &change.id), &fields);
                if let Some(command) = multi::index(event, change) {
                    let _ = write!(lines, r#","index":{}"#, serde_json::json!(command));
                }
                if let Some(at) = multi::expires_at(change, now_ms) {
                    let _ = write!(lines, r#","expires_at":{at}"#);
                }
            }
            About::Risk { limit } => hash(multi::key(event, "risk"), &[(limit, &event.data.json)]),
            About::Record => {}
        }
        lines += "}\n";
    }
    lines
}
