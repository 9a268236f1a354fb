//! What has been held for long enough opens incidents, or opens them again.

use std::sync::Arc;

use watchkeep_model::breach::Breach;
use watchkeep_model::identifier::derived;
use watchkeep_model::subject::typed;
use watchkeep_model::time::Timestamp;

use super::pins::Pin;
use super::place::{self, Group, find_policy, policy_of};
use super::relate::Place;
use super::{Escalate, Held, Outputs};
use crate::context::Context;
use crate::decide::World;
use crate::decide::breach::{Opening, open};
use crate::decide::learn::severity_reopened;

impl Escalate {
    /// Opens what has been held until `due_at`, each with every held breach of
    /// its group, in order of incident.
    pub(super) fn open_due(
        &mut self,
        due_at: Timestamp,
        context: &dyn Context,
        now: Timestamp,
        out: &mut Outputs,
    ) {
        let mut due: Vec<(String, Group)> = Vec::new();
        for mut group in self.place_held(context, due_at) {
            if group.members.iter().all(|held| held.due_at > due_at) {
                continue;
            }
            group.members.sort_by(|a, b| {
                let key = |held: &Held| (held.breach.detected_at, held.breach.breach_id.clone());
                key(a).cmp(&key(b))
            });
            let first = &group.members[0].breach;
            let detected_at = first.detected_at.as_micros().to_string();
            let key = &group.placed.group_key;
            due.push((derived(&["incident", key, &first.breach_id, &detected_at]), group));
        }
        // Whom a limit spares further pages shall hear of the worst first.
        let worst = |group: &Group| {
            let is_limited =
                policy_of(&group.members[0].breach, context).limits.per_owner.is_some();
            let severities = group.members.iter().map(|held| held.breach.severity);
            std::cmp::Reverse(severities.max().filter(|_| is_limited))
        };
        due.sort_by_cached_key(|(id, group)| (worst(group), id.clone()));
        self.check_platform(&due, due_at, context, now, out);
        for (id, group) in due {
            for held in &group.members {
                self.unhold(&held.breach.breach_id);
            }
            self.open_group(id, group, due_at, context, now, out);
            self.relate(context, now, out);
        }
    }

    pub(super) fn open_group(
        &mut self,
        id: String,
        group: Group,
        due_at: Timestamp,
        context: &dyn Context,
        now: Timestamp,
        out: &mut Outputs,
    ) {
        let Group { placed, attribution, members } = group;
        let breaches: Vec<&Breach> = members.iter().map(|held| &held.breach).collect();
        let first = breaches[0];
        if let Some(open) = self.open_incident_of(&placed.group_key) {
            for breach in breaches {
                self.join(&open, breach, context, now, out);
            }
            return;
        }
        let root = &placed.root;
        let charter = context.charter(root, first.window_end).or_else(|| {
            // Which of several has the smallest identifier is chance; whom their
            // names begin with is what `who` tells beforehand.
            let at_once = breaches.iter().filter(|one| one.detected_at == first.detected_at);
            let names = at_once.map(|one| typed(&one.feature)).min();
            context.charter(&names?, first.window_end)
        });
        let name = charter.as_ref().and_then(|charter| charter.fields.policy.as_deref());
        let policy = find_policy(name.or(first.policy.as_deref()), context);
        // A breach may have come in late: what counts is when it was first known.
        let known_at = due_at - policy.grouping.group_wait;
        let earlier = self.index.latest_of_group(&placed.group_key).and_then(|earlier| {
            let until = self.incidents.get(&earlier)?.reopens_until?;
            (known_at <= until).then_some(earlier)
        });
        let mut severity = breaches.iter().map(|breach| breach.severity).max().unwrap_or_default();
        let limits = policy.attribution.clone();
        // One that opens again stays where it was attributed to.
        let again = earlier.as_ref().and_then(|earlier| self.incidents.get(earlier));
        let root = again.map_or_else(|| placed.root.clone(), |earlier| earlier.root.clone());
        if let Some(again) = again {
            let pinned = self.policies.of(&Pin::of(again), context);
            severity = severity_reopened(again, &pinned, severity);
        }
        let child = earlier.as_deref();
        let latest = breaches.iter().map(|breach| breach.detected_at).max().unwrap_or(now);
        let as_of = place::as_of(latest, policy.grouping.group_wait, now);
        let is_of_root = breaches.iter().any(|breach| typed(&breach.feature) == root);
        let place = Place { root: &root, is_of_root };
        let parent = self.parent_of(&place, severity, child, &limits, context, as_of);
        if let Some(earlier) = earlier {
            self.decide(&earlier, context, now, out, |decision| {
                decision.reopen(&breaches, due_at, parent.as_ref());
            });
            return;
        }
        let (policy, is_new) = self.policies.open(policy, now);
        out.policies.extend(is_new.then(|| (now, Arc::clone(&policy))));
        let recurrences = self.index.recurrences_with(&placed.group_key, due_at);
        let world = World {
            context,
            policy: &policy,
            charter,
            load: self.index.load(),
            recurrences: &recurrences,
            silences: &self.silences,
            pages: self.index.pages(),
            board: self.index.board(),
            now,
        };
        let opening = Opening {
            id,
            group_key: placed.group_key,
            kind: placed.kind,
            root: placed.root,
            attribution,
            breaches,
            due_at,
            drill: self.settings.drill,
            parent,
        };
        let from = out.facts.len();
        let (incident, progress) = open(&opening, &world, out);
        self.take_in(incident, progress, &out.facts[from..]);
    }
}
