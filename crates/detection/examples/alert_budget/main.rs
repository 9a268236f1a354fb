//! Measures alert budgets: 10,000 features for 30 days, of which none or 100
//! change by half a standard deviation, with and without a budget.
//!
//! `cargo run --release -p watchkeep-detection --example alert_budget`

#![expect(clippy::print_stdout, reason = "it prints a table")]

mod study;

use study::{Study, run};
use watchkeep_model::directory::AlertBudget;
use watchkeep_model::time::TimeSpan;

fn main() {
    let features = 10_000;
    let alarms = AlertBudget::FalseAlarms { count: 1.0, per: TimeSpan::WEEK };
    let rate = AlertBudget::FalseDiscoveryRate { rate: 0.05, per: TimeSpan::WEEK.times(4) };
    println!("| budget | partitions | changed | tests | expected | false alarms | found | days |");
    println!("|---|--:|--:|--:|--:|--:|--:|--:|");
    for changed in [0, features / 100] {
        for (name, terms, partitions) in [
            ("none", None, 1),
            ("false_alarms: 1, per: 1w", Some(alarms), 1),
            ("false_alarms: 1, per: 1w", Some(alarms), 4),
            ("false_discovery_rate: 0.05, per: 4w", Some(rate), 1),
            ("false_discovery_rate: 0.05, per: 4w", Some(rate), 4),
        ] {
            let study = Study {
                features,
                changed,
                days: 30,
                values: 300,
                shift: 0.5,
                p_below: 0.001,
                effect_above: 0.1,
                terms,
                partitions,
                seed: 7,
            };
            let outcome = run(&study);
            println!(
                "| {name} | {partitions} | {changed} | {} | {:.2} | {} | {} | {:.1} |",
                outcome.budget.tests,
                outcome.budget.expected,
                outcome.false_alarms,
                outcome.found,
                outcome.days_to_find
            );
        }
    }
}
