//! Replays telemetry through all stages in one process, to the same bytes
//! each time. No clock is read: the watermark is the time, for windows as for
//! escalations.

pub mod escalation_clock;
pub mod summaries;
mod teller;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;

use watchkeep_detection::budget::Tally as BudgetTally;
use watchkeep_detection::evaluate::{Evaluate, Outputs};
use watchkeep_detection::settings::TimeSettings;
use watchkeep_detection::summarise::{SourceId, Summarise};
use watchkeep_incident::escalate::Settings as EscalationSettings;
use watchkeep_model::breach::Breach;
use watchkeep_model::escalation::Escalation;
use watchkeep_model::incident::Fact;
use watchkeep_model::position::{Partition, Position};
use watchkeep_model::reject::{Reject, reason};
use watchkeep_model::response::Response;
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_model::window::Window;
use watchkeep_wire::Malformed;
use watchkeep_wire::reject;
use watchkeep_wire::telemetry::Decoder;

use crate::replay::escalation_clock::EscalationClock;
use crate::replay::teller::Teller;
use crate::rules::Rules;

/// One partition of telemetry to replay, record by record in its order.
pub trait Source {
    /// Reads the next record into `record`; `false` at the end.
    ///
    /// # Errors
    /// Those of the medium; the replay stops.
    fn next(&mut self, record: &mut SourceRecord) -> io::Result<bool>;
}

/// A record of a [`Source`]. The buffer is used again for each.
#[derive(Clone, Debug, Default)]
pub struct SourceRecord {
    /// The offset; for a file the line, counted from 0.
    pub offset: i64,
    /// The bytes, without a newline.
    pub bytes: Vec<u8>,
    /// The broker's time, where the source has one outside of the bytes.
    pub received_at: Option<Timestamp>,
    /// The `content-type` header, where there is one.
    pub content_type: Option<String>,
    /// True where the bytes are a line of a file, which may carry `received_at` itself.
    pub is_line: bool,
}

/// What the facts of a replay are given to, in order.
pub trait Sink {
    /// A window was measured.
    ///
    /// # Errors
    /// Those of the medium; the replay stops.
    fn window(&mut self, window: &Window) -> io::Result<()>;
    /// Something happened to a breach.
    ///
    /// # Errors
    /// Those of the medium; the replay stops.
    fn breach(&mut self, breach: &Breach) -> io::Result<()>;
    /// Something happened to an incident.
    ///
    /// # Errors
    /// Those of the medium; the replay stops.
    fn fact(&mut self, fact: &Fact) -> io::Result<()>;
    /// Somebody was told.
    ///
    /// # Errors
    /// Those of the medium; the replay stops.
    fn escalation(&mut self, escalation: &Escalation) -> io::Result<()>;
    /// A record was unusable or came too late.
    ///
    /// # Errors
    /// Those of the medium; the replay stops.
    fn reject(&mut self, reject: &Reject) -> io::Result<()>;
    /// Called now and then with the number of records read.
    fn progress(&mut self, records: u64);
}

/// What to replay and how.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// How event time is cut.
    pub time: TimeSettings,
    /// Events before this are passed over.
    pub from: Option<Timestamp>,
    /// Events from this on are passed over, and the watermark ends here.
    pub to: Option<Timestamp>,
    /// How long the escalation clock runs on after the end.
    pub run_on: TimeSpan,
    /// True where it is told, too, what charters and policies promise to be
    /// looked at and is not: it does not follow from telemetry.
    pub upkeep: bool,
    /// Settings of the escalate stage.
    pub escalation: EscalationSettings,
    /// Rules that forbid responses about charters, by the response's identifier.
    /// What the others lead to is in the rules already.
    pub forbidden: BTreeMap<String, String>,
}

/// What a replay counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Events that were taken.
    pub events: u64,
    /// Records that were read; `None` where the summaries were, which do not tell.
    pub records: Option<u64>,
    /// Records that could not be used.
    pub rejected: u64,
    /// Events too late for a window, counted for each window.
    pub late: u64,
    /// Events that repeat another one, where a charter says `deduplicate`.
    pub duplicates: u64,
    /// Lines of windows.
    pub windows: u64,
    /// Lines of breaches.
    pub breaches: u64,
    /// Incidents that were opened.
    pub incidents: u64,
    /// Facts of the incident log.
    pub facts: u64,
    /// Messages to people.
    pub escalations: u64,
    /// Earliest and latest event time.
    pub event_time: Option<(Timestamp, Timestamp)>,
    /// Where the escalation clock stood at the end: what lies later was not
    /// played. `None` where there was no event.
    pub clock: Option<Timestamp>,
    /// What the alert budgets came to, by domain.
    pub budgets: BTreeMap<Arc<str>, BudgetTally>,
    /// Per source partition the range of offsets that was read.
    pub ledger: Vec<(Partition, i64, i64)>,
}

impl Report {
    fn add_budgets(&mut self, evaluate: &Evaluate) {
        for (domain, tally) in evaluate.budgets().tallies() {
            self.budgets.entry(domain.clone()).or_default().add(tally);
        }
    }
}

/// Records between two calls of [`Sink::progress`].
const PROGRESS_EVERY: u64 = 10_000;

/// Replays the sources. Several are read in step: always the one whose
/// watermark is furthest behind, ties by name, then number.
///
/// # Errors
/// Those of the sources and the sink.
pub fn replay(
    mut sources: Vec<(Partition, Box<dyn Source + '_>)>,
    rules: &Rules,
    mut responses: Vec<Response>,
    decoder: &mut Decoder,
    settings: &Settings,
    sink: &mut dyn Sink,
) -> io::Result<Report> {
    sources.sort_by(|a, b| a.0.cmp(&b.0));
    responses.sort_by_key(|response| response.at);
    let mut summarise = Summarise::new(settings.time, "replay", Timestamp::default());
    if rules.registry().has_sessions() {
        summarise.cut_at_every_record();
    }
    let mut run = Run {
        settings,
        evaluate: Evaluate::new(settings.time, 0, 1),
        outputs: Outputs::default(),
        teller: Teller {
            rules,
            clock: EscalationClock::new(settings.escalation.clone(), VecDeque::from(responses))
                .with_forbidden(settings.forbidden.clone())
                .with_upkeep(settings.upkeep),
            report: Report::default(),
            sink,
        },
    };
    let topics: Vec<(Arc<str>, i32)> = sources
        .iter()
        .map(|(partition, _)| (partition.topic.clone(), partition.partition + 1))
        .collect();
    run.evaluate.expect_sources(&topics);
    let ids: Vec<SourceId> =
        sources.iter().map(|(partition, _)| summarise.assign(partition, 0)).collect();
    let mut records = 0;
    let mut record = SourceRecord::default();
    let mut running: Vec<usize> = (0..sources.len()).collect();
    // `None` is the least, so a source without an event yet is read first.
    while let Some(next) =
        running.iter().copied().min_by_key(|at| (summarise.watermark(ids[*at]), *at))
    {
        let (partition, source) = &mut sources[next];
        if source.next(&mut record)? {
            run.take(&mut summarise, ids[next], partition, &record, decoder)?;
            records += 1;
            if records % PROGRESS_EVERY == 0 {
                run.teller.sink.progress(records);
            }
        } else {
            summarise.exhausted(ids[next]);
            running.retain(|at| *at != next);
            // It holds the watermark no more, and what the others bring from now on
            // is late by the watermark without it.
            run.evaluate(summarise.take_steps())?;
        }
        if summarise.has_ended() {
            run.evaluate(summarise.take_ended())?;
        }
    }
    run.teller.sink.progress(records);
    run.teller.report.records = Some(records);
    run.evaluate(summarise.take_steps())?;
    run.finish()
}

struct Run<'a> {
    settings: &'a Settings,
    evaluate: Evaluate,
    outputs: Outputs,
    teller: Teller<'a>,
}

impl Run<'_> {
    fn take(
        &mut self,
        summarise: &mut Summarise,
        id: SourceId,
        partition: &Partition,
        record: &SourceRecord,
        decoder: &mut Decoder,
    ) -> io::Result<()> {
        let mut events = Vec::new();
        let decoded = if record.is_line {
            decoder.decode_line(&record.bytes, &mut events)
        } else {
            let content_type = record.content_type.as_deref();
            decoder.decode(&record.bytes, content_type, &mut events).map(|()| record.received_at)
        };
        // Of a line it is known only once the line could be read.
        let received_at = decoded.as_ref().map_or(record.received_at, |received_at| *received_at);
        let result = decoded.and_then(|_| {
            let Settings { from, to, .. } = self.settings;
            events.retain(|event| {
                from.is_none_or(|from| event.event_time >= from)
                    && to.is_none_or(|to| event.event_time < to)
            });
            summarise
                .record(id, record.offset, received_at, &events, self.teller.rules)
                .map_err(|future| Malformed { reason: reason::FUTURE, detail: future.to_string() })
        });
        match result {
            Ok(()) => {
                self.teller.report.events += events.len() as u64;
                for event in &events {
                    let at = event.event_time;
                    let (first, last) = self.teller.report.event_time.get_or_insert((at, at));
                    *first = (*first).min(at);
                    *last = (*last).max(at);
                }
            }
            Err(malformed) => {
                summarise.skip(id, record.offset);
                self.teller.report.rejected += 1;
                let position = Position {
                    topic: partition.topic.clone(),
                    partition: partition.partition,
                    offset: record.offset,
                };
                let reject =
                    reject::of_record(&record.bytes, &malformed, &position, received_at, None);
                self.teller.sink.reject(&reject)?;
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, steps: Vec<watchkeep_model::batch::Step>) -> io::Result<()> {
        for step in steps {
            self.evaluate.step(&step, self.teller.rules, &mut self.outputs);
            self.write()?;
            if let Some(watermark) = self.evaluate.watermark() {
                self.teller.run_to(watermark)?;
            }
        }
        Ok(())
    }

    fn write(&mut self) -> io::Result<()> {
        // Telemetry that stops is told of by the clock, and here is none.
        let Outputs { decided, late, .. } = std::mem::take(&mut self.outputs);
        for decided in &decided {
            self.teller.decided(decided)?;
        }
        for reject in &late {
            self.teller.sink.reject(reject)?;
        }
        Ok(())
    }

    fn finish(mut self) -> io::Result<Report> {
        self.evaluate.finish(self.settings.to, self.teller.rules, &mut self.outputs);
        self.write()?;
        if let Some(watermark) = self.evaluate.watermark() {
            self.teller.run_to(watermark + self.settings.run_on)?;
        }
        self.teller.report.late = self.evaluate.late_count();
        self.teller.report.duplicates = self.evaluate.duplicates();
        self.teller.report.add_budgets(&self.evaluate);
        self.teller.report.ledger = self
            .evaluate
            .sources()
            .iter()
            .map(|(partition, source)| (partition.clone(), source.from, source.to))
            .collect();
        Ok(self.teller.report)
    }
}
