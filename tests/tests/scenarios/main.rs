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

use watchkeep_tests::binary;

use play::{Played, Restarts};
use reader::Scenario;

/// What stands before the text that is compared, as the last document.
const EXPECTED: &str = "\n---\nkind: expected\nstory: |\n";

fn folder() -> PathBuf {
    binary::root().join("tests/scenarios")
}

/// Name and text of every scenario file, by name.
fn files() -> BTreeMap<String, String> {
    let entries = fs::read_dir(folder()).expect("tests/scenarios");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let paths = paths.filter(|path| path.extension().is_some_and(|ending| ending == "yaml"));
    let name = |path: &PathBuf| path.file_stem().expect("a name").to_string_lossy().into_owned();
    paths.map(|path| (name(&path), fs::read_to_string(&path).expect("readable"))).collect()
}

fn played(name: &str, text: &str, restarts: Restarts) -> (String, Played) {
    let (input, expected) = text.split_once(EXPECTED).unwrap_or((text, ""));
    let scenario = Scenario::read(name, input).unwrap_or_else(|why| panic!("{name}: {why}"));
    let told = expected
        .lines()
        .fold(String::new(), |all, line| all + line.strip_prefix("  ").unwrap_or(line) + "\n");
    (told, play::play(&scenario, restarts))
}

/// Some scenarios by the beginning of their names: `SCENARIO=hours cargo test …`.
fn chosen() -> impl Iterator<Item = (String, String)> {
    let wanted = std::env::var("SCENARIO").unwrap_or_default();
    files().into_iter().filter(move |(name, _)| name.starts_with(&wanted))
}

#[test]
fn each_scenario_goes_as_it_is_written() {
    let updates = std::env::var_os("UPDATE_EXPECT").is_some();
    let mut differing = Vec::new();
    for (name, text) in chosen() {
        let (told, played) = played(&name, &text, Restarts::None);
        played.check(&name);
        if told == played.story {
            continue;
        }
        if updates {
            let input = text.split_once(EXPECTED).map_or(text.trim_end(), |(input, _)| input);
            let story: String = played.story.lines().map(|line| format!("  {line}\n")).collect();
            let path = folder().join(format!("{name}.yaml"));
            fs::write(path, format!("{input}{EXPECTED}{story}")).expect("written");
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
    for (name, text) in chosen() {
        let (_, first) = played(&name, &text, Restarts::None);
        let (_, again) = played(&name, &text, Restarts::None);
        assert_eq!(first.moments, again.moments, "{name}: twice");
        let (_, restarted) = played(&name, &text, Restarts::BeforeEachEvent);
        assert_eq!(first.story, restarted.story, "{name}: restarted before each event");
    }
}

#[test]
fn each_scenario_says_what_it_shows() {
    let all = files();
    for (name, text) in &all {
        let (input, _) = text.split_once(EXPECTED).unwrap_or((text, ""));
        let scenario = Scenario::read(name, input).unwrap_or_else(|why| panic!("{name}: {why}"));
        assert!(scenario.shows.ends_with('.'), "{name}: `shows` is a sentence");
        for id in &scenario.holds {
            let number = id.strip_prefix('R').and_then(|number| number.parse::<u32>().ok());
            assert!(number.is_some(), "{name}: `{id}` is no requirement");
        }
    }
}
