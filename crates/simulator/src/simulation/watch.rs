//! What must hold at every moment, looked at after each action.
//!
//! Everything is judged by what the log holds: nothing lost and nothing
//! doubled, positions dense, the watermark never going back, every fact once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use watchkeep_model::batch::partition_of;
use watchkeep_model::breach::{Breach, Transition};
use watchkeep_model::charter::ExpectationKind;
use watchkeep_model::escalation::{Audience, Escalation};
use watchkeep_model::incident::{Fact, check_link};
use watchkeep_model::position::Partition;
use watchkeep_model::reject::{Reject, reason};
use watchkeep_model::time::Timestamp;
use watchkeep_model::window::Window;
use watchkeep_wire::fact::{Stored, decode};
use watchkeep_wire::summary_batch;

use super::anchors::Anchors;
use super::incidents::Incidents;
use super::plan::{Plan, Stage};
use super::world::World;
use super::{Digest, Violation};
use crate::log::Stored as StoredRecord;

/// Feature, version, window name and start.
pub(super) type WindowKey = (String, String, String, Timestamp);

/// What has been seen of the log so far.
#[derive(Default)]
pub(super) struct Watch {
    cursors: BTreeMap<Partition, i64>,
    /// By summaries partition: how far its batches cover each source partition.
    ledgers: BTreeMap<i32, BTreeMap<Partition, i64>>,
    /// Events in all deltas.
    delta_events: u64,
    /// Origins of records that were rejected.
    rejected: BTreeSet<(String, i32, i64)>,
    /// The watermark by position, of each summaries partition.
    watermarks: BTreeMap<Partition, BTreeMap<i64, Timestamp>>,
    /// The last close of each summaries partition.
    closes: BTreeMap<i32, Timestamp>,
    detections: BTreeMap<i32, Timestamp>,
    /// Every revision of every window, in order.
    pub(super) windows: BTreeMap<WindowKey, Vec<Window>>,
    /// Every line of every breach, in order.
    pub(super) breaches: BTreeMap<String, Vec<Breach>>,
    /// Breach lines in the order of the log.
    pub(super) breach_lines: Vec<Breach>,
    /// When a breach was first told of, and when it was first told to be over.
    pub(super) written: BTreeMap<String, (Timestamp, Option<Timestamp>)>,
    /// Events that came too late for a window.
    pub(super) late: BTreeMap<WindowKey, u64>,
    pub(super) incidents: Incidents,
    anchors: Anchors,
    escalations: BTreeSet<String>,
    pages: BTreeMap<String, u64>,
    summaries: i32,
}

impl Watch {
    pub(super) fn new(plan: &Plan) -> Self {
        let summaries = plan.deployment.summaries;
        Self { summaries, incidents: Incidents::new(plan), ..Self::default() }
    }

    /// Takes in what the log holds since the last look.
    pub(super) fn look(&mut self, world: &World<'_>, digest: &mut Digest) -> Result<(), Violation> {
        let topics = world.topics.clone();
        self.each(world, digest, &topics.summaries, Self::batch)?;
        self.each(world, digest, &topics.rejects, Self::reject)?;
        self.ledger_is_whole(world)?;
        self.each(world, digest, &topics.windows, Self::window)?;
        self.each(world, digest, &topics.breaches, Self::breach)?;
        self.each(world, digest, &topics.incidents, |watch, _, record| {
            let fact = read::<Fact>(record)?;
            watch.anchors.fact(&fact);
            watch.incidents.fact(fact)
        })?;
        // Facts of several partitions have no one order.
        if world.store.partition_count(&topics.incidents) == 1 {
            self.each(world, digest, &topics.anchors, |watch, _, record| {
                watch.anchors.anchor(&record.value)
            })?;
            self.anchors.are_complete()?;
        }
        self.each(world, digest, &topics.escalations, Self::escalation)?;
        self.pages_are_facts()?;
        if let Some(why) = world.torn() {
            return Err(Violation::new("no ledger is torn", why));
        }
        self.watermarks_grow(world)
    }

    fn each(
        &mut self,
        world: &World<'_>,
        digest: &mut Digest,
        topic: &Arc<str>,
        mut take: impl FnMut(&mut Self, i32, &StoredRecord) -> Result<(), Violation>,
    ) -> Result<(), Violation> {
        for number in 0..world.store.partition_count(topic) {
            let partition = Partition::new(topic.clone(), number);
            let from = self.cursors.get(&partition).copied().unwrap_or(0);
            for record in world.store.records_from(&partition, from) {
                digest.add(&record.value);
                take(self, number, &record)?;
                self.cursors.insert(partition.clone(), record.offset + 1);
            }
        }
        Ok(())
    }

    fn batch(&mut self, number: i32, record: &StoredRecord) -> Result<(), Violation> {
        let batch = summary_batch::decode(&record.value)
            .map_err(|error| Violation::new("facts can be read", error.detail))?;
        let ledger = self.ledgers.entry(number).or_default();
        for step in &batch.steps {
            self.delta_events += step.deltas.iter().map(|delta| delta.summary.count).sum::<u64>();
            for progress in &step.sources {
                let position = ledger.entry(progress.source.clone()).or_insert(0);
                if *position != progress.from || progress.to < progress.from {
                    let (topic, n) = (&progress.source.topic, progress.source.partition);
                    return Err(Violation::new(
                        "positions are dense",
                        format!(
                            "summaries/{number} offset {}: {topic}/{n} goes on at {} to {}, but \
                             {position} was to follow",
                            record.offset, progress.from, progress.to
                        ),
                    ));
                }
                *position = progress.to;
            }
        }
        Ok(())
    }

    fn reject(&mut self, _: i32, record: &StoredRecord) -> Result<(), Violation> {
        let reject: Reject = read(record)?;
        if reject.reason == reason::LATE {
            let key = (
                reject.feature.unwrap_or_default(),
                reject.feature_version.unwrap_or_default(),
                reject.window.unwrap_or_default(),
                reject.window_start.unwrap_or_default(),
            );
            *self.late.entry(key).or_default() += reject.count.unwrap_or_default();
            return Ok(());
        }
        let origin = (
            reject.topic.unwrap_or_default(),
            reject.partition.unwrap_or_default(),
            reject.offset.unwrap_or_default(),
        );
        let text = format!("{origin:?}");
        if self.rejected.insert(origin) {
            return Ok(());
        }
        Err(Violation::new("nothing is doubled", format!("{text} was rejected twice")))
    }

    /// Committed positions, covered ranges, events in batches and rejects all
    /// say the same.
    fn ledger_is_whole(&self, world: &World<'_>) -> Result<(), Violation> {
        let committed = world.store.committed(Stage::Summarise.group());
        let (mut events, mut rejects) = (0, 0);
        for (partition, position) in &committed {
            for number in 0..self.summaries {
                let ledger = self.ledgers.get(&number);
                let covered = ledger.and_then(|ledger| ledger.get(partition)).copied();
                if covered.unwrap_or(0) != *position {
                    return Err(Violation::new(
                        "positions committed are ranges covered",
                        format!(
                            "{}/{} is committed to {position}, summaries/{number} covers it to \
                             {covered:?}",
                            partition.topic, partition.partition
                        ),
                    ));
                }
            }
            let sent = world.sent.get(partition).map(Vec::as_slice).unwrap_or_default();
            let read = usize::try_from(*position).unwrap_or(0).min(sent.len());
            events += sent[..read].iter().map(|sent| sent.events).sum::<u64>();
            rejects += sent[..read].iter().filter(|sent| sent.is_rejected).count();
        }
        if events != self.delta_events || rejects != self.rejected.len() {
            return Err(Violation::new(
                "nothing is lost, nothing is doubled",
                format!(
                    "{events} events and {rejects} unusable records lie before the committed \
                     positions; there are {} in deltas and {} rejects",
                    self.delta_events,
                    self.rejected.len()
                ),
            ));
        }
        Ok(())
    }

    fn window(&mut self, _: i32, record: &StoredRecord) -> Result<(), Violation> {
        let window: Window = read(record)?;
        let key = (
            window.feature.clone(),
            window.feature_version.clone(),
            window.window.clone(),
            window.window_start,
        );
        let is_session = window.window.starts_with("session ");
        let told = self.windows.entry(key).or_default();
        let expected = told.last().map_or(0, |last| last.revision + 1);
        // A session that absorbs others is told above all of them.
        let follows = window.revision == expected || is_session && window.revision > expected;
        if !follows {
            return Err(Violation::new(
                "every window is told once",
                format!("revision {expected} was to follow, not {window:?}"),
            ));
        }
        // Windows that were closed in time are closed in order of their ends.
        if window.revision == 0 && window.late_count == 0 && !is_session {
            let partition = partition_of(&window.feature, self.summaries);
            never_back(&mut self.closes, partition, window.window_end, "a window's end")?;
        }
        told.push(window);
        Ok(())
    }

    fn breach(&mut self, _: i32, record: &StoredRecord) -> Result<(), Violation> {
        let breach: Breach = read(record)?;
        let partition = partition_of(&breach.feature, self.summaries);
        // Breaches of the platform follow the log's time, the others the watermark.
        if breach.kind != ExpectationKind::Platform {
            never_back(&mut self.detections, partition, breach.detected_at, "a detection")?;
        }
        let lines = self.breaches.entry(breach.breach_id.clone()).or_default();
        let may_follow = match (lines.last().map(|last| last.transition), breach.transition) {
            (None, Transition::Opened) => true,
            (None, _) | (Some(Transition::Retracted), _) => false,
            (Some(Transition::Cleared), next) => next == Transition::Retracted,
            (Some(_), next) => next != Transition::Opened,
        };
        let same = |line: &Breach| {
            line.transition == breach.transition
                && line.window_start == breach.window_start
                && line.revision == breach.revision
        };
        if !may_follow || lines.iter().any(same) {
            return Err(Violation::new(
                "every transition of a breach is told once, in order",
                format!("{breach:?} after {:?}", lines.last()),
            ));
        }
        let at = record.timestamp;
        let goes_on = matches!(breach.transition, Transition::Opened | Transition::Sustained);
        let (_, until) = self.written.entry(breach.breach_id.clone()).or_insert((at, None));
        if !goes_on && until.is_none() {
            *until = Some(at);
        }
        lines.push(breach.clone());
        self.breach_lines.push(breach);
        Ok(())
    }

    fn escalation(&mut self, _: i32, record: &StoredRecord) -> Result<(), Violation> {
        let message: Escalation = read(record)?;
        if !self.escalations.insert(message.id.clone()) {
            return Err(Violation::new("identifiers are unique", format!("{message:?}")));
        }
        if message.audience == Audience::Page {
            *self.pages.entry(message.incident_id).or_default() += 1;
        }
        Ok(())
    }

    /// As many pages as facts that tell of one: they are of one transaction.
    fn pages_are_facts(&self) -> Result<(), Violation> {
        let notified = self.incidents.notified();
        if notified == self.pages {
            return Ok(());
        }
        Err(Violation::new(
            "every page is a fact",
            format!("pages {:?}, facts {notified:?}", self.pages),
        ))
    }

    fn watermarks_grow(&mut self, world: &World<'_>) -> Result<(), Violation> {
        for (partition, position, mark) in world.watermarks() {
            let marks = self.watermarks.entry(partition.clone()).or_default();
            let before = marks.range(..=position).next_back();
            let after = marks.range(position..).next();
            let fits =
                before.is_none_or(
                    |(at, before)| {
                        if *at == position { *before == mark } else { *before <= mark }
                    },
                );
            if !fits || after.is_some_and(|(_, after)| *after < mark) {
                return Err(Violation::new(
                    "the watermark never goes back",
                    format!(
                        "{} {}: {mark} at position {position}, {before:?} and {after:?} around it",
                        partition.topic, partition.partition
                    ),
                ));
            }
            marks.insert(position, mark);
        }
        Ok(())
    }
}

fn never_back(
    latest: &mut BTreeMap<i32, Timestamp>,
    partition: i32,
    at: Timestamp,
    what: &str,
) -> Result<(), Violation> {
    let before = latest.entry(partition).or_insert(at);
    if at < *before {
        let detail = format!("summaries/{partition}: {what} at {at} after one at {before}");
        return Err(Violation::new("the watermark never goes back", detail));
    }
    *before = at;
    Ok(())
}

fn read<T: Stored>(record: &StoredRecord) -> Result<T, Violation> {
    decode(&record.value).map_err(|error| Violation::new("facts can be read", error.detail))
}

/// The chain of an incident, link by link.
pub(super) fn linked(before: Option<&Fact>, fact: &Fact) -> Result<(), Violation> {
    check_link(before, fact)
        .map_err(|error| Violation::new("incident chains are whole", error.to_string()))
}
