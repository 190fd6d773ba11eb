//! TRADE.EVENTS and EVENT.RANGE: reading a log again, by part, by filter and by page.

use std::collections::BTreeMap;
use std::thread;

use redis::Value;

use crate::support::{text, Client, Options, Server};

/// What a call replied: where to go on, and ids with their fields.
type Page = (String, Vec<(String, BTreeMap<String, String>)>);

fn word(value: &Value) -> String {
    match value {
        Value::BulkString(bytes) => bytes.escape_ascii().to_string(),
        other => panic!("not a string: {}", text(other)),
    }
}

/// The reply in either protocol.
#[track_caller]
fn page_of(reply: &Value) -> Page {
    let parts = |value: &Value| match value {
        Value::Array(parts) => parts.clone(),
        other => panic!("not an array: {}", text(other)),
    };
    let whole = parts(reply);
    assert_eq!(whole.len(), 2);
    let entries = parts(&whole[1]).into_iter().map(|entry| {
        let entry = parts(&entry);
        let fields = match &entry[1] {
            Value::Map(pairs) => pairs.iter().map(|(name, value)| (word(name), word(value))).collect(),
            flat => parts(flat).chunks(2).map(|pair| (word(&pair[0]), word(&pair[1]))).collect(),
        };
        (word(&entry[0]), fields)
    });
    (word(&whole[0]), entries.collect())
}

#[track_caller]
fn page(client: &mut Client, command: &str) -> Page {
    page_of(&client.run(command))
}

/// The `data` of what a call found.
#[track_caller]
fn found(client: &mut Client, command: &str) -> Vec<String> {
    page(client, command).1.into_iter().map(|(_, fields)| fields["data"].clone()).collect()
}

/// Goes through a log page by page, and returns the ids in the order of reading and the number of calls.
#[track_caller]
fn walk(client: &mut Client, command: &str, start: &str, end: &str, options: &str) -> (Vec<String>, usize) {
    let (mut start, mut ids, mut calls) = (start.to_owned(), Vec::new(), 0);
    loop {
        let (next, entries) = page(client, &format!("{command} {start} {end} {options}"));
        ids.extend(entries.into_iter().map(|(id, _)| id));
        calls += 1;
        if next == "0" {
            return (ids, calls);
        }
        assert_ne!(next, start, "the same again");
        start = next;
    }
}

/// Entries as plain commands write them, one a millisecond, from 1-0 on.
fn fill(client: &mut Client, log: &str, entries: usize, data: &str) {
    let script = "for i = 1, tonumber(ARGV[1]) do \
                  redis.call('XADD', KEYS[1], i .. '-0', 'type', 'order.created', 'data', ARGV[2], 'ts', i) end";
    client.run(["EVAL", script, "1", log, &entries.to_string(), data]);
}

#[test]
fn the_log_is_shown_as_it_is_in_both_protocols() {
    let server = Server::start(Options::new());
    let (mut resp2, mut resp3) = (server.client(), server.client_resp3());
    assert_eq!(resp2.text("TRADE.EVENTS S - +"), r#"["0", []]"#);
    assert_eq!(resp3.text("TRADE.EVENTS S + - REV"), r#"["0", []]"#);
    resp2.run(r#"TRADE.PUBLISH S order.created '{"order_id":"1","volume":1}' ID e SOURCE desk CORRELATION c"#);
    resp2.run(r#"TRADE.PUBLISH S order.filled '{"order_id":"2"}'"#);
    // What somebody else wrote is shown too, binary and odd as it may be.
    resp2.run(["XADD", "trade:{S}:events", "*", "", "\r\n", "data", "{"]);
    resp2.run(["XADD".as_bytes(), b"trade:{S}:events", b"*", b"a\xff", b"\0", b"a\xff", b"twice"]);
    let xrange = resp2.text("XRANGE trade:{S}:events - +");
    assert_eq!(resp2.text("TRADE.EVENTS S - +"), format!(r#"["0", {xrange}]"#));
    let xrevrange = resp2.text("XREVRANGE trade:{S}:events + -");
    assert_eq!(resp2.text("TRADE.EVENTS S + - REV"), format!(r#"["0", {xrevrange}]"#));
    let reply = resp3.run("TRADE.EVENTS S - +");
    let Value::Array(parts) = &reply else { panic!("{}", text(&reply)) };
    let Value::Array(entries) = &parts[1] else { panic!("{}", text(&reply)) };
    for (entry, fields) in entries.iter().zip([6, 4, 2, 2]) {
        let Value::Array(entry) = entry else { panic!("{}", text(&reply)) };
        assert!(matches!(&entry[1], Value::Map(pairs) if pairs.len() == fields), "{}", text(&entry[1]));
    }
    assert_eq!(page_of(&reply), page(&mut resp2, "TRADE.EVENTS S - +"));
}

/// XRANGE is the judge of what the ends of a part mean.
#[test]
fn parts_are_those_of_xrange() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    for id in ["0-1", "5-0", "5-1", "5-18446744073709551615", "6-0", "18446744073709551615-18446744073709551615"] {
        client.run(["XADD", "trade:{S}:events", id, "a", "b"]);
    }
    const LAST: &str = "18446744073709551615-18446744073709551615";
    let ends = ["-", "+", "0", "0-0", "0-1", "4", "5", "5-1", "6-0", "18446744073709551615", LAST];
    let exclusive = ends[2..].iter().map(|id| format!("({id}"));
    let ends: Vec<_> = ends.iter().map(|end| (*end).to_owned()).chain(exclusive).collect();
    for (start, end) in ends.iter().flat_map(|start| ends.iter().map(move |end| (start, end))) {
        for (xrange, rev) in [("XRANGE", ""), ("XREVRANGE", "REV")] {
            let expected = client.text(format!("{xrange} trade:{{S}}:events '{start}' '{end}'"));
            let expected = match expected.starts_with("(error)") {
                // It refuses what is behind the last id there can be; for us there just is nothing.
                true => "[]".to_owned(),
                false => expected,
            };
            let found = client.text(format!("TRADE.EVENTS S '{start}' '{end}' {rev}"));
            assert_eq!(found, format!(r#"["0", {expected}]"#), "{start} {end} {rev}");
        }
    }
}

#[test]
fn filters_find_what_they_say() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    for publish in [
        r#"order.created '{"order_id":"A","volume":1}' TIMESTAMP 1000 SOURCE desk CORRELATION c"#,
        r#"order.filled '{"order_id":"A"}' TIMESTAMP 2000 SOURCE venue CORRELATION c"#,
        r#"position.opened '{"position_id":"7","order_id":"\u0041","direction":"BUY","entry_price":1,"volume":1}' TIMESTAMP 3000"#,
        r#"trade.failed '{"order_id":7,"reason":"A"}' TIMESTAMP 2500 SOURCE desk"#,
    ] {
        client.run(format!("TRADE.PUBLISH S {publish}"));
    }
    let check = |client: &mut Client, options: &str, expected: &[usize]| {
        let all = found(client, "TRADE.EVENTS S - +");
        let expected: Vec<_> = expected.iter().map(|&place| all[place].clone()).collect();
        assert_eq!(found(client, &format!("TRADE.EVENTS S - + {options}")), expected, "{options}");
        let backwards: Vec<_> = expected.into_iter().rev().collect();
        assert_eq!(found(client, &format!("TRADE.EVENTS S + - {options} rev")), backwards, "{options} REV");
    };
    for mut client in [client, server.client_resp3()] {
        check(&mut client, "", &[0, 1, 2, 3]);
        check(&mut client, "TYPE ORDER_CREATED", &[0]);
        check(&mut client, "type order.created TYPE trade.failed TYPE trade.failed", &[0, 3]);
        check(&mut client, "TYPE order.rejected", &[]);
        check(&mut client, "ORDER A", &[0, 1, 2]);
        check(&mut client, "ORDER 7", &[3]);
        check(&mut client, "POSITION 7", &[2]);
        check(&mut client, "ORDER A POSITION 7", &[2]);
        check(&mut client, "SOURCE desk", &[0, 3]);
        check(&mut client, "CORRELATION c SOURCE venue", &[1]);
        check(&mut client, "SINCE 2000", &[1, 2, 3]);
        check(&mut client, "SINCE 2000 UNTIL 2500", &[1, 3]);
        check(&mut client, "UNTIL 1970-01-01T00:00:01Z", &[0]);
        check(&mut client, "SINCE 2000 TYPE order.filled ORDER A", &[1]);
    }
}

#[test]
fn a_stream_is_read_the_same_way() {
    let server = Server::start(Options::new());
    for (mut client, round) in [(server.client(), "one"), (server.client_resp3(), "two")] {
        let log = format!("events:{{{round}}}");
        for (id, event_type) in [("1-0", "policy.updated"), ("2-0", "model.promoted"), ("3-0", "policy.updated")] {
            client.run(["XADD", &log, id, "type", event_type, "data", "{}", "ts", &id[..1], "source", "ml"]);
        }
        let range = format!("EVENT.RANGE {round}");
        let ids = |(next, entries): Page| (next, entries.into_iter().map(|(id, _)| id).collect::<Vec<_>>().join(" "));
        let check = |client: &mut Client, rest: &str, next: &str, expected: &str| {
            let found = ids(page(client, &format!("{range} {rest}")));
            assert_eq!(found, (next.to_owned(), expected.to_owned()), "{rest}");
        };
        check(&mut client, "- +", "0", "1-0 2-0 3-0");
        check(&mut client, "- + TYPE Policy.Updated", "0", "1-0 3-0");
        check(&mut client, "- + COUNT 2", "3-0", "1-0 2-0");
        check(&mut client, "3-0 - REV COUNT 2", "1-0", "3-0 2-0");
        check(&mut client, "(1-0 (3-0", "0", "2-0");
        check(&mut client, "- + SINCE 2 UNTIL 2 SOURCE ml", "0", "2-0");
        assert!(client.error(format!("{range} - + TYPE 9")).starts_with("BADEVENT "));
        for option in ["ORDER 1", "POSITION 1"] {
            let error = client.error(format!("{range} - + {option}"));
            assert!(error.contains("known are TYPE, CORRELATION, SOURCE, SINCE, UNTIL, COUNT and REV"), "{error}");
        }
    }
}

#[test]
fn pages_give_every_entry_once_in_both_directions() {
    let server = Server::start(Options::new().module_args("scan-limit 100"));
    for mut client in [server.client(), server.client_resp3()] {
        client.run("FLUSHALL");
        fill(&mut client, "trade:{S}:events", 350, "{}");
        let all: Vec<_> = (1..=350).map(|ms| format!("{ms}-0")).collect();
        let backwards: Vec<_> = all.iter().rev().cloned().collect();
        for (options, calls) in [("", 4), ("COUNT 100", 4), ("COUNT 70", 5), ("COUNT 99", 4)] {
            assert_eq!(walk(&mut client, "TRADE.EVENTS S", "-", "+", options), (all.clone(), calls), "{options}");
            let options = format!("{options} REV");
            assert_eq!(walk(&mut client, "TRADE.EVENTS S", "+", "-", &options), (backwards.clone(), calls));
        }
        // A filter that hardly anything fits still reads the log in bounded parts.
        let (ids, calls) = walk(&mut client, "TRADE.EVENTS S", "-", "+", "SINCE 250 UNTIL 251 COUNT 100");
        assert_eq!((ids, calls), (vec!["250-0".to_owned(), "251-0".to_owned()], 4));
        let (ids, calls) = walk(&mut client, "TRADE.EVENTS S", "340", "20", "REV TYPE order.created");
        assert_eq!((ids.len(), ids[0].as_str(), ids[320].as_str(), calls), (321, "340-0", "20-0", 4));
        assert_eq!(page(&mut client, "TRADE.EVENTS S - + SOURCE nobody"), ("101-0".to_owned(), Vec::new()));
        assert_eq!(page(&mut client, "TRADE.EVENTS S 251 + SOURCE nobody"), ("0".to_owned(), Vec::new()));
    }
}

#[test]
fn a_reply_ends_at_4_mib() {
    let server = Server::start(Options::new().module_args("scan-limit 100000"));
    let mut client = server.client();
    const KIB: usize = 1_024;
    fill(&mut client, "trade:{S}:events", 150, &format!(r#"{{"a":"{}"}}"#, "x".repeat(60 * KIB)));
    let (next, entries) = page(&mut client, "TRADE.EVENTS S - +");
    assert_eq!((next.as_str(), entries.len()), ("70-0", 69), "69 x 60 KiB are more than 4 MiB, 68 are not");
    // A search ends too, at 8 MiB: of 137 entries.
    assert_eq!(page(&mut client, "TRADE.EVENTS S - + ORDER nobody"), ("138-0".to_owned(), Vec::new()));
    let (ids, calls) = walk(&mut client, "TRADE.EVENTS S", "-", "+", "COUNT 100000");
    assert_eq!((ids.len(), calls), (150, 3));
    // What is small is not small in the reply.
    client.run("FLUSHALL");
    let script = "for i = 1, 3000 do redis.call('XADD', KEYS[1], i .. '-0', unpack(ARGV)) end";
    let mut words = vec!["EVAL", script, "1", "trade:{S}:events"];
    words.extend(["", ""].repeat(100));
    client.run(words);
    let (_, entries) = page(&mut client, "TRADE.EVENTS S - + COUNT 100000");
    assert!((1_000..2_100).contains(&entries.len()), "{}", entries.len());
}

#[test]
fn a_reader_misses_nothing_while_others_publish() {
    const EVENTS: usize = 2_000;
    let server = Server::start(Options::new().module_args("scan-limit 100"));
    let mut publisher = server.client();
    let publish = thread::spawn(move || {
        let publish = |number| publisher.string(format!(r#"TRADE.PUBLISH S trade.executed '{{"n":{number}}}'"#));
        (0..EVENTS).map(publish).collect::<Vec<_>>()
    });
    let mut client = server.client();
    let (mut ids, mut start) = (Vec::new(), "-".to_owned());
    // Whoever has read everything goes on behind what was read last.
    while ids.len() < EVENTS {
        let (read, _) = walk(&mut client, "TRADE.EVENTS S", &start, "+", "COUNT 37");
        ids.extend(read);
        if let Some(last) = ids.last() {
            start = format!("({last}");
        }
    }
    assert_eq!(ids, publish.join().expect("the publisher"));
}

#[test]
fn wrong_arguments_are_refused() {
    let server = Server::start(Options::new().module_args("scan-limit 500"));
    let mut client = server.client();
    client.run("TRADE.PUBLISH S trade.executed {}");
    client.run("SET trade:{W}:events x");
    let mut check = |rest: &str, expected: &str| {
        let error = client.error(format!("TRADE.EVENTS {rest}"));
        assert!(error.starts_with(expected), "{rest}: {error}");
    };
    check("S", "ERR wrong number");
    check("S -", "ERR wrong number");
    check("{S} - +", "BADSYMBOL ");
    check("S x +", "ERR start must be an id");
    check("S - 5-5-5", "ERR end must be an id");
    check("S (- +", "ERR start must be an id");
    check("S - + COUNT 0", "ERR COUNT must be an integer from 1 to 500");
    check("S - + COUNT 501", "ERR COUNT must be an integer from 1 to 500");
    check("S - + COUNT x", "ERR COUNT must be");
    check("S - + COUNT", "ERR COUNT needs a value");
    check("S - + COUNT 1 COUNT 1", "ERR COUNT is given twice");
    check("S - + REV REV", "ERR REV is given twice");
    check("S - + TYPE", "ERR TYPE needs a value");
    check("S - + TYPE order.canceled", "BADEVENT unknown event type 'order.canceled'; the nearest are order.cancelled");
    check("S - + ORDER ''", "BADFIELD ORDER is 0 bytes long");
    check("S - + POSITION 'a b'", "BADFIELD POSITION has a space");
    check("S - + ORDER 1 ORDER 2", "ERR ORDER is given twice");
    check("S - + SOURCE a SOURCE a", "ERR SOURCE is given twice");
    check("S - + SINCE yesterday", "BADFIELD SINCE must be Unix milliseconds or RFC 3339");
    check("S - + UNTIL -1", "BADFIELD UNTIL must be");
    check("S - + CHANNEL x", "ERR unknown option `CHANNEL`, known are TYPE, ORDER, POSITION, CORRELATION");
    check("W - +", "WRONGTYPE ");
    let others = "TYPE order.created ".repeat(2_000);
    assert_eq!(page(&mut client, &format!("TRADE.EVENTS S - + {others}")).1, []);
}

#[test]
fn replicas_and_transactions_and_scripts_read() {
    let master = Server::start(Options::new());
    let replica = Server::start(Options::new().replica_of(&master));
    let mut client = master.client();
    client.run(r#"TRADE.PUBLISH S order.created '{"order_id":"1","volume":1}' SOURCE a"#);
    client.run("XADD events:{T} * type a data {} ts 1");
    replica.catch_up_with(&master);
    let before = master.digest();
    for command in ["TRADE.EVENTS S - + ORDER 1", "EVENT.RANGE T - + TYPE a"] {
        let expected = client.text(command);
        assert!(expected.contains("data"), "{expected}");
        assert_eq!(replica.client().text(command), expected);
        client.run("MULTI");
        client.run(command);
        assert_eq!(client.text("EXEC"), format!("[{expected}]"));
        let words: Vec<_> = command.split(' ').map(|word| format!("'{word}'")).collect();
        for eval in ["EVAL", "EVAL_RO"] {
            let script = format!("return redis.call({})", words.join(","));
            assert_eq!(client.text([eval, &script, "0"]), expected);
        }
    }
    assert_eq!(master.digest(), before);
    assert_eq!(replica.digest(), before);
}
