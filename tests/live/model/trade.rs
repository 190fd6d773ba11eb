//! TRADE commands as the model does them.

use std::collections::BTreeMap;

use tradebus_core::event_type::EventType;
use tradebus_core::instrument::{check_setting, FIELDS};
use tradebus_core::key::{Key, Scope};
use tradebus_core::log::journal::Journal;
use tradebus_core::log::query::{self, parse_span, Budget, Filter};
use tradebus_core::log::{Accepted, Labels};
use tradebus_core::memory::{Memory, Value, View};
use tradebus_core::rebuild::{Mode, Rebuild};
use tradebus_core::refusal::Outcome;
use tradebus_core::session::Request;
use tradebus_core::settings::Settings;
use tradebus_core::store::{Direction, Flow, Span, Store};
use tradebus_core::stream;
use tradebus_core::stream_id::StreamId;

use super::options::Options;
use super::said::Said;

/// `tradebus.scan-limit`, which sequences do not change.
const SCAN_LIMIT: u64 = 2_000;

/// How many elements a list has when COUNT is not given.
pub const COUNT_DEFAULT: u64 = 100;

/// TRADE.PUBLISH; `words` are those behind the symbol.
pub fn publish(memory: &mut Memory, words: &[String], settings: &Settings, now: i64) -> Outcome<Said> {
    let options = Options::of(&words[2..]);
    let event_type = EventType::parse(words[0].as_bytes())?;
    let expect = options.number("EXPECT");
    let request = Request { event_type, data: words[1].as_bytes(), labels: options.labels(), expect };
    let told = memory.messages.len();
    let receipt = memory.publish(&[request], settings, now)?[0];
    if !options.has("FULL") {
        return Ok(Said::id(receipt.id));
    }
    let is = |outcome| Said::Int(i64::from(receipt.outcome == outcome));
    let (status, version) =
        receipt.entity.map_or((Said::Nil, Said::Nil), |(status, version)| (Said::text(status), Said::count(version)));
    Ok(Said::map([
        ("id", Said::id(receipt.id)),
        ("duplicate", is(Accepted::Duplicate)),
        ("late", is(Accepted::Late)),
        ("status", status),
        ("version", version),
        // One listens to every channel.
        ("receivers", Said::count((memory.messages.len() - told) as u64)),
    ]))
}

/// TRADE.MPUBLISH.
pub fn mpublish(memory: &mut Memory, words: &[String], settings: &Settings, now: i64) -> Outcome<Said> {
    let count: usize = words[0].parse().expect("a number");
    let (events, options) = words[1..].split_at(2 * count);
    let (ids, options) = match options.split_first() {
        Some((name, rest)) if name == "IDS" => rest.split_at(count),
        _ => (&[][..], options),
    };
    let options = Options::of(options);
    let request = |(place, event): (usize, &'_ [String])| {
        let event_type = EventType::parse(event[0].as_bytes()).map_err(|refusal| refusal.at_event(place + 1))?;
        Ok((event_type, place))
    };
    let types: Vec<_> = events.chunks(2).enumerate().map(request).collect::<Outcome<_>>()?;
    let requests = types.into_iter().map(|(event_type, place)| Request {
        event_type,
        data: events[2 * place + 1].as_bytes(),
        labels: Labels { event_id: ids.get(place).map(String::as_bytes), ..options.labels() },
        expect: None,
    });
    let receipts = memory.publish(&requests.collect::<Vec<_>>(), settings, now)?;
    Ok(Said::list(receipts.iter().map(|receipt| Said::id(receipt.id))))
}

/// TRADE.INSTRUMENT.
pub fn instrument(memory: &mut Memory, words: &[String]) -> Outcome<Said> {
    let name = memory.key_name(Key::Instrument);
    View::of(memory).open(Key::Instrument)?;
    let Some((_, settings)) = words.split_first() else {
        return Ok(Said::map(FIELDS.map(|(field, default)| {
            (field, Said::text(memory.field(Key::Instrument, field).unwrap_or_else(|| default.to_owned())))
        })));
    };
    let checked = settings.chunks(2).map(|pair| check_setting(pair[0].as_bytes(), pair[1].as_bytes()));
    let checked: Vec<_> = checked.collect::<Outcome<_>>()?;
    if let Value::Hash(fields) = memory.keys.entry(name).or_insert_with(|| Value::Hash(BTreeMap::new())) {
        fields.extend(checked.into_iter().map(|(field, value)| (field.to_owned(), value.as_bytes().to_vec())));
    }
    Ok(Said::Ok)
}

/// TRADE.ORDER, TRADE.POSITION and TRADE.SIGNAL.
pub fn entity(memory: &Memory, key: Key<'_>) -> Outcome<Said> {
    View::of(memory).open(key)?;
    Ok(match memory.hash(key) {
        Some(fields) => Said::map(fields.iter().map(|(name, value)| (name, Said::text(value)))),
        None => Said::Nil,
    })
}

/// TRADE.ORDERS and TRADE.POSITIONS.
pub fn listed(memory: &Memory, words: &[String], index: Key<'_>, key_of: impl Fn(&str) -> Key<'_>) -> Outcome<Said> {
    View::of(memory).open(index)?;
    let members = memory.members(index);
    let shown = window(&Options::of(words), &members).iter().map(|id| entity(memory, key_of(id)));
    Ok(Said::List(shown.filter(|said| *said != Ok(Said::Nil)).collect::<Outcome<_>>()?))
}

/// The part of a list that OFFSET and COUNT name.
pub fn window<'l, T>(options: &Options<'_>, list: &'l [T]) -> &'l [T] {
    let number = |name: &str, default: u64| options.number(name).unwrap_or(default) as usize;
    let begin = number("OFFSET", 0).min(list.len());
    let end = begin.saturating_add(number("COUNT", COUNT_DEFAULT)).min(list.len());
    &list[begin..end]
}

/// TRADE.EVENTS and EVENT.RANGE.
pub fn range(memory: &Memory, words: &[String]) -> Outcome<Said> {
    let (scope, options) = (memory.scope(), Options::of(&words[2..]));
    let time = |name: &str| options.value(name).map(|text| text.parse().expect("a time"));
    let mut filter = Filter {
        order: options.value("ORDER"),
        correlation_id: options.bytes("CORRELATION"),
        source: options.bytes("SOURCE"),
        since: time("SINCE"),
        until: time("UNTIL"),
        ..Filter::default()
    };
    options.values("TYPE").try_for_each(|name| filter.add_type(scope, name.as_bytes()))?;
    let direction = if options.has("REV") { Direction::Backward } else { Direction::Forward };
    let span = parse_span(words[0].as_bytes(), words[1].as_bytes(), direction)?;
    let taken = options.number("COUNT").unwrap_or(COUNT_DEFAULT);
    let budget = Budget { entries: SCAN_LIMIT, bytes: 8 << 20, taken, taken_bytes: 4 << 20 };
    let view = View::of(memory);
    let mut entries = Vec::new();
    let next = query::read(&view, view.open(Key::Log)?, span, &filter, budget, &mut |logged, entry| {
        let fields = Said::map(entry.iter().map(|(name, value)| (name, Said::text(value))));
        entries.push(Said::list([Said::id(logged.id), fields]));
        Some(query::wire_len(entry))
    });
    Ok(Said::list([next.map_or(Said::text("0"), Said::id), Said::List(entries)]))
}

/// TRADE.STATS and EVENT.STATS, but for the bytes of the log.
pub fn stats(memory: &Memory) -> Outcome<Said> {
    let (view, scope) = (View::of(memory), memory.scope());
    let log = view.open(Key::Log)?;
    let journal = Journal::open(&view, scope, log, || view.open(Key::Last), memory.journal.as_deref(), None)?;
    let types: BTreeMap<String, _> = match scope {
        Scope::Stream(_) => stream::tails(&view, &journal)?,
        Scope::Symbol(_) => journal.types().into_iter().map(|(name, tail)| (name.to_owned(), tail)).collect(),
    };
    let mut first = Said::Nil;
    view.entries(log, Span::after(StreamId::ZERO), &mut |id, _| {
        first = Said::id(id);
        Flow::Stop
    });
    let last = match journal.log_id {
        StreamId::ZERO => Said::Nil,
        id => Said::id(id),
    };
    let dead_letters = view.len(view.open(Key::Dead)?);
    let mut fields = vec![
        ("events", Said::count(types.values().map(|tail| tail.count).sum())),
        ("events_by_type", Said::map(types.iter().map(|(name, tail)| (name, Said::count(tail.count))))),
        ("log_length", Said::count(view.len(log))),
        ("first_id", first),
        ("last_id", last),
        ("groups", Said::list([])),
        ("dead_letters", Said::count(dead_letters)),
    ];
    if let Scope::Symbol(_) = scope {
        let (realized, reported) = journal.profits();
        fields.extend([
            ("open_orders", Said::count(view.len(view.open(Key::OpenOrders)?))),
            ("active_positions", Said::count(view.len(view.open(Key::ActivePositions)?))),
            ("realized_pnl", Said::text(realized.to_string())),
            ("reported_pnl", Said::text(reported.to_string())),
        ]);
    }
    Ok(Said::map(fields))
}

/// TRADE.REBUILD with DRYRUN, in one slice.
pub fn rebuild(memory: &mut Memory, settings: &Settings, now: i64) -> Outcome<Said> {
    let symbol = memory.scope().name().to_owned();
    let mut rebuild = Rebuild::new(&symbol, Mode::DryRun);
    memory.rebuild(&mut rebuild, settings, now, usize::MAX)?;
    let progress = rebuild.progress();
    let counts = [
        ("read", progress.read),
        ("entities", progress.entities),
        ("differing", progress.differing),
        ("repaired", progress.repaired),
        ("skipped", progress.skipped),
    ];
    Ok(Said::map(counts.map(|(name, count)| (name, Said::count(count))).into_iter().chain([("next", Said::text("0"))])))
}
