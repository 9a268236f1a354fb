//! Telemetry in each of Kafka's compressions is read: a platform's topics are
//! its own, and gzip is as common as any.

use std::collections::BTreeMap;

use watchkeep_log_kafka::admin::{KafkaAdmin, TopicSpec};
use watchkeep_log_kafka::appender::KafkaAppender;
use watchkeep_log_kafka::session::KafkaLog;
use watchkeep_log_kafka::settings::KafkaSettings;
use watchkeep_model::time::TimeSpan;
use watchkeep_runtime::log::{Event, Log, Outgoing};
use watchkeep_tests::kafka::Cluster;

const RECORDS: usize = 200;
/// Polls of 100 ms after which what was to come has not come.
const POLLS_MAX: usize = 300;

#[test]
fn every_compression_of_kafka_is_read() {
    let cluster = Cluster::shared();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let topic = format!("compressed-{codec}");
        let mut settings = KafkaSettings::new(cluster.bootstrap());
        let spec = TopicSpec {
            name: topic.clone(),
            partitions: 1,
            replication: None,
            config: BTreeMap::new(),
        };
        KafkaAdmin::open(&settings).unwrap().create_topics(&[spec]).unwrap();
        settings.properties.insert("compression.type".into(), codec.into());
        let mut appender =
            KafkaAppender::open(&settings).unwrap_or_else(|e| panic!("{codec}: {e}"));
        for _ in 0..RECORDS {
            let record = Outgoing {
                topic: topic.as_str().into(),
                partition: Some(0),
                key: None,
                value: b"the same again and again, so that it is worth packing ".repeat(4),
                headers: Vec::new(),
            };
            appender.append(&record, None).unwrap();
        }
        appender.flush().unwrap();

        let mut log = KafkaLog::open(&KafkaSettings {
            group: topic.clone(),
            topics: vec![topic.clone()],
            transactional_id: topic.clone(),
            ..KafkaSettings::new(cluster.bootstrap())
        })
        .unwrap();
        let mut read = 0;
        for _ in 0..POLLS_MAX {
            let wait = TimeSpan::from_micros(100_000);
            log.poll(wait, &mut |event| read += usize::from(matches!(event, Event::Record(_))))
                .unwrap_or_else(|e| panic!("{codec}: {e}"));
            if read == RECORDS {
                break;
            }
        }
        assert_eq!(read, RECORDS, "{codec}");
    }
}
