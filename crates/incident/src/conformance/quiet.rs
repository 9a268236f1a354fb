//! What keeps pages back: deadlines rest meanwhile, and move by the rest.

use std::collections::BTreeSet;

use watchkeep_model::incident::data::Resumption;
use watchkeep_model::incident::{Fact, FactData};

use super::Checker;
use crate::state::quiet::FLAPPING;

/// Why deadlines rest.
#[derive(Default)]
pub(super) struct Quiet {
    silences: BTreeSet<String>,
    is_inhibited: bool,
    /// True where flapping holds back a page of the present step.
    is_flapping_held: bool,
}

impl Quiet {
    /// True while nobody is told, and so nobody is late.
    pub(super) fn rests(&self) -> bool {
        !self.silences.is_empty() || self.is_inhibited || self.is_flapping_held
    }

    /// A step is entered: what was held back of the one before is not asked.
    pub(super) fn begin_anew(&mut self) {
        self.is_flapping_held = false;
    }
}

impl Checker<'_> {
    pub(super) fn hush(&mut self, fact: &Fact) {
        let quiet = &mut self.quiet;
        match &fact.data {
            FactData::Silenced(data) => _ = quiet.silences.insert(data.silence.clone()),
            FactData::Inhibited(_) => quiet.is_inhibited = true,
            FactData::NotificationSkipped(data) => {
                quiet.is_flapping_held |= data.reason == FLAPPING;
            }
            FactData::Unsilenced(data) => {
                quiet.silences.remove(&data.silence);
                self.resume(data.resumes.as_ref());
            }
            FactData::Uninhibited(data) => {
                quiet.is_inhibited = false;
                self.resume(data.resumes.as_ref());
            }
            FactData::FlappingEnded(data) => {
                quiet.is_flapping_held = false;
                self.resume(data.resumes.as_ref());
            }
            FactData::Resolved(_) | FactData::Merged(_) => *quiet = Quiet::default(),
            _ => {}
        }
    }

    /// The deadlines as they go on.
    fn resume(&mut self, resumes: Option<&Resumption>) {
        let Some(entry) = resumes.and_then(|resumes| resumes.entry.as_ref()) else { return };
        self.entry = entry.clone();
        self.is_told &= !resumes.is_some_and(|resumes| resumes.pages);
    }
}
