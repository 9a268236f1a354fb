//! What breaches and windows do to an incident: opening, joining, clearing,
//! failing and settling.

use watchkeep_model::breach::{Breach, Transition};
use watchkeep_model::charter::{Charter, ExpectationKind, Severity};
use watchkeep_model::incident::data::{
    Attribution, BreachAttached, BreachCleared, CharterRevision, Informed, Opened, PolicyRevision,
    Reopened, SeverityChanged, VerificationFailed,
};
use watchkeep_model::incident::{Fact, FactData, FactName, SYSTEM_ACTOR};
use watchkeep_model::policy::{Policy, Trigger, Verification};
use watchkeep_model::response::RemedyAction;
use watchkeep_model::subject::typed;
use watchkeep_model::time::Timestamp;

use super::learn::severity_reopened;
use super::{Decision, Doing, Outputs, World, entry, entry_step, lateness_us};
use crate::message;
use crate::owner;
use crate::progress::Progress;
use crate::state::{BreachKey, Incident, State, key_of};

/// What an incident opens with.
#[derive(Debug)]
pub struct Opening<'a> {
    /// Its identifier.
    pub id: String,
    /// What its breaches have in common.
    pub group_key: String,
    /// The kind that chooses the first step.
    pub kind: ExpectationKind,
    /// Where the breaches come from, a typed name.
    pub root: String,
    /// How that was found.
    pub attribution: Attribution,
    /// The breaches, at least one, in order of detection.
    pub breaches: Vec<&'a Breach>,
    /// When they had been held for long enough.
    pub due_at: Timestamp,
    /// True in an exercise.
    pub drill: bool,
    /// The incident that speaks for it, and by which rule.
    pub parent: Option<Parent>,
}

/// An incident that speaks for another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    /// Its identifier.
    pub id: String,
    /// The rule, for the fact.
    pub rule: &'static str,
}

fn because_of(breach: &Breach) -> String {
    format!("breach {}", breach.breach_id)
}

/// Opens an incident and enters its first step.
pub fn open(opening: &Opening<'_>, world: &World<'_>, out: &mut Outputs) -> (Incident, Progress) {
    let (due_at, now, policy) = (opening.due_at, world.now, world.policy);
    let severity = opening.breaches.iter().map(|breach| breach.severity).max().unwrap_or_default();
    let mut features: Vec<String> =
        opening.breaches.iter().map(|breach| breach.feature.clone()).collect();
    features.sort();
    features.dedup();
    let affected_count = features.len() as u64;
    features.truncate(message::listed_max(world));
    let load = |user: &str| world.load.get(user).copied().unwrap_or(0);
    let charter = world.charter.as_deref();
    let resolution = owner::resolve_for(&opening.root, charter, world.context, due_at, &load);
    let in_force_at = opening.breaches.first().map_or(due_at, |breach| breach.window_end);
    let mut attribution = opening.attribution.clone();
    attribution.evidence.extend(world.charter.as_deref().and_then(depends_outside));
    let data = Opened {
        root: opening.root.clone(),
        attribution,
        owner: resolution.owner,
        unowned: resolution.unowned,
        resolution: resolution.links,
        policy: PolicyRevision { name: policy.name.clone(), version: policy.version },
        charter: world.charter.as_ref().map(|charter| CharterRevision {
            subject: charter.subject.clone(),
            documents: charter.from.clone(),
            in_force_at,
        }),
        affected_features: features,
        affected_count,
        severity,
        kind: opening.kind,
        group_key: opening.group_key.clone(),
        entry: entry(policy, severity, entry_step(policy, opening.kind), 1, now),
        due_at,
        late_by_us: lateness_us(due_at, now),
        reference: reference(policy, severity),
    };
    let cause = opening.breaches.first().map_or_else(String::new, |breach| because_of(breach));
    let doing = Doing::system(due_at, cause);
    let fact = Fact {
        incident_id: opening.id.clone(),
        sequence: 1,
        fact: FactName::Opened,
        occurred_at: due_at,
        recorded_at: now,
        actor: SYSTEM_ACTOR.into(),
        cause: doing.cause.clone(),
        rationale: None,
        drill: opening.drill,
        data: FactData::Opened(Box::new(data)),
        previous_hash: None,
        hash: String::new(),
    }
    .sealed();
    let mut incident = Incident::begin(&fact).expect("an opened fact begins an incident");
    let mut progress = Progress::default();
    out.facts.push(fact.clone());
    let mut decision = Decision { incident: &mut incident, progress: &mut progress, world, out };
    let told_from = decision.out.escalations.len();
    for breach in &opening.breaches {
        decision.attach(breach, &doing, None);
    }
    decision.retell(told_from);
    decision.hush(opening.parent.as_ref(), &doing);
    message::status(decision.incident, &fact, "opened", world, &mut decision.out.escalations);
    decision.enter_if_due(&doing.at(now));
    (incident, progress)
}

/// What a charter names outside of the organisation, as evidence: no lineage
/// goes there, and what is wrong may be theirs.
fn depends_outside(charter: &Charter) -> Option<String> {
    let outside = charter.fields.external_dependencies.as_deref().unwrap_or_default();
    let subject = &charter.subject;
    (!outside.is_empty())
        .then(|| format!("{subject} depends on others outside: {}", outside.join(", ")))
}

/// What the policy compares with where it verifies this severity.
fn reference(policy: &Policy, severity: Severity) -> Option<String> {
    let verification = policy.verification.as_ref()?;
    let applies = verification.severities.is_empty() || verification.severities.contains(&severity);
    verification.reference.clone().filter(|_| applies)
}

impl Decision<'_> {
    /// Opens a resolved incident again and enters its first step.
    pub fn reopen(&mut self, breaches: &[&Breach], due_at: Timestamp, parent: Option<&Parent>) {
        let Some(first) = breaches.first() else { return };
        let worst = breaches.iter().map(|breach| breach.severity).max().unwrap_or_default();
        let severity = severity_reopened(self.incident, self.world.policy, worst);
        let doing = Doing::system(due_at, because_of(first));
        let data = Reopened {
            breach_id: first.breach_id.clone(),
            severity,
            entry: entry(self.world.policy, severity, self.entry_step(), 1, self.world.now),
            due_at,
            late_by_us: lateness_us(due_at, self.world.now),
        };
        self.progress.check_at = None;
        let told_from = self.out.escalations.len();
        self.record(&doing, FactData::Reopened(data));
        // Absences may have begun or ended since; nobody is needed here yet.
        let _ = self.resolve_owner(&doing);
        for breach in breaches {
            self.attach(breach, &doing, None);
        }
        self.hush(parent, &doing);
        self.retell(told_from);
        self.enter_if_due(&doing.at(self.world.now));
    }

    /// Whoever is told of what it opens with, for the first time or again, is
    /// told of all of it: not of the breach alone that named them first, nor of
    /// an incident that nothing belongs to yet.
    fn retell(&mut self, from: usize) {
        let told = self.out.escalations.iter_mut().skip(from);
        told.for_each(|message| message::retell(self.incident, self.world, message));
    }

    /// What holds pages back from the beginning.
    fn hush(&mut self, parent: Option<&Parent>, doing: &Doing) {
        self.match_silences(doing);
        if let Some(parent) = parent {
            self.inhibit(&parent.id, parent.rule, doing);
        }
    }

    /// A breach joins the incident. After the clearing or a remediation that
    /// fails what was done.
    pub fn join(&mut self, breach: &Breach) {
        self.join_because(breach, &Doing::system(self.world.now, because_of(breach)));
    }

    pub(super) fn join_because(&mut self, breach: &Breach, doing: &Doing) {
        let incident = &*self.incident;
        let after_clearing = !incident.is_breaching()
            && incident.cleared_at.is_some_and(|cleared| cleared < self.world.now);
        // Windows lag behind: one that ended before the repair tells nothing of it.
        let is_of_before = incident.state == State::Remediated
            && incident.counting_from.is_some_and(|from| breach.window_end <= from);
        let fails = after_clearing || (incident.state >= State::Remediated && !is_of_before);
        let (rested, owes) = (incident.resting, incident.quiet.owes);
        let update_at = if fails || self.has_told(breach) { None } else { self.update_at() };
        self.attach(breach, doing, update_at);
        // Silences may be about a subject that has joined.
        self.match_silences(doing);
        self.progress.check_at = None;
        if is_of_before && !fails {
            return;
        }
        if fails {
            self.fail(doing, &breach.feature, &breach.expectation, breach.window_end);
        } else if rested && owes && !self.incident.rests() {
            // The quiet ended while nothing breached, so its page is still owed.
            let (step, climb) = (self.step_index(), self.incident.entry.climb);
            self.go_to(doing, step, climb, "breach_returned");
        } else {
            if rested {
                self.page_limited(doing);
            }
            self.check_triggers(doing);
        }
    }

    /// True for the breach whose window has failed the verification just now:
    /// those who follow the incident were told by that.
    fn has_told(&self, breach: &Breach) -> bool {
        let incident = &*self.incident;
        let key = key_of(&breach.feature, &breach.feature_version, &breach.expectation);
        incident.counting_from == Some(breach.window_end)
            && incident.update.told_at == Some(self.world.now)
            && incident.attached.contains_key(&key)
    }

    fn attach(&mut self, breach: &Breach, doing: &Doing, update_at: Option<Timestamp>) {
        let subject = typed(&breach.feature);
        let charter = self.world.context.charter(&subject, breach.window_end);
        let (informed, known) = self.to_inform(breach, charter.as_deref());
        let is_new = !self.incident.open_features.contains_key(&breach.feature);
        let data = BreachAttached {
            breach_id: breach.breach_id.clone(),
            feature: breach.feature.clone(),
            feature_version: breach.feature_version.clone(),
            expectation: breach.expectation.clone(),
            kind: breach.kind,
            severity: breach.severity,
            window: breach.window.clone(),
            window_start: breach.window_start,
            window_end: breach.window_end,
            detected_at: breach.detected_at,
            consumers: breach.affected_consumers.clone(),
            informed,
            informed_later: known.into_iter().filter(|_| is_new && update_at.is_some()).collect(),
            reason: breach.reason.clone(),
            update_at,
            charter: charter.and_then(|charter| self.own_charter(breach, &charter)),
        };
        self.record(doing, FactData::BreachAttached(Box::new(data)));
        self.check_flapping(breach, doing);
        self.raise_severity(breach.severity, doing);
        self.propose_rollback(breach, doing);
    }

    /// The charter of a breach's subject, where it is another than the incident's.
    fn own_charter(&self, breach: &Breach, charter: &Charter) -> Option<CharterRevision> {
        let known = self.incident.charter.as_ref();
        let is_known =
            known.is_some_and(|of| of.subject == charter.subject && of.documents == charter.from);
        (!is_known).then(|| CharterRevision {
            subject: charter.subject.clone(),
            documents: charter.from.clone(),
            in_force_at: breach.window_end,
        })
    }

    /// Consumers, subscribers and, where the root lies upstream, the owners
    /// of the feature: those whom nobody has told yet, and the others.
    fn to_inform(
        &self,
        breach: &Breach,
        charter: Option<&Charter>,
    ) -> (Vec<Informed>, Vec<Informed>) {
        let subject = typed(&breach.feature);
        let fields = charter.map(|charter| &charter.fields);
        let subscribers = fields.and_then(|fields| fields.subscribers.as_deref());
        let owner = fields
            .filter(|_| subject != self.incident.root)
            .and_then(|fields| fields.owners.primary.as_ref());
        let named = |role: &'static str| {
            move |target: &String| Informed { target: target.clone(), role: role.to_owned() }
        };
        let (mut informed, mut known): (Vec<Informed>, Vec<Informed>) = (Vec::new(), Vec::new());
        let all = breach.affected_consumers.iter().map(named("consumer"));
        let all = all.chain(subscribers.unwrap_or_default().iter().map(named("subscriber")));
        for one in all.chain(owner.map(named("feature_owner"))) {
            let is_listed = |all: &[Informed]| all.iter().any(|other| other.target == one.target);
            if self.incident.owner.as_ref() == Some(&one.target)
                || is_listed(&informed)
                || is_listed(&known)
            {
                continue;
            }
            match self.knows(&one.target) {
                true => known.push(one),
                false => informed.push(one),
            }
        }
        (informed, known)
    }

    /// True for whoever was informed of the incident. That it is open again a
    /// sink tells whom it informed before; whom none reaches, such as a model
    /// or a dashboard, is informed again.
    fn knows(&self, target: &str) -> bool {
        let incident = &*self.incident;
        let reached = || message::own_contact(target, self.world.now, self.world).is_some();
        incident.informed.contains(target) || incident.informed_before.contains(target) && reached()
    }

    /// A step that still waits for working hours is entered at once where the
    /// new severity does not wait.
    fn raise_severity(&mut self, to: Severity, doing: &Doing) {
        let from = self.incident.severity;
        if to <= from {
            return;
        }
        let waits = !self.incident.entered && self.incident.entry.enters_at > self.world.now;
        let (step, climb) = (self.step_index(), self.incident.entry.climb);
        let sooner = entry(self.world.policy, to, step, climb, self.world.now);
        let moved = waits && sooner.enters_at < self.incident.entry.enters_at;
        let data = SeverityChanged { from, to, entry: moved.then_some(sooner) };
        self.record(doing, FactData::SeverityChanged(data));
        self.match_silences(doing);
        if moved && !self.incident.resting {
            self.enter_if_due(&doing.at(self.world.now));
        }
    }

    /// A breach of the incident has cleared or was retracted.
    pub fn clear(&mut self, breach: &Breach) {
        let key = key_of(&breach.feature, &breach.feature_version, &breach.expectation);
        let is_open = |incident: &Incident| {
            let attached = incident.attached.get(&key);
            attached.is_some_and(|attached| attached.open.contains(&breach.breach_id))
        };
        if !is_open(self.incident) {
            return;
        }
        let open_count = self.incident.open_count.saturating_sub(1);
        let settles_at =
            (open_count == 0).then(|| self.world.now + self.world.policy.damping.keep_firing_for);
        let data = BreachCleared {
            breach_id: breach.breach_id.clone(),
            feature: breach.feature.clone(),
            feature_version: breach.feature_version.clone(),
            expectation: breach.expectation.clone(),
            transition: breach.transition,
            window_end: breach.window_end,
            open_count,
            settles_at,
        };
        let verb = if breach.transition == Transition::Retracted { "retracted" } else { "cleared" };
        let cause = format!("breach {} {verb}", breach.breach_id);
        let doing = Doing::system(self.world.now, cause);
        self.record(&doing, FactData::BreachCleared(data));
        self.check_flapping(breach, &doing);
        self.progress.check_at = settles_at;
    }

    /// A judged window of an attached expectation.
    pub fn window(&mut self, key: &BreachKey, end: Timestamp, good: bool) {
        let incident = &*self.incident;
        let counts = incident.counting_from.is_none_or(|from| end > from);
        let checked = incident.remediated.as_ref();
        // Only what breached can fail; what it is compared with counts anew.
        let checked = checked.is_some_and(|remedy| remedy.action != RemedyAction::Accept)
            && incident.attached.contains_key(key);
        self.progress.count(key.clone(), end, good);
        if !good && counts && checked && incident.is_open() {
            let cause = format!("window {} {} to {end}", key.0, key.2);
            self.fail(&Doing::system(self.world.now, cause), &key.0, &key.2, end);
        } else if good && !self.incident.is_breaching() && self.enough_good_windows() {
            let settles_at = self.incident.settles_at.unwrap_or(self.world.now);
            self.progress.check_at = Some(settles_at.max(self.world.now));
        }
    }

    /// What was done did not hold: the step of `on_failure` is entered; else
    /// the next one where the present step climbs by `verification_failed`;
    /// else the first.
    fn fail(&mut self, doing: &Doing, feature: &str, expectation: &str, window_end: Timestamp) {
        let policy = self.world.policy;
        let current = self.step_index();
        let data = VerificationFailed {
            feature: feature.to_owned(),
            expectation: expectation.to_owned(),
            window_end,
        };
        self.record(doing, FactData::VerificationFailed(data));
        let named = policy.verification.as_ref().and_then(|v| v.on_failure.as_ref());
        let named = named.and_then(|name| policy.steps.iter().position(|step| step.name == *name));
        let climbs = policy
            .steps
            .get(current)
            .is_some_and(|step| step.escalate_if.contains(&Trigger::VerificationFailed))
            && current + 1 < policy.steps.len();
        let to = named.unwrap_or(if climbs { current + 1 } else { self.entry_step() });
        self.go_to(doing, to, 1, Trigger::VerificationFailed.name());
    }

    /// The verification that the policy asks for at this severity.
    pub(crate) fn verification(&self) -> Option<&Verification> {
        let severity = self.incident.severity;
        self.world.policy.verification.as_ref().filter(|verification| {
            verification.severities.is_empty() || verification.severities.contains(&severity)
        })
    }

    pub(super) fn enough_good_windows(&self) -> bool {
        self.verification().is_some_and(|verification| {
            self.progress.good_run(self.incident) >= verification.good_windows.max(1)
        })
    }

    /// Takes the incident as far towards its end as the rules allow: verified
    /// after enough good windows, resolved when no gate is closed. A critical
    /// one never resolves without a person: its gate's, or a command.
    pub(crate) fn settle(&mut self, doing: &Doing) {
        let incident = &*self.incident;
        let settled = incident.settles_at.is_some_and(|at| at <= self.world.now);
        if !incident.is_open() || incident.is_breaching() || !settled {
            return;
        }
        let mut reason = "cleared";
        if self.incident.state == State::Verified {
            reason = "verified";
        } else if self.verification().is_some() {
            if !self.enough_good_windows() {
                return;
            }
            if !self.verify_by_windows(doing) {
                return;
            }
            reason = "verified";
        }
        self.lapse_refusals("resolve", doing);
        if !self.gate_is_open("resolve", doing.at) {
            return;
        }
        if self.has_gate("resolve") {
            reason = "signed_off";
        } else if self.incident.severity == Severity::Critical {
            return;
        }
        self.resolve(doing, reason);
    }

    pub(crate) fn resolve(&mut self, doing: &Doing, reason: &str) {
        let data = self.resolution(reason);
        self.record(doing, FactData::Resolved(data));
        self.progress.check_at = None;
    }
}
