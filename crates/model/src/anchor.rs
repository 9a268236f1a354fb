//! Anchors of the incident log: how many facts there were, and a hash over
//! all of them in the order of their one writer.
//!
//! A fact's own chain shows that its incident is whole up to it, not that
//! nothing came after. Whoever holds an [`Anchor`] elsewhere can show that the
//! log was cut or written anew since.

use serde::{Deserialize, Serialize};

use crate::identifier::sha256_hex;
use crate::incident::Fact;
use crate::time::{TimeSpan, Timestamp};

/// Facts after which a replay writes an anchor.
pub const FACTS_PER_ANCHOR: u64 = 100;

/// Time after which the next fact is anchored, however few there were.
pub const ANCHOR_SPAN: TimeSpan = TimeSpan::HOUR;

/// One line of `anchors.ndjson` and one record of the anchors topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// Facts up to here, in the order of their writer.
    pub facts: u64,
    /// When the last of them was written.
    pub recorded_at: Timestamp,
    /// The incident of the last one.
    pub incident_id: String,
    /// The last one's number in it.
    pub sequence: u64,
    /// After fact n: SHA-256 of the hexadecimal digits of the hash after fact
    /// n − 1 followed by those of fact n's own; before the first fact it is
    /// the empty text. Hexadecimal.
    pub hash: String,
}

/// The chain over all facts while it grows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnchorChain {
    head: Option<Anchor>,
    /// The last anchor that was taken: of how many facts and when.
    taken: Option<(u64, Timestamp)>,
}

impl AnchorChain {
    /// Takes the next fact.
    pub fn add(&mut self, fact: &Fact) {
        let (facts, before) = match &self.head {
            Some(head) => (head.facts, head.hash.as_str()),
            None => (0, ""),
        };
        let hash = sha256_hex(format!("{before}{}", fact.hash).as_bytes());
        self.head = Some(Anchor {
            facts: facts + 1,
            recorded_at: fact.recorded_at,
            incident_id: fact.incident_id.clone(),
            sequence: fact.sequence,
            hash,
        });
    }

    /// The anchor of all facts so far; `None` where there is none.
    pub fn head(&self) -> Option<&Anchor> {
        self.head.as_ref()
    }

    /// The anchor that is due after the last fact: after every
    /// [`FACTS_PER_ANCHOR`] facts and after [`ANCHOR_SPAN`].
    pub fn take_due(&mut self) -> Option<Anchor> {
        let head = self.head.as_ref()?;
        let (facts, at) = *self.taken.get_or_insert((0, head.recorded_at));
        let due = head.facts >= facts + FACTS_PER_ANCHOR || head.recorded_at >= at + ANCHOR_SPAN;
        if due { self.take_last() } else { None }
    }

    /// The anchor of all facts so far, where it was not taken before.
    pub fn take_last(&mut self) -> Option<Anchor> {
        let head = self.head.clone()?;
        let is_new = self.taken.is_none_or(|(facts, _)| facts < head.facts);
        self.taken = Some((head.facts, head.recorded_at));
        is_new.then_some(head)
    }
}
