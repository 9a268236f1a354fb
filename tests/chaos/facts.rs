//! Topics as any `read_committed` consumer reads them.

use std::collections::BTreeMap;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use watchkeep_log_kafka::reader::KafkaReader;
use watchkeep_log_kafka::settings::KafkaSettings;
use watchkeep_model::breach::Breach;
use watchkeep_model::escalation::Escalation;
use watchkeep_model::incident::Fact;
use watchkeep_model::position::Partition;
use watchkeep_model::reject::Reject;
use watchkeep_model::window::Window;
use watchkeep_runtime::log::Record;
use watchkeep_wire::fact::{Stored, decode};

use std::time::Duration;

/// Time that the brokers may take to answer.
const ANSWER_WAIT: Duration = Duration::from_secs(30);

/// Reads the topics of one deployment.
pub struct Topics {
    bootstrap: String,
    name: String,
    reader: KafkaReader,
}

/// A fact and when it was written, in microseconds since 1970.
#[derive(Clone, Debug)]
pub struct At<T> {
    /// The record's timestamp.
    pub at_us: i64,
    /// What it says.
    pub fact: T,
}

/// Everything that a deployment has published, each topic in order.
#[derive(Default)]
pub struct Published {
    /// Windows.
    pub windows: Vec<At<Window>>,
    /// Breaches.
    pub breaches: Vec<At<Breach>>,
    /// Rejects and late summaries.
    pub rejects: Vec<At<Reject>>,
    /// The incident log.
    pub incidents: Vec<At<Fact>>,
    /// Messages to people.
    pub escalations: Vec<At<Escalation>>,
}

impl Topics {
    /// The topics of the deployment of that name.
    ///
    /// # Errors
    /// A client that cannot be made.
    pub fn open(bootstrap: &str, name: &str) -> Result<Self, String> {
        let reader =
            KafkaReader::open(&KafkaSettings::new(bootstrap)).map_err(|error| error.to_string())?;
        Ok(Self { bootstrap: bootstrap.to_owned(), name: name.to_owned(), reader })
    }

    /// The topic's name with the deployment's prefix.
    pub fn named(&self, topic: &str) -> String {
        format!("{}.{topic}", self.name)
    }

    /// Partitions of a topic.
    ///
    /// # Errors
    /// Those of the log.
    pub fn partitions(&mut self, topic: &str) -> Result<Vec<Partition>, String> {
        let name = self.named(topic);
        let count = self.reader.partition_count(&name).map_err(|error| error.to_string())?;
        Ok((0..count).map(|number| Partition::new(name.as_str(), number)).collect())
    }

    /// The offset after the last record that readers are shown.
    ///
    /// # Errors
    /// Those of the log.
    pub fn end(&mut self, partition: &Partition) -> Result<i64, String> {
        let (_, end) = self.reader.bounds(partition).map_err(|error| error.to_string())?;
        Ok(end)
    }

    /// Hands over every record of a partition from an offset on, and returns
    /// the offset after the last.
    ///
    /// # Errors
    /// Those of the log, after some tries.
    pub fn each(
        &mut self,
        partition: &Partition,
        from: i64,
        handle: &mut dyn FnMut(&Record<'_>),
    ) -> Result<i64, String> {
        let mut next = from;
        let mut outcome = Ok(());
        // A broker that has just come back may not answer at first.
        for _ in 0..5 {
            outcome = self.reader.scan(partition, next, i64::MAX, &mut |record| {
                next = record.offset + 1;
                handle(&record);
            });
            if outcome.is_ok() {
                break;
            }
        }
        outcome.map(|()| next).map_err(|error| format!("{}: {error}", partition.topic))
    }

    /// All facts of a topic, one partition after the other.
    ///
    /// # Errors
    /// Those of the log, and a record that is no such fact.
    pub fn read<T: Stored>(&mut self, topic: &str) -> Result<Vec<At<T>>, String> {
        let mut facts = Vec::new();
        for partition in self.partitions(topic)? {
            let mut wrong = None;
            self.each(&partition, 0, &mut |record| match decode::<T>(record.value) {
                Ok(fact) => facts.push(At { at_us: record.timestamp.as_micros(), fact }),
                Err(error) => wrong = Some(format!("{topic} {}: {error}", record.offset)),
            })?;
            if let Some(wrong) = wrong {
                return Err(wrong);
            }
        }
        Ok(facts)
    }

    /// Everything that was published.
    ///
    /// # Errors
    /// As of [`Topics::read`].
    pub fn published(&mut self) -> Result<Published, String> {
        Ok(Published {
            windows: self.read("windows")?,
            breaches: self.read("breaches")?,
            rejects: self.read("rejects")?,
            incidents: self.read("incidents")?,
            escalations: self.read("escalations")?,
        })
    }

    /// Records that a stage's group has not committed yet, by partition and
    /// committed position; partitions without such records are left out.
    ///
    /// # Errors
    /// Those of the log.
    pub fn lag(&mut self, stage: &str, topics: &[&str]) -> Result<BTreeMap<String, u64>, String> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap)
            .set("group.id", format!("{}-{stage}", self.name))
            .create()
            .map_err(|error| error.to_string())?;
        let mut lags = BTreeMap::new();
        for topic in topics {
            let partitions = self.partitions(topic)?;
            let mut wanted = TopicPartitionList::new();
            let mut ends = Vec::new();
            for partition in &partitions {
                // Ends before positions: a service at rest still writes now and
                // then, and what came while we look is nobody's lag.
                let (_, end) = self.reader.bounds(partition).map_err(|error| error.to_string())?;
                ends.push(end);
                wanted.add_partition(&partition.topic, partition.partition);
            }
            let found = consumer
                .committed_offsets(wanted, ANSWER_WAIT)
                .map_err(|error| format!("positions of {stage}: {error}"))?;
            for (partition, end) in partitions.into_iter().zip(ends) {
                let element = found.find_partition(&partition.topic, partition.partition);
                let from = match element.map(|element| element.offset()) {
                    Some(Offset::Offset(offset)) => offset,
                    _ => 0,
                };
                let mut count = 0;
                self.each(&partition, from, &mut |record| count += u64::from(record.offset < end))?;
                if count > 0 {
                    let place = format!("{topic} {} from {from}", partition.partition);
                    lags.insert(place, count);
                }
            }
        }
        Ok(lags)
    }
}
