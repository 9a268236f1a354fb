//! Expectations that no window of the past had enough for.

use std::collections::BTreeMap;

use watchkeep_model::charter::{Expectation, Rule};
use watchkeep_model::window::Window;

use super::super::index::NEVER;
use super::{Folder, Found};

/// What the windows of the past had at most, by subject and window.
#[derive(Clone, Debug, Default)]
pub struct History(BTreeMap<(String, String), Most>);

#[derive(Clone, Copy, Debug, Default)]
struct Most {
    windows: u64,
    events: u64,
    numbers: bool,
    latencies: bool,
    ages: bool,
}

impl History {
    /// Takes a window as it was published; later revisions of one add to it.
    pub fn add(&mut self, window: &Window) {
        let key = (watchkeep_model::subject::typed(&window.feature), window.window.clone());
        let most = self.0.entry(key).or_default();
        most.windows += u64::from(window.revision == 0);
        most.events = most.events.max(window.count);
        most.numbers |= window.min.is_some();
        most.latencies |= window.latency_us.is_some();
        most.ages |= window.age_us.is_some();
    }
}

/// An expectation that judged nothing of a subject.
struct Unjudged {
    message: String,
    hint: String,
    /// Further subjects of which it judged nothing.
    others: usize,
}

pub(super) fn check(folder: &Folder<'_>, history: &History, found: &mut Found) {
    let registry = folder.registry;
    // By document and place: a pattern may stand for thousands of features.
    let mut all: BTreeMap<(usize, String), Unjudged> = BTreeMap::new();
    for ((subject, window), most) in &history.0 {
        let documents = registry.index.matching(subject, NEVER);
        let source = documents.iter().find_map(|&number| {
            let fields = &registry.index.documents[number].fields;
            fields.expectations.as_ref().map(|expectations| (number, expectations))
        });
        let Some((number, expectations)) = source else { continue };
        let place = &folder.charters[number];
        for (expectation, path) in expectations.iter().zip(place.items("expectations")) {
            if expectation.window.to_string() != *window {
                continue;
            }
            if let Some((why, hint)) = never_judged(expectation, most) {
                let message = format!(
                    "`{}` would have judged none of {} windows of {subject}: {why}",
                    expectation.name, most.windows
                );
                let others = |known: &mut Unjudged| known.others += 1;
                let first = Unjudged { message, hint, others: 0 };
                all.entry((number, path)).and_modify(others).or_insert(first);
            }
        }
    }
    for ((number, path), Unjudged { mut message, hint, others }) in all {
        if others > 0 {
            message.push_str(&format!("; nor any of {others} further subjects"));
        }
        found.warning(&folder.charters[number], &path, "never_judged", message, Some(hint));
    }
}

/// Why the rule has nothing to judge by, and what would help.
fn never_judged(expectation: &Expectation, most: &Most) -> Option<(String, String)> {
    let missing = match expectation.rule {
        Rule::Volume { .. } | Rule::Silence { .. } => return None,
        Rule::Latency { .. } if !most.latencies => Some("latency_us"),
        Rule::Freshness { .. } if !most.ages => Some("materialised_at"),
        Rule::Range { .. } if !most.numbers => Some("a number as value"),
        _ => None,
    };
    if let Some(missing) = missing {
        let hint = format!("let the producer send {missing}");
        return Some((format!("no event had {missing}"), hint));
    }
    (most.events < expectation.min_samples).then(|| {
        let why = format!(
            "they had {} events at most, min_samples is {}",
            most.events, expectation.min_samples
        );
        (why, "lengthen the window, or lower min_samples".to_owned())
    })
}
