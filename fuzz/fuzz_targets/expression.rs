//! Expressions: parsed and printed, judged on bars, and the state of their functions, saved and taken up again.
//!
//! Each line is an expression, but for one that begins with `~`: there every byte behind the scale is a bar.
#![no_main]

use std::rc::Rc;

use libfuzzer_sys::fuzz_target;
use tradebus_core::evaluator::{Evaluator, Watch};
use tradebus_core::expression::{Expression, Truth, AGO_MAX, PERIODS_MAX, TERMS_TEXT_MAX, TEXT_MAX};
use tradebus_core::indicators::Bar;
use tradebus_fuzz::{check_refusal, lines};

const LINES_MAX: usize = 12;
const BARS_MAX: usize = 200;
const MINUTE: i64 = 60_000;

fuzz_target!(|input: &[u8]| {
    let (mut expressions, mut bars) = (Vec::new(), Vec::new());
    for line in lines(input, LINES_MAX) {
        match line {
            [b'~', scale, told @ ..] => bars.extend(told.iter().map(|byte| bar(*scale, *byte))),
            text => expressions.extend(parse(text).map(Rc::new)),
        }
    }
    bars.truncate(BARS_MAX);
    judge(&expressions, &bars);
});

fn parse(text: &[u8]) -> Option<Expression> {
    let expression = Expression::parse(text).map_err(|refusal| check_refusal(&refusal)).ok()?;
    let canonical = expression.as_str();
    assert!(canonical.len() <= TEXT_MAX);
    assert_eq!(Expression::parse(canonical.as_bytes()).as_ref(), Ok(&expression), "{canonical}");
    let terms = expression.terms();
    assert!(terms.iter().map(|term| term.text().len()).sum::<usize>() <= TERMS_TEXT_MAX);
    let periods = terms.iter().filter_map(|term| term.line()).map(|(function, _)| function.periods());
    assert!(periods.sum::<usize>() <= PERIODS_MAX);
    assert!(terms.iter().all(|term| term.reach() <= usize::from(AGO_MAX) + 1));
    Some(expression)
}

/// A bar out of one byte, in a unit that the scale says.
fn bar(scale: u8, byte: u8) -> Bar {
    let unit = match scale {
        b'1' => 1e-9,
        b'2' => 999_999_999_999_999_999.0 / 64.0,
        b'3' => -1.0,
        b'4' => 1e99,
        _ => 1.0,
    };
    let (open, spread) = (f64::from(byte & 31), f64::from(byte >> 6));
    let close = open + f64::from((byte >> 5) & 1) - spread;
    let ends = [open * unit, close * unit, (open + spread) * unit, (close - spread) * unit];
    let (low, high) = ends.iter().fold((ends[0], ends[0]), |(low, high), end| (end.min(low), end.max(high)));
    Bar { open: ends[0], high, low, close: ends[1], volume: f64::from(byte % 5) * unit.abs() }
}

/// Bars and conditions, as one evaluator has seen them.
struct Seen {
    evaluator: Evaluator,
    watches: Vec<Watch>,
}

impl Seen {
    fn new(expressions: &[Rc<Expression>]) -> Seen {
        let mut evaluator = Evaluator::default();
        let watches = expressions.iter().map(|expression| evaluator.watch(Rc::clone(expression))).collect();
        Seen { evaluator, watches }
    }

    fn save(&self) -> Vec<u8> {
        let mut state = Vec::new();
        self.evaluator.save(&mut state);
        assert!(state.len() <= self.evaluator.saved_len_max());
        state
    }

    /// What each condition is, and each of its numbers bit by bit.
    fn verdicts(&self) -> Vec<(Truth, bool, Vec<Option<u64>>)> {
        let of = |watch| {
            let verdict = self.evaluator.judge(watch);
            assert!(!verdict.is_pulse() || verdict.value == Truth::True);
            let numbers = self.evaluator.terms(watch).map(|(_, number)| {
                assert!(number.is_none_or(f64::is_finite));
                number.map(f64::to_bits)
            });
            (verdict.value, verdict.is_pulse(), numbers.collect())
        };
        self.watches.iter().map(of).collect()
    }
}

/// However an evaluator came to a bar, it is the same there: with the others or alone, in one go, from a save, or warmed
/// up by another one.
fn judge(expressions: &[Rc<Expression>], bars: &[Bar]) {
    let mut together = Seen::new(expressions);
    let mut alone: Vec<_> = expressions.iter().map(|expression| Seen::new(std::slice::from_ref(expression))).collect();
    let mut restored = Seen::new(expressions);
    // Begins with the first condition only; the others come in the middle.
    let (begun, late) = expressions.split_at(expressions.len().min(1));
    let mut warmed = Seen::new(begun);
    for (at, bar) in bars.iter().enumerate() {
        let open_time = at as i64 * MINUTE;
        for seen in [&mut together, &mut restored, &mut warmed].into_iter().chain(&mut alone) {
            seen.evaluator.next(open_time, bar);
        }
        let verdicts = together.verdicts();
        assert!(alone.iter().flat_map(Seen::verdicts).eq(verdicts.iter().cloned()), "bar {at}: alone");
        if at % 17 == 11 {
            let state = together.save();
            restored = Seen::new(expressions);
            assert_eq!(restored.evaluator.restore(&state), Some(()));
            assert_eq!(restored.save(), state, "bar {at}: saved again");
        }
        if at == bars.len() / 2 {
            warm_up(&mut warmed, late, &bars[..=at]);
        }
        assert_eq!(restored.verdicts(), verdicts, "bar {at}: restored");
        if warmed.watches.len() == expressions.len() {
            assert_eq!(warmed.verdicts(), verdicts, "bar {at}: warmed up");
        }
    }
    if !bars.is_empty() {
        assert_eq!(warmed.save(), together.save(), "warmed up");
    }
}

fn warm_up(seen: &mut Seen, late: &[Rc<Expression>], bars: &[Bar]) {
    for expression in late {
        let covered = seen.evaluator.covers(expression);
        seen.watches.push(seen.evaluator.watch(Rc::clone(expression)));
        if !covered {
            let mut warm = Seen::new(std::slice::from_ref(expression));
            for (at, bar) in bars.iter().enumerate() {
                warm.evaluator.next(at as i64 * MINUTE, bar);
            }
            seen.evaluator.adopt(warm.evaluator);
        }
    }
}
