//! Refused means: nothing written, nothing published, nothing replicated. The same holds for repeats.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::support::{Client, Options, Server, Subscriber};

/// A server that would be seen writing: a replica listens, and gets no pings.
struct Watched {
    server: Server,
    client: Client,
    messages: Subscriber,
    _replica: Server,
}

/// An event; `SYM` in rows is a symbol of the row's own, so that rows do not see each other.
#[derive(Clone, Copy)]
struct Event {
    event_type: &'static str,
    data: &'static str,
    id: Option<&'static str>,
}

const fn event(event_type: &'static str, data: &'static str) -> Event {
    Event { event_type, data, id: None }
}

const fn with_id(event_type: &'static str, data: &'static str, id: &'static str) -> Event {
    Event { event_type, data, id: Some(id) }
}

impl Event {
    fn publish(&self) -> String {
        let Event { event_type, data, id } = self;
        let id = id.map_or(String::new(), |id| format!(" ID {id}"));
        format!("TRADE.PUBLISH SYM {event_type} '{data}'{id}")
    }

    /// In the middle of a batch, the other events of which are beyond reproach and would touch keys of every kind.
    fn publish_in_batch(&self) -> String {
        let Event { event_type, data, id } = self;
        let ids = id.map_or(String::new(), |id| format!(" IDS first {id} last"));
        format!(
            "TRADE.MPUBLISH SYM 3 order.filled '{{\"order_id\":\"batch\",\"volume\":1,\"fill_id\":\"1\"}}' \
             {event_type} '{data}' position.opened \
             '{{\"position_id\":\"batch\",\"direction\":\"BUY\",\"entry_price\":1,\"volume\":1}}'{ids}"
        )
    }
}

impl Watched {
    fn start() -> Watched {
        let server = Server::start(Options::new().config("repl-ping-replica-period 3600"));
        let replica = Server::start(Options::plain().replica_of(&server));
        Watched { client: server.client(), messages: server.subscribe("PSUBSCRIBE *"), _replica: replica, server }
    }

    /// Runs commands on a symbol that no test has used; gives the symbol.
    fn set_up(&mut self, setup: &[&str]) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let symbol = format!("SYM{}", NEXT.fetch_add(1, Ordering::Relaxed));
        for line in setup {
            self.client.run(line.replace("SYM", &symbol));
        }
        symbol
    }

    /// What `run` returns, and that it left no trace: not in the data, nor for subscribers or replicas.
    #[track_caller]
    fn without_a_trace<T>(&mut self, what: &str, run: impl FnOnce(&mut Client) -> T) -> T {
        self.messages.until_now();
        let traces = |server: &Server| (server.digest(), server.info("replication", "master_repl_offset"));
        let before = traces(&self.server);
        let result = run(&mut self.client);
        assert_eq!(traces(&self.server), before, "{what}");
        self.messages.assert_silent();
        result
    }

    #[track_caller]
    fn check(&mut self, command: &str, code: &str, says: &str) {
        let error = self.without_a_trace(command, |client| client.error(command));
        assert!(error.starts_with(&format!("{code} ")), "{command}: {error}");
        assert!(error.contains(says), "{command}: {error}");
    }

    /// The event is refused, alone and in a batch, which then is refused as a whole and says which it was.
    #[track_caller]
    fn check_event(&mut self, symbol: &str, event: &Event, code: &str, says: &str) {
        let says = says.replace("SYM", symbol);
        self.check(&event.publish().replace("SYM", symbol), code, &says);
        let in_batch = event.publish_in_batch().replace("SYM", symbol);
        self.check(&in_batch, code, &says);
        self.check(&in_batch, code, "event 2: ");
    }
}

/// One entity of each kind, with fills and slices, a limit, settings and an event that has an id.
const STATE: &[&str] = &[
    "TRADE.INSTRUMENT SYM SET contract_size 10",
    r#"TRADE.PUBLISH SYM order.created '{"order_id":"o","volume":2}' ID e0"#,
    r#"TRADE.PUBLISH SYM order.partially_filled '{"order_id":"o","fill_volume":1,"fill_price":5,"fill_id":"f1"}'"#,
    r#"TRADE.PUBLISH SYM order.rejected '{"order_id":"rejected","reason":"r"}'"#,
    r#"TRADE.PUBLISH SYM order.cancelled '{"order_id":"cancelled"}'"#,
    r#"TRADE.PUBLISH SYM order.filled '{"order_id":"filled","volume":1,"price":1}'"#,
    r#"TRADE.PUBLISH SYM position.opened '{"position_id":"p","direction":"LONG","entry_price":1,"volume":3}'"#,
    r#"TRADE.PUBLISH SYM position.partially_closed '{"position_id":"p","closed_volume":1,"exit_price":2,"fill_id":"s1"}'"#,
    r#"TRADE.PUBLISH SYM position.closed '{"position_id":"closed","exit_price":1}'"#,
    r#"TRADE.PUBLISH SYM signal.generated '{"signal_id":"g"}'"#,
    r#"TRADE.PUBLISH SYM signal.rejected '{"signal_id":"rejected","reason":"r"}'"#,
    r#"TRADE.PUBLISH SYM risk.limit_breached '{"limit":"dd","value":1}'"#,
];

#[test]
fn an_event_is_refused_without_a_trace() {
    let cases = [
        (event("order.canceled", "{}"), "BADEVENT", "order.cancelled"),
        (event("order.created", r#"{"order_id":"1","volume":NaN}"#), "BADJSON", "byte 25"),
        (event("trade.executed", r#"{"a":1,"a":1}"#), "BADJSON", "byte"),
        (event("trade.executed", "[]"), "BADJSON", "byte 0"),
        (event("order.created", r#"{"order_id":"1"}"#), "MISSING", "volume"),
        (event("order.rejected", r#"{"order_id":"1"}"#), "MISSING", "reason"),
        (event("signal.validated", "{}"), "MISSING", "signal_id"),
        (event("order.created", r#"{"order_id":"1","volume":1e18}"#), "BADFIELD", "volume"),
        (event("order.created", r#"{"order_id":1.5,"volume":1}"#), "BADFIELD", "order_id"),
        (event("position.modified", r#"{"position_id":"p","volume":1}"#), "BADFIELD", "volume"),
        (with_id("order.created", r#"{"order_id":"o","volume":3}"#, "e0"), "IDCONFLICT", "e0"),
        (
            event("order.partially_filled", r#"{"order_id":"o","fill_volume":2,"fill_price":5,"fill_id":"f1"}"#),
            "IDCONFLICT",
            "f1",
        ),
        (event("order.created", r#"{"order_id":"o","volume":2}"#), "INVALIDSTATE", "partially_filled"),
        (event("order.rejected", r#"{"order_id":"o","reason":"r"}"#), "INVALIDSTATE", "partially_filled"),
        (event("order.filled", r#"{"order_id":"o","cum_qty":1.5}"#), "INVALIDSTATE", "1.5"),
        (
            event("position.opened", r#"{"position_id":"p","direction":"BUY","entry_price":1,"volume":1}"#),
            "INVALIDSTATE",
            "active",
        ),
        (event("position.closed", r#"{"position_id":"p","exit_price":1,"volume":1}"#), "INVALIDSTATE", "2 is open"),
        (event("signal.validated", r#"{"signal_id":"rejected"}"#), "INVALIDSTATE", "rejected"),
        (event("order.cancelled", r#"{"order_id":"filled"}"#), "TOOLATE", "filled"),
        (event("order.modified", r#"{"order_id":"cancelled","price":1}"#), "TOOLATE", "cancelled"),
        (event("position.closed", r#"{"position_id":"closed","exit_price":1}"#), "TOOLATE", "closed"),
        (event("order.partially_filled", r#"{"order_id":"o","fill_volume":1.5}"#), "OVERFILL", "0.5"),
        (event("position.partially_closed", r#"{"position_id":"p","volume":2.5,"exit_price":1}"#), "OVERFILL", "0.5"),
    ];
    let mut watched = Watched::start();
    let symbol = watched.set_up(STATE);
    for (event, code, says) in &cases {
        watched.check_event(&symbol, event, code, says);
    }
    watched.client.run("CONFIG SET tradebus.lifecycle strict");
    let unknown = event("order.modified", r#"{"order_id":"unknown","price":1}"#);
    // A batch is begun by its own shell, which strict refuses first.
    watched.check(&unknown.publish().replace("SYM", &symbol), "NOTFOUND", "unknown");
    watched.check(&unknown.publish_in_batch().replace("SYM", &symbol), "NOTFOUND", "event 1: ");
}

#[test]
fn a_command_is_refused_without_a_trace() {
    let too_big = format!("TRADE.PUBLISH SYM trade.executed '{{\"a\":\"{}\"}}'", "x".repeat(65_536));
    let too_many = format!("TRADE.MPUBLISH SYM 1001 {}", "trade.executed {} ".repeat(1_001));
    let too_long = format!("TRADE.MPUBLISH SYM 20 {}", format!("trade.executed '{:60000}' ", "{}").repeat(20));
    let cases = [
        ("TRADE.PUBLISH 'a b' trade.executed {}", "BADSYMBOL", "space at offset 1"),
        ("TRADE.PUBLISH '' trade.executed {}", "BADSYMBOL", ""),
        ("TRADE.MPUBLISH a{b} 1 trade.executed {}", "BADSYMBOL", "offset 1"),
        (&too_big, "TOOBIG", "max-event-size"),
        (&too_many, "TOOBIG", "1000"),
        (&too_long, "TOOBIG", "1048576"),
        (r#"TRADE.PUBLISH SYM order.modified '{"order_id":"o","price":1}' EXPECT 7"#, "VERSIONCONFLICT", "7"),
        (r#"TRADE.PUBLISH SYM order.created '{"order_id":"new","volume":1}' EXPECT 1"#, "VERSIONCONFLICT", "0"),
        ("TRADE.PUBLISH SYM trade.executed {} EXPECT 1", "ERR", "EXPECT"),
        ("TRADE.PUBLISH SYM trade.executed {} TIMESTAMP soon", "BADFIELD", "TIMESTAMP"),
        ("TRADE.PUBLISH SYM trade.executed {} ID 'a b'", "BADFIELD", "ID"),
        ("TRADE.PUBLISH SYM trade.executed {} LOUD", "ERR", "LOUD"),
        ("TRADE.PUBLISH SYM trade.executed {} FULL FULL", "ERR", "FULL"),
        ("TRADE.PUBLISH SYM trade.executed", "ERR", "number of arguments"),
        ("TRADE.MPUBLISH SYM 2 trade.executed {}", "ERR", "2"),
        ("TRADE.MPUBLISH SYM 2 trade.executed {} trade.executed {} IDS a", "ERR", "IDS"),
        ("TRADE.MPUBLISH SYM 2 trade.executed {} trade.executed '{}x' IDS a b", "BADJSON", "event 2: "),
        (r#"TRADE.MPUBLISH SYM 2 trade.executed {} trade.executed '{"a":1}' IDS a a"#, "IDCONFLICT", "event 2: "),
        ("TRADE.INSTRUMENT SYM SET contract_size 0", "BADFIELD", "contract_size"),
        ("TRADE.INSTRUMENT SYM SET contract_size 1 colour red", "BADFIELD", "colour"),
    ];
    let mut watched = Watched::start();
    let symbol = watched.set_up(STATE);
    for (command, code, says) in cases {
        watched.check(&command.replace("SYM", &symbol), code, says);
    }
}

/// Every key that a command touches, and the events that touch it, some as the last thing that they do.
#[test]
fn a_key_of_another_type_is_refused_without_a_trace() {
    const MODIFIED: Event = event("order.modified", r#"{"order_id":"o","price":1}"#);
    const FILLED: Event = event("order.filled", r#"{"order_id":"o","fill_id":"f2"}"#);
    const CANCELLED: Event = event("order.cancelled", r#"{"order_id":"o"}"#);
    const REOPENED: Event = event("order.partially_filled", r#"{"order_id":"rejected","fill_volume":1}"#);
    const FAILED: Event = event("trade.failed", r#"{"order_id":"o","reason":"r"}"#);
    const OPENED: Event =
        event("position.opened", r#"{"position_id":"q","direction":"BUY","entry_price":1,"volume":1}"#);
    const SLICED: Event =
        event("position.partially_closed", r#"{"position_id":"p","closed_volume":1,"exit_price":2,"fill_id":"s2"}"#);
    const CLOSED: Event = event("position.closed", r#"{"position_id":"p","exit_price":2,"pnl":1}"#);
    const HIT: Event = event("stop_loss.hit", r#"{"position_id":"p","price":1}"#);
    const VALIDATED: Event = event("signal.validated", r#"{"signal_id":"g"}"#);
    const BREACHED: Event = event("risk.limit_breached", r#"{"limit":"dd","value":1}"#);
    const RECORD: Event = event("trade.executed", "{}");
    const REPEAT: Event = with_id("order.created", r#"{"order_id":"o","volume":2}"#, "e0");
    const IDENTIFIED: Event = with_id("trade.executed", "{}", "e1");
    let cases: [(&str, &[Event]); 13] = [
        ("events", &[RECORD, MODIFIED, REPEAT]),
        ("order:o", &[MODIFIED, FILLED, CANCELLED, FAILED]),
        ("position:p", &[SLICED, CLOSED, HIT]),
        ("position:q", &[OPENED]),
        ("signal:g", &[VALIDATED]),
        ("fills:o", &[FILLED, CANCELLED]),
        ("slices:p", &[SLICED, CLOSED]),
        ("orders:open", &[FILLED, CANCELLED, REOPENED]),
        ("positions:active", &[OPENED, CLOSED]),
        ("last", &[SLICED, CLOSED]),
        ("risk", &[BREACHED]),
        ("instrument", &[OPENED]),
        ("seen:0", &[REPEAT, IDENTIFIED]),
    ];
    let mut watched = Watched::start();
    for (key, events) in cases {
        let (remove, put) = (format!("DEL trade:{{SYM}}:{key}"), format!("SET trade:{{SYM}}:{key} foreign"));
        let symbol = watched.set_up(&[STATE, &[&remove, &put]].concat());
        for event in events {
            // The other events of a batch may touch the key as well, so its position is the text's to say.
            watched.check(&event.publish().replace("SYM", &symbol), "WRONGTYPE", &format!("trade:{{{symbol}}}:{key}"));
            watched.check(&event.publish_in_batch().replace("SYM", &symbol), "WRONGTYPE", &format!("}}:{key}"));
        }
    }
    // Reads, and what has no event.
    for (key, command) in [
        ("order:o", "TRADE.ORDER SYM o"),
        ("order:o", "TRADE.ORDERS SYM"),
        ("orders:open", "TRADE.ORDERS SYM"),
        ("position:p", "TRADE.POSITION SYM p"),
        ("positions:active", "TRADE.POSITIONS SYM COUNT 1"),
        ("signal:g", "TRADE.SIGNAL SYM g"),
        ("instrument", "TRADE.INSTRUMENT SYM"),
        ("instrument", "TRADE.INSTRUMENT SYM SET contract_size 2"),
    ] {
        let put = format!("SET trade:{{SYM}}:{key} foreign");
        let symbol = watched.set_up(&[STATE, &[&put]].concat());
        watched.check(&command.replace("SYM", &symbol), "WRONGTYPE", key);
    }
    // The summary is written every 64 entries: the last key of a command, in the last event of its batch.
    let symbol = watched.set_up(&["TRADE.PUBLISH SYM trade.executed {}", "SET trade:{SYM}:last foreign"]);
    let batch = format!("TRADE.MPUBLISH {symbol} 64 {}", "trade.executed {} ".repeat(64));
    watched.check(&batch, "WRONGTYPE", ":last");
}

#[test]
fn a_value_that_is_not_ours_is_refused_without_a_trace() {
    const MODIFIED: Event = event("order.modified", r#"{"order_id":"o","price":1}"#);
    const REOPENED: Event = event("order.partially_filled", r#"{"order_id":"rejected","fill_volume":1}"#);
    const KNOWN_FILL: Event =
        event("order.partially_filled", r#"{"order_id":"o","fill_volume":1,"fill_price":5,"fill_id":"f1"}"#);
    const GROWN: Event = event("position.modified", r#"{"position_id":"p","added_volume":1,"price":1}"#);
    const KNOWN_SLICE: Event =
        event("position.partially_closed", r#"{"position_id":"p","closed_volume":1,"exit_price":2,"fill_id":"s1"}"#);
    const OPENED: Event =
        event("position.opened", r#"{"position_id":"q","direction":"BUY","entry_price":1,"volume":1}"#);
    const VALIDATED: Event = event("signal.validated", r#"{"signal_id":"g"}"#);
    const BREACHED: Event = event("risk.limit_breached", r#"{"limit":"dd","value":1}"#);
    const REPEAT: Event = with_id("order.created", r#"{"order_id":"o","volume":2}"#, "e0");
    let cases = [
        ("order:o", &["status", "version", "volume", "filled_volume", "filled_value", "fill_reported"][..], MODIFIED),
        ("order:rejected", &["created_at"], REOPENED),
        ("fills:o", &["f1"], KNOWN_FILL),
        (
            "position:p",
            &["status", "version", "volume", "entry_price", "direction", "pending", "cycle", "contract_size"],
            GROWN,
        ),
        ("slices:p", &["s1"], KNOWN_SLICE),
        ("signal:g", &["status", "version"], VALIDATED),
        ("instrument", &["contract_size", "inverse", "position_mode"], OPENED),
        ("risk", &["dd"], BREACHED),
        ("seen:0", &["e0"], REPEAT),
    ];
    let mut watched = Watched::start();
    for (key, fields, event) in cases {
        for field in fields {
            let put = format!("HSET trade:{{SYM}}:{key} {field} junk");
            let symbol = watched.set_up(&[STATE, &[&put]].concat());
            watched.check(&event.publish().replace("SYM", &symbol), "CORRUPT", field);
            watched.check(&event.publish_in_batch().replace("SYM", &symbol), "CORRUPT", field);
        }
    }
    // The summary is read when nobody remembers the symbol.
    for field in [":log_id", ":realized_pnl", ":reported_pnl", ":seen", "order.created"] {
        let put = format!("HSET trade:{{SYM}}:last :log_id 1-1 {field} junk");
        let symbol = watched.set_up(&[&put]);
        watched.check_event_alone(&symbol, "CORRUPT", field);
    }
    for (put, says) in [
        ("XADD trade:{SYM}:events 1-1 type nonsense data {} ts 1", "1-1"),
        ("XADD trade:{SYM}:events 1-1 no fields", "1-1"),
        (
            "XADD trade:{SYM}:events 18446744073709551615-18446744073709551615 type trade.executed data {} ts 1",
            "last id",
        ),
    ] {
        let symbol = watched.set_up(&[put]);
        watched.check_event_alone(&symbol, "CORRUPT", says);
    }
}

impl Watched {
    #[track_caller]
    fn check_event_alone(&mut self, symbol: &str, code: &str, says: &str) {
        self.check(&format!("TRADE.PUBLISH {symbol} trade.executed {{}}"), code, says);
    }
}

#[test]
fn a_full_server_refuses_without_a_trace() {
    let mut watched = Watched::start();
    let symbol = watched.set_up(STATE);
    watched.client.run("CONFIG SET maxmemory 1");
    for command in [
        "TRADE.PUBLISH SYM trade.executed {}",
        "TRADE.MPUBLISH SYM 1 trade.executed {}",
        "TRADE.INSTRUMENT SYM SET contract_size 2",
    ] {
        watched.check(&command.replace("SYM", &symbol), "OOM", "maxmemory");
    }
    assert_eq!(watched.client.map(format!("TRADE.ORDER {symbol} o"))["status"], "partially_filled", "reads go on");
    watched.client.run("CONFIG SET maxmemory 0");
    watched.client.run(format!("TRADE.PUBLISH {symbol} trade.executed {{}}"));
}

/// A repeat is accepted, with the first id, and leaves no trace either.
#[test]
fn a_repeat_changes_nothing() {
    let cases = [
        // White space and the order of members are not content.
        (with_id("order.created", r#"{ "volume":2, "order_id":"o" }"#, "e0"), "order.created"),
        (
            event("order.partially_filled", r#"{"order_id":"o","fill_volume":"1.0","fill_price":5.00,"fill_id":"f1"}"#),
            "order.partially_filled",
        ),
        (
            event("position.partially_closed", r#"{"position_id":"p","volume":1,"exit_price":2,"fill_id":"s1"}"#),
            "position.partially_closed",
        ),
    ];
    let mut watched = Watched::start();
    let symbol = watched.set_up(STATE);
    for (event, event_type) in cases {
        let log = watched.client.text(format!("XRANGE trade:{{{symbol}}}:events - +"));
        let entry = log
            .split("[[")
            .flat_map(|log| log.split("], [\""))
            .find(|entry| entry.contains(&format!("\"type\", \"{event_type}\"")));
        let first = entry.and_then(|entry| entry.split('"').find(|word| word.contains('-'))).expect("an entry");
        let publish = event.publish().replace("SYM", &symbol);
        let full = watched.without_a_trace(&publish, |client| client.map(format!("{publish} FULL")));
        assert_eq!((full["id"].as_str(), full["duplicate"].as_str()), (first, "1"), "{publish}");
        let id = event.id.map_or(String::new(), |id| format!(" IDS {id} {id}"));
        let Event { event_type, data, .. } = event;
        let batch = format!("TRADE.MPUBLISH {symbol} 2 {event_type} '{data}' {event_type} '{data}'{id}");
        let ids = watched.without_a_trace(&batch, |client| client.text(&batch));
        assert_eq!(ids, format!("[\"{first}\", \"{first}\"]"), "{batch}");
    }
}
