//! `report stewardship`: how charters are looked after.

mod opened;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;
use watchkeep_model::charter::{Charter, Lifecycle, Owners};
use watchkeep_model::directory::Directory;
use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::policy::AttributionLimits;
use watchkeep_model::subject::typed;
use watchkeep_model::time::{TimeSpan, Timestamp};

use super::{Period, is_person, median};
use crate::context::{Context as _, DEFAULT_POLICY};
use crate::lineage::EdgeState;
use crate::owner;
use crate::registry::Registry;
use crate::registry::publications::Publications;
use crate::registry::upkeep::{self, Promise};
pub use opened::OpenReview;

/// Groups inside groups that are followed.
const GROUP_DEPTH_MAX: u32 = 4;

/// What the telemetry of the span had.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// When each version of a feature was first seen, by feature and version.
    first: BTreeMap<String, BTreeMap<String, Timestamp>>,
}

impl Seen {
    /// Takes a window with events.
    pub fn add(&mut self, feature: &str, version: &str, start: Timestamp) {
        let versions = self.first.entry(typed(feature)).or_default();
        let first = versions.entry(version.to_owned()).or_insert(start);
        *first = start.min(*first);
    }

    /// Spans between the first sights of versions of one feature that follow
    /// on each other.
    fn between_versions(&self) -> Vec<i64> {
        let mut spans = Vec::new();
        for versions in self.first.values() {
            let mut starts: Vec<Timestamp> = versions.values().copied().collect();
            starts.sort_unstable();
            spans.extend(starts.windows(2).map(|two| two[1].since(two[0]).as_micros() / 1_000_000));
        }
        spans
    }
}

/// The report.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stewardship {
    /// Charters with a review cadence, the most overdue first.
    pub reviews: Vec<Review>,
    /// Reviews that a change of lifecycle or version has opened, by charter.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub opened_reviews: Vec<OpenReview>,
    /// People who are named and cannot answer any more.
    pub stale_owners: Vec<StaleOwner>,
    /// Edges that no run has shown for longer than the policy allows.
    pub stale_edges: Vec<StaleEdge>,
    /// Features of the telemetry and their charters.
    pub coverage: Coverage,
    /// Incidents by who was first to do something about them.
    pub found: Found,
    /// Business outcomes, with the features and the incidents of each.
    pub outcomes: Vec<Outcome>,
    /// How quickly features and charters change.
    pub cadence: Cadence,
}

/// A charter that is to be reviewed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Review {
    /// Subject or pattern of the document that sets the cadence, or says when
    /// the last review was.
    pub charter: String,
    /// Who is asked: the reviewer, else the primary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// How often.
    pub every: TimeSpan,
    /// The last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reviewed_at: Option<Timestamp>,
    /// The next one, counted from the last or else from when the charter came
    /// into force; absent where neither has a date, which is overdue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// True where it should have been.
    pub is_overdue: bool,
}

/// Somebody who is named and cannot answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StaleOwner {
    /// The subject or pattern; `system:…`, `domain:…` or `directory` where the
    /// directory names them.
    pub charter: String,
    /// The role, `owner` or `governance`.
    pub role: &'static str,
    /// Who, a typed name.
    pub name: String,
    /// Why not.
    pub why: String,
}

/// An edge that was not seen for long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StaleEdge {
    /// The source of data.
    pub from: String,
    /// Its user.
    pub to: String,
    /// When a run last showed it, or a lineage document says that one did.
    pub last_seen: Timestamp,
}

/// How much of the telemetry has an owner and expectations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// Features with windows in the span: those that something is expected of,
    /// and those without a charter. Of others none are made.
    pub features: u64,
    /// Of them those with a charter …
    pub with_charter: u64,
    /// … with expectations …
    pub with_expectations: u64,
    /// … and with somebody who answers before governance has to.
    pub owned: u64,
    /// Features with windows and without a charter, ascending, the first ones.
    pub without_charter: Vec<String>,
    /// Features that documents name and nothing is expected of, ascending, the
    /// first ones: nobody would hear of a fault.
    pub without_expectations: Vec<String>,
}

/// Who was first to act on incidents of the span.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Found {
    /// Incidents that were opened in the span.
    pub incidents: u64,
    /// First acted on by its owner, another role of its charter or their team.
    pub self_found: u64,
    /// First acted on by somebody else, such as a user of the feature.
    pub user_found: u64,
    /// Nobody has done anything.
    pub untouched: u64,
    /// Share of the first in the first two; absent where both are 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub self_found_share: Option<f64>,
}

/// Something that the business wants, and what stands in its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// In the business's words.
    pub outcome: String,
    /// Subjects and patterns whose charter names it.
    pub charters: Vec<String>,
    /// Incidents of the span in which one of them was affected.
    pub incidents: u64,
}

/// Times between changes, middle of all, in seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cadence {
    /// Features with more than one version in the telemetry.
    pub features_with_versions: u64,
    /// Time between the first sights of versions that follow on each other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_between_versions: Option<i64>,
    /// Publications of charters in the span.
    pub publications: u64,
    /// Time from a proposal to its publication.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_from_proposal_to_publication: Option<i64>,
}

/// Features without a charter, or without expectations, that are named.
const NAMED_MAX: usize = 50;

/// Makes the report.
pub fn stewardship(
    registry: &Registry,
    publications: Option<&Publications>,
    incidents: &BTreeMap<String, Vec<Fact>>,
    seen: &Seen,
    period: Period,
) -> Stewardship {
    let charters = charters_at(registry, period.to);
    let charters: Vec<(&str, &Charter)> =
        charters.iter().map(|(subject, charter)| (subject.as_str(), &**charter)).collect();
    Stewardship {
        reviews: reviews(registry, &charters, period.to),
        opened_reviews: opened::opened(registry, &charters, seen, period.to),
        stale_owners: stale_owners(registry, &charters, period.to),
        stale_edges: stale_edges(registry, period.to),
        coverage: coverage(registry, seen, period.to),
        found: found(registry, incidents, period),
        outcomes: outcomes(registry, &charters, incidents, period),
        cadence: cadence(publications, seen, period),
    }
}

/// Every subject and pattern with the charter that is in force for it.
pub(super) fn charters_at(registry: &Registry, at: Timestamp) -> Vec<(String, Arc<Charter>)> {
    let subjects = registry.subjects();
    subjects.filter_map(|name| Some((name.to_owned(), registry.charter(name, at)?))).collect()
}

pub(super) fn reviews(
    registry: &Registry,
    charters: &[(&str, &Charter)],
    at: Timestamp,
) -> Vec<Review> {
    let mut reviews: Vec<Review> = charters
        .iter()
        .filter(|(subject, _)| registry.sets(subject, at, upkeep::tells_review))
        .filter_map(|(subject, charter)| {
            let fields = &charter.fields;
            let promise = Promise::of_review(fields)?;
            Some(Review {
                charter: (*subject).to_owned(),
                by: fields.owners.reviewer.clone().or_else(|| fields.owners.primary.clone()),
                every: promise.every,
                reviewed_at: promise.last,
                due_at: promise.due_at,
                is_overdue: promise.is_overdue(at),
            })
        })
        .collect();
    reviews.sort_by(|a, b| (a.due_at, &a.charter).cmp(&(b.due_at, &b.charter)));
    reviews
}

fn stale_owners(
    registry: &Registry,
    charters: &[(&str, &Charter)],
    at: Timestamp,
) -> Vec<StaleOwner> {
    let mut stale = Vec::new();
    // Who had left by then; what documents of later say is of no concern.
    let directory = registry.directory_at(at);
    for (subject, charter) in charters {
        for role in Owners::ROLES {
            let is_own = |fields: &watchkeep_model::charter::CharterFields| {
                fields.owners.get(role).is_some()
            };
            let Some(name) = charter.fields.owners.get(role) else { continue };
            if !registry.sets(subject, at, is_own) {
                continue;
            }
            if let Some(why) = gone(directory, name, GROUP_DEPTH_MAX) {
                let (charter, name) = ((*subject).to_owned(), name.to_owned());
                stale.push(StaleOwner { charter, role, name, why });
            }
        }
    }
    let systems = directory.systems.iter().map(|(name, one)| ("system", name, &one.owner));
    let domains = directory.domains.iter().map(|(name, one)| ("domain", name, &one.owner));
    for (kind, place, owner) in systems.chain(domains) {
        let Some(name) = owner.clone() else { continue };
        if let Some(why) = gone(directory, &name, GROUP_DEPTH_MAX) {
            stale.push(StaleOwner { charter: format!("{kind}:{place}"), role: "owner", name, why });
        }
    }
    if let Some(name) = directory.governance.clone()
        && let Some(why) = gone(directory, &name, GROUP_DEPTH_MAX)
    {
        stale.push(StaleOwner { charter: "directory".into(), role: "governance", name, why });
    }
    stale
}

/// Why nobody behind a name will ever answer; absences pass and do not count.
fn gone(directory: &Directory, name: &str, depth: u32) -> Option<String> {
    let nobody_of = |what: &str, mut names: Vec<&String>| {
        names.retain(|name| depth == 0 || gone(directory, name, depth - 1).is_none());
        names.is_empty().then(|| format!("everybody of the {what} has left"))
    };
    if name.starts_with("group:") {
        return match directory.group(name) {
            None => Some("no such group".to_owned()),
            Some(group) => nobody_of("group", group.lead.iter().chain(&group.members).collect()),
        };
    }
    if name.starts_with("schedule:") {
        return match directory.schedule(name) {
            None => Some("no such schedule".to_owned()),
            Some(rota) => {
                let others = rota.overrides.iter().filter_map(|other| other.user.as_ref());
                let users = rota.layers.iter().flat_map(|layer| &layer.users);
                nobody_of("rota", users.chain(others).collect())
            }
        };
    }
    match directory.user(name) {
        None => Some("no such user".to_owned()),
        Some(user) => (!user.active).then(|| "has left".to_owned()),
    }
}

fn stale_edges(registry: &Registry, at: Timestamp) -> Vec<StaleEdge> {
    let mut max_ages: BTreeMap<String, TimeSpan> = BTreeMap::new();
    let mut max_age = |subject: &str| {
        *max_ages.entry(subject.to_owned()).or_insert_with(|| {
            let charter = registry.charter(subject, at);
            let name = charter.and_then(|charter| charter.fields.policy.clone());
            let policy = registry.policy(name.as_deref().unwrap_or(DEFAULT_POLICY));
            let limits = policy.map_or_else(AttributionLimits::default, |p| p.attribution.clone());
            limits.edge_max_age
        })
    };
    let lineage = registry.lineage();
    let mut stale = Vec::new();
    for from in lineage.names() {
        let Some(node) = lineage.node(from) else { continue };
        for user in lineage.users(node, at, TimeSpan::ZERO) {
            let EdgeState::Stale(last_seen) = user.state else { continue };
            let to = lineage.name(user.node);
            if at.since(last_seen) > max_age(to) {
                stale.push(StaleEdge { from: from.to_owned(), to: to.to_owned(), last_seen });
            }
        }
    }
    stale
}

fn coverage(registry: &Registry, seen: &Seen, at: Timestamp) -> Coverage {
    let mut coverage = Coverage { features: seen.first.len() as u64, ..Coverage::default() };
    for feature in seen.first.keys() {
        let Some(charter) = registry.charter(feature, at) else {
            if coverage.without_charter.len() < NAMED_MAX {
                coverage.without_charter.push(feature.clone());
            }
            continue;
        };
        coverage.with_charter += 1;
        coverage.with_expectations += u64::from(!charter.expectations().is_empty());
        let resolved = owner::resolve(Some(&charter), registry, at, &|_| 0);
        coverage.owned += u64::from(resolved.owner.is_some() && !resolved.unowned);
    }
    let is_unwatched = |subject: &&str| {
        let charter = registry.charter(subject, at);
        charter.is_some_and(|charter| {
            let is_retired = charter.fields.lifecycle == Some(Lifecycle::Retired);
            charter.expectations().is_empty() && !is_retired
        })
    };
    let features = registry.named().filter(|subject| subject.starts_with("feature:"));
    let unwatched = features.filter(is_unwatched).take(NAMED_MAX);
    coverage.without_expectations = unwatched.map(str::to_owned).collect();
    coverage
}

fn found(registry: &Registry, incidents: &BTreeMap<String, Vec<Fact>>, period: Period) -> Found {
    let mut found = Found::default();
    for facts in incidents.values() {
        let Some(first) = facts.first().filter(|first| period.has(first.occurred_at)) else {
            continue;
        };
        let FactData::Opened(opened) = &first.data else { continue };
        found.incidents += 1;
        let acted = facts.iter().find(|fact| is_person(&fact.actor));
        let Some(acted) = acted else {
            found.untouched += 1;
            continue;
        };
        // Of a root without a charter of its own that of the first feature.
        let subject = opened.charter.as_ref().map_or(&opened.root, |charter| &charter.subject);
        let charter = registry.charter(subject, first.occurred_at);
        let mut people: BTreeSet<&str> = opened.owner.iter().map(String::as_str).collect();
        if let Some(charter) = &charter {
            people.extend(Owners::ROLES.iter().filter_map(|role| charter.fields.owners.get(role)));
            people.extend(charter.fields.group.as_deref());
        }
        // Nobody has to find what they were paged for.
        people.extend(facts.iter().take_while(|fact| fact.sequence < acted.sequence).filter_map(
            |fact| match &fact.data {
                FactData::Notified(notified) => Some(notified.target.as_str()),
                _ => None,
            },
        ));
        let is_own = people.iter().any(|name| {
            crate::decide::gates::share_a_team(registry, name, &acted.actor, acted.occurred_at)
        });
        if is_own {
            found.self_found += 1;
        } else {
            found.user_found += 1;
        }
    }
    let both = found.self_found + found.user_found;
    found.self_found_share = (both > 0).then(|| found.self_found as f64 / both as f64);
    found
}

fn outcomes(
    registry: &Registry,
    charters: &[(&str, &Charter)],
    incidents: &BTreeMap<String, Vec<Fact>>,
    period: Period,
) -> Vec<Outcome> {
    let mut by_outcome: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (subject, charter) in charters {
        for outcome in charter.fields.business_outcomes.iter().flatten() {
            by_outcome.entry(outcome).or_default().insert(subject);
        }
    }
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let opened = incidents
        .values()
        .filter(|facts| facts.first().is_some_and(|first| period.has(first.occurred_at)));
    for facts in opened {
        let mut hindered: BTreeSet<String> = BTreeSet::new();
        for subject in affected(facts) {
            let charter = registry.charter(&subject, period.to);
            hindered.extend(
                charter
                    .iter()
                    .flat_map(|charter| charter.fields.business_outcomes.iter().flatten().cloned()),
            );
        }
        for outcome in hindered {
            *counts.entry(outcome).or_default() += 1;
        }
    }
    by_outcome
        .into_iter()
        .map(|(outcome, subjects)| Outcome {
            outcome: outcome.to_owned(),
            incidents: counts.get(outcome).copied().unwrap_or_default(),
            charters: subjects.into_iter().map(str::to_owned).collect(),
        })
        .collect()
}

/// Typed names of the root of an incident and of everything that breached in it.
fn affected(facts: &[Fact]) -> BTreeSet<String> {
    let mut subjects = BTreeSet::new();
    for fact in facts {
        match &fact.data {
            FactData::Opened(opened) => {
                subjects.insert(opened.root.clone());
                subjects.extend(opened.affected_features.iter().map(|name| typed(name)));
            }
            FactData::BreachAttached(breach) => _ = subjects.insert(typed(&breach.feature)),
            _ => {}
        }
    }
    subjects
}

pub(super) fn cadence(publications: Option<&Publications>, seen: &Seen, period: Period) -> Cadence {
    let all = publications.map_or(&[][..], |publications| publications.all());
    let in_span: Vec<_> = all.iter().filter(|p| period.has(p.head.at)).collect();
    let waits = in_span.iter().filter_map(|publication| {
        let proposal = publications?.proposals().get(&publication.head.publication)?;
        Some(publication.head.at.since(proposal.fact.at).as_micros() / 1_000_000)
    });
    Cadence {
        features_with_versions: seen.first.values().filter(|v| v.len() > 1).count() as u64,
        seconds_between_versions: median(seen.between_versions()),
        publications: in_span.len() as u64,
        seconds_from_proposal_to_publication: median(waits.collect()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use watchkeep_model::charter::CharterDocument;
    use watchkeep_model::document::{Documents, Located};

    use super::*;

    #[test]
    fn owners_are_stale_as_of_the_end_of_the_report() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let document = |subject: &str, from: &str, primary: Option<&str>| {
            let mut value = CharterDocument { subject: subject.into(), ..Default::default() };
            value.fields.owners.primary = primary.map(str::to_owned);
            value.fields.effective_from = Some(at(from));
            Located { value, ..Located::default() }
        };
        let people = |is_there: bool| -> Directory {
            serde_json::from_value(json!({"users": {"ada": {}, "ken": {"active": is_there}}}))
                .unwrap()
        };
        let registry = Registry::of_checked(Documents {
            charters: vec![
                document("feature:*", "2026-01-01T00:00:00Z", Some("user:ada")),
                document("feature:a", "2026-01-01T00:00:00Z", Some("user:ken")),
                document("feature:a", "2026-03-01T00:00:00Z", None),
            ],
            directories: vec![Located { value: people(false), ..Located::default() }],
            directories_since: vec![
                (at("2026-01-01T00:00:00Z"), people(true)),
                (at("2026-02-01T00:00:00Z"), people(false)),
            ],
            ..Documents::default()
        });
        let stale = |to: &str| {
            let charters = charters_at(&registry, at(to));
            let charters: Vec<(&str, &Charter)> =
                charters.iter().map(|(subject, charter)| (subject.as_str(), &**charter)).collect();
            let stale = stale_owners(&registry, &charters, at(to));
            stale.into_iter().map(|one| format!("{} {}", one.charter, one.name)).collect::<Vec<_>>()
        };
        assert_eq!(stale("2026-01-20T00:00:00Z"), [""; 0], "ken is still there");
        assert_eq!(stale("2026-02-20T00:00:00Z"), ["feature:a user:ken"]);
        assert_eq!(stale("2026-03-20T00:00:00Z"), [""; 0], "ada has taken over");
    }
}
