//! What is varied, one thing at a time, and the commands for it.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::server::is_quick;
use crate::wire::{Batch, Connection};

const SYMBOL: &str = "BENCH";
const MINUTE_MS: u64 = 60_000;
/// Commands in one round trip.
const PIPELINE: usize = 50;

/// Rows that differ in one number.
pub struct Sweep {
    /// What that number counts.
    pub about: &'static str,
    /// The number as text, and the row.
    pub rows: Vec<(String, Case)>,
}

impl Sweep {
    /// Every sweep.
    pub fn all() -> Vec<Sweep> {
        let base = Case { conditions: 10, functions: 10, bots: 0, history: 200 };
        let sweep = |about, numbers: &[usize], of: &dyn Fn(usize) -> Case| {
            let numbers = numbers.iter().filter(|number| !is_quick() || **number <= 100);
            Sweep { about, rows: numbers.map(|&number| (number.to_string(), of(number))).collect() }
        };
        vec![
            sweep("conditions (10 functions)", &[1, 10, 100, 1_000, 10_000], &|conditions| Case { conditions, ..base }),
            sweep("distinct functions (200 conditions)", &[1, 10, 50, 100, 200], &|functions| Case {
                conditions: 200,
                functions,
                ..base
            }),
            sweep("bots of a condition that fires", &[0, 10, 100, 1_000, 10_000], &|bots| Case { bots, ..base }),
            sweep("stored candles", &[10, 100, 1_000, 10_000], &|history| Case { history, ..base }),
        ]
    }
}

/// What a server has when the bars come.
#[derive(Clone, Copy)]
pub struct Case {
    pub conditions: usize,
    pub functions: usize,
    /// Of one more condition, which fires on every bar, if there are any.
    pub bots: usize,
    pub history: usize,
}

/// Bars to be sent.
pub struct Bars {
    pub batches: Vec<Batch>,
    pub count: usize,
}

impl Case {
    /// Loads the history, registers the conditions and subscribes the bots.
    pub fn set_up(&self, connection: &mut Connection) -> io::Result<()> {
        let mut commands = vec![vec![
            "CONFIG".to_owned(),
            "SET".to_owned(),
            "tradebus.candle-history".to_owned(),
            self.history.to_string(),
        ]];
        commands.extend((0..self.history).map(|bar| {
            let mut candle = self.candle(bar);
            candle.push("BACKFILL".to_owned());
            candle
        }));
        commands.extend((0..self.conditions).map(|place| {
            // Never true, and no two the same: what they cost is the judging. Thresholds of one function are far apart.
            let expression = format!("rsi({}) < -{}", 2 + place % self.functions, 1 + place / self.functions);
            words(&["COND.REGISTER", SYMBOL, "1m", &expression])
        }));
        if self.bots > 0 {
            commands.push(words(&["COND.REGISTER", SYMBOL, "1m", "close > 0", "ID", "fires", "MODE", "level"]));
            commands.extend((0..self.bots).map(|bot| {
                words(&[
                    "COND.SUBSCRIBE",
                    SYMBOL,
                    "fires",
                    &format!("bot-{bot}"),
                    "TYPE",
                    "dca",
                    "ACTION",
                    r#"{"volume":1}"#,
                ])
            }));
        }
        batches(&commands).iter().try_for_each(|batch| connection.round_trip(batch).map(drop))
    }

    /// The bars that are measured: enough for a figure, few enough to wait for.
    pub fn bars(&self) -> Bars {
        let work = self.conditions + self.functions + 20 * self.bots;
        let count = if is_quick() { 10 } else { (2_000_000 / (work + 100)).clamp(50, 2_000) };
        let commands: Vec<_> = (self.history..self.history + count).map(|bar| self.candle(bar)).collect();
        Bars { batches: batches(&commands), count }
    }

    /// Makes sure that everything was judged, and that every bot got its work.
    ///
    /// # Errors
    /// When it was not.
    pub fn check(&self, connection: &mut Connection, bars: usize) -> io::Result<()> {
        let info = connection.call_text(&["INFO", "tradebus"])?;
        let expected = [
            ("tradebus_evaluations:", (self.conditions + usize::from(self.bots > 0)) * bars),
            ("tradebus_bots_notified:", self.bots * bars),
        ];
        for (field, count) in expected {
            if !info.contains(&format!("{field}{count}\r\n")) {
                let line = info.lines().find(|line| line.starts_with(field)).unwrap_or("nothing");
                return Err(io::Error::other(format!("{count} wanted, but INFO tells {line}")));
            }
        }
        Ok(())
    }

    /// A bar of a market that moves up and down, the last of them a while ago.
    fn candle(&self, bar: usize) -> Vec<String> {
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        let first = now_ms / MINUTE_MS - 20_000;
        let open_time = (first + bar as u64) * MINUTE_MS;
        let close = 2_000 + (bar * 37) % 101;
        let (high, low) = (close + 60, close - 60);
        let numbers = [close + 5, high, low, close, 1 + bar % 7].map(|number| number.to_string());
        let mut command = words(&["MARKET.CANDLE", SYMBOL, "1m", &open_time.to_string()]);
        command.extend(numbers);
        command
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn batches(commands: &[Vec<String>]) -> Vec<Batch> {
    let batch = |commands: &[Vec<String>]| {
        let mut batch = Batch::default();
        for command in commands {
            batch.push(&command.iter().map(String::as_str).collect::<Vec<_>>());
        }
        batch
    };
    commands.chunks(PIPELINE).map(batch).collect()
}
