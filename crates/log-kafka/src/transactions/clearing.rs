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
use std::sync::Arc;
use std::sync::atomic::Ordering;
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
use crate::fate::{Fate, Written, await_fate, fate};
use crate::reader::KafkaReader;
use crate::settings::ANSWER_WAIT;

/// Time beyond that of a transaction after which those of others have ended.
const SHOWN_WAIT: Duration = Duration::from_secs(2);

/// Time in which brokers must tell again whether a commit is finished.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// Time in which brokers that are back finish a commit.
const FINISHED_WAIT: Duration = Duration::from_secs(5);

/// Time between two looks at whether they have.
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
        self.clear_partitions(wanted)
    }

    fn clear_partitions(&mut self, mut wanted: BTreeSet<(Arc<str>, i32)>) -> Result<(), Failure> {
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
    /// Where readers are shown none of its records either, it took effect
    /// nowhere: it is done again, from the positions before. For its records
    /// cannot be finished but by another commit to their partitions; until
    /// then nobody would be shown what comes behind them, and a stage that
    /// begins from its own records would miss them and write them anew.
    ///
    /// At last whatever is open in the topics that the session writes to ends.
    pub(crate) fn settle_positions(&mut self) -> Result<(), LogError> {
        let ended = self.end_positions().and_then(|()| self.clear_topics());
        ended.map_err(|failure| match failure {
            Failure::Ended(error) => error,
            // Another session tries again.
            Failure::Aborted(why) | Failure::Broken(Broken { why, .. }) => {
                LogError::Unavailable(why)
            }
        })
    }

    fn end_positions(&mut self) -> Result<(), Failure> {
        let Some(topic) = self.settings.topics.first().cloned() else { return Ok(()) };
        let known = acknowledged::of(&self.settings);
        let outsider = self.outsider().map_err(Failure::Ended)?;
        let Some(group) = outsider.group_metadata() else {
            let why = "a consumer without its group".to_owned();
            return Err(Failure::Ended(LogError::Unavailable(why)));
        };
        let any = positions(&[(Partition::new(topic.as_str(), 0), 0, String::new())]);
        let any = any.map_err(Failure::Ended)?;
        let lost = lost(outsider, &known).map_err(Failure::Ended)?;
        if lost.is_empty() {
            return self.abort_positions("ending what was pending", &any, &group);
        }
        if self.is_undone(&known).map_err(Failure::Ended)? {
            tracing::warn!(
                group = self.settings.group,
                "the brokers did not finish a commit that they had agreed to, and show none of \
                 its records: it is done again"
            );
            acknowledged::forget(&self.settings);
            // Before anybody can be told of the positions: who begins from
            // there may begin from these records, too.
            self.clear_partitions(wrote(&known))?;
            return self.abort_positions("ending what was pending", &any, &group);
        }
        tracing::warn!(
            group = self.settings.group,
            partitions = lost.len(),
            "the brokers did not finish a commit that they had agreed to: finishing it"
        );
        // Some of its records may be as open as its positions: the next commit
        // in their partitions commits them.
        self.cleared.extend(wrote(&known));
        let lost = positions(&lost).map_err(Failure::Ended)?;
        self.commit_positions(&lost, &group)
    }

    /// Waits until the last commit has its marks, where a connection was lost
    /// since: the next one would finish a part of it alone.
    pub(super) fn await_finished(&mut self, reader: &mut KafkaReader) -> Result<(), Failure> {
        let mut deadline = Instant::now() + ANSWER_MAX;
        while self.has_lost_broker() {
            self.producer.context().has_lost_broker.store(false, Ordering::Relaxed);
            loop {
                match self.is_unfinished(reader) {
                    Ok(false) => break,
                    Ok(true) => deadline = deadline.min(Instant::now() + FINISHED_WAIT),
                    // Another broker may have to take over first.
                    Err(LogError::Unavailable(_)) if Instant::now() < deadline => {}
                    Err(error) => return Err(Failure::Ended(error)),
                }
                if Instant::now() >= deadline {
                    return Err(Failure::Ended(unfinished()));
                }
                std::thread::sleep(LOOK_EVERY);
            }
        }
        Ok(())
    }

    /// Whether a broker may have died since this was last asked.
    pub(super) fn has_lost_broker(&self) -> bool {
        // What librdkafka has to tell, it tells when it is polled.
        self.producer.poll(Duration::ZERO);
        self.producer.context().has_lost_broker.load(Ordering::Relaxed)
    }

    /// Whether the last commit of this name lacks its marks, in the group or
    /// where it wrote.
    ///
    /// # Errors
    /// [`LogError::Unavailable`] where brokers do not tell.
    pub(crate) fn is_unfinished(&mut self, reader: &mut KafkaReader) -> Result<bool, LogError> {
        let known = acknowledged::of(&self.settings);
        Ok(!lost(self.outsider()?, &known)?.is_empty()
            || fate(reader, &known.wrote)? == Fate::NotShown)
    }

    fn outsider(&mut self) -> Result<&BaseConsumer<QuietContext>, LogError> {
        let consumer = match self.outsider.take() {
            Some(consumer) => consumer,
            None => self
                .settings
                .outsider()?
                .create_with_context(QuietContext)
                .map_err(|error| log_error("making a consumer", &error))?,
        };
        Ok(self.outsider.insert(consumer))
    }

    /// Ends what is open in the topics that this session writes to. A stage
    /// that begins from its own records would not be shown those behind it,
    /// nor would anybody else.
    fn clear_topics(&mut self) -> Result<(), Failure> {
        let mut wanted = BTreeSet::new();
        for topic in self.settings.writes.clone() {
            let count = self.partition_count(&topic).map_err(Failure::Ended)?;
            let topic: Arc<str> = topic.into();
            wanted.extend((0..count).map(|number| (topic.clone(), number)));
        }
        self.clear_partitions(wanted)
    }

    /// Remembers positions that were committed, with what was written.
    pub(crate) fn acknowledge(&self, offsets: &TopicPartitionList, written: &[Written]) {
        acknowledged::add(&self.settings, offsets, written.to_vec());
    }

    /// Whether readers are shown nothing of the last commit. The coordinator
    /// has ended it when this is asked, with or without its marks.
    fn is_undone(&self, known: &Acknowledged) -> Result<bool, LogError> {
        if known.wrote.is_empty() {
            return Ok(false);
        }
        let max = self.settings.transaction_timeout() + SHOWN_WAIT;
        match await_fate(&mut KafkaReader::open(&self.settings)?, &known.wrote, max)? {
            Fate::Shown => Ok(false),
            Fate::NotShown => Ok(true),
            Fate::Unknown => Err(LogError::Unavailable(
                "open transactions of others hide what became of the last commit".to_owned(),
            )),
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

/// The partitions that the last commit wrote to.
fn wrote(known: &Acknowledged) -> BTreeSet<(Arc<str>, i32)> {
    let place = |written: &Written| (written.partition.topic.clone(), written.partition.partition);
    known.wrote.iter().map(place).collect()
}

/// The last commit lacks its marks; the next session settles that.
pub(crate) fn unfinished() -> LogError {
    LogError::Unavailable("the brokers have not finished a commit that they agreed to".to_owned())
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
