//! Catalogs of all sorts, in which everybody who is named is defined and every
//! charter has somebody accountable.

use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use watchkeep_interop::Catalog;
use watchkeep_model::charter::{
    Approval, CharterDocument, CharterFields, Expectation, Lifecycle, Owners, Rollback, ValueType,
};
use watchkeep_model::directory::{Absence, Contact, Directory, Domain, Group, System, User};
use watchkeep_model::lineage::Edge;
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_wire::yaml;

const USERS: [&str; 4] = ["ada", "grace", "ken.lane", "radia@example.com"];
const GROUPS: [&str; 3] = ["flight-data", "Crew", "data/governance"];
const SYSTEMS: [&str; 2] = ["flight-board", "odd system"];
const DOMAINS: [&str; 2] = ["operations", "x"];
const SUBJECTS: [&str; 16] = [
    "feature:flight.delay",
    "feature:flight.Delay",
    "feature:flight.origin",
    "feature:basket.total",
    "feature:alone",
    "dataset:flight",
    "dataset:bts.on_time",
    "dataset:raw/orders 2024",
    "pipeline:hourly",
    "view:flight-status",
    "view:flight",
    "model:delay-forecast",
    "dashboard:departures",
    "service:board",
    "service:über.board",
    "feature:a_name_that_is_longer_than_the_sixty_three_letters_of_other_catalogs",
];

/// Texts as people write them, and as they do not.
fn text() -> BoxedStrategy<String> {
    prop_oneof![
        "[a-z]{1,8}( [a-z]{1,8}){0,4}",
        select(vec![
            "1.0",
            "true",
            "null",
            "2024-01-01",
            "a: b # c",
            "- x",
            "{a}",
            "\"q\"",
            "ü\nü"
        ])
        .prop_map(str::to_owned),
    ]
    .boxed()
}

fn texts() -> BoxedStrategy<Vec<String>> {
    vec(text(), 1..3).boxed()
}

fn user_name() -> BoxedStrategy<String> {
    select(&USERS[..]).prop_map(|name| format!("user:{name}")).boxed()
}

fn person() -> BoxedStrategy<String> {
    let group = select(&GROUPS[..]).prop_map(|name| format!("group:{name}"));
    prop_oneof![user_name(), group].boxed()
}

fn instant() -> BoxedStrategy<Timestamp> {
    (0i64..2_000_000_000).prop_map(|s| Timestamp::from_micros(s * 1_000_000)).boxed()
}

fn span() -> BoxedStrategy<TimeSpan> {
    prop_oneof![
        (1i64..100).prop_map(|n| TimeSpan::DAY.times(n)),
        (1i64..100).prop_map(|n| TimeSpan::HOUR.times(n)),
        (1i64..10_000).prop_map(|n| TimeSpan::SECOND.times(n)),
    ]
    .boxed()
}

fn share() -> BoxedStrategy<f64> {
    prop_oneof![Just(0.0), (1u32..=1000).prop_map(|n| f64::from(n) / 1000.0), Just(1.0 / 3.0)]
        .boxed()
}

/// Rules as they stand in a charter, without name, window and the like.
fn rule() -> BoxedStrategy<String> {
    let quantile = || select(vec!["p50", "p99", "max"]);
    let baselines = select(vec![
        "{kind: fixed, from: 2013-04-01, to: 2013-04-29}",
        "{kind: seasonal, by: hour_of_week, weeks: 4}",
        "{kind: rolling, windows: 24, min_windows: 12}",
    ]);
    prop_oneof![
        (baselines, share()).prop_map(|(baseline, above)| format!(
            "kind: drift, baseline: {baseline}, effect: {{statistic: js, above: {above}}}"
        )),
        (quantile(), span())
            .prop_map(|(q, above)| format!("kind: latency, quantile: {q}, above: {above}")),
        (quantile(), span())
            .prop_map(|(q, above)| format!("kind: freshness, quantile: {q}, above: {above}")),
        span().prop_map(|above| format!("kind: freshness, quantile: max, above: {above}")),
        span().prop_map(|after| format!("kind: silence, after: {after}")),
        (share(), select(vec![0.99, 0.9]))
            .prop_map(|(above, c)| format!("kind: null_rate, above: {above}, confidence: {c}")),
        share().prop_map(|above| format!("kind: error_rate, above: {above}")),
        (0u64..100, 100u64..1_000_000)
            .prop_map(|(below, above)| format!("kind: volume, below: {below}, above: {above}")),
        (1u64..1_000).prop_map(|below| format!("kind: volume, below: {below}")),
        (-1000i32..0, 0i32..1000, share()).prop_map(|(min, max, above)| format!(
            "kind: range, min: {min}, max: {}, above: {above}",
            f64::from(max) / 8.0
        )),
        (texts(), share()).prop_map(|(allowed, above)| format!(
            "kind: categories, allowed: {}, above: {above}",
            serde_json::to_string(&allowed).expect("texts")
        )),
    ]
    .boxed()
}

fn expectation() -> BoxedStrategy<String> {
    let others = select(vec![
        "window: 1h",
        "window: 1h",
        "window: 1h, severity: warning",
        "window: 1d, severity: critical, min_samples: 1",
        "window: {kind: hopping, size: 1h, hop: 1m}, for: {k: 2, of: 3}, resolve_after: 2",
        "window: 1d, min_samples: 1",
    ]);
    (rule(), others).prop_map(|(rule, others)| format!("{rule}, {others}")).boxed()
}

/// Takes expectations as they are written; a silence has no session windows and
/// so on, which the reader does not look at.
fn expectations(list: Vec<(String, String)>) -> Vec<Expectation> {
    let mut text = "kind: charter\nsubject: feature:x\nexpectations:\n".to_owned();
    for (number, (name, expectation)) in list.into_iter().enumerate() {
        let name = serde_json::to_string(&format!("{name} {number}")).expect("text");
        text.push_str(&format!("  - {{name: {name}, {expectation}}}\n"));
    }
    let (documents, found) = yaml::read(&[("x".to_owned(), text.clone())]);
    assert_eq!(found, [], "{text}");
    documents.charters[0].value.fields.expectations.clone().unwrap_or_default()
}

fn owners() -> BoxedStrategy<Owners> {
    let role = || option::of(person());
    (person(), role(), role(), role(), role())
        .prop_map(|(primary, backup, data_steward, architect, executive)| Owners {
            backup: backup.filter(|backup| *backup != primary),
            primary: Some(primary),
            data_steward,
            architect,
            executive,
            ..Owners::default()
        })
        .boxed()
}

fn fields() -> BoxedStrategy<CharterFields> {
    let lifecycle = select(vec![
        Lifecycle::Draft,
        Lifecycle::Production,
        Lifecycle::Deprecated,
        Lifecycle::Retired,
    ]);
    let types =
        select(vec![ValueType::Double, ValueType::Long, ValueType::Boolean, ValueType::String]);
    let meaning = (option::of(text()), option::of(types), option::of(text()), option::of(1u8..=4));
    let place = (
        option::of(Just("view:flight-status".to_owned())),
        option::of(select(&GROUPS[..]).prop_map(|name| format!("group:{name}"))),
        option::of(select(&SYSTEMS[..]).prop_map(str::to_owned)),
        option::of(select(&DOMAINS[..]).prop_map(str::to_owned)),
        option::of(lifecycle),
    );
    let people = (owners(), option::of(vec(person(), 1..3)));
    let lists = (option::of(texts()), option::of(texts()), option::of(texts()));
    let care = (
        option::of(text()),
        option::of(prop_oneof![Just("https://wiki.example.com/a?b#c".to_owned()), text()]),
        option::of((text(), span())),
        option::of(span()),
        option::of(instant()),
        option::of((user_name(), instant())),
    );
    let expectations = option::of(vec((text(), expectation()), 1..4).prop_map(expectations));
    (meaning, place, people, lists, care, expectations)
        .prop_map(|(meaning, place, people, lists, care, expectations)| {
            let (description, value_type, unit, tier) = meaning;
            let (view, group, system, domain, lifecycle) = place;
            let (owners, subscribers) = people;
            let (business_outcomes, duties, external_dependencies) = lists;
            let (policy, runbook, rollback, review_every, reviewed_at, approval) = care;
            let rollback = rollback.map(|(procedure, within)| Rollback {
                procedure: Some(procedure),
                within: Some(within),
                criteria: None,
            });
            CharterFields {
                description,
                r#type: value_type,
                unit,
                tier,
                lifecycle,
                view,
                group,
                system,
                domain,
                owners,
                subscribers,
                business_outcomes,
                duties,
                external_dependencies,
                policy,
                runbook,
                rollback: rollback.unwrap_or_default(),
                review_every,
                reviewed_at,
                approvals: approval.map(|(by, at)| vec![Approval { by, at }]),
                expectations,
                ..CharterFields::default()
            }
        })
        .boxed()
}

fn user() -> BoxedStrategy<User> {
    let contact = (select(vec!["email", "pagerduty"]), text())
        .prop_map(|(tool, to)| Contact { tool: tool.into(), to });
    let absence =
        Absence { from: Timestamp::from_micros(0), to: Timestamp::from_micros(86_400_000_000) };
    (
        option::of(text()),
        vec(contact, 0..3),
        any::<bool>(),
        any::<bool>(),
        option::of(Just("Europe/London".to_owned())),
        option::of(1u32..5),
    )
        .prop_map(move |(name, contacts, away, active, zone, max_open)| User {
            name,
            contacts,
            absences: if away { vec![absence] } else { Vec::new() },
            active,
            zone,
            max_open,
        })
        .boxed()
}

fn directory() -> BoxedStrategy<Directory> {
    let users = USERS.map(|name| user().prop_map(move |user| (name.to_owned(), user)));
    let users = users.into_iter().collect::<Vec<_>>();
    let members = || subsequence(USERS.to_vec(), 1..=USERS.len());
    let groups = vec((option::of(user_name()), members()), GROUPS.len());
    let owner = || option::of(person());
    let systems = vec((owner(), option::of(select(&DOMAINS[..]))), SYSTEMS.len());
    let domains = vec(owner(), DOMAINS.len());
    (users, groups, systems, domains)
        .prop_map(|(users, groups, systems, domains)| {
            let group = |(lead, members): (Option<String>, Vec<&str>)| Group {
                lead,
                members: members.into_iter().map(|name| format!("user:{name}")).collect(),
            };
            let system = |(owner, domain): (Option<String>, Option<&str>)| System {
                owner,
                domain: domain.map(str::to_owned),
                parent: None,
            };
            let named =
                |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
            let mut directory = Directory {
                users: users.into_iter().collect(),
                groups: named(&GROUPS).into_iter().zip(groups.into_iter().map(group)).collect(),
                systems: named(&SYSTEMS).into_iter().zip(systems.into_iter().map(system)).collect(),
                domains: named(&DOMAINS)
                    .into_iter()
                    .zip(domains.into_iter().map(|owner| Domain { owner, ..Domain::default() }))
                    .collect(),
                ..Directory::default()
            };
            if let Some(system) = directory.systems.get_mut(SYSTEMS[0]) {
                system.parent = Some(SYSTEMS[1].to_owned());
            }
            directory
        })
        .boxed()
}

fn edges() -> BoxedStrategy<Vec<Edge>> {
    let end = || select(&SUBJECTS[..]);
    let pairs = btree_set((end(), end()), 0..6);
    let seen = option::weighted(0.2, instant());
    (pairs, seen)
        .prop_map(|(pairs, seen)| {
            let edge = |(from, to): (&str, &str)| Edge {
                from: from.to_owned(),
                to: to.to_owned(),
                last_seen: seen,
            };
            pairs.into_iter().filter(|(from, to)| from != to).map(edge).collect()
        })
        .boxed()
}

/// Any catalog.
pub(crate) fn catalogs() -> BoxedStrategy<Catalog> {
    let charters = btree_map(select(&SUBJECTS[..]), fields(), 0..5);
    (charters, directory(), edges())
        .prop_map(|(charters, directory, edges)| {
            let document = |(subject, fields): (&str, CharterFields)| CharterDocument {
                subject: subject.to_owned(),
                fields,
            };
            Catalog::new(charters.into_iter().map(document), directory, edges)
        })
        .boxed()
}
