//! What is shown: lines and tables for a terminal of 100 columns, in colour when it is one.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::env;
use std::io::{self, IsTerminal as _};

use redis::{Connection, RedisError};
use tradebus_core::json::{parse_object, Value};
use tradebus_core::key::{Key, Scope};

use crate::day::{Event, Kind};
use crate::player::{Entity, Reply};
use crate::Outcome;

const COLUMNS: usize = 100;

/// Entries of the log that are shown.
const LOG_SHOWN: usize = 8;

/// Where it is shown.
pub struct Screen {
    has_colour: bool,
}

/// What a colour says.
#[derive(Clone, Copy)]
enum Tone {
    Heading,
    Quiet,
    Good,
    Odd,
    Bad,
}

/// An id and its fields.
type LogEntry = (String, BTreeMap<String, String>);

/// Names of columns with the fields that they show.
type Columns = [(&'static str, &'static str)];

const ORDER: &Columns = &[
    ("side", "side"),
    ("type", "order_type"),
    ("volume", "volume"),
    ("price", "price"),
    ("filled", "filled_volume"),
    ("average", "avg_fill_price"),
    ("status", "status"),
    ("v", "version"),
];

const POSITION: &Columns = &[
    ("direction", "direction"),
    ("open", "volume"),
    ("entry", "entry_price"),
    ("realized", "realized_pnl"),
    ("reported", "pnl"),
    ("closed by", "close_reason"),
    ("status", "status"),
    ("v", "version"),
];

const SIGNAL: &Columns =
    &[("strategy", "strategy"), ("direction", "direction"), ("reason", "reason"), ("status", "status")];

impl Screen {
    /// Standard output.
    pub fn of_stdout() -> Screen {
        Screen { has_colour: io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none() }
    }

    fn paint<'t>(&self, tone: Tone, text: &'t str) -> Cow<'t, str> {
        let code = match tone {
            Tone::Heading => "1",
            Tone::Quiet => "2",
            Tone::Good => "32",
            Tone::Odd => "33",
            Tone::Bad => "31",
        };
        match self.has_colour {
            true => format!("\x1b[{code}m{text}\x1b[0m").into(),
            false => text.into(),
        }
    }

    /// A title, behind an empty line.
    pub fn heading(&self, text: &str) {
        println!("\n{}", self.paint(Tone::Heading, text));
    }

    /// A sentence, over as many lines as it needs.
    pub fn note(&self, text: &str) {
        for line in wrapped(text, COLUMNS) {
            println!("{line}");
        }
    }

    /// As much of a text as one line holds.
    pub fn line(&self, text: &str) {
        match text.char_indices().nth(COLUMNS - 3) {
            Some((end, _)) => println!("{}...", &text[..end]),
            None => println!("{text}"),
        }
    }

    /// Settings of a symbol.
    pub fn instrument(&self, symbol: &str, settings: &[(Cow<'_, str>, Cow<'_, str>)]) {
        let settings: Vec<_> = settings.iter().map(|(name, value)| format!("{name} {value}")).collect();
        println!("{:8}  {symbol:13}  instrument  {}", "", settings.join(", "));
    }

    /// What was published with one command, and what came of it.
    pub fn published(&self, events: &[Event<'_>], replies: &[Reply]) {
        if events.len() > 1 {
            println!("{:8}  {:13}  in one command, all or none:", "", events[0].symbol);
        }
        for (event, reply) in events.iter().zip(replies) {
            let data = Data::of(event.data);
            let time = event.timestamp.as_deref().map_or_else(|| data.text("timestamp"), Cow::Borrowed);
            let time = time.get(11..19).unwrap_or("--:--:--");
            let id = ["order_id", "position_id", "signal_id", "limit"].map(|name| data.text(name));
            let id = id.iter().find(|id| !id.is_empty()).map_or("", |id| id.as_ref());
            let (tone, outcome) = outcome(reply);
            let outcome = self.paint(tone, &outcome).into_owned();
            println!("{time}  {:13}  {:25}  {id:15}  {outcome}", event.symbol, event.event_type);
            if let Reply::Logged(heard) = reply {
                let line = format!("{:10}> {} {} after {}", "", heard.channel, heard.id, heard.prev_id);
                println!("{}", self.paint(Tone::Quiet, &line));
            }
        }
        // All events of a command are refused for one reason.
        if let Some(Reply::Error(_, text)) = replies.first() {
            for line in wrapped(text, COLUMNS - 12) {
                println!("{:10}  {line}", "");
            }
        }
    }

    /// The entities that the day leaves.
    pub fn ends(&self, ends: &[Entity]) {
        for (title, kind, columns) in
            [("Orders", Kind::Order, ORDER), ("Positions", Kind::Position, POSITION), ("Signals", Kind::Signal, SIGNAL)]
        {
            let mut rows = vec![vec!["symbol", "id"]];
            rows[0].extend(columns.iter().map(|&(name, _)| name));
            for end in ends.iter().filter(|end| end.kind == kind) {
                let mut row = vec![end.symbol.as_str(), end.id.as_str()];
                row.extend(columns.iter().map(|&(_, field)| end.fields.get(field).map_or("", String::as_str)));
                rows.push(row);
            }
            self.heading(&format!("{title}, by {}", kind.command()));
            self.table(&rows);
        }
    }

    /// A table; what looks like a number is aligned to the right.
    fn table(&self, rows: &[Vec<&str>]) {
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let is_number = |text: &str| text.parse::<f64>().is_ok();
        let columns = rows.first().map_or(0, Vec::len);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let are_numbers: Vec<bool> = (0..columns)
            .map(|column| {
                let mut cells = rows[1..].iter().map(|row| row[column]).filter(|cell| !cell.is_empty()).peekable();
                column > 1 && cells.peek().is_some() && cells.all(is_number)
            })
            .collect();
        for (number, row) in rows.iter().enumerate() {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let width = widths[column];
                line += &match are_numbers[column] {
                    true => format!("{cell:>width$}  "),
                    false => format!("{cell:width$}  "),
                };
            }
            match number {
                0 => println!("{}", self.paint(Tone::Quiet, line.trim_end())),
                _ => println!("{}", line.trim_end()),
            }
        }
    }

    /// The newest entries of a symbol's log, newest first.
    pub fn log(&self, connection: &mut Connection, symbol: &str) -> Outcome<()> {
        let key = Key::Log.name(Scope::Symbol(symbol));
        let mut command = redis::cmd("XREVRANGE");
        command.arg(&key).arg("+").arg("-").arg("COUNT").arg(LOG_SHOWN);
        let entries: Result<Vec<LogEntry>, RedisError> = command.query(connection);
        let entries = entries.map_err(|error| format!("XREVRANGE {key}: {error}"))?;
        self.heading(&format!("The newest log entries: XREVRANGE {key} + - COUNT {LOG_SHOWN}"));
        for (id, fields) in entries {
            let field = |name: &str| fields.get(name).map_or("", String::as_str);
            self.line(&format!("{id}  {:25}  {}", field("type"), field("data")));
        }
        Ok(())
    }

    /// What the module has counted, without the zeros.
    pub fn info(&self, connection: &mut Connection) -> Outcome<()> {
        let info: Result<String, RedisError> = redis::cmd("INFO").arg("tradebus").query(connection);
        let info = info.map_err(|error| format!("INFO tradebus: {error}"))?;
        let counters = info.lines().filter(|line| !line.ends_with(":0") && !line.starts_with('#'));
        let counters: Vec<_> = counters.filter_map(|line| line.strip_prefix("tradebus_")).collect();
        self.heading("Counted: INFO tradebus");
        for line in wrapped(&counters.join("  "), COLUMNS) {
            println!("{line}");
        }
        Ok(())
    }
}

fn outcome(reply: &Reply) -> (Tone, String) {
    match reply {
        Reply::Logged(heard) => {
            let (tone, late) = if heard.is_late { (Tone::Odd, "late, ") } else { (Tone::Good, "") };
            match (&heard.status, heard.version) {
                (Some(status), Some(version)) => (tone, format!("{late}{status} v{version}")),
                _ => (tone, format!("{late}recorded")),
            }
        }
        Reply::Known => (Tone::Odd, "duplicate: nothing done".to_owned()),
        Reply::Error(code, _) => (Tone::Bad, format!("refused {code}")),
    }
}

/// Lines of at most `width` bytes, broken at spaces.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_inclusive(' ') {
        match lines.last_mut() {
            Some(line) if line.len() + word.trim_end().len() <= width => line.push_str(word),
            _ => lines.push(word.to_owned()),
        }
    }
    lines.iter().map(|line| line.trim_end().to_owned()).collect()
}

/// Members of an event's data, for who only shows them.
struct Data<'a>(Option<tradebus_core::json::Object<'a>>);

impl<'a> Data<'a> {
    fn of(text: &'a str) -> Data<'a> {
        Data(parse_object(text.as_bytes()).ok())
    }

    fn text(&self, name: &str) -> Cow<'_, str> {
        let member = self.0.as_ref().and_then(|data| data.members.iter().find(|member| member.name == name));
        match member.map(|member| &member.value) {
            Some(Value::String(text)) => Cow::Borrowed(text),
            Some(Value::Number(text)) => Cow::Borrowed(text),
            _ => Cow::Borrowed(""),
        }
    }
}
