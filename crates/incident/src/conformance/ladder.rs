//! Steps, deadlines and who was told.

use watchkeep_model::incident::Fact;
use watchkeep_model::incident::data::{
    Acknowledged, Entry, Escalated, Exhausted, Notified, Opened,
};
use watchkeep_model::policy::{NotifyTarget, Step, Trigger};
use watchkeep_model::time::Timestamp;

use super::{Checker, Departure, in_words};
use crate::decide::{ON_EXHAUSTED, entry_step, includes};
use crate::state::DELIVERY_FAILED;
use crate::state::people::{HANDOFF, NOT_ROLLED_BACK};
use crate::state::quiet::DIGEST;
use crate::words::counted;

/// Triggers that are no policy's: what happens by itself.
const BY_ITSELF: [&str; 4] =
    ["nobody_to_notify", "breach_returned", "verification_failed", NOT_ROLLED_BACK];

impl Checker<'_> {
    pub(super) fn enters_first(&mut self, fact: &Fact, opened: &Opened) {
        let wanted = self.policy.steps.get(entry_step(self.policy, opened.kind));
        let Some(wanted) = wanted.filter(|step| step.name != opened.entry.step) else {
            return self.deadlines(fact, &opened.entry);
        };
        let (kind, name) = (opened.kind.name(), &wanted.name);
        let what = format!("{kind} begins at {name}, it began at {}", opened.entry.step);
        self.find(Departure::WrongEntryStep, fact, what);
    }

    fn step(&self, name: &str) -> Option<(usize, &Step)> {
        self.policy.steps.iter().enumerate().find(|(_, step)| step.name == name)
    }

    pub(super) fn escalated(&mut self, fact: &Fact, escalated: &Escalated) {
        // What came back or failed had rested, perhaps before anybody was told.
        if !["breach_returned", "verification_failed"].contains(&escalated.trigger.as_str()) {
            self.untold(fact);
        }
        self.missed(fact, &escalated.trigger, escalated.due_at);
        if escalated.trigger == "nobody_to_notify" {
            let what = "nobody of the step could be notified".to_owned();
            self.find(Departure::SkippedStep, fact, what);
        }
        let (from, trigger) = (&escalated.from_step, escalated.trigger.as_str());
        let lists = self.step(from).is_some_and(|(_, step)| {
            let timers = ["not_acknowledged", "not_remediated", "not_decided"];
            let all = step.escalate_if.is_empty() && timers.contains(&trigger);
            all || step.escalate_if.iter().any(|listed| listed.name() == trigger)
        });
        if !lists && !BY_ITSELF.contains(&trigger) && !self.asks_for_decision(escalated) {
            let what = format!("{from} does not list {trigger}, which {} asked for", fact.actor);
            self.find(Departure::UnlistedTrigger, fact, what);
        }
        self.order(fact, escalated);
        if trigger == Trigger::VerificationFailed.name() {
            self.begin_anew();
        }
        self.enters(fact, Some(&escalated.entry));
    }

    /// True where somebody asked for a decision, and the step takes it: from
    /// wherever the incident stands, it goes there.
    fn asks_for_decision(&self, escalated: &Escalated) -> bool {
        let step = self.step(&escalated.to_step).map(|(_, step)| step);
        let decision = escalated.decision.as_ref();
        decision.zip(step).is_some_and(|(decision, step)| step.decisions.contains(decision))
    }

    /// The next step, or the first one of the next climb.
    fn order(&mut self, fact: &Fact, escalated: &Escalated) {
        let Escalated { from_step, to_step, trigger, climb, .. } = escalated;
        let (Some((from, _)), Some((to, _))) = (self.step(from_step), self.step(to_step)) else {
            let what = format!("{from_step} or {to_step} is no step of the policy");
            self.find(Departure::OutOfOrder, fact, what);
            return;
        };
        if from_step != &self.entry.step {
            let what = format!("it stood on {}, not on {from_step}", self.entry.step);
            self.find(Departure::OutOfOrder, fact, what);
        }
        // Where a failure leads is the policy's own word.
        if [Trigger::VerificationFailed.name(), "breach_returned"].contains(&trigger.as_str()) {
            let named = self.policy.verification.as_ref().and_then(|v| v.on_failure.clone());
            if let Some(named) = named.filter(|named| named != to_step) {
                let what = format!("a failure leads to {named}, it went to {to_step}");
                self.find(Departure::OutOfOrder, fact, what);
            }
            return;
        }
        let last = from + 1 >= self.policy.steps.len();
        let again = last && *climb == self.entry.climb + 1;
        if to == from + 1 || again || self.asks_for_decision(escalated) {
            return;
        }
        let departure = match to > from {
            true => Departure::SkippedStep,
            false => Departure::OutOfOrder,
        };
        let next = self.policy.steps.get(from + 1).map_or("the next climb", |step| &step.name);
        let what = format!("{next} comes after {from_step}, it went to {to_step}");
        self.find(departure, fact, what);
    }

    pub(super) fn exhausted(&mut self, fact: &Fact, exhausted: &Exhausted) {
        self.untold(fact);
        self.missed(fact, &exhausted.trigger, exhausted.due_at);
        let loops = exhausted.loops;
        let what = format!(
            "{}, the last one from {}",
            counted(loops.into(), "climb"),
            exhausted.from_step
        );
        self.find(Departure::Exhausted, fact, what);
        if loops < self.policy.loops.max(1) {
            let what = format!(
                "the policy climbs {}, it climbed {loops}",
                counted(self.policy.loops.into(), "time")
            );
            self.find(Departure::SkippedStep, fact, what);
        }
        self.is_told = true;
    }

    pub(super) fn missed(&mut self, fact: &Fact, trigger: &str, due_at: Timestamp) {
        let (departure, what) = match trigger {
            "not_acknowledged" => (Departure::LateAcknowledgement, "acknowledged"),
            "not_remediated" => (Departure::LateRemediation, "remediated"),
            "not_decided" => (Departure::LateDecision, "decided"),
            NOT_ROLLED_BACK => (Departure::LateRollback, "rolled back"),
            _ => return,
        };
        self.find(departure, fact, format!("was to be {what} by {due_at}, nobody did"));
    }

    /// A step that was entered without a word about anybody.
    fn untold(&mut self, fact: &Fact) {
        let Entry { enters_at, .. } = self.entry;
        if !self.is_told && enters_at < fact.occurred_at && !self.rest.answered {
            let what = "nobody was notified, and nothing says why".to_owned();
            self.find(Departure::NobodyNotified, fact, what);
        }
    }

    pub(super) fn notified(&mut self, fact: &Fact, notified: &Notified) {
        self.is_told = true;
        self.notes_page(fact, notified);
        let was_told = !self.notified.insert(notified.target.clone());
        let at = fact.occurred_at;
        // Whom somebody put in the owner's place, by their own contacts.
        if notified.reason == HANDOFF && self.owner.as_ref() == Some(&notified.target) {
            return;
        }
        // Whom a digest or another contact tells of what was asked of them then:
        // rotas and owners may have changed since.
        let waited = self.waiting.contains(&notified.target) && notified.reason == DIGEST
            || was_told && notified.reason == DELIVERY_FAILED;
        if notified.step == ON_EXHAUSTED {
            let named = &self.policy.on_exhausted.notify;
            let names = |name| includes(self.context, name, &notified.target, at);
            if !waited && !named.iter().any(|name| names(name)) {
                let what = format!("on_exhausted does not lead to {}", notified.target);
                self.find(Departure::WrongTarget, fact, what);
            }
            return;
        }
        let Some((_, step)) = self.step(&notified.step) else {
            let what = format!("{} is no step of the policy", notified.step);
            self.find(Departure::WrongTarget, fact, what);
            return;
        };
        let names: Vec<&NotifyTarget> = step
            .notify
            .iter()
            .filter(|one| one.severities.is_empty() || one.severities.contains(&self.severity))
            .map(|one| &one.target)
            .collect();
        let channels: Vec<String> = step.channels.iter().map(|one| one.tool.clone()).collect();
        let is_named =
            waited || names.iter().any(|target| self.leads_to(target, &notified.target, at));
        if !is_named {
            let what = format!(
                "{} was notified as {}, whom the step does not lead to",
                notified.target, notified.role
            );
            self.find(Departure::WrongTarget, fact, what);
        }
        let tool = notified.channel.split(':').next().unwrap_or_default();
        // Another incident's message goes over its channels.
        let is_own = notified.carried_by.is_none();
        // Nor does one that another contact has to take.
        let is_own = is_own && !(self.undelivered && notified.reason == DELIVERY_FAILED);
        if is_own && !channels.is_empty() && !channels.iter().any(|channel| channel == tool) {
            let what = format!("over {}, the step has {}", notified.channel, channels.join(", "));
            self.find(Departure::WrongChannel, fact, what);
        }
    }

    pub(super) fn acknowledged(&mut self, fact: &Fact, acknowledged: &Acknowledged) {
        self.lasts(fact, acknowledged);
        let is_first = !std::mem::replace(&mut self.acknowledged, true);
        // One answer is what the deadline asked for.
        let due = self.entry.acknowledge_by.take();
        let (actor, at) = (&fact.actor, fact.occurred_at);
        if !self.notified.contains(actor) && !self.has_a_role(actor, at) {
            let what = format!("{actor} acknowledged: not notified, and without a role in it");
            self.find(Departure::AnsweredByAnother, fact, what);
        }
        let by = due.filter(|by| is_first && self.rest.was_missed(*by, at));
        if let Some(by) = by {
            let late = in_words(at.since(by));
            let what = format!("was to be acknowledged by {by}, {actor} did {late} later");
            self.find(Departure::LateAcknowledgement, fact, what);
        }
    }
}
