//! Checks of meaning over a whole folder.
//!
//! Where revisions matter, a folder is judged as it holds once its last
//! `effective_from` has come.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use watchkeep_model::directory::Directory;
use watchkeep_model::document::{Diagnostic, Level, Located, nearest};
use watchkeep_model::lineage::Edge;
use watchkeep_model::policy::Policy;
use watchkeep_model::time::{TimeSpan, Timestamp};

use super::Registry;
use super::lineage::Ends;

mod age;
mod ambiguity;
mod charters;
mod cycles;
mod history;
mod judged;
mod links;
mod meaning;
mod names;
mod nodes;
mod people;
mod playbook;
mod policies;
mod views;
mod windows;

pub use cycles::{shown_by_runs, shown_cycle};
pub use history::History;
pub use judged::Captured;
pub use links::{DeadLinks, links};
pub use playbook::PLAYBOOK_RULES;

/// Every rule with what it means and what to do.
pub const RULES: [(&str, &str); 41] = [
    (
        "ambiguous",
        "Two equally specific documents set the same field, or two policies are for the same tier, so \
         neither wins. Keep one, or make one more specific.",
    ),
    (
        "no_primary",
        "Nobody is accountable: no primary of its own, of a wider pattern, or of its view, group, \
         system or domain. Every breach would be unowned.",
    ),
    ("unknown_user", "No directory document has this user."),
    ("unknown_group", "No directory document has this group."),
    ("unknown_schedule", "No directory document has this schedule."),
    ("unknown_system", "No directory document has this system."),
    ("unknown_domain", "No directory document has this domain."),
    ("unknown_policy", "No policy document has this name."),
    ("unknown_step", "The policy has no step of this name."),
    ("unknown_class", "The policy has no independence class of this name."),
    (
        "lineage_type",
        "A node of the lineage is a feature, dataset, pipeline, view, model, dashboard or service.",
    ),
    (
        "primary_is_backup",
        "The backup answers while the primary is away; the same person cannot, nor a group or rota \
         of nobody else.",
    ),
    (
        "backup_without_contact",
        "The backup has no contact in the directory, so that only the channels of the policy reach \
         them.",
    ),
    (
        "rollback_criteria",
        "A breach of these expectations proposes a rollback; the charter has no such expectation.",
    ),
    (
        "duplicate_expectation",
        "Breaches and windows name the expectation, so its name is unique in the charter.",
    ),
    ("duplicate_step", "Incidents name the step, so its name is unique in the policy."),
    (
        "window_pane",
        "Windows are made of panes, so their size and hop are multiples of the deployment's pane, \
         and the gap of a session is no shorter than one.",
    ),
    (
        "window_overlap",
        "An event is in all windows of its time, and each of them is kept; a longer hop or a \
         shorter size makes them fewer.",
    ),
    (
        "session_silence",
        "A session ends with its last event and there is none without events, so it is never \
         silent.",
    ),
    (
        "session_slo",
        "An objective is judged over the hours and days before a window's end, at every window. A \
         session ends at any time or never.",
    ),
    (
        "slo_conditions",
        "Summaries count each condition apart, so of events that fail one of several it is known \
         only how many there are at least and at most. The objective is judged by the least. One \
         objective for each condition is exact.",
    ),
    (
        "season",
        "A seasonal baseline is made of windows that begin a day or a week earlier, at the same \
         time, a rolling one of the last windows before. So a session has neither, and for a season \
         the hop of other windows must divide the day or the week.",
    ),
    (
        "naming",
        "Subjects and people are typed names: `feature:…`, `dataset:…`, `user:…`, `group:…`, \
         `schedule:…`.",
    ),
    ("tier1_rollback", "What matters most should have a way back: `rollback` with a procedure."),
    (
        "lineage_cycle",
        "Data cannot be made from themselves; the root of a breach would be anywhere. What runs have \
         shown, in files of the folder, is warned of where several jobs make a circle: one that reads \
         what it wrote before is usual.",
    ),
    ("parent_cycle", "A system or domain cannot be a part of itself."),
    (
        "departed_owner",
        "The directory says `active: false` of somebody who still holds a role. Breaches go down the \
         chain past them, so name who has taken over.",
    ),
    (
        "empty_rota",
        "A rota or a layer of one names nobody, so nobody is ever on duty by it. A slip, or people \
         who left: name somebody, or take the layer away.",
    ),
    (
        "no_governance",
        "The directory names no `governance`, the last link of every owner chain. A breach of what \
         nobody owns, or whose owners are all away, would page nobody.",
    ),
    (
        "unknown_driver",
        "`driver` is free text, and `regulatory` keeps what concerns the feature for longer. A slip \
         in that word keeps nothing.",
    ),
    (
        "stale_review",
        "The charter promises a review every `review_every`, and the last one is longer ago or, \
         where there was none, it has been in force for longer.",
    ),
    (
        "stale_runbook",
        "A runbook that nobody has followed for longer than `review_every` may describe a system \
         that is no more. Without a `runbook_reviewed_at` of its own it is looked at with the charter.",
    ),
    (
        "contradiction",
        "No window can be good by both expectations, so one of them is always in breach.",
    ),
    (
        "unknown_node",
        "A feature of the lineage has no charter, or a node is named once and nearly as another. \
         Blame cannot be put on what nobody knows.",
    ),
    (
        "view_field",
        "The charter of a view says something that decides what happens, and a feature of the view does \
         not. Of a view only the group, system, domain and holders of roles come to its features.",
    ),
    (
        "never_judged",
        "The expectation would watch nothing: it looks at values of another type than the feature's, \
         what it learns from or compares with can never be long enough, or no window of the history given with `--history` had enough for it.",
    ),
    (
        "never_bad",
        "The bound lies where no window can be beyond it: a share above 1, or fewer events than none. \
         The expectation would watch nothing.",
    ),
    (
        "short_silence",
        "Silence is told by the last event before a window's end, at every window. One that begins \
         and ends between two of these is not seen, so `after` should be no shorter than the window \
         or its hop.",
    ),
    (
        "moving_baseline",
        "`sustained` adds up what differs from the baseline window by window. A rolling baseline \
         takes the drifting windows in, so the slower the drift, the less there is to add up.",
    ),
    (
        "unknown_profile",
        "None of the profiles given with `--baselines` has this identifier, or none was captured for \
         the feature, so no window would be judged.",
    ),
    (
        "dead_link",
        "With `--check-links`, the host of the link was asked and has no such page, or does not \
         answer. Whoever needs the page in an incident would not find it.",
    ),
];

/// What a rule means and what to do; `None` for names that are no such rule.
pub fn explain(rule: &str) -> Option<&'static str> {
    RULES.iter().chain(&PLAYBOOK_RULES).find(|(name, _)| *name == rule).map(|(_, text)| *text)
}

/// What is checked.
pub(super) struct Folder<'a> {
    pub(super) registry: &'a Registry,
    /// Places of the charter documents, by their number in the index.
    pub(super) charters: &'a [Located<()>],
    pub(super) directories: &'a [Located<Directory>],
    pub(super) lineage: &'a [Located<Vec<Edge>>],
    pub(super) policies: &'a [Located<Policy>],
    /// The ends of each edge of the registry, and where it was written first.
    pub(super) ends: &'a Ends,
    /// Paths of the edges of each lineage document, once one is asked for.
    pub(super) paths: OnceCell<Vec<Vec<String>>>,
    pub(super) checks: &'a Checks,
}

impl Folder<'_> {
    /// The path of an edge of a lineage document.
    fn edge_path(&self, document: usize, place: usize) -> &str {
        let all = || self.lineage.iter().map(|document| document.items("edges")).collect();
        let paths = self.paths.get_or_init(all);
        paths.get(document).and_then(|paths| paths.get(place)).map_or("", String::as_str)
    }

    /// The names of the nodes that edges have, ascending in their numbers;
    /// empty for a number that no edge has.
    fn nodes(&self) -> Vec<&str> {
        let ends = &self.ends.nodes;
        let count = ends.iter().map(|(from, to)| from.max(to) + 1).max().unwrap_or(0);
        let mut names = vec![""; count as usize];
        for (edge, (from, to)) in self.registry.edges().iter().zip(ends) {
            names[*from as usize] = &edge.from;
            names[*to as usize] = &edge.to;
        }
        names
    }
}

/// What a folder is checked against beside itself.
#[derive(Clone, Debug)]
pub struct Checks {
    /// The deployment's pane, of which windows must be multiples.
    pub pane: TimeSpan,
    /// The instant at which reviews are overdue; `None` leaves them alone, so
    /// that a service that starts does not look at the clock.
    pub now: Option<Timestamp>,
    /// Windows of the past.
    pub history: History,
    /// Profiles that were captured; `None` where that is not known.
    pub profiles: Option<Captured>,
    /// Links that lead nowhere.
    pub dead_links: DeadLinks,
    /// Policies are followed through as playbooks, too.
    pub playbooks: bool,
    /// When each policy was last tried out; `None` where that is not known.
    pub drills: Option<BTreeMap<String, Timestamp>>,
}

impl Checks {
    /// What every start of a service checks.
    pub fn of_pane(pane: TimeSpan) -> Self {
        Self {
            pane,
            now: None,
            history: History::default(),
            profiles: None,
            dead_links: DeadLinks::new(),
            playbooks: false,
            drills: None,
        }
    }
}

/// All findings, each once: what many subjects inherit is said of its source.
pub(super) fn lint(folder: &Folder<'_>) -> Vec<Diagnostic> {
    let mut found = Found::default();
    ambiguity::check(folder, &mut found);
    charters::check(folder, &mut found);
    names::check(folder, &mut found);
    policies::check(folder, &mut found);
    cycles::check(folder, &mut found);
    people::check(folder, &mut found);
    nodes::check(folder, &mut found);
    views::check(folder, &mut found);
    history::check(folder, &folder.checks.history, &mut found);
    judged::check(folder, &mut found);
    links::check(folder, &folder.checks.dead_links, &mut found);
    if let Some(now) = folder.checks.now {
        age::check(folder, now, &mut found);
    }
    if folder.checks.playbooks {
        playbook::check(folder, &mut found);
    }
    found.all.into_iter().collect()
}

/// Findings of one level. Further ones are left out: what is told is what has
/// to be mended anyway, and the folder is refused by any error.
const FINDINGS_MAX: usize = 10_000;

/// Findings in their order.
#[derive(Default)]
struct Found {
    all: BTreeSet<Diagnostic>,
    errors: usize,
    warnings: usize,
}

impl Found {
    fn error<T>(
        &mut self,
        document: &Located<T>,
        field: &str,
        rule: &'static str,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        let found = document.diagnostic(field, rule, Level::Error, message, hint);
        if self.errors < FINDINGS_MAX && self.all.insert(found) {
            self.errors += 1;
        }
    }

    fn warning<T>(
        &mut self,
        document: &Located<T>,
        field: &str,
        rule: &'static str,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        let found = document.diagnostic(field, rule, Level::Warning, message, hint);
        if self.warnings < FINDINGS_MAX && self.all.insert(found) {
            self.warnings += 1;
        }
    }
}

/// A guess at what a wrong name was meant to be.
fn did_you_mean<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<String> {
    nearest(name, known).map(|near| format!("did you mean `{near}`?"))
}

/// Where a document stands, for messages about two of them.
fn at<T>(document: &Located<T>, field: &str) -> String {
    format!("{}:{}", document.file, document.place_of(field).line)
}
