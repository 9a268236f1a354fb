//! Reviews that a change opens: a feature that enters another part of its
//! life, or comes in another version, is not what was reviewed.

use serde::Serialize;
use watchkeep_model::charter::{Charter, Lifecycle};
use watchkeep_model::time::{TimeSpan, Timestamp};

use super::Seen;
use crate::registry::Registry;

/// A review that is open until the charter's `reviewed_at` comes to the change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OpenReview {
    /// The subject or pattern.
    pub charter: String,
    /// `lifecycle` or `version`.
    pub because: &'static str,
    /// Before the change; empty for a version without a name.
    pub before: String,
    /// Since the change.
    pub after: String,
    /// From when the change is in force, or when the version was first seen.
    pub at: Timestamp,
    /// Who is asked: the reviewer, else the primary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// The latest change of each charter that it was not reviewed after, as of an
/// instant, by charter.
pub(super) fn opened(
    registry: &Registry,
    charters: &[(&str, &Charter)],
    seen: &Seen,
    at: Timestamp,
) -> Vec<OpenReview> {
    let mut open: Vec<OpenReview> = Vec::new();
    for (subject, charter) in charters {
        if let Some((changed, before, after)) = lifecycle(registry, subject, at) {
            let (before, after) = (before.name().to_owned(), after.name().to_owned());
            open.extend(review(subject, charter, "lifecycle", before, after, changed));
        }
    }
    for (feature, versions) in &seen.first {
        let Some(charter) = registry.charter(feature, at) else { continue };
        let mut versions: Vec<(Timestamp, &String)> =
            versions.iter().map(|(version, first)| (*first, version)).collect();
        versions.sort_unstable();
        if let [.., (_, before), (first, after)] = &versions[..] {
            let (before, after) = ((*before).clone(), (*after).clone());
            open.extend(review(feature, &charter, "version", before, after, *first));
        }
    }
    open.sort_by(|a, b| (&a.charter, a.because).cmp(&(&b.charter, b.because)));
    open
}

fn review(
    subject: &str,
    charter: &Charter,
    because: &'static str,
    before: String,
    after: String,
    at: Timestamp,
) -> Option<OpenReview> {
    let fields = &charter.fields;
    let is_open = fields.reviewed_at.is_none_or(|reviewed_at| reviewed_at < at);
    is_open.then(|| OpenReview {
        charter: subject.to_owned(),
        because,
        before,
        after,
        at,
        by: fields.owners.reviewer.clone().or_else(|| fields.owners.primary.clone()),
    })
}

/// The last instant up to `until` at which a subject's lifecycle became another.
fn lifecycle(
    registry: &Registry,
    subject: &str,
    until: Timestamp,
) -> Option<(Timestamp, Lifecycle, Lifecycle)> {
    // Without one, a charter is in production.
    let of = |at| {
        let charter = registry.charter(subject, at)?;
        Some(charter.fields.lifecycle.unwrap_or(Lifecycle::Production))
    };
    let mut instants = registry.changes(subject, until);
    let mut after = of(until)?;
    while let Some(at) = instants.pop() {
        let before = of(at - TimeSpan::from_micros(1))?;
        if before != after {
            return Some((at, before, after));
        }
        after = before;
    }
    None
}
