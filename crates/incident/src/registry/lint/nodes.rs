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
    let nodes = folder.nodes();
    let ends = || folder.ends.nodes.iter().flat_map(|(from, to)| [*from as usize, *to as usize]);
    let mut times: Vec<usize> = vec![0; nodes.len()];
    ends().for_each(|node| times[node] += 1);
    let has_charter = |node: &str| !registry.index.matching(node, NEVER).is_empty();
    let is_stranger = |(times, node): (&usize, &&str)| *times > 0 && !has_charter(node);
    let strangers: Vec<bool> = times.iter().zip(&nodes).map(is_stranger).collect();
    // What is named twice, or has a charter, was meant.
    let is_meant = |node: &usize| times[*node] > 1 || (times[*node] == 1 && !strangers[*node]);
    let known: BTreeSet<&str> = (0..nodes.len())
        .filter(is_meant)
        .map(|node| nodes[node])
        .chain(registry.index.named())
        .collect();
    views(folder, &known, found);
    let count = strangers.iter().filter(|is_stranger| **is_stranger).count();
    let guesses = count.saturating_mul(known.len()) <= COMPARISONS_MAX;
    let near = |node: &str| if guesses { near(node, &known) } else { None };
    let mut left = FINDINGS_MAX;
    let mut told = vec![false; nodes.len()];
    for ((from, to), source) in folder.ends.nodes.iter().zip(&folder.ends.sources) {
        for (end, number) in [("from", *from as usize), ("to", *to as usize)] {
            if !strangers[number] || std::mem::replace(&mut told[number], true) {
                continue;
            }
            let node = nodes[number];
            let guess = near(node);
            let (message, hint) = if node.starts_with("feature:") {
                let hint =
                    guess.unwrap_or_else(|| "write a charter, or take the edge away".to_owned());
                (format!("no charter is about {node}"), hint)
            } else {
                // A dataset may do without a charter. One that is named once
                // and nearly as another is a slip.
                let Some(hint) = guess.filter(|_| times[number] == 1) else { continue };
                (format!("nothing else in this folder names {node}"), hint)
            };
            if left == 0 {
                return;
            }
            left -= 1;
            let hint = Some(hint);
            match *source {
                Source::Lineage(number, place) => {
                    let field = format!("{}.{end}", folder.edge_path(number, place));
                    let place = &folder.lineage[number];
                    found.warning(place, &field, "unknown_node", message, hint);
                }
                Source::Charter(number, list, place) => {
                    let path = format!("{list}[{place}]");
                    let place = &folder.charters[number];
                    found.warning(place, &path, "unknown_node", message, hint);
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
