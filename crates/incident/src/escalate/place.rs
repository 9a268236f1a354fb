//! Which policy a breach follows, where it comes from, and which group it
//! belongs to.

use std::borrow::Cow;
use std::collections::BTreeSet;

use watchkeep_model::breach::Breach;
use watchkeep_model::charter::{Charter, ExpectationKind, Lifecycle};
use watchkeep_model::lineage::Edge;
use watchkeep_model::policy::{GroupKey, LOOPS_MAX, Policy, STEPS_MAX};
use watchkeep_model::subject::typed;
use watchkeep_model::time::{TimeSpan, Timestamp};

use super::Escalate;
use crate::attribution::{Rooted, Search, attribute};
use crate::context::{Context, DEFAULT_POLICY, default_policy};

/// Shortest `repeat_interval`. A shorter one is taken as this, so that an
/// exhausted incident cannot repeat itself without end at one instant.
const REPEAT_MIN: TimeSpan = TimeSpan::MINUTE;

/// A breach's place.
#[derive(Clone)]
pub(super) struct Placed {
    pub(super) rooted: Rooted,
    pub(super) kind: ExpectationKind,
    pub(super) group_key: String,
}

impl Escalate {
    /// Where a breach comes from and the group that it belongs to. A breach
    /// with a root upstream takes the kind of the root's own breach, so that
    /// one cause is one incident.
    /// `upstream` tells the edges that end at a node.
    pub(super) fn place<'a>(
        &self,
        breach: &Breach,
        context: &'a dyn Context,
        upstream: &dyn Fn(&str) -> Vec<&'a Edge>,
        at: Timestamp,
    ) -> Placed {
        let policy = policy_of(breach, context);
        let subject = typed(&breach.feature);
        let evidence = |node: &str| self.index.evidence(node).map(|(_, what)| what);
        let charter = context.charter(&subject, breach.window_end);
        let declared = charter.as_ref().and_then(|charter| charter.fields.upstream.as_deref());
        let is_source = context.edges().binary_search_by(|edge| edge.from.cmp(&subject)).is_ok();
        let declared = declared.unwrap_or_default();
        let search = Search { declared, upstream, is_source, evidence: &evidence };
        let rooted = attribute(&subject, &search, &policy.attribution, at);
        let kind = if rooted.root == subject {
            breach.kind
        } else {
            self.index.evidence(&rooted.root).map_or(breach.kind, |(kind, _)| kind)
        };
        let group_key = group_key(&policy, breach, &rooted.root, kind, charter.as_deref());
        Placed { rooted, kind, group_key }
    }
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
    let Some(policy) = found.or_else(|| context.policy(DEFAULT_POLICY)) else {
        return Cow::Owned(default_policy());
    };
    let names: BTreeSet<&str> = policy.steps.iter().map(|step| step.name.as_str()).collect();
    let sound = (1..=STEPS_MAX).contains(&policy.steps.len())
        && names.len() == policy.steps.len()
        && policy.loops <= LOOPS_MAX
        && policy.grouping.repeat_interval >= REPEAT_MIN;
    if sound { Cow::Borrowed(policy) } else { Cow::Owned(put_right(policy)) }
}

fn put_right(policy: &Policy) -> Policy {
    let mut policy = policy.clone();
    if policy.steps.is_empty() {
        policy.steps = default_policy().steps;
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
) -> String {
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
            GroupKey::Domain => format!("domain={}", of(fields.and_then(|f| f.domain.as_ref()))),
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
