//! A trading day: a sequence of events that looks random and is the same every time, with everything in it that
//! a bus sees: fills in any order, repeats, refusals, batches, ids that come again.

use crate::support::{Client, Message, Random};

/// The symbols of a day. One of them has characters that are special elsewhere.
pub const SYMBOLS: [&str; 2] = ["XAUUSD", "BTC/USDT:USDT"];

/// Makes commands; the same seed makes the same.
pub struct Day {
    random: Random,
    events: usize,
}

impl Day {
    /// A day by its seed.
    pub fn new(seed: u64) -> Day {
        Day { random: Random::new(seed), events: 0 }
    }

    fn event(&mut self) -> (&'static str, String) {
        let (order, position, signal) = (self.random.below(12), self.random.below(6), self.random.below(8));
        let (price, fill) = (1_000 + self.random.below(500), self.random.below(40));
        let fill_id = if self.random.below(3) > 0 { format!(r#","fill_id":"{fill}""#) } else { String::new() };
        match self.random.below(24) {
            0..=3 => ("order.created", format!(r#"{{"order_id":"{order}","volume":3,"price":{price}.50}}"#)),
            4..=6 => (
                "order.partially_filled",
                format!(r#"{{"order_id":"{order}","fill_volume":0.7,"fill_price":1{fill}{fill_id}}}"#),
            ),
            7 => ("order.filled", format!(r#"{{"order_id":"{order}"}}"#)),
            8 => ("order.cancelled", format!(r#"{{"order_id":"{order}"}}"#)),
            9 => ("order.rejected", format!(r#"{{"order_id":"{order}","reason":"margin"}}"#)),
            10 => ("order.modified", format!(r#"{{"order_id":"{order}","price":{price}}}"#)),
            11 | 12 => (
                "position.opened",
                format!(r#"{{"position_id":"{position}","direction":"LONG","entry_price":{price},"volume":2}}"#),
            ),
            13 => (
                "position.modified",
                format!(r#"{{"position_id":"{position}","added_volume":1,"price":{price},"fee":0.1}}"#),
            ),
            14 | 15 => (
                "position.partially_closed",
                format!(r#"{{"position_id":"{position}","closed_volume":0.5,"exit_price":1{fill}{fill_id}}}"#),
            ),
            16 => ("position.closed", format!(r#"{{"position_id":"{position}","exit_price":{price},"pnl":-1.5}}"#)),
            17 => ("stop_loss.hit", format!(r#"{{"position_id":"{position}","price":{price}}}"#)),
            18 => ("take_profit.hit", format!(r#"{{"position_id":"{position}","price":{price}}}"#)),
            19 => ("trade.executed", r#"{"note":"Größe"}"#.to_owned()),
            20 => ("trade.failed", format!(r#"{{"order_id":"{order}","reason":"timeout"}}"#)),
            21 => ("risk.limit_breached", format!(r#"{{"limit":"drawdown","value":{price}}}"#)),
            22 => ("signal.generated", format!(r#"{{"signal_id":"{signal}"}}"#)),
            _ => match self.random.below(2) {
                0 => ("signal.validated", format!(r#"{{"signal_id":"{signal}"}}"#)),
                _ => ("signal.rejected", format!(r#"{{"signal_id":"{signal}","reason":"weak"}}"#)),
            },
        }
    }

    /// The next command. Ids come again now and then, mostly with other content.
    pub fn command(&mut self) -> Vec<String> {
        let symbol = *self.random.pick(&SYMBOLS);
        self.events += 1;
        let batch = if self.random.below(8) == 0 { 1 + self.random.below(4) } else { 0 };
        let mut command = vec![String::new(), symbol.to_owned()];
        if batch == 0 {
            command[0] = "TRADE.PUBLISH".to_owned();
            let (event_type, data) = self.event();
            command.extend([event_type.to_owned(), data]);
            if self.random.below(3) == 0 {
                command.extend(["ID".to_owned(), format!("id-{}", self.random.below(1 + self.events))]);
            }
        } else {
            command[0] = "TRADE.MPUBLISH".to_owned();
            command.push(batch.to_string());
            for _ in 0..batch {
                let (event_type, data) = self.event();
                command.extend([event_type.to_owned(), data]);
            }
        }
        command
    }

    /// Runs the next `count` commands, every tenth one twice. That some are refused is part of a day.
    pub fn run(&mut self, client: &mut Client, count: usize) {
        for n in 0..count {
            let command = self.command();
            for _ in 0..1 + usize::from(n % 10 == 0) {
                client.text(&command);
            }
        }
    }
}

/// What a subscriber of everything has to see: each event names the one before it, by type and in the log.
#[derive(Default)]
pub struct Chains {
    newest: std::collections::HashMap<String, String>,
    seen: usize,
}

impl Chains {
    /// Takes the next messages in, and checks that none is missing between them.
    #[track_caller]
    pub fn follow(&mut self, messages: &[Message]) {
        for message in messages {
            let json = message.json();
            let text = |name: &str| json[name].as_str().expect("a text").to_owned();
            let (id, symbol) = (text("id"), text("symbol"));
            for (member, chain) in [("prev_id", message.channel.clone()), ("prev_log_id", symbol)] {
                let prev = self.newest.insert(chain, id.clone()).unwrap_or("0-0".to_owned());
                assert_eq!(text(member), prev, "{member} of {message:?}");
            }
        }
        self.seen += messages.len();
    }

    /// How many messages there were.
    pub fn len(&self) -> usize {
        self.seen
    }
}
