//! Signatures, verification and independence.

use std::collections::BTreeSet;

use watchkeep_model::charter::Severity;
use watchkeep_model::incident::Fact;
use watchkeep_model::incident::data::{ActionRecorded, Remediated, SignedOff};
use watchkeep_model::policy::SignOff;
use watchkeep_model::response::RemedyAction;
use watchkeep_model::time::Timestamp;

use super::{Checker, Departure};
use crate::decide::gates::share_a_team;
use crate::decide::includes;
use crate::report::is_person;

/// Who stands in place of a role.
const REMEDIATOR: &str = "remediator";

/// Who remediated since it opened or began anew, and how at last.
pub(super) struct Remedy {
    by: BTreeSet<String>,
    action: RemedyAction,
}

/// Somebody's latest word at a gate.
pub(super) struct Signature {
    gate: String,
    by: String,
    approve: bool,
    at: Timestamp,
}

impl Checker<'_> {
    pub(super) fn signed(&mut self, fact: &Fact, signed: &SignedOff) {
        self.signatures.retain(|one| one.gate != signed.gate || one.by != fact.actor);
        self.signatures.push(Signature {
            gate: signed.gate.clone(),
            by: fact.actor.clone(),
            approve: signed.approve,
            at: fact.occurred_at,
        });
    }

    /// Who refused may not sign any more.
    pub(super) fn refusal_lapsed(&mut self, lapsed: &ActionRecorded) {
        for one in &lapsed.informed {
            self.signatures.retain(|sign| sign.gate != one.role || sign.by != one.target);
        }
    }

    pub(super) fn remediated(&mut self, fact: &Fact, remediated: &Remediated) {
        if remediated.action == RemedyAction::Rollback {
            self.gate(fact, "rollback");
        }
        if let Some((by, late)) = self.late(self.entry.remediate_by, fact.occurred_at) {
            let what = format!("was to be remediated by {by}, {} did {late} later", fact.actor);
            self.find(Departure::LateRemediation, fact, what);
        }
        let mut by = self.remediated.take().map(|before| before.by).unwrap_or_default();
        by.insert(fact.actor.clone());
        self.remediated = Some(Remedy { by, action: remediated.action });
        self.is_resting = true;
    }

    pub(super) fn verified(&mut self, fact: &Fact) {
        self.verified = true;
        if !is_person(&fact.actor) {
            return;
        }
        let class = self.charter.as_deref().and_then(|charter| charter.fields.independence.clone());
        let rules = class.and_then(|class| self.policy.independence.get(&class));
        let roles = rules.map_or(&[][..], |rules| rules.verifier_not_in_team_of.as_slice());
        let is_near = |who: &str| share_a_team(self.context, who, &fact.actor, fact.occurred_at);
        let shares = |role: &&String| match role.as_str() {
            REMEDIATOR => self.remediated.iter().flat_map(|one| &one.by).any(|by| is_near(by)),
            "primary" => {
                let found = [self.owner.as_deref(), self.found_owner.as_deref(), self.holder(role)];
                found.into_iter().flatten().any(is_near)
            }
            role => self.holder(role).is_some_and(is_near),
        };
        if let Some(role) = roles.iter().find(shares) {
            let what = format!("{} verified and is in the team of the {role}", fact.actor);
            self.find(Departure::NotIndependent, fact, what);
        }
    }

    pub(super) fn resolved(&mut self, fact: &Fact) {
        self.resolved_at = Some(fact.occurred_at);
        self.is_resting = true;
        let gates = self.gates("resolve").count();
        if gates > 0 {
            self.gate(fact, "resolve");
        } else if self.severity == Severity::Critical
            && !is_person(&fact.actor)
            && !self.is_by_command(fact)
        {
            let what =
                "a critical incident waits for a person, it was resolved by itself".to_owned();
            self.find(Departure::ResolvedByItself, fact, what);
        }
        let severities = self.policy.verification.as_ref().map(|v| v.severities.as_slice());
        let asked = severities.is_some_and(|s| s.is_empty() || s.contains(&self.severity));
        let accepted =
            self.remediated.as_ref().is_some_and(|remedy| remedy.action == RemedyAction::Accept);
        if asked && !self.verified && !accepted {
            let severity = self.severity.name();
            let what = format!("{severity} incidents are verified first, this one was not");
            self.find(Departure::Unverified, fact, what);
        }
    }

    /// A command's resolution bears the command as its cause.
    fn is_by_command(&self, fact: &Fact) -> bool {
        fact.cause.as_deref().is_some_and(|cause| cause.starts_with("response "))
    }

    fn gates<'g>(&'g self, name: &'g str) -> impl Iterator<Item = &'g SignOff> {
        self.policy.sign_offs.iter().filter(move |gate| {
            gate.gate == name
                && (gate.severities.is_empty() || gate.severities.contains(&self.severity))
        })
    }

    /// Tells of each gate of a name that has not its signatures.
    fn gate(&mut self, fact: &Fact, name: &str) {
        let refused = self.signatures.iter().find(|one| one.gate == name && !one.approve);
        let mut found: Vec<String> = refused
            .map(|one| format!("{} refused at the gate {name}", one.by))
            .into_iter()
            .collect();
        for gate in self.gates(name) {
            let signed = self.signatures.iter().filter(|one| self.counts(gate, one)).count();
            let needed = gate.minimum.max(1) as usize;
            if signed < needed {
                found.push(format!(
                    "the gate {name} needs {needed} of {}, {signed} signed",
                    gate.roles.join(", ")
                ));
            }
        }
        for what in found {
            self.find(Departure::GateBypassed, fact, what);
        }
    }

    fn counts(&self, gate: &SignOff, signature: &Signature) -> bool {
        let Signature { by, at, .. } = signature;
        let holds = |role: &String, owner: &Option<String>| {
            let owns = role == "primary" && owner.as_ref() == Some(by);
            owns || self.holder(role).is_some_and(|holder| includes(self.context, holder, by, *at))
        };
        let speaks = |role: &String| holds(role, &self.found_owner);
        let differs = gate.distinct_from.iter().all(|who| match who.as_str() {
            REMEDIATOR => !self.remediated.as_ref().is_some_and(|remedy| remedy.by.contains(by)),
            _ => !holds(who, &self.owner),
        });
        signature.gate == gate.gate && signature.approve && differs && gate.roles.iter().any(speaks)
    }
}
