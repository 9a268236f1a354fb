//! When exercises were held.

use std::collections::BTreeMap;

use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::time::Timestamp;

use crate::state::people::action::DRILL_HELD;

/// The latest exercise through each policy before an instant: those that the
/// log says were held, and those whose own facts are given.
pub fn held<'a>(
    facts: impl IntoIterator<Item = &'a Fact>,
    before: Timestamp,
) -> BTreeMap<String, Timestamp> {
    let mut last: BTreeMap<String, Timestamp> = BTreeMap::new();
    for fact in facts.into_iter().filter(|fact| fact.occurred_at < before) {
        let policies = match &fact.data {
            FactData::Opened(opened) if fact.drill => std::slice::from_ref(&opened.policy.name),
            FactData::ActionRecorded(data) if data.action == DRILL_HELD => {
                data.drill.as_ref().map_or(&[][..], |drill| &drill.policies)
            }
            _ => continue,
        };
        for policy in policies {
            let known = last.entry(policy.clone()).or_insert(fact.occurred_at);
            *known = fact.occurred_at.max(*known);
        }
    }
    last
}
