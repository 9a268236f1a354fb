//! The state of the stage as bytes and back.
//!
//! What follows from the rest is left out and made anew: deadlines follow from
//! the open windows, plans from the charters, names of baselines from their
//! content. The bytes are for this version of this program alone.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::subject::Subject;
use super::{Deadline, Evaluate};
use crate::settings::TimeSettings;

impl Evaluate {
    /// Hands over every subject that changed since this was called last, or
    /// since the beginning, ascending by name, and answers with the part of the
    /// state that belongs to no subject.
    pub fn save(&mut self, handle: &mut dyn FnMut(&Arc<str>, Vec<u8>)) -> Vec<u8> {
        let mut changed = std::mem::take(&mut self.changed);
        changed.sort_unstable();
        for feature in &changed {
            if let Some(subject) = self.subjects.get_mut(feature) {
                subject.changed = false;
                handle(feature, encode(subject));
            }
        }
        encode(self)
    }

    /// Subjects that [`Evaluate::save`] would hand over.
    pub fn changed_subjects(&self) -> usize {
        self.changed.len()
    }

    /// Begins to restore a state from the answer of [`Evaluate::save`]. `None`
    /// where the bytes are none.
    pub fn restore(
        settings: TimeSettings,
        partition: i32,
        partitions: i32,
        stage: &[u8],
    ) -> Option<Restoring> {
        let mut evaluate: Self = decode(stage)?;
        evaluate.settings = settings;
        evaluate.partition = (partition, partitions);
        Some(Restoring { evaluate, deadlines: Vec::new(), topics: BTreeSet::new() })
    }
}

/// A state to which its subjects are being added.
#[derive(Debug)]
pub struct Restoring {
    evaluate: Evaluate,
    deadlines: Vec<Deadline>,
    /// Names of topics, so that all exemplars of one share it.
    topics: BTreeSet<Arc<str>>,
}

impl Restoring {
    /// Adds a subject as it was saved last; answers with its name. `None` where
    /// the bytes are none.
    pub fn subject(&mut self, feature: &str, bytes: &[u8]) -> Option<Arc<str>> {
        let mut subject: Subject = decode(bytes)?;
        let feature: Arc<str> = feature.into();
        subject.deadlines(&feature, &self.evaluate.settings, &mut self.deadlines);
        subject.share_names(&mut self.topics);
        self.evaluate.subjects.insert(feature.clone(), subject);
        Some(feature)
    }

    /// The state as it was.
    pub fn done(self) -> Evaluate {
        let Self { mut evaluate, deadlines, .. } = self;
        evaluate.deadlines = deadlines.into_iter().collect();
        evaluate
    }
}

fn encode<T: Serialize>(state: &T) -> Vec<u8> {
    postcard::to_allocvec(state).expect("every map and list of the state knows its length")
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    match postcard::take_from_bytes(bytes) {
        Ok((state, [])) => Some(state),
        _ => None,
    }
}
