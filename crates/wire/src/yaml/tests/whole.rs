//! Whole folders: the examples, and one in which nearly everything is wrong.

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
fn the_examples_load_without_a_finding() {
    let (documents, found) = read(&examples());
    assert_eq!(render(&found, &examples(), Format::Text), "");
    let labels: Vec<&str> = documents.charters.iter().map(|c| c.document.as_str()).collect();
    expect![[r#"
        charter feature:flight.*
        charter feature:flight.arr_delay_min
        charter feature:flight.tailnum
        charter feature:flight.origin
        charter feature:flight.speed_mph
        charter dataset:bts.on_time"#]]
    .assert_eq(&labels.join("\n"));
    let lines = |values: &[serde_json::Value]| {
        values.iter().map(|value| format!("{value}\n")).collect::<String>()
    };
    let json = |value: serde_json::Result<serde_json::Value>| value.unwrap();
    let fields = &documents.charters[1].value.fields;
    let expectations = json(serde_json::to_value(&fields.expectations));
    expect![[r#"
        {"baseline":{"from":"2013-04-01T00:00:00.000000Z","kind":"fixed","to":"2013-04-29T00:00:00.000000Z"},"bins":10,"effect":{"above":0.25,"statistic":"ks_stat"},"for":{"k":1,"of":1},"kind":"drift","min_samples":30,"name":"delay-distribution","p_below":0.001,"resolve":null,"resolve_after":1,"severity":"error","window":{"kind":"tumbling","size":"1d"}}
        {"above":0.1,"confidence":0.99,"for":{"k":1,"of":1},"kind":"null_rate","min_samples":30,"name":"missing","resolve":null,"resolve_after":1,"severity":"critical","window":{"kind":"tumbling","size":"1d"}}
        {"above":"2h","for":{"k":1,"of":1},"kind":"latency","min_samples":30,"name":"late-data","quantile":"p90","resolve":null,"resolve_after":1,"severity":"warning","window":{"kind":"tumbling","size":"1d"}}
    "#]].assert_eq(&lines(expectations.as_array().unwrap()));
    let schedules = json(serde_json::to_value(&documents.directories[0].value.schedules));
    expect![[r#"
        {"flight-data":{"layers":[{"every":"1w","from":"2013-04-01T13:00:00.000000Z","users":["user:ada","user:grace"]}],"overrides":[],"zone":"America/New_York"}}
    "#]].assert_eq(&lines(&[schedules]));
    let policy = json(serde_json::to_value(&documents.policies[0].value));
    let parts: Vec<_> = policy
        .as_object()
        .unwrap()
        .iter()
        .map(|(key, value)| format!("{key}: {value}\n"))
        .collect();
    expect![[r#"
        ack_timeout: "30m"
        attribution: {"edge_max_age":"1w","max_depth":5,"min_coverage":0.6,"min_features":3}
        damping: {"flap":{"changes":4,"look_back":20},"keep_firing_for":"0s","reopen_within":"2h"}
        drill: {"every":"90d"}
        freeze: []
        grouping: {"by":["root","kind"],"group_interval":"5m","group_wait":"1m","max_listed":50,"repeat_interval":"4h"}
        hours: {"holidays":["2013-05-27"],"outside":{"critical":"page","error":"page","info":"defer","warning":"defer"},"working":[{"days":["mon","tue","wed","thu","fri"],"from":"09:00","to":"18:00"}],"zone":"America/New_York"}
        independence: {"monetisation":{"approver_not_in_team_of":["primary"],"owner_not_in_team_of":[],"verifier_not_in_team_of":["remediator","primary"]}}
        limits: {"per_owner":{"burst":5,"per":"10m"},"platform_incident_share":0.3}
        loops: 2
        name: "flights"
        on_exhausted: {"notify":["group:data-governance"]}
        review: {"due_within":"5d","severities":["error","critical"]}
        sign_offs: [{"distinct_from":[],"gate":"rollback","minimum":1,"roles":["primary","backup"],"severities":[]},{"distinct_from":["remediator"],"gate":"threshold_change","minimum":1,"roles":["data_steward","reviewer"],"severities":[]},{"distinct_from":["remediator"],"gate":"resolve","minimum":1,"roles":["data_steward"],"severities":["critical"]}]
        steps: [{"acknowledge_within":"10m","channels":[{"scope":null,"to":"flight-data","tool":"pagerduty"}],"decide_within":null,"decisions":[],"escalate_if":["not_acknowledged","not_remediated",{"affected_features":20}],"kinds":["latency","freshness","silence","error_rate","slo"],"name":"on-call","notify":[{"role":"primary","severities":[]},{"schedule":"schedule:flight-data","severities":[]}],"remediate_within":"1h"},{"acknowledge_within":"30m","channels":[{"scope":null,"to":"data-quality@example.com","tool":"email"}],"decide_within":null,"decisions":[],"escalate_if":["not_acknowledged","not_remediated","verification_failed",{"recurrence":{"count":3,"within":"1w"}}],"kinds":["drift","null_rate","volume","range","categories"],"name":"data-steward","notify":[{"role":"data_steward","severities":[]}],"remediate_within":"4h"},{"acknowledge_within":"1h","channels":[{"scope":null,"to":"architecture@example.com","tool":"email"}],"decide_within":"1d","decisions":["redefine","change_contract","retire"],"escalate_if":["not_acknowledged","not_decided"],"kinds":[],"name":"architect","notify":[{"role":"architect","severities":[]},{"role":"executive","severities":["critical"]}],"remediate_within":null}]
        verification: {"good_windows":2,"on_failure":"data-steward","reference":null,"severities":["error","critical"],"third_party":null}
        version: 3
    "#]].assert_eq(&parts.concat());
    assert_eq!(documents.lineage[0].value.len(), 7);
}

#[test]
fn places_of_fields_are_kept() {
    let (documents, _) = read(&examples());
    let flights = &documents.charters[1];
    let place = |field: &str| {
        let place = flights.place_of(field);
        (place.line, place.column)
    };
    assert_eq!(place(""), (25, 1));
    assert_eq!(place("tier"), (30, 7));
    assert_eq!(place("expectations[0].baseline.from"), (42, 35));
}

#[test]
fn all_findings_of_a_folder_come_at_once() {
    let files = [
        (
            "b.yaml",
            "kind: policy\nname: flights\nsteps:\n  - name: on-call\n    notfy: [{role: primary}]\n    acknowledge_within: ten minutes\n",
        ),
        (
            "a.yaml",
            "# Charters of the rides.\nkind: charter\nsubject: feature:ride.distance\nteir: 1\ntype: flaot\nowners: {primary: user:ada, backup: }\nexpectations:\n  - name: missing\n    kind: null_rate\n    window: 1 hour\n    above: 10\n  - name: objective\n    kind: slo\n    window: 1h\n---\nkind: charter\nsubject: feature:ride.price\ndescription: Price: in euro\n---\nkind: charter\nsubject: feature:ride.zone\ntier: 2\ntier: 3\n",
        ),
    ]
    .map(|(name, text)| (name.to_owned(), text.to_owned()));
    let (_, found) = read(&files);
    expect![[r#"
        error[unknown_field]: unknown field `teir`
          --> a.yaml:4:1 (charter feature:ride.distance, teir)
          |
        4 | teir: 1
          | ^
          = did you mean `tier`?

        error[wrong_value]: `flaot` is none of double, long, boolean, string
          --> a.yaml:5:7 (charter feature:ride.distance, type)
          |
        5 | type: flaot
          |       ^
          = write one of these

        error[missing_value]: `backup` has no value
          --> a.yaml:6:29 (charter feature:ride.distance, owners.backup)
          |
        6 | owners: {primary: user:ada, backup: }
          |                             ^
          = write one or take the line away

        error[wrong_value]: `1 hour` is not a duration: write a whole number and one of ms, s, m, h, d, w, for example 10m
          --> a.yaml:10:13 (charter feature:ride.distance, expectations[0].window)
           |
        10 |     window: 1 hour
           |             ^
          = did you mean `1h`?

        error[wrong_value]: 10 is not a share from 0 to 1
          --> a.yaml:11:12 (charter feature:ride.distance, expectations[0].above)
           |
        11 |     above: 10
           |            ^
          = 10 % is 0.1

        error[missing_field]: `good` is missing
          --> a.yaml:12:5 (charter feature:ride.distance, expectations[1].good)
           |
        12 |   - name: objective
           |     ^

        error[missing_field]: `objective` is missing
          --> a.yaml:12:5 (charter feature:ride.distance, expectations[1].objective)
           |
        12 |   - name: objective
           |     ^

        error[syntax]: not YAML: mapping values are not allowed in this context
          --> a.yaml:18:19
           |
        18 | description: Price: in euro
           |                   ^
          = put a text that contains `: ` in quotes

        error[duplicate_key]: `tier` is written twice; the first is in line 22
          --> a.yaml:23:1 (charter feature:ride.zone)
           |
        23 | tier: 3
           | ^
          = keep one of them

        error[missing_field]: `notify` is missing
          --> b.yaml:4:5 (policy flights, steps[0].notify)
          |
        4 |   - name: on-call
          |     ^

        error[unknown_field]: unknown field `notfy`
          --> b.yaml:5:5 (policy flights, steps[0].notfy)
          |
        5 |     notfy: [{role: primary}]
          |     ^
          = did you mean `notify`?

        error[wrong_value]: `ten minutes` is not a duration: write a whole number and one of ms, s, m, h, d, w, for example 10m
          --> b.yaml:6:25 (policy flights, steps[0].acknowledge_within)
          |
        6 |     acknowledge_within: ten minutes
          |                         ^
          = write it as 60s, 10m, 1h or 1d

        12 errors
    "#]].assert_eq(&render(&found, &files, Format::Text));
    expect![[r#"
        [
          {
            "file": "a.yaml",
            "line": 4,
            "column": 1,
            "document": "charter feature:ride.distance",
            "field": "teir",
            "rule": "unknown_field",
            "severity": "error",
            "message": "unknown field `teir`",
            "hint": "did you mean `tier`?"
          },
          {
            "file": "a.yaml",
            "line": 5,
            "column": 7,
            "document": "charter feature:ride.distance",
            "field": "type",
            "rule": "wrong_value",
            "severity": "error",
            "message": "`flaot` is none of double, long, boolean, string",
            "hint": "write one of these"
          }
        ]
    "#]]
    .assert_eq(&render(&found[..2], &files, Format::Json));
}

#[test]
fn a_long_line_is_cut_around_its_finding() {
    let text = format!("kind: charter\nsubject: {{{}b: 1}}\n", "a: 1, ".repeat(100));
    let files = [("a.yaml".to_owned(), text)];
    let (_, found) = read(&files);
    expect![[r#"
        error[wrong_type]: a map is not text
          --> a.yaml:2:10 (charter, subject)
          |
        2 | subject: {a: 1, a: 1, a: 1, a: 1, a: 1, a: 1, a: 1, a: 1, a: 1, a: 1, a: 1, a: 1, a: 1, a: 1, a: 1, a: 1, a: 1, a: 1, a:
          |          ^
          = write one text

        1 error
    "#]].assert_eq(&render(&found[..1], &files, Format::Text));
}

#[test]
fn a_file_with_very_many_findings_shows_the_first() {
    let mut text = "kind: lineage\nedges:\n".to_owned();
    for _ in 0..super::super::FINDINGS_MAX {
        text.push_str("  - {}\n");
    }
    let (_, found) = read(&[("a.yaml".to_owned(), text)]);
    assert_eq!(found.len(), super::super::FINDINGS_MAX + 1);
    expect!["1000 more findings of this file are left out"]
        .assert_eq(&found.last().unwrap().message);
}

#[test]
fn line_ends_and_byte_order_marks_change_nothing() {
    let (documents, _) = read(&examples());
    let windows: Vec<(String, String)> = examples()
        .into_iter()
        .map(|(name, text)| (name, format!("\u{feff}{}", text.replace('\n', "\r\n"))))
        .collect();
    let (same, found) = read(&windows);
    assert_eq!(found, []);
    assert_eq!(same, documents);
}

#[test]
fn what_an_alias_stands_for_is_read_where_it_stands() {
    let text = "kind: charter\nsubject: feature:a\nupstream: &d [dataset:d]\nconsumers: *d\n";
    let (documents, found) = read(&[("a.yaml".to_owned(), text.to_owned())]);
    assert_eq!(found, []);
    let fields = &documents.charters[0].value.fields;
    assert_eq!(fields.upstream, fields.consumers);
}
