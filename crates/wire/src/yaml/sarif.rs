//! Findings as SARIF 2.1.0 (OASIS, 2020), which code reviews show beside the
//! changed line.

use serde_json::{Value, json};
use watchkeep_model::document::{Diagnostic, Level};

/// The schema that the text follows.
const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// One run with every finding. `rules` are all the rules that there are, each
/// with what it means, so that a viewer can explain what it shows; `version`
/// is the program's. Ends with a line break.
pub fn sarif<'r>(
    diagnostics: &[Diagnostic],
    rules: impl IntoIterator<Item = &'r (&'r str, &'r str)>,
    version: &str,
) -> String {
    let rules: Vec<(&str, &str)> = rules.into_iter().copied().collect();
    let results: Vec<Value> = diagnostics.iter().map(|found| result(found, &rules)).collect();
    let rules: Vec<Value> = rules
        .iter()
        .map(|(name, text)| json!({ "id": name, "fullDescription": { "text": text } }))
        .collect();
    let log = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "watchkeep", "version": version, "rules": rules } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    format!("{log:#}\n")
}

fn result(found: &Diagnostic, rules: &[(&str, &str)]) -> Value {
    let message = match &found.hint {
        Some(hint) => format!("{} ({hint})", found.message),
        None => found.message.clone(),
    };
    let level = match found.severity {
        Level::Error => "error",
        Level::Warning => "warning",
    };
    let mut result = json!({
        "ruleId": found.rule,
        "level": level,
        "message": { "text": message },
        "locations": [{
            "physicalLocation": {
                "artifactLocation": { "uri": uri(&found.file) },
                // Lines and columns count from 1; a finding about a whole file has neither.
                "region": { "startLine": found.line.max(1), "startColumn": found.column.max(1) },
            },
        }],
    });
    if let Some(index) = rules.iter().position(|(name, _)| *name == found.rule) {
        result["ruleIndex"] = index.into();
    }
    let place: Vec<&str> = [found.document.as_str(), &found.field]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect();
    if !place.is_empty() {
        let name = place.join(", ");
        result["locations"][0]["logicalLocations"] = json!([{ "fullyQualifiedName": name }]);
    }
    result
}

/// A path as a relative or absolute reference (RFC 3986): every byte that may
/// not stand in a path segment is written with a percent sign.
fn uri(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    if path.starts_with('/') {
        text.push_str("file://");
    }
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => text.push(char::from(byte)),
            b'/' | b'-' | b'.' | b'_' | b'~' | b'@' | b'+' | b',' | b'=' => {
                text.push(char::from(byte));
            }
            b'\\' => text.push('/'),
            _ => {
                text.push('%');
                text.push_str(&format!("{byte:02X}"));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_has_its_rule_place_and_level() {
        let found = Diagnostic {
            file: "charters/flight data.yaml".into(),
            line: 3,
            column: 9,
            document: "charter feature:a".into(),
            field: "policy".into(),
            rule: "unknown_policy",
            severity: Level::Error,
            message: "unknown policy `shpo`".into(),
            hint: Some("did you mean `shop`?".into()),
        };
        let rules = [("kind", "Every document has one."), ("unknown_policy", "There is none.")];
        let log: Value = serde_json::from_str(&sarif(&[found], &rules, "1.2.3")).unwrap();
        let run = &log["runs"][0];
        assert_eq!(log["version"], "2.1.0");
        assert_eq!(run["tool"]["driver"]["rules"][1]["id"], "unknown_policy");
        let result = &run["results"][0];
        assert_eq!(
            (&result["ruleId"], &result["ruleIndex"]),
            (&json!("unknown_policy"), &json!(1))
        );
        assert_eq!(result["level"], "error");
        assert_eq!(result["message"]["text"], "unknown policy `shpo` (did you mean `shop`?)");
        let place = &result["locations"][0];
        let file = &place["physicalLocation"];
        assert_eq!(file["artifactLocation"]["uri"], "charters/flight%20data.yaml");
        assert_eq!(file["region"], json!({ "startLine": 3, "startColumn": 9 }));
        assert_eq!(place["logicalLocations"][0]["fullyQualifiedName"], "charter feature:a, policy");
    }
}
