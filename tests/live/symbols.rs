//! TRADE.SYMBOLS: which symbols a node has.

use std::collections::BTreeSet;

use redis::Value;

use crate::support::{text, Client, Options, Server};

/// A reply: the cursor and the symbols.
#[track_caller]
fn step(client: &mut Client, command: &str) -> (String, Vec<String>) {
    let reply = client.run(command);
    let word = |value: &Value| match value {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).expect("UTF-8"),
        other => panic!("not a string: {}", text(other)),
    };
    match &reply {
        Value::Array(parts) => match parts.as_slice() {
            [cursor, Value::Array(symbols)] => (word(cursor), symbols.iter().map(word).collect()),
            _ => panic!("{}", text(&reply)),
        },
        other => panic!("{}", text(other)),
    }
}

/// All symbols, and how many calls it took.
#[track_caller]
fn symbols(client: &mut Client, options: &str) -> (BTreeSet<String>, usize) {
    let (mut all, mut cursor, mut calls) = (BTreeSet::new(), "0".to_owned(), 0);
    loop {
        let (next, found) = step(client, &format!("TRADE.SYMBOLS {cursor} {options}"));
        all.extend(found);
        calls += 1;
        if next == "0" {
            return (all, calls);
        }
        cursor = next;
    }
}

fn set(symbols: &[&str]) -> BTreeSet<String> {
    symbols.iter().map(|symbol| (*symbol).to_owned()).collect()
}

#[test]
fn symbols_with_a_log_are_found() {
    let server = Server::start(Options::new());
    for mut client in [server.client(), server.client_resp3()] {
        client.run("FLUSHALL");
        assert_eq!(client.text("TRADE.SYMBOLS 0"), r#"["0", []]"#);
        for symbol in ["XAUUSD", "BTC/USDT:USDT", "S:events", "a}"] {
            client.text(format!("TRADE.PUBLISH '{symbol}' trade.executed {{}}"));
        }
        client.run("TRADE.INSTRUMENT NOLOG SET currency USD");
        for foreign in ["trade:{}:events", "trade:{a b}:events", "trade:{a}:order:}:events", "xtrade:{a}:events"] {
            client.run(["XADD", foreign, "*", "a", "b"]);
        }
        client.run(["XADD", "events:{policy}", "*", "a", "b"]);
        client.run("SET trade:{STRING}:events x");
        assert_eq!(symbols(&mut client, ""), (set(&["BTC/USDT:USDT", "S:events", "XAUUSD"]), 1));
    }
}

#[test]
fn a_large_keyspace_is_gone_through_in_bounded_steps() {
    let server = Server::start(Options::new().module_args("scan-limit 200"));
    let mut client = server.client();
    let script = "for i = 1, 5000 do redis.call('SET', 'key' .. i, i) end \
                  for i = 1, 500 do redis.call('XADD', 'trade:{S' .. i .. '}:events', '*', 'a', 'b') end";
    client.run(["EVAL", script, "0"]);
    let all: BTreeSet<_> = (1..=500).map(|number| format!("S{number}")).collect();
    for (options, least, most) in [("", 10, 60), ("COUNT 200", 10, 60), ("COUNT 10", 20, 300), ("count 1", 100, 1_000)]
    {
        let (found, calls) = symbols(&mut client, options);
        assert_eq!(found, all, "{options}");
        assert!((least..=most).contains(&calls), "{options}: {calls} calls");
    }
}

#[test]
fn only_what_the_user_may_read_is_shown() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    for symbol in ["BTCUSDT", "BTCUSD", "ETHUSDT", "XAUUSD"] {
        client.run(format!("TRADE.PUBLISH {symbol} trade.executed {{}}"));
    }
    let check = |rights: &str, expected: &[&str]| {
        server.client().run(format!("ACL SETUSER bot reset on >pw +trade.symbols +multi +exec +eval +fcall {rights}"));
        let mut bot = server.client_as("bot", "pw");
        assert_eq!(symbols(&mut bot, "").0, set(expected), "{rights}");
        let shown = bot.text("TRADE.SYMBOLS 0");
        bot.run("MULTI");
        bot.run("TRADE.SYMBOLS 0");
        assert_eq!(bot.text("EXEC"), format!("[{shown}]"), "{rights}");
        for command in ["EVAL \"return redis.call('TRADE.SYMBOLS', '0')\" 0", "FCALL symbols 0"] {
            assert_eq!(bot.text(command), shown, "{rights}: {command}");
        }
    };
    let library = "#!lua name=library\nredis.register_function('symbols', function() return redis.call('TRADE.SYMBOLS', '0') end)";
    client.run(["FUNCTION", "LOAD", library]);
    check("~*", &["BTCUSDT", "BTCUSD", "ETHUSDT", "XAUUSD"]);
    check("~BTCUSDT", &["BTCUSDT"]);
    check("~BTC* %R~XAUUSD", &["BTCUSDT", "BTCUSD", "XAUUSD"]);
    check("%W~BTCUSDT", &[]);
    check("", &[]);
    check("(%R~ETHUSDT +get)", &["ETHUSDT"]);
    let mut bot = server.client_as("bot", "pw");
    client.run("ACL SETUSER bot -trade.symbols");
    assert!(bot.error("TRADE.SYMBOLS 0").starts_with("NOPERM "));
}

#[test]
fn wrong_arguments_are_refused() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    for (command, expected) in [
        ("TRADE.SYMBOLS", "ERR wrong number"),
        ("TRADE.SYMBOLS x", "ERR the cursor must be 0 or what the last call replied, not 'x'"),
        ("TRADE.SYMBOLS ''", "ERR the cursor must be"),
        ("TRADE.SYMBOLS -1", "ERR the cursor must be"),
        ("TRADE.SYMBOLS +1", "ERR the cursor must be"),
        ("TRADE.SYMBOLS 18446744073709551616", "ERR the cursor must be"),
        ("TRADE.SYMBOLS 0 COUNT 0", "ERR COUNT must be an integer from 1 to 2000"),
        ("TRADE.SYMBOLS 0 COUNT 2001", "ERR COUNT must be an integer from 1 to 2000"),
        ("TRADE.SYMBOLS 0 COUNT", "ERR COUNT needs a value"),
        ("TRADE.SYMBOLS 0 MATCH x", "ERR unknown option `MATCH`, known are COUNT"),
    ] {
        let error = client.error(command);
        assert!(error.starts_with(expected), "{command}: {error}");
    }
    // A cursor from elsewhere is not worse than one of SCAN.
    for cursor in ["1", "18446744073709551615"] {
        step(&mut client, &format!("TRADE.SYMBOLS {cursor}"));
    }
    assert_eq!(client.text("COMMAND GETKEYS TRADE.SYMBOLS 0"), "(error) ERR The command has no key arguments");
    client.run("SELECT 1");
    assert!(client.error("TRADE.SYMBOLS 0").starts_with("ERR tradebus works in database 0"));
}
