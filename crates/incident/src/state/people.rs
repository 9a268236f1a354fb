//! What people's commands leave behind in an incident, and what is due after
//! its resolution. A fold of facts like the rest of the state.

use std::collections::{BTreeMap, BTreeSet};

use watchkeep_model::incident::data::{ActionRecorded, Notified, OwnerResolved, Resolved};
use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::subject::has_type;
use watchkeep_model::time::Timestamp;

use super::{State, Timer};

/// `owner_resolved.method` of an owner whom a person named.
pub const REASSIGNED: &str = "reassigned";

/// `notified.reason` of the message to such an owner.
pub const HANDOFF: &str = "handoff";

/// The detail of a page that is the first to tell whoever was handed the
/// incident that it is theirs: it is of use also where somebody else has answered.
pub const HANDS_OVER: &str = "handoff";

/// What moves an incident on whose signed rollback is overdue.
pub const NOT_ROLLED_BACK: &str = "not_rolled_back";

/// `action_recorded.action` of each kind of action.
pub mod action {
    /// A remark.
    pub const COMMENT: &str = "comment";
    /// What a page was worth.
    pub const FEEDBACK: &str = "feedback";
    /// A criterion of the charter for rolling back is met.
    pub const ROLLBACK_PROPOSED: &str = "rollback_proposed";
    /// The gate `rollback` is open: it shall be done.
    pub const ROLLBACK_ORDERED: &str = "rollback_ordered";
    /// A rollback that was ordered is not done by its time, and the steps have
    /// run out.
    pub const ROLLBACK_OVERDUE: &str = "rollback_overdue";
    /// Enough windows were good; the third party has to confirm it.
    pub const VERIFICATION_ASKED: &str = "verification_asked";
    /// The third party has confirmed; the windows are still to show it.
    pub const VERIFICATION_CONFIRMED: &str = "verification_confirmed";
    /// An action of the review is done; `detail` is what it was.
    pub const ACTION_DONE: &str = "action_done";
    /// Who refused at a gate may not sign it any more; `informed` names them,
    /// with the gate as the role.
    pub const REFUSAL_LAPSED: &str = "refusal_lapsed";
    /// The review is not there by its date.
    pub const REVIEW_OVERDUE: &str = "review_overdue";
    /// An exercise was held; it is of no incident.
    pub const DRILL_HELD: &str = "drill_held";
    /// A charter's review, the check of a runbook or the exercise of a policy
    /// is not there by its date; it is of no incident.
    pub const UPKEEP_OVERDUE: &str = "upkeep_overdue";
    /// What was overdue is done, or is not asked for any more.
    pub const UPKEEP_DONE: &str = "upkeep_done";
}

/// The part of an incident that people's commands made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct People {
    /// Whom a person named to answer: a user, group or schedule.
    pub assigned: Option<String>,
    /// True once whoever that is has been notified.
    pub handed_over: bool,
    /// Whom the owner chain found last, whoever answers meanwhile.
    pub found_owner: Option<String>,
    /// The decision that somebody asked for and nobody has taken.
    pub decision: Option<String>,
    /// True once a rollback was proposed since the incident opened, reopened or failed.
    pub rollback_proposed: bool,
    /// By when a signed rollback must be done.
    pub rollback_by: Option<Timestamp>,
    /// When that was taken down.
    pub rollback_ordered_at: Timestamp,
    /// Everybody who remediated since it opened, reopened or failed.
    pub remediators: BTreeSet<String>,
    /// What a verification is compared with.
    pub reference: Option<String>,
    /// True once the third party was asked to confirm.
    pub is_third_party_asked: bool,
    /// Who confirmed for the third party.
    pub confirmed_by: Option<String>,
    /// The first missed deadline of each trigger that has not been answered since.
    pub missed: BTreeMap<String, Timestamp>,
    /// By when the review must be there.
    pub review_due_at: Option<Timestamp>,
    /// True once it was told that the review is overdue.
    pub is_review_overdue: bool,
    /// When the incident closes by itself.
    pub closes_at: Option<Timestamp>,
    /// What the latest review asks for and nobody has done.
    pub open_actions: Vec<String>,
}

impl People {
    /// Takes a fact in, after the rest of the incident has.
    pub(super) fn apply(&mut self, fact: &Fact) {
        match &fact.data {
            FactData::Opened(data) => {
                self.reference.clone_from(&data.reference);
                self.found_owner.clone_from(&data.owner);
            }
            FactData::OwnerResolved(data) => self.owner(data),
            FactData::Notified(data) => self.notified(data),
            FactData::Acknowledged(_) => {
                self.missed.remove("not_acknowledged");
            }
            FactData::Escalated(data) => {
                if data.decision.is_some() {
                    self.decision.clone_from(&data.decision);
                }
                self.miss(&data.trigger, data.due_at);
            }
            FactData::Exhausted(data) => self.miss(&data.trigger, data.due_at),
            FactData::SignedOff(data) => {
                if self.decision.as_ref() == Some(&data.gate) && !data.undecided {
                    self.decision = None;
                }
                if data.gate == "rollback" && !data.approve {
                    self.rollback_by = None;
                }
            }
            FactData::ActionRecorded(data) => self.action(data, fact),
            FactData::Remediated(_) => {
                self.remediators.insert(fact.actor.clone());
                self.rollback_by = None;
                self.missed.remove("not_remediated");
                self.missed.remove(NOT_ROLLED_BACK);
                self.confirmed_by = None;
                self.is_third_party_asked = false;
            }
            FactData::VerificationFailed(_) => {
                self.begin_anew();
                self.missed.clear();
            }
            FactData::Reopened(_) => {
                self.begin_anew();
                self.missed.clear();
                self.closes_at = None;
                self.review_due_at = None;
                self.is_review_overdue = false;
            }
            FactData::Resolved(data) => self.resolved(data),
            FactData::Merged(_) => {
                self.decision = None;
                self.rollback_by = None;
            }
            FactData::Reviewed(data) => {
                self.closes_at = data.closes_at;
                self.open_actions = data.actions.iter().map(|one| one.what.clone()).collect();
            }
            FactData::Closed(_) => self.closes_at = None,
            _ => {}
        }
    }

    fn owner(&mut self, data: &OwnerResolved) {
        if data.method.as_deref() == Some(REASSIGNED) {
            let to = data.resolution.last().and_then(|link| link.tried.clone());
            self.handed_over = self.assigned == to && self.handed_over;
            self.assigned = to;
        } else {
            self.found_owner.clone_from(&data.owner);
        }
    }

    fn notified(&mut self, data: &Notified) {
        self.handed_over |= data.reason == HANDOFF;
    }

    fn miss(&mut self, trigger: &str, due_at: Timestamp) {
        if trigger == NOT_ROLLED_BACK {
            self.rollback_by = None;
        }
        if trigger.starts_with("not_") {
            self.missed.entry(trigger.to_owned()).or_insert(due_at);
        }
    }

    fn action(&mut self, data: &ActionRecorded, fact: &Fact) {
        match data.action.as_str() {
            action::ROLLBACK_PROPOSED => self.rollback_proposed = true,
            action::ROLLBACK_ORDERED => {
                self.rollback_by = data.due_at;
                self.rollback_ordered_at = fact.recorded_at;
            }
            action::ROLLBACK_OVERDUE => self.miss(NOT_ROLLED_BACK, data.due_at.unwrap_or_default()),
            action::VERIFICATION_ASKED => self.is_third_party_asked = true,
            action::VERIFICATION_CONFIRMED => self.confirmed_by = Some(fact.actor.clone()),
            action::REVIEW_OVERDUE => self.is_review_overdue = true,
            action::ACTION_DONE => {
                let place = self.open_actions.iter().position(|one| *one == data.detail);
                place.map(|place| self.open_actions.remove(place));
            }
            _ => {}
        }
    }

    fn begin_anew(&mut self) {
        self.decision = None;
        self.rollback_proposed = false;
        self.rollback_by = None;
        self.remediators.clear();
        self.confirmed_by = None;
        self.is_third_party_asked = false;
    }

    fn resolved(&mut self, data: &Resolved) {
        self.decision = None;
        self.rollback_by = None;
        self.review_due_at = data.review_due_at;
        self.is_review_overdue = false;
        self.closes_at = data.closes_at;
    }

    /// What is due of an incident that is not open any more.
    pub(super) fn after_resolution(&self, state: State) -> Option<(Timestamp, Timer)> {
        let review = self.review_due_at.filter(|_| state == State::Resolved);
        let review =
            review.filter(|_| !self.is_review_overdue).map(|at| (at, Timer::ReviewOverdue));
        let close = self.closes_at.filter(|_| state < State::Closed).map(|at| (at, Timer::Close));
        review.into_iter().chain(close).min()
    }

    /// The subject whose windows have to be good too, as telemetry names it.
    pub fn reference_subject(&self) -> Option<&str> {
        let reference = self.reference.as_deref().filter(|name| has_type(name))?;
        Some(watchkeep_model::subject::untyped(reference))
    }

    /// True where a good window that was compared with `baseline` shows
    /// something: the policy names no baseline, or this one. A window that is
    /// compared with none shows what it shows.
    pub fn is_shown_against(&self, baseline: Option<&str>) -> bool {
        let (Some(wanted), Some(baseline)) = (self.reference.as_deref(), baseline) else {
            return true;
        };
        let begins = |text: &str| {
            baseline.strip_prefix(text).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        };
        has_type(wanted) || begins(wanted) || begins(&format!("profile {wanted}"))
    }

    /// How late an answer is that ends a trigger; absent where it is in time.
    pub(crate) fn late_by_us(&self, trigger: &str, at: Timestamp) -> Option<i64> {
        self.missed.get(trigger).and_then(|due_at| crate::decide::lateness_us(*due_at, at))
    }
}
