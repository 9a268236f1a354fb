//! By when what charters and policies promise to look at again is due: the
//! review of a charter, the check of a runbook, the exercise of a policy.

use std::collections::{BTreeMap, BTreeSet};

use watchkeep_model::charter::{Charter, CharterFields, Lifecycle};
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

/// Something that a charter promises to do again and again. Lint, reports and
/// the facts of an upkeep that is overdue all go by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Promise {
    /// How often.
    pub(crate) every: TimeSpan,
    /// When it was done last; absent where it never was.
    pub(crate) last: Option<Timestamp>,
    /// By when it is to be done: counted from the last time or, where there
    /// was none, from when the charter came into force. Absent where neither
    /// has a date: no day can be named on which it was late.
    pub(crate) due_at: Option<Timestamp>,
}

impl Promise {
    /// The review of a charter.
    pub(crate) fn of_review(fields: &CharterFields) -> Option<Self> {
        if fields.lifecycle == Some(Lifecycle::Retired) {
            return None;
        }
        let every = fields.review_every?;
        let since = fields.reviewed_at.or(fields.effective_from);
        let due_at = since.map(|since| since + every);
        Some(Self { every, last: fields.reviewed_at, due_at })
    }

    /// The check of a runbook. One without a date of its own is looked at with
    /// the charter.
    pub(crate) fn of_runbook(fields: &CharterFields) -> Option<Self> {
        let review = Self::of_review(fields).filter(|_| fields.runbook.is_some())?;
        let Some(last) = fields.runbook_reviewed_at else { return Some(review) };
        Some(Self { last: Some(last), due_at: Some(last + review.every), ..review })
    }

    /// True where it should have been done. What never was and has no date is
    /// as late as can be.
    pub(crate) fn is_overdue(&self, at: Timestamp) -> bool {
        self.due_at.is_none_or(|due_at| due_at <= at)
    }
}

/// True for a document that says by itself when its subject is reviewed. What
/// is inherited is looked at with the document that says it.
pub(crate) fn tells_review(fields: &CharterFields) -> bool {
    fields.review_every.is_some() || fields.reviewed_at.is_some()
}

/// The same of the check of a runbook.
pub(crate) fn tells_runbook(fields: &CharterFields) -> bool {
    let is_named = fields.runbook.is_some() || fields.runbook_reviewed_at.is_some();
    is_named || fields.review_every.is_some()
}

fn spans(registry: &Registry, name: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut from = ALWAYS;
    loop {
        let (_, mut until) = registry.index.constant_around(name, from);
        let tells = |fields: &CharterFields| tells_review(fields) || tells_runbook(fields);
        let own = registry.sets(name, from, tells);
        let charter = registry.of_written(name, from).filter(|_| own);
        if let Some(view) = charter.as_ref().and_then(|charter| charter.fields.view.as_ref()) {
            until = until.min(registry.index.constant_around(view, from).1);
        }
        let dates = charter.map(|charter| dates(registry, &charter, from)).unwrap_or_default();
        spans.push(Span { from, until, dates });
        if until == NEVER {
            return spans;
        }
        from = until;
    }
}

/// The dates of one charter. Where a promise has none, no date has passed, and
/// lint and reports say that it never was kept.
fn dates(registry: &Registry, charter: &Charter, at: Timestamp) -> Vec<Upkeep> {
    let fields = &charter.fields;
    let asked = fields.owners.reviewer.as_ref().or(fields.owners.primary.as_ref());
    let date = |what: UpkeepKind, promise: Promise| {
        let (of, asked) = (charter.subject.clone(), asked.cloned());
        Some(Upkeep { what, of, last: promise.last, due_at: promise.due_at?, asked })
    };
    let is_own = |tells: fn(&CharterFields) -> bool| registry.sets(&charter.subject, at, tells);
    let review = Promise::of_review(fields).filter(|_| is_own(tells_review));
    let runbook = Promise::of_runbook(fields)
        .filter(|_| fields.runbook_reviewed_at.is_some() && is_own(tells_runbook));
    let review = review.and_then(|promise| date(UpkeepKind::Review, promise));
    let runbook = runbook.and_then(|promise| date(UpkeepKind::Runbook, promise));
    review.into_iter().chain(runbook).collect()
}
