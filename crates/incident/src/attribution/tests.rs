//! The nearest upstream node with a breach of its own.

use super::*;

fn edges() -> Vec<Edge> {
    [
        ("dataset:a", "pipeline:p"),
        ("dataset:b", "pipeline:p"),
        ("pipeline:p", "view:v"),
        ("view:v", "feature:f"),
    ]
    .map(|(from, to)| Edge::declared(from, to))
    .to_vec()
}

fn search(
    declared: &[String],
    edges: &[Edge],
    limits: &AttributionLimits,
    at: Timestamp,
    evidence: &dyn Fn(&str) -> Option<String>,
) -> Rooted {
    let upstream = |node: &str| edges.iter().filter(|edge| edge.to == node).collect();
    let is_source = edges.iter().any(|edge| edge.from == "feature:f");
    let search = Search { declared, upstream: &upstream, is_source, evidence };
    attribute("feature:f", &search, limits, at)
}

#[track_caller]
fn check(breaching: &[&str], limits: &AttributionLimits, edges: &[Edge], expected: (&str, &str)) {
    let evidence = |node: &str| breaching.contains(&node).then(|| "bad".to_owned());
    let at = "2013-05-08".parse().unwrap();
    let found = search(&[], edges, limits, at, &evidence);
    assert_eq!((found.root.as_str(), found.attribution.method.as_str()), expected);
}

#[test]
fn the_nearest_and_then_the_first_by_name_is_the_root() {
    let limits = AttributionLimits::default();
    check(&["dataset:a", "dataset:b"], &limits, &edges(), ("dataset:a", "upstream_breach"));
    check(&["dataset:a", "view:v"], &limits, &edges(), ("view:v", "upstream_breach"));
    check(&[], &limits, &edges(), ("feature:f", "itself"));
    check(&["dataset:a"], &limits, &[], ("feature:f", "lineage_unknown"));
}

#[test]
fn far_and_stale_nodes_are_not_asked() {
    let near = AttributionLimits { max_depth: 2, ..AttributionLimits::default() };
    check(&["dataset:a"], &near, &edges(), ("feature:f", "itself"));
    let mut stale = edges();
    stale[2].last_seen = Some("2013-04-30".parse().unwrap());
    let limits = AttributionLimits::default();
    check(&["dataset:a"], &limits, &stale, ("feature:f", "itself"));
}

#[test]
fn a_circle_ends() {
    let mut circle = edges();
    circle.push(Edge::declared("feature:f", "dataset:a"));
    check(&[], &AttributionLimits::default(), &circle, ("feature:f", "itself"));
}

#[test]
fn what_the_charter_names_is_upstream_too() {
    let declared = ["dataset:a".to_owned()];
    let evidence = |node: &str| (node == "dataset:a").then(|| "bad".to_owned());
    let at = "2013-05-08".parse().unwrap();
    let limits = AttributionLimits::default();
    let found = search(&declared, &[], &limits, at, &evidence);
    assert_eq!(found.root, "dataset:a");
}
