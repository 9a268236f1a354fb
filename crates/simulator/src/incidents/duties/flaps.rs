//! How often each expectation of an incident turns from good to bad and back.

use std::collections::{BTreeMap, BTreeSet};

use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::time::{TimeSpan, Timestamp};

use super::wrong;
use crate::simulation::Violation;

/// Incident, subject, version and expectation.
type Key = (String, String, String, String);

/// The turns of one expectation.
#[derive(Debug, Default)]
struct Turns {
    open: BTreeSet<String>,
    at: Vec<Timestamp>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Flaps {
    limit: Option<(u32, u32)>,
    turns: BTreeMap<Key, Turns>,
}

impl Flaps {
    /// So many changes among so many of the last windows, each of a minute.
    pub(super) fn under(limit: Option<(u32, u32)>) -> Self {
        Self { limit, turns: BTreeMap::new() }
    }

    pub(super) fn follow(&mut self, fact: &Fact) -> Result<(), Violation> {
        let id = &fact.incident_id;
        match &fact.data {
            FactData::BreachAttached(data) => {
                let of = (&data.feature, &data.feature_version, &data.expectation);
                let turns = self.turns.entry(key(id, of)).or_default();
                if turns.open.is_empty() {
                    turns.at.push(data.window_end);
                }
                turns.open.insert(data.breach_id.clone());
            }
            FactData::BreachCleared(data) => {
                let of = (&data.feature, &data.feature_version, &data.expectation);
                let turns = self.turns.entry(key(id, of)).or_default();
                turns.open.remove(&data.breach_id);
                if turns.open.is_empty() {
                    turns.at.push(data.window_end);
                }
            }
            FactData::Reopened(_) => {
                let own = self.turns.iter_mut().filter(|(key, _)| key.0 == *id);
                own.for_each(|(_, turns)| turns.open.clear());
            }
            FactData::FlappingStarted(data) => {
                let (changes, look_back) = self.limit.unwrap_or((u32::MAX, 0));
                let span = TimeSpan::MINUTE.times(i64::from(look_back));
                let own = self.turns.iter().filter(|(key, _)| key.0 == *id);
                let mut counts = own.map(|(_, turns)| {
                    turns.at.iter().filter(|at| **at + span > fact.recorded_at).count()
                });
                let is_so = counts.any(|count| count as u64 == u64::from(data.changes));
                if !is_so || data.changes < changes {
                    let why = format!("{:?}", self.turns);
                    return Err(wrong("what flaps comes and goes", &why, fact));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn key(id: &str, (feature, version, expectation): (&String, &String, &String)) -> Key {
    (id.to_owned(), feature.clone(), version.clone(), expectation.clone())
}
