//! The schemas of every topic, compiled into the binary.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use apache_avro::Schema;
use apache_avro::rabin::Rabin;
use apache_avro::schema_compatibility::SchemaCompatibility;

use crate::avro::shape::Shape;

/// A schema that this version reads and writes.
#[derive(Debug)]
pub struct Embedded {
    /// The file's name in `schemas/` without `.avsc`.
    pub name: &'static str,
    /// The file's text.
    pub text: &'static str,
    /// CRC-64-AVRO of the parsing canonical form.
    pub fingerprint: u64,
    /// What earlier versions wrote in its place.
    pub(crate) loose_fingerprint: u64,
    /// For reading and writing.
    pub(crate) shape: Shape,
}

impl Embedded {
    /// True for either of its fingerprints.
    pub(crate) fn is(&self, fingerprint: u64) -> bool {
        [self.fingerprint, self.loose_fingerprint].contains(&fingerprint)
    }
}

macro_rules! sources {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../../schemas/", $name, ".avsc")))),*]
    };
}

static EMBEDDED: LazyLock<Vec<Embedded>> = LazyLock::new(|| {
    let sources = sources![
        "telemetry",
        "telemetry-batch",
        "summary-batch",
        "window",
        "breach",
        "incident-fact",
        "escalation",
        "charter",
        "policy",
        "baseline",
        "response",
        "reject",
        "revision",
    ];
    sources.into_iter().map(|(name, text)| embed(name, text)).collect()
});

/// Every version that was ever released, oldest first, the current one last;
/// facts written by any of them are read. A released file is never edited.
static HISTORY: LazyLock<Vec<Embedded>> = LazyLock::new(|| {
    let sources = sources![
        "history/telemetry/1",
        "history/telemetry-batch/1",
        "history/summary-batch/1",
        "history/summary-batch/2",
        "history/summary-batch/3",
        "history/summary-batch/4",
        "history/summary-batch/5",
        "history/window/1",
        "history/window/2",
        "history/window/3",
        "history/window/4",
        "history/window/5",
        "history/window/6",
        "history/window/7",
        "history/breach/1",
        "history/incident-fact/1",
        "history/escalation/1",
        "history/charter/1",
        "history/charter/2",
        "history/charter/3",
        "history/charter/4",
        "history/policy/1",
        "history/policy/2",
        "history/baseline/1",
        "history/response/1",
        "history/reject/1",
        "history/revision/1",
        "history/revision/2",
    ];
    let name_of = |path: &'static str| path.split('/').nth(1).unwrap_or(path);
    sources.into_iter().map(|(path, text)| embed(name_of(path), text)).collect()
});

fn embed(name: &'static str, text: &'static str) -> Embedded {
    let schema = Schema::parse_str(text).expect("embedded schemas are checked by tests");
    Embedded {
        name,
        text,
        fingerprint: fingerprint(&schema),
        loose_fingerprint: loose_fingerprint(&schema),
        shape: Shape::of(&schema),
    }
}

/// Every embedded schema, in the order of the flow.
pub fn all() -> &'static [Embedded] {
    &EMBEDDED
}

/// The schema of a name.
///
/// # Panics
/// There is none; names are constants of this crate.
pub fn named(name: &str) -> &'static Embedded {
    all()
        .iter()
        .find(|schema| schema.name == name)
        .expect("the name is one of the embedded schemas")
}

/// The CRC-64-AVRO fingerprint of a schema's parsing canonical form, as the
/// Avro specification has it and Java and others write it.
pub fn fingerprint(schema: &Schema) -> u64 {
    let mut canonical = schema.canonical_form();
    // The library leaves a primitive that lost its logical type in the long
    // form, against the rule PRIMITIVES. No name or symbol can hold this text.
    for name in ["null", "boolean", "int", "long", "float", "double", "bytes", "string"] {
        canonical = canonical.replace(&format!("{{\"type\":\"{name}\"}}"), &format!("\"{name}\""));
    }
    match Schema::parse_str(&canonical) {
        Ok(strict) => loose_fingerprint(&strict),
        Err(_) => loose_fingerprint(schema),
    }
}

/// The fingerprint as libraries write it that keep the long form of primitives
/// with a logical type: this one's earlier versions, and Avro's for Python.
pub(crate) fn loose_fingerprint(schema: &Schema) -> u64 {
    let digest = schema.fingerprint::<Rabin>();
    let bytes = digest.bytes.first_chunk::<8>().expect("the fingerprint has 64 bits");
    u64::from_le_bytes(*bytes)
}

/// The released versions of a schema, oldest first.
pub fn history(name: &str) -> impl Iterator<Item = &'static Embedded> {
    HISTORY.iter().filter(move |schema| schema.name == name)
}

/// The version of the schema `name` that has this fingerprint, the current one first.
pub(crate) fn version(name: &str, fingerprint: u64) -> Option<&'static Embedded> {
    let current = all().iter().filter(|schema| schema.name == name);
    current.chain(history(name)).find(|schema| schema.is(fingerprint))
}

/// How a file of a folder compares with the embedded schema of its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The same.
    Same,
    /// Another, that this version can read.
    Readable,
    /// Another, that this version cannot read, with the reason.
    Unreadable(String),
    /// No Avro schema, with what the parser says.
    NotASchema(String),
    /// Not in the folder.
    Missing,
    /// In the folder and not known here.
    Unknown,
}

/// Compares the files of a folder, (file name, text), with the embedded
/// schemas: one finding for each name, ascending. Files whose names do not end
/// in `.avsc` are passed over.
pub fn check<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> BTreeMap<String, Finding> {
    let mut findings: BTreeMap<String, Finding> =
        all().iter().map(|schema| (schema.name.to_owned(), Finding::Missing)).collect();
    for (file, text) in files {
        let Some(name) = file.strip_suffix(".avsc") else { continue };
        let finding = match all().iter().find(|schema| schema.name == name) {
            None => Finding::Unknown,
            Some(embedded) => compare(embedded, text),
        };
        findings.insert(name.to_owned(), finding);
    }
    findings
}

fn compare(embedded: &Embedded, text: &str) -> Finding {
    let theirs = match Schema::parse_str(text) {
        Ok(theirs) => theirs,
        Err(error) => return Finding::NotASchema(error.to_string()),
    };
    if fingerprint(&theirs) == embedded.fingerprint {
        return Finding::Same;
    }
    let ours = Schema::parse_str(embedded.text).expect("embedded schemas are checked by tests");
    match SchemaCompatibility::can_read(&theirs, &ours) {
        Ok(_) => Finding::Readable,
        Err(error) => Finding::Unreadable(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
