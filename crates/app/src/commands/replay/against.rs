//! What a replay would have done otherwise than an earlier one: breaches that are
//! new, gone or elsewhere in time, and who would have been paged.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use watchkeep_model::time::Timestamp;

use crate::input::Lines;
use crate::output::{Output, Table, grouped};

/// The file of differences beside what the replay wrote.
pub(super) const FILE: &str = "against.json";

/// Differences that a table shows of each sort; the file has all.
const SHOWN_MAX: usize = 20;

/// What differs.
#[derive(Debug, Serialize)]
pub(super) struct Differences {
    /// The folder of the earlier replay.
    against: String,
    /// Breaches that are the same in both.
    pub(super) same: usize,
    /// Breaches of this replay alone.
    pub(super) new: Vec<Found>,
    /// Breaches of the earlier one alone.
    pub(super) gone: Vec<Found>,
    /// Breaches of both that begin or end at another time.
    pub(super) moved: Vec<Moved>,
    /// Pages of those to whom another number would have gone.
    pub(super) pages: BTreeMap<String, Pages>,
}

/// A breach that is in one of the two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Found {
    #[serde(flatten)]
    key: Key,
    #[serde(flatten)]
    span: Span,
}

/// A breach that is elsewhere in time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Moved {
    #[serde(flatten)]
    key: Key,
    before: Span,
    after: Span,
}

/// Pages to somebody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Pages {
    before: u64,
    after: u64,
}

/// What a breach is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Key {
    feature: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    feature_version: String,
    expectation: String,
    window: String,
}

/// When it opened, and cleared where it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Span {
    from: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Timestamp>,
}

impl Span {
    fn overlaps(self, other: Self) -> bool {
        let begins_in = |one: Self, two: Self| two.to.is_none_or(|to| one.from <= to);
        begins_in(self, other) && begins_in(other, self)
    }
}

/// What is read of a line of `breaches.ndjson`.
#[derive(Deserialize)]
struct BreachLine {
    breach_id: String,
    transition: String,
    feature: String,
    #[serde(default)]
    feature_version: String,
    expectation: String,
    window: String,
    window_start: Timestamp,
    window_end: Timestamp,
}

/// What is read of a line of `escalations.ndjson`.
#[derive(Deserialize)]
struct EscalationLine {
    audience: String,
    event_action: String,
    #[serde(default)]
    target: Option<String>,
}

/// An earlier replay, read before this one begins: what cannot be compared is
/// told before the work.
pub(super) struct Earlier {
    folder: PathBuf,
    breaches: BTreeMap<String, (Key, Span)>,
    pages: BTreeMap<String, u64>,
}

impl Earlier {
    /// # Errors
    /// The folder is none of a replay, or the one that this replay writes to.
    pub(super) fn read(folder: &Path, out: &Path) -> anyhow::Result<Self> {
        if !folder.join("breaches.ndjson").is_file() {
            bail!(
                "--against {}: there is no breaches.ndjson: give what an earlier replay wrote with \
                 --out",
                folder.display()
            );
        }
        let canonical = |path: &Path| std::fs::canonicalize(path).ok();
        if canonical(folder).is_some() && canonical(folder) == canonical(out) {
            bail!("--against and --out are the same folder: write to another one");
        }
        let (breaches, pages) = (breaches(folder)?, pages(folder)?);
        Ok(Self { folder: folder.to_owned(), breaches, pages })
    }

    /// Compares what a replay wrote with it.
    ///
    /// # Errors
    /// What it wrote cannot be read.
    pub(super) fn compare(self, out: &Path) -> anyhow::Result<Differences> {
        let (after, paged) = (breaches(out)?, pages(out)?);
        let mut differences = compare(self.breaches, &after);
        differences.against = self.folder.display().to_string();
        let targets: BTreeSet<&String> = self.pages.keys().chain(paged.keys()).collect();
        let count = |of: &BTreeMap<String, u64>, target: &String| of.get(target).copied();
        for target in targets {
            let before = count(&self.pages, target).unwrap_or_default();
            let after = count(&paged, target).unwrap_or_default();
            if before != after {
                differences.pages.insert(target.clone(), Pages { before, after });
            }
        }
        Ok(differences)
    }
}

impl Differences {
    /// True where both replays would have told the same.
    pub(super) fn is_empty(&self) -> bool {
        self.new.is_empty()
            && self.gone.is_empty()
            && self.moved.is_empty()
            && self.pages.is_empty()
    }

    /// # Errors
    /// Those of the output.
    pub(super) fn print(&self, output: &mut Output) -> anyhow::Result<()> {
        output.line(format_args!(
            "against {}: {} new, {} gone, {} moved, {} the same",
            self.against,
            match self.new.len() as u64 {
                1 => "1 breach".to_owned(),
                new => format!("{} breaches", grouped(new)),
            },
            grouped(self.gone.len() as u64),
            grouped(self.moved.len() as u64),
            grouped(self.same as u64)
        ))?;
        let mut table = Table::new(["breach", "subject", "expectation", "window", "when"]);
        let mut rows = 0;
        let mut row = |what: &str, key: &Key, when: String| {
            let subject = match key.feature_version.as_str() {
                "" => key.feature.clone(),
                version => format!("{} version {version}", key.feature),
            };
            rows += 1;
            let cells =
                [what.to_owned(), subject, key.expectation.clone(), key.window.clone(), when];
            table.row(cells);
        };
        for (what, all) in [("new", &self.new), ("gone", &self.gone)] {
            all.iter().take(SHOWN_MAX).for_each(|one| row(what, &one.key, shown(one.span)));
        }
        for one in self.moved.iter().take(SHOWN_MAX) {
            row("moved", &one.key, format!("{}; before {}", shown(one.after), shown(one.before)));
        }
        if rows > 0 {
            table.print(output)?;
        }
        if !self.pages.is_empty() {
            let mut table = Table::new(["pages to", "before", "now"]);
            for (target, pages) in &self.pages {
                table.row([target.clone(), grouped(pages.before), grouped(pages.after)]);
            }
            table.print(output)?;
        }
        Ok(())
    }
}

fn shown(span: Span) -> String {
    match span.to {
        Some(to) => format!("{} to {to}", span.from),
        None => format!("{}, still open", span.from),
    }
}

/// Breaches with the same identifier are the same. Of the others those of one
/// expectation that overlap in time are one that is elsewhere.
fn compare(
    before: BTreeMap<String, (Key, Span)>,
    after: &BTreeMap<String, (Key, Span)>,
) -> Differences {
    let (mut same, mut moved) = (0, Vec::new());
    let mut new: Vec<Found> = Vec::new();
    for (id, (key, span)) in after {
        match before.get(id) {
            Some((_, known)) if known == span => same += 1,
            Some((_, known)) => {
                moved.push(Moved { key: key.clone(), before: *known, after: *span });
            }
            None => new.push(Found { key: key.clone(), span: *span }),
        }
    }
    let missing = before.into_iter().filter(|(id, _)| !after.contains_key(id));
    let mut gone: Vec<Found> = missing.map(|(_, (key, span))| Found { key, span }).collect();
    let by_time = |a: &Found, b: &Found| (&a.key, a.span).cmp(&(&b.key, b.span));
    new.sort_by(by_time);
    gone.sort_by(by_time);
    new.retain(|one| {
        let matches = |other: &Found| other.key == one.key && other.span.overlaps(one.span);
        let Some(place) = gone.iter().position(matches) else { return true };
        let other = gone.remove(place);
        moved.push(Moved { key: other.key, before: other.span, after: one.span });
        false
    });
    moved.sort_by(|a, b| (&a.key, a.before).cmp(&(&b.key, b.before)));
    Differences { against: String::new(), same, new, gone, moved, pages: BTreeMap::new() }
}

fn breaches(folder: &Path) -> anyhow::Result<BTreeMap<String, (Key, Span)>> {
    let mut found: BTreeMap<String, (Key, Span)> = BTreeMap::new();
    each(&folder.join("breaches.ndjson"), |line: BreachLine| match line.transition.as_str() {
        "opened" => {
            let key = Key {
                feature: line.feature,
                feature_version: line.feature_version,
                expectation: line.expectation,
                window: line.window,
            };
            found.insert(line.breach_id, (key, Span { from: line.window_start, to: None }));
        }
        "cleared" => {
            if let Some((_, span)) = found.get_mut(&line.breach_id) {
                span.to = Some(line.window_end);
            }
        }
        // It was none after all.
        "retracted" => _ = found.remove(&line.breach_id),
        _ => {}
    })?;
    Ok(found)
}

fn pages(folder: &Path) -> anyhow::Result<BTreeMap<String, u64>> {
    let mut found: BTreeMap<String, u64> = BTreeMap::new();
    each(&folder.join("escalations.ndjson"), |line: EscalationLine| {
        if line.audience == "page" && line.event_action == "trigger" {
            *found.entry(line.target.unwrap_or_default()).or_default() += 1;
        }
    })?;
    Ok(found)
}

fn each<T: DeserializeOwned>(path: &Path, mut take: impl FnMut(T)) -> anyhow::Result<()> {
    let mut lines = Lines::open(path)?;
    let mut line = Vec::new();
    while let Some(number) = lines.read(&mut line)? {
        let read = serde_json::from_slice(&line);
        take(read.with_context(|| format!("{}:{}", path.display(), number + 1))?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_micros(hour * 3_600_000_000)
    }

    fn all(spans: &[(&str, &str, i64, Option<i64>)]) -> BTreeMap<String, (Key, Span)> {
        let one = |(id, feature, from, to): &(&str, &str, i64, Option<i64>)| {
            let key = Key {
                feature: (*feature).to_owned(),
                feature_version: String::new(),
                expectation: "nulls".to_owned(),
                window: "1h".to_owned(),
            };
            ((*id).to_owned(), (key, Span { from: at(*from), to: to.map(at) }))
        };
        spans.iter().map(one).collect()
    }

    #[test]
    fn breaches_are_new_gone_moved_or_the_same() {
        let before = all(&[
            ("a", "x", 1, Some(2)),
            ("b", "x", 5, Some(8)),
            ("c", "y", 1, None),
            ("e", "z", 1, None),
        ]);
        let after = all(&[
            ("a", "x", 1, Some(2)),
            ("d", "x", 6, Some(9)),
            ("f", "x", 20, None),
            ("e", "z", 1, Some(4)),
        ]);
        let found = compare(before, &after);
        let from = |found: &[Found]| -> Vec<(String, Timestamp)> {
            found.iter().map(|one| (one.key.feature.clone(), one.span.from)).collect()
        };
        assert_eq!(found.same, 1);
        assert_eq!(from(&found.new), [("x".to_owned(), at(20))]);
        assert_eq!(from(&found.gone), [("y".to_owned(), at(1))]);
        let moved: Vec<_> =
            found.moved.iter().map(|one| (one.before.from, one.after.from)).collect();
        assert_eq!(moved, [(at(5), at(6)), (at(1), at(1))]);
        assert!(!found.is_empty());
    }
}
