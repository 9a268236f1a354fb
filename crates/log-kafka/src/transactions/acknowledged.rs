//! What this process knows to be committed, by transactional id. It outlives a
//! session: the next one may find that the brokers have not finished the last
//! commit of the one before.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use watchkeep_model::position::Partition;

use crate::fate::Written;
use crate::settings::KafkaSettings;

/// By brokers and transactional id; as many as the process has stages.
static ALL: Mutex<BTreeMap<(String, String), Acknowledged>> = Mutex::new(BTreeMap::new());

/// What was committed under a name.
#[derive(Clone, Debug, Default)]
pub(super) struct Acknowledged {
    /// The last position of each partition, and the marker of its commit.
    pub(super) positions: BTreeMap<Partition, (i64, String)>,
    /// What the last commit wrote.
    pub(super) wrote: Vec<Written>,
}

impl Acknowledged {
    pub(super) fn is_any(&self) -> bool {
        !self.positions.is_empty()
    }
}

pub(super) fn of(settings: &KafkaSettings) -> Acknowledged {
    all().get(&name(settings)).cloned().unwrap_or_default()
}

pub(super) fn add(settings: &KafkaSettings, offsets: &TopicPartitionList, wrote: Vec<Written>) {
    let mut all = all();
    let known = all.entry(name(settings)).or_default();
    for element in offsets.elements() {
        if let Offset::Offset(position) = element.offset() {
            let partition = Partition::new(element.topic(), element.partition());
            known.positions.insert(partition, (position, element.metadata().to_owned()));
        }
    }
    known.wrote = wrote;
}

/// The last commit did not take effect.
pub(super) fn forget(settings: &KafkaSettings) {
    all().remove(&name(settings));
}

fn name(settings: &KafkaSettings) -> (String, String) {
    (settings.bootstrap.clone(), settings.transactional_id.clone())
}

fn all() -> MutexGuard<'static, BTreeMap<(String, String), Acknowledged>> {
    ALL.lock().unwrap_or_else(PoisonError::into_inner)
}
