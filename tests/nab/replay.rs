//! A series as telemetry, replayed through all stages.

use std::io;

use watchkeep_incident::registry::Registry;
use watchkeep_model::breach::{Breach, Transition};
use watchkeep_model::document::Level;
use watchkeep_model::escalation::Escalation;
use watchkeep_model::incident::Fact;
use watchkeep_model::position::Partition;
use watchkeep_model::reject::Reject;
use watchkeep_model::time::TimeSpan;
use watchkeep_model::window::Window;
use watchkeep_runtime::replay::{Settings, Sink, Source, SourceRecord, replay};
use watchkeep_runtime::rules::Rules;
use watchkeep_wire::schema_set::SchemaSet;
use watchkeep_wire::telemetry::Decoder;
use watchkeep_wire::yaml;

use super::Series;

/// Reads a charter for the series.
///
/// # Errors
/// The findings that keep it from being used.
pub fn rules(charter: &str) -> Result<Rules, String> {
    let files = [("charter.yaml".to_owned(), charter.to_owned())];
    let (documents, mut found) = yaml::read(&files);
    let (registry, more) = Registry::new(documents, TimeSpan::MINUTE);
    found.extend(more);
    found.retain(|finding| finding.severity == Level::Error);
    if found.is_empty() { Ok(Rules::new(registry)) } else { Err(format!("{found:?}")) }
}

/// The line of telemetry that a row becomes.
pub fn line(series: &Series, row: usize) -> String {
    let (time, value) = (series.times[row], series.values[row]);
    let name = series.name.trim_end_matches(".csv").replace('/', ".");
    format!(r#"{{"feature":"nab.{name}","event_time":"{time}","value":{value:?}}}"#)
}

/// The breaches that the series opens.
///
/// # Errors
/// Says which row is no telemetry.
pub fn breaches(series: &Series, rules: &Rules) -> io::Result<Vec<Breach>> {
    let mut opened = Opened::default();
    let source = Rows { series, next: 0 };
    let partition = Partition { topic: series.name.as_str().into(), partition: 0 };
    replay(
        vec![(partition, Box::new(source))],
        rules,
        Vec::new(),
        &mut Decoder::new(SchemaSet::new()),
        &Settings::default(),
        &mut opened,
    )?;
    Ok(opened.0)
}

/// The rows at which a program that reads the series as it comes has told of a breach.
///
/// # Errors
/// Those of [`breaches`].
pub fn detect(series: &Series, rules: &Rules) -> io::Result<Vec<usize>> {
    let breaches = breaches(series, rules)?;
    let told = |breach: &Breach| series.times.partition_point(|time| *time < breach.detected_at);
    let mut rows: Vec<usize> = breaches.iter().map(told).collect();
    rows.retain(|row| *row < series.times.len());
    rows.sort_unstable();
    rows.dedup();
    Ok(rows)
}

struct Rows<'a> {
    series: &'a Series,
    next: usize,
}

impl Source for Rows<'_> {
    fn next(&mut self, record: &mut SourceRecord) -> io::Result<bool> {
        if self.next == self.series.times.len() {
            return Ok(false);
        }
        record.offset = self.next as i64;
        record.bytes = line(self.series, self.next).into_bytes();
        record.is_line = true;
        self.next += 1;
        Ok(true)
    }
}

#[derive(Default)]
struct Opened(Vec<Breach>);

impl Sink for Opened {
    fn window(&mut self, _: &Window) -> io::Result<()> {
        Ok(())
    }

    fn breach(&mut self, breach: &Breach) -> io::Result<()> {
        if breach.transition == Transition::Opened {
            self.0.push(breach.clone());
        }
        Ok(())
    }

    fn fact(&mut self, _: &Fact) -> io::Result<()> {
        Ok(())
    }

    fn escalation(&mut self, _: &Escalation) -> io::Result<()> {
        Ok(())
    }

    fn reject(&mut self, reject: &Reject) -> io::Result<()> {
        Err(io::Error::other(format!("{}: {:?}", reject.reason, reject.detail)))
    }

    fn progress(&mut self, _: u64) {}
}
