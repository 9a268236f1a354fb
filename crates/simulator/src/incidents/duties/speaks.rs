//! Which incident speaks for which, worked out from the edges of the lineage.

use std::collections::BTreeMap;

use watchkeep_model::time::Timestamp;

use super::case::Case;
use super::wrong;
use crate::simulation::Violation;

const PLATFORM: &str = "service:platform";

/// True where an incident stands for those downstream of it.
fn breaches(case: &Case) -> bool {
    !case.is_resolved && !case.open.is_empty()
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
            let may = breaches(other) || other.settles_at.is_some_and(|at| at > now);
            if other.is_resolved || !may || other.labels.severity < case.labels.severity {
                return Err(wrong(invariant, &format!("at {now}: {other:?}"), &case.last));
            }
            continue;
        }
        if !breaches(case) || case.labels.root == PLATFORM {
            continue;
        }
        let roots = upstream.get(&case.labels.root).map_or(&[][..], Vec::as_slice);
        let speaks = cases.iter().find(|(other, one)| {
            let is_above = one.labels.root == PLATFORM || roots.contains(&one.labels.root);
            *other != id && is_above && breaches(one) && one.labels.severity >= case.labels.severity
        });
        if let Some((other, _)) = speaks {
            let invariant = "what is explained by another incident is quiet";
            return Err(wrong(invariant, &format!("{other} explains it"), &case.last));
        }
    }
    Ok(())
}
