//! The audit of a log's topics.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::bail;
use watchkeep_detection::ledger::Coverage;
use watchkeep_model::breach::Breach;
use watchkeep_model::escalation::Escalation;
use watchkeep_model::incident::Fact;
use watchkeep_model::position::Partition;
use watchkeep_model::reject::Reject;
use watchkeep_model::time::Timestamp;
use watchkeep_model::window::Window;
use watchkeep_runtime::audit::compare::untold::Untold;
use watchkeep_runtime::audit::facts::FactsAudit;
use watchkeep_runtime::audit::ledger::{Ends, LedgerAudit, compare_ends};
use watchkeep_runtime::audit::recount::Recount;
use watchkeep_runtime::audit::{FaultKind, Finding, line};
use watchkeep_runtime::log::Record;
use watchkeep_wire::fact::{Stored, decode};

use super::{Covered, RecountedLine, Report, Summaries};
use crate::config::Config;
use crate::progress::Progress;
use crate::store::{Reader, Store, StoredRecord};

/// Offsets that are read at once; memory holds so many records.
const CHUNK: i64 = 1_000;

/// Times that a partition is looked at again whose end is behind the others',
/// because a commit may have come between.
const LOOKS_MAX: u32 = 10;

/// Time before that: another transaction may still hide the end of a partition.
const LOOK_PAUSE: Duration = Duration::from_millis(300);

/// # Errors
/// Those of the log.
pub(super) fn audit(config: &Config, with_windows: bool) -> anyhow::Result<Report> {
    let mut topics = Topics::open(config)?;
    let mut report = Report::default();
    // Positions first: what is read afterwards reaches at least as far.
    let committed = topics.committed()?;
    let mut recount = with_windows.then(Recount::default);
    let mut facts = FactsAudit::default();
    topics.facts(&mut facts, recount.as_mut(), &mut report)?;
    let audits = topics.summaries(recount.as_mut(), &committed, &mut report)?;
    let coverage = covered(&audits);
    report.facts = BTreeMap::from([
        ("breach lines", facts.counts().breaches),
        ("incident facts", facts.counts().facts),
        ("escalations", facts.counts().escalations),
        ("late events, per window", facts.counts().late),
    ]);
    for (source, Coverage { from, to }) in &coverage {
        let committed = committed.sources.get(source).copied();
        if let Some(position) = committed.filter(|position| position != to) {
            // Told of only where it cannot be a commit since.
            if position > *to {
                let detail = format!(
                    "offsets {to} to {} of {}/{} are committed as read, but in no batch",
                    position - 1,
                    source.topic,
                    source.partition
                );
                report.findings.push(Finding { fault: FaultKind::Position, at: None, detail });
            }
        }
        report.coverage.push(Covered {
            source: source.topic.to_string(),
            partition: source.partition,
            from: *from,
            to: *to,
            rejected: facts.rejected_of(source),
            committed,
            end: Some(topics.reader.bounds(source)?.1),
        });
    }
    report.findings.extend(facts.finish(&coverage));
    topics.progress.finish();
    Ok(report)
}

/// What the summaries partitions cover together; each of them covers all.
fn covered(audits: &[LedgerAudit]) -> BTreeMap<Partition, Coverage> {
    let mut coverage: BTreeMap<Partition, Coverage> = BTreeMap::new();
    for (source, one) in audits.iter().flat_map(LedgerAudit::sources) {
        let all = coverage.entry(source.clone()).or_insert(*one);
        *all = Coverage { from: all.from.min(one.from), to: all.to.max(one.to) };
    }
    coverage
}

/// Positions of the groups.
pub(super) struct Committed {
    /// Of the summarise stage, per source partition.
    pub(super) sources: BTreeMap<Partition, i64>,
    /// Of the evaluate stage, per summaries partition.
    summaries: BTreeMap<i32, i64>,
}

pub(super) struct Topics<'a> {
    reader: Reader,
    config: &'a Config,
    progress: Progress,
}

impl<'a> Topics<'a> {
    /// The topics of the configured log.
    ///
    /// # Errors
    /// Those of the log.
    pub(super) fn open(config: &'a Config) -> anyhow::Result<Self> {
        let reader = Store::open_existing(config)?.reader()?;
        Ok(Self { reader, config, progress: Progress::new("records") })
    }

    fn count(&mut self, topic: &str) -> anyhow::Result<i32> {
        match self.reader.partition_count(topic)? {
            0 => bail!("there is no topic {topic}: run `watchkeep topics create`"),
            count => Ok(count),
        }
    }

    /// Where the groups stand.
    ///
    /// # Errors
    /// Those of the log; there is no such topic.
    pub(super) fn committed(&mut self) -> anyhow::Result<Committed> {
        let mut committed = Committed { sources: BTreeMap::new(), summaries: BTreeMap::new() };
        let group = format!("{}-summarise", self.config.group);
        for topic in &self.config.topics.telemetry {
            for number in 0..self.count(topic)? {
                let partition = Partition::new(topic.as_str(), number);
                if let Some(position) = self.reader.committed(&group, &partition)? {
                    committed.sources.insert(partition, position);
                }
            }
        }
        let group = format!("{}-evaluate", self.config.group);
        let topic = self.config.topics.named("summaries");
        for number in 0..self.count(&topic)? {
            let partition = Partition::new(topic.as_str(), number);
            let position = self.reader.committed(&group, &partition)?.unwrap_or(0);
            committed.summaries.insert(number, position);
        }
        Ok(committed)
    }

    /// Hands on every record of `[from, to)`.
    fn each(
        &mut self,
        partition: &Partition,
        from: i64,
        to: i64,
        mut handle: impl FnMut(&StoredRecord),
    ) -> anyhow::Result<()> {
        let mut next = from;
        while next < to {
            let end = (next + CHUNK).min(to);
            let records = self.reader.read(partition, next, end)?;
            records.iter().for_each(&mut handle);
            next = end;
        }
        Ok(())
    }

    /// Hands on every fact of a topic; what cannot be read is a finding.
    ///
    /// # Errors
    /// Those of the log; there is no such topic.
    pub(super) fn each_fact<T: Stored>(
        &mut self,
        name: &str,
        findings: &mut Vec<Finding>,
        mut handle: impl FnMut(T),
    ) -> anyhow::Result<()> {
        let topic = self.config.topics.named(name);
        for number in 0..self.count(&topic)? {
            let partition = Partition::new(topic.as_str(), number);
            let (first, end) = self.reader.bounds(&partition)?;
            self.each(&partition, first, end, |record| match decode::<T>(&record.value) {
                Ok(fact) => handle(fact),
                Err(malformed) => findings.push(unreadable(&partition, record, &malformed)),
            })?;
        }
        Ok(())
    }

    fn facts(
        &mut self,
        facts: &mut FactsAudit,
        mut recount: Option<&mut Recount>,
        report: &mut Report,
    ) -> anyhow::Result<()> {
        let findings = &mut report.findings;
        self.each_fact("breaches", findings, |breach: Breach| facts.breach(&breach))?;
        self.each_fact("incidents", findings, |fact: Fact| facts.fact(&fact))?;
        self.each_fact("escalations", findings, |one: Escalation| facts.escalation(&one))?;
        self.each_fact("rejects", findings, |reject: Reject| {
            facts.reject(&reject);
            if let Some(recount) = &mut recount {
                recount.late(&reject);
            }
        })?;
        if let Some(recount) = recount {
            let mut odd = Vec::new();
            self.each_fact("windows", findings, |window: Window| {
                odd.extend(line::odd(&window));
                recount.window(&window);
            })?;
            findings.append(&mut odd);
        }
        Ok(())
    }

    /// What the service has taken and not told of.
    ///
    /// # Errors
    /// Those of the log; there is no such topic.
    pub(super) fn untold(&mut self, committed: &Committed) -> anyhow::Result<Untold> {
        let topic = self.config.topics.named("summaries");
        let mut untold = Untold::new(self.config.time);
        for number in 0..self.count(&topic)? {
            let partition = Partition::new(topic.as_str(), number);
            let (first, end) = self.reader.bounds(&partition)?;
            let evaluated = committed.summaries.get(&number).copied().unwrap_or(0);
            // Which batches evaluation uses; what is wrong is for `audit ledger`.
            let mut audit = LedgerAudit::new(first);
            let mut reading = untold.partition();
            self.each(&partition, first, end, |record| {
                if let Some(batch) = audit.record(&borrowed(&partition, record)) {
                    reading.batch(&batch, record.timestamp, record.offset < evaluated);
                }
            })?;
            reading.finish();
            self.progress.tell(audit.batches(), None);
        }
        self.progress.finish();
        Ok(untold)
    }

    fn summaries(
        &mut self,
        mut recount: Option<&mut Recount>,
        committed: &Committed,
        report: &mut Report,
    ) -> anyhow::Result<Vec<LedgerAudit>> {
        let topic = self.config.topics.named("summaries");
        let time = self.config.time;
        let mut audits = Vec::new();
        let mut next = Vec::new();
        let mut watermark: Option<Option<Timestamp>> = None;
        for number in 0..self.count(&topic)? {
            let partition = Partition::new(topic.as_str(), number);
            let (first, end) = self.reader.bounds(&partition)?;
            let evaluated = committed.summaries.get(&number).copied().unwrap_or(0);
            let mut audit = LedgerAudit::new(first);
            let mut counting = recount.as_deref_mut().map(|recount| recount.partition(time));
            self.each(&partition, first, end, |record| {
                let batch = audit.record(&borrowed(&partition, record));
                if let (Some(batch), Some(counting)) = (batch, &mut counting)
                    && record.offset < evaluated
                {
                    counting.batch(&batch, record.timestamp);
                }
            })?;
            if let Some(counting) = counting {
                let end = counting.finish();
                watermark = Some(watermark.map_or(end, |least| least.min(end)));
            }
            self.progress.tell(audit.batches(), None);
            audits.push(audit);
            next.push((partition, end));
        }
        // As far as the last partition reached when it was read: a running
        // service goes on, and would always be ahead in one or the other.
        let ends = Ends::of(&audits);
        let mut behind = compare_ends(&topic, &audits, &ends);
        for _ in 0..LOOKS_MAX {
            if behind.is_empty() {
                break;
            }
            std::thread::sleep(LOOK_PAUSE);
            for ((partition, from), audit) in next.iter_mut().zip(&mut audits) {
                let end = self.reader.bounds(partition)?.1;
                self.each(partition, *from, end, |record| {
                    audit.record(&borrowed(partition, record));
                })?;
                *from = end;
            }
            behind = compare_ends(&topic, &audits, &ends);
        }
        for (number, audit) in (0..).zip(&audits) {
            let (batches, events) = (audit.batches(), audit.events());
            report.summaries.push(Summaries { partition: number, batches, events });
            report.findings.extend_from_slice(audit.findings());
        }
        report.findings.extend(behind);
        if let Some(recount) = recount {
            let recounted = std::mem::take(recount).finish(watermark.flatten(), time);
            report.recounted = Some(RecountedLine::from(&recounted));
            report.findings.extend(recounted.findings);
        }
        Ok(audits)
    }
}

fn borrowed<'a>(partition: &'a Partition, record: &'a StoredRecord) -> Record<'a> {
    Record {
        partition,
        offset: record.offset,
        timestamp: record.timestamp,
        key: None,
        value: &record.value,
        content_type: record.content_type.as_deref(),
    }
}

fn unreadable(
    partition: &Partition,
    record: &StoredRecord,
    malformed: &watchkeep_wire::Malformed,
) -> Finding {
    let Partition { topic, partition } = partition.clone();
    let at = Some(watchkeep_model::position::Position { topic, partition, offset: record.offset });
    Finding { fault: FaultKind::Unreadable, at, detail: malformed.to_string() }
}
