//! The development half of the Numenta Anomaly Benchmark: one charter for all
//! series finds more than it cries wolf.

#![expect(clippy::print_stdout, reason = "the score belongs into the output of the tests")]

use watchkeep_tests::binary;
use watchkeep_tests::nab::score::{PROFILES, Tally, score};
use watchkeep_tests::nab::{CHARTER, read, replay, trivial};

#[test]
fn the_benchmark_is_scored_above_70() {
    let rules = replay::rules(CHARTER).expect("the charter is without a finding");
    let all = read(&binary::shared("data/nab")).expect("the series can be read");
    assert_eq!(all.len(), 23);
    let [standard, ..] = PROFILES;
    let (mut ours, mut simple) = (Tally::default(), Tally::default());
    for series in &all {
        let rows = replay::detect(series, &rules).expect("every row is telemetry");
        ours = ours.and(score(series, &rows, standard));
        simple = simple.and(score(series, &trivial::detect(series, 5.0), standard));
    }
    let (ours, simple) = (ours.normalised(standard), simple.normalised(standard));
    println!("standard profile: {ours:.1}, a moving mean and deviation: {simple:.1}");
    assert!(ours >= 70.0, "{ours}");
    assert!(ours > simple + 15.0, "{ours} against {simple}");
}
