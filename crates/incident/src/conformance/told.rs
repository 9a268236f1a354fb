//! Whether everybody whom a step names was asked, and with the deadlines that
//! the policy gives, which are worked out anew.

use watchkeep_model::charter::Severity;
use watchkeep_model::incident::Fact;
use watchkeep_model::incident::data::{Acknowledged, Entry, NotificationSkipped, Notified};
use watchkeep_model::policy::NotifyTarget;
use watchkeep_model::time::Timestamp;

use super::{Checker, Departure};
use crate::decide::{entry, includes};
use crate::state::DELIVERY_FAILED;
use crate::state::people::HANDOFF;
use crate::state::quiet::DIGEST;

/// Who was asked as a step was entered: all of them at one instant.
pub(super) struct Asked {
    at: Timestamp,
    sequence: u64,
    occurred_at: Timestamp,
    /// The incident's severity then, which may choose among the named.
    severity: Severity,
    /// By which role or name of the policy, and who that was.
    told: Vec<(String, String)>,
}

impl Checker<'_> {
    pub(super) fn notes_page(&mut self, fact: &Fact, page: &Notified) {
        let later = [HANDOFF, DIGEST, DELIVERY_FAILED];
        if page.step == self.entry.step && !later.contains(&page.reason.as_str()) {
            self.notes(fact, &page.role, &page.target);
        }
    }

    pub(super) fn notes_skip(&mut self, fact: &Fact, skipped: &NotificationSkipped) {
        if skipped.step == self.entry.step {
            let of = |name: &Option<String>| name.clone().unwrap_or_default();
            self.notes(fact, &of(&skipped.role), &of(&skipped.target));
        }
    }

    fn notes(&mut self, fact: &Fact, role: &str, target: &str) {
        if fact.occurred_at < self.entry.enters_at {
            return;
        }
        let (at, severity) = (fact.recorded_at, self.severity);
        let (sequence, occurred_at) = (fact.sequence, fact.occurred_at);
        let begin = || Asked { at, sequence, occurred_at, severity, told: Vec::new() };
        let asked = self.asked.get_or_insert_with(begin);
        asked.told.push((role.to_owned(), target.to_owned()));
    }

    /// Once the step has asked whom it asks: nobody may be missing. `now` is
    /// when the next fact was written.
    pub(super) fn all_asked(&mut self, now: Option<Timestamp>) {
        if self.is_checked || self.asked.as_ref().is_none_or(|asked| Some(asked.at) == now) {
            return;
        }
        self.is_checked = true;
        let Some(asked) = self.asked.take() else { return };
        let policy = self.policy;
        let Some(step) = policy.steps.iter().find(|step| step.name == self.entry.step) else {
            return;
        };
        for one in &step.notify {
            let applies = one.severities.is_empty() || one.severities.contains(&asked.severity);
            let (NotifyTarget::Role(name)
            | NotifyTarget::User(name)
            | NotifyTarget::Group(name)
            | NotifyTarget::Schedule(name)) = &one.target;
            let is_asked = |(role, who): &(String, String)| {
                role == name || self.leads_to(&one.target, who, asked.occurred_at)
            };
            if applies && !asked.told.iter().any(is_asked) {
                self.found.push(super::Deviation {
                    departure: Departure::NotNotified,
                    sequence: Some(asked.sequence),
                    at: asked.occurred_at,
                    step: Some(step.name.clone()),
                    what: format!("the step names {name}, who was not notified; nothing says why"),
                });
            }
        }
    }

    /// True where an addressee of a step is, or stands for, a person.
    pub(super) fn leads_to(&self, target: &NotifyTarget, person: &str, at: Timestamp) -> bool {
        match target {
            NotifyTarget::Role(role) if role == "primary" => self.owner.as_deref() == Some(person),
            NotifyTarget::Role(role) => {
                self.holder(role).is_some_and(|holder| includes(self.context, holder, person, at))
            }
            NotifyTarget::User(name) | NotifyTarget::Group(name) => {
                includes(self.context, name, person, at)
            }
            // Whoever stood in when somebody was away is not known any more.
            NotifyTarget::Schedule(name) => self.is_of_rota(name, person),
        }
    }

    fn is_of_rota(&self, name: &str, person: &str) -> bool {
        let Some(rota) = self.context.directory().schedule(name) else { return false };
        let own = rota.layers.iter().flat_map(|layer| &layer.users);
        let standing_in = rota.overrides.iter().filter_map(|over| over.user.as_ref());
        own.chain(standing_in).any(|user| crate::schedule::typed_user(user) == person)
    }

    /// Holds the deadlines of a step against those that the policy gives it
    /// from the instant at which the fact was written.
    pub(super) fn deadlines(&mut self, fact: &Fact, given: &Entry) {
        let index = self.policy.steps.iter().position(|step| step.name == given.step);
        let Some(index) = index else { return };
        let due = entry(self.policy, self.severity, index, given.climb, fact.recorded_at);
        let told = [
            ("entered", Some(given.enters_at), Some(due.enters_at)),
            ("acknowledged", given.acknowledge_by, due.acknowledge_by),
            ("remediated", given.remediate_by, due.remediate_by),
            ("decided", given.decide_by, due.decide_by),
        ];
        let words = |at: Option<Timestamp>| {
            at.map_or_else(|| "at no set time".to_owned(), |at| format!("by {at}"))
        };
        for (what, given_at, due_at) in told {
            if given_at != due_at {
                let (due_at, given_at) = (words(due_at), words(given_at));
                let step = &given.step;
                let what = format!("{step} is to be {what} {due_at}, the fact says {given_at}");
                self.find(Departure::WrongDeadline, fact, what);
            }
        }
    }

    /// Holds the end of an acknowledgement against `ack_timeout`.
    pub(super) fn lasts(&mut self, fact: &Fact, acknowledged: &Acknowledged) {
        let due = self.policy.ack_timeout.map(|span| fact.occurred_at + span);
        if acknowledged.expires_at != due {
            let words = |at: Option<Timestamp>| {
                at.map_or_else(|| "for good".to_owned(), |at| format!("until {at}"))
            };
            let (due, given) = (words(due), words(acknowledged.expires_at));
            let what = format!("by ack_timeout it is acknowledged {due}, the fact says {given}");
            self.find(Departure::WrongDeadline, fact, what);
        }
    }
}
