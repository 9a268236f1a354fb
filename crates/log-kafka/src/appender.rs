//! Writes telemetry and other records without a transaction.

use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, Producer};
use watchkeep_model::time::Timestamp;
use watchkeep_runtime::log::{LogError, Outgoing, partition_of_key};

use crate::errors::log_error;
use crate::settings::KafkaSettings;
use crate::transactions::{DeliveryContext, message, partition_count};

/// Time that a full queue may take to make room, and that a flush may take
/// without any record being taken. Past it the log is unavailable.
const PROGRESS_WAIT: Duration = Duration::from_secs(60);

/// Time between two looks at what was delivered.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Records between two looks at what was delivered while there is room.
const LOOK_AFTER_RECORDS: u32 = 1000;

/// An idempotent producer: each record is written once, in order, however
/// often the connection breaks. Memory is bounded by
/// `queue.buffering.max.kbytes` (64 MiB): at the limit an append waits.
pub struct KafkaAppender {
    producer: BaseProducer<DeliveryContext>,
    partition_counts: std::collections::BTreeMap<String, i32>,
    unlooked: u32,
}

impl KafkaAppender {
    /// An appender; group, topics and transactional id of the settings are not used.
    ///
    /// # Errors
    /// A fatal one for a wrong property.
    pub fn open(settings: &KafkaSettings) -> Result<Self, LogError> {
        let mut config = settings.producer()?;
        config.remove("transaction.timeout.ms");
        // Records come one by one: a little patience makes full batches.
        if !settings.properties.contains_key("linger.ms") {
            config.set("linger.ms", "5");
        }
        let producer = config
            .create_with_context(DeliveryContext::default())
            .map_err(|error| log_error("making a producer", &error))?;
        Ok(Self { producer, partition_counts: std::collections::BTreeMap::new(), unlooked: 0 })
    }

    /// Takes a record to send, with the present time where none is stated.
    ///
    /// # Errors
    /// [`LogError::NoTopic`], [`LogError::Unavailable`], or a fatal one for
    /// any record before that could not be delivered.
    pub fn append(&mut self, record: &Outgoing, at: Option<Timestamp>) -> Result<(), LogError> {
        let count = match self.partition_counts.get(&*record.topic) {
            Some(count) => *count,
            None => {
                let count = partition_count(self.producer.client(), &record.topic)?;
                if count == 0 {
                    return Err(LogError::NoTopic(record.topic.to_string()));
                }
                self.partition_counts.insert(record.topic.to_string(), count);
                count
            }
        };
        let place = match (record.partition, &record.key) {
            (Some(number), _) if !(0..count).contains(&number) => {
                let why = format!("topic {} has no partition {number}", record.topic);
                return Err(LogError::Fatal(why));
            }
            (Some(number), _) => Some(number),
            (None, Some(key)) => Some(partition_of_key(key, count)),
            (None, None) => None,
        };
        let deadline = Instant::now() + PROGRESS_WAIT;
        loop {
            match self.producer.send(message(record, place, at.map(Timestamp::as_millis))) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    if Instant::now() >= deadline {
                        let why = "no record was taken for a minute".to_owned();
                        return Err(LogError::Unavailable(why));
                    }
                    self.look(LOOK_EVERY)?;
                }
                Err((error, _)) => {
                    return Err(log_error(&format!("sending to {}", record.topic), &error));
                }
            }
        }
        self.unlooked += 1;
        if self.unlooked >= LOOK_AFTER_RECORDS {
            self.unlooked = 0;
            self.look(Duration::ZERO)?;
        }
        Ok(())
    }

    /// Waits until every record is written.
    ///
    /// # Errors
    /// [`LogError::Unavailable`], or a fatal one for a record that could not
    /// be delivered.
    pub fn flush(&mut self) -> Result<(), LogError> {
        let (mut in_flight, mut since) = (i32::MAX, Instant::now());
        loop {
            let now_in_flight = self.producer.in_flight_count();
            if now_in_flight == 0 {
                return self.look(Duration::ZERO);
            }
            if now_in_flight < in_flight {
                (in_flight, since) = (now_in_flight, Instant::now());
            } else if since.elapsed() > PROGRESS_WAIT {
                let why = format!("{now_in_flight} records were not taken for a minute");
                return Err(LogError::Unavailable(why));
            }
            self.look(LOOK_EVERY)?;
        }
    }

    fn look(&self, wait: Duration) -> Result<(), LogError> {
        self.producer.poll(wait);
        match self.producer.context().take_failure() {
            None => Ok(()),
            Some((_, why)) => Err(LogError::Fatal(format!("a record was not delivered: {why}"))),
        }
    }
}
