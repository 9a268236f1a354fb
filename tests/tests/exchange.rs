//! Imports and exports of every format through the binary: files of another
//! program in, charters out, and back; and what was not carried is told.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use watchkeep_tests::binary;

/// Every format.
const FORMATS: [&str; 8] =
    ["backstage", "codeowners", "datahub", "dbt", "feast", "odcs", "openlineage", "openmetadata"];

/// How what no format carries begins, of the example charters.
const NEVER_CARRIED: &str = "policy ";

fn path(path: &Path) -> &str {
    path.to_str().expect("text")
}

/// A command below `charters`: the report and what standard error says.
fn charters(arguments: &[&str]) -> (i32, Value, String) {
    let all = [&["charters"], arguments, &["--format", "json"]].concat();
    let output = binary::command(&all).output().expect("the binary can be run");
    let [text, error] =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("text"));
    let code = output.status.code().expect("it ends by itself");
    let report = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}\n{error}"));
    (code, report, error)
}

fn import(format: &str, from: &Path, out: &Path) -> Value {
    // Nobody owns some of them, and no policy is there: told by exit code 1.
    let arguments = ["import", format, path(from), "--out", path(out)];
    let (code, report, error) = charters(&arguments);
    assert!(code == 0 || code == 1, "{format}: {error}");
    assert!(report["files"].as_array().is_some_and(|files| !files.is_empty()), "{format}");
    report
}

fn export(format: &str, from: &Path, out: &Path) -> Value {
    let arguments = ["export", format, "--charters", path(from), "--out", path(out)];
    let (code, report, error) = charters(&arguments);
    assert_eq!(code, 0, "{format}: {error}");
    report
}

/// Names and texts of the files below a folder.
fn texts(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(texts(&path));
        } else {
            let name = path.strip_prefix(folder).expect("below it").to_owned();
            found.push((name, fs::read_to_string(&path).expect("text")));
        }
    }
    found.sort();
    found
}

#[test]
fn what_a_format_carries_comes_back_as_it_was() {
    let formats = binary::run(["charters", "import", "--help"]);
    let help = String::from_utf8(formats.stdout).expect("text");
    let examples = binary::shared("examples/charters");
    for format in FORMATS {
        assert!(help.contains(format), "{format} is not told of:\n{help}");
        let folder = tempfile::tempdir().expect("a folder");
        let [there, back, again] = ["there", "back", "again"].map(|name| folder.path().join(name));
        export(format, &examples, &there);
        import(format, &there, &back);
        // People and policies are kept by hand beside what is imported.
        for name in ["directory.yaml", "policy.yaml"] {
            fs::copy(examples.join(name), back.join(name)).expect("disk");
        }
        export(format, &back, &again);
        assert_eq!(texts(&there), texts(&again), "{format}");
    }
}

#[test]
fn what_a_format_does_not_carry_is_listed() {
    let examples = binary::shared("examples/charters");
    for format in FORMATS {
        let folder = tempfile::tempdir().expect("a folder");
        let out = folder.path().join("out");
        let report = export(format, &examples, &out);
        let notes = report["notes"].as_array().expect("notes");
        let is_told = |note: &Value| {
            note["subject"].as_str().is_some_and(|subject| subject.starts_with(NEVER_CARRIED))
                && note["why"].as_str().is_some_and(|why| !why.is_empty())
        };
        assert!(notes.iter().any(is_told), "{format}: {notes:?}");
        // The same for people, on standard error.
        let out = folder.path().join("table");
        let arguments = ["charters", "export", format, "--charters", path(&examples)];
        let mut command = binary::command(arguments);
        let output = command.args(["--out", path(&out)]).output().expect("it runs");
        let told = String::from_utf8(output.stderr).expect("text");
        assert!(told.contains("not carried") && told.contains("policy flights"), "{told}");
        // Nothing is written over.
        let mut command = binary::command(arguments);
        let output = command.args(["--out", path(&out)]).output().expect("it runs");
        let told = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(2), "{format}: {told}");
        assert!(told.contains("exists already"), "{format}: {told}");
    }
}

#[test]
fn a_file_with_faults_is_refused_with_all_of_them_and_nothing_is_written() {
    for format in FORMATS {
        let folder = tempfile::tempdir().expect("a folder");
        let out = folder.path().join("out");
        let case = binary::root().join("crates/interop/tests/cases").join(format).join("broken");
        let arguments = ["import", format, path(&case), "--out", path(&out)];
        let (code, report, error) = charters(&arguments);
        assert_eq!(code, 2, "{format}: {error}");
        let findings = report["findings"].as_array().expect("findings");
        assert!(!findings.is_empty(), "{format}");
        let is_placed = |finding: &Value| {
            finding["line"].as_u64().is_some_and(|line| line > 0)
                && finding["file"].as_str().is_some_and(|file| file.contains("broken"))
        };
        assert!(findings.iter().all(is_placed), "{format}: {findings:?}");
        assert!(!out.exists(), "{format}");
    }
}

/// A repository holds files of many programs: an import reads its own and tells
/// of the others.
#[test]
fn files_of_other_programs_in_a_folder_are_told_of_and_passed_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let file = folder.path().join("repository").join(name);
        fs::create_dir_all(file.parent().expect("a folder")).expect("disk");
        fs::write(file, text).expect("disk");
    };
    write("docs/openapi.yaml", "openapi: 3.0.0\ninfo: {title: x}\n");
    write("deploy/template.yaml", "Resources:\n  Table: !Ref Other\n");
    write("helm/templates/app.yaml", "{{- if .Values.on }}\nkind: Deployment\n{{- end }}\n");
    write(
        "service/catalog-info.yaml",
        "apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata: {name: orders}\n\
         spec: {type: service, owner: group:default/shop, lifecycle: production}\n",
    );
    write(".github/CODEOWNERS", "/features/price @ada\n");
    let repository = folder.path().join("repository");
    let report = import("backstage", &repository, &folder.path().join("catalog"));
    let foreign: Vec<&str> = report["notes"]
        .as_array()
        .expect("notes")
        .iter()
        .filter(|note| note["why"] == "the file does not look like one of backstage")
        .filter_map(|note| note["file"].as_str()?.rsplit('/').next())
        .collect();
    assert_eq!(foreign, ["template.yaml", "openapi.yaml", "app.yaml"]);
    import("codeowners", &repository, &folder.path().join("owners"));
    // In a charter folder they are passed over as well; what is no YAML is named.
    let lint = || {
        let (code, findings, error) = charters(&["lint", path(&repository)]);
        let rules: Vec<String> = findings
            .as_array()
            .unwrap_or_else(|| panic!("{error}"))
            .iter()
            .map(|finding| finding["rule"].as_str().unwrap_or_default().to_owned())
            .collect();
        (code, rules)
    };
    let warned = ["foreign_document"; 3].map(str::to_owned);
    let (code, rules) = lint();
    assert_eq!(code, 1);
    assert!(rules.contains(&"syntax".to_owned()), "{rules:?}");
    write(".watchkeepignore", "# no YAML\nhelm/templates/\n");
    assert_eq!(lint(), (0, warned.to_vec()));
}
