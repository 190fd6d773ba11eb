//! What holds of conditions, candles and ticks whatever comes, in whatever order.

mod support;

use std::collections::BTreeSet;
use std::rc::Rc;

use proptest::prelude::*;
use support::courses::{any_candle, any_history, any_other, any_which, Course, Place, Step, Which, EXPRESSIONS};
use support::market::MINUTE;
use tradebus_core::condition::{Mode, Status};
use tradebus_core::evaluator::Evaluator;
use tradebus_core::expression::{Expression, Verdict};
use tradebus_core::indicators::Bar;
use tradebus_core::key::Key;
use tradebus_core::market::{Explained, Origin, Removal};
use tradebus_core::refusal::Outcome;
use tradebus_core::timeframe::Timeframe;

/// Conditions, steps, and before which of these nothing is remembered.
type Steps = (Vec<Which>, Vec<(Step, bool)>);

fn any_steps() -> impl Strategy<Value = Steps> {
    any_which(&[Timeframe::M1, Timeframe::M1, Timeframe::S30]).prop_flat_map(|conditions| {
        let step = prop_oneof![3 => any_candle().boxed(), 2 => any_other(conditions.clone()).boxed()];
        let steps = prop::collection::vec((step, prop::bool::weighted(0.15)), 1..200);
        (Just(conditions), steps)
    })
}

/// Registered first, then candles and how many of them are kept.
fn any_trimmings() -> impl Strategy<Value = Steps> {
    any_which(&[Timeframe::M1]).prop_flat_map(|conditions| {
        let steps = prop_oneof![12 => any_candle().boxed(), 1 => any_history().boxed()];
        (Just(conditions), prop::collection::vec((steps, prop::bool::weighted(0.1)), 1..300))
    })
}

fn explained(course: &mut Course, conditions: &[Which]) -> Vec<Outcome<Explained>> {
    conditions.iter().map(|which| course.desk.explain(&which.id())).collect()
}

fn registration(which: Which) -> Step {
    Step::Register(which, None, None, None)
}

/// What conditions are on the candles of 1m, by the rules alone: every candle is kept, and each condition is judged
/// over all of them again whenever it is judged.
#[derive(Default)]
struct Model {
    candles: Vec<(i64, Bar)>,
    /// In the order of registration.
    conditions: Vec<Judged>,
}

struct Judged {
    which: Which,
    is_paused: bool,
    cooldown: u64,
    most: u64,
    expires_at: u64,
    triggers: u64,
    last: Option<i64>,
    known: Option<bool>,
    known_before_last_bar: Option<bool>,
}

impl Model {
    fn judge(&self, which: Which) -> Verdict {
        let expression = Expression::parse(EXPRESSIONS[which.expression].as_bytes()).expect("an expression");
        let mut evaluator = Evaluator::default();
        let watch = evaluator.watch(Rc::new(expression));
        self.candles.iter().for_each(|(open_time, bar)| evaluator.next(*open_time, bar));
        evaluator.judge(&watch)
    }

    fn find(&mut self, which: Which) -> Option<&mut Judged> {
        self.conditions.iter_mut().find(|condition| condition.which == which)
    }

    /// Which conditions a candle triggers.
    fn candle(&mut self, open_time: i64, bar: Bar, origin: Origin, now: i64) -> Vec<String> {
        let is_correction = self.candles.last().is_some_and(|(last, _)| *last == open_time);
        if is_correction {
            self.candles.pop();
        }
        self.candles.push((open_time, bar));
        let mut fired = Vec::new();
        for at in 0..self.conditions.len() {
            let verdict = self.judge(self.conditions[at].which);
            let (value, condition) = (verdict.value.known(), &mut self.conditions[at]);
            if is_correction {
                condition.known = value.or(condition.known_before_last_bar);
                continue;
            }
            let becomes_true = condition.known == Some(false) || verdict.is_pulse();
            let wants = value == Some(true) && (condition.which.mode == Mode::Level || becomes_true);
            condition.known_before_last_bar = condition.known;
            condition.known = value.or(condition.known);
            let end = open_time + MINUTE;
            let rests = condition.last.is_some_and(|last| end < last + condition.cooldown as i64);
            let is_over = condition.expires_at != 0 && condition.expires_at as i64 <= end.max(now);
            let is_spent = condition.most != 0 && condition.triggers >= condition.most;
            if wants && origin == Origin::Live && !condition.is_paused && !rests && !is_over && !is_spent {
                condition.triggers += 1;
                condition.last = Some(condition.last.unwrap_or(0).max(end));
                condition.is_paused |= condition.which.mode == Mode::Once;
                fired.push(condition.which.id());
            }
        }
        fired
    }

    fn register(&mut self, which: Which, limits: [Option<u64>; 3], now: i64) {
        let known = self.judge(which).value.known();
        if self.find(which).is_none() {
            let (is_paused, cooldown, most, expires_at, triggers) = (false, 0, 0, 0, 0);
            let (last, known_before_last_bar) = (None, None);
            self.conditions.push(Judged {
                which,
                is_paused,
                cooldown,
                most,
                expires_at,
                triggers,
                last,
                known,
                known_before_last_bar,
            });
        }
        let Some(condition) = self.find(which) else { return };
        let [cooldown, most, expires_in] = limits;
        condition.cooldown = cooldown.unwrap_or(condition.cooldown);
        condition.most = most.unwrap_or(condition.most);
        let expires_at = expires_in.map(|ms| if ms == 0 { 0 } else { now as u64 + 30 * ms });
        condition.expires_at = expires_at.unwrap_or(condition.expires_at);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// (The last known values of conditions are what a restart reads, so that they too are stored as they were.)
    #[test]
    fn a_restart_changes_nothing((conditions, steps) in any_steps()) {
        let (mut plain, mut restarted) = (Course::new(), Course::new());
        for (at, (step, restarts)) in steps.iter().enumerate() {
            if *restarts {
                restarted.desk.restart();
            }
            prop_assert_eq!(plain.run(step), restarted.run(step), "step {}: {:?}", at, step);
            if *restarts {
                prop_assert_eq!(explained(&mut plain, &conditions), explained(&mut restarted, &conditions));
            }
        }
        prop_assert!(plain.desk.snapshot() == restarted.desk.snapshot());
        restarted.desk.restart();
        prop_assert_eq!(explained(&mut plain, &conditions), explained(&mut restarted, &conditions));
    }

    #[test]
    fn a_bar_triggers_a_condition_at_most_once((_, steps) in any_steps()) {
        let mut course = Course::new();
        for (step, _) in &steps {
            course.run(step);
        }
        let mut bars = BTreeSet::new();
        for entry in course.desk.entries(Key::Triggers) {
            let part = |name: &str| {
                let rest = entry.split_once(&format!(" {name}=")).map_or("", |(_, rest)| rest);
                rest.split(' ').next().unwrap_or_default().to_owned()
            };
            let bar = (part("condition_id"), part("bar_time"));
            prop_assert!(bar.1.is_empty() || bars.insert(bar), "{}", entry);
        }
    }

    #[test]
    fn each_condition_is_judged_as_if_it_were_alone((conditions, steps) in any_steps()) {
        let (mut course, mut model) = (Course::new(), Model::default());
        for (step, restarts) in steps {
            if restarts {
                course.desk.restart();
            }
            // What trims the candles, is of 30s or of the caller has no place in the model.
            let (expected, now) = match step {
                Step::Candle(place, origin, numbers) => {
                    let (open_time, numbers) = course.candle(place, numbers);
                    let is_taken = !matches!(place, Place::Late | Place::Repeat) || course.last.is_none();
                    if !is_taken || course.last == Some((open_time, numbers)) {
                        (Vec::new(), None)
                    } else {
                        let [open, high, low, close, volume] = numbers.map(|number| number as f64);
                        let now = course.desk.now.max(open_time + MINUTE);
                        let bar = Bar { open, high, low, close, volume };
                        (model.candle(open_time, bar, origin, now), Some(now))
                    }
                }
                Step::Register(which, cooldown, most, expires_in) if which.timeframe == Timeframe::M1 => {
                    model.register(which, [cooldown, most, expires_in], course.desk.now);
                    (Vec::new(), None)
                }
                Step::SetStatus(which, status) => {
                    if let Some(condition) = model.find(which) {
                        condition.is_paused = status == Status::Paused;
                    }
                    (Vec::new(), None)
                }
                Step::Remove(which, Removal::Force) => {
                    model.conditions.retain(|condition| condition.which != which);
                    (Vec::new(), None)
                }
                Step::Clock(_) => (Vec::new(), None),
                _ => continue,
            };
            let reply = course.run(&step);
            if let Some(now) = now {
                let told = reply.split(" Tally").next().unwrap_or_default();
                prop_assert_eq!(told, expected.join(" "), "{:?} at {}", step, now);
            }
        }
        for which in conditions.into_iter().filter(|which| which.timeframe == Timeframe::M1) {
            let (bars, last_bar) = (model.candles.len() as u64, model.candles.last().map(|(last, _)| *last));
            let verdict = model.judge(which);
            let Some(condition) = model.find(which) else { continue };
            let explained = course.desk.explain(&which.id()).expect("a condition");
            let state = verdict.value.known().map_or("unknown", |value| if value { "true" } else { "false" });
            prop_assert_eq!((explained.state, explained.bars, explained.last_bar), (state, bars, last_bar));
            let known = condition.known.map_or(String::new(), |value| value.to_string());
            let triggers = condition.triggers.to_string();
            let stored = ["value", "trigger_count"].map(|name| course.desk.field(&which.id(), name));
            prop_assert_eq!(stored, [known, triggers], "{}", which.id());
        }
    }

    #[test]
    fn a_trimmed_history_changes_nothing((conditions, steps) in any_trimmings()) {
        let (mut whole, mut trimmed) = (Course::new(), Course::new());
        for which in &conditions {
            prop_assert_eq!(whole.run(&registration(*which)), trimmed.run(&registration(*which)));
        }
        for (step, restarts) in &steps {
            if let Step::History(_) = step {
                trimmed.run(step);
                continue;
            }
            if *restarts {
                trimmed.desk.restart();
            }
            prop_assert_eq!(whole.run(step), trimmed.run(step), "{:?}", step);
            if *restarts {
                trimmed.desk.restart();
                prop_assert_eq!(explained(&mut whole, &conditions), explained(&mut trimmed, &conditions));
            }
        }
        prop_assert_eq!(whole.desk.entries(Key::Triggers), trimmed.desk.entries(Key::Triggers));
    }
}
