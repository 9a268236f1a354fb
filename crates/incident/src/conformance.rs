//! `policy conformance`: where incidents departed from their playbook, the
//! policy in the revision that they were opened under. Only facts are looked
//! at, not how they came to be: a log that another program wrote, or that
//! somebody altered, is held to the same rules.

mod gates;
mod ladder;
mod opening;
mod rest;
#[cfg(test)]
mod tests;
mod told;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;
use watchkeep_model::charter::{Charter, Owners, Severity};
use watchkeep_model::incident::data::{DeliveryOutcome, Entry, Opened, PolicyRevision};
use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::policy::Policy;
use watchkeep_model::time::{TimeSpan, Timestamp};

use crate::context::Context;
use crate::decide::gates::share_a_team;
use crate::report::is_person;
use crate::report::policies::Policies;
use crate::state::people::action::{REFUSAL_LAPSED, ROLLBACK_OVERDUE};
use crate::state::people::{NOT_ROLLED_BACK, REASSIGNED};

/// How an incident departed from its policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Departure {
    /// Nobody acknowledged in time.
    LateAcknowledgement,
    /// Nobody remediated in time.
    LateRemediation,
    /// Nobody decided in time.
    LateDecision,
    /// A rollback was signed off and not done in time.
    LateRollback,
    /// A fact tells another deadline than the policy gives.
    WrongDeadline,
    /// An acknowledgement was not followed by a remediation.
    AcknowledgementExpired,
    /// It began at another step than its kind asks for.
    WrongEntryStep,
    /// A step was passed over: nobody of it could be notified, or it was left out.
    SkippedStep,
    /// It went to a step that does not come next.
    OutOfOrder,
    /// It moved by a trigger that the step does not list.
    UnlistedTrigger,
    /// Somebody was notified whom the step does not name.
    WrongTarget,
    /// A channel was used that the step does not name.
    WrongChannel,
    /// Nobody was notified at a step, and no fact says why.
    NobodyNotified,
    /// Somebody whom a step names was not notified, and no fact says why.
    NotNotified,
    /// Somebody answered who was not notified and holds no role.
    AnsweredByAnother,
    /// A person gave the incident to another.
    Reassigned,
    /// It went past a gate without the signatures.
    GateBypassed,
    /// It was resolved without the verification.
    Unverified,
    /// It was verified by somebody who must not.
    NotIndependent,
    /// A critical incident was resolved without a person.
    ResolvedByItself,
    /// The steps ran out.
    Exhausted,
    /// The review came too late or is overdue.
    ReviewOverdue,
}

impl Departure {
    /// The name used in JSON.
    pub fn name(self) -> String {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::String(name)) => name,
            _ => format!("{self:?}"),
        }
    }
}

/// One departure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Deviation {
    /// How.
    pub departure: Departure,
    /// The fact that shows it; absent where one is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// When.
    pub at: Timestamp,
    /// The step that it stood on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// In words: what the policy asks for and what was done.
    pub what: String,
}

/// An incident held against its policy.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Held {
    /// The incident.
    pub incident: String,
    /// What is taken to be its cause.
    pub root: String,
    /// When it opened.
    pub opened_at: Timestamp,
    /// The policy that it was opened under.
    pub policy: String,
    /// Its version.
    pub version: u32,
    /// False where that revision is not known, so that nothing could be checked.
    pub checked: bool,
    /// Every departure, in order of time.
    pub deviations: Vec<Deviation>,
}

/// Holds the facts of one incident against its policy, as of `at`; `None` for
/// commands that concern no incident and for exercises.
pub fn conformance(
    facts: &[Fact],
    policies: &Policies,
    context: &dyn Context,
    at: Timestamp,
) -> Option<Held> {
    let first = facts.first().filter(|first| !first.drill)?;
    let FactData::Opened(opened) = &first.data else { return None };
    let PolicyRevision { name, version } = &opened.policy;
    let policy = policies.pinned_at(&opened.policy, first.recorded_at);
    let mut held = Held {
        incident: first.incident_id.clone(),
        root: opened.root.clone(),
        opened_at: first.occurred_at,
        policy: name.clone(),
        version: *version,
        checked: policy.is_some(),
        deviations: Vec::new(),
    };
    if let Some(policy) = policy {
        let mut checker = Checker::new(policy, context, opened);
        checker.was_held(facts);
        for fact in facts {
            checker.take(fact);
        }
        checker.end(at);
        held.deviations = checker.found;
        held.deviations.sort_by_key(|deviation| (deviation.at, deviation.sequence));
    }
    Some(held)
}

/// A span to the second, in its two largest units.
fn in_words(span: TimeSpan) -> String {
    let seconds = span.as_micros().div_euclid(1_000_000);
    let units = [(86_400, 'd'), (3_600, 'h'), (60, 'm'), (1, 's')];
    let mut left = seconds;
    let parts = units.iter().map(|(length, name)| {
        let count = left.div_euclid(*length);
        left -= count * length;
        (count, name)
    });
    let told = parts.skip_while(|(count, _)| *count == 0).take(2).filter(|(count, _)| *count > 0);
    let told: Vec<String> = told.map(|(count, name)| format!("{count}{name}")).collect();
    if told.is_empty() { "less than a second".to_owned() } else { told.join(" ") }
}

/// What is known of the incident while its facts are gone through.
struct Checker<'a> {
    policy: &'a Policy,
    context: &'a dyn Context,
    charter: Option<Arc<Charter>>,
    severity: Severity,
    owner: Option<String>,
    /// Whom the owner chain found last: they sign as primary.
    found_owner: Option<String>,
    entry: Entry,
    /// True where somebody of the present entry was notified or passed over.
    is_told: bool,
    /// What keeps its deadlines from running.
    rest: rest::Rest,
    acknowledged: bool,
    /// True once a page has not arrived: other channels may be tried then.
    undelivered: bool,
    notified: BTreeSet<String>,
    /// Whose pages have waited for a digest.
    waiting: BTreeSet<String>,
    /// Who was asked as the present step was entered …
    asked: Option<told::Asked>,
    /// … until that has been held against the step.
    is_checked: bool,
    remediated: Option<gates::Remedy>,
    verified: bool,
    breaching: bool,
    signatures: Vec<gates::Signature>,
    resolved_at: Option<Timestamp>,
    reviewed: bool,
    found: Vec<Deviation>,
}

impl<'a> Checker<'a> {
    fn new(policy: &'a Policy, context: &'a dyn Context, opened: &Opened) -> Self {
        let charter = opened.charter.as_ref();
        Self {
            policy,
            context,
            charter: charter.and_then(|of| context.charter(&of.subject, of.in_force_at)),
            severity: opened.severity,
            owner: opened.owner.clone(),
            found_owner: opened.owner.clone(),
            entry: opened.entry.clone(),
            is_told: false,
            rest: rest::Rest::default(),
            acknowledged: false,
            undelivered: false,
            notified: BTreeSet::new(),
            waiting: BTreeSet::new(),
            asked: None,
            is_checked: false,
            remediated: None,
            verified: false,
            breaching: true,
            signatures: Vec::new(),
            resolved_at: None,
            reviewed: false,
            found: Vec::new(),
        }
    }

    fn find(&mut self, departure: Departure, fact: &Fact, what: String) {
        let step = Some(self.entry.step.clone());
        let (sequence, at) = (Some(fact.sequence), fact.occurred_at);
        self.found.push(Deviation { departure, sequence, at, step, what });
    }

    fn take(&mut self, fact: &Fact) {
        self.all_asked(Some(fact.recorded_at));
        self.judge(fact);
        self.rest.take(fact);
        self.rest.mark(fact.recorded_at);
    }

    fn judge(&mut self, fact: &Fact) {
        match &fact.data {
            FactData::Opened(opened) => self.enters_first(fact, opened),
            FactData::BreachAttached(_) => {
                self.breaching = true;
                // What fails a remediation says so in a fact of its own.
                self.rest.answered &= self.remediated.is_some();
            }
            FactData::BreachCleared(cleared) => {
                self.breaching = cleared.open_count > 0;
                self.rest.answered |= !self.breaching;
            }
            FactData::SeverityChanged(changed) => {
                self.severity = changed.to;
                self.enters(fact, changed.entry.as_ref());
            }
            FactData::OwnerResolved(resolved) => {
                self.owner.clone_from(&resolved.owner);
                if resolved.method.as_deref() != Some(REASSIGNED) {
                    self.found_owner.clone_from(&resolved.owner);
                }
                if is_person(&fact.actor) {
                    let to = resolved.owner.as_deref().unwrap_or("nobody");
                    let what = format!("{} gave it to {to}", fact.actor);
                    self.find(Departure::Reassigned, fact, what);
                }
            }
            FactData::Notified(notified) => self.notified(fact, notified),
            FactData::NotificationSkipped(skipped) => {
                self.is_told = true;
                self.notes_skip(fact, skipped);
                let limited = skipped.target.as_ref().filter(|_| skipped.digest_at.is_some());
                self.waiting.extend(limited.cloned());
            }
            FactData::Acknowledged(acknowledged) => self.acknowledged(fact, acknowledged),
            FactData::AcknowledgementExpired(expired) => {
                let what = format!("{} acknowledged and did nothing in time", expired.by);
                self.find(Departure::AcknowledgementExpired, fact, what);
                self.acknowledged = false;
                self.enters(fact, expired.entry.as_ref());
            }
            FactData::Escalated(escalated) => self.escalated(fact, escalated),
            FactData::Exhausted(exhausted) => self.exhausted(fact, exhausted),
            FactData::SignedOff(signed) => self.signed(fact, signed),
            FactData::ActionRecorded(action) if action.action == REFUSAL_LAPSED => {
                self.refusal_lapsed(action);
            }
            FactData::Remediated(remediated) => self.remediated(fact, remediated),
            FactData::Verified(verified) => self.verified(fact, verified),
            FactData::VerificationFailed(_) => self.begin_anew(),
            FactData::Unsilenced(data) => self.resumes(fact, data.resumes.as_ref()),
            FactData::Uninhibited(data) => self.resumes(fact, data.resumes.as_ref()),
            FactData::FlappingEnded(data) => self.resumes(fact, data.resumes.as_ref()),
            FactData::DeliveryReported(data) => {
                self.undelivered |= data.outcome != DeliveryOutcome::Delivered;
            }
            FactData::ActionRecorded(said) if said.action == ROLLBACK_OVERDUE => {
                self.missed(fact, NOT_ROLLED_BACK, said.due_at.unwrap_or(fact.occurred_at));
            }
            FactData::Resolved(_) => self.resolved(fact),
            FactData::Reopened(reopened) => {
                self.begin_anew();
                self.severity = reopened.severity;
                (self.resolved_at, self.breaching) = (None, true);
                self.reviewed = false;
                self.enters(fact, Some(&reopened.entry));
            }
            FactData::Reviewed(reviewed) => {
                self.reviewed = true;
                if let Some(late) = reviewed.late_by_us {
                    let late = in_words(TimeSpan::from_micros(late));
                    self.find(Departure::ReviewOverdue, fact, format!("the review is {late} late"));
                }
            }
            _ => {}
        }
    }

    /// What a returning breach or a failed verification takes back.
    fn begin_anew(&mut self) {
        (self.acknowledged, self.verified, self.rest.answered) = (false, false, false);
        self.remediated = None;
        self.signatures.clear();
    }

    /// A step begins, with deadlines that are the policy's.
    fn enters(&mut self, fact: &Fact, entry: Option<&Entry>) {
        self.all_asked(None);
        if let Some(entry) = entry {
            self.deadlines(fact, entry);
        }
        self.stand(entry);
    }

    fn stand(&mut self, entry: Option<&Entry>) {
        if let Some(entry) = entry {
            self.entry = entry.clone();
            (self.is_told, self.asked, self.is_checked) = (false, None, false);
            self.rest.enter();
        }
    }

    fn end(&mut self, at: Timestamp) {
        self.all_asked(None);
        let review = self.policy.review.as_ref();
        let asked =
            review.filter(|r| r.severities.is_empty() || r.severities.contains(&self.severity));
        let (Some(review), Some(resolved_at), false) = (asked, self.resolved_at, self.reviewed)
        else {
            return;
        };
        let due = resolved_at + review.due_within;
        if due < at {
            let what = format!("the review was due {due} and there is none");
            let departure = Departure::ReviewOverdue;
            self.found.push(Deviation { departure, sequence: None, at: due, step: None, what });
        }
    }

    /// Who holds a role of the incident's charter.
    fn holder(&self, role: &str) -> Option<&str> {
        self.charter.as_deref().and_then(|charter| charter.fields.owners.get(role))
    }

    /// True where a person holds a role of the charter, by name, group or rota,
    /// or answers for the incident.
    fn has_a_role(&self, person: &str, at: Timestamp) -> bool {
        let owns = self.owner.as_deref() == Some(person);
        owns || Owners::ROLES.iter().filter_map(|role| self.holder(role)).any(|holder| {
            crate::decide::includes(self.context, holder, person, at)
                || share_a_team(self.context, holder, person, at)
        })
    }
}
