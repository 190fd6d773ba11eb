//! Restarts: the data comes back without the module, loading tells nobody anything, and with the module the
//! chains and the memory of ids go on.

use redis::Value;

use crate::day::{Chains, Day, SYMBOLS};
use crate::replication::{busy, state};
use crate::support::{text, wait_until, Options, Server, Stop};

/// What a repeat must be answered with, for as long as the window lasts.
const ONCE: &str = "TRADE.PUBLISH XAUUSD trade.executed {} ID once";

/// How data is kept while the server is down.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kept {
    Aof,
    RewrittenAof,
    Rdb,
}

#[test]
fn everything_goes_on_after_a_restart() {
    for (kept, stop) in [
        (Kept::Aof, Stop::Shutdown),
        (Kept::Aof, Stop::Kill),
        (Kept::RewrittenAof, Stop::Kill),
        (Kept::Rdb, Stop::Shutdown),
    ] {
        let stored = |options: Options| match kept {
            Kept::Rdb => options,
            Kept::Aof | Kept::RewrittenAof => options.config("appendonly yes").config("appendfsync always"),
        };
        let mut server = Server::start(stored(busy()));
        let (mut day, mut chains) = (Day::new(5), Chains::default());
        let mut first = String::new();
        for round in 0..2 {
            let mut messages = server.subscribe("PSUBSCRIBE trades:*");
            let mut client = server.client();
            let id = client.string(ONCE);
            if round == 0 {
                first = id.clone();
            }
            assert_eq!(id, first, "{kept:?}: the repeat of an id");
            day.run(&mut client, 150);
            if kept == Kept::RewrittenAof {
                client.run("BGREWRITEAOF");
                wait_until("the rewrite", || {
                    server.info("persistence", "aof_rewrite_in_progress").as_deref() == Some("0")
                });
                // Both parts have to be read.
                day.run(&mut client, 50);
            }
            chains.follow(&messages.until_now());
            if kept == Kept::Rdb {
                client.run("SAVE");
            }
            let before = state(&server);
            server.restart(stop, stored(Options::plain()));
            assert_eq!(state(&server), before, "{kept:?} {stop:?}, without the module");
            if kept == Kept::Rdb {
                server.client().run("SAVE");
            }
            server.restart(stop, stored(busy()));
            assert_eq!(state(&server), before, "{kept:?} {stop:?}, with the module");
        }
        assert!(chains.len() > 200, "{}", chains.len());
    }
}

/// The log is much shorter than the day: what the chain needs is in no entry any more.
#[test]
fn a_chain_outlives_its_entries() {
    let options = || Options::new().module_args("stream-maxlen 2").config("stream-node-max-entries 1").append_only();
    let mut server = Server::start(options());
    let rare = server.client().string("TRADE.PUBLISH S trade.failed '{\"reason\":\"r\"}'");
    // Fewer than the summary may lag behind a longer log.
    server.client().run(format!("TRADE.MPUBLISH S 30 {}", "trade.executed {} ".repeat(30)));
    assert!(!server.client().text("XRANGE trade:{S}:events - +").contains(&rare));
    server.restart(Stop::Kill, options());
    let mut messages = server.subscribe("SUBSCRIBE trades:S:trade.failed");
    server.client().run("TRADE.PUBLISH S trade.failed '{\"reason\":\"r\"}'");
    assert_eq!(messages.take(1)[0].json()["prev_id"], rare.as_str());
}

#[test]
fn loading_publishes_nothing() {
    let server = Server::start(busy().append_only());
    Day::new(3).run(&mut server.client(), 200);
    let before = state(&server);
    let mut messages = server.subscribe("PSUBSCRIBE *");
    for command in ["DEBUG LOADAOF", "DEBUG RELOAD"] {
        server.client().run(command);
        messages.assert_silent();
        assert_eq!(state(&server), before, "{command}");
    }
}

/// With `appendfsync always`, a crash in the middle of the traffic loses nothing that was acknowledged, and
/// leaves no event half done: every version that an order has had is an entry of the log.
#[test]
fn a_crash_keeps_what_was_acknowledged() {
    let options = || Options::new().config("appendonly yes").config("appendfsync always");
    let mut server = Server::start(options());
    let clients: Vec<_> = SYMBOLS.map(|symbol| (symbol, server.client())).into();
    let publishers: Vec<_> = clients
        .into_iter()
        .map(|(symbol, mut client)| {
            std::thread::spawn(move || {
                let publish = format!(r#"TRADE.PUBLISH {symbol} order.modified '{{"order_id":"1","price":1}}'"#);
                let mut acknowledged = Vec::new();
                while let Ok(Value::BulkString(id)) = client.try_reply(&publish) {
                    acknowledged.push(String::from_utf8(id).expect("an id"));
                }
                (symbol, acknowledged)
            })
        })
        .collect();
    wait_until("some traffic", || {
        let mut client = server.client();
        SYMBOLS.iter().all(|symbol| client.int(format!("XLEN trade:{{{symbol}}}:events")) > 100)
    });
    server.stop(Stop::Kill);
    let acknowledged: Vec<_> = publishers.into_iter().map(|publisher| publisher.join().expect("a publisher")).collect();
    server.start_again(options());
    let mut client = server.client();
    for (symbol, acknowledged) in acknowledged {
        let Value::Array(entries) = client.run(format!("XRANGE trade:{{{symbol}}}:events - +")) else {
            panic!("XRANGE replies an array")
        };
        let ids: Vec<String> = entries
            .iter()
            .map(|entry| match entry {
                Value::Array(entry) => text(&entry[0]).trim_matches('"').to_owned(),
                other => panic!("not an entry: {other:?}"),
            })
            .collect();
        assert_eq!(ids[..acknowledged.len()], acknowledged);
        // One more may have been written when its reply did not get out.
        assert!(ids.len() <= acknowledged.len() + 1, "{} of {}", acknowledged.len(), ids.len());
        let order = client.map(format!("TRADE.ORDER {symbol} 1"));
        assert_eq!(
            (&order["version"], &order["last_event_id"]),
            (&ids.len().to_string(), ids.last().expect("entries"))
        );
    }
}
