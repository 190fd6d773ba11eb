//! How the server keeps a value is its own affair: under the extremes of each setting the module replies the same, and
//! effects come to the same on a replica with other settings.

use redis::Value;

use super::{run_course, READS};
use crate::support::{text, Client, Options, Server, Stop};

/// Each key in its largest form from the first element on, and everything that watches switched on.
const LARGE_FORMS: &[&str] = &[
    "hash-max-listpack-entries 0",
    "hash-max-listpack-value 0",
    "zset-max-listpack-entries 0",
    "zset-max-listpack-value 0",
    "stream-node-max-entries 1",
    "latency-monitor-threshold 1",
    "slowlog-log-slower-than 0",
    "slowlog-max-len 2",
    "maxmemory-samples 1",
];

/// Each key in its small form for ever, and freeing in the background.
const SMALL_FORMS: &[&str] = &[
    "hash-max-listpack-entries 1000000",
    "hash-max-listpack-value 1000000",
    "zset-max-listpack-entries 1000000",
    "zset-max-listpack-value 1000000",
    "stream-node-max-entries 0",
    "stream-node-max-bytes 0",
    "lazyfree-lazy-expire yes",
    "lazyfree-lazy-server-del yes",
    "lazyfree-lazy-user-del yes",
    "io-threads 2",
];

fn options(settings: &[&str]) -> Options {
    settings.iter().fold(Options::new().append_only(), |options, line| options.config(line))
}

/// A text in which what the clock made is `#`: numbers of 13 digits and what is behind them in an id.
fn without_clock(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let mut end = start + digits(&rest[start..]);
        if end - start < 13 {
            out.push_str(&rest[..end]);
        } else {
            if rest[end..].starts_with('-') {
                end += 1 + digits(&rest[end + 1..]);
            }
            out.push_str(&rest[..start]);
            out.push('#');
        }
        rest = &rest[end..];
    }
    out + rest
}

/// Enough of each kind that a hash of the default settings outgrows its small form, too.
fn trade(client: &mut Client) {
    run_course(client);
    for at in 0..200 {
        for command in [
            format!(
                r#"TRADE.PUBLISH S order.created '{{"order_id":"{at}","volume":200,"note":"{}"}}' ID c{at} TIMESTAMP {at}"#,
                "n".repeat(at)
            ),
            format!(
                r#"TRADE.PUBLISH S order.filled '{{"order_id":"open","price":1,"fill_volume":1,"fill_id":"x{at}"}}'"#
            ),
            format!(r#"TRADE.PUBLISH S order.partially_filled '{{"order_id":"{}","volume":1}}'"#, at / 2),
            format!(r#"TRADE.PUBLISH S risk.limit_breached '{{"limit":"l{at}","value":1}}'"#),
            format!(
                r#"TRADE.PUBLISH S order.created '{{"order_id":"wide{at}","volume":1,{}"z":1}}' TIMESTAMP {at}"#,
                members(at / 2)
            ),
            format!("COND.SUBSCRIBE S c bot{at}"),
        ] {
            client.run(command);
        }
    }
    client.run("MARKET.CANDLE S 1m 1763402580000 9.5 9.5 9.5 9.5 1");
    for at in 0..100 {
        client.run(format!(r#"TRADE.PUBLISH S order.cancelled '{{"order_id":"wide{at}"}}'"#));
    }
}

fn members(count: usize) -> String {
    (0..count).map(|at| format!(r#""member{at}":"value{at}","#)).collect()
}

fn replies(server: &Server) -> Vec<String> {
    let mut client = server.client_resp3();
    let wide = ["TRADE.ORDER S wide150", "TRADE.ORDERS S COUNT 1000", "HLEN trade:{S}:fills:open", "TRADE.POSITIONS S"];
    READS
        .iter()
        .chain(&wide)
        // Their size is the form's.
        .filter(|command| !command.ends_with("STATS S"))
        .map(|command| format!("{command}: {}", without_clock(&text(&in_order(client.run(*command))))))
        .collect()
}

/// Maps by name: the order of a hash's fields is that of its form.
fn in_order(reply: Value) -> Value {
    match reply {
        Value::Map(pairs) => {
            let mut pairs: Vec<_> = pairs.into_iter().map(|(name, value)| (name, in_order(value))).collect();
            pairs.sort_by_key(|(name, _)| text(name));
            Value::Map(pairs)
        }
        Value::Array(items) => Value::Array(items.into_iter().map(in_order).collect()),
        other => other,
    }
}

/// Lines that differ, for a failure that can be read.
#[track_caller]
fn check_same(what: &str, found: &[String], wanted: &[String]) {
    for (found, wanted) in found.iter().zip(wanted) {
        let at = found.bytes().zip(wanted.bytes()).take_while(|(a, b)| a == b).count().saturating_sub(60);
        let part = |text: &str| text.chars().skip(at).take(200).collect::<String>();
        assert!(found == wanted, "{what}:\n{}\nwanted:\n{}", part(found), part(wanted));
    }
}

#[test]
fn the_form_of_keys_makes_no_difference() {
    let plain = Server::start(Options::new());
    trade(&mut plain.client());
    let wanted = replies(&plain);
    for settings in [LARGE_FORMS, SMALL_FORMS] {
        let mut server = Server::start(options(settings));
        let replica = Server::start(Options::plain().replica_of(&server));
        let mut client = server.client();
        trade(&mut client);
        check_same(settings[0], &replies(&server), &wanted);
        replica.catch_up_with(&server);
        assert_eq!(replica.digest(), server.digest(), "{}", settings[0]);
        assert_eq!(client.rebuild("S", &["DRYRUN"])["differing"], 0, "{}", settings[0]);
        client.run("UNLINK trade:{S}:order:wide150 trade:{S}:orders:open trade:{S}:fills:open");
        assert_ne!(client.rebuild("S", &[])["differing"], 0, "{}", settings[0]);
        check_same(settings[0], &replies(&server), &wanted);
        // Loaded again, with the settings that all others have.
        server.restart(Stop::Kill, options(&[]));
        check_same(settings[0], &replies(&server), &wanted);
    }
}

/// The form is changed under the keys that are there.
#[test]
fn a_setting_may_change_while_it_runs() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    run_course(&mut client);
    for (at, entries) in ["0", "512", "1", "128"].iter().enumerate() {
        client.run(["CONFIG", "SET", "hash-max-listpack-entries", entries, "stream-node-max-entries", entries]);
        for (event_type, rest) in [("order.created", r#","volume":1"#), ("order.filled", r#","price":1,"fill_id":"f""#)]
        {
            client.run(format!(r#"TRADE.PUBLISH S {event_type} '{{"order_id":"{at}"{rest}}}' ID {event_type}{at}"#));
        }
        assert_eq!(client.rebuild("S", &["DRYRUN"])["differing"], 0, "{entries}");
    }
    client.run("DEBUG RELOAD");
    assert_eq!(client.rebuild("S", &["DRYRUN"])["differing"], 0);
}

/// Ids up to which a bucket is a list.
const LISTED_MAX: usize = 32;

/// Publishes a batch of events with ids, and replies theirs.
fn publish_all(client: &mut Client, events: usize) -> String {
    let data = "trade.executed {} ".repeat(events);
    let ids: Vec<String> = (0..events).map(|event| format!("e-{event}")).collect();
    client.text(format!("TRADE.MPUBLISH BATCH {events} {data} IDS {}", ids.join(" ")))
}

#[test]
fn a_bucket_of_ids_is_a_table_before_it_is_slow() {
    let mut server = Server::start(Options::new().append_only());
    let replica = Server::start(Options::plain().replica_of(&server));
    let mut client = server.client();
    let publish =
        |client: &mut Client, event: usize| client.string(format!("TRADE.PUBLISH S trade.executed {{}} ID e-{event}"));
    let trigger = |client: &mut Client, event: usize| client.text(format!("COND.TRIGGER S c ID e-{event}"));
    let forms = |server: &Server| {
        let buckets = ["trade:{S}:seen:0", "cond:{S}:seen:1", "trade:{BATCH}:seen:0"];
        buckets.map(|bucket| server.client().text(format!("OBJECT ENCODING {bucket}")))
    };
    client.run("COND.REGISTER S 1m 'close > 0' ID c");
    let mut ids: Vec<String> = (0..LISTED_MAX).map(|event| publish(&mut client, event)).collect();
    let mut triggers: Vec<String> = (0..LISTED_MAX).map(|event| trigger(&mut client, event)).collect();
    assert_eq!(forms(&server), [r#""listpack""#, r#""listpack""#, "nil"]);
    ids.extend((LISTED_MAX..LISTED_MAX + 3).map(|event| publish(&mut client, event)));
    triggers.extend((LISTED_MAX..LISTED_MAX + 3).map(|event| trigger(&mut client, event)));
    let batch = publish_all(&mut client, LISTED_MAX + 3);
    replica.catch_up_with(&server);
    let tables = [r#""hashtable""#; 3];
    assert_eq!([forms(&server), forms(&replica)], [tables, tables]);
    client.run("DEBUG RELOAD");
    assert_eq!(forms(&server), tables);
    server.restart(Stop::Kill, Options::new().append_only());
    assert_eq!(forms(&server), tables);
    let mut client = server.client();
    let again: Vec<String> = (0..ids.len()).map(|event| publish(&mut client, event)).collect();
    assert_eq!(again, ids);
    let again: Vec<String> = (0..triggers.len()).map(|event| trigger(&mut client, event)).collect();
    assert_eq!(again, triggers);
    assert_eq!(publish_all(&mut client, LISTED_MAX + 3), batch);
}
