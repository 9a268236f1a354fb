//! Whom a page has not reached, because no sink took it.

use std::collections::{BTreeMap, BTreeSet};

use watchkeep_model::identifier::derived;
use watchkeep_model::incident::data::{
    DeliveryOutcome, DeliveryReported, NotificationSkipped, Notified,
};
use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::time::Timestamp;

use super::case::Case;
use super::wrong;
use crate::simulation::Violation;

/// Why somebody is paged whom another channel did not reach.
pub(super) const FAILED: &str = "delivery_failed";

const REACHES: &str = "whom a page does not reach is asked by another contact";

/// How it is told that nobody is left to be asked otherwise.
const NONE_LEFT: &str = "no other contact is left";

/// Pages of the present step.
#[derive(Debug, Default)]
pub(super) struct Reach {
    /// By person: the last round.
    paged: BTreeMap<String, Round>,
    /// Who is to be asked otherwise now.
    owed: Option<String>,
    /// Who is to be asked because the message that spoke for this incident has
    /// reached nobody; true where the same channel may do, for nobody refused.
    owed_again: BTreeMap<String, bool>,
    /// Who was asked, or passed over, before it was read that they are to be.
    early: Vec<(String, Option<Fact>)>,
}

/// How somebody was paged last.
#[derive(Debug, Default)]
struct Round {
    at: Timestamp,
    channels: BTreeSet<String>,
    /// What they were told of: a step, perhaps one that was left since.
    step: String,
    climb: u32,
}

/// A message: incident, person, channel and instant.
type Message = (String, String, String, Timestamp);

/// Which incidents each message speaks for besides its own. Facts of several
/// incidents of one commit come in any order.
#[derive(Debug, Default)]
pub(super) struct Carried {
    /// By identifier.
    messages: BTreeMap<String, Message>,
    of: BTreeMap<Message, BTreeSet<String>>,
}

impl Carried {
    /// Takes in a fact of any incident and tells whose pages are owed again.
    pub(super) fn follow(&mut self, fact: &Fact) -> BTreeSet<String> {
        match &fact.data {
            FactData::Notified(data) if data.reason == FAILED || data.reason == "digest" => {
                let incident = data.carried_by.as_ref().unwrap_or(&fact.incident_id).clone();
                let (target, channel) = (data.target.clone(), data.channel.clone());
                let message = (incident, target, channel, fact.recorded_at);
                if data.carried_by.is_some() {
                    self.of.entry(message).or_default().insert(fact.incident_id.clone());
                } else {
                    let sequence = fact.sequence.to_string();
                    let (id, target) = (&fact.incident_id, &data.target);
                    let parts = ["escalation", id, &sequence, "page", target, &data.channel];
                    self.messages.insert(derived(&parts), message);
                }
                BTreeSet::new()
            }
            FactData::DeliveryReported(data) => {
                let is_lost = data.unreached || data.outcome == DeliveryOutcome::Dropped;
                if !is_lost && data.outcome != DeliveryOutcome::Delivered {
                    return BTreeSet::new();
                }
                let message = self.messages.remove(&data.escalation);
                let of = message.and_then(|message| self.of.remove(&message));
                of.filter(|_| is_lost).unwrap_or_default()
            }
            _ => BTreeSet::new(),
        }
    }
}

impl Reach {
    /// What was asked before is asked by another step, or answered.
    pub(super) fn begin_anew(&mut self) {
        self.paged.clear();
        self.owed_again.clear();
    }
}

impl Case {
    pub(super) fn follow_reach(&mut self, fact: &Fact) -> Result<(), Violation> {
        let owed = self.reach.owed.take();
        match &fact.data {
            FactData::Notified(data) if data.reason == FAILED => {
                let round = self.reach.paged.entry(data.target.clone()).or_default();
                let is_other = round.channels.insert(data.channel.clone());
                let is_owed = owed.as_ref() == Some(&data.target);
                let again = match is_owed {
                    true => None,
                    false => self.reach.owed_again.remove(&data.target),
                };
                if owed.is_none() && again.is_none() {
                    self.reach.early.push((data.target.clone(), Some(fact.clone())));
                } else if !is_owed && again.is_none() || !is_other && again != Some(true) {
                    return Err(wrong(REACHES, &format!("{owed:?} was to be asked"), fact));
                }
            }
            FactData::Notified(data) => {
                let round = self.reach.paged.entry(data.target.clone()).or_default();
                if round.at != fact.occurred_at {
                    *round = Round { at: fact.occurred_at, ..Round::default() };
                }
                round.channels.insert(data.channel.clone());
                (round.step, round.climb) = (data.step.clone(), data.climb);
            }
            FactData::NotificationSkipped(data) if owed.is_some() && owed == data.target => {}
            FactData::NotificationSkipped(data) if owed.is_none() => {
                let target = data.target.clone().unwrap_or_default();
                if self.reach.owed_again.remove(&target).is_none() {
                    self.reach.early.push((target, None));
                }
            }
            _ if owed.is_some() => {
                return Err(wrong(REACHES, &format!("{owed:?} is not"), fact));
            }
            FactData::Acknowledged(_) => self.reach.begin_anew(),
            FactData::DeliveryReported(data) if data.unreached => {
                let asks = self.may_ask() && !self.is_muted();
                let (target, channel) = (data.target.clone(), data.channel.clone());
                let is_asked = target.zip(channel).filter(|(target, channel)| {
                    let round = self.reach.paged.get(target);
                    round.is_some_and(|round| round.channels.contains(channel))
                });
                self.reach.owed = is_asked.filter(|_| asks).map(|(target, _)| target);
            }
            _ => {}
        }
        Ok(())
    }

    /// The message that spoke for this incident has reached nobody.
    pub(super) fn owes_again(&mut self, report: &DeliveryReported) {
        let Some((target, channel)) = report.target.as_ref().zip(report.channel.as_ref()) else {
            return;
        };
        if let Some(place) = self.reach.early.iter().position(|(early, _)| early == target) {
            self.reach.early.remove(place);
            return;
        }
        let round = self.reach.paged.get(target);
        let is_it = round.is_some_and(|round| round.channels.contains(channel));
        if is_it && self.may_ask() && !self.is_muted() {
            let is_again = report.outcome == DeliveryOutcome::Dropped;
            self.reach.owed_again.insert(target.clone(), is_again);
        }
    }

    /// All facts of a commit are read: nobody was asked for nothing.
    ///
    /// # Errors
    /// Somebody was, or somebody was not who had to be.
    pub(super) fn end_reach(&mut self) -> Result<(), Violation> {
        let early = std::mem::take(&mut self.reach.early);
        let owed = std::mem::take(&mut self.reach.owed_again);
        if let Some(fact) = early.into_iter().find_map(|(_, fact)| fact) {
            return Err(wrong(REACHES, "nobody was to be asked", &fact));
        }
        match owed.keys().next().filter(|_| self.may_ask() && !self.is_muted()) {
            None => Ok(()),
            Some(target) => Err(wrong(REACHES, &format!("{target} is not, once more"), &self.last)),
        }
    }

    /// True for what somebody is told because a page has not reached them: it
    /// tells them of the same step as that page, entered before.
    pub(super) fn is_of_page(&self, data: &NotificationSkipped, fact: &Fact) -> bool {
        let Some(target) = &data.target else { return false };
        let round = self.reach.paged.get(target);
        let is_same = round.is_some_and(|it| it.step == data.step && it.climb == data.climb);
        let of_report = fact.cause.as_ref().is_some_and(|cause| cause.starts_with("response "));
        let is_owed = self.reach.owed.as_ref() == Some(target)
            || self.reach.owed_again.contains_key(target)
            || data.reason.ends_with(NONE_LEFT);
        of_report && is_same && (is_owed || !self.stands_on(&data.step, data.climb))
    }

    /// Another contact tells of what the one before it was to tell of.
    pub(super) fn tells_the_same(&self, data: &Notified, fact: &Fact) -> Result<(), Violation> {
        let round = self.reach.paged.get(&data.target);
        match round.is_some_and(|it| it.step == data.step && it.climb == data.climb) {
            true => Ok(()),
            false => Err(wrong(REACHES, &format!("{round:?} did not reach them"), fact)),
        }
    }

    /// True while somebody may be paged: to be asked or to know that it is theirs.
    fn may_ask(&self) -> bool {
        !self.is_resolved && !self.is_resting
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
