//! What is written is read as it was.

use expect_test::expect;
use proptest::prelude::*;
use watchkeep_model::document::Documents;

use super::*;
use crate::yaml::{Format, read, render, trees};

fn written(documents: &Documents) -> String {
    let mut values: Vec<Value> =
        documents.directories.iter().map(|located| directory(&located.value)).collect();
    values.extend(documents.lineage.iter().map(|located| lineage(&located.value)));
    values.extend(documents.charters.iter().map(|located| charter(&located.value)));
    text(&values, &KEY_ORDER)
}

#[test]
fn the_examples_are_read_back_as_they_were() {
    let examples = [
        include_str!("../../../../../examples/charters/directory.yaml"),
        include_str!("../../../../../examples/charters/flights.yaml"),
    ];
    let examples: Vec<(String, String)> = examples.map(|t| (t[..4].into(), t.into())).to_vec();
    let (before, found) = read(&examples);
    assert_eq!(found, []);
    let files = vec![("a.yaml".to_owned(), written(&before))];
    let (after, found) = read(&files);
    assert_eq!(render(&found, &files, Format::Text), "");
    fn values<T: Clone>(list: &[watchkeep_model::document::Located<T>]) -> Vec<T> {
        list.iter().map(|located| located.value.clone()).collect()
    }
    assert_eq!(values(&after.charters), values(&before.charters));
    assert_eq!(values(&after.directories), values(&before.directories));
    assert_eq!(values(&after.lineage), values(&before.lineage));
}

#[test]
fn expectations_leave_their_defaults_out() {
    let source = "\
kind: charter
subject: feature:a
type: double
owners: {primary: user:ada}
reviewed_at: 2013-03-15
expectations:
  - {name: slow, kind: latency, window: 1h, quantile: p99, above: 1s, resolve: {above: 500ms}, min_samples: 30}
  - {name: shape, kind: drift, window: {kind: hopping, size: 1h, hop: 5m}, baseline: {kind: fixed, from: 2013-04-01, to: 2013-04-29}, effect: {above: 0.2}, for: {k: 2, of: 3}, resolve: {effect: {above: 0.1}}}
  - {name: usual, kind: volume, window: 1h, change: 0.5, baseline: {kind: rolling, windows: 24}, resolve: {change: 0.25}}
";
    let (documents, found) = read(&[("a.yaml".into(), source.into())]);
    assert_eq!(found, []);
    expect![[r#"
        kind: charter
        subject: feature:a
        type: double
        owners: {primary: user:ada}
        reviewed_at: "2013-03-15"
        expectations:
          - name: slow
            kind: latency
            window: 1h
            quantile: p99
            above: 1s
            resolve: {above: 500ms}
            severity: error
          - name: shape
            kind: drift
            window: {kind: hopping, hop: 5m, size: 1h}
            baseline: {kind: fixed, from: "2013-04-01", to: "2013-04-29"}
            bins: 10
            effect: {above: 0.2, statistic: ks_stat}
            for: {k: 2, of: 3}
            p_below: 0.001
            resolve: {effect: {above: 0.1, statistic: ks_stat}}
            severity: error
          - name: usual
            kind: volume
            window: 1h
            baseline: {kind: rolling, windows: 24}
            change: 0.5
            p_below: 0.001
            resolve: {change: 0.25}
            severity: error
    "#]]
    .assert_eq(&written(&documents));
}

#[test]
fn learned_thresholds_are_read_back_as_they_were() {
    let source = "\
kind: charter
subject: feature:a
type: double
owners: {primary: user:ada}
expectations:
  - {name: slow, kind: latency, window: 1h, quantile: p99, above: learned, false_alarm_rate: 0.001, from: 4w, resolve: {false_alarm_rate: 0.01}}
  - {name: empty, kind: null_rate, window: 1h, above: learned, false_alarm_rate: 0.001, from: 4w}
  - {name: ends, kind: range, window: 5m, min: learned, max: 9, above: 0.1, false_alarm_rate: 0.001, from: 4w, resolve: {max: 8}}
  - {name: few, kind: volume, window: 1h, below: learned, above: 100, false_alarm_rate: 0.001, from: 4w}
  - {name: shape, kind: drift, window: 1h, baseline: {kind: rolling, windows: 24}, effect: {statistic: js, above: learned, false_alarm_rate: 0.001, from: 4w}, resolve: {p_below: 0.01}}
";
    let (before, found) = read(&[("a.yaml".into(), source.into())]);
    assert_eq!(found, []);
    let files = vec![("b.yaml".to_owned(), written(&before))];
    let (after, found) = read(&files);
    assert_eq!(render(&found, &files, Format::Text), "", "{}", files[0].1);
    assert_eq!(after.charters[0].value, before.charters[0].value, "{}", files[0].1);
}

fn back(text: &str) -> String {
    let written = super::text(&[json!({"key": text})], &[]);
    let (documents, found) = trees("a.yaml", &written);
    assert_eq!(found, [], "{written}");
    let crate::yaml::Content::Map(fields) = &documents[0].content else { panic!("{written}") };
    match &fields[0].1.content {
        crate::yaml::Content::Scalar { text, .. } => text.clone(),
        other => panic!("{written}: {other:?}"),
    }
}

#[test]
fn texts_that_mean_something_else_are_quoted() {
    for plain in ["user:ada", "1h", "90d", "Ada Byron", "https://wiki.example.com/a", "a:b"] {
        assert_eq!(scalar_text(plain), plain);
    }
    for odd in ["", "1.0", "2013-05-06", "12:30", "0x1F", "yes", "a: b", "a #b", "- a", "*a", "a:"]
    {
        assert_eq!(scalar_text(odd), format!("\"{odd}\""));
        assert_eq!(back(odd), odd);
    }
}

proptest! {
    #[test]
    fn any_text_is_read_back(text in any::<String>()) {
        prop_assert_eq!(back(&text), text);
    }
}
