//! `maxmemory` without eviction: what is refused, that it is refused whole, and that it goes on when there is room.

use std::collections::BTreeSet;

use redis::Value;

use super::{run_course, READS};
use crate::support::{text, wait_until, Client, Options, Server};

/// What takes memory, and is refused. What would end an order is among it: the server cannot tell, it judges commands.
const REFUSED: &[&str] = &[
    r#"TRADE.PUBLISH S order.created '{"order_id":"new","volume":1}'"#,
    r#"TRADE.PUBLISH S order.cancelled '{"order_id":"open"}'"#,
    r#"TRADE.PUBLISH S order.created '{"order_id":"open","volume":2,"price":2000.50}' ID e0"#,
    r#"TRADE.MPUBLISH S 2 trade.executed {} order.cancelled '{"order_id":"open"}'"#,
    "TRADE.INSTRUMENT S",
    "TRADE.INSTRUMENT S SET contract_size 2",
    "TRADE.REBUILD S",
    "TRADE.REBUILD S DRYRUN",
    "EVENT.PUBLISH S model.done {}",
    "EVENT.SCHEMA S LIST",
    "COND.REGISTER S 1m 'close > 7'",
    "COND.RESUME S c",
    "COND.SUBSCRIBE S c bot2",
    "COND.TRIGGER S c",
    "MARKET.CANDLE S 1m 1763402580000 1 1 1 1 1",
    "MARKET.TICK S 1 1",
];

/// What frees memory, or stops bots, beside what reads.
const GOING: &[&str] = &[
    "TRADE.CLAIM S g b 0 1",
    "EVENT.CLAIM S g b 0 1",
    "COND.CLAIM S QUEUE:dca g b 0 1",
    "COND.PAUSE S c",
    "COND.UNSUBSCRIBE S c bot",
    "COND.REMOVE S c",
];

fn fill(client: &mut Client) {
    client.run("CONFIG SET maxmemory 1");
}

fn make_room(client: &mut Client) {
    client.run("CONFIG SET maxmemory 0");
}

#[test]
fn what_takes_memory_is_refused_and_all_else_goes() {
    let server = Server::start(Options::new().config("repl-ping-replica-period 3600"));
    let replica = Server::start(Options::plain().replica_of(&server));
    let mut client = server.client();
    run_course(&mut client);
    let names = |commands: &[&[&str]]| -> BTreeSet<String> {
        commands.concat().iter().map(|line| line.split(' ').next().expect("a name").to_owned()).collect()
    };
    let Value::Array(all) = client.run("COMMAND LIST FILTERBY MODULE tradebus") else { panic!("an array") };
    let all: BTreeSet<String> = all.iter().map(|name| text(name).trim_matches('"').to_owned()).collect();
    assert_eq!(names(&[REFUSED, GOING, READS]), all, "every command is here");

    let mut messages = server.subscribe("PSUBSCRIBE *");
    fill(&mut client);
    let traces = || (server.digest(), server.info("replication", "master_repl_offset"));
    let before = traces();
    for command in REFUSED {
        assert!(client.error(*command).starts_with("OOM "), "{command}");
    }
    assert_eq!(traces(), before);
    messages.assert_silent();
    for command in READS.iter().chain(GOING) {
        client.run(*command);
    }
    make_room(&mut client);
    client.run(r#"TRADE.PUBLISH S order.cancelled '{"order_id":"open"}'"#);
    replica.catch_up_with(&server);
    assert_eq!(replica.digest(), server.digest());
}

/// A transaction or a script that meets the limit writes all or nothing of each command, and what was refused in it is
/// told.
#[test]
fn transactions_and_scripts_are_refused_whole() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    run_course(&mut client);
    let publish = r#"TRADE.PUBLISH S order.cancelled '{"order_id":"open"}'"#;
    let in_script = "return redis.call('TRADE.PUBLISH', KEYS[1], 'trade.executed', '{}')";
    let in_function = "#!lua name=bus\n\
        redis.register_function('publish', function(keys) return redis.call('TRADE.PUBLISH', keys[1], 'trade.executed', '{}') end)";
    client.run(["FUNCTION", "LOAD", in_function]);

    // Queued while there is room, and run when there is none.
    client.run("MULTI");
    client.run(publish);
    fill(&mut server.client());
    let digest = server.digest();
    let error = client.error("EXEC");
    assert!(error.starts_with("EXECABORT ") && error.contains("OOM"), "{error}");
    // Queued when there is none.
    client.run("MULTI");
    assert!(client.error(publish).starts_with("OOM "));
    assert!(client.error("EXEC").starts_with("EXECABORT "));
    for script in [&["EVAL", in_script, "1", "S"], &["FCALL", "publish", "1", "S"]] {
        assert!(client.error(script.as_slice()).contains("OOM"), "{script:?}");
    }
    assert_eq!(server.digest(), digest);

    make_room(&mut client);
    client.run(["EVAL", in_script, "1", "S"]);
    client.run("FCALL publish 1 S");
    client.run(publish);
}

/// The limit is looked at before a command, so one that goes beyond it is whole; the next one is refused, until
/// something is freed. Trimming a log frees most, and breaks nothing.
#[test]
fn a_batch_that_goes_over_the_limit_is_whole_and_a_trim_makes_room() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    let batch = |from: usize| {
        let padding = "x".repeat(900);
        let events = (from..from + 1_000)
            .map(|at| format!(r#"order.created '{{"order_id":"{at}","volume":1,"note":"{padding}"}}'"#));
        format!("TRADE.MPUBLISH S 1000 {}", events.collect::<Vec<_>>().join(" "))
    };
    client.run(batch(0));
    let used: u64 = server.info("memory", "used_memory").expect("a field").parse().expect("bytes");
    // Less than the batch takes, and more than the client's own buffers, which count too.
    client.run(["CONFIG".to_owned(), "SET".to_owned(), "maxmemory".to_owned(), (used + (2 << 20)).to_string()]);
    client.run(batch(1_000));
    assert_eq!(client.int("XLEN trade:{S}:events"), 2_000);
    assert!(client.error(batch(2_000)).starts_with("OOM "));
    let single = r#"TRADE.PUBLISH S order.created '{"order_id":"one","volume":1}'"#;
    assert!(client.error(single).starts_with("OOM "));
    let newest = client.map("TRADE.STATS S")["last_id"].clone();
    assert!(client.int("XTRIM trade:{S}:events MAXLEN 100") == 1_900);
    let mut messages = server.subscribe("SUBSCRIBE trades:S:order.created");
    client.run(single);
    assert_eq!(messages.take(1)[0].json()["prev_log_id"], newest.as_str());
    let stats = client.map("TRADE.STATS S");
    assert_eq!((stats["events"].as_str(), stats["open_orders"].as_str()), ("2001", "2001"));
}

/// A batch is more than one call of the server's trims, when nodes are small.
#[test]
fn batches_stay_within_their_age() {
    let server = Server::start(Options::new().module_args("stream-maxage 1").config("stream-node-max-entries 1"));
    let mut client = server.client();
    let batch = format!("TRADE.MPUBLISH S 1000 {}", "trade.executed {} ".repeat(1_000));
    for _ in 0..5 {
        client.run(&batch);
        let newest = client.map("TRADE.STATS S")["last_id"].clone();
        let ms: i64 = newest.split('-').next().and_then(|ms| ms.parse().ok()).expect("milliseconds");
        wait_until("the batch to be old", || client.time_ms() > ms + 2);
    }
    client.run(&batch);
    assert_eq!(client.int("XLEN trade:{S}:events"), 1_000);
}

/// A limit that is lowered does not have one publish free all that is too much: others wait meanwhile.
#[test]
fn a_lowered_limit_is_reached_in_steps() {
    let mut lengths = Vec::new();
    let server = Server::start(Options::new().config("stream-node-max-entries 1"));
    let mut client = server.client();
    let batch = format!("TRADE.MPUBLISH S 1000 {}", "trade.executed {} ".repeat(1_000));
    for _ in 0..150 {
        client.run(&batch);
    }
    client.run("CONFIG SET tradebus.stream-maxlen 500");
    while lengths.last() != Some(&500) {
        client.run("TRADE.PUBLISH S trade.executed {}");
        lengths.push(client.int("XLEN trade:{S}:events"));
        assert!(lengths.len() < 1_000, "{lengths:?}");
    }
    assert!(lengths[0] > 10_000 && lengths.is_sorted_by(|a, b| a >= b), "{lengths:?}");
    client.run(&batch);
    assert_eq!(client.int("XLEN trade:{S}:events"), 500, "what a command adds goes at once");
}

/// What is remembered of symbols that are gone goes with them; of those that are left nothing is forgotten.
#[test]
fn what_was_flushed_takes_no_memory() {
    let server = Server::start(Options::new().module_args("any-db yes bar-grace 3600000"));
    let mut client = server.client();
    let waiting = || server.info("tradebus", "tradebus_symbols_with_forming_bars").expect("a field");
    let ticks = |client: &mut Client| {
        client.run("COND.REGISTER S 1w 'close > 1' ID c");
        client.run("MARKET.TICK S 2 1");
    };
    ticks(&mut client);
    client.run("SELECT 1");
    ticks(&mut client);
    assert_eq!(waiting(), "2");
    client.run("FLUSHDB");
    wait_until("the symbol that is left to be found", || waiting() == "1");
    client.run("FLUSHALL");
    assert_eq!(waiting(), "0");
}

/// A replica does what its master tells it, however small it is itself; and it answers.
#[test]
fn a_replica_with_less_memory_follows() {
    let master = Server::start(Options::new());
    let replica = Server::start(Options::new().config("maxmemory 1").replica_of(&master));
    run_course(&mut master.client());
    replica.catch_up_with(&master);
    assert_eq!(replica.digest(), master.digest());
    for command in READS {
        replica.client().run(*command);
    }
}
