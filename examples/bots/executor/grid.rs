//! A grid: each line is a condition `TOUCHES <level>`, with an order at it.
//!
//! Action: `{"side":"BUY","level":300,"volume":5}`.

use super::paper::{Desk, Order};
use super::work::Work;
use super::{Failure, Outcome};

/// Buys or sells at the level.
pub fn act(desk: &mut Desk<'_>, work: &Work) -> Outcome<String> {
    let (side, level, volume) = (work.action("side")?, work.action("level")?, work.action("volume")?);
    let verb = match side.as_str() {
        "BUY" => "buys",
        "SELL" => "sells",
        other => return Err(Failure::Work(format!("the side is BUY or SELL, not {other}"))),
    };
    desk.trade(work, &Order { side: &side, order_type: "limit", volume: &volume, price: &level })?;
    Ok(format!("{verb} {volume} at {level}"))
}
