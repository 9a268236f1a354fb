//! The conformance suite on real Kafka, and what only Kafka can show.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use watchkeep_log_kafka::admin::{KafkaAdmin, TopicDifference, TopicSpec};
use watchkeep_log_kafka::appender::KafkaAppender;
use watchkeep_log_kafka::reader::KafkaReader;
use watchkeep_log_kafka::session::KafkaLog;
use watchkeep_log_kafka::settings::KafkaSettings;
use watchkeep_model::position::Partition;
use watchkeep_model::time::TimeSpan;
use watchkeep_runtime::conformance::Harness;
use watchkeep_runtime::log::{Event, Log, LogError, Outgoing, Transaction, partition_of_key};
use watchkeep_tests::kafka::Cluster;

struct Kafka {
    /// Keeps the names of one harness apart from those of all others.
    prefix: String,
    /// How partitions are shared out.
    strategy: &'static str,
    /// Whether members are static, as they are by default.
    is_static: bool,
    unfinished: Option<BaseProducer>,
}

impl Kafka {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("c{number}");
        Self { prefix, strategy: "range", is_static: true, unfinished: None }
    }

    fn of(strategy: &'static str, is_static: bool) -> Self {
        Self { strategy, is_static, ..Self::new() }
    }

    fn name(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    fn settings(&self) -> KafkaSettings {
        KafkaSettings::new(Cluster::shared().bootstrap())
    }
}

impl Harness for Kafka {
    fn create_topic(&mut self, name: &str, partitions: i32) -> String {
        let name = self.name(name);
        let admin = KafkaAdmin::open(&self.settings()).unwrap();
        let created = admin.create_topics(&[spec(&name, partitions)]).unwrap();
        assert_eq!(created, [name.as_str()]);
        name
    }

    fn session(
        &mut self,
        group: &str,
        topics: &[&str],
        transactional_id: &str,
    ) -> Result<Box<dyn Log>, LogError> {
        // The shortest time in which a member that is gone can be missed.
        let mut properties = vec![
            ("session.timeout.ms", "1500"),
            ("heartbeat.interval.ms", "200"),
            ("partition.assignment.strategy", self.strategy),
        ];
        if !self.is_static {
            properties.push(("group.instance.id", ""));
        }
        let log = KafkaLog::open(&KafkaSettings {
            group: self.name(group),
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
            transactional_id: self.name(transactional_id),
            properties: properties.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
            ..self.settings()
        })?;
        Ok(Box::new(log))
    }

    fn begin(&mut self, records: Vec<Outgoing>) {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", Cluster::shared().bootstrap())
            .set("transactional.id", self.name("unfinished"))
            .set("transaction.timeout.ms", "60000")
            .create()
            .unwrap();
        producer.init_transactions(Duration::from_secs(30)).unwrap();
        producer.begin_transaction().unwrap();
        for record in &records {
            let sent: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&record.topic)
                .partition(record.partition.unwrap())
                .payload(&record.value);
            producer.send(sent).map_err(|(error, _)| error).unwrap();
        }
        // On the broker's disk, but not committed.
        producer.flush(Duration::from_secs(30)).unwrap();
        self.unfinished = Some(producer);
    }

    fn abort(&mut self) {
        let producer = self.unfinished.take().unwrap();
        producer.abort_transaction(Duration::from_secs(30)).unwrap();
    }

    fn headers(&mut self, partition: &Partition, offset: i64) -> Vec<(String, Vec<u8>)> {
        KafkaReader::open(&self.settings()).unwrap().headers(partition, offset).unwrap()
    }
}

watchkeep_runtime::conformance_tests!(Kafka::new());

/// The ways in which a group can share out its partitions, apart from the
/// default one, with static members and with dynamic ones.
mod sharing {
    use watchkeep_runtime::{conformance_tests, conformance_tests_of_groups};

    use super::Kafka;

    mod cooperative {
        use super::*;
        conformance_tests_of_groups!(Kafka::of("cooperative-sticky", true));
    }
    mod cooperative_with_dynamic_members {
        use super::*;
        conformance_tests_of_groups!(Kafka::of("cooperative-sticky", false));
    }
    mod range_with_dynamic_members {
        use super::*;
        conformance_tests!(@ Kafka::of("range", false); groups:
            a_revocation_drops_uncommitted_work,
            a_partition_that_went_cannot_be_committed,
            every_record_counts_once_while_members_come_and_go,
        );
    }
    mod roundrobin {
        use super::*;
        conformance_tests!(@ Kafka::of("roundrobin", true); groups: members_share_the_partitions,);
    }
}

fn spec(name: &str, partitions: i32) -> TopicSpec {
    let name = name.to_owned();
    TopicSpec { name, partitions, replication: None, config: BTreeMap::new() }
}

#[test]
fn an_appender_writes_what_readers_find() {
    let mut kafka = Kafka::new();
    let topic = kafka.create_topic("in", 3);
    let mut appender = KafkaAppender::open(&kafka.settings()).unwrap();
    let at = "2013-05-06T14:00:00Z".parse().unwrap();
    for number in 0..3000 {
        let record = Outgoing {
            topic: topic.as_str().into(),
            partition: None,
            key: Some(format!("k{}", number % 7).into_bytes()),
            value: format!("{number}").into_bytes(),
            headers: vec![("content-type".to_owned(), b"application/json".to_vec())],
        };
        appender.append(&record, Some(at)).unwrap();
    }
    appender.flush().unwrap();
    let mut reader = KafkaReader::open(&kafka.settings()).unwrap();
    let mut found = Vec::new();
    for number in 0..reader.partition_count(&topic).unwrap() {
        let partition = Partition::new(topic.as_str(), number);
        let (from, to) = reader.bounds(&partition).unwrap();
        reader
            .scan(&partition, from, to, &mut |record| {
                assert_eq!(record.timestamp, at);
                assert_eq!(record.content_type, Some("application/json"));
                assert_eq!(partition_of_key(record.key.unwrap(), 3), number);
                found.push(std::str::from_utf8(record.value).unwrap().parse::<i32>().unwrap());
            })
            .unwrap();
    }
    found.sort_unstable();
    assert_eq!(found, (0..3000).collect::<Vec<_>>());
    let elsewhere = Outgoing {
        topic: "no-such-topic".into(),
        partition: None,
        key: None,
        value: vec![],
        headers: vec![],
    };
    assert!(matches!(appender.append(&elsewhere, None), Err(LogError::NoTopic(_))));
}

#[test]
fn topics_are_created_once_and_compared() {
    let kafka = Kafka::new();
    let admin = KafkaAdmin::open(&kafka.settings()).unwrap();
    let mut wanted = spec(&kafka.name("t"), 2);
    wanted.config.insert("retention.ms".to_owned(), "-1".to_owned());
    assert_eq!(admin.check(&wanted).unwrap(), [TopicDifference::Missing]);
    assert_eq!(admin.create_topics(&[wanted.clone()]).unwrap(), [wanted.name.clone()]);
    assert_eq!(admin.create_topics(&[wanted.clone()]).unwrap(), [] as [String; 0]);
    assert_eq!(admin.check(&wanted).unwrap(), []);
    wanted.partitions = 3;
    wanted.config.insert("retention.ms".to_owned(), "1000".to_owned());
    let config = TopicDifference::Config {
        name: "retention.ms".to_owned(),
        wanted: "1000".to_owned(),
        found: "-1".to_owned(),
    };
    let partitions = TopicDifference::Partitions { wanted: 3, found: 2 };
    assert_eq!(admin.check(&wanted).unwrap(), [partitions, config]);
}

#[test]
fn a_wrong_property_is_named_without_its_value() {
    let kafka = Kafka::new();
    let mut settings = kafka.settings();
    settings.properties.insert("sasl.mechanismus".to_owned(), "hunter2".to_owned());
    let Err(LogError::Fatal(why)) = KafkaLog::open(&settings) else { panic!("it was taken") };
    assert!(why.contains("sasl.mechanismus") && !why.contains("hunter2"), "{why}");
}

/// A broker that is lost with an answer on its way can leave the group with
/// another member in our name. It has not taken the transactional id, so the
/// session must go on; here a bare consumer plays that member.
#[test]
fn a_session_that_its_group_lost_track_of_joins_anew() {
    let mut kafka = Kafka::new();
    let topic = kafka.create_topic("in", 2);
    let mut log = kafka.session("g", &[&topic], "i").unwrap();
    let wait = TimeSpan::from_micros(100_000);
    let count = |log: &mut dyn Log, wanted: (usize, usize)| {
        let (mut assigned, mut revoked) = (0, 0);
        for _ in 0..200 {
            log.poll(wait, &mut |event| match event {
                Event::Assigned { .. } => assigned += 1,
                Event::Revoked { .. } => revoked += 1,
                Event::Record(_) | Event::CaughtUp { .. } => {}
            })
            .unwrap();
            if (assigned, revoked) == wanted {
                return;
            }
        }
        panic!("{assigned} assigned, {revoked} revoked, not {wanted:?}");
    };
    count(log.as_mut(), (2, 0));
    let other: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", Cluster::shared().bootstrap())
        .set("group.id", kafka.name("g"))
        .set("group.instance.id", kafka.name("i"))
        .set("session.timeout.ms", "1500")
        .create()
        .unwrap();
    other.subscribe(&[&topic]).unwrap();
    for _ in 0..100 {
        let _ = other.poll(Duration::from_millis(100));
        if other.assignment().unwrap().count() == 2 {
            break;
        }
    }
    drop(other);
    count(log.as_mut(), (2, 2));
    let positions = vec![(Partition::new(topic.as_str(), 0), 0)];
    log.commit(Transaction { positions, records: vec![] }).unwrap();
}
