//! Who wins, since when, and what the registry answers.

use proptest::prelude::*;

use super::*;

const LAYERS: &str = "kind: charter
subject: feature:flight.*
tier: 2
owners: {primary: user:ada, backup: user:grace}
upstream: [dataset:d]
effective_from: 2013-01-01
---
kind: charter
subject: \"*\"
tier: 4
unit: one
policy: all
---
kind: charter
subject: feature:flight.delay
unit: min
owners: {data_steward: user:ken}
rollback: {within: 1h}
---
kind: charter
subject: feature:flight.delay
unit: s
effective_from: 2013-06-01
---
kind: charter
subject: feature:flight.d*
tier: 3
rollback: {procedure: turn it off, within: 2h}
";

/// Tier, unit, primary, rollback and where they come from.
fn shown(charter: Option<Arc<Charter>>) -> String {
    let Some(charter) = charter else { return "none".into() };
    let fields = &charter.fields;
    format!(
        "{} exact={} tier={:?} unit={:?} primary={:?} steward={:?} rollback={:?}/{:?} from {}",
        charter.subject,
        charter.exact,
        fields.tier,
        fields.unit.as_deref().unwrap_or_default(),
        fields.owners.primary.as_deref().unwrap_or_default(),
        fields.owners.data_steward.as_deref().unwrap_or_default(),
        fields.rollback.procedure.as_deref().unwrap_or_default(),
        fields.rollback.within.map(|within| within.to_string()).unwrap_or_default(),
        charter.from.join(", ")
    )
}

#[test]
fn the_most_specific_document_wins_field_by_field() {
    let registry = registry(LAYERS);
    let charter = |subject: &str, when: &str| shown(registry.charter(subject, at(when)));
    expect![[r#"feature:flight.delay exact=true tier=Some(3) unit="min" primary="user:ada" steward="user:ken" rollback="turn it off"/"1h" from feature:flight.delay, feature:flight.d*, feature:flight.*, *"#]].assert_eq(&charter("feature:flight.delay", "2013-05-01"));
    expect![[r#"feature:flight.delay exact=true tier=Some(3) unit="min" primary="user:ada" steward="user:ken" rollback="turn it off"/"1h" from feature:flight.delay, feature:flight.d*, feature:flight.*, *"#]].assert_eq(&charter("flight.delay", "2013-05-01"));
    // The later revision replaces the earlier one as a whole, from its first instant.
    expect![[r#"feature:flight.delay exact=true tier=Some(3) unit="s" primary="user:ada" steward="" rollback="turn it off"/"2h" from feature:flight.delay, feature:flight.d*, feature:flight.*, *"#]].assert_eq(&charter("feature:flight.delay", "2013-06-01"));
    expect![[r#"feature:flight.delay exact=true tier=Some(3) unit="min" primary="user:ada" steward="user:ken" rollback="turn it off"/"1h" from feature:flight.delay, feature:flight.d*, feature:flight.*, *"#]].assert_eq(&charter("feature:flight.delay", "2013-05-31T23:59:59.999999Z"));
    // Before the pattern is in force.
    expect![[r#"feature:flight.origin exact=false tier=Some(4) unit="one" primary="" steward="" rollback=""/"" from *"#]].assert_eq(&charter("feature:flight.origin", "2012-12-31"));
    expect![[r#"dataset:d exact=false tier=Some(4) unit="one" primary="" steward="" rollback=""/"" from *"#]].assert_eq(&charter("dataset:d", "2013-05-01"));
}

#[test]
fn a_subject_without_documents_has_no_charter() {
    let registry = registry("kind: charter\nsubject: feature:a\neffective_from: 2013-05-01\n");
    assert_eq!(registry.charter("feature:b", at("2013-06-01")), None);
    assert_eq!(registry.charter("feature:a", at("2013-04-01")), None);
    assert!(registry.charter("feature:a", at("2013-05-01")).is_some());
}

#[test]
fn edges_come_from_lineage_and_charters() {
    let text = [
        LAYERS,
        "---
kind: lineage
edges:
  - {from: view:v, to: feature:flight.origin}
  - {from: dataset:d, to: feature:flight.delay, last_seen: 2013-04-01}
  - {from: pipeline:p, to: view:v, last_seen: 2013-04-01}
  - {from: pipeline:p, to: view:v, last_seen: 2013-04-03}
---
kind: charter
subject: view:v
consumers: [model:m]
",
    ]
    .concat();
    let registry = registry(&text);
    let edges: Vec<String> = registry
        .edges()
        .iter()
        .map(|edge| match edge.last_seen {
            Some(seen) => format!("{} -> {} seen {seen}\n", edge.from, edge.to),
            None => format!("{} -> {}\n", edge.from, edge.to),
        })
        .collect();
    // `feature:flight.origin` has the upstream of its pattern because the lineage names it.
    expect![[r#"
        dataset:d -> feature:flight.delay
        dataset:d -> feature:flight.origin
        pipeline:p -> view:v seen 2013-04-03T00:00:00Z
        view:v -> feature:flight.origin
        view:v -> model:m
    "#]]
    .assert_eq(&edges.concat());
}

#[test]
fn the_highest_version_of_a_policy_is_in_force() {
    let policy = |version: u32| {
        format!(
            "kind: policy\nname: p\nversion: {version}\nsteps: [{{name: one, notify: [{{role: primary}}]}}]\n---\n"
        )
    };
    let registry = registry(&[policy(2), policy(3), policy(1)].concat());
    assert_eq!(registry.policy("p").map(|policy| policy.version), Some(3));
    assert!(registry.policy("q").is_none());
}

#[test]
fn very_many_features_each_have_their_own_charter() {
    let mut text =
        "kind: charter\nsubject: feature:team.*\ntier: 2\nowners: {primary: user:ada}\n".to_owned();
    for n in 0..20_000 {
        text.push_str(&format!("---\nkind: charter\nsubject: feature:team.f{n}\nunit: u{n}\n"));
    }
    let registry = registry(&text);
    for _ in 0..2 {
        for n in 0..20_000 {
            let charter =
                registry.charter(&format!("feature:team.f{n}"), at("2013-05-01")).unwrap();
            assert_eq!(charter.fields.tier, Some(2));
            assert_eq!(charter.fields.unit, Some(format!("u{n}")));
        }
    }
}

/// The definition: every document is compared, none is indexed.
fn slowly(
    documents: &Documents,
    subject: &str,
    when: Timestamp,
) -> Option<(Option<u8>, Vec<String>)> {
    let mut in_force: Vec<&CharterDocument> = Vec::new();
    for document in documents.charters.iter().map(|located| &located.value) {
        let from = |d: &CharterDocument| d.fields.effective_from.unwrap_or(index::ALWAYS);
        let same = documents.charters.iter().map(|located| &located.value);
        let newest = same
            .filter(|other| other.subject == document.subject && from(other) <= when)
            .map(from)
            .max();
        if newest == Some(from(document)) && pattern::matches(&document.subject, subject) {
            in_force.push(document);
        }
    }
    in_force.sort_by_key(|document| {
        let name = &document.subject;
        let exact = !pattern::is_pattern(name);
        let literal = (pattern::literal_prefix(name).len(), pattern::literal_length(name));
        (std::cmp::Reverse((exact, literal)), name.clone())
    });
    let mut from: Vec<String> = in_force.iter().map(|d| d.subject.clone()).collect();
    from.dedup();
    let tier = in_force.iter().find_map(|d| d.fields.tier);
    (!in_force.is_empty()).then_some((tier, from))
}

proptest! {
    #[test]
    fn the_index_and_the_cache_change_nothing(
        charters in proptest::collection::vec(("(feature:)?[ab*]{1,4}", proptest::option::of(1_u8..=4), proptest::option::of(0_i64..5)), 0..12),
        questions in proptest::collection::vec(("feature:[ab]{1,4}", 0_i64..6), 1..20),
    ) {
        let day = |n: i64| Timestamp::from_micros(n * TimeSpan::DAY.as_micros());
        let mut documents = Documents::default();
        for (subject, tier, from) in charters {
            let mut value = CharterDocument { subject, ..CharterDocument::default() };
            value.fields.tier = tier;
            value.fields.effective_from = from.map(day);
            documents.charters.push(Located { value, ..Located::default() });
        }
        let (registry, _) = Registry::new(documents.clone(), TimeSpan::MINUTE);
        for (subject, when) in questions.iter().chain(&questions) {
            let found = registry.charter(subject, day(*when));
            let found = found.map(|charter| (charter.fields.tier, charter.from.clone()));
            prop_assert_eq!(found, slowly(&documents, subject, day(*when)));
        }
    }
}
