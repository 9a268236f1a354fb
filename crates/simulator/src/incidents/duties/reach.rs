//! Whom a page has not reached, because no sink took it.

use std::collections::{BTreeMap, BTreeSet};

use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::time::Timestamp;

use super::case::Case;
use super::wrong;
use crate::simulation::Violation;

/// Why somebody is paged whom another channel did not reach.
pub(super) const FAILED: &str = "delivery_failed";

const REACHES: &str = "whom a page does not reach is asked by another contact";

/// Pages of the present step.
#[derive(Debug, Default)]
pub(super) struct Reach {
    /// By person: the instant of the last round, and its channels.
    paged: BTreeMap<String, (Timestamp, BTreeSet<String>)>,
    /// Who is to be asked otherwise now.
    owed: Option<String>,
}

impl Reach {
    /// What was asked before is asked by another step, or answered.
    pub(super) fn begin_anew(&mut self) {
        self.paged.clear();
    }
}

impl Case {
    pub(super) fn follow_reach(&mut self, fact: &Fact) -> Result<(), Violation> {
        let owed = self.reach.owed.take();
        match &fact.data {
            FactData::Notified(data) if data.reason == FAILED => {
                let round = self.reach.paged.entry(data.target.clone()).or_default();
                if owed.as_ref() != Some(&data.target) || !round.1.insert(data.channel.clone()) {
                    return Err(wrong(REACHES, &format!("{owed:?} was to be asked"), fact));
                }
            }
            FactData::Notified(data) => {
                let round = self.reach.paged.entry(data.target.clone()).or_default();
                if round.0 != fact.occurred_at {
                    *round = (fact.occurred_at, BTreeSet::new());
                }
                round.1.insert(data.channel.clone());
            }
            FactData::NotificationSkipped(data) if owed == data.target => {}
            _ if owed.is_some() => {
                return Err(wrong(REACHES, &format!("{owed:?} is not"), fact));
            }
            FactData::Acknowledged(_) => self.reach.begin_anew(),
            FactData::DeliveryReported(data) if data.unreached => {
                let asks = !self.is_resolved && !self.is_resting && !self.is_muted();
                let (target, channel) = (data.target.clone(), data.channel.clone());
                let is_asked = target.zip(channel).filter(|(target, channel)| {
                    let round = self.reach.paged.get(target);
                    round.is_some_and(|(_, channels)| channels.contains(channel))
                });
                self.reach.owed = is_asked.filter(|_| asks).map(|(target, _)| target);
            }
            _ => {}
        }
        Ok(())
    }

    /// Everybody whom no page reached was asked otherwise.
    ///
    /// # Errors
    /// Somebody was not.
    pub(super) fn reaches_otherwise(&self) -> Result<(), Violation> {
        match &self.reach.owed {
            None => Ok(()),
            Some(target) => Err(wrong(REACHES, &format!("{target} is not"), &self.last)),
        }
    }
}
