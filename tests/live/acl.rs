//! Permissions: the symbol is the key that counts, key specs say what is done with it, and categories are
//! there where the server has them.

use crate::support::{Client, Options, Server};

/// Every command with arguments, and the flags of its key.
const COMMANDS: [(&str, &[&str]); 20] = [
    (r#"TRADE.PUBLISH S order.created '{"order_id":"1","volume":1}'"#, READ_WRITE),
    (r#"TRADE.MPUBLISH S 1 trade.executed {} IDS a SOURCE b"#, READ_WRITE),
    ("TRADE.INSTRUMENT S SET currency USD", READ_WRITE),
    ("TRADE.ORDER S 1", READ_ONLY),
    ("TRADE.POSITION S 1", READ_ONLY),
    ("TRADE.SIGNAL S 1", READ_ONLY),
    ("TRADE.ORDERS S COUNT 1", READ_ONLY),
    ("TRADE.POSITIONS S OFFSET 0", READ_ONLY),
    ("TRADE.EVENTS S - + TYPE order.created", READ_ONLY),
    ("TRADE.REPLAY S - + COUNT 1", READ_ONLY),
    ("TRADE.REBUILD S DRYRUN", READ_WRITE),
    ("TRADE.STATS S", READ_ONLY),
    ("TRADE.CLAIM S workers me 0 1", READ_WRITE),
    ("EVENT.PUBLISH S policy.updated {}", READ_WRITE),
    ("EVENT.LAST S", READ_ONLY),
    ("EVENT.RANGE S - +", READ_ONLY),
    ("EVENT.REPLAY S - +", READ_ONLY),
    ("EVENT.SCHEMA S LIST", READ_WRITE),
    ("EVENT.STATS S", READ_ONLY),
    ("EVENT.CLAIM S workers me 0 1", READ_WRITE),
];
const READ_WRITE: &[&str] = &["RW", "access", "update"];
const READ_ONLY: &[&str] = &["RO", "access"];

fn name(command: &str) -> &str {
    command.split(' ').next().expect("a name")
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
    for (command, _) in COMMANDS {
        assert_denied(&mut bot, &command.replacen(" S", " ETHUSDT", 1));
    }
    assert_denied(&mut bot, "HGETALL trade:{ETHUSDT}:order:1");
    assert_denied(&mut bot, "SUBSCRIBE trades:ETHUSDT:order.created");
}

#[test]
fn rights_to_read_are_not_rights_to_write() {
    let server = Server::start(Options::new());
    server.client().run(r#"TRADE.PUBLISH S order.created '{"order_id":"1","volume":1}'"#);
    let mut reader = user(&server, "%R~S +@all");
    for (command, flags) in COMMANDS {
        if flags == READ_ONLY {
            reader.run(command);
        } else {
            assert_denied(&mut reader, command);
        }
    }
    assert_eq!(reader.map("TRADE.ORDER S 1")["status"], "pending");
    // A publish replies what it found, so that writing alone is not enough for it.
    let mut writer = user(&server, "%W~S +@all");
    for (command, _) in COMMANDS {
        assert_denied(&mut writer, command);
    }
}

#[test]
fn key_specs_say_what_is_done_with_the_symbol() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    for (command, flags) in COMMANDS {
        assert_eq!(client.text(format!("COMMAND GETKEYS {command}")), r#"["S"]"#, "{command}");
        let keys = client.text(format!("COMMAND GETKEYSANDFLAGS {command}"));
        assert_eq!(keys, format!(r#"[["S", [{}]]]"#, flags.join(", ")), "{command}");
        let info = client.text(format!("COMMAND INFO {}", name(command)));
        let access = match flags == READ_ONLY {
            true => "readonly",
            // Claiming lets others go on, so it goes on when memory is full.
            false if command.contains(".CLAIM") => "write",
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
    let server = Server::start(Options::new().module_args("consumer-groups workers"));
    let mut client = server.client();
    let categories = client.text("ACL CAT");
    assert_eq!(categories.contains("\"tradebus\""), has_module_categories(&server), "{categories}");
    if !has_module_categories(&server) {
        return;
    }
    let listed = client.text("ACL CAT tradebus").to_uppercase();
    let mut trader = user(&server, "~S +@tradebus");
    for (command, _) in COMMANDS {
        assert!(listed.contains(&format!("\"{}\"", name(command))), "{command}: {listed}");
        trader.run(command);
    }
    assert_denied(&mut trader, "GET S");
    let mut reader = user(&server, "~S +@tradebus -@write");
    for (command, flags) in COMMANDS {
        if flags == READ_ONLY {
            reader.run(command);
        } else {
            assert_denied(&mut reader, command);
        }
    }
}
