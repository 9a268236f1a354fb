//! Somebody else shall answer: a person puts another in the owner's place.

use watchkeep_model::incident::FactData;
use watchkeep_model::incident::data::{Link, OwnerResolved};
use watchkeep_model::response::Response;

use super::{Decision, Doing, ON_EXHAUSTED};
use crate::owner;
use crate::schedule::{Presence, answering, typed_user};
use crate::state::people::{HANDOFF, REASSIGNED};

impl Decision<'_> {
    /// Whoever is named stays the owner, whatever the chain says, as long as
    /// they can answer. They are notified at once, or with the step where it
    /// waits for working hours.
    pub(super) fn reassign(&mut self, response: &Response, doing: &Doing) -> Result<(), String> {
        let to = response.to.as_deref().unwrap_or_default();
        let to = if to.contains(':') { to.to_owned() } else { typed_user(to) };
        let directory = self.world.context.directory();
        let user = match answering(directory, &to, doing.at) {
            Presence::Present(user) => user,
            // Without a directory everybody is taken to be there.
            Presence::Nobody(_) if directory.users.is_empty() && to.starts_with("user:") => {
                to.clone()
            }
            Presence::Nobody(why) => return Err(format!("`{to}` cannot answer: {why}")),
        };
        if self.incident.owner.as_ref() == Some(&user) {
            return Err(format!("{user} answers already"));
        }
        let charter = self.world.charter.as_deref();
        if let Some(why) = owner::conflict(charter, self.world.context, &user, doing.at) {
            return Err(format!("{user} {why}"));
        }
        self.assign(&to, user, doing);
        if self.incident.entered {
            let _ = self.hand_over(&doing.at(self.world.now), &[]);
        }
        Ok(())
    }

    fn assign(&mut self, to: &str, user: String, doing: &Doing) {
        let outcome = if to == user { "answers".into() } else { format!("answers: {user}") };
        let link = Link { link: REASSIGNED.into(), tried: Some(to.to_owned()), outcome };
        let data = OwnerResolved {
            owner: Some(user),
            unowned: false,
            resolution: vec![link],
            method: Some(REASSIGNED.into()),
        };
        self.record(doing, FactData::OwnerResolved(data));
        self.match_silences(doing);
    }

    /// Whom a person put in the owner's place, where they can answer now; the
    /// owner chain is asked otherwise.
    pub(super) fn assigned_owner(&mut self, doing: &Doing) -> Option<String> {
        let to = self.incident.people.assigned.clone()?;
        let directory = self.world.context.directory();
        let user = match answering(directory, &to, doing.at) {
            Presence::Present(user) => user,
            Presence::Nobody(_) if directory.users.is_empty() => to.clone(),
            Presence::Nobody(_) => return None,
        };
        if self.incident.owner.as_ref() != Some(&user) {
            self.assign(&to, user.clone(), doing);
        }
        Some(user)
    }

    /// Notifies whoever was put in the owner's place and does not know of it
    /// yet, by their own contacts.
    pub(super) fn hand_over(&mut self, doing: &Doing, notified: &[String]) -> Option<String> {
        let people = &self.incident.people;
        if people.assigned.is_none() || people.handed_over {
            return None;
        }
        let user = self.incident.owner.clone().filter(|user| !notified.contains(user))?;
        let exhausted = self.incident.exhausted;
        let step = if exhausted { ON_EXHAUSTED } else { &self.incident.entry.step }.to_owned();
        let repeat_at = self.incident.repeats_at();
        self.notify(doing, &step, &[], &user, "primary", HANDOFF, repeat_at);
        Some(user)
    }
}
