//! Why a condition is as it is.

use super::Engines;
use crate::condition::{self, Condition};
use crate::engine::{within_condition, Engine};
use crate::expression::{number_text, Truth};
use crate::key::Key;
use crate::record::Record;
use crate::refusal::{Code, Outcome};
use crate::store::MarketStore;
use crate::time::Millis;

/// What is known of a condition on the newest bar.
#[derive(Clone, Debug, PartialEq)]
pub struct Explained {
    /// `true`, `false` or `unknown`.
    pub state: &'static str,
    /// How many bars its functions have taken in.
    pub bars: u64,
    /// The open time of the newest.
    pub last_bar: Option<Millis>,
    /// Its series and functions: canonical text, and the number, as the shortest text that reads back.
    pub terms: Vec<(String, Option<String>)>,
}

/// Explains a condition. Writes nothing.
///
/// # Errors
/// NOTFOUND, WRONGTYPE, CORRUPT.
pub fn explain<'a, S: MarketStore<'a>>(store: &S, symbol: &str, id: &str, engines: &mut Engines) -> Outcome<Explained> {
    let mut record = Record::new(store, store.open(Key::Condition(id))?);
    let loaded = Condition::load(store, &mut record).map_err(|refusal| within_condition(refusal, id))?;
    let timeframe = loaded.ok_or_else(|| condition::unknown(id, symbol))?.timeframe;
    let mut engine = Engine::open(store, timeframe, engines.take(timeframe))?;
    // Registered in the millisecond in which another one went, on another node: nothing else tells.
    if engine.find(id).is_none() {
        engine = Engine::open(store, timeframe, None)?;
    }
    let explained = explain_with(&engine, id)
        .ok_or_else(|| Code::Corrupt.because(format!("condition {id} is not in the index of {}", timeframe.as_str())));
    engines.put(engine);
    explained
}

fn explain_with(engine: &Engine, id: &str) -> Option<Explained> {
    let (evaluator, watch) = (&engine.evaluator, &engine.find(id)?.watch);
    let state = match evaluator.judge(watch).value {
        Truth::True => "true",
        Truth::False => "false",
        Truth::Unknown => "unknown",
    };
    let terms = evaluator.terms(watch).map(|(text, number)| (text.to_owned(), number.map(number_text)));
    Some(Explained { state, bars: evaluator.bars(), last_bar: evaluator.last_bar(), terms: terms.collect() })
}
