//! `docs/requirements.md` names a test for each requirement; each of them exists.

use std::collections::BTreeSet;

use watchkeep_tests::binary;

/// A row: the requirement and its tests as `path::name`.
fn rows() -> Vec<(String, Vec<String>)> {
    let file = binary::root().join("docs/requirements.md");
    let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let mut rows = Vec::new();
    for line in text.lines().filter(|line| line.starts_with("| R")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [id, _, tests] = cells[..] else { panic!("a row has three cells: {line}") };
        let tests = tests.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        rows.push((id.to_owned(), tests));
    }
    rows
}

#[test]
fn every_test_that_is_named_exists() {
    let rows = rows();
    assert!(rows.len() > 20, "only {} requirements are listed", rows.len());
    let mut missing = Vec::new();
    for (id, tests) in &rows {
        if tests.is_empty() {
            missing.push(format!("{id} names no test"));
        }
        for test in tests {
            let Some((path, name)) = test.rsplit_once("::") else {
                missing.push(format!("{id}: `{test}` is not FILE::TEST"));
                continue;
            };
            let text = std::fs::read_to_string(binary::root().join(path)).unwrap_or_default();
            let is_there = text.match_indices(&format!("fn {name}(")).any(|(at, _)| {
                let before = &text[..at];
                // The attribute stands right above, perhaps with others.
                before
                    .lines()
                    .rev()
                    .skip(usize::from(!before.ends_with('\n')))
                    .take(4)
                    .any(|line| line.trim() == "#[test]")
            });
            if !is_there {
                missing.push(format!("{id}: there is no test `{name}` in {path}"));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn each_requirement_has_one_row() {
    let mut seen = BTreeSet::new();
    for (id, _) in rows() {
        assert!(seen.insert(id.clone()), "{id} is listed twice");
    }
}

/// Names of scenarios, and the requirements that each shows.
fn scenarios() -> Vec<(String, Vec<String>)> {
    let folder = binary::root().join("tests/scenarios");
    let mut all = Vec::new();
    for entry in std::fs::read_dir(&folder).expect("the scenarios").flatten() {
        let path = entry.path();
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a scenario");
        let holds = text.lines().find_map(|line| line.strip_prefix("holds: [")).unwrap_or_default();
        let ids = holds.trim_end_matches(']').split(',').map(|id| id.trim().to_owned());
        all.push((name, ids.filter(|id| !id.is_empty()).collect()));
    }
    all
}

#[test]
fn what_a_scenario_shows_has_it_among_its_tests() {
    const TEST: &str = "tests/tests/scenarios/main.rs::each_scenario_goes_as_it_is_written";
    let rows = rows();
    let scenarios = scenarios();
    assert!(scenarios.len() >= 80, "only {} scenarios are there", scenarios.len());
    for (name, holds) in scenarios {
        for id in holds {
            let row = rows.iter().find(|(of, _)| *of == id);
            let tests = row.map(|(_, tests)| tests.as_slice()).unwrap_or_default();
            assert!(tests.iter().any(|test| test == TEST), "{id} does not name {name}");
        }
    }
}

#[test]
fn each_scenario_that_a_row_names_exists() {
    let names: Vec<String> = scenarios().into_iter().map(|(name, _)| name).collect();
    let text = std::fs::read_to_string(binary::root().join("docs/requirements.md")).expect("rows");
    for list in text.split("(scenario").skip(1) {
        let list = list.split(')').next().unwrap_or_default();
        let list = list.strip_prefix('s').unwrap_or(list);
        for named in list.split(", ").map(str::trim).filter(|named| !named.starts_with('[')) {
            let is_it = |name: &String| match named.strip_suffix('…') {
                Some(beginning) => name.starts_with(beginning),
                None => name == named,
            };
            assert!(names.iter().any(is_it), "there is no scenario {named}");
        }
    }
}
