//! Policies as they were when incidents opened under them.
//!
//! A name and a version say which policy an incident goes by. In a folder
//! somebody may change the text and leave the version as it is; so each text is
//! kept with the instant at which the first incident opened under it, and an
//! incident goes by the last one that was there when it opened.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use watchkeep_model::incident::data::PolicyRevision;
use watchkeep_model::policy::Policy;
use watchkeep_model::time::Timestamp;

use super::place::find_revision;
use crate::context::Context;
use crate::state::Incident;

/// Texts of one version that are remembered; of more the oldest is forgotten,
/// and what opened under it goes on by the next.
const TEXTS_MAX: usize = 100;

/// Which policy an incident goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pin {
    revision: PolicyRevision,
    at: Timestamp,
}

impl Pin {
    pub(super) fn of(incident: &Incident) -> Self {
        Self { revision: incident.policy.clone(), at: incident.pinned_at }
    }
}

/// The texts that are known, each from an instant on.
#[derive(Clone, Debug, Default)]
pub(super) struct Pins(BTreeMap<PolicyRevision, Vec<(Timestamp, Arc<Policy>)>>);

impl Pins {
    /// The policy as it was when the incident opened; after a restart as the
    /// log keeps it, else as the registry knows this revision. Only where that
    /// is not there any more, the one of its name that holds now.
    pub(super) fn get(
        &mut self,
        revision: &PolicyRevision,
        at: Timestamp,
        context: &dyn Context,
    ) -> Arc<Policy> {
        if let Some(policy) = self.0.get(revision).and_then(|texts| known(texts, at)) {
            return Arc::clone(policy);
        }
        let policy = Arc::new(find_revision(revision, context).into_owned());
        // Whatever else is known of this version came later.
        self.add(revision.clone(), Timestamp::from_micros(i64::MIN), Arc::clone(&policy));
        policy
    }

    pub(super) fn of(&mut self, pin: &Pin, context: &dyn Context) -> Arc<Policy> {
        self.get(&pin.revision, pin.at, context)
    }

    /// The policy that an incident opens under now; true where none has opened
    /// under this text before.
    pub(super) fn open(&mut self, policy: Cow<'_, Policy>, now: Timestamp) -> (Arc<Policy>, bool) {
        let revision = PolicyRevision { name: policy.name.clone(), version: policy.version };
        let last = self.0.get(&revision).and_then(|texts| texts.last());
        if let Some((_, known)) = last.filter(|(_, known)| **known == *policy) {
            return (Arc::clone(known), false);
        }
        let policy = Arc::new(policy.into_owned());
        self.add(revision, now, Arc::clone(&policy));
        (policy, true)
    }

    /// Takes in a text that the log keeps.
    pub(super) fn add(&mut self, revision: PolicyRevision, at: Timestamp, policy: Arc<Policy>) {
        let texts = self.0.entry(revision).or_default();
        let place = texts.partition_point(|(since, _)| *since <= at);
        texts.insert(place, (at, policy));
        if texts.len() > TEXTS_MAX {
            texts.remove(0);
        }
    }
}

/// The last text that was there at an instant, in order of instant.
fn known(texts: &[(Timestamp, Arc<Policy>)], at: Timestamp) -> Option<&Arc<Policy>> {
    texts.iter().rev().find(|(since, _)| *since <= at).map(|(_, policy)| policy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::default_policy;

    #[test]
    fn an_incident_goes_by_the_text_that_was_there_when_it_opened() {
        let at = Timestamp::from_millis;
        let (first, second) = (default_policy(), Policy { loops: 5, ..default_policy() });
        let mut pins = Pins::default();
        let opened = |pins: &mut Pins, policy: &Policy, now| {
            let (policy, is_new) = pins.open(Cow::Borrowed(policy), at(now));
            (policy.loops, is_new)
        };
        assert_eq!(opened(&mut pins, &first, 10), (2, true));
        assert_eq!(opened(&mut pins, &first, 20), (2, false));
        assert_eq!(opened(&mut pins, &second, 30), (5, true));
        let world = crate::tests::scene::world();
        let revision = PolicyRevision { name: first.name, version: first.version };
        let loops = [10, 29, 30, 40].map(|now| pins.get(&revision, at(now), &world).loops);
        assert_eq!(loops, [2, 2, 5, 5]);
    }
}
