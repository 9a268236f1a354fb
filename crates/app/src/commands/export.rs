//! `watchkeep export`: a topic of the log as lines.

use anyhow::bail;
use watchkeep_model::position::Partition;
use watchkeep_wire::fact::{TopicKind, response_line, to_json_line};
use watchkeep_wire::telemetry::{Decoder, encode};

use crate::Outcome;
use crate::cli::{Export, ExportFormat};
use crate::config::{Config, keys};
use crate::output::{Output, complain};
use crate::store::{Reader, Store, StoredRecord};

/// Offsets that are read at once; memory holds so many records.
const CHUNK: i64 = 5_000;

/// # Errors
/// The configuration, the log, a topic that does not exist.
pub(super) fn run(arguments: &Export) -> anyhow::Result<Outcome> {
    match arguments.format {
        ExportFormat::Ndjson => {}
        ExportFormat::Avro => bail!("export --format avro is not supported yet: use ndjson"),
        ExportFormat::Parquet => bail!("export --format parquet is not supported yet: use ndjson"),
    }
    let config = Config::load_required(arguments.configured.file.as_deref())?;
    let mut reader = Store::open_existing(&config)?.reader()?;
    let topic = full_name(&config, &arguments.topic);
    let partitions = reader.partition_count(&topic)?;
    if partitions == 0 {
        let known = keys::TOPICS.map(|name| config.topics.named(name)).join(", ");
        bail!("there is no topic {topic}: Watchkeep's own are {known}");
    }
    let mut lines = LineWriter {
        kind: TopicKind::of(&topic, &config.topics.prefix),
        decoder: Decoder::new(crate::service::schemas(&config)?),
        output: Output::new(),
        unreadable: 0,
    };
    for number in 0..partitions {
        let partition = Partition::new(topic.as_str(), number);
        export(&mut reader, &partition, arguments.limit, &mut lines)?;
    }
    lines.output.finish()?;
    Ok(if lines.unreadable > 0 { Outcome::Found } else { Outcome::Fine })
}

/// A topic of ours may be named without its prefix.
fn full_name(config: &Config, name: &str) -> String {
    if keys::TOPICS.contains(&name) { config.topics.named(name) } else { name.to_owned() }
}

fn export(
    reader: &mut Reader,
    partition: &Partition,
    limit: Option<u64>,
    lines: &mut LineWriter,
) -> anyhow::Result<()> {
    let (mut from, end) = reader.bounds(partition)?;
    let mut left = limit.unwrap_or(u64::MAX);
    while from < end && left > 0 {
        let to = (from + CHUNK).min(end);
        for record in reader.read(partition, from, to)? {
            if left == 0 {
                break;
            }
            lines.write(partition, &record)?;
            left -= 1;
        }
        from = to;
    }
    Ok(())
}

struct LineWriter {
    kind: TopicKind,
    decoder: Decoder,
    output: Output,
    unreadable: u64,
}

impl LineWriter {
    fn write(&mut self, partition: &Partition, record: &StoredRecord) -> anyhow::Result<()> {
        let line = match self.kind {
            TopicKind::Telemetry => self.telemetry(record),
            TopicKind::Responses => response_line(&record.value, record.timestamp),
            kind => to_json_line(kind, &record.value),
        };
        match line {
            Ok(line) => self.output.line(line),
            Err(malformed) => {
                self.unreadable += 1;
                let Partition { topic, partition } = partition;
                complain(&format!("{topic}/{partition} at offset {}: {malformed}", record.offset));
                Ok(())
            }
        }
    }

    /// JSON goes out as it came in, Avro as the JSON that says the same.
    fn telemetry(&mut self, record: &StoredRecord) -> Result<String, watchkeep_wire::Malformed> {
        let mut events = Vec::new();
        let content_type = record.content_type.as_deref();
        self.decoder.decode(&record.value, content_type, &mut events)?;
        match std::str::from_utf8(&record.value) {
            Ok(text) if text.trim_start().starts_with('{') => Ok(text.trim().replace('\n', " ")),
            _ => Ok(events.iter().map(encode::to_json).collect::<Vec<_>>().join("\n")),
        }
    }
}
