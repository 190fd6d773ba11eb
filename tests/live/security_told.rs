//! What is told, and to whom: lists, errors, INFO and the server's log.

use std::collections::BTreeSet;

use crate::commands::{on, prepare, COMMANDS};
use crate::input::ERROR_MAX;
use crate::support::{text, Client, Options, Server};

/// What clears a terminal, rings its bell and begins a line, in ASCII and in what UTF-8 has beside.
const HOSTILE: &str = "\x1b[2J\x07\r\nfake\0\u{9b}31m\u{2028}";

/// All symbols that a user is shown, over all pages.
fn symbols(client: &mut Client, count: usize) -> BTreeSet<String> {
    let (mut all, mut cursor) = (BTreeSet::new(), "0".to_owned());
    loop {
        let redis::Value::Array(parts) = client.run(format!("TRADE.SYMBOLS {cursor} COUNT {count}")) else {
            panic!("TRADE.SYMBOLS replies an array");
        };
        let redis::Value::Array(found) = &parts[1] else { panic!("{parts:?}") };
        all.extend(found.iter().map(|symbol| text(symbol).trim_matches('"').to_owned()));
        cursor = text(&parts[0]).trim_matches('"').to_owned();
        if cursor == "0" {
            return all;
        }
    }
}

#[test]
fn pages_of_symbols_show_what_the_rules_cover_at_that_moment() {
    let server = Server::start(Options::new().module_args("scan-limit 100"));
    let mut client = server.client();
    let script = "for i = 1, 400 do redis.call('XADD', 'trade:{' .. ARGV[1] .. i .. '}:events', '*', 'a', 'b') end";
    for family in ["BTC", "ETH"] {
        client.run(["EVAL", script, "0", family]);
    }
    let all = |family: &str| (1..=400).map(|number| format!("{family}{number}")).collect::<BTreeSet<_>>();
    let both: BTreeSet<_> = all("BTC").union(&all("ETH")).cloned().collect();
    client.run("ACL SETUSER bot reset on nopass resetchannels +trade.symbols");
    let mut bot = server.client_as("bot", "any");
    // The connection stays, and the rules change under it.
    for (rights, expected) in [
        ("", BTreeSet::new()),
        ("~BTC*", all("BTC")),
        ("resetkeys %R~ETH*", all("ETH")),
        ("%W~BTC*", all("ETH")),
        ("(%R~BTC* +get)", both.clone()),
        ("clearselectors", all("ETH")),
        ("resetkeys %W~*", BTreeSet::new()),
        ("resetkeys allkeys", both.clone()),
        ("resetkeys ~trade:{BTC1}:*", BTreeSet::new()),
        ("resetkeys %R~BTC7", ["BTC7".to_owned()].into()),
    ] {
        client.run(format!("ACL SETUSER bot {rights}"));
        for count in [1, 100] {
            assert_eq!(symbols(&mut bot, count), expected, "{rights} COUNT {count}");
        }
    }
    // A cursor says nothing of its owner, so what one user got is of no more use to another.
    client.run("ACL SETUSER bot resetkeys ~BTC7");
    let redis::Value::Array(parts) = client.run("TRADE.SYMBOLS 0 COUNT 1") else { panic!("an array") };
    let shown = bot.text(format!("TRADE.SYMBOLS {} COUNT 100", text(&parts[0]).trim_matches('"')));
    assert!(!shown.contains("ETH"), "{shown}");
    client.run("ACL DELUSER bot");
    assert!(bot.try_reply("TRADE.SYMBOLS 0").is_err(), "the connection ends with the user");
}

#[test]
fn errors_are_one_bounded_line_without_control_characters() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    prepare(&mut client, "S");
    let long = HOSTILE.repeat(1_000);
    let mut refused = 0;
    for sample in COMMANDS {
        let words = on("S", sample);
        for place in 1..=words.len() {
            for hostile in [HOSTILE, &long] {
                // The last place is that of an option.
                let mut words = [words.as_slice(), &[""][..usize::from(place == words.len())]].concat();
                words[place] = hostile;
                let reply = client.text(&words);
                let Some(line) = reply.strip_prefix("(error) ") else { continue };
                refused += 1;
                assert!(line.len() <= ERROR_MAX && !line.contains(char::is_control), "{}: {line:?}", sample.0);
            }
        }
    }
    assert!(refused > COMMANDS.len() * 4, "{refused}");
}

#[test]
fn info_and_the_log_name_nobody_and_have_no_data() {
    let server = Server::start(Options::new().config("loglevel debug"));
    let mut client = server.client();
    prepare(&mut client, "XSECRETX");
    for sample in COMMANDS {
        client.run(on("XSECRETX", sample));
    }
    client.run(
        r#"TRADE.PUBLISH XSECRETX order.created '{"order_id":"XSECRETX","volume":7}' ID XSECRETX SOURCE XSECRETX"#,
    );
    client.error(r#"TRADE.PUBLISH XSECRETX order.created '{"order_id":"XSECRETX","volume":7}'"#);
    let told = [client.string("INFO tradebus"), client.string("INFO everything"), server.log()];
    for told in told {
        assert!(!told.contains("XSECRETX"), "{told}");
    }
}

/// A rule that keeps the module from being unloaded is logged, and a pattern in it may have any byte but white space.
#[test]
fn a_line_of_the_log_has_no_control_characters() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    client.run(["ACL", "SETUSER", "bot", "on", ">secret", "~a\x1b[2J\x07\u{9b}31mb", "+trade.publish"]);
    assert!(client.error("MODULE UNLOAD tradebus").starts_with("ERR"));
    let log = server.log();
    assert!(log.lines().all(|line| !line.contains(char::is_control)), "{log:?}");
    client.run("ACL DELUSER bot");
}
