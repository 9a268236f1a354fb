//! Known events at a steady rate, from a thread of its own.
//!
//! Each event is a function of the seed and its number, and carries the number
//! it has in its partition. The producer is idempotent and waits for all
//! in-sync copies, so a partition holds exactly 0, 1, 2 … in order, whatever
//! happens to the brokers; [`super::truth`] checks that too.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};

use super::random::{below, mix};
use super::{BEGIN_US, FEATURES, LATENESS_US, OUT_OF_ORDERNESS_US, Plan, WINDOW_US};

/// The feature of the last event of each partition, which moves the watermark
/// past everything.
pub const SENTINEL: &str = "sentinel";

/// Time that everything that was sent may take to arrive.
const FLUSH_WAIT: Duration = Duration::from_secs(120);

/// Out of so many events one is late, within the allowed lateness.
const LATE_ONE_IN: u64 = 3_000;
/// Out of so many events one is later than that.
const TOO_LATE_ONE_IN: u64 = 20_000;
/// Of the windows of a feature one in so many is quiet,
const QUIET_ONE_IN: u64 = 6;
/// and so many of ten of its events belong to another feature instead.
const QUIET_MOVED_OF_TEN: u64 = 8;

/// One event as it goes over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its feature.
    pub feature: String,
    /// Its event time, microseconds since 1970.
    pub event_time_us: i64,
    /// Its value, a whole number.
    pub value: u64,
}

/// Event number `number` of a plan.
pub fn event(plan: &Plan, number: u64) -> Event {
    let chance = |what: u64| mix(plan.seed ^ mix(number.wrapping_mul(8) + what));
    let ideal = i64::try_from(number * plan.speed * 1_000_000 / plan.rate).unwrap_or(i64::MAX);
    // Stays within what is in order, seen from the event that is furthest ahead.
    let mut behind = below(chance(0), OUT_OF_ORDERNESS_US.unsigned_abs() * 9 / 10);
    if below(chance(1), TOO_LATE_ONE_IN) == 0 {
        behind += 3 * LATENESS_US.unsigned_abs();
    } else if below(chance(2), LATE_ONE_IN) == 0 {
        behind += below(chance(3), LATENESS_US.unsigned_abs());
    }
    let event_time_us = BEGIN_US + ideal - i64::try_from(behind).unwrap_or(0);
    let mut feature = below(chance(4), FEATURES);
    let window = event_time_us.div_euclid(WINDOW_US).unsigned_abs();
    let is_quiet = below(mix(plan.seed ^ mix(window * FEATURES + feature)), QUIET_ONE_IN) == 0;
    if is_quiet && below(chance(5), 10) < QUIET_MOVED_OF_TEN {
        feature = 0;
    }
    Event { feature: feature_name(feature), event_time_us, value: below(chance(6), 1_000) }
}

/// The name of a feature.
pub fn feature_name(feature: u64) -> String {
    format!("chaos.f{feature:02}")
}

/// The event that moves a partition's watermark past the end of every
/// lateness of the events that came before.
pub fn sentinel(plan: &Plan, events: u64) -> Event {
    let last = i64::try_from(events * plan.speed * 1_000_000 / plan.rate).unwrap_or(i64::MAX);
    let event_time_us = BEGIN_US + last + LATENESS_US + OUT_OF_ORDERNESS_US + 5 * WINDOW_US;
    Event { feature: SENTINEL.to_owned(), event_time_us, value: 0 }
}

/// The thread that sends, and what it has sent so far.
pub struct Traffic {
    shared: Arc<Shared>,
    thread: JoinHandle<Result<Sent, String>>,
}

/// What was sent in the end.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Events without the sentinels.
    pub events: u64,
    /// Per partition, how many records it got, sentinels and all.
    pub per_partition: Vec<u64>,
}

struct Shared {
    stop: AtomicBool,
    partitions: AtomicI32,
    sent: AtomicU64,
}

/// Keeps the first record that could not be delivered.
#[derive(Clone, Default)]
struct Deliveries(Arc<std::sync::Mutex<Option<String>>>);

impl ClientContext for Deliveries {
    // The brokers are killed on purpose; what librdkafka says of it is no news.
    fn log(&self, _: rdkafka::config::RDKafkaLogLevel, _: &str, _: &str) {}
    fn error(&self, _: KafkaError, _: &str) {}
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, message)) = result {
            let why = format!("telemetry {} {error}", message.partition());
            self.0.lock().expect("no panic holds it").get_or_insert(why);
        }
    }
}

impl Traffic {
    /// Begins to send to a topic.
    ///
    /// # Errors
    /// A client that cannot be made.
    pub fn start(plan: &Plan, bootstrap: &str, topic: &str) -> Result<Self, String> {
        let deliveries = Deliveries::default();
        let producer: ThreadedProducer<Deliveries> = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("enable.idempotence", "true")
            .set("acks", "all")
            // A record waits for its broker however long that is away.
            .set("message.timeout.ms", "0")
            .set("linger.ms", "20")
            .set("compression.type", "lz4")
            .set("topic.metadata.refresh.interval.ms", "2000")
            .create_with_context(deliveries.clone())
            .map_err(|error| format!("making the producer: {error}"))?;
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            partitions: AtomicI32::new(plan.partitions),
            sent: AtomicU64::new(0),
        });
        let sender = Sender {
            plan: plan.clone(),
            topic: topic.to_owned(),
            producer,
            deliveries,
            shared: shared.clone(),
            per_partition: Vec::new(),
        };
        let thread = std::thread::Builder::new()
            .name("traffic".to_owned())
            .spawn(move || sender.run())
            .map_err(|error| error.to_string())?;
        Ok(Self { shared, thread })
    }

    /// Events so far.
    pub fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::Relaxed)
    }

    /// From now on events go to so many partitions, which must be there.
    pub fn spread_over(&self, partitions: i32) {
        self.shared.partitions.store(partitions, Ordering::Relaxed);
    }

    /// True where the thread has ended before it was asked to.
    pub fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Sends a sentinel to every partition and waits until all has arrived.
    ///
    /// # Errors
    /// A record that could not be delivered.
    pub fn end(self) -> Result<Sent, String> {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| "the traffic's thread panicked".to_owned())?
    }
}

struct Sender {
    plan: Plan,
    topic: String,
    producer: ThreadedProducer<Deliveries>,
    deliveries: Deliveries,
    shared: Arc<Shared>,
    per_partition: Vec<u64>,
}

impl Sender {
    fn run(mut self) -> Result<Sent, String> {
        const TICK: Duration = Duration::from_millis(10);
        let begun = Instant::now();
        let mut events = 0;
        while !self.shared.stop.load(Ordering::Relaxed) {
            let elapsed = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
            let due = elapsed * self.plan.rate / 1_000_000;
            while events < due {
                let partitions = self.shared.partitions.load(Ordering::Relaxed).unsigned_abs();
                let partition = i32::try_from(events % u64::from(partitions)).unwrap_or(0);
                self.send(partition, &event(&self.plan, events))?;
                events += 1;
            }
            self.shared.sent.store(events, Ordering::Relaxed);
            std::thread::sleep(TICK);
        }
        let last = sentinel(&self.plan, events);
        for partition in 0..self.shared.partitions.load(Ordering::Relaxed) {
            self.send(partition, &last)?;
        }
        self.producer.flush(FLUSH_WAIT).map_err(|error| format!("the last telemetry: {error}"))?;
        self.check()?;
        Ok(Sent { events, per_partition: self.per_partition })
    }

    fn send(&mut self, partition: i32, event: &Event) -> Result<(), String> {
        let index = usize::try_from(partition).unwrap_or(0);
        if self.per_partition.len() <= index {
            self.per_partition.resize(index + 1, 0);
        }
        let Event { feature, event_time_us, value } = event;
        let id = self.per_partition[index];
        let line = format!(
            r#"{{"feature":"{feature}","event_time":{event_time_us},"value":{value},"event_id":"{id}"}}"#
        );
        loop {
            let record = BaseRecord::<(), _>::to(&self.topic).partition(partition).payload(&line);
            match self.producer.send(record) {
                Ok(()) => break,
                // An added partition is known to the client a moment later.
                Err((
                    KafkaError::MessageProduction(
                        RDKafkaErrorCode::QueueFull | RDKafkaErrorCode::UnknownPartition,
                    ),
                    _,
                )) => {
                    self.check()?;
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err((error, _)) => return Err(format!("telemetry {partition}: {error}")),
            }
        }
        self.per_partition[index] += 1;
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        match self.deliveries.0.lock().expect("no panic holds it").take() {
            None => Ok(()),
            Some(why) => Err(why),
        }
    }
}
