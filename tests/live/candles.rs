//! MARKET.CANDLE and MARKET.CANDLES: what is stored and told of a candle, what is refused, and what is read back.

use crate::support::{text, Client, Message, Options, Server, Subscriber};
use crate::ticks::counted;
use crate::twin::{shown, Pair};

/// An open of every timeframe up to an hour: 2025-11-17T18:00:00Z.
const OPEN: i64 = 1_763_402_400_000;
const MINUTE: i64 = 60_000;

fn candle(open_time: i64, rest: &str) -> String {
    format!("MARKET.CANDLE S 1m {open_time} {rest}")
}

/// A message without the time at which it was published, which is checked to be there.
#[track_caller]
fn without_clock(message: &Message) -> String {
    let (before, rest) = message.payload.split_once(r#","published_at":""#).expect("when it was published");
    let (at, after) = rest.split_at("2025-11-17T18:00:00.000Z".len());
    assert!(at.ends_with('Z') && after.starts_with('"'), "{}", message.payload);
    format!("{} {before}{}", message.channel, &after[1..])
}

/// Sends a candle, and compares its effects and messages.
#[track_caller]
fn check(pair: &mut Pair, messages: &mut Subscriber, command: &str, effects: &[&str], told: &[&str]) {
    assert_eq!(pair.client.text(command), "[]", "{command}");
    let found: Vec<_> = pair.effects().iter().map(|effect| shown(effect)).collect();
    assert_eq!(found, effects, "{command}");
    let found: Vec<_> = messages.until_now().iter().map(without_clock).collect();
    assert_eq!(found, told, "{command}");
}

#[test]
fn a_candle_is_stored_and_told_in_one_step() {
    let mut pair = Pair::start(Options::new());
    let mut messages = Subscriber::new(pair.connect(), pair.connect(), "PSUBSCRIBE market:*");
    let all = &mut messages;
    check(
        &mut pair,
        all,
        &candle(OPEN, "1.10 2 0.50 1.5 3e2"),
        &[
            "XADD market:{S}:1m 1763402400000-0 open 1.1 high 2 low 0.5 close 1.5 volume 300",
            "HSET market:{S}:forming 1m candles",
        ],
        &[
            r#"market:S:1m {"id":"1763402400000-0","prev_id":"0-0","event_type":"candle.closed","symbol":"S","timeframe":"1m","timestamp":"2025-11-17T18:01:00.000Z","data":{"open_time":1763402400000,"open":1.1,"high":2,"low":0.5,"close":1.5,"volume":300}}"#,
        ],
    );
    // A repeat, whatever its digits are.
    check(&mut pair, all, &candle(OPEN, "1.1 2.0 0.5 1.50 300"), &[], &[]);
    // In RFC 3339, below 0, and as exact as it was told.
    check(
        &mut pair,
        all,
        "MARKET.CANDLE S 1m 2025-11-17T18:01:00Z -1 999999999999999999 -1.00000000000000001 0 0",
        &["XADD market:{S}:1m 1763402460000-0 open -1 high 999999999999999999 low -1.00000000000000001 close 0 volume 0"],
        &[r#"market:S:1m {"id":"1763402460000-0","prev_id":"1763402400000-0","event_type":"candle.closed","symbol":"S","timeframe":"1m","timestamp":"2025-11-17T18:02:00.000Z","data":{"open_time":1763402460000,"open":-1,"high":999999999999999999,"low":-1.00000000000000001,"close":0,"volume":0}}"#],
    );
    for (volume, from, to) in [("1", 0, 1), ("2", 1, 2)] {
        let added = format!("XADD market:{{S}}:1m 1763402460000-{to} open 1 high 1 low 1 close 1 volume {volume}");
        let deleted = format!("XDEL market:{{S}}:1m 1763402460000-{from}");
        let told = format!(
            r#"market:S:1m {{"id":"1763402460000-{to}","prev_id":"1763402460000-{from}","event_type":"candle.corrected","symbol":"S","timeframe":"1m","timestamp":"2025-11-17T18:02:00.000Z","data":{{"open_time":1763402460000,"open":1,"high":1,"low":1,"close":1,"volume":{volume}}}}}"#
        );
        let correction = candle(OPEN + MINUTE, &format!("1 1 1 1 {volume}"));
        check(&mut pair, all, &correction, &[&added, &deleted], &[&told]);
        check(&mut pair, all, &correction, &[], &[]);
    }
    // History, of any timeframe, says nothing and decides nothing about what feeds it.
    check(
        &mut pair,
        all,
        "MARKET.CANDLE S 1h 1763402400000 1 1 1 1 1 BACKFILL",
        &["XADD market:{S}:1h 1763402400000-0 open 1 high 1 low 1 close 1 volume 1"],
        &[],
    );
    check(
        &mut pair,
        all,
        "MARKET.CANDLE S 1h 1763402400000 2 2 2 2 2 backfill",
        &[
            "XADD market:{S}:1h 1763402400000-1 open 2 high 2 low 2 close 2 volume 2",
            "XDEL market:{S}:1h 1763402400000-0",
        ],
        &[],
    );
    // An older one.
    let error = pair.client.error(candle(OPEN, "1 1 1 1 1"));
    assert!(error.starts_with("TOOLATE the candle of 1763402400000 comes behind that of 1763402460000"), "{error}");
    assert_eq!(pair.effects(), Vec::<Vec<String>>::new());
    messages.assert_silent();
}

#[test]
fn gaps_are_counted_and_not_filled() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    let mut gaps = |bar: i64, rest: &str, expected: u64| {
        client.run(candle(OPEN + bar * MINUTE, rest));
        assert_eq!(counted(&server, "candle_gaps"), expected, "bar {bar}");
    };
    gaps(0, "1 1 1 1 1", 0);
    gaps(1, "1 1 1 1 1", 0);
    gaps(3, "1 1 1 1 1", 1);
    // Neither a repeat nor a correction is a gap again.
    gaps(3, "1 1 1 1 1", 1);
    gaps(3, "2 2 2 2 2", 1);
    gaps(4, "1 1 1 1 1", 1);
    gaps(9, "1 1 1 1 1 BACKFILL", 2);
    assert_eq!(client.int("XLEN market:{S}:1m"), 5);
    assert_eq!((counted(&server, "candles"), counted(&server, "candle_corrections")), (6, 1));
}

#[test]
fn messages_go_out_as_configured() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    let mut plain = server.subscribe("PSUBSCRIBE *");
    let mut sharded = server.subscribe("SSUBSCRIBE market:{S}:1m");
    let modes = [
        ("classic", ["market:S:1m"].as_slice(), [].as_slice()),
        ("sharded", &[], &["market:{S}:1m"]),
        ("off", &[], &[]),
    ];
    for (bar, (mode, on_plain, on_sharded)) in (0..).zip(modes) {
        client.run(["CONFIG", "SET", "tradebus.pubsub", mode]);
        client.run(candle(OPEN + bar * MINUTE, "1 1 1 1 1"));
        for (subscriber, expected) in [(&mut plain, on_plain), (&mut sharded, on_sharded)] {
            let channels: Vec<_> = subscriber.until_now().into_iter().map(|message| message.channel).collect();
            assert_eq!(channels, expected, "{mode}");
        }
    }
    assert_eq!(counted(&server, "receivers"), 2);
    assert_eq!(client.int("XLEN market:{S}:1m"), 3);
}

/// Refusals leave no trace: not in the keyspace, not in messages, not in the counters but that of the refusal.
#[test]
fn what_is_no_candle_changes_nothing() {
    let server = Server::start(Options::new().module_args("bar-grace 3600000"));
    let mut client = server.client();
    client.run("COND.REGISTER S 1m 'close > 1000'");
    client.run("COND.REGISTER S 5m 'close > 1000'");
    client.run(format!("MARKET.TICK S 1 1 TIMESTAMP {OPEN}"));
    client.run(candle(OPEN, "1 1 1 1 1"));
    client.run("SET market:{STRING}:1m x");
    let mut messages = server.subscribe("PSUBSCRIBE *");
    let before = (server.digest(), client.int("DBSIZE"));
    let next = OPEN + MINUTE;
    let good = [b"MARKET.CANDLE".to_vec(), b"S".to_vec(), b"1m".to_vec(), next.to_string().into_bytes()]
        .into_iter()
        .chain([b"2", b"3", b"1", b"2", b"5"].map(|number| number.to_vec()))
        .collect::<Vec<_>>();
    let ahead = (client.time_ms() / MINUTE + 120) * MINUTE;
    let rows: &[(usize, &[u8], &str)] = &[
        (1, b"", "BADSYMBOL"),
        (1, b"a b", "BADSYMBOL"),
        (1, b"{S}", "BADSYMBOL"),
        (1, b"\xff\x00", "BADSYMBOL"),
        (1, b"STRING", "WRONGTYPE"),
        (2, b"7m", "BADFIELD"),
        (2, b"1M", "BADFIELD"),
        (2, b"", "BADFIELD"),
        (2, b"1m\xff", "BADFIELD"),
        (3, b"0", "BADFIELD open_time"),
        (3, b"-60000", "BADFIELD open_time"),
        (3, b"1763402460001", "BADFIELD open_time"),
        (3, b"1763402460", "BADFIELD open_time"),
        (3, b"soon", "BADFIELD open_time"),
        (3, b"\x00\xfe", "BADFIELD open_time"),
        (3, b"99999999999999999999999", "BADFIELD open_time"),
        (4, b"NaN", "BADFIELD open"),
        (4, b"1e400", "BADFIELD open"),
        (4, b"0x10", "BADFIELD open"),
        (4, b"", "BADFIELD open"),
        (4, b" 1", "BADFIELD open"),
        (4, b"+1", "BADFIELD open"),
        (4, b"\xff\xfe", "BADFIELD open"),
        (4, b"4", "BADFIELD high"),
        (4, b"0.9", "BADFIELD low"),
        (5, b"inf", "BADFIELD high"),
        (5, b"1.9", "BADFIELD high"),
        (6, b"1000000000000000000", "BADFIELD low"),
        (6, b"2.1", "BADFIELD low"),
        (6, b"9", "BADFIELD low"),
        (7, b"1.0000000000000000001", "BADFIELD close"),
        (7, b"3.1", "BADFIELD high"),
        (8, b"-1", "BADFIELD volume"),
        (8, b"-1e-60", "BADFIELD volume"),
        (8, b"Infinity", "BADFIELD volume"),
    ];
    for (at, word, expected) in rows {
        let mut command = good.clone();
        command[*at] = word.to_vec();
        let error = client.error(&command);
        assert!(error.starts_with(expected), "{}: {error}", word.escape_ascii());
        assert_eq!((server.digest(), client.int("DBSIZE")), before, "{}", word.escape_ascii());
    }
    for (command, expected) in [
        ("MARKET.CANDLE S 1m".to_owned(), "ERR wrong number of arguments"),
        (candle(next, "1 1 1 1"), "ERR wrong number of arguments"),
        (candle(next, "1 1 1 1 1 FILL"), "ERR unknown option `FILL`, known are BACKFILL"),
        (candle(next, "1 1 1 1 1 BACKFILL BACKFILL"), "ERR"),
        (candle(OPEN - MINUTE, "1 1 1 1 1"), "TOOLATE"),
        (candle(OPEN - MINUTE, "1 1 1 1 1 BACKFILL"), "TOOLATE"),
        (candle(ahead, "1 1 1 1 1"), "BADFIELD open_time must be of a closed bar"),
        (candle(ahead, "1 1 1 1 1 BACKFILL"), "BADFIELD open_time must be of a closed bar"),
    ] {
        let error = client.error(&command);
        assert!(error.starts_with(expected), "{command}: {error}");
        assert_eq!((server.digest(), client.int("DBSIZE")), before, "{command}");
    }
    messages.assert_silent();
    assert_eq!(counted(&server, "candles"), 1);
    client.run("SELECT 1");
    assert!(client.error(&good).starts_with("ERR tradebus works in database 0"));
    client.run("SELECT 0");
    assert_eq!(client.text(&good), "[]", "what it was made of is one");
}

#[test]
fn the_history_is_trimmed() {
    let options = || Options::new().module_args("candle-history 5").config("stream-node-max-entries 1");
    let mut pair = Pair::start(options());
    for bar in 0..20 {
        pair.client.run(candle(OPEN + bar * MINUTE, "1 1 1 1 1"));
        let trims = pair.effects().iter().filter(|effect| effect[0] == "XTRIM").count();
        assert_eq!((pair.client.int("XLEN market:{S}:1m"), trims), ((bar + 1).min(5), usize::from(bar >= 5)));
    }
    assert_eq!(pair.client.text("MARKET.CANDLES S 1m - + COUNT 1"), listed(&[15]));
    pair.client.run("CONFIG SET tradebus.candle-history 0");
    for bar in 20..40 {
        pair.client.run(candle(OPEN + bar * MINUTE, "1 1 1 1 1"));
    }
    assert_eq!(pair.client.int("XLEN market:{S}:1m"), 25);
}

/// What MARKET.CANDLES replies of such bars, all of whose numbers are 1.
fn listed(bars: &[i64]) -> String {
    let bars = bars.iter().map(|bar| format!(r#"[{}, "1", "1", "1", "1", "1"]"#, OPEN + bar * MINUTE));
    format!("[{}]", bars.collect::<Vec<_>>().join(", "))
}

fn with_candles(client: &mut Client, bars: std::ops::Range<i64>) {
    for bar in bars {
        client.run(candle(OPEN + bar * MINUTE, "1.0 1 1 1 1"));
    }
}

#[test]
fn candles_are_read_by_time() {
    let server = Server::start(Options::new());
    for mut client in [server.client(), server.client_resp3()] {
        client.run("FLUSHALL");
        assert_eq!(client.text("MARKET.CANDLES S 1m - +"), "[]");
        with_candles(&mut client, 0..6);
        let mut check = |range: &str, expected: &[i64]| {
            assert_eq!(client.text(format!("MARKET.CANDLES S 1m {range}")), listed(expected), "{range}");
        };
        check("- +", &[0, 1, 2, 3, 4, 5]);
        check("+ - REV", &[5, 4, 3, 2, 1, 0]);
        check("+ - rev count 2", &[5, 4]);
        check("- + COUNT 2", &[0, 1]);
        check("- + COUNT 2000", &[0, 1, 2, 3, 4, 5]);
        check("1763402460000 1763402520000", &[1, 2]);
        check("1763402460001 1763402520000", &[2]);
        check("(1763402460000-0 1763402520000", &[2]);
        check("1763402460000-0 1763402520000-0", &[1, 2]);
        check("2025-11-17T18:01:00Z 2025-11-17T19:02:00+01:00", &[1, 2]);
        check("2025-11-17T18:00:30Z +", &[1, 2, 3, 4, 5]);
        check("2025-11-17T18:02:00Z 2025-11-17T18:01:00Z REV", &[2, 1]);
        check("1763402520000 1763402460000", &[]);
        check("0 1", &[]);
    }
}

/// A corrected candle is there once, as it is now.
#[test]
fn a_correction_is_read_instead_of_what_it_corrects() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    with_candles(&mut client, 0..2);
    client.run(candle(OPEN + MINUTE, "1 1 1 1 2.50"));
    let last = format!(r#"[[{}, "1", "1", "1", "1", "2.5"]]"#, OPEN + MINUTE);
    for range in ["+ - COUNT 1 REV", "1763402460000 +", "1763402460000 1763402460000"] {
        assert_eq!(client.text(format!("MARKET.CANDLES S 1m {range}")), last, "{range}");
    }
    // More than a timeframe has no bars of another.
    assert_eq!(client.text("MARKET.CANDLES S 5m - +"), "[]");
}

#[test]
fn what_cannot_be_read_is_refused() {
    let server = Server::start(Options::new().module_args("scan-limit 200"));
    let mut client = server.client();
    with_candles(&mut client, 0..3);
    client.run("SET market:{STRING}:1m x");
    for (rest, expected) in [
        ("S 1m", "ERR wrong number of arguments"),
        ("S 1m -", "ERR wrong number of arguments"),
        ("S 1m - + COUNT 0", "ERR COUNT must be an integer from 1 to 200"),
        ("S 1m - + COUNT 201", "ERR COUNT must be an integer from 1 to 200"),
        ("S 1m - + COUNT x", "ERR COUNT must be an integer from 1 to 200"),
        ("S 1m - + COUNT", "ERR COUNT needs a value"),
        ("S 1m - + COUNT 1 COUNT 1", "ERR"),
        ("S 1m - + REV REV", "ERR"),
        ("S 1m - + LIMIT 1", "ERR unknown option `LIMIT`, known are COUNT and REV"),
        ("S 1m soon +", "ERR"),
        ("S 1m - 2025-13-01T00:00:00Z", "ERR"),
        ("S 1m - '(+'", "ERR"),
        ("S 2m - +", "BADFIELD"),
        ("'a b' 1m - +", "BADSYMBOL"),
        ("STRING 1m - +", "WRONGTYPE"),
    ] {
        let error = client.error(format!("MARKET.CANDLES {rest}"));
        assert!(error.starts_with(expected), "{rest}: {error}");
    }
    let binary: [&[u8]; 5] = [b"MARKET.CANDLES", b"S", b"1m", b"\xff\x00", b"+"];
    assert!(client.error(binary).starts_with("ERR"));
}

/// An entry that somebody added by hand is named, and harms no range that it is not in.
#[test]
fn a_foreign_entry_is_named() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    with_candles(&mut client, 0..2);
    for (id, fields) in [
        ("1763402520000-0", "open 1 high 1 low 1 close 1"),
        ("1763402580000-0", "open x high 1 low 1 close 1 volume 1"),
        ("1763402640000-0", "open 1 high 1 low 2 close 1 volume 1"),
        ("9763402640000000000-0", "open 1 high 1 low 1 close 1 volume 1"),
    ] {
        client.run(format!("XADD market:{{S}}:1m {id} {fields}"));
        for range in ["- +".to_owned(), "+ - REV".to_owned(), format!("{id} +")] {
            let error = client.error(format!("MARKET.CANDLES S 1m {range}"));
            assert!(error.starts_with("CORRUPT candle "), "{range}: {error}");
        }
        assert_eq!(client.text("MARKET.CANDLES S 1m - + COUNT 2"), listed(&[0, 1]));
    }
    assert!(text(&client.run("XRANGE market:{S}:1m 9763402640000000000-0 +")).contains("9763402640000000000-0"));
}
