//! Creates topics and tells what they are like.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, ConfigResource, ConfigSource, NewPartitions, NewTopic,
    ResourceSpecifier, TopicReplication,
};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use watchkeep_runtime::log::LogError;

use crate::context::QuietContext;
use crate::errors::{log_error, passing};
use crate::settings::{ANSWER_WAIT, KafkaSettings};
use crate::transactions::partition_count;

/// Time in which a new topic must be known to the brokers that are asked.
const CREATED_WAIT: Duration = Duration::from_secs(30);

/// A topic as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name.
    pub name: String,
    /// Its number of partitions.
    pub partitions: i32,
    /// Copies of each partition; `None` leaves it to the brokers' default.
    pub replication: Option<i32>,
    /// Settings of the topic, as Kafka names them. `max.message.bytes` is
    /// 2 MiB where it is not set, so that a record of the promised size fits.
    pub config: BTreeMap<String, String>,
}

/// A topic as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicState {
    /// Its number of partitions.
    pub partitions: i32,
    /// Copies of its first partition.
    pub replication: i32,
    /// All of its settings in force, those of the brokers' defaults too.
    pub config: BTreeMap<String, String>,
}

/// How a topic differs from what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicDifference {
    /// It does not exist.
    Missing,
    /// It has another number of partitions.
    Partitions {
        /// As it should be.
        wanted: i32,
        /// As it is.
        found: i32,
    },
    /// It has another number of copies.
    Replication {
        /// As it should be.
        wanted: i32,
        /// As it is.
        found: i32,
    },
    /// One of its settings has another value.
    Config {
        /// The setting.
        name: String,
        /// As it should be.
        wanted: String,
        /// As it is.
        found: String,
    },
}

/// A client for topics.
pub struct KafkaAdmin {
    client: AdminClient<QuietContext>,
}

impl KafkaAdmin {
    /// An admin; group, topics and transactional id of the settings are not used.
    ///
    /// # Errors
    /// A fatal one for a wrong property.
    pub fn open(settings: &KafkaSettings) -> Result<Self, LogError> {
        let mut config = settings.client(&[])?;
        config.remove("group.instance.id");
        let client = config
            .create_with_context(QuietContext)
            .map_err(|error| log_error("making an admin client", &error))?;
        Ok(Self { client })
    }

    /// Creates the topics that do not exist and leaves the others as they
    /// are. Returns the names of the new ones, which can be used at once.
    ///
    /// # Errors
    /// [`LogError::Unavailable`], or a fatal one with the topic and the reason.
    pub fn create_topics(&self, topics: &[TopicSpec]) -> Result<Vec<String>, LogError> {
        let news = topics.iter().map(|topic| {
            let replication = TopicReplication::Fixed(topic.replication.unwrap_or(-1));
            let new = NewTopic::new(&topic.name, topic.partitions, replication);
            let new = new.set("max.message.bytes", crate::settings::MESSAGE_BYTES_MAX);
            topic.config.iter().fold(new, |new, (name, value)| {
                let mut new = new;
                new.config.retain(|(set, _)| set != name);
                new.set(name, value)
            })
        });
        let news: Vec<NewTopic<'_>> = news.collect();
        let outcomes = wait(self.client.create_topics(&news, &options()))
            .map_err(|error| passing(log_error("creating topics", &error)))?;
        let mut created = Vec::new();
        for outcome in outcomes {
            match outcome {
                Ok(name) => created.push(name),
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((name, code)) => {
                    let error = KafkaError::AdminOp(code);
                    return Err(log_error(&format!("creating topic {name}"), &error));
                }
            }
        }
        for topic in topics.iter().filter(|topic| created.contains(&topic.name)) {
            self.await_topic(&topic.name, topic.partitions)?;
        }
        Ok(created)
    }

    /// Adds partitions to a topic, so that it has so many. They can be used at
    /// once; a running service finds them within
    /// `topic.metadata.refresh.interval.ms`.
    ///
    /// # Errors
    /// [`LogError::Unavailable`], or a fatal one, as where it has more already.
    pub fn add_partitions(&self, topic: &str, partitions: i32) -> Result<(), LogError> {
        let doing = format!("adding partitions to topic {topic}");
        let count = usize::try_from(partitions).unwrap_or(0);
        let outcomes =
            wait(self.client.create_partitions([&NewPartitions::new(topic, count)], &options()))
                .map_err(|error| passing(log_error(&doing, &error)))?;
        for outcome in outcomes {
            outcome.map_err(|(_, code)| log_error(&doing, &KafkaError::AdminOp(code)))?;
        }
        self.await_topic(topic, partitions)
    }

    /// What a topic is like; `None` where it does not exist.
    ///
    /// # Errors
    /// [`LogError::Unavailable`] or a fatal one.
    pub fn describe(&self, topic: &str) -> Result<Option<TopicState>, LogError> {
        let partitions = partition_count(self.client.inner(), topic)?;
        if partitions == 0 {
            return Ok(None);
        }
        let doing = format!("asking for topic {topic}");
        let metadata = self
            .client
            .inner()
            .fetch_metadata(Some(topic), ANSWER_WAIT)
            .map_err(|error| passing(log_error(&doing, &error)))?;
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        let first = found.and_then(|found| found.partitions().first());
        let replication = first.map_or(0, |first| first.replicas().len());
        let resources =
            wait(self.client.describe_configs([&ResourceSpecifier::Topic(topic)], &options()))
                .map_err(|error| passing(log_error(&doing, &error)))?;
        let mut config = BTreeMap::new();
        for resource in resources {
            let ConfigResource { entries, .. } =
                resource.map_err(|code| passing(log_error(&doing, &KafkaError::AdminOp(code))))?;
            config.extend(entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))));
        }
        let replication = i32::try_from(replication).unwrap_or(i32::MAX);
        Ok(Some(TopicState { partitions, replication, config }))
    }

    /// Changes one setting of a topic, and leaves its others as they are.
    ///
    /// # Errors
    /// [`LogError::Unavailable`], or a fatal one where that is not allowed.
    pub fn set_config(&self, topic: &str, name: &str, value: &str) -> Result<(), LogError> {
        let doing = format!("setting {name} of topic {topic}");
        let failed = |error: KafkaError| passing(log_error(&doing, &error));
        let specifier = ResourceSpecifier::Topic(topic);
        let resources =
            wait(self.client.describe_configs([&specifier], &options())).map_err(failed)?;
        // The request replaces all that were set for the topic.
        let mut settings = BTreeMap::new();
        for resource in resources {
            let resource = resource.map_err(|code| failed(KafkaError::AdminOp(code)))?;
            let own = resource.entries.into_iter();
            let own = own.filter(|entry| entry.source == ConfigSource::DynamicTopic);
            settings.extend(own.filter_map(|entry| Some((entry.name, entry.value?))));
        }
        settings.insert(name.to_owned(), value.to_owned());
        let alter = settings
            .iter()
            .fold(AlterConfig::new(specifier), |alter, (name, value)| alter.set(name, value));
        for outcome in wait(self.client.alter_configs([&alter], &options())).map_err(failed)? {
            outcome.map_err(|(_, code)| failed(KafkaError::AdminOp(code)))?;
        }
        Ok(())
    }

    /// How a topic differs from its spec; nothing where it is as it should be.
    ///
    /// # Errors
    /// [`LogError::Unavailable`] or a fatal one.
    pub fn check(&self, spec: &TopicSpec) -> Result<Vec<TopicDifference>, LogError> {
        let Some(state) = self.describe(&spec.name)? else {
            return Ok(vec![TopicDifference::Missing]);
        };
        let mut differences = Vec::new();
        if spec.partitions != state.partitions {
            let (wanted, found) = (spec.partitions, state.partitions);
            differences.push(TopicDifference::Partitions { wanted, found });
        }
        if let Some(wanted) = spec.replication.filter(|wanted| *wanted != state.replication) {
            let found = state.replication;
            differences.push(TopicDifference::Replication { wanted, found });
        }
        for (name, wanted) in &spec.config {
            let found = state.config.get(name).cloned().unwrap_or_default();
            if found != *wanted {
                let (name, wanted) = (name.clone(), wanted.clone());
                differences.push(TopicDifference::Config { name, wanted, found });
            }
        }
        Ok(differences)
    }

    /// Creating ends before every broker knows; whoever writes at once must not fail.
    fn await_topic(&self, name: &str, partitions: i32) -> Result<(), LogError> {
        let count = usize::try_from(partitions).unwrap_or(1).max(1);
        let deadline = Instant::now() + CREATED_WAIT;
        loop {
            let metadata = self
                .client
                .inner()
                .fetch_metadata(Some(name), ANSWER_WAIT)
                .map_err(|error| passing(log_error("looking for a new topic", &error)))?;
            let found = metadata.topics().iter().find(|found| found.name() == name);
            let led = found.is_some_and(|found| {
                found.partitions().len() >= count
                    && found.partitions().iter().all(|partition| partition.leader() >= 0)
            });
            if led {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let why = format!("the brokers have made topic {name} and no leaders yet");
                return Err(LogError::Unavailable(why));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(ANSWER_WAIT)).operation_timeout(Some(ANSWER_WAIT))
}

/// Waits for an answer of the admin client, which has threads of its own: a
/// runtime would have nothing to do here but wait.
fn wait<T>(answer: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut answer = pin!(answer);
    loop {
        match answer.as_mut().poll(&mut context) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => thread::park(),
        }
    }
}
