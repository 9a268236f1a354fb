//! What the stages tell the outside: counts, readiness, the watermark.
//!
//! A stage counts from its session's beginning. What earlier sessions counted
//! is kept beside it, so that counters never go back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use watchkeep_detection::budget::Tally;
use watchkeep_model::time::Timestamp;

/// Counts of one stage by name and label; the label is empty where there is none.
pub(crate) type Counts = BTreeMap<(&'static str, String), u64>;

/// Shared by the threads of the service.
#[derive(Debug, Default)]
pub(crate) struct Status(Mutex<BTreeMap<&'static str, StageStatus>>);

/// What is known of one stage.
#[derive(Clone, Debug, Default)]
pub(crate) struct StageStatus {
    /// True while its partitions are folded and it works.
    pub(crate) is_ready: bool,
    /// Least watermark of its partitions; only evaluate has one.
    pub(crate) watermark: Option<Timestamp>,
    /// Incidents that are open; only escalate has them.
    pub(crate) open_incidents: Option<u64>,
    /// What is overdue of what charters and policies promise, by kind; only the
    /// escalate instance that tells of it has them.
    pub(crate) upkeep: BTreeMap<&'static str, u64>,
    /// Partitions that wait for a writer's schema; only summarise has them.
    pub(crate) waiting: Option<usize>,
    /// What alert budgets have come to, by domain; only evaluate has them.
    pub(crate) budgets: BTreeMap<Arc<str>, Tally>,
    /// Sinks: true where one is taken to work, and how many messages it is
    /// still to get; only deliver has them.
    pub(crate) sinks: BTreeMap<Arc<str>, (bool, usize)>,
    /// Commits that held.
    pub(crate) commits: u64,
    /// Commits that did not.
    pub(crate) failed_commits: u64,
    /// Time that commits took, in seconds.
    pub(crate) commit_seconds: f64,
    /// Sessions that were begun.
    pub(crate) sessions: u64,
    before: Counts,
    session: Counts,
}

impl StageStatus {
    /// Everything counted since the process began.
    pub(crate) fn counts(&self) -> Counts {
        let mut counts = self.before.clone();
        for (name, count) in &self.session {
            *counts.entry(name.clone()).or_default() += count;
        }
        counts
    }
}

impl Status {
    fn stages(&self) -> MutexGuard<'_, BTreeMap<&'static str, StageStatus>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A stage of this process; until it is ready the process is not.
    pub(crate) fn expect(&self, stage: &'static str) {
        self.stages().entry(stage).or_default();
    }

    /// A session begins.
    pub(crate) fn begin_session(&self, stage: &'static str) {
        let mut stages = self.stages();
        let status = stages.entry(stage).or_default();
        status.sessions += 1;
        status.is_ready = false;
        let counted = std::mem::take(&mut status.session);
        for (name, count) in counted {
            *status.before.entry(name).or_default() += count;
        }
    }

    /// After a turn.
    pub(crate) fn update(&self, stage: &'static str, change: impl FnOnce(&mut StageStatus)) {
        change(self.stages().entry(stage).or_default());
    }

    /// What the stage has counted in this session.
    pub(crate) fn count(&self, stage: &'static str, counts: Counts) {
        self.stages().entry(stage).or_default().session = counts;
    }

    /// A commit held.
    pub(crate) fn committed(&self, stage: &'static str, seconds: f64) {
        self.update(stage, |status| {
            status.commits += 1;
            status.commit_seconds += seconds;
        });
    }

    /// A commit did not hold.
    pub(crate) fn failed_commit(&self, stage: &'static str) {
        self.update(stage, |status| status.failed_commits += 1);
    }

    /// True where every stage of this process is ready.
    pub(crate) fn is_ready(&self) -> bool {
        let stages = self.stages();
        !stages.is_empty() && stages.values().all(|stage| stage.is_ready)
    }

    /// All stages as they are now.
    pub(crate) fn snapshot(&self) -> BTreeMap<&'static str, StageStatus> {
        self.stages().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_survive_a_session() {
        let status = Status::default();
        let counts = |n| Counts::from([(("events", String::new()), n)]);
        status.begin_session("summarise");
        status.count("summarise", counts(3));
        status.count("summarise", counts(5));
        status.begin_session("summarise");
        status.count("summarise", counts(2));
        assert_eq!(status.snapshot()["summarise"].counts(), counts(7));
        assert!(!status.is_ready());
        status.update("summarise", |stage| stage.is_ready = true);
        assert!(status.is_ready());
    }
}
