//! Words as callers write them: the cursor over arguments, and every parser of an argument.
//!
//! The first line says what a command asks the cursor for, a letter for each step; the others are the arguments. Each of
//! them also goes to every parser. What is taken means the same when it is written back and read again.
#![no_main]

#[path = "../../src/args.rs"]
mod args;

use libfuzzer_sys::fuzz_target;
use tradebus_core::candle::Candle;
use tradebus_core::channel;
use tradebus_core::condition;
use tradebus_core::decimal::Decimal;
use tradebus_core::event::parse_time;
use tradebus_core::event_name::{fold_case, StreamType};
use tradebus_core::event_type::EventType;
use tradebus_core::forming::Tick;
use tradebus_core::instrument::check_setting;
use tradebus_core::key::{Key, Scope};
use tradebus_core::log::query::{parse_span, Filter};
use tradebus_core::log::replay::Prefix;
use tradebus_core::log::Labels;
use tradebus_core::market;
use tradebus_core::refusal::{quoted, Outcome};
use tradebus_core::settings::PubSub;
use tradebus_core::store::Direction;
use tradebus_core::stream_id::StreamId;
use tradebus_core::subscription::parse_action;
use tradebus_core::symbol::{parse_id, parse_name, parse_word};
use tradebus_core::time;
use tradebus_core::timeframe::Timeframe;
use tradebus_core::word::Word;
use tradebus_fuzz::{check_refusal, lines, START};

use args::{once, unknown_option, Args};

const ARGUMENTS_MAX: usize = 24;

fuzz_target!(|input: &[u8]| {
    let all: Vec<&[u8]> = lines(input, ARGUMENTS_MAX).collect();
    walk(&all);
    let arguments = &all[1..];
    for &argument in arguments {
        names(argument);
        numbers(argument);
        words(argument);
    }
    for pair in arguments.windows(2) {
        spans(pair[0], pair[1]);
        settings(pair[0], pair[1]);
    }
    for six in arguments.windows(6) {
        candles(six);
    }
});

/// The value of what is taken; what is refused is refused in words that can be shown.
fn taken<T>(outcome: Outcome<T>) -> Option<T> {
    outcome.map_err(|refusal| check_refusal(&refusal)).ok()
}

fn walk(all: &[&[u8]]) {
    let mut args = Args::of_command(all);
    assert_eq!(args.len(), all.len() - 1);
    let (mut cooldown, mut most, mut count) = (None, None, None);
    for &step in all[0] {
        let left = args.len();
        let most_taken = match step {
            b'n' => usize::from(args.next().is_some()),
            b'r' => taken(args.required("data")).map_or(0, |_| 1),
            b's' => taken(args.symbol()).map_or(1, |_| 1),
            b't' => taken(args.stream()).map_or(1, |_| 1),
            b'f' => taken(args.timeframe()).map_or(1, |_| 1),
            b'v' => taken(args.value_of("ID")).map_or(0, |_| 1),
            b'i' => {
                let number = taken(args.integer_of("COUNT", 1..=10_000));
                assert!(number.is_none_or(|number| (1..=10_000).contains(&number)));
                number.and_then(|number| taken(once(&mut count, "COUNT", number)));
                1
            }
            b'l' => {
                let Some(option) = args.next() else { continue };
                let limits = [("COOLDOWN", &mut cooldown), ("MAXTRIGGERS", &mut most)];
                if taken(args.limit(option, limits)) == Some(false) {
                    check_refusal(&unknown_option(option, "COOLDOWN and MAXTRIGGERS"));
                }
                2
            }
            _ => 0,
        };
        assert!(left - args.len() <= most_taken, "step {step} took {} of {left}", left - args.len());
    }
}

fn names(text: &[u8]) {
    if let Some(name) = taken(parse_name("the symbol", text)) {
        for scope in [Scope::Symbol(name), Scope::Stream(name)] {
            let key = Key::Order("1").name(scope);
            let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
            assert_eq!(tag, Some(name), "the hash tag of {key}");
            if let Some(prefix) = taken(Prefix::parse(text, scope)) {
                for pubsub in [PubSub::Classic, PubSub::Sharded] {
                    let channel = prefix.channel(pubsub, scope, "order.created").expect("a channel");
                    assert!(!channel::is_live(&channel), "a replay on {channel}");
                }
            }
        }
    }
    if let Some(event_type) = taken(EventType::parse(text)) {
        assert_eq!(EventType::parse(event_type.as_str().as_bytes()), Ok(event_type));
        counts_once(Scope::Symbol("S"), text);
    }
    let folded = fold_case(text);
    if let Some(name) = taken(StreamType::parse(&folded)) {
        assert_eq!(fold_case(name.as_str().as_bytes()), name.as_str().as_bytes());
        counts_once(Scope::Stream("T"), text);
    }
}

/// A type that a filter is given twice.
fn counts_once(scope: Scope<'_>, name: &[u8]) {
    let mut filter = Filter::default();
    for _ in 0..2 {
        assert_eq!(filter.add_type(scope, name), Ok(()));
        assert_eq!(filter.types.len(), 1);
    }
}

fn numbers(text: &[u8]) {
    if let Some(id) = StreamId::from_bytes(text) {
        assert_eq!(StreamId::from_bytes(id.to_string().as_bytes()), Some(id));
        assert!(id.successor().is_none_or(|next| next > id && next.predecessor() == Some(id)));
        assert!(id.predecessor().is_none_or(|before| before < id && before.successor() == Some(id)));
        assert!(id.next(START.unsigned_abs()).is_none_or(|next| next > id));
    }
    if let Some(at) = taken(parse_time("TIMESTAMP", text)) {
        assert!((0..=time::MAX).contains(&at));
        let mut written = String::new();
        time::push_rfc3339(at, &mut written);
        assert_eq!(time::parse(&written), Some(at));
    }
    let number = std::str::from_utf8(text).ok().and_then(|text| Decimal::parse(text).ok());
    if let Some(number) = number {
        let mut written = String::new();
        number.push_to(&mut written);
        assert!(written.len() < 100, "{written}");
        assert_eq!(Decimal::from_stored(written.as_bytes()), Some(number));
        assert_eq!(Decimal::from_stored(text), Some(number));
        assert_eq!(number.negated().negated(), number);
        assert_eq!(number.checked_sub(number), Some(Decimal::ZERO));
    }
    if let Some(number) = Decimal::from_stored(text) {
        let mut written = String::new();
        number.push_to(&mut written);
        assert_eq!(Decimal::from_stored(written.as_bytes()), Some(number));
    }
    if let Some(timeframe) = taken(Timeframe::parse(text)) {
        assert_eq!(Timeframe::parse(timeframe.as_str().as_bytes()), Ok(timeframe));
    }
}

fn words(text: &[u8]) {
    for parse in [parse_id, parse_word] {
        assert!(taken(parse("ID", text)).is_none_or(|id| id.bytes().all(|byte| byte.is_ascii_graphic())));
    }
    taken(market::parse_id(text));
    if let Some(action) = taken(parse_action(text)) {
        assert_eq!(parse_action(action.get().as_bytes()).map(|again| again.get()), Ok(action.get()));
    }
    if let Some(mode) = std::str::from_utf8(text).ok().and_then(condition::Mode::parse) {
        assert_eq!(Some(mode.as_str().as_bytes()), Some(text));
    }
    let labels = Labels { event_id: Some(text), timestamp: Some(text), source: Some(text), correlation_id: Some(text) };
    taken(labels.check());
    let shown = quoted(text);
    assert!(shown.len() < 300 && shown.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{shown}");
}

fn spans(start: &[u8], end: &[u8]) {
    let forward = taken(parse_span(start, end, Direction::Forward));
    let backward = taken(parse_span(end, start, Direction::Backward));
    let ends = |span: tradebus_core::store::Span| (span.lowest, span.highest);
    assert_eq!(forward.map(ends), backward.map(ends));
}

fn settings(field: &[u8], value: &[u8]) {
    if let Some((name, text)) = taken(check_setting(field, value)) {
        assert_eq!(check_setting(name.as_bytes(), text.as_bytes()), Ok((name, text)));
    }
    if let Some(tick) = taken(Tick::parse(field, value, None, START)) {
        assert_eq!(tick.at, START);
    }
    taken(Tick::parse(field, b"1", Some(value), START));
}

/// What is stored of a candle is read back as the same candle.
fn candles(arguments: &[&[u8]]) {
    let numbers = std::array::from_fn(|at| arguments[at + 1]);
    for &timeframe in [Timeframe::M1, Timeframe::W1].iter() {
        let Some(candle) = taken(Candle::parse(timeframe, arguments[0], numbers, time::MAX)) else { continue };
        assert!(timeframe.is_open(candle.open_time));
        let fields = candle.fields();
        let entry: Vec<_> = fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        let id = StreamId { ms: candle.open_time.unsigned_abs(), seq: 0 };
        assert_eq!(Candle::read(id, &entry), Ok(candle));
        let bar = candle.bar();
        assert!([bar.open, bar.high, bar.low, bar.close, bar.volume].into_iter().all(f64::is_finite));
        assert!(bar.low <= bar.open && bar.close <= bar.high);
    }
}
