//! Replays the summaries topic: the facts that a service told of it, byte for
//! byte, without the telemetry.
//!
//! Each summaries partition is evaluated by itself, as the service does it;
//! what they decide is put in one order, that of a replay from telemetry.

use std::collections::{BTreeMap, VecDeque};
use std::io;

use watchkeep_detection::evaluate::{Decided, Evaluate, Outputs};
use watchkeep_model::position::{Partition, Position};
use watchkeep_model::reject::Reject;
use watchkeep_model::response::Response;
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_wire::summary_batch;

use super::escalation_clock::EscalationClock;
use super::teller::Teller;
use super::{PROGRESS_EVERY, Report, Settings, Sink, Source, SourceRecord};
use crate::rules::{Adopted, Rules};

/// A summaries partition whose records are replayed.
pub struct SummariesSource<'a> {
    /// Which.
    pub partition: Partition,
    /// Its first offset; where it is not 0, earlier batches are gone.
    pub first: i64,
    /// Its records, with the log's time of each in `received_at`.
    pub records: Box<dyn Source + 'a>,
}

/// Replays all partitions of the summaries topic. `is_live` leaves out what a
/// service has not told yet: windows that are still open and revisions that
/// still gather.
///
/// `settings.from` is not used: what a summary holds cannot be taken apart.
///
/// # Errors
/// Those of the sources and the sink, and a record that is no summary batch of
/// this deployment, with its position.
pub fn replay_summaries(
    mut sources: Vec<SummariesSource<'_>>,
    rules: &Rules,
    mut responses: Vec<Response>,
    settings: &Settings,
    is_live: bool,
    sink: &mut dyn Sink,
) -> io::Result<Report> {
    sources.sort_by(|a, b| a.partition.cmp(&b.partition));
    responses.sort_by_key(|response| response.at);
    let count = i32::try_from(sources.len()).unwrap_or(i32::MAX);
    let lanes = sources
        .into_iter()
        .map(|source| {
            let mut evaluate = Evaluate::new(settings.time, source.partition.partition, count);
            if source.first > 0 {
                evaluate.begin_midway();
            }
            let adopted = Adopted::default();
            Lane { source, evaluate, adopted, decided: VecDeque::new(), is_done: false }
        })
        .collect();
    let mut run = Run {
        lanes,
        records: 0,
        late: BTreeMap::new(),
        teller: Teller {
            rules,
            clock: EscalationClock::new(settings.escalation.clone(), responses.into())
                .with_forbidden(settings.forbidden.clone())
                .with_upkeep(settings.upkeep),
            report: Report::default(),
            sink,
        },
    };
    run.drain()?;
    if !is_live {
        run.finish(settings.to)?;
    }
    run.end(settings.run_on)
}

/// A partition on its way.
struct Lane<'a> {
    source: SummariesSource<'a>,
    evaluate: Evaluate,
    adopted: Adopted,
    decided: VecDeque<Decided>,
    is_done: bool,
}

struct Run<'a> {
    lanes: Vec<Lane<'a>>,
    records: u64,
    /// Late summaries by the watermark that they are told at, until every
    /// partition has come so far.
    late: BTreeMap<Timestamp, Vec<Reject>>,
    teller: Teller<'a>,
}

impl Run<'_> {
    /// Tells everything up to the ends of the sources.
    fn drain(&mut self) -> io::Result<()> {
        loop {
            for lane in 0..self.lanes.len() {
                while self.lanes[lane].decided.is_empty() && !self.lanes[lane].is_done {
                    self.read(lane)?;
                }
            }
            if !self.tell_first()? {
                return Ok(());
            }
        }
    }

    /// Takes the next record of a partition.
    fn read(&mut self, number: usize) -> io::Result<()> {
        let lane = &mut self.lanes[number];
        let mut record = SourceRecord::default();
        if !lane.source.records.next(&mut record)? {
            lane.is_done = true;
            return Ok(());
        }
        self.records += 1;
        if self.records.is_multiple_of(PROGRESS_EVERY) {
            self.teller.sink.progress(self.records);
        }
        let Partition { topic, partition } = lane.source.partition.clone();
        let wrong = |error: String| {
            let place = format!("{topic}/{partition} at offset {}: {error}", record.offset);
            io::Error::new(io::ErrorKind::InvalidData, place)
        };
        let batch = summary_batch::decode(&record.bytes).map_err(|e| wrong(e.to_string()))?;
        let mut outputs = Outputs::default();
        let duplicates = lane.evaluate.duplicate_batches();
        let appended_at = record.received_at.unwrap_or_default();
        let is_new = lane.adopted.adopt(batch.charters, lane.evaluate.watermark());
        let charters = lane.adopted.charters(self.teller.rules);
        if is_new {
            lane.evaluate.charters_changed(&charters);
        }
        lane.evaluate
            .batch(&batch, appended_at, &charters, &mut outputs)
            .map_err(|error| wrong(error.to_string()))?;
        let is_used = lane.evaluate.duplicate_batches() == duplicates;
        if is_used && lane.evaluate.torn().is_none() {
            let deltas = batch.steps.iter().flat_map(|step| &step.deltas);
            for delta in deltas {
                self.teller.report.events += delta.summary.count;
                let first = delta.summary.first_event_time;
                if let (Some(from), Some(to)) = (first, delta.summary.last_event_time) {
                    let (first, last) = self.teller.report.event_time.get_or_insert((from, to));
                    (*first, *last) = ((*first).min(from), (*last).max(to));
                }
            }
        }
        let offset = record.offset;
        for breach in &mut outputs.platform {
            breach.exemplars.push(Position { topic: topic.clone(), partition, offset });
        }
        self.take(number, outputs)
    }

    /// Queues what a partition decided, and tells what has no order of its own.
    fn take(&mut self, number: usize, outputs: Outputs) -> io::Result<()> {
        let lane = &mut self.lanes[number];
        lane.decided.extend(outputs.decided);
        let now = lane.evaluate.watermark();
        let mut late = outputs.late.into_iter();
        for (at, count) in outputs.late_told {
            self.late.entry(at).or_default().extend(late.by_ref().take(count));
        }
        let lanes = self.lanes.iter().filter(|lane| !lane.is_done);
        if let Some(reached) = lanes.map(|lane| lane.evaluate.watermark()).min() {
            self.tell_late(reached)?;
        }
        for breach in &outputs.platform {
            self.teller.platform(breach, now.unwrap_or_default())?;
        }
        Ok(())
    }

    /// Tells of late events as a replay from telemetry does: when the watermark
    /// stands where all partitions have passed it, by feature and version.
    fn tell_late(&mut self, before: Option<Timestamp>) -> io::Result<()> {
        while let Some(entry) = self.late.first_entry()
            && before.is_some_and(|before| *entry.key() < before)
        {
            let mut told = entry.remove();
            // Of one feature all come from one partition, in order.
            told.sort_by(|a, b| {
                (&a.feature, &a.feature_version).cmp(&(&b.feature, &b.feature_version))
            });
            for reject in &told {
                self.teller.report.late += reject.count.unwrap_or_default();
                self.teller.sink.reject(reject)?;
            }
        }
        Ok(())
    }

    /// Tells the earliest of what the partitions have decided: by instant, then
    /// end, size and subject.
    fn tell_first(&mut self) -> io::Result<bool> {
        let first = (0..self.lanes.len())
            .filter(|number| !self.lanes[*number].decided.is_empty())
            .min_by(|a, b| {
                let (a, b) = (&self.lanes[*a].decided[0], &self.lanes[*b].decided[0]);
                order(a).cmp(&order(b))
            });
        let Some(decided) = first.and_then(|number| self.lanes[number].decided.pop_front()) else {
            return Ok(false);
        };
        self.teller.decided(&decided)?;
        Ok(true)
    }

    /// The end of the input, as of a replay from telemetry.
    fn finish(&mut self, to: Option<Timestamp>) -> io::Result<()> {
        let ends = self.lanes.iter().filter_map(|lane| lane.evaluate.end_of_events());
        let to = to.or(ends.max());
        for number in 0..self.lanes.len() {
            let mut outputs = Outputs::default();
            let lane = &mut self.lanes[number];
            let charters = lane.adopted.charters(self.teller.rules);
            lane.evaluate.finish(to, &charters, &mut outputs);
            self.take(number, outputs)?;
        }
        while self.tell_first()? {}
        Ok(())
    }

    fn end(mut self, run_on: TimeSpan) -> io::Result<Report> {
        self.tell_late(Some(Timestamp::MAX))?;
        self.teller.sink.progress(self.records);
        let watermark = self.lanes.iter().map(|lane| lane.evaluate.watermark()).min().flatten();
        if let Some(watermark) = watermark {
            self.teller.run_to(watermark + run_on)?;
        }
        self.teller.report.duplicates =
            self.lanes.iter().map(|lane| lane.evaluate.duplicates()).sum();
        for lane in &self.lanes {
            self.teller.report.add_budgets(&lane.evaluate);
        }
        // Each partition covers all sources; one that was torn covers less. What
        // is told of rests on what all of them do.
        let mut ledger: BTreeMap<Partition, (i64, i64)> = BTreeMap::new();
        for (source, one) in self.lanes.iter().flat_map(|lane| lane.evaluate.sources()) {
            let all = ledger.entry(source.clone()).or_insert((one.from, one.to));
            *all = (all.0.max(one.from), all.1.min(one.to));
        }
        let ledger = ledger.into_iter().map(|(source, (from, to))| (source, from, to.max(from)));
        self.teller.report.ledger = ledger.collect();
        Ok(self.teller.report)
    }
}

fn order(decided: &Decided) -> (Timestamp, Timestamp, TimeSpan, &str, &str, &str) {
    let window = &decided.window;
    // A session ends the gap after its last event, and its size is the gap.
    let gap = window.window.strip_prefix("session ").and_then(|gap| gap.parse().ok());
    let (end, size) = match gap {
        Some(gap) => (window.window_end + gap, gap),
        None => (window.window_end, window.window_end.since(window.window_start)),
    };
    let Decided { at, .. } = *decided;
    (at, end, size, &window.feature, &window.window, &window.feature_version)
}
