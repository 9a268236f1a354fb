//! Rolling back: a criterion of the charter that is met proposes it, the gate
//! `rollback` orders it, and from then on it has its own deadline.

use std::collections::BTreeSet;

use watchkeep_model::breach::Breach;
use watchkeep_model::incident::FactData;
use watchkeep_model::incident::data::{ActionRecorded, Informed};
use watchkeep_model::subject::typed;

use super::{Decision, Doing, lateness_us};
use crate::schedule::{Presence, answering};
use crate::state::people::{NOT_ROLLED_BACK, action};

/// The gate that a rollback waits for.
pub(super) const ROLLBACK: &str = "rollback";

impl Decision<'_> {
    /// A breached criterion proposes the rollback; people decide. Whoever may
    /// sign the gate is told of the first proposal.
    pub(super) fn propose_rollback(&mut self, breach: &Breach, doing: &Doing) {
        let charter = self.world.context.charter(&typed(&breach.feature), breach.window_end);
        let Some(charter) = charter else { return };
        let rollback = &charter.fields.rollback;
        let criteria = rollback.criteria.as_deref().unwrap_or_default();
        if !criteria.contains(&breach.expectation) {
            return;
        }
        let how = rollback.procedure.as_ref().map_or_else(String::new, |link| format!(": {link}"));
        let detail = format!(
            "{} of {} is a criterion for rolling back{how}",
            breach.expectation, breach.feature
        );
        let told = self.incident.people.rollback_proposed;
        let informed = if told { Vec::new() } else { self.signers(doing) };
        let data =
            ActionRecorded { informed, ..ActionRecorded::new(action::ROLLBACK_PROPOSED, detail) };
        self.record(doing, FactData::ActionRecorded(data));
    }

    /// Who may sign the gate now, each once; the owner where there is no gate.
    fn signers(&self, doing: &Doing) -> Vec<Informed> {
        let directory = self.world.context.directory();
        let gates: Vec<_> = self.gates(ROLLBACK).collect();
        let mut known = BTreeSet::new();
        let mut informed = Vec::new();
        for role in gates.iter().flat_map(|gate| &gate.roles) {
            let user = match role.as_str() {
                "primary" => self.incident.owner.clone(),
                role => self.holder(role).and_then(|holder| {
                    match answering(directory, holder, doing.at) {
                        Presence::Present(user) => Some(user),
                        Presence::Nobody(_) => None,
                    }
                }),
            };
            let user = user.filter(|user| known.insert(user.clone()));
            informed.extend(user.map(|target| Informed { target, role: role.clone() }));
        }
        if gates.is_empty() {
            let owner = self.incident.owner.clone();
            informed.extend(owner.map(|target| Informed { target, role: "primary".into() }));
        }
        informed
    }

    /// No step is left to ask: those who are told of exhaustion are told.
    pub(super) fn rollback_is_overdue(&mut self, doing: &Doing) {
        let data = ActionRecorded {
            due_at: Some(doing.at),
            late_by_us: lateness_us(doing.at, self.world.now),
            ..ActionRecorded::new(action::ROLLBACK_OVERDUE, "it was signed off and is not done")
        };
        self.record(doing, FactData::ActionRecorded(data));
        let _ = self.notify_exhausted(&doing.at(self.world.now), NOT_ROLLED_BACK);
    }

    /// The deadline of `rollback.within`, once the gate is open.
    pub(super) fn order_rollback(&mut self, doing: &Doing) {
        let within = self.world.charter.as_deref().and_then(|c| c.fields.rollback.within);
        let Some(within) = within else { return };
        let is_due = self.incident.people.rollback_by.is_some();
        if is_due || self.incident.resting {
            return;
        }
        self.lapse_refusals(ROLLBACK, doing);
        if !self.gate_is_open(ROLLBACK, doing.at) {
            return;
        }
        let due_at = doing.at + within;
        let detail = format!("signed off, to be rolled back by {due_at}");
        let data = ActionRecorded {
            due_at: Some(due_at),
            ..ActionRecorded::new(action::ROLLBACK_ORDERED, detail)
        };
        self.record(doing, FactData::ActionRecorded(data));
    }
}
