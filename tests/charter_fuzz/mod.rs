//! Charter folders, calendars and files of other programs with faults in them:
//! whatever comes, there is an answer in bounded time and memory.
//!
//! Every input is made from a seed and its number alone, so a finding is found
//! again by them. What is mutated are the files that the other tests read.

pub mod mutate;
pub mod random;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

use watchkeep_incident::hook;
use watchkeep_incident::playbook;
use watchkeep_incident::registry::{Checks, Registry};
use watchkeep_interop::{Format, Options, Source, ical, openlineage};
use watchkeep_model::document::{Diagnostic, Documents, Level};
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_wire::yaml;

use crate::binary;
use random::Random;

/// Processor time that one input may take in a build without optimisation. A
/// hang takes longer than anything: then the process has to be ended, and the
/// numbers halved.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes that one input may take beside [`BYTES_EACH`] for each of its own.
const BYTES_MAX: u64 = 64 << 20;

/// Bytes in memory that a byte of the input may become: a list of single
/// digits is read into nodes, places and paths.
const BYTES_EACH: u64 = 400;

/// Subjects of a folder that are asked for.
const SUBJECTS_MAX: usize = 8;

/// What an input is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reader {
    /// Charters, policies, directories and lineage.
    Folder,
    /// A calendar of absences or duties.
    Calendar,
    /// Run events in a charter folder.
    Runs,
    /// A file of another program.
    Import(Format),
}

impl Reader {
    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Folder => "charter folder",
            Self::Calendar => "calendar",
            Self::Runs => "run events",
            Self::Import(format) => format.name(),
        }
    }
}

/// What mutated inputs were read as, and what came of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Inputs.
    pub inputs: u64,
    /// Of these, how many were taken.
    pub taken: u64,
    /// The longest that one took.
    pub slowest: Duration,
    /// The most memory that one took, in bytes.
    pub largest: u64,
}

impl Tally {
    /// Takes another part of the same campaign.
    pub fn add(&mut self, other: Self) {
        self.inputs += other.inputs;
        self.taken += other.taken;
        self.slowest = self.slowest.max(other.slowest);
        self.largest = self.largest.max(other.largest);
    }
}

/// A file that other files are made from.
struct Seed {
    reader: Reader,
    bytes: Vec<u8>,
}

/// All files to begin with, in the order of their names.
pub struct Corpus(Vec<Seed>);

/// A calendar with everything that is read of one.
const CALENDAR: &str = include_str!("calendar.ics");

impl Corpus {
    /// Gathers them from the other tests' files.
    ///
    /// # Panics
    /// Where a folder of them is missing.
    pub fn gather() -> Self {
        let root = binary::root();
        let mut seeds = Vec::new();
        let folders = [
            root.join("tests/lint"),
            root.join("tests/lint_policy"),
            root.join("tests/scenarios/base"),
            root.join("crates/app/src/demo/charters"),
            binary::shared("examples/charters"),
        ];
        for folder in folders {
            // Examples of rules stand on people and a policy beside them.
            let common = fs::read(folder.join("common.yaml")).unwrap_or_default();
            for bytes in files(&folder, ".yaml") {
                let bytes = [&common[..], b"---\n", &bytes].concat();
                seeds.push(Seed { reader: Reader::Folder, bytes });
            }
        }
        for _ in 0..8 {
            seeds.push(Seed { reader: Reader::Calendar, bytes: CALENDAR.into() });
        }
        for (format, name, _) in Format::ALL {
            for bytes in files(&root.join("crates/interop/tests/cases").join(name), "") {
                if format == Format::Openlineage {
                    seeds.push(Seed { reader: Reader::Runs, bytes: bytes.clone() });
                }
                seeds.push(Seed { reader: Reader::Import(format), bytes });
            }
        }
        assert!(seeds.len() > 100, "{} files are too few", seeds.len());
        Self(seeds)
    }

    /// The input of a number.
    pub fn input(&self, seed: u64, number: u64) -> (Reader, Vec<u8>) {
        let mut random = Random::of(seed, number);
        // Every second one is drawn from the files of each reader in turn, so
        // that one with few files has its share.
        let readers: BTreeSet<Reader> = self.0.iter().map(|seed| seed.reader).collect();
        let turn = usize::try_from(number / 2).unwrap_or_default() % readers.len();
        let reader = readers.into_iter().nth(turn).filter(|_| number.is_multiple_of(2));
        let among = self.0.iter().filter(|seed| reader.is_none_or(|reader| seed.reader == reader));
        let among: Vec<&Seed> = among.collect();
        let begin = among[random.below(among.len())];
        let other = &self.0[random.below(self.0.len())];
        let mut bytes = begin.bytes.clone();
        mutate::mutate(&mut bytes, &other.bytes, &mut random);
        (begin.reader, bytes)
    }
}

/// Files below a folder whose names end so, by name.
fn files(folder: &Path, ending: &str) -> Vec<Vec<u8>> {
    let mut entries: Vec<_> = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("an entry").path())
        .collect();
    entries.sort();
    let mut found = Vec::new();
    for path in entries {
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.to_string_lossy().ends_with(ending) && !path.ends_with("expected.txt") {
            found.push(fs::read(&path).expect("a file"));
        }
    }
    found
}

/// Reads the inputs of these numbers.
///
/// # Errors
/// The number of the first that is a finding, and what it is. A finding that
/// ends the process is found by its number in the same way: halve the range.
pub fn run(
    corpus: &Corpus,
    seed: u64,
    numbers: std::ops::Range<u64>,
) -> Result<BTreeMap<Reader, Tally>, String> {
    let mut tallies: BTreeMap<Reader, Tally> = BTreeMap::new();
    for number in numbers {
        let (reader, bytes) = corpus.input(seed, number);
        let told =
            |what: String| format!("input {number} of seed {seed}, {}: {what}", reader.name());
        let before = memory::begin();
        let begun = processor_time();
        let taken = catch_unwind(AssertUnwindSafe(|| check(reader, &bytes)))
            .map_err(|panic| told(format!("panic: {}", message(&*panic))))?
            .map_err(told)?;
        let spent = processor_time().saturating_sub(begun);
        let grown = memory::peak().saturating_sub(before);
        if spent > PATIENCE {
            return Err(told(format!("it took {spent:?}")));
        }
        if grown > BYTES_MAX + BYTES_EACH * bytes.len() as u64 {
            return Err(told(format!("{} bytes of it took {grown} in memory", bytes.len())));
        }
        let tally = tallies.entry(reader).or_default();
        tally.inputs += 1;
        tally.taken += u64::from(taken);
        tally.slowest = tally.slowest.max(spent);
        tally.largest = tally.largest.max(grown);
    }
    Ok(tallies)
}

/// What this thread has spent; nothing where the system does not tell.
fn processor_time() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text.split(' ').next().and_then(|first| first.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or_default())
}

fn message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// The instant at which reviews are overdue and people are asked for.
fn now() -> Timestamp {
    "2026-01-15T03:00:00Z".parse().expect("an instant")
}

/// Reads one input; true where it was taken.
///
/// # Errors
/// What is wrong with the answer.
fn check(reader: Reader, bytes: &[u8]) -> Result<bool, String> {
    // Files that are no UTF-8 are refused before they are read.
    let text = String::from_utf8_lossy(bytes).into_owned();
    match reader {
        Reader::Folder => folder(text),
        Reader::Calendar => {
            let to = now() + TimeSpan::DAY.times(365);
            let events = ical::read(&text, "Europe/Zurich", now(), to);
            if let Ok(events) = &events
                && let Some(event) = events.iter().find(|event| event.to <= event.from)
            {
                return Err(format!("an event ends before it begins: {event:?}"));
            }
            Ok(events.is_ok())
        }
        Reader::Runs => {
            let lines = bytes.split(|byte| *byte == b'\n');
            let read = lines.map(|line| openlineage::run_event(line, &|_| false));
            Ok(read.filter(Result::is_ok).count() > 0)
        }
        Reader::Import(format) => import(format, bytes),
    }
}

fn folder(text: String) -> Result<bool, String> {
    let files = [("charters.yaml".to_owned(), text)];
    let (documents, mut findings) = yaml::read(&files);
    let clean = findings.is_empty().then(|| documents.clone());
    let checks = Checks { now: Some(now()), playbooks: true, ..Checks::of_pane(TimeSpan::MINUTE) };
    let (registry, more) = Registry::checked(documents, &checks);
    findings.extend(more);
    placed(&findings, &files[0].1)?;
    for format in [yaml::Format::Text, yaml::Format::Json] {
        let _ = yaml::render(&findings, &files, format);
    }
    let sarif = yaml::sarif(&findings, &yaml::RULES, "0");
    serde_json::from_str::<serde_json::Value>(&sarif).map_err(|error| error.to_string())?;
    if let Some(documents) = clean {
        there_and_back(&documents)?;
    }
    if findings.iter().any(|finding| finding.severity == Level::Error) {
        return Ok(false);
    }
    // What a service and the commands do with a folder that is fine.
    for subject in registry.named().take(SUBJECTS_MAX) {
        for at in [Timestamp::from_micros(0), now(), Timestamp::MAX] {
            if let Some(charter) = registry.charter(subject, at) {
                let _ = hook::of_charter(&charter, &registry, at, &|_| 0);
            }
        }
    }
    for policy in registry.policies() {
        let _ = playbook::markdown(policy);
    }
    let _ = registry.charters_hash();
    Ok(true)
}

/// Every finding has a place in the file and says something.
fn placed(findings: &[Diagnostic], text: &str) -> Result<(), String> {
    // YAML breaks lines at a lone CR, too.
    let breaks = text.matches(['\n', '\r']).count();
    for finding in findings {
        let line = finding.line as usize;
        if line == 0 || finding.column == 0 || line > breaks + 2 || finding.message.is_empty() {
            return Err(format!("a finding without a place: {finding:?}"));
        }
    }
    Ok(())
}

/// Charters that nothing is wrong with are read as they were once written.
fn there_and_back(documents: &Documents) -> Result<(), String> {
    let charters: Vec<_> =
        documents.charters.iter().map(|charter| yaml::write::charter(&charter.value)).collect();
    let text = yaml::write::text(&charters, &yaml::write::KEY_ORDER);
    let (again, findings) = yaml::read(&[("again.yaml".to_owned(), text.clone())]);
    if let Some(finding) = findings.first() {
        return Err(format!("what was written is refused: {finding:?}\n{text}"));
    }
    for (before, after) in documents.charters.iter().zip(&again.charters) {
        // Not a number is nothing that a charter has, so equality is the test.
        if before.value != after.value {
            return Err(format!("{:?}\nis read again as\n{:?}", before.value, after.value));
        }
    }
    match documents.charters.len() == again.charters.len() {
        true => Ok(()),
        false => Err(format!("{} charters came back of\n{text}", again.charters.len())),
    }
}

/// What an import writes is a charter folder, whatever `charters lint` says of it.
fn import(format: Format, bytes: &[u8]) -> Result<bool, String> {
    let name = match format {
        Format::Codeowners => "CODEOWNERS".to_owned(),
        _ => format!("file{}", format.suffixes()[0]),
    };
    let source = Source { name, bytes: bytes.to_vec() };
    let Ok(converted) = watchkeep_interop::import(format, &[source], &Options::default()) else {
        return Ok(false);
    };
    let files: Vec<_> = converted.files.into_iter().map(|file| (file.name, file.text)).collect();
    let (_, findings) = yaml::read(&files);
    match findings.iter().find(|finding| finding.rule == "syntax") {
        Some(finding) => Err(format!("it wrote what is no YAML: {finding:?}")),
        None => Ok(true),
    }
}

/// Memory of this process as the system counts it.
mod memory {
    use std::fs;

    /// Forgets the peak; answers with what is held now, in bytes. Where the
    /// system does not tell, nothing is held to a bound.
    pub(super) fn begin() -> u64 {
        match fs::write("/proc/self/clear_refs", "5") {
            Ok(()) => of("VmRSS:"),
            Err(_) => u64::MAX,
        }
    }

    /// The most that was held since.
    pub(super) fn peak() -> u64 {
        of("VmHWM:")
    }

    fn of(field: &str) -> u64 {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let kib = line.and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
        kib.unwrap_or(0) * 1024
    }
}
