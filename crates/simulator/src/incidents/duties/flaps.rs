//! How often each expectation of an incident turns from good to bad and back.

use std::collections::{BTreeMap, BTreeSet};

use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::time::{TimeSpan, Timestamp};

use super::wrong;
use crate::simulation::Violation;

/// The action that tells that it goes on.
pub(super) const GOES_ON: &str = "flapping_goes_on";

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
            FactData::FlappingStarted(data) => return self.flaps(Some(data.changes), fact),
            FactData::ActionRecorded(data) if data.action == GOES_ON => {
                return self.flaps(None, fact);
            }
            _ => {}
        }
        Ok(())
    }

    /// An expectation has turned as often as the policy says, and so often
    /// where it is told.
    fn flaps(&self, told: Option<u32>, fact: &Fact) -> Result<(), Violation> {
        let (changes, look_back) = self.limit.unwrap_or((u32::MAX, 0));
        let span = TimeSpan::MINUTE.times(i64::from(look_back));
        let own = self.turns.iter().filter(|(key, _)| key.0 == fact.incident_id);
        let mut counts = own.map(|(_, turns)| {
            turns.at.iter().filter(|at| **at + span > fact.recorded_at).count() as u64
        });
        let is_it = |count: u64| {
            count >= u64::from(changes) && told.is_none_or(|told| u64::from(told) == count)
        };
        match counts.any(is_it) {
            true => Ok(()),
            false => Err(wrong("what flaps comes and goes", &format!("{:?}", self.turns), fact)),
        }
    }
}

fn key(id: &str, (feature, version, expectation): (&String, &String, &String)) -> Key {
    (id.to_owned(), feature.clone(), version.clone(), expectation.clone())
}
