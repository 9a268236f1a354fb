//! The producing half of a session: one Kafka transaction per commit.

mod acknowledged;
mod clearing;

pub(crate) use self::clearing::unfinished;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::topic_partition_list::TopicPartitionList;
use watchkeep_model::position::Partition;
use watchkeep_runtime::log::{LogError, Outgoing, partition_of_key};

use crate::context::QuietContext;
use crate::errors::{is_fenced, log_error, passing};
use crate::fate::Written;
use crate::reader::KafkaReader;
use crate::settings::{ANSWER_WAIT, KafkaSettings};

/// Time that one step of a transaction may take; librdkafka retries within
/// it. Past it the producer is made anew, which ends the transaction.
const STEP_WAIT: Duration = Duration::from_secs(10);

/// Records from which on a commit that timed out is taken for too large for
/// the time, and not for one that met with brokers that were away.
const LARGE: usize = 10_000;

/// The longest that a transaction may be open; no broker allows more unless it
/// is configured to.
const TIMEOUT_MAX: Duration = Duration::from_secs(15 * 60);

/// Time that taking over from an earlier instance may take.
const INIT_WAIT: Duration = Duration::from_secs(60);

/// What librdkafka calls the line that says why a transaction cannot go on.
const GIVEN_UP: &str = "TXNERR";

/// Time between two looks at what is in flight. Longer calls would not come
/// back when it is done: librdkafka's own flush looks every 100 ms.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Age at which the number of a topic's partitions is asked for again.
const COUNT_KEPT_FOR: Duration = Duration::from_secs(10);

/// A transactional producer.
pub(crate) struct Transactions {
    settings: KafkaSettings,
    producer: BaseProducer<DeliveryContext>,
    /// Time that the brokers leave a transaction of this producer open.
    timeout: Duration,
    /// Records of the transaction at hand.
    records: usize,
    /// Asks the group, whatever is pending; made when it is first needed.
    outsider: Option<BaseConsumer<QuietContext>>,
    /// Known numbers of partitions, and when they were asked for.
    partition_counts: BTreeMap<String, (i32, Instant)>,
    /// When the transaction at hand was begun.
    begun: Instant,
    /// Partitions in which nothing of an earlier producer of this name can be
    /// open any more, because this one has ended an aborted transaction there.
    cleared: BTreeSet<(Arc<str>, i32)>,
}

/// How a commit ended other than well.
pub(crate) enum Failure {
    /// Nothing of it holds, and the producer can go on.
    Aborted(String),
    /// The producer must be made anew, which ends the transaction.
    Broken(Broken),
    /// Nothing of it holds, and the session is at its end.
    Ended(LogError),
}

/// A transaction whose producer cannot go on.
pub(crate) struct Broken {
    /// What happened.
    pub(crate) why: String,
    /// True where it may hold all the same: the commit was asked for.
    pub(crate) may_hold: bool,
    /// True where the brokers refuse this producer after a time in which they
    /// abort transactions: that this is the reason, and no newer instance, is
    /// likely and not sure.
    pub(crate) may_be_expired: bool,
}

/// Keeps what became of the records that were sent.
#[derive(Default)]
pub(crate) struct DeliveryContext {
    deliveries: Mutex<Deliveries>,
    /// Set where a connection to a broker was lost: it may have died before it
    /// finished what it had agreed to.
    has_lost_broker: AtomicBool,
}

#[derive(Default)]
struct Deliveries {
    /// The first record that could not be delivered.
    failure: Option<(RDKafkaErrorCode, String)>,
    /// Why librdkafka gave the transaction up, if it did.
    given_up: Option<String>,
    /// Per partition, what was written.
    written: Vec<Written>,
}

impl ClientContext for DeliveryContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if facility == GIVEN_UP {
            self.lock().given_up.get_or_insert_with(|| message.to_owned());
        }
        QuietContext.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if let Some(RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::AllBrokersDown) =
            error.rdkafka_error_code()
        {
            self.has_lost_broker.store(true, Ordering::Relaxed);
        }
        QuietContext.error(error, reason);
    }
}

impl ProducerContext for DeliveryContext {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(message) => {
                let (number, offset) = (message.partition(), message.offset());
                let written = &mut self.lock().written;
                let known = |Written { partition, .. }: &&mut Written| {
                    partition.partition == number && *partition.topic == *message.topic()
                };
                if let Some(written) = written.iter_mut().find(known) {
                    written.first = offset.min(written.first);
                    written.last = offset.max(written.last);
                } else {
                    let partition = Partition::new(message.topic(), number);
                    written.push(Written { partition, first: offset, last: offset });
                }
            }
            Err((error, message)) => {
                let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
                let why = format!("{} {}: {error}", message.topic(), message.partition());
                self.lock().failure.get_or_insert((code, why));
            }
        }
    }
}

impl DeliveryContext {
    /// The first failure of a record. Where librdkafka has given the whole
    /// transaction up, say for want of a right, records of any partition are
    /// dropped, and why is told of the transaction.
    pub(crate) fn take_failure(&self) -> Option<(RDKafkaErrorCode, String)> {
        use RDKafkaErrorCode::{PurgeInflight, PurgeQueue};
        let mut deliveries = self.lock();
        let (code, why) = deliveries.failure.take()?;
        let given_up = deliveries.given_up.take();
        let why = given_up.filter(|_| matches!(code, PurgeQueue | PurgeInflight)).unwrap_or(why);
        Some((code, why))
    }

    /// Forgets what became of earlier records.
    fn begin(&self) {
        *self.lock() = Deliveries::default();
    }

    fn lock(&self) -> MutexGuard<'_, Deliveries> {
        self.deliveries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transactions {
    /// Takes the place of whoever had this transactional id: its open
    /// transaction is aborted and it cannot commit any more. Positions that it
    /// left pending are pending no more when this returns.
    pub(crate) fn take_over(settings: &KafkaSettings) -> Result<Self, LogError> {
        let timeout = settings.transaction_timeout();
        let producer = producer(settings, timeout)?;
        let (settings, begun) = (settings.clone(), Instant::now());
        let (partition_counts, cleared) = (BTreeMap::new(), BTreeSet::new());
        let mut all = Self {
            settings,
            producer,
            timeout,
            records: 0,
            outsider: None,
            partition_counts,
            begun,
            cleared,
        };
        all.settle_positions()?;
        Ok(all)
    }

    /// A new producer in the place of one that cannot go on. Positions that
    /// this one left pending still are.
    pub(crate) fn renew(&mut self) -> Result<(), LogError> {
        self.cleared.clear();
        if self.records >= LARGE && self.begun.elapsed() >= self.timeout {
            let longer = (self.timeout * 4).min(TIMEOUT_MAX);
            tracing::warn!(
                records = self.records,
                seconds = longer.as_secs(),
                "a large commit took longer than brokers leave a transaction open: it gets more time"
            );
            // They may be told to leave none open for that long.
            if let Ok(producer) = producer(&self.settings, longer) {
                (self.producer, self.timeout) = (producer, longer);
                return Ok(());
            }
        }
        self.producer = producer(&self.settings, self.timeout)?;
        Ok(())
    }

    /// The number of partitions of a topic, 0 where it does not exist. It is
    /// asked for again after [`COUNT_KEPT_FOR`], so that a topic may grow. The
    /// producer asks, who has to know of a new partition to write to it.
    pub(crate) fn partition_count(&mut self, topic: &str) -> Result<i32, LogError> {
        let known = self.partition_counts.get(topic);
        if let Some((count, _)) = known.filter(|(_, asked)| asked.elapsed() < COUNT_KEPT_FOR) {
            return Ok(*count);
        }
        let asked = Instant::now();
        let count = partition_count(self.producer.client(), topic)?;
        if count > 0 {
            self.partition_counts.insert(topic.to_owned(), (count, asked));
        }
        Ok(count)
    }

    /// The last offset that the last commit wrote to a partition, told once.
    pub(crate) fn take_written(&self, partition: &Partition) -> Option<i64> {
        let written = &mut self.producer.context().lock().written;
        let index = written.iter().position(|written| written.partition == *partition)?;
        Some(written.swap_remove(index).last)
    }

    /// Per partition what the last transaction wrote, by which it can be told
    /// whether it holds.
    pub(crate) fn written(&self) -> Vec<Written> {
        self.producer.context().lock().written.clone()
    }

    pub(crate) fn run(
        &mut self,
        reader: &mut KafkaReader,
        records: Vec<Outgoing>,
        offsets: Option<(TopicPartitionList, ConsumerGroupMetadata)>,
    ) -> Result<(), Failure> {
        self.await_finished(reader)?;
        // Every record has its place before anything begins.
        let mut places = Vec::with_capacity(records.len());
        for record in &records {
            places.push(self.place(record).map_err(Failure::Ended)?);
        }
        self.clear(&records, &places)?;
        self.records = records.len();
        self.producer.context().begin();
        self.begun = Instant::now();
        self.step("beginning a transaction", || self.producer.begin_transaction())?;
        for (record, place) in records.iter().zip(places) {
            self.send(record, place)?;
        }
        self.drain()?;
        if let Some((offsets, group)) = &offsets {
            self.step("adding positions to the transaction", || {
                self.producer.send_offsets_to_transaction(offsets, group, STEP_WAIT)
            })?;
        }
        if self.has_lost_broker() && acknowledged::of(&self.settings).is_any() {
            // The commit before may lack its marks, and this one would finish
            // a part of it.
            return Err(self.abort("a connection to the brokers was lost meanwhile".to_owned()));
        }
        self.step("committing", || self.producer.commit_transaction(STEP_WAIT)).map_err(
            |failure| match failure {
                Failure::Broken(broken) => Failure::Broken(Broken { may_hold: true, ..broken }),
                other => other,
            },
        )?;
        if let Some((offsets, _)) = &offsets {
            self.acknowledge(offsets, &self.written());
        }
        Ok(())
    }

    /// The partition of a record; none lets librdkafka choose any.
    fn place(&mut self, record: &Outgoing) -> Result<Option<i32>, LogError> {
        let known = self.partition_counts.get(&*record.topic).map(|(count, _)| *count);
        let count = match (self.partition_count(&record.topic), known) {
            // A broker that is away is no reason to forget what is known.
            (Err(LogError::Unavailable(_)), Some(known)) => known,
            (asked, _) => asked?,
        };
        if count == 0 {
            return Err(LogError::NoTopic(record.topic.to_string()));
        }
        match (record.partition, &record.key) {
            (Some(number), _) if !(0..count).contains(&number) => {
                Err(LogError::Fatal(format!("topic {} has no partition {number}", record.topic)))
            }
            (Some(number), _) => Ok(Some(number)),
            (None, Some(key)) => Ok(Some(partition_of_key(key, count))),
            (None, None) => Ok(None),
        }
    }

    fn send(&self, record: &Outgoing, place: Option<i32>) -> Result<(), Failure> {
        let deadline = Instant::now() + STEP_WAIT;
        loop {
            match self.producer.send(message(record, place, None)) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _))
                    if Instant::now() < deadline =>
                {
                    self.producer.poll(LOOK_EVERY);
                }
                Err((error, _)) => {
                    let why = format!("sending to {}: {error}", record.topic);
                    return Err(self.after_failed_record(error.rdkafka_error_code(), why));
                }
            }
        }
    }

    /// Waits until nothing is in flight.
    fn drain(&self) -> Result<(), Failure> {
        let (mut left, mut since) = (self.producer.in_flight_count(), Instant::now());
        while left > 0 {
            self.producer.poll(LOOK_EVERY);
            let now = self.producer.in_flight_count();
            if now < left {
                since = Instant::now();
            } else if since.elapsed() >= STEP_WAIT {
                return Err(self.broken("the records were not taken in time".to_owned()));
            }
            left = now;
        }
        if let Some((code, why)) = self.producer.context().take_failure() {
            return Err(self.after_failed_record(Some(code), why));
        }
        Ok(())
    }

    fn after_failed_record(&self, code: Option<RDKafkaErrorCode>, why: String) -> Failure {
        if let Some((code, reason)) = self.producer.client().fatal_error() {
            return self.after_fatal(code, reason);
        }
        match self.abort(why.clone()) {
            Failure::Aborted(_) if code == Some(RDKafkaErrorCode::MessageSizeTooLarge) => {
                // Trying again would fail again.
                Failure::Ended(LogError::Fatal(why))
            }
            failure => failure,
        }
    }

    fn abort(&self, why: String) -> Failure {
        match self.retried(|| self.producer.abort_transaction(STEP_WAIT)) {
            Ok(()) => {
                // No reader will ever see what was written.
                self.producer.context().lock().written.clear();
                Failure::Aborted(why)
            }
            Err(_) => match self.producer.client().fatal_error() {
                Some((code, reason)) => self.after_fatal(code, reason),
                None => self.broken(why),
            },
        }
    }

    /// One step of the transaction, and what a failure of it means.
    fn step(&self, doing: &str, call: impl Fn() -> KafkaResult<()>) -> Result<(), Failure> {
        let Err(error) = self.retried(call) else { return Ok(()) };
        let why = format!("{doing}: {error}");
        if let Some((code, reason)) = self.producer.client().fatal_error() {
            return Err(self.after_fatal(code, reason));
        }
        let KafkaError::Transaction(error) = &error else {
            return Err(self.broken(why));
        };
        if !error.txn_requires_abort() {
            return Err(self.broken(why));
        }
        // A group that does not know this member any more is no reason to end:
        // only the transactional id tells who the instance is.
        Err(self.abort(why))
    }

    fn broken(&self, why: String) -> Failure {
        Failure::Broken(Broken { why, may_hold: false, may_be_expired: false })
    }

    /// What it means that the producer cannot go on. Of a transaction that was
    /// open for too long the brokers say what they say of one that a newer
    /// instance has ended.
    fn after_fatal(&self, code: RDKafkaErrorCode, why: String) -> Failure {
        let may_be_expired = self.begun.elapsed() >= self.timeout;
        if is_fenced(code) && !may_be_expired {
            return Failure::Ended(LogError::Fenced(why));
        }
        Failure::Broken(Broken { why, may_hold: false, may_be_expired: is_fenced(code) })
    }

    /// Whether this producer still has its transactional id, asked by a
    /// transaction that is aborted in any case.
    pub(crate) fn still_holds(
        &mut self,
        offsets: &TopicPartitionList,
        group: &ConsumerGroupMetadata,
    ) -> Result<(), LogError> {
        match self.abort_positions("asking for the transactional id", offsets, group) {
            Ok(()) | Err(Failure::Aborted(_)) => Ok(()),
            Err(Failure::Ended(error)) => Err(error),
            Err(Failure::Broken(broken)) => Err(LogError::Unavailable(broken.why)),
        }
    }

    /// A transaction of positions alone, which is aborted.
    fn abort_positions(
        &mut self,
        doing: &str,
        offsets: &TopicPartitionList,
        group: &ConsumerGroupMetadata,
    ) -> Result<(), Failure> {
        self.producer.context().begin();
        self.begun = Instant::now();
        self.step("beginning a transaction", || self.producer.begin_transaction())?;
        self.step(doing, || self.producer.send_offsets_to_transaction(offsets, group, STEP_WAIT))?;
        match self.abort("nothing was meant to hold".to_owned()) {
            Failure::Aborted(_) => Ok(()),
            failure => Err(failure),
        }
    }

    /// Calls again what timed out in between: librdkafka goes on where it was.
    fn retried(&self, call: impl Fn() -> KafkaResult<()>) -> KafkaResult<()> {
        let deadline = Instant::now() + STEP_WAIT;
        loop {
            match call() {
                Err(KafkaError::Transaction(error))
                    if error.is_retriable() && Instant::now() < deadline =>
                {
                    self.producer.poll(LOOK_EVERY);
                }
                outcome => return outcome,
            }
        }
    }
}

/// The number of partitions of a topic, 0 where it does not exist.
pub(crate) fn partition_count<C: ClientContext>(
    client: &rdkafka::client::Client<C>,
    topic: &str,
) -> Result<i32, LogError> {
    let doing = format!("asking for topic {topic}");
    let metadata = client
        .fetch_metadata(Some(topic), ANSWER_WAIT)
        .map_err(|error| passing(log_error(&doing, &error)))?;
    let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else {
        return Ok(0);
    };
    match found.error().map(RDKafkaErrorCode::from) {
        None | Some(RDKafkaErrorCode::LeaderNotAvailable) => {
            Ok(i32::try_from(found.partitions().len()).unwrap_or(i32::MAX))
        }
        Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => Ok(0),
        Some(code) => Err(log_error(&doing, &KafkaError::MetadataFetch(code))),
    }
}

/// A record as librdkafka sends it. An empty value is a tombstone.
pub(crate) fn message<'a>(
    record: &'a Outgoing,
    partition: Option<i32>,
    timestamp_ms: Option<i64>,
) -> BaseRecord<'a, [u8], [u8]> {
    let mut message = BaseRecord::to(&record.topic);
    message.partition = partition;
    message.timestamp = timestamp_ms;
    message.key = record.key.as_deref();
    message.payload = (!record.value.is_empty()).then_some(&*record.value);
    if !record.headers.is_empty() {
        let headers = OwnedHeaders::new_with_capacity(record.headers.len());
        message.headers = Some(record.headers.iter().fold(headers, |headers, (key, value)| {
            headers.insert(Header { key, value: Some(value) })
        }));
    }
    message
}

fn producer(
    settings: &KafkaSettings,
    timeout: Duration,
) -> Result<BaseProducer<DeliveryContext>, LogError> {
    let mut config = settings.transactions()?;
    config.set("transaction.timeout.ms", timeout.as_millis().to_string());
    let producer: BaseProducer<DeliveryContext> = config
        .create_with_context(DeliveryContext::default())
        .map_err(|error| log_error("making a producer", &error))?;
    let deadline = Instant::now() + INIT_WAIT;
    loop {
        match producer.init_transactions(STEP_WAIT) {
            Ok(()) => return Ok(producer),
            Err(KafkaError::Transaction(error))
                if error.is_retriable() && Instant::now() < deadline => {}
            Err(error) => return Err(log_error("taking over transactions", &error)),
        }
    }
}
