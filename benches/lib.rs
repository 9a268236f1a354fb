//! Inputs of the benchmarks: made up, seeded, the same in every run; and what
//! they measure a process and the machine by.

pub mod charters;
pub mod incidents;
pub mod lineages;
pub mod world;

use watchkeep_model::summary::Summary;
use watchkeep_model::telemetry::Telemetry;
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_simulator::generator::{Generator, Scenario, Settings};
use watchkeep_wire::framing::AvroFraming;
use watchkeep_wire::schema_set::SchemaSet;
use watchkeep_wire::schemas;
use watchkeep_wire::telemetry::encode;

/// That of the program that is measured.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Bytes of one Avro record, as the budget of decode and fold has it.
pub const AVRO_RECORD_BYTES: usize = 127;

/// The id of the telemetry schema in Confluent framing.
const SCHEMA_ID: u32 = 1;

/// Records as a log would hand them over: one buffer, cut.
#[derive(Clone, Debug, Default)]
pub struct Records {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Records {
    /// Each record.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.bytes[start..*end])
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True where there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of all records.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.ends.push(self.bytes.len());
    }
}

/// How records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// One JSON object.
    Json,
    /// Avro, single object encoding.
    SingleObject,
    /// Avro, Confluent framing, filled up to [`AVRO_RECORD_BYTES`] with provenance
    /// that a reader has to pass over.
    Confluent,
}

/// `events` records of `features` features, the n-th most frequent with a share of 1/n^1.1.
pub fn records(encoding: Encoding, features: usize, events: u64) -> Records {
    let mut generator = generator(features, events);
    let mut records = Records::default();
    while let Some(generated) = generator.generate() {
        let event = &generated.event;
        records.push(|out| match encoding {
            Encoding::Json => out.extend_from_slice(encode::to_json(event).as_bytes()),
            Encoding::SingleObject => encode::to_avro(event, AvroFraming::SingleObject, out),
            Encoding::Confluent => confluent(event, out),
        });
    }
    records
}

/// The schemas that a reader of [`records`] needs.
///
/// # Panics
/// Never: the embedded schema is one.
pub fn schema_set() -> SchemaSet {
    let mut schemas = SchemaSet::new();
    schemas.insert(SCHEMA_ID, schemas::named("telemetry").text).expect("the embedded schema");
    schemas
}

/// The summary of so many events of one feature.
pub fn summary(events: u64, seed: u64) -> Summary {
    let settings = Settings { features: 1, events: Some(events), seed, ..Settings::default() };
    let mut generator = Generator::new(settings);
    let mut summary = Summary::default();
    while let Some(generated) = generator.generate() {
        summary.add(&generated.event);
    }
    summary
}

/// When the made-up streams begin.
pub fn start() -> Timestamp {
    Settings::default().from
}

fn generator(features: usize, events: u64) -> Generator {
    Generator::new(Settings {
        scenario: Scenario::Steady,
        features,
        events: Some(events),
        rate_per_s: 100_000,
        zipf: 1.1,
        out_of_orderness: TimeSpan::SECOND.times(5),
        ..Settings::default()
    })
}

/// The record of the embedded schema, with `entity`, `producer` and `consumer`
/// in place of the absent ones that the encoder writes.
fn confluent(event: &Telemetry<'_>, out: &mut Vec<u8>) {
    let start = out.len();
    encode::to_avro(event, AvroFraming::Confluent(SCHEMA_ID), out);
    out.truncate(out.len() - 5);
    let used = out.len() - start + "\x02\x02\x02\x02producer\x02\x02consumer\x00\x00".len();
    let entity = "e".repeat(AVRO_RECORD_BYTES.saturating_sub(used).max(1));
    for text in [entity.as_str(), "producer", "consumer"] {
        let length = u8::try_from(text.len() * 2).unwrap_or(0x7e);
        out.extend_from_slice(&[2, length]);
        out.extend_from_slice(text.as_bytes());
    }
    out.extend_from_slice(&[0, 0]);
}

/// The machine's load average over a minute, and its cores: what a figure was
/// measured beside.
pub fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{} on {cores} cores", text.split(' ').next().unwrap_or_default())
}

/// What follows a name on the command line.
pub fn argument(name: &str) -> Option<String> {
    let mut arguments = std::env::args();
    arguments.find(|argument| argument == name)?;
    arguments.next()
}

/// Time that a process (a number, or `self`) has run, in seconds. Linux only,
/// where a tick is 10 ms.
pub fn processor_seconds(process: &str) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name in brackets may hold spaces; the fields after it do not.
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split(' ').collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
    (ticks(12).unwrap_or_default() + ticks(13).unwrap_or_default()) / 100.0
}
