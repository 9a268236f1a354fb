//! Which policy a breach follows, where it comes from, and which group it
//! belongs to.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use watchkeep_model::breach::Breach;
use watchkeep_model::charter::{Charter, ExpectationKind, Lifecycle};
use watchkeep_model::incident::data::{Attribution, PolicyRevision};
use watchkeep_model::policy::{AttributionLimits, GroupKey, LOOPS_MAX, Policy, STEPS_MAX, Step};
use watchkeep_model::subject::typed;
use watchkeep_model::time::{TimeSpan, Timestamp};

use super::{Escalate, Held};
use crate::attribution::Search;
use crate::attribution::board::Board;
use crate::context::{Context, DEFAULT_POLICY, built_in};
use crate::lineage::{Lineage, Node};
use crate::owner::{self, domain_of};

/// Shortest `repeat_interval`. A shorter one is taken as this, so that an
/// exhausted incident cannot repeat itself without end at one instant.
pub(crate) const REPEAT_MIN: TimeSpan = TimeSpan::MINUTE;

/// A breach's place.
#[derive(Clone)]
pub(super) struct Placed {
    pub(super) root: String,
    pub(super) kind: ExpectationKind,
    pub(super) group_key: String,
}

/// A group of held breaches and where they come from.
pub(super) struct Group {
    pub(super) placed: Placed,
    pub(super) attribution: Attribution,
    pub(super) members: Vec<Held>,
}

impl Group {
    /// Breaches of features that stand for themselves.
    pub(super) fn unexplained(&self) -> impl Iterator<Item = &Held> {
        let root = &self.placed.root;
        self.members.iter().filter(move |held| typed(&held.breach.feature) == *root)
    }
}

impl Escalate {
    /// The group that a breach joins if its incident is open: what is open
    /// about a node is evidence for it, so nothing else need be weighed.
    pub(super) fn place(
        &mut self,
        breach: &Breach,
        context: &dyn Context,
        at: Timestamp,
    ) -> Placed {
        let policy = policy_of(breach, context);
        let subject = typed(&breach.feature);
        let marks = std::mem::take(&mut self.marks);
        let board = self.index.settled(context);
        let lineage = context.lineage();
        let as_of = as_of(breach.detected_at, policy.grouping.group_wait, at);
        let search = Search::new(board, lineage, &policy.attribution, as_of).marking(marks);
        let mut search = search.remembering();
        let root = match board.node(lineage, &subject) {
            Some(node) => {
                let root = search.by_evidence(node);
                board.name(lineage, root).to_owned()
            }
            None => subject.clone(),
        };
        self.marks = search.into_marks();
        let kind = if root == subject {
            breach.kind
        } else {
            known_kind(board, lineage, &root).unwrap_or(breach.kind)
        };
        let charter = context.charter(&subject, breach.window_end);
        let group_key = group_key(&policy, breach, &root, kind, charter.as_deref(), context);
        Placed { root, kind, group_key }
    }

    /// Where the held breaches come from that are due, and those that may
    /// belong together with them, by group key. Breaches with a root upstream
    /// take the kind of the root's own breach, else the most frequent among
    /// them, so that one cause is one incident. The lineage is asked as of the
    /// time of the breaches, and not of when somebody looks: a service that
    /// catches up sees what a replay sees.
    pub(super) fn place_held(&mut self, context: &dyn Context, at: Timestamp) -> Vec<Group> {
        let near = self.near_of(context, at);
        self.place_these(&near, context, at)
    }

    /// The held breaches that may belong together with those that are due.
    pub(super) fn near_of(&mut self, context: &dyn Context, at: Timestamp) -> BTreeSet<String> {
        let due = self.index.held_until(at);
        let board = self.index.settled(context);
        self.near.of(due, &self.held, board, context)
    }

    pub(super) fn place_these(
        &mut self,
        ids: &BTreeSet<String>,
        context: &dyn Context,
        at: Timestamp,
    ) -> Vec<Group> {
        let mut held: Vec<Held> = ids.iter().filter_map(|id| self.held.get(id)).cloned().collect();
        held.sort_by(|a, b| {
            let key = |one: &Held| (one.breach.detected_at, one.breach.breach_id.clone());
            key(a).cmp(&key(b))
        });
        let board = self.index.settled(context);
        let lineage = context.lineage();
        let mut groups: BTreeMap<String, Group> = BTreeMap::new();
        for (policy_limits, as_of, members) in by_limits_and_time(held, context, at) {
            let marks = std::mem::take(&mut self.marks);
            let mut search = Search::new(board, lineage, &policy_limits, as_of).marking(marks);
            let nodes: Vec<Node> = members
                .iter()
                .filter_map(|one| board.node(lineage, &typed(&one.breach.feature)))
                .collect();
            let is_accountable = |node: &str| is_accountable(node, context, at);
            let roots = search.roots(&nodes, &is_accountable);
            let mut of_root: BTreeMap<Node, Vec<Held>> = BTreeMap::new();
            for one in members {
                let node = board.node(lineage, &typed(&one.breach.feature));
                let Some((node, root)) = node.and_then(|node| Some((node, *roots.get(&node)?)))
                else {
                    continue;
                };
                debug_assert!(board.breaches(node), "a held breach is on the board");
                of_root.entry(root).or_default().push(one);
            }
            for (root, members) in of_root {
                group(&mut groups, root, members, &mut search, context);
            }
            self.marks = search.into_marks();
        }
        groups.into_values().collect()
    }
}

/// Puts the breaches of one root into their groups.
fn group(
    groups: &mut BTreeMap<String, Group>,
    root: Node,
    members: Vec<Held>,
    search: &mut Search<'_>,
    context: &dyn Context,
) {
    let (board, lineage) = (search.board, search.lineage);
    let name = board.name(lineage, root).to_owned();
    let kind = known_kind(board, lineage, &name);
    let kind = kind.unwrap_or_else(|| most_frequent(members.iter().map(|one| one.breach.kind)));
    let mut keyed: BTreeMap<String, Vec<(Held, ExpectationKind)>> = BTreeMap::new();
    for one in members {
        let policy = policy_of(&one.breach, context);
        let subject = typed(&one.breach.feature);
        let kind = if name == subject { one.breach.kind } else { kind };
        let charter = context.charter(&subject, one.breach.window_end);
        let key = group_key(&policy, &one.breach, &name, kind, charter.as_deref(), context);
        keyed.entry(key).or_default().push((one, kind));
    }
    for (group_key, members) in keyed {
        let subjects =
            members.iter().filter_map(|(one, _)| board.node(lineage, &typed(&one.breach.feature)));
        let attribution = search.tell(root, &subjects.collect::<Vec<Node>>());
        let kind = members[0].1;
        let members: Vec<Held> = members.into_iter().map(|(one, _)| one).collect();
        match groups.get_mut(&group_key) {
            // Another policy with other limits came to the same.
            Some(same) => same.members.extend(members),
            None => {
                let placed = Placed { root: name.clone(), kind, group_key: group_key.clone() };
                groups.insert(group_key, Group { placed, attribution, members });
            }
        }
    }
}

/// The instant as of which the lineage explains a breach: when it has been held
/// for long enough, by its own time; never after `now`.
pub(super) fn as_of(detected_at: Timestamp, wait: TimeSpan, now: Timestamp) -> Timestamp {
    (detected_at + wait).min(now)
}

/// Held breaches by how far their policies look, in order of appearance, and
/// by their time: those that were detected further apart than the longest
/// `group_wait` only happen to be held together, because a service catches up.
/// With each the instant as of which the lineage explains them.
fn by_limits_and_time(
    held: Vec<Held>,
    context: &dyn Context,
    now: Timestamp,
) -> Vec<(AttributionLimits, Timestamp, Vec<Held>)> {
    struct Together {
        limits: AttributionLimits,
        first: Timestamp,
        wait: TimeSpan,
        as_of: Timestamp,
        members: Vec<Held>,
    }
    let mut all: Vec<Together> = Vec::new();
    for one in held {
        let policy = policy_of(&one.breach, context);
        let (limits, wait) = (&policy.attribution, policy.grouping.group_wait);
        let detected_at = one.breach.detected_at;
        let as_of = as_of(detected_at, wait, now);
        let fits = |known: &&mut Together| {
            known.limits == *limits && detected_at <= known.first + known.wait.max(wait)
        };
        match all.iter_mut().rev().find(fits) {
            Some(known) => {
                known.wait = known.wait.max(wait);
                known.as_of = known.as_of.max(as_of);
                known.members.push(one);
            }
            None => all.push(Together {
                limits: limits.clone(),
                first: detected_at,
                wait,
                as_of,
                members: vec![one],
            }),
        }
    }
    all.into_iter().map(|one| (one.limits, one.as_of, one.members)).collect()
}

/// The kind of what is wrong with a root: that of its first breach, else that
/// of the first open incident about it.
fn known_kind(board: &Board, lineage: &Lineage, root: &str) -> Option<ExpectationKind> {
    let node = board.node(lineage, root)?;
    let breach = board.first_breach(node).map(|breach| breach.kind);
    breach.or_else(|| board.open_incident(node).map(|(_, kind)| kind))
}

/// Of equally frequent kinds the first of their order.
fn most_frequent(kinds: impl Iterator<Item = ExpectationKind>) -> ExpectationKind {
    let mut counts: BTreeMap<&str, (usize, ExpectationKind)> = BTreeMap::new();
    for kind in kinds {
        counts.entry(kind.name()).or_insert((0, kind)).0 += 1;
    }
    let most = counts.iter().max_by_key(|(name, (count, _))| (*count, std::cmp::Reverse(**name)));
    most.map_or(ExpectationKind::Drift, |(_, (_, kind))| *kind)
}

/// True where the owner chain of a node's charter ends with somebody.
fn is_accountable(node: &str, context: &dyn Context, at: Timestamp) -> bool {
    let charter = context.charter(node, at);
    charter.is_some() && !owner::resolve(charter.as_deref(), context, at, &|_| 0).unowned
}

/// The policy of the breach's own charter.
pub(super) fn policy_of<'a>(breach: &Breach, context: &'a dyn Context) -> Cow<'a, Policy> {
    let charter = context.charter(&typed(&breach.feature), breach.window_end);
    let name = charter.as_ref().and_then(|charter| charter.fields.policy.as_deref());
    find_policy(name.or(breach.policy.as_deref()), context)
}

/// The policy of a name; the built-in one where there is none. What a reader
/// should have refused is put right here, so that no breach goes unheard and
/// no ladder is endless: steps of the built-in policy where there are none,
/// names that are unique, bounds that hold.
pub(super) fn find_policy<'a>(name: Option<&str>, context: &'a dyn Context) -> Cow<'a, Policy> {
    let found = name.and_then(|name| context.policy(name));
    match found.or_else(|| context.policy(DEFAULT_POLICY)) {
        Some(policy) => sound(policy),
        None => Cow::Borrowed(built_in()),
    }
}

/// A policy in a certain revision; where that is not known any more, the one
/// of its name that holds now.
pub(super) fn find_revision<'a>(
    revision: &PolicyRevision,
    context: &'a dyn Context,
) -> Cow<'a, Policy> {
    let known = context.policy_of(revision).map(sound);
    known.unwrap_or_else(|| find_policy(Some(&revision.name), context))
}

fn sound(policy: &Policy) -> Cow<'_, Policy> {
    let steps = &policy.steps;
    let is_new = |(at, step): (usize, &Step)| steps[..at].iter().all(|one| one.name != step.name);
    let sound = (1..=STEPS_MAX).contains(&steps.len())
        && steps.iter().enumerate().all(is_new)
        && policy.loops <= LOOPS_MAX
        && policy.grouping.repeat_interval >= REPEAT_MIN;
    if sound { Cow::Borrowed(policy) } else { Cow::Owned(put_right(policy)) }
}

fn put_right(policy: &Policy) -> Policy {
    let mut policy = policy.clone();
    if policy.steps.is_empty() {
        policy.steps = built_in().steps.clone();
    }
    policy.steps.truncate(STEPS_MAX);
    let mut names = BTreeSet::new();
    for (at, step) in policy.steps.iter_mut().enumerate() {
        if !names.insert(step.name.clone()) {
            step.name = format!("{} #{}", step.name, at + 1);
            names.insert(step.name.clone());
        }
    }
    policy.loops = policy.loops.min(LOOPS_MAX);
    let repeat = &mut policy.grouping.repeat_interval;
    *repeat = (*repeat).max(REPEAT_MIN);
    policy
}

fn group_key(
    policy: &Policy,
    breach: &Breach,
    root: &str,
    kind: ExpectationKind,
    charter: Option<&Charter>,
    context: &dyn Context,
) -> String {
    let directory = context.directory_at(breach.window_end);
    let domain = charter.and_then(|charter| domain_of(charter, directory)).unwrap_or_default();
    let fields = charter.map(|charter| &charter.fields);
    let of = |value: Option<&String>| value.cloned().unwrap_or_default();
    let by: BTreeSet<GroupKey> = policy.grouping.by.iter().copied().collect();
    let parts: Vec<String> = by
        .into_iter()
        .map(|key| match key {
            GroupKey::Root => format!("root={root}"),
            GroupKey::Kind => format!("kind={}", kind.name()),
            GroupKey::Feature => format!("feature={}", breach.feature),
            GroupKey::Expectation => format!("expectation={}", breach.expectation),
            GroupKey::Severity => format!("severity={}", breach.severity.name()),
            GroupKey::Domain => format!("domain={domain}"),
            GroupKey::System => format!("system={}", of(fields.and_then(|f| f.system.as_ref()))),
            GroupKey::Group => format!("group={}", of(fields.and_then(|f| f.group.as_ref()))),
        })
        .collect();
    parts.join(" ")
}

/// False for subjects whose charter says draft or retired at the window's end.
pub(super) fn is_paged(breach: &Breach, context: &dyn Context) -> bool {
    let charter = context.charter(&typed(&breach.feature), breach.window_end);
    let lifecycle = charter.and_then(|charter| charter.fields.lifecycle);
    !matches!(lifecycle, Some(Lifecycle::Draft | Lifecycle::Retired))
}
