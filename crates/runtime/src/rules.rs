//! The registry, shared by the stages of a process, as detection wants to see it.
//!
//! Charters come from a folder, which is read once, or from the charters topic,
//! which goes on. There it must not depend on timing which windows a revision
//! judges: every summary batch states how far the topic was read when it was
//! written, and whoever evaluates the batch adopts the revisions up to there
//! ([`Adopted`]). See docs/adr/0018-charters-as-facts.md.

mod adopted;
mod published;
mod runs;

use std::sync::Arc;

use watchkeep_detection::baseline::{Baseline, Profiles};
use watchkeep_detection::charters::Charters;
use watchkeep_incident::registry::Registry;
use watchkeep_incident::registry::publications::Publications;
use watchkeep_model::charter::Charter;
use watchkeep_model::directory::AlertBudget;
use watchkeep_model::identifier::sha256_of;
use watchkeep_model::subject::untyped;
use watchkeep_model::time::Timestamp;

pub use adopted::Adopted;
pub use published::{FollowError, Published, ReadPartition};
pub use runs::{RUNS_MAX, ReadRun, Runs, Unusable};

/// Charters, policies, the directory, what runs have shown and captured
/// baselines, shared by the stages of a process.
#[derive(Clone, Debug)]
pub struct Rules {
    source: Arc<Source>,
    runs: Arc<Runs>,
    profiles: Arc<Profiles>,
}

#[derive(Debug)]
enum Source {
    Folder(Arc<Registry>),
    Topic(Box<Published>),
}

impl Rules {
    /// Shares the registry of a folder.
    pub fn new(registry: Registry) -> Self {
        Self::of(Source::Folder(Arc::new(registry)))
    }

    /// Shares what the charters topic holds; [`Rules::follow`] reads it.
    pub fn of_topic(published: Published) -> Self {
        Self::of(Source::Topic(Box::new(published)))
    }

    fn of(source: Source) -> Self {
        Self { source: Arc::new(source), runs: Arc::default(), profiles: Arc::default() }
    }

    /// Adds captured baselines.
    #[must_use]
    pub fn with_profiles(self, profiles: Profiles) -> Self {
        Self { profiles: Arc::new(profiles), ..self }
    }

    /// Adds what runs have shown, for incident handling: windows are judged
    /// by charters alone.
    #[must_use]
    pub fn with_runs(self, runs: Runs) -> Self {
        Self { runs: Arc::new(runs), ..self }
    }

    /// What runs have shown.
    pub fn runs(&self) -> &Runs {
        &self.runs
    }

    /// The captured baselines.
    pub fn profiles(&self) -> &Profiles {
        &self.profiles
    }

    /// The newest registry that is known, with what runs have shown, which
    /// incident handling reads as it is.
    pub fn registry(&self) -> Arc<Registry> {
        self.runs.seen_in(self.newest())
    }

    /// The newest charters, by which windows are judged.
    fn newest(&self) -> Arc<Registry> {
        match &*self.source {
            Source::Folder(registry) => registry.clone(),
            Source::Topic(published) => published.newest(),
        }
    }

    /// How far the charters topic is read: the offset behind the last
    /// publication. `None` where charters come from a folder.
    pub fn position(&self) -> Option<i64> {
        match &*self.source {
            Source::Folder(_) => None,
            Source::Topic(published) => Some(published.position()),
        }
    }

    /// Reads what was published since, where charters come from the topic.
    /// True where there was something.
    ///
    /// # Errors
    /// [`FollowError`].
    pub fn follow(&self, read: &mut ReadPartition<'_>) -> Result<bool, FollowError> {
        match &*self.source {
            Source::Folder(_) => Ok(false),
            Source::Topic(published) => published.follow(read),
        }
    }

    /// What was published and proposed, and the registry that follows from it;
    /// `None` where charters come from a folder.
    pub fn publications(&self) -> Option<(Arc<Publications>, Arc<Registry>)> {
        match &*self.source {
            Source::Folder(_) => None,
            Source::Topic(published) => Some(published.publications()),
        }
    }

    /// The registry of whoever has read the topic up to a position.
    fn at(&self, position: Option<i64>) -> Arc<Registry> {
        match &*self.source {
            Source::Folder(registry) => registry.clone(),
            Source::Topic(published) => published.at(position),
        }
    }

    /// Hash of what windows are judged by: the charters that were adopted, and
    /// captured baselines.
    pub fn hash(&self, adopted: &Adopted) -> [u8; 32] {
        let charters = match &*self.source {
            Source::Folder(registry) => registry.charters_hash(),
            Source::Topic(published) => published.hash(adopted.position()),
        };
        sha256_of(&[&charters, &self.profiles.hash()])
    }
}

/// The charters of a registry, as detection asks for them.
pub(crate) fn named(registry: &Registry) -> Vec<Arc<str>> {
    let watched = |subject: &&str| {
        let charter = registry.charter(subject, Timestamp::MAX);
        charter.is_some_and(|charter| !charter.expectations().is_empty())
    };
    registry.named().filter(watched).map(|subject| untyped(subject).into()).collect()
}

/// The alert budget of a charter's domain, as detection asks for it.
pub(crate) fn alert_budget(
    registry: &Registry,
    charter: &Charter,
) -> Option<(Arc<str>, AlertBudget)> {
    let (domain, system) = (charter.fields.domain.as_deref(), charter.fields.system.as_deref());
    let (domain, budget) = registry.directory().alert_budget(domain, system)?;
    Some((domain.into(), *budget))
}

/// The newest charters that are known: for summarising, and for replays of
/// telemetry, which say nothing of when somebody published.
impl Charters for Rules {
    fn charter(&self, feature: &str, at: Timestamp) -> Option<Arc<Charter>> {
        self.newest().charter(feature, at)
    }

    fn profile(&self, id: &str, feature: &str, version: &str) -> Option<Baseline> {
        self.profiles.find(id, feature, version)
    }

    fn alert_budget(&self, charter: &Charter) -> Option<(Arc<str>, AlertBudget)> {
        alert_budget(&self.newest(), charter)
    }

    fn deduplicates(&self, feature: &str) -> bool {
        self.newest().deduplicates(feature)
    }

    fn named(&self) -> Vec<Arc<str>> {
        named(&self.newest())
    }
}
