//! Which incident speaks for which, worked out from the edges of the lineage.

use std::collections::BTreeMap;

use watchkeep_model::subject::typed;
use watchkeep_model::time::Timestamp;

use super::case::Case;
use super::wrong;
use crate::simulation::Violation;

const PLATFORM: &str = "service:platform";

/// True where an incident breaches, and so stands for those downstream of it.
/// The platform's stands for all others, by its share alone: what people have
/// merged into it says nothing of them.
fn stands(case: &Case) -> bool {
    let open = if case.labels.root == PLATFORM { &case.share } else { &case.open };
    !case.is_resolved && !open.is_empty()
}

/// True where a breach of the root itself has joined an incident.
fn is_of_root(case: &Case) -> bool {
    case.labels.features.iter().any(|feature| typed(feature) == case.labels.root)
}

/// Whoever speaks for another breaches, and is as bad; where one does that lies
/// upstream, it or another speaks.
///
/// # Errors
/// An incident for which the wrong one speaks, or none.
pub(super) fn check(
    cases: &BTreeMap<String, Case>,
    upstream: &BTreeMap<String, Vec<String>>,
    now: Timestamp,
) -> Result<(), Violation> {
    let invariant = "whoever speaks for another breaches itself";
    for (id, case) in cases.iter().filter(|(_, case)| !case.is_resolved) {
        if let Some(by) = &case.quiet.inhibited_by {
            let Some(other) = cases.get(by) else {
                return Err(wrong(invariant, "there is no such incident", &case.last));
            };
            let may = stands(other) || other.settles_at.is_some_and(|at| at > now);
            if other.is_resolved || !may || other.labels.severity < case.labels.severity {
                return Err(wrong(invariant, &format!("at {now}: {other:?}"), &case.last));
            }
            continue;
        }
        if case.open.is_empty() || case.labels.root == PLATFORM {
            continue;
        }
        let root = &case.labels.root;
        let roots = upstream.get(&case.labels.root).map_or(&[][..], Vec::as_slice);
        let speaks = cases.iter().find(|(other, one)| {
            // Of two with one root the one about the root itself stands for the other.
            let is_nearer = one.labels.root == *root && is_of_root(one) && !is_of_root(case);
            let is_above = one.labels.root == PLATFORM || roots.contains(&one.labels.root);
            let is_above = is_above || is_nearer;
            *other != id && is_above && stands(one) && one.labels.severity >= case.labels.severity
        });
        if let Some((other, _)) = speaks {
            let invariant = "what is explained by another incident is quiet";
            return Err(wrong(invariant, &format!("{other} explains it"), &case.last));
        }
    }
    Ok(())
}
