//! Which incident speaks for which, worked out from the edges of the lineage.

use std::collections::BTreeMap;

use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::subject::typed;
use watchkeep_model::time::Timestamp;

use super::case::Case;
use super::wrong;
use crate::simulation::Violation;

const PLATFORM: &str = "service:platform";

/// Which breaches of an incident are open, and since when it is over.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    /// By identifier: the typed subject and where the window begins that opened it.
    open: BTreeMap<String, (String, Timestamp)>,
    /// Since when nothing of it breaches, whatever it has taken in again since the
    /// root itself last breached or ceased to.
    over_since: Option<Timestamp>,
}

impl Trouble {
    /// Takes in the next fact of an incident with this root.
    pub(super) fn follow(&mut self, root: &str, fact: &Fact) {
        match &fact.data {
            FactData::BreachAttached(data) => {
                let subject = typed(&data.feature);
                self.over_since = self.over_since.filter(|_| subject != root);
                self.open.insert(data.breach_id.clone(), (subject, data.window_start));
            }
            FactData::BreachCleared(data) => {
                self.open.remove(&data.breach_id);
                self.over_since = self.over_since.filter(|_| typed(&data.feature) != root);
                if self.open.is_empty() {
                    self.over_since.get_or_insert(fact.occurred_at);
                }
            }
            FactData::Reopened(_) => *self = Self::default(),
            _ => {}
        }
    }

    /// Where the first window begins that opened a breach of a subject.
    fn began(&self, subject: &str) -> Option<Timestamp> {
        let own = self.open.values().filter(|(of, _)| of == subject);
        own.map(|(_, began)| *began).min()
    }
}

/// True where what was wrong with a root explains what breaches below it: the
/// root itself breaches, an incident about it is not over, that below was measured
/// before it was, or is what such an incident took in before. (By how much of what
/// the root feeds breaches it may explain more. No run lasts a day, after which
/// it explains less.)
fn explains(cases: &BTreeMap<String, Case>, root: &str, below: &str) -> bool {
    let open = || cases.values().filter(|case| !case.is_resolved);
    let began = |subject| open().filter_map(|case| case.trouble.began(subject)).min();
    let about = || open().filter(|case| case.labels.root == root);
    if began(root).is_some() || about().any(|case| case.trouble.over_since.is_none()) {
        return true;
    }
    let over = about().filter_map(|case| case.trouble.over_since).max();
    let is_measured_before = began(below).zip(over).is_some_and(|(began, over)| began < over);
    let features = || about().flat_map(|case| &case.labels.features);
    is_measured_before || features().any(|feature| typed(feature) == below)
}

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
/// upstream and explains it, it or another speaks.
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
            let may = is_above && stands(one) && one.labels.severity >= case.labels.severity;
            let is_platform = one.labels.root == PLATFORM;
            *other != id && may && (is_platform || explains(cases, &one.labels.root, root))
        });
        if let Some((other, _)) = speaks {
            let invariant = "what is explained by another incident is quiet";
            return Err(wrong(invariant, &format!("{other} explains it"), &case.last));
        }
    }
    Ok(())
}
