//! What a replay reads: files, folders of them, or the configured log.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use watchkeep_model::position::Partition;
use watchkeep_runtime::replay::summaries::SummariesSource;
use watchkeep_runtime::replay::{Source, SourceRecord};

use crate::config::Config;
use crate::input::{self, Gauge, Lines};
use crate::store::{Reader, Store, StoredRecord};

/// Offsets that are read from a log at once; memory holds so many records of
/// each partition.
const CHUNK: i64 = 5_000;

/// The name that stands for the configured log.
const LOG: &str = "kafka";

/// The name that stands for the summaries of the configured log.
const SUMMARIES: &str = "summaries";

/// Suffixes of telemetry in a folder.
const SUFFIXES: [&str; 6] =
    [".ndjson", ".ndjson.gz", ".ndjson.zst", ".jsonl", ".jsonl.gz", ".jsonl.zst"];

/// A source partition and its records.
pub(super) type Opened = (Partition, Box<dyn Source>);

/// Opens every input.
///
/// # Errors
/// One that cannot be opened, and two of the same name.
pub(super) fn open(
    inputs: &[PathBuf],
    config: &Config,
) -> anyhow::Result<(Vec<Opened>, Vec<Gauge>)> {
    let (mut sources, mut gauges): (Vec<Opened>, Vec<Gauge>) = (Vec::new(), Vec::new());
    let mut add_file =
        |name: String, path: &Path, sources: &mut Vec<Opened>| -> anyhow::Result<()> {
            let lines = Lines::open(path)?;
            gauges.push(lines.gauge());
            sources.push((Partition::new(name, 0), Box::new(FileSource(lines))));
            Ok(())
        };
    for input in inputs {
        if input.as_os_str() == LOG && !input.exists() {
            log_sources(config, &mut sources)?;
        } else if input.is_dir() {
            let files = input::files_below(input, &SUFFIXES)?;
            if files.is_empty() {
                bail!("{}: there is no .ndjson file in this folder", input.display());
            }
            for file in files {
                let name = file.strip_prefix(input).unwrap_or(&file).display().to_string();
                add_file(name, &file, &mut sources)?;
            }
        } else {
            let name = input.file_name().map_or_else(|| "-".into(), |name| name.to_string_lossy());
            add_file(name.into_owned(), input, &mut sources)?;
        }
    }
    let mut names = BTreeSet::new();
    for (partition, _) in &sources {
        if !names.insert(partition) {
            // A record is named by file and line in what comes out.
            bail!("two inputs are called {}: rename one of them", partition.topic);
        }
    }
    Ok((sources, gauges))
}

/// True where the configured log is read.
pub(super) fn is_log(inputs: &[PathBuf]) -> bool {
    are_summaries(inputs) || inputs.iter().any(|input| input.as_os_str() == LOG && !input.exists())
}

/// True where the summaries of the configured log are meant.
pub(super) fn are_summaries(inputs: &[PathBuf]) -> bool {
    inputs.iter().any(|input| input.as_os_str() == SUMMARIES && !input.exists())
}

/// True where something of the configured log is read.
pub(super) fn are_of_the_log(inputs: &[PathBuf]) -> bool {
    are_summaries(inputs) || inputs.iter().any(|input| input.as_os_str() == LOG && !input.exists())
}

/// Opens every partition of the summaries topic.
///
/// # Errors
/// Those of the log; there is no such topic.
pub(super) fn summaries(config: &Config) -> anyhow::Result<Vec<SummariesSource<'static>>> {
    let topic = config.topics.named("summaries");
    let opened = partitions(&Store::open_existing(config)?, &topic)?;
    let sources = opened.into_iter().map(|(partition, source)| {
        let first = source.next;
        SummariesSource { partition, first, records: Box::new(source) }
    });
    Ok(sources.collect())
}

fn log_sources(config: &Config, sources: &mut Vec<Opened>) -> anyhow::Result<()> {
    let store = Store::open_existing(config)?;
    for topic in &config.topics.telemetry {
        for (partition, source) in partitions(&store, topic)? {
            sources.push((partition, Box::new(source)));
        }
    }
    Ok(())
}

/// Every partition of a topic.
fn partitions(store: &Store, topic: &str) -> anyhow::Result<Vec<(Partition, LogSource)>> {
    let count = store.reader()?.partition_count(topic)?;
    if count == 0 {
        bail!("there is no topic {topic}");
    }
    let mut opened = Vec::new();
    for number in 0..count {
        let partition = Partition::new(topic, number);
        let mut reader = store.reader()?;
        let bounds = reader.bounds(&partition);
        let (next, end) = bounds.with_context(|| format!("{topic}/{number}"))?;
        let waiting = VecDeque::new();
        let source = LogSource { reader, partition: partition.clone(), next, end, waiting };
        opened.push((partition, source));
    }
    Ok(opened)
}

struct FileSource(Lines);

impl Source for FileSource {
    fn next(&mut self, record: &mut SourceRecord) -> io::Result<bool> {
        record.is_line = true;
        match self.0.read(&mut record.bytes)? {
            Some(number) => {
                record.offset = number;
                Ok(true)
            }
            None => Ok(false),
        }
    }
}

/// A partition up to its end as it was when the replay began.
struct LogSource {
    reader: Reader,
    partition: Partition,
    next: i64,
    end: i64,
    waiting: VecDeque<StoredRecord>,
}

impl Source for LogSource {
    fn next(&mut self, record: &mut SourceRecord) -> io::Result<bool> {
        while self.waiting.is_empty() && self.next < self.end {
            let to = (self.next + CHUNK).min(self.end);
            let records = self.reader.read(&self.partition, self.next, to);
            self.waiting = records.map_err(io::Error::other)?.into();
            self.next = to;
        }
        let Some(stored) = self.waiting.pop_front() else { return Ok(false) };
        *record = SourceRecord {
            offset: stored.offset,
            bytes: stored.value,
            received_at: Some(stored.timestamp),
            content_type: stored.content_type,
            is_line: false,
        };
        Ok(true)
    }
}
