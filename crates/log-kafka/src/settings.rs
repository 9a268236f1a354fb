//! How the clients of librdkafka are configured.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use rdkafka::ClientConfig;
use watchkeep_runtime::log::LogError;

/// What a log on Kafka is told. librdkafka's own properties pass through,
/// apart from those that the promises of the log rest on.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct KafkaSettings {
    /// Where to find the brokers: `host:port`, several with commas.
    pub bootstrap: String,
    /// The consumer group of this session.
    pub group: String,
    /// The topics that this session reads; none for one that only writes.
    pub topics: Vec<String>,
    /// The name of this instance, the same after a restart, different from
    /// that of every other instance. It is the transactional id and, unless
    /// `group.instance.id` says otherwise, the static member of the group: a
    /// restarted instance takes over at once. A static member that leaves for
    /// good is missed after `session.timeout.ms` (10 s).
    pub transactional_id: String,
    /// True where the same partition number of every topic must come to the
    /// same instance, which only the strategy `range` promises.
    pub is_joined: bool,
    /// The topics that this session writes to. What an earlier instance of its
    /// name may have left open there ends when it begins; in others, when it
    /// first writes to them.
    pub writes: Vec<String>,
    /// Any property of librdkafka. Values may be secrets: they are never shown.
    pub properties: BTreeMap<String, String>,
}

/// Properties that cannot be set from outside, because exactly-once rests on them.
const RESERVED: [&str; 8] = [
    "bootstrap.servers",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.idempotence",
    "enable.partition.eof",
    "group.protocol",
    "isolation.level",
    "transactional.id",
];

/// The property that decides how partitions are shared out in a group whose
/// partitions stand each for itself. All members of a group need the same.
pub const STRATEGY: &str = "partition.assignment.strategy";

/// The strategy where nothing is said, and always where topics are joined.
const STRATEGY_DEFAULT: &str = "range";

/// The one strategy by which partitions come and go one by one.
const STRATEGY_COOPERATIVE: &str = "cooperative-sticky";

/// What [`STRATEGY`] may be. One of them, because a list is for a group that
/// changes from one to another while it runs, where stopping it is simpler.
pub const STRATEGIES: [&str; 3] = [STRATEGY_DEFAULT, "roundrobin", STRATEGY_COOPERATIVE];

/// Time that a question to the brokers may take. Past it the log is unavailable.
pub(crate) const ANSWER_WAIT: Duration = Duration::from_secs(10);

/// Time after which partitions that were added to a topic are found.
/// `topic.metadata.refresh.interval.ms` replaces it.
const METADATA_REFRESH_MS: &str = "10000";

/// Fetched and not yet delivered bytes of one session. At the limit fetching
/// pauses; with what is on its way (`fetch.max.bytes`) a session holds 48 MiB
/// at most. `queued.max.messages.kbytes` replaces it.
const QUEUED_KBYTES_MAX: &str = "32768";

/// Bytes of one answer of a broker. `fetch.max.bytes` replaces it.
const FETCH_BYTES_MAX: &str = "16777216";

/// Kilobytes that wait to be sent. At the limit a commit waits until some are
/// sent. `queue.buffering.max.kbytes` replaces it.
const SENDING_KBYTES_MAX: &str = "65536";

/// Bytes of one message that the client sends: a record of the promised
/// size, its key and its headers.
pub(crate) const MESSAGE_BYTES_MAX: &str = "2097152";

/// Time that a broker keeps a transaction open without a sign of life. After
/// a crash its records hold up readers of those partitions no longer than this.
pub(crate) const TRANSACTION_TIMEOUT_MS: &str = "10000";

impl KafkaSettings {
    /// Settings for a client that needs no group and no instance.
    pub fn new(bootstrap: &str) -> Self {
        Self { bootstrap: bootstrap.to_owned(), ..Self::default() }
    }

    /// The configuration that every client starts from: `ours`, then the
    /// properties from outside.
    pub(crate) fn client(&self, ours: &[(&str, &str)]) -> Result<ClientConfig, LogError> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap).set("client.id", "watchkeep");
        for (name, value) in ours {
            config.set(*name, *value);
        }
        for (name, value) in &self.properties {
            if RESERVED.contains(&name.as_str()) {
                return Err(LogError::Fatal(format!(
                    "the property {name} of [log.kafka] cannot be set: exactly-once rests on it"
                )));
            }
            if name == STRATEGY && !STRATEGIES.contains(&value.as_str()) {
                return Err(LogError::Fatal(format!(
                    "the property {name} of [log.kafka] is one of {}",
                    STRATEGIES.join(", ")
                )));
            }
            // The group is a setting of its own, made of this property, and
            // the strategy is a member's.
            if name != "group.id" && name != STRATEGY {
                config.set(name, value);
            }
        }
        Ok(config)
    }

    /// Whether partitions come and go one by one.
    pub(crate) fn is_cooperative(&self) -> bool {
        self.strategy() == STRATEGY_COOPERATIVE
    }

    fn strategy(&self) -> &str {
        match self.properties.get(STRATEGY) {
            Some(strategy) if !self.is_joined => strategy,
            _ => STRATEGY_DEFAULT,
        }
    }

    /// Time after which the brokers abort an open transaction of this session.
    pub(crate) fn transaction_timeout(&self) -> Duration {
        let set = self.properties.get("transaction.timeout.ms");
        let millis = set.map_or(TRANSACTION_TIMEOUT_MS, String::as_str).parse();
        Duration::from_millis(millis.unwrap_or(0))
    }

    /// The configuration of a member of the group.
    pub(crate) fn member(&self) -> Result<ClientConfig, LogError> {
        let mut config = self.client(&[
            ("group.instance.id", &self.transactional_id),
            ("session.timeout.ms", "10000"),
            ("heartbeat.interval.ms", "1000"),
            ("queued.max.messages.kbytes", QUEUED_KBYTES_MAX),
            ("fetch.max.bytes", FETCH_BYTES_MAX),
            // The default of 1 s would leave a full queue to run dry.
            ("fetch.queue.backoff.ms", "10"),
            ("topic.metadata.refresh.interval.ms", METADATA_REFRESH_MS),
        ])?;
        if config.get("group.instance.id").is_some_and(str::is_empty) {
            config.remove("group.instance.id");
        }
        reading(&mut config);
        // Of an end that was told in a batch librdkafka 2.12 takes note as of a
        // record (rd_kafka_q_serve_rkmessages): a partition that a cooperative
        // rebalance pauses there would go on behind the next record.
        config.set("enable.partition.eof", "false");
        config.set("group.id", &self.group).set(STRATEGY, self.strategy());
        Ok(config)
    }

    /// The configuration of a reader outside of any group.
    pub(crate) fn reader(&self) -> Result<ClientConfig, LogError> {
        let mut config = self.client(&[
            ("queued.max.messages.kbytes", QUEUED_KBYTES_MAX),
            ("fetch.max.bytes", FETCH_BYTES_MAX),
            ("fetch.queue.backoff.ms", "10"),
        ])?;
        config.remove("group.instance.id");
        reading(&mut config);
        // librdkafka assigns nothing without a group; this one is never joined.
        config.set("group.id", "watchkeep-reader");
        Ok(config)
    }

    /// The configuration of a client that speaks of the group and is no member.
    /// It is told what is committed also where more is pending.
    pub(crate) fn outsider(&self) -> Result<ClientConfig, LogError> {
        let mut config = self.reader()?;
        config.set("group.id", &self.group).set("isolation.level", "read_uncommitted");
        Ok(config)
    }

    /// The configuration of the transactional producer.
    pub(crate) fn transactions(&self) -> Result<ClientConfig, LogError> {
        let mut config = self.producer()?;
        config.set("transactional.id", &self.transactional_id);
        Ok(config)
    }

    /// The configuration of a producer.
    pub(crate) fn producer(&self) -> Result<ClientConfig, LogError> {
        let mut config = self.client(&[
            ("transaction.timeout.ms", TRANSACTION_TIMEOUT_MS),
            ("message.max.bytes", MESSAGE_BYTES_MAX),
            ("queue.buffering.max.kbytes", SENDING_KBYTES_MAX),
            ("compression.type", "lz4"),
            ("linger.ms", "0"),
            // A commit right after a commit is told to come again while the
            // last one is being written; the default of 100 ms is what it would wait.
            ("retry.backoff.ms", "5"),
        ])?;
        // A property for consumers is no reason for a producer to warn.
        for name in ["group.instance.id", "session.timeout.ms", "heartbeat.interval.ms"] {
            config.remove(name);
        }
        config.set("enable.idempotence", "true").set("partitioner", "murmur2_random");
        Ok(config)
    }
}

impl fmt::Debug for KafkaSettings {
    /// Names of properties only: a value may be a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaSettings")
            .field("bootstrap", &self.bootstrap)
            .field("group", &self.group)
            .field("topics", &self.topics)
            .field("transactional_id", &self.transactional_id)
            .field("properties", &self.properties.keys())
            .finish()
    }
}

fn reading(config: &mut ClientConfig) {
    config
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        .set("isolation.level", "read_committed")
        // Every assignment names its offsets. One that the topic does not hold
        // is an error to look at, not a reason to jump.
        .set("auto.offset.reset", "error");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(name: &str, value: &str) -> KafkaSettings {
        let properties = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        KafkaSettings { properties, ..KafkaSettings::new("127.0.0.1:1") }
    }

    #[test]
    fn secrets_are_not_shown() {
        let shown = format!("{:?}", settings("sasl.password", "hunter2"));
        assert!(shown.contains("sasl.password") && !shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn what_exactly_once_rests_on_cannot_be_set() {
        for name in RESERVED {
            let error = settings(name, "x").member().unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn a_strategy_is_one_of_three_and_of_joined_topics_always_range() {
        for strategy in STRATEGIES {
            let mut settings = settings(STRATEGY, strategy);
            assert_eq!(settings.member().unwrap().get(STRATEGY), Some(strategy));
            assert_eq!(settings.is_cooperative(), strategy == STRATEGY_COOPERATIVE);
            settings.is_joined = true;
            assert_eq!(settings.member().unwrap().get(STRATEGY), Some("range"));
            assert!(!settings.is_cooperative());
        }
        for nonsense in ["", "sticky", "range,roundrobin", "range,cooperative-sticky"] {
            let error = settings(STRATEGY, nonsense).member().unwrap_err().to_string();
            assert!(error.contains("range, roundrobin, cooperative-sticky"), "{error}");
        }
    }

    #[test]
    fn properties_pass_through_and_replace_defaults() {
        let config = settings("queued.max.messages.kbytes", "77").member().unwrap();
        assert_eq!(config.get("queued.max.messages.kbytes"), Some("77"));
        assert_eq!(config.get("isolation.level"), Some("read_committed"));
        let config = settings("group.instance.id", "").member().unwrap();
        assert_eq!(config.get("group.instance.id"), None);
    }
}
