//! The shortest part of a sequence that still fails.

/// How often a part is tried at most: each try is a whole run.
const TRIES_MAX: usize = 400;

/// Leaves out whatever `fails` does not need, first large parts, then single steps, until no single one can go or the
/// tries are used up.
pub fn shrink<T: Clone>(steps: &[T], mut fails: impl FnMut(&[T]) -> bool) -> Vec<T> {
    let mut kept = steps.to_vec();
    let mut tries = 0;
    let mut part = kept.len().div_ceil(2);
    while part > 0 {
        let mut begin = 0;
        let mut is_smaller = false;
        // From the end: what comes behind the fault is the first to go.
        while begin < kept.len() && tries < TRIES_MAX {
            let end = kept.len() - begin;
            let start = end.saturating_sub(part);
            let without = [&kept[..start], &kept[end..]].concat();
            tries += 1;
            if fails(&without) {
                kept = without;
                is_smaller = true;
            } else {
                begin += part;
            }
        }
        if tries >= TRIES_MAX {
            break;
        }
        part = match (part, is_smaller) {
            (1, true) => 1,
            (1, false) => 0,
            _ => part.div_ceil(2),
        };
    }
    kept
}

#[test]
fn what_does_not_matter_is_left_out() {
    let steps: Vec<u32> = (0..200).collect();
    let mut tries = 0;
    let shrunk = shrink(&steps, |part| {
        tries += 1;
        [17, 18, 150].iter().all(|needed| part.contains(needed))
    });
    assert_eq!(shrunk, [17, 18, 150]);
    assert!(tries < 100, "{tries}");
    assert!(shrink(&steps, |_| true).is_empty());
}
