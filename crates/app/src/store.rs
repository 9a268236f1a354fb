//! The configured log, whichever it is.

pub(crate) mod through;

use std::collections::BTreeMap;

use anyhow::Context;
use watchkeep_log_kafka::admin::{KafkaAdmin, TopicSpec};
use watchkeep_log_kafka::appender::KafkaAppender;
use watchkeep_log_kafka::reader::KafkaReader;
use watchkeep_log_kafka::session::KafkaLog;
use watchkeep_log_kafka::settings::KafkaSettings;
use watchkeep_log_sled::appender::SledAppender;
use watchkeep_log_sled::store::SledStore;
use watchkeep_model::position::Partition;
use watchkeep_model::time::Timestamp;
use watchkeep_runtime::log::{Log, LogError, Outgoing};

use self::through::Through;
use crate::commands::produce::HELD;
use crate::config::{Config, LogConfig, keys};
use crate::retention;

/// Partitions of telemetry topics in the embedded log. One, because a single
/// process reads them and one watermark is the easiest to explain.
const EMBEDDED_TELEMETRY_PARTITIONS: i32 = 1;

/// Bytes of one record in topics whose records may be large.
const LARGE_RECORD_BYTES: &str = "8388608";

/// A way to the log; clones share it.
#[derive(Clone)]
pub(crate) enum Store {
    /// The embedded log, which this process holds.
    Embedded(SledStore),
    /// A Kafka cluster.
    Kafka(KafkaSettings),
}

impl Store {
    /// Opens the log. The embedded one is created with its topics where it
    /// does not exist.
    ///
    /// # Errors
    /// Those of the log.
    pub(crate) fn open(config: &Config) -> Result<Self, LogError> {
        match &config.log {
            LogConfig::Kafka { bootstrap, properties } => {
                let properties = properties.clone();
                Ok(Self::Kafka(KafkaSettings { properties, ..KafkaSettings::new(bootstrap) }))
            }
            LogConfig::Embedded { folder } => {
                let store = SledStore::open(folder)?;
                for topic in &config.topics.telemetry {
                    if store.topics()?.iter().all(|(name, _)| **name != **topic) {
                        store.create_topic(topic, EMBEDDED_TELEMETRY_PARTITIONS)?;
                    }
                }
                for spec in owned_topics(config, None, false) {
                    store.create_topic(&spec.name, spec.partitions)?;
                }
                Ok(Self::Embedded(store))
            }
        }
    }

    /// As [`Store::open`], for commands that only read: they must not leave an
    /// empty log where a name was mistyped.
    ///
    /// # Errors
    /// There is no embedded log in the folder, or those of the log.
    pub(crate) fn open_existing(config: &Config) -> anyhow::Result<Self> {
        if let LogConfig::Embedded { folder } = &config.log
            && !folder.exists()
        {
            anyhow::bail!(
                "{}: there is no embedded log here (log.folder); a service or `watchkeep produce` begins one",
                folder.display()
            );
        }
        Ok(Self::open(config)?)
    }

    /// A reader of what incidents and charters are told from, through the
    /// service where it holds the embedded log.
    ///
    /// # Errors
    /// There is no log, or those of the log.
    pub(crate) fn reader_or_service(config: &Config) -> anyhow::Result<Reader> {
        let opened = Self::open_existing(config);
        if let (Err(error), LogConfig::Embedded { .. }) = (&opened, &config.log)
            && let Some(LogError::Fatal(why)) = error.downcast_ref()
            && why.contains(HELD)
        {
            return Ok(Reader::Service(Through::new(config.listen)));
        }
        Ok(opened?.reader()?)
    }

    /// A session of a stage that reads and writes these topics. `is_joined`
    /// says that the same partition number of every topic that it reads must
    /// come to the same instance.
    ///
    /// # Errors
    /// Those of the log.
    pub(crate) fn session(
        &self,
        group: &str,
        topics: &[&str],
        writes: &[&str],
        is_joined: bool,
        transactional_id: &str,
    ) -> Result<Box<dyn Log>, LogError> {
        match self {
            Self::Embedded(store) => {
                Ok(Box::new(store.session(group, topics, transactional_id)?))
            }
            Self::Kafka(settings) => {
                let owned = |topics: &[&str]| topics.iter().map(|topic| (*topic).into()).collect();
                let settings = KafkaSettings {
                    group: group.to_owned(),
                    topics: owned(topics),
                    writes: owned(writes),
                    transactional_id: transactional_id.to_owned(),
                    is_joined,
                    ..settings.clone()
                };
                Ok(Box::new(KafkaLog::open(&settings)?))
            }
        }
    }

    /// A writer outside of any group.
    ///
    /// # Errors
    /// Those of the log.
    pub(crate) fn appender(&self) -> Result<Appender, LogError> {
        match self {
            Self::Embedded(store) => Ok(Appender::Embedded(SledAppender::new(store.clone()))),
            Self::Kafka(settings) => Ok(Appender::Kafka(Box::new(KafkaAppender::open(settings)?))),
        }
    }

    /// A reader outside of any group.
    ///
    /// # Errors
    /// Those of the log.
    pub(crate) fn reader(&self) -> Result<Reader, LogError> {
        match self {
            Self::Embedded(store) => Ok(Reader::Embedded(store.clone())),
            Self::Kafka(settings) => Ok(Reader::Kafka(Box::new(KafkaReader::open(settings)?))),
        }
    }

    /// A client for topics; only Kafka has one.
    ///
    /// # Errors
    /// The log is the embedded one, or those of the log.
    pub(crate) fn admin(&self) -> anyhow::Result<KafkaAdmin> {
        match self {
            Self::Embedded(_) => anyhow::bail!("the embedded log creates its topics by itself"),
            Self::Kafka(settings) => KafkaAdmin::open(settings).context("Kafka"),
        }
    }
}

/// Writes records, a batch at a time.
pub(crate) enum Appender {
    Embedded(SledAppender),
    Kafka(Box<KafkaAppender>),
}

impl Appender {
    /// Takes a record, with the present time where none is stated.
    ///
    /// # Errors
    /// Those of the log, of this record or one before.
    pub(crate) fn append(
        &mut self,
        record: Outgoing,
        at: Option<Timestamp>,
    ) -> Result<(), LogError> {
        match self {
            Self::Embedded(appender) => appender.append(record, at),
            Self::Kafka(appender) => appender.append(&record, at),
        }
    }

    /// Waits until all records are written.
    ///
    /// # Errors
    /// Those of the log.
    pub(crate) fn flush(&mut self) -> Result<(), LogError> {
        match self {
            Self::Embedded(appender) => appender.flush(),
            Self::Kafka(appender) => appender.flush(),
        }
    }
}

/// Reads ranges of partitions.
pub(crate) enum Reader {
    Embedded(SledStore),
    Kafka(Box<KafkaReader>),
    Service(Through),
}

/// A record as readers hand it on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredRecord {
    pub(crate) offset: i64,
    pub(crate) timestamp: Timestamp,
    pub(crate) value: Vec<u8>,
    pub(crate) content_type: Option<String>,
}

impl Reader {
    /// Number of partitions, 0 where there is no such topic.
    ///
    /// # Errors
    /// Those of the log.
    pub(crate) fn partition_count(&mut self, topic: &str) -> Result<i32, LogError> {
        match self {
            Self::Embedded(store) => {
                let topics = store.topics()?;
                Ok(topics.iter().find(|(name, _)| **name == *topic).map_or(0, |(_, count)| *count))
            }
            Self::Kafka(reader) => reader.partition_count(topic),
            Self::Service(service) => service.partition_count(topic),
        }
    }

    /// The offsets `[first, end)` that a partition holds.
    ///
    /// # Errors
    /// Those of the log.
    pub(crate) fn bounds(&mut self, partition: &Partition) -> Result<(i64, i64), LogError> {
        match self {
            Self::Embedded(store) => store.bounds(partition),
            Self::Kafka(reader) => reader.bounds(partition),
            Self::Service(service) => service.bounds(partition),
        }
    }

    /// The position that a group has committed; `None` before its first.
    ///
    /// # Errors
    /// Those of the log.
    pub(crate) fn committed(
        &mut self,
        group: &str,
        partition: &Partition,
    ) -> Result<Option<i64>, LogError> {
        match self {
            Self::Embedded(store) => store.committed(group, partition),
            Self::Kafka(reader) => reader.committed(group, partition),
            // Nobody asks it for the positions of groups.
            Self::Service(_) => Ok(None),
        }
    }

    /// The records of `[from, to)`.
    ///
    /// # Errors
    /// Those of the log.
    pub(crate) fn read(
        &mut self,
        partition: &Partition,
        from: i64,
        to: i64,
    ) -> Result<Vec<StoredRecord>, LogError> {
        let mut records = Vec::new();
        let mut keep = |record: watchkeep_runtime::log::Record<'_>| {
            records.push(StoredRecord {
                offset: record.offset,
                timestamp: record.timestamp,
                value: record.value.to_vec(),
                content_type: record.content_type.map(str::to_owned),
            });
        };
        match self {
            Self::Embedded(store) => {
                store.read(partition, from, to, &mut |entry| keep(entry.record(partition)))?;
            }
            Self::Kafka(reader) => reader.scan(partition, from, to, &mut keep)?,
            Self::Service(service) => return service.read(partition, from, to),
        }
        Ok(records)
    }
}

/// The topics that Watchkeep writes, as they should be. Nothing is ever
/// deleted from them, for they are the state, but of those that
/// [`retention::LIMITED`] names where the configuration says so.
pub(crate) fn owned_topics(
    config: &Config,
    replication: Option<i32>,
    is_regulated: bool,
) -> Vec<TopicSpec> {
    keys::TOPICS
        .iter()
        .map(|name| {
            let is_limited = retention::LIMITED.contains(name);
            let span = retention::span(&config.topics, is_regulated).filter(|_| is_limited);
            let mut settings = BTreeMap::from([
                ("cleanup.policy".to_owned(), "delete".to_owned()),
                (retention::SETTING.to_owned(), retention::setting(span)),
                ("retention.bytes".to_owned(), "-1".to_owned()),
            ]);
            if matches!(*name, "summaries" | "incidents") {
                // Idleness lapses by the time of the records, and incidents are
                // restored in its order: the broker's clock is one, those of
                // the instances are many.
                let by_broker = ("message.timestamp.type".to_owned(), "LogAppendTime".to_owned());
                settings.extend([by_broker]);
            }
            if matches!(*name, "summaries" | "rejects" | "baselines" | "lineage") {
                settings.insert("max.message.bytes".to_owned(), LARGE_RECORD_BYTES.to_owned());
            }
            TopicSpec {
                name: config.topics.named(name),
                partitions: config.topics.partitions.get(name).copied().unwrap_or(1),
                replication,
                config: settings,
            }
        })
        .collect()
}
