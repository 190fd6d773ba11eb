//! Averaging: each trigger is one more buy.
//!
//! Action: `{"volume":2}`, how much a trigger buys.

use super::paper::{Desk, Order};
use super::work::Work;
use super::Outcome;

/// Buys.
pub fn act(desk: &mut Desk<'_>, work: &Work) -> Outcome<String> {
    let (volume, price) = (work.action("volume")?, work.price()?);
    desk.trade(work, &Order { side: "BUY", order_type: "market", volume: &volume, price: &price })?;
    Ok(format!("buys {volume} at {price}"))
}
