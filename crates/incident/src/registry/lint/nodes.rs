//! Nodes of the lineage that nothing else knows.

use std::collections::{BTreeMap, BTreeSet};

use watchkeep_model::document::nearest;

use super::super::index::NEVER;
use super::super::lineage::Source;
use super::{Folder, Found};

/// Findings of this kind that are told; a lineage of a whole company may have
/// many nodes without a charter, and the first ones tell enough.
const FINDINGS_MAX: usize = 100;

/// Comparisons of names for guesses. Beyond, nothing is guessed and a slip in
/// the name of a dataset is not looked for.
const COMPARISONS_MAX: usize = 5_000_000;

pub(super) fn check(folder: &Folder<'_>, found: &mut Found) {
    let registry = folder.registry;
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for node in registry.edges().iter().flat_map(|edge| [&edge.from, &edge.to]) {
        *times.entry(node).or_default() += 1;
    }
    let has_charter = |node: &str| !registry.index.matching(node, NEVER).is_empty();
    let strangers: BTreeSet<&str> =
        times.keys().copied().filter(|node| !has_charter(node)).collect();
    // What is named twice, or has a charter, was meant.
    let known: BTreeSet<&str> = times
        .iter()
        .filter(|(node, times)| **times > 1 || !strangers.contains(*node))
        .map(|(node, _)| *node)
        .chain(registry.index.named())
        .collect();
    views(folder, &known, found);
    let guesses = strangers.len().saturating_mul(known.len()) <= COMPARISONS_MAX;
    let near = |node: &str| if guesses { near(node, &known) } else { None };
    let mut left = FINDINGS_MAX;
    let mut told = BTreeSet::new();
    for edge in registry.edges() {
        let ends = (edge.from.clone(), edge.to.clone());
        let Some(source) = folder.sources.get(&ends) else { continue };
        for (end, node) in [("from", edge.from.as_str()), ("to", edge.to.as_str())] {
            if !strangers.contains(node) || !told.insert(node) {
                continue;
            }
            let guess = near(node);
            let (message, hint) = if node.starts_with("feature:") {
                let hint =
                    guess.unwrap_or_else(|| "write a charter, or take the edge away".to_owned());
                (format!("no charter is about {node}"), hint)
            } else {
                // A dataset may do without a charter. One that is named once
                // and nearly as another is a slip.
                let Some(hint) = guess.filter(|_| times.get(node) == Some(&1)) else { continue };
                (format!("nothing else in this folder names {node}"), hint)
            };
            if left == 0 {
                return;
            }
            left -= 1;
            let hint = Some(hint);
            match source {
                Source::Lineage(number, path) => {
                    let field = format!("{path}.{end}");
                    let place = &folder.lineage[*number];
                    found.warning(place, &field, "unknown_node", message, hint);
                }
                Source::Charter(number, path) => {
                    let place = &folder.charters[*number];
                    found.warning(place, path, "unknown_node", message, hint);
                }
            }
        }
    }
}

/// Tells a `view` that nothing else names and that is nearly as another.
fn views(folder: &Folder<'_>, known: &BTreeSet<&str>, found: &mut Found) {
    let index = &folder.registry.index;
    let views: BTreeSet<&str> =
        index.documents.iter().filter_map(|document| document.fields.view.as_deref()).collect();
    if views.len().saturating_mul(known.len()) > COMPARISONS_MAX {
        return;
    }
    let unknown: BTreeMap<&str, String> = views
        .into_iter()
        .filter(|view| {
            view.starts_with("view:")
                && !known.contains(view)
                && index.matching(view, NEVER).is_empty()
        })
        .filter_map(|view| Some((view, near(view, known)?)))
        .collect();
    for (number, place) in folder.charters.iter().enumerate() {
        let view = index.documents[number].fields.view.as_deref();
        let Some((view, hint)) = view.and_then(|view| unknown.get_key_value(view)) else {
            continue;
        };
        let message = format!("nothing else in this folder names {view}");
        found.warning(place, "view", "unknown_node", message, Some(hint.clone()));
    }
}

/// A guess among the names of the same type.
fn near(node: &str, known: &BTreeSet<&str>) -> Option<String> {
    let (kind, bare) = node.split_once(':')?;
    let bare_names = known.iter().filter(|name| **name != node).filter_map(|name| {
        let (other, bare) = name.split_once(':')?;
        (other == kind).then_some(bare)
    });
    nearest(bare, bare_names).map(|near| format!("did you mean `{kind}:{near}`?"))
}
