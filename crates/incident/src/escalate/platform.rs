//! The platform as the cause: so much breaches at once, and so little of it is
//! explained by the lineage, that single owners would be paged in vain.

use watchkeep_model::breach::{Breach, Transition};
use watchkeep_model::charter::{ExpectationKind, Severity};
use watchkeep_model::identifier::derived;
use watchkeep_model::incident::data::Attribution;
use watchkeep_model::policy::Policy;
use watchkeep_model::time::{TimeSpan, Timestamp};

use super::pins::Pin;
use super::place::{Group, Placed};
use super::{Escalate, Held, Outputs};
use crate::context::Context;
use crate::decide::Doing;
use crate::state::{Attached, Incident, key_of};

/// The root of a platform incident. A charter of this name has its owners,
/// else the governance group answers.
pub const PLATFORM: &str = "service:platform";

/// The expectation that a platform incident breaches.
const EXPECTATION: &str = "platform_incident_share";

/// The rule of an incident for which the platform's speaks.
pub(super) const RULE: &str = "platform";

/// How a platform incident's root is found.
const METHOD: &str = "platform";

impl Escalate {
    /// The open platform incident.
    pub(super) fn platform_incident(&self) -> Option<String> {
        let mut all = self.index.open_of_root(PLATFORM).into_iter();
        all.find(|id| self.incidents.get(id).is_some_and(is_platform))
    }

    /// Opens a platform incident before the groups that are due, where these
    /// and the open incidents breach for themselves in too large a share of the
    /// features that are watched.
    pub(super) fn check_platform(
        &mut self,
        due: &[(String, Group)],
        due_at: Timestamp,
        context: &dyn Context,
        now: Timestamp,
        out: &mut Outputs,
    ) {
        let Some((policy, limit)) = due.iter().find_map(|(_, group)| {
            let policy = super::place::policy_of(&group.members.first()?.breach, context);
            Some((policy.clone(), policy.limits.platform_incident_share?))
        }) else {
            return;
        };
        let known = self.platform_incident().and_then(|id| self.incidents.get(&id));
        if known.is_some_and(speaks) {
            return;
        }
        let new: Vec<&Breach> = due
            .iter()
            .flat_map(|(_, group)| group.unexplained())
            .map(|held| &held.breach)
            .collect();
        let affected = self.index.unexplained_with(new.iter().map(|one| one.feature.as_str()));
        let watched = self.index.watched(due_at);
        let few = affected < u64::from(policy.attribution.min_features);
        // Where more breaches than was ever judged, nothing is known of the share.
        if few || affected > watched || affected as f64 <= limit * watched as f64 {
            return;
        }
        let open = self.incidents.values().filter(|one| one.is_open()).map(|one| one.severity);
        let severity = new.iter().map(|one| one.severity).chain(open).max().unwrap_or_default();
        let first = due.iter().flat_map(|(_, group)| &group.members).next();
        let first = first.map_or("", |held| held.breach.breach_id.as_str());
        let mut breach = breach(&policy, severity, affected, watched, limit, due_at);
        // The share can go up, down and up again at one instant.
        breach.breach_id = derived(&["platform", EXPECTATION, &due_at.to_string(), first]);
        let group_key = format!("root={PLATFORM} kind={}", ExpectationKind::Platform.name());
        let id = derived(&["incident", &group_key, &breach.breach_id]);
        let placed = Placed { root: PLATFORM.into(), kind: ExpectationKind::Platform, group_key };
        let attribution = Attribution {
            method: METHOD.into(),
            evidence: vec![breach.reason.clone()],
            coverage: affected as f64 / watched as f64,
            candidates: Vec::new(),
        };
        let members = vec![Held { due_at, breach }];
        self.open_group(id, Group { placed, attribution, members }, due_at, context, now, out);
        let Some(id) = self.platform_incident() else { return };
        let others: Vec<String> = self
            .incidents
            .values()
            .filter(|one| one.is_open() && one.kind != ExpectationKind::Platform)
            .filter(|one| one.quiet.inhibited_by.is_none())
            .map(|one| one.id.clone())
            .collect();
        let doing = Doing::system(now, format!("incident {id}"));
        for other in others {
            self.decide(&other, context, now, out, |decision| {
                decision.inhibit(&id, RULE, &doing);
            });
        }
    }

    /// Clears the platform incident where the share has gone down again.
    pub(super) fn recheck_platform(
        &mut self,
        context: &dyn Context,
        now: Timestamp,
        out: &mut Outputs,
    ) {
        let Some(id) = self.platform_incident() else { return };
        let Some(incident) = self.incidents.get(&id) else { return };
        let Some(share) = share_of(incident) else { return };
        let (breach_id, severity) = (share.open.first().cloned(), share.severity);
        let Some(breach_id) = breach_id else { return };
        let pin = Pin::of(incident);
        let policy = self.pinned_policy(&pin, context);
        let limit = policy.limits.platform_incident_share.unwrap_or(1.0);
        let (affected, watched) =
            (self.index.unexplained_with(std::iter::empty()), self.index.watched(now));
        let few = affected < u64::from(policy.attribution.min_features);
        if !few && affected as f64 > limit * watched as f64 {
            return;
        }
        let cleared = Breach {
            breach_id,
            transition: Transition::Cleared,
            ..breach(&policy, severity, affected, watched, limit, now)
        };
        self.decide(&id, context, now, out, |decision| decision.clear(&cleared));
        // What people have merged into it may breach on, and says nothing of others.
        if self.incidents.get(&id).is_some_and(Incident::is_breaching) {
            self.release_all(&id, "cleared", context, now, out);
        }
    }
}

/// True for the incident of the platform.
pub(crate) fn is_platform(incident: &Incident) -> bool {
    incident.root == PLATFORM && incident.kind == ExpectationKind::Platform
}

/// The share of features that breach, where it is too large.
fn share_of(incident: &Incident) -> Option<&Attached> {
    let key = key_of(PLATFORM, "", EXPECTATION);
    incident.attached.get(&key).filter(|share| !share.open.is_empty())
}

/// True while an incident stands for others: it breaches, or too large a share
/// of all features does where it is the platform's.
pub(super) fn speaks(incident: &Incident) -> bool {
    match is_platform(incident) {
        true => share_of(incident).is_some(),
        false => incident.is_breaching(),
    }
}

fn breach(
    policy: &Policy,
    severity: Severity,
    affected: u64,
    watched: u64,
    limit: f64,
    at: Timestamp,
) -> Breach {
    Breach {
        breach_id: String::new(),
        transition: Transition::Opened,
        feature: PLATFORM.into(),
        feature_version: String::new(),
        expectation: EXPECTATION.into(),
        kind: ExpectationKind::Platform,
        severity,
        window: TimeSpan::MINUTE.to_string(),
        window_start: at - TimeSpan::MINUTE,
        window_end: at,
        revision: 0,
        detected_at: at,
        observed: Some(affected as f64 / watched.max(1) as f64),
        threshold: Some(limit),
        p_value: None,
        effect: None,
        baseline: None,
        owner: None,
        policy: Some(policy.name.clone()),
        affected_consumers: Vec::new(),
        exemplars: Vec::new(),
        reason: format!(
            "{affected} of {watched} watched features breach at once and nothing that they are \
             made from explains it"
        ),
    }
}
