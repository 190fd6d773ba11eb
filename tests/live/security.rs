//! `docs/security.md`: its users are made as it shows them, and may do what it says and nothing else. Every command
//! of ours is tried as every user, on what is theirs and on what is not.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::commands::{on, prepare, COMMANDS, OF_THE_NODE};
use crate::redis_cli;
use crate::support::{project_path, Client, Options, Server, Words};

/// What the users of the page have a right to.
pub const SYMBOL: &str = "BTCUSDT";
const STREAM: &str = "policy";
/// What most of them have none to.
pub const FOREIGN: &str = "ETHUSDT";

/// What becomes of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is carried out.
    May,
    /// The user may not run it at all.
    NoCommand,
    /// The user may not run it on this key.
    NoKey,
    /// The user may not use this channel.
    NoChannel,
}

/// Sends a command and tells whether it was permitted. What is permitted must succeed.
#[track_caller]
pub fn verdict(client: &mut Client, command: impl Words) -> Verdict {
    let reply = client.text(&command);
    let shown = || String::from_utf8_lossy(&command.words().join(&b' ')).into_owned();
    let Some(denied) = reply.strip_prefix("(error) NOPERM ") else {
        assert!(!reply.starts_with("(error)"), "{}: {reply}", shown());
        return Verdict::May;
    };
    match denied {
        _ if denied.contains("permissions to run the") => Verdict::NoCommand,
        _ if denied.contains("a key") || denied.contains("the keys") => Verdict::NoKey,
        _ if denied.contains("channel") || denied.contains("publish on") => Verdict::NoChannel,
        _ => panic!("{}: {reply}", shown()),
    }
}

fn page() -> String {
    fs::read_to_string(project_path("docs/security.md")).expect("the page")
}

/// The users whose key patterns cover everything.
const OF_ALL: [&str; 2] = ["exporter", "administrator"];

/// Makes the users as the page shows it.
fn users(server: &Server) -> Vec<String> {
    let mut session = redis_cli::Session::new(server);
    let user = |example: redis_cli::Example| {
        session.check(&project_path("docs/security.md"), &example);
        let words: Vec<_> = example.command.split(' ').map(str::to_owned).collect();
        assert_eq!(words[..2], ["ACL", "SETUSER"], "{}", example.command);
        assert_eq!(words[3..7], ["reset", "on", ">secret", "resetchannels"], "{}", example.command);
        words[2].clone()
    };
    redis_cli::examples(&page()).into_iter().map(user).collect()
}

/// A row of the page's table of commands.
pub struct Row {
    pub command: String,
    /// `read`, `write` or `none`.
    pub key: String,
    /// What the channels begin with that the command publishes on.
    pub channels: Vec<String>,
    users: Vec<String>,
}

/// The page's table of commands.
pub fn table() -> Vec<Row> {
    let page = page();
    let rows = page.lines().skip_while(|line| *line != "## Commands").filter(|line| line.starts_with("| "));
    let rows = rows.skip(2).take_while(|line| line.split('|').count() == 6);
    let row = |line: &str| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let names = |cell: &str| cell.split_whitespace().map(|name| name.replace('`', "")).collect();
        Row {
            command: cells[1].to_owned(),
            key: cells[2].to_owned(),
            channels: names(cells[3]),
            users: names(cells[4]),
        }
    };
    rows.map(row).collect()
}

/// How the page says that a command uses its key.
pub fn use_of_key(command: &str) -> String {
    table().into_iter().find(|row| row.command == command).unwrap_or_else(|| panic!("{command} has no row")).key
}

/// A digest of each key of a symbol and of the stream of that name.
fn digests(server: &Server, name: &str) -> BTreeMap<String, String> {
    let mut client = server.client();
    let keys = client.keys(&format!("*{{{name}}}*"));
    keys.into_iter().map(|key| (key.clone(), client.text(["DEBUG", "DIGEST-VALUE", &key]))).collect()
}

/// A server on which every command succeeds, on what the users have a right to and on what they have none to.
pub fn prepared() -> Server {
    let server = Server::start(Options::new().module_args("bar-grace 3600000"));
    for name in [SYMBOL, STREAM, FOREIGN] {
        prepare(&mut server.client(), name);
    }
    server
}

#[test]
fn every_command_has_a_row() {
    let rows: Vec<_> = table().into_iter().map(|row| row.command).collect();
    let unique: BTreeSet<_> = rows.iter().map(String::as_str).collect();
    let commands = COMMANDS.iter().chain([&OF_THE_NODE]).map(|(command, _)| *command);
    assert_eq!(unique, commands.collect());
    assert_eq!(rows.len(), unique.len());
}

#[test]
fn every_user_may_run_what_the_table_says_and_nothing_else() {
    let server = prepared();
    let users = users(&server);
    let table = table();
    let known: BTreeSet<_> = users.iter().map(String::as_str).collect();
    for name in table.iter().flat_map(|row| &row.users) {
        assert!(known.contains(name.as_str()), "{name} is in the table and not made");
    }
    let before = digests(&server, FOREIGN);
    assert!(before.len() > 10, "{before:?}");
    for name in &users {
        let is_of_all = OF_ALL.contains(&name.as_str());
        let mut client = server.client_as(name, "secret");
        for row in table.iter().filter(|row| row.key != "none") {
            let sample = *COMMANDS.iter().find(|(command, _)| *command == row.command).expect("a sample");
            let own = if row.command.starts_with("EVENT.") { STREAM } else { SYMBOL };
            let is_allowed = row.users.contains(name) || name == "administrator";
            let wanted = match (is_allowed, is_of_all) {
                (false, _) => [Verdict::NoCommand; 2],
                (true, false) => [Verdict::May, Verdict::NoKey],
                (true, true) => [Verdict::May; 2],
            };
            let found = [own, FOREIGN].map(|key| verdict(&mut client, on(key, sample)));
            assert_eq!(found, wanted, "{name}: {}", row.command);
        }
        if name != "administrator" {
            assert_eq!(digests(&server, FOREIGN), before, "{name}");
        }
        let row = table.iter().find(|row| row.command == OF_THE_NODE.0).expect("a row");
        let is_allowed = row.users.contains(name) || name == "administrator";
        let found = verdict(&mut client, [OF_THE_NODE.0, "0"]);
        assert_eq!(found, if is_allowed { Verdict::May } else { Verdict::NoCommand }, "{name}");
        if is_allowed {
            let symbols = client.text("TRADE.SYMBOLS 0");
            assert!(symbols.contains(SYMBOL), "{name}: {symbols}");
            assert_eq!(symbols.contains(FOREIGN), is_of_all, "{name}: {symbols}");
        }
    }
}

/// Beside our commands, users have plain ones.
#[test]
fn every_user_can_do_its_work_and_not_that_of_others() {
    use Verdict::{May, NoChannel, NoCommand, NoKey};
    let server = prepared();
    let users = users(&server);
    let mut tried = BTreeSet::new();
    let mut check = |user: &str, commands: &[(&str, Verdict)]| {
        tried.insert(user.to_owned());
        // Whoever subscribes can do nothing else on that connection.
        for (command, wanted) in commands {
            let mut client = server.client_as(user, "secret");
            assert_eq!(verdict(&mut client, *command), *wanted, "{user}: {command}");
        }
        let mut client = server.client_as(user, "secret");
        let listens = ["listener", "shardlistener"].contains(&user);
        for command in ["PING", "HELLO 2"] {
            assert_eq!(verdict(&mut client, command), May, "{user}: {command}");
        }
        if user == "administrator" {
            return;
        }
        for command in [
            "SET BTCUSDT x",
            "DEL trade:{BTCUSDT}:events",
            "HSET trade:{BTCUSDT}:order:1 status filled",
            "XADD trade:{BTCUSDT}:events * type order.filled",
            "PUBLISH trades:BTCUSDT:order.filled {}",
            "SPUBLISH trades:{BTCUSDT}:order.filled {}",
            "CONFIG SET tradebus.pubsub off",
            "CONFIG GET tradebus.*",
            "ACL LIST",
            "ACL WHOAMI",
            "MODULE LIST",
            "FLUSHALL",
            "KEYS *",
            "SCAN 0",
            "MONITOR",
            "SLOWLOG GET",
            "CLIENT LIST",
            "CLIENT TRACKING ON BCAST",
            "SELECT 1",
            "EVAL 'return 1' 0",
            "FUNCTION LIST",
        ] {
            assert_eq!(verdict(&mut client, command), NoCommand, "{user}: {command}");
        }
        let foreign =
            ["SUBSCRIBE trades:ETHUSDT:order.filled", "PSUBSCRIBE *", "SSUBSCRIBE trades:{ETHUSDT}:order.filled"];
        for command in foreign {
            assert_ne!(verdict(&mut client, command), May, "{user}: {command}");
            if listens && command.starts_with('S') && command.starts_with("SS") == (user == "shardlistener") {
                assert_eq!(verdict(&mut client, command), NoChannel, "{user}: {command}");
            }
        }
    };
    check("publisher", &[("HGETALL trade:{BTCUSDT}:order:1", NoCommand), ("WAIT 0 1", NoCommand)]);
    check(
        "executor",
        &[
            ("XREADGROUP GROUP group me STREAMS bots:{BTCUSDT}:dca >", May),
            ("XACK bots:{BTCUSDT}:dca group 1-1", May),
            ("XREADGROUP GROUP group me STREAMS bots:{BTCUSDT}:grid >", NoKey),
            ("XREADGROUP GROUP group me STREAMS trade:{BTCUSDT}:events >", NoKey),
            ("XREADGROUP GROUP group me STREAMS bots:{ETHUSDT}:dca >", NoKey),
        ],
    );
    check(
        "settlement",
        &[
            ("XREADGROUP GROUP group me STREAMS trade:{BTCUSDT}:events >", May),
            ("XACK trade:{BTCUSDT}:events group 1-1", May),
            ("XREADGROUP GROUP group me STREAMS trade:{ETHUSDT}:events >", NoKey),
            ("XACK trade:{BTCUSDT}:dead group 1-1", NoKey),
        ],
    );
    check("feeder", &[("XRANGE market:{BTCUSDT}:1m - +", NoCommand)]);
    check("strategist", &[("XRANGE cond:{BTCUSDT}:triggers - +", NoCommand)]);
    check("dashboard", &[("HGETALL trade:{BTCUSDT}:order:1", NoCommand)]);
    check(
        "reader",
        &[
            ("HGETALL trade:{BTCUSDT}:order:1", May),
            ("HMGET cond:{BTCUSDT}:def:known mode", May),
            ("ZRANGE trade:{BTCUSDT}:orders:open 0 -1", May),
            ("XRANGE market:{BTCUSDT}:1m - +", May),
            ("XREVRANGE trade:{BTCUSDT}:events + -", May),
            ("XLEN bots:{BTCUSDT}:dca", May),
            ("HGETALL trade:{ETHUSDT}:order:1", NoKey),
            ("XRANGE market:{ETHUSDT}:1m - +", NoKey),
            ("HGETALL trade:{ETHUSDT}:order:{BTCUSDT}", NoKey),
            ("XLEN events:{BTCUSDT}", NoKey),
        ],
    );
    check(
        "listener",
        &[
            ("SUBSCRIBE trades:BTCUSDT:order.created", May),
            ("PSUBSCRIBE trades:BTCUSDT:*", May),
            ("PSUBSCRIBE trades:BTCUSDT:order.*", NoChannel),
            ("PSUBSCRIBE trades:*", NoChannel),
            ("SUBSCRIBE market:BTCUSDT:1m", May),
            ("SUBSCRIBE condition.breakout", May),
            ("SUBSCRIBE condition.other", NoChannel),
            ("SUBSCRIBE replay:trades:BTCUSDT:order.created", May),
            ("SUBSCRIBE __keyspace@0__:trade:{BTCUSDT}:events", NoChannel),
        ],
    );
    check(
        "shardlistener",
        &[
            ("SSUBSCRIBE trades:{BTCUSDT}:order.created", May),
            ("SSUBSCRIBE condition.{BTCUSDT}.known", May),
            ("SSUBSCRIBE condition.{ETHUSDT}.known", NoChannel),
            ("SUBSCRIBE trades:{BTCUSDT}:order.created", NoCommand),
        ],
    );
    check(
        "auditor",
        &[
            ("TRADE.REBUILD BTCUSDT DRYRUN", May),
            ("TRADE.REPLAY BTCUSDT - + CHANNEL audit:", May),
            ("TRADE.REPLAY BTCUSDT - + CHANNEL other:", NoChannel),
            ("PSUBSCRIBE audit:trades:BTCUSDT:*", May),
            ("PSUBSCRIBE audit:*", NoChannel),
            // Only the selector may write, and only by its one command.
            ("TRADE.PUBLISH BTCUSDT trade.executed {}", NoCommand),
        ],
    );
    check(
        "operator",
        &[
            ("TRADE.INSTRUMENT BTCUSDT SET currency USD", May),
            ("EVENT.SCHEMA policy SET policy.updated {}", May),
            ("XRANGE trade:{BTCUSDT}:dead - +", May),
            ("XDEL events:{policy}:dead 1-1", May),
            ("XDEL trade:{BTCUSDT}:events 1-1", NoKey),
        ],
    );
    check("announcer", &[("XRANGE events:{policy} - +", NoCommand)]);
    check(
        "follower",
        &[
            ("PSUBSCRIBE events:policy:*", May),
            ("PSUBSCRIBE replay:events:policy:*", May),
            ("EVENT.REPLAY policy - + CHANNEL audit:", NoChannel),
        ],
    );
    check(
        "streamworker",
        &[
            ("XREADGROUP GROUP group me STREAMS events:{policy} >", May),
            ("XACK events:{policy} group 1-1", May),
            ("XREADGROUP GROUP group me STREAMS events:{other} >", NoKey),
        ],
    );
    check("exporter", &[("INFO tradebus", May), ("INFO", May), ("XLEN trade:{BTCUSDT}:events", NoCommand)]);
    check("replica", &[("REPLCONF capa eof", May)]);
    check("administrator", &[("CONFIG SET tradebus.stream-maxlen 10", May), ("ACL LIST", May), ("GET x", May)]);
    assert_eq!(tried, users.into_iter().collect());
}

/// Who publishes has to write a mark and to wait, to know that replicas have it.
#[test]
fn a_publisher_that_waits_for_replicas_may_as_the_page_shows_it() {
    let server = Server::start(Options::new());
    users(&server);
    let page = page();
    let line = page.lines().find(|line| line.starts_with("ACL SETUSER publisher +wait")).expect("the line");
    assert_eq!(server.client().text(line), "OK");
    let mut publisher = server.client_as("publisher", "secret");
    for (command, wanted) in [
        ("TRADE.PUBLISH BTCUSDT trade.executed {}", Verdict::May),
        ("SET mark:{BTCUSDT} ''", Verdict::May),
        ("WAIT 0 1", Verdict::May),
        ("SET mark:{ETHUSDT} ''", Verdict::NoKey),
        ("SET trade:{BTCUSDT}:last ''", Verdict::NoKey),
        ("SET BTCUSDT ''", Verdict::NoKey),
        ("GET mark:{BTCUSDT}", Verdict::NoCommand),
        ("TRADE.PUBLISH ETHUSDT trade.executed {}", Verdict::NoKey),
    ] {
        assert_eq!(verdict(&mut publisher, command), wanted, "{command}");
    }
}

#[test]
fn the_default_user_is_switched_off_as_the_page_shows_it() {
    let server = Server::start(Options::new());
    users(&server);
    let mut administrator = server.client_as("administrator", "secret");
    let page = page();
    let line = page.lines().find(|line| line.starts_with("ACL SETUSER default")).expect("the line");
    assert_eq!(administrator.text(line), "OK");
    let error = server.client().error("TRADE.SYMBOLS 0");
    assert!(error.starts_with("NOAUTH"), "{error}");
    assert_eq!(
        verdict(&mut server.client_as("publisher", "secret"), "TRADE.PUBLISH BTCUSDT trade.executed {}"),
        Verdict::May
    );
    // The test's own look at whether the server lives needs no password.
    administrator.run("ACL SETUSER default on");
}

#[test]
fn a_replica_logs_in_as_the_page_shows_it() {
    let master = Server::start(Options::new());
    users(&master);
    master.client().run("ACL SETUSER default -psync");
    let options = Options::new().config("masteruser replica").config("masterauth secret");
    let replica = Server::start(options.replica_of(&master));
    let mut subscriber = replica.subscribe("PSUBSCRIBE trades:*");
    master.client_as("publisher", "secret").run("TRADE.PUBLISH BTCUSDT trade.executed {}");
    replica.catch_up_with(&master);
    assert_eq!(replica.digest(), master.digest());
    assert_eq!(subscriber.until_now().len(), 1);
    let links = master.client().text("CLIENT LIST TYPE replica");
    assert!(links.contains(" user=replica "), "{links}");
}
