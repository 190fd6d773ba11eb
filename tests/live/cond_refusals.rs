//! Bad input to the commands on conditions: a coded error in one line, and nothing has changed.

use crate::input::ERROR_MAX;
use crate::support::{Client, Options, Server, Subscriber, Words};

/// A server with a condition, a subscriber and a queue that is being worked off; and whoever would notice a change.
struct Fixture {
    server: Server,
    client: Client,
    messages: Subscriber,
    digest: String,
}

impl Fixture {
    fn start() -> Fixture {
        let server = Server::start(Options::new());
        let mut client = server.client();
        for command in [
            "COND.REGISTER S 1m 'close > 5' ID known",
            r#"COND.SUBSCRIBE S known bot TYPE dca ACTION '{"a":1}'"#,
            "COND.TRIGGER S known ID e1",
            "XGROUP CREATE bots:{S}:dca group 0",
            "XREADGROUP GROUP group consumer STREAMS bots:{S}:dca >",
        ] {
            client.run(command);
        }
        let messages = server.subscribe("PSUBSCRIBE *");
        Fixture { digest: server.digest(), client, messages, server }
    }

    #[track_caller]
    fn check(&mut self, words: impl Words, code: &str) -> String {
        let line = self.refusal(&words);
        assert_eq!(line.split(' ').next(), Some(code), "{}: {line}", shown(&words));
        line
    }

    /// The error of a command, which has changed nothing.
    #[track_caller]
    fn refusal(&mut self, words: &impl Words) -> String {
        let line = self.client.error(words);
        assert!(line.len() <= ERROR_MAX && !line.contains(['\r', '\n', '\0']), "{}: {line:?}", shown(words));
        assert_eq!(self.server.digest(), self.digest, "{} changed something", shown(words));
        self.messages.assert_silent();
        line
    }
}

fn shown(words: &impl Words) -> String {
    let words = words.words().into_iter().map(|word| word[..word.len().min(80)].escape_ascii().to_string());
    words.collect::<Vec<_>>().join(" ")
}

/// Every command, with all of its options.
const COMMANDS: [&str; 12] = [
    "COND.REGISTER S 1m 'close > 5' ID known MODE edge COOLDOWN 5 EXPIREAT 4102444800000 MAXTRIGGERS 5",
    "COND.GET S known",
    "COND.LIST S TIMEFRAME 1m OFFSET 0 COUNT 1",
    "COND.REMOVE S known FORCE",
    "COND.PAUSE S known",
    "COND.RESUME S known",
    "COND.SUBSCRIBE S known bot2 TYPE dca ACTION {} COOLDOWN 5 MAXTRIGGERS 5 MAXAGE 5",
    "COND.UNSUBSCRIBE S known bot",
    "COND.SUBSCRIBERS S known OFFSET 0 COUNT 1",
    "COND.TRIGGER S known VALUE {} ID e TIMESTAMP 1763402400000",
    "COND.EXPLAIN S known",
    "COND.CLAIM S QUEUE:dca group consumer 0 5 COUNT 1",
];

#[test]
fn garbage_in_every_argument_is_refused() {
    let mut fixture = Fixture::start();
    let long = vec![b'x'; 64 * 1_024];
    let garbage: [&[u8]; 5] = [b"", b" ", b"\0", b"\xff\x00\r\n\x80", &long];
    let numbers: [&[u8]; 4] = [b"-1", b"1e9", b"0x5", b"99999999999999999999999"];
    for command in COMMANDS {
        let words = command.words();
        for place in 1..words.len() {
            let is_number = words[place].iter().all(u8::is_ascii_digit);
            for wrong in garbage.iter().chain(numbers.iter().filter(|_| is_number)) {
                // A consumer may have any name.
                let is_consumer = command.starts_with("COND.CLAIM") && place == 4;
                if is_consumer && (1..=128).contains(&wrong.len()) {
                    continue;
                }
                let mut words = words.clone();
                words[place] = wrong.to_vec();
                fixture.refusal(&words);
            }
        }
    }
}

#[test]
fn arguments_are_counted() {
    let mut fixture = Fixture::start();
    for command in COMMANDS {
        let words = command.words();
        let mut more = words.clone();
        more.push(b"MORE".to_vec());
        fixture.check(&more, "ERR");
        fixture.check(&words[..1], "ERR");
        // Every option is given once.
        let options = words.iter().position(|word| {
            [&b"ID"[..], b"TIMEFRAME", b"OFFSET", b"TYPE", b"VALUE", b"COUNT"].contains(&word.as_slice())
        });
        for place in options.into_iter().flat_map(|first| (first..words.len()).step_by(2)) {
            let mut twice = words.clone();
            twice.extend_from_slice(&words[place..place + 2]);
            let line = fixture.check(&twice, "ERR");
            assert!(line.contains("twice"), "{line}");
            fixture.check(&words[..=place], "ERR");
        }
    }
    fixture.check("COND.REMOVE S known FORCE FORCE", "ERR");
}

#[test]
fn an_expression_that_is_none_is_refused() {
    let mut fixture = Fixture::start();
    let deep = |depth: usize| format!("{}close{} > 1", "(".repeat(depth), ")".repeat(depth));
    for expression in [
        "",
        " ",
        "close",
        "close >",
        "close > .5",
        "close = 1",
        "rsi(0) > 1",
        "sma(0) > 1",
        "sma(1e9) > 1",
        "sma(1000000000) > 1",
        "sma(-1) > 1",
        "close[1e9] > 1",
        "close[1000000000] > 1",
        "momentum(5) > 1",
        "1 < close < 2",
        "close BETWEEN 2 AND 1",
        "close > 1\0",
        "close > '1'",
        "close > \u{ff11}",
        &deep(10_000),
        &"(".repeat(10_000),
        &"NOT ".repeat(10_000),
        &format!("close > {}", "-".repeat(10_000)),
        &format!("close > 1{}", " ".repeat(64 * 1_024)),
        &"x".repeat(64 * 1_024),
        &["close > 1"; 2_000].join(" AND "),
    ] {
        fixture.check(["COND.REGISTER", "S", "1m", expression], "BADEXPR");
    }
    fixture.check([&b"COND.REGISTER"[..], b"S", b"1m", b"close > \xff"], "BADEXPR");
}

#[test]
fn each_refusal_has_its_code() {
    let mut fixture = Fixture::start();
    let long = "x".repeat(65);
    let big = format!(r#"{{"a":"{}"}}"#, "x".repeat(64 * 1_024));
    for timeframe in ["", "7m", "1mm", "60", "1m ", "m1"] {
        fixture.check(["COND.REGISTER", "S", timeframe, "close > 5"], "BADFIELD");
        fixture.check(["COND.LIST", "S", "TIMEFRAME", timeframe], "BADFIELD");
    }
    for id in ["", "a b", "a:b", "{a}", "a/b", &long] {
        fixture.check(["COND.REGISTER", "S", "1m", "close > 6", "ID", id], "BADFIELD");
        fixture.check(["COND.GET", "S", id], "BADFIELD");
        fixture.check(["COND.SUBSCRIBE", "S", "known", id], "BADFIELD");
        fixture.check(["COND.SUBSCRIBE", "S", "known", "bot", "TYPE", id], "BADFIELD");
        fixture.check(["COND.CLAIM", "S", &format!("QUEUE:{id}"), "group", "consumer", "0", "5"], "BADFIELD");
    }
    for (command, code, says) in [
        ("COND.REGISTER S 1m 'close > 5' ID known MODE level", "IDCONFLICT", "`close > 5` on 1m, edge"),
        ("COND.REGISTER S 5m 'close > 5' ID known", "IDCONFLICT", "known"),
        ("COND.REGISTER S 1m 'close > 6' ID known", "IDCONFLICT", "known"),
        ("COND.REGISTER S 1m 'close > 6' MODE never", "ERR", "edge, level or once"),
        ("COND.REGISTER S 1m 'close > 6' EXPIREAT 1763402400000", "BADFIELD", "EXPIREAT"),
        ("COND.REGISTER S 1m 'close > 6' COOLDOWN -1", "ERR", "COOLDOWN"),
        ("COND.REGISTER S 1m 'close > 6' FORCE", "ERR", "MAXTRIGGERS"),
        ("COND.REMOVE S known", "INVALIDSTATE", "FORCE"),
        ("COND.REMOVE S known YES", "ERR", "FORCE"),
        ("COND.PAUSE S unknown", "NOTFOUND", "S has no condition unknown"),
        ("COND.RESUME S unknown", "NOTFOUND", "unknown"),
        ("COND.SUBSCRIBE S unknown bot", "NOTFOUND", "unknown"),
        ("COND.SUBSCRIBE S known bot ACTION buy", "BADJSON", "ACTION"),
        ("COND.SUBSCRIBE S known bot ACTION [1]", "BADJSON", "ACTION"),
        (r#"COND.SUBSCRIBE S known bot ACTION '{"a":1,"a":2}'"#, "BADJSON", "byte 7"),
        ("COND.SUBSCRIBERS S unknown", "NOTFOUND", "unknown"),
        ("COND.SUBSCRIBERS S known COUNT 2001", "ERR", "0 to 2000"),
        ("COND.LIST S COUNT 2001", "ERR", "0 to 2000"),
        ("COND.LIST S OFFSET -1", "ERR", "OFFSET"),
        ("COND.TRIGGER S unknown", "NOTFOUND", "unknown"),
        ("COND.TRIGGER S unknown ID e2", "NOTFOUND", "unknown"),
        ("COND.TRIGGER S known VALUE 1", "BADJSON", "VALUE"),
        ("COND.TRIGGER S known VALUE {", "BADJSON", "VALUE"),
        ("COND.TRIGGER S known ID ''", "BADFIELD", "ID"),
        ("COND.TRIGGER S known ID 'a b'", "BADFIELD", "ID"),
        ("COND.TRIGGER S known TIMESTAMP yesterday", "BADFIELD", "TIMESTAMP"),
        ("COND.TRIGGER S known TIMESTAMP 4102444800000", "BADFIELD", "ahead of the server's time"),
        (r#"COND.TRIGGER S known VALUE '{"a":2}' ID e1"#, "IDCONFLICT", "e1"),
        ("COND.EXPLAIN S unknown", "NOTFOUND", "unknown"),
        ("COND.CLAIM S LOG group consumer 0 5", "ERR", "TRIGGERS or QUEUE:<bot_type>"),
        ("COND.CLAIM S QUEUE group consumer 0 5", "ERR", "TRIGGERS or QUEUE:<bot_type>"),
        ("COND.CLAIM S QUEUE:grid group consumer 0 5", "NOTFOUND", "bots:{S}:grid"),
        ("COND.CLAIM S TRIGGERS group consumer 0 5", "NOTFOUND", "cond:{S}:triggers"),
    ] {
        let line = fixture.check(command, code);
        assert!(line.contains(says), "{command}: {line}");
    }
    fixture.check(["COND.SUBSCRIBE", "S", "known", "bot", "ACTION", &big], "TOOBIG");
    fixture.check(["COND.TRIGGER", "S", "known", "VALUE", &big], "TOOBIG");
}

/// Keys that hold something else, and values that nobody of ours wrote.
#[test]
fn what_is_stored_is_checked_before_anything_is_written() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    let mut check = |breaking: &str, commands: &[&str], code: &str| {
        for line in [
            "FLUSHALL",
            "COND.REGISTER S 1m 'sma(2) > 5' ID a",
            "COND.SUBSCRIBE S a bot TYPE dca",
            "COND.TRIGGER S a ID e",
            breaking,
        ] {
            client.run(line);
        }
        let state = server.digest();
        for command in commands {
            let error = client.error(command);
            assert!(error.starts_with(&format!("{code} ")), "{breaking}, {command}: {error}");
            assert_eq!(server.digest(), state, "{breaking}, {command}");
        }
    };
    let foreign =
        |key: &str| format!("EVAL \"redis.call('DEL', KEYS[1]) return redis.call('SET', KEYS[1], 1)\" 1 {key}");
    let all = [
        "COND.GET S a",
        "COND.LIST S",
        "COND.REMOVE S a",
        "COND.PAUSE S a",
        "COND.RESUME S a",
        "COND.SUBSCRIBE S a b",
        "COND.TRIGGER S a",
        "COND.EXPLAIN S a",
        "COND.REGISTER S 1m 'sma(2) > 5' ID a",
    ];
    check(&foreign("cond:{S}:def:a"), &all, "WRONGTYPE");
    for field in [
        "status",
        "mode",
        "timeframe",
        "cooldown",
        "expire_at",
        "max_triggers",
        "trigger_count",
        "last_triggered_at",
        "last_trigger_id",
    ] {
        check(&format!("HSET cond:{{S}}:def:a {field} nonsense"), &all, "CORRUPT");
    }
    check("HDEL cond:{S}:def:a expression", &all, "CORRUPT");
    check(
        &foreign("cond:{S}:subs:a"),
        &[
            "COND.GET S a",
            "COND.LIST S",
            "COND.REMOVE S a FORCE",
            "COND.SUBSCRIBE S a b",
            "COND.UNSUBSCRIBE S a b",
            "COND.SUBSCRIBERS S a",
            "COND.TRIGGER S a",
        ],
        "WRONGTYPE",
    );
    check(
        "HSET cond:{S}:subs:a bot {}",
        &["COND.SUBSCRIBERS S a", "COND.TRIGGER S a", "COND.SUBSCRIBE S a bot"],
        "CORRUPT",
    );
    check(
        &foreign("cond:{S}:index:1m"),
        &["COND.LIST S", "COND.EXPLAIN S a", "COND.REMOVE S a FORCE", "COND.REGISTER S 1m 'close > 1'"],
        "WRONGTYPE",
    );
    check(&foreign("cond:{S}:triggers"), &["COND.TRIGGER S a", "COND.CLAIM S TRIGGERS g c 0 5"], "WRONGTYPE");
    check(&foreign("bots:{S}:dca"), &["COND.TRIGGER S a", "COND.CLAIM S QUEUE:dca g c 0 5"], "WRONGTYPE");
    check(&foreign("cond:{S}:seen:0"), &["COND.TRIGGER S a ID e2"], "WRONGTYPE");
    check("HSET cond:{S}:seen:0 :generations nonsense", &["COND.TRIGGER S a ID e2"], "CORRUPT");
    check(&foreign("market:{S}:1m"), &["COND.EXPLAIN S a", "COND.REGISTER S 1m 'close > 1'"], "WRONGTYPE");
}
