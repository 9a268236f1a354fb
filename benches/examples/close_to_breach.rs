//! How long after the close of a window its breach can be read: the whole way
//! through real Kafka under load.
//!
//! Every feature has a window a second that always breaches. The time is taken
//! from the end of the window, which is when the first event behind it is
//! produced, to when a reader of committed records holds the breach.
//!
//! ```sh
//! cargo run --release --package watchkeep-benches --example close_to_breach -- --rate 50000 --seconds 60
//! ```

#![expect(clippy::print_stdout, reason = "a program for the terminal")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use watchkeep_benches::{argument, load};
use watchkeep_log_kafka::appender::KafkaAppender;
use watchkeep_log_kafka::session::KafkaLog;
use watchkeep_log_kafka::settings::KafkaSettings;
use watchkeep_model::breach::Breach;
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_runtime::log::{Event, Log, Outgoing};
use watchkeep_tests::kafka::Cluster;
use watchkeep_tests::service::Service;
use watchkeep_wire::fact::decode;

const FEATURES: u64 = 200;
const PARTITIONS: u64 = 8;
/// The service's `summarise.commit_interval`, of which the budget is made.
const COMMIT_INTERVAL: Duration = Duration::from_millis(200);
/// The first windows, in which connections are made and code grows warm.
const WARM_UP: Duration = Duration::from_secs(10);

const CHARTER: &str = "kind: charter
subject: feature:bench.*
lifecycle: draft
owners: {primary: user:ada}
expectations: [{name: always, kind: volume, window: 1s, above: 0}]
---
kind: directory
users: {ada: {name: Ada, contacts: [{tool: email, to: ada@example.com}]}}
groups: {governance: {lead: user:ada, members: [user:ada]}}
governance: group:governance
";

static STOP: AtomicBool = AtomicBool::new(false);

fn main() {
    let rate: u64 = argument("--rate").map_or(50_000, |n| n.parse().expect("--rate N"));
    let seconds: u64 = argument("--seconds").map_or(60, |n| n.parse().expect("--seconds N"));
    let cluster = Cluster::start(1).unwrap_or_else(|why| panic!("{why}"));
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("charter.yaml"), CHARTER).expect("disk");
    let charters = format!("[charters]\nfolder = \"{}\"\n", folder.path().display());
    let mut service = Service::kafka(&cluster, "close", PARTITIONS as u32, "avro", &charters);
    let text = std::fs::read_to_string(service.config()).expect("the configuration");
    let text = text
        .replace("pane = \"60s\"", "pane = \"1s\"")
        .replace("out_of_orderness = \"30s\"", "out_of_orderness = \"0s\"")
        .replace("allowed_lateness = \"1d\"", "allowed_lateness = \"10s\"")
        .replace("revise_every = \"1h\"", "revise_every = \"10s\"");
    std::fs::write(service.config(), text).expect("disk");
    service.start();

    let settings = KafkaSettings::new(cluster.bootstrap());
    let reader = {
        let settings = settings.clone();
        std::thread::spawn(move || read(&settings))
    };
    println!("load before: {}", load());
    let produced = produce(&settings, rate, Duration::from_secs(seconds) + WARM_UP);
    STOP.store(true, Ordering::Relaxed);
    let mut delays = reader.join().expect("the reader");
    println!("load after:  {}", load());
    println!("{produced} events in {} s, {FEATURES} windows a second", seconds + WARM_UP.as_secs());
    tell(&mut delays);
    service.stop();
}

/// Produces `rate` events a second with the present time and answers how many.
fn produce(settings: &KafkaSettings, rate: u64, span: Duration) -> u64 {
    let mut appender = KafkaAppender::open(settings).expect("a producer");
    let begun = Instant::now();
    let mut produced = 0_u64;
    while begun.elapsed() < span {
        let wanted = (begun.elapsed().as_secs_f64() * rate as f64) as u64;
        let now = now();
        while produced < wanted {
            let feature = produced / PARTITIONS % FEATURES;
            let value = format!(
                "{{\"feature\":\"bench.{feature}\",\"event_time\":{},\"value\":{},\
                 \"latency_us\":1200,\"producer\":\"close-to-breach\"}}",
                now.as_micros(),
                produced % 1000
            );
            let record = Outgoing {
                topic: "close.telemetry".into(),
                partition: Some((produced % PARTITIONS) as i32),
                key: None,
                value: value.into_bytes(),
                headers: Vec::new(),
            };
            appender.append(&record, None).expect("a record is taken");
            produced += 1;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    appender.flush().expect("all are written");
    produced
}

/// Reads breaches until told to stop; answers with the time of each since the
/// end of its window.
fn read(settings: &KafkaSettings) -> Vec<Duration> {
    let mut log = KafkaLog::open(&KafkaSettings {
        group: "close-reader".to_owned(),
        topics: vec!["close.breaches".to_owned()],
        transactional_id: "close-reader".to_owned(),
        ..settings.clone()
    })
    .expect("a session");
    let begun = now();
    let warm = begun + TimeSpan::from_micros(WARM_UP.as_micros() as i64);
    let mut delays = Vec::new();
    while !STOP.load(Ordering::Relaxed) {
        let polled = log.poll(TimeSpan::from_micros(5_000), &mut |event| {
            let Event::Record(record) = event else { return };
            let breach: Breach = decode(record.value).expect("a breach");
            let delay = now().since(breach.window_end);
            if breach.window_end > warm {
                delays.push(Duration::from_micros(delay.as_micros().unsigned_abs()));
            }
        });
        polled.expect("the log");
    }
    delays
}

fn tell(delays: &mut [Duration]) {
    delays.sort_unstable();
    let at = |share: f64| {
        let index = ((delays.len() as f64 * share).ceil() as usize).clamp(1, delays.len()) - 1;
        delays[index].as_secs_f64() * 1e3
    };
    println!("{} breaches; from the close of the window to the reader, ms:", delays.len());
    for (name, share) in
        [("p1", 0.01), ("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)]
    {
        println!("  {name:>6} {:>8.1}", at(share));
    }
    let budget = (COMMIT_INTERVAL * 3 + Duration::from_millis(100)).as_millis();
    let verdict = if at(0.99) <= budget as f64 { "within" } else { "OVER" };
    println!("p99 is {verdict} the budget of 3 commit intervals + 100 ms = {budget} ms");
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    Timestamp::from_micros(i64::try_from(since.as_micros()).expect("before the year 292277"))
}
