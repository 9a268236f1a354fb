//! A broker that dies and comes back under a session: nothing is lost,
//! nothing counts twice, and while it is away nothing looks read to its end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use watchkeep_log_kafka::admin::{KafkaAdmin, TopicSpec};
use watchkeep_log_kafka::session::KafkaLog;
use watchkeep_log_kafka::settings::KafkaSettings;
use watchkeep_model::position::Partition;
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_runtime::log::{Event, Log, LogError, Outgoing, Transaction};
use watchkeep_tests::kafka::Cluster;
use watchkeep_tests::service::Service;

/// Time in which the session must be at work again after the broker is back.
const RECOVERY: Duration = Duration::from_secs(90);

const WAIT: TimeSpan = TimeSpan::from_micros(100_000);

fn outgoing(topic: &str, value: i64) -> Outgoing {
    Outgoing {
        topic: topic.into(),
        partition: Some(0),
        key: None,
        value: value.to_string().into_bytes(),
        headers: vec![],
    }
}

#[test]
fn a_session_outlives_its_broker() {
    let cluster = Cluster::start(1).unwrap();
    let settings = KafkaSettings::new(cluster.bootstrap());
    let admin = KafkaAdmin::open(&settings).unwrap();
    let topic = |name: &str| TopicSpec {
        name: name.to_owned(),
        partitions: 1,
        replication: None,
        config: BTreeMap::new(),
    };
    admin.create_topics(&[topic("in"), topic("out")]).unwrap();
    let input = Partition::new("in", 0);
    let session = |group: &str, topics: &[&str]| KafkaSettings {
        group: group.to_owned(),
        topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
        transactional_id: group.to_owned(),
        ..settings.clone()
    };
    let mut writer = KafkaLog::open(&session("writer", &[])).unwrap();
    let records = (0..100).map(|value| outgoing("in", value)).collect();
    writer.commit(Transaction { positions: vec![], records }).unwrap();

    let mut log = KafkaLog::open(&session("stage", &["in"])).unwrap();
    let (mut work, mut position, mut committed) = (Vec::new(), 0, 0);
    let mut killed: Option<Instant> = None;
    let mut back: Option<Instant> = None;
    while committed < 200 {
        assert!(back.is_none_or(|since| since.elapsed() < RECOVERY), "it did not recover");
        let away = killed.is_some() && back.is_none();
        let outcome = log.poll(WAIT, &mut |event| match event {
            Event::Assigned { position: at, .. } => position = at,
            Event::Revoked { .. } => work.clear(),
            Event::Record(record) => {
                work.push(outgoing(
                    "out",
                    std::str::from_utf8(record.value).unwrap().parse().unwrap(),
                ));
                position = record.offset + 1;
            }
            Event::CaughtUp { .. } => {
                let lately = killed.is_none_or(|at| at.elapsed() < Duration::from_secs(2));
                assert!(!away || lately, "the end was told of a broker that is away");
            }
        });
        assert!(matches!(outcome, Ok(()) | Err(LogError::Unavailable(_))), "{outcome:?}");
        match killed {
            None if committed >= 100 => {
                cluster.kill(1).unwrap();
                killed = Some(Instant::now());
            }
            Some(at) if back.is_none() && at.elapsed() > Duration::from_secs(4) => {
                cluster.up(1).unwrap();
                back = Some(Instant::now());
                let records = (100..200).map(|value| outgoing("in", value)).collect();
                let transaction = Transaction { positions: vec![], records };
                while let Err(error) = writer.commit(transaction.clone()) {
                    assert!(matches!(error, LogError::Aborted(_)), "{error}");
                }
            }
            _ => {}
        }
        if !work.is_empty() {
            let count = work.len();
            let positions = vec![(input.clone(), position)];
            match log.commit(Transaction { positions, records: std::mem::take(&mut work) }) {
                Ok(()) => committed += count,
                Err(LogError::Aborted(_) | LogError::Unavailable(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
    let results = Partition::new("out", 0);
    let (from, to) = log.bounds(&results).unwrap();
    let mut found = Vec::new();
    log.scan(&results, from, to, &mut |record| {
        found.push(std::str::from_utf8(record.value).unwrap().parse::<i64>().unwrap());
    })
    .unwrap();
    assert_eq!(found, (0..200).collect::<Vec<_>>());
}

/// Without any broker a service cannot commit what it has; it ends in time all
/// the same, and what it has is read again.
#[test]
fn a_service_without_a_broker_ends_in_time() {
    let cluster = Cluster::start(1).unwrap();
    let mut service = Service::kafka(&cluster, "ending", 4, "json", "");
    let events = service.folder().join("events.ndjson");
    let lines = (0..2_000).map(|second| {
        let at = Timestamp::from_millis(1_709_251_200_000 + second * 1_000);
        format!("{{\"feature\":\"f\",\"event_time\":\"{at}\",\"value\":1}}\n")
    });
    std::fs::write(&events, lines.collect::<String>()).unwrap();
    let produce = ["produce", "--input", events.to_str().unwrap()];
    service.run(&produce);
    service.start();
    service.wait_for("events", |service| service.metric("watchkeep_events_total") >= 2_000.0);
    // Some are on their way when the broker goes.
    service.run(&produce);
    cluster.kill(1).unwrap();
    std::thread::sleep(Duration::from_secs(3));
    // Ends well and within 10 s, which this checks.
    service.stop();
}
