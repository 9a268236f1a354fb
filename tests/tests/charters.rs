//! Charters as facts: published, proposed, approved, and in force by event time.

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;
use watchkeep_tests::binary;
use watchkeep_tests::service::Service;

/// People, a policy and the charter of one feature, in a folder of files.
struct Folder(PathBuf);

impl Folder {
    fn write(service: &Service, files: &[(&str, String)]) -> Self {
        let folder = service.folder().join("charters");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("disk");
        for (name, text) in files {
            std::fs::write(folder.join(name), text).expect("disk");
        }
        Self(folder)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("text")
    }
}

const PEOPLE: &str = "kind: directory\nusers:\n  ada: {contacts: [{tool: email, to: a@example.com}]}\n  \
    grace: {contacts: [{tool: email, to: g@example.com}]}\n  edgar: {}\n  linus: {}\n\
    governance: user:edgar\n";

const POLICY: &str = "kind: policy\nname: standard\nversion: 1\n\
    steps: [{name: owner, notify: [{role: primary}], acknowledge_within: 10m}]\n";

fn charter(tier: u8, above: f64) -> String {
    format!(
        "kind: charter\nsubject: feature:ride.price\ntier: {tier}\npolicy: standard\n\
         rollback: {{procedure: https://example.com/back}}\n\
         owners: {{primary: user:ada, backup: user:grace, data_steward: user:edgar}}\n\
         expectations:\n  - {{name: nulls, kind: null_rate, window: 10m, above: {above}, min_samples: 1}}\n"
    )
}

fn files(charter: String) -> Vec<(&'static str, String)> {
    vec![("people.yaml", PEOPLE.into()), ("policy.yaml", POLICY.into()), ("ride.yaml", charter)]
}

fn service() -> Service {
    Service::embedded("[charters]\nsource = \"topic\"")
}

/// A command below `charters`, whatever comes of it.
fn charters(service: &Service, arguments: &[&str]) -> Output {
    let mut command = binary::command(["charters"]);
    command.args(arguments).arg("-c").arg(service.config());
    command.output().expect("the binary can be run")
}

fn succeed(service: &Service, arguments: &[&str]) -> String {
    let output = charters(service, arguments);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
    String::from_utf8(output.stdout).expect("text")
}

/// A command that a rule forbids: exit code 1, and what it says.
fn forbidden(service: &Service, arguments: &[&str]) -> String {
    let output = charters(service, arguments);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {error}");
    error
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn publish(service: &Service, folder: &Folder, more: &[&str]) -> Value {
    let mut arguments =
        vec!["publish", "--charters", folder.path(), "--by", "user:ada", "--format", "json"];
    arguments.extend(more);
    json(&succeed(service, &arguments))
}

fn names(published: &Value) -> Vec<String> {
    let changes = published["changes"].as_array().expect("changes");
    let name =
        |c: &Value| format!("{}:{}", c["kind"].as_str().unwrap(), c["name"].as_str().unwrap());
    changes.iter().map(name).collect()
}

#[test]
fn only_what_changed_is_published_with_who_changed_it() {
    let service = service();
    let folder = Folder::write(&service, &files(charter(2, 0.1)));
    let first = publish(&service, &folder, &[]);
    assert_eq!(names(&first).len(), 7, "{first}");
    assert_eq!(publish(&service, &folder, &[])["changes"], serde_json::json!([]));
    let before = service.export("charters").len();

    let folder = Folder::write(&service, &files(charter(2, 0.2)));
    assert_eq!(charters(&service, &["diff", "--charters", folder.path()]).status.code(), Some(1));
    let dry = publish(&service, &folder, &["--dry-run"]);
    assert_eq!(names(&dry), ["charter:feature:ride.price"]);
    assert_eq!(service.export("charters").len(), before);
    publish(&service, &folder, &["--ticket", "CHG-7", "--rationale", "nights are noisy"]);
    assert_eq!(service.export("charters").len(), before + 2);
    assert_eq!(service.export("policies").len(), 1);

    let history = json(&succeed(&service, &["history", "ride.price", "--format", "json"]));
    let line = history.as_array().expect("lines").last().expect("a line");
    assert_eq!(line["field"], "expectations[nulls].above");
    assert_eq!((&line["before"], &line["after"]), (&0.1.into(), &0.2.into()));
    assert_eq!((&line["by"], &line["change_ticket"]), (&"user:ada".into(), &"CHG-7".into()));
    assert_eq!(line["rationale"], "nights are noisy");

    // In force by time: what was published first holds before the second.
    let at = |at: &str| {
        let shown = succeed(&service, &["show", "ride.price", "--at", at, "--format", "json"]);
        json(&shown)["expectations"][0]["above"].clone()
    };
    assert_eq!((at("2020-01-01"), at("2100-01-01")), (0.1.into(), 0.2.into()));
}

#[test]
fn a_folder_with_an_error_is_refused_whole() {
    let service = service();
    let mut files = files(charter(2, 0.1));
    files.push((
        "bad.yaml",
        "kind: charter\nsubject: feature:x\nowners: {primary: user:nobody}\n".into(),
    ));
    let folder = Folder::write(&service, &files);
    let output = charters(&service, &["publish", "--charters", folder.path(), "--by", "user:ada"]);
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("bad.yaml:3") && error.contains("unknown_user"), "{error}");
    assert_eq!(service.export("charters"), Vec::<Value>::new());
}

/// A file with one charter, to be proposed.
fn proposal(service: &Service, charter: &str) -> PathBuf {
    let path = service.folder().join("proposal.yaml");
    std::fs::write(&path, charter).expect("disk");
    path
}

fn propose(service: &Service, file: &Path, by: &str) -> String {
    let file = file.to_str().expect("text");
    let why = ["--by", by, "--rationale", "the old bound is noisy", "--format", "json"];
    let mut arguments = vec!["propose", file];
    arguments.extend(why);
    json(&succeed(service, &arguments))["proposal"].as_str().expect("an id").to_owned()
}

fn above(service: &Service) -> Value {
    json(&succeed(service, &["show", "ride.price", "--format", "json"]))["expectations"][0]["above"]
        .clone()
}

#[test]
fn a_proposal_has_no_effect_until_enough_different_people_agree() {
    let service = service();
    publish(&service, &Folder::write(&service, &files(charter(1, 0.1))), &[]);
    // Anybody may propose and remark, also who owns nothing.
    let id = propose(&service, &proposal(&service, &charter(1, 0.3)), "user:linus");
    let remark = ["comment", &id, "--by", "user:linus", "--rationale", "we rely on the old bound"];
    succeed(&service, &remark);
    assert_eq!(above(&service), 0.1, "unapproved");

    let error = forbidden(&service, &["approve", &id, "--by", "user:linus"]);
    assert!(error.contains("nobody approves what they propose"), "{error}");
    let told = succeed(&service, &["approve", &id, "--by", "user:grace"]);
    assert!(told.contains("1 of 2 approvals"), "{told}");
    assert_eq!(above(&service), 0.1, "one of two");
    let error = forbidden(&service, &["approve", &id, "--by", "user:grace"]);
    assert!(error.contains("has approved it already"), "{error}");
    assert_eq!(above(&service), 0.1, "the same person twice");
    succeed(&service, &["approve", &id, "--by", "user:ada"]);
    assert_eq!(above(&service), 0.3, "two of two");

    let history = json(&succeed(&service, &["history", "ride.price", "--format", "json"]));
    let lines = history.as_array().expect("lines");
    let change = lines.iter().rfind(|l| l["field"] == "expectations[nulls].above").expect("it");
    assert_eq!(change["by"], "user:linus");
    assert_eq!(change["approved_by"], serde_json::json!(["user:ada", "user:grace"]));
    let kinds = |what: &str| lines.iter().filter(|l| l["what"] == what).count();
    assert_eq!((kinds("comment"), kinds("refusal")), (1, 2));
    let table = succeed(&service, &["history", "ride.price"]);
    assert_eq!(table.matches("refusal of approve").count(), 2, "{table}");
}

#[test]
fn a_remark_is_told_of_what_it_concerns_alone() {
    let service = service();
    let ride = charter(2, 0.1);
    let way = |above: f64| charter(2, above).replace("ride.price", "ride.way");
    let files = files(format!("{ride}---\n{}", way(0.1)));
    publish(&service, &Folder::write(&service, &files), &[]);
    // A file with two charters of which one is as it was.
    let both = proposal(&service, &format!("{ride}---\n{}", way(0.3)));
    let id = propose(&service, &both, "user:linus");
    let comment = |about: &str| {
        let comment = ["comment", about, "--by", "user:linus", "--rationale", "why not"];
        let output = charters(&service, &comment);
        assert!(output.status.success(), "{about}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert_eq!(comment(&id) + &comment("ride.way") + &comment("policy:standard"), "");
    // Kept, for what has no charter yet is worth a word, but a slip is seen.
    let error = comment("ride.wey");
    assert!(error.contains("did you mean `feature:ride.way`?"), "{error}");
    let comments = |of: &str| {
        let output = charters(&service, &["history", of, "--format", "json"]);
        let lines = json(&String::from_utf8_lossy(&output.stdout));
        let lines = lines.as_array().expect("lines").iter();
        lines.filter(|line| line["what"] == "comment").count()
    };
    let counts = ["ride.way", "ride.price", "policy:standard", "ride.wey"].map(comments);
    assert_eq!(counts, [2, 0, 1, 1]);
}

#[test]
fn a_rejected_proposal_is_over() {
    let service = service();
    publish(&service, &Folder::write(&service, &files(charter(2, 0.1))), &[]);
    let id = propose(&service, &proposal(&service, &charter(2, 0.3)), "user:linus");
    succeed(&service, &["reject", &id, "--by", "user:ada", "--rationale", "too loose"]);
    let error = forbidden(&service, &["approve", &id, "--by", "user:grace"]);
    assert!(error.contains("rejected already"), "{error}");
    assert_eq!(above(&service), 0.1);
    // Where the tier is not 1, one other person is enough.
    let id = propose(&service, &proposal(&service, &charter(2, 0.4)), "user:linus");
    succeed(&service, &["approve", &id, "--by", "user:edgar"]);
    assert_eq!(above(&service), 0.4);
}

#[test]
fn a_policy_says_who_agrees_to_thresholds() {
    let service = service();
    let gate = "sign_offs: [{gate: threshold_change, roles: [data_steward], minimum: 1}]\n";
    let mut first = files(charter(2, 0.1));
    first[1].1.push_str(gate);
    publish(&service, &Folder::write(&service, &first), &[]);
    // A folder does not go round the gate, unless it carries the approval.
    let mut second = files(charter(2, 0.2));
    second[1].1.push_str(gate);
    let folder = Folder::write(&service, &second);
    let arguments = ["publish", "--charters", folder.path(), "--by", "user:ada"];
    let error = forbidden(&service, &arguments);
    assert!(error.contains("threshold_change") && error.contains("data_steward"), "{error}");
    second[2].1.push_str("approvals: [{by: user:edgar, at: 2026-01-01}]\n");
    let folder = Folder::write(&service, &second);
    succeed(&service, &["publish", "--charters", folder.path(), "--by", "user:ada"]);
    assert_eq!(above(&service), 0.2);
    let id = propose(&service, &proposal(&service, &charter(2, 0.3)), "user:linus");
    let error = forbidden(&service, &["approve", &id, "--by", "user:grace"]);
    assert!(error.contains("the gate threshold_change is for data_steward"), "{error}");
    succeed(&service, &["approve", &id, "--by", "user:edgar"]);
    assert_eq!(above(&service), 0.3);
}

#[test]
fn a_freeze_refuses_changes_and_says_until_when() {
    let service = service();
    publish(&service, &Folder::write(&service, &files(charter(2, 0.1))), &[]);
    let id = propose(&service, &proposal(&service, &charter(2, 0.3)), "user:edgar");
    let mut frozen = files(charter(2, 0.1));
    frozen[1].1.push_str("freeze: [{from: 2020-01-01, to: 2100-01-01, reason: peak season}]\n");
    publish(&service, &Folder::write(&service, &frozen), &[]);
    let error = forbidden(&service, &["approve", &id, "--by", "user:ada"]);
    assert!(error.contains("until 2100-01-01") && error.contains("peak season"), "{error}");
    // What changes nothing is not frozen.
    let no = |by| ["reject", &id, "--by", by, "--rationale", "not before the peak"];
    let error = forbidden(&service, &no("user:linus"));
    assert!(error.contains("user:linus may not reject feature:ride.price"), "{error}");
    succeed(&service, &no("user:ada"));
    frozen[2].1 = charter(2, 0.2);
    let folder = Folder::write(&service, &frozen);
    let error = forbidden(&service, &["publish", "--charters", folder.path(), "--by", "user:ada"]);
    assert!(error.contains("freezes changes"), "{error}");
    assert_eq!(above(&service), 0.1);
}

/// Publishes a folder as somebody, with what else is said.
fn publishing<'a>(folder: &'a Folder, by: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["publish", "--charters", folder.path(), "--by", by];
    arguments.extend(more);
    arguments
}

#[test]
fn a_folder_needs_the_approvals_that_a_proposal_needs() {
    let service = service();
    publish(&service, &Folder::write(&service, &files(charter(1, 0.1))), &[]);
    let folder = Folder::write(&service, &files(charter(1, 0.3)));
    for (by, more) in [
        ("user:linus", &[][..]),
        ("user:ada", &["--approved-by", "user:grace"]),
        ("user:ada", &["--approved-by", "user:grace", "--approved-by", "user:ada"]),
        ("user:ada", &["--approved-by", "user:grace", "--approved-by", "user:linus"]),
    ] {
        let error = forbidden(&service, &publishing(&folder, by, more));
        assert!(error.contains("the gate charter needs"), "{error}");
    }
    let both = ["--approved-by", "user:grace", "--approved-by", "edgar"];
    succeed(&service, &publishing(&folder, "user:ada", &both));
    assert_eq!(above(&service), 0.3);
    let history = json(&succeed(&service, &["history", "ride.price", "--format", "json"]));
    let line = history.as_array().expect("lines").last().expect("a line");
    assert_eq!(line["approved_by"], serde_json::json!(["user:edgar", "user:grace"]));
    // Another tier is a change of tier 1 still, and so is no charter at all.
    let folder = Folder::write(&service, &files(charter(2, 0.3)));
    forbidden(&service, &publishing(&folder, "user:ada", &[]));
    let folder = Folder::write(&service, &files(charter(1, 0.3))[..2]);
    forbidden(&service, &publishing(&folder, "user:ada", &[]));
    // Its pages are not turned away without them either.
    let mut turned = files(charter(1, 0.3));
    turned[1].1 = turned[1].1.replace("{role: primary}", "{user: user:linus}");
    let folder = Folder::write(&service, &turned);
    let error = forbidden(&service, &publishing(&folder, "user:linus", &[]));
    assert!(error.contains("policy:standard: the gate charter needs 2 more"), "{error}");
    succeed(&service, &publishing(&folder, "user:ada", &both));
    // Nor does a wider pattern, which is new, give it to whoever writes it.
    let wide = "kind: charter\nsubject: feature:ride.*\nrunbook: https://example.com/mine\n\
        consumers: [service:mine]\n";
    let mut wider = turned.clone();
    wider.push(("wider.yaml", wide.to_owned()));
    let folder = Folder::write(&service, &wider);
    let error = forbidden(&service, &publishing(&folder, "user:linus", &[]));
    assert!(error.contains("feature:ride.price: the gate charter needs 2 more"), "{error}");
    // Nor does whatever else it rests on change without those whom it asks.
    let mut rests = turned.clone();
    rests[0].1.push_str(
        "groups: {riders: {lead: user:grace, members: [user:grace]}}\n\
         systems: {rides: {owner: user:grace, domain: travel}}\n\
         domains: {travel: {owner: user:edgar}}\n",
    );
    rests[2].1.push_str("system: rides\ngroup: group:riders\nview: view:rides\n");
    rests.push((
        "view.yaml",
        "kind: charter\nsubject: view:rides\nowners: {primary: user:grace}\n\
        ---\nkind: lineage\nedges: [{from: view:rides, to: feature:ride.price}]\n"
            .into(),
    ));
    let folder = Folder::write(&service, &rests);
    succeed(&service, &publishing(&folder, "user:ada", &both));
    for (what, file, from, to) in [
        ("system:rides", 0, "rides: {owner: user:grace,", "rides: {owner: user:linus,"),
        ("domain:travel", 0, "travel: {owner: user:edgar", "travel: {owner: user:linus"),
        (
            "domain:travel",
            0,
            "{owner: user:edgar}",
            "{owner: user:edgar, alert_budget: {false_alarms: 1, per: 52w}}",
        ),
        ("group:riders", 0, "riders: {lead: user:grace", "riders: {lead: user:linus"),
        ("feature:ride.price", 3, "edges: [{from: view:rides,", "edges: [{from: dataset:mine,"),
        (
            "feature:ride.price",
            3,
            "to: feature:ride.price}",
            "to: feature:ride.price, last_seen: 2020-01-01}",
        ),
        (
            "feature:ride.price",
            3,
            "---",
            "---\nkind: charter\nsubject: dataset:mine\nowners: {primary: user:linus}\n\
             consumers: [feature:ride.price]\n---",
        ),
    ] {
        let mut other = rests.clone();
        other[file].1 = other[file].1.replace(from, to);
        assert_ne!(other[file].1, rests[file].1, "{to}");
        let folder = Folder::write(&service, &other);
        let error = forbidden(&service, &publishing(&folder, "user:linus", &["--dry-run"]));
        let asks = format!("{what}: the gate charter needs 2 more");
        assert!(error.contains(&asks), "{to}: {error}");
    }
    // The view's own people are not enough for what it gives to tier 1.
    let mut other = rests.clone();
    other[3].1 = other[3].1.replace("primary: user:grace", "primary: user:linus");
    let folder = Folder::write(&service, &other);
    let one = ["--dry-run", "--approved-by", "user:grace"];
    let error = forbidden(&service, &publishing(&folder, "user:linus", &one));
    assert!(error.contains("view:rides: the gate charter needs 1 more"), "{error}");
    // What it does not rest on is for those to say whom it concerns.
    let mut other = rests.clone();
    other.push((
        "other.yaml",
        "kind: charter\nsubject: dataset:mine\nowners: {primary: user:linus}\n".into(),
    ));
    succeed(&service, &publishing(&Folder::write(&service, &other), "user:linus", &["--dry-run"]));
    // Where others are reached is for them to say.
    let mut moved = rests;
    moved[0].1 = moved[0].1.replace("ada: {", "ada: {active: false, ");
    let folder = Folder::write(&service, &moved);
    let error = forbidden(&service, &publishing(&folder, "user:linus", &[]));
    assert!(error.contains("user:ada: the gate charter needs 1 more"), "{error}");
}

#[test]
fn the_built_in_policy_is_guarded_and_governance_fills_in_where_holders_are_too_few() {
    let service = service();
    let alone = charter(1, 0.1)
        .replace("policy: standard\n", "")
        .replace(", backup: user:grace, data_steward: user:edgar", "");
    let mut all = files(alone);
    all[0].1 = PEOPLE.replace(
        "governance: user:edgar",
        "groups: {board: {members: [user:edgar, user:grace]}}\ngovernance: group:board",
    );
    publish(&service, &Folder::write(&service, &all), &[]);
    let mut turned = all.clone();
    turned.push(("mine.yaml", POLICY.replace("standard", "default")));
    let folder = Folder::write(&service, &turned);
    let error = forbidden(&service, &publishing(&folder, "user:linus", &[]));
    assert!(error.contains("policy:default: the gate charter needs 2 more"), "{error}");
    let board = ["--approved-by", "user:edgar", "--approved-by", "user:grace"];
    succeed(&service, &publishing(&folder, "user:ada", &board));
}

#[test]
fn what_guards_charters_is_not_taken_away_without_those_whom_it_asks() {
    let service = service();
    let guarded = "sign_offs: [{gate: threshold_change, roles: [data_steward], minimum: 1}]\n\
        freeze: [{from: 2090-01-01, to: 2100-01-01, reason: peak season}]\n";
    let team = PEOPLE.replace(
        "governance: user:edgar",
        "groups: {stewards: {members: [user:edgar]}}\ngovernance: user:linus",
    );
    let mut all =
        files(charter(2, 0.1).replace("data_steward: user:edgar", "data_steward: group:stewards"));
    all[0].1.clone_from(&team);
    all[1].1.push_str(guarded);
    publish(&service, &Folder::write(&service, &all), &[]);
    let steward = ["--approved-by", "user:edgar"];
    // A change that comes into force while it is frozen.
    let mut later = all.clone();
    later[2].1 = later[2].1.replace("0.1", "0.2");
    let folder = Folder::write(&service, &later);
    let inside = [&steward[..], &["--effective-from", "2095-01-01"]].concat();
    let error = forbidden(&service, &publishing(&folder, "user:ada", &inside));
    assert!(error.contains("until 2100-01-01") && error.contains("peak season"), "{error}");
    let change = later[2].1.clone();
    let path = proposal(&service, &change);
    let path = path.to_str().expect("text");
    let dated = ["propose", path, "--by", "user:linus", "--rationale", "nights are noisy"];
    let dated = [&dated[..], &["--effective-from", "2095-01-01"]].concat();
    let error = forbidden(&service, &dated);
    assert!(error.contains("until 2100-01-01"), "{error}");
    for (what, file, from, to) in [
        (
            "policy:standard",
            1,
            "sign_offs: [{gate: threshold_change, roles: [data_steward], minimum: 1}]\n",
            "",
        ),
        ("policy:standard", 1, "roles: [data_steward]", "roles: [data_steward, backup]"),
        ("policy:standard", 1, "2100-01-01", "2091-01-01"),
        ("group:stewards", 0, "[user:edgar]", "[user:edgar, user:ada]"),
        ("governance", 0, "governance: user:linus", "governance: user:ada"),
        ("feature:ride.price", 2, "group:stewards", "user:ada"),
        ("feature:ride.price", 2, "policy: standard", "policy: none_such"),
    ] {
        let mut other = all.clone();
        other[file].1 = other[file].1.replace(from, to);
        if to.contains("none_such") {
            other.push(("more.yaml", POLICY.replace("standard", "none_such")));
        }
        assert_ne!(other[file].1, all[file].1);
        let folder = Folder::write(&service, &other);
        let error = forbidden(&service, &publishing(&folder, "user:ada", &["--dry-run"]));
        assert!(error.contains(&format!("{what}: the gate")), "{what}: {error}");
        let agreed = ["--dry-run", "--approved-by", "user:edgar", "--approved-by", "user:linus"];
        succeed(&service, &publishing(&folder, "user:ada", &agreed));
    }
    // An approval in the document is for one change, and on record.
    let mut signed = later;
    let approval = "approvals: [{by: user:edgar, at: 2026-01-01}]\n";
    signed[2].1.push_str(approval);
    succeed(&service, &publishing(&Folder::write(&service, &signed), "user:ada", &[]));
    signed[2].1 = signed[2].1.replace("0.2", "0.9");
    let folder = Folder::write(&service, &signed);
    let error = forbidden(&service, &publishing(&folder, "user:ada", &[]));
    assert!(error.contains("threshold_change needs 1"), "{error}");
    let history = json(&succeed(&service, &["history", "ride.price", "--format", "json"]));
    let line = history.as_array().expect("lines").iter().rfind(|l| l["what"] == "changed");
    assert_eq!(line.expect("a line")["approved_by"], serde_json::json!(["user:edgar"]));
}

#[test]
fn a_proposal_that_others_outran_says_so_and_can_be_cleared_away() {
    let service = service();
    publish(&service, &Folder::write(&service, &files(charter(2, 0.1))), &[]);
    let id = propose(&service, &proposal(&service, &charter(2, 0.3)), "user:linus");
    publish(&service, &Folder::write(&service, &files(charter(2, 0.2))), &[]);
    let listed = json(&succeed(&service, &["proposals", "--format", "json"]));
    assert_eq!(listed[0]["state"], "outrun", "{listed}");
    assert!(listed[0]["waits_for"][0].as_str().expect("why").contains("propose it anew"));
    succeed(&service, &["reject", &id, "--by", "user:grace", "--rationale", "out of date"]);
    let listed = json(&succeed(&service, &["proposals", "--format", "json"]));
    assert_eq!(
        (&listed[0]["state"], &listed[0]["waits_for"]),
        (&"rejected".into(), &serde_json::json!([]))
    );
}

/// Lineage and people were what they were, whatever is published later.
#[test]
fn a_later_publication_leaves_the_lineage_and_the_owners_of_before() {
    let service = service();
    let mut all =
        files(charter(2, 0.1).replace(
            "owners: {primary: user:ada, backup: user:grace, ",
            "system: rides\nowners: {",
        ));
    all[0].1.push_str("systems: {rides: {owner: user:ada}}\n");
    all.push((
        "edges.yaml",
        "kind: lineage\nedges: [{from: view:old, to: feature:ride.price}]\n".into(),
    ));
    publish(&service, &Folder::write(&service, &all), &[]);
    all[0].1 = all[0].1.replace("{owner: user:ada}", "{owner: user:grace}");
    all[3].1 = all[3].1.replace("view:old", "view:new");
    publish(&service, &Folder::write(&service, &all), &[]);
    let told = |at: &str| {
        let (_, edges) = service.attempt(&["lineage", "show", "ride.price", "--at", at]);
        let (_, who) = service.attempt(&["who", "ride.price", "--at", at]);
        let is = |text: &str, names: [&str; 2]| names.map(|name| text.contains(name));
        (is(&edges, ["view:old", "view:new"]), is(&who, ["user:ada answers", "user:grace answers"]))
    };
    assert_eq!(told("2020-01-01"), ([true, false], [true, false]));
    assert_eq!(told("2100-01-01"), ([false, true], [false, true]));
}

/// Telemetry of one feature: ten events a minute from an hour on, a fifth of them null.
fn telemetry(service: &Service, name: &str, hours: std::ops::Range<u32>) -> PathBuf {
    let path = service.folder().join(name);
    let mut text = String::new();
    for minute in hours.start * 60..hours.end * 60 {
        for n in 0..10 {
            let (hour, second) = (minute / 60, n * 6);
            let value = if n % 5 == 0 { "null" } else { "1.5" };
            text.push_str(&format!(
                "{{\"feature\":\"ride.price\",\"event_time\":\"2026-01-05T{hour:02}:{:02}:{second:02}Z\",\"value\":{value}}}\n",
                minute % 60
            ));
        }
    }
    std::fs::write(&path, text).expect("disk");
    path
}

fn work_off(service: &mut Service, events: f64, file: &Path) {
    service.run(&["produce", "--input", file.to_str().expect("text")]);
    service.start();
    service.wait_for("events", |s| s.metric("watchkeep_events_total") >= events);
    // What they lead to follows within a few commits.
    std::thread::sleep(std::time::Duration::from_secs(3));
    service.stop();
}

fn verdicts(service: &Service) -> Vec<(String, u64, String)> {
    let line = |window: &Value| {
        let judged = &window["judged"][0];
        (
            window["window_end"].as_str().unwrap().to_owned(),
            window["revision"].as_u64().unwrap(),
            format!("{} {}", judged["verdict"].as_str().unwrap(), judged["threshold"]),
        )
    };
    service.export("windows").iter().map(line).collect()
}

#[test]
fn the_revision_in_force_at_its_end_judges_a_window_and_a_replay_repeats_it() {
    let mut service = service();
    publish(&service, &Folder::write(&service, &files(charter(2, 0.5))), &[]);
    let first = telemetry(&service, "first.ndjson", 8..10);
    work_off(&mut service, 1200.0, &first);
    let before = verdicts(&service);
    assert!(!before.is_empty() && before.iter().all(|(.., v)| v.starts_with("good")), "{before:?}");

    // Tighter, from an instant on that has passed already: what is decided stays.
    let folder = Folder::write(&service, &files(charter(2, 0.01)));
    publish(&service, &folder, &["--effective-from", "2026-01-05T09:00:00Z"]);
    // With events that come late for a window that was decided.
    let second = telemetry(&service, "second.ndjson", 10..12);
    let late =
        "{\"feature\":\"ride.price\",\"event_time\":\"2026-01-05T09:21:00Z\",\"value\":null}\n";
    let text = std::fs::read_to_string(&second).expect("disk");
    std::fs::write(&second, format!("{late}{text}")).expect("disk");
    work_off(&mut service, 1201.0, &second);
    let after = verdicts(&service);
    assert_eq!(after[..before.len()], before[..]);
    let new = &after[before.len()..];
    let of_ten =
        |end: &str| new.iter().find(|(at, ..)| at.starts_with(end)).map(|(.., v)| v.as_str());
    assert_eq!(of_ten("2026-01-05T10:30:00"), Some("bad 0.01"), "{new:?}");
    let revised = new.iter().find(|(_, revision, _)| *revision > 0).expect("a revision");
    assert!(revised.0.starts_with("2026-01-05T09:30:00"), "{revised:?}");
    assert_eq!(revised.2, "good 0.5", "late events do not bring in a later revision");

    // An incident tells what was changed before it, by whom.
    let opened = service.export("incidents");
    let id = opened[0]["incident_id"].as_str().expect("an incident");
    let mut explain = binary::command(["incidents", "explain", id, "--format", "json", "-c"]);
    let told = explain.arg(service.config()).output().expect("the binary can be run");
    let told = json(&String::from_utf8_lossy(&told.stdout));
    let change = &told["changes"][0];
    assert_eq!(
        (&change["by"], &change["document"]),
        (&"user:ada".into(), &"feature:ride.price".into())
    );
    assert_eq!(change["fields"], serde_json::json!(["expectations[nulls].above"]), "{told}");

    // The summaries alone repeat all of it, and a restart goes on from it.
    let out = service.folder().join("out");
    let arguments = ["replay", "--input", "summaries", "--as-live", "--out"];
    service.run(&[&arguments[..], &[out.to_str().expect("text")]].concat());
    for name in ["windows", "breaches"] {
        let live: Vec<String> = service.export(name).iter().map(Value::to_string).collect();
        let lines = binary::lines(&out.join(format!("{name}.ndjson")));
        let replayed: Vec<String> = lines.iter().map(Value::to_string).collect();
        assert_eq!(live, replayed, "{name}");
    }
    std::fs::remove_dir_all(service.folder().join("log/cache")).expect("snapshots are a cache");
    let third = telemetry(&service, "third.ndjson", 12..13);
    work_off(&mut service, 600.0, &third);
    let last = verdicts(&service);
    assert_eq!(last[..after.len()], after[..], "a restart tells nothing twice");
    assert!(last[after.len()..].iter().all(|(.., v)| v == "bad 0.01"), "{last:?}");
}

#[test]
fn a_folder_and_the_topic_judge_the_same() {
    let mut service = service();
    let folder = Folder::write(&service, &files(charter(2, 0.1)));
    publish(&service, &folder, &[]);
    let file = telemetry(&service, "all.ndjson", 8..10);
    work_off(&mut service, 1200.0, &file);
    let out = service.folder().join("of-folder");
    let arguments = ["replay", "--input", "summaries", "--as-live", "--charters", folder.path()];
    service.run(&[&arguments[..], &["--out", out.to_str().expect("text")]].concat());
    for name in ["windows", "breaches"] {
        let live: Vec<String> = service.export(name).iter().map(Value::to_string).collect();
        let lines = binary::lines(&out.join(format!("{name}.ndjson")));
        let replayed: Vec<String> = lines.iter().map(Value::to_string).collect();
        assert!(!live.is_empty());
        assert_eq!(live, replayed, "{name}");
    }
}
