//! Orders. The status is a function of the facts seen, not of the order in which they arrived (FIX 5.0 SP2
//! Appendix D's precedence), so fills and cancels commute: a fill that a venue reports behind a cancel is
//! still a fill, and the order is still cancelled.

mod facts;

use crate::decimal::Decimal;
use crate::entity::{self, Fields, Merge, Verdict};
use crate::event::{Event, Number};
use crate::event_type::EventType;
use crate::fill::Fill;
use crate::money::sub;
use crate::record::Record;
use crate::refusal::{Code, Outcome, Refusal};
use crate::store::Store;
use crate::time::Millis;
use crate::word::Word;

use facts::{FillReported, Proof, Told};
pub use facts::{Order, Status, FACTS};

/// The rules by which an order keeps members.
pub struct OrderFields;

impl Fields for OrderFields {
    /// `volume` and `price` are kept by `keep_terms`, and only from the events that may set them.
    fn is_own(name: &str) -> bool {
        matches!(
            name,
            "volume"
                | "price"
                | "filled_volume"
                | "remaining_volume"
                | "avg_fill_price"
                | "filled_value"
                | "unpriced_volume"
                | "last_fill_volume"
                | "last_fill_price"
                | "inferred_volume"
                | "inferred_price"
                | "overfill_volume"
                | "fill_reported"
                | "cancelled_at"
                | "modified_at"
                | "last_error"
        )
    }
}

/// Judges an event of an order and writes what it changes into `record`.
///
/// # Errors
/// MISSING, BADFIELD, INVALIDSTATE, TOOLATE, OVERFILL, CORRUPT.
pub fn judge<'a, S: Store<'a>>(
    record: &mut Record<'a>,
    store: &S,
    event: &Event<'a>,
    fill: Option<&Fill<'a>>,
    happened_at: Millis,
) -> Outcome<Verdict> {
    let existed = record.exists();
    let mut order = Order::load(record, store)?;
    let before = order.clone();
    let was = before.status();
    let mut late = existed && !was.is_open();
    let mut merge = Merge::Overwrite;
    match event.event_type {
        EventType::OrderCreated => {
            let volume = event.positive("volume")?;
            if volume.is_none() && event.positive("quote_volume")?.is_none() {
                return Err(event.missing("volume (or quote_volume)"));
            }
            if existed && !entity::is_shell(record, store) {
                return Err(Code::InvalidState.because(format!("the order exists already and is {}", was.as_str())));
            }
            if existed {
                merge = Merge::FillIn;
            }
            late = false;
            keep_terms(&mut order, record, store, event, merge)?;
            record.set("created_at", happened_at);
            record.remove("external");
            if let (Some(FillReported::Rest), Some(_)) = (order.fill_reported, order.volume) {
                let price = match order.inferred_price {
                    Some(price) => Some(price),
                    None => event.number("price")?.map(|price| price.value),
                };
                order.infer_rest(price)?;
            }
            if order.volume.is_some() {
                order.fill_reported = None;
            }
        }
        EventType::OrderPartiallyFilled => {
            let told =
                match fill {
                    Some(fill) if fill.volume.is_some() || fill.cumulative.is_some() => order.take(fill)?,
                    _ => return Err(event.missing(
                        "the fill's volume (fill_volume, last_qty, volume) or the sum so far (filled_volume, cum_qty)",
                    )),
                };
            if told == Told::Nothing {
                (late, merge) = (true, Merge::Ignore);
            }
        }
        EventType::OrderFilled => {
            if judge_filled(&mut order, record, store, event, fill)? == Told::Nothing {
                (late, merge) = (true, Merge::Ignore);
            }
        }
        EventType::OrderCancelled => match was {
            Status::Filled => return Err(refuse_late(was, event)),
            Status::Rejected => return Err(refuse_state(was, event)),
            Status::Cancelled => {
                merge = Merge::Ignore;
                take_sum(&mut order, event)?;
            }
            Status::Pending | Status::PartiallyFilled => {
                take_sum(&mut order, event)?;
                order.cancelled = true;
                record.set("cancelled_at", happened_at);
            }
        },
        EventType::OrderRejected => {
            event.required_text("reason")?;
            match was {
                Status::Rejected => merge = Merge::Ignore,
                Status::Pending => order.rejected = true,
                _ => return Err(refuse_state(was, event)),
            }
        }
        EventType::OrderModified => {
            event.require_change("order_id")?;
            if existed && !was.is_open() {
                return Err(refuse_late(was, event));
            }
            record.load(store, &["modified_at"]);
            if record.integer::<Millis>("modified_at")?.is_some_and(|newest| newest > happened_at) {
                (late, merge) = (true, Merge::Ignore);
                check_terms(event)?;
            } else {
                record.set("modified_at", happened_at);
                keep_terms(&mut order, record, store, event, merge)?;
            }
        }
        _ => return Ok(Verdict { late: false, merge: Merge::Ignore, status: was.as_str(), open: was.is_open() }),
    }
    if fill.is_some() && order.overfill() != before.overfill() {
        late = true;
    }
    if !existed {
        record.set("created_at", happened_at);
        if event.event_type != EventType::OrderCreated {
            record.set("external", "1");
        }
    }
    if let (Some(fill), Merge::Overwrite) = (fill, merge) {
        keep_last_fill(record, store, fill, &before, &order)?;
    }
    order.store(&before, record, store)?;
    let status = order.status();
    Ok(Verdict { late, merge, status: status.as_str(), open: status.is_open() })
}

/// `order.filled`: its own fill, or whatever remains.
fn judge_filled<'a, S: Store<'a>>(
    order: &mut Order,
    record: &mut Record<'a>,
    store: &S,
    event: &Event<'a>,
    fill: Option<&Fill<'a>>,
) -> Outcome<Told> {
    let Some(fill) = fill else {
        return Ok(Told::Nothing);
    };
    if let (Some(cumulative), Some(volume)) = (&fill.cumulative, order.volume) {
        if cumulative.value < volume {
            return Err(Code::InvalidState.because(format!(
                "the order's volume is {volume}, but only {} are reported as filled",
                cumulative.value
            )));
        }
    }
    // A bare `volume` that is the order's whole volume says that the order is filled, not that this much was
    // filled on top of what is known.
    let is_whole = event.first_of(&["fill_volume", "last_qty"]).is_none()
        && fill.volume.as_ref().is_some_and(|volume| order.volume == Some(volume.value))
        && (fill.id.is_none() || order.filled.is_positive());
    let says_only_that = match (&fill.volume, &fill.cumulative) {
        (Some(_), None) => is_whole,
        (None, None) => order.volume.is_some(),
        _ => false,
    };
    if says_only_that {
        let price = price_or_own(record, store, fill)?;
        return order.infer_rest(price);
    }
    let told = match (&fill.volume, &fill.cumulative) {
        (Some(_), _) => {
            report_own(order);
            order.take(fill)?
        }
        (None, Some(cumulative)) => {
            report_own(order);
            let price = price_or_own(record, store, fill)?;
            order.end_at(cumulative.value, price, Proof::of(fill))?
        }
        (None, None) => {
            let told = if order.fill_reported == Some(FillReported::Rest) { Told::Nothing } else { Told::News };
            order.fill_reported = Some(FillReported::Rest);
            order.inferred_price = order.inferred_price.or(fill.price.as_ref().map(|price| price.value));
            told
        }
    };
    Ok(told)
}

/// What a cancel tells of the volume filled so far.
fn take_sum(order: &mut Order, event: &Event<'_>) -> Outcome<()> {
    let Some(name) = event.first_of(&["filled_volume", "cum_qty"]) else {
        return Ok(());
    };
    match event.number(name)? {
        Some(sum) if sum.value.is_negative() => {
            Err(Code::BadField.because(format!("{name} must not be negative, but is {}", sum.value)))
        }
        Some(sum) => order.end_at(sum.value, None, Proof::None).map(|_| ()),
        None => Ok(()),
    }
}

/// The volume is not known yet, but what was filled is.
fn report_own(order: &mut Order) {
    if order.volume.is_none() {
        order.fill_reported = order.fill_reported.or(Some(FillReported::Own));
    }
}

/// The price of a fill that was not told by itself: the one given, or the order's.
fn price_or_own<'a, S: Store<'a>>(record: &mut Record<'a>, store: &S, fill: &Fill<'a>) -> Outcome<Option<Decimal>> {
    match &fill.price {
        Some(price) => Ok(Some(price.value)),
        None => {
            record.load(store, &["price"]);
            record.decimal("price")
        }
    }
}

fn check_terms<'a>(event: &Event<'a>) -> Outcome<(Option<Number<'a>>, Option<Number<'a>>)> {
    Ok((event.positive("volume")?, event.number("price")?))
}

/// Volume and price, which only the order's own events may set; never a volume below what is filled.
fn keep_terms<'a, S: Store<'a>>(
    order: &mut Order,
    record: &mut Record<'a>,
    store: &S,
    event: &Event<'a>,
    merge: Merge,
) -> Outcome<()> {
    let (volume, price) = check_terms(event)?;
    if let Some(volume) = volume.filter(|_| merge != Merge::FillIn || order.volume.is_none()) {
        let shrinks_below_fills = event.event_type == EventType::OrderModified && volume.value <= order.filled;
        if shrinks_below_fills {
            order.volume = Some(order.filled);
            record.set("volume", order.filled);
        } else {
            order.volume = Some(volume.value);
            record.set("volume", volume.text.clone());
        }
    }
    if let Some(price) = price {
        record.load(store, &["price"]);
        if merge != Merge::FillIn || record.get("price").is_none() {
            record.set("price", price.text.clone());
        }
    }
    Ok(())
}

/// The newest fill: its volume as told, or as derived where only a sum or nothing was; its price, when known.
fn keep_last_fill<'a, S: Store<'a>>(
    record: &mut Record<'a>,
    store: &S,
    fill: &Fill<'a>,
    before: &Order,
    after: &Order,
) -> Outcome<()> {
    record.load(store, &["last_fill_volume", "last_fill_price"]);
    let is_inferred = after.inferred > before.inferred;
    match &fill.volume {
        Some(volume) if !is_inferred => record.set("last_fill_volume", volume.text.clone()),
        _ if after.filled > before.filled => record.set("last_fill_volume", sub(after.filled, before.filled)?),
        _ => return Ok(()),
    }
    let inferred = after.inferred_price.filter(|_| is_inferred);
    match (&fill.price, inferred) {
        (Some(price), _) => record.set("last_fill_price", price.text.clone()),
        (None, Some(price)) => record.set("last_fill_price", price),
        (None, None) => record.remove("last_fill_price"),
    }
    Ok(())
}

#[cold]
fn refuse_state(status: Status, event: &Event<'_>) -> Refusal {
    Code::InvalidState.because(format!(
        "the order is {}: {} is not possible",
        status.as_str(),
        event.event_type.as_str()
    ))
}

#[cold]
fn refuse_late(status: Status, event: &Event<'_>) -> Refusal {
    Code::TooLate.because(format!(
        "the order is {} already: {} came too late",
        status.as_str(),
        event.event_type.as_str()
    ))
}
