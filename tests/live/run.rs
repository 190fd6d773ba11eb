//! `make run`: the recorded trading day comes out as recorded, and nothing of it stays behind.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::{env, str};

use crate::support::{wait_until, Client, Options, Server, Stop};
use redis::ProtocolVersion;

/// The example beside this test: cargo builds it with the tests, into `examples` of the same profile.
fn trading_day() -> Command {
    let test = env::current_exe().expect("the path of this test");
    let profile = test.parent().and_then(|deps| deps.parent()).map(PathBuf::from).expect("target/<profile>/deps");
    let example = profile.join("examples/trading_day");
    assert!(example.exists(), "no {}: cargo build --example trading_day", example.display());
    Command::new(example)
}

/// A port that was a server's, which no other test gets.
fn free_port() -> u16 {
    let mut server = Server::start(Options::plain());
    server.stop(Stop::Shutdown);
    server.port()
}

fn run(command: &mut Command) -> (Output, String, String) {
    let output = command.output().expect("a program");
    let text = |bytes: &[u8]| str::from_utf8(bytes).expect("UTF-8").to_owned();
    let (out, error) = (text(&output.stdout), text(&output.stderr));
    (output, out, error)
}

fn is_answered(port: u16) -> bool {
    let client = Client::connect(port, Client::settings(ProtocolVersion::RESP2));
    client.is_ok_and(|mut client| client.try_reply("PING").is_ok())
}

#[test]
fn the_day_ends_as_recorded() {
    let port = free_port();
    let (output, shown, error) = run(trading_day().env("PORT", port.to_string()).env("ONCE", "1"));
    assert!(output.status.success(), "{shown}{error}");
    assert_eq!(error, "");
    for part in [
        "order.partially_filled     50231902         late, cancelled v4\n",
        "> trades:EURUSD:order.partially_filled ",
        "refused VERSIONCONFLICT\n            EXPECT is 1, but the version is 3\n",
        "duplicate: nothing done\n",
        "in one command, all or none:\n",
        "\nOrders, by TRADE.ORDER\n",
        "\nPositions, by TRADE.POSITION\n",
        "XREVRANGE trade:{BTC/USDT:USDT}:events",
        "> replay:trades:XAUUSD:order.created  {\"id\":\"",
        "TRADE.REBUILD XAUUSD         differing 1  ",
        "TRADE.REBUILD XAUUSD DRYRUN  differing 0  ",
        "\nStatistics: TRADE.STATS XAUUSD\n",
        "\na8a8ede17b59c05f  COND.REGISTER GOOG 1d 'rsi(14) < 35'\n",
        "\n2008-11-12  close 291     rsi(14) < 35, TOUCHES 300\n          > dca-1 buys 2 at 291\n",
        "another one claims it, by COND.CLAIM:\n          > dca-1 buys 2 at 280.18\n",
        "          > trend-1 closes 10 at 342.64\n",
        "\nstate false, bars 280, close 385.95, sma(20) 372.53850000000017\n",
        "active_positions 1  realized_pnl -135.9  order.created 23",
        "events_total:95 ",
        "candles:280 ",
        "Every outcome is as recorded\n",
    ] {
        assert!(shown.contains(part), "no {part:?} in\n{shown}");
    }
    let position = shown.lines().find(|line| line.contains("stop_loss  closed")).expect("the closed position");
    let cells: Vec<_> = position.split_whitespace().collect();
    assert_eq!(cells, ["XAUUSD", "P-50231877", "LONG", "0", "4078.38", "166", "166.00", "stop_loss", "closed", "5"]);
    for line in shown.lines() {
        assert!(line.chars().count() <= 100, "wider than a terminal: {line}");
        assert!(!line.contains('\x1b'), "coloured, though it is no terminal: {line}");
    }
    assert!(!is_answered(port), "the server is still there");
}

#[test]
fn the_server_ends_with_the_program_however_that_ends() {
    let port = free_port();
    let mut program = trading_day();
    program.env("PORT", port.to_string()).env_remove("ONCE").stdout(Stdio::null());
    let mut running = program.spawn().expect("a program");
    wait_until("the day to be over", || {
        let client = Client::connect(port, Client::settings(ProtocolVersion::RESP2));
        client.is_ok_and(|mut client| client.text("EXISTS trade:{EURUSD}:order:50231950") == "1")
    });
    running.kill().expect("a process of our own");
    running.wait().expect("a process of our own");
    wait_until("the server to end", || !is_answered(port));
}

#[test]
fn a_taken_port_is_named_with_what_to_do() {
    let server = Server::start(Options::plain());
    let (output, shown, error) = run(trading_day().env("PORT", server.port().to_string()).env("ONCE", "1"));
    assert_eq!((output.status.code(), shown.as_str()), (Some(1), ""));
    let port = server.port();
    assert_eq!(error, format!("trading_day: port {port} is taken; use another one: PORT={} make run\n", port + 1));
}

#[test]
fn a_missing_server_is_named_with_what_to_do() {
    let port = free_port().to_string();
    let missing = "/nowhere/redis-server";
    let (output, _, error) = run(trading_day().env("PORT", port).env("TRADEBUS_TEST_SERVER", missing));
    assert_eq!(output.status.code(), Some(1));
    assert!(error.contains(missing) && error.contains("scripts/setup"), "{error}");
}
