//! How long it took until work went on after a fault.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use watchkeep_model::batch::partition_of;

use super::facts::Published;
use super::faults::{Fault, Injected};
use super::ledger::Ledger;

/// Spans in ascending order.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Spans(Vec<Duration>);

/// Spans from a fault to what followed it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Recovery {
    /// To the next commit of summaries by any instance.
    pub commit: Spans,
    /// Until every telemetry partition had gone on, so also those of the
    /// instance that the fault hit.
    pub telemetry: Spans,
    /// Until every summaries partition had told another window.
    pub windows: Spans,
}

impl Spans {
    /// Adds a span.
    pub fn add(&mut self, span: Duration) {
        let index = self.0.partition_point(|kept| *kept <= span);
        self.0.insert(index, span);
    }

    /// Adds those of another run.
    pub fn extend(&mut self, other: &Self) {
        other.0.iter().for_each(|span| self.add(*span));
    }
}

impl fmt::Display for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(worst) = self.0.last() else { return f.write_str("none") };
        let at = |share: usize| self.0[(self.0.len() - 1) * share / 100].as_millis();
        write!(
            f,
            "median {} ms, 90 % {} ms, worst {} ms of {}",
            at(50),
            at(90),
            worst.as_millis(),
            self.0.len()
        )
    }
}

impl Recovery {
    /// Measures from the faults of these kinds to what was written next.
    pub fn measure(
        injected: &[Injected],
        kinds: &[Fault],
        ledger: &Ledger,
        published: &Published,
        summaries: i32,
    ) -> Self {
        let mut recovery = Self::default();
        let mut told: BTreeMap<i32, Vec<i64>> = BTreeMap::new();
        for window in &published.windows {
            let partition = partition_of(&window.fact.feature, summaries);
            told.entry(partition).or_default().push(window.at_us);
        }
        told.values_mut().for_each(|all| all.sort_unstable());
        for fault in injected.iter().filter(|fault| kinds.contains(&fault.fault)) {
            let at = fault.at_us;
            let after = ledger.commits.partition_point(|commit| commit.at_us <= at);
            let later = &ledger.commits[after..];
            let span = |until: i64| Duration::from_micros(u64::try_from(until - at).unwrap_or(0));
            if let Some(first) = later.first() {
                recovery.commit.add(span(first.at_us));
            }
            let before: BTreeSet<i32> = ledger.commits[..after]
                .iter()
                .flat_map(|commit| commit.moved.iter().copied())
                .collect();
            let moved = before.iter().map(|source| {
                later.iter().find(|commit| commit.moved.contains(source)).map(|found| found.at_us)
            });
            if let Some(Some(last)) =
                moved.collect::<Option<Vec<i64>>>().map(|all| all.into_iter().max())
            {
                recovery.telemetry.add(span(last));
            }
            let next = told.values().map(|all| all.get(all.partition_point(|t| *t <= at)).copied());
            if let Some(Some(last)) =
                next.collect::<Option<Vec<i64>>>().map(|all| all.into_iter().max())
            {
                recovery.windows.add(span(last));
            }
        }
        recovery
    }

    /// Adds that of another run.
    pub fn extend(&mut self, other: &Self) {
        self.commit.extend(&other.commit);
        self.telemetry.extend(&other.telemetry);
        self.windows.extend(&other.windows);
    }
}
