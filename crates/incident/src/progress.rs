//! What windows have shown about the expectations of an incident: good ones
//! in a row. No fact; counted again from the windows after a restart.

use std::collections::BTreeMap;

use watchkeep_model::time::Timestamp;

use crate::state::{BreachKey, Incident};

/// Windows seen for one incident.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    windows: BTreeMap<BreachKey, Run>,
    /// When the incident is next looked at for settling.
    pub check_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    last_end: Timestamp,
    good: u32,
}

impl Progress {
    /// Counts a judged window. Windows that are not after `counting_from` or
    /// not later than the last one only mark how far was seen.
    pub fn count(
        &mut self,
        key: BreachKey,
        end: Timestamp,
        good: bool,
        counting_from: Option<Timestamp>,
    ) {
        let run = self.windows.entry(key).or_insert(Run { last_end: Timestamp::MIN, good: 0 });
        if end <= run.last_end {
            return;
        }
        run.last_end = end;
        if counting_from.is_none_or(|from| end > from) {
            run.good = if good { run.good.saturating_add(1) } else { 0 };
        }
    }

    /// Begins to count anew: a remediation, a clearing, a failure.
    pub fn count_anew(&mut self) {
        for run in self.windows.values_mut() {
            run.good = 0;
        }
    }

    /// Windows in a row in which every attached expectation was good, and
    /// those of the subject that the policy compares with.
    pub fn good_run(&self, incident: &Incident) -> u32 {
        let good = |key| self.windows.get(key).map_or(0, |run| run.good);
        let attached = incident.attached.keys().map(good).min().unwrap_or(0);
        let Some(subject) = incident.people.reference_subject() else { return attached };
        let of_reference = self.windows.iter().filter(|(key, _)| key.0 == subject);
        let reference = of_reference.map(|(_, run)| run.good).min().unwrap_or(0);
        attached.min(reference)
    }

    /// The end of the latest window that was seen of any attached expectation.
    pub fn seen_to(&self, incident: &Incident) -> Option<Timestamp> {
        let opened = incident.attached.values().map(|attached| attached.window_end);
        let seen = incident.attached.keys().filter_map(|key| self.windows.get(key));
        opened.chain(seen.map(|run| run.last_end)).max()
    }
}
