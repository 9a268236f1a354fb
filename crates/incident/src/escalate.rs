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
use watchkeep_model::identifier::derived;
use watchkeep_model::incident::data::{CommandRejected, PolicyRevision};
use watchkeep_model::incident::{Fact, FactData, FactName};
use watchkeep_model::policy::Policy;
use watchkeep_model::response::{Command, Response};
use watchkeep_model::subject::typed;
use watchkeep_model::time::Timestamp;
use watchkeep_model::window::{Verdict, Window};

use crate::attribution::Marks;
use crate::command;
use crate::context::Context;
pub use crate::decide::Outputs;
use crate::decide::breach::{Opening, open};
use crate::decide::respond::stranger;
use crate::decide::{Decision, World};
use crate::progress::Progress;
use crate::silence::Silences;
use crate::state::{BreachKey, Incident, State, Timer, key_of};

mod answers;
mod digest;
mod index;
mod kept;
mod merge;
mod near;
mod place;
pub mod platform;
mod relate;
mod restore;
mod silences;

use answers::Answered;
use index::{Index, What};
use kept::Incidents;
use near::Near;
pub(crate) use place::REPEAT_MIN;
use place::{Group, find_policy, is_paged, policy_of};
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
    policies: BTreeMap<PolicyRevision, Arc<Policy>>,
    /// The chain of refusals that concern no incident.
    desk: (u64, Option<String>),
    /// Commands that were carried out or refused.
    answered: Answered,
    silences: Silences,
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
            policies: BTreeMap::new(),
            desk: (0, None),
            answered: Answered::default(),
            silences: Silences::default(),
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
            self.decide(&id, context, now, out, |decision| decision.join(breach));
        } else {
            let wait = policy_of(breach, context).grouping.group_wait;
            self.hold(breach, (breach.detected_at + wait).max(now));
        }
    }

    /// Counts the good windows of incidents that wait for them, and notices
    /// bad ones after a remediation. Revisions and windows that the end of the
    /// input cut off do not count.
    pub fn window(
        &mut self,
        window: &Window,
        context: &dyn Context,
        now: Timestamp,
        out: &mut Outputs,
    ) {
        self.begin_past_silences(context, now, out);
        self.each_judged(window, |stage, id, key, good, is_own| {
            stage.decide(id, context, now, out, |decision| match is_own {
                true => decision.window(key, window.window_end, good),
                false => decision.progress.count(key.clone(), window.window_end, good),
            });
        });
        self.relate(context, now, out);
    }

    /// True where what breaches now is held or another incident's business:
    /// it tells nothing of what was done about this one.
    fn is_of_another(&self, id: &str, key: &BreachKey) -> bool {
        let is_open = |one: &Incident| one.attached.get(key).is_some_and(|a| !a.open.is_empty());
        let waits = self.incidents.get(id).is_some_and(|one| !is_open(one) && one.is_open());
        let is_held = |held: &Held| {
            let Breach { feature, feature_version, expectation, .. } = &held.breach;
            (feature, feature_version, expectation) == (&key.0, &key.1, &key.2)
        };
        let others = || self.index.watching(&key.0, &key.1);
        waits
            && (others().iter().filter(|other| *other != id).any(|other| {
                self.incidents.get(other).is_some_and(|one| one.is_open() && is_open(one))
            }) || self.held.values().any(is_held))
    }

    fn each_judged(
        &mut self,
        window: &Window,
        mut tell: impl FnMut(&mut Self, &str, &crate::state::BreachKey, bool, bool),
    ) {
        if window.judged.is_empty() || window.revision > 0 || window.partial {
            return;
        }
        if window.judged.iter().any(|judged| judged.verdict != Verdict::NotJudged) {
            self.index.judged(&window.feature, window.window_end);
        }
        for id in self.index.watching(&window.feature, &window.feature_version) {
            for judged in &window.judged {
                let good = match judged.verdict {
                    Verdict::Good => true,
                    Verdict::Bad => false,
                    Verdict::NotJudged => continue,
                };
                let key = key_of(&window.feature, &window.feature_version, &judged.expectation);
                let counts = self.incidents.get(&id).is_some_and(|one| {
                    let shown = !good || one.people.is_shown_against(judged.baseline.as_deref());
                    let reference = one.people.reference_subject() == Some(window.feature.as_str());
                    (one.attached.contains_key(&key) && shown) || reference
                });
                if counts {
                    tell(self, &id, &key, good, good || !self.is_of_another(&id, &key));
                }
            }
        }
    }

    /// Carries out what somebody wants, or records which rule forbids it. A
    /// command that names a subject concerns every open incident with that
    /// root. One that was taken before, by its identifier, has no effect again.
    pub fn respond(
        &mut self,
        response: &Response,
        context: &dyn Context,
        now: Timestamp,
        out: &mut Outputs,
    ) {
        let id = response.id();
        if self.answered.contains(&id) {
            return;
        }
        self.begin_past_silences(context, now, out);
        let from = out.facts.len();
        match response.command {
            Command::Silence | Command::Unsilence => {
                if let Err(rule) = self.hush(response, &id, context, now, out) {
                    self.reject(response, &id, rule, context, now, out);
                }
            }
            Command::Merge => {
                if let Err(rule) = self.merge(response, &id, context, now, out) {
                    self.reject(response, &id, rule, context, now, out);
                }
            }
            _ if command::is_about_charters(response) => {
                let rule = "whoever has decided this has no charters topic";
                self.reject(response, &id, rule.into(), context, now, out);
            }
            _ => match self.addressed(response) {
                Ok(ids) => ids.iter().for_each(|incident| {
                    self.decide(incident, context, now, out, |decision| {
                        decision.respond(response, &id);
                    });
                }),
                Err(rule) => self.reject(response, &id, rule, context, now, out),
            },
        }
        self.relate(context, now, out);
        out.facts[from..].iter().for_each(|fact| self.answered.note(fact));
    }

    /// Records that a command is not carried out because of a rule that lies
    /// elsewhere: what it says of itself, or one about charters.
    pub fn refuse(
        &mut self,
        response: &Response,
        rule: String,
        context: &dyn Context,
        now: Timestamp,
        out: &mut Outputs,
    ) {
        let id = response.id();
        if !self.answered.contains(&id) {
            let from = out.facts.len();
            self.reject(response, &id, rule, context, now, out);
            out.facts[from..].iter().for_each(|fact| self.answered.note(fact));
        }
    }

    /// A refusal that belongs to no incident goes to a chain of its own.
    fn reject(
        &mut self,
        response: &Response,
        id: &str,
        rule: String,
        context: &dyn Context,
        now: Timestamp,
        out: &mut Outputs,
    ) {
        let root = response.subject.as_deref().map(typed);
        let about = response.proposal.clone().or_else(|| response.charter.clone());
        let addressed = response.incident.clone().or(root).or(about);
        let rule = command::check(response)
            .err()
            .map(|fault| fault.what)
            .or_else(|| {
                // The deliver stage is nobody of the directory.
                let is_report = response.command == Command::ReportDelivery;
                if is_report { None } else { stranger(context, &response.by) }
            })
            .unwrap_or(rule);
        let (sequence, previous_hash) = &self.desk;
        let command = response.command.name().to_owned();
        let fact = Fact {
            incident_id: desk_id(),
            sequence: sequence + 1,
            fact: FactName::CommandRejected,
            occurred_at: response.at.min(now),
            recorded_at: now,
            actor: response.by.clone(),
            cause: Some(format!("response {id}")),
            rationale: response.rationale.clone(),
            drill: self.settings.drill,
            data: FactData::CommandRejected(CommandRejected { command, rule, addressed }),
            previous_hash: previous_hash.clone(),
            hash: String::new(),
        }
        .sealed();
        self.desk = (fact.sequence, Some(fact.hash.clone()));
        out.facts.push(fact);
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

    /// Opens what has been held until `due_at`, each with every held breach of
    /// its group, in order of incident.
    fn open_due(
        &mut self,
        due_at: Timestamp,
        context: &dyn Context,
        now: Timestamp,
        out: &mut Outputs,
    ) {
        let mut due: Vec<(String, Group)> = Vec::new();
        for mut group in self.place_held(context, due_at) {
            if group.members.iter().all(|held| held.due_at > due_at) {
                continue;
            }
            group.members.sort_by(|a, b| {
                let key = |held: &Held| (held.breach.detected_at, held.breach.breach_id.clone());
                key(a).cmp(&key(b))
            });
            let first = &group.members[0].breach;
            let detected_at = first.detected_at.as_micros().to_string();
            let key = &group.placed.group_key;
            due.push((derived(&["incident", key, &first.breach_id, &detected_at]), group));
        }
        // Whom a limit spares further pages shall hear of the worst first.
        let worst = |group: &Group| {
            let is_limited =
                policy_of(&group.members[0].breach, context).limits.per_owner.is_some();
            let severities = group.members.iter().map(|held| held.breach.severity);
            std::cmp::Reverse(severities.max().filter(|_| is_limited))
        };
        due.sort_by_cached_key(|(id, group)| (worst(group), id.clone()));
        self.check_platform(&due, due_at, context, now, out);
        for (id, group) in due {
            for held in &group.members {
                self.unhold(&held.breach.breach_id);
            }
            self.open_group(id, group, due_at, context, now, out);
            self.relate(context, now, out);
        }
    }

    fn open_group(
        &mut self,
        id: String,
        group: Group,
        due_at: Timestamp,
        context: &dyn Context,
        now: Timestamp,
        out: &mut Outputs,
    ) {
        let Group { placed, attribution, members } = group;
        let breaches: Vec<&Breach> = members.iter().map(|held| &held.breach).collect();
        let first = breaches[0];
        if let Some(open) = self.open_incident_of(&placed.group_key) {
            for breach in breaches {
                self.decide(&open, context, now, out, |decision| decision.join(breach));
            }
            return;
        }
        let root = &placed.root;
        let charter = context.charter(root, first.window_end);
        let charter = charter.or_else(|| context.charter(&typed(&first.feature), first.window_end));
        let name = charter.as_ref().and_then(|charter| charter.fields.policy.as_deref());
        let policy = find_policy(name.or(first.policy.as_deref()), context);
        // A breach may have come in late: what counts is when it was first known.
        let known_at = due_at - policy.grouping.group_wait;
        let earlier = self.index.latest_of_group(&placed.group_key).and_then(|earlier| {
            let until = self.incidents.get(&earlier)?.reopens_until?;
            (known_at <= until).then_some(earlier)
        });
        let severity = breaches.iter().map(|breach| breach.severity).max().unwrap_or_default();
        let limits = policy.attribution.clone();
        // One that opens again stays where it was attributed to.
        let again = earlier.as_ref().and_then(|earlier| self.incidents.get(earlier));
        let root = again.map_or_else(|| placed.root.clone(), |earlier| earlier.root.clone());
        let child = earlier.as_deref();
        let latest = breaches.iter().map(|breach| breach.detected_at).max().unwrap_or(now);
        let as_of = place::as_of(latest, policy.grouping.group_wait, now);
        let parent = self.parent_of(&root, severity, child, &limits, context, as_of);
        if let Some(earlier) = earlier {
            self.decide(&earlier, context, now, out, |decision| {
                decision.reopen(&breaches, due_at, parent.as_ref());
            });
            return;
        }
        let revision = PolicyRevision { name: policy.name.clone(), version: policy.version };
        let policy = match self.policies.get(&revision).filter(|known| ***known == *policy) {
            Some(known) => Arc::clone(known),
            None => {
                let policy = Arc::new(policy.into_owned());
                self.policies.insert(revision, Arc::clone(&policy));
                policy
            }
        };
        let recurrences = self.index.recurrences_with(&placed.group_key, due_at);
        let world = World {
            context,
            policy: &policy,
            charter,
            load: self.index.load(),
            recurrences: &recurrences,
            silences: &self.silences,
            pages: self.index.pages(),
            board: self.index.board(),
            now,
        };
        let opening = Opening {
            id,
            group_key: placed.group_key,
            kind: placed.kind,
            root: placed.root,
            attribution,
            breaches,
            due_at,
            drill: self.settings.drill,
            parent,
        };
        let from = out.facts.len();
        let (incident, progress) = open(&opening, &world, out);
        self.take_in(incident, progress, &out.facts[from..]);
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
        let policy = pinned(policies, &incident.policy, context);
        let charter = incident
            .charter
            .as_ref()
            .and_then(|charter| context.charter(&charter.subject, charter.in_force_at));
        let world = World {
            context,
            policy: &policy,
            charter,
            load: index.load(),
            recurrences: index.recurrences(&incident.group_key),
            silences,
            pages: index.pages(),
            board: index.board(),
            now,
        };
        let from = out.facts.len();
        act(&mut Decision { incident, progress: progress_ref, world: &world, out });
        index.take_in(&out.facts[from..], incident, progress_ref.check_at, changes);
        if known.is_none() && none != Progress::default() {
            progress.insert(id.to_owned(), none);
        }
        self.forget();
    }

    fn take_in(&mut self, incident: Incident, progress: Progress, facts: &[Fact]) {
        self.index.take_in(facts, &incident, progress.check_at, &mut self.changes);
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

    fn pinned_policy(&mut self, revision: &PolicyRevision, context: &dyn Context) -> Arc<Policy> {
        pinned(&mut self.policies, revision, context)
    }
}

/// The policy as it was when the first incident opened under this revision.
fn pinned(
    policies: &mut BTreeMap<PolicyRevision, Arc<Policy>>,
    revision: &PolicyRevision,
    context: &dyn Context,
) -> Arc<Policy> {
    if let Some(policy) = policies.get(revision) {
        return Arc::clone(policy);
    }
    let policy = Arc::new(find_policy(Some(&revision.name), context).into_owned());
    policies.insert(revision.clone(), Arc::clone(&policy));
    policy
}

fn desk_id() -> String {
    derived(&["incident", "commands that concern no incident"])
}
