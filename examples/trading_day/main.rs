//! Plays a recorded trading day on a server of its own, and shows what comes of it: `make run`.
//!
//! It is a client as any other: one connection publishes, another one is subscribed to `trades:*`. The
//! recording, `day.jsonl`, tells what must become of every event and how every order and position ends, so a
//! run is also an end-to-end check: the first difference ends it with an error. Behind the day comes a year of
//! candles, `goog.csv`, with conditions on them and bots that trade (`market.rs`), checked in the same way.
//!
//! `PORT` (6379) is where the server listens. With `ONCE=1` the program ends when the day is over; otherwise
//! the server stays up until Ctrl-C. `TRADEBUS_TEST_SERVER` names another server binary than `redis-server`,
//! `TRADEBUS_MODULE` another module than the release build.

mod aftermath;
mod day;
#[path = "../bots/executor/mod.rs"]
mod executor;
mod market;
mod player;
mod report;
mod server;

use std::env;
use std::process::ExitCode;

use player::Player;
use report::Screen;
use server::Server;

/// What stops the program, as its user reads it.
type Outcome<T> = Result<T, String>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("trading_day: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome<()> {
    let day = day::parse(include_str!("day.jsonl"))?;
    let screen = Screen::of_stdout();
    let server = Server::start(port()?)?;
    let mut connection = server.connect()?;
    let mut listening = server.connect()?;
    screen.heading(&format!("A trading day on {}, port {}", server::describe(&mut connection)?, server.port()));
    screen.note("What is published, and below it, behind >, what a subscriber to trades:* hears of it.");
    let ends = Player::new(&mut connection, listening.as_pubsub(), &screen)?.play(&day)?;
    screen.ends(&ends);
    screen.log(&mut connection, "BTC/USDT:USDT")?;
    aftermath::replay(&mut connection, server.connect()?.as_pubsub(), &screen)?;
    aftermath::rebuild(&mut connection, &screen)?;
    aftermath::statistics(&mut connection, &screen)?;
    market::play(&server, &screen)?;
    screen.info(&mut connection)?;
    screen.heading("Every outcome is as recorded");
    if env::var("ONCE").is_ok_and(|once| once == "1") {
        return Ok(());
    }
    let port = server.port();
    screen.note("The server stays up until Ctrl-C. To look around, in another terminal:\n");
    for example in [
        "TRADE.ORDERS BTC/USDT",
        "TRADE.EVENTS XAUUSD - + REV COUNT 3",
        "TRADE.POSITION 'BTC/USDT:USDT' PERP-BTC",
        "PSUBSCRIBE 'trades:*'",
        "COND.LIST GOOG",
        "XREVRANGE 'cond:{GOOG}:triggers' + - COUNT 3",
    ] {
        screen.note(&format!("    redis-cli -p {port} {example}"));
    }
    server.wait()
}

fn port() -> Outcome<u16> {
    const DEFAULT: u16 = 6379;
    match env::var("PORT") {
        Err(_) => Ok(DEFAULT),
        Ok(text) => match text.parse() {
            Ok(port) if port > 0 => Ok(port),
            _ => Err(format!("PORT must be a port from 1 to 65535, not '{text}'")),
        },
    }
}
