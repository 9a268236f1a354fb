//! Processor time of decisions beside 100,000 open incidents, so that it may
//! run beside other work: what `benches/incidents.rs` measures by the clock.
//!
//! ```sh
//! cargo run --release --package watchkeep-benches --example decisions
//! ```

#![expect(clippy::print_stdout, reason = "a program for the terminal")]

use std::hint::black_box;

use watchkeep_benches::incidents::{OPEN, commands, moment, stage, world};
use watchkeep_benches::world::breach;
use watchkeep_benches::{load, processor_seconds};
use watchkeep_incident::escalate::{Escalate, Outputs};
use watchkeep_model::breach::Breach;
use watchkeep_model::time::TimeSpan;

/// Ticks in which nothing is due: enough for a clock of 10 ms.
const TICKS: usize = 10_000_000;

/// Breaches that come one after the other, each at its own instant.
const MORE: i64 = 20_000;

fn main() {
    let world = world();
    let mut open = Escalate::new(watchkeep_incident::escalate::Settings::default());
    measured("breach, held and opened with its page", OPEN, || open = stage(&world));
    let now = moment();

    measured("tick with nothing due", TICKS, || {
        let mut out = Outputs::default();
        for _ in 0..TICKS {
            black_box(open.next_deadline());
            open.advance(&world, now, &mut out);
        }
        assert!(out.facts.is_empty(), "nothing is due");
    });

    let mut stage = open.clone();
    let mut all = 0.0;
    let names = ["acknowledgement", "comment", "remediation", "refused acknowledgement"];
    for (name, commands) in names.into_iter().zip(commands(&stage)) {
        all += measured(name, commands.len(), || {
            for command in &commands {
                stage.respond(command, &world, command.at, black_box(&mut Outputs::default()));
            }
        });
    }
    told("a command, on average of these", all / 4.0);

    let mut stage = open.clone();
    measured("breach more, at its own instant", usize::try_from(MORE).unwrap_or_default(), || {
        let mut out = Outputs::default();
        for n in 0..MORE {
            let at = now + TimeSpan::from_micros(n);
            let feature = OPEN + usize::try_from(n).unwrap_or_default();
            let one = Breach { detected_at: at, window_end: at, ..breach(feature) };
            stage.breach(&one, &world, at, &mut out);
        }
        stage.advance(&world, now + TimeSpan::MINUTE.times(2), &mut out);
    });

    let mut stage = open;
    measured("deadline: a step up and its pages", OPEN, || {
        let mut out = Outputs::default();
        stage.advance(&world, now + TimeSpan::MINUTE.times(29), black_box(&mut out));
        assert!(out.facts.len() >= OPEN, "everybody's half hour is over");
    });
    println!("load {}", load());
}

/// Seconds of the processor that each took.
fn measured(what: &str, count: usize, run: impl FnOnce()) -> f64 {
    let before = processor_seconds("self");
    run();
    let each = (processor_seconds("self") - before) / count as f64;
    told(what, each);
    each
}

fn told(what: &str, each: f64) {
    println!("{what}: {:.3} µs of the processor, {:.0} a second", each * 1e6, 1.0 / each);
}
