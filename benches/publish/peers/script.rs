//! The same rules as a script: by EVALSHA, and as a function of a library.

use std::io;

use super::multi::key;
use super::STREAM_MAXLEN;
use crate::ids::{CLOSED_TTL_MS, SIGNAL_TTL_MS};
use crate::wire::{Batch, Connection};
use crate::workload::{About, Event, Subject};

const LIBRARY: &str = include_str!("../library.lua");
const BODY: &str = include_str!("../publish.lua");
/// The module's default.
const DEDUPE_WINDOW_MS: u64 = 10 * 60 * 1_000;
const FUNCTION: &str = "tradebus_bench_publish";

/// How the server was given the rules, and how they are called.
pub struct Form {
    command: &'static str,
    /// Its digest, or its name.
    name: String,
}

impl Form {
    /// Loads them as a script.
    ///
    /// # Errors
    /// When the server does not take it.
    pub fn load_script(connection: &mut Connection) -> io::Result<Form> {
        let text = format!("{}{BODY}", library());
        let name = connection.call_text(&["SCRIPT", "LOAD", &text])?;
        Ok(Form { command: "EVALSHA", name })
    }

    /// Loads them as a function.
    ///
    /// # Errors
    /// When the server does not take it.
    pub fn load_function(connection: &mut Connection) -> io::Result<Form> {
        let text = format!(
            "#!lua name=tradebus_bench\n{}local function publish(KEYS, ARGV)\n{BODY}\nend\n\
             redis.register_function('{FUNCTION}', publish)\n",
            library()
        );
        connection.call_text(&["FUNCTION", "LOAD", &text])?;
        Ok(Form { command: "FCALL", name: FUNCTION.to_owned() })
    }

    /// Appends the call for an event.
    pub fn call(&self, batch: &mut Batch, event: &Event, event_id: Option<&str>) {
        let mut keys = vec![key(event, "events"), key(event, "last")];
        match &event.about {
            About::Entity(change) => {
                keys.push(change.subject.key(event.symbol, &change.id));
                keys.extend(change.subject.index_key(event.symbol));
                if change.subject == Subject::Order {
                    keys.push(key(event, &format!("fills:{}", change.id)));
                }
            }
            About::Risk { .. } => keys.push(key(event, "risk")),
            About::Record => {}
        }
        keys.extend(event_id.map(|id| key(event, &format!("seen:{id}"))));
        let count = keys.len().to_string();
        let ts = event.ts.to_string();
        let mut args = vec![self.command, &self.name, &count];
        args.extend(keys.iter().map(String::as_str));
        args.extend([event.event_type, &event.data.json, event.symbol, &ts]);
        args.extend(event_id);
        batch.push(&args);
    }
}

fn library() -> String {
    format!(
        "local MAXLEN, CLOSED_TTL, SIGNAL_TTL, DEDUPE_WINDOW = \
         {STREAM_MAXLEN}, {CLOSED_TTL_MS}, {SIGNAL_TTL_MS}, {DEDUPE_WINDOW_MS}\n{LIBRARY}\n"
    )
}
