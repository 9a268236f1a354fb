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
