//! Orders from their creation over two partial fills to the last one, on several symbols in turn.

use crate::cases::{command, Case, Command};

/// What trades, with a price in hundredths.
const SYMBOLS: [(&str, u64); 4] =
    [("XAUUSD", 265_040), ("EURUSD", 10_850), ("BTC/USDT", 9_640_010), ("BINANCE:LTCUSDT", 12_330)];

/// Events of an order.
const STEPS: usize = 4;
/// Orders of each symbol. Every 64 events of a symbol its newest ids are written down, which is so measured a whole number
/// of times: 16 orders are 64 events.
const WARM_UP_ORDERS: usize = 32;
const MEASURED_ORDERS: usize = 64;

/// Events of an MPUBLISH, and how many of these there are.
const BATCH: usize = 100;
const WARM_UP_BATCHES: usize = 8;
const MEASURED_BATCHES: usize = 24;

/// An event as a command has it.
struct Event {
    symbol: &'static str,
    event_type: &'static str,
    data: String,
}

/// TRADE.PUBLISH, the average over an order's life.
pub fn publish() -> Case {
    publish_of("publish", |_, event| command(&["TRADE.PUBLISH", event.symbol, event.event_type, &event.data]))
}

/// TRADE.PUBLISH with ID.
pub fn publish_with_id() -> Case {
    publish_of("publish-id", |number, event| {
        let id = format!("evt-{number:08}");
        command(&["TRADE.PUBLISH", event.symbol, event.event_type, &event.data, "ID", &id])
    })
}

fn publish_of(name: &'static str, command: impl Fn(usize, &Event) -> Command) -> Case {
    let events = turns(WARM_UP_ORDERS + MEASURED_ORDERS);
    let mut commands: Vec<Command> = events.iter().enumerate().map(|(number, event)| command(number, event)).collect();
    let measured = commands.split_off(WARM_UP_ORDERS * STEPS * SYMBOLS.len());
    Case { name, settings: vec![], warm_up: commands, measured, expected: expected(events.len()) }
}

/// TRADE.MPUBLISH of a hundred events of a symbol.
pub fn mpublish() -> Case {
    let batches = WARM_UP_BATCHES + MEASURED_BATCHES;
    let mut commands = Vec::new();
    for batch in 0..batches {
        let orders = batch / SYMBOLS.len() * (BATCH / STEPS)..;
        let (symbol, price) = SYMBOLS[batch % SYMBOLS.len()];
        let mut words = command(&["TRADE.MPUBLISH", symbol, &BATCH.to_string()]);
        for order in orders.take(BATCH / STEPS) {
            for step in 0..STEPS {
                let event = event(symbol, price, order, step);
                words.extend([event.event_type.to_owned(), event.data]);
            }
        }
        commands.push(words);
    }
    let measured = commands.split_off(WARM_UP_BATCHES);
    Case { name: "mpublish", settings: vec![], warm_up: commands, measured, expected: expected(batches * BATCH) }
}

/// A quarter each: created, the last fill; two of them: partial fills.
fn expected(events: usize) -> Vec<(&'static str, usize)> {
    let orders = events / STEPS;
    vec![
        ("events_total", events),
        ("events_order_created", orders),
        ("events_order_partially_filled", 2 * orders),
        ("events_order_filled", orders),
    ]
}

/// So many orders of each symbol, one event of each symbol after another.
fn turns(orders: usize) -> Vec<Event> {
    let mut events = Vec::new();
    for order in 0..orders {
        for step in 0..STEPS {
            events.extend(SYMBOLS.iter().map(|&(symbol, price)| event(symbol, price, order, step)));
        }
    }
    events
}

fn event(symbol: &'static str, price: u64, order: usize, step: usize) -> Event {
    let id = format!("ord-{order:08}");
    let price = price + (order as u64 * 37) % 101;
    let (limit, paid) = (hundredths(price), hundredths(price - step as u64));
    let time = format!("2025-01-01T{:02}:{:02}:{:02}.{step:03}Z", order / 3_600 % 24, order / 60 % 60, order % 60);
    let fill = |volume: &str, remaining: &str| {
        format!(
            r#"{{"order_id":"{id}","fill_id":"fill-{order:08}-{step}","fill_volume":"{volume}","fill_price":"{paid}","remaining_volume":"{remaining}","fee":"0.125","fee_currency":"USD","liquidity":"maker","venue":"primary","timestamp":"{time}"}}"#
        )
    };
    let (event_type, data) = match step {
        0 => (
            "order.created",
            format!(
                r#"{{"order_id":"{id}","client_order_id":"grid-7-{order:08}","side":"BUY","order_type":"LIMIT","volume":"1.25","price":"{limit}","time_in_force":"GTC","strategy":"grid-7","account":"main-01","timestamp":"{time}"}}"#
            ),
        ),
        1 => ("order.partially_filled", fill("0.50", "0.75")),
        2 => ("order.partially_filled", fill("0.25", "0.50")),
        _ => ("order.filled", fill("0.50", "0")),
    };
    Event { symbol, event_type, data }
}

/// Hundredths as a venue writes them: always two places.
pub fn hundredths(number: u64) -> String {
    format!("{}.{:02}", number / 100, number % 100)
}
