//! What people may do about an incident, and the rules that forbid it.

use watchkeep_model::incident::FactData;
use watchkeep_model::incident::data::{
    Acknowledged, ActionRecorded, CommandRejected, Remediated, SignedOff, Verified,
};
use watchkeep_model::policy::{SignOff, Trigger};
use watchkeep_model::response::{Command, RemedyAction, Response};
use watchkeep_model::time::Timestamp;

use super::{Decision, Doing, includes};
use crate::context::Context;
use crate::schedule::typed_user;
use crate::state::State;

/// Who did what stands in place of a role.
const REMEDIATOR: &str = "remediator";

/// A command that exists but is not built yet is refused by its name.
pub(crate) fn unsupported(command: Command) -> Option<String> {
    match command {
        Command::Reassign
        | Command::Silence
        | Command::Unsilence
        | Command::Review
        | Command::Propose
        | Command::Approve
        | Command::Feedback
        | Command::Close => Some(format!("command {} is not supported yet", command.name())),
        Command::Acknowledge
        | Command::Remediate
        | Command::Verify
        | Command::SignOff
        | Command::Resolve
        | Command::Escalate
        | Command::Comment
        | Command::ReportDelivery => None,
    }
}

/// Why somebody may not act at all: they are not in the directory or have
/// left. Without any directory everybody may.
pub fn stranger(context: &dyn Context, by: &str) -> Option<String> {
    let directory = context.directory();
    if directory.users.is_empty() && !by.is_empty() {
        return None;
    }
    match directory.user(by) {
        None => Some(format!("`{by}` is not a user of the directory")),
        Some(user) if !user.active => Some(format!("`{by}` is no longer active")),
        Some(_) => None,
    }
}

impl Decision<'_> {
    /// Carries a command out, or records which rule forbids it.
    pub fn respond(&mut self, response: &Response) {
        let by = match response.by.contains(':') {
            true => response.by.clone(),
            false => typed_user(&response.by),
        };
        let rationale = response.rationale.clone().filter(|text| !text.trim().is_empty());
        let doing = Doing {
            at: response.at.min(self.world.now),
            actor: by,
            cause: Some(format!("response {}", response.id())),
            rationale,
        };
        if let Err(rule) = self.carry_out(response, &doing) {
            let command = response.command.name().to_owned();
            let data = CommandRejected { command, rule, addressed: None };
            self.record(&doing, FactData::CommandRejected(data));
        }
    }

    fn carry_out(&mut self, response: &Response, doing: &Doing) -> Result<(), String> {
        if let Some(rule) = unsupported(response.command) {
            return Err(rule);
        }
        if response.command == Command::ReportDelivery {
            return self.report_delivery(response, doing);
        }
        if let Some(rule) = stranger(self.world.context, &doing.actor) {
            return Err(rule);
        }
        if response.command == Command::Comment {
            return self.comment(doing);
        }
        if !self.incident.is_open() {
            return Err("the incident is resolved".into());
        }
        match response.command {
            Command::Acknowledge => self.acknowledge(doing),
            Command::Remediate => {
                self.remediate(response.action.unwrap_or(RemedyAction::Other), doing)
            }
            Command::Verify => self.verify(doing),
            Command::SignOff => self.sign_off(response, doing),
            Command::Resolve => self.resolve_by_command(doing),
            Command::Escalate => self.escalate(doing),
            other => Err(format!("command {} is not supported yet", other.name())),
        }
    }

    fn comment(&mut self, doing: &Doing) -> Result<(), String> {
        let detail = doing.rationale.clone().ok_or("a comment needs a rationale: its text")?;
        let data = ActionRecorded { action: "comment".into(), detail };
        self.record(doing, FactData::ActionRecorded(data));
        Ok(())
    }

    fn acknowledge(&mut self, doing: &Doing) -> Result<(), String> {
        if self.incident.state >= State::Remediated {
            return Err(format!("the incident is {} already", self.incident.state.name()));
        }
        let data = Acknowledged {
            step: self.incident.entry.step.clone(),
            climb: self.incident.entry.climb,
            expires_at: self.world.policy.ack_timeout.map(|span| doing.at + span),
        };
        self.record(doing, FactData::Acknowledged(data));
        Ok(())
    }

    fn remediate(&mut self, action: RemedyAction, doing: &Doing) -> Result<(), String> {
        if doing.rationale.is_none() {
            return Err("a remediation needs a rationale".into());
        }
        if self.incident.state == State::Verified {
            return Err("the incident is verified already".into());
        }
        if action == RemedyAction::Rollback && !self.gate_is_open("rollback", doing.at) {
            return Err("the gate rollback is not signed off".into());
        }
        let windows_seen_to = self.progress.seen_to(self.incident);
        self.record(doing, FactData::Remediated(Remediated { action, windows_seen_to }));
        if !self.incident.is_breaching() {
            self.progress.check_at = self.incident.settles_at.map(|at| at.max(self.world.now));
        }
        Ok(())
    }

    fn verify(&mut self, doing: &Doing) -> Result<(), String> {
        if self.incident.state == State::Verified {
            return Err("the incident is verified already".into());
        }
        if self.incident.is_breaching() {
            return Err("a breach is still open".into());
        }
        if let Some(class) = self.independence(|rules| &rules.verifier_not_in_team_of, doing) {
            return Err(format!("the verifier is in the team of the {class}"));
        }
        let good_windows = self.progress.good_run(self.incident);
        let data = Verified { method: "person".into(), good_windows };
        self.record(doing, FactData::Verified(data));
        self.settle(doing);
        Ok(())
    }

    fn sign_off(&mut self, response: &Response, doing: &Doing) -> Result<(), String> {
        let gate = response.gate.as_deref().ok_or("a sign-off names its gate")?;
        let gates: Vec<&SignOff> = self.gates(gate).collect();
        if gates.is_empty() {
            return Err(format!("the policy has no gate {gate} for this severity"));
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
        let approve = response.approve.unwrap_or(true);
        let before = self.incident.signatures.get(&(gate.to_owned(), doing.actor.clone()));
        if before == Some(&approve) {
            return Err(format!("{} has signed the gate {gate} already", doing.actor));
        }
        let others = self.incident.signatures.iter();
        let others = others.filter(|((g, by), yes)| g == gate && *by != doing.actor && **yes);
        let signed = u32::try_from(others.count()).unwrap_or(u32::MAX) + u32::from(approve);
        let needed = gates.iter().map(|gate| gate.minimum.max(1)).max().unwrap_or(1);
        let data = SignedOff { gate: gate.to_owned(), approve, role, signed, needed };
        self.record(doing, FactData::SignedOff(data));
        self.settle(doing);
        Ok(())
    }

    fn resolve_by_command(&mut self, doing: &Doing) -> Result<(), String> {
        if doing.rationale.is_none() {
            return Err("a resolution needs a rationale".into());
        }
        let remedy = self.incident.remediated.as_ref();
        let accepted = remedy.is_some_and(|remedy| remedy.action == RemedyAction::Accept);
        if self.incident.is_breaching() && !accepted {
            return Err(
                "a breach is still open; remediate with action accept to leave it so".into()
            );
        }
        if !accepted && self.verification().is_some() && self.incident.state != State::Verified {
            return Err("the incident is not verified".into());
        }
        if !self.gate_is_open("resolve", doing.at) {
            return Err("the gate resolve is not signed off".into());
        }
        self.resolve(doing, "command");
        Ok(())
    }

    fn escalate(&mut self, doing: &Doing) -> Result<(), String> {
        if self.incident.exhausted {
            return Err("the steps have run out".into());
        }
        if self.incident.resting {
            return Err("nothing is asked any more: the incident is remediated or clear".into());
        }
        self.advance(doing, Trigger::Requested.name());
        Ok(())
    }

    fn gates<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a SignOff> {
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
        let signatures = &self.incident.signatures;
        let refused = signatures.iter().any(|((gate, _), yes)| gate == name && !yes);
        !refused
            && self.gates(name).all(|gate| {
                let signed = signatures.iter().filter(|((of, by), yes)| {
                    let doing = Doing { actor: by.clone(), ..Doing::system(at, "") };
                    of == name
                        && **yes
                        && self.signing_role(gate, &doing).is_some()
                        && self.must_differ(gate, by).is_none()
                });
                signed.count() as u64 >= u64::from(gate.minimum.max(1))
            })
    }

    fn signing_role(&self, gate: &SignOff, doing: &Doing) -> Option<String> {
        gate.roles.iter().find(|role| self.holds(role, &doing.actor, doing.at)).cloned()
    }

    fn must_differ<'a>(&self, gate: &'a SignOff, user: &str) -> Option<&'a str> {
        let is = |who: &str| match who {
            REMEDIATOR => self.incident.remediated.as_ref().is_some_and(|r| r.by == user),
            role => self.holds(role, user, self.world.now),
        };
        gate.distinct_from.iter().map(String::as_str).find(|who| is(who))
    }

    fn holder(&self, role: &str) -> Option<&str> {
        self.world.charter.as_deref().and_then(|charter| charter.fields.owners.get(role))
    }

    /// Whoever answers for the incident counts as its primary.
    fn holds(&self, role: &str, user: &str, at: Timestamp) -> bool {
        let answers = role == "primary" && self.incident.owner.as_deref() == Some(user);
        answers
            || self
                .holder(role)
                .is_some_and(|holder| includes(self.world.context, holder, user, at))
    }

    /// The first of those named by the charter's independence class with whom
    /// the actor shares a group, or who is the actor.
    fn independence(
        &self,
        rules: impl Fn(&watchkeep_model::policy::Independence) -> &Vec<String>,
        doing: &Doing,
    ) -> Option<String> {
        let class = self.world.charter.as_deref()?.fields.independence.as_deref()?;
        let independence = self.world.policy.independence.get(class)?;
        let shares = |who: &&String| {
            let name = match who.as_str() {
                REMEDIATOR => self.incident.remediated.as_ref().map(|remedy| remedy.by.as_str()),
                role => self.holder(role),
            };
            name.is_some_and(|name| share_a_team(self.world.context, name, &doing.actor, doing.at))
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
