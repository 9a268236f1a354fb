//! Holds the map of the crates: who may depend on whom, and what each file has.
//!
//! The tables below are the crate map of `docs/architecture.md`. Every rule is
//! checked both ways, because a rule about a name that nobody has holds by
//! itself: a fenced library must be found where it belongs, and nowhere else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Every crate of the product and all crates of the product that it depends on.
const ARROWS: [(&str, &[&str]); 11] = [
    ("model", &[]),
    // Shares no code with what it audits.
    ("audit", &[]),
    ("wire", &["model"]),
    ("detection", &["model"]),
    ("incident", &["model"]),
    ("interop", &["model", "wire"]),
    ("runtime", &["detection", "incident", "model", "wire"]),
    ("log-kafka", &["model", "runtime"]),
    ("log-sled", &["model", "runtime"]),
    ("simulator", &["detection", "incident", "model", "runtime", "wire"]),
    (
        "app",
        &[
            "audit",
            "detection",
            "incident",
            "interop",
            "log-kafka",
            "log-sled",
            "model",
            "runtime",
            "simulator",
            "wire",
        ],
    ),
];

/// Crates that decide and so may touch nothing outside of their arguments.
const PURE: [&str; 8] =
    ["model", "audit", "wire", "detection", "incident", "interop", "runtime", "simulator"];

/// Libraries that one crate alone may name, because it fences them off.
const FENCED: [(&str, &str); 10] = [
    ("apache-avro", "wire"),
    ("rdkafka", "log-kafka"),
    ("sled", "log-sled"),
    ("tokio", "app"),
    ("axum", "app"),
    ("clap", "app"),
    ("anyhow", "app"),
    ("parquet", "app"),
    ("ureq", "app"),
    ("lettre", "app"),
];

/// Libraries that a pure crate may not reach, not even through others.
const IMPURE: [&str; 11] = [
    "rdkafka",
    "rdkafka-sys",
    "sled",
    "tokio",
    "axum",
    "hyper",
    "clap",
    "mio",
    "tracing-subscriber",
    "ureq",
    "lettre",
];

/// Packages of the workspace that are not part of the product.
const AROUND: [&str; 2] = ["benches", "tests"];

/// Normal dependencies by package name, of every package that is built.
#[derive(Clone, Debug, Default)]
struct Graph {
    packages: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    /// What cargo resolves for this machine.
    fn of_the_workspace() -> Self {
        let metadata: Value = serde_json::from_str(&cargo_metadata()).expect("cargo writes JSON");
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let names: BTreeMap<String, String> = list(&metadata["packages"])
            .iter()
            .map(|package| (text(&package["id"]), text(&package["name"])))
            .collect();
        let mut graph = Self::default();
        for node in list(&metadata["resolve"]["nodes"]) {
            let own = graph.packages.entry(names[&text(&node["id"])].clone()).or_default();
            for dependency in list(&node["deps"]) {
                let normal =
                    list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"].is_null());
                if normal {
                    own.insert(names[&text(&dependency["pkg"])].clone());
                }
            }
        }
        graph
    }

    fn direct(&self, package: &str) -> BTreeSet<String> {
        self.packages.get(package).cloned().unwrap_or_default()
    }

    fn reached(&self, package: &str) -> BTreeSet<String> {
        let mut reached = BTreeSet::new();
        let mut open = vec![package.to_owned()];
        while let Some(next) = open.pop() {
            for dependency in self.direct(&next) {
                if reached.insert(dependency.clone()) {
                    open.push(dependency);
                }
            }
        }
        reached
    }

    /// Every rule that does not hold, in words.
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let known: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).chain(AROUND).collect();
        for package in self.packages.keys().filter_map(|name| own(name)) {
            if !known.contains(package) {
                faults.push(format!("{package} is not on the map"));
            }
        }
        for (name, allowed) in ARROWS {
            if !self.packages.contains_key(&full(name)) {
                faults.push(format!("there is no crate {name}"));
                continue;
            }
            let direct = self.direct(&full(name));
            let found: BTreeSet<&str> = direct.iter().filter_map(|name| own(name)).collect();
            let allowed: BTreeSet<&str> = allowed.iter().copied().collect();
            for extra in found.difference(&allowed) {
                faults.push(format!("{name} may not depend on {extra}"));
            }
            for missing in allowed.difference(&found) {
                faults.push(format!("{name} should depend on {missing}, or the map is wrong"));
            }
        }
        for (library, owner) in FENCED {
            let users: Vec<&str> = ARROWS
                .iter()
                .map(|(name, _)| *name)
                .filter(|name| self.direct(&full(name)).contains(library))
                .collect();
            if users != [owner] {
                faults
                    .push(format!("{library} belongs to {owner} alone, but is used by {users:?}"));
            }
        }
        let shell = self.reached(&full("app"));
        for library in IMPURE {
            if !shell.contains(library) {
                faults.push(format!("{library} is in nothing: is the name right?"));
            }
            for name in PURE.iter().filter(|name| self.reached(&full(name)).contains(library)) {
                faults.push(format!("{name} is pure, but reaches {library}"));
            }
        }
        faults
    }
}

fn full(name: &str) -> String {
    format!("watchkeep-{name}")
}

fn own(package: &str) -> Option<&str> {
    package.strip_prefix("watchkeep-")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace")
}

fn run(command: &mut Command) -> String {
    let output = command.current_dir(root()).output().expect("cargo and rustc are on the path");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed:\n{errors}");
    String::from_utf8(output.stdout).expect("text")
}

fn cargo_metadata() -> String {
    let version = run(Command::new("rustc").arg("-vV"));
    let host =
        version.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc tells it");
    // Without the filter cargo would ask for the packages of other systems.
    run(Command::new(env!("CARGO")).args([
        "metadata",
        "--format-version",
        "1",
        "--locked",
        "--filter-platform",
        host,
    ]))
}

#[test]
fn the_crates_depend_on_each_other_as_the_map_says() {
    let faults = Graph::of_the_workspace().faults();
    assert!(faults.is_empty(), "the map of the crates is broken:\n{}", faults.join("\n"));
}

/// A graph in which every rule holds.
fn sound() -> Graph {
    let mut graph = Graph::default();
    let mut add = |from: &str, to: &str| {
        graph.packages.entry(from.to_owned()).or_default().insert(to.to_owned());
    };
    for (name, arrows) in ARROWS {
        add(&full(name), "thiserror");
        arrows.iter().for_each(|arrow| add(&full(name), &full(arrow)));
    }
    FENCED.iter().for_each(|(library, owner)| add(&full(owner), library));
    add("rdkafka", "rdkafka-sys");
    add("axum", "hyper");
    add("tokio", "mio");
    add(&full("app"), "tracing-subscriber");
    graph
}

fn sound_but(from: &str, to: &str) -> String {
    let mut graph = sound();
    graph.packages.entry(from.to_owned()).or_default().insert(to.to_owned());
    graph.faults().join("; ")
}

#[test]
fn a_broken_arrow_is_found() {
    assert_eq!(sound().faults(), Vec::<String>::new());
    assert_eq!(
        sound_but("watchkeep-detection", "watchkeep-incident"),
        "detection may not depend on incident"
    );
    assert_eq!(
        sound_but("watchkeep-model", "apache-avro"),
        r#"apache-avro belongs to wire alone, but is used by ["model", "wire"]"#
    );
    assert_eq!(sound_but("watchkeep-common", "thiserror"), "common is not on the map");
    // Through a library of others: nobody names tokio, yet it is there.
    assert_eq!(
        sound_but("thiserror", "mio"),
        PURE.map(|name| format!("{name} is pure, but reaches mio")).join("; ")
    );
}

#[test]
fn a_name_that_nobody_has_is_found() {
    let mut graph = sound();
    graph.packages.get_mut("watchkeep-log-sled").expect("in the graph").remove("sled");
    graph.packages.remove("watchkeep-interop");
    assert_eq!(
        graph.faults().join("; "),
        "there is no crate interop; sled belongs to log-sled alone, but is used by []; \
         sled is in nothing: is the name right?"
    );
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace_and_pure_ones_the_bans() {
    let bans = fs::read_to_string(root().join("crates/pure-clippy.toml")).expect("the shared bans");
    for (name, _) in ARROWS {
        let folder = root().join("crates").join(name);
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).expect("a manifest");
        assert!(manifest.contains("[lints]\nworkspace = true"), "{name} has lints of its own");
        if PURE.contains(&name) {
            let own = fs::read_to_string(folder.join("clippy.toml"));
            assert_eq!(
                own.ok().as_ref(),
                Some(&bans),
                "{name}: link clippy.toml to the shared bans"
            );
        }
    }
}

#[test]
fn every_file_says_what_it_is_and_nothing_is_left_over() {
    let mut files = Vec::new();
    for folder in ["crates", "tests", "benches"] {
        collect_sources(&root().join(folder), &mut files);
    }
    assert!(files.len() > 50, "only {} source files found", files.len());
    let mut faults = Vec::new();
    for file in &files {
        let text = fs::read_to_string(file).expect("source is UTF-8");
        let name = file.strip_prefix(root()).unwrap_or(file).display();
        faults.extend(faults_of_text(&text).into_iter().map(|fault| format!("{name}{fault}")));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_silent_file_and_a_leftover_are_found() {
    assert_eq!(faults_of_text("//! Fine.\nfn f() {}\n"), Vec::<String>::new());
    assert_eq!(
        faults_of_text("use std::fs;\n"),
        [" does not open with a `//!` that says what it is"]
    );
    for leftover in leftovers() {
        let text = format!("//! Fine.\nfn f() {{\n    {leftover}\n}}\n");
        assert_eq!(faults_of_text(&text), [format!(":3 still has `{leftover}`")]);
    }
}

/// What must not stay in the code; put together here, or this file would have it.
fn leftovers() -> Vec<String> {
    let macros = ["dbg", "todo", "unimplemented"].map(|name| format!("{name}!("));
    let ignored = ["]", " ="].map(|end| format!("#[{}{end}", "ignore"));
    macros.into_iter().chain(ignored).collect()
}

fn faults_of_text(text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if !text.starts_with("//! ") {
        faults.push(" does not open with a `//!` that says what it is".to_owned());
    }
    for (number, line) in text.lines().enumerate() {
        for leftover in leftovers().iter().filter(|leftover| line.contains(leftover.as_str())) {
            faults.push(format!(":{} still has `{leftover}`", number + 1));
        }
    }
    faults
}

fn collect_sources(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the workspace") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect_sources(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
