//! Checking that it is over: good windows, a reference, a third party.

use watchkeep_model::charter::Owners;
use watchkeep_model::incident::FactData;
use watchkeep_model::incident::data::{ActionRecorded, Informed, Verified};

use super::{Decision, Doing, includes};
use crate::schedule::{Presence, answering};
use crate::state::State;
use crate::state::people::action;

impl Decision<'_> {
    pub(super) fn verify(&mut self, doing: &Doing) -> Result<(), String> {
        if self.incident.state == State::Verified {
            return Err("the incident is verified already".into());
        }
        if self.incident.is_breaching() {
            return Err("a breach is still open".into());
        }
        if let Some(class) = self.independence(|rules| &rules.verifier_not_in_team_of, doing) {
            return Err(format!("the verifier is in the team of the {class}"));
        }
        match self.third_party() {
            None => self.verified("person", None, doing),
            Some(party) => {
                self.may_confirm(&party, doing)?;
                self.confirm(&party, doing)?;
            }
        }
        self.settle(doing);
        Ok(())
    }

    fn third_party(&self) -> Option<String> {
        self.verification().and_then(|verification| verification.third_party.clone())
    }

    /// A party of the directory or a role of the charter speaks for itself; of
    /// any other somebody passes the word on, and says what it was.
    fn may_confirm(&self, party: &str, doing: &Doing) -> Result<(), String> {
        let is_role = Owners::ROLES.contains(&party);
        let is_known = ["user:", "group:", "schedule:"].iter().any(|kind| party.starts_with(kind));
        let speaks = match (is_role, is_known) {
            (true, _) => self.speaks_as(party, &doing.actor, doing.at),
            (_, true) => includes(self.world.context, party, &doing.actor, doing.at),
            _ if doing.rationale.is_none() => {
                return Err(format!("a verification by {party} needs a rationale: what they said"));
            }
            _ => true,
        };
        match (speaks, self.incident.people.remediators.contains(&doing.actor)) {
            (true, false) => Ok(()),
            (true, true) => {
                let who = if is_role || is_known { "of" } else { "on the word of" };
                Err(format!(
                    "a third party has to verify what others did: somebody else {who} {party} may"
                ))
            }
            (false, _) => Err(format!("the policy wants {party} to verify")),
        }
    }

    /// The party's word and the good windows are both needed, in any order.
    fn confirm(&mut self, party: &str, doing: &Doing) -> Result<(), String> {
        if let Some(by) = &self.incident.people.confirmed_by {
            return Err(format!("{by} has confirmed it already; the windows are to show it"));
        }
        if self.enough_good_windows() {
            self.verified("third_party", Some(doing.actor.clone()), doing);
            return Ok(());
        }
        let wanted = self.verification().map_or(1, |v| v.good_windows.max(1));
        let seen = self.progress.good_run(self.incident);
        let detail = format!("confirmed for {party}; {seen} of {wanted} windows are good so far");
        let data = ActionRecorded::new(action::VERIFICATION_CONFIRMED, detail);
        self.record(doing, FactData::ActionRecorded(data));
        Ok(())
    }

    /// Enough windows were good: verified, unless a third party has to
    /// confirm it first. True where it is verified.
    pub(super) fn verify_by_windows(&mut self, doing: &Doing) -> bool {
        let confirmed_by = self.incident.people.confirmed_by.clone();
        match self.third_party() {
            Some(party) if confirmed_by.is_none() => {
                self.ask_third_party(&party, doing);
                false
            }
            Some(_) => {
                self.verified("third_party", confirmed_by, doing);
                true
            }
            None => {
                self.verified("good_windows", None, doing);
                true
            }
        }
    }

    fn ask_third_party(&mut self, party: &str, doing: &Doing) {
        if self.incident.people.is_third_party_asked {
            return;
        }
        let name = self.holder(party).unwrap_or(party).to_owned();
        let target = match answering(self.world.context.directory(), &name, doing.at) {
            Presence::Present(user) => user,
            Presence::Nobody(_) => name,
        };
        let data = ActionRecorded {
            informed: vec![Informed { target, role: "third_party".into() }],
            ..ActionRecorded::new(
                action::VERIFICATION_ASKED,
                format!("the windows are good; {party} has to confirm it"),
            )
        };
        self.record(doing, FactData::ActionRecorded(data));
    }

    fn verified(&mut self, method: &str, confirmed_by: Option<String>, doing: &Doing) {
        let good_windows = self.progress.good_run(self.incident);
        let data = Verified { method: method.to_owned(), good_windows, confirmed_by };
        self.record(doing, FactData::Verified(data));
    }
}
