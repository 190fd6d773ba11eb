//! What happens when a server loads the module: it is there, or it says why not.

use redis::Value;

use crate::support::{text, Options, Server};

#[test]
fn the_module_is_listed_and_reports() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    let modules = client.text("MODULE LIST");
    assert!(modules.contains(r#""name", "tradebus""#), "{modules}");
    let info = client.string("INFO tradebus");
    assert!(info.starts_with("# tradebus"), "{info}");
    assert!(!client.string("INFO").is_empty());
}

#[test]
fn its_commands_are_documented() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    let Value::Array(names) = client.run("COMMAND LIST FILTERBY MODULE tradebus") else {
        panic!("COMMAND LIST replies an array");
    };
    let names: Vec<String> = names.iter().map(text).collect();
    assert!(names.iter().any(|name| name.contains("TRADE.PUBLISH")), "{names:?}");
    for name in names {
        let docs = client.text(format!("COMMAND DOCS {name}"));
        assert!(docs.contains("\"summary\""), "{docs}");
    }
}

#[test]
fn bad_arguments_refuse_to_load() {
    for (args, reason) in [
        ("stream-maxlen many", "stream-maxlen"),
        ("stream-maxlen -1", "stream-maxlen"),
        ("lifecycle sloppy", "lifecycle"),
        ("no-such-setting 1", "no-such-setting"),
        ("stream-maxlen", "stream-maxlen"),
    ] {
        let log = Server::refuses_to_start(Options::new().module_args(args));
        assert!(log.contains(reason), "{args}: {log}");
        assert!(!log.contains("crashed by signal"), "{args}: {log}");
    }
}

#[test]
fn arguments_are_settings() {
    let server = Server::start(Options::new().module_args("stream-maxlen 10 lifecycle strict"));
    let mut client = server.client();
    for (setting, value) in [("stream-maxlen", "10"), ("lifecycle", "strict")] {
        let name = format!("tradebus.{setting}");
        assert_eq!(client.map(["CONFIG", "GET", &name])[&name], value);
    }
}

/// Redis 8 and Valkey 8 end with an assertion when a command goes that a user's rules name.
#[test]
fn the_module_stays_while_a_user_is_allowed_its_commands() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    client.run("TRADE.PUBLISH S trade.executed {}");
    for rule in ["+trade.publish", "+@all -TRADE.CLAIM", "+get (~a +event.schema ~b)"] {
        let mut words = vec!["ACL", "SETUSER", "bot", "on", ">secret", "~BTC"];
        let selector = rule.find('(').map(|at| &rule[at..]);
        words.extend(rule[..rule.find('(').unwrap_or(rule.len())].split_whitespace());
        words.extend(selector);
        client.run(&words);
        assert!(client.error("MODULE UNLOAD tradebus").starts_with("ERR"), "{rule}");
        let log = server.log();
        // Valkey 9.1 looks itself, before it asks the module.
        let says = ["not unloaded: an ACL rule names a command of tradebus", "tradebus unload blocked: An ACL user"];
        assert!(says.iter().any(|says| log.contains(says)), "{rule}: {log}");
        assert!(!log.contains("#2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"), "{rule}: {log}");
        client.run("ACL DELUSER bot");
    }
    assert_eq!(client.text("TRADE.STATS S").matches("trade.executed").count(), 1);
    client.run("ACL SETUSER reader on nopass ~BTC +@all");
    client.run("MODULE UNLOAD tradebus");
    client.run("PING");
}

/// The server goes on to refer to the command that a connection sent last, and to those that it has queued: Redis 8
/// calls it again, and all of them tell its name.
#[test]
fn the_module_stays_while_connections_refer_to_it() {
    let server = Server::start(Options::new());
    let (mut operator, mut other) = (server.client(), server.client());
    for (commands, gone) in [(&["TRADE.SYMBOLS 0"][..], "PING"), (&["MULTI", "TRADE.SYMBOLS 0", "PING"], "DISCARD")] {
        for command in commands {
            other.run(command);
        }
        assert!(operator.error("MODULE UNLOAD tradebus").starts_with("ERR"), "{commands:?}");
        assert!(server
            .log()
            .contains("not unloaded: a connection has sent a command of tradebus last, or has some in MULTI: id="));
        other.run(gone);
    }
    operator.run("TRADE.SYMBOLS 0");
    operator.run("MODULE UNLOAD tradebus");
    assert_eq!(operator.text("TRADE.SYMBOLS 0").split(',').next(), Some("(error) ERR unknown command 'TRADE.SYMBOLS'"));
}

/// Effects are built from these: without one of them, replicas would silently miss writes.
#[test]
fn a_renamed_command_refuses_to_load() {
    for command in ["HSET", "XADD", "PUBLISH", "PEXPIREAT"] {
        let log = Server::refuses_to_start(Options::new().config(&format!("rename-command {command} elsewhere")));
        let reason = log.lines().find(|line| line.contains(command));
        assert!(reason.is_some(), "{command} is not named: {log}");
    }
}
