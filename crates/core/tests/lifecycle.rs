//! Every state against every event, as tables: a row a state, a column an event, a cell what comes of it.

mod support;

use support::Desk;
use tradebus_core::key::Key;
use tradebus_core::settings::{Lifecycle, Settings};

/// How to bring an entity into the state that a row names.
type Setup = fn(&str) -> Vec<(&'static str, &'static str)>;

/// One kind of entity: its events are the columns, and the statuses in which it is in its index.
struct Kind<'k> {
    events: &'k [(&'static str, &'static str)],
    setup: Setup,
    index: Option<(Key<'k>, &'k [&'k str])>,
    instrument: &'k [(&'k str, &'k str)],
}

fn check(kind: &Kind<'_>, settings: Settings, table: &str) {
    let Kind { events, setup, index, instrument } = *kind;
    let mut rows = table.trim().lines().map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    let header = rows.next().expect("a header");
    assert_eq!(header.len(), events.len() + 1, "a column an event");
    for row in rows {
        assert_eq!(row.len(), header.len(), "{row:?}");
        for (column, expected) in row.iter().enumerate().skip(1) {
            let mut desk = Desk::with(settings);
            desk.settings.lifecycle = Lifecycle::Lenient;
            for (field, value) in instrument {
                desk.set_instrument(field, value);
            }
            for (event_type, data) in setup(row[0]) {
                desk.accept(event_type, data);
            }
            desk.settings = settings;
            let before = desk.memory.clone();
            let (event_type, data) = events[column - 1];
            let outcome = desk.outcome(event_type, data);
            assert_eq!(outcome, *expected, "{event_type} on {}", row[0]);
            if outcome.bytes().all(|b| b.is_ascii_uppercase()) {
                assert_eq!(desk.memory.keys, before.keys, "{event_type} on {} changed something", row[0]);
                assert_eq!(desk.memory.messages, before.messages);
                continue;
            }
            assert_eq!(desk.memory.messages.len(), before.messages.len() + 1);
            assert_eq!(desk.last_message().contains(r#""late":true"#), outcome.ends_with(" late"));
            if let Some((index, open)) = index {
                let status = outcome.trim_end_matches(" late");
                let is_in = desk.memory.members(index) == ["1"];
                assert_eq!(is_in, open.contains(&status), "index after {event_type} on {}", row[0]);
            }
        }
    }
}

const CREATED: (&str, &str) =
    ("order.created", r#"{"order_id":"1","volume":10,"price":5,"order_type":"LIMIT","side":"BUY"}"#);
const FILL_4: (&str, &str) = ("order.partially_filled", r#"{"order_id":"1","fill_volume":4,"fill_price":5}"#);
const FILLED: (&str, &str) = ("order.filled", r#"{"order_id":"1"}"#);
const CANCELLED: (&str, &str) = ("order.cancelled", r#"{"order_id":"1"}"#);
const REJECTED: (&str, &str) = ("order.rejected", r#"{"order_id":"1","reason":"margin"}"#);
const MODIFIED: (&str, &str) = ("order.modified", r#"{"order_id":"1","price":6}"#);

fn order(state: &str) -> Vec<(&'static str, &'static str)> {
    match state {
        "none" => vec![],
        "pending" => vec![CREATED],
        "partially_filled" => vec![CREATED, FILL_4],
        "filled" => vec![CREATED, FILLED],
        "cancelled" => vec![CREATED, CANCELLED],
        "cancelled in part" => vec![CREATED, FILL_4, CANCELLED],
        "rejected" => vec![CREATED, REJECTED],
        "shell, pending" => vec![MODIFIED],
        "shell, partially_filled" => vec![FILL_4],
        "shell, filled" => vec![FILLED],
        "shell, cancelled" => vec![CANCELLED],
        "shell, rejected" => vec![REJECTED],
        other => panic!("no such state: {other}"),
    }
}

const ORDER_EVENTS: [(&str, &str); 8] = [
    CREATED,
    FILL_4,
    ("order.partially_filled", r#"{"order_id":"1","fill_volume":10,"fill_id":"big","fill_price":5}"#),
    FILLED,
    ("order.filled", r#"{"order_id":"1","cum_qty":9}"#),
    CANCELLED,
    REJECTED,
    MODIFIED,
];

const ORDERS: Kind<'static> = Kind {
    events: &ORDER_EVENTS,
    setup: order,
    index: Some((Key::OpenOrders, &["pending", "partially_filled"])),
    instrument: &[],
};

#[test]
fn orders() {
    let table = "
        state                   | created          | fill of 4              | proven fill of 10     | filled      | 9 of 10 filled | cancelled      | rejected      | modified
        none                    | pending          | partially_filled       | partially_filled      | filled      | filled         | cancelled      | rejected      | pending
        pending                 | INVALIDSTATE     | partially_filled       | filled                | filled      | INVALIDSTATE   | cancelled      | rejected      | pending
        partially_filled        | INVALIDSTATE     | partially_filled       | filled late           | filled      | INVALIDSTATE   | cancelled      | INVALIDSTATE  | partially_filled
        filled                  | INVALIDSTATE     | filled late            | filled late           | filled late | INVALIDSTATE   | TOOLATE        | INVALIDSTATE  | TOOLATE
        cancelled               | INVALIDSTATE     | cancelled late         | filled late           | filled late | INVALIDSTATE   | cancelled late | INVALIDSTATE  | TOOLATE
        cancelled in part       | INVALIDSTATE     | cancelled late         | filled late           | filled late | INVALIDSTATE   | cancelled late | INVALIDSTATE  | TOOLATE
        rejected                | INVALIDSTATE     | partially_filled late  | filled late           | filled late | INVALIDSTATE   | INVALIDSTATE   | rejected late | TOOLATE
        shell, pending          | pending          | partially_filled       | partially_filled      | filled      | filled         | cancelled      | rejected      | pending
        shell, partially_filled | partially_filled | partially_filled       | partially_filled      | filled      | filled         | cancelled      | INVALIDSTATE  | partially_filled
        shell, filled           | filled           | filled late            | filled late           | filled late | filled late    | TOOLATE        | INVALIDSTATE  | TOOLATE
        shell, cancelled        | cancelled        | cancelled late         | cancelled late        | filled late | filled late    | cancelled late | INVALIDSTATE  | TOOLATE
        shell, rejected         | rejected         | partially_filled late  | partially_filled late | filled late | filled late    | INVALIDSTATE   | rejected late | TOOLATE
    ";
    check(&ORDERS, Settings::default(), table);
}

#[test]
fn orders_under_strict() {
    let table = "
        state   | created      | fill of 4        | proven fill of 10 | filled   | 9 of 10 filled | cancelled | rejected | modified
        none    | pending      | NOTFOUND         | NOTFOUND          | NOTFOUND | NOTFOUND       | NOTFOUND  | NOTFOUND | NOTFOUND
        pending | INVALIDSTATE | partially_filled | filled            | filled   | INVALIDSTATE   | cancelled | rejected | pending
    ";
    let settings = Settings { lifecycle: Lifecycle::Strict, ..Settings::default() };
    check(&ORDERS, settings, table);
}

const OPENED: (&str, &str) =
    ("position.opened", r#"{"position_id":"1","direction":"LONG","entry_price":100,"volume":10}"#);
const CHANGED: (&str, &str) = ("position.modified", r#"{"position_id":"1","sl":90}"#);
const SLICE_4: (&str, &str) =
    ("position.partially_closed", r#"{"position_id":"1","closed_volume":4,"exit_price":110}"#);
const CLOSED: (&str, &str) = ("position.closed", r#"{"position_id":"1","exit_price":120}"#);
const STOPPED: (&str, &str) = ("stop_loss.hit", r#"{"position_id":"1","price":90}"#);
const TAKEN: (&str, &str) = ("take_profit.hit", r#"{"position_id":"1","price":90}"#);

const POSITION_EVENTS: [(&str, &str); 8] = [
    OPENED,
    CHANGED,
    SLICE_4,
    ("position.partially_closed", r#"{"position_id":"1","closed_volume":11,"exit_price":110}"#),
    ("position.partially_closed", r#"{"position_id":"1","closed_volume":11,"exit_price":110,"fill_id":"big"}"#),
    CLOSED,
    STOPPED,
    TAKEN,
];

const POSITIONS: Kind<'static> = Kind {
    events: &POSITION_EVENTS,
    setup: position,
    index: Some((Key::ActivePositions, &["active"])),
    instrument: &[],
};

fn position(state: &str) -> Vec<(&'static str, &'static str)> {
    match state {
        "none" => vec![],
        "active" => vec![OPENED],
        "active, 6 left" => vec![OPENED, SLICE_4],
        "closed" => vec![OPENED, CLOSED],
        "shell, active" => vec![SLICE_4],
        "shell, closed" => vec![CLOSED],
        other => panic!("no such state: {other}"),
    }
}

#[test]
fn positions_hedging() {
    let table = "
        state          | opened       | modified | slice of 4 | slice of 11 | proven slice of 11 | closed  | stop loss   | take profit
        none           | active       | active   | active     | active      | active             | closed  | active      | active
        active         | INVALIDSTATE | active   | active     | OVERFILL    | closed late        | closed  | active      | active
        active, 6 left | INVALIDSTATE | active   | active     | OVERFILL    | closed late        | closed  | active      | active
        closed         | INVALIDSTATE | TOOLATE  | TOOLATE    | TOOLATE     | TOOLATE            | TOOLATE | closed late | closed late
        shell, active  | active       | active   | active     | active      | active             | closed  | active      | active
        shell, closed  | closed       | TOOLATE  | TOOLATE    | TOOLATE     | TOOLATE            | TOOLATE | closed late | closed late
    ";
    check(&POSITIONS, Settings::default(), table);
}

#[test]
fn positions_netting() {
    let table = "
        state          | opened       | modified | slice of 4 | slice of 11 | proven slice of 11 | closed  | stop loss   | take profit
        none           | active       | active   | active     | active      | active             | closed  | active      | active
        active         | INVALIDSTATE | active   | active     | active      | active             | closed  | active      | active
        active, 6 left | INVALIDSTATE | active   | active     | active      | active             | closed  | active      | active
        closed         | active       | TOOLATE  | TOOLATE    | TOOLATE     | TOOLATE            | TOOLATE | closed late | closed late
        shell, active  | active       | active   | active     | active      | active             | closed  | active      | active
        shell, closed  | closed       | TOOLATE  | TOOLATE    | TOOLATE     | TOOLATE            | TOOLATE | closed late | closed late
    ";
    let kind = Kind { instrument: &[("position_mode", "netting")], ..POSITIONS };
    check(&kind, Settings::default(), table);
}

const GENERATED: (&str, &str) = ("signal.generated", r#"{"signal_id":"1","side":"BUY"}"#);
const VALIDATED: (&str, &str) = ("signal.validated", r#"{"signal_id":"1"}"#);
const REFUSED: (&str, &str) = ("signal.rejected", r#"{"signal_id":"1","reason":"weak"}"#);

fn signal(state: &str) -> Vec<(&'static str, &'static str)> {
    match state {
        "none" => vec![],
        "generated" => vec![GENERATED],
        "validated" => vec![GENERATED, VALIDATED],
        "rejected" => vec![GENERATED, REFUSED],
        "shell, validated" => vec![VALIDATED],
        "shell, rejected" => vec![REFUSED],
        other => panic!("no such state: {other}"),
    }
}

#[test]
fn signals() {
    let table = "
        state            | generated    | validated    | rejected
        none             | generated    | validated    | rejected
        generated        | INVALIDSTATE | validated    | rejected
        validated        | INVALIDSTATE | INVALIDSTATE | rejected
        rejected         | INVALIDSTATE | INVALIDSTATE | INVALIDSTATE
        shell, validated | validated    | INVALIDSTATE | rejected
        shell, rejected  | rejected     | INVALIDSTATE | INVALIDSTATE
    ";
    let kind = Kind { events: &[GENERATED, VALIDATED, REFUSED], setup: signal, index: None, instrument: &[] };
    check(&kind, Settings::default(), table);
}

#[test]
fn records_have_no_state() {
    let mut desk = Desk::new();
    assert_eq!(desk.outcome("trade.executed", r#"{"trade_id":"T1","entry":45000,"volume":0.5}"#), "-");
    assert_eq!(desk.outcome("trade.executed", r#"{"order_id":"1","side":"BUY","size":1,"price":2,"pnl":null}"#), "-");
    assert_eq!(desk.outcome("trade.failed", r#"{"reason":"timeout","order_id":"1"}"#), "-");
    assert_eq!(desk.outcome("trade.failed", r#"{"order_id":"1"}"#), "MISSING");
    assert_eq!(desk.outcome("risk.limit_breached", r#"{"limit":"drawdown","value":-5.2}"#), "-");
    assert_eq!(desk.memory.hash(Key::Order("1")), None, "a record makes no shell");
}

#[test]
fn off_judges_nothing_and_keeps_nothing() {
    let mut desk = Desk::with(Settings { lifecycle: Lifecycle::Off, ..Settings::default() });
    for (event_type, data) in [FILLED, FILLED, CREATED, ("order.created", "{}"), ("risk.limit_breached", "{}"), CLOSED]
    {
        assert_eq!(desk.outcome(event_type, data), "-");
    }
    let keys: Vec<_> = desk.memory.keys.keys().cloned().collect();
    assert_eq!(keys, ["trade:{XAUUSD}:events"]);
}
