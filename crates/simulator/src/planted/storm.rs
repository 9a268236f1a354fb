//! A storm: very many features of one dataset breach in one window.

use std::fmt::Write as _;

use watchkeep_model::time::TimeSpan;

use super::telemetry::{BAD_FROM, FROM, line};

/// Teams that own the features between them.
pub const TEAMS: usize = 20;

/// Events of a feature in a window.
const EVENTS: i64 = 10;

/// `charters/charters.yaml` and `telemetry.ndjson` of a storm: that many
/// features of [`TEAMS`] teams are made from `dataset:storm`, which `user:ken`
/// owns and nobody watches. All of them lose their values in the second of two
/// windows of five minutes. Each team has subscribers that the next one has too.
pub fn storm(features: usize) -> Vec<(String, String)> {
    let mut charters = String::from(
        "kind: directory\nusers:\n  ken: {contacts: [{tool: email, to: ken@example.com}]}\n",
    );
    for team in 0..TEAMS {
        let _ = writeln!(
            charters,
            "  owner{team}: {{contacts: [{{tool: email, to: owner{team}@example.com}}]}}"
        );
    }
    charters.push_str("groups:\n");
    for team in 0..=TEAMS {
        let member = team % TEAMS;
        let _ = writeln!(charters, "  readers{team}: {{lead: user:owner{member}}}");
    }
    charters.push_str(
        "governance: user:ken\n---\nkind: policy\nname: storm\nversion: 1\n\
         steps: [{name: owner, notify: [{role: primary}], acknowledge_within: 30m}]\n---\n\
         kind: charter\nsubject: dataset:storm\nowners: {primary: user:ken}\npolicy: storm\n",
    );
    for team in 0..TEAMS {
        let next = team + 1;
        let _ = write!(
            charters,
            "---\nkind: charter\nsubject: feature:t{team}.*\nowners: {{primary: user:owner{team}}}\n\
             policy: storm\nupstream: [dataset:storm]\nconsumers: [model:m{team}]\n\
             subscribers: [group:readers{team}, group:readers{next}]\nexpectations:\n  \
             - {{name: missing, kind: null_rate, window: 5m, above: 0.2, min_samples: {EVENTS}}}\n"
        );
    }
    let mut telemetry = String::new();
    let window = BAD_FROM.since(FROM).as_micros() / 2;
    for event in 0..2 * EVENTS {
        let at = BAD_FROM - TimeSpan::from_micros(window)
            + TimeSpan::from_micros(window * event / EVENTS);
        let value = if at >= BAD_FROM { "null" } else { "1.5" };
        for feature in 0..features {
            let name = format!("t{}.f{feature}", feature % TEAMS);
            let _ = writeln!(telemetry, "{}", line(&name, at, value));
        }
    }
    let after = BAD_FROM + TimeSpan::MINUTE.times(10);
    let _ = writeln!(telemetry, "{}", line("clock", after, "1"));
    vec![
        ("charters/charters.yaml".to_owned(), charters),
        ("telemetry.ndjson".to_owned(), telemetry),
    ]
}
