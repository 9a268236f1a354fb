//! `watchkeep audit verify`: gives the lines of an incident log to the crate
//! that shares no code with what wrote them.

use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use watchkeep_audit::anchor::Anchor;
use watchkeep_audit::{Audit, Verdict};
use watchkeep_model::incident::Fact;
use watchkeep_model::json;
use watchkeep_model::position::Partition;
use watchkeep_wire::fact::{Stored, decode};

use crate::Outcome;
use crate::cli::AuditVerify;
use crate::config::Config;
use crate::input::Lines;
use crate::output::{Format, Output, Table, complain, counted};
use crate::store::{Reader, Store, StoredRecord};

/// Offsets that are read at once.
const CHUNK: i64 = 5_000;

/// The word that stands for the configured log.
const CONFIGURED: &str = "kafka";

/// # Errors
/// The log or the anchors cannot be read. What is found is no error.
pub(super) fn run(arguments: &AuditVerify) -> anyhow::Result<Outcome> {
    let mut audit = Audit::new();
    for path in &arguments.anchors {
        anchors(path, &mut audit)?;
    }
    let published = match arguments.publish.as_deref().filter(|path| path.exists()) {
        Some(path) => anchors(path, &mut audit)?,
        None => 0,
    };
    match &arguments.source {
        Some(source) if source.as_os_str() != CONFIGURED => of_files(source, &mut audit)?,
        _ => of_log(&Config::load_required(arguments.configured.file.as_deref())?, &mut audit)?,
    }
    let verdict = audit.finish();
    let is_whole = verdict.finding_count == 0;
    if let (Some(path), Some(head)) = (&arguments.publish, &verdict.head)
        && is_whole
        && head.facts > published
    {
        publish(path, head)?;
    }
    let mut output = Output::new();
    match arguments.formatted.format {
        Format::Json => output.json(&verdict)?,
        Format::Table => print(&verdict, &mut output)?,
    }
    output.finish()?;
    Ok(if is_whole { Outcome::Fine } else { Outcome::Found })
}

/// Gives every anchor of a file to the audit; of how many facts the last one is.
fn anchors(path: &Path, audit: &mut Audit) -> anyhow::Result<u64> {
    let mut most = 0;
    each_line(path, |at, text| {
        let text = text.unwrap_or_default();
        most = Anchor::read(text).map_or(most, |anchor| most.max(anchor.facts));
        audit.anchor(at, text);
    })?;
    Ok(most)
}

/// Appends an anchor; what the file has stays as it is.
fn publish(path: &Path, anchor: &Anchor) -> anyhow::Result<()> {
    let context = || path.display().to_string();
    let mut file = OpenOptions::new().create(true).append(true).open(path).with_context(context)?;
    file.write_all(format!("{}\n", json::to_line(anchor)).as_bytes()).with_context(context)?;
    file.sync_all().with_context(context)
}

fn of_files(source: &Path, audit: &mut Audit) -> anyhow::Result<()> {
    let mut file = source.to_owned();
    if source.is_dir() {
        file = source.join("incidents.ndjson");
        let beside = source.join("anchors.ndjson");
        if beside.exists() && anchors(&beside, audit)? > 0 {
            audit.expect_all_anchored();
        }
    }
    each_line(&file, |at, text| match text {
        Some(text) => audit.fact(at, text),
        None => audit.unreadable(at, NO_TEXT),
    })
}

const NO_TEXT: &str = "the line is no UTF-8";

/// Hands on each line with its place; `None` where it is no text.
fn each_line(path: &Path, mut handle: impl FnMut(&str, Option<&str>)) -> anyhow::Result<()> {
    let mut lines = Lines::open(path)?;
    let mut line = Vec::new();
    while let Some(number) = lines.read(&mut line)? {
        let at = format!("{}:{}", path.display(), number + 1);
        handle(&at, std::str::from_utf8(&line).ok());
    }
    Ok(())
}

fn of_log(config: &Config, audit: &mut Audit) -> anyhow::Result<()> {
    let mut reader = Store::reader_or_service(config)?;
    if matches!(reader, Reader::Service(_)) {
        complain(
            "the service that holds the log reads it out: what lies in its folder is checked while \
             it is stopped",
        );
    }
    // Anchors before the ends of the log, so that each has its facts; those of
    // facts that a running service writes meanwhile afterwards.
    let anchors = Partition::new(config.topics.named("anchors").as_str(), 0);
    let mut read_to = own_anchors(&mut reader, &anchors, 0, u64::MAX, audit)?;
    let topic = config.topics.named("incidents");
    let partitions = match reader.partition_count(&topic)? {
        0 => bail!("there is no topic {topic}: run `watchkeep topics create`"),
        count => (0..count).map(|number| Partition::new(topic.as_str(), number)),
    };
    let mut heads: Vec<Head> = Vec::new();
    for partition in partitions {
        let (next, end) = reader.bounds(&partition)?;
        if next > 0 {
            audit.unreadable(
                &place(&partition, 0),
                format!("records 0 to {} are gone: were they deleted by retention?", next - 1),
            );
        }
        heads.push(Head { partition, next, end, ahead: VecDeque::new() });
    }
    // In the order in which the log took them, as the service restores them.
    loop {
        for head in &mut heads {
            head.fill(&mut reader)?;
        }
        let waiting =
            heads.iter_mut().filter_map(|head| Some((head.ahead.front()?.timestamp, head)));
        let Some((_, head)) = waiting.min_by_key(|(at, _)| *at) else { break };
        if let Some(record) = head.ahead.pop_front() {
            let at = place(&head.partition, record.offset);
            match text_of(&record) {
                Ok(text) => audit.fact(&at, &text),
                Err(detail) => audit.unreadable(&at, detail),
            }
        }
    }
    let facts = audit.facts();
    read_to = own_anchors(&mut reader, &anchors, read_to, facts, audit)?;
    if read_to > 0 {
        audit.expect_all_anchored();
    }
    Ok(())
}

fn place(partition: &Partition, offset: i64) -> String {
    format!("{}/{}@{offset}", partition.topic, partition.partition)
}

/// A partition that is being read.
struct Head {
    partition: Partition,
    next: i64,
    end: i64,
    ahead: VecDeque<StoredRecord>,
}

impl Head {
    fn fill(&mut self, reader: &mut Reader) -> anyhow::Result<()> {
        while self.ahead.is_empty() && self.next < self.end {
            let to = (self.next + CHUNK).min(self.end);
            self.ahead.extend(reader.read(&self.partition, self.next, to)?);
            self.next = to;
        }
        Ok(())
    }
}

/// Gives the anchors of the log itself from an offset on to the audit, as far
/// as they are of at most so many facts; where they end.
fn own_anchors(
    reader: &mut Reader,
    partition: &Partition,
    from: i64,
    facts_max: u64,
    audit: &mut Audit,
) -> anyhow::Result<i64> {
    if reader.partition_count(&partition.topic)? == 0 {
        return Ok(0);
    }
    let (first, end) = reader.bounds(partition)?;
    let mut from = from.max(first);
    while from < end {
        let to = (from + CHUNK).min(end);
        for record in reader.read(partition, from, to)? {
            let at = place(partition, record.offset);
            let text = std::str::from_utf8(&record.value).unwrap_or_default();
            if Anchor::read(text).map_or(0, |anchor| anchor.facts) <= facts_max {
                audit.anchor(&at, text);
            }
        }
        from = to;
    }
    Ok(end)
}

/// A record read as its schema says, whatever a fact would make of it.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Raw(Value);

impl Stored for Raw {
    const SCHEMA: &'static str = <Fact as Stored>::SCHEMA;
}

/// The line whose hash a record bears. JSON is the line itself. Of Avro it is
/// made by the decoder that everything else uses; what that would pass over is
/// a fault of the record.
fn text_of(record: &StoredRecord) -> Result<String, String> {
    if record.value.first() == Some(&b'{') {
        return String::from_utf8(record.value.clone()).map_err(|_| NO_TEXT.to_owned());
    }
    let fact: Fact = decode(&record.value).map_err(|error| error.to_string())?;
    let Raw(mut raw) = decode(&record.value).map_err(|error| error.to_string())?;
    if let Value::Object(fields) = &mut raw {
        fields.retain(|_, value| !value.is_null());
    }
    // As it is written, where 1.0 is 1.
    let line = json::to_line(&fact);
    match serde_json::from_str::<Value>(&line) {
        Ok(typed) if typed == raw => Ok(line),
        _ => Err("the record holds something that no fact has".to_owned()),
    }
}

fn print(verdict: &Verdict, output: &mut Output) -> anyhow::Result<()> {
    output.line(format_args!(
        "{} of {}, {}",
        counted(verdict.facts, "fact"),
        counted(verdict.incidents, "incident"),
        counted(verdict.anchors, "anchor")
    ))?;
    if let Some(head) = &verdict.head {
        output.line(format_args!("anchor of all facts: {}", json::to_line(head)))?;
    }
    let Some(first) = verdict.findings.first() else {
        output.line("whole: every fact is as it was written, and none is missing between them")?;
        return match verdict.facts - verdict.anchored {
            0 if verdict.facts > 0 => output.line("anchored: none is missing at the end"),
            0 => Ok(()),
            left => output.line(format_args!(
                "not anchored: the last {}; that nothing came after is not proved",
                counted(left, "fact")
            )),
        };
    };
    output.line(format_args!("first bad fact: {}: {}", first.at, first.detail))?;
    output.line("")?;
    let mut table = Table::new(["rule", "at", "incident", "#", "what"]);
    for finding in &verdict.findings {
        table.row([
            finding.rule.name().to_owned(),
            finding.at.clone(),
            finding.incident_id.clone().unwrap_or_else(|| "-".to_owned()),
            finding.sequence.map_or_else(|| "-".to_owned(), |number| number.to_string()),
            finding.detail.clone(),
        ]);
    }
    table.print(output)?;
    output.line(counted(verdict.finding_count, "fault"))
}
