//! Whether a peer ended in the state that the events describe: a fast wrong answer is no answer.

use std::io;

use crate::wire::{Batch, Connection, Reply};
use crate::workload::Expected;

/// How much of the state a peer vouches for.
#[derive(Clone, Copy)]
pub enum Claim {
    /// Statuses and indexes: all that a client that reads nothing can keep.
    Status,
    /// Versions and sums too.
    Everything,
}

impl Claim {
    /// Averages are not among them: the module's have 28 digits, a double's have 14.
    fn fields(self) -> &'static [&'static str] {
        match self {
            Claim::Status => &["status"],
            Claim::Everything => &[
                "status",
                "version",
                "filled_volume",
                "remaining_volume",
                "volume",
                "closed_volume",
                "realized_pnl",
                "fees",
            ],
        }
    }
}

const KEYS_PER_ROUND_TRIP: usize = 500;

/// Compares the keyspace with what is expected, and tells the first difference and how many there are.
pub fn difference(connection: &mut Connection, expected: &Expected, claim: Claim) -> io::Result<Option<String>> {
    let mut differences = Vec::new();
    let hashes: Vec<_> = expected.hashes.iter().collect();
    for chunk in hashes.chunks(KEYS_PER_ROUND_TRIP) {
        let mut batch = Batch::default();
        for (key, _) in chunk {
            let mut args = vec!["HMGET", key.as_str()];
            args.extend(claim.fields());
            batch.push(&args);
        }
        for ((key, fields), reply) in chunk.iter().zip(connection.round_trip(&batch)?) {
            let Reply::Array(values) = reply else {
                return Err(io::Error::other(format!("HMGET replied {reply:?}")));
            };
            for (name, found) in claim.fields().iter().zip(&values) {
                if let Some(wanted) = fields.get(name).filter(|wanted| !agrees(wanted, found)) {
                    differences.push(format!("{key}: {name} is {found:?}, not {wanted}"));
                }
            }
        }
    }
    for (key, wanted) in &expected.indexes {
        let found = connection.call(&["ZCARD", key])?;
        if found != Reply::Integer(*wanted) {
            differences.push(format!("{key}: ZCARD is {found:?}, not {wanted}"));
        }
    }
    Ok(differences.first().map(|first| format!("{first} ({} differences)", differences.len())))
}

/// Whether they are the same text or the same number; a sum that was never begun is zero.
fn agrees(wanted: &str, found: &Reply) -> bool {
    match found {
        Reply::Text(found) => trim_zeros(found) == trim_zeros(wanted),
        Reply::Nil => wanted == "0",
        _ => false,
    }
}

fn trim_zeros(text: &str) -> &str {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        text
    }
}
