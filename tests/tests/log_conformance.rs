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
use watchkeep_runtime::conformance::{CHECKS, Harness};
use watchkeep_runtime::log::{Event, Log, LogError, Outgoing, Transaction, partition_of_key};
use watchkeep_tests::kafka::Cluster;

struct Kafka {
    /// Keeps the names of one harness apart from those of all others.
    prefix: String,
    /// Where it is; the shared cluster of one node, unless another is named.
    bootstrap: String,
    /// How partitions are shared out.
    strategy: &'static str,
    /// Whether members are static, as they are by default.
    is_static: bool,
    /// Time between two polls past which a member is given up.
    poll_interval_ms: Option<&'static str>,
    unfinished: Option<BaseProducer>,
}

impl Kafka {
    fn new() -> Self {
        Self::at(Cluster::shared().bootstrap())
    }

    fn at(bootstrap: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("c{number}");
        let (strategy, is_static) = ("range", true);
        let bootstrap = bootstrap.to_owned();
        Self { prefix, bootstrap, strategy, is_static, poll_interval_ms: None, unfinished: None }
    }

    fn of(strategy: &'static str, is_static: bool) -> Self {
        Self { strategy, is_static, ..Self::new() }
    }

    fn name(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    fn settings(&self) -> KafkaSettings {
        KafkaSettings::new(&self.bootstrap)
    }
}

impl Harness for Kafka {
    fn create_topic(&mut self, name: &str, partitions: i32) -> String {
        let name = self.name(name);
        let mut wanted = spec(&name, partitions);
        // Records are of 2013: a broker looks for what is older than a week half
        // a minute after its start, and may take them away before they are read.
        wanted.config.insert("retention.ms".to_owned(), "-1".to_owned());
        let wanted = [wanted];
        let mut tries = 0;
        loop {
            // A new one each time: where the node that it took for the
            // controller was killed, it may wait for that one.
            let admin = KafkaAdmin::open(&self.settings()).unwrap();
            match admin.create_topics(&wanted) {
                Ok(created) => {
                    // After a try whose answer was lost it may be there already.
                    assert!(created == [name.as_str()] || tries > 0, "{created:?}");
                    return name;
                }
                // Only where a broker was killed, which is not what is checked.
                Err(LogError::Unavailable(_)) if tries < 10 => tries += 1,
                Err(error) => panic!("{error}"),
            }
        }
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
        if let Some(interval) = self.poll_interval_ms {
            properties.push(("max.poll.interval.ms", interval));
        }
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
            .set("bootstrap.servers", &self.bootstrap)
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
/// What lies behind an open transaction is committed and not shown: a stage
/// that begins from a whole topic waits until it is.
#[test]
fn a_topic_is_settled_when_nothing_in_it_is_open() {
    let mut kafka = Kafka::new();
    let topic = kafka.create_topic("facts", 1);
    let zero = Partition::new(topic.as_str(), 0);
    let outgoing = |value: &str| Outgoing {
        topic: topic.as_str().into(),
        partition: Some(0),
        key: None,
        value: value.as_bytes().to_vec(),
        headers: vec![],
    };
    let mut log = kafka.session("stage", &[], "stage-0").unwrap();
    kafka.begin(vec![outgoing("open")]);
    log.commit(Transaction { positions: vec![], records: vec![outgoing("behind")] }).unwrap();
    assert_eq!(values(log.as_mut(), &zero), Vec::<String>::new());

    let settings = KafkaSettings { transactional_id: kafka.name("stage-1"), ..kafka.settings() };
    let settled = std::thread::spawn({
        let zero = zero.clone();
        move || KafkaLog::open(&settings).unwrap().settled(&zero)
    });
    std::thread::sleep(Duration::from_secs(1));
    assert!(!settled.is_finished(), "a transaction is open");
    kafka.abort();
    let (_, end) = settled.join().unwrap().unwrap();
    assert!(end > 2, "the aborted record, the one behind it and its mark: {end}");
    assert_eq!(values(log.as_mut(), &zero), ["behind"]);
}

/// An instance without a partition is no instance that is still beginning.
#[test]
fn a_session_that_gets_nothing_is_spare() {
    let mut kafka = Kafka::new();
    let topic = kafka.create_topic("in", 1);
    let names = ["stage-0", "stage-1"];
    let mut logs = names.map(|name| kafka.session("stage", &[&topic], name).unwrap());
    let mut held = [0, 0];
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    loop {
        for (log, held) in logs.iter_mut().zip(&mut held) {
            let mut handle = |event: Event<'_>| match event {
                Event::Assigned { .. } => *held += 1,
                Event::Revoked { .. } => *held -= 1,
                _ => {}
            };
            log.poll(TimeSpan::from_micros(100_000), &mut handle).unwrap();
        }
        let spare = logs.each_ref().map(|log| log.is_spare());
        if held.iter().sum::<i32>() == 1 && spare.contains(&true) {
            assert_eq!(spare, held.map(|held| held == 0));
            return;
        }
        assert!(std::time::Instant::now() < deadline, "{held:?} {spare:?}");
    }
}

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

/// Polls until a session has this many partitions, and returns the records that came.
fn holding(log: &mut dyn Log, count: usize) -> Vec<(Partition, i64)> {
    let (mut held, mut found) = (0_usize, Vec::new());
    for _ in 0..300 {
        log.poll(TimeSpan::from_micros(100_000), &mut |event| match event {
            Event::Assigned { .. } => held += 1,
            Event::Revoked { .. } => {
                held -= 1;
                found.clear();
            }
            Event::Record(record) => found.push((record.partition.clone(), record.offset)),
            Event::CaughtUp { .. } => {}
        })
        .unwrap();
        if held == count {
            return found;
        }
    }
    panic!("{held} partitions, not {count}");
}

fn values(log: &mut dyn Log, partition: &Partition) -> Vec<String> {
    let (from, to) = log.bounds(partition).unwrap();
    let mut found = Vec::new();
    let mut keep = |value: &[u8]| found.push(String::from_utf8_lossy(value).into_owned());
    log.scan(partition, from, to, &mut |record| keep(record.value)).unwrap();
    found
}

/// An instance that stands still for longer than its group waits, in the
/// middle of its work: another takes its partitions over, so it must not
/// commit when it wakes up; then it goes on as a member like any other.
fn a_zombie_does_not_commit(mut kafka: Kafka) {
    let (topic, out) = (kafka.create_topic("in", 2), kafka.create_topic("out", 1));
    let mut appender = KafkaAppender::open(&kafka.settings()).unwrap();
    let at = |topic: &str, partition: i32, value: &str| Outgoing {
        topic: topic.into(),
        partition: Some(partition),
        key: None,
        value: value.as_bytes().to_vec(),
        headers: vec![],
    };
    for number in 0..2 {
        appender.append(&at(&topic, number, "work"), None).unwrap();
    }
    appender.flush().unwrap();
    // As with the whole process stopped, but the client's threads go on: not
    // polling for longer than this ends the membership too.
    kafka.poll_interval_ms = Some("2000");
    let mut zombie = kafka.session("stage", &[&topic], "zombie").unwrap();
    holding(zombie.as_mut(), 2);
    let work = [(Partition::new(topic.as_str(), 0), 1), (Partition::new(topic.as_str(), 1), 1)];
    std::thread::sleep(Duration::from_millis(2_500));
    kafka.poll_interval_ms = None;
    let mut heir = kafka.session("stage", &[&topic], "heir").unwrap();
    holding(heir.as_mut(), 2);
    let records = vec![at(&out, 0, "heir")];
    heir.commit(Transaction { positions: work.to_vec(), records }).unwrap();

    let records = vec![at(&out, 0, "zombie")];
    let outcome = zombie.commit(Transaction { positions: work.to_vec(), records });
    assert!(matches!(outcome, Err(LogError::Aborted(_))), "{outcome:?}");
    assert_eq!(values(heir.as_mut(), &Partition::new(out.as_str(), 0)), ["heir"]);
    // It is told that its partitions went, and joins anew when there is room.
    drop(heir);
    let (mut held, mut was_told) = (2_i32, false);
    for _ in 0..300 {
        zombie
            .poll(TimeSpan::from_micros(100_000), &mut |event| match event {
                Event::Assigned { position, .. } => {
                    assert_eq!(position, 1, "it goes on where the heir has committed");
                    held += 1;
                }
                Event::Revoked { .. } => {
                    held -= 1;
                    was_told = true;
                }
                Event::Record(record) => panic!("offset {} came again", record.offset),
                Event::CaughtUp { .. } => {}
            })
            .unwrap();
        if was_told && held == 2 {
            let records = vec![at(&out, 0, "back")];
            zombie.commit(Transaction { positions: vec![], records }).unwrap();
            let results = Partition::new(out.as_str(), 0);
            assert_eq!(values(zombie.as_mut(), &results), ["heir", "back"]);
            return;
        }
    }
    panic!("told: {was_told}, {held} partitions");
}

#[test]
fn a_static_zombie_does_not_commit() {
    a_zombie_does_not_commit(Kafka::new());
}

#[test]
fn a_dynamic_cooperative_zombie_does_not_commit() {
    a_zombie_does_not_commit(Kafka::of("cooperative-sticky", false));
}

/// Two deployments with the names of one: whoever was first must learn what
/// happened and what to do.
#[test]
fn a_session_whose_name_was_taken_tells_which_name_and_what_to_do() {
    let mut kafka = Kafka::new();
    let (one, other) = (kafka.create_topic("one", 1), kafka.create_topic("other", 1));
    let mut first = kafka.session("watchkeep-summarise", &[&one], "watchkeep-summarise-0").unwrap();
    holding(first.as_mut(), 1);
    let _second = kafka.session("watchkeep-summarise", &[&other], "watchkeep-summarise-0").unwrap();
    let positions = vec![(Partition::new(one.as_str(), 0), 0)];
    let outcome = first.commit(Transaction { positions, records: vec![] });
    let Err(LogError::Fenced(why)) = outcome else { panic!("{outcome:?}") };
    let (id, group) = (kafka.name("watchkeep-summarise-0"), kafka.name("watchkeep-summarise"));
    for told in [id.as_str(), group.as_str(), "group.id", "[log.kafka]", "--instance"] {
        assert!(why.contains(told), "{told} is not in: {why}");
    }
}

/// A commit that is larger than brokers leave one open for is not made again
/// and again with the same end.
#[test]
fn a_large_commit_gets_the_time_that_it_needs() {
    let mut kafka = Kafka::new();
    let topic = kafka.create_topic("large", 1);
    let properties = [("transaction.timeout.ms".to_owned(), "1000".to_owned())].into();
    let transactional_id = kafka.name("large-0");
    let settings = KafkaSettings { transactional_id, properties, ..kafka.settings() };
    let mut log = KafkaLog::open(&settings).unwrap();
    let record = |number| Outgoing {
        topic: topic.as_str().into(),
        partition: Some(0),
        key: None,
        value: format!("{number:0100}").into_bytes(),
        headers: vec![],
    };
    let mut commit = || {
        let records = (0..1_000_000).map(record).collect();
        log.commit(Transaction { positions: vec![], records })
    };
    // A fast machine needs no second one.
    let mut outcome = commit();
    for _ in 0..3 {
        if outcome.is_ok() {
            break;
        }
        outcome = commit();
    }
    assert_eq!(outcome, Ok(()));
}

/// A partition without a leader is waited for: it is there.
fn without_a_leader(settings: &KafkaSettings) {
    let mut reader = KafkaReader::open(settings).unwrap();
    // Past the time after which brokers miss one that is gone.
    let end = std::time::Instant::now() + Duration::from_secs(12);
    let mut known = 0;
    while std::time::Instant::now() < end {
        let bounds = [0, 1, 2].map(|number| reader.bounds(&Partition::new("alone", number)));
        for bounds in &bounds {
            assert!(matches!(bounds, Ok(_) | Err(LogError::Unavailable(_))), "{bounds:?}");
        }
        known = bounds.iter().filter(|bounds| bounds.is_ok()).count();
    }
    assert_eq!(known, 2, "one node was killed");
}

/// Why a commit was aborted during which a connection was lost.
const LOST: &str = "a connection to the brokers was lost meanwhile";

/// The whole suite on three nodes, each partition on all of them and written
/// by two: with all three, then right after the death of one that leads a
/// third of everything, then with it back. That takes minutes, so by itself it
/// runs every eighth check; all of them with
/// `CONFORMANCE_EVERY=1 cargo test --test log_conformance three_nodes`.
#[test]
#[expect(clippy::print_stdout, reason = "shows with --nocapture which check waited for brokers")]
fn three_nodes_conform_when_one_dies_and_comes_back() {
    let every = std::env::var("CONFORMANCE_EVERY").map_or(8, |n| n.parse().expect("a number"));
    let cluster = Cluster::start(3).unwrap_or_else(|why| panic!("{why}"));
    // Each node leads one of these partitions, and no other can.
    let settings = KafkaSettings::new(cluster.bootstrap());
    let alone = TopicSpec { replication: Some(1), ..spec("alone", 3) };
    KafkaAdmin::open(&settings).unwrap().create_topics(&[alone]).unwrap();
    for round in ["three nodes", "one killed", "three again"] {
        match round {
            "one killed" => {
                cluster.kill(2).unwrap();
                without_a_leader(&settings);
            }
            "three again" => cluster.up(2).unwrap(),
            _ => {}
        }
        for (name, check) in CHECKS.iter().step_by(every) {
            let begun = std::time::Instant::now();
            let attempt =
                || std::panic::catch_unwind(|| check(&mut Kafka::at(cluster.bootstrap())));
            let mut checked = attempt();
            // A connection that is lost during a commit aborts it, and one to the
            // dead node may be at any time. Whoever commits does it again; a
            // check takes it for its end.
            for _ in 0..2 {
                let why = checked.as_ref().err().and_then(|why| why.downcast_ref::<String>());
                if round != "one killed" || !why.is_some_and(|why| why.contains(LOST)) {
                    break;
                }
                checked = attempt();
            }
            let took = begun.elapsed();
            assert!(checked.is_ok(), "{round}: {name} failed after {took:?}");
            println!("{round}: {name} {took:.1?}");
        }
    }
}
