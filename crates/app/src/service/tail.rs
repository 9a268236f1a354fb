//! Follows what the stages publish: for the page, the API and the log lines.
//!
//! It reads the topics as anybody could, so it shows what holds and nothing
//! else, whichever process wrote it.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use watchkeep_model::breach::Breach;
use watchkeep_model::escalation::{Audience, Escalation};
use watchkeep_model::incident::Fact;
use watchkeep_model::position::Partition;
use watchkeep_model::time::Timestamp;
use watchkeep_model::window::Window;
use watchkeep_runtime::log::LogError;
use watchkeep_runtime::rules::Unusable;
use watchkeep_wire::fact::{Stored, decode};

use super::Shared;
use crate::config::Topics;
use crate::retention;
use crate::store::{Reader, Store, StoredRecord};

/// Time between two looks at the log.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How far back in a topic the beginning lies, in offsets. What is older is
/// not on the page; incidents that were open before it show up with their next fact.
const LOOK_BACK: i64 = 50_000;

/// Offsets that are read at once.
const CHUNK: i64 = 5_000;

/// A fact that was published.
#[derive(Clone, Debug)]
pub(crate) enum Seen {
    Window(Box<Window>),
    Breach(Box<Breach>),
    Fact(Box<Fact>),
    Escalation(Box<Escalation>),
}

#[derive(Clone, Copy)]
enum Kind {
    Windows,
    Breaches,
    Incidents,
    Escalations,
}

/// Positions in the topics that are followed.
pub(crate) struct Tail {
    reader: Reader,
    partitions: Vec<Followed>,
    begun: Timestamp,
}

struct Followed {
    kind: Kind,
    partition: Partition,
    /// The next offset to read.
    next: i64,
    /// Where it ended when it was first looked at.
    end: i64,
}

impl Tail {
    /// Stands near the end of the topics. `begun` is when this process began:
    /// what the log took in before that is no news.
    ///
    /// # Errors
    /// Those of the log.
    pub(crate) fn open(
        mut reader: Reader,
        topics: &Topics,
        begun: Timestamp,
    ) -> Result<Self, LogError> {
        let mut partitions = Vec::new();
        // Breaches before incidents, so that a page is not told before its cause.
        for (kind, name) in [
            (Kind::Windows, "windows"),
            (Kind::Breaches, "breaches"),
            (Kind::Incidents, "incidents"),
            (Kind::Escalations, "escalations"),
        ] {
            let topic: Arc<str> = topics.named(name).into();
            for number in 0..reader.partition_count(&topic)? {
                let partition = Partition::new(topic.clone(), number);
                let (first, end) = reader.bounds(&partition)?;
                let next = first.max(end - LOOK_BACK);
                partitions.push(Followed { kind, partition, next, end });
            }
        }
        Ok(Self { reader, partitions, begun: Timestamp::from_millis(begun.as_millis()) })
    }

    /// Hands over what was published since the last call, and with it whether
    /// that is news. The stages do not wait for the first look, so what they
    /// publish before it is known by the log's time.
    ///
    /// # Errors
    /// Those of the log.
    pub(crate) fn look(&mut self, handle: &mut dyn FnMut(Seen, bool)) -> Result<(), LogError> {
        for Followed { kind, partition, next, end: first_end } in &mut self.partitions {
            let (_, end) = self.reader.bounds(partition)?;
            while *next < end {
                let to = (*next + CHUNK).min(end);
                for record in self.reader.read(partition, *next, to)? {
                    let is_news = record.offset >= *first_end || record.timestamp >= self.begun;
                    if let Some(seen) = seen(*kind, &record) {
                        handle(seen, is_news);
                    }
                }
                *next = to;
            }
        }
        Ok(())
    }
}

/// The fact of a record; none where somebody else wrote to the topic, which
/// stops the stages and is told there.
fn seen(kind: Kind, record: &StoredRecord) -> Option<Seen> {
    fn read<T: Stored>(record: &StoredRecord) -> Option<Box<T>> {
        decode(&record.value).ok().map(Box::new)
    }
    match kind {
        Kind::Windows => read(record).map(Seen::Window),
        Kind::Breaches => read(record).map(Seen::Breach),
        Kind::Incidents => read(record).map(Seen::Fact),
        Kind::Escalations => read(record).map(Seen::Escalation),
    }
}

/// Keeps the view up to date and tells of breaches and pages since `begun`.
pub(super) fn follow(shared: &Shared, topics: &Topics, begun: Timestamp) {
    let mut tail: Option<Tail> = None;
    let mut unusable = 0;
    let mut held_at = shared.rules.position();
    while !shared.is_stopping() {
        let looked = match &mut tail {
            None => shared
                .store
                .reader()
                .and_then(|reader| Tail::open(reader, topics, begun))
                .map(|opened| tail = Some(opened)),
            Some(tail) => tail.look(&mut |seen, is_news| {
                if is_news {
                    tell(&seen);
                }
                shared.view.lock().unwrap_or_else(PoisonError::into_inner).take(seen);
            }),
        };
        // What was approved meanwhile may ask for a longer retention.
        let position = shared.rules.position();
        if position != held_at {
            match retention::hold(topics, &shared.store, &shared.rules.registry()) {
                Ok(raised) => {
                    held_at = position;
                    for topic in raised {
                        tracing::info!(
                            topic,
                            "kept for longer: a charter says `driver: regulatory`"
                        );
                    }
                }
                Err(error) => tracing::warn!(%error, "keeping what a regulator may ask for"),
            }
        }
        let Unusable { count, last } = shared.rules.runs().unusable();
        if let Some(last) = last.filter(|_| count > unusable) {
            tracing::warn!(count, last, "records of the lineage topic that are no run events");
            unusable = count;
        }
        if let Err(error) = looked {
            // A store that failed once answers nobody any more. The stages find
            // out, too, but may wait for one whose write never returns.
            if matches!((&shared.store, &error), (Store::Embedded(_), LogError::Fatal(_))) {
                return shared.fail("follow", &error.to_string());
            }
            tracing::warn!(%error, "following the topics");
            shared.pause(Duration::from_secs(2));
        }
        shared.pause(LOOK_EVERY);
    }
}

fn tell(seen: &Seen) {
    match seen {
        Seen::Breach(breach) => tracing::info!(
            transition = ?breach.transition,
            feature = breach.feature,
            expectation = breach.expectation,
            severity = breach.severity.name(),
            window = breach.window,
            end = %breach.window_end,
            reason = breach.reason,
            "breach"
        ),
        Seen::Escalation(page) if page.audience == Audience::Page => tracing::info!(
            target_name = page.target,
            role = page.role,
            channel = page.channel,
            step = page.step,
            reason = page.reason,
            incident = page.incident_id,
            summary = page.summary,
            "page"
        ),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use watchkeep_log_sled::store::SledStore;
    use watchkeep_model::time::TimeSpan;
    use watchkeep_runtime::log::Outgoing;

    use super::*;
    use crate::config::Encoding;

    #[test]
    fn what_this_process_published_before_the_first_look_is_news() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = SledStore::open(folder.path()).expect("a log");
        let topics = Topics {
            telemetry: Vec::new(),
            prefix: "w.".to_owned(),
            encoding: Encoding::Json,
            partitions: BTreeMap::new(),
            retention: None,
            regulatory_retention: None,
        };
        for name in ["windows", "breaches", "incidents", "escalations"] {
            store.create_topic(&topics.named(name), 1).expect("a topic");
        }
        let store = Store::Embedded(store);
        let begun = Timestamp::from_micros(1_700_000_000_123_456);
        let publish = |reason: &str, at: Timestamp| {
            let breach = serde_json::json!({
                "breach_id": "b", "transition": "opened", "feature": "f", "feature_version": "",
                "expectation": "nulls", "kind": "null_rate", "severity": "error", "window": "1h",
                "window_start": begun, "window_end": begun, "revision": 0, "detected_at": begun,
                "reason": reason,
            });
            let record = Outgoing {
                topic: topics.named("breaches").into(),
                partition: Some(0),
                key: None,
                value: breach.to_string().into_bytes(),
                headers: Vec::new(),
            };
            let mut appender = store.appender().expect("a writer");
            appender.append(record, Some(at)).and_then(|()| appender.flush()).expect("written");
        };
        publish("before", begun - TimeSpan::SECOND);
        // Kafka keeps milliseconds.
        publish("meanwhile", Timestamp::from_millis(begun.as_millis()));
        let reader = store.reader().expect("a reader");
        let mut tail = Tail::open(reader, &topics, begun).expect("it opens");
        // A clock that was put back.
        publish("after", begun - TimeSpan::HOUR);
        let mut told = Vec::new();
        tail.look(&mut |seen, is_news| {
            let Seen::Breach(breach) = seen else { panic!("{seen:?}") };
            told.push((breach.reason, is_news));
        })
        .expect("it reads");
        let told: Vec<(&str, bool)> = told.iter().map(|(why, news)| (&**why, *news)).collect();
        assert_eq!(told, [("before", false), ("meanwhile", true), ("after", true)]);
    }
}
