//! Up to when a log or a folder can tell anything.

use std::path::Path;

use serde::Deserialize;
use watchkeep_model::time::Timestamp;

use crate::output::complain;
use crate::service::clock;

/// What is needed of `replay.json`.
#[derive(Deserialize)]
struct Replayed {
    /// Absent in a folder of an earlier version.
    clock: Option<Timestamp>,
}

/// The end of what is known: of a folder that a replay wrote the end of its
/// clock, else now; `last` is the latest instant that is told of. What is asked
/// about later has not happened, and counts neither as time down nor as late.
pub(super) fn end(folder: Option<&Path>, last: Option<Timestamp>) -> Timestamp {
    let told = folder.and_then(|folder| std::fs::read(folder.join("replay.json")).ok());
    let replayed = told.map(|bytes| serde_json::from_slice::<Replayed>(&bytes).ok());
    let clock = match replayed {
        Some(replayed) => replayed.and_then(|replayed| replayed.clock),
        None => Some(clock::now()),
    };
    clock.max(last).unwrap_or_else(clock::now)
}

/// The end that was asked for, or that of what is known where it comes before;
/// of that a line on standard error tells.
pub(super) fn until(asked: Timestamp, known: Timestamp) -> Timestamp {
    if known < asked {
        complain(&format!("--to {asked} is still to come: what is told ends at {known}"));
    }
    asked.min(known)
}
