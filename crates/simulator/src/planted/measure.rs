//! How much of what was planted is found, and how much that was not.

use std::collections::BTreeSet;
use std::io;

use watchkeep_incident::registry::Registry;
use watchkeep_model::breach::Breach;
use watchkeep_model::document::Level;
use watchkeep_model::escalation::Escalation;
use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::position::Partition;
use watchkeep_model::reject::Reject;
use watchkeep_model::time::TimeSpan;
use watchkeep_model::window::Window;
use watchkeep_runtime::replay::{Settings, Sink, Source, SourceRecord, replay};
use watchkeep_runtime::rules::Rules;
use watchkeep_wire::schema_set::SchemaSet;
use watchkeep_wire::telemetry::Decoder;
use watchkeep_wire::yaml;

use super::{Blame, ByShape, Case};

/// How often blame was right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// Cases.
    pub cases: usize,
    /// Cases in which everything was right.
    pub right: usize,
    /// Pairs of root and owner that were planted.
    pub planted: usize,
    /// Pairs that were found, right or wrong.
    pub found: usize,
    /// Pairs that were planted and found.
    pub hits: usize,
}

impl Measured {
    /// Share of what was found that was planted.
    pub fn precision(&self) -> f64 {
        self.hits as f64 / self.found.max(1) as f64
    }

    /// Share of what was planted that was found.
    pub fn recall(&self) -> f64 {
        self.hits as f64 / self.planted.max(1) as f64
    }

    /// Adds another count.
    pub fn add(&mut self, other: Self) {
        self.cases += other.cases;
        self.right += other.right;
        self.planted += other.planted;
        self.found += other.found;
        self.hits += other.hits;
    }
}

/// Runs the cases of these seeds through all stages. Cases that were not found
/// exactly are shown to `wrong` with what was found.
///
/// # Errors
/// Charters of a case that are refused, which is a defect of the generator.
pub fn measure(
    seeds: impl Iterator<Item = u64>,
    wrong: &mut dyn FnMut(&Case, &BTreeSet<Blame>),
) -> io::Result<ByShape> {
    let mut all = ByShape::new();
    for seed in seeds {
        let case = Case::from_seed(seed);
        let found = blamed(&case)?;
        let hits = case.expected.intersection(&found).count();
        let is_right = case.expected == found;
        all.entry(case.shape).or_default().add(Measured {
            cases: 1,
            right: usize::from(is_right),
            planted: case.expected.len(),
            found: found.len(),
            hits,
        });
        if !is_right {
            wrong(&case, &found);
        }
    }
    Ok(all)
}

/// Who is blamed for a case: the roots and owners of all incidents.
///
/// # Errors
/// Charters that are refused, with every finding.
pub fn blamed(case: &Case) -> io::Result<BTreeSet<Blame>> {
    let time = Settings::default().time;
    let (documents, mut findings) = yaml::read(&[("charters.yaml".into(), case.charters())]);
    let (registry, more) = Registry::new(documents, time.pane);
    findings.extend(more);
    findings.retain(|finding| finding.severity == Level::Error);
    if !findings.is_empty() {
        return Err(io::Error::other(format!("seed {}: {findings:#?}", case.seed)));
    }
    let rules = Rules::new(registry.with_runs(&case.runs));
    let source: Box<dyn Source> = Box::new(Lines { lines: case.telemetry(), next: 0 });
    let partition = Partition { topic: "telemetry".into(), partition: 0 };
    let mut decoder = Decoder::new(SchemaSet::new());
    let settings = Settings { run_on: TimeSpan::MINUTE.times(2), ..Settings::default() };
    let mut roots = Roots::default();
    replay(vec![(partition, source)], &rules, Vec::new(), &mut decoder, &settings, &mut roots)?;
    Ok(roots.0)
}

struct Lines {
    lines: Vec<String>,
    next: usize,
}

impl Source for Lines {
    fn next(&mut self, record: &mut SourceRecord) -> io::Result<bool> {
        let Some(line) = self.lines.get(self.next) else { return Ok(false) };
        record.offset = i64::try_from(self.next).unwrap_or(i64::MAX);
        record.bytes.clear();
        record.bytes.extend_from_slice(line.as_bytes());
        record.is_line = true;
        self.next += 1;
        Ok(true)
    }
}

/// Roots and owners of what was opened.
#[derive(Default)]
struct Roots(BTreeSet<Blame>);

impl Sink for Roots {
    fn window(&mut self, _: &Window) -> io::Result<()> {
        Ok(())
    }
    fn breach(&mut self, _: &Breach) -> io::Result<()> {
        Ok(())
    }
    fn fact(&mut self, fact: &Fact) -> io::Result<()> {
        if let FactData::Opened(opened) = &fact.data {
            let owner = opened.owner.clone().unwrap_or_default();
            self.0.insert(Blame { root: opened.root.clone(), owner });
        }
        Ok(())
    }
    fn escalation(&mut self, _: &Escalation) -> io::Result<()> {
        Ok(())
    }
    fn reject(&mut self, reject: &Reject) -> io::Result<()> {
        Err(io::Error::other(format!("the case has an unusable record: {reject:?}")))
    }
    fn progress(&mut self, _: u64) {}
}
