//! Commands about charters: `propose`, `approve`, `reject` and remarks. What
//! each of them leads to, or the rule that forbids it.
//!
//! It does not matter where a command comes from. The command line decides on
//! a log that nobody holds, a service on what comes by HTTP and by the
//! responses topic; both ask here.

use watchkeep_model::charter::CharterDocument;
use watchkeep_model::document::{Documents, Level, Located};
use watchkeep_model::identifier::derived;
use watchkeep_model::json;
use watchkeep_model::response::{Command, Response};
use watchkeep_model::revision::{PublicationSize, Revision, RevisionKind};
use watchkeep_model::subject::{has_type, typed};
use watchkeep_model::time::{TimeSpan, Timestamp};

use super::gate::{self, Requirement};
use super::guard;
use super::{Contents, Difference, Proposal, ProposalState, Publications, changes};
use crate::command;
use crate::decide::respond::stranger;
use crate::registry::Registry;
use crate::schedule::typed_user;

/// Bytes of one fact that a command may lead to, as JSON. What is larger is
/// not taken by every log; propose fewer charters at once.
pub const FACT_BYTES_MAX: usize = 900_000;

/// Why nobody can approve a proposal any more.
pub(super) const OUTRUN: &str = "the charters were changed since it was proposed: propose it anew";

/// What is known when a command is decided.
#[derive(Clone, Copy, Debug)]
pub struct Desk<'a> {
    /// What was published and proposed.
    pub publications: &'a Publications,
    /// The registry that follows from it.
    pub registry: &'a Registry,
    /// The smallest slice of time, which windows of expectations are checked by.
    pub pane: TimeSpan,
}

/// What a command leads to.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided {
    /// Facts of the charters topic, in order. They hold together.
    pub revisions: Vec<Revision>,
    /// What they are about: a proposal's identifier, or a subject.
    pub about: String,
}

/// Why a command leads to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// It cannot be meant: something of it is missing or wrong. Mend it.
    #[error("{0}")]
    Fault(String),
    /// A rule is against it. Worth being kept.
    #[error("{0}")]
    Rule(String),
}

/// What causes of facts are called that follow from a command.
pub fn cause_of(response: &Response) -> String {
    format!("response {}", response.id())
}

impl Desk<'_> {
    /// Decides a command about charters. `documents` are those of a proposal,
    /// read, or what is wrong with them. The time that counts is `now`: nobody
    /// gets round a freeze by dating a command back.
    ///
    /// # Errors
    /// [`Forbidden`].
    pub fn decide(
        &self,
        response: &Response,
        documents: Result<Vec<CharterDocument>, String>,
        now: Timestamp,
    ) -> Result<Decided, Forbidden> {
        command::check(response).map_err(|fault| Forbidden::Fault(fault.what))?;
        let act = Act { response, by: typed_user_of(&response.by), now };
        if let Some(rule) = stranger(self.registry, &act.by) {
            return Err(Forbidden::Rule(rule));
        }
        let decided = match response.command {
            Command::Propose => self.propose(&act, documents.map_err(Forbidden::Fault)?),
            Command::Approve => self.approve(&act),
            Command::Reject => self.reject(&act),
            Command::Comment => self.comment(&act),
            other => {
                let name = other.name();
                Err(Forbidden::Fault(format!("command {name} is not about charters")))
            }
        }?;
        let is_large = |fact: &Revision| json::to_line(fact).len() > FACT_BYTES_MAX;
        if decided.revisions.iter().any(is_large) {
            let what = format!(
                "a fact of it would have more than {FACT_BYTES_MAX} bytes: propose fewer charters \
                 at once, or publish the folder"
            );
            return Err(Forbidden::Fault(what));
        }
        Ok(decided)
    }

    /// The fact that a rule forbade a command, under the name of what it is about.
    pub fn refusal(&self, response: &Response, rule: &str, now: Timestamp) -> Revision {
        let act = Act { response, by: typed_user_of(&response.by), now };
        let name = match response.command {
            Command::Propose => response
                .subject
                .as_deref()
                .map_or_else(|| derived(&["proposal", &response.at.to_string(), &act.by]), typed),
            _ => self.addressed(response).unwrap_or_else(|_| {
                let about = [&response.proposal, &response.charter, &response.subject];
                about.into_iter().flatten().next().cloned().unwrap_or_default()
            }),
        };
        let content = serde_json::json!({"command": response.command.name(), "rule": rule});
        Revision { content, ..act.fact(RevisionKind::Refusal, &name, &name) }
    }

    fn propose(
        &self,
        act: &Act<'_>,
        documents: Vec<CharterDocument>,
    ) -> Result<Decided, Forbidden> {
        let differences = differences(&self.publications.newest(), &documents);
        if differences.is_empty() {
            return Err(Forbidden::Fault("the charters are what was published".into()));
        }
        if let Some(subject) = act.response.subject.as_deref().map(typed)
            && let Some(other) = documents.iter().find(|document| document.subject != subject)
        {
            let other = &other.subject;
            let what = format!("the command is about {subject}, and a document about {other}");
            return Err(Forbidden::Fault(what));
        }
        let after = self.after(&differences).map_err(Forbidden::Fault)?;
        let (registries, from) = ([self.registry, &after], act.response.effective_from);
        if let Some(rule) = gate::frozen_later(registries, &differences, act.now, from) {
            return Err(Forbidden::Rule(rule));
        }
        let lines: Vec<String> = differences.iter().map(|d| json::to_line(&d.after)).collect();
        let at = act.response.at.to_string();
        let id = derived(&["proposal", &at, &act.by, &lines.join("\n")]);
        let fact = Revision {
            effective_from: act.response.effective_from,
            change_ticket: act.response.change_ticket.clone(),
            content: serde_json::json!({"documents": documents, "before": before(&differences)}),
            ..act.fact(RevisionKind::Proposal, &id, &id)
        };
        Ok(self.decided(id, vec![fact]))
    }

    fn approve(&self, act: &Act<'_>) -> Result<Decided, Forbidden> {
        let id = self.addressed(act.response)?;
        let proposal = &self.publications.proposals()[&id];
        let complete = self.approval(proposal, act).map_err(Forbidden::Rule)?;
        let mut facts = Vec::new();
        if !proposal.approvers().contains(act.by.as_str()) {
            facts.push(act.fact(RevisionKind::Approval, &id, &id));
        }
        if let Some(differences) = complete {
            facts.extend(self.publication(proposal, &differences, act));
        }
        Ok(self.decided(id, facts))
    }

    fn reject(&self, act: &Act<'_>) -> Result<Decided, Forbidden> {
        let id = self.addressed(act.response)?;
        let proposal = &self.publications.proposals()[&id];
        if proposal.state != ProposalState::Pending {
            let what = format!("the proposal is {} already", proposal.state.name());
            return Err(Forbidden::Rule(what));
        }
        // Whoever may approve may reject, also what they approved, and in a
        // freeze, for a rejection changes nothing; who proposed it may take it
        // back, and anybody may clear away what nobody can approve any more.
        let differences = differences(&self.publications.newest(), &documents(proposal));
        let is_own = proposal.fact.by == act.by;
        if !is_own
            && !rests_on_other(proposal, &differences)
            && let Ok(after) = self.after(&differences)
        {
            let requirements = self.requirements(proposal, &differences, &after);
            eligible(&requirements, act, "reject").map_err(Forbidden::Rule)?;
        }
        Ok(self.decided(id.clone(), vec![act.fact(RevisionKind::Rejection, &id, &id)]))
    }

    fn comment(&self, act: &Act<'_>) -> Result<Decided, Forbidden> {
        let name = match &act.response.charter {
            Some(name) if has_type(name) => name.clone(),
            Some(name) => typed(name),
            None => self.addressed(act.response)?,
        };
        Ok(self.decided(name.clone(), vec![act.fact(RevisionKind::Comment, &name, &name)]))
    }

    /// The proposal that a command is about: the one of which the identifier
    /// begins so, or the only pending one that changes the subject.
    ///
    /// # Errors
    /// There is none, or more than one.
    pub fn addressed(&self, response: &Response) -> Result<String, Forbidden> {
        let proposals = self.publications.proposals();
        if let Some(begin) = &response.proposal {
            let found: Vec<&String> = proposals.keys().filter(|id| id.starts_with(begin)).collect();
            return match found[..] {
                [id] if !begin.is_empty() => Ok(id.clone()),
                [] => Err(Forbidden::Fault(format!(
                    "there is no proposal {begin}: see `watchkeep charters proposals`"
                ))),
                _ => Err(Forbidden::Fault(format!(
                    "{begin} begins several proposals: write more of the identifier"
                ))),
            };
        }
        let subject = typed(response.subject.as_deref().unwrap_or_default());
        let pending = proposals.iter().filter(|(_, one)| one.state == ProposalState::Pending);
        let found: Vec<&String> =
            pending.filter(|(_, one)| one.concerns(&subject)).map(|(id, _)| id).collect();
        match found[..] {
            [id] => Ok(id.clone()),
            [] => Err(Forbidden::Fault(format!("no pending proposal changes {subject}"))),
            _ => Err(Forbidden::Fault(format!(
                "{} pending proposals change {subject}: name one as `proposal`",
                found.len()
            ))),
        }
    }

    /// Whether somebody may approve a proposal now; if so what is to be
    /// published, where nothing is missing with their approval.
    fn approval(
        &self,
        proposal: &Proposal,
        act: &Act<'_>,
    ) -> Result<Option<Vec<Difference>>, String> {
        if proposal.state != ProposalState::Pending {
            return Err(format!("the proposal is {} already", proposal.state.name()));
        }
        let differences = differences(&self.publications.newest(), &documents(proposal));
        if rests_on_other(proposal, &differences) {
            return Err(OUTRUN.into());
        }
        let after = self.after(&differences)?;
        let from = proposal.fact.effective_from;
        if let Some(rule) = gate::frozen([self.registry, &after], &differences, act.now, from) {
            return Err(rule);
        }
        let requirements = self.requirements(proposal, &differences, &after);
        let mut approvers = proposal.approvers();
        let is_missing = |approvers: &_| requirements.iter().any(|r| r.missing(approvers) > 0);
        // Nobody counts twice; where nothing is missing, approving again publishes
        // what was left unpublished.
        if approvers.contains(act.by.as_str()) && is_missing(&approvers) {
            return Err(format!("{} has approved it already: another person has to", act.by));
        }
        eligible(&requirements, act, "approve")?;
        approvers.insert(&act.by);
        Ok((!is_missing(&approvers)).then_some(differences))
    }

    /// True where the charters are not any more what the proposal would change.
    pub(super) fn is_outrun(&self, proposal: &Proposal) -> bool {
        rests_on_other(proposal, &differences(&self.publications.newest(), &documents(proposal)))
    }

    pub(super) fn requirements(
        &self,
        proposal: &Proposal,
        differences: &[Difference],
        after: &Registry,
    ) -> Vec<Requirement> {
        let registries = [self.registry, after];
        let by = &proposal.fact.by;
        let mut found = gate::requirements(registries, differences, by, true);
        found.extend(guard::of_charters(registries, differences, by));
        found
    }

    /// The registry with a change, which must be without errors.
    ///
    /// # Errors
    /// The errors.
    pub(super) fn after(&self, differences: &[Difference]) -> Result<Registry, String> {
        let contents = self.publications.newest().with(differences);
        let (registry, findings) = Registry::new(contents.documents(), self.pane);
        let errors: Vec<String> = findings
            .iter()
            .filter(|finding| finding.severity == Level::Error)
            .map(|finding| format!("{}: {}: {}", finding.document, finding.field, finding.message))
            .collect();
        match errors.len() {
            0 => Ok(registry),
            count => Err(format!("the charters would have {count} errors:\n{}", errors.join("\n"))),
        }
    }

    /// What makes a proposal hold, in the name of who proposed it.
    fn publication(
        &self,
        proposal: &Proposal,
        differences: &[Difference],
        act: &Act<'_>,
    ) -> Vec<Revision> {
        let id = &proposal.fact.publication;
        let fact = |kind, name: &str| Revision {
            by: proposal.fact.by.clone(),
            change_ticket: proposal.fact.change_ticket.clone(),
            rationale: proposal.fact.rationale.clone(),
            ..act.fact(kind, id, name)
        };
        let from = self.publications.stamp(proposal.fact.effective_from, act.now);
        let charters = differences.iter().map(|difference| Revision {
            effective_from: from,
            content: difference.after.clone(),
            ..fact(difference.kind, &difference.name)
        });
        let mut facts: Vec<Revision> = charters.collect();
        let size = PublicationSize { charters: facts.len() as u64, ..PublicationSize::default() };
        let content = serde_json::to_value(size).unwrap_or_default();
        facts.push(Revision { content, ..fact(RevisionKind::Publication, id) });
        facts
    }

    fn decided(&self, about: String, mut revisions: Vec<Revision>) -> Decided {
        for fact in &mut revisions {
            fact.base = fact.kind.is_head().then_some(self.publications.head());
        }
        Decided { revisions, about }
    }
}

/// A command and when it is decided.
struct Act<'a> {
    response: &'a Response,
    by: String,
    now: Timestamp,
}

impl Act<'_> {
    fn fact(&self, kind: RevisionKind, publication: &str, name: &str) -> Revision {
        let rationale = self.response.rationale.clone();
        Revision {
            publication: publication.to_owned(),
            kind,
            name: name.to_owned(),
            at: self.now,
            by: self.by.clone(),
            effective_from: None,
            base: None,
            change_ticket: None,
            rationale: rationale.filter(|text| !text.trim().is_empty()),
            cause: Some(cause_of(self.response)),
            content: serde_json::Value::Null,
        }
    }
}

fn typed_user_of(by: &str) -> String {
    if by.contains(':') { by.to_owned() } else { typed_user(by) }
}

/// The documents that a proposal would bring in.
pub(super) fn documents(proposal: &Proposal) -> Vec<CharterDocument> {
    let documents = proposal.fact.content.get("documents").cloned().unwrap_or_default();
    serde_json::from_value(documents).unwrap_or_default()
}

/// What charters change of what is published, other subjects left as they are.
pub(super) fn differences(contents: &Contents, documents: &[CharterDocument]) -> Vec<Difference> {
    let located = |value: &CharterDocument| Located { value: value.clone(), ..Located::default() };
    let charters = documents.iter().map(located).collect();
    let folder = Documents { charters, ..Documents::default() };
    changes(contents, &folder, false)
}

/// Some gate lets whoever acts through.
///
/// # Errors
/// Why the first does not.
fn eligible(requirements: &[Requirement], act: &Act<'_>, what: &str) -> Result<(), String> {
    let refusals: Vec<String> =
        requirements.iter().filter_map(|one| one.refusal(&act.by, what)).collect();
    if refusals.len() == requirements.len() {
        return Err(refusals.into_iter().next().unwrap_or_default());
    }
    Ok(())
}

fn rests_on_other(proposal: &Proposal, differences: &[Difference]) -> bool {
    proposal.fact.content.get("before") != Some(&before(differences))
}

/// What was there before a change, by name: a proposal rests on it.
fn before(differences: &[Difference]) -> serde_json::Value {
    serde_json::json!(differences.iter().map(|d| (&d.name, &d.before)).collect::<Vec<_>>())
}
