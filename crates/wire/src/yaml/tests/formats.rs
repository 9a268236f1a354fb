//! The parameters of expectations, directories, lineages and policies.

use super::*;

#[test]
fn expectations_as_they_should_be() {
    check_expectation("kind: error_rate\nwindow: 1h\nabove: 0.01\nconfidence: 0.95", expect![]);
    check_expectation(
        "kind: freshness\nwindow: {kind: tumbling, size: 5m}\nquantile: p999\nabove: 1h\nresolve: {above: 30m}\nresolve_after: 2\nfor: {k: 2, of: 3}",
        expect![],
    );
    check_expectation(
        "kind: categories\nwindow: 1h\nallowed: [a, b, \"1\", \"\", \" \"]",
        expect![],
    );
    check_expectation(
        "kind: drift\nwindow: 1h\nbaseline: {kind: seasonal, by: hour_of_day, weeks: 2}\neffect: {statistic: psi, above: 0.2}\nresolve: {effect: {above: 0.1}}",
        expect![],
    );
}

#[test]
fn baselines_of_past_windows() {
    for baseline in [
        "{kind: profile, id: churn-2026-01}",
        "{kind: rolling, windows: 24}",
        "{kind: rolling, windows: 24, min_windows: 12}",
        "{kind: seasonal, by: hour_of_week, weeks: 4, zone: Europe/Berlin, min_windows: 2}",
        "{kind: seasonal, by: hour_of_day, weeks: 1, zone: UTC, min_windows: 7}",
    ] {
        check_expectation(&format!("kind: drift\nwindow: 1h\nbaseline: {baseline}"), expect![]);
    }
    check_expectation(
        "kind: drift\nwindow: 1h\nbaseline: {kind: rolling}",
        expect![[r#"
        7:15 expectations[0].baseline.windows [missing_field] `windows` is missing
    "#]],
    );
    check_expectation(
        "kind: drift\nwindow: 1h\nbaseline: {kind: rolling, windows: 5, min_windows: 6, zone: UTC}",
        expect![[r#"
            7:56 expectations[0].baseline.min_windows [wrong_value] `6` is not a whole number from 1 to 5 => write 5 or less
            7:59 expectations[0].baseline.zone [unknown_field] unknown field `zone` => known here: kind, windows, min_windows
        "#]],
    );
    check_expectation(
        "kind: drift\nwindow: 1h\nbaseline: {kind: seasonal, by: hour_of_week, weeks: 4, zone: Europe/Berln, min_windows: 5}",
        expect![[r#"
            7:66 expectations[0].baseline.zone [wrong_value] `Europe/Berln` is not a time zone => did you mean `Europe/Berlin`?
        "#]],
    );
    check_expectation(
        "kind: drift\nwindow: 1h\nbaseline: {kind: seasonal, by: hour_of_week, weeks: 4, min_windows: 5}",
        expect![[r#"
            7:73 expectations[0].baseline.min_windows [wrong_value] `5` is not a whole number from 1 to 4 => write 4 or less
        "#]],
    );
}

#[test]
fn the_easier_form_is_the_rule_with_other_thresholds() {
    let text = with_expectation(
        "kind: drift\nwindow: 1h\nbaseline: {kind: fixed, from: 2013-04-01, to: 2013-04-29}\n\
         effect: {statistic: psi, above: 0.2}\nresolve: {effect: {above: 0.05}, p_below: 0.01}",
    );
    let (documents, found) = read(&[("a.yaml".to_owned(), text)]);
    assert!(found.is_empty(), "{found:?}");
    let expectations = documents.charters[0].value.fields.expectations.as_ref().unwrap();
    expect![[r#"
        Some(
            Drift {
                baseline: Fixed {
                    from: Timestamp(
                        1364774400000000,
                    ),
                    to: Timestamp(
                        1367193600000000,
                    ),
                },
                p_below: 0.01,
                effect: Some(
                    Effect {
                        statistic: Psi,
                        above: 0.05,
                    },
                ),
                bins: 10,
                sustained: None,
            },
        )
    "#]]
    .assert_debug_eq(&expectations[0].resolve);
}

#[test]
fn parameters_of_expectations() {
    check_expectation(
        "kind: drif\nwindow: 1h",
        expect![[r#"
        5:11 expectations[0].kind [wrong_value] `drif` is none of drift, latency, freshness, silence, null_rate, error_rate, volume, range, categories, slo => did you mean `drift`?
    "#]],
    );
    check_expectation(
        "kind: latency\nwindow: 1h\nquantile: p98\nabove: 90",
        expect![[r#"
            7:15 expectations[0].quantile [wrong_value] `p98` is none of p50, p75, p90, p95, p99, p999, max => did you mean `p90`?
            8:12 expectations[0].above [wrong_value] `90` is not a duration: write a whole number and one of ms, s, m, h, d, w, for example 10m => write it as 60s, 10m, 1h or 1d
        "#]],
    );
    check_expectation(
        "kind: latency\nwindow: 1h\nquantile: p99\nabove: 1h\nbaseline: {kind: fixed}",
        expect![[r#"
        9:5 expectations[0].baseline [unknown_field] unknown field `baseline` => known here: name, kind, window, severity, min_samples, for, resolve_after, resolve, quantile, above
    "#]],
    );
    check_expectation(
        "kind: latency\nwindow: 0s\nquantile: p99\nabove: 1h\nseverty: error",
        expect![[r#"
            6:13 expectations[0].window [wrong_value] the duration must be more than nothing => write for example 10m
            9:5 expectations[0].severty [unknown_field] unknown field `severty` => did you mean `severity`?
        "#]],
    );
    check_expectation(
        "kind: latency\nwindow: {kind: tumbling, size: 1h, hop: 5m}\nquantile: p99\nabove: 1h",
        expect![[r#"
            6:40 expectations[0].window.hop [unknown_field] a tumbling window has no `hop` => it has size
        "#]],
    );
    check_expectation(
        "kind: null_rate\nwindow: 1h\nabove: 10\nconfidence: 1",
        expect![[r#"
            7:12 expectations[0].above [wrong_value] 10 is not a share from 0 to 1 => 10 % is 0.1
            8:17 expectations[0].confidence [wrong_value] 1 is not between 0 and 1 => write a number above 0 and below 1
        "#]],
    );
    check_expectation(
        "kind: volume\nwindow: 1h",
        expect![[r#"
            4:5 expectations[0] [missing_field] `below` or `above` is missing, or `change` with a `baseline`
        "#]],
    );
    check_expectation(
        "kind: volume\nwindow: 1h\nbelow: 10\nabove: 5",
        expect![[r#"
            8:12 expectations[0].above [wrong_value] the upper bound 5 is less than the lower bound 10 => swap the two, or mend one
        "#]],
    );
    check_expectation(
        "kind: range\nwindow: 1h\nabove: 0.1",
        expect![[r#"
        4:5 expectations[0] [missing_field] `min` or `max` is missing
    "#]],
    );
    check_expectation(
        "kind: range\nwindow: 1h\nmin: 5\nmax: 1e400",
        expect![[r#"
        8:10 expectations[0].max [wrong_type] `1e400` is not a number
    "#]],
    );
    check_expectation(
        "kind: categories\nwindow: 1h\nallowed: [a]\nbaseline: {kind: fixed, from: 2013-04-01, to: 2013-04-29}",
        expect![[r#"
        4:5 expectations[0] [missing_field] exactly one of `allowed` and `baseline` is needed
    "#]],
    );
    check_expectation(
        "kind: drift\nwindow: 1h",
        expect![[r#"
        4:5 expectations[0].baseline [missing_field] `baseline` is missing
    "#]],
    );
    check_expectation(
        "kind: drift\nwindow: 1h\nbaseline: {kind: fixed, from: 2013-04-29, to: 2013-04-01}\nbins: 1\np_below: 0",
        expect![[r#"
            7:51 expectations[0].baseline.to [wrong_value] `to` (2013-04-01T00:00:00Z) is not after `from` (2013-04-29T00:00:00Z) => swap the two, or mend one
            8:11 expectations[0].bins [wrong_value] `1` is not a whole number from 2 to 200 => write 2 or more
            9:14 expectations[0].p_below [wrong_value] 0 is not between 0 and 1 => write a number above 0 and below 1
        "#]],
    );
    check_expectation(
        "kind: drift\nwindow: 1h\nbaseline: {kind: seasonal, by: hour_of_month}\neffect: {above: 0.2}",
        expect![[r#"
            7:15 expectations[0].baseline.weeks [missing_field] `weeks` is missing
            7:36 expectations[0].baseline.by [wrong_value] `hour_of_month` is none of hour_of_day, hour_of_week => write one of these
            8:13 expectations[0].effect.statistic [missing_field] `statistic` is missing
        "#]],
    );
    check_expectation(
        "kind: volume\nwindow: 1h\nbelow: 10\nfor: {k: 3, of: 2}\nresolve_after: 0\nmin_samples: -1",
        expect![[r#"
            8:10 expectations[0].for [wrong_value] 3 of 2 windows can never be bad => write {k: 2, of: 3}
            9:20 expectations[0].resolve_after [wrong_value] `0` is not a whole number from 1 to 1000 => write 1 or more
            10:18 expectations[0].min_samples [wrong_value] `-1` is not a whole number of at least 0 => write 0 or more
        "#]],
    );
}

#[test]
fn thresholds_of_resolve_must_be_easier() {
    check_expectation(
        "kind: latency\nwindow: 1h\nquantile: p99\nabove: 1h\nresolve: {above: 2h}",
        expect![[r#"
            9:22 expectations[0].resolve.above [wrong_value] `above` of `resolve` must be at most 1h, that of the expectation => write 1h or what is easier
        "#]],
    );
    check_expectation(
        "kind: volume\nwindow: 1h\nbelow: 10\nresolve: {below: 5, above: 100}",
        expect![[r#"
            8:22 expectations[0].resolve.below [wrong_value] `below` of `resolve` must be at least 10, that of the expectation => write 10 or what is easier
            8:32 expectations[0].resolve.above [wrong_value] the expectation has no `above` to ease => ease a bound that the expectation has, or take the line away
        "#]],
    );
    check_expectation(
        "kind: range\nwindow: 1h\nmin: 0\nresolve: {}",
        expect![[r#"
        8:14 expectations[0].resolve [missing_field] `resolve` has no threshold => write one of min, max, above
    "#]],
    );
    check_expectation(
        "kind: drift\nwindow: 1h\nbaseline: {kind: fixed, from: 2013-04-01, to: 2013-04-29}\neffect: {statistic: psi, above: 0.1}\nresolve: {effect: {above: 0.2}}",
        expect![[r#"
            9:23 expectations[0].resolve.effect [wrong_value] psi above 0.2 is not easier than psi above 0.1 => write `{statistic: psi, above: …}` with 0.1 or less
        "#]],
    );
}

#[test]
fn directories_and_lineages() {
    check(
        "kind: directory\nusers:\n  ada: {zone: Europe/Lodnon, max_open: 0, contacts: [{tool: email}]}\n  grace: {absences: [{from: 2013-05-20, to: 2013-05-06}]}\nschedules:\n  a: {layers: [{users: [user:ada], every: 0s, from: 2013-04-01}], overrides: [{user: user:ada, from: 2013-04-01}]}\nsystems: {board: {onwer: user:ada}}\n",
        expect![[r#"
            3:15 users.ada.zone [wrong_value] `Europe/Lodnon` is not a time zone => did you mean `Europe/London`?
            3:40 users.ada.max_open [wrong_value] `0` is not a whole number from 1 to 4294967295 => write 1 or more
            3:54 users.ada.contacts[0].to [missing_field] `to` is missing
            4:45 users.grace.absences[0].to [wrong_value] `to` (2013-05-06T00:00:00Z) is not after `from` (2013-05-20T00:00:00Z) => swap the two, or mend one
            6:43 schedules.a.layers[0].every [wrong_value] the duration must be more than nothing => write for example 10m
            6:79 schedules.a.overrides[0].to [missing_field] `to` is missing
            7:19 systems.board.onwer [unknown_field] unknown field `onwer` => did you mean `owner`?
        "#]],
    );
    check(
        "kind: lineage\nedges: [{from: dataset:a, too: feature:b}]\n",
        expect![[r#"
        2:9 edges[0].to [missing_field] `to` is missing
        2:27 edges[0].too [unknown_field] unknown field `too` => did you mean `to`?
    "#]],
    );
    check(
        "kind: lineage\nedges: [{from: dataset:a, to: feature:b, last_seen: 2013-04-01T12:00:00Z}]\n",
        expect![],
    );
}

#[test]
fn policies() {
    check("kind: policy\nname: a\nsteps: [{name: one, notify: [{role: primary}]}]\n", expect![]);
    check(
        "kind: policy\nname: a\nversion: one\nloops: 0\ngrouping: {by: [rot]}\nhours: {zone: UTC, working: [{days: [monday], from: \"9:00\", to: \"18:00\"}, {days: [sat], from: \"22:00\", to: \"06:00\"}], holidays: [2013-05-32], outside: {warning: later}}\nsteps:\n  - name: one\n    kinds: [latency, volumes]\n    notify: [{role: primery}, {user: user:ada, group: group:b}]\n    escalate_if: [not_acknowledged, affected_features, {recurrence: {count: 3}}, {severity: bad}]\nsign_offs: [{gate: resolve, roles: [data_steward], distinct_from: [remediater]}]\n",
        expect![[r#"
            3:10 version [wrong_value] `one` is not a whole number from 0 to 4294967295 => write it in digits alone, such as 0
            4:8 loops [wrong_value] `0` is not a whole number from 1 to 10 => write 1 or more
            5:17 grouping.by[0] [wrong_value] `rot` is none of root, kind, feature, expectation, severity, domain, system, group => did you mean `root`?
            6:38 hours.working[0].days[0] [wrong_value] `monday` is none of mon, tue, wed, thu, fri, sat, sun => did you mean `mon`?
            6:53 hours.working[0].from [wrong_value] `9:00` is not a time of day: write HH:MM, for example 09:00 => write it as "09:00"
            6:108 hours.working[1].to [wrong_value] `to` (06:00) is not after `from` (22:00) => write a night as two: from 22:00 to 24:00 and from 00:00
            6:130 hours.holidays[0] [wrong_value] `2013-05-32` is not a day: write YYYY-MM-DD, for example 2013-05-27 => write it as 2013-05-27
            6:162 hours.outside.warning [wrong_value] `later` is none of page, defer => write one of these
            9:22 steps[0].kinds[1] [wrong_value] `volumes` is none of drift, latency, freshness, silence, null_rate, error_rate, volume, range, categories, slo, platform => did you mean `volume`?
            10:21 steps[0].notify[0].role [wrong_value] `primery` is none of primary, backup, data_steward, architect, business_owner, reviewer, executive => did you mean `primary`?
            10:31 steps[0].notify[1] [missing_field] exactly one of role, user, group and schedule is needed => write an entry for each
            11:18 steps[0].escalate_if [missing_field] `not_acknowledged` never comes without `acknowledge_within` => add `acknowledge_within`
            11:37 steps[0].escalate_if[1] [missing_value] the trigger needs a value => for example {affected_features: 20}, {severity: critical} or {recurrence: {count: 3, within: 7d}}
            11:69 steps[0].escalate_if[2].recurrence.within [missing_field] `within` is missing
            11:93 steps[0].escalate_if[3].severity [wrong_value] `bad` is none of critical, error, warning, info => write one of these
            12:68 sign_offs[0].distinct_from[0] [wrong_value] `remediater` is none of primary, backup, data_steward, architect, business_owner, reviewer, executive, remediator => did you mean `remediator`?
        "#]],
    );
    let steps = "{name: a, notify: [{role: primary}]}, ".repeat(17);
    check(
        &format!("kind: policy\nname: a\nsteps: [{steps}]\n"),
        expect![[r#"
        3:8 steps [bound] a policy has at most 16 steps
    "#]],
    );
    check(
        "kind: policy\nname: a\n",
        expect![[r#"
        1:1 steps [missing_field] `steps` is missing
    "#]],
    );
}

#[test]
fn alert_budgets() {
    let domain =
        |budget: &str| format!("kind: directory\ndomains:\n  shop: {{alert_budget: {budget}}}\n");
    for budget in ["{false_alarms: 0.5, per: 1d}", "{false_discovery_rate: 0.05}"] {
        check(&domain(budget), expect![]);
    }
    check(
        &domain("{false_alarms: 1, false_discovery_rate: 0.05}"),
        expect![[r#"
        3:24 domains.shop.alert_budget [missing_field] exactly one of `false_discovery_rate` and `false_alarms` is needed
    "#]],
    );
    check(
        &domain("{false_alarms: 0, per: 5m}"),
        expect![[r#"
            3:39 domains.shop.alert_budget.false_alarms [wrong_value] the number must be more than 0 => a part of one is possible: 0.1
            3:47 domains.shop.alert_budget.per [wrong_value] the period must be at least 1h => write for example 1w
        "#]],
    );
    check(
        &domain("{false_discovery_rate: 5}"),
        expect![[r#"
            3:47 domains.shop.alert_budget.false_discovery_rate [wrong_value] 5 is not between 0 and 1 => 5 % is 0.05
        "#]],
    );
}
