//! MARKET.TICK: the bars that ticks build, and what of them outlives a server.

use crate::support::{wait_until, Client, Options, Server, Stop};

/// An open of every timeframe up to an hour: 2025-11-17T18:00:00Z.
pub const OPEN: i64 = 1_763_402_400_000;

/// The timer stays out of it: its turn comes an hour after the last tick.
pub fn unhurried() -> Options {
    Options::new().module_args("bar-grace 3600000")
}

/// Sends a tick of so many milliseconds after [`OPEN`].
#[track_caller]
pub fn tick(client: &mut Client, after: i64, price_and_volume: &str) -> String {
    client.text(format!("MARKET.TICK S {price_and_volume} TIMESTAMP {}", OPEN + after))
}

/// A condition, so that ticks build bars of the timeframe. It is never true.
#[track_caller]
pub fn build(client: &mut Client, timeframe: &str) {
    client.run(format!("COND.REGISTER S {timeframe} 'close < -1000000'"));
}

/// Waits until a replica's file is complete: after the transfer from its master it is written anew, and before that is
/// done the replica comes back empty.
pub fn await_own_file(replica: &Server) {
    wait_until("the append-only file", || {
        let is = |field: &str, value: &str| replica.info("persistence", field).as_deref() == Some(value);
        is("aof_enabled", "1") && is("aof_rewrite_in_progress", "0") && is("aof_rewrite_scheduled", "0")
    });
}

/// A counter of INFO.
pub fn counted(server: &Server, field: &str) -> u64 {
    let field = format!("tradebus_{field}");
    server.info("tradebus", &field).unwrap_or_else(|| panic!("no {field}")).parse().expect("a number")
}

#[test]
fn one_stream_of_ticks_builds_every_timeframe() {
    let server = Server::start(unhurried());
    let mut client = server.client();
    let mut messages = server.subscribe("PSUBSCRIBE market:*");
    // Without a condition nobody wants bars.
    assert_eq!(tick(&mut client, 0, "1 1"), "[]");
    assert_eq!(client.int("DBSIZE"), 0);
    for timeframe in ["1m", "5m", "1h"] {
        build(&mut client, timeframe);
    }
    // 0.1 and 0.2 are no sums of doubles; the last one is told before one of the same bar.
    for (after, price_and_volume) in [
        (0, "10 0.1"),
        (20_000, "12 0.2"),
        (10_000, "9 0"),
        (60_000, "11 0.1"),
        (119_999, "10.5 0.2"),
        (100_000, "13 1e-18"),
        (301_000, "8 1"),
    ] {
        assert_eq!(tick(&mut client, after, price_and_volume), "[]");
    }
    let candles = |client: &mut Client, timeframe| client.text(format!("MARKET.CANDLES S {timeframe} - +"));
    assert_eq!(
        candles(&mut client, "1m"),
        r#"[[1763402400000, "10", "12", "9", "12", "0.3"], [1763402460000, "11", "13", "10.5", "10.5", "0.300000000000000001"]]"#
    );
    assert_eq!(candles(&mut client, "5m"), r#"[[1763402400000, "10", "13", "9", "10.5", "0.600000000000000001"]]"#);
    assert_eq!(candles(&mut client, "1h"), "[]");
    let forming = client.map("HGETALL market:{S}:forming");
    assert_eq!(forming["1m"], "1763402700000 8 8 8 8 1 1 1763402701000 1763402701000");
    assert_eq!(forming["5m"], "1763402700000 8 8 8 8 1 1 1763402701000 1763402701000");
    assert_eq!(forming["1h"], "1763402400000 10 13 8 8 1.600000000000000001 7 1763402400000 1763402701000");
    let told: Vec<_> = messages
        .until_now()
        .iter()
        .map(|message| format!("{} {} {}", message.channel, message.json()["id"], message.json()["prev_id"]))
        .collect();
    assert_eq!(
        told,
        [
            r#"market:S:1m "1763402400000-0" "0-0""#,
            r#"market:S:1m "1763402460000-0" "1763402400000-0""#,
            r#"market:S:5m "1763402400000-0" "0-0""#,
        ]
    );
    // The bars without ticks are a gap of one timeframe and of none of the others.
    tick(&mut client, 360_000, "8 1");
    assert_eq!(counted(&server, "candle_gaps"), 1);
}

#[test]
fn a_tick_of_a_closed_bar_is_dropped_and_counted() {
    let server = Server::start(unhurried());
    let mut client = server.client();
    build(&mut client, "1m");
    tick(&mut client, 0, "10 1");
    tick(&mut client, 60_000, "11 1");
    let before = server.digest();
    for (after, late) in [(59_999, 1), (0, 2), (-60_000, 3)] {
        assert_eq!(tick(&mut client, after, "99 1"), "[]");
        assert_eq!((counted(&server, "late_ticks"), server.digest()), (late, before.clone()));
    }
    // Late for one timeframe is late, though another takes it.
    build(&mut client, "1h");
    tick(&mut client, 1_000, "99 1");
    assert_eq!(counted(&server, "late_ticks"), 4);
    assert!(client.string("HGET market:{S}:forming 1h").starts_with("1763402400000 99 99 99 99 1 1 "));
    assert!(client.string("HGET market:{S}:forming 1m").starts_with("1763402460000 11 11 11 11 1 1 "));
    // Nor can one be ahead of the bar in which nothing is built yet.
    client.run("HSET market:{S}:forming 1m ticks");
    tick(&mut client, 59_999, "99 1");
    assert_eq!((counted(&server, "late_ticks"), client.string("HGET market:{S}:forming 1m")), (5, "ticks".to_owned()));
}

#[test]
fn what_is_fed_with_candles_is_left_alone() {
    let server = Server::start(unhurried());
    let mut client = server.client();
    for timeframe in ["1m", "5m"] {
        build(&mut client, timeframe);
    }
    tick(&mut client, 0, "10 1");
    // History decides nothing; a candle that has just closed does, and the bar that ticks had begun is gone.
    client.run(format!("MARKET.CANDLE S 1m {} 1 1 1 1 1 BACKFILL", OPEN - 60_000));
    assert!(client.string("HGET market:{S}:forming 1m").starts_with("1763402400000 10 "));
    client.run(format!("MARKET.CANDLE S 1m {OPEN} 1 1 1 1 1"));
    for after in [1_000, 60_000, 120_000, 600_000] {
        tick(&mut client, after, "10 1");
    }
    assert_eq!(client.string("HGET market:{S}:forming 1m"), "candles");
    assert_eq!(client.int("XLEN market:{S}:1m"), 2);
    assert_eq!(client.int("XLEN market:{S}:5m"), 1);
    assert_eq!(counted(&server, "late_ticks"), 0);
}

#[test]
fn what_is_no_tick_changes_nothing() {
    let server = Server::start(Options::new().module_args("bar-grace 60000"));
    let mut client = server.client();
    build(&mut client, "1m");
    build(&mut client, "1w");
    let now = client.time_ms();
    client.run("MARKET.TICK S 10 1e17");
    client.run("SET market:{STRING}:forming x");
    let before = (server.digest(), client.int("DBSIZE"));
    let ahead = (now + 120_000).to_string();
    let rows: &[(&[&[u8]], &str)] = &[
        (&[b"S"], "ERR wrong number of arguments"),
        (&[b"S", b"1"], "ERR wrong number of arguments"),
        (&[b"S", b"NaN", b"1"], "BADFIELD price"),
        (&[b"S", b"1e400", b"1"], "BADFIELD price"),
        (&[b"S", b"", b"1"], "BADFIELD price"),
        (&[b"S", b"\xff\x00", b"1"], "BADFIELD price"),
        (&[b"S", b"1", b"-1"], "BADFIELD volume"),
        (&[b"S", b"1", b"inf"], "BADFIELD volume"),
        (&[b"S", b"1", b"1000000000000000000"], "BADFIELD volume"),
        // The sum of the bar would not be exact.
        (&[b"S", b"1", b"1e-60"], "BADFIELD"),
        (&[b"S", b"1", b"1", b"TIMESTAMP"], "ERR TIMESTAMP needs a value"),
        (&[b"S", b"1", b"1", b"TIMESTAMP", b"soon"], "BADFIELD TIMESTAMP"),
        (&[b"S", b"1", b"1", b"TIMESTAMP", b"\xff"], "BADFIELD TIMESTAMP"),
        (&[b"S", b"1", b"1", b"TIMESTAMP", b"-1"], "BADFIELD TIMESTAMP"),
        (&[b"S", b"1", b"1", b"TIMESTAMP", b"0"], "BADFIELD TIMESTAMP"),
        (&[b"S", b"1", b"1", b"TIMESTAMP", b"1", b"TIMESTAMP", b"1"], "ERR"),
        (&[b"S", b"1", b"1", b"TIMESTAMP", ahead.as_bytes()], "BADFIELD TIMESTAMP"),
        (&[b"S", b"1", b"1", b"AT", b"1"], "ERR unknown option `AT`, known are TIMESTAMP"),
        (&[b"", b"1", b"1"], "BADSYMBOL"),
        (&[b"a\xff", b"1", b"1"], "BADSYMBOL"),
        (&[b"STRING", b"1", b"1"], "WRONGTYPE"),
    ];
    for (words, expected) in rows {
        let command: Vec<&[u8]> = [b"MARKET.TICK".as_slice()].into_iter().chain(words.iter().copied()).collect();
        let shown = command.join(&b' ').escape_ascii().to_string();
        let error = client.error(&command);
        assert!(error.starts_with(expected), "{shown}: {error}");
        assert_eq!((server.digest(), client.int("DBSIZE")), before, "{shown}");
    }
    // A little ahead is a clock that goes wrong a little.
    client.run(format!("MARKET.TICK S 1 1 TIMESTAMP {}", now + 30_000));
    client.run("HSET market:{S}:forming 1m nonsense");
    let error = client.error("MARKET.TICK S 1 1");
    assert!(error.starts_with("CORRUPT field 1m of the forming bars"), "{error}");
}

#[test]
fn the_bar_that_forms_outlives_the_server() {
    for stop in [Stop::Kill, Stop::Shutdown] {
        for is_aof in [true, false] {
            let kept = |options: Options| if is_aof { options.append_only() } else { options };
            let mut server = Server::start(kept(unhurried()));
            let mut client = server.client();
            build(&mut client, "1m");
            client.run("COND.REGISTER S 5m 'rsi(2) < 30 AND close CROSSES sma(3)'");
            for after in [0, 60_000, 90_000, 300_000, 330_000] {
                tick(&mut client, after, "10.5 0.1");
            }
            if !is_aof {
                client.run("SAVE");
            }
            let before = server.digest();
            // Nothing of it needs the module; and the effects are all that there is.
            server.restart(stop, kept(Options::plain()));
            assert_eq!(server.digest(), before, "{stop:?} {is_aof}: without the module");
            server.client().run(if is_aof { "PING" } else { "SAVE" });
            server.restart(stop, kept(unhurried()));
            assert_eq!(server.digest(), before, "{stop:?} {is_aof}: with the module");
            let mut client = server.client();
            tick(&mut client, 331_000, "12 0.2");
            tick(&mut client, 360_000, "10 1");
            let last = client.text("MARKET.CANDLES S 1m + - COUNT 1 REV");
            assert_eq!(last, r#"[[1763402700000, "10.5", "12", "10.5", "12", "0.4"]]"#, "{stop:?} {is_aof}");
        }
    }
}

#[test]
fn a_replica_without_the_module_has_the_same_and_tells_the_same() {
    let master = Server::start(unhurried().module_args("candle-history 20").config("stream-node-max-entries 4"));
    let replica = Server::start(Options::plain().append_only().replica_of(&master));
    let mut on_master = master.subscribe("PSUBSCRIBE market:* condition.*");
    let mut on_replica = replica.subscribe("PSUBSCRIBE market:* condition.*");
    let mut client = master.client();
    build(&mut client, "1m");
    client.run("COND.REGISTER S 5m 'close > sma(2)' MODE level");
    for step in 0..300 {
        tick(&mut client, step * 17_000, &format!("{}.25 0.1", 100 + (step * 7) % 13));
    }
    for bar in 0..30 {
        client.run(format!("MARKET.CANDLE T 1h {} 1 1 1 1 1", OPEN + bar * 3_600_000));
        client.run(format!("MARKET.CANDLE T 1h {} 1 1 1 1 2", OPEN + bar * 3_600_000));
    }
    replica.catch_up_with(&master);
    let told = on_master.until_now();
    assert!(told.len() > 150, "{}", told.len());
    assert_eq!(on_replica.until_now(), told);
    let streams = |server: &Server| {
        let mut client = server.client();
        let mut info = |key: &str| {
            let info = client.map(["XINFO", "STREAM", key]);
            ["length", "last-generated-id", "entries-added"].map(|name| info[name].clone())
        };
        ["market:{S}:1m", "market:{S}:5m", "market:{T}:1h"].map(&mut info)
    };
    assert_eq!((replica.digest(), streams(&replica)), (master.digest(), streams(&master)));
    let mut replica = replica;
    let before = (replica.digest(), streams(&replica));
    await_own_file(&replica);
    replica.restart(Stop::Kill, Options::plain().append_only());
    assert_eq!((replica.digest(), streams(&replica)), before);
}
