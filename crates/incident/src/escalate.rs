//! The escalate stage without its log: breaches, windows, responses and the
//! clock go in, facts and messages come out. One writer, so its order is total.
//!
//! At one instant the caller feeds windows and breaches first, then
//! responses, then calls [`Escalate::advance`]. In a replay the caller
//! advances to each [`Escalate::next_deadline`] in turn, so that nothing is
//! late; a service calls it with the time of day.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use watchkeep_model::breach::{Breach, Transition};
use watchkeep_model::charter::{ExpectationKind, Severity};
use watchkeep_model::incident::Fact;
use watchkeep_model::incident::data::PolicyRevision;
use watchkeep_model::policy::{Policy, Trigger};
use watchkeep_model::time::Timestamp;

use crate::attribution::Marks;
use crate::context::Context;
pub use crate::decide::Outputs;
use crate::decide::{Decision, World};
use crate::progress::Progress;
use crate::silence::Silences;
use crate::state::{Incident, State, Timer, key_of};

mod answers;
mod commands;
mod digest;
mod digests;
mod index;
mod kept;
mod merge;
mod near;
mod opening;
mod pins;
mod place;
pub mod platform;
mod relate;
mod restore;
mod silences;
mod upkeep;
mod windows;

use answers::Answered;
use index::{Index, What};
use kept::Incidents;
use near::Near;
use pins::{Pin, Pins};
pub(crate) use place::REPEAT_MIN;
use place::{is_paged, policy_of};
use relate::Change;

/// What may be set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Resolved incidents that are kept for reopening and for answering
    /// commands. Beyond it the one resolved first is forgotten: a new breach
    /// of its group opens a new incident.
    pub resolved_kept_max: usize,
    /// True for an exercise: every fact and message is marked as one. A stage
    /// takes back in what it could have written only: a service passes over
    /// the facts of drills, and a drill those of real incidents.
    pub drill: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { resolved_kept_max: 10_000, drill: false }
    }
}

/// Timers that one call of [`Escalate::advance`] fires. Reaching it means that
/// a rule makes timers that are due at once; the rest waits for the next call.
const FIRED_MAX: usize = 1_000_000;

/// A breach that waits for others of its group.
#[derive(Clone, Debug)]
struct Held {
    due_at: Timestamp,
    breach: Breach,
}

/// The stage's state: incidents folded from facts, and the breaches that are
/// not in an incident yet.
#[derive(Clone, Debug)]
pub struct Escalate {
    settings: Settings,
    incidents: Incidents,
    progress: BTreeMap<String, Progress>,
    held: BTreeMap<String, Held>,
    near: Near,
    /// What searches for roots mark their way with; nothing that is known.
    marks: Marks,
    index: Index,
    policies: Pins,
    /// The chain of refusals that concern no incident.
    desk: (u64, Option<String>),
    /// Commands that were carried out or refused.
    answered: Answered,
    silences: Silences,
    upkeep: upkeep::Told,
    /// What is still to be carried out for other incidents.
    changes: VecDeque<Change>,
}

/// An incident in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary<'a> {
    /// Its identifier.
    pub id: &'a str,
    /// What is taken to be the cause, a typed name.
    pub root: &'a str,
    /// The kind of breach.
    pub kind: ExpectationKind,
    /// How bad it is.
    pub severity: Severity,
    /// Where it stands.
    pub state: State,
    /// The step it stands on.
    pub step: &'a str,
    /// The climb, from 1.
    pub climb: u32,
    /// Who answers.
    pub owner: Option<&'a str>,
    /// True where the owner chain had to go to its end.
    pub unowned: bool,
    /// True where the steps have run out.
    pub exhausted: bool,
    /// Subjects with open breaches.
    pub affected_count: u64,
    /// When it opened.
    pub opened_at: Timestamp,
    /// The first deadline that asks for something.
    pub respond_by: Option<Timestamp>,
}

impl Escalate {
    /// Begins with no incident.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            incidents: Incidents::default(),
            progress: BTreeMap::new(),
            held: BTreeMap::new(),
            near: Near::default(),
            marks: Marks::default(),
            index: Index::default(),
            policies: Pins::default(),
            desk: (0, None),
            answered: Answered::default(),
            silences: Silences::default(),
            upkeep: upkeep::Told::default(),
            changes: VecDeque::new(),
        }
    }

    /// Takes a breach in: opened ones join the open incident of their group or
    /// are held, cleared and retracted ones are cleared. Breaches of draft and
    /// retired subjects stay on record only.
    pub fn breach(
        &mut self,
        breach: &Breach,
        context: &dyn Context,
        now: Timestamp,
        out: &mut Outputs,
    ) {
        self.begin_past_silences(context, now, out);
        match breach.transition {
            Transition::Opened => {
                self.opened(breach, context, now, out);
                self.relate(context, now, out);
            }
            Transition::Sustained => {
                if let Some(held) = self.held.get_mut(&breach.breach_id) {
                    held.breach.reason.clone_from(&breach.reason);
                } else if breach.revision == 0 {
                    let key = key_of(&breach.feature, &breach.feature_version, &breach.expectation);
                    if let Some(id) = self.index.incident_of(&breach.breach_id) {
                        self.decide(&id, context, now, out, |decision| {
                            decision.window(&key, breach.window_end, false);
                        });
                        self.relate(context, now, out);
                    }
                }
            }
            Transition::Cleared | Transition::Retracted => {
                self.unhold(&breach.breach_id);
                self.index.forget_evidence(breach);
                if let Some(id) = self.index.incident_of(&breach.breach_id) {
                    self.decide(&id, context, now, out, |decision| decision.clear(breach));
                    self.recheck_platform(context, now, out);
                    self.relate(context, now, out);
                }
            }
        }
    }

    fn opened(
        &mut self,
        breach: &Breach,
        context: &dyn Context,
        now: Timestamp,
        out: &mut Outputs,
    ) {
        let known = self.held.contains_key(&breach.breach_id)
            || self.index.incident_of(&breach.breach_id).is_some();
        if known || !is_paged(breach, context) {
            return;
        }
        self.index.add_evidence(breach);
        let joins = if self.index.any_open() {
            let placed = self.place(breach, context, now);
            self.open_incident_of(&placed.group_key)
        } else {
            None
        };
        if let Some(id) = joins {
            self.join(&id, breach, context, now, out);
        } else {
            let wait = policy_of(breach, context).grouping.group_wait;
            self.hold(breach, (breach.detected_at + wait).max(now));
        }
    }

    /// When [`Escalate::advance`] has something to do next.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.index.next_due().map(|(due_at, _)| due_at)
    }

    /// Fires every timer that is due, in order of time, then held breaches
    /// before incidents, then by identifier. Silences begin before that: what
    /// is overdue pages now, and they stand by now.
    pub fn advance(&mut self, context: &dyn Context, now: Timestamp, out: &mut Outputs) {
        self.begin_due_silences(context, now, out);
        self.follow_calendar(context, now);
        for _ in 0..FIRED_MAX {
            let Some((due_at, what)) = self.index.next_due().filter(|(at, _)| *at <= now) else {
                return;
            };
            match what {
                What::Held => self.open_due(due_at, context, now, out),
                What::Silence(id) => self.silence_due(&id, due_at, context, now, out),
                What::Cover(id) => {
                    self.index.set_due(What::Cover(id.clone()), None);
                    self.release_all(&id, "cleared", context, now, out);
                }
                What::Upkeep => self.upkeep_due(context, now, out),
                What::Digest(user) => self.digest_due(&user, due_at, context, now, out),
                What::Incident(id) => {
                    let id = id.as_str();
                    let check_at = self.progress.get(id).and_then(|one| one.check_at);
                    let timer = self.incidents.get(id).and_then(|one| one.next_timer(check_at));
                    let (_, timer) = timer.unwrap_or((due_at, Timer::Settle));
                    self.decide(id, context, now, out, |decision| decision.fire(timer, due_at));
                }
            }
            self.relate(context, now, out);
        }
    }

    /// Lets rules act on one incident and takes in what they led to.
    fn decide(
        &mut self,
        id: &str,
        context: &dyn Context,
        now: Timestamp,
        out: &mut Outputs,
        act: impl FnOnce(&mut Decision<'_>),
    ) {
        let Self { incidents, progress, index, policies, silences, changes, .. } = self;
        let Some(incident) = incidents.get_mut(id) else { return };
        // Of most incidents no window was counted.
        let (mut none, mut known) = (Progress::default(), progress.get_mut(id));
        let progress_ref = known.as_deref_mut().unwrap_or(&mut none);
        let policy = policies.get(&incident.policy, incident.pinned_at, context);
        let charter = incident
            .charter
            .as_ref()
            .and_then(|charter| context.charter(&charter.subject, charter.in_force_at));
        // Few policies ask, and of 100,000 groups each look-up is a miss of the cache.
        let recurrences = match counts_recurrences(&policy) {
            true => index.recurrences(&incident.group_key),
            false => &[],
        };
        let world = World {
            context,
            policy: &policy,
            charter,
            load: index.load(),
            recurrences,
            silences,
            pages: index.pages(),
            board: index.board(),
            now,
        };
        let from = out.facts.len();
        let mut decision = Decision { incident, progress: progress_ref, world: &world, out };
        act(&mut decision);
        decision.tell_joined();
        index.take_in(&out.facts[from..], incident, progress_ref.check_at, changes);
        if known.is_none() && none != Progress::default() {
            progress.insert(id.to_owned(), none);
        }
        self.forget();
    }

    fn take_in(&mut self, incident: Incident, progress: Progress, facts: &[Fact]) {
        self.index.take_in(facts, &incident, progress.check_at, &mut self.changes);
        facts.iter().for_each(|fact| self.take_drill(fact));
        if progress != Progress::default() {
            self.progress.insert(incident.id.clone(), progress);
        }
        self.incidents.insert(incident);
        self.forget();
    }

    /// Lets go of the incidents that were resolved first beyond the bound.
    fn forget(&mut self) {
        for forgotten in self.index.too_many_resolved(self.settings.resolved_kept_max) {
            self.incidents.remove(&forgotten);
            self.progress.remove(&forgotten);
        }
    }

    /// Incidents that are not resolved, by identifier.
    pub fn open_incidents(&self) -> impl Iterator<Item = Summary<'_>> {
        self.incidents.values().filter(|incident| incident.is_open()).map(|incident| Summary {
            id: &incident.id,
            root: &incident.root,
            kind: incident.kind,
            severity: incident.severity,
            state: incident.state,
            step: &incident.entry.step,
            climb: incident.entry.climb,
            owner: incident.owner.as_deref(),
            unowned: incident.unowned,
            exhausted: incident.exhausted,
            affected_count: incident.open_features.len() as u64,
            opened_at: incident.opened_at,
            respond_by: incident.respond_by(),
        })
    }

    /// An incident by its identifier, open or not.
    pub fn incident(&self, id: &str) -> Option<&Incident> {
        self.incidents.get(id)
    }

    fn hold(&mut self, breach: &Breach, due_at: Timestamp) {
        self.index.set_hold(&breach.breach_id, Some(due_at));
        self.near.add(&breach.breach_id);
        self.held.insert(breach.breach_id.clone(), Held { due_at, breach: breach.clone() });
    }

    fn unhold(&mut self, breach_id: &str) {
        if self.held.remove(breach_id).is_some() {
            self.index.set_hold(breach_id, None);
            self.near.remove(breach_id);
        }
    }

    fn open_incident_of(&self, group_key: &str) -> Option<String> {
        let id = self.index.latest_of_group(group_key)?;
        self.incidents.get(&id).is_some_and(Incident::is_open).then_some(id)
    }

    /// The policy that an incident goes by.
    fn pinned_policy(&mut self, pin: &Pin, context: &dyn Context) -> Arc<Policy> {
        self.policies.of(pin, context)
    }

    /// Takes in a policy as the log keeps it: incidents that open from `at` on
    /// under its name and version go by this text.
    pub fn restore_policy(&mut self, policy: Policy, at: Timestamp) {
        let revision = PolicyRevision { name: policy.name.clone(), version: policy.version };
        self.policies.add(revision, at, Arc::new(policy));
    }
}

/// True where a step of the policy ends when incidents of a group recur.
fn counts_recurrences(policy: &Policy) -> bool {
    let asks = |trigger: &Trigger| matches!(trigger, Trigger::Recurrence { .. });
    policy.steps.iter().any(|step| step.escalate_if.iter().any(asks))
}
