//! Which incidents a command is about, and which commands were carried out
//! before.

use std::collections::VecDeque;

use watchkeep_model::identifier::key_of;
use watchkeep_model::incident::Fact;
use watchkeep_model::response::{Command, Response};
use watchkeep_model::subject::typed;

use super::Escalate;
use super::kept::Lookup;
use crate::state::State;

/// Commands that are remembered, so that one that is sent twice has one
/// effect. Beyond it the oldest is forgotten: its repeat is judged anew, and
/// mostly refused by what it did the first time.
const ANSWERED_MAX: usize = 20_000;

/// Shortest beginning of an identifier that stands for an incident.
const BEGINNING_MIN: usize = 4;

/// What causes of facts begin with that follow from a command.
const CAUSE: &str = "response ";

/// Commands that facts tell of, by what stands for their identifiers: texts of
/// their own lie all over the memory.
#[derive(Clone, Debug, Default)]
pub(super) struct Answered {
    known: Lookup<u128, ()>,
    order: VecDeque<u128>,
}

impl Answered {
    pub(super) fn contains(&self, id: &str) -> bool {
        self.known.contains_key(&key_of(id))
    }

    /// Takes in the command that led to a fact.
    pub(super) fn note(&mut self, fact: &Fact) {
        let id = fact.cause.as_deref().and_then(|cause| cause.strip_prefix(CAUSE));
        let Some(id) = id.map(key_of) else { return };
        if self.order.back() == Some(&id) || self.known.insert(id, ()).is_some() {
            return;
        }
        self.order.push_back(id);
        if self.order.len() > ANSWERED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

impl Escalate {
    /// The incidents that a command is about, by identifier, or why there are
    /// none. An identifier may be cut where one incident alone begins so. A
    /// subject stands for the open incidents with that root; of a review or a
    /// closing for those that are resolved and not closed, of a word about it
    /// for the latest where none is open.
    pub(super) fn addressed(&self, response: &Response) -> Result<Vec<String>, String> {
        if let Some(id) = &response.incident {
            return self.named(id).map(|id| vec![id]);
        }
        let Some(root) = response.subject.as_deref().map(typed) else {
            return Err("the command names neither an incident nor a subject".into());
        };
        let of_root = || self.incidents.values().filter(|incident| incident.root == root);
        let (ids, rule): (Vec<String>, _) = match response.command {
            Command::Review | Command::Close => {
                let over = |state| matches!(state, State::Resolved | State::Reviewed);
                let ids = of_root().filter(|one| over(one.state)).map(|one| one.id.clone());
                (ids.collect(), "no resolved incident has this root")
            }
            Command::Complete => {
                let reviewed = of_root().filter(|one| !one.people.open_actions.is_empty());
                let ids = reviewed.map(|one| one.id.clone());
                (ids.collect(), "no incident with this root has an open action")
            }
            Command::Comment | Command::Feedback => {
                let mut ids = self.index.open_of_root(&root);
                if ids.is_empty() {
                    let latest = of_root().max_by_key(|one| (one.opened_at, &one.id));
                    ids.extend(latest.map(|one| one.id.clone()));
                }
                (ids, "no incident has this root")
            }
            _ => (self.index.open_of_root(&root), "no open incident has this root"),
        };
        if ids.is_empty() { Err(rule.into()) } else { Ok(ids) }
    }

    pub(super) fn named(&self, id: &str) -> Result<String, String> {
        if self.incidents.contains(id) {
            return Ok(id.to_owned());
        }
        let none = || Err("there is no such incident".to_owned());
        if id.len() < BEGINNING_MIN {
            return Err(format!(
                "{id} is too short for an incident: give at least {BEGINNING_MIN} characters"
            ));
        }
        let mut found = self.incidents.beginning_with(id);
        match (found.next(), found.next()) {
            (Some(one), None) => Ok(one.to_owned()),
            (Some(_), Some(_)) => Err(format!("more than one incident begins with {id}")),
            _ => none(),
        }
    }
}
