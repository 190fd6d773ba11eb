//! Bad input: whatever a client sends is answered with one line that begins with a code, changes nothing, and
//! leaves the server as it was.

use redis::Value;

use crate::commands::COMMANDS;
use crate::support::{Client, Options, Server, Words};

/// Longest error line: the texts quote what the caller sent, so they are cut.
pub const ERROR_MAX: usize = 512;

const MIB: usize = 1_024 * 1_024;
const EVENT_MAX: usize = 64 * 1_024;

/// An order as short as can be.
const ORDER: &str = r#"{"order_id":"1","volume":1}"#;

/// What must not change, and who looks.
struct Fixture {
    server: Server,
    client: Client,
    digest: String,
}

impl Fixture {
    /// A server with one of everything, so that there is something to change.
    fn start() -> Fixture {
        let server = Server::start(Options::new());
        let mut client = server.client();
        for command in [
            r#"TRADE.PUBLISH S order.created '{"order_id":"known","volume":2}' ID e1"#,
            r#"TRADE.PUBLISH S position.opened '{"position_id":"p","direction":"LONG","entry_price":10,"volume":2}'"#,
            r#"TRADE.PUBLISH S signal.generated '{"signal_id":"s"}'"#,
            r#"TRADE.PUBLISH S risk.limit_breached '{"limit":"exposure","value":1}'"#,
            "TRADE.INSTRUMENT S SET currency USD",
        ] {
            client.run(command);
        }
        let digest = server.digest();
        Fixture { server, client, digest }
    }

    /// The command is refused with `code`, in one bounded line, and nothing has changed.
    #[track_caller]
    fn check(&mut self, words: impl Words, code: &str) {
        let line = self.client.error(&words);
        let shown = || {
            let words = words.words().into_iter().map(|word| word[..word.len().min(80)].escape_ascii().to_string());
            words.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(line.split(' ').next(), Some(code), "{}: {line}", shown());
        assert!(line.len() <= ERROR_MAX && !line.contains(['\r', '\n', '\0']), "{}: {line:?}", shown());
        assert_eq!(self.server.digest(), self.digest, "{} changed something", shown());
    }
}

/// A command line of byte strings, most of which are text.
fn line<'w>(head: &[&'w str], tail: &[&'w [u8]]) -> Vec<&'w [u8]> {
    head.iter().map(|word| word.as_bytes()).chain(tail.iter().copied()).collect()
}

/// Data of `size` bytes for an event that needs nothing.
fn padded(size: usize) -> String {
    let empty = r#"{"note":""}"#.len();
    format!(r#"{{"note":"{}"}}"#, "x".repeat(size - empty))
}

fn with_members(count: usize) -> String {
    let members: Vec<_> = (0..count).map(|n| format!(r#""m{n}":{n}"#)).collect();
    format!("{{{}}}", members.join(","))
}

fn nested(levels: usize) -> String {
    format!(r#"{{"deep":{}{}}}"#, "[".repeat(levels), "]".repeat(levels))
}

#[test]
fn no_command_takes_a_symbol_that_would_break_a_key() {
    let mut fixture = Fixture::start();
    let too_long = [b'S'; 65];
    let symbols: [&[u8]; 13] =
        [b"", &too_long, b"a b", b"{S", b"{S}", b"S}", b"S*", b"S?", b"[S]", b"S\\", b"S\0", b"S\xff", "€".as_bytes()];
    for (command, rest) in COMMANDS {
        for symbol in symbols {
            let mut words = vec![command.as_bytes(), symbol];
            words.extend(rest.iter().map(|word| word.as_bytes()));
            fixture.check(&words, "BADSYMBOL");
        }
    }
}

#[test]
fn the_server_counts_arguments() {
    let mut fixture = Fixture::start();
    let mut check = |words: &[&str]| {
        fixture.check(words, "ERR");
        let line = fixture.client.error(words);
        assert!(line.contains("wrong number of arguments"), "{words:?}: {line}");
    };
    for (command, rest) in COMMANDS {
        let words: Vec<&str> = [command, "S"].iter().chain(rest).copied().collect();
        for given in 1..words.len() {
            check(&words[..given]);
        }
    }
    for command in ["TRADE.ORDER", "TRADE.POSITION", "TRADE.SIGNAL"] {
        check(&[command, "S", "1", "more"]);
    }
}

#[test]
fn data_is_one_json_object() {
    let mut fixture = Fixture::start();
    let (deep, deepest) = (nested(10_000), nested(64));
    let (many, big) = (with_members(129), padded(EVENT_MAX + 1));
    let table: [(&[u8], &str); 30] = [
        (b"", "BADJSON"),
        (b"{", "BADJSON"),
        (b"[]", "BADJSON"),
        (b"1", "BADJSON"),
        (b"null", "BADJSON"),
        (b"\"text\"", "BADJSON"),
        (b"{} {}", "BADJSON"),
        (b"{}\0", "BADJSON"),
        (b"\0", "BADJSON"),
        (b"{\"a\":\"\0\"}", "BADJSON"),
        (b"{\"a\":\"\n\"}", "BADJSON"),
        (b"{\"a\":\"\xff\"}", "BADJSON"),
        (b"{\"\xc3\x28\":1}", "BADJSON"),
        (b"\xef\xbb\xbf{}", "BADJSON"),
        (br#"{"a":"\ud800"}"#, "BADJSON"),
        (br#"{"a":1,}"#, "BADJSON"),
        (br#"{'a':1}"#, "BADJSON"),
        (br#"{a:1}"#, "BADJSON"),
        (br#"{"a":01}"#, "BADJSON"),
        (br#"{"a":+1}"#, "BADJSON"),
        (br#"{"a":NaN}"#, "BADJSON"),
        (br#"{"a":-Infinity}"#, "BADJSON"),
        (br#"{"a":1,"a":1}"#, "BADJSON"),
        (br#"{"a":1,"\u0061":2}"#, "BADJSON"),
        (br#"{"a":{"b":1,"b":2}}"#, "BADJSON"),
        (deep.as_bytes(), "BADJSON"),
        (deepest.as_bytes(), "BADJSON"),
        (many.as_bytes(), "BADJSON"),
        (big.as_bytes(), "TOOBIG"),
        (br"{}", "MISSING"),
    ];
    for (data, code) in table {
        fixture.check(line(&["TRADE.PUBLISH", "S", "order.created"], &[data]), code);
        fixture.check(line(&["TRADE.MPUBLISH", "S", "1", "order.created"], &[data]), code);
    }
}

#[test]
fn members_have_types_and_ranges() {
    let mut fixture = Fixture::start();
    let long_id = format!(r#"{{"order_id":"{}","volume":1}}"#, "i".repeat(129));
    let long_limit = format!(r#"{{"limit":"{}","value":1}}"#, "l".repeat(129));
    for (event_type, data, code) in [
        ("order.created", r#"{"order_id":"1","volume":1e999999}"#, "BADFIELD"),
        ("order.created", r#"{"order_id":"1","volume":1e-999999}"#, "BADFIELD"),
        ("order.created", r#"{"order_id":"1","volume":12345678901234567890123456789}"#, "BADFIELD"),
        ("order.created", r#"{"order_id":"1","volume":"0.12345678901234567890123456789"}"#, "BADFIELD"),
        ("order.created", r#"{"order_id":"1","volume":"1e99999999999999999999999999999"}"#, "BADFIELD"),
        ("order.created", r#"{"order_id":"1","volume":"NaN"}"#, "BADFIELD"),
        ("order.created", r#"{"order_id":"1","volume":"1 "}"#, "BADFIELD"),
        ("order.created", r#"{"order_id":"1","volume":"1\u0000"}"#, "BADFIELD"),
        ("order.created", r#"{"order_id":"1","volume":""}"#, "BADFIELD"),
        ("order.created", r#"{"order_id":"1","volume":0}"#, "BADFIELD"),
        ("order.created", r#"{"order_id":"1","volume":-1}"#, "BADFIELD"),
        ("order.created", r#"{"order_id":"1","volume":[1]}"#, "BADFIELD"),
        ("order.created", r#"{"order_id":"1","volume":true}"#, "BADFIELD"),
        ("order.created", r#"{"order_id":"1","volume":null}"#, "MISSING"),
        ("order.created", r#"{"order_id":"1","volume":1,"price":"high"}"#, "BADFIELD"),
        ("order.created", r#"{"order_id":"","volume":1}"#, "BADFIELD"),
        ("order.created", r#"{"order_id":"a b","volume":1}"#, "BADFIELD"),
        ("order.created", r#"{"order_id":"a\u0000","volume":1}"#, "BADFIELD"),
        ("order.created", r#"{"order_id":"é","volume":1}"#, "BADFIELD"),
        ("order.created", r#"{"order_id":1.5,"volume":1}"#, "BADFIELD"),
        ("order.created", r#"{"order_id":1e3,"volume":1}"#, "BADFIELD"),
        ("order.created", r#"{"order_id":true,"volume":1}"#, "BADFIELD"),
        ("order.created", r#"{"order_id":{},"volume":1}"#, "BADFIELD"),
        ("order.created", &long_id, "BADFIELD"),
        ("order.created", r#"{"order_id":"1","volume":1,"timestamp":"yesterday"}"#, "BADFIELD"),
        ("order.created", r#"{"order_id":"1","volume":1,"timestamp":[]}"#, "BADFIELD"),
        ("order.created", r#"{"order_id":"known","volume":1}"#, "INVALIDSTATE"),
        ("order.partially_filled", r#"{"order_id":"known"}"#, "MISSING"),
        ("order.partially_filled", r#"{"order_id":"known","fill_volume":9}"#, "OVERFILL"),
        ("order.partially_filled", r#"{"order_id":"known","fill_volume":1,"fill_id":""}"#, "BADFIELD"),
        ("order.filled", r#"{"order_id":"known","cum_qty":1}"#, "INVALIDSTATE"),
        ("order.cancelled", r#"{"order_id":"known","cum_qty":-1}"#, "BADFIELD"),
        ("order.rejected", r#"{"order_id":"known","reason":""}"#, "MISSING"),
        ("order.modified", r#"{"order_id":"known"}"#, "MISSING"),
        ("position.opened", r#"{"position_id":"q","direction":"UP","entry_price":1,"volume":1}"#, "BADFIELD"),
        ("position.opened", r#"{"position_id":"q","direction":"LONG","volume":1}"#, "MISSING"),
        ("position.modified", r#"{"position_id":"p","volume":1,"price":1}"#, "BADFIELD"),
        ("position.modified", r#"{"position_id":"p","added_volume":1}"#, "MISSING"),
        ("position.partially_closed", r#"{"position_id":"p","closed_volume":9,"exit_price":1}"#, "OVERFILL"),
        ("position.partially_closed", r#"{"position_id":"p","closed_volume":1}"#, "MISSING"),
        ("position.closed", r#"{"position_id":"p","exit_price":1,"volume":1}"#, "INVALIDSTATE"),
        ("position.closed", r#"{"position_id":"p","exit_price":1,"fee":1,"fee_currency":"U D"}"#, "BADFIELD"),
        ("stop_loss.hit", r#"{"position_id":"p"}"#, "MISSING"),
        ("trade.failed", r#"{"order_id":"known"}"#, "MISSING"),
        ("risk.limit_breached", r#"{"value":1}"#, "MISSING"),
        ("risk.limit_breached", r#"{"limit":"a\u0000b","value":1}"#, "BADFIELD"),
        ("risk.limit_breached", &long_limit, "BADFIELD"),
        ("signal.generated", "{}", "MISSING"),
        ("signal.generated", r#"{"signal_id":"s"}"#, "INVALIDSTATE"),
        ("signal.rejected", r#"{"signal_id":"s"}"#, "MISSING"),
    ] {
        fixture.check(["TRADE.PUBLISH", "S", event_type, data], code);
    }
}

#[test]
fn event_types_are_known_ones() {
    let mut fixture = Fixture::start();
    let long = [b'o'; 70_000];
    let types: [&[u8]; 7] = [b"", b"order", b"order.canceled", b"order.created\0", b"\xff", b"order created", &long];
    for event_type in types {
        fixture.check(line(&["TRADE.PUBLISH", "S"], &[event_type, b"{}"]), "BADEVENT");
        fixture.check(line(&["TRADE.MPUBLISH", "S", "1"], &[event_type, b"{}"]), "BADEVENT");
    }
}

#[test]
fn options_of_publish() {
    let mut fixture = Fixture::start();
    let (long_id, long_label) = ([b'i'; 129], [b'l'; 257]);
    let table: [(&[&[u8]], &str); 43] = [
        (&[b"ID"], "ERR"),
        (&[b"TIMESTAMP"], "ERR"),
        (&[b"SOURCE"], "ERR"),
        (&[b"CORRELATION"], "ERR"),
        (&[b"EXPECT"], "ERR"),
        (&[b"FULL", b"FULL"], "ERR"),
        (&[b"ID", b"a", b"id", b"b"], "ERR"),
        (&[b"SOURCE", b"a", b"SOURCE", b"a"], "ERR"),
        (&[b"CORRELATION", b"a", b"FULL", b"CORRELATION", b"a"], "ERR"),
        (&[b"EXPECT", b"0", b"EXPECT", b"0"], "ERR"),
        (&[b"TIMESTAMP", b"1", b"TIMESTAMP", b"1"], "ERR"),
        (&[b""], "ERR"),
        (&[b"NOPE"], "ERR"),
        (&[b"FULL\0"], "ERR"),
        (&[b"\xff\xfe"], "ERR"),
        (&[b"IDS", b"a"], "ERR"),
        (&[b"EXPECT", b"-1"], "ERR"),
        (&[b"EXPECT", b""], "ERR"),
        (&[b"EXPECT", b"x"], "ERR"),
        (&[b"EXPECT", b"1.0"], "ERR"),
        (&[b"EXPECT", b"\xff"], "ERR"),
        (&[b"EXPECT", b"9223372036854775808"], "ERR"),
        (&[b"EXPECT", b"9223372036854775807"], "VERSIONCONFLICT"),
        (&[b"EXPECT", b"1"], "VERSIONCONFLICT"),
        (&[b"ID", b""], "BADFIELD"),
        (&[b"ID", b"a b"], "BADFIELD"),
        (&[b"ID", b"a\0"], "BADFIELD"),
        (&[b"ID", b"\xff"], "BADFIELD"),
        (&[b"ID", &long_id], "BADFIELD"),
        (&[b"ID", b"e1"], "IDCONFLICT"),
        (&[b"TIMESTAMP", b""], "BADFIELD"),
        (&[b"TIMESTAMP", b"now"], "BADFIELD"),
        (&[b"TIMESTAMP", b"-1"], "BADFIELD"),
        (&[b"TIMESTAMP", b"1.5"], "BADFIELD"),
        (&[b"TIMESTAMP", b"253402300800000"], "BADFIELD"),
        (&[b"TIMESTAMP", b"2025-13-17T18:00:00Z"], "BADFIELD"),
        (&[b"TIMESTAMP", b"1763402400000\0"], "BADFIELD"),
        (&[b"SOURCE", b""], "BADFIELD"),
        (&[b"SOURCE", b"a\x07"], "BADFIELD"),
        (&[b"SOURCE", b"a\0b"], "BADFIELD"),
        (&[b"SOURCE", b"\xff"], "BADFIELD"),
        (&[b"SOURCE", &long_label], "BADFIELD"),
        (&[b"CORRELATION", b"a\r\nb"], "BADFIELD"),
    ];
    for (options, code) in table {
        let words = line(&["TRADE.PUBLISH", "S", "order.created", ORDER], options);
        fixture.check(&words, code);
    }
    fixture.check("TRADE.PUBLISH S trade.executed {} EXPECT 0", "ERR");
}

#[test]
fn batches_are_counted_and_bounded() {
    let mut fixture = Fixture::start();
    for (count, code) in [
        ("0", "ERR"),
        ("-1", "ERR"),
        ("x", "ERR"),
        ("", "ERR"),
        ("1.0", "ERR"),
        (" 1", "ERR"),
        ("2", "ERR"),
        ("1000", "ERR"),
        ("1001", "TOOBIG"),
        ("9223372036854775807", "TOOBIG"),
        ("9223372036854775808", "ERR"),
    ] {
        fixture.check(["TRADE.MPUBLISH", "S", count, "order.created", ORDER], code);
    }
    let events = r#"TRADE.MPUBLISH S 2 order.created '{"order_id":"1","volume":1}' trade.executed {}"#;
    for (options, code) in [
        ("IDS", "ERR"),
        ("IDS a", "ERR"),
        ("IDS a b c", "ERR"),
        ("IDS a b IDS c d", "ERR"),
        ("IDS a 'b c'", "BADFIELD"),
        ("ID a", "ERR"),
        ("EXPECT 0", "ERR"),
        ("TIMESTAMP 1", "ERR"),
        ("FULL", "ERR"),
        ("SOURCE", "ERR"),
        ("SOURCE a SOURCE b", "ERR"),
        ("SOURCE ''", "BADFIELD"),
        ("CORRELATION", "ERR"),
        ("order.created", "ERR"),
        // The same id for two facts of one command.
        ("IDS a a", "IDCONFLICT"),
    ] {
        fixture.check(format!("{events} {options}"), code);
    }
    // All or nothing, and the error says which.
    let refused = r#"TRADE.MPUBLISH S 3 trade.executed {} order.created '{"order_id":"known","volume":1}' x y"#;
    assert!(fixture.client.error(refused).starts_with("BADEVENT event 3: "));
    let refused = refused.replace(" x y", " trade.executed {}");
    assert!(fixture.client.error(&refused).starts_with("INVALIDSTATE event 2: "));
    fixture.check(refused, "INVALIDSTATE");

    let (full, shorter) = (padded(EVENT_MAX), padded(EVENT_MAX - 1));
    let mut words = vec!["TRADE.MPUBLISH", "S", "17"];
    for _ in 0..MIB / EVENT_MAX - 1 {
        words.extend(["trade.executed", &full]);
    }
    words.extend(["trade.executed", &shorter, "trade.executed", "{}"]);
    fixture.check(&words, "TOOBIG");
}

#[test]
fn lists_are_asked_for_with_numbers() {
    let mut fixture = Fixture::start();
    for command in ["TRADE.ORDERS", "TRADE.POSITIONS"] {
        for options in [
            "OFFSET",
            "COUNT",
            "OFFSET -1",
            "OFFSET x",
            "OFFSET ''",
            "OFFSET 9223372036854775808",
            "OFFSET 0 OFFSET 0",
            "COUNT -1",
            "COUNT 2001",
            "COUNT 9223372036854775807",
            "COUNT 1 COUNT 1",
            "COUNT 1.5",
            "LIMIT 0 1",
            "0 1",
            "''",
        ] {
            fixture.check(format!("{command} S {options}"), "ERR");
        }
        fixture.check([command.as_bytes(), b"S", b"COUNT", b"\xff\0"], "ERR");
        // At the edges there is nothing to refuse.
        for (options, listed) in [
            ("OFFSET 9223372036854775807", 0),
            ("OFFSET 9223372036854775807 COUNT 2000", 0),
            ("OFFSET 1", 0),
            ("COUNT 0", 0),
            ("COUNT 2000", 1),
        ] {
            let Value::Array(items) = fixture.client.run(format!("{command} S {options}")) else {
                panic!("{command} replies an array");
            };
            assert_eq!(items.len(), listed, "{command} {options}");
        }
    }
}

#[test]
fn ids_to_look_up_are_ids() {
    let mut fixture = Fixture::start();
    let long = [b'i'; 129];
    let ids: [&[u8]; 6] = [b"", b"a b", b"a\0", b"\xff", b"\n", &long];
    for command in ["TRADE.ORDER", "TRADE.POSITION", "TRADE.SIGNAL"] {
        for id in ids {
            fixture.check([command.as_bytes(), b"S", id], "BADFIELD");
        }
    }
}

#[test]
fn settings_of_an_instrument() {
    let mut fixture = Fixture::start();
    for (settings, code) in [
        ("GET", "ERR"),
        ("''", "ERR"),
        ("SET", "ERR"),
        ("SET contract_size", "ERR"),
        ("SET contract_size 1 inverse", "ERR"),
        ("SET contract_size 1 CONTRACT_SIZE 2", "ERR"),
        ("SET nope 1", "BADFIELD"),
        ("SET '' 1", "BADFIELD"),
        ("SET contract_size 0", "BADFIELD"),
        ("SET contract_size -1", "BADFIELD"),
        ("SET contract_size x", "BADFIELD"),
        ("SET contract_size 1e18", "BADFIELD"),
        ("SET contract_size 12345678901234567890123456789", "BADFIELD"),
        ("SET inverse 2", "BADFIELD"),
        ("SET inverse yes", "BADFIELD"),
        ("SET position_mode both", "BADFIELD"),
        ("SET currency ''", "BADFIELD"),
        ("SET currency 'U D'", "BADFIELD"),
        ("SET currency ABCDEFGHIJKLMNOPQ", "BADFIELD"),
        // The first is good, and not taken either.
        ("SET contract_size 100 inverse 2", "BADFIELD"),
    ] {
        fixture.check(format!("TRADE.INSTRUMENT S {settings}"), code);
    }
    let pairs: [(&[u8], &[u8]); 3] = [(b"currency", b"US\0"), (b"contract_size", b"1\0"), (b"\xff", b"\xff")];
    for (field, value) in pairs {
        fixture.check([b"TRADE.INSTRUMENT".as_slice(), b"S", b"SET", field, value], "BADFIELD");
    }
}

#[test]
fn what_is_just_within_the_limits_is_taken() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    let symbol = "S".repeat(64);
    let id = "i".repeat(128);
    let label = "l".repeat(256);
    for data in [padded(EVENT_MAX), with_members(128), nested(63), "{}".to_owned(), " {\t}\r\n".to_owned()] {
        client.run(["TRADE.PUBLISH", &symbol, "trade.executed", &data, "SOURCE", &label, "CORRELATION", &label]);
    }
    let order = format!(r#"{{"order_id":"{id}","volume":"0.000000000000000001","price":-999999999999999999}}"#);
    client.run(["TRADE.PUBLISH", &symbol, "order.created", &order, "ID", &id, "TIMESTAMP", "253402300799999"]);
    assert_eq!(client.map(["TRADE.ORDER", &symbol, &id])["volume"], "0.000000000000000001");

    let mut thousand = vec!["TRADE.MPUBLISH", "S", "1000"];
    thousand.extend(["trade.executed", "{}"].repeat(1_000));
    client.run(&thousand);
    let full = padded(EVENT_MAX);
    let mut mebibyte = vec!["TRADE.MPUBLISH", "S", "16"];
    for _ in 0..MIB / EVENT_MAX {
        mebibyte.extend(["trade.executed", &full]);
    }
    client.run(&mebibyte);
    assert_eq!(client.int("XLEN trade:{S}:events"), 1_016);
}
