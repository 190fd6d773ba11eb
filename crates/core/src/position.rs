//! Positions: what is open, at what average, and what the closed part has earned.

mod ledger;
mod pending;

use crate::decimal::Decimal;
use crate::entity::{self, Fields, Merge, Verdict};
use crate::event::{Event, Number};
use crate::event_type::EventType;
use crate::fill::Fill;
use crate::instrument::{PositionMode, Terms};
use crate::money::add;
use crate::record::Record;
use crate::refusal::{Code, Outcome, Refusal};
use crate::store::Store;
use crate::time::Millis;
use crate::word::Word;

pub use ledger::{Direction, Position, Status, FACTS};
use pending::Step;

/// The rules by which a position keeps members.
pub struct PositionFields;

impl Fields for PositionFields {
    fn is_own(name: &str) -> bool {
        matches!(
            name,
            "volume"
                | "initial_volume"
                | "closed_volume"
                | "overfill_volume"
                | "entry_price"
                | "entry_value"
                | "direction"
                | "realized_pnl"
                | "contract_size"
                | "inverse"
                | "position_mode"
                | "cycle"
                | "pending"
                | "fees"
                | "fee_currencies"
                | "close_reason"
                | "close_reason_at"
        ) || name.starts_with("fees:")
    }
}

/// What the judgement of a position's event adds to the symbol's sums and to its log entry.
#[derive(Debug)]
pub struct PositionVerdict {
    /// The verdict.
    pub verdict: Verdict,
    /// What the event realised.
    pub realized: Decimal,
    /// What the event reports as realised.
    pub reported: Decimal,
    /// What the judgement took from outside the event, as JSON; for a new position, and for a new cycle of it.
    pub context: Option<String>,
}

/// Judges an event of a position and writes what it changes into `record`. `new_terms` are the symbol's,
/// read only for a new position or a new cycle of one.
///
/// # Errors
/// MISSING, BADFIELD, INVALIDSTATE, TOOLATE, TOOBIG, OVERFILL, CORRUPT.
pub fn judge<'a, S: Store<'a>>(
    record: &mut Record<'a>,
    store: &S,
    event: &Event<'a>,
    fill: Option<&Fill<'a>>,
    happened_at: Millis,
    new_terms: impl Fn() -> Outcome<Terms>,
) -> Outcome<PositionVerdict> {
    let existed = record.exists();
    let mut position = Position::load(record, store)?;
    let mut context = None;
    if !existed {
        position.terms = new_terms()?;
        context = position.terms.context(None);
        record.set("created_at", happened_at);
    }
    let before = position.clone();
    let mut late = existed && before.status == Status::Closed;
    let mut merge = Merge::Overwrite;
    let mut is_known_hit = false;
    match event.event_type {
        EventType::PositionOpened => {
            let opening = Opening::read(event)?;
            let shell = existed && entity::is_shell(record, store);
            if existed && !shell {
                if before.status == Status::Active || before.terms.mode == PositionMode::Hedging {
                    return Err(Code::InvalidState
                        .because(format!("the position exists already and is {}", before.status.as_str())));
                }
                let summary = position.begin_next_cycle()?;
                forget_cycle(record, store)?;
                position.terms = new_terms()?;
                context = position.terms.context(Some(summary));
            }
            if let Some(size) = &opening.contract_size {
                position.terms.contract_size = size.value;
            }
            if shell {
                merge = Merge::FillIn;
                record.remove("external");
            }
            late = false;
            record.set("created_at", happened_at);
            position.open(opening.direction, opening.entry_price.value, opening.volume.value)?;
            record.load(store, &["initial_volume"]);
            record.set("entry_price", opening.entry_price.text.clone());
            record.set("initial_volume", opening.volume.text.clone());
            let flipped = position.replay_pending()?;
            match Direction::turned_word(&opening.direction_text) {
                Some(turned) if position.direction() != Some(opening.direction) => record.set("direction", turned),
                _ => record.set("direction", opening.direction_text),
            }
            if let Some(summary) = flipped {
                context = position.terms.context(Some(summary));
                record.put("initial_volume", position.volume);
            }
        }
        EventType::PositionModified => {
            if before.status == Status::Closed {
                return Err(refuse_late(event));
            }
            event.require_change("position_id")?;
            grow(&mut position, event)?;
        }
        EventType::PositionPartiallyClosed => {
            if before.status == Status::Closed {
                return Err(refuse_late(event));
            }
            let Some(volume) = fill.and_then(|fill| fill.volume.as_ref()) else {
                return Err(event.missing("closed_volume (or volume)"));
            };
            let exit_price = event.required_number("exit_price")?;
            let proven = fill.is_some_and(|fill| fill.id.is_some());
            match position.excess_of(volume.value)? {
                Some(rest) if position.terms.mode == PositionMode::Netting => {
                    let summary = position.flip(exit_price.value, rest)?;
                    context = position.terms.context(Some(summary));
                    forget_cycle(record, store)?;
                    // What the event says of the close is of the cycle that ended.
                    merge = Merge::Ignore;
                    record.set("created_at", happened_at);
                    record.set("initial_volume", rest);
                    record.load(store, &["direction"]);
                    let turned = record.text("direction")?.and_then(Direction::turned_word);
                    let turned = turned.ok_or_else(|| record.corrupt("direction", "a direction"))?;
                    record.set("direction", turned);
                }
                Some(excess) if !proven => {
                    return Err(Code::Overfill.because(format!(
                        "the slice of {} is {excess} more than is open; with a fill_id it would be taken as a fact",
                        volume.value
                    )))
                }
                excess => {
                    late = excess.is_some();
                    position.close_slice(volume.value, exit_price.value)?;
                }
            }
        }
        EventType::PositionClosed => {
            if before.status == Status::Closed {
                return Err(refuse_late(event));
            }
            let exit_price = event.required_number("exit_price")?;
            let given = fill.and_then(|fill| fill.volume.as_ref());
            if let (Some(given), Some(left)) = (given, position.volume) {
                if given.value != left {
                    return Err(Code::InvalidState
                        .because(format!("{left} is open, so {} cannot be the rest of it", given.value)));
                }
            }
            position.close_rest(exit_price.value)?;
        }
        EventType::StopLossHit | EventType::TakeProfitHit => {
            event.required_number("price")?;
            let reason = if event.event_type == EventType::StopLossHit { "stop_loss" } else { "take_profit" };
            is_known_hit = keep_close_reason(record, store, reason, happened_at)? == Newest::Known;
            if is_known_hit {
                (late, merge) = (true, Merge::Ignore);
            }
        }
        _ => {}
    }
    if position.status == Status::Closed && before.status == Status::Active {
        keep_told_reason(record, store, event)?;
    }
    if !is_known_hit {
        add_fees(record, store, event)?;
    }
    let pnl = event.number("pnl")?.map_or(Decimal::ZERO, |pnl| pnl.value);
    let closes = matches!(event.event_type, EventType::PositionPartiallyClosed | EventType::PositionClosed);
    if !existed && event.event_type != EventType::PositionOpened {
        record.set("external", "1");
    }
    position.store(&before, record, store, existed)?;
    let open = position.status == Status::Active;
    Ok(PositionVerdict {
        verdict: Verdict { late, merge, status: position.status.as_str(), open },
        realized: position.realized_since(&before)?,
        reported: if closes { pnl } else { Decimal::ZERO },
        context,
    })
}

/// What opens a position.
struct Opening<'a> {
    direction: Direction,
    direction_text: std::borrow::Cow<'a, str>,
    entry_price: Number<'a>,
    volume: Number<'a>,
    contract_size: Option<Number<'a>>,
}

impl<'a> Opening<'a> {
    fn read(event: &Event<'a>) -> Outcome<Opening<'a>> {
        let direction_text = event.required_text("direction")?;
        let direction = Direction::parse(&direction_text).ok_or_else(|| {
            Code::BadField.because(format!(
                "direction must be LONG, SHORT, BUY or SELL, not {}",
                crate::refusal::quoted(direction_text.as_bytes())
            ))
        })?;
        Ok(Opening {
            direction,
            direction_text,
            entry_price: event.required_number("entry_price")?,
            volume: event.positive("volume")?.ok_or_else(|| event.missing("volume"))?,
            contract_size: event.positive("contract_size")?,
        })
    }
}

/// `added_volume` at `price`, or `volume` as the new total, which is never lower.
fn grow(position: &mut Position, event: &Event<'_>) -> Outcome<()> {
    let price = event.number("price")?;
    let price_of = |price: &Option<Number<'_>>| match price {
        Some(price) => Ok(price.value),
        None => Err(event.missing("price, at which the volume was added")),
    };
    if let Some(added) = event.positive("added_volume")? {
        return position.step(Step::Add { volume: added.value, price: price_of(&price)? });
    }
    let Some(total) = event.positive("volume")? else {
        return Ok(());
    };
    match position.volume {
        Some(open) if total.value < open => Err(Code::BadField.because(format!(
            "volume is the new total and never lower: {open} is open, {} given; position.partially_closed reduces",
            total.value
        ))),
        Some(open) if total.value == open => Ok(()),
        // Whether it grew, the opening will tell.
        None if price.is_none() => Ok(()),
        _ => position.step(Step::GrowTo { total: total.value, price: price_of(&price)? }),
    }
}

/// Whether an event's fact is the newest of its kind.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Newest {
    This,
    Known,
}

/// The latest hit by event time says why a position was closed, unless the close itself said it: such a
/// reason has no time.
fn keep_close_reason<'a, S: Store<'a>>(
    record: &mut Record<'a>,
    store: &S,
    reason: &'static str,
    happened_at: Millis,
) -> Outcome<Newest> {
    record.load(store, &["close_reason", "close_reason_at"]);
    let known = match (record.get("close_reason"), record.integer::<Millis>("close_reason_at")?) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(_), Some(newest)) => newest > happened_at,
    };
    if known {
        return Ok(Newest::Known);
    }
    record.set("close_reason", reason);
    record.set("close_reason_at", happened_at);
    Ok(Newest::This)
}

/// A reason that comes with the close wins over both hits, and has no time.
fn keep_told_reason<'a, S: Store<'a>>(record: &mut Record<'a>, store: &S, event: &Event<'a>) -> Outcome<()> {
    if let Some(reason) = event.text("close_reason")?.or(event.text("reason")?) {
        record.load(store, &["close_reason", "close_reason_at"]);
        record.set("close_reason", reason);
        record.remove("close_reason_at");
    }
    Ok(())
}

/// What said how the last cycle ended, and what it cost, does not say it of the next.
fn forget_cycle<'a, S: Store<'a>>(record: &mut Record<'a>, store: &S) -> Outcome<()> {
    let fields = ["close_reason", "close_reason_at", "exit_price", "pnl", "overfill_volume", "fees", "fee_currencies"];
    record.load(store, &fields);
    let currencies = record.text("fee_currencies")?.unwrap_or_default();
    let by_currency: Vec<String> =
        currencies.split(',').filter(|name| !name.is_empty()).map(|currency| format!("fees:{currency}")).collect();
    record.load_named(store, by_currency.iter().map(|field| field.clone().into()));
    for field in fields.into_iter().chain(by_currency.iter().map(String::as_str)) {
        record.remove(field);
    }
    Ok(())
}

/// Sums `fee`, `commission` and `swap` under `fees`, or `fees:<CCY>` when the event names a currency.
fn add_fees<'a, S: Store<'a>>(record: &mut Record<'a>, store: &S, event: &Event<'a>) -> Outcome<()> {
    let mut sum = Decimal::ZERO;
    for name in ["fee", "commission", "swap"] {
        if let Some(fee) = event.number(name)? {
            sum = add(sum, fee.value)?;
        }
    }
    if sum.is_zero() {
        return Ok(());
    }
    let field = match event.text("fee_currency")? {
        None => std::borrow::Cow::Borrowed("fees"),
        Some(currency) if (1..=16).contains(&currency.len()) && currency.bytes().all(|b| b.is_ascii_alphanumeric()) => {
            note_currency(record, store, &currency)?;
            std::borrow::Cow::Owned(format!("fees:{currency}"))
        }
        Some(_) => return Err(Code::BadField.because("fee_currency must be a code of 1 to 16 letters and digits")),
    };
    record.load_named(store, std::iter::once(field.clone()));
    let total = add(record.decimal(&field)?.unwrap_or(Decimal::ZERO), sum)?;
    record.set(field, total);
    Ok(())
}

/// Keeps the list of the currencies that fees were paid in, by which the next cycle finds what to forget.
fn note_currency<'a, S: Store<'a>>(record: &mut Record<'a>, store: &S, currency: &str) -> Outcome<()> {
    record.load(store, &["fee_currencies"]);
    let known = record.text("fee_currencies")?.unwrap_or_default();
    if !known.split(',').any(|name| name == currency) {
        let comma = if known.is_empty() { "" } else { "," };
        let list = format!("{known}{comma}{currency}");
        record.set("fee_currencies", list);
    }
    Ok(())
}

#[cold]
fn refuse_late(event: &Event<'_>) -> Refusal {
    Code::TooLate.because(format!("the position is closed already: {} came too late", event.event_type.as_str()))
}
