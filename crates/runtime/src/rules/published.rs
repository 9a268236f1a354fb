//! The charters topic, read and folded, and the registries that follow from it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use watchkeep_incident::registry::Registry;
use watchkeep_incident::registry::publications::{Publications, Taken};
use watchkeep_model::identifier::sha256_of;
use watchkeep_model::json;
use watchkeep_model::position::Partition;
use watchkeep_model::revision::Revision;
use watchkeep_wire::Malformed;
use watchkeep_wire::fact::decode;

use crate::log::LogError;
use crate::topics::Topics;

/// Registries that are kept besides the newest. A restore or a replay of an
/// older time goes through the publications in order and needs two at a time;
/// one that was dropped is made again.
const KEPT_MAX: usize = 4;

/// Reads a partition from an offset to its end as of now: hands over offsets
/// and values, and answers with the end.
pub type ReadPartition<'a> =
    dyn FnMut(&Partition, i64, &mut dyn FnMut(i64, &[u8])) -> Result<i64, LogError> + 'a;

/// Why the topic cannot be followed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FollowError {
    /// The log does not answer, or refuses.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A record is no fact of ours: look who writes to the topic.
    #[error("{topic} at offset {offset} is not readable: {}", error.detail)]
    Unreadable {
        /// The topic.
        topic: String,
        /// The record's offset.
        offset: i64,
        /// What is wrong with it.
        error: Malformed,
    },
}

/// What the topics of charters and policies hold, as far as they were read.
/// Their first partition is the whole: their order is total.
#[derive(Debug)]
pub struct Published {
    charters: Partition,
    policies: Partition,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Shared with whoever looks at it for longer; written to by a copy then.
    history: Arc<Publications>,
    /// The next offsets of charters and policies.
    next: (i64, i64),
    /// Read and not taken yet, because a publication is not complete.
    waiting: Vec<(i64, Revision)>,
    newest: Arc<Registry>,
    kept: BTreeMap<i64, Arc<Registry>>,
}

impl Published {
    /// Nothing read yet.
    pub fn new(topics: &Topics) -> Self {
        Self {
            charters: Partition::new(topics.charters.clone(), 0),
            policies: Partition::new(topics.policies.clone(), 0),
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whoever panicked while holding the lock left whole values behind.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what came since. True where something was published.
    ///
    /// # Errors
    /// [`FollowError`].
    pub fn follow(&self, read: &mut ReadPartition<'_>) -> Result<bool, FollowError> {
        let mut state = self.state();
        let before = state.history.position();
        let from = state.next.0;
        let (facts, end) = facts(&self.charters, from, read)?;
        state.next.0 = end;
        state.waiting.extend(facts);
        if state.waiting.is_empty() {
            return Ok(false);
        }
        // Policies are written before the publication that they belong to, so
        // whoever sees the one finds the others.
        let (policies, end) = self::facts(&self.policies, state.next.1, read)?;
        state.next.1 = end;
        let history = Arc::make_mut(&mut state.history);
        policies.into_iter().for_each(|(_, policy)| history.take_policy(policy));
        let waiting = std::mem::take(&mut state.waiting);
        let mut rest = waiting.into_iter();
        for (offset, revision) in rest.by_ref() {
            if Arc::make_mut(&mut state.history).take(offset, revision.clone()) == Taken::Incomplete
            {
                state.waiting.push((offset, revision));
                break;
            }
        }
        state.waiting.extend(rest);
        let is_news = state.history.position() != before;
        if is_news {
            state.newest = registry(&state.history, i64::MAX);
        }
        Ok(is_news)
    }

    /// The newest registry.
    pub fn newest(&self) -> Arc<Registry> {
        self.state().newest.clone()
    }

    /// The position behind the last publication.
    pub fn position(&self) -> i64 {
        self.state().history.position()
    }

    /// What was published and proposed, and the registry that follows from it.
    pub fn publications(&self) -> (Arc<Publications>, Arc<Registry>) {
        let state = self.state();
        (state.history.clone(), state.newest.clone())
    }

    /// The registry of whoever has read up to a position. Batches that state
    /// none were written while charters came from a folder: the first
    /// publication stands for it.
    pub(super) fn at(&self, position: Option<i64>) -> Arc<Registry> {
        let mut state = self.state();
        let publications = state.history.all();
        let position = match position {
            Some(position) => position,
            None => publications.first().map_or(0, |first| first.position),
        };
        if publications.last().is_none_or(|last| last.position <= position) {
            return state.newest.clone();
        }
        // Positions between two publications are that of the former.
        let known = publications.iter().rev().find(|p| p.position <= position);
        let position = known.map_or(0, |known| known.position);
        if let Some(registry) = state.kept.get(&position) {
            return registry.clone();
        }
        if state.kept.len() >= KEPT_MAX {
            state.kept.pop_first();
        }
        let registry = registry(&state.history, position);
        state.kept.insert(position, registry.clone());
        registry
    }

    /// SHA-256 over everything that was published up to a position.
    pub(super) fn hash(&self, position: Option<i64>) -> [u8; 32] {
        let state = self.state();
        let mut parts: Vec<String> = vec![format!("{position:?}")];
        let publications = state.history.all();
        let is_known = |at: i64| position.is_none_or(|position| at <= position);
        for publication in publications.iter().take_while(|p| is_known(p.position)) {
            parts.push(publication.position.to_string());
            parts.extend(publication.revisions.iter().map(json::to_line));
            if position.is_none() {
                break;
            }
        }
        let parts: Vec<&[u8]> = parts.iter().map(String::as_bytes).collect();
        sha256_of(&parts)
    }
}

fn registry(history: &Publications, position: i64) -> Arc<Registry> {
    Arc::new(Registry::of_checked(history.contents(position).documents()))
}

/// The facts of a partition from an offset on, and its end.
fn facts(
    partition: &Partition,
    from: i64,
    read: &mut ReadPartition<'_>,
) -> Result<(Vec<(i64, Revision)>, i64), FollowError> {
    let mut facts = Vec::new();
    let mut unreadable = None;
    let end = read(partition, from, &mut |offset, value| match decode::<Revision>(value) {
        Ok(fact) => facts.push((offset, fact)),
        Err(error) => {
            let topic = partition.topic.to_string();
            unreadable.get_or_insert(FollowError::Unreadable { topic, offset, error });
        }
    })?;
    match unreadable {
        Some(error) => Err(error),
        None => Ok((facts, end)),
    }
}
