//! How long breaches were held before the incident opened.

use watchkeep_model::incident::data::{BreachAttached, Opened};
use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::subject::typed;

use super::{Checker, Departure};
use crate::context::DEFAULT_POLICY;
use crate::escalate::platform::PLATFORM;

impl Checker<'_> {
    /// Breaches are held for `group_wait` from their detection, so that what
    /// belongs together opens together and what passes by itself opens nothing.
    /// Later is no departure: a breach may have come late, of which no fact
    /// tells. What follows another policy was held by that one.
    pub(super) fn was_held(&mut self, facts: &[Fact]) {
        let Some((first, opened)) = facts.first().and_then(|first| match &first.data {
            FactData::Opened(opened) => Some((first, opened)),
            _ => None,
        }) else {
            return;
        };
        let at_once = facts.iter().take_while(|fact| fact.recorded_at == first.recorded_at);
        let attached = at_once.filter_map(|fact| match &fact.data {
            FactData::BreachAttached(breach) => Some(breach.as_ref()),
            _ => None,
        });
        let Some(earliest) = attached.min_by_key(|breach| breach.detected_at) else { return };
        if opened.root == PLATFORM || !self.follows_the_policy(earliest, opened) {
            return;
        }
        let wait = self.policy.grouping.group_wait;
        let due = earliest.detected_at + wait;
        if opened.due_at < due {
            let feature = &earliest.feature;
            let what = format!(
                "{feature} was to be held for {wait}, until {due}; it opened at {}",
                opened.due_at
            );
            self.find(Departure::WrongDeadline, first, what);
        }
    }

    fn follows_the_policy(&self, breach: &BreachAttached, opened: &Opened) -> bool {
        let charter = self.context.charter(&typed(&breach.feature), breach.window_end);
        let named = charter.as_ref().and_then(|charter| charter.fields.policy.as_deref());
        named.unwrap_or(DEFAULT_POLICY) == opened.policy.name
    }
}
