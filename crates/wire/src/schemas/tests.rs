//! The schemas are documented, and old records stay readable.

use std::collections::BTreeSet;

use apache_avro::Schema;
use apache_avro::schema_compatibility::SchemaCompatibility;

use super::{Finding, all, check, history, named};

fn parse(text: &str) -> Schema {
    Schema::parse_str(text).unwrap()
}

#[test]
fn the_current_schema_reads_every_earlier_one_and_is_the_last() {
    for schema in all() {
        let versions: Vec<_> = history(schema.name).collect();
        let last =
            versions.last().unwrap_or_else(|| panic!("{}: put it into history", schema.name));
        for version in &versions {
            SchemaCompatibility::can_read(&parse(version.text), &parse(schema.text))
                .unwrap_or_else(|error| {
                    panic!("{} cannot read an earlier version: {error}", schema.name)
                });
        }
        assert_eq!(
            last.fingerprint, schema.fingerprint,
            "{} has changed: add the new version to schemas/history as the next number",
            schema.name
        );
    }
}

#[test]
fn every_schema_and_field_is_documented_and_in_our_namespace() {
    fn walk(value: &serde_json::Value, path: &str) {
        match value {
            serde_json::Value::Array(items) => items.iter().for_each(|item| walk(item, path)),
            serde_json::Value::Object(members) => {
                let name = members.get("name").and_then(|name| name.as_str()).unwrap_or_default();
                let path = format!("{path}/{name}");
                if members.contains_key("name") {
                    let doc = members.get("doc").and_then(|doc| doc.as_str());
                    assert!(doc.is_some_and(|doc| doc.ends_with('.')), "{path} has no doc");
                }
                members.values().for_each(|member| walk(member, &path));
            }
            _ => {}
        }
    }
    for schema in all() {
        let value: serde_json::Value = serde_json::from_str(schema.text).unwrap();
        assert_eq!(value["namespace"], "io.watchkeep", "{}", schema.name);
        walk(&value, schema.name);
    }
}

#[test]
fn fingerprints_are_those_of_single_object_encoding() {
    // The parsing canonical form of "int", from the test vectors of the Avro
    // specification (schema-tests.txt): 8247732601305521295.
    assert_eq!(super::fingerprint(&parse(r#""int""#)), 8_247_732_601_305_521_295);
    // Computed by the Java library (SchemaNormalization of avro 1.12.0) too:
    // logical types are stripped, and what is left of a long is "long".
    assert_eq!(named("telemetry").fingerprint, 0x70bf_6214_a5fb_c3d0);
    assert_eq!(named("telemetry").loose_fingerprint, 0x9f72_7322_7ffe_65a2);
    let distinct: BTreeSet<u64> = all().iter().map(|schema| schema.fingerprint).collect();
    assert_eq!(distinct.len(), all().len());
}

#[test]
fn a_folder_is_compared_name_by_name() {
    let breach = named("breach").text;
    let more = breach.replacen(r#""fields": ["#, r#""fields": [{"name":"extra","type":"int"},"#, 1);
    let less = breach.replacen(r#""name": "reason""#, r#""name": "raison""#, 1);
    let files = [
        ("window.avsc", named("window").text),
        ("breach.avsc", more.as_str()),
        ("reject.avsc", "{"),
        ("other.avsc", r#""int""#),
        ("README.md", "text"),
    ];
    let findings = check(files);
    assert_eq!(findings["window"], Finding::Same);
    assert_eq!(findings["breach"], Finding::Readable);
    assert!(matches!(findings["reject"], Finding::NotASchema(_)));
    assert_eq!(findings["other"], Finding::Unknown);
    assert_eq!(findings["policy"], Finding::Missing);
    assert_eq!(findings.len(), all().len() + 1);
    assert!(matches!(check([("breach.avsc", less.as_str())])["breach"], Finding::Unreadable(_)));
}
