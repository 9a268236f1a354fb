//! The wait until everything that was sent is told of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use watchkeep_model::position::Partition;
use watchkeep_model::reject::Reject;
use watchkeep_model::window::Window;
use watchkeep_runtime::log::Record;
use watchkeep_wire::fact::decode;

use super::facts::Topics;
use super::faults::Chaos;
use super::fleet::Fleet;
use super::traffic::{SENTINEL, Sent, sentinel};
use super::{FEATURES, OUT_OF_ORDERNESS_US, Plan, WINDOW_US};
use crate::kafka::Cluster;

/// Time in which something must go on after the last event; past it what is
/// missing is told as lost.
const SETTLE_MAX: Duration = Duration::from_secs(120);
/// Time after the last commit in which late events must be told of: these
/// deployments' `idle_after` of 10 s, a batch that confirms the idleness, and
/// a restart. What is missing then is for the audit to tell.
const LATE_MAX: Duration = Duration::from_secs(40);
/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Waits until the sentinels have closed every window, until all groups stand
/// at the ends of what they read, and until every event is told of. Partitions
/// that were added last may be read behind the sentinels, so that all of their
/// events are late.
pub(super) fn settle(
    plan: &Plan,
    sent: &Sent,
    topics: &mut Topics,
    chaos: &mut Chaos,
    fleet: &mut Fleet,
    cluster: &Arc<Cluster>,
) -> Result<(), String> {
    let watermark = sentinel(plan, sent.events).event_time_us - OUT_OF_ORDERNESS_US;
    let last_end = watermark.div_euclid(WINDOW_US) * WINDOW_US;
    let mut told = Told::default();
    let mut progress = Instant::now();
    loop {
        // Whoever ends by itself is started anew still.
        chaos.step(fleet, cluster)?;
        if told.read(topics, last_end)? {
            progress = Instant::now();
        }
        let waiting = if told.done.len() as u64 > FEATURES {
            let mut lags = topics.lag("summarise", &["telemetry"])?;
            lags.extend(topics.lag("evaluate", &["summaries"])?);
            lags.extend(topics.lag("escalate", &["breaches", "windows"])?);
            if lags.is_empty() && (told.events() >= sent.events || progress.elapsed() > LATE_MAX) {
                return Ok(());
            }
            format!(
                "{} of {} events are told of, records that nobody has read: {lags:?}",
                told.events(),
                sent.events
            )
        } else {
            format!("the last window of {} of {} features was told", told.done.len(), FEATURES + 1)
        };
        if progress.elapsed() > SETTLE_MAX {
            return Err(format!("nothing went on for {} s: {waiting}", SETTLE_MAX.as_secs()));
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// What windows and late summaries have told so far.
#[derive(Default)]
struct Told {
    positions: BTreeMap<Partition, i64>,
    /// Features whose last window was told.
    done: BTreeSet<String>,
    /// The count of each window's last line, by feature and start.
    windows: BTreeMap<(String, i64), u64>,
    late: u64,
}

impl Told {
    /// Reads what is new; false where nothing is.
    fn read(&mut self, topics: &mut Topics, last_end: i64) -> Result<bool, String> {
        let windows = self.news(topics, "windows", |told, record| {
            let Ok(window) = decode::<Window>(record.value) else { return };
            if window.feature == SENTINEL {
                return;
            }
            if window.window_end.as_micros() >= last_end {
                told.done.insert(window.feature.clone());
            }
            told.windows.insert((window.feature, window.window_start.as_micros()), window.count);
        })?;
        let late = self.news(topics, "rejects", |told, record| {
            let Ok(reject) = decode::<Reject>(record.value) else { return };
            if reject.feature.as_deref() != Some(SENTINEL) {
                told.late += reject.count.unwrap_or_default();
            }
        })?;
        Ok(windows || late)
    }

    fn news(
        &mut self,
        topics: &mut Topics,
        topic: &str,
        mut take: impl FnMut(&mut Self, &Record<'_>),
    ) -> Result<bool, String> {
        let mut news = false;
        for partition in topics.partitions(topic)? {
            let from = self.positions.get(&partition).copied().unwrap_or(0);
            let next = topics.each(&partition, from, &mut |record| take(self, record))?;
            news |= next != from;
            self.positions.insert(partition, next);
        }
        Ok(news)
    }

    fn events(&self) -> u64 {
        self.windows.values().sum::<u64>() + self.late
    }
}
