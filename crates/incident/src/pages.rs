//! How often each person was paged, and what waits for a digest.
//!
//! `limits.per_owner {burst, per}`: of pages to one person at most `burst` go
//! out in any span of `per`. Further ones are collected and go out as one
//! message as soon as there is room again, which counts as one page. Pages to a
//! person by several channels count once, and so do several of one incident
//! at one instant; another channel in place of one that took nothing is none.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::policy::Rate;
use watchkeep_model::time::Timestamp;

use crate::state::DELIVERY_FAILED;

/// Pages to one person that are remembered. A larger `burst` counts as this.
const PAGES_MAX: usize = 1_000;

/// A page that waits for a digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The step that it is of …
    pub step: String,
    /// … and the climb.
    pub climb: u32,
    /// By which role or name of the policy.
    pub role: String,
}

/// What waits for one person, in order of incident.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    /// When it goes out.
    pub due_at: Timestamp,
    /// By incident.
    pub waiting: BTreeMap<String, Waiting>,
}

/// Pages that went out to one person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Sent {
    /// Their instants, as they came.
    at: VecDeque<Timestamp>,
    /// Incidents that paged at the last of them, at most [`PAGES_MAX`].
    of: BTreeSet<String>,
}

impl Sent {
    /// Counts a page; several of one incident at one instant are one, also
    /// where others come between them.
    fn count(&mut self, at: Timestamp, incident: &str) {
        if self.at.back() != Some(&at) {
            self.of.clear();
        } else if self.of.contains(incident) {
            return;
        }
        if self.of.len() < PAGES_MAX {
            self.of.insert(incident.to_owned());
        }
        self.at.push_back(at);
        if self.at.len() > PAGES_MAX {
            self.at.pop_front();
        }
    }
}

/// Pages by person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pages {
    sent: BTreeMap<String, Sent>,
    digests: BTreeMap<String, Digest>,
    /// Who waits for each incident.
    waits_for: BTreeMap<String, Vec<String>>,
}

impl Pages {
    /// When a page of an incident to a person may go out: `None` where it may at
    /// once. One of an incident that pages them at this instant counts with that.
    pub fn wait_of(
        &self,
        incident: &str,
        user: &str,
        rate: Rate,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let pages_now = |sent: &&Sent| sent.at.back() == Some(&now) && sent.of.contains(incident);
        match self.sent.get(user).filter(pages_now) {
            Some(_) => None,
            None => self.wait(user, rate, now),
        }
    }

    /// When a page to a person may go out: `None` where it may at once.
    pub fn wait(&self, user: &str, rate: Rate, now: Timestamp) -> Option<Timestamp> {
        if let Some(digest) = self.digests.get(user) {
            return Some(digest.due_at);
        }
        let burst = usize::try_from(rate.burst).unwrap_or(PAGES_MAX).clamp(1, PAGES_MAX);
        // A clock may have been ahead or behind: only pages that are near count.
        let is_near = |at: &Timestamp| *at + rate.per > now && *at <= now + rate.per;
        let sent = self.sent.get(user)?.at.iter().copied();
        let mut near: Vec<Timestamp> = sent.filter(is_near).collect();
        near.sort_unstable();
        // When the last but so many leaves the span there is room.
        let first = near.len().checked_sub(burst).and_then(|at| near.get(at))?;
        Some(*first + rate.per)
    }

    /// What waits for a person.
    pub fn digest(&self, user: &str) -> Option<&Digest> {
        self.digests.get(user)
    }

    /// Whose digest waits for an incident's page.
    pub fn waiting_for(&self, incident: &str) -> &[String] {
        self.waits_for.get(incident).map_or(&[], Vec::as_slice)
    }

    /// Forgets what waits for a person after its digest has gone out.
    pub(crate) fn drop_digest(&mut self, user: &str) {
        let waiting = self.digests.get(user).map(|digest| digest.waiting.clone());
        for id in waiting.unwrap_or_default().keys() {
            self.leave(user, id);
        }
    }

    /// Takes in what a fact changes and tells whose digest that concerns.
    /// `calm` is true where the incident asks nobody for anything after it but
    /// to know that it is theirs: `owed` names who does not know that yet.
    pub(crate) fn note(&mut self, fact: &Fact, calm: bool, owed: Option<&str>) -> Vec<String> {
        let id = &fact.incident_id;
        match &fact.data {
            FactData::Notified(data) => {
                // Another channel of a page that no sink took is no other page.
                if data.carried_by.is_none() && data.reason != DELIVERY_FAILED {
                    match self.sent.get_mut(&data.target) {
                        Some(sent) => sent.count(fact.recorded_at, id),
                        None => {
                            let sent = self.sent.entry(data.target.clone()).or_default();
                            sent.count(fact.recorded_at, id);
                        }
                    }
                }
                self.leave(&data.target, id);
                vec![data.target.clone()]
            }
            FactData::NotificationSkipped(data) if data.digest_at.is_some() => {
                let (Some(user), Some(due_at)) = (&data.target, data.digest_at) else {
                    return Vec::new();
                };
                let digest = self.digests.entry(user.clone()).or_default();
                // The order of facts of several incidents need not be known.
                digest.due_at = match digest.waiting.is_empty() {
                    true => due_at,
                    false => digest.due_at.max(due_at),
                };
                let role = data.role.clone().unwrap_or_default();
                let waiting = Waiting { step: data.step.clone(), climb: data.climb, role };
                if digest.waiting.insert(id.clone(), waiting).is_none() {
                    self.waits_for.entry(id.clone()).or_default().push(user.clone());
                }
                vec![user.clone()]
            }
            // Held back for another reason meanwhile: what ends that tells.
            FactData::NotificationSkipped(data) => match &data.target {
                Some(user) => {
                    self.leave(user, id);
                    vec![user.clone()]
                }
                None => Vec::new(),
            },
            _ if calm => {
                let mut users = self.waits_for.get(id).cloned().unwrap_or_default();
                users.retain(|user| owed != Some(user.as_str()));
                users.iter().for_each(|user| self.leave(user, id));
                users
            }
            _ => Vec::new(),
        }
    }

    fn leave(&mut self, user: &str, incident: &str) {
        let Some(digest) = self.digests.get_mut(user) else { return };
        if digest.waiting.remove(incident).is_none() {
            return;
        }
        if digest.waiting.is_empty() {
            self.digests.remove(user);
        }
        if let Some(users) = self.waits_for.get_mut(incident) {
            users.retain(|one| one != user);
            if users.is_empty() {
                self.waits_for.remove(incident);
            }
        }
    }
}

#[cfg(test)]
mod tests;
