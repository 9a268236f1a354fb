//! Through real Kafka: `watchkeep run`, looked at by `watchkeep export`.

use std::collections::BTreeMap;

use watchkeep_log_kafka::appender::KafkaAppender;
use watchkeep_log_kafka::settings::KafkaSettings;
use watchkeep_runtime::log::{CONTENT_TYPE, Outgoing};
use watchkeep_tests::service::Service;
use watchkeep_tests::{binary, kafka};

use crate::avro::{Avro, KNOWN_ID, TIMELESS_ID, fingerprint};
use crate::records::records;
use crate::{Case, SECOND, START, case};

/// Bytes of a rejected record that are kept in a log.
const KEPT_BYTES: usize = 512 << 10;

/// A good event of `shop.price` in the encoding whose turn it is.
fn good(n: i64) -> (Vec<u8>, Option<&'static str>) {
    let (at, value) = (START + n * 30 * SECOND, (n % 50) as f64);
    let json = format!(r#"{{"feature":"shop.price","event_time":{at},"value":{value}}}"#);
    match n % 4 {
        0 => (json.into_bytes(), None),
        1 => (json.into_bytes(), Some("application/json; charset=utf-8")),
        2 => (
            Avro::single(fingerprint()).begin("shop.price", at).finish(value).0,
            Some("avro/binary"),
        ),
        _ => (Avro::confluent(KNOWN_ID).begin("shop.price", at).finish(value).0, None),
    }
}

/// Appends records to the partitions of a topic and knows where each lies.
struct Producer {
    appender: KafkaAppender,
    topic: String,
    next: BTreeMap<i32, i64>,
}

impl Producer {
    fn send(&mut self, partition: i32, value: &[u8], content_type: Option<&str>) -> i64 {
        let headers = content_type
            .map(|text| (CONTENT_TYPE.to_owned(), text.as_bytes().to_vec()))
            .into_iter()
            .collect();
        let record = Outgoing {
            topic: self.topic.as_str().into(),
            partition: Some(partition),
            key: None,
            value: value.to_vec(),
            headers,
        };
        self.appender.append(&record, None).expect("Kafka takes it");
        let next = self.next.entry(partition).or_default();
        *next += 1;
        *next - 1
    }
}

/// Two partitions: each good record lies between malformed ones.
const PARTITIONS: i32 = 2;

#[test]
fn every_malformed_record_of_kafka_is_a_reject_and_the_service_keeps_running() {
    let cluster = kafka::Cluster::shared();
    let more = "[registry]\nfolder = \"writers\"\nunknown = \"reject\"\n";
    let mut service = Service::kafka(cluster, "malformed", PARTITIONS as u32, "avro", more);
    let writers = service.folder().join("writers");
    std::fs::create_dir(&writers).expect("disk");
    let schema = binary::root().join("schemas/telemetry.avsc");
    std::fs::copy(schema, writers.join(format!("{KNOWN_ID}.avsc"))).expect("disk");
    let timeless = r#"{"type":"record","name":"T","fields":[{"name":"feature","type":"string"}]}"#;
    std::fs::write(writers.join(format!("{TIMELESS_ID}.avsc")), timeless).expect("disk");

    let appender = KafkaAppender::open(&KafkaSettings::new(cluster.bootstrap())).expect("Kafka");
    let topic = "malformed.telemetry".to_owned();
    let mut producer = Producer { appender, topic, next: BTreeMap::new() };
    let mut cases = records();
    // Of a record this long a log keeps the beginning; of which, the detail says.
    let long = case(
        "long and no JSON",
        vec![b'x'; 900_000],
        "malformed",
        "not JSON at byte 0",
        "the first 524288 of 900000 bytes are kept",
    );
    cases.push((long, None));
    let (mut sent, mut count) = (BTreeMap::new(), 0);
    for (n, (case, content_type)) in cases.iter().enumerate() {
        let partition = n as i32 % PARTITIONS;
        let offset = producer.send(partition, &case.bytes, *content_type);
        sent.insert((partition, offset), case);
        for partition in 0..PARTITIONS {
            for _ in 0..3 {
                let (value, content_type) = good(count);
                producer.send(partition, &value, content_type);
                count += 1;
            }
        }
    }
    producer.appender.flush().expect("Kafka takes them");

    service.start();
    let events = |service: &Service| service.metric("watchkeep_events_total") as i64;
    let refused = |service: &Service| service.metric("watchkeep_rejects_total") as i64;
    let records = count + cases.len() as i64;
    service.wait_for("records", |service| events(service) + refused(service) >= records);
    assert_eq!((events(&service), refused(&service)), (count, cases.len() as i64));

    // It keeps running: what comes now is counted too, and an event days
    // later on each partition closes the windows.
    let (value, content_type) = good(count);
    producer.send(0, &value, content_type);
    count += 1;
    for partition in 0..PARTITIONS {
        let later = r#"{"feature":"sentinel","event_time":"2013-05-09T00:00:00Z"}"#;
        producer.send(partition, later.as_bytes(), None);
    }
    producer.appender.flush().expect("Kafka takes them");
    let all = count + i64::from(PARTITIONS);
    service.wait_for("later events", |service| events(service) >= all);
    service.wait_for("windows", |service| counted(service) == count);
    assert_eq!(events(&service), all);
    let by_reason: BTreeMap<&str, usize> =
        cases.iter().fold(BTreeMap::new(), |mut all, (case, _)| {
            *all.entry(case.reason).or_default() += 1;
            all
        });
    for (reason, wanted) in by_reason {
        let name = format!("watchkeep_rejects_total{{reason=\"{reason}\"}}");
        assert_eq!(service.metric(&name), wanted as f64, "{reason}");
    }
    service.stop();

    let rejects = service.export("malformed.rejects");
    assert_eq!(rejects.len(), cases.len());
    for reject in &rejects {
        assert_eq!(reject["topic"], "malformed.telemetry");
        let number = |name: &str| reject[name].as_i64().unwrap_or_else(|| panic!("{reject}"));
        let place = (number("partition") as i32, number("offset"));
        let case = sent.remove(&place).unwrap_or_else(|| panic!("{place:?} is good or told twice"));
        assert!(reject["received_at"].is_string(), "{}", case.kind);
        if case.bytes.len() > KEPT_BYTES {
            let kept = case.bytes[..KEPT_BYTES].to_vec();
            Case { kind: case.kind, bytes: kept, ..*case }.check(reject);
        } else {
            case.check(reject);
        }
    }
    assert!(sent.is_empty());
    assert_eq!(counted(&service), count);
}

/// Events of `shop.price` in the last revisions of its windows.
fn counted(service: &Service) -> i64 {
    let mut last: BTreeMap<String, (u64, i64)> = BTreeMap::new();
    for window in service.export("windows") {
        let revision = window["revision"].as_u64().expect("a number");
        let count = window["count"].as_i64().expect("a number");
        let start = window["window_start"].as_str().expect("an instant").to_owned();
        if window["feature"] == "shop.price" {
            let entry = last.entry(start).or_default();
            *entry = (*entry).max((revision, count));
        }
    }
    last.values().map(|(_, count)| count).sum()
}
