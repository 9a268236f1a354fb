//! The charters of a large organisation: 10,000 documents for 100,000 features.

use std::fmt::Write as _;

use watchkeep_incident::registry::Registry;
use watchkeep_model::document::Level;
use watchkeep_model::time::TimeSpan;
use watchkeep_wire::yaml;

/// Systems, each with a pattern; views of each, each with one; features of
/// each, every twelfth with a charter of its own.
const SYSTEMS: usize = 50;
const VIEWS: usize = 20;
const OF_A_VIEW: usize = 100;

/// All features.
pub const FEATURES: usize = SYSTEMS * VIEWS * OF_A_VIEW;

/// The name of the feature of a number, 0 to 99,999.
pub fn feature(number: usize) -> String {
    let (view, n) = (number / OF_A_VIEW, number % OF_A_VIEW);
    format!("feature:s{}.v{}.f{n}", view / VIEWS, view % VIEWS)
}

/// The folder: one file for each system, one for the people.
///
/// # Panics
/// Never: the constants make for that many documents.
pub fn folder() -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut people = String::from("kind: directory\ngovernance: user:p0\nusers:\n");
    for n in 0..SYSTEMS * 10 {
        let _ = writeln!(people, "  p{n}: {{contacts: [{{tool: email, to: p{n}@example.com}}]}}");
    }
    people.push_str("systems:\n");
    for n in 0..SYSTEMS {
        let _ = writeln!(people, "  s{n}: {{owner: user:p{n}}}");
    }
    files.push(("people.yaml".to_owned(), people));
    let mut documents = 0;
    for system in 0..SYSTEMS {
        let mut text = format!(
            "kind: charter\nsubject: feature:s{system}.*\nsystem: s{system}\ntier: 3\n\
             owners: {{primary: user:p{system}, backup: user:p{}}}\nreview_every: 90d\n",
            system + SYSTEMS
        );
        documents += 1;
        for view in 0..VIEWS {
            let _ = write!(
                text,
                "---\nkind: charter\nsubject: feature:s{system}.v{view}.*\nview: view:s{system}.v{view}\n\
                 upstream: [dataset:s{system}.d{view}]\nexpectations:\n  \
                 - {{name: nulls, kind: null_rate, window: 1h, above: 0.1}}\n  \
                 - {{name: slow, kind: latency, window: 1h, quantile: p99, above: 50ms}}\n"
            );
            documents += 1;
            for n in (0..OF_A_VIEW).step_by(12) {
                let number = (system * VIEWS + view) * OF_A_VIEW + n;
                let _ = write!(
                    text,
                    "---\nkind: charter\nsubject: {}\ndescription: what it means\ntype: double\n\
                     consumers: [model:m{}]\nexpectations:\n  \
                     - {{name: plausible, kind: range, window: 1h, min: 0, max: 100, above: 0.01}}\n",
                    feature(number),
                    number % 97
                );
                documents += 1;
            }
        }
        files.push((format!("s{system}.yaml"), text));
    }
    assert!(documents >= 10_000, "{documents} documents");
    files
}

/// Reads and checks a folder.
///
/// # Panics
/// Where it has an error.
pub fn load(files: &[(String, String)]) -> Registry {
    let (documents, findings) = yaml::read(files);
    assert!(findings.is_empty(), "{findings:?}");
    let (registry, findings) = Registry::new(documents, TimeSpan::MINUTE);
    let errors: Vec<_> = findings.iter().filter(|f| f.severity == Level::Error).collect();
    assert!(errors.is_empty(), "{errors:?}");
    registry
}
