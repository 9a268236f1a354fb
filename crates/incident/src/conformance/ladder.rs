//! Steps, deadlines and who was told.

use watchkeep_model::incident::Fact;
use watchkeep_model::incident::data::{Entry, Escalated, Exhausted, Notified, Opened};
use watchkeep_model::policy::{NotifyTarget, Step, Trigger};
use watchkeep_model::time::Timestamp;

use super::{Checker, Departure};
use crate::decide::{ON_EXHAUSTED, entry_step, includes};
use crate::state::people::{HANDOFF, NOT_ROLLED_BACK};

/// Triggers that no step lists: what happens by itself, and a rollback that was
/// ordered and not done.
const BY_ITSELF: [&str; 4] =
    ["nobody_to_notify", "breach_returned", "verification_failed", NOT_ROLLED_BACK];

impl Checker<'_> {
    pub(super) fn enters_first(&mut self, fact: &Fact, opened: &Opened) {
        let wanted = self.policy.steps.get(entry_step(self.policy, opened.kind));
        if let Some(wanted) = wanted.filter(|step| step.name != opened.entry.step) {
            let (kind, name) = (opened.kind.name(), &wanted.name);
            let what = format!("{kind} begins at {name}, it began at {}", opened.entry.step);
            self.find(Departure::WrongEntryStep, fact, what);
        }
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
        // Whoever asks for a decision goes to the step that takes it, from any.
        let asks = escalated.decision.is_some();
        if !lists && !asks && !BY_ITSELF.contains(&trigger) {
            let what = format!("{from} does not list {trigger}, which {} asked for", fact.actor);
            self.find(Departure::UnlistedTrigger, fact, what);
        }
        self.order(fact, escalated);
        if trigger == Trigger::VerificationFailed.name() {
            self.begin_anew();
        }
        self.stand(Some(&escalated.entry));
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
        let decides = escalated.decision.as_ref().is_some_and(|decision| {
            self.policy.steps.get(to).is_some_and(|step| step.decisions.contains(decision))
        });
        if to == from + 1 || again || decides {
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
        let what = format!("{loops} climbs, the last one from {}", exhausted.from_step);
        self.find(Departure::Exhausted, fact, what);
        if loops < self.policy.loops.max(1) {
            let what = format!("the policy climbs {} times, it climbed {loops}", self.policy.loops);
            self.find(Departure::SkippedStep, fact, what);
        }
        self.is_told = true;
    }

    pub(super) fn missed(&mut self, fact: &Fact, trigger: &str, due_at: Timestamp) {
        let (departure, what) = match trigger {
            "not_acknowledged" => (Departure::LateAcknowledgement, "acknowledged"),
            "not_remediated" => (Departure::LateRemediation, "remediated"),
            "not_decided" => (Departure::LateDecision, "decided"),
            NOT_ROLLED_BACK => (Departure::LateRemediation, "rolled back"),
            _ => return,
        };
        self.find(departure, fact, format!("was to be {what} by {due_at}, nobody did"));
    }

    /// A step that was entered without a word about anybody.
    fn untold(&mut self, fact: &Fact) {
        let Entry { enters_at, .. } = self.entry;
        if !self.is_told && enters_at < fact.occurred_at && !self.is_resting {
            let what = "nobody was notified, and nothing says why".to_owned();
            self.find(Departure::NobodyNotified, fact, what);
        }
    }

    pub(super) fn notified(&mut self, fact: &Fact, notified: &Notified) {
        self.is_told = true;
        self.notified.insert(notified.target.clone());
        let at = fact.occurred_at;
        // Whom somebody put in the owner's place, by their own contacts.
        if notified.reason == HANDOFF && self.owner.as_ref() == Some(&notified.target) {
            return;
        }
        if notified.step == ON_EXHAUSTED {
            let named = &self.policy.on_exhausted.notify;
            if !named.iter().any(|name| includes(self.context, name, &notified.target, at)) {
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
        let reaches = |target: &&NotifyTarget| match target {
            NotifyTarget::Role(role) if role == "primary" => {
                self.owner.as_ref() == Some(&notified.target)
            }
            NotifyTarget::Role(role) => self
                .holder(role)
                .is_some_and(|holder| includes(self.context, holder, &notified.target, at)),
            NotifyTarget::User(name) | NotifyTarget::Group(name) => {
                includes(self.context, name, &notified.target, at)
            }
            // Whoever stood in when somebody was away is not known any more.
            NotifyTarget::Schedule(name) => self.is_of_rota(name, &notified.target),
        };
        let channels: Vec<String> = step.channels.iter().map(|one| one.tool.clone()).collect();
        let is_named = names.iter().any(reaches);
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
        if is_own && !channels.is_empty() && !channels.iter().any(|channel| channel == tool) {
            let what = format!("over {}, the step has {}", notified.channel, channels.join(", "));
            self.find(Departure::WrongChannel, fact, what);
        }
    }

    fn is_of_rota(&self, name: &str, person: &str) -> bool {
        let Some(rota) = self.context.directory().schedule(name) else { return false };
        let own = rota.layers.iter().flat_map(|layer| &layer.users);
        let standing_in = rota.overrides.iter().filter_map(|over| over.user.as_ref());
        own.chain(standing_in).any(|user| crate::schedule::typed_user(user) == person)
    }

    pub(super) fn acknowledged(&mut self, fact: &Fact) {
        self.acknowledged = true;
        let (actor, at) = (&fact.actor, fact.occurred_at);
        if !self.notified.contains(actor) && !self.has_a_role(actor, at) {
            let what = format!("{actor} acknowledged: not notified, and without a role in it");
            self.find(Departure::AnsweredByAnother, fact, what);
        }
        if let Some((by, late)) = self.late(self.entry.acknowledge_by, at) {
            let what = format!("was to be acknowledged by {by}, {actor} did {late} later");
            self.find(Departure::LateAcknowledgement, fact, what);
        }
    }
}
