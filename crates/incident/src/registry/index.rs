//! Which documents hold for a subject at an instant.

use std::collections::{BTreeMap, BTreeSet};

use watchkeep_model::charter::CharterDocument;
use watchkeep_model::time::Timestamp;

use super::pattern;

/// Before every instant: from when a document without `effective_from` is in force.
pub(super) const ALWAYS: Timestamp = Timestamp::from_micros(i64::MIN);

/// After every instant.
pub(super) const NEVER: Timestamp = Timestamp::from_micros(i64::MAX);

/// Patterns with the same literal prefix. Each subject that begins so is
/// compared with all of them, so more are refused as an error; until then the
/// rest is passed over.
pub(super) const SAME_PREFIX_MAX: usize = 1_000;

/// Documents by subject and by the literal prefix of their pattern, so that a
/// subject is compared with few of them.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// In the order of files and lines.
    pub(super) documents: Vec<CharterDocument>,
    /// Documents that name a subject exactly.
    exact: BTreeMap<String, Revisions>,
    /// Documents with a pattern, by the pattern.
    patterns: BTreeMap<String, Revisions>,
    /// Patterns by what stands before their first star.
    prefixes: BTreeMap<String, Vec<String>>,
    /// Lengths of those prefixes.
    lengths: BTreeSet<usize>,
    /// Of each prefix with too many patterns, the first that is passed over.
    pub(super) crowded: Vec<String>,
}

/// Documents of one subject or pattern, by the instant from which they are in
/// force. Those of the latest such instant replace the earlier ones as a whole;
/// none where the charter was withdrawn.
#[derive(Debug, Default)]
pub(super) struct Revisions(pub(super) BTreeMap<Timestamp, Vec<usize>>);

impl Revisions {
    /// The documents in force.
    pub(super) fn at(&self, at: Timestamp) -> &[usize] {
        self.0.range(..=at).next_back().map_or(&[], |(_, documents)| documents)
    }
}

impl Index {
    pub(super) fn new(documents: Vec<CharterDocument>, withdrawn: &[(String, Timestamp)]) -> Self {
        let mut index = Self::default();
        for (number, document) in documents.iter().enumerate() {
            let from = document.fields.effective_from.unwrap_or(ALWAYS);
            index.entry(&document.subject).0.entry(from).or_default().push(number);
        }
        for (subject, from) in withdrawn {
            index.entry(subject).0.entry(*from).or_default();
        }
        for same in index.prefixes.values_mut() {
            // Equally long prefixes: a lint error where they set the same
            // field, and decided all the same, by the more literal one.
            same.sort_by(|a, b| {
                let literal = pattern::literal_length(b).cmp(&pattern::literal_length(a));
                literal.then_with(|| a.cmp(b))
            });
            if let Some(first) = same.get(SAME_PREFIX_MAX) {
                index.crowded.push(first.clone());
                same.truncate(SAME_PREFIX_MAX);
            }
        }
        index.documents = documents;
        index
    }

    /// The revisions of a subject or pattern, which is made known.
    fn entry(&mut self, subject: &str) -> &mut Revisions {
        if !pattern::is_pattern(subject) {
            return self.exact.entry(subject.to_owned()).or_default();
        }
        if !self.patterns.contains_key(subject) {
            let prefix = pattern::literal_prefix(subject).to_owned();
            self.lengths.insert(prefix.len());
            self.prefixes.entry(prefix).or_default().push(subject.to_owned());
        }
        self.patterns.entry(subject.to_owned()).or_default()
    }

    /// Subjects that a document names exactly, ascending.
    pub(super) fn named(&self) -> impl Iterator<Item = &str> {
        self.exact.keys().map(String::as_str)
    }

    /// True where a document names the subject exactly.
    pub(super) fn names(&self, subject: &str) -> bool {
        self.exact.contains_key(subject)
    }

    /// Patterns, ascending.
    pub(super) fn patterns(&self) -> impl Iterator<Item = (&str, &Revisions)> {
        self.patterns.iter().map(|(pattern, revisions)| (pattern.as_str(), revisions))
    }

    /// Subjects that a document names exactly, with their documents.
    pub(super) fn exact(&self) -> impl Iterator<Item = (&str, &Revisions)> {
        self.exact.iter().map(|(subject, revisions)| (subject.as_str(), revisions))
    }

    /// Groups of different patterns with the same literal prefix.
    pub(super) fn equally_specific(&self) -> impl Iterator<Item = &[String]> {
        self.prefixes.values().filter(|same| same.len() > 1).map(Vec::as_slice)
    }

    /// The documents of a pattern.
    pub(super) fn revisions(&self, pattern: &str) -> Option<&Revisions> {
        self.patterns.get(pattern)
    }

    /// Numbers of the documents in force, the most specific first. A pattern
    /// may be asked for like a subject: it matches itself and wider ones.
    pub(super) fn matching(&self, subject: &str, at: Timestamp) -> Vec<usize> {
        let mut found = Vec::new();
        self.each(subject, |revisions| found.extend_from_slice(revisions.at(at)));
        found
    }

    /// The instants around `at` between which the answer stays the same, `[from, until)`.
    pub(super) fn constant_around(&self, subject: &str, at: Timestamp) -> (Timestamp, Timestamp) {
        let (_, from, until) = self.matching_around(subject, at);
        (from, until)
    }

    /// [`Index::matching`] and [`Index::constant_around`] in one search.
    pub(super) fn matching_around(
        &self,
        subject: &str,
        at: Timestamp,
    ) -> (Vec<usize>, Timestamp, Timestamp) {
        let mut found = Vec::new();
        let (mut from, mut until) = (ALWAYS, NEVER);
        self.each(subject, |revisions| {
            found.extend_from_slice(revisions.at(at));
            if let Some((before, _)) = revisions.0.range(..=at).next_back() {
                from = from.max(*before);
            }
            let after = (std::ops::Bound::Excluded(at), std::ops::Bound::Unbounded);
            if let Some((after, _)) = revisions.0.range(after).next() {
                until = until.min(*after);
            }
        });
        (found, from, until)
    }

    fn each<'i>(&'i self, subject: &str, mut visit: impl FnMut(&'i Revisions)) {
        if let Some(revisions) = self.exact.get(subject) {
            visit(revisions);
        }
        for &length in self.lengths.range(..=subject.len()).rev() {
            let Some(prefix) = subject.get(..length) else { continue };
            for pattern in self.prefixes.get(prefix).into_iter().flatten() {
                if pattern::matches(pattern, subject)
                    && let Some(revisions) = self.patterns.get(pattern)
                {
                    visit(revisions);
                }
            }
        }
    }
}
