//! Whole folders.

use proptest::prelude::*;

use super::*;

fn examples() -> Vec<(String, String)> {
    [
        ("directory.yaml", include_str!("../../../../../examples/charters/directory.yaml")),
        ("flights.yaml", include_str!("../../../../../examples/charters/flights.yaml")),
        ("policy.yaml", include_str!("../../../../../examples/charters/policy.yaml")),
    ]
    .map(|(name, text)| (name.to_owned(), text.to_owned()))
    .to_vec()
}

#[test]
fn the_examples_have_no_faults() {
    let (documents, found) = read(&examples());
    assert_eq!(found, []);
    let (registry, found) = Registry::new(documents, TimeSpan::MINUTE);
    assert_eq!(found, []);
    let delay = registry.charter("feature:flight.arr_delay_min", at("2013-05-01")).unwrap();
    expect![[r#"Some("user:ada") Some(1) ["feature:flight.arr_delay_min", "feature:flight.*"]"#]]
        .assert_eq(&format!(
            "{:?} {:?} {:?}",
            delay.fields.owners.primary, delay.fields.tier, delay.from
        ));
    let edges: Vec<String> =
        registry.edges().iter().map(|edge| format!("{} -> {}\n", edge.from, edge.to)).collect();
    expect![[r#"
        dataset:bts.on_time -> feature:flight.arr_delay_min
        dataset:bts.on_time -> feature:flight.origin
        dataset:bts.on_time -> feature:flight.speed_mph
        dataset:bts.on_time -> feature:flight.tailnum
        dataset:bts.on_time -> pipeline:flight-status-hourly
        feature:flight.arr_delay_min -> dashboard:departures
        feature:flight.arr_delay_min -> model:delay-forecast
        feature:flight.origin -> dashboard:departures
        feature:flight.origin -> model:delay-forecast
        feature:flight.speed_mph -> dashboard:departures
        feature:flight.speed_mph -> model:delay-forecast
        feature:flight.tailnum -> dashboard:departures
        feature:flight.tailnum -> model:delay-forecast
        pipeline:flight-status-hourly -> view:flight-status
        view:flight-status -> feature:flight.arr_delay_min
        view:flight-status -> feature:flight.origin
        view:flight-status -> feature:flight.speed_mph
        view:flight-status -> feature:flight.tailnum
    "#]]
    .assert_eq(&edges.concat());
}

#[test]
fn findings_of_meaning_are_shown_like_those_of_spelling() {
    let files = [
        (
            "a.yaml".to_owned(),
            "kind: charter\nsubject: feature:ride.price\ntier: 1\nowners: {primary: user:adda, backup: ken}\nupstream: [datset:rides]\npolicy: ride\nrollback: {criteria: [slwo]}\nexpectations:\n  - {name: objective, kind: slo, window: 1h}\n  - {name: slow, kind: latency, window: 90s, quantile: p99, above: 1s}\n  - {name: slow, kind: latency, window: 1h, quantile: p99, above: 1s}\n".to_owned(),
        ),
        ("people.yaml".to_owned(), PEOPLE.to_owned()),
    ];
    let (documents, mut found) = read(&files);
    let (_, more) = Registry::new(documents, TimeSpan::MINUTE);
    found.extend(more);
    found.sort();
    expect![[r#"
        error[tier1_rollback]: feature:ride.price is of tier 1 and has no rollback procedure
          --> a.yaml:3:7 (charter feature:ride.price, tier)
          |
        3 | tier: 1
          |       ^
          = add `rollback: {procedure: …, within: …}`

        error[unknown_user]: unknown user `adda`
          --> a.yaml:4:19 (charter feature:ride.price, owners.primary)
          |
        4 | owners: {primary: user:adda, backup: ken}
          |                   ^
          = did you mean `user:ada`?

        error[naming]: `ken` has no type: user, group or schedule
          --> a.yaml:4:38 (charter feature:ride.price, owners.backup)
          |
        4 | owners: {primary: user:adda, backup: ken}
          |                                      ^
          = write `user:ken`

        error[lineage_type]: `datset:rides` is no feature, dataset, pipeline, view, model, dashboard or service
          --> a.yaml:5:12 (charter feature:ride.price, upstream[0])
          |
        5 | upstream: [datset:rides]
          |            ^
          = did you mean `dataset:rides`?

        error[unknown_policy]: unknown policy `ride`
          --> a.yaml:6:9 (charter feature:ride.price, policy)
          |
        6 | policy: ride
          |         ^
          = write a document `kind: policy` of this name

        error[missing_field]: `good` is missing
          --> a.yaml:9:5 (charter feature:ride.price, expectations[0].good)
          |
        9 |   - {name: objective, kind: slo, window: 1h}
          |     ^

        error[missing_field]: `objective` is missing
          --> a.yaml:9:5 (charter feature:ride.price, expectations[0].objective)
          |
        9 |   - {name: objective, kind: slo, window: 1h}
          |     ^

        error[window_pane]: 90s is no multiple of the pane, 1m
          --> a.yaml:10:41 (charter feature:ride.price, expectations[1].window)
           |
        10 |   - {name: slow, kind: latency, window: 90s, quantile: p99, above: 1s}
           |                                         ^

        error[duplicate_expectation]: the charter has an expectation `slow` already
          --> a.yaml:11:12 (charter feature:ride.price, expectations[2].name)
           |
        11 |   - {name: slow, kind: latency, window: 1h, quantile: p99, above: 1s}
           |            ^
          = give one of the two another name

        9 errors
    "#]].assert_eq(&render(&found, &files, Format::Text));
}

proptest! {
    /// Lines are lost, doubled and swapped: whatever can still be read is answered.
    #[test]
    fn any_folder_is_answered(
        changes in proptest::collection::vec((0_usize..3, 0_usize..200, 0_usize..200), 1..8),
    ) {
        let all: String = examples().into_iter().map(|(_, text)| text + "---\n").collect();
        let mut lines: Vec<&str> = all.lines().collect();
        for (what, a, b) in changes {
            let (a, b) = (a % lines.len(), b % lines.len());
            match what {
                0 => {
                    lines.remove(a);
                }
                1 => lines.insert(b, lines[a]),
                _ => lines.swap(a, b),
            }
        }
        let files = [("all.yaml".to_owned(), lines.join("\n"))];
        let (documents, _) = read(&files);
        let (registry, found) = Registry::new(documents.clone(), TimeSpan::MINUTE);
        prop_assert!(found.is_sorted());
        prop_assert_eq!(found, Registry::new(documents, TimeSpan::MINUTE).1);
        let _ = registry.charter("feature:flight.origin", at("2013-05-01"));
    }
}
