//! The rules. A [`Decision`] works on one incident: each fact that it writes
//! is applied at once, so that the next rule sees its outcome.

use std::collections::BTreeMap;
use std::sync::Arc;

use watchkeep_model::charter::Charter;
use watchkeep_model::escalation::Escalation;
use watchkeep_model::incident::data::{
    AcknowledgementExpired, Entry, Escalated, Exhausted, NotificationSkipped, Notified,
    OwnerResolved,
};
use watchkeep_model::incident::{Fact, FactData, SYSTEM_ACTOR};
use watchkeep_model::policy::{Channel, NotifyTarget, Policy, Step, Trigger};
use watchkeep_model::time::Timestamp;

use crate::attribution::board::Board;
use crate::calendar;
use crate::context::Context;
use crate::message;
use crate::owner;
use crate::pages::Pages;
use crate::progress::Progress;
use crate::schedule::{Presence, answering, typed_user};
use crate::silence::Silences;
use crate::state::people::{HANDOFF, NOT_ROLLED_BACK};
use crate::state::quiet::LIMITED;
use crate::state::{Incident, Timer};

pub mod breach;
mod delivery;
pub mod gates;
pub(crate) mod learn;
pub mod merge;
mod quiet;
mod reassign;
pub mod respond;
mod rollback;
mod verification;

/// The step's name in facts about `on_exhausted`.
pub const ON_EXHAUSTED: &str = "on_exhausted";

/// What one input led to, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outputs {
    /// Facts for the incident log.
    pub facts: Vec<Fact>,
    /// Messages for alerting systems.
    pub escalations: Vec<Escalation>,
    /// Policies that an incident has opened under for the first time as they
    /// are, and when: whoever has no other history of them keeps them.
    pub policies: Vec<(Timestamp, Arc<Policy>)>,
}

/// What a decision may look at, fixed for one input.
pub struct World<'a> {
    /// Charters, policies, people, lineage.
    pub context: &'a dyn Context,
    /// The incident's policy.
    pub policy: &'a Policy,
    /// The incident's charter.
    pub charter: Option<Arc<Charter>>,
    /// Open incidents by owner, the incident itself included.
    pub load: &'a BTreeMap<String, u32>,
    /// When earlier incidents of the group opened, this one included.
    pub recurrences: &'a [Timestamp],
    /// The silences that stand.
    pub silences: &'a Silences,
    /// How often people were paged.
    pub pages: &'a Pages,
    /// Which subjects were judged, and when.
    pub(crate) board: &'a Board,
    /// The clock: a watermark in a replay, the time of day otherwise.
    pub now: Timestamp,
}

/// One incident while rules are applied to it.
pub struct Decision<'a> {
    /// Its state, always that of the facts written so far.
    pub incident: &'a mut Incident,
    /// What the windows have shown.
    pub progress: &'a mut Progress,
    /// What may be looked at.
    pub world: &'a World<'a>,
    /// Where facts and messages go.
    pub out: &'a mut Outputs,
}

/// Who does something and why.
#[derive(Clone, Debug)]
pub struct Doing {
    pub(crate) at: Timestamp,
    pub(crate) actor: String,
    pub(crate) cause: Option<String>,
    pub(crate) rationale: Option<String>,
}

impl Doing {
    /// Something that happens by itself.
    pub fn system(at: Timestamp, cause: impl Into<String>) -> Self {
        Self { at, actor: SYSTEM_ACTOR.into(), cause: Some(cause.into()), rationale: None }
    }

    fn at(&self, at: Timestamp) -> Self {
        Self { at, actor: SYSTEM_ACTOR.into(), cause: self.cause.clone(), rationale: None }
    }
}

/// How late something is, for facts: absent where it is in time.
pub(crate) fn lateness_us(due_at: Timestamp, now: Timestamp) -> Option<i64> {
    Some(now.since(due_at).as_micros()).filter(|late| *late > 0)
}

impl Decision<'_> {
    pub(crate) fn record(&mut self, doing: &Doing, data: FactData) {
        let fact = Fact {
            incident_id: self.incident.id.clone(),
            sequence: self.incident.sequence + 1,
            fact: data.name(),
            occurred_at: doing.at,
            recorded_at: self.world.now,
            actor: doing.actor.clone(),
            cause: doing.cause.clone(),
            rationale: doing.rationale.clone(),
            drill: self.incident.drill,
            data,
            previous_hash: self.incident.hash.clone(),
            hash: String::new(),
        }
        .sealed();
        let before = message::Before::of(self.incident);
        self.incident.apply(&fact);
        message::tell(self.incident, before, &fact, self.world, &mut self.out.escalations);
        self.out.facts.push(fact);
    }

    /// Fires a timer that is due. Facts bear its instant; what begins with it
    /// (a step, a repetition) begins now, for nobody can answer in the past.
    pub fn fire(&mut self, timer: Timer, due_at: Timestamp) {
        let doing = Doing::system(due_at, format!("timer {}", timer.name()));
        match timer {
            Timer::Settle => {
                self.progress.check_at = None;
                self.settle(&doing);
            }
            Timer::Enter => self.enter_step(&doing.at(self.world.now)),
            Timer::Acknowledge => self.advance(&doing, Trigger::NotAcknowledged.name()),
            Timer::Remediate => self.advance(&doing, Trigger::NotRemediated.name()),
            Timer::Decide => self.advance(&doing, Trigger::NotDecided.name()),
            Timer::Rollback if self.incident.exhausted => self.rollback_is_overdue(&doing),
            Timer::Rollback => self.advance(&doing, NOT_ROLLED_BACK),
            Timer::ReviewOverdue => self.review_is_overdue(&doing),
            Timer::Close => self.close_by_time(&doing),
            Timer::AcknowledgementExpires => self.expire(&doing),
            Timer::Repeat => _ = self.notify_exhausted(&doing.at(self.world.now), "repeat"),
            Timer::FlapEnds => self.flap_ends(&doing),
            Timer::Update => self.tell_update(&doing.at(self.world.now)),
        }
    }

    fn expire(&mut self, doing: &Doing) {
        let by = self.incident.acknowledged.as_ref().map_or_else(String::new, |ack| ack.by.clone());
        let entry = (!self.incident.exhausted)
            .then(|| self.entry(self.step_index(), self.incident.entry.climb, self.world.now));
        let data = AcknowledgementExpired {
            by,
            due_at: doing.at,
            late_by_us: lateness_us(doing.at, self.world.now),
            entry,
        };
        self.record(doing, FactData::AcknowledgementExpired(data));
        let now = doing.at(self.world.now);
        if self.incident.exhausted {
            let _ = self.notify_exhausted(&now, "ack_timeout");
        } else {
            self.enter_if_due(&now);
        }
    }

    pub(crate) fn entry_step(&self) -> usize {
        entry_step(self.world.policy, self.incident.kind)
    }

    pub(crate) fn step_index(&self) -> usize {
        let name = &self.incident.entry.step;
        let steps = &self.world.policy.steps;
        steps.iter().position(|step| step.name == *name).unwrap_or_else(|| self.entry_step())
    }

    pub(crate) fn entry(&self, step: usize, climb: u32, from: Timestamp) -> Entry {
        entry(self.world.policy, self.incident.severity, step, climb, from)
    }

    /// Enters the step that the incident stands on, if its time has come.
    pub(crate) fn enter_if_due(&mut self, doing: &Doing) {
        if self.incident.entry.enters_at <= self.world.now {
            self.enter_step(doing);
        }
    }

    /// Notifies everybody whom the step names; moves on where that is nobody.
    fn enter_step(&mut self, doing: &Doing) {
        let policy = self.world.policy;
        let Some(step) = policy.steps.get(self.step_index()) else { return };
        let reason = self.incident.entry_reason.clone();
        let mut notified: Vec<String> = Vec::new();
        let mut skipped = false;
        for notify in &step.notify {
            let applies =
                notify.severities.is_empty() || notify.severities.contains(&self.incident.severity);
            if !applies {
                continue;
            }
            let (role, found) = self.find(&notify.target, doing);
            match found {
                Ok(user) if notified.contains(&user) => {}
                Ok(user) => {
                    self.notify(doing, &step.name, &step.channels, &user, &role, &reason, None);
                    notified.push(user);
                }
                Err((target, why)) => {
                    self.skip(doing, &step.name, target, Some(role), why, None);
                    skipped = true;
                }
            }
        }
        notified.extend(self.hand_over(doing, &notified));
        if notified.is_empty() {
            if !skipped {
                let why = "the step names nobody for this severity".into();
                self.skip(doing, &step.name, None, None, why, None);
            }
            self.advance(doing, "nobody_to_notify");
        } else {
            self.check_triggers(doing);
        }
    }

    /// Triggers that need no clock. Each moves an incident on from a step once.
    pub(crate) fn check_triggers(&mut self, doing: &Doing) {
        let incident = &*self.incident;
        let asks = incident.entered && !incident.resting && !incident.rests();
        if !asks || incident.exhausted || !incident.is_open() {
            return;
        }
        let Some(step) = self.world.policy.steps.get(self.step_index()) else { return };
        let now = self.world.now;
        let holds = |trigger: &&Trigger| match trigger {
            Trigger::AffectedFeatures(n) => incident.open_features.len() as u64 >= u64::from(*n),
            Trigger::Severity(severity) => incident.severity >= *severity,
            Trigger::Recurrence { count, within } => {
                let recent = self.world.recurrences.iter().filter(|at| **at + *within >= now);
                recent.count() as u64 >= u64::from(*count)
            }
            _ => false,
        };
        let fresh = |trigger: &&Trigger| {
            !incident.fired.contains(&(step.name.clone(), trigger.name().to_owned()))
        };
        if let Some(trigger) = step.escalate_if.iter().filter(fresh).find(holds) {
            self.advance(doing, trigger.name());
        }
    }

    /// One step up; after the last step the next climb begins at the entry
    /// step; after the last climb the incident is exhausted.
    pub(crate) fn advance(&mut self, doing: &Doing, trigger: &str) {
        let (from, climb) = (self.step_index(), self.incident.entry.climb);
        let last = from + 1 >= self.world.policy.steps.len();
        if last && climb >= self.world.policy.loops.max(1) {
            let data = Exhausted {
                from_step: self.incident.entry.step.clone(),
                loops: climb,
                trigger: trigger.to_owned(),
                due_at: doing.at,
                late_by_us: lateness_us(doing.at, self.world.now),
            };
            self.record(doing, FactData::Exhausted(data));
            let _ = self.notify_exhausted(&doing.at(self.world.now), "exhausted");
            return;
        }
        let (to, climb) = if last { (self.entry_step(), climb + 1) } else { (from + 1, climb) };
        self.go_to(doing, to, climb, trigger);
    }

    pub(crate) fn go_to(&mut self, doing: &Doing, to: usize, climb: u32, trigger: &str) {
        let entry = self.entry(to, climb, self.world.now);
        let data = Escalated {
            from_step: self.incident.entry.step.clone(),
            to_step: entry.step.clone(),
            climb,
            trigger: trigger.to_owned(),
            due_at: doing.at,
            decision: None,
            late_by_us: lateness_us(doing.at, self.world.now),
            entry,
        };
        self.record(doing, FactData::Escalated(data));
        self.enter_if_due(&doing.at(self.world.now));
    }

    pub(super) fn notify_exhausted(&mut self, doing: &Doing, reason: &str) -> Vec<String> {
        let policy = self.world.policy;
        let repeats = self.incident.acknowledged.is_none();
        let repeat_at = repeats.then(|| self.world.now + policy.grouping.repeat_interval);
        let mut notified: Vec<String> = Vec::new();
        for name in &policy.on_exhausted.notify {
            match answering(self.world.context.directory(), name, doing.at) {
                Presence::Present(user) if notified.contains(&user) => {}
                Presence::Present(user) => {
                    self.notify(doing, ON_EXHAUSTED, &[], &user, name, reason, repeat_at);
                    notified.push(user);
                }
                Presence::Nobody(why) => {
                    let (target, role) = (Some(name.clone()), Some(name.clone()));
                    self.skip(doing, ON_EXHAUSTED, target, role, why, repeat_at);
                }
            }
        }
        notified
    }

    /// The person behind an addressee and the name by which they are found;
    /// else who was asked for and why nobody was found.
    fn find(
        &mut self,
        target: &NotifyTarget,
        doing: &Doing,
    ) -> (String, Result<String, (Option<String>, String)>) {
        let (role, name) = match target {
            NotifyTarget::Role(role) if role == "primary" => {
                return (role.clone(), self.resolve_owner(doing));
            }
            NotifyTarget::Role(role) => {
                let charter = self.world.charter.as_deref();
                let holder = charter.and_then(|charter| charter.fields.owners.get(role));
                let Some(holder) = holder else {
                    return (role.clone(), Err((None, "the charter names nobody".into())));
                };
                (role.clone(), holder.to_owned())
            }
            NotifyTarget::User(name) | NotifyTarget::Group(name) | NotifyTarget::Schedule(name) => {
                (name.clone(), name.clone())
            }
        };
        let found = match answering(self.world.context.directory(), &name, doing.at) {
            Presence::Present(user) => Ok(user),
            Presence::Nobody(why) => Err((Some(name), why)),
        };
        (role, found)
    }

    /// Goes down the owner chain again: absences may have begun or ended.
    fn resolve_owner(&mut self, doing: &Doing) -> Result<String, (Option<String>, String)> {
        if let Some(user) = self.assigned_owner(doing) {
            return Ok(user);
        }
        let own = self.incident.owner.clone();
        let load = self.world.load;
        // However much the owner has to do since, the incident stays theirs.
        let open = |user: &str| match own.as_deref() == Some(user) {
            true => 0,
            false => load.get(user).copied().unwrap_or(0),
        };
        let charter = self.world.charter.as_deref();
        let root = &self.incident.root;
        let found = owner::resolve_for(root, charter, self.world.context, doing.at, &open);
        if found.owner != self.incident.owner || found.unowned != self.incident.unowned {
            let data = OwnerResolved {
                owner: found.owner.clone(),
                unowned: found.unowned,
                resolution: found.links,
                method: None,
            };
            self.record(doing, FactData::OwnerResolved(data));
            self.match_silences(doing);
        }
        found.owner.ok_or_else(|| (None, "nobody of the owner chain can answer".into()))
    }

    /// Notifies a person by every channel, unless something holds the page back.
    #[expect(clippy::too_many_arguments, reason = "the fields of the fact")]
    fn notify(
        &mut self,
        doing: &Doing,
        step: &str,
        channels: &[Channel],
        user: &str,
        role: &str,
        reason: &str,
        repeat_at: Option<Timestamp>,
    ) {
        let held = self.incident.quiet.holds(reason).map(|why| (why, None));
        let limit = || {
            let rate = self.world.policy.limits.per_owner?;
            let (pages, id, now) = (self.world.pages, &self.incident.id, self.world.now);
            Some((LIMITED, Some(pages.wait_of(id, user, rate, now)?)))
        };
        if let Some((why, digest_at)) = held.or_else(limit) {
            let data = NotificationSkipped {
                step: step.to_owned(),
                climb: self.incident.entry.climb,
                target: Some(user.to_owned()),
                role: Some(role.to_owned()),
                reason: why.to_owned(),
                repeat_at,
                digest_at,
                handoff: reason == HANDOFF,
            };
            self.record(doing, FactData::NotificationSkipped(data));
            return;
        }
        for channel in self.channels(channels, user) {
            let data = Notified {
                step: step.to_owned(),
                climb: self.incident.entry.climb,
                target: user.to_owned(),
                role: role.to_owned(),
                channel,
                respond_by: self.incident.respond_by(),
                reason: reason.to_owned(),
                repeat_at,
                carried_by: None,
            };
            self.record(doing, FactData::Notified(data));
        }
    }

    fn skip(
        &mut self,
        doing: &Doing,
        step: &str,
        target: Option<String>,
        role: Option<String>,
        reason: String,
        repeat_at: Option<Timestamp>,
    ) {
        let climb = self.incident.entry.climb;
        let step = step.to_owned();
        let data = NotificationSkipped {
            step,
            climb,
            target,
            role,
            reason,
            repeat_at,
            digest_at: None,
            handoff: false,
        };
        self.record(doing, FactData::NotificationSkipped(data));
    }

    /// The step's channels, else the person's own contacts, else the topic
    /// itself, which alerting systems read.
    fn channels(&self, channels: &[Channel], user: &str) -> Vec<String> {
        let user = self.world.context.directory().user(user);
        let contacts = user.map_or(&[][..], |user| &user.contacts);
        let mut names: Vec<String> = channels
            .iter()
            .map(|channel| {
                let own = || contacts.iter().find(|own| own.tool == channel.tool);
                let to = channel.to.clone().or_else(|| own().map(|own| own.to.clone()));
                to.map_or_else(|| channel.tool.clone(), |to| format!("{}:{to}", channel.tool))
            })
            .collect();
        if names.is_empty() {
            names = contacts.iter().map(|own| format!("{}:{}", own.tool, own.to)).collect();
        }
        if names.is_empty() {
            names.push("topic".into());
        }
        let mut seen = std::collections::BTreeSet::new();
        names.retain(|name| seen.insert(name.clone()));
        names
    }
}

/// The first step whose kinds contain the kind; the first of all if none does.
pub(crate) fn entry_step(
    policy: &Policy,
    kind: watchkeep_model::charter::ExpectationKind,
) -> usize {
    policy.steps.iter().position(|step| step.kinds.contains(&kind)).unwrap_or(0)
}

/// A step entered at `from` or, where the policy defers the severity, at the
/// next start of working hours, with its absolute deadlines. A deadline that
/// `escalate_if` does not list is left out; an empty list stands for all.
pub(crate) fn entry(
    policy: &Policy,
    severity: watchkeep_model::charter::Severity,
    step: usize,
    climb: u32,
    from: Timestamp,
) -> Entry {
    let enters_at = calendar::entry_time(policy.hours.as_ref(), severity, from);
    let none = Step::default();
    let step = policy.steps.get(step).unwrap_or(&none);
    let due = |span: Option<watchkeep_model::time::TimeSpan>, trigger: &Trigger| {
        let moves = step.escalate_if.is_empty() || step.escalate_if.contains(trigger);
        span.filter(|_| moves).map(|span| enters_at + span)
    };
    Entry {
        step: step.name.clone(),
        climb,
        enters_at,
        acknowledge_by: due(step.acknowledge_within, &Trigger::NotAcknowledged),
        remediate_by: due(step.remediate_within, &Trigger::NotRemediated),
        decide_by: due(step.decide_within, &Trigger::NotDecided),
    }
}

/// True where `name` (a role's holder: user, group or schedule) is or includes the user.
pub(crate) fn includes(context: &dyn Context, name: &str, user: &str, at: Timestamp) -> bool {
    let directory = context.directory();
    if let Some(group) = directory.group(name).filter(|_| name.starts_with("group:")) {
        return group.lead.iter().chain(&group.members).any(|member| typed_user(member) == user);
    }
    if name.starts_with("schedule:") {
        return answering(directory, name, at) == Presence::Present(user.to_owned());
    }
    typed_user(name) == user
}
