//! The chain of one incident: numbers from 1 without gaps, and in each fact
//! the hash of the one before.

use crate::line::Line;

/// Where a chain stands.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    sequence: u64,
    hash: Option<String>,
}

impl Chain {
    /// The last fact's number.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Takes the next fact and tells what is wrong with its place. The chain
    /// goes on from it either way, so that one fault is told of once.
    pub fn follow(&mut self, line: &Line<'_>) -> Option<String> {
        let expected = self.sequence + 1;
        let wrong = if line.sequence > expected {
            let missing = line.sequence - expected;
            Some(match missing {
                1 => format!("fact {expected} of the incident is missing before it"),
                _ => format!(
                    "facts {expected} to {} of the incident are missing before it",
                    line.sequence - 1
                ),
            })
        } else if line.sequence < expected {
            Some(format!("fact {} of the incident is there twice or out of place", line.sequence))
        } else if line.previous_hash != self.hash {
            Some(match (&line.previous_hash, &self.hash) {
                (None, _) => "it names no fact before it".to_owned(),
                (Some(_), None) => {
                    "it is the first of its incident and names one before".to_owned()
                }
                (Some(named), Some(before)) => {
                    format!("it follows a fact of hash {named}, and the one before has {before}")
                }
            })
        } else {
            None
        };
        self.sequence = self.sequence.max(line.sequence);
        self.hash = Some(line.hash.to_owned());
        wrong
    }
}
