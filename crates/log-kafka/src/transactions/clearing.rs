//! Ends what an earlier producer of the same name may have left open.
//!
//! Taking over the name is meant to do so: the brokers then abort what is
//! open. But a broker that begins anew may find a transaction timed out before
//! it leads its own partitions again. Kafka 4.3.1 takes partitions without a
//! leader for deleted ones (`TransactionMarkerChannelManager`): it notes the
//! abort as complete and writes its mark to none of them. Records then stay
//! open, and so do positions. The same may happen to a commit that was agreed
//! to and not marked everywhere yet.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::producer::Producer;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use watchkeep_model::position::Partition;
use watchkeep_runtime::log::{LogError, Outgoing};

use super::acknowledged::{self, Acknowledged};
use super::{Broken, Failure, STEP_WAIT, Transactions};
use crate::context::QuietContext;
use crate::errors::{log_error, passing};
use crate::reader::KafkaReader;
use crate::session::is_any_visible;
use crate::settings::ANSWER_WAIT;

/// Time beyond that of a transaction after which its end must show.
const SHOWN_WAIT: Duration = Duration::from_secs(2);

/// Time between two looks at what is shown.
const LOOK_EVERY: Duration = Duration::from_millis(100);

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
    /// member. Where this process knows that more was committed than the group
    /// has, the mark of that commit is what is missing, and the positions are
    /// committed again. Else what is pending never held, and is aborted.
    ///
    /// A stage that begins from its own records would begin without those of such
    /// a commit, which readers are shown only after the next one, and would write
    /// them anew. Where none of them is shown it did not take effect anywhere: it
    /// is aborted as well, and done again from the positions before.
    pub(crate) fn settle_positions(&mut self) -> Result<(), LogError> {
        let Some(topic) = self.settings.topics.first() else { return Ok(()) };
        let outsider: BaseConsumer<QuietContext> = self
            .settings
            .outsider()?
            .create_with_context(QuietContext)
            .map_err(|error| log_error("making a consumer", &error))?;
        let Some(group) = outsider.group_metadata() else {
            return Err(LogError::Unavailable("a consumer without its group".to_owned()));
        };
        let known = acknowledged::of(&self.settings);
        let lost = lost(&outsider, &known)?;
        let is_undone = !lost.is_empty() && self.settings.is_folded && !self.is_shown(&known)?;
        if is_undone {
            tracing::warn!(
                group = self.settings.group,
                "the brokers did not finish a commit that they had agreed to, and show none of \
                 its records: it is done again"
            );
            acknowledged::forget(&self.settings);
        }
        let ended = if lost.is_empty() || is_undone {
            let any = [(Partition::new(topic.as_str(), 0), 0, String::new())];
            self.abort_positions("ending what was pending", &positions(&any)?, &group)
        } else {
            tracing::warn!(
                group = self.settings.group,
                partitions = lost.len(),
                "the brokers did not finish a commit that they had agreed to: finishing it"
            );
            // Its records may be as open as its positions: the next commit in
            // their partitions commits them.
            let wrote = known.wrote.into_iter().map(|(at, _)| (at.topic, at.partition));
            self.cleared.extend(wrote);
            self.commit_positions(&positions(&lost)?, &group)
        };
        ended.map_err(|failure| match failure {
            Failure::Ended(error) => error,
            // Another session tries again.
            Failure::Aborted(why) | Failure::Broken(Broken { why, .. }) => {
                LogError::Unavailable(why)
            }
        })
    }

    /// Remembers positions that were committed, with records that were.
    pub(crate) fn acknowledge(&self, offsets: &TopicPartitionList, written: &[(Partition, i64)]) {
        acknowledged::add(&self.settings, offsets, written.to_vec());
    }

    /// Whether readers are shown any record of the last commit. Transactions of
    /// others may keep them from it, for as long as one may be open.
    fn is_shown(&self, known: &Acknowledged) -> Result<bool, LogError> {
        let mut reader = KafkaReader::open(&self.settings)?;
        let deadline = Instant::now() + self.settings.transaction_timeout() + SHOWN_WAIT;
        loop {
            if is_any_visible(&mut reader, &known.wrote)? {
                return Ok(true);
            }
            let mut is_known = true;
            for (partition, offset) in &known.wrote {
                is_known &= reader.bounds(partition)?.1 > *offset;
            }
            if is_known || Instant::now() >= deadline {
                return Ok(false);
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn commit_positions(
        &mut self,
        offsets: &TopicPartitionList,
        group: &ConsumerGroupMetadata,
    ) -> Result<(), Failure> {
        self.producer.context().begin();
        self.begun = Instant::now();
        self.step("beginning a transaction", || self.producer.begin_transaction())?;
        self.step("adding positions to the transaction", || {
            self.producer.send_offsets_to_transaction(offsets, group, STEP_WAIT)
        })?;
        self.step("committing", || self.producer.commit_transaction(STEP_WAIT))
    }
}

/// Positions that were committed and that the group does not have, with their
/// markers. It is asked for what it has, whatever is pending.
fn lost(
    outsider: &BaseConsumer<QuietContext>,
    known: &Acknowledged,
) -> Result<Vec<(Partition, i64, String)>, LogError> {
    if known.positions.is_empty() {
        return Ok(Vec::new());
    }
    let mut wanted = TopicPartitionList::new();
    for Partition { topic, partition } in known.positions.keys() {
        wanted.add_partition(topic, *partition);
    }
    let doing = "asking for what is committed";
    let found = outsider
        .committed_offsets(wanted, ANSWER_WAIT)
        .map_err(|error| passing(log_error(doing, &error)))?;
    let mut lost = Vec::new();
    for element in found.elements() {
        element.error().map_err(|error| passing(log_error(doing, &error)))?;
        let partition = Partition::new(element.topic(), element.partition());
        let has = match element.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        };
        if let Some((position, marker)) = known.positions.get(&partition)
            && has < Some(*position)
        {
            lost.push((partition, *position, marker.clone()));
        }
    }
    Ok(lost)
}

fn positions(all: &[(Partition, i64, String)]) -> Result<TopicPartitionList, LogError> {
    let mut offsets = TopicPartitionList::new();
    for (Partition { topic, partition }, position, marker) in all {
        let mut element = offsets.add_partition(topic, *partition);
        element
            .set_offset(Offset::Offset(*position))
            .map_err(|error| log_error("naming positions", &error))?;
        element.set_metadata(marker.as_str());
    }
    Ok(offsets)
}
