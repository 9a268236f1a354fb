//! What was learned: causes that come again, reviews and what they asked for,
//! runbooks, drills, and what people said of pages.

use std::collections::BTreeMap;

use serde::Serialize;
use watchkeep_model::charter::Charter;
use watchkeep_model::incident::Fact;
use watchkeep_model::response::{Feedback as Said, ReviewAction};
use watchkeep_model::time::{TimeSpan, Timestamp};

use super::super::drills::held;
use super::super::policies::Policies;
use super::super::story::Story;
use super::Period;
use crate::registry::Registry;
use crate::registry::upkeep::Promise;

/// A cause with several incidents: the same root and kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recurrence {
    /// What is taken to be the cause, a typed name.
    pub root: String,
    /// The kind of breach.
    pub kind: &'static str,
    /// Incidents of the span.
    pub incidents: u64,
    /// Incidents of the span before.
    pub before: u64,
    /// Shortest time between two that follow on each other, in seconds.
    pub seconds_between: i64,
    /// What reviews found, each once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub root_causes: Vec<String>,
}

/// Something that a review asks for and that is not done.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Action {
    /// The incident.
    pub incident: String,
    /// What shall be done.
    pub what: String,
    /// By whom, a typed name.
    pub by: String,
    /// By when.
    pub due: Timestamp,
    /// True where that has passed.
    pub is_overdue: bool,
}

/// A resolved incident without the review that its policy asks for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MissingReview {
    /// The incident.
    pub incident: String,
    /// What is taken to be the cause.
    pub root: String,
    /// Who answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// When it was resolved.
    pub resolved_at: Timestamp,
    /// By when the review is due.
    pub due: Timestamp,
    /// True where that has passed.
    pub is_overdue: bool,
}

/// How long ago somebody followed a runbook and found it right.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunbookAge {
    /// Subject or pattern of the charter that names it.
    pub charter: String,
    /// The link.
    pub runbook: String,
    /// When; absent where nobody wrote it down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reviewed_at: Option<Timestamp>,
    /// Whole days since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_days: Option<i64>,
    /// True where the next check was due: `review_every` of the charter after
    /// the last or, where nobody wrote one down, with the charter's review.
    pub is_stale: bool,
}

/// A policy whose ladder is to be tried out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DrillDue {
    /// The policy.
    pub policy: String,
    /// How often.
    pub every: TimeSpan,
    /// When it was tried out last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
    /// True where that is longer ago, or was never.
    pub is_overdue: bool,
}

/// What people said of pages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Feedback {
    /// What.
    pub feedback: Said,
    /// Times that somebody said so of an incident of the span.
    pub count: u64,
}

const DAY_US: i64 = 86_400_000_000;

impl Feedback {
    /// Its name, as commands give it.
    pub fn name(&self) -> String {
        match serde_json::to_value(self.feedback) {
            Ok(serde_json::Value::String(name)) => name,
            _ => format!("{:?}", self.feedback),
        }
    }
}

/// Causes with more than one incident in the span or one in each span.
pub(super) fn recurrences(stories: &[Story<'_>], period: Period) -> Vec<Recurrence> {
    let mut causes: BTreeMap<_, Vec<&Story<'_>>> = BTreeMap::new();
    for story in stories {
        causes.entry(story.cause()).or_default().push(story);
    }
    let mut all = Vec::new();
    for ((root, kind), mut stories) in causes {
        stories.sort_by_key(|story| story.opened_at);
        let of = |period: Period| stories.iter().filter(|s| period.has(s.opened_at)).count() as u64;
        let (incidents, before) = (of(period), of(period.before()));
        let gaps = stories.windows(2).filter(|two| period.has(two[1].opened_at));
        let shortest = gaps.map(|two| two[1].opened_at.since(two[0].opened_at)).min();
        let Some(shortest) = shortest.filter(|_| incidents + before > 1) else { continue };
        let mut root_causes: Vec<String> =
            stories.iter().filter_map(|story| Some(story.reviewed?.1.root_cause.clone())).collect();
        root_causes.sort();
        root_causes.dedup();
        all.push(Recurrence {
            root: root.to_owned(),
            kind: kind.name(),
            incidents,
            before,
            seconds_between: shortest.as_micros() / 1_000_000,
            root_causes,
        });
    }
    all.sort_by(|a, b| b.incidents.cmp(&a.incidents).then_with(|| a.root.cmp(&b.root)));
    all
}

/// What the latest review of each incident asks for, until somebody says that it is done.
pub(super) fn actions(stories: &[Story<'_>], at: Timestamp) -> Vec<Action> {
    let mut all = Vec::new();
    for story in stories {
        let Some((_, reviewed)) = story.reviewed else { continue };
        let mut done = story.done.clone();
        let is_open = |action: &&ReviewAction| {
            let place = done.iter().position(|what| *what == action.what);
            place.map(|place| done.swap_remove(place)).is_none()
        };
        all.extend(reviewed.actions.iter().filter(is_open).map(|action| Action {
            incident: story.id.to_owned(),
            what: action.what.clone(),
            by: action.by.clone(),
            due: action.due,
            is_overdue: action.due <= at,
        }));
    }
    all.sort_by(|a, b| (a.due, &a.incident).cmp(&(b.due, &b.incident)));
    all
}

/// Resolved incidents whose policy asks for a review and that have none.
pub(super) fn missing_reviews(
    stories: &[Story<'_>],
    policies: &Policies,
    period: Period,
) -> Vec<MissingReview> {
    let mut all: Vec<MissingReview> = stories
        .iter()
        .filter(|story| !story.is_reviewed && !story.closed)
        .filter_map(|story| {
            let resolved_at = story.resolved_at?;
            let review = policies.nearest(story.policy())?.review.as_ref()?;
            let asked = review.severities.is_empty() || review.severities.contains(&story.severity);
            let due = resolved_at + review.due_within;
            asked.then(|| MissingReview {
                incident: story.id.to_owned(),
                root: story.opened.root.clone(),
                owner: story.owner.map(str::to_owned),
                resolved_at,
                due,
                is_overdue: due <= period.to,
            })
        })
        .collect();
    all.sort_by(|a, b| (a.due, &a.incident).cmp(&(b.due, &b.incident)));
    all
}

/// Every runbook that a charter names itself, the longest unchecked first.
pub(super) fn runbooks(
    registry: &Registry,
    charters: &[(&str, &Charter)],
    at: Timestamp,
) -> Vec<RunbookAge> {
    let mut all: Vec<RunbookAge> = charters
        .iter()
        // What is inherited is checked with the document that says it.
        .filter(|(subject, _)| registry.sets(subject, at, |fields| fields.runbook.is_some()))
        .filter_map(|(subject, charter)| {
            let fields = &charter.fields;
            let age = fields.runbook_reviewed_at.map(|reviewed_at| at.since(reviewed_at));
            Some(RunbookAge {
                charter: (*subject).to_owned(),
                runbook: fields.runbook.clone()?,
                reviewed_at: fields.runbook_reviewed_at,
                age_days: age.map(|age| age.as_micros() / DAY_US),
                is_stale: Promise::of_runbook(fields).is_some_and(|promise| promise.is_overdue(at)),
            })
        })
        .collect();
    all.sort_by(|a, b| (a.reviewed_at, &a.charter).cmp(&(b.reviewed_at, &b.charter)));
    all
}

/// Policies with `drill.every`, and the last drill through each.
pub(super) fn drills(
    registry: &Registry,
    incidents: &BTreeMap<String, Vec<Fact>>,
    at: Timestamp,
) -> Vec<DrillDue> {
    let last = held(incidents.values().flatten(), at);
    let due = |policy: &watchkeep_model::policy::Policy| {
        let every = policy.drill?.every;
        let last = last.get(policy.name.as_str()).copied();
        Some(DrillDue {
            policy: policy.name.clone(),
            every,
            last,
            is_overdue: last.is_none_or(|last| last + every <= at),
        })
    };
    registry.policies().filter_map(due).collect()
}

/// What people said of pages of incidents of the span.
pub(super) fn feedback(stories: &[Story<'_>], period: Period) -> Vec<Feedback> {
    let mut counts: BTreeMap<Said, u64> = BTreeMap::new();
    for said in stories.iter().filter(|s| period.has(s.opened_at)).flat_map(|s| &s.feedback) {
        *counts.entry(*said).or_default() += 1;
    }
    let feedback = |(feedback, count): (Said, u64)| Feedback { feedback, count };
    let mut all: Vec<Feedback> = counts.into_iter().map(feedback).collect();
    all.sort_by_key(|one| std::cmp::Reverse(one.count));
    all
}
