//! What charters of tier 1 come to by what others write: a change of that needs
//! what a change of the charters themselves would need.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use watchkeep_model::charter::{Charter, CharterFields};
use watchkeep_model::directory::Directory;
use watchkeep_model::lineage::Edge;
use watchkeep_model::revision::RevisionKind;
use watchkeep_model::time::Timestamp;

use super::super::Difference;
use super::super::gate::{CHARTER, Requirement};
use super::{gates_of, of_several};
use crate::owner::PARENTS_MAX;
use crate::registry::Registry;

/// The approvals for changes of what charters of tier 1 rest on.
pub(in super::super) fn of_charters(
    registries: [&Registry; 2],
    differences: &[Difference],
    by: &str,
) -> Vec<Requirement> {
    let tier_1 = Tier1 { registries, written: names(differences, RevisionKind::Charter), by };
    let mut found = tier_1.inherited(differences);
    found.extend(tier_1.belonging(differences));
    found.extend(tier_1.lineage(differences));
    found
}

fn names(differences: &[Difference], kind: RevisionKind) -> BTreeSet<&str> {
    let of_kind = differences.iter().filter(|difference| difference.kind == kind);
    of_kind.map(|difference| difference.name.as_str()).collect()
}

/// A change, as it concerns charters of tier 1.
struct Tier1<'a> {
    registries: [&'a Registry; 2],
    /// Subjects and patterns of charters that it writes.
    written: BTreeSet<&'a str>,
    by: &'a str,
}

impl Tier1<'_> {
    /// Charters of tier 1 that come out as another because something else changes
    /// that they inherit from: a pattern that is new or wider than theirs, a view,
    /// the policy of their tier.
    fn inherited(&self, differences: &[Difference]) -> Vec<Requirement> {
        let changes_policies = !names(differences, RevisionKind::Policy).is_empty();
        if self.written.is_empty() && !changes_policies {
            return Vec::new();
        }
        let [before, after] = self.registries;
        let mut found = Vec::new();
        for subject in before.subjects().filter(|subject| !self.written.contains(subject)) {
            let Some(charter) = self.charter(subject).filter(|charter| !self.is_asked(charter))
            else {
                continue;
            };
            // What is kept of a change is no change itself, and from when a revision
            // holds is known of what was published alone.
            let said = |charter: &Charter| CharterFields {
                effective_from: None,
                change_ticket: None,
                approvals: None,
                ..charter.fields.clone()
            };
            let shown = after.charter(subject, Timestamp::MAX);
            if shown.is_none_or(|shown| said(&shown) != said(&charter)) {
                found.extend(self.requirements(subject, &[&charter]));
            }
        }
        found
    }

    /// Views, groups, systems and domains through which charters of tier 1 have
    /// an owner or an alert budget, and which are other now.
    fn belonging(&self, differences: &[Difference]) -> Vec<Requirement> {
        let changed: BTreeSet<Place> = differences.iter().filter_map(place_of).collect();
        if changed.is_empty() {
            return Vec::new();
        }
        let [before, after] = self.registries;
        let primary = |registry: &Registry, view: &str| {
            let view = registry.charter(view, Timestamp::MAX)?;
            view.fields.owners.primary.clone()
        };
        let mut moved: BTreeMap<String, Vec<Arc<Charter>>> = BTreeMap::new();
        for subject in before.subjects() {
            let Some(charter) = self.charter(subject) else { continue };
            let view = charter.fields.view.as_deref().filter(|view| {
                changed.contains(&(RevisionKind::Charter, (*view).to_owned()))
                    && self.charter(view).is_none()
                    && primary(before, view) != primary(after, view)
            });
            let places = places_of(&charter, before.directory());
            let others = places.iter().filter(|place| changed.contains(*place));
            let named = others.map(|(kind, name)| format!("{}:{name}", kind.name()));
            for place in named.chain(view.map(str::to_owned)) {
                moved.entry(place).or_default().push(Arc::clone(&charter));
            }
        }
        let all = moved.iter().flat_map(|(place, charters)| {
            let charters: Vec<&Charter> = charters.iter().map(AsRef::as_ref).collect();
            self.requirements(place, &charters)
        });
        all.collect()
    }

    /// Subjects of tier 1 that are made from something else now, because of a
    /// lineage document or of what another charter says of its users.
    fn lineage(&self, differences: &[Difference]) -> Vec<Requirement> {
        if self.written.is_empty() && names(differences, RevisionKind::Lineage).is_empty() {
            return Vec::new();
        }
        let [before, after] = self.registries.map(sources);
        let ends: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
        let mut found = Vec::new();
        for end in ends.into_iter().filter(|end| !self.written.contains(end)) {
            let none = Vec::new();
            let (before, after) =
                (before.get(end).unwrap_or(&none), after.get(end).unwrap_or(&none));
            if before.iter().all(|edge| is_kept(edge, after))
                && after.iter().all(|edge| before.iter().any(|known| known.from == edge.from))
            {
                continue;
            }
            if let Some(charter) = self.charter(end).filter(|charter| !self.is_asked(charter)) {
                found.extend(self.requirements(end, &[&charter]));
            }
        }
        found
    }

    /// The charter in force before, where it is of tier 1.
    fn charter(&self, subject: &str) -> Option<Arc<Charter>> {
        let charter = self.registries[0].charter(subject, Timestamp::MAX)?;
        (charter.fields.tier == Some(1)).then_some(charter)
    }

    /// True where a pattern of tier 1 that the charter comes from is written,
    /// which has asked for the same already.
    fn is_asked(&self, charter: &Charter) -> bool {
        let mut names = charter.from.iter().map(String::as_str);
        names.any(|name| self.written.contains(name) && self.charter(name).is_some())
    }

    /// What a change of these charters would need.
    fn requirements(&self, subject: &str, charters: &[&Charter]) -> Vec<Requirement> {
        let (before, by) = (self.registries[0], self.by);
        let Some(first) = charters.first() else { return Vec::new() };
        let gates = gates_of(before, first).into_iter().filter(|gate| gate.gate == CHARTER);
        gates.filter_map(|gate| of_several(subject, &gate, charters, (before, by))).collect()
    }
}

/// A view, group, system or domain by its bare name.
type Place = (RevisionKind, String);

/// The place that a difference is of, where it concerns who answers there or how
/// many alarms there may be.
fn place_of(difference: &Difference) -> Option<Place> {
    let Difference { kind, name, before, after } = difference;
    let is_other = match kind {
        RevisionKind::Group => {
            let people =
                |value: &Value| (value.get("lead").cloned(), value.get("members").cloned());
            people(before) != people(after)
        }
        RevisionKind::System | RevisionKind::Domain | RevisionKind::Charter => true,
        _ => false,
    };
    is_other.then(|| (*kind, name.clone()))
}

/// The group, systems and domains of a charter, with those that they are part of.
fn places_of(charter: &Charter, directory: &Directory) -> BTreeSet<Place> {
    let bare = |name: &str| name.rsplit_once(':').map_or(name, |(_, bare)| bare).to_owned();
    let fields = &charter.fields;
    let group = fields.group.as_deref().map(|group| (RevisionKind::Group, bare(group)));
    let mut places: BTreeSet<Place> = group.into_iter().collect();
    let mut domains: Vec<String> = fields.domain.iter().map(|name| bare(name)).collect();
    let mut next = fields.system.as_deref().map(bare);
    for _ in 0..PARENTS_MAX {
        let Some(name) = next else { break };
        let system = directory.systems.get(&name);
        domains.extend(system.and_then(|system| system.domain.as_deref()).map(bare));
        next = system.and_then(|system| system.parent.as_deref()).map(bare);
        places.insert((RevisionKind::System, name));
    }
    for domain in domains {
        let mut next = Some(domain);
        for _ in 0..PARENTS_MAX {
            let Some(name) = next else { break };
            next = directory.domains.get(&name).and_then(|d| d.parent.as_deref()).map(bare);
            places.insert((RevisionKind::Domain, name));
        }
    }
    places
}

/// Who owns the places that a charter belongs to, after whoever holds a role.
pub(super) fn owners_of_places<'d>(charter: &Charter, directory: &'d Directory) -> Vec<&'d str> {
    let owner = |(kind, name): &Place| match kind {
        RevisionKind::System => directory.systems.get(name)?.owner.as_deref(),
        RevisionKind::Domain => directory.domains.get(name)?.owner.as_deref(),
        _ => None,
    };
    places_of(charter, directory).iter().filter_map(owner).collect()
}

/// The edges that end at each node.
fn sources(registry: &Registry) -> BTreeMap<&str, Vec<&Edge>> {
    let mut sources: BTreeMap<&str, Vec<&Edge>> = BTreeMap::new();
    for edge in registry.edges() {
        sources.entry(&edge.to).or_default().push(edge);
    }
    sources
}

/// True where an edge is there still and nobody has made it older: it would
/// count as unknown the sooner.
fn is_kept(edge: &Edge, after: &[&Edge]) -> bool {
    let same = after.iter().find(|other| other.from == edge.from);
    same.is_some_and(|other| match (edge.last_seen, other.last_seen) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(before), Some(after)) => after >= before,
    })
}
