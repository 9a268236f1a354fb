//! Tells very many lies about an incident log and prints which were found, and
//! by what: `cargo run --release -p watchkeep-tests --example tampering
//! [LIES [FOLDER]]`. The folder is one that a replay wrote; without it a
//! morning is replayed. Fails where a lie is not found and named.

#![expect(clippy::print_stdout, reason = "the table is what it is for")]

use std::collections::BTreeMap;
use std::path::Path;

use watchkeep_tests::tampering::log::Log;
use watchkeep_tests::tampering::{attempt, first};

fn main() -> Result<(), String> {
    let mut arguments = std::env::args().skip(1);
    let lies: u64 = match arguments.next() {
        Some(number) => number.parse().map_err(|error| format!("{number}: {error}"))?,
        None => 1_000,
    };
    let log = match arguments.next() {
        Some(folder) => Log::of_folder(Path::new(&folder)),
        None => Log::replayed(tempfile::tempdir().map_err(|error| error.to_string())?.path()),
    };
    if let Some(finding) = first(&log.lines, &log.anchors) {
        return Err(format!("the log is not whole to begin with: {finding:?}"));
    }
    println!("{} facts, {} anchors", log.lines.len(), log.anchors.len());
    let mut table: BTreeMap<_, (u64, u64, u64)> = BTreeMap::new();
    let mut faults = Vec::new();
    for seed in 0..lies {
        let outcome = attempt(&log, seed);
        faults.extend(outcome.fault());
        let (told, by_chains, by_anchors) = table.entry(outcome.lie.kind).or_default();
        *told += 1;
        *by_chains += u64::from(outcome.by_chains.is_some());
        *by_anchors += u64::from(outcome.by_anchors.is_some());
    }
    println!("{:<14} {:>6} {:>16} {:>14}", "lie", "told", "found by chains", "with anchors");
    for (kind, (told, by_chains, by_anchors)) in &table {
        println!("{:<14} {told:>6} {by_chains:>16} {by_anchors:>14}", format!("{kind:?}"));
    }
    match faults.as_slice() {
        [] => Ok(()),
        faults => Err(format!("{} faults:\n{}", faults.len(), faults.join("\n"))),
    }
}
