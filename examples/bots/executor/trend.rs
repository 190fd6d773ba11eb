//! Following a trend: one condition says when to be in, another one when to be out.
//!
//! Action: `{"do":"enter","volume":10}` or `{"do":"exit"}`.
//!
//! An exit has to find what it closes, and so the work is done in order: see `Kind::is_in_order`.

use serde_json::json;

use super::paper::{Desk, Order, Position};
use super::work::Work;
use super::{Failure, Outcome};

/// Enters or exits.
pub fn act(desk: &mut Desk<'_>, work: &Work) -> Outcome<String> {
    match work.action("do")?.as_str() {
        "enter" => enter(desk, work),
        "exit" => exit(desk, work),
        other => Err(Failure::Work(format!("to do is enter or exit, not {other}"))),
    }
}

fn enter(desk: &mut Desk<'_>, work: &Work) -> Outcome<String> {
    let (volume, price) = (work.action("volume")?, work.price()?);
    // It may be this work that has opened it, with the XACK left to do. The position is published last for that.
    if !desk.positions(work)?.is_empty() {
        return Ok("is in".to_owned());
    }
    desk.trade(work, &Order { side: "BUY", order_type: "market", volume: &volume, price: &price })?;
    let opened = json!({
        "position_id": work.order_ref,
        "bot_id": work.bot_id,
        "direction": "LONG",
        "entry_price": price,
        "volume": volume,
    });
    desk.publish(work, "open", "position.opened", &opened)?;
    Ok(format!("opens {volume} at {price}"))
}

fn exit(desk: &mut Desk<'_>, work: &Work) -> Outcome<String> {
    let price = work.price()?;
    // Not what was opened later: an executor that comes back from a long pause holds work that another one has
    // done for it.
    let positions = desk.positions(work)?;
    let Some(position) = positions.iter().find(|position| millis(field(position, "created_at")) <= millis(&work.ts))
    else {
        return Ok("is out".to_owned());
    };
    let volume = field(position, "volume");
    desk.trade(work, &Order { side: "SELL", order_type: "market", volume, price: &price })?;
    // Last: as long as the position is open, an executor that takes over comes this way again.
    let closed = json!({ "position_id": field(position, "position_id"), "exit_price": price });
    desk.publish(work, "close", "position.closed", &closed)?;
    Ok(format!("closes {volume} at {price}"))
}

fn field<'p>(position: &'p Position, name: &str) -> &'p str {
    position.get(name).map_or("", String::as_str)
}

fn millis(text: &str) -> u64 {
    text.parse().unwrap_or_default()
}
