//! Which publications a summaries partition has adopted, and when.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use watchkeep_detection::baseline::Baseline;
use watchkeep_detection::charters::Charters;
use watchkeep_incident::registry::Registry;
use watchkeep_model::charter::Charter;
use watchkeep_model::directory::AlertBudget;
use watchkeep_model::time::Timestamp;

use super::{Rules, alert_budget, named};

/// The publications that the batches of a partition have told of so far, each
/// with the watermark that stood before the batch. Windows that ended by then
/// were decided without it and stay as they are, also where late events come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adopted(Vec<Adoption>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Adoption {
    /// How far the charters topic was read.
    position: i64,
    /// The watermark before; `None` before there was any.
    watermark: Option<Timestamp>,
}

impl Adopted {
    /// Takes note of what a batch states. True where that is new.
    pub fn adopt(&mut self, stated: Option<i64>, watermark: Option<Timestamp>) -> bool {
        let Some(position) = stated else { return false };
        // Instances read the topic each at its own pace; nothing is unlearned.
        if self.position().is_some_and(|known| position <= known) {
            return false;
        }
        self.0.push(Adoption { position, watermark });
        true
    }

    /// How far the charters topic was read; `None` before any batch has said so.
    pub fn position(&self) -> Option<i64> {
        self.0.last().map(|adoption| adoption.position)
    }

    /// The charters as they are to be asked now.
    pub fn charters<'a>(&'a self, rules: &'a Rules) -> AdoptedCharters<'a> {
        AdoptedCharters { newest: rules.at(self.position()), adopted: self, rules }
    }

    /// The position that counts for a window that ends at an instant.
    fn position_at(&self, at: Timestamp) -> Option<i64> {
        let adoptions = self.0.iter().rev();
        let mut known = adoptions.filter(|a| a.watermark.is_none_or(|watermark| at > watermark));
        known.next().map(|adoption| adoption.position)
    }
}

/// [`Charters`] of a partition.
#[derive(Clone, Debug)]
pub struct AdoptedCharters<'a> {
    adopted: &'a Adopted,
    rules: &'a Rules,
    /// Of the last adoption, which nearly every question is about.
    newest: Arc<Registry>,
}

impl Charters for AdoptedCharters<'_> {
    fn charter(&self, feature: &str, at: Timestamp) -> Option<Arc<Charter>> {
        let position = self.adopted.position_at(at);
        if position == self.adopted.position() {
            return self.newest.charter(feature, at);
        }
        self.rules.at(position).charter(feature, at)
    }

    fn profile(&self, id: &str, feature: &str, version: &str) -> Option<Baseline> {
        self.rules.profile(id, feature, version)
    }

    fn alert_budget(&self, charter: &Charter) -> Option<(Arc<str>, AlertBudget)> {
        alert_budget(&self.newest, charter)
    }

    fn deduplicates(&self, feature: &str) -> bool {
        self.newest.deduplicates(feature)
    }

    fn named(&self) -> Vec<Arc<str>> {
        named(&self.newest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn windows_that_had_ended_keep_what_they_were_decided_by() {
        let mut adopted = Adopted::default();
        assert!(!adopted.adopt(None, None));
        assert_eq!(adopted.position_at(at(5)), None);
        assert!(adopted.adopt(Some(0), None));
        assert!(adopted.adopt(Some(7), Some(at(100))));
        assert!(!adopted.adopt(Some(7), Some(at(200))));
        // Another instance that has read less.
        assert!(!adopted.adopt(Some(0), Some(at(200))));
        assert!(adopted.adopt(Some(9), Some(at(300))));
        assert_eq!(adopted.position_at(at(100)), Some(0));
        assert_eq!(adopted.position_at(at(101)), Some(7));
        assert_eq!(adopted.position_at(at(300)), Some(7));
        assert_eq!(adopted.position_at(Timestamp::MAX), Some(9));
    }

    #[test]
    fn what_is_adopted_before_the_first_watermark_holds_for_all_times() {
        let mut adopted = Adopted::default();
        assert!(adopted.adopt(Some(4), None));
        assert_eq!(adopted.position_at(at(-1_000_000)), Some(4));
    }
}
