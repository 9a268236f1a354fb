//! `report owners`: the load of each person.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use watchkeep_model::charter::CharterFields;
use watchkeep_model::incident::{Fact, FactData, FactName};
use watchkeep_model::policy::{Hours, TimeOfDay, Weekday, Working};
use watchkeep_model::time::{TimeSpan, Timestamp};

use super::{Period, is_person, median};
use crate::calendar;
use crate::registry::Registry;
use crate::schedule::{Presence, answering};

/// What a person has had to do.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Load {
    /// Who, `user:…`.
    pub person: String,
    /// Incidents that they answer for and that are open at the end.
    pub open_incidents: u64,
    /// Incidents that were opened in the span with them as the owner.
    pub incidents: u64,
    /// Pages in the span: one for each message over a channel.
    pub pages: u64,
    /// Of them those outside of working hours on the person's own wall clock.
    pub off_hours_pages: u64,
    /// Incidents that they acknowledged, each once.
    pub acknowledged: u64,
    /// Middle time to their acknowledgement, in seconds, from when they were
    /// first paged for it; without a page, from when anybody was asked. What they
    /// acknowledge again before they are asked anew says nothing of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_to_acknowledge: Option<i64>,
    /// Subjects, and patterns, whose charter names them as the primary owner, or
    /// a group or rota for which they answer at the end of the span.
    pub primary_of: u64,
}

/// The load of everybody who answers, was paged or owns something, most pages
/// first, then by name. `facts` are those of whole incidents, each in order.
pub fn owners(
    registry: &Registry,
    incidents: &BTreeMap<String, Vec<Fact>>,
    period: Period,
) -> Vec<Load> {
    let mut loads: BTreeMap<String, Load> = BTreeMap::new();
    let mut waits: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for facts in incidents.values() {
        one(registry, facts, period, &mut loads, &mut waits);
    }
    let named: BTreeSet<&str> = registry.named().collect();
    for subject in registry.subjects() {
        // What a pattern only inherits is counted at the wider one.
        let sets = |fields: &CharterFields| fields.owners.primary.is_some();
        if !named.contains(subject) && !registry.sets(subject, period.to, sets) {
            continue;
        }
        let charter = registry.charter(subject, period.to);
        let primary = charter.and_then(|charter| charter.fields.owners.primary.clone());
        let Some(primary) = primary else { continue };
        let person = if is_person(&primary) {
            primary
        } else {
            match answering(registry.directory_at(period.to), &primary, period.to) {
                Presence::Present(person) => person,
                Presence::Nobody(_) => continue,
            }
        };
        load(&mut loads, &person).primary_of += 1;
    }
    for (person, waits) in waits {
        load(&mut loads, &person).seconds_to_acknowledge = median(waits);
    }
    let mut all: Vec<Load> = loads.into_values().collect();
    all.sort_by(|a, b| b.pages.cmp(&a.pages).then_with(|| a.person.cmp(&b.person)));
    all
}

fn load<'l>(loads: &'l mut BTreeMap<String, Load>, person: &str) -> &'l mut Load {
    let new = || Load { person: person.to_owned(), ..Load::default() };
    loads.entry(person.to_owned()).or_insert_with(new)
}

fn one(
    registry: &Registry,
    facts: &[Fact],
    period: Period,
    loads: &mut BTreeMap<String, Load>,
    waits: &mut BTreeMap<String, Vec<i64>>,
) {
    let Some(first) = facts.first() else { return };
    let FactData::Opened(opened) = &first.data else { return };
    if first.drill {
        return;
    }
    let policy = registry.policy(&opened.policy.name);
    let hours = policy.and_then(|policy| policy.hours.as_ref());
    let mut owner = opened.owner.clone();
    if let Some(owner) = owner.as_ref().filter(|_| period.has(first.occurred_at)) {
        load(loads, owner).incidents += 1;
    }
    let mut is_open = true;
    let mut asked = Asked::since(first.occurred_at);
    let mut answered: BTreeSet<&str> = BTreeSet::new();
    for fact in facts.iter().take_while(|fact| fact.occurred_at < period.to) {
        asked.see(fact);
        match (&fact.data, fact.fact) {
            (FactData::OwnerResolved(resolved), _) => owner.clone_from(&resolved.owner),
            (FactData::Notified(notified), _)
                if is_person(&notified.target) && period.has(fact.occurred_at) =>
            {
                let is_off = is_off_hours(registry, hours, &notified.target, fact.occurred_at);
                let load = load(loads, &notified.target);
                load.pages += 1;
                load.off_hours_pages += u64::from(is_off);
            }
            (FactData::Acknowledged(_), _) if is_person(&fact.actor) => {
                let is_first = asked.answered_by.insert(&fact.actor);
                let is_in = period.has(fact.occurred_at);
                if is_in && answered.insert(&fact.actor) {
                    load(loads, &fact.actor).acknowledged += 1;
                }
                if is_in && is_first {
                    let wait = fact.occurred_at.since(asked.at(&fact.actor));
                    waits.entry(fact.actor.clone()).or_default().push(wait.as_micros() / 1_000_000);
                }
            }
            (_, FactName::Resolved | FactName::Merged | FactName::Reviewed | FactName::Closed) => {
                is_open = false;
            }
            (_, FactName::Reopened) => is_open = true,
            _ => {}
        }
    }
    if let Some(owner) = owner.filter(|_| is_open && first.occurred_at < period.to) {
        load(loads, &owner).open_incidents += 1;
    }
}

/// When an acknowledgement was asked for. What was acknowledged and comes back
/// is asked for anew, from then on.
struct Asked<'f> {
    from: Timestamp,
    is_answered: bool,
    /// The first page to each person since.
    paged: BTreeMap<&'f str, Timestamp>,
    /// Who has acknowledged since.
    answered_by: BTreeSet<&'f str>,
}

impl<'f> Asked<'f> {
    fn since(from: Timestamp) -> Self {
        let (paged, answered_by) = (BTreeMap::new(), BTreeSet::new());
        Self { from, is_answered: false, paged, answered_by }
    }

    fn see(&mut self, fact: &'f Fact) {
        match (&fact.data, fact.fact) {
            (
                _,
                FactName::Reopened
                | FactName::AcknowledgementExpired
                | FactName::VerificationFailed,
            ) => *self = Self::since(fact.occurred_at),
            (_, FactName::Escalated) if self.is_answered => {
                *self = Self::since(fact.occurred_at);
            }
            (FactData::Notified(notified), _) => {
                self.paged.entry(&notified.target).or_insert(fact.occurred_at);
            }
            (_, FactName::Acknowledged) => self.is_answered = true,
            _ => {}
        }
    }

    fn at(&self, person: &str) -> Timestamp {
        self.paged.get(person).copied().unwrap_or(self.from)
    }
}

/// The hours of the policy, or Monday to Friday from nine to six, on the
/// person's own wall clock; the policy's where the person has no zone.
fn is_off_hours(registry: &Registry, hours: Option<&Hours>, person: &str, at: Timestamp) -> bool {
    let mut hours = hours.cloned().unwrap_or_else(office_hours);
    if let Some(zone) = registry.directory().user(person).and_then(|user| user.zone.clone()) {
        hours.zone = zone;
    }
    calendar::next_working(&hours, at) != Some(at)
}

fn office_hours() -> Hours {
    let time = |text: &str| text.parse::<TimeOfDay>().expect("a time of day");
    Hours {
        zone: "UTC".to_owned(),
        working: vec![Working {
            days: vec![Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri],
            from: time("09:00"),
            to: time("18:00"),
        }],
        holidays: Vec::new(),
        outside: BTreeMap::new(),
    }
}

/// Seconds as a span for people.
pub fn shown(seconds: i64) -> String {
    TimeSpan::SECOND.times(seconds).to_string()
}
