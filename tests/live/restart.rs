//! Restarts: the data comes back without the module, loading tells nobody anything, and with the module the
//! chains and the memory of ids go on.

use crate::day::{Chains, Day};
use crate::replication::{busy, state};
use crate::support::{wait_until, Options, Server, Stop};

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
