//! By when what charters and policies promise to look at again is due: the
//! review of a charter, the check of a runbook, the exercise of a policy.

use std::collections::{BTreeMap, BTreeSet};

use watchkeep_model::charter::{Charter, Lifecycle};
use watchkeep_model::incident::data::{Upkeep, UpkeepKind};
use watchkeep_model::time::{TimeSpan, Timestamp};

use super::Registry;
use super::index::{ALWAYS, NEVER};

/// The dates of a registry, for every time: which charter is in force when is
/// known beforehand.
#[derive(Debug, Default)]
pub struct Calendar {
    /// Subjects and patterns whose own charter promises something, ascending.
    subjects: Vec<Subject>,
    /// Instants at which something falls due or is not due any more, and of
    /// which subjects.
    changes: BTreeMap<Timestamp, Vec<usize>>,
    /// Policies that are to be tried out, and how often.
    drills: BTreeMap<String, TimeSpan>,
}

#[derive(Debug)]
struct Subject {
    name: String,
    /// Ascending, without gaps.
    spans: Vec<Span>,
}

/// What holds between two instants, `[from, until)`.
#[derive(Debug)]
struct Span {
    from: Timestamp,
    until: Timestamp,
    dates: Vec<Upkeep>,
}

impl Calendar {
    pub(super) fn of(registry: &Registry) -> Self {
        let mut calendar = Self::default();
        let names: BTreeSet<&str> = registry.subjects().collect();
        for name in names {
            let spans = spans(registry, name);
            if spans.iter().all(|span| span.dates.is_empty()) {
                continue;
            }
            let number = calendar.subjects.len();
            for span in &spans {
                let dues = span.dates.iter().map(|date| date.due_at.max(span.from));
                let within = dues.chain([span.from]).filter(|at| *at < span.until && *at > ALWAYS);
                within.for_each(|at| calendar.changes.entry(at).or_default().push(number));
            }
            calendar.subjects.push(Subject { name: name.to_owned(), spans });
        }
        let drills = registry.policies();
        calendar.drills =
            drills.filter_map(|policy| Some((policy.name.clone(), policy.drill?.every))).collect();
        calendar
    }

    /// Subjects and patterns that have dates, by their place.
    pub(crate) fn places(&self) -> std::ops::Range<usize> {
        0..self.subjects.len()
    }

    /// Places of subjects for which something changes after one instant and
    /// until another, that one included.
    pub(crate) fn changing(&self, after: Timestamp, until: Timestamp) -> BTreeSet<usize> {
        if after >= until {
            return BTreeSet::new();
        }
        let bounds = (std::ops::Bound::Excluded(after), std::ops::Bound::Included(until));
        self.changes.range(bounds).flat_map(|(_, places)| places).copied().collect()
    }

    /// The next instant after this one at which something changes for a subject.
    pub(crate) fn next_after(&self, at: Timestamp) -> Option<Timestamp> {
        let bounds = (std::ops::Bound::Excluded(at), std::ops::Bound::Unbounded);
        self.changes.range(bounds).next().map(|(at, _)| *at)
    }

    /// The subject or pattern at a place.
    pub(crate) fn name(&self, place: usize) -> &str {
        &self.subjects[place].name
    }

    /// What the charter in force at an instant promises.
    pub(crate) fn dates(&self, place: usize, at: Timestamp) -> &[Upkeep] {
        let spans = &self.subjects[place].spans;
        let next = spans.partition_point(|span| span.from <= at);
        next.checked_sub(1).map_or(&[], |place| &spans[place].dates)
    }

    /// The place of a subject or pattern that has dates.
    pub(crate) fn place(&self, name: &str) -> Option<usize> {
        self.subjects.binary_search_by(|subject| subject.name.as_str().cmp(name)).ok()
    }

    /// Policies that are to be tried out, and how often.
    pub(crate) fn drills(&self) -> &BTreeMap<String, TimeSpan> {
        &self.drills
    }
}

fn spans(registry: &Registry, name: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut from = ALWAYS;
    loop {
        let (_, mut until) = registry.index.constant_around(name, from);
        // What is inherited is looked at with the document that says it.
        let own = registry.sets(name, from, |fields| fields.review_every.is_some());
        let charter = registry.of_written(name, from).filter(|_| own);
        if let Some(view) = charter.as_ref().and_then(|charter| charter.fields.view.as_ref()) {
            until = until.min(registry.index.constant_around(view, from).1);
        }
        let dates = charter.map(|charter| dates(&charter)).unwrap_or_default();
        spans.push(Span { from, until, dates });
        if until == NEVER {
            return spans;
        }
        from = until;
    }
}

/// The dates of one charter. A review counts from the one before or, where
/// there was none, from when the charter came into force; where neither has a
/// date, no date has passed, and lint and reports say that it never was.
fn dates(charter: &Charter) -> Vec<Upkeep> {
    let fields = &charter.fields;
    let Some(every) = fields.review_every else { return Vec::new() };
    if fields.lifecycle == Some(Lifecycle::Retired) {
        return Vec::new();
    }
    let asked = fields.owners.reviewer.as_ref().or(fields.owners.primary.as_ref());
    let date = |what: UpkeepKind, last: Option<Timestamp>, since: Timestamp| Upkeep {
        what,
        of: charter.subject.clone(),
        last,
        due_at: since + every,
        asked: asked.cloned(),
    };
    let reviewed = fields.reviewed_at.or(fields.effective_from);
    let checked = fields.runbook_reviewed_at.filter(|_| fields.runbook.is_some());
    let review = reviewed.map(|since| date(UpkeepKind::Review, fields.reviewed_at, since));
    let runbook = checked.map(|since| date(UpkeepKind::Runbook, Some(since), since));
    review.into_iter().chain(runbook).collect()
}
