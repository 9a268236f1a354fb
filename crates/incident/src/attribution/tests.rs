//! The three rules, on small lineages.

use watchkeep_model::charter::ExpectationKind;
use watchkeep_model::incident::data::Attribution;
use watchkeep_model::lineage::{RunEvent, RunState};
use watchkeep_model::subject::typed;

use super::board::OpenBreach;
use super::*;
use crate::lineage::Builder;
use crate::tests::scene::{World, at, declared, world};

/// What is known at noon of 8 May.
struct Case {
    world: World,
    board: Board,
    limits: AttributionLimits,
    subjects: Vec<String>,
}

impl Case {
    /// `a > b, c` are edges from a to b and to c.
    fn new(edges: &str) -> Self {
        let mut all = Vec::new();
        for line in edges.split('\n').filter(|line| line.contains('>')) {
            let (from, to) = line.split_once('>').unwrap();
            all.extend(to.split(',').map(|to| (name(from), name(to))));
        }
        let all: Vec<(&str, &str)> = all.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        let world = World { lineage: declared(&all), ..world() };
        let (board, limits) = (Board::default(), AttributionLimits::default());
        Self { world, board, limits, subjects: Vec::new() }
    }

    /// Subjects that breach.
    fn breaching(mut self, subjects: &str) -> Self {
        for subject in subjects.split_whitespace().map(name) {
            self.board.breach(&subject, &format!("breach of {subject}"), open(None));
            self.subjects.push(subject);
        }
        self
    }

    /// Subjects that were judged and do not breach.
    fn watched(mut self, subjects: &str) -> Self {
        for subject in subjects.split_whitespace().map(name) {
            self.board.judged(&subject, at("05-08"));
        }
        self
    }

    fn within(mut self, change: impl FnOnce(&mut AttributionLimits)) -> Self {
        change(&mut self.limits);
        self
    }

    /// `subject=root` of everything that breaches, and how the root was found.
    fn told(&mut self) -> (String, BTreeMap<String, Attribution>) {
        self.board.settle(&self.world);
        let lineage = &self.world.lineage;
        let when = at("05-08 12:00");
        let mut search = Search::new(&self.board, lineage, &self.limits, when);
        let node = |name: &String| self.board.node(lineage, name).unwrap();
        let nodes: Vec<Node> = self.subjects.iter().map(node).collect();
        // Whose name ends with an exclamation mark has no owner.
        let roots = search.roots(&nodes, &|name| !name.ends_with('!'));
        let short = |node: Node| short(self.board.name(lineage, node));
        let told: Vec<String> =
            nodes.iter().map(|node| format!("{}={}", short(*node), short(roots[node]))).collect();
        let mut why: BTreeMap<String, Attribution> = BTreeMap::new();
        for root in roots.values() {
            let of_root: Vec<Node> =
                nodes.iter().copied().filter(|node| roots[node] == *root).collect();
            why.insert(short(*root), search.tell(*root, &of_root));
        }
        (told.join(" "), why)
    }

    #[track_caller]
    fn check(mut self, expected: &str) -> BTreeMap<String, Attribution> {
        let (told, why) = self.told();
        assert_eq!(told, expected, "{why:#?}");
        why
    }
}

fn open(root: Option<&str>) -> OpenBreach {
    OpenBreach {
        detected_at: at("05-08"),
        kind: ExpectationKind::Drift,
        began: at("05-07 23:00"),
        what: "drift breached since noon".into(),
        root: root.map(name),
    }
}

/// d, p, v and m are a dataset, pipeline, view and model by their first letter.
fn name(short: &str) -> String {
    let short = short.trim();
    match short.chars().next() {
        Some('d') => format!("dataset:{short}"),
        Some('p') => format!("pipeline:{short}"),
        Some('v') => format!("view:{short}"),
        Some('m') => format!("model:{short}"),
        _ => typed(short),
    }
}

fn short(name: &str) -> String {
    name.rsplit(':').next().unwrap_or(name).to_owned()
}

const CHAIN: &str = "d > p\np > v\nv > f1, f2, f3, f4, f5";

#[test]
fn evidence_is_handed_on_to_where_it_comes_from() {
    Case::new(CHAIN).breaching("f1 d").check("f1=d d=d");
    // What the nearest shows may have come from further up.
    Case::new(CHAIN).breaching("f1 f2 f3 v d").check("f1=d f2=d f3=d v=d d=d");
    Case::new(CHAIN).breaching("f1 v").watched("d f2 f3 f4 f5").check("f1=v v=v");
    // A single breach without evidence upstream is its own.
    Case::new(CHAIN).breaching("f1").watched("f2 f3 f4 f5").check("f1=f1");
}

#[test]
fn of_nodes_equally_near_the_one_that_covers_most_then_the_first_by_name() {
    let edges = "d1 > p\nd2 > p\np > f1\nd2 > f2";
    Case::new(edges).breaching("f1 d1 d2").watched("f2").check("f1=d1 d1=d1 d2=d2");
    Case::new(edges).breaching("f1 f2 d1 d2").check("f1=d1 f2=d2 d1=d1 d2=d2");
    let edges = "d1 > p\nd2 > p\np > f1\nd1 > f2";
    Case::new(edges).breaching("f1 d1 d2").watched("f2").check("f1=d2 d1=d1 d2=d2");
}

#[test]
fn a_popular_node_with_a_trouble_of_its_own_does_not_hide_what_lies_behind_it() {
    // The popular one feeds the view directly, what failed by way of another.
    let edges = "dpopular > v1, v2\npfailed > pnext\npnext > v1\nv1 > f1, f2, f3\nv2 > f4, f5, f6";
    let case = || Case::new(edges).breaching("f1 f2 f3 pfailed dpopular");
    let why = case()
        .watched("f4 f5 f6")
        .check("f1=pfailed f2=pfailed f3=pfailed pfailed=pfailed dpopular=dpopular");
    let popular = why["pfailed"].candidates.iter().find(|one| one.node == "dataset:dpopular");
    assert_eq!(
        popular.unwrap().why_not,
        "less than 0.6 of what it feeds breaches, unlike pipeline:pfailed"
    );
    // Where the popular one explains as much it is nearer.
    case().breaching("f4 f5 f6").check(
        "f1=dpopular f2=dpopular f3=dpopular pfailed=pfailed dpopular=dpopular f4=dpopular f5=dpopular f6=dpopular",
    );
}

#[test]
fn far_nodes_are_not_asked() {
    let case = || Case::new(CHAIN).breaching("f1 d").watched("f2");
    case().within(|limits| limits.max_depth = 2).check("f1=f1 d=d");
    case().within(|limits| limits.max_depth = 3).check("f1=d d=d");
}

#[test]
fn a_popular_ancestor_with_evidence_does_not_swallow_a_local_fault() {
    let edges = "d > v1, v2, v3\nv1 > a1, a2, a3\nv2 > b1, b2, b3\nv3 > c1, c2, c3";
    let why = Case::new(edges)
        .breaching("d v1 a1 a2 a3")
        .watched("v2 v3 b1 b2 b3 c1 c2 c3")
        .check("d=d v1=v1 a1=v1 a2=v1 a3=v1");
    let told = &why["v1"];
    assert_eq!((told.method.as_str(), told.coverage), (UPSTREAM_BREACH, 1.0));
    assert_eq!(told.candidates[0].node, "dataset:d");
    assert_eq!(told.candidates[0].coverage, Some(4.0 / 12.0));
    assert_eq!(
        told.candidates[0].why_not,
        "less than 0.6 of what it feeds breaches, unlike view:v1"
    );
    // Where most of it breaches it is one fault.
    Case::new(edges)
        .breaching("d v1 a1 a2 a3 b1 b2 b3 c1 c2 c3")
        .watched("v2 v3")
        .check("d=d v1=d a1=d a2=d a3=d b1=d b2=d b3=d c1=d c2=d c3=d");
}

#[test]
fn without_evidence_the_node_that_covers_enough_is_the_root() {
    let why = Case::new(CHAIN).breaching("f1 f2 f3").watched("f4 f5").check("f1=v f2=v f3=v");
    assert_eq!((why["v"].method.as_str(), why["v"].coverage), (COVERAGE, 0.6));
    assert_eq!(why["v"].evidence, ["3 of 5 watched subjects downstream of view:v breach"]);
    let losers: Vec<&str> = why["v"].candidates.iter().map(|c| c.node.as_str()).collect();
    assert_eq!(losers, ["pipeline:p", "dataset:d"]);
    Case::new(CHAIN).breaching("f1 f2").watched("f3").check("f1=f1 f2=f2");
    let why = Case::new(CHAIN).breaching("f1 f2").watched("f3 f4 f5").check("f1=f1 f2=f2");
    assert_eq!(
        why["f1"].candidates[0].why_not,
        "nothing is known to be wrong with it, and 2 of 5 watched subjects downstream breach, less than 0.6"
    );
    // Whoever has never been judged says nothing either way.
    Case::new(CHAIN).breaching("f1 f2 f3").check("f1=v f2=v f3=v");
}

#[test]
fn of_nodes_that_explain_the_same_the_nearest_with_an_owner() {
    let edges = "d > p!\np! > v!\nv! > f1, f2, f3";
    Case::new(edges).breaching("f1 f2 f3").check("f1=d f2=d f3=d");
    let edges = "d > p\np > v!\nv! > f1, f2, f3";
    Case::new(edges).breaching("f1 f2 f3").check("f1=p f2=p f3=p");
}

#[test]
fn a_popular_ancestor_is_not_blamed_for_a_part() {
    let edges = "d > v1, v2, v3\nv1 > a1, a2, a3\nv2 > b1, b2, b3\nv3 > c1, c2, c3";
    Case::new(edges).breaching("a1 a2 a3").watched("b1 b2 b3 c1 c2 c3").check("a1=v1 a2=v1 a3=v1");
    // A feature that breaks at the same time is not put upon it either.
    Case::new(edges)
        .breaching("a1 a2 a3 b1")
        .watched("b2 b3 c1 c2 c3")
        .check("a1=v1 a2=v1 a3=v1 b1=b1");
    // Two parts that breach whole beside one that does not are two roots.
    Case::new(edges)
        .breaching("a1 a2 a3 b1 b2 b3")
        .watched("c1 c2 c3")
        .check("a1=v1 a2=v1 a3=v1 b1=v2 b2=v2 b3=v2");
    // A part of each is one.
    Case::new(edges)
        .breaching("a1 a2 b1 b2 c1 c2")
        .watched("a3 b3 c3")
        .check("a1=d a2=d b1=d b2=d c1=d c2=d");
}

#[test]
fn a_popular_ancestor_is_not_blamed_for_what_other_roots_explain() {
    let edges = "d > v1, v2, v3\nv1 > a1, a2, a3\nv2 > b1, b2, b3\nv3 > c1, c2, c3";
    let case = |with_incident: &[&str]| {
        let mut case = Case::new(edges).breaching("a1 a2 a3 b1 b2 b3 c1 c2 c3");
        for view in with_incident {
            case.board.incident(view, "an-incident", Some(ExpectationKind::Drift));
        }
        case
    };
    case(&["view:v1", "view:v2"]).check("a1=v1 a2=v1 a3=v1 b1=v2 b2=v2 b3=v2 c1=v3 c2=v3 c3=v3");
    // What is left in two parts has one cause still.
    case(&["view:v1"]).check("a1=v1 a2=v1 a3=v1 b1=d b2=d b3=d c1=d c2=d c3=d");
}

#[test]
fn two_roots_share_a_diamond() {
    let edges = "d1 > v1, v2\nd2 > v2, v3\nv1 > a1, a2\nv2 > b1, b2\nv3 > c1, c2";
    Case::new(edges).breaching("a1 a2 b1 b2 c1 c2").check("a1=d1 a2=d1 b1=d1 b2=d1 c1=d2 c2=d2");
    // One leftover is no second root.
    Case::new(edges)
        .breaching("a1 a2 b1 b2 c1")
        .watched("c2")
        .check("a1=d1 a2=d1 b1=d1 b2=d1 c1=c1");
}

#[test]
fn nodes_with_evidence_are_put_together_only_where_they_are_many() {
    let edges = "d > v1, v2, v3\nv1 > a1, a2, a3\nv2 > b1, b2, b3\nv3 > c1, c2, c3";
    Case::new(edges)
        .breaching("v1 a1 a2 a3 v2 b1 b2 b3")
        .watched("v3")
        .check("v1=v1 a1=v1 a2=v1 a3=v1 v2=v2 b1=v2 b2=v2 b3=v2");
    Case::new(edges)
        .breaching("v1 a1 a2 a3 v2 b1 b2 b3 v3 c1 c2 c3")
        .check("v1=d a1=d a2=d a3=d v2=d b1=d b2=d b3=d v3=d c1=d c2=d c3=d");
}

#[test]
fn breaches_that_trickle_in_still_find_their_root() {
    let mut case = Case::new(CHAIN).breaching("f3").watched("f4");
    // Two had an incident each before a third told where they come from.
    for earlier in ["f1", "f2"] {
        case.board.breach(&name(earlier), earlier, open(Some(earlier)));
    }
    case.check("f3=v");
    // Those that another root explains do not count for this one.
    let mut case = Case::new(CHAIN).breaching("f3").watched("f4");
    for earlier in ["f1", "f2"] {
        case.board.breach(&name(earlier), earlier, open(Some("d9")));
    }
    case.check("f3=f3");
}

#[test]
fn what_an_open_incident_is_about_is_evidence() {
    let mut case = Case::new(CHAIN).breaching("f4").watched("f5");
    case.board.incident("view:v", "an-incident", Some(ExpectationKind::Drift));
    let why = case.check("f4=v");
    assert_eq!(why["v"].evidence[0], "view:v: incident an-incident is open");
}

#[test]
fn an_incident_that_waits_for_its_signature_takes_nothing_in_for_ever() {
    let case = |breaching: &str, watched: &str, struck: &str| {
        let mut case = Case::new(CHAIN).breaching(breaching).watched(watched);
        case.board.incident("view:v", "an-incident", Some(ExpectationKind::Drift));
        case.board.struck("view:v", at(struck));
        case
    };
    case("f4", "f1 f2 f3 f5", "05-07 13:00").check("f4=v");
    let why = case("f4", "f1 f2 f3 f5", "05-07 11:00").check("f4=f4");
    let told = &why["f4"].candidates[0].why_not;
    assert_eq!(
        told,
        "what was wrong with it is older than 1d, and less than 0.6 of what it feeds breaches"
    );
    // Where most of what it feeds breaches it is not over.
    case("f1 f2 f4", "f3 f5", "05-07 11:00").check("f1=v f2=v f4=v");
}

#[test]
fn an_incident_that_is_over_takes_in_what_was_measured_before_and_what_returns() {
    let case = |over: &str, joined: &str| {
        let mut case = Case::new(CHAIN).breaching("f4").watched("f1 f2 f3 f5");
        case.board.incident("view:v", "an-incident", Some(ExpectationKind::Drift));
        case.board.struck("view:v", at(over));
        case.board.over("view:v", "an-incident", at(over));
        case.board.join(&name(joined), "view:v", true);
        case
    };
    // The window began at 23:00 of the day before.
    case("05-07 23:01", "f1").check("f4=v");
    let why = case("05-07 23:00", "f1").check("f4=f4");
    assert_eq!(
        why["f4"].candidates[0].why_not,
        "what was wrong with it has been over since 2013-05-07T23:00:00Z, and less than 0.6 of \
         what it feeds breaches"
    );
    case("05-07 23:00", "f4").check("f4=v");
    case("05-07 11:00", "f4").check("f4=f4");
    // Single faults that it has taken in again do not make it young.
    let mut old = case("05-07 11:00", "f1");
    old.board.over("view:v", "an-incident", at("05-08 11:00"));
    old.check("f4=f4");
    // Once its root is struck it is not over.
    let mut again = case("05-07 11:00", "f1");
    again.board.struck("view:v", at("05-08 11:00"));
    again.check("f4=v");
    // A resolved one leaves nothing to its successor.
    let mut next = case("05-07 23:00", "f4");
    next.board.join(&name("f4"), "view:v", false);
    next.check("f4=f4");
}

#[test]
fn a_circle_ends_and_has_one_root() {
    let edges = "d1 > d2\nd2 > d3\nd3 > d1\nd3 > f1";
    Case::new(edges).breaching("f1").check("f1=f1");
    Case::new(edges).breaching("f1 d1 d2 d3").check("f1=d1 d1=d1 d2=d1 d3=d1");
    Case::new("d1 > d1, f1").breaching("f1 d1").check("f1=d1 d1=d1");
}

#[test]
fn stale_edges_are_as_unknown() {
    let build = |seen: &str| {
        let mut builder = Builder::default();
        builder.note("view:v", "feature:f1", at(seen));
        let mut case = Case::new("").breaching("f1 v");
        case.world.lineage = builder.build();
        case
    };
    build("05-02").check("f1=v v=v");
    let why = build("05-01").check("f1=f1 v=v");
    assert_eq!(why["f1"].method, LINEAGE_UNKNOWN);
    assert_eq!(
        why["f1"].candidates[0].why_not,
        "its edge was last seen at 2013-05-01T00:00:00Z, longer than 1w ago"
    );
    let why = Case::new("").breaching("f1").check("f1=f1");
    assert_eq!(why["f1"].method, LINEAGE_UNKNOWN);
    // A source has nothing upstream, and is known nevertheless.
    let why = Case::new("d > f1").breaching("d").check("d=d");
    assert_eq!(why["d"].method, ITSELF);
}

#[test]
fn a_failed_run_is_evidence_until_one_ends_well() {
    let run = |when: &str, state| RunEvent {
        at: at(when),
        job: "pipeline:p".into(),
        run: format!("run of {when}"),
        state,
        message: Some("out of memory".into()),
        inputs: vec!["dataset:d".into()],
        outputs: vec!["feature:f1".into()],
        assertions: Vec::new(),
        owners: Vec::new(),
    };
    let build = |runs: &[RunEvent]| {
        let mut builder = Builder::default();
        runs.iter().for_each(|run| builder.run(run));
        let mut case = Case::new("").breaching("f1");
        case.world.lineage = builder.build();
        case
    };
    let why = build(&[run("05-08 09:00", RunState::Failed)]).check("f1=p");
    assert_eq!(why["p"].method, UPSTREAM_RUN);
    assert_eq!(
        why["p"].evidence[0],
        "pipeline:p: run run of 05-08 09:00 failed at 2013-05-08T09:00:00Z: out of memory"
    );
    // What failed days ago and shows in nothing else has been outlived.
    let old = |more: &[&str]| {
        let mut failed = run("05-04 09:00", RunState::Failed);
        failed.outputs.extend(["f2", "f3", "f4"].map(name));
        let mut case = build(&[failed]);
        more.iter().for_each(|subject| case.board.breach(&name(subject), "bad", open(None)));
        case.watched("f2 f3 f4")
    };
    let why = old(&[]).check("f1=f1");
    let why_not = &why["f1"].candidates[0].why_not;
    assert!(why_not.starts_with("what was wrong with it is older than 1d"), "{why_not}");
    old(&["f2", "f3"]).check("f1=p");
    let again = [run("05-08 09:00", RunState::Failed), run("05-08 10:00", RunState::Completed)];
    build(&again).check("f1=f1");
    // It was not known before it happened, and neither were its edges.
    let why = build(&[run("05-08 13:00", RunState::Failed)]).check("f1=f1");
    assert_eq!(why["f1"].method, LINEAGE_UNKNOWN);
}

#[test]
fn policies_with_other_limits_decide_otherwise() {
    let case = || Case::new(CHAIN).breaching("f1 f2").watched("f3 f4 f5");
    case().within(|l| (l.min_features, l.min_coverage) = (2, 0.4)).check("f1=v f2=v");
    let case = || Case::new(CHAIN).breaching("f1");
    case().within(|limits| limits.min_features = 1).check("f1=v");
}

/// The worked example of `docs/attribution.md`.
#[test]
fn the_documented_example_is_right() {
    let edges = "dticks > pquotes, vnews\npquotes > vquotes\nvnews > sentiment\n\
                 dreference > vquotes, static\nvquotes > xprice, xspread, xvolume\n\
                 static > country, sector, currency";
    let case = || Case::new(edges).watched("sentiment country sector currency");
    let why = case()
        .breaching("xprice xspread xvolume")
        .check("xprice=vquotes xspread=vquotes xvolume=vquotes");
    assert_eq!((why["vquotes"].method.as_str(), why["vquotes"].coverage), (COVERAGE, 1.0));
    let coverage = |node: &str| {
        let of = why["vquotes"].candidates.iter().find(|one| one.node == name(node));
        of.and_then(|one| one.coverage)
    };
    assert_eq!((coverage("dticks"), coverage("dreference")), (Some(0.75), Some(0.5)));
    case()
        .breaching("xprice xspread xvolume pquotes")
        .check("xprice=pquotes xspread=pquotes xvolume=pquotes pquotes=pquotes");
    case().breaching("xprice xspread xvolume pquotes sentiment dticks").check(
        "xprice=dticks xspread=dticks xvolume=dticks pquotes=dticks sentiment=dticks dticks=dticks",
    );
}

#[test]
fn an_incident_that_is_over_stays_so_when_another_about_its_root_opens() {
    let mut board = Board::default();
    let root = "dataset:a";
    let open = |board: &mut Board, id: &str, when: &str| {
        board.struck(root, at(when));
        board.incident(root, id, Some(ExpectationKind::Freshness));
    };
    open(&mut board, "first", "05-08 00:00");
    board.over(root, "first", at("05-08 01:00"));
    assert!(board.is_over(root));
    open(&mut board, "second", "05-08 02:00");
    assert!(!board.is_over(root), "the second one breaches");
    board.over(root, "second", at("05-08 03:00"));
    assert!(board.is_over(root), "nothing breaches of either");
    // One that has taken in something again speaks for all, once its root is struck.
    board.breaches_again(root, "first");
    assert!(board.is_over(root));
    board.struck(root, at("05-08 04:00"));
    assert!(!board.is_over(root));
}
