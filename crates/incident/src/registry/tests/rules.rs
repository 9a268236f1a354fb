//! Every rule of the lint.

use super::*;

/// A charter of `feature:a` that nothing is wrong with, and more lines.
fn charter(lines: &str) -> String {
    format!("kind: charter\nsubject: feature:a\nowners: {{primary: user:ada}}\n{lines}\n")
}

const LATENCY: &str = "kind: latency, quantile: p99, above: 1s";

#[test]
fn nothing_wrong() {
    check(&charter(""), expect![]);
    check("kind: lineage\nedges: []\n", expect![]);
}

#[test]
fn ambiguous() {
    let doc = |subject: &str, rest: &str| {
        format!("kind: charter\nsubject: {subject}\nowners: {{primary: user:ada}}\n{rest}\n---\n")
    };
    let other =
        |subject: &str, rest: &str| format!("kind: charter\nsubject: {subject}\n{rest}\n---\n");
    check(
        &[doc("feature:a", "tier: 1"), other("feature:a", "tier: 2\nunit: min")].concat(),
        expect![[r#"
            0.yaml:4:7 tier error[tier1_rollback] feature:a is of tier 1 and has no rollback procedure => add `rollback: {procedure: …, within: …}`
            0.yaml:8:7 tier error[ambiguous] `tier` is also set for the equally specific `feature:a` in 0.yaml:4 => keep one of them
        "#]],
    );
    check(&[doc("feature:a", "tier: 2"), other("feature:a", "unit: min")].concat(), expect![]);
    check(
        &[doc("feature:a", "tier: 2"), other("feature:a", "tier: 3\neffective_from: 2013-05-01")]
            .concat(),
        expect![[r#"
        0.yaml:7:10 subject error[no_primary] nobody is accountable for feature:a => name `owners: {primary: …}`
    "#]],
    );
    check(
        &[
            doc("feature:a.*.x", "tier: 2"),
            other("feature:a.*", "tier: 3\nowners: {backup: user:grace}"),
        ]
        .concat(),
        expect![[r#"
        0.yaml:8:7 tier error[ambiguous] `tier` is also set for the equally specific `feature:a.*.x` in 0.yaml:4 => keep one of them
    "#]],
    );
    check(
        &[doc("feature:a.*.x", "tier: 2"), other("feature:a.*.y", "tier: 3")].concat(),
        expect![],
    );
    check(&[doc("feature:a.b*", "tier: 2"), other("feature:a.*", "tier: 3")].concat(), expect![]);
    check(
        "kind: directory\nusers: {ada: {name: Ada}}\ngovernance: user:ken\n",
        expect![[r#"
        1.yaml:3:8 users.ada error[ambiguous] `users.ada` is also defined in 0.yaml:2 => keep one of them
        1.yaml:18:13 governance error[ambiguous] `governance` is also defined in 0.yaml:3 => keep one of them
    "#]],
    );
    let policy =
        "kind: policy\nname: p\nversion: 1\nsteps: [{name: one, notify: [{role: primary}]}]\n---\n";
    check(
        &policy.repeat(2),
        expect![[r#"
        0.yaml:8:10 version error[ambiguous] policy `p` has version 1 already in 0.yaml:2 => count the version up: the highest is in force
    "#]],
    );
    check(&[policy, &policy.replace("version: 1", "version: 2")].concat(), expect![]);
}

#[test]
fn no_primary() {
    check(
        "kind: charter\nsubject: feature:a\n",
        expect![[r#"
        0.yaml:2:10 subject error[no_primary] nobody is accountable for feature:a => name `owners: {primary: …}`
    "#]],
    );
    check("kind: charter\nsubject: feature:a\ngroup: group:flights\n", expect![]);
    check(
        "kind: charter\nsubject: feature:a\ngroup: group:nobody\n",
        expect![[r#"
        0.yaml:2:10 subject error[no_primary] nobody is accountable for feature:a => name `owners: {primary: …}`
    "#]],
    );
    check("kind: charter\nsubject: feature:a\nsystem: screen\n", expect![]);
    check("kind: charter\nsubject: feature:a\ndomain: flying\n", expect![]);
    check(
        "kind: charter\nsubject: feature:a\ndomain: sailing\n",
        expect![[r#"
        0.yaml:2:10 subject error[no_primary] nobody is accountable for feature:a => name `owners: {primary: …}`
    "#]],
    );
    check(
        "kind: charter\nsubject: feature:a\nview: view:v\n---\nkind: charter\nsubject: view:v\nowners: {primary: user:ada}\n",
        expect![],
    );
    check("kind: charter\nsubject: feature:*\ntier: 3\n", expect![]);
    check(
        "kind: charter\nsubject: feature:*\nexpectations: [{name: x, kind: volume, window: 1h, below: 1}]\n",
        expect![[r#"
        0.yaml:2:10 subject error[no_primary] nobody is accountable for feature:* => name `owners: {primary: …}`
    "#]],
    );
    // The pattern comes into force with its date; the feature is judged as of then.
    check(
        "kind: charter\nsubject: feature:*\neffective_from: 2013-01-01\nowners: {primary: user:ada}\n---\nkind: charter\nsubject: feature:a\ntier: 2\n",
        expect![],
    );
}

#[test]
fn unknown_names() {
    check(
        "kind: charter\nsubject: feature:a\nowners: {primary: user:adda, backup: group:flight, reviewer: schedule:roto, executive: user:zoe}\n",
        expect![[r#"
            0.yaml:3:19 owners.primary error[unknown_user] unknown user `adda` => did you mean `user:ada`?
            0.yaml:3:38 owners.backup error[unknown_group] unknown group `flight` => did you mean `group:flights`?
            0.yaml:3:62 owners.reviewer error[unknown_schedule] unknown schedule `roto` => did you mean `schedule:rota`?
            0.yaml:3:88 owners.executive error[unknown_user] unknown user `zoe` => write it under `users` of a directory
        "#]],
    );
    check(
        &charter(
            "group: group:fights\nsystem: bord\ndomain: operation\npolicy: flights\nsubscribers: [user:grce]\napprovals: [{by: user:kenn, at: 2013-04-01}]",
        ),
        expect![[r#"
            0.yaml:4:8 group error[unknown_group] unknown group `fights` => did you mean `group:flights`?
            0.yaml:5:9 system error[unknown_system] unknown system `bord` => did you mean `board`?
            0.yaml:6:9 domain error[unknown_domain] unknown domain `operation` => did you mean `operations`?
            0.yaml:7:9 policy error[unknown_policy] unknown policy `flights` => write a document `kind: policy` of this name
            0.yaml:8:15 subscribers[0] error[unknown_user] unknown user `grce` => did you mean `user:grace`?
            0.yaml:9:18 approvals[0].by error[unknown_user] unknown user `kenn` => did you mean `user:ken`?
        "#]],
    );
    check(
        &charter(
            "system: system:board\ndomain: flying\npolicy: default\nsubscribers: [group:flights, user:ken]\napprovals: [{by: user:ken, at: 2013-04-01}]",
        ),
        expect![[r#"
        0.yaml:4:9 system error[unknown_system] unknown system `system:board` => write `board`, without a type
    "#]],
    );
    check(
        "kind: directory\ngroups: {new: {lead: user:ad, members: [group:flights]}}\nschedules: {new: {layers: [{users: [user:gracie], every: 1w, from: 2013-04-01}], overrides: [{user: user:adda, from: 2013-04-01, to: 2013-04-02}]}}\nsystems: {new: {owner: user:kan, domain: saling, parent: boat}}\ndomains: {new: {owner: user:ada, parent: nothing}}\n",
        expect![[r#"
            0.yaml:2:22 groups.new.lead error[unknown_user] unknown user `ad` => did you mean `user:ada`?
            0.yaml:2:41 groups.new.members[0] error[naming] `group:flights` is no user => write a user of the directory, such as `user:ada`
            0.yaml:3:37 schedules.new.layers[0].users[0] error[unknown_user] unknown user `gracie` => did you mean `user:grace`?
            0.yaml:3:101 schedules.new.overrides[0].user error[unknown_user] unknown user `adda` => did you mean `user:ada`?
            0.yaml:4:24 systems.new.owner error[unknown_user] unknown user `kan` => did you mean `user:ken`?
            0.yaml:4:42 systems.new.domain error[unknown_domain] unknown domain `saling` => did you mean `sailing`?
            0.yaml:4:58 systems.new.parent error[unknown_system] unknown system `boat` => write it under `systems` of a directory
            0.yaml:5:42 domains.new.parent error[unknown_domain] unknown domain `nothing` => write it under `domains` of a directory
        "#]],
    );
}

#[test]
fn policies() {
    let policy = |notify: &str, rest: &str| {
        format!(
            "kind: policy\nname: p\nsteps:\n  - {{name: one, notify: [{notify}]}}\n  - {{name: two, notify: [{{role: primary}}]}}\n{rest}\n"
        )
    };
    check(
        &policy(
            "{user: user:ada}, {group: group:flights}, {schedule: \"schedule:rota\"}",
            "verification: {on_failure: two}\non_exhausted: {notify: [user:ken]}",
        ),
        expect![],
    );
    check(
        &policy(
            "{user: user:adda}, {group: user:ada}, {schedule: rota}",
            "verification: {on_failure: tow}\non_exhausted: {notify: [group:flight, ken]}",
        ),
        expect![[r#"
            0.yaml:4:33 steps[0].notify[0].user error[unknown_user] unknown user `adda` => did you mean `user:ada`?
            0.yaml:4:53 steps[0].notify[1].group error[naming] `user:ada` is no group => write a group of the directory, such as `group:flights`
            0.yaml:4:75 steps[0].notify[2].schedule error[naming] `rota` has no type: schedule => write `schedule:rota`
            0.yaml:6:28 verification.on_failure error[unknown_step] the policy has no step `tow` => did you mean `two`?
            0.yaml:7:25 on_exhausted.notify[0] error[unknown_group] unknown group `flight` => did you mean `group:flights`?
            0.yaml:7:39 on_exhausted.notify[1] error[naming] `ken` has no type: user, group or schedule => write `user:ken`
        "#]],
    );
    check(
        &policy("{role: primary}", "").replace("name: two", "name: one"),
        expect![[r#"
            0.yaml:5:12 steps[1].name error[duplicate_step] the policy has a step `one` already => give one of the two another name
        "#]],
    );
    let classes = policy("{role: primary}", "independence: {monetisation: {}}\n---");
    check(
        &[&classes, &*charter("policy: p\nindependence: monetization")].concat(),
        expect![[r#"
        0.yaml:12:15 independence error[unknown_class] policy `p` has no independence class `monetization` => did you mean `monetisation`?
    "#]],
    );
    check(&[&classes, &*charter("policy: p\nindependence: monetisation")].concat(), expect![]);
}

#[test]
fn lineage_type() {
    check(
        "kind: lineage\nedges:\n  - {from: dataset:a, to: feature:b}\n",
        expect![[r#"
        0.yaml:3:27 edges[0].to warning[unknown_node] no charter is about feature:b => write a charter, or take the edge away
    "#]],
    );
    check(
        "kind: lineage\nedges:\n  - {from: datasets:a, to: b}\n  - {from: \"dataset:\", to: feature:b}\n",
        expect![[r#"
            0.yaml:3:12 edges[0].from error[lineage_type] `datasets:a` is no feature, dataset, pipeline, view, model, dashboard or service => did you mean `dataset:a`?
            0.yaml:3:28 edges[0].to error[lineage_type] `b` has no type: feature, dataset, pipeline, view, model, dashboard or service => write `feature:b`
            0.yaml:4:12 edges[1].from error[lineage_type] `dataset:` has a type and no name
            0.yaml:4:28 edges[1].to warning[unknown_node] no charter is about feature:b => write a charter, or take the edge away
        "#]],
    );
    check(
        &charter("upstream: [table:x]\nconsumers: [model:m, report]"),
        expect![[r#"
        0.yaml:4:12 upstream[0] error[lineage_type] `table:x` is no feature, dataset, pipeline, view, model, dashboard or service
        0.yaml:5:22 consumers[1] error[lineage_type] `report` has no type: feature, dataset, pipeline, view, model, dashboard or service => write `feature:report`
    "#]],
    );
}

#[test]
fn backups() {
    check(
        "kind: charter\nsubject: feature:a\nowners: {primary: user:ada, backup: user:grace}\n",
        expect![],
    );
    check(
        "kind: charter\nsubject: feature:a\nowners: {primary: user:ada, backup: user:ada}\n",
        expect![[r#"
            0.yaml:3:37 owners.backup error[primary_is_backup] user:ada is the primary too => name somebody else, or no backup
        "#]],
    );
    check(
        "kind: charter\nsubject: feature:a\nowners: {primary: user:ada, backup: user:ken}\n",
        expect![[r#"
            0.yaml:3:37 owners.backup error[backup_without_contact] user:ken has no contact => give the directory a contact: {tool: email, to: …}
        "#]],
    );
    check(
        "kind: charter\nsubject: feature:a\nowners: {primary: user:ada, backup: group:nobody}\n",
        expect![[r#"
            0.yaml:3:37 owners.backup error[backup_without_contact] group:nobody has no contact => give the directory a contact: {tool: email, to: …}
        "#]],
    );
    check(
        "kind: charter\nsubject: feature:a\nowners: {primary: user:grace, backup: schedule:rota}\n",
        expect![],
    );
    // The rota is of the primary alone.
    check(
        "kind: charter\nsubject: feature:a\nowners: {primary: user:ada, backup: schedule:rota}\n",
        expect![[r#"
            0.yaml:3:37 owners.backup warning[primary_is_backup] there is nobody behind schedule:rota but user:ada, who is the primary => name somebody else, or no backup
        "#]],
    );
    // Inherited by two features and said once, where it is written.
    check(
        "kind: charter\nsubject: feature:*\nowners: {primary: user:ada, backup: user:ada}\n---\nkind: charter\nsubject: feature:a\n---\nkind: charter\nsubject: feature:b\n",
        expect![[r#"
            0.yaml:3:37 owners.backup error[primary_is_backup] user:ada is the primary too => name somebody else, or no backup
        "#]],
    );
}

#[test]
fn rollback_criteria() {
    let with = |criteria: &str| {
        charter(&format!(
            "rollback: {{procedure: p, criteria: [{criteria}]}}\nexpectations: [{{name: slow, window: 1h, {LATENCY}}}]"
        ))
    };
    check(&with("slow"), expect![]);
    check(
        &with("slow, slwo"),
        expect![[r#"
        0.yaml:4:43 rollback.criteria[1] error[rollback_criteria] `slwo` is no expectation of feature:a => did you mean `slow`?
    "#]],
    );
    check(
        "kind: charter\nsubject: feature:*\nowners: {primary: user:ada}\nrollback: {criteria: [slow]}\n",
        expect![],
    );
    check(
        "kind: charter\nsubject: feature:*\nowners: {primary: user:ada}\nrollback: {criteria: [slow]}\n---\nkind: charter\nsubject: feature:a\n",
        expect![[r#"
        0.yaml:4:23 rollback.criteria[0] error[rollback_criteria] `slow` is no expectation of feature:a
    "#]],
    );
}

#[test]
fn windows() {
    let one = |window: &str, rule: &str| {
        charter(&format!("expectations:\n  - {{name: x, window: {window}, {rule}}}"))
    };
    let seasonal =
        |by: &str| format!("kind: drift, baseline: {{kind: seasonal, by: {by}, weeks: 2}}");
    check(&one("{kind: hopping, size: 1h, hop: 25m}", LATENCY), expect![]);
    check(&one("{kind: session, gap: 90s}", LATENCY), expect![]);
    check(&one("{kind: hopping, size: 3h, hop: 1h}", &seasonal("hour_of_day")), expect![]);
    check(
        &one("{kind: hopping, size: 1h, hop: 90s}", LATENCY),
        expect![[r#"
            0.yaml:5:23 expectations[0].window error[window_pane] 1h/90s is no multiple of the pane, 1m
        "#]],
    );
    check(
        &one("{kind: session, gap: 30s}", LATENCY),
        expect![[r#"
        0.yaml:5:23 expectations[0].window error[window_pane] a gap of 30s is shorter than the pane, 1m => write a gap of at least 1m, or set time.pane
    "#]],
    );
    check(
        &one("{kind: hopping, size: 4w, hop: 1m}", LATENCY),
        expect![[r#"
        0.yaml:5:23 expectations[0].window error[window_overlap] 4w/1m: an event is in 40320 windows => at most 10000 are kept: lengthen the hop
    "#]],
    );
    check(
        &one("{kind: session, gap: 5m}", "kind: silence, after: 1h"),
        expect![[r#"
        0.yaml:5:23 expectations[0].window error[session_silence] a session has no silence: it ends with its last event => judge silence by a tumbling or hopping window
    "#]],
    );
    check(
        &one("{kind: session, gap: 5m}", &seasonal("hour_of_day")),
        expect![[r#"
        0.yaml:5:72 expectations[0].baseline error[season] sessions have no seasonal baseline: they begin at any time => compare with a fixed baseline
    "#]],
    );
    check(
        &one("{kind: session, gap: 5m}", "kind: drift, baseline: {kind: rolling, windows: 2}"),
        expect![[r#"
            0.yaml:5:72 expectations[0].baseline error[season] sessions have no rolling baseline: they begin at any time => compare with a fixed baseline or a profile
        "#]],
    );
    check(
        &one("{kind: hopping, size: 20h, hop: 5h}", &seasonal("hour_of_week")),
        expect![[r#"
        0.yaml:5:83 expectations[0].baseline error[season] no window of 20h/5h begins 1w before another => write a hop that divides 1w
    "#]],
    );
    check(
        &one("5h", &seasonal("hour_of_day")),
        expect![[r#"
        0.yaml:5:50 expectations[0].baseline error[season] no window of 5h begins 1d before another => write a size that divides 1d
    "#]],
    );
}

#[test]
fn expectations() {
    let two = |first: &str, second: &str, window: &str| {
        charter(&format!(
            "expectations:\n  - {{name: {first}, window: 1h, {LATENCY}}}\n  - {{name: {second}, window: {window}, {LATENCY}}}"
        ))
    };
    check(&two("slow", "slower", "5m"), expect![]);
    check(
        &two("slow", "slow", "5m"),
        expect![[r#"
            0.yaml:6:12 expectations[1].name error[duplicate_expectation] the charter has an expectation `slow` already => give one of the two another name
        "#]],
    );
    check(
        &two("slow", "slower", "90s"),
        expect![[r#"
            0.yaml:6:28 expectations[1].window error[window_pane] 90s is no multiple of the pane, 1m
        "#]],
    );
}

#[test]
fn naming() {
    let subject =
        |name: &str| format!("kind: charter\nsubject: \"{name}\"\nowners: {{primary: user:ada}}\n");
    check(&subject("feature:flight.*"), expect![]);
    check(&subject("*"), expect![]);
    check(
        &subject("flight.origin"),
        expect![[r#"
        0.yaml:2:10 subject error[naming] `flight.origin` has no type: feature, dataset, pipeline, view, model, dashboard or service => write `feature:flight.origin`
    "#]],
    );
    check(
        &subject("featur:flight.origin"),
        expect![[r#"
        0.yaml:2:10 subject error[naming] `featur:flight.origin` is no feature, dataset, pipeline, view, model, dashboard or service => did you mean `feature:flight.origin`?
    "#]],
    );
    check(
        "kind: charter\nsubject: feature:a\nowners: {primary: ada, backup: flights}\nview: feature:x\ngroup: user:ada\n",
        expect![[r#"
            0.yaml:3:19 owners.primary error[naming] `ada` has no type: user, group or schedule => write `user:ada`
            0.yaml:3:32 owners.backup error[naming] `flights` has no type: user, group or schedule => write `group:flights`
            0.yaml:4:7 view error[naming] `feature:x` is no view => write `view:x`
            0.yaml:5:8 group error[naming] `user:ada` is no group => write a group of the directory, such as `group:flights`
        "#]],
    );
}

#[test]
fn tier_1_rollback() {
    check(
        &charter("tier: 1"),
        expect![[r#"
            0.yaml:4:7 tier error[tier1_rollback] feature:a is of tier 1 and has no rollback procedure => add `rollback: {procedure: …, within: …}`
        "#]],
    );
    check(&charter("tier: 2"), expect![]);
    check(&charter("tier: 1\nrollback: {procedure: turn it off}"), expect![]);
    // A pattern may be there for others to build on, unless something is expected.
    let pattern = |lines: &str| charter(lines).replace("feature:a", "feature:a.*");
    check(&pattern("tier: 1"), expect![]);
    let expected = format!("tier: 1\nexpectations: [{{name: slow, window: 1h, {LATENCY}}}]");
    check(
        &pattern(&expected),
        expect![[r#"
            0.yaml:4:7 tier error[tier1_rollback] feature:a.* is of tier 1 and has no rollback procedure => add `rollback: {procedure: …, within: …}`
        "#]],
    );
}

#[test]
fn cycles() {
    check(
        "kind: lineage\nedges:\n  - {from: dataset:a, to: view:b}\n  - {from: view:b, to: model:c}\n  - {from: dataset:a, to: model:c}\n",
        expect![],
    );
    check(
        "kind: lineage\nedges:\n  - {from: dataset:a, to: view:b}\n  - {from: view:b, to: model:c}\n  - {from: model:c, to: dataset:a}\n  - {from: view:b, to: dataset:a}\n",
        expect![[r#"
            0.yaml:3:5 edges[0] error[lineage_cycle] cycle in the lineage: dataset:a → view:b → dataset:a => take one of these edges away
        "#]],
    );
    check(
        &charter("upstream: [dataset:d]\nconsumers: [dataset:d]"),
        expect![[r#"
            0.yaml:4:12 upstream[0] error[lineage_cycle] cycle in the lineage: dataset:d → feature:a → dataset:d => take one of these edges away
        "#]],
    );
    check(
        &charter("upstream: [feature:a]"),
        expect![[r#"
            0.yaml:4:12 upstream[0] error[lineage_cycle] cycle in the lineage: feature:a → feature:a => take one of these edges away
        "#]],
    );
    check(
        "kind: charter\nsubject: dataset:*\nowners: {primary: user:ada}\nupstream: [dataset:a]\n---\nkind: charter\nsubject: dataset:a\n",
        expect![],
    );
    check(
        "kind: directory\nsystems: {x: {parent: y}, y: {parent: x}}\ndomains: {z: {parent: z}}\n",
        expect![[r#"
            0.yaml:2:23 systems.x.parent error[parent_cycle] the system is a part of itself: x → y → x => take one `parent` away
            0.yaml:3:23 domains.z.parent error[parent_cycle] the domain is a part of itself: z → z => take one `parent` away
        "#]],
    );
}
