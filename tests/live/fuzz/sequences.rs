//! Whole sequences, and what holds whatever they do.

use super::arena::{Arena, Counts, Course};
use super::budget::budget;
use super::generator::Generator;
use super::shrink::shrink;
use super::step::{line, origin, Step};
use crate::support::Random;

/// Sequences that the usual run tries.
const ROUNDS: u64 = 24;

/// The sequence of a seed. One in three has plain commands among it that write to our keys.
fn course(seed: u64) -> Course {
    let mut random = Random::new(seed);
    let (length, pipeline) = (40 + random.below(160), *random.pick(&[1, 1, 7, 30]));
    let is_hostile = random.one_in(3);
    let mut generator = Generator::new(&mut random);
    let mut steps = generator.lifetimes();
    while steps.len() < length {
        match generator.random.below(100) {
            0..=2 => steps.push(generator.setting()),
            3..=4 => steps.push(generator.operation()),
            5..=9 => steps.extend(generator.harmless()),
            10..=14 => steps.push(generator.unfollowed()),
            15..=18 => steps.extend(generator.bundle()),
            19..=30 if is_hostile => steps.push(generator.plain()),
            _ => steps.push(generator.command()),
        }
    }
    Course { steps, pipeline }
}

#[test]
fn what_always_holds_holds() {
    let (first, rounds) = budget(ROUNDS);
    let mut arena = Arena::start();
    let mut counts = Counts::default();
    for seed in first..first + rounds {
        let course = course(seed);
        let Err(first_fault) = arena.run(&course, &mut counts) else { continue };
        let mut fault = first_fault;
        let shortest = shrink(&course.steps, |part| {
            let part = Course { steps: part.to_vec(), pipeline: course.pipeline };
            match arena.run(&part, &mut Counts::default()) {
                Err(found) if found.kind == fault.kind => {
                    fault = found;
                    true
                }
                _ => false,
            }
        });
        panic!(
            "TRADEBUS_FUZZ_SEED={seed} TRADEBUS_FUZZ_ROUNDS=1, sent in parts of {}\n{}\n{}: {}",
            course.pipeline,
            lines(&shortest),
            fault.kind,
            fault.text
        );
    }
    println!("{rounds} sequences: {counts:?}");
    assert!(counts.accepted > 2 * counts.refused && counts.refused > counts.accepted / 50, "{counts:?}");
}

/// As redis-cli takes them, at the time of now.
fn lines(steps: &[Step]) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let origin = origin(i64::try_from(now.as_millis()).expect("a time"));
    steps.iter().map(|step| line(&step.words(origin))).collect::<Vec<_>>().join("\n")
}
