//! Bars that the server's clock closes: when, on which node, and what must not disturb it.

use std::collections::BTreeSet;
use std::fs;

use crate::support::{text, wait_until, Client, Options, Server, Stop};
use crate::ticks::{await_own_file, build, tick, unhurried, OPEN};

fn hurried() -> Options {
    Options::new().module_args("bar-grace 50")
}

/// Waits until the server has called us some times since, however often that is.
fn let_it_pass(client: &mut Client, ms: i64) {
    let begun = client.time_ms();
    wait_until("time to pass", || client.time_ms() > begun + ms);
}

/// More than two turns of the server's timer, and the grace of [`hurried`].
const TURNS_MS: i64 = 400;

#[track_caller]
fn await_candles(client: &mut Client, key: &str, count: i64) {
    wait_until(&format!("{count} candles in {key}"), || client.int(["XLEN", key]) == count);
}

/// A tick of now, in a bar that has at least half of it left.
fn fresh_tick(client: &mut Client, symbol: &str) {
    wait_until("a bar to begin", || client.time_ms() % 1_000 < 500);
    client.run(format!("MARKET.TICK {symbol} 10 1"));
}

#[test]
fn a_bar_is_closed_by_the_clock_after_its_grace() {
    const GRACE_MS: i64 = 100;
    let server = Server::start(Options::new().module_args(&format!("bar-grace {GRACE_MS}")));
    let mut client = server.client();
    let mut messages = server.subscribe("SUBSCRIBE market:S:1s");
    client.run("COND.REGISTER S 1s 'volume > 0' MODE level ID always");
    client.run("COND.SUBSCRIBE S always bot TYPE dca");
    let mut reader = server.client();
    for round in 1..=3 {
        fresh_tick(&mut client, "S");
        if round == 1 {
            reader.send("XREAD BLOCK 0 STREAMS market:{S}:1s $");
        }
        let message = messages.take(1).remove(0).json();
        let open_time = message["data"]["open_time"].as_i64().expect("a time");
        let published = message["published_at"].as_str().expect("a time");
        let seconds_and_ms: i64 = published[17..23].replace('.', "").parse().expect("digits");
        // A busy machine may be late, by less than the minute that is not looked at here; early is never.
        let after = (seconds_and_ms - (open_time + 1_000)).rem_euclid(60_000);
        assert!((GRACE_MS..30_000).contains(&after), "published {after} ms after its end: {message}");
        assert_eq!(client.int("XLEN market:{S}:1s"), round, "no bars of a time without ticks");
        assert_eq!(client.string("HGET market:{S}:forming 1s"), "ticks");
        assert_eq!((client.int("XLEN cond:{S}:triggers"), client.int("XLEN bots:{S}:dca")), (round, round));
        assert_eq!(server.info("tradebus", "tradebus_symbols_with_forming_bars").as_deref(), Some("0"));
    }
    // Who waits for the candle is woken by the clock.
    let woken = text(&reader.receive().expect("a reply"));
    assert!(woken.starts_with(r#"[["market:{S}:1s", [["#), "{woken}");
    messages.assert_silent();
}

/// The long bar of a symbol still forms when the short one is over.
#[test]
fn each_timeframe_is_closed_in_its_time() {
    let server = Server::start(hurried());
    let mut client = server.client();
    for timeframe in ["1s", "1w"] {
        build(&mut client, timeframe);
    }
    for round in 1..=2 {
        fresh_tick(&mut client, "S");
        await_candles(&mut client, "market:{S}:1s", round);
        assert_eq!(server.info("tradebus", "tradebus_symbols_with_forming_bars").as_deref(), Some("1"));
    }
    assert_eq!(client.int("EXISTS market:{S}:1w"), 0);
    assert!(client.string("HGET market:{S}:forming 1w").contains(" 10 10 10 10 2 2 "));
}

#[test]
fn a_bar_is_closed_after_a_restart() {
    for is_aof in [true, false] {
        let kept = |options: Options| if is_aof { options.append_only() } else { options };
        let mut server = Server::start(kept(unhurried()));
        let mut client = server.client();
        build(&mut client, "1m");
        tick(&mut client, 0, "10 1");
        tick(&mut client, 1_000, "12 0.5");
        if !is_aof {
            client.run("SAVE");
        }
        server.restart(Stop::Kill, kept(hurried()));
        let mut client = server.client();
        await_candles(&mut client, "market:{S}:1m", 1);
        assert_eq!(client.text("MARKET.CANDLES S 1m - +"), r#"[[1763402400000, "10", "12", "10", "12", "1.5"]]"#);
        assert_eq!(client.string("HGET market:{S}:forming 1m"), "ticks");
    }
}

#[test]
fn loading_again_forgets_no_bar() {
    let server = Server::start(unhurried().append_only());
    let mut client = server.client();
    build(&mut client, "1m");
    for (bar, command) in (0..).zip(["DEBUG RELOAD", "DEBUG LOADAOF"]) {
        client.run("CONFIG SET tradebus.bar-grace 3600000");
        tick(&mut client, bar * 60_000, "10 1");
        client.run(command);
        client.run("CONFIG SET tradebus.bar-grace 0");
        await_candles(&mut client, "market:{S}:1m", bar + 1);
    }
}

#[test]
fn only_the_master_closes_and_who_is_promoted_goes_on() {
    let master = Server::start(unhurried());
    // It has the module, and would be due long since.
    let replica = Server::start(hurried().append_only().replica_of(&master));
    let mut heard = replica.subscribe("PSUBSCRIBE market:*");
    let mut client = master.client();
    build(&mut client, "1m");
    tick(&mut client, 0, "10 1");
    replica.catch_up_with(&master);
    let mut reader = replica.client();
    let_it_pass(&mut reader, TURNS_MS);
    assert_eq!(reader.int("EXISTS market:{S}:1m"), 0);
    assert_eq!(replica.digest(), master.digest());
    heard.assert_silent();
    reader.run("REPLICAOF NO ONE");
    await_candles(&mut reader, "market:{S}:1m", 1);
    assert_eq!(heard.take(1)[0].json()["id"], "1763402400000-0");
    // The other way round: who leads no longer writes no more.
    reader.run("CONFIG SET tradebus.bar-grace 3600000");
    tick(&mut reader, 60_000, "11 1");
    reader.run(format!("REPLICAOF 127.0.0.1 {}", master.port()));
    reader.run("CONFIG SET tradebus.bar-grace 0");
    replica.catch_up_with(&master);
    let_it_pass(&mut reader, TURNS_MS);
    assert_eq!(replica.digest(), master.digest());
    assert_eq!(reader.int("EXISTS market:{S}:1m"), 0);
}

#[test]
fn a_replicas_subscribers_hear_of_a_bar_once() {
    let master = Server::start(hurried());
    let with = Server::start(hurried().replica_of(&master));
    let without = Server::start(Options::plain().append_only().replica_of(&master));
    let mut heard = [&master, &with, &without].map(|server| server.subscribe("PSUBSCRIBE market:*"));
    let mut client = master.client();
    build(&mut client, "1s");
    build(&mut client, "1m");
    tick(&mut client, 0, "10 1");
    await_candles(&mut client, "market:{S}:1m", 1);
    for replica in [&with, &without] {
        replica.catch_up_with(&master);
        assert_eq!(replica.digest(), master.digest());
    }
    let told = heard[0].until_now();
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(heard[1].until_now(), told);
    assert_eq!(heard[2].until_now(), told);
    let (mut without, before) = (without, master.digest());
    await_own_file(&without);
    without.restart(Stop::Kill, Options::plain().append_only());
    assert_eq!(without.digest(), before);
}

/// To write while the server keeps still for its replicas would end it.
#[test]
fn nothing_is_closed_while_writes_are_paused() {
    let master = Server::start(unhurried());
    let replica = Server::start(Options::plain().replica_of(&master));
    let mut client = master.client();
    build(&mut client, "1m");
    tick(&mut client, 0, "10 1");
    client.run("CLIENT PAUSE 60000 WRITE");
    client.run("CONFIG SET tradebus.bar-grace 0");
    let_it_pass(&mut client, TURNS_MS);
    assert_eq!(client.int("XLEN market:{S}:1m"), 0);
    client.run("CLIENT UNPAUSE");
    await_candles(&mut client, "market:{S}:1m", 1);
    replica.catch_up_with(&master);
    assert_eq!(replica.digest(), master.digest());
}

#[test]
fn nothing_is_closed_while_a_failover_is_under_way() {
    let master = Server::start(unhurried());
    let replica = Server::start(hurried().replica_of(&master));
    let mut client = master.client();
    build(&mut client, "1m");
    client.run("CONFIG SET repl-timeout 3600");
    // It counts for a failover once it has answered.
    assert_eq!(client.int("WAIT 1 20000"), 1);
    // A replica that does not answer keeps the failover waiting for it.
    replica.freeze();
    tick(&mut client, 0, "10 1");
    client.run(format!("FAILOVER TO 127.0.0.1 {}", replica.port()));
    let state = master.info("replication", "master_failover_state");
    client.run("CONFIG SET tradebus.bar-grace 0");
    let_it_pass(&mut client, TURNS_MS);
    let (count, after) = (client.int("XLEN market:{S}:1m"), master.info("replication", "master_failover_state"));
    replica.thaw();
    assert_eq!((state.as_deref(), after.as_deref()), (Some("waiting-for-sync"), Some("waiting-for-sync")));
    assert_eq!(count, 0);
    wait_until("the failover", || master.info("replication", "role").as_deref() == Some("slave"));
    await_candles(&mut replica.client(), "market:{S}:1m", 1);
    master.catch_up_with(&replica);
    assert_eq!(master.digest(), replica.digest());
    // And back: whose bars form by now, the first master has not heard of, and nothing was loaded that could tell it.
    let mut leader = replica.client();
    leader.run("CONFIG SET tradebus.bar-grace 3600000");
    leader.run("COND.REGISTER T 1m 'close > 1'");
    leader.run(format!("MARKET.TICK T 10 1 TIMESTAMP {OPEN}"));
    master.catch_up_with(&replica);
    replica.hand_over_to(&master);
    wait_until("the failover back", || replica.info("replication", "role").as_deref() == Some("slave"));
    await_candles(&mut master.client(), "market:{T}:1m", 1);
}

#[test]
fn databases_are_closed_each_for_itself() {
    let options = |grace: u32| Options::new().module_args(&format!("any-db yes bar-grace {grace}")).append_only();
    let mut server = Server::start(options(3_600_000));
    let in_database = |server: &Server, database: i64| {
        let mut client = server.client();
        client.run(format!("SELECT {database}"));
        client
    };
    for database in [0, 3, 15] {
        let mut client = in_database(&server, database);
        build(&mut client, "1m");
        tick(&mut client, database * 60_000, "10 1");
    }
    server.restart(Stop::Kill, options(50));
    for round in 1..=2 {
        for database in [0, 3, 15] {
            let mut client = in_database(&server, database);
            await_candles(&mut client, "market:{S}:1m", round);
            let newest = client.text("MARKET.CANDLES S 1m + - COUNT 1 REV");
            assert!(newest.starts_with(&format!("[[{}, ", OPEN + (database + round - 1) * 60_000)), "{newest}");
            tick(&mut client, (database + round) * 60_000, "10 1");
        }
    }
}

#[test]
fn bars_move_with_their_database() {
    let server = Server::start(Options::new().module_args("any-db yes bar-grace 3600000"));
    let mut client = server.client();
    build(&mut client, "1m");
    tick(&mut client, 0, "10 1");
    client.run("SWAPDB 0 5");
    client.run("CONFIG SET tradebus.bar-grace 0");
    client.run("SELECT 5");
    await_candles(&mut client, "market:{S}:1m", 1);
    client.run("SELECT 0");
    assert_eq!(client.int("DBSIZE"), 0);
}

/// Two databases may have the same up to the id of the newest candle: what is remembered of one is not of the other.
#[test]
fn what_is_remembered_moves_with_its_database() {
    let server = Server::start(Options::new().module_args("any-db yes bar-grace 3600000"));
    let mut client = server.client();
    client.run("COND.REGISTER S 1m 'close > sma(2)' ID c");
    client.run(format!("MARKET.CANDLE S 1m {OPEN} 1 1 1 1 1"));
    for key in client.keys("*") {
        client.run(["COPY", &key, &key, "DB", "5"]);
    }
    let explained = [(0, 3), (5, 7)].map(|(database, close)| {
        client.run(format!("SELECT {database}"));
        client.run(format!("MARKET.CANDLE S 1m {} 1 9 1 {close} 1", OPEN + 60_000));
        client.text("COND.EXPLAIN S c")
    });
    assert_ne!(explained[0], explained[1]);
    client.run("SWAPDB 0 5");
    assert_eq!(client.text("COND.EXPLAIN S c"), explained[0]);
    client.run("SELECT 0");
    assert_eq!(client.text("COND.EXPLAIN S c"), explained[1]);
}

#[test]
fn what_was_flushed_is_not_closed() {
    let server = Server::start(unhurried());
    let mut client = server.client();
    let mut messages = server.subscribe("PSUBSCRIBE market:*");
    build(&mut client, "1m");
    tick(&mut client, 0, "10 1");
    client.run("FLUSHALL");
    client.run("CONFIG SET tradebus.bar-grace 0");
    let_it_pass(&mut client, TURNS_MS);
    assert_eq!(client.int("DBSIZE"), 0);
    messages.assert_silent();
    build(&mut client, "1m");
    tick(&mut client, 0, "10 1");
    await_candles(&mut client, "market:{S}:1m", 1);
}

/// A bar that was taken in is closed: it makes no more of what is stored than it was going to.
#[test]
fn a_full_memory_refuses_ticks_and_closes_bars() {
    let server = Server::start(unhurried());
    let mut client = server.client();
    build(&mut client, "1m");
    tick(&mut client, 0, "10 1");
    client.run("CONFIG SET maxmemory 1");
    assert!(client.error("MARKET.TICK S 10 1").starts_with("OOM"));
    client.run("CONFIG SET tradebus.bar-grace 0");
    await_candles(&mut client, "market:{S}:1m", 1);
}

/// Ticks of last year are over when they come. As long as they come, the clock leaves their bars to them.
#[test]
fn ticks_of_long_ago_make_the_bars_that_candles_tell() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    client.run("COND.REGISTER S 1m 'close CROSSES 105' ID crosses");
    client.run("COND.REGISTER C 1m 'close CROSSES 105' ID crosses");
    let begun = client.time_ms();
    let mut bars = 0;
    // Long enough for some turns of the timer within bars.
    while client.time_ms() < begun + 2 * TURNS_MS {
        let base = 100 + bars * 7 % 11;
        for (after, rise, volume) in [(0, 0, "0.1"), (10_000, 4, "0.2"), (20_000, -3, "0.3"), (59_999, 1, "0.4")] {
            tick(&mut client, bars * 60_000 + after, &format!("{}.5 {volume}", base + rise));
        }
        bars += 1;
    }
    for bar in 0..bars {
        let base = 100 + bar * 7 % 11;
        let (open_time, high, low, close) = (OPEN + bar * 60_000, base + 4, base - 3, base + 1);
        client.run(format!("MARKET.CANDLE C 1m {open_time} {base}.5 {high}.5 {low}.5 {close}.5 1"));
    }
    tick(&mut client, bars * 60_000, "100 1");
    assert!(bars > 5, "{bars}");
    let told = client.text("XRANGE market:{C}:1m - +");
    assert_eq!(client.text("XRANGE market:{S}:1m - +"), told);
    assert_eq!(server.info("tradebus", "tradebus_late_ticks").as_deref(), Some("0"));
    assert_eq!(client.int("XLEN cond:{S}:triggers"), client.int("XLEN cond:{C}:triggers"));
}

/// With bars at hand and timers armed, the module goes or says why not, and comes back to its work.
#[test]
fn the_module_may_go_while_bars_wait() {
    let server = Server::start(Options::new().module_args("bar-grace 0"));
    let mut client = server.client();
    let module = client.text("MODULE LIST");
    let path = module.split('"').find(|word| word.ends_with(".so")).expect("its path").to_owned();
    for round in 0..10 {
        for symbol in 0..50 {
            client.run(format!("COND.REGISTER S{symbol} 1m 'close > 1'"));
            client.run(format!("MARKET.TICK S{symbol} 1 1 TIMESTAMP {}", OPEN + round * 60_000));
        }
        // At any moment between two turns of the timer.
        let_it_pass(&mut client, round * 11);
        wait_until("the module to go", || {
            let reply = client.text("MODULE UNLOAD tradebus");
            assert!(reply == "OK" || reply.contains("timer"), "{reply}");
            reply == "OK"
        });
        client.run(["MODULE", "LOAD", &path, "bar-grace", "0"]);
        for symbol in 0..50 {
            await_candles(&mut client, &format!("market:{{S{symbol}}}:1m"), round + 1);
        }
    }
}

/// In a cluster a transaction must have keys of one slot. There are more bars than are closed in one turn.
#[test]
fn the_bars_of_each_symbol_are_a_transaction_of_their_own() {
    const SYMBOLS: usize = 250;
    let options = |grace: u32| {
        let options = Options::new().module_args(&format!("bar-grace {grace} pubsub sharded"));
        options.append_only().config("cluster-enabled yes")
    };
    let mut server = Server::start(options(3_600_000));
    let mut client = server.client();
    client.run("CLUSTER ADDSLOTSRANGE 0 16383");
    wait_until("the cluster to be up", || client.string("CLUSTER INFO").contains("cluster_state:ok"));
    let mut messages = server.subscribe("SSUBSCRIBE market:{S249}:1m");
    let file = server.dir().join("appendonlydir/appendonly.aof.1.incr.aof");
    let mut written = 0;
    for bar in 0..2 {
        for symbol in 0..SYMBOLS {
            client.run(format!("COND.REGISTER S{symbol} 1m 'close > 1' MODE level"));
            client.run(format!("MARKET.TICK S{symbol} 2 1 TIMESTAMP {}", OPEN + bar * 60_000));
        }
        let before = fs::read(&file).expect("an append-only file").len();
        if bar == 0 {
            client.run("CONFIG SET tradebus.bar-grace 0");
        } else {
            // Here it has to find them first.
            server.restart(Stop::Kill, options(0));
            client = server.client();
            wait_until("the cluster to be up", || client.string("CLUSTER INFO").contains("cluster_state:ok"));
        }
        for symbol in 0..SYMBOLS {
            await_candles(&mut client, &format!("market:{{S{symbol}}}:1m"), bar + 1);
        }
        let effects = fs::read(&file).expect("an append-only file").split_off(before);
        let effects = String::from_utf8_lossy(&effects).into_owned();
        for transaction in effects.split("MULTI").skip(1) {
            assert!(transaction.contains("EXEC"), "{transaction}");
            let tags = transaction.split('{').skip(1).filter_map(|rest| rest.split('}').next());
            let symbols: BTreeSet<_> = tags.filter(|tag| tag.starts_with('S')).collect();
            assert_eq!(symbols.len(), 1, "{transaction}");
            written += 1;
        }
        if bar == 0 {
            assert_eq!(messages.take(1)[0].channel, "market:{S249}:1m");
            client.run("CONFIG SET tradebus.bar-grace 3600000");
        }
    }
    assert_eq!(written, 2 * SYMBOLS);
}

/// One feed that lags must not keep the bars open that the others have built.
#[test]
fn late_ticks_keep_no_bar_open() {
    let server = Server::start(hurried());
    let mut client = server.client();
    build(&mut client, "1s");
    fresh_tick(&mut client, "S");
    let begun = client.time_ms();
    wait_until("the bar to close", || {
        client.run(format!("MARKET.TICK S 9 1 TIMESTAMP {}", begun - 60_000));
        client.int("XLEN market:{S}:1s") == 1
    });
    assert!(client.text("MARKET.CANDLES S 1s - +").contains(r#""10", "10", "10", "10", "1"]"#));
}

/// A master that is cut off does what the one in its place does too.
#[test]
fn without_its_replicas_a_master_closes_nothing() {
    let server = Server::start(hurried());
    let mut client = server.client();
    build(&mut client, "1s");
    fresh_tick(&mut client, "S");
    client.run("CONFIG SET min-replicas-to-write 1");
    let_it_pass(&mut client, 1_000 + TURNS_MS);
    assert_eq!(client.int("EXISTS market:{S}:1s"), 0);
    client.run("CONFIG SET min-replicas-to-write 0");
    await_candles(&mut client, "market:{S}:1s", 1);
}
