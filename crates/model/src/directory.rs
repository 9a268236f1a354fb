//! People, groups, rotas, systems and domains: who there is, whom to ask, and
//! what belongs to what.
//!
//! The maps are keyed by bare names (`ada`), fields that point at people hold
//! typed ones (`user:ada`, `group:flight-data`, `schedule:flight-data`);
//! `system`, `domain` and `parent` hold bare names of the directory.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::time::{TimeSpan, Timestamp};

/// The types that the name of somebody who answers may have.
pub const PERSON_TYPES: [&str; 3] = ["user", "group", "schedule"];

/// Systems or domains in one another that are asked; a cycle ends here too.
const PARENTS_MAX: usize = 8;

/// Everybody and everything that charters and policies may name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Directory {
    /// People, by name.
    pub users: BTreeMap<String, User>,
    /// Groups, by name.
    pub groups: BTreeMap<String, Group>,
    /// Rotas, by name.
    pub schedules: BTreeMap<String, Schedule>,
    /// Systems, by name.
    pub systems: BTreeMap<String, System>,
    /// Domains, by name.
    pub domains: BTreeMap<String, Domain>,
    /// The last resort of every owner chain, a typed name.
    pub governance: Option<String>,
    /// Absences of people that may be defined in other documents, as calendars
    /// are imported; where documents are joined they are added to their users.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub absences: Vec<AbsenceOf>,
    /// The same of exceptions to rotas, behind those that the rota has itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<OverrideOf>,
}

impl Directory {
    /// The user of a typed or bare name; `None` for groups, schedules and unknown names.
    pub fn user(&self, name: &str) -> Option<&User> {
        self.users.get(name.strip_prefix("user:").unwrap_or(name))
    }

    /// The group of a typed or bare name.
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.get(name.strip_prefix("group:").unwrap_or(name))
    }

    /// The domain that a system belongs to: its own, else that of the nearest
    /// system above which has one.
    pub fn domain_of_system(&self, name: &str) -> Option<&str> {
        let mut next = Some(name);
        for _ in 0..PARENTS_MAX {
            let system = self.systems.get(next?)?;
            if let Some(domain) = &system.domain {
                return Some(domain);
            }
            next = system.parent.as_deref();
        }
        None
    }

    /// The domain whose alert budget a charter's tests come out of: its own or,
    /// where it names none, its system's, or the nearest one above with a budget.
    pub fn alert_budget(
        &self,
        domain: Option<&str>,
        system: Option<&str>,
    ) -> Option<(&str, &AlertBudget)> {
        let mut next = domain.or_else(|| self.domain_of_system(system?));
        for _ in 0..PARENTS_MAX {
            let (name, domain) = self.domains.get_key_value(next?)?;
            if let Some(budget) = &domain.alert_budget {
                return Some((name, budget));
            }
            next = domain.parent.as_deref();
        }
        None
    }

    /// The schedule of a typed or bare name.
    pub fn schedule(&self, name: &str) -> Option<&Schedule> {
        self.schedules.get(name.strip_prefix("schedule:").unwrap_or(name))
    }
}

/// A person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct User {
    /// As people say it.
    pub name: Option<String>,
    /// How to reach them, in order of preference.
    pub contacts: Vec<Contact>,
    /// When they are away.
    pub absences: Vec<Absence>,
    /// False for somebody who has left; they are never notified.
    pub active: bool,
    /// IANA name of their time zone; absent is UTC.
    pub zone: Option<String>,
    /// Open incidents that they can look after at once; absent is any number.
    pub max_open: Option<u32>,
}

impl Default for User {
    fn default() -> Self {
        Self {
            name: None,
            contacts: Vec::new(),
            absences: Vec::new(),
            active: true,
            zone: None,
            max_open: None,
        }
    }
}

impl User {
    /// The absence that holds at an instant; of several, the one that ends last.
    pub fn absence(&self, at: Timestamp) -> Option<&Absence> {
        self.absences.iter().filter(|a| a.from <= at && at < a.to).max_by_key(|a| a.to)
    }
}

/// An absence with whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AbsenceOf {
    /// Who is away, a typed name.
    pub user: String,
    /// When.
    #[serde(flatten)]
    pub absence: Absence,
}

/// An exception with the rota that it is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverrideOf {
    /// The rota, a typed name.
    pub schedule: String,
    /// Who is on duty instead, and when.
    #[serde(flatten)]
    pub exception: Override,
}

/// A way to reach somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// What carries the message, for example `pagerduty` or `email`.
    pub tool: String,
    /// The address in that tool.
    pub to: String,
}

/// A time away, `[from, to)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absence {
    /// First instant away.
    pub from: Timestamp,
    /// First instant back.
    pub to: Timestamp,
}

/// People who answer together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Group {
    /// Who answers for the group, a typed name.
    pub lead: Option<String>,
    /// Typed names, in the order in which they stand in for the lead.
    pub members: Vec<String>,
}

/// A rota.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Schedule {
    /// IANA name of the zone whose wall clock the hand-overs follow; absent is UTC.
    pub zone: Option<String>,
    /// The last layer that names somebody wins.
    pub layers: Vec<Layer>,
    /// Replace the layers while they hold.
    pub overrides: Vec<Override>,
}

/// People who take turns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// Typed names, in turn.
    pub users: Vec<String>,
    /// Length of a turn, more than zero.
    pub every: TimeSpan,
    /// Start of the first turn of the first user; nobody is on duty before.
    pub from: Timestamp,
}

/// An exception to a rota, `[from, to)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// Who is on duty, a typed name; absent is nobody.
    #[serde(default)]
    pub user: Option<String>,
    /// First instant.
    pub from: Timestamp,
    /// End.
    pub to: Timestamp,
}

/// A system that features belong to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct System {
    /// Who answers for it, a typed name.
    pub owner: Option<String>,
    /// The domain it belongs to, a bare name.
    pub domain: Option<String>,
    /// The system it is a part of, a bare name.
    pub parent: Option<String>,
}

/// A domain of the business.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Domain {
    /// Who answers for it, a typed name.
    pub owner: Option<String>,
    /// The domain it is a part of, a bare name.
    pub parent: Option<String>,
    /// How many false alarms its features may raise, together with those of the
    /// domains in it that have no budget of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert_budget: Option<AlertBudget>,
}

/// What is promised of the false alarms of a domain's tests. Periods are
/// counted as windows of that size are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AlertBudget {
    /// Of the windows that are called bad, at most this share is by chance.
    FalseDiscoveryRate {
        /// The share, between 0 and 1.
        #[serde(rename = "false_discovery_rate")]
        rate: f64,
        /// How long until the budget begins anew.
        per: TimeSpan,
    },
    /// At most so many false alarms are expected in a period.
    FalseAlarms {
        /// How many, more than 0.
        #[serde(rename = "false_alarms")]
        count: f64,
        /// The period.
        per: TimeSpan,
    },
}

impl AlertBudget {
    /// The period where a charter names none.
    pub const PER_DEFAULT: TimeSpan = TimeSpan::WEEK;

    /// How long until the budget begins anew.
    pub const fn per(&self) -> TimeSpan {
        match self {
            Self::FalseDiscoveryRate { per, .. } | Self::FalseAlarms { per, .. } => *per,
        }
    }
}

// The numbers are finite, so that each is equal to itself.
impl Eq for AlertBudget {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absence_holds_from_its_first_instant_until_before_its_end() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let user = User {
            absences: vec![
                Absence { from: at("2013-05-06"), to: at("2013-05-20") },
                Absence { from: at("2013-05-18"), to: at("2013-05-22") },
            ],
            ..User::default()
        };
        let until = |text: &str| user.absence(at(text)).map(|absence| absence.to.to_string());
        assert_eq!(until("2013-05-05T23:59:59Z"), None);
        assert_eq!(until("2013-05-06"), Some("2013-05-20T00:00:00Z".into()));
        assert_eq!(until("2013-05-19"), Some("2013-05-22T00:00:00Z".into()));
        assert_eq!(until("2013-05-22"), None);
    }

    #[test]
    fn names_are_found_with_and_without_their_type() {
        let mut directory = Directory::default();
        directory.users.insert("ada".into(), User::default());
        directory.groups.insert("flights".into(), Group::default());
        assert!(directory.user("user:ada").is_some() && directory.user("ada").is_some());
        assert!(directory.user("group:flights").is_none());
        assert!(directory.group("group:flights").is_some());
    }
}
