//! Replays of random small cases give what `tests/oracle/oracle.py` works out
//! from the documented formats alone. By hand, over many more seeds:
//! `python3 tests/oracle/campaign.py --binary target/debug/watchkeep --seeds 0..5000`.

use std::process::{Command, Stdio};

use watchkeep_tests::binary;

/// The same each time. Beyond the first ones: a share whose bound is exactly the
/// threshold, and breaches that a revision takes away and another brings back,
/// which once had one name for both. From a million on there are all kinds of
/// windows, silence and repeats; of those beyond the first, one whose sessions
/// were revised in the order of an earlier end, one whose names were forgotten
/// by when the memory was tidied, and one whose records of one step were taken
/// in another order than that of arrival. From two million on there are objectives.
const SEEDS: [&str; 9] = [
    "0..56",
    "566..567",
    "771..772",
    "1762..1763",
    "3918..3919",
    "1000000..1000040",
    "1000132..1000133",
    "1001788..1001789",
    "2000000..2000010",
];

#[test]
fn random_replays_are_those_of_the_oracle() {
    for seeds in SEEDS {
        let mut campaign = Command::new("python3");
        campaign
            .arg(binary::root().join("tests/oracle/campaign.py"))
            .arg("--binary")
            .arg(binary::path())
            .args(["--seeds", seeds])
            .stdin(Stdio::null());
        let output = campaign
            .output()
            .unwrap_or_else(|e| panic!("this test needs python3 (3.9 or later, no packages): {e}"));
        let [printed, errors] =
            [&output.stdout, &output.stderr].map(|b| String::from_utf8_lossy(b));
        assert!(output.status.success(), "{campaign:?}\n{printed}\n{errors}");
    }
}
