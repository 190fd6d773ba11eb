//! The recording: one JSON object a line, in one of three forms.
//!
//! - `instrument`: settings of a symbol, for TRADE.INSTRUMENT.
//! - `event_type` and `data`: an event, with what TRADE.PUBLISH takes (`id timestamp source correlation_id
//!   expect`), its `outcome` (`accepted`, `late`, `duplicate`, `refused CODE`) and the `status` of its entity
//!   afterwards. Consecutive events with the same `batch` go out in one TRADE.MPUBLISH.
//! - `order`, `position` or `signal`, and `ends`: fields that it has when the day is over.

use std::borrow::Cow;
use std::fmt;

use tradebus_core::json::{parse_object, Member, Value};

use crate::Outcome;

/// A text of the recording.
type Text<'a> = Cow<'a, str>;

/// Names with their values.
type Fields<'a> = Vec<(Text<'a>, Text<'a>)>;

/// A step of the day.
pub enum Step<'a> {
    /// Settings of a symbol.
    Instrument { symbol: Text<'a>, settings: Fields<'a> },
    /// Events that one command publishes.
    Publish(Vec<Event<'a>>),
    /// How an entity ends.
    End(End<'a>),
}

/// An event and what must become of it.
pub struct Event<'a> {
    pub symbol: Text<'a>,
    pub event_type: Text<'a>,
    /// As it was written: a JSON library that reads numbers as floats would not send the same prices.
    pub data: &'a str,
    pub id: Option<Text<'a>>,
    pub timestamp: Option<Text<'a>>,
    pub source: Option<Text<'a>>,
    pub correlation_id: Option<Text<'a>>,
    pub expect: Option<Text<'a>>,
    pub batch: Option<Text<'a>>,
    pub result: Published<'a>,
    pub status: Option<Text<'a>>,
}

/// What became of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Published<'a> {
    Accepted,
    Late,
    Duplicate,
    /// With this code.
    Refused(Text<'a>),
}

impl fmt::Display for Published<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Published::Accepted => f.write_str("accepted"),
            Published::Late => f.write_str("late"),
            Published::Duplicate => f.write_str("duplicate"),
            Published::Refused(code) => write!(f, "refused {code}"),
        }
    }
}

/// How an entity ends.
pub struct End<'a> {
    pub symbol: Text<'a>,
    pub kind: Kind,
    pub id: Text<'a>,
    /// Some of its fields.
    pub fields: Fields<'a>,
}

/// What an entity is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Order,
    Position,
    Signal,
}

impl Kind {
    const ALL: [(&'static str, Kind); 3] =
        [("order", Kind::Order), ("position", Kind::Position), ("signal", Kind::Signal)];

    /// The command that reads one.
    pub fn command(self) -> &'static str {
        match self {
            Kind::Order => "TRADE.ORDER",
            Kind::Position => "TRADE.POSITION",
            Kind::Signal => "TRADE.SIGNAL",
        }
    }
}

/// Reads a recording.
pub fn parse(text: &str) -> Outcome<Vec<Step<'_>>> {
    let mut steps = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let step = parse_line(line).map_err(|error| format!("day.jsonl, line {number}: {error}"))?;
        match (steps.last_mut(), step) {
            (Some(Step::Publish(batch)), Step::Publish(events)) if continues(batch, &events) => batch.extend(events),
            (_, step) => steps.push(step),
        }
    }
    Ok(steps)
}

fn continues(batch: &[Event<'_>], events: &[Event<'_>]) -> bool {
    match (batch.last(), events.first()) {
        (Some(last), Some(next)) => last.batch.is_some() && last.batch == next.batch && last.symbol == next.symbol,
        _ => false,
    }
}

fn parse_line(line: &str) -> Outcome<Step<'_>> {
    let mut line = Line::parse(line)?;
    let symbol = line.required("symbol")?;
    let step = if let Some(settings) = line.nested("instrument") {
        Step::Instrument { symbol, settings: Line::parse(settings)?.into_fields()? }
    } else if let Some(fields) = line.nested("ends") {
        let entity = Kind::ALL.iter().find_map(|&(name, kind)| Some((kind, line.text(name)?)));
        let (kind, id) = entity.ok_or("it ends, but nothing says what")?;
        Step::End(End { symbol, kind, id, fields: Line::parse(fields)?.into_fields()? })
    } else {
        Step::Publish(vec![Event {
            symbol,
            event_type: line.required("event_type")?,
            data: line.nested("data").ok_or("data is missing")?,
            id: line.text("id"),
            timestamp: line.text("timestamp"),
            source: line.text("source"),
            correlation_id: line.text("correlation_id"),
            expect: line.text("expect"),
            batch: line.text("batch"),
            result: parse_result(line.required("outcome")?)?,
            status: line.text("status"),
        }])
    };
    match line.members.first() {
        None => Ok(step),
        Some(unknown) => Err(format!("{} is not known here", unknown.name)),
    }
}

fn parse_result(text: Text<'_>) -> Outcome<Published<'_>> {
    Ok(match text.as_ref() {
        "accepted" => Published::Accepted,
        "late" => Published::Late,
        "duplicate" => Published::Duplicate,
        other => match other.strip_prefix("refused ") {
            Some(code) => Published::Refused(code.to_owned().into()),
            None => return Err(format!("'{other}' is no outcome")),
        },
    })
}

/// A line whose members are taken one by one, so that what is left was misspelt.
struct Line<'a> {
    members: Vec<Member<'a>>,
}

impl<'a> Line<'a> {
    fn parse(text: &'a str) -> Outcome<Line<'a>> {
        match parse_object(text.as_bytes()) {
            Ok(object) => Ok(Line { members: object.members }),
            Err(error) => Err(format!("{} at byte {}", error.what, error.at)),
        }
    }

    fn take(&mut self, name: &str) -> Option<Value<'a>> {
        let at = self.members.iter().position(|member| member.name == name)?;
        Some(self.members.remove(at).value)
    }

    fn text(&mut self, name: &str) -> Option<Text<'a>> {
        scalar(self.take(name)?)
    }

    fn required(&mut self, name: &str) -> Outcome<Text<'a>> {
        self.text(name).ok_or_else(|| format!("{name} is missing"))
    }

    fn nested(&mut self, name: &str) -> Option<&'a str> {
        match self.take(name)? {
            Value::Nested { text, .. } => Some(text),
            _ => None,
        }
    }

    fn into_fields(self) -> Outcome<Fields<'a>> {
        let fields = self.members.into_iter().map(|member| match scalar(member.value) {
            Some(text) => Ok((member.name, text)),
            None => Err(format!("{} must be a string or a number", member.name)),
        });
        fields.collect()
    }
}

fn scalar(value: Value<'_>) -> Option<Text<'_>> {
    match value {
        Value::String(text) => Some(text),
        Value::Number(text) => Some(text.into()),
        Value::Null | Value::Bool(_) | Value::Nested { .. } => None,
    }
}
