//! Captured baselines, by id, feature and version.

use std::collections::BTreeMap;
use std::sync::Arc;

use watchkeep_model::charter::BaselineSpec;
use watchkeep_model::identifier::sha256_of;
use watchkeep_model::profile::{Profile, ProfileError};
use watchkeep_model::subject::untyped;

use super::Baseline;

/// The captured baselines that there are. An id and feature version have one
/// content for ever, so it matters to no window when it was judged.
#[derive(Clone, Debug, Default)]
pub struct Profiles(BTreeMap<Key, Held>);

/// Id, feature, version.
type Key = (String, String, String);

#[derive(Clone, Debug)]
struct Held {
    hash: String,
    baseline: Baseline,
}

/// Why a profile was not added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// It cannot be used.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// There is another content under that id: capture under a new id.
    #[error(
        "profile {id} of {feature} was captured before with another content (sha256 {before}, \
         now {now}): choose another id, so that what was judged can be judged again"
    )]
    OtherContent {
        /// The id.
        id: String,
        /// The feature.
        feature: String,
        /// The hash that is there, its first digits.
        before: String,
        /// The other one's.
        now: String,
    },
}

impl Profiles {
    /// Adds one. The same content once more changes nothing.
    ///
    /// # Errors
    /// [`Conflict`].
    pub fn add(&mut self, profile: &Profile) -> Result<(), Conflict> {
        let Profile { id, feature, feature_version, hash, .. } = profile;
        let key = (id.clone(), untyped(feature).to_owned(), feature_version.clone());
        if let Some(held) = self.0.get(&key) {
            if held.hash == *hash {
                return Ok(());
            }
            let short = |hash: &str| hash.chars().take(16).collect();
            let (before, now) = (short(&held.hash), short(hash));
            return Err(Conflict::OtherContent { id: key.0, feature: key.1, before, now });
        }
        let spec = BaselineSpec::Profile { id: id.as_str().into() };
        let baseline = Baseline::new(&spec, Arc::new(profile.summary()?), Vec::new());
        self.0.insert(key, Held { hash: hash.clone(), baseline });
        Ok(())
    }

    /// That of a feature version, else that of the feature in every version.
    pub fn find(&self, id: &str, feature: &str, version: &str) -> Option<Baseline> {
        let of =
            |version: &str| self.0.get(&(id.to_owned(), feature.to_owned(), version.to_owned()));
        of(version).or_else(|| of("")).map(|held| held.baseline.clone())
    }

    /// True where something was captured under the id.
    pub fn has(&self, id: &str) -> bool {
        let first = (id.to_owned(), String::new(), String::new());
        self.0.range(first..).next().is_some_and(|((known, ..), _)| known == id)
    }

    /// Hash of what there is.
    pub fn hash(&self) -> [u8; 32] {
        let parts: Vec<&[u8]> = self
            .0
            .iter()
            .flat_map(|((id, feature, version), held)| [id, feature, version, &held.hash])
            .flat_map(|text| [text.as_bytes(), &[0]])
            .collect();
        sha256_of(&parts)
    }
}

#[cfg(test)]
mod tests {
    use watchkeep_model::summary::Summary;

    use super::*;

    fn profile(id: &str, version: &str, number: f64) -> Profile {
        let mut summary = Summary::default();
        summary.numbers.add(number);
        let profile = Profile {
            id: id.into(),
            feature: "f".into(),
            feature_version: version.into(),
            ..Profile::default()
        };
        profile.with_summary(&summary).unwrap()
    }

    #[test]
    fn an_id_keeps_its_content() {
        let mut profiles = Profiles::default();
        profiles.add(&profile("a", "", 1.0)).unwrap();
        profiles.add(&profile("a", "", 1.0)).unwrap();
        profiles.add(&profile("a", "2", 2.0)).unwrap();
        assert!(profiles.add(&profile("a", "", 2.0)).is_err());
        let number =
            |version| profiles.find("a", "f", version).and_then(|b| b.summary.numbers.min());
        assert_eq!([number(""), number("1"), number("2")], [Some(1.0), Some(1.0), Some(2.0)]);
        assert!(profiles.find("a", "g", "").is_none() && profiles.has("a") && !profiles.has("b"));
    }
}
