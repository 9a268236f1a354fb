//! What a deliver stage knows at its beginning: who was told of which open
//! incident, which messages are done although their position is not committed,
//! and which sinks were dead.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use watchkeep_model::breach::{Breach, Transition};
use watchkeep_model::charter::ExpectationKind;
use watchkeep_model::escalation::Escalation;
use watchkeep_model::incident::data::DeliveryOutcome;
use watchkeep_model::position::Partition;
use watchkeep_model::response::{Command, DELIVERER, Response};
use watchkeep_model::time::Timestamp;
use watchkeep_wire::fact::decode;

use super::health::{EXPECTATION, Health, SUBJECT};
use super::lane::Lane;
use super::route::Book;
use super::state::{Progress, Reported, State};
use super::{Settings, Sink};
use crate::log::{Log, LogError};
use crate::stage::StageError;

/// Folds the log up to the committed positions.
pub(super) fn state(
    log: &mut dyn Log,
    settings: &Settings,
    committed: &BTreeMap<Partition, i64>,
    steady: Timestamp,
) -> Result<State, StageError> {
    let mut book = book(log, &settings.sinks, committed)?;
    book.all_handed();
    let reported = reported(log, settings, committed, &mut book)?;
    let tells_of_sinks = committed.keys().any(|partition| partition.partition == 0);
    let breaches = if tells_of_sinks { breaches(log, settings)? } else { BTreeMap::new() };
    let lanes = settings.sinks.iter().enumerate().map(|(place, sink)| {
        let open = breaches.get(&sink.name);
        let health =
            open.map_or_else(Health::default, |open| Health::restored(open.reason.clone()));
        let lane = Lane::new(sink.clone(), health, steady);
        // Nobody knows how long the process was away.
        if book.firing(place).next().is_some() { lane.refreshed_at(steady) } else { lane }
    });
    let mut partitions = BTreeMap::new();
    for (partition, next) in committed {
        let (_, tried_to) = log.bounds(partition)?;
        let progress = Progress { next: *next, tried_to, outstanding: BTreeMap::new() };
        partitions.insert(partition.clone(), progress);
    }
    let lanes = lanes.collect();
    Ok(State {
        book,
        lanes,
        partitions,
        pages: BTreeMap::new(),
        reported,
        tells_of_sinks,
        breaches,
        unclaimed_told: BTreeSet::new(),
        unclaimed: Vec::new(),
    })
}

fn book(
    log: &mut dyn Log,
    sinks: &[Sink],
    committed: &BTreeMap<Partition, i64>,
) -> Result<Book, StageError> {
    let mut book = Book::default();
    let sinks: Vec<&Sink> = sinks.iter().collect();
    for (partition, position) in committed {
        let (first, _) = log.bounds(partition)?;
        let mut result = Ok(());
        log.scan(
            partition,
            first,
            *position,
            &mut |record| match decode::<Escalation>(record.value) {
                Ok(message) => drop(book.take(&Arc::new(message), &sinks)),
                Err(error) => {
                    result = Err(StageError::Unreadable {
                        topic: partition.topic.to_string(),
                        partition: partition.partition,
                        offset: record.offset,
                        error,
                    });
                }
            },
        )?;
        result?;
    }
    Ok(book)
}

/// Reports of messages that will come again, because others before them are
/// not done yet. Of those that will not, the book forgets pages that were
/// dropped: there is no alert that stands for them.
fn reported(
    log: &mut dyn Log,
    settings: &Settings,
    committed: &BTreeMap<Partition, i64>,
    book: &mut Book,
) -> Result<BTreeMap<Reported, DeliveryOutcome>, LogError> {
    let mut reported = BTreeMap::new();
    each(log, &settings.topics.responses, &mut |value, _| {
        // People write here too, and what they write is not our business.
        let Ok(response) = decode::<Response>(value) else { return };
        if response.by != DELIVERER || response.command != Command::ReportDelivery {
            return;
        }
        let Some(delivery) = response.delivery else { return };
        let Some(origin) = delivery.origin else { return };
        let partition = Partition::new(origin.topic.clone(), origin.partition);
        let to: Option<Arc<str>> = delivery.to.map(Into::into);
        if committed.get(&partition).is_some_and(|next| origin.offset >= *next) {
            reported.insert((delivery.escalation, delivery.sink.into(), to), delivery.outcome);
        } else if delivery.outcome == DeliveryOutcome::Dropped {
            let sink = settings.sinks.iter().position(|sink| *sink.name == delivery.sink);
            if let Some((incident, sink)) = response.incident.zip(sink) {
                book.forgone(&incident, sink, to.as_ref(), &delivery.escalation);
            }
        }
    })?;
    Ok(reported)
}

/// The open platform breaches of sinks.
fn breaches(
    log: &mut dyn Log,
    settings: &Settings,
) -> Result<BTreeMap<Arc<str>, Breach>, LogError> {
    let mut open: BTreeMap<Arc<str>, Breach> = BTreeMap::new();
    each(log, &settings.topics.breaches, &mut |value, key| {
        if key != Some(SUBJECT.as_bytes()) {
            return;
        }
        let Ok(breach) = decode::<Breach>(value) else { return };
        let Some(sink) = breach.expectation.strip_prefix(EXPECTATION) else { return };
        if breach.kind != ExpectationKind::Platform {
            return;
        }
        let sink: Arc<str> = sink.into();
        match breach.transition {
            Transition::Opened => drop(open.insert(sink, breach)),
            Transition::Sustained => {}
            Transition::Cleared | Transition::Retracted => drop(open.remove(&sink)),
        }
    })?;
    Ok(open)
}

/// Takes a record's value and key.
type Handle<'a> = &'a mut dyn FnMut(&[u8], Option<&[u8]>);

fn each(log: &mut dyn Log, topic: &Arc<str>, handle: Handle<'_>) -> Result<(), LogError> {
    for number in 0..log.partition_count(topic)? {
        let partition = Partition::new(topic.clone(), number);
        let (first, end) = log.bounds(&partition)?;
        log.scan(&partition, first, end, &mut |record| handle(record.value, record.key))?;
    }
    Ok(())
}
