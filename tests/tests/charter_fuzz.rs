//! Faults in charter folders, calendars and files of other programs: a short
//! form of the campaign (`tests/charter_fuzz`).

use watchkeep_tests::charter_fuzz::{Corpus, Tally, run};

/// The same inputs in every run.
const SEED: u64 = 1;

/// Inputs, of a few seconds without optimisation: enough that each reader has some.
const INPUTS: u64 = 1_000;

/// Folders, calendars, run events and the formats of other programs.
const READERS: usize = 11;

#[test]
fn whatever_a_file_holds_there_is_an_answer() {
    let tallies = run(&Corpus::gather(), SEED, 0..INPUTS).unwrap_or_else(|finding| {
        panic!("{finding}\nto see it: cargo run -p watchkeep-tests --example charter_fuzz -- --show --from …")
    });
    assert_eq!(tallies.values().map(|tally| tally.inputs).sum::<u64>(), INPUTS);
    assert_eq!(tallies.len(), READERS, "every reader has inputs: {tallies:?}");
    for (reader, Tally { inputs, taken, .. }) in &tallies {
        assert!(taken < inputs, "{}: {taken} of {inputs}", reader.name());
    }
    // Faults that nothing survives would test the first line only.
    let survived = tallies.values().filter(|tally| tally.taken > 0).count();
    assert!(survived > 7, "{tallies:?}");
}
