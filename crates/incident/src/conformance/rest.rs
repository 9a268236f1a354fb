//! When deadlines rest: nothing is asked after a clearing or a remediation,
//! and nobody is told under a silence or another incident.

use std::collections::BTreeSet;

use watchkeep_model::incident::data::Resumption;
use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::time::Timestamp;

use super::Checker;
use crate::state::quiet::{FLAPPING, INHIBITED, SILENCED};

/// What keeps deadlines from running.
#[derive(Default)]
pub(super) struct Rest {
    /// True after a remediation or the last clearing.
    pub(super) answered: bool,
    silences: BTreeSet<String>,
    inhibited: bool,
    flaps: bool,
    /// True where a page of the present step was held back.
    held: bool,
    /// Since when any of it is so.
    since: Option<Timestamp>,
    /// When the steps ran out.
    exhausted_at: Option<Timestamp>,
}

impl Rest {
    fn rests(&self) -> bool {
        let muted = !self.silences.is_empty() || self.inhibited;
        self.answered || muted || (self.flaps && self.held)
    }

    /// A step is entered: what was held back of the one before is over.
    pub(super) fn enter(&mut self) {
        (self.answered, self.held) = (false, false);
    }

    /// True where a deadline had passed before anything let it rest, and what
    /// it asked for comes at `at`.
    pub(super) fn was_missed(&self, by: Timestamp, at: Timestamp) -> bool {
        let asked = self.exhausted_at.is_none_or(|exhausted| by <= exhausted);
        asked && by < self.since.map_or(at, |since| since.min(at))
    }

    /// Takes in what a fact says of it.
    pub(super) fn take(&mut self, fact: &Fact) {
        match &fact.data {
            FactData::Silenced(data) => _ = self.silences.insert(data.silence.clone()),
            FactData::Unsilenced(data) => _ = self.silences.remove(&data.silence),
            FactData::Inhibited(_) => self.inhibited = true,
            FactData::Uninhibited(_) => self.inhibited = false,
            FactData::FlappingStarted(_) => self.flaps = true,
            FactData::FlappingEnded(_) => self.flaps = false,
            FactData::NotificationSkipped(data) => {
                self.held |= [SILENCED, INHIBITED, FLAPPING].contains(&data.reason.as_str());
            }
            FactData::Exhausted(_) => self.exhausted_at = Some(fact.occurred_at),
            FactData::VerificationFailed(_) | FactData::Reopened(_) => self.exhausted_at = None,
            _ => {}
        }
    }

    /// After a fact is taken in whole: since when it rests.
    pub(super) fn mark(&mut self, at: Timestamp) {
        self.since = self.rests().then(|| self.since.unwrap_or(at));
    }
}

impl Checker<'_> {
    /// Goes on after a quiet, with the deadlines that the fact tells.
    pub(super) fn resumes(&mut self, fact: &Fact, resumes: Option<&Resumption>) {
        let Some(resumes) = resumes else { return };
        match &resumes.entry {
            Some(entry) if resumes.pages => self.enters(fact, Some(entry)),
            Some(entry) => self.entry = entry.clone(),
            None => {}
        }
    }
}
