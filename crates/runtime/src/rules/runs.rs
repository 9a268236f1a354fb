//! What runs have shown: events of the lineage topic, or of files, and the
//! registry in which they are seen.
//!
//! An event counts from its own time on, whenever it was written: a replay of
//! an older time sees the lineage of that time, and a stage that is rebuilt
//! the same as before. See docs/adr/0030-run-events-by-their-own-time.md.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use watchkeep_incident::registry::Registry;
use watchkeep_model::lineage::{NodeNames, RunEvent, RunState, ShownRun};
use watchkeep_model::position::Partition;
use watchkeep_model::time::TimeSpan;

use super::ReadPartition;
use crate::log::LogError;

/// Reads a record of the lineage topic; the error says what is wrong with it.
pub type ReadRun = fn(&[u8]) -> Result<ShownRun, String>;

/// Run events that a service keeps. At the limit those of older times are
/// thinned out: of what a job's runs showed on a day as usual, the last stays.
/// When that is not enough the oldest are let go.
pub const RUNS_MAX: usize = 200_000;

/// What runs have shown, as far as it was read.
#[derive(Debug, Default)]
pub struct Runs {
    topic: Option<(Arc<str>, ReadRun)>,
    kept_max: Option<usize>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    events: Vec<RunEvent>,
    /// What nodes may also be called.
    names: NodeNames,
    /// The next offset of each partition.
    next: BTreeMap<i32, i64>,
    unusable: Unusable,
    /// A registry and the same with the events.
    seen: Option<(Arc<Registry>, Arc<Registry>)>,
}

/// Records of the topic that were passed over. They come from programs of
/// others, and one that cannot be used must not hold up the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unusable {
    /// How many.
    pub count: u64,
    /// Where the last one is and what is wrong with it.
    pub last: Option<String>,
}

impl Runs {
    /// Those of files.
    pub fn new(shown: Vec<ShownRun>) -> Self {
        let mut state = State::default();
        for ShownRun { event, other_names, same_as } in shown {
            state.names.add(other_names, same_as);
            state.events.push(event);
        }
        Self { state: Mutex::new(state), ..Self::default() }
    }

    /// Adds those of a topic, of which nothing is read yet. With `kept_max`,
    /// which a service sets to [`RUNS_MAX`], no more are kept.
    #[must_use]
    pub fn with_topic(self, topic: Arc<str>, read: ReadRun, kept_max: Option<usize>) -> Self {
        Self { topic: Some((topic, read)), kept_max, ..self }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whoever panicked while holding the lock left whole values behind.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The topic, where there is one.
    pub fn topic(&self) -> Option<&Arc<str>> {
        self.topic.as_ref().map(|(topic, _)| topic)
    }

    /// What of the topic could not be used.
    pub fn unusable(&self) -> Unusable {
        self.state().unusable.clone()
    }

    /// How many events are kept.
    pub fn len(&self) -> usize {
        self.state().events.len()
    }

    /// True where no run has shown anything.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads what came since, of that many partitions of the topic. True where
    /// there was something.
    ///
    /// # Errors
    /// Those of the log.
    pub fn follow(&self, partitions: i32, read: &mut ReadPartition<'_>) -> Result<bool, LogError> {
        let Some((topic, decode)) = &self.topic else { return Ok(false) };
        let state = &mut *self.state();
        let before = state.events.len();
        for number in 0..partitions {
            let partition = Partition::new(topic.clone(), number);
            let from = state.next.get(&number).copied().unwrap_or_default();
            // What is read before an error would be read again.
            let mut came: Vec<(i64, Result<ShownRun, String>)> = Vec::new();
            let end = read(&partition, from, &mut |offset, value| {
                came.push((offset, decode(value)));
            })?;
            state.next.insert(number, end);
            for (offset, shown) in came {
                match shown {
                    Ok(ShownRun { event, other_names, same_as }) => {
                        state.names.add(other_names, same_as);
                        state.events.push(event);
                    }
                    Err(why) => {
                        state.unusable.count += 1;
                        let place = format!("{topic}/{number} at offset {offset}: {why}");
                        state.unusable.last = Some(place);
                    }
                }
            }
        }
        if state.events.len() == before {
            return Ok(false);
        }
        state.seen = None;
        if let Some(max) = self.kept_max.filter(|max| state.events.len() > *max) {
            thin(&mut state.events, max);
        }
        Ok(true)
    }

    /// A registry with what the runs have shown.
    pub(super) fn seen_in(&self, registry: Arc<Registry>) -> Arc<Registry> {
        let state = &mut *self.state();
        if state.events.is_empty() {
            return registry;
        }
        if let Some((plain, seeing)) = &state.seen
            && Arc::ptr_eq(plain, &registry)
        {
            return seeing.clone();
        }
        let known = state.names.known_as(&|name| registry.knows(name));
        let named = |name| known.get(name).copied().unwrap_or(name);
        let seeing = Arc::new(registry.seeing(&state.events, &named));
        state.seen = Some((registry, seeing.clone()));
        seeing
    }
}

/// Makes room: at most three quarters of `max` are left, so that it need not
/// be done again soon. It depends on the events alone, not on their order.
fn thin(events: &mut Vec<RunEvent>, max: usize) {
    events.sort();
    events.dedup();
    let room = max - max / 4;
    if events.len() <= room {
        return;
    }
    // The newer half stays as it is: what is usual is learned from it.
    let newer = events.split_off(events.len() - room / 2);
    let mut days: BTreeSet<(String, i64, RunState, bool, bool)> = BTreeSet::new();
    let day = TimeSpan::DAY.as_micros();
    let mut older: Vec<RunEvent> = std::mem::take(events);
    older.reverse();
    older.retain(|event| {
        let is_usual = event.state != RunState::Failed
            && event.message.is_none()
            && event.assertions.iter().all(|assertion| assertion.success);
        !is_usual
            || days.insert((
                event.job.clone(),
                event.at.as_micros().div_euclid(day),
                event.state,
                event.assertions.is_empty(),
                event.owners.is_empty(),
            ))
    });
    older.truncate(room - newer.len());
    older.reverse();
    older.extend(newer);
    *events = older;
}

#[cfg(test)]
mod tests {
    use super::*;
    use watchkeep_model::time::Timestamp;

    fn event(job: &str, hour: i64, state: RunState) -> RunEvent {
        RunEvent {
            at: Timestamp::from_micros(0) + TimeSpan::HOUR.times(hour),
            job: format!("pipeline:{job}"),
            run: format!("{job} {hour}"),
            state,
            message: None,
            inputs: vec!["dataset:raw".into()],
            outputs: Vec::new(),
            assertions: Vec::new(),
            owners: Vec::new(),
        }
    }

    fn read(value: &[u8]) -> Result<ShownRun, String> {
        let text = std::str::from_utf8(value).map_err(|error| error.to_string())?;
        let (job, hour) = text.split_once(' ').ok_or("no space")?;
        let hour = hour.parse().map_err(|_| format!("no number: {hour}"))?;
        let event = event(job, hour, RunState::Completed);
        let other_names = BTreeMap::from([(event.job.clone(), vec![format!("view:{job}")])]);
        Ok(ShownRun { event, other_names, same_as: BTreeMap::new() })
    }

    #[test]
    fn every_partition_is_read_once_and_what_is_no_event_is_passed_over() {
        let runs = Runs::default().with_topic("lineage".into(), read, None);
        let lists: [&[&str]; 2] = [&["a 1", "nonsense"], &["b 2", "b x", "b 3"]];
        let follow = || {
            runs.follow(2, &mut |partition, from, handle| {
                let list = lists[partition.partition as usize];
                for (offset, value) in (0..).zip(list).skip_while(|(offset, _)| *offset < from) {
                    handle(offset, value.as_bytes());
                }
                Ok(list.len() as i64)
            })
        };
        assert_eq!(follow(), Ok(true));
        assert_eq!(follow(), Ok(false));
        assert_eq!(runs.len(), 3);
        let unusable = runs.unusable();
        assert_eq!(unusable.count, 2);
        assert_eq!(unusable.last.as_deref(), Some("lineage/1 at offset 1: no number: x"));
        let registry = runs.seen_in(Arc::default());
        assert!(registry.knows("pipeline:b") && registry.knows("dataset:raw"));
        // Put together anew only where something has changed.
        let plain: Arc<Registry> = Arc::default();
        assert!(Arc::ptr_eq(&runs.seen_in(plain.clone()), &runs.seen_in(plain)));
    }

    #[test]
    fn of_old_times_the_last_run_of_each_day_and_what_went_wrong_stay() {
        let mut events: Vec<RunEvent> =
            (0..1_000).map(|hour| event("hourly", hour, RunState::Completed)).collect();
        events[77].state = RunState::Failed;
        events.reverse();
        thin(&mut events, 800);
        assert!(events.len() <= 600);
        let hours: Vec<i64> =
            events.iter().map(|e| e.at.as_micros() / TimeSpan::HOUR.as_micros()).collect();
        assert_eq!(hours[..6], [23, 47, 71, 77, 95, 119]);
        assert_eq!(hours[hours.len() - 300..], (700..1_000).collect::<Vec<i64>>());
        // Where nothing is usual the newest stay.
        let failed = |hour| event("hourly", hour, RunState::Failed);
        let mut events: Vec<RunEvent> = (0..1_000).map(failed).collect();
        thin(&mut events, 800);
        assert_eq!((events.len(), events[0].clone()), (600, failed(400)));
    }
}
