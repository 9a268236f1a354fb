//! One text for each rule, and the examples whole.

use expect_test::{Expect, expect};

use super::{FILE_BYTES_MAX, Format, read, render};

mod formats;
mod hostile;
mod whole;

/// Reads one file and shows its findings, each on one line.
fn findings(text: &str) -> String {
    let (_, found) = read(&[("a.yaml".to_owned(), text.to_owned())]);
    let mut shown = String::new();
    for d in found {
        shown.push_str(&format!("{}:{} {} [{}] {}", d.line, d.column, d.field, d.rule, d.message));
        if let Some(hint) = d.hint {
            shown.push_str(&format!(" => {hint}"));
        }
        shown.push('\n');
    }
    shown
}

fn check(text: &str, expected: Expect) {
    expected.assert_eq(&findings(text));
}

/// Findings of a charter with one expectation, given by its lines.
fn check_expectation(lines: &str, expected: Expect) {
    expected.assert_eq(&findings(&with_expectation(lines)));
}

fn with_expectation(lines: &str) -> String {
    let mut text = "kind: charter\nsubject: feature:a\nexpectations:\n  - name: x\n".to_owned();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        text.push_str("    ");
        text.push_str(line);
        text.push('\n');
    }
    text
}

#[test]
fn two_bytes_for_each_character_are_told_without_a_mark() {
    let units = || "kind: charter".encode_utf16();
    let little: Vec<u8> = units().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = units().flat_map(u16::to_be_bytes).collect();
    for bytes in [little, big] {
        assert_eq!(super::text("a.yaml", &bytes).unwrap_err().message, "the file is UTF-16");
    }
    assert_eq!(super::text("a.yaml", b"k: 1").unwrap(), "k: 1");
}

#[test]
fn syntax() {
    check("kind: charter\nsubject: feature:a\nunit: min\n", expect![]);
    check(
        "kind: charter\nsubject: feature:a\nowners:\n\tprimary: user:ada\n",
        expect![[r#"
        4:1  [syntax] the line is indented with a tab => indent with spaces
    "#]],
    );
    check(
        "kind: charter\nsubject:\tfeature:a\n",
        expect![[r#"
        2:10  [syntax] not YAML: ':' must be followed by a valid YAML whitespace => write a space behind the colon, not a tab
    "#]],
    );
    check(
        "kind: charter\nsubject: *feature\n",
        expect![[r#"
        2:10  [syntax] not YAML: while parsing node, found unknown anchor => put a text that begins with `*` in quotes
    "#]],
    );
    check(
        "kind: charter\nsubject: feature:a\ndescription: late: more than an hour\n",
        expect![[r#"
        3:18  [syntax] not YAML: mapping values are not allowed in this context => put a text that contains `: ` in quotes
    "#]],
    );
    check(
        "kind: charter\nsubject: {a: b\n",
        expect![[r#"
        3:1  [syntax] not YAML: while parsing a flow mapping, did not find expected ',' or '}'
    "#]],
    );
    check(
        "kind: charter\nsubject: !special feature:a\n",
        expect![[r#"
        2:10  [unsupported] the tag !special is not supported
    "#]],
    );
}

#[test]
fn a_fault_of_the_syntax_costs_one_document() {
    check(
        "kind: charter\nsubject: [\n---\nkind: charter\nsubject: feature:a\nteir: 1\n",
        expect![[r#"
        3:1  [syntax] not YAML: while parsing a node, did not find expected node content
        6:1 teir [unknown_field] unknown field `teir` => did you mean `tier`?
    "#]],
    );
}

#[test]
fn bounds() {
    check(
        &"#".repeat(FILE_BYTES_MAX + 1),
        expect![[r#"
        1:1  [bound] the file has 16777217 bytes and may have 16777216; split it
    "#]],
    );
    check(
        &format!("kind: charter\nsubject: {}", "[".repeat(100)),
        expect![[r#"
        2:73  [bound] more than 64 lists and maps in one another
    "#]],
    );
    check(
        "a: &a [x, x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]\nd: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]\ne: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d]\n",
        expect![[r#"
        5:36  [bound] the aliases of the document stand for more than 100000 values
    "#]],
    );
    check(
        "kind: charter\nsubject: &a [*a]\n",
        expect![[r#"
        2:14  [syntax] the alias stands inside of what it refers to
    "#]],
    );
}

#[test]
fn kind() {
    check(
        "subject: feature:a\n",
        expect![[r#"
        1:1 kind [kind] the document has no `kind` => write one of charter, directory, lineage, policy
    "#]],
    );
    check(
        "kind: charters\nsubject: feature:a\n",
        expect![[r#"
        1:7 kind [kind] unknown kind `charters` => did you mean `charter`?
    "#]],
    );
    check(
        "kind: team\nname: a\n",
        expect![[r#"
        1:7 kind [kind] unknown kind `team` => write one of charter, directory, lineage, policy
    "#]],
    );
    check(
        "- kind: charter\n",
        expect![[r#"
        1:1  [wrong_type] a list is not a document => begin with `kind: charter`
    "#]],
    );
    check("# nothing but a comment\n---\n---\n", expect![]);
}

#[test]
fn unknown_field() {
    check(
        "kind: charter\nsubject: feature:a\nteir: 1\n",
        expect![[r#"
        3:1 teir [unknown_field] unknown field `teir` => did you mean `tier`?
    "#]],
    );
    check(
        "kind: charter\nsubject: feature:a\nowners: {primery: user:ada}\n",
        expect![[r#"
        3:10 owners.primery [unknown_field] unknown field `primery` => did you mean `primary`?
    "#]],
    );
    check(
        "kind: charter\nsubject: feature:a\nrollback: {zebra: 1}\n",
        expect![[r#"
        3:12 rollback.zebra [unknown_field] unknown field `zebra` => known here: procedure, within, criteria
    "#]],
    );
    check(
        "kind: charter\nsubject: feature:a\n<<: {tier: 1}\n",
        expect![[r#"
        3:1 << [unknown_field] merge keys (`<<`) are not supported => write the fields out; `*name` for a whole value is read
    "#]],
    );
    check(
        "kind: charter\nsubject: feature:a\nexpectations: [{<<: {kind: range}, name: a, window: 1h, min: 0}]\n",
        expect![[r#"
        3:16 expectations[0].kind [missing_field] `kind` is missing
        3:17 expectations[0].<< [unknown_field] merge keys (`<<`) are not supported => write the fields out; `*name` for a whole value is read
    "#]],
    );
}

#[test]
fn duplicate_key() {
    check(
        "kind: charter\nsubject: feature:a\ntier: 1\ntier: 2\n",
        expect![[r#"
        4:1  [duplicate_key] `tier` is written twice; the first is in line 3 => keep one of them
    "#]],
    );
    check(
        "kind: charter\nsubject: feature:a\n? [a]\n: b\n",
        expect![[r#"
        3:3  [wrong_type] a list or a map cannot be a key
    "#]],
    );
}

#[test]
fn missing_field_and_value() {
    check(
        "kind: charter\ntier: 1\n",
        expect![[r#"
        1:1 subject [missing_field] `subject` is missing
    "#]],
    );
    check(
        "kind: charter\nsubject: feature:a\nowners:\n  primary: user:ada\n  backup:\n",
        expect![[r#"
        5:3 owners.backup [missing_value] `backup` has no value => write one or take the line away
    "#]],
    );
    check(
        "kind: charter\nsubject: feature:a\nupstream: [~]\napprovals: [{by: user:ada}]\n",
        expect![[r#"
        3:12 upstream[0] [missing_value] an entry of the list has no value
        4:13 approvals[0].at [missing_field] `at` is missing
    "#]],
    );
}

#[test]
fn wrong_type() {
    check(
        "kind: charter\nsubject: [feature:a]\n",
        expect![[r#"
        2:10 subject [wrong_type] a list is not text => write one text
    "#]],
    );
    check(
        "kind: charter\nsubject: feature:a\ndescription: 12\n",
        expect![[r#"
        3:14 description [wrong_type] `12` is not text => write it in quotes: "12"
    "#]],
    );
    check("kind: charter\nsubject: feature:a\ndescription: \"12\"\n", expect![]);
    check(
        "kind: charter\nsubject: feature:a\nconsumers: model:b\n",
        expect![[r#"
        3:12 consumers [wrong_type] `model:b` is not a list => write it in brackets: [a, b]
    "#]],
    );
    check(
        "kind: charter\nsubject: feature:a\ntier: \"1\"\n",
        expect![[r#"
        3:7 tier [wrong_type] `1` is not a whole number => write it without quotes
    "#]],
    );
    check(
        "kind: charter\nsubject: feature:a\nowners: {primary: [user:ada, user:grace]}\n",
        expect![[r#"
        3:19 owners.primary [wrong_type] a list is not one name => name one user, or a group of them
    "#]],
    );
    check(
        "kind: directory\nusers: {ada: {active: yes}}\n",
        expect![[r#"
        2:23 users.ada.active [wrong_type] `yes` is not true or false => write true or false, without quotes
    "#]],
    );
}

#[test]
fn wrong_value() {
    check(
        "kind: charter\nsubject: feature:a\ntier: 5\n",
        expect![[r#"
            3:7 tier [wrong_value] `5` is not a whole number from 1 to 4 => write 4 or less
        "#]],
    );
    check(
        "kind: charter\nsubject: feature:a\ntype: int\nlifecycle: retire\n",
        expect![[r#"
            3:7 type [wrong_value] `int` is none of double, long, boolean, string => write one of these
            4:12 lifecycle [wrong_value] `retire` is none of draft, production, deprecated, retired => did you mean `retired`?
        "#]],
    );
    check(
        "kind: charter\nsubject: feature:a\nreview_every: 90\n",
        expect![[r#"
            3:15 review_every [wrong_value] `90` is not a duration: write a whole number and one of ms, s, m, h, d, w, for example 10m => write it as 60s, 10m, 1h or 1d
        "#]],
    );
    check(
        "kind: charter\nsubject: feature:a\nreviewed_at: yesterday\n",
        expect![[r#"
            3:14 reviewed_at [wrong_value] `yesterday` is not an instant: write RFC 3339, for example 2013-05-06T14:00:00Z => write it as 2013-05-06 or 2013-05-06T14:00:00Z
        "#]],
    );
    check(
        "kind: charter\nsubject: \"\"\n",
        expect![[r#"
            2:10 subject [wrong_value] the text is empty => write one, or take the line away
        "#]],
    );
}

#[test]
fn windows() {
    let latency = |window: &str, expected: Expect| {
        let lines = format!("kind: latency\nwindow: {window}\nquantile: p99\nabove: 1s");
        check_expectation(&lines, expected);
    };
    for fine in [
        "1h",
        "{kind: tumbling, size: 1h}",
        "{kind: hopping, size: 1h, hop: 25m}",
        "{kind: hopping, size: 1h, hop: 1h}",
        "{kind: session, gap: 90s}",
    ] {
        latency(fine, expect![]);
    }
    latency(
        "{kind: hopping, size: 1h, hop: 2h}",
        expect![[r#"
        6:44 expectations[0].window.hop [wrong_value] a hop of 2h is longer than the size of 1h: events would be in no window => write a hop of at most 1h
    "#]],
    );
    latency(
        "{kind: hopping, size: 1h, gap: 5m}",
        expect![[r#"
        6:13 expectations[0].window.hop [missing_field] `hop` is missing
        6:39 expectations[0].window.gap [unknown_field] a hopping window has no `gap` => it has size and hop
    "#]],
    );
    latency(
        "{kind: session, size: 1h}",
        expect![[r#"
        6:13 expectations[0].window.gap [missing_field] `gap` is missing
        6:29 expectations[0].window.size [unknown_field] a session window has no `size` => it has gap
    "#]],
    );
    latency(
        "{kind: sliding, size: 1h}",
        expect![[r#"
            6:20 expectations[0].window.kind [wrong_value] `sliding` is none of tumbling, hopping, session => write one of these
        "#]],
    );
    latency(
        "{kind: session, gap: 0s}",
        expect![[r#"
            6:34 expectations[0].window.gap [wrong_value] the duration must be more than nothing => write for example 10m
        "#]],
    );
    check_expectation("kind: silence\nwindow: 1h\nafter: 10m\nresolve: {after: 5m}", expect![]);
    check_expectation(
        "kind: silence\nwindow: 1h\nresolve: {after: 5m}",
        expect![[r#"
        4:5 expectations[0].after [missing_field] `after` is missing
    "#]],
    );
    check_expectation(
        "kind: silence\nwindow: 1h\nafter: 10m\nresolve: {after: 20m}",
        expect![[r#"
            8:22 expectations[0].resolve.after [wrong_value] `after` of `resolve` must be at most 10m, that of the expectation => write 10m or what is easier
        "#]],
    );
    check("kind: charter\nsubject: feature:a\ndeduplicate: 10m\n", expect![]);
    check(
        "kind: charter\nsubject: feature:a\ndeduplicate: 10\n",
        expect![[r#"
            3:14 deduplicate [wrong_value] `10` is not a duration: write a whole number and one of ms, s, m, h, d, w, for example 10m => write it as 60s, 10m, 1h or 1d
        "#]],
    );
}

#[test]
fn usual_volumes() {
    let volume = |rest: &str| format!("kind: volume\nwindow: 1h\n{rest}");
    let rolling = "baseline: {kind: rolling, windows: 24}";
    check_expectation(
        &volume(&format!(
            "change: 0.5\n{rolling}\np_below: 0.01\nresolve: {{change: 0.3, p_below: 0.05}}"
        )),
        expect![],
    );
    check_expectation(
        &volume("change: 0\np_below: 1"),
        expect![[r#"
            4:5 expectations[0].baseline [missing_field] `baseline` is missing
            7:13 expectations[0].change [wrong_value] 0 is not above 0 => write for example 0.1
            8:14 expectations[0].p_below [wrong_value] 1 is not between 0 and 1 => write a number above 0 and below 1
        "#]],
    );
    check_expectation(
        &volume(&format!("change: 0.5\n{rolling}\nbelow: 10")),
        expect![[r#"
        9:5 expectations[0].below [wrong_value] `below` does not go with `change` => write a second volume for the bounds
    "#]],
    );
    check_expectation(
        &volume(&format!("change: 0.5\n{rolling}\nresolve: {{change: 0.6, p_below: 0.0001}}")),
        expect![[r#"
            9:23 expectations[0].resolve.change [wrong_value] `change` of `resolve` must be at most 0.5, that of the expectation => write 0.5 or what is easier
            9:37 expectations[0].resolve.p_below [wrong_value] `p_below` of `resolve` must be at least 0.001, that of the expectation => write 0.001 or what is easier
        "#]],
    );
    check_expectation(
        &volume("change: 0.5\nbaseline: {kind: profile, id: a}"),
        expect![[r#"
        8:15 expectations[0].baseline [wrong_value] a training set does not say how many events come in a window => write a fixed, rolling or seasonal baseline
    "#]],
    );
    check_expectation(
        &volume("change: 0.5\nbaseline: {kind: fixed, from: 2013-01-01, to: 2015-01-01}"),
        expect![[r#"
            8:15 expectations[0].baseline [wrong_value] the range holds 17520 windows; at most 10000 are counted => shorten the range, or lengthen the window
        "#]],
    );
    check_expectation(
        &format!("kind: volume\nwindow: {{kind: session, gap: 5m}}\nchange: 0.5\n{rolling}"),
        expect![[r#"
            8:15 expectations[0].baseline [wrong_value] sessions have no usual number of events: they are as long as they are => write a tumbling window
        "#]],
    );
}

#[test]
fn learned_thresholds() {
    check_expectation(
        "kind: latency\nwindow: 1h\nquantile: p99\nabove: learned\nfalse_alarm_rate: 0.001\nfrom: 4w\nresolve: {false_alarm_rate: 0.01}",
        expect![],
    );
    check_expectation(
        "kind: range\nwindow: 5m\nmin: learned\nmax: learned\nfalse_alarm_rate: 0.001\nfrom: 4w",
        expect![],
    );
    check_expectation(
        "kind: volume\nwindow: 1h\nbelow: learned\nabove: 100\nfalse_alarm_rate: 0.001\nfrom: 4w",
        expect![],
    );
    check_expectation(
        "kind: drift\nwindow: 1h\nbaseline: {kind: seasonal, by: hour_of_week, weeks: 4}\neffect: {statistic: js, above: learned, false_alarm_rate: 0.001, from: 4w}",
        expect![],
    );
    check_expectation(
        "kind: latency\nwindow: 1h\nquantile: p99\nabove: learned",
        expect![[r#"
        4:5 expectations[0].false_alarm_rate [missing_field] `false_alarm_rate` is missing
        4:5 expectations[0].from [missing_field] `from` is missing
    "#]],
    );
    check_expectation(
        "kind: latency\nwindow: 1h\nquantile: p99\nabove: 1s\nfrom: 4w",
        expect![[r#"
        9:5 expectations[0].from [unknown_field] unknown field `from` => known here: name, kind, window, severity, min_samples, for, resolve_after, resolve, quantile, above
    "#]],
    );
    check_expectation(
        "kind: latency\nwindow: 1h\nquantile: p99\nabove: learned\nfalse_alarm_rate: 0.5\nfrom: 4w",
        expect![[r#"
            9:23 expectations[0].false_alarm_rate [wrong_value] 0.5 is not a share of false alarms from 0.000001 to below 0.5 => write for example 0.001
        "#]],
    );
    check_expectation(
        "kind: null_rate\nwindow: 1h\nabove: learned\nfalse_alarm_rate: 0.01\nfrom: 10h\nresolve: {false_alarm_rate: 0.001}",
        expect![[r#"
            9:11 expectations[0].from [wrong_value] 10h hold 10 windows, no bound is learned from fewer than 20 => write at least 20h
        "#]],
    );
    check_expectation(
        "kind: null_rate\nwindow: 1h\nabove: learned\nfalse_alarm_rate: 0.01\nfrom: 1w\nresolve: {above: 0.1, false_alarm_rate: 0.001}",
        expect![[r#"
            10:15 expectations[0].resolve.above [unknown_field] unknown field `above` => known here: false_alarm_rate
            10:45 expectations[0].resolve.false_alarm_rate [wrong_value] `false_alarm_rate` of `resolve` must be at least 0.01, that of the expectation => write 0.01 or more
        "#]],
    );
    check_expectation(
        "kind: range\nwindow: 1h\nmin: learned\nabove: learned\nfalse_alarm_rate: 0.01\nfrom: 1w",
        expect![[r#"
            4:5 expectations[0] [wrong_value] `above` cannot be learned beside `min` or `max`: the share outside follows from them => write a number for `above`, or bounds that are numbers
        "#]],
    );
}

#[test]
fn objectives() {
    let slo = |rest: &str| format!("kind: slo\nwindow: 1h\n{rest}");
    for good in ["{status: ok}", "{status: [null, ok]}", "{latency_below: 50ms, age_below: 1d}"] {
        check_expectation(&slo(&format!("objective: 0.999\ngood: {good}\nperiod: 4w")), expect![]);
    }
    check_expectation(
        &slo("objective: 99.9\ngood: {latency_blow: 50ms}\nperiod: 5m"),
        expect![[r#"
            7:16 expectations[0].objective [wrong_value] 99.9 is not between 0 and 1 => 99.9 % is 0.999
            8:12 expectations[0].good.latency_blow [unknown_field] unknown field `latency_blow` => did you mean `latency_below`?
            9:13 expectations[0].period [wrong_value] a period of 5m is not from 1h to 366d => write for example 28d
        "#]],
    );
    check_expectation(
        &slo("objective: 0.99\ngood: {}"),
        expect![[r#"
        8:11 expectations[0].good [missing_field] `good` has no condition, so every event would be good => write one of latency_below, age_below and status
    "#]],
    );
    check_expectation(
        &slo("objective: 0.99\ngood: {status: []}"),
        expect![[r#"
        8:20 expectations[0].good.status [wrong_value] no status is good => write for example [ok, stale]
    "#]],
    );
    check_expectation(
        &slo("objective: 0.99\ngood: {status: fine}"),
        expect![[r#"
            8:20 expectations[0].good.status [wrong_value] `fine` is none of ok, null, not_found, stale, error, timeout, defaulted => write one of these
        "#]],
    );
    check_expectation(
        &slo("objective: 0.99\ngood: {status: ok}\nresolve: {objective: 0.9}"),
        expect![[r#"
            9:26 expectations[0].resolve.objective [wrong_value] `objective` of `resolve` must be at least 0.99, that of the expectation => write 0.99 or what is easier
        "#]],
    );
}

#[test]
fn sustained_drifts() {
    check_expectation(
        "kind: drift\nwindow: 1d\nbaseline: {kind: rolling, windows: 30}\nsustained: {false_alarm_rate: 0.001, from: 60d}",
        expect![],
    );
    check_expectation(
        "kind: drift\nwindow: {kind: hopping, size: 1d, hop: 1h}\nbaseline: {kind: rolling, windows: 30}\nsustained: {false_alarm_rate: 0.001, from: 60d}",
        expect![[r#"
            8:16 expectations[0].sustained [wrong_value] `sustained` adds windows up, so they must not overlap => write a tumbling window
        "#]],
    );
    check_expectation(
        "kind: drift\nwindow: 1d\nbaseline: {kind: rolling, windows: 30}\nsustained: {rate: 0.001}",
        expect![[r#"
            8:16 expectations[0].sustained.false_alarm_rate [missing_field] `false_alarm_rate` is missing
            8:16 expectations[0].sustained.from [missing_field] `from` is missing
            8:17 expectations[0].sustained.rate [unknown_field] unknown field `rate` => known here: false_alarm_rate, from
        "#]],
    );
}
