//! Files of other programs and what comes of them: each folder below
//! `cases/FORMAT` is one import, with what is written and noted, or refused, in
//! its `expected.txt`. `UPDATE_EXPECT=1 cargo test` writes that file anew.

#![expect(clippy::disallowed_methods, reason = "cases are files")]

use std::fmt::Write;
use std::path::{Path, PathBuf};

use watchkeep_interop::{Converted, Format, Options, Source, import};
use watchkeep_wire::yaml;

/// What a case expects.
const EXPECTED: &str = "expected.txt";

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder of cases");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

fn name(path: &Path) -> String {
    path.file_name().expect("a name").to_string_lossy().into_owned()
}

/// Runs every case of a format.
fn check(format: Format) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(format.name());
    let cases = sorted(&folder);
    assert!(cases.len() > 2, "{} has {} cases", format.name(), cases.len());
    for case in cases {
        let mut sources = Vec::new();
        let mut options = Options::default();
        for path in sorted(&case) {
            let bytes = std::fs::read(&path).expect("a file of a case");
            match name(&path).as_str() {
                EXPECTED => {}
                "org.txt" => options.org = Some(String::from_utf8_lossy(&bytes).trim().into()),
                "owner.txt" => options.owner = Some(String::from_utf8_lossy(&bytes).trim().into()),
                file => sources.push(Source { name: file.into(), bytes }),
            }
        }
        let text = outcome(format, &sources, &options);
        expect_test::expect_file![case.join(EXPECTED)].assert_eq(&text);
    }
}

fn outcome(format: Format, sources: &[Source], options: &Options) -> String {
    let mut text = String::new();
    match import(format, sources, options) {
        Ok(Converted { files, notes }) => {
            for file in &files {
                writeln!(text, "== {}\n{}", file.name, file.text).expect("a string");
            }
            for note in notes {
                let kind = note.kind.name();
                let place = format!("{}:{}", note.file, note.line);
                let line =
                    format!("{kind}: {} {} ({place}): {}", note.subject, note.field, note.why);
                writeln!(text, "{line}").expect("a string");
            }
        }
        Err(found) => {
            let texts: Vec<(String, String)> = sources
                .iter()
                .map(|s| (s.name.clone(), String::from_utf8_lossy(&s.bytes).into_owned()))
                .collect();
            text = yaml::render(&found, &texts, yaml::Format::Text);
        }
    }
    text
}

#[test]
fn backstage() {
    check(Format::Backstage);
}

#[test]
fn odcs() {
    check(Format::Odcs);
}

#[test]
fn dbt() {
    check(Format::Dbt);
}

#[test]
fn codeowners() {
    check(Format::Codeowners);
}

#[test]
fn feast() {
    check(Format::Feast);
}

#[test]
fn openlineage() {
    check(Format::Openlineage);
}

#[test]
fn datahub() {
    check(Format::Datahub);
}

#[test]
fn openmetadata() {
    check(Format::Openmetadata);
}
