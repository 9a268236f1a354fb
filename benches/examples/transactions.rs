//! How long a commit takes on real Kafka: 8 records to 8 partitions and the
//! positions of 8 partitions in one transaction, back to back and every 100 ms.
//!
//! Starts a Kafka of its own (one node, or as many as `--nodes` says), or goes
//! to the brokers that `--bootstrap` names.

#![expect(clippy::print_stdout, reason = "a program for the terminal")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use watchkeep_benches::{argument, load};
use watchkeep_log_kafka::admin::{KafkaAdmin, TopicSpec};
use watchkeep_log_kafka::session::KafkaLog;
use watchkeep_log_kafka::settings::KafkaSettings;
use watchkeep_model::position::Partition;
use watchkeep_model::time::TimeSpan;
use watchkeep_runtime::log::{Event, Log, Outgoing, Transaction};
use watchkeep_tests::kafka::Cluster;

const PARTITIONS: i32 = 8;
/// Commits before the first that is measured: connections are made and
/// coordinators found.
const WARM_UP: usize = 20;
const POLL_WAIT: TimeSpan = TimeSpan::from_micros(1_000);

fn main() {
    let nodes = argument("--nodes").map_or(1, |text| text.parse().expect("--nodes N"));
    let count = argument("--commits").map_or(200, |text| text.parse().expect("--commits N"));
    let mut cluster = None;
    let bootstrap = argument("--bootstrap").unwrap_or_else(|| {
        let started = Cluster::start(nodes).unwrap_or_else(|why| panic!("{why}"));
        cluster.insert(started).bootstrap().to_owned()
    });
    let mut session = Session::open(&bootstrap);
    println!("{count} commits of 8 records to 8 partitions with the positions of 8 partitions");
    println!("load before: {}", load());
    for _ in 0..WARM_UP {
        session.commit();
    }
    for (name, pause) in
        [("back to back", Duration::ZERO), ("every 100 ms", Duration::from_millis(100))]
    {
        let mut times = Vec::with_capacity(count);
        for _ in 0..count {
            let took = session.commit();
            times.push(took);
            std::thread::sleep(pause.saturating_sub(took));
        }
        tell(name, times);
    }
    println!("load after:  {}", load());
}

struct Session {
    log: KafkaLog,
    output: String,
    positions: BTreeMap<Partition, i64>,
}

impl Session {
    /// A session with 8 partitions to read, each with a record.
    fn open(bootstrap: &str) -> Self {
        let stamp = format!("bench-{}", std::process::id());
        let (input, output) = (format!("{stamp}-in"), format!("{stamp}-out"));
        let settings = KafkaSettings::new(bootstrap);
        let specs = [&input, &output].map(|name| TopicSpec {
            name: name.clone(),
            partitions: PARTITIONS,
            replication: None,
            config: BTreeMap::new(),
        });
        KafkaAdmin::open(&settings).and_then(|admin| admin.create_topics(&specs)).expect("topics");
        let mut log = KafkaLog::open(&KafkaSettings {
            group: stamp.clone(),
            topics: vec![input],
            transactional_id: stamp,
            ..settings
        })
        .expect("a session");
        let mut positions = BTreeMap::new();
        while positions.len() < 8 {
            log.poll(TimeSpan::SECOND, &mut |event| {
                if let Event::Assigned { partition, position } = event {
                    positions.insert(partition.clone(), position);
                }
            })
            .expect("a poll");
        }
        Self { log, output, positions }
    }

    /// A commit as the summarise stage makes it, and how long it took.
    fn commit(&mut self) -> Duration {
        // As a stage does, which polls between its commits.
        self.log.poll(POLL_WAIT, &mut |_| {}).expect("a poll");
        let records = (0..PARTITIONS).map(|number| Outgoing {
            topic: self.output.as_str().into(),
            partition: Some(number),
            key: None,
            value: vec![7; 1_000],
            headers: vec![],
        });
        let transaction = Transaction {
            positions: self.positions.iter().map(|(p, at)| (p.clone(), *at)).collect(),
            records: records.collect(),
        };
        let begun = Instant::now();
        self.log.commit(transaction).expect("a commit");
        begun.elapsed()
    }
}

/// Prints where the times lie.
fn tell(name: &str, mut times: Vec<Duration>) {
    times.sort();
    let quantile = |share: f64| {
        let last = times.len().saturating_sub(1);
        times[((last as f64) * share).round() as usize].as_secs_f64() * 1e3
    };
    println!(
        "{name:<14} min {:>6.1}  p25 {:>6.1}  median {:>6.1}  p75 {:>6.1}  p95 {:>6.1}  p99 {:>6.1}  max {:>6.1} ms",
        quantile(0.0),
        quantile(0.25),
        quantile(0.5),
        quantile(0.75),
        quantile(0.95),
        quantile(0.99),
        quantile(1.0),
    );
}
