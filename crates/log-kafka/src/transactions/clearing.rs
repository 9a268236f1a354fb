//! Ends what an earlier producer of the same name may have left open.
//!
//! Taking over the name is meant to do so: the brokers then abort what is
//! open. But a broker that begins anew may find a transaction timed out before
//! it leads its own partitions again. Kafka 4.3.1 takes partitions without a
//! leader for deleted ones (`TransactionMarkerChannelManager`): it notes the
//! abort as complete and writes its mark to none of them. Records then stay
//! open, and so do positions.

use std::collections::BTreeSet;
use std::time::Instant;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::Producer;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use watchkeep_runtime::log::{LogError, Outgoing};

use super::{Broken, Failure, Transactions};
use crate::context::QuietContext;
use crate::errors::log_error;

/// Key and value of records that no reader ever sees.
const ABORTED: &[u8] = b"aborted";

impl Transactions {
    /// Ends whatever an earlier producer of this name may have left open where
    /// the transaction at hand will write, by an aborted one. Else the next
    /// commit of the same producer would commit the earlier records, too.
    pub(super) fn clear(
        &mut self,
        records: &[Outgoing],
        places: &[Option<i32>],
    ) -> Result<(), Failure> {
        let mut wanted = BTreeSet::new();
        for (record, place) in records.iter().zip(places) {
            let count = self.partition_counts.get(&*record.topic).map_or(0, |(count, _)| *count);
            let all = place.map_or(0..count, |number| number..number + 1);
            wanted.extend(all.map(|number| (record.topic.clone(), number)));
        }
        wanted.retain(|partition| !self.cleared.contains(partition));
        if wanted.is_empty() {
            return Ok(());
        }
        self.producer.context().begin();
        self.begun = Instant::now();
        self.step("beginning a transaction", || self.producer.begin_transaction())?;
        for (topic, number) in &wanted {
            let mark = Outgoing {
                topic: topic.clone(),
                partition: Some(*number),
                key: Some(ABORTED.to_vec()),
                value: ABORTED.to_vec(),
                headers: Vec::new(),
            };
            self.send(&mark, Some(*number))?;
        }
        self.drain()?;
        match self.abort("it ends what was open".to_owned()) {
            Failure::Aborted(_) => {
                self.cleared.extend(wanted);
                Ok(())
            }
            failure => Err(failure),
        }
    }

    /// The same for positions of the group, before anybody asks for them: as
    /// long as some are pending the group answers no member that asks, and a
    /// member without positions would never come to a transaction that ends
    /// them.
    ///
    /// The group lets any transaction tell it of positions that names no
    /// member. This one is aborted, so what it says of them does not matter.
    pub(super) fn clear_positions(&mut self) -> Result<(), LogError> {
        let Some(topic) = self.settings.topics.first() else { return Ok(()) };
        let mut offsets = TopicPartitionList::new();
        offsets
            .add_partition_offset(topic, 0, Offset::Offset(0))
            .map_err(|error| log_error("naming positions", &error))?;
        let outsider: BaseConsumer<QuietContext> = self
            .settings
            .outsider()?
            .create_with_context(QuietContext)
            .map_err(|error| log_error("making a consumer", &error))?;
        let Some(group) = outsider.group_metadata() else {
            return Err(LogError::Unavailable("a consumer without its group".to_owned()));
        };
        self.abort_positions("ending what was pending", &offsets, &group).map_err(|failure| {
            match failure {
                Failure::Ended(error) => error,
                // Another session tries again.
                Failure::Aborted(why) | Failure::Broken(Broken { why, .. }) => {
                    LogError::Unavailable(why)
                }
            }
        })
    }
}
