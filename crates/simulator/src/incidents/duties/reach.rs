//! Whom a page has not reached, because no sink took it.

use std::collections::{BTreeMap, BTreeSet};

use watchkeep_model::identifier::derived;
use watchkeep_model::incident::data::{
    DeliveryOutcome, DeliveryReported, NotificationSkipped, Notified,
};
use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::time::Timestamp;

use super::HANDOFF;
use super::case::Case;
use super::quiet::QUIET;
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
    owed: Option<Owed>,
    /// Who is to be asked because the message that spoke for this incident has
    /// reached nobody; true where the same channel may do, for nobody refused.
    owed_again: BTreeMap<String, bool>,
    /// Who was asked, or passed over, before it was read that they are to be.
    early: Vec<(String, Option<Fact>)>,
}

/// Somebody who is to be asked.
#[derive(Debug)]
struct Owed {
    target: String,
    /// By this channel, which has dropped the page; else by any other.
    again: Option<String>,
    /// A quiet holds that back as it holds any page.
    held: bool,
}

/// How somebody was paged last.
#[derive(Debug, Default)]
struct Round {
    at: Timestamp,
    /// With the identifier of the latest message.
    channels: BTreeMap<String, String>,
    /// Those that took nothing.
    failed: BTreeSet<String>,
    /// What they were told of: a step, perhaps one that was left since.
    step: String,
    climb: u32,
    /// All that it has to tell them is that the incident is theirs.
    is_handoff: bool,
    /// It is the first to tell them so, and nothing has taken it as far as is
    /// known: that stays to be told.
    hands_over: bool,
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
                    self.messages.insert(page_id(fact, data), message);
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
    /// What was asked before is asked by another step, or answered by somebody.
    pub(super) fn begin_anew(&mut self, by: Option<&str>) {
        self.paged.retain(|user, round| round.hands_over && Some(user.as_str()) != by);
        self.paged.values_mut().for_each(|round| round.is_handoff = true);
        self.owed_again.clear();
    }
}

impl Case {
    pub(super) fn follow_reach(&mut self, fact: &Fact) -> Result<(), Violation> {
        let owed = self.reach.owed.take();
        match &fact.data {
            FactData::Notified(data) if data.reason == FAILED => {
                let round = self.reach.paged.entry(data.target.clone()).or_default();
                if data.carried_by.is_some() {
                    round.failed = round.channels.keys().cloned().collect();
                }
                round.failed.remove(&data.channel);
                let id = page_id(fact, data);
                let is_other = round.channels.insert(data.channel.clone(), id).is_none();
                if let Some(owed) = owed {
                    let is_it = match &owed.again {
                        Some(channel) => *channel == data.channel,
                        None => is_other,
                    };
                    if owed.target != data.target || owed.held || !is_it {
                        return Err(wrong(REACHES, &format!("{owed:?} was to be asked"), fact));
                    }
                    return Ok(());
                }
                match self.reach.owed_again.remove(&data.target) {
                    None => self.reach.early.push((data.target.clone(), Some(fact.clone()))),
                    Some(is_again) if !is_other && !is_again => {
                        return Err(wrong(REACHES, "they were asked by that channel", fact));
                    }
                    Some(_) => {}
                }
            }
            FactData::Notified(data) => {
                let is_theirs = self.labels.owner == data.target;
                let is_owed = self.may_ask() && self.handoff.as_ref() == Some(&data.target);
                let (is_answered, is_handoff) = (self.is_acknowledged, data.reason == HANDOFF);
                let round = self.reach.paged.entry(data.target.clone()).or_default();
                if round.at != fact.occurred_at {
                    *round = Round {
                        at: fact.occurred_at,
                        is_handoff: is_handoff || is_owed && is_answered,
                        hands_over: is_theirs && round.hands_over,
                        ..Round::default()
                    };
                }
                round.hands_over |= is_handoff || is_owed;
                round.channels.insert(data.channel.clone(), page_id(fact, data));
                (round.step, round.climb) = (data.step.clone(), data.climb);
            }
            FactData::NotificationSkipped(data) => {
                let target = data.target.clone().unwrap_or_default();
                match owed {
                    Some(owed) => {
                        let is_held = QUIET.contains(&data.reason.as_str());
                        if owed.target != target || owed.held && !is_held {
                            return Err(wrong(REACHES, &format!("{owed:?} is not"), fact));
                        }
                    }
                    None if self.reach.owed_again.remove(&target).is_none() => {
                        self.reach.early.push((target, None));
                    }
                    None => {}
                }
            }
            _ if owed.is_some() => {
                return Err(wrong(REACHES, &format!("{owed:?} is not"), fact));
            }
            FactData::Acknowledged(_) => self.reach.begin_anew(Some(&fact.actor)),
            FactData::DeliveryReported(data) if data.unreached => {
                self.reach.owed = self.owes_otherwise(data);
            }
            FactData::DeliveryReported(data) => self.take_word(data, fact)?,
            _ => {}
        }
        Ok(())
    }

    /// A page has reached somebody, or need not. One that hands the incident
    /// over has to, whoever has answered.
    fn take_word(&mut self, report: &DeliveryReported, fact: &Fact) -> Result<(), Violation> {
        let may_ask = self.may_ask();
        let target = report.target.clone().unwrap_or_default();
        let Some(round) = self.reach.paged.get_mut(&target) else { return Ok(()) };
        let is_latest = report.channel.as_ref().and_then(|one| round.channels.get(one));
        if !round.hands_over || is_latest != Some(&report.escalation) {
            return Ok(());
        }
        if report.outcome == DeliveryOutcome::Dropped && may_ask && self.labels.owner == target {
            return Err(wrong(REACHES, "whoever was handed the incident is not told", fact));
        }
        round.hands_over &= report.outcome != DeliveryOutcome::Delivered;
        Ok(())
    }

    /// True where the page that was to hand the incident over reached nobody.
    pub(super) fn is_not_told(&self, target: &str) -> bool {
        let round = self.reach.paged.get(target).filter(|round| round.hands_over);
        round.is_some_and(|round| round.channels.keys().all(|one| round.failed.contains(one)))
    }

    /// A page of this incident has reached nobody.
    fn owes_otherwise(&mut self, report: &DeliveryReported) -> Option<Owed> {
        let (held, asks) = (self.is_muted(), self.may_ask());
        let (target, channel) = (report.target.clone()?, report.channel.clone()?);
        let round = self.reach.paged.get_mut(&target)?;
        let latest = round.channels.get(&channel)?;
        let is_dropped = report.outcome == DeliveryOutcome::Dropped;
        // What was dropped may have been followed by another page since.
        let is_theirs = !round.is_handoff || self.labels.owner == target;
        let stands = is_theirs && (!is_dropped || *latest == report.escalation);
        round.failed.insert(channel.clone());
        let is_told = round.channels.keys().any(|channel| !round.failed.contains(channel));
        // No quiet holds back what another channel has told them already.
        let is_asked_anew = is_dropped && !round.is_handoff;
        let owes = asks && stands && !(held && is_told && !is_asked_anew);
        owes.then(|| Owed { target, again: is_dropped.then_some(channel), held })
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
        let is_it = round.is_some_and(|round| round.channels.contains_key(channel));
        let is_theirs = round.is_none_or(|round| !round.is_handoff) || self.labels.owner == *target;
        if is_it && is_theirs && self.may_ask() && !self.is_muted() {
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
        let is_owed = self.reach.owed.as_ref().is_some_and(|owed| owed.target == *target)
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
            Some(owed) => Err(wrong(REACHES, &format!("{owed:?} is not"), &self.last)),
        }
    }
}

/// The identifier of the message of a page.
fn page_id(fact: &Fact, data: &Notified) -> String {
    let (id, sequence) = (&fact.incident_id, fact.sequence.to_string());
    derived(&["escalation", id, &sequence, "page", &data.target, &data.channel])
}
