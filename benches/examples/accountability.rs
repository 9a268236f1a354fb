//! Processor time of blame in a lineage of 100,000 nodes and of charters of
//! 100,000 features, so that it may run beside other work: what
//! `benches/blame.rs` and `benches/registry.rs` measure by the clock.
//!
//! ```sh
//! cargo run --release --package watchkeep-benches --example accountability
//! ```

#![expect(clippy::print_stdout, reason = "a program for the terminal")]

use std::hint::black_box;

use watchkeep_benches::charters::{FEATURES, feature, folder, load};
use watchkeep_benches::lineages::{
    AT_ONCE, busy, from_all_over, further, of_one_fault, open, stage, world,
};
use watchkeep_benches::{load as machine_load, processor_seconds};
use watchkeep_model::time::Timestamp;
use watchkeep_wire::yaml;

/// Breaches that come one after the other: enough for a clock of 10 ms.
const IN_A_ROW: usize = 5_000;

/// How often all features are looked up when they are remembered.
const AGAIN: usize = 20;

fn main() {
    let world = world();
    let quiet = stage(&world);
    let mut beside = busy(&quiet, &world);
    measured("one breach beside a thousand and more, with its incident", IN_A_ROW, || {
        for feature in further().take(IN_A_ROW) {
            black_box(open(&mut beside, &world, &[feature]));
        }
    });
    for (what, features) in [
        ("one of 10,000 breaches at once, of one fault", of_one_fault()),
        ("one of 10,000 breaches at once, all over", from_all_over()),
    ] {
        let mut stage = quiet.clone();
        measured(what, AT_ONCE, || _ = black_box(open(&mut stage, &world, &features)));
    }

    let files = folder();
    measured("read a folder of 10,000 documents", 1, || _ = black_box(yaml::read(&files)));
    measured("read it, and load it with all checks", 1, || _ = black_box(load(&files)));
    let names: Vec<String> = (0..FEATURES).map(|n| feature(n * 7_919 % FEATURES)).collect();
    let registry = load(&files);
    for (what, rounds) in [("charter, for the first time", 1), ("charter, again", AGAIN)] {
        measured(what, FEATURES * rounds, || {
            for name in (0..rounds).flat_map(|_| &names) {
                assert!(registry.charter(black_box(name), Timestamp::MAX).is_some(), "{name}");
            }
        });
    }
    println!("load {}", machine_load());
}

/// Tells the processor time that each took.
fn measured(what: &str, count: usize, run: impl FnOnce()) {
    let before = processor_seconds("self");
    run();
    let spent = processor_seconds("self") - before;
    println!(
        "{what}: {:.3} µs of the processor each, {spent:.2} s in all",
        spent / count as f64 * 1e6
    );
}
