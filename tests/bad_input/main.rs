//! A million categories in each window, categories of a megabyte, and all other
//! oddities: whether each is judged or says why not, and how much memory it takes.
//!
//! ```sh
//! cargo run --release --package watchkeep-tests --example bad_input [CATEGORIES]
//! ```

#![expect(clippy::print_stdout, reason = "a program for the terminal")]

use watchkeep_tests::bad_input::{Scale, faults, replay};

fn main() {
    let categories = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let scale = Scale { categories: categories.unwrap_or(1_000_000), bytes: 1_000_000 };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let outcome = replay(folder.path(), scale);
    let full = outcome.windows.iter().filter(|window| window["partial"] != true);
    let wrong: Vec<String> = full.flat_map(faults).collect();
    println!("{} categories a window, {} events", scale.categories, outcome.summary["events"]);
    println!("judgements without a stated result: {}", wrong.len());
    wrong.iter().for_each(|fault| println!("  {fault}"));
    for window in outcome.windows.iter().filter(|w| w["feature"] == "bad.very_many") {
        println!("{} events, top {}, {}", window["count"], window["top"], window["top_error"]);
    }
    let peak = outcome.summary["peak_memory_bytes"].as_f64().unwrap_or_default();
    println!("peak memory {:.0} MiB", peak / f64::from(1 << 20));
}
