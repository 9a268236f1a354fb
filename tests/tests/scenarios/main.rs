//! The files of `tests/scenarios`: what comes in, what people do, and what
//! follows from it by the real rules, as text that is documentation too.
//!
//! `UPDATE_EXPECT=1` writes what is expected anew. Every file is also played
//! with the stage folded from its own log before each event, and played twice.

mod play;
mod reader;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use watchkeep_incident::conformance::{Departure, conformance};
use watchkeep_incident::report::policies::Policies;
use watchkeep_model::incident::{Fact, FactData};
use watchkeep_tests::binary;

use play::Restarts;
use reader::Scenario;

/// What stands before the text that is compared, as the last document.
const EXPECTED: &str = "\n---\nkind: expected\nstory: |\n";

fn folder() -> PathBuf {
    binary::root().join("tests/scenarios")
}

/// A file as it was read.
struct File {
    name: String,
    text: String,
    scenario: Scenario,
}

/// Every scenario, by name; `SCENARIO=hours` takes those whose names begin so.
fn files() -> &'static [File] {
    static FILES: OnceLock<Vec<File>> = OnceLock::new();
    FILES.get_or_init(|| {
        let wanted = std::env::var("SCENARIO").unwrap_or_default();
        let entries = fs::read_dir(folder()).expect("tests/scenarios");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let mut paths: Vec<PathBuf> =
            paths.filter(|path| path.extension().is_some_and(|ending| ending == "yaml")).collect();
        paths.sort();
        let read = |path: &PathBuf| {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            if !name.starts_with(&wanted) {
                return None;
            }
            let text = fs::read_to_string(path).expect("readable");
            let (input, _) = text.split_once(EXPECTED).unwrap_or((&text, ""));
            let scenario = Scenario::read(&name, input);
            let scenario = scenario.unwrap_or_else(|why| panic!("{name}: {why}"));
            Some(File { name, text, scenario })
        };
        paths.iter().filter_map(read).collect()
    })
}

impl File {
    fn expected(&self) -> String {
        let (_, expected) = self.text.split_once(EXPECTED).unwrap_or(("", ""));
        let lines = expected.lines().map(|line| line.strip_prefix("  ").unwrap_or(line));
        lines.fold(String::new(), |all, line| all + line + "\n")
    }

    fn write(&self, story: &str) {
        let input = self.text.split_once(EXPECTED).map_or(self.text.trim_end(), |(input, _)| input);
        let story: String = story.lines().map(|line| format!("  {line}\n")).collect();
        let path = folder().join(format!("{}.yaml", self.name));
        fs::write(path, format!("{input}{EXPECTED}{story}")).expect("written");
    }
}

#[test]
fn each_scenario_goes_as_it_is_written() {
    let updates = std::env::var_os("UPDATE_EXPECT").is_some();
    let mut differing = Vec::new();
    for file in files() {
        let (name, told) = (&file.name, file.expected());
        let played = play::play(&file.scenario, Restarts::None);
        played.check(name);
        if told == played.story {
            continue;
        }
        if updates {
            file.write(&played.story);
        } else {
            differing.push(format!("{name}\n--- expected\n{told}+++ happened\n{}", played.story));
        }
    }
    assert!(
        differing.is_empty(),
        "UPDATE_EXPECT=1 takes over what happened in:\n{}",
        differing.join("\n")
    );
}

#[test]
fn a_scenario_goes_the_same_way_again_and_after_restarts() {
    for file in files() {
        let first = play::play(&file.scenario, Restarts::None);
        let again = play::play(&file.scenario, Restarts::None);
        assert_eq!(first.moments, again.moments, "{}: twice", file.name);
        let restarted = play::play(&file.scenario, Restarts::BeforeEachEvent);
        assert_eq!(first.story, restarted.story, "{}: restarted before each event", file.name);
    }
}

/// The audit shares no code with the rules: a second opinion on each story.
#[test]
fn the_audit_has_nothing_against_what_happens() {
    let mut findings = Vec::new();
    for file in files() {
        let mut audit = watchkeep_audit::Audit::new();
        let played = play::play(&file.scenario, Restarts::None);
        for fact in played.moments.iter().flat_map(|moment| &moment.facts) {
            let at = format!("{}: fact {}", file.name, audit.facts() + 1);
            audit.fact(&at, &watchkeep_model::json::to_line(fact));
        }
        findings.extend(audit.finish().findings);
    }
    assert!(findings.is_empty(), "{findings:#?}");
}

/// What is on record of a stage that follows the rules accuses nobody of what
/// the rules do not allow, and of lateness only who was late.
#[test]
fn conformance_has_nothing_against_what_the_rules_do() {
    let mut accused = Vec::new();
    for File { name, scenario, .. } in files() {
        let played = play::play(scenario, Restarts::None);
        let facts = played.moments.iter().flat_map(|moment| &moment.facts);
        let mut incidents: BTreeMap<&str, Vec<Fact>> = BTreeMap::new();
        facts.for_each(|f| incidents.entry(&f.incident_id).or_default().push(f.clone()));
        let policies = Policies::of(&scenario.registry, None);
        for facts in incidents.values() {
            let held = conformance(facts, &policies, &scenario.registry, scenario.ends);
            for one in held.into_iter().flat_map(|held| held.deviations) {
                let fact =
                    one.sequence.and_then(|number| facts.iter().find(|f| f.sequence == number));
                if !is_human(one.departure, fact.map(|fact| &fact.data)) {
                    accused.push(format!("{name} {}: {one:?}", facts[0].incident_id));
                }
            }
        }
    }
    assert!(accused.is_empty(), "{accused:#?}");
}

/// True for what people do, or leave undone, whatever the rules are.
fn is_human(departure: Departure, shown_by: Option<&FactData>) -> bool {
    match (departure, shown_by) {
        (Departure::LateAcknowledgement, Some(FactData::Acknowledged(data))) => {
            data.late_by_us.is_some()
        }
        (Departure::LateRemediation, Some(FactData::Remediated(data))) => data.late_by_us.is_some(),
        (Departure::UnlistedTrigger, Some(FactData::Escalated(data))) => {
            data.trigger == "requested" && data.decision.is_none()
        }
        (
            Departure::WrongEntryStep
            | Departure::OutOfOrder
            | Departure::WrongDeadline
            | Departure::WrongTarget
            | Departure::WrongChannel
            | Departure::NobodyNotified
            | Departure::NotNotified
            | Departure::GateBypassed
            | Departure::Unverified
            | Departure::NotIndependent
            | Departure::ResolvedByItself,
            _,
        ) => false,
        _ => true,
    }
}

#[test]
fn each_scenario_says_what_it_shows() {
    for File { name, scenario, .. } in files() {
        assert!(scenario.shows.ends_with('.'), "{name}: `shows` is a sentence");
        for id in &scenario.holds {
            let number = id.strip_prefix('R').and_then(|number| number.parse::<u32>().ok());
            assert!(number.is_some(), "{name}: `{id}` is no requirement");
        }
    }
}
