//! Permissions: the symbol is the key that counts, key specs say what is done with it, and categories are
//! there where the server has them.

use crate::commands::{on, prepare, COMMANDS, OF_THE_NODE};
use crate::security::{use_of_key, verdict, Verdict};
use crate::support::{Client, Options, Server};

const READ_WRITE: &[&str] = &["RW", "access", "update"];
const READ_ONLY: &[&str] = &["RO", "access"];

/// The flags of a command's key, by what `docs/security.md` says of it.
fn flags(command: &str) -> &'static [&'static str] {
    match use_of_key(command).as_str() {
        "read" => READ_ONLY,
        "write" => READ_WRITE,
        other => panic!("{command}: {other}"),
    }
}

/// A server on which every command on the symbol `S` succeeds.
fn prepared() -> Server {
    let server = Server::start(Options::new().module_args("bar-grace 3600000"));
    prepare(&mut server.client(), "S");
    server
}

/// A user with these rights and no others; `resetchannels` because on some servers new users may use all.
fn user(server: &Server, rights: &str) -> Client {
    server.client().run(format!("ACL SETUSER bot reset on >pw resetchannels {rights}"));
    server.client_as("bot", "pw")
}

#[track_caller]
fn assert_denied(client: &mut Client, command: &str) {
    let error = client.error(command);
    assert!(error.starts_with("NOPERM"), "{command}: {error}");
}

#[test]
fn a_bot_writes_its_symbol_and_nothing_else() {
    let server = Server::start(Options::new());
    let mut subscriber = server.subscribe("PSUBSCRIBE *");
    let mut bot = user(&server, "~BTCUSDT +trade.publish");
    let publish = r#"TRADE.PUBLISH BTCUSDT order.created '{"order_id":"1","volume":1}' ID e FULL"#;
    assert_eq!(bot.map(publish)["receivers"], "1", "no permission for the channel is asked for");
    assert_eq!(subscriber.until_now().len(), 1);
    let before = server.digest();
    for symbol in ["ETHUSDT", "BTCUSD", "BTCUSDTX", "{BTCUSDT}"] {
        assert_denied(&mut bot, &publish.replace("BTCUSDT", symbol));
    }
    for command in [
        "TRADE.MPUBLISH BTCUSDT 1 trade.executed {}",
        "TRADE.ORDER BTCUSDT 1",
        "TRADE.ORDERS BTCUSDT",
        "TRADE.INSTRUMENT BTCUSDT",
        "HGETALL trade:{BTCUSDT}:order:1",
        "XRANGE trade:{BTCUSDT}:events - +",
        "PUBLISH trades:BTCUSDT:order.created {}",
        "SUBSCRIBE trades:BTCUSDT:order.created",
    ] {
        assert_denied(&mut bot, command);
    }
    assert_eq!(server.digest(), before);
    assert!(subscriber.until_now().is_empty());
}

#[test]
fn a_bot_that_may_do_more_is_still_kept_to_its_symbol() {
    let server = Server::start(Options::new());
    let mut bot = user(&server, "~BTCUSDT ~*{BTCUSDT}* &trades:BTCUSDT:* +@all");
    bot.run(r#"TRADE.PUBLISH BTCUSDT order.created '{"order_id":"1","volume":1}'"#);
    assert_eq!(bot.map("HGETALL trade:{BTCUSDT}:order:1")["status"], "pending");
    bot.send("SUBSCRIBE trades:BTCUSDT:order.created");
    bot.receive().expect("a confirmation");
    let mut bot = server.client_as("bot", "pw");
    for sample in COMMANDS {
        assert_eq!(verdict(&mut bot, on("ETHUSDT", sample)), Verdict::NoKey, "{sample:?}");
    }
    assert_denied(&mut bot, "HGETALL trade:{ETHUSDT}:order:1");
    assert_denied(&mut bot, "SUBSCRIBE trades:ETHUSDT:order.created");
}

#[test]
fn rights_to_read_are_not_rights_to_write() {
    let server = prepared();
    let mut reader = user(&server, "%R~S +@all");
    // A command that writes replies what it found, so that writing alone is not enough for it.
    let check = |client: &mut Client, allowed: &[&[&str]]| {
        for sample in COMMANDS {
            let wanted = if allowed.contains(&flags(sample.0)) { Verdict::May } else { Verdict::NoKey };
            assert_eq!(verdict(client, on("S", sample)), wanted, "{sample:?}");
        }
    };
    check(&mut reader, &[READ_ONLY]);
    check(&mut user(&server, "%W~S +@all"), &[]);
    // Of two patterns, or of two selectors, each gives what it gives; a selector is not made of parts of others.
    check(&mut user(&server, "%R~S %W~S +@all"), &[READ_ONLY, READ_WRITE]);
    check(&mut user(&server, "(%R~S +@all) (%W~S +@all)"), &[READ_ONLY]);
    check(&mut user(&server, "+get (~S +@all)"), &[READ_ONLY, READ_WRITE]);
}

#[test]
fn a_command_that_was_taken_away_is_gone() {
    let server = prepared();
    let mut client = user(&server, "~S +@all");
    for sample in COMMANDS {
        server.client().run(format!("ACL SETUSER bot -{}", sample.0));
        assert_eq!(verdict(&mut client, on("S", sample)), Verdict::NoCommand, "{sample:?}");
    }
    assert_eq!(verdict(&mut client, "TRADE.SYMBOLS 0"), Verdict::May);
    server.client().run(format!("ACL SETUSER bot -{}", OF_THE_NODE.0));
    assert_eq!(verdict(&mut client, "TRADE.SYMBOLS 0"), Verdict::NoCommand);
}

/// Which is why the documentation advises against such a rule.
#[test]
fn a_rule_for_the_first_argument_ignores_case() {
    let server = Server::start(Options::new());
    let mut bot = user(&server, "~* +trade.publish|BTCUSDT");
    for (symbol, wanted) in [("BTCUSDT", Verdict::May), ("btcusdt", Verdict::May), ("ETHUSDT", Verdict::NoCommand)] {
        assert_eq!(verdict(&mut bot, format!("TRADE.PUBLISH {symbol} trade.executed {{}}")), wanted, "{symbol}");
    }
}

/// An id may have braces, so a pattern with a star before the symbol covers keys of others.
#[test]
fn a_pattern_by_the_key_s_beginning_covers_one_symbol() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    let data = r#"{"order_id":"{BTCUSDT}","volume":1}"#;
    client.run(["TRADE.PUBLISH", "ETHUSDT", "order.created", data]);
    let forge = "HSET trade:{ETHUSDT}:order:{BTCUSDT} status filled";
    assert_eq!(verdict(&mut user(&server, "~trade:{BTCUSDT}:* +hset"), forge), Verdict::NoKey);
    assert_eq!(client.map("TRADE.ORDER ETHUSDT {BTCUSDT}")["status"], "pending");
    assert_eq!(verdict(&mut user(&server, "~*{BTCUSDT}* +hset"), forge), Verdict::May);
}

/// On Valkey 9.1 and later rules can also name databases.
#[test]
fn a_rule_for_databases_counts_where_there_are_any() {
    let server = Server::start(Options::new().module_args("any-db yes"));
    let mut client = server.client();
    if client.text("ACL SETUSER bot reset on >pw resetchannels ~S +@all db=1") != "OK" {
        return;
    }
    let mut bot = server.client_as("bot", "pw");
    for command in ["TRADE.PUBLISH S trade.executed {}", "TRADE.STATS S", "TRADE.SYMBOLS 0"] {
        let error = bot.error(command);
        assert!(error.starts_with("NOPERM"), "{command}: {error}");
    }
    bot.run("SELECT 1");
    bot.run("TRADE.PUBLISH S trade.executed {}");
    assert_eq!(bot.text("TRADE.SYMBOLS 0"), r#"["0", ["S"]]"#);
    assert_eq!(client.text("TRADE.SYMBOLS 0"), r#"["0", []]"#);
}

#[test]
fn key_specs_say_what_is_done_with_the_symbol() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    for sample in COMMANDS {
        let (command, flags) = (sample.0, flags(sample.0));
        let words = on("S", sample);
        assert_eq!(client.text([&["COMMAND", "GETKEYS"], &words[..]].concat()), r#"["S"]"#, "{command}");
        let keys = client.text([&["COMMAND", "GETKEYSANDFLAGS"], &words[..]].concat());
        assert_eq!(keys, format!(r#"[["S", [{}]]]"#, flags.join(", ")), "{command}");
        let info = client.text(["COMMAND", "INFO", command]);
        // What lets others go on, and what stops bots, goes on when memory is full.
        let relieves =
            command.ends_with(".CLAIM") || ["COND.PAUSE", "COND.UNSUBSCRIBE", "COND.REMOVE"].contains(&command);
        let access = match flags == READ_ONLY {
            true => "readonly",
            false if relieves => "write",
            false => "write, denyoom",
        };
        assert!(info.contains(&format!("[{access}, ")), "{command}: {info}");
        assert!(info.contains(&format!("\"flags\", [{}]", flags.join(", "))), "{command}: {info}");
    }
}

/// Modules can have categories since Redis 7.4; Valkey has always had them, and calls itself Redis 7.2.
fn has_module_categories(server: &Server) -> bool {
    let version = server.info("server", "redis_version").expect("every server has a version");
    let numbers: Vec<u32> = version.split('.').map(|number| number.parse().unwrap_or(0)).collect();
    server.info("server", "valkey_version").is_some() || numbers[..] >= [7, 4][..]
}

#[test]
fn the_category_has_every_command() {
    let server = prepared();
    let mut client = server.client();
    let categories = client.text("ACL CAT");
    assert_eq!(categories.contains("\"tradebus\""), has_module_categories(&server), "{categories}");
    if !has_module_categories(&server) {
        let mut bot = user(&server, "~S +@all -@write -@read");
        assert_eq!(verdict(&mut bot, "TRADE.STATS S"), Verdict::May, "no category has our commands");
        return;
    }
    let listed = client.text("ACL CAT tradebus").to_uppercase();
    let mut trader = user(&server, "~S +@tradebus");
    for sample in COMMANDS {
        assert!(listed.contains(&format!("\"{}\"", sample.0)), "{sample:?}: {listed}");
        assert_eq!(verdict(&mut trader, on("S", sample)), Verdict::May, "{sample:?}");
    }
    assert_denied(&mut trader, "GET S");
    let mut reader = user(&server, "~S +@tradebus -@write");
    for sample in COMMANDS {
        let wanted = if flags(sample.0) == READ_ONLY { Verdict::May } else { Verdict::NoCommand };
        assert_eq!(verdict(&mut reader, on("S", sample)), wanted, "{sample:?}");
    }
    // Readers that publish are readers by the key, and can be told apart.
    let mut silent = user(&server, "~S +@read -@pubsub");
    for sample in COMMANDS {
        let is_silent = flags(sample.0) == READ_ONLY && !sample.0.ends_with(".REPLAY");
        let wanted = if is_silent { Verdict::May } else { Verdict::NoCommand };
        assert_eq!(verdict(&mut silent, on("S", sample)), wanted, "{sample:?}");
    }
}

#[test]
fn a_rule_by_category_lets_the_module_go_and_holds_when_it_comes_back() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    if !has_module_categories(&server) {
        return;
    }
    client.run("ACL SETUSER bot reset on >pw resetchannels ~S +@tradebus");
    let modules = client.text("MODULE LIST");
    let path = modules.split('"').find(|word| word.ends_with(".so")).expect("where it is").to_owned();
    client.run("MODULE UNLOAD tradebus");
    assert!(server.client_as("bot", "pw").error("TRADE.STATS S").starts_with("ERR unknown command"));
    client.run(["MODULE", "LOAD", &path]);
    let mut bot = server.client_as("bot", "pw");
    assert_eq!(verdict(&mut bot, "TRADE.STATS S"), Verdict::May);
    assert_eq!(verdict(&mut bot, "TRADE.STATS OTHER"), Verdict::NoKey);
    assert_eq!(verdict(&mut bot, "GET S"), Verdict::NoCommand);
}
