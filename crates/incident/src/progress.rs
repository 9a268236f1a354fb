//! What windows have shown about the expectations of an incident: good ones
//! in a row. No fact; counted again from the windows after a restart.

use std::collections::{BTreeMap, VecDeque};

use watchkeep_model::time::Timestamp;

use crate::state::{BreachKey, Incident};

/// Windows seen for one incident.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    windows: BTreeMap<BreachKey, Run>,
    /// When the incident is next looked at for settling.
    pub check_at: Option<Timestamp>,
}

/// Good windows of one expectation that are told one by one. A policy asks for
/// fewer: what it counts from can lie at most so many windows back.
const TOLD_MAX: usize = 1_000;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Run {
    last_end: Timestamp,
    /// Ends of the good windows since the last bad one, the latest of them.
    good: VecDeque<Timestamp>,
}

impl Run {
    /// Good windows in a row that end after an instant.
    fn good_after(&self, from: Option<Timestamp>) -> u32 {
        let before = from.map_or(0, |from| self.good.partition_point(|end| *end <= from));
        u32::try_from(self.good.len() - before).unwrap_or(u32::MAX)
    }
}

impl Progress {
    /// Takes in a judged window, unless it is not later than the last one. From
    /// when on windows count is asked later: a window may be read before the
    /// breach or the command that it counts from.
    pub fn count(&mut self, key: BreachKey, end: Timestamp, good: bool) {
        let begun = || Run { last_end: Timestamp::MIN, good: VecDeque::new() };
        let run = self.windows.entry(key).or_insert_with(begun);
        if end <= run.last_end {
            return;
        }
        run.last_end = end;
        if !good {
            run.good.clear();
            return;
        }
        if run.good.len() == TOLD_MAX {
            run.good.pop_front();
        }
        run.good.push_back(end);
    }

    /// Windows in a row in which every attached expectation was good, and
    /// those of the subject that the policy compares with: at most a thousand.
    pub fn good_run(&self, incident: &Incident) -> u32 {
        let from = incident.counting_from;
        let good = |key| self.windows.get(key).map_or(0, |run| run.good_after(from));
        let attached = incident.attached.keys().map(good).min().unwrap_or(0);
        let Some(subject) = incident.people.reference_subject() else { return attached };
        let of_reference = self.windows.iter().filter(|(key, _)| key.0 == subject);
        let reference = of_reference.map(|(_, run)| run.good_after(from)).min().unwrap_or(0);
        attached.min(reference)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_that_were_read_early_count_from_where_the_breach_cleared() {
        let at = |hour: i64| Timestamp::from_micros(hour * 3_600_000_000);
        let key = || ("a".to_owned(), String::new(), "drift".to_owned());
        let mut progress = Progress::default();
        let good = |progress: &Progress, from| progress.windows[&key()].good_after(from);
        for (hour, is_good) in [(1, false), (2, true), (3, true), (4, true), (3, false)] {
            progress.count(key(), at(hour), is_good);
        }
        assert_eq!(good(&progress, None), 3);
        assert_eq!(good(&progress, Some(at(2))), 2, "two were read before the clearing at 2");
        assert_eq!(good(&progress, Some(at(4))), 0);
        progress.count(key(), at(5), false);
        assert_eq!(good(&progress, Some(at(2))), 0);
        (6..2_000).for_each(|hour| progress.count(key(), at(hour), true));
        assert_eq!(good(&progress, None) as usize, TOLD_MAX);
    }
}
