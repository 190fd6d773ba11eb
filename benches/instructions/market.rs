//! Bars that close on a symbol with conditions, and ticks within a bar.

use crate::cases::{command, Case, Command};
use crate::orders::hundredths;

const SYMBOL: &str = "BTC/USDT";
/// Midnight of 2025-01-01, UTC.
const FIRST_MS: u64 = 1_735_689_600_000;
const MINUTE_MS: u64 = 60_000;

/// Bars before there is a condition: more than are kept, so that each node of new ones drops a node of old ones.
const HISTORY: usize = 300;
const KEPT: usize = 200;
/// Every 64 bars the state of the indicators is written down, which is so measured a whole number of times.
const WARM_UP_BARS: usize = 64;
const MEASURED_BARS: usize = 128;

/// Conditions, in kinds: each once for every period.
const PERIODS: [usize; 5] = [5, 9, 14, 21, 34];
const KINDS: usize = 10;
/// On a bar of this volume the condition fires that has bots: on each fourth.
const VOLUMES: [usize; 4] = [20, 35, 50, 110];
const BOTS: usize = 3;

const WARM_UP_TICKS: usize = 128;
const MEASURED_TICKS: usize = 512;
/// All ticks are within one minute.
const TICK_MS: u64 = 50;

/// MARKET.CANDLE, a bar on which 50 conditions are judged.
pub fn candle() -> Case {
    let mut settings = vec![command(&["CONFIG", "SET", "tradebus.candle-history", &KEPT.to_string()])];
    settings.extend((0..HISTORY).map(|number| {
        let mut words = bar(number);
        words.push("BACKFILL".to_owned());
        words
    }));
    settings.extend(conditions());
    let bots = (0..BOTS).map(|bot| format!("dca-{bot}"));
    settings.extend(bots.map(|bot| {
        command(&[
            "COND.SUBSCRIBE",
            SYMBOL,
            "surge",
            &bot,
            "TYPE",
            "dca",
            "ACTION",
            r#"{"side":"BUY","quote_volume":"100"}"#,
        ])
    }));
    let bars = WARM_UP_BARS + MEASURED_BARS;
    let mut warm_up: Vec<Command> = (HISTORY..HISTORY + bars).map(bar).collect();
    let measured = warm_up.split_off(WARM_UP_BARS);
    let expected = vec![
        ("candles", HISTORY + bars),
        ("evaluations", bars * PERIODS.len() * KINDS),
        ("bots_notified", bars / VOLUMES.len() * BOTS),
    ];
    Case { name: "candle", settings, warm_up, measured, expected }
}

/// MARKET.TICK, within bars of three timeframes.
pub fn tick() -> Case {
    // The bars of long ago stay as they are for an hour, where the server would close them behind the last tick.
    let mut settings = vec![command(&["CONFIG", "SET", "tradebus.bar-grace", "3600000"])];
    settings.extend(["1m", "5m", "1h"].map(|timeframe| command(&["COND.REGISTER", SYMBOL, timeframe, "rsi(14) < 30"])));
    let mut warm_up: Vec<Command> = (0..WARM_UP_TICKS + MEASURED_TICKS).map(trade).collect();
    let measured = warm_up.split_off(WARM_UP_TICKS);
    Case { name: "tick", settings, warm_up, measured, expected: vec![("candles", 0), ("symbols_with_forming_bars", 1)] }
}

/// Each is another one, of functions that most of the others do not have. The last has bots, and fires always on the same
/// bars.
fn conditions() -> Vec<Command> {
    let mut conditions = Vec::new();
    for period in PERIODS {
        let slow = 2 * period;
        let expressions: [String; KINDS] = [
            format!("rsi({period}) < 30"),
            format!("sma({period}) CROSSES_ABOVE sma({slow})"),
            format!("ema({period}) > ema({slow}) AND volume > sma(volume, {period})"),
            format!("close > bb({period}, 2).upper OR close < bb({period}, 2).lower"),
            format!("macd({period}, {slow}, 9).hist > macd({period}, {slow}, 9).hist[1]"),
            format!("high - low > 2 * atr({period})[1]"),
            format!("stoch({period}, 3, 3).k CROSSES_BELOW 80"),
            format!("adx({period}) > 25 AND NOT close BETWEEN 59000 AND 61000"),
            format!("close > highest(high, {period})[1]"),
            format!("TOUCHES {}", 60_000 + 10 * period),
        ];
        conditions.extend(expressions.map(|expression| command(&["COND.REGISTER", SYMBOL, "1m", &expression])));
    }
    conditions.pop();
    conditions.push(command(&["COND.REGISTER", SYMBOL, "1m", "volume > 100", "ID", "surge", "MODE", "level"]));
    conditions
}

fn bar(number: usize) -> Command {
    let (open, close) = (price(number), price(number + 1));
    let numbers = [open, open.max(close) + 1_250, open.min(close) - 975, close].map(hundredths);
    let mut words = command(&["MARKET.CANDLE", SYMBOL, "1m", &(FIRST_MS + number as u64 * MINUTE_MS).to_string()]);
    words.extend(numbers);
    words.push(VOLUMES[number % VOLUMES.len()].to_string());
    words
}

fn trade(number: usize) -> Command {
    let time = FIRST_MS + number as u64 * TICK_MS;
    let words = ["MARKET.TICK", SYMBOL, &hundredths(price(number)), "0.125", "TIMESTAMP", &time.to_string()];
    command(&words)
}

/// A market that goes up and down in waves of 46 bars, with ripples; in hundredths.
fn price(number: usize) -> u64 {
    let wave = (number % 46).abs_diff(23) * 900;
    let ripple = (number * 37) % 101 * 40;
    (5_990_000 + wave + ripple) as u64
}
