//! Counts do not depend on how events were cut into deltas.

use watchkeep_model::telemetry::Status;

use super::*;

/// A summary of answers and timeouts with latencies in microseconds.
fn summary(events: &[(Status, u64)]) -> Summary {
    let mut summary = Summary::default();
    for (status, latency_us) in events {
        summary.count += 1;
        summary.statuses[status.index()] += 1;
        summary.latency_us.add(*latency_us);
    }
    summary
}

#[test]
fn conditions_add_up_the_same_however_events_are_cut() {
    let good = Good {
        latency_below: Some(TimeSpan::from_micros(50_000)),
        age_below: None,
        status: Some(vec![Status::Ok]),
    };
    // Slow answers first and quick timeouts later: one delta of both has as many
    // of either, two deltas have one kind each. More than are kept one by one, and
    // some of them less than a bucket away from the bound.
    let slow = (0..100).map(|n| (Status::Ok, 49_930 + 30 * n));
    let failed = (0..60).map(|n| (Status::Timeout, 100 + n));
    let events: Vec<_> = slow.chain(failed).collect();
    let whole = Tally::of(&good, &summary(&events));
    assert_eq!((whole.total(), whole.bad(), whole.bad_at_most()), (160, 100, 160));
    for cut in [1, 7, 60, 100] {
        let mut sum = Tally::default();
        events.chunks(cut).for_each(|part| sum += Tally::of(&good, &summary(part)));
        assert_eq!(sum, whole, "cut after {cut}");
    }
}

#[test]
fn a_duration_that_is_the_bound_is_not_below_it() {
    let good = Good { latency_below: Some(TimeSpan::SECOND.times(2)), ..Good::default() };
    let of = |latency_us| Tally::of(&good, &summary(&[(Status::Ok, latency_us)])).bad();
    assert_eq!([1_980_000, 2_000_000, 2_000_001].map(of), [0, 1, 1]);
}
