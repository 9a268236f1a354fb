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
use watchkeep_model::window::Window;
use watchkeep_runtime::log::LogError;
use watchkeep_runtime::rules::Unusable;
use watchkeep_wire::fact::{Stored, decode};

use super::Shared;
use crate::config::Topics;
use crate::retention;
use crate::store::{Reader, StoredRecord};

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
    partitions: Vec<(Kind, Partition, i64)>,
}

impl Tail {
    /// Stands near the end of the topics.
    ///
    /// # Errors
    /// Those of the log.
    pub(crate) fn open(mut reader: Reader, topics: &Topics) -> Result<Self, LogError> {
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
                partitions.push((kind, partition, first.max(end - LOOK_BACK)));
            }
        }
        Ok(Self { reader, partitions })
    }

    /// Hands over what was published since the last call.
    ///
    /// # Errors
    /// Those of the log.
    pub(crate) fn look(&mut self, handle: &mut dyn FnMut(Seen)) -> Result<(), LogError> {
        for (kind, partition, next) in &mut self.partitions {
            let (_, end) = self.reader.bounds(partition)?;
            while *next < end {
                let to = (*next + CHUNK).min(end);
                for record in self.reader.read(partition, *next, to)? {
                    if let Some(seen) = seen(*kind, &record) {
                        handle(seen);
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

/// Keeps the view up to date and tells of breaches and pages.
pub(super) fn follow(shared: &Shared, topics: &Topics) {
    let mut tail: Option<Tail> = None;
    // What was published before this process began is no news.
    let mut is_news = false;
    let mut unusable = 0;
    let mut held_at = shared.rules.position();
    while !shared.is_stopping() {
        let looked = match &mut tail {
            None => {
                shared.store.reader().and_then(|reader| Tail::open(reader, topics)).map(|opened| {
                    tail = Some(opened);
                })
            }
            Some(tail) => tail
                .look(&mut |seen| {
                    if is_news {
                        tell(&seen);
                    }
                    shared.view.lock().unwrap_or_else(PoisonError::into_inner).take(seen);
                })
                .map(|()| is_news = true),
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
