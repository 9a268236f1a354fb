//! Anchors of a run: each is of all facts that stand before it, and no fact is
//! without one, whatever was killed between.

use watchkeep_model::anchor::{Anchor, AnchorChain};
use watchkeep_model::incident::Fact;

use super::Violation;

/// The chain over all facts, worked out anew from the log.
#[derive(Default)]
pub(super) struct Anchors {
    chain: AnchorChain,
    heads: Vec<Anchor>,
    anchored: u64,
}

impl Anchors {
    pub(super) fn fact(&mut self, fact: &Fact) {
        self.chain.add(fact);
        self.heads.extend(self.chain.head().cloned());
    }

    pub(super) fn anchor(&mut self, value: &[u8]) -> Result<(), Violation> {
        let wrong = |why: String| Violation::new("anchors are of all facts", why);
        let anchor: Anchor =
            serde_json::from_slice(value).map_err(|error| wrong(error.to_string()))?;
        let place = usize::try_from(anchor.facts).unwrap_or(0).wrapping_sub(1);
        if self.heads.get(place) != Some(&anchor) || anchor.facts <= self.anchored {
            return Err(wrong(format!("{anchor:?} after one of {} facts", self.anchored)));
        }
        self.anchored = anchor.facts;
        Ok(())
    }

    /// Commits are whole, so at any moment every fact has its anchor.
    pub(super) fn are_complete(&self) -> Result<(), Violation> {
        let facts = self.heads.len() as u64;
        if self.anchored == facts {
            return Ok(());
        }
        let why = format!("{facts} facts, and the last anchor is of {}", self.anchored);
        Err(Violation::new("anchors are of all facts", why))
    }
}
