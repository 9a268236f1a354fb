//! What incidents must do, worked out anew from the policy: which facts may
//! follow which, when a step is due and who is told.
//!
//! It looks at facts only, and shares no code with the crate that decides. It
//! cannot know at which moment a stage was able to look at its clock, so it
//! holds what does not depend on that: nothing fires before it is due, nothing
//! but the earliest deadline fires, each step tells whom it must, and at the
//! end nothing that was due is left.

mod incident;

use std::collections::BTreeMap;

use watchkeep_model::charter::ExpectationKind;
use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::time::Timestamp;

use self::incident::Incident;
use super::Violation;
use super::plan::{Ladder, Plan};
use super::watch::linked;

/// The policy in words of facts, and who owns what.
#[derive(Clone, Debug, Default)]
struct Policy {
    ladder: Ladder,
    /// The primary owner of each feature, by typed name.
    owners: BTreeMap<String, String>,
}

/// Every incident of the log.
#[derive(Default)]
pub(super) struct Incidents {
    policy: Policy,
    incidents: BTreeMap<String, Incident>,
    /// The last fact of chains that belong to no incident.
    desks: BTreeMap<String, Fact>,
    /// Breaches that were attached, and to which incident.
    attached: BTreeMap<String, String>,
}

impl Incidents {
    pub(super) fn new(plan: &Plan) -> Self {
        let owner = |feature: &super::plan::Feature| {
            (format!("feature:{}", feature.name), format!("user:{}", feature.primary))
        };
        let policy = Policy {
            ladder: plan.deployment.ladder.clone(),
            owners: plan.features.iter().map(owner).collect(),
        };
        Self { policy, ..Self::default() }
    }

    /// How many pages each incident's facts tell of.
    pub(super) fn notified(&self) -> BTreeMap<String, u64> {
        let all = self.incidents.iter().filter(|(_, incident)| incident.notified > 0);
        all.map(|(id, incident)| (id.clone(), incident.notified)).collect()
    }

    pub(super) fn count(&self) -> usize {
        self.incidents.len()
    }

    /// Takes in the next fact of the log.
    pub(super) fn fact(&mut self, fact: Fact) -> Result<(), Violation> {
        let id = fact.incident_id.clone();
        let wrong =
            |why: &str| Violation::new("incidents follow their policy", format!("{why}: {fact:?}"));
        if let FactData::Opened(opened) = &fact.data {
            let number = self.incidents.len();
            if self.incidents.contains_key(&id) {
                return Err(wrong("an incident opens once"));
            }
            linked(None, &fact)?;
            if opened.kind == ExpectationKind::Platform {
                let incident = Incident::begin(&fact, &opened.root, &opened.group_key, number);
                self.incidents.insert(id, incident);
                return Ok(());
            }
            self.may_open(&opened.group_key, opened.due_at).map_err(|why| wrong(&why))?;
            let owner = self.policy.owners.get(&opened.root);
            if opened.owner.as_ref() != owner || opened.unowned {
                return Err(wrong("the charter names another owner"));
            }
            if fact.recorded_at < opened.due_at {
                return Err(wrong("breaches are held for group_wait"));
            }
            let mut incident = Incident::begin(&fact, &opened.root, &opened.group_key, number);
            incident
                .enter(&self.policy.ladder, 0, 1, &opened.entry, &fact)
                .map_err(|w| wrong(&w))?;
            self.incidents.insert(id, incident);
            return Ok(());
        }
        let Some(incident) = self.incidents.get_mut(&id) else {
            linked(self.desks.get(&id), &fact)?;
            if !matches!(fact.data, FactData::CommandRejected(_)) {
                return Err(wrong("only a refusal belongs to no incident"));
            }
            self.desks.insert(id, fact);
            return Ok(());
        };
        linked(Some(&incident.last), &fact)?;
        if let FactData::BreachAttached(data) = &fact.data {
            if self.attached.insert(data.breach_id.clone(), id).is_some() {
                return Err(wrong("a breach belongs to one incident, once"));
            }
            let opens = matches!(incident.last.data, FactData::Opened(_));
            let held_until = data.detected_at + self.policy.ladder.group_wait;
            if opens && !incident.is_of_the_platform && incident.last.occurred_at < held_until {
                return Err(wrong("breaches are held for group_wait"));
            }
        }
        if incident.is_of_the_platform {
            incident.follow_freely(&fact).map_err(|why| wrong(&why))?;
        } else {
            incident.follow(&self.policy, &fact).map_err(|why| wrong(&why))?;
        }
        incident.last = fact;
        Ok(())
    }

    /// A group has one open incident, and one that ended a short time ago is reopened.
    fn may_open(&self, group: &str, due_at: Timestamp) -> Result<(), String> {
        let known_at = due_at - self.policy.ladder.group_wait;
        let others = self.incidents.values().filter(|other| other.group == group);
        if let Some(open) = others.clone().find(|other| !other.is_resolved) {
            return Err(format!("incident {} of the group is open", open.last.incident_id));
        }
        let latest = others.max_by_key(|other| other.number);
        let reopens = latest.filter(|one| one.reopens_until.is_some_and(|until| known_at <= until));
        reopens.map_or(Ok(()), |latest| {
            Err(format!("incident {} was to be reopened", latest.last.incident_id))
        })
    }

    /// The incident that a breach was attached to, and whether it counts as
    /// open there.
    pub(super) fn of_breach(&self, breach_id: &str) -> Option<bool> {
        let incident = self.incidents.get(self.attached.get(breach_id)?)?;
        Some(incident.open.contains(breach_id))
    }

    /// Every breach that was attached.
    pub(super) fn attached(&self) -> impl Iterator<Item = &str> {
        self.attached.keys().map(String::as_str)
    }

    /// At the end of a run nothing that is due is left.
    pub(super) fn end(&self, now: Timestamp) -> Result<(), Violation> {
        for (id, incident) in &self.incidents {
            let left = |why: &str| {
                let last = &incident.last;
                Err(Violation::new(
                    "nothing that is due is left",
                    format!("incident {id} at {now}: {why}, the last fact is {last:?}"),
                ))
            };
            if incident.owes_notice {
                return left("nobody was told of its step");
            }
            if incident.is_resolved || incident.is_of_the_platform {
                continue;
            }
            if incident.open.is_empty() {
                return left("no breach is open and it is not resolved");
            }
            if let Some((due_at, what)) = incident.next().filter(|(due_at, _)| *due_at <= now) {
                return left(&format!("{what} was due at {due_at}"));
            }
        }
        Ok(())
    }
}
