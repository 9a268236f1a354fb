//! How often each person is paged, and what waits for a digest.

use std::collections::{BTreeMap, BTreeSet};

use watchkeep_model::incident::data::{NotificationSkipped, Notified};
use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::time::{TimeSpan, Timestamp};

use super::case::Case;
use super::reach::FAILED;
use super::wrong;
use crate::simulation::Violation;

const FLOODED: &str = "nobody is paged more often than the limit";
const DIGESTS: &str = "a digest tells of what waits for it";

/// A page of one incident to one person that waits.
#[derive(Debug)]
struct Waiting {
    digest_at: Timestamp,
    step: String,
    climb: u32,
    /// Nothing is asked any more. It waits on where the same step asks again …
    is_parked: bool,
    /// … as it does within the commit that is being read.
    was_parked: bool,
}

/// By person.
#[derive(Debug, Default)]
pub(super) struct Digests {
    limit: Option<(u64, TimeSpan)>,
    /// Instants of pages, each with its incident, in order.
    sent: BTreeMap<String, Vec<(Timestamp, String)>>,
    /// By person and incident.
    waiting: BTreeMap<(String, String), Waiting>,
    /// Of the commit that is being read: pages in digests, those that are
    /// carried by one, and those that the limit has held back.
    carriers: BTreeSet<(String, String)>,
    carried: BTreeMap<(String, String), Fact>,
    held: Vec<(String, Fact)>,
    /// Whose digest waited before that commit.
    waited: BTreeSet<String>,
    /// A clock has gone back by more than the span: which pages were near then
    /// cannot be told from their instants.
    has_jumped: bool,
    latest: Option<Timestamp>,
    pub(super) pages: u64,
}

impl Digests {
    /// True where a digest will tell a person of an incident.
    pub(super) fn will_tell(&self, person: &str, incident: &str) -> bool {
        self.waiting.contains_key(&(person.to_owned(), incident.to_owned()))
    }

    pub(super) fn under(limit: Option<(u64, TimeSpan)>) -> Self {
        Self { limit, ..Self::default() }
    }

    /// Takes in a fact of an incident, after the incident has.
    pub(super) fn follow(&mut self, case: &Case, fact: &Fact) -> Result<(), Violation> {
        let per = self.limit.map_or(TimeSpan::MAX, |(_, per)| per);
        self.has_jumped |= self.latest.is_some_and(|latest| fact.recorded_at + per < latest);
        self.latest = self.latest.max(Some(fact.recorded_at));
        match &fact.data {
            FactData::Notified(data) => self.page(data, fact)?,
            FactData::NotificationSkipped(data) => self.hold(data, fact)?,
            // Whom it was handed to is told so also where another has answered.
            FactData::Acknowledged(_) => {
                let id = &fact.incident_id;
                let is_theirs = |target: &String| case.handoff.as_ref() == Some(target);
                self.waiting.retain(|(target, of), _| of != id || is_theirs(target));
            }
            // What was due while an answer still stood is not asked for afterwards,
            // also where one turn is late for both.
            FactData::AcknowledgementExpired(data) => {
                let id = &fact.incident_id;
                let is_theirs = |target: &String| case.handoff.as_ref() == Some(target);
                self.waiting.retain(|(target, of), waits| {
                    of != id || is_theirs(target) || waits.digest_at >= data.due_at
                });
            }
            FactData::Remediated(_)
            | FactData::Verified(_)
            | FactData::Resolved(_)
            | FactData::Merged(_) => self.forget(&fact.incident_id, |_| true),
            FactData::BreachCleared(_) if case.is_resting => {
                let all = self.waiting.iter_mut();
                let own = all.filter(|((_, incident), _)| *incident == fact.incident_id);
                own.for_each(|(_, waiting)| waiting.is_parked = true);
            }
            // What it waits for now is asked for by the step that begins.
            FactData::VerificationFailed(_) | FactData::Escalated(_) => {
                let was_parked = |waiting: &Waiting| waiting.is_parked || waiting.was_parked;
                self.forget(&fact.incident_id, was_parked);
            }
            FactData::BreachAttached(_) if !case.is_resting => {
                // What it asked for on an earlier step the present one asks for.
                let is_left = |waits: &Waiting| {
                    let is_parked = waits.is_parked || waits.was_parked;
                    is_parked && !case.stands_on(&waits.step, waits.climb)
                };
                self.forget(&fact.incident_id, is_left);
                let all = self.waiting.iter_mut();
                let own = all.filter(|((_, incident), _)| *incident == fact.incident_id);
                own.for_each(|(_, waiting)| {
                    waiting.was_parked |= std::mem::take(&mut waiting.is_parked);
                });
            }
            _ => {}
        }
        Ok(())
    }

    fn forget(&mut self, incident: &str, which: impl Fn(&Waiting) -> bool) {
        self.waiting.retain(|(_, of), waiting| of != incident || !which(waiting));
    }

    fn page(&mut self, data: &Notified, fact: &Fact) -> Result<(), Violation> {
        let key = (data.target.clone(), fact.incident_id.clone());
        if data.reason == "digest" {
            let waits = self.waiting.get(&key);
            let is_told = self.carriers.contains(&key) || self.carried.contains_key(&key);
            let is_it = |waits: &Waiting| {
                let is_due = waits.digest_at <= fact.recorded_at;
                is_due && waits.step == data.step && waits.climb == data.climb
            };
            // By several channels it is several facts.
            if !is_told && !waits.is_some_and(is_it) {
                return Err(wrong(DIGESTS, &format!("{waits:?} waits"), fact));
            }
            self.pages += u64::from(!is_told);
            match &data.carried_by {
                None => _ = self.carriers.insert(key.clone()),
                Some(_) => _ = self.carried.insert(key.clone(), fact.clone()),
            }
        }
        self.waiting.remove(&key);
        // Another channel of a page that no sink took is no other page.
        if data.carried_by.is_none() && data.reason != FAILED {
            let sent = self.sent.entry(data.target.clone()).or_default();
            let page = (fact.recorded_at, fact.incident_id.clone());
            if !sent.contains(&page) {
                sent.push(page);
            }
        }
        Ok(())
    }

    fn hold(&mut self, data: &NotificationSkipped, fact: &Fact) -> Result<(), Violation> {
        let Some(target) = data.target.clone() else { return Ok(()) };
        let key = (target.clone(), fact.incident_id.clone());
        let is_limited = data.reason == "limited";
        // What no contact took is tried again, too.
        let Some(digest_at) = data.digest_at else {
            if is_limited {
                return Err(wrong(DIGESTS, "it does not say when", fact));
            }
            self.waiting.remove(&key);
            return Ok(());
        };
        let (step, climb) = (data.step.clone(), data.climb);
        if is_limited {
            self.held.push((target, fact.clone()));
        } else {
            // Others wait with it from now on.
            self.waited.insert(target);
        }
        self.waiting
            .insert(key, Waiting { digest_at, step, climb, is_parked: false, was_parked: false });
        Ok(())
    }

    /// Everything of a commit was read.
    pub(super) fn commit(
        &mut self,
        cases: &BTreeMap<String, Case>,
        now: Timestamp,
    ) -> Result<(), Violation> {
        let held = std::mem::take(&mut self.held);
        for (target, fact) in &held {
            let is_full = self.within(target, fact.recorded_at).is_some_and(|(n, most)| n >= most);
            let others = held.iter().filter(|(other, _)| other == target).count();
            let may = is_full || others > 1 || self.waited.contains(target);
            if !may && !self.has_jumped {
                return Err(wrong("pages are held back for a reason", "there was room", fact));
            }
        }
        // What somebody has answered by then is not asked for any more.
        self.waiting.retain(|(target, incident), waiting| {
            let case = cases.get(incident);
            let is_answered = case.is_some_and(|case| case.is_acknowledged && !case.asks(target));
            waiting.is_parked || waiting.digest_at > now || !is_answered
        });
        self.waited = self.waiting.keys().map(|(target, _)| target.clone()).collect();
        self.waiting.values_mut().for_each(|waiting| waiting.was_parked = false);
        for ((target, _), fact) in std::mem::take(&mut self.carried) {
            let FactData::Notified(data) = &fact.data else { continue };
            let carrier = (target, data.carried_by.clone().unwrap_or_default());
            if !self.carriers.contains(&carrier) {
                return Err(wrong(DIGESTS, "no message carries it", &fact));
            }
        }
        self.carriers.clear();
        let mut told = self.sent.iter().filter(|_| !self.has_jumped);
        let flooded = told.find_map(|(target, sent)| {
            let (at, _) = sent.last()?;
            let (sent, most) = self.within(target, *at)?;
            (sent > most).then(|| format!("{target} has {sent} pages by {at}, not {most}"))
        });
        match flooded {
            None => self.end(cases, now),
            Some(detail) => Err(Violation::new(FLOODED, detail)),
        }
    }

    /// Pages to a person in the span that ends at an instant, and how many may be.
    fn within(&self, target: &str, at: Timestamp) -> Option<(u64, u64)> {
        let (most, per) = self.limit?;
        let sent = self.sent.get(target).map_or(&[][..], Vec::as_slice);
        let near = sent.iter().filter(|(sent, _)| *sent + per > at && *sent <= at + per);
        Some((near.count() as u64, most))
    }

    /// Nothing waits that is due and asked for.
    pub(super) fn end(
        &self,
        cases: &BTreeMap<String, Case>,
        now: Timestamp,
    ) -> Result<(), Violation> {
        let left = self.waiting.iter().find(|((target, incident), waiting)| {
            let asks = cases.get(incident).is_some_and(|case| case.asks(target));
            asks && !waiting.is_parked && waiting.digest_at <= now
        });
        match left {
            None => Ok(()),
            Some(left) => {
                let detail = format!("at {now}: {left:?}");
                Err(Violation::new("no page that was held back is lost", detail))
            }
        }
    }
}
