//! A symbol's own settings: what turns price differences into money, and how positions are kept.

use crate::decimal::Decimal;
use crate::record::Record;
use crate::refusal::{quoted, Code, Outcome};
use crate::store::Store;
use crate::word::Word;

/// Whether several positions may exist on a symbol, or closing more than is open turns the position around.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PositionMode {
    /// Each position has its own life; an id never lives again.
    #[default]
    Hedging,
    /// A position's id lives again, cycle after cycle, and a close beyond what is open flips it.
    Netting,
}

impl Word for PositionMode {
    const WORDS: &'static [(&'static str, PositionMode)] =
        &[("hedging", PositionMode::Hedging), ("netting", PositionMode::Netting)];
}

/// How a profit is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Contract {
    /// `(exit - entry) x volume x contract_size`.
    #[default]
    Linear,
    /// Settled in the base currency: `(1 / entry - 1 / exit) x volume x contract_size`.
    Inverse,
}

impl Word for Contract {
    const WORDS: &'static [(&'static str, Contract)] = &[("0", Contract::Linear), ("1", Contract::Inverse)];
}

/// What the judgement of a position takes from outside its events. It is noted in the position's first log
/// entry, so that a later change of the settings does not rewrite its history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Units of the underlying per unit of volume.
    pub contract_size: Decimal,
    /// Linear or inverse.
    pub contract: Contract,
    /// Hedging or netting.
    pub mode: PositionMode,
}

impl Default for Terms {
    fn default() -> Self {
        Terms { contract_size: Decimal::ONE, contract: Contract::default(), mode: PositionMode::default() }
    }
}

/// The fields that a position's terms come from, in the symbol's hash and in the position's own.
pub const TERMS: [&str; 3] = ["contract_size", "inverse", "position_mode"];

/// The settings of a symbol, in the order in which they are shown, with their defaults.
pub const FIELDS: [(&str, &str); 4] =
    [("contract_size", "1"), ("inverse", "0"), ("currency", ""), ("position_mode", "hedging")];

impl Terms {
    /// Reads the terms out of a symbol's or a position's hash; what is not set has its default.
    ///
    /// # Errors
    /// CORRUPT.
    pub fn load<'a, S: Store<'a>>(record: &mut Record<'a>, store: &S) -> Outcome<Terms> {
        record.load(store, &TERMS);
        let contract_size = record.decimal("contract_size")?.unwrap_or(Decimal::ONE);
        if !contract_size.is_positive() {
            return Err(record.corrupt("contract_size", "above 0"));
        }
        Ok(Terms {
            contract_size,
            contract: Contract::load(record, "inverse")?.unwrap_or_default(),
            mode: PositionMode::load(record, "position_mode")?.unwrap_or_default(),
        })
    }

    /// The terms, where they are not the defaults, and what `more` there is to say (the members of a JSON
    /// object) as the `context` of a log entry; `None` when there is nothing.
    pub fn context(&self, more: Option<String>) -> Option<String> {
        let default = Terms::default();
        let mut members = Vec::from_iter(more);
        if self.contract_size != default.contract_size {
            members.push(format!(r#""contract_size":"{}""#, self.contract_size));
        }
        if self.contract != default.contract {
            members.push(format!(r#""inverse":"{}""#, self.contract.as_str()));
        }
        if self.mode != default.mode {
            members.push(format!(r#""position_mode":"{}""#, self.mode.as_str()));
        }
        (!members.is_empty()).then(|| format!("{{{}}}", members.join(",")))
    }
}

/// Checks one setting: the field's name as stored and the value as given.
///
/// # Errors
/// BADFIELD for an unknown field or a value out of range.
pub fn check_setting<'v>(field: &[u8], value: &'v [u8]) -> Outcome<(&'static str, &'v str)> {
    let known = FIELDS.iter().map(|&(name, _)| name).find(|name| field.eq_ignore_ascii_case(name.as_bytes()));
    let Some(name) = known else {
        let names: Vec<_> = FIELDS.iter().map(|&(name, _)| name).collect();
        return Err(Code::BadField.because(format!("{} is no setting; they are {}", quoted(field), names.join(", "))));
    };
    let text = std::str::from_utf8(value).ok();
    let (valid, rule) = match name {
        "contract_size" => (
            text.and_then(|text| Decimal::parse(text).ok()).is_some_and(|size| size.is_positive()),
            "a number above 0 with at most 18 significant digits",
        ),
        "inverse" => (text.and_then(Contract::parse).is_some(), "0 or 1"),
        "position_mode" => (text.and_then(PositionMode::parse).is_some(), "hedging or netting"),
        _ => (
            (1..=16).contains(&value.len()) && value.iter().all(u8::is_ascii_alphanumeric),
            "a code of 1 to 16 letters and digits",
        ),
    };
    match (valid, text) {
        (true, Some(text)) => Ok((name, text)),
        _ => Err(Code::BadField.because(format!("{name} must be {rule}, not {}", quoted(value)))),
    }
}
