//! Which incident speaks for which. One whose root lies downstream of another's
//! root is inhibited while the other breaches at the same severity or a worse
//! one: its people would be paged for what they cannot mend. So is one with the
//! same root in another group that is only about what lies downstream of it,
//! where the other is about the root itself.

use std::collections::BTreeSet;

use watchkeep_model::breach::Breach;
use watchkeep_model::charter::Severity;
use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::policy::AttributionLimits;
use watchkeep_model::subject::{typed, untyped};
use watchkeep_model::time::Timestamp;

use super::pins::Pin;
use super::place::as_of;
use super::platform::{self, PLATFORM};
use super::{Escalate, Outputs};
use crate::attribution::Search;
use crate::attribution::related::{Way, related};
use crate::context::Context;
use crate::decide::Doing;
use crate::decide::breach::Parent;
use crate::state::Incident;

/// The rule of an incident whose root lies upstream.
pub(super) const UPSTREAM: &str = "upstream";

/// Incidents in a line of which each speaks for the next. A longer line is
/// taken to go round in a circle.
const LINE_MAX: usize = 32;

/// Where an incident stands that others may explain.
pub(super) struct Place<'a> {
    /// Its root, a typed name.
    pub(super) root: &'a str,
    /// True where a breach of it is one of the root itself.
    pub(super) is_of_root: bool,
}

/// What has happened to an incident that may concern others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It opened, opened again, became worse or breaches again.
    Rose(String),
    /// It is over.
    Ended(String),
}

impl Change {
    pub(super) fn rose(incident: &Incident) -> Self {
        Self::Rose(incident.id.clone())
    }

    /// What a fact means for others, `incident` being what came of it and of
    /// those that were written with it, by which so many breaches have joined.
    pub(super) fn of(fact: &Fact, incident: &Incident, attached: u64) -> Option<Self> {
        let id = fact.incident_id.clone();
        match &fact.data {
            FactData::Opened(_) | FactData::Reopened(_) | FactData::SeverityChanged(_) => {
                Some(Self::Rose(id))
            }
            // What did not breach before speaks for others anew, and what is now
            // about its root for those that are only about what lies below.
            FactData::BreachAttached(data)
                if incident.open_count <= attached || typed(&data.feature) == incident.root =>
            {
                Some(Self::Rose(id))
            }
            FactData::Resolved(_) | FactData::Merged(_) => Some(Self::Ended(id)),
            _ => None,
        }
    }
}

impl Escalate {
    /// Carries out what changes of incidents mean for others.
    pub(super) fn relate(&mut self, context: &dyn Context, now: Timestamp, out: &mut Outputs) {
        while let Some(change) = self.changes.pop_front() {
            match change {
                Change::Rose(id) => self.rose(&id, context, now, out),
                Change::Ended(id) => {
                    self.release_all(&id, "resolved", context, now, out);
                    self.recheck_platform(context, now, out);
                }
            }
        }
    }

    fn rose(&mut self, id: &str, context: &dyn Context, now: Timestamp, out: &mut Outputs) {
        let Some(incident) = self.incidents.get(id) else { return };
        let (root, severity) = (incident.root.clone(), incident.severity);
        let is_of_root = is_about_root(incident);
        let is_platform = platform::is_platform(incident);
        if let Some(by) = incident.quiet.inhibited_by.clone() {
            let has_root = self.incidents.get(&by).is_some_and(|one| one.root == root);
            if !self.covers(&by, severity) {
                self.release(id, "severity", context, now, out);
            } else if has_root && is_of_root {
                self.release(id, "root", context, now, out);
            }
        }
        if !self.covers(id, severity) || !self.index.others_open(id) {
            return;
        }
        let limits = self.limits_of(id, context);
        let as_of = self.as_of(id, context, now);
        let (below, rule) = if is_platform {
            (self.all_open(), platform::RULE)
        } else {
            let mut below = if is_of_root { self.with_root(&root, false) } else { Vec::new() };
            below.extend(self.incidents_near(&root, Way::Down, &limits, context, as_of));
            (below, UPSTREAM)
        };
        for child in below {
            let speaks_for_itself = self.incidents.get(&child).is_some_and(|one| {
                one.is_open() && one.severity <= severity && one.quiet.inhibited_by.is_none()
            });
            let child_root = self.incidents.get(&child).map(|one| one.root.clone());
            let explains = |stage: &mut Self| {
                is_platform
                    || child_root.is_some_and(|of| stage.explains(id, &of, &limits, context, as_of))
            };
            if speaks_for_itself
                && child != id
                && !self.line_of(id).contains(&child)
                && explains(self)
            {
                let doing = Doing::system(now, format!("incident {id}"));
                self.decide(&child, context, now, out, |decision| {
                    decision.inhibit(id, rule, &doing);
                });
            }
        }
    }

    /// A breach joins an incident. Where that breaches again, whoever explains it
    /// by now speaks for it before anybody is paged: while it did not breach there
    /// was nothing to explain.
    pub(super) fn join(
        &mut self,
        id: &str,
        breach: &Breach,
        context: &dyn Context,
        now: Timestamp,
        out: &mut Outputs,
    ) {
        let parent = self.parent_of_returning(id, breach, context, now);
        self.decide(id, context, now, out, |decision| {
            if let Some(parent) = &parent {
                let doing = Doing::system(now, format!("incident {}", parent.id));
                decision.inhibit(&parent.id, parent.rule, &doing);
            }
            decision.join(breach);
        });
    }

    fn parent_of_returning(
        &mut self,
        id: &str,
        breach: &Breach,
        context: &dyn Context,
        now: Timestamp,
    ) -> Option<Parent> {
        let incident = self.incidents.get(id)?;
        if incident.is_breaching() || incident.quiet.inhibited_by.is_some() {
            return None;
        }
        let root = incident.root.clone();
        let is_of_root = is_about_root(incident) || typed(&breach.feature) == root;
        let severity = incident.severity.max(breach.severity);
        let pin = Pin::of(incident);
        let wait = self.pinned_policy(&pin, context).grouping.group_wait;
        let limits = self.limits_of(id, context);
        let at = as_of(breach.detected_at, wait, now);
        let place = Place { root: &root, is_of_root };
        self.parent_of(&place, severity, Some(id), &limits, context, at)
    }

    /// Lets everybody speak again for whom an incident spoke.
    pub(super) fn release_all(
        &mut self,
        id: &str,
        reason: &str,
        context: &dyn Context,
        now: Timestamp,
        out: &mut Outputs,
    ) {
        for child in self.index.children(id) {
            self.release(&child, reason, context, now, out);
        }
    }

    /// Another incident takes over, or the incident speaks for itself again.
    fn release(
        &mut self,
        child: &str,
        reason: &str,
        context: &dyn Context,
        now: Timestamp,
        out: &mut Outputs,
    ) {
        let Some(incident) = self.incidents.get(child) else { return };
        let by = incident.quiet.inhibited_by.clone().unwrap_or_default();
        let place = Place { root: &incident.root.clone(), is_of_root: is_about_root(incident) };
        let severity = incident.severity;
        let limits = self.limits_of(child, context);
        let as_of = self.as_of(child, context, now);
        let next = self.parent_of(&place, severity, Some(child), &limits, context, as_of);
        let doing = Doing::system(now, format!("incident {by}"));
        self.decide(child, context, now, out, |decision| match next {
            Some(next) if next.id != by => decision.inhibit(&next.id, next.rule, &doing),
            Some(_) => {}
            None => decision.uninhibit(reason, &doing),
        });
    }

    /// The incident that speaks for one in this place and of this severity: of
    /// the nearest upstream the worst, then the first by identifier.
    pub(super) fn parent_of(
        &mut self,
        place: &Place<'_>,
        severity: Severity,
        child: Option<&str>,
        limits: &AttributionLimits,
        context: &dyn Context,
        at: Timestamp,
    ) -> Option<Parent> {
        if !self.index.others_open(child.unwrap_or_default()) {
            return None;
        }
        if let Some(id) = self.platform_incident()
            && place.root != PLATFORM
            && self.covers(&id, severity)
        {
            return Some(Parent { id, rule: platform::RULE });
        }
        let mut near = if place.is_of_root { Vec::new() } else { self.with_root(place.root, true) };
        near.extend(self.incidents_near(place.root, Way::Up, limits, context, at));
        near.retain(|id| self.explains(id, place.root, limits, context, at));
        let may = |id: &&String| {
            child.is_none_or(|child| id.as_str() != child && !self.line_of(id).contains(child))
                && self.covers(id, severity)
        };
        let id = near.iter().find(may)?.clone();
        Some(Parent { id, rule: UPSTREAM })
    }

    fn all_open(&self) -> Vec<String> {
        let open = self.incidents.values().filter(|one| one.is_open());
        open.map(|one| one.id.clone()).collect()
    }

    /// Open incidents with this root that are about itself, or are not: the
    /// worst first, then by identifier.
    fn with_root(&self, root: &str, is_of_root: bool) -> Vec<String> {
        let mut all: Vec<&Incident> = self
            .index
            .open_of_root(root)
            .iter()
            .filter_map(|id| self.incidents.get(id))
            .filter(|one| is_about_root(one) == is_of_root)
            .collect();
        all.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.id.cmp(&b.id)));
        all.iter().map(|incident| incident.id.clone()).collect()
    }

    /// Open incidents whose roots lie that way, nearest first, then the worst,
    /// then by identifier.
    fn incidents_near(
        &mut self,
        root: &str,
        way: Way,
        limits: &AttributionLimits,
        context: &dyn Context,
        at: Timestamp,
    ) -> Vec<String> {
        let board = self.index.settled(context);
        let lineage = context.lineage();
        let Some(start) = board.node(lineage, root) else { return Vec::new() };
        let mut all: Vec<String> = Vec::new();
        for level in related(board, lineage, start, way, limits, at) {
            let mut here: Vec<&Incident> = level
                .iter()
                .flat_map(|node| board.open_incidents(*node))
                .filter_map(|id| self.incidents.get(id))
                .collect();
            here.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.id.cmp(&b.id)));
            all.extend(here.iter().map(|incident| incident.id.clone()));
        }
        all
    }

    /// True where what is wrong with an incident's root may explain what is wrong
    /// with a node below it. What attribution would not blame for a breach speaks
    /// for no incident about that breach, or nobody would be told.
    fn explains(
        &mut self,
        id: &str,
        below: &str,
        limits: &AttributionLimits,
        context: &dyn Context,
        at: Timestamp,
    ) -> bool {
        let Some(root) = self.incidents.get(id).map(|incident| incident.root.clone()) else {
            return false;
        };
        let marks = std::mem::take(&mut self.marks);
        let board = self.index.settled(context);
        let lineage = context.lineage();
        let mut search = Search::new(board, lineage, limits, at).marking(marks).remembering();
        let nodes = board.node(lineage, below).zip(board.node(lineage, &root));
        let explains = nodes.is_none_or(|(below, root)| !search.has_outlived(below, root));
        self.marks = search.into_marks();
        explains
    }

    /// True where an incident speaks for others of a severity.
    fn covers(&self, id: &str, severity: Severity) -> bool {
        self.incidents.get(id).is_some_and(|incident| {
            incident.is_open() && platform::speaks(incident) && incident.severity >= severity
        })
    }

    /// Who speaks for an incident, who for that one, and so on.
    fn line_of(&self, id: &str) -> BTreeSet<String> {
        let mut line = BTreeSet::new();
        let mut next = self.incidents.get(id).and_then(|one| one.quiet.inhibited_by.clone());
        while let Some(by) = next.filter(|by| !line.contains(by) && line.len() < LINE_MAX) {
            next = self.incidents.get(&by).and_then(|one| one.quiet.inhibited_by.clone());
            line.insert(by);
        }
        line
    }

    /// The instant as of which the lineage tells who speaks for an incident: the
    /// time of its latest breach, as for its root. A service that catches up
    /// sees the graph of that time, as a replay does.
    fn as_of(&mut self, id: &str, context: &dyn Context, now: Timestamp) -> Timestamp {
        let Some(incident) = self.incidents.get(id) else { return now };
        let latest = incident.attached.values().map(|attached| attached.detected_at).max();
        let pin = Pin::of(incident);
        let wait = self.pinned_policy(&pin, context).grouping.group_wait;
        latest.map_or(now, |latest| as_of(latest, wait, now))
    }

    fn limits_of(&mut self, id: &str, context: &dyn Context) -> AttributionLimits {
        let Some(pin) = self.incidents.get(id).map(Pin::of) else {
            return AttributionLimits::default();
        };
        self.pinned_policy(&pin, context).attribution.clone()
    }
}

/// True for an incident about its root itself, and not only about what lies
/// downstream of it: a breach of the root has joined it.
fn is_about_root(incident: &Incident) -> bool {
    [incident.root.as_str(), untyped(&incident.root)].into_iter().any(|name| {
        let from = (name.to_owned(), String::new(), String::new());
        incident.attached.range(from..).next().is_some_and(|(key, _)| key.0 == name)
    })
}
