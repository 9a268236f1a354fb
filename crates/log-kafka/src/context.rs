//! What librdkafka calls back: its logs, and the changes of a group.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;
use watchkeep_model::position::Partition;

/// What the group has told and the session has not been told yet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// These are ours now. The group waits until the consumer takes them.
    Assigned {
        /// Which.
        partitions: Vec<Partition>,
        /// True where they come on top of what is held (cooperative), false
        /// where they are all of it (eager).
        are_further: bool,
    },
    /// These are not ours any more; the consumer has given them back already.
    Revoked(Vec<Partition>),
    /// Nothing is ours any more.
    RevokedAll,
}

/// Takes librdkafka's logs, and the group's changes as they are served.
pub(crate) struct MemberContext {
    /// Whether partitions come and go one by one, or all at once.
    is_cooperative: bool,
    changes: Mutex<VecDeque<Change>>,
}

/// Takes librdkafka's logs.
pub(crate) struct QuietContext;

impl ClientContext for QuietContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        trace_log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "librdkafka");
    }
}

impl ConsumerContext for QuietContext {}

impl ClientContext for MemberContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        trace_log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "librdkafka");
    }
}

impl ConsumerContext for MemberContext {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        error: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let change = if error == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            Change::Assigned { partitions: names(partitions), are_further: self.is_cooperative }
        } else {
            // Answered at once: a closing consumer waits for it. What is not
            // committed by now is refused or comes again.
            let some = error == RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS;
            let (given_back, change) = match (self.is_cooperative, some) {
                (true, true) => {
                    (give_back(consumer, Some(partitions)), Change::Revoked(names(partitions)))
                }
                (true, false) => (give_back(consumer, None), Change::RevokedAll),
                (false, _) => (consumer.unassign(), Change::RevokedAll),
            };
            if let Err(error) = given_back {
                tracing::warn!(%error, "giving partitions back");
            }
            change
        };
        self.changes().push_back(change);
    }
}

impl MemberContext {
    pub(crate) fn new(is_cooperative: bool) -> Self {
        Self { is_cooperative, changes: Mutex::default() }
    }

    /// The oldest change that has not been taken.
    pub(crate) fn next_change(&self) -> Option<Change> {
        self.changes().pop_front()
    }

    fn changes(&self) -> MutexGuard<'_, VecDeque<Change>> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives back those of the partitions that the consumer has, or all that it
/// has. It refuses to give back what it never took, as where the group ends
/// an assignment that was offered and not taken.
fn give_back(
    consumer: &BaseConsumer<MemberContext>,
    wanted: Option<&TopicPartitionList>,
) -> KafkaResult<()> {
    let wanted: Option<BTreeSet<Partition>> = wanted.map(|list| names(list).into_iter().collect());
    let mut held = TopicPartitionList::new();
    for partition in names(&consumer.assignment()?) {
        if wanted.as_ref().is_none_or(|wanted| wanted.contains(&partition)) {
            held.add_partition(&partition.topic, partition.partition);
        }
    }
    consumer.incremental_unassign(&held)
}

fn names(list: &TopicPartitionList) -> Vec<Partition> {
    list.elements().iter().map(|one| Partition::new(one.topic(), one.partition())).collect()
}

fn trace_log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error => tracing::warn!(facility, message, "librdkafka"),
        RDKafkaLogLevel::Warning | RDKafkaLogLevel::Notice => {
            tracing::info!(facility, message, "librdkafka");
        }
        RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
            tracing::debug!(facility, message, "librdkafka");
        }
    }
}
