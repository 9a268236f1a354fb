//! Signatures, verification and independence.

use std::collections::BTreeSet;

use watchkeep_model::charter::{Owners, Severity};
use watchkeep_model::incident::Fact;
use watchkeep_model::incident::data::{ActionRecorded, Remediated, SignedOff, Verified};
use watchkeep_model::policy::SignOff;
use watchkeep_model::response::RemedyAction;
use watchkeep_model::time::Timestamp;

use super::{Checker, Departure, in_words};
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
        let (at, is_first) = (fact.occurred_at, self.remediated.is_none());
        let by = self.entry.remediate_by.filter(|by| is_first && self.rest.was_missed(*by, at));
        if let Some(by) = by {
            let late = in_words(at.since(by));
            let what = format!("was to be remediated by {by}, {} did {late} later", fact.actor);
            self.find(Departure::LateRemediation, fact, what);
        }
        let mut by = self.remediated.take().map(|before| before.by).unwrap_or_default();
        by.insert(fact.actor.clone());
        self.remediated = Some(Remedy { by, action: remediated.action });
        self.rest.answered = true;
    }

    pub(super) fn verified(&mut self, fact: &Fact, verified: &Verified) {
        self.verified = true;
        let by_person = is_person(&fact.actor).then_some(&fact.actor);
        let who = by_person.or(verified.confirmed_by.as_ref());
        self.third_party(fact, verified, who.map(String::as_str));
        let Some(who) = who else { return };
        let class = self.charter.as_deref().and_then(|charter| charter.fields.independence.clone());
        let rules = class.and_then(|class| self.policy.independence.get(&class));
        let roles = rules.map_or(&[][..], |rules| rules.verifier_not_in_team_of.as_slice());
        let is_near = |of: &str| share_a_team(self.context, of, who, fact.occurred_at);
        let shares = |role: &&String| match role.as_str() {
            REMEDIATOR => self.remediated.iter().flat_map(|one| &one.by).any(|by| is_near(by)),
            "primary" => {
                let found = [self.owner.as_deref(), self.found_owner.as_deref(), self.holder(role)];
                found.into_iter().flatten().any(is_near)
            }
            role => self.holder(role).is_some_and(is_near),
        };
        if let Some(role) = roles.iter().find(shares) {
            let what = format!("{who} verified and is in the team of the {role}");
            self.find(Departure::NotIndependent, fact, what);
        }
    }

    /// Whether the windows and the party that the policy names bear it out.
    /// `who` said so; nobody did where the windows alone show it.
    fn third_party(&mut self, fact: &Fact, verified: &Verified, who: Option<&str>) {
        let asked = self.policy.verification.as_ref();
        let asked =
            asked.filter(|v| v.severities.is_empty() || v.severities.contains(&self.severity));
        let Some(asked) = asked else { return };
        let (needed, seen) = (asked.good_windows.max(1), verified.good_windows);
        let party = asked.third_party.as_deref();
        // Without a third party a person's word needs no windows.
        if (who.is_none() || party.is_some()) && seen < needed {
            let what = format!("verified after {seen} good windows, the policy wants {needed}");
            self.find(Departure::Unverified, fact, what);
        }
        let Some(party) = party else { return };
        let Some(who) = who else {
            let what = format!("the policy wants {party} to verify, nobody did");
            return self.find(Departure::Unverified, fact, what);
        };
        let is_known = ["user:", "group:", "schedule:"].iter().any(|kind| party.starts_with(kind));
        let at = fact.occurred_at;
        let speaks = match (Owners::ROLES.contains(&party), is_known) {
            (true, _) => {
                let is_found = party == "primary" && self.found_owner.as_deref() == Some(who);
                is_found || self.holder(party).is_some_and(|of| includes(self.context, of, who, at))
            }
            (_, true) => includes(self.context, party, who, at),
            // Somebody passes on the word of who is not in the directory.
            _ => true,
        };
        let repaired = self.remediated.as_ref().is_some_and(|remedy| remedy.by.contains(who));
        if !speaks {
            let what = format!("{who} verified, the policy wants {party} to");
            self.find(Departure::NotIndependent, fact, what);
        } else if repaired {
            let what = format!("{who} verified for {party} what they had done themselves");
            self.find(Departure::NotIndependent, fact, what);
        }
    }

    pub(super) fn resolved(&mut self, fact: &Fact) {
        self.resolved_at = Some(fact.occurred_at);
        self.rest.answered = true;
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
