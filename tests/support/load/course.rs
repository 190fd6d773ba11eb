//! What a publisher sends: orders and positions through their lives, events of a stream, candles that trigger.

use std::time::{SystemTime, UNIX_EPOCH};

/// The condition that every candle triggers.
const CONDITION: &str = "every";

/// The type of the bot that each trigger reaches.
pub const BOT_TYPE: &str = "load";

/// What the candles are of.
pub const TIMEFRAME: &str = "1m";

const MINUTE_MS: u64 = 60_000;

/// How far back the candles begin, in bars: they are of the past, however long the load goes on.
const BARS: u64 = 1_000_000;

/// What is sent before all else, and may be sent again.
pub fn registration(symbol: &str) -> [Vec<String>; 2] {
    let words = |line: &[&str]| line.iter().map(|word| (*word).to_owned()).collect();
    [
        words(&["COND.REGISTER", symbol, TIMEFRAME, "close > 0", "ID", CONDITION, "MODE", "level"]),
        words(&["COND.SUBSCRIBE", symbol, CONDITION, "bot-1", "TYPE", BOT_TYPE]),
    ]
}

/// An event that was sent.
pub struct Sent {
    pub event_id: String,
    pub data: String,
}

/// What a command adds, once it is acknowledged.
pub enum Step {
    /// Events of the symbol's log.
    Trades(Vec<Sent>),
    /// An event of the stream.
    Event(Sent),
    /// A candle, by its open time.
    Candle(u64),
}

/// The commands of one symbol, one after another; each may be sent any number of times.
pub struct Course {
    symbol: String,
    first_bar: u64,
    round: u64,
    place: usize,
}

impl Course {
    /// From the beginning.
    pub fn new(symbol: &str) -> Course {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
        let minutes = u64::try_from(now).expect("this age") / MINUTE_MS;
        Course { symbol: symbol.to_owned(), first_bar: minutes - BARS, round: 0, place: 0 }
    }

    /// The next command and what it adds.
    pub fn next(&mut self) -> (Vec<String>, Step) {
        const ROUND: usize = 7;
        let place = self.place % ROUND;
        self.place += 1;
        let n = self.round;
        match place {
            0 => {
                self.publish("order.created", format!(r#"{{"order_id":"{n}","side":"BUY","price":2000.5,"volume":1}}"#))
            }
            1 => self.publish(
                "order.partially_filled",
                format!(r#"{{"order_id":"{n}","fill_id":"{n}-1","fill_volume":0.4,"fill_price":2000.25}}"#),
            ),
            2 => self.batch(&[
                (
                    "order.filled",
                    format!(r#"{{"order_id":"{n}","fill_id":"{n}-2","fill_volume":0.6,"fill_price":2000.4}}"#),
                ),
                (
                    "position.opened",
                    format!(r#"{{"position_id":"{n}","direction":"LONG","entry_price":2000.34,"volume":1}}"#),
                ),
                ("signal.generated", format!(r#"{{"signal_id":"{n}"}}"#)),
            ]),
            3 => {
                let open_time = (self.first_bar + n) * MINUTE_MS;
                let line =
                    format!("MARKET.CANDLE {} {TIMEFRAME} {open_time} 2000 2001 1999 2000.{} 1", self.symbol, n % 10);
                (line.split(' ').map(str::to_owned).collect(), Step::Candle(open_time))
            }
            4 => self.publish("position.closed", format!(r#"{{"position_id":"{n}","exit_price":2003.1}}"#)),
            5 => {
                let (event_id, data) = (format!("{n}-beat"), format!(r#"{{"round":{n}}}"#));
                let command = ["EVENT.PUBLISH", &self.symbol, "beat", &data, "ID", &event_id].map(str::to_owned);
                (command.into(), Step::Event(Sent { event_id, data }))
            }
            _ => {
                self.round += 1;
                self.publish("trade.executed", format!(r#"{{"order_id":"{n}","note":"settled"}}"#))
            }
        }
    }

    fn publish(&self, event_type: &str, data: String) -> (Vec<String>, Step) {
        let event_id = self.id(event_type);
        let command = ["TRADE.PUBLISH", &self.symbol, event_type, &data, "ID", &event_id].map(str::to_owned);
        (command.into(), Step::Trades(vec![Sent { event_id, data }]))
    }

    fn batch(&self, events: &[(&str, String)]) -> (Vec<String>, Step) {
        let mut command = vec!["TRADE.MPUBLISH".to_owned(), self.symbol.clone(), events.len().to_string()];
        for (event_type, data) in events {
            command.extend([(*event_type).to_owned(), data.clone()]);
        }
        command.push("IDS".to_owned());
        command.extend(events.iter().map(|(event_type, _)| self.id(event_type)));
        let sent = |(event_type, data): &(&str, String)| Sent { event_id: self.id(event_type), data: data.clone() };
        (command, Step::Trades(events.iter().map(sent).collect()))
    }

    fn id(&self, event_type: &str) -> String {
        format!("{}-{event_type}", self.place)
    }
}
