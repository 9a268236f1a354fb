//! Gates that people must open, and who may: roles, minimum, distinctness,
//! independence; and decisions, which the people of a step take.

use std::collections::BTreeSet;

use watchkeep_model::incident::FactData;
use watchkeep_model::incident::data::{ActionRecorded, Escalated, Informed, SignedOff};
use watchkeep_model::policy::{NotifyTarget, SignOff, Trigger};
use watchkeep_model::response::Response;
use watchkeep_model::time::Timestamp;

use super::respond::stranger;
use super::rollback::ROLLBACK;
use super::{Decision, Doing, includes};
use crate::context::Context;
use crate::schedule::typed_user;
use crate::state::people::action;
use crate::state::{Incident, State};

/// Who did what stands in place of a role.
const REMEDIATOR: &str = "remediator";

/// The role of whoever is accountable.
const PRIMARY: &str = "primary";

/// The gate that a resolution passes.
const RESOLVE: &str = "resolve";

impl Decision<'_> {
    pub(super) fn sign_off(&mut self, response: &Response, doing: &Doing) -> Result<(), String> {
        let gate = response.gate.as_deref().ok_or("a sign-off names its gate")?;
        let gates: Vec<&SignOff> = self.gates(gate).collect();
        if gates.is_empty() {
            return self.take_decision(gate, response, doing);
        }
        let approve = response.approve.unwrap_or(true);
        if approve && gate == RESOLVE && !self.can_be_over() {
            return Err(format!(
                "there is nothing to sign yet: the gate {gate} is signed once nothing breaches any \
                 more or the incident is remediated"
            ));
        }
        let role = gates.iter().find_map(|gate| self.signing_role(gate, doing));
        let role = role.ok_or_else(|| {
            let roles: Vec<&str> =
                gates.iter().flat_map(|gate| &gate.roles).map(String::as_str).collect();
            format!("only {} may sign the gate {gate}", roles.join(", "))
        })?;
        if let Some(other) = gates.iter().find_map(|gate| self.must_differ(gate, &doing.actor)) {
            return Err(format!("who signs the gate {gate} must not be the {other}"));
        }
        if let Some(class) = self.independence(|rules| &rules.approver_not_in_team_of, doing) {
            return Err(format!("the approver is in the team of the {class}"));
        }
        let before = self.incident.signatures.get(&(gate.to_owned(), doing.actor.clone()));
        if before == Some(&approve) {
            return Err(format!("{} has signed the gate {gate} already", doing.actor));
        }
        // Of several gates of the name the one that asks for most.
        let strictest = gates.iter().copied().max_by_key(|gate| gate.minimum);
        let others = strictest.map_or(0, |gate| {
            self.counting(gate, doing.at).filter(|by| **by != doing.actor).count()
        });
        let signed = u32::try_from(others).unwrap_or(u32::MAX) + u32::from(approve);
        let needed = strictest.map_or(1, |gate| gate.minimum.max(1));
        // A refusal is a decision, one agreement of several is none yet.
        let undecided = self.leaves_undecided(gate, !approve || signed >= needed);
        let data = SignedOff { gate: gate.to_owned(), approve, role, signed, needed, undecided };
        self.record(doing, FactData::SignedOff(data));
        if gate == ROLLBACK {
            self.order_rollback(doing);
        }
        self.settle(doing);
        Ok(())
    }

    /// True where the present step still waits for its decision after a
    /// signature at a gate, which is `enough` for that gate. It waits for what
    /// somebody asked it for, else for any of its decisions.
    fn leaves_undecided(&self, gate: &str, enough: bool) -> bool {
        let incident = &*self.incident;
        let waits = incident.entry.decide_by.is_some() && !incident.decided && !incident.resting;
        let step = self.world.policy.steps.get(self.step_index());
        let decisions = step.map_or(&[][..], |step| &step.decisions);
        let concerns = match &incident.people.decision {
            Some(asked) => asked == gate,
            None => decisions.is_empty() || decisions.iter().any(|one| one == gate),
        };
        waits && !(concerns && enough)
    }

    /// True where somebody can judge whether it is over.
    fn can_be_over(&self) -> bool {
        !self.incident.is_breaching() || self.incident.state >= State::Remediated
    }

    /// A decision without a gate of its own is taken by anybody whom the step
    /// of that decision names.
    fn take_decision(
        &mut self,
        decision: &str,
        response: &Response,
        doing: &Doing,
    ) -> Result<(), String> {
        let policy = self.world.policy;
        let Some(step) = policy.steps.iter().find(|s| s.decisions.iter().any(|d| d == decision))
        else {
            return Err(format!("the policy has no gate {decision} for this severity"));
        };
        let named = |target: &NotifyTarget| match target {
            NotifyTarget::Role(role) => self.holds(role, &doing.actor, doing.at),
            NotifyTarget::User(name) | NotifyTarget::Group(name) | NotifyTarget::Schedule(name) => {
                includes(self.world.context, name, &doing.actor, doing.at)
            }
        };
        let name = |target: &NotifyTarget| match target {
            NotifyTarget::Role(name)
            | NotifyTarget::User(name)
            | NotifyTarget::Group(name)
            | NotifyTarget::Schedule(name) => name.clone(),
        };
        let targets = || step.notify.iter().map(|notify| &notify.target);
        let Some(role) = targets().find(|target| named(target)).map(name) else {
            let all: Vec<String> = targets().map(name).collect();
            return Err(format!("only {} may decide on {decision}", all.join(", ")));
        };
        if let Some(class) = self.independence(|rules| &rules.approver_not_in_team_of, doing) {
            return Err(format!("the approver is in the team of the {class}"));
        }
        let approve = response.approve.unwrap_or(true);
        let key = (decision.to_owned(), doing.actor.clone());
        if self.incident.signatures.get(&key) == Some(&approve) {
            return Err(format!("{} has decided on {decision} already", doing.actor));
        }
        let signed = u32::from(approve);
        let undecided = self.leaves_undecided(decision, true);
        let gate = decision.to_owned();
        let data = SignedOff { gate, approve, role, signed, needed: 1, undecided };
        self.record(doing, FactData::SignedOff(data));
        Ok(())
    }

    /// Takes the incident to the step that takes a decision.
    pub(super) fn ask_for_decision(&mut self, decision: &str, doing: &Doing) -> Result<(), String> {
        let steps = &self.world.policy.steps;
        let takes = |step: &watchkeep_model::policy::Step| {
            step.decisions.iter().any(|known| known == decision)
        };
        let Some(to) = steps.iter().position(takes) else {
            let known: BTreeSet<&str> =
                steps.iter().flat_map(|step| &step.decisions).map(String::as_str).collect();
            let known: Vec<&str> = known.into_iter().collect();
            return Err(match known.is_empty() {
                true => "the policy has no step that takes decisions".into(),
                false => format!("no step decides on {decision}; steps do on {}", known.join(", ")),
            });
        };
        if self.incident.people.decision.as_deref() == Some(decision) {
            return Err(format!("{decision} is asked for already"));
        }
        let entry = self.entry(to, self.incident.entry.climb, self.world.now);
        let data = Escalated {
            from_step: self.incident.entry.step.clone(),
            to_step: entry.step.clone(),
            climb: entry.climb,
            trigger: Trigger::Requested.name().to_owned(),
            decision: Some(decision.to_owned()),
            due_at: doing.at,
            late_by_us: super::lateness_us(doing.at, self.world.now),
            entry,
        };
        self.record(doing, FactData::Escalated(data));
        self.enter_if_due(&doing.at(self.world.now));
        Ok(())
    }

    pub(super) fn gates<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a SignOff> {
        let severity = self.incident.severity;
        self.world.policy.sign_offs.iter().filter(move |gate| {
            gate.gate == name && (gate.severities.is_empty() || gate.severities.contains(&severity))
        })
    }

    pub(crate) fn has_gate(&self, name: &str) -> bool {
        self.gates(name).next().is_some()
    }

    /// True where every gate of the name has its signatures. Somebody's
    /// refusal keeps it closed until they agree; whoever remediated after
    /// signing does not count where the gate wants somebody else.
    pub(crate) fn gate_is_open(&self, name: &str, at: Timestamp) -> bool {
        self.refusing(name).next().is_none()
            && self.gates(name).all(|gate| {
                self.counting(gate, at).count() as u64 >= u64::from(gate.minimum.max(1))
            })
    }

    /// Why a gate is closed, in words.
    pub(super) fn why_closed(&self, name: &str, at: Timestamp) -> String {
        let refusing: Vec<&str> = self.refusing(name).map(String::as_str).collect();
        let missing = self.gates(name).find_map(|gate| {
            let (signed, needed) = (self.counting(gate, at).count(), gate.minimum.max(1));
            ((signed as u64) < u64::from(needed))
                .then(|| format!("{signed} of {needed} signatures count"))
        });
        let refused = (!refusing.is_empty()).then(|| format!("refused by {}", refusing.join(", ")));
        let why: Vec<String> = missing.into_iter().chain(refused).collect();
        format!("the gate {name} is not signed off: {}", why.join(", "))
    }

    /// Who refuses to sign.
    fn refusing<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a String> {
        let signatures = self.incident.signatures.iter();
        signatures.filter(move |((gate, _), yes)| gate == name && !**yes).map(|((_, by), _)| by)
    }

    /// A refusal counts as long as an agreement of the same person would:
    /// whoever repaired since, holds the role no more or has left cannot take
    /// it back, and what they closed would stay closed for good.
    pub(super) fn lapse_refusals(&mut self, name: &str, doing: &Doing) {
        let lapsed: Vec<Informed> = self
            .refusing(name)
            .filter(|by| !self.may_still_sign(name, by, doing.at))
            .map(|by| Informed { target: by.clone(), role: name.to_owned() })
            .collect();
        if lapsed.is_empty() {
            return;
        }
        let who: Vec<&str> = lapsed.iter().map(|one| one.target.as_str()).collect();
        let detail = format!(
            "{} refused at the gate {name} and may not sign it any more: that counts no longer",
            who.join(", ")
        );
        let data = ActionRecorded {
            informed: lapsed,
            ..ActionRecorded::new(action::REFUSAL_LAPSED, detail)
        };
        self.record(&doing.at(doing.at), FactData::ActionRecorded(data));
    }

    fn may_still_sign(&self, name: &str, by: &str, at: Timestamp) -> bool {
        let doing = Doing { actor: by.to_owned(), ..Doing::system(at, "") };
        stranger(self.world.context, by).is_none()
            && self.gates(name).any(|gate| {
                self.signing_role(gate, &doing).is_some() && self.must_differ(gate, by).is_none()
            })
    }

    /// Whose signatures count for a gate.
    fn counting<'a>(
        &'a self,
        gate: &'a SignOff,
        at: Timestamp,
    ) -> impl Iterator<Item = &'a String> {
        let signatures = self.incident.signatures.iter();
        signatures
            .filter(move |((of, by), yes)| {
                let doing = Doing { actor: by.clone(), ..Doing::system(at, "") };
                *of == gate.gate
                    && **yes
                    && self.signing_role(gate, &doing).is_some()
                    && self.must_differ(gate, by).is_none()
            })
            .map(|((_, by), _)| by)
    }

    fn signing_role(&self, gate: &SignOff, doing: &Doing) -> Option<String> {
        gate.roles.iter().find(|role| self.speaks_as(role, &doing.actor, doing.at)).cloned()
    }

    fn must_differ<'a>(&self, gate: &'a SignOff, user: &str) -> Option<&'a str> {
        let is = |who: &str| match who {
            REMEDIATOR => self.incident.people.remediators.contains(user),
            role => self.holds(role, user, self.world.now),
        };
        gate.distinct_from.iter().map(String::as_str).find(|who| is(who))
    }

    pub(super) fn holder(&self, role: &str) -> Option<&str> {
        self.world.charter.as_deref().and_then(|charter| charter.fields.owners.get(role))
    }

    /// True where somebody may sign or confirm for a role. Whom the owner chain
    /// found counts as primary, whom a colleague named does not: handing an
    /// incident over makes nobody a signer.
    pub(super) fn speaks_as(&self, role: &str, user: &str, at: Timestamp) -> bool {
        let is_found = self.incident.people.found_owner.as_deref() == Some(user);
        (role == PRIMARY && is_found) || self.is_holder(role, user, at)
    }

    /// Whoever answers for the incident counts as its primary, also where a
    /// colleague named them.
    pub(super) fn holds(&self, role: &str, user: &str, at: Timestamp) -> bool {
        let answers = role == PRIMARY && self.incident.owner.as_deref() == Some(user);
        answers || self.is_holder(role, user, at)
    }

    fn is_holder(&self, role: &str, user: &str, at: Timestamp) -> bool {
        let holder = self.holder(role);
        holder.is_some_and(|holder| includes(self.world.context, holder, user, at))
    }

    /// The first of those named by the charter's independence class with whom
    /// the actor shares a group, or who is the actor.
    pub(super) fn independence(
        &self,
        rules: impl Fn(&watchkeep_model::policy::Independence) -> &Vec<String>,
        doing: &Doing,
    ) -> Option<String> {
        let class = self.world.charter.as_deref()?.fields.independence.as_deref()?;
        let independence = self.world.policy.independence.get(class)?;
        let is_near = |name: &str| share_a_team(self.world.context, name, &doing.actor, doing.at);
        let shares = |who: &&String| match who.as_str() {
            REMEDIATOR => self.incident.people.remediators.iter().any(|name| is_near(name)),
            // Who is primary by inheritance is so as much as one that is written.
            PRIMARY => {
                let Incident { owner, people, .. } = &*self.incident;
                let found = [owner.as_deref(), people.found_owner.as_deref(), self.holder(PRIMARY)];
                found.into_iter().flatten().any(is_near)
            }
            role => self.holder(role).is_some_and(is_near),
        };
        rules(independence).iter().find(shares).cloned()
    }
}

/// True where a user is, or shares a group with, who stands behind a name.
pub(crate) fn share_a_team(context: &dyn Context, name: &str, user: &str, at: Timestamp) -> bool {
    let groups = context.directory().groups.keys().map(|group| format!("group:{group}"));
    let mut teams = groups.filter(|group| includes(context, group, user, at));
    includes(context, name, user, at)
        || teams.any(|group| includes(context, &group, &typed_user(name), at))
}
