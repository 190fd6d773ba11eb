//! The 18 types of trade events: one list, the source of names, parsing, channels and `docs/events.md`.

use crate::refusal::{quoted, Code, Outcome, Refusal};

/// What kind of entity an event speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// An order.
    Order,
    /// A position.
    Position,
    /// A signal.
    Signal,
    /// No entity: the event is a record.
    None,
}

macro_rules! event_types {
    ($( $name:ident = $wire:literal, $subject:ident, $about:literal; )*) => {
        /// The type of an event.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum EventType { $( #[doc = $about] $name, )* }

        impl EventType {
            /// Every type, in the order of declaration; `ALL[t as usize] == t`.
            pub const ALL: &'static [EventType] = &[ $( EventType::$name, )* ];

            /// The name that is stored and published: dotted, lower-case.
            pub const fn as_str(self) -> &'static str {
                match self { $( EventType::$name => $wire, )* }
            }

            /// One line about the type.
            pub const fn about(self) -> &'static str {
                match self { $( EventType::$name => $about, )* }
            }

            /// What it speaks of.
            pub const fn subject(self) -> Subject {
                match self { $( EventType::$name => Subject::$subject, )* }
            }
        }
    };
}

event_types! {
    OrderCreated = "order.created", Order, "A new order was placed.";
    OrderPartiallyFilled = "order.partially_filled", Order, "A part of an order was filled.";
    OrderFilled = "order.filled", Order, "An order was filled completely.";
    OrderCancelled = "order.cancelled", Order, "An order was cancelled, or expired.";
    OrderRejected = "order.rejected", Order, "An order was rejected by the venue.";
    OrderModified = "order.modified", Order, "An order's parameters changed.";
    PositionOpened = "position.opened", Position, "A position was opened.";
    PositionModified = "position.modified", Position, "A position's parameters changed, or it grew.";
    PositionPartiallyClosed = "position.partially_closed", Position, "A slice of a position was closed.";
    PositionClosed = "position.closed", Position, "A position was closed.";
    StopLossHit = "stop_loss.hit", Position, "A position's stop loss was hit.";
    TakeProfitHit = "take_profit.hit", Position, "A position's take profit was hit.";
    TradeExecuted = "trade.executed", None, "A trade was executed: a record, never a fill.";
    TradeFailed = "trade.failed", None, "A trade failed; the order that it names remembers why.";
    RiskLimitBreached = "risk.limit_breached", None, "A risk limit was breached.";
    SignalGenerated = "signal.generated", Signal, "A strategy generated a signal.";
    SignalValidated = "signal.validated", Signal, "A signal was validated.";
    SignalRejected = "signal.rejected", Signal, "A signal was rejected.";
}

/// How many types there are.
pub const EVENT_TYPES: usize = EventType::ALL.len();

impl EventType {
    /// Parses `order.created` or `ORDER_CREATED`, in any case.
    ///
    /// # Errors
    /// BADEVENT, naming the nearest types.
    pub fn parse(name: &[u8]) -> Outcome<EventType> {
        let all = || EventType::ALL.iter().copied();
        // As it is stored first: to compare bytes costs a small part of folding each letter.
        let is_written_so = |t: &EventType| t.as_str().as_bytes() == name;
        all().find(is_written_so).or_else(|| all().find(|t| t.is_named(name))).ok_or_else(|| unknown(name))
    }

    /// Dots and underscores are one: the upper-case names that some clients use have no dot.
    fn is_named(self, name: &[u8]) -> bool {
        let wire = self.as_str().as_bytes();
        let fold = |byte: u8| {
            if byte == b'.' {
                b'_'
            } else {
                byte.to_ascii_lowercase()
            }
        };
        wire.len() == name.len() && wire.iter().zip(name).all(|(&a, &b)| fold(a) == fold(b))
    }
}

#[cold]
fn unknown(name: &[u8]) -> Refusal {
    let typed = String::from_utf8_lossy(&name[..name.len().min(64)]).to_lowercase();
    let mut nearest: Vec<_> =
        EventType::ALL.iter().map(|t| (strsim::osa_distance(&typed, t.as_str()), t.as_str())).collect();
    nearest.sort_unstable();
    let nearest: Vec<_> = nearest.iter().take(3).map(|&(_, name)| name).collect();
    Code::BadEvent.because(format!("unknown event type {}; the nearest are {}", quoted(name), nearest.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_in_both_spellings() {
        for &event_type in EventType::ALL {
            let dotted = event_type.as_str();
            for spelling in [dotted.to_owned(), dotted.to_uppercase().replace('.', "_"), dotted.to_uppercase()] {
                assert_eq!(EventType::parse(spelling.as_bytes()), Ok(event_type), "{spelling}");
            }
            assert_eq!(EventType::ALL[event_type as usize], event_type);
        }
    }

    #[test]
    fn a_wrong_name_is_answered_with_the_nearest() {
        let refusal = EventType::parse(b"order.canceled").unwrap_err();
        assert_eq!(refusal.code, Code::BadEvent);
        assert!(refusal.text.contains("nearest are order.cancelled,"), "{}", refusal.text);
        for junk in [&b""[..], b"\xff\x00", &[b'a'; 70_000]] {
            assert_eq!(EventType::parse(junk).unwrap_err().code, Code::BadEvent);
        }
    }
}
