//! Two runs of the same telemetry, and what may differ between them.

use std::sync::Arc;

use watchkeep_detection::charters::NoCharters;
use watchkeep_detection::settings::TimeSettings;
use watchkeep_model::batch::{Delta, SourceProgress, Step, SummaryBatch};
use watchkeep_model::charter::Charter;
use watchkeep_model::position::Partition;
use watchkeep_model::summary::Summary;
use watchkeep_model::window::{Granted, Verdict};

use super::*;

const HOUR: TimeSpan = TimeSpan::HOUR;
const START: &str = "2026-01-01T00:00:00Z";

fn at(hours: i64, minutes: i64) -> Timestamp {
    let start: Timestamp = START.parse().expect("an instant");
    start + TimeSpan::MINUTE.times(hours * 60 + minutes)
}

/// A window's line of a feature.
fn line(feature: &str, window: &str, span: (Timestamp, Timestamp), count: u64) -> Window {
    let text = format!(
        r#"{{"feature":"{feature}","feature_version":"","window":"{window}","window_start":"{}",
            "window_end":"{}","revision":0,"partial":false,"count":{count},"null_count":0,
            "error_count":0,"status":{{}},"non_finite_count":0,"late_count":0,"mean":{count}.5}}"#,
        span.0, span.1
    );
    watchkeep_wire::fact::decode(text.as_bytes()).expect("a window")
}

fn hour(hours: i64, count: u64) -> Window {
    line("f", "1h", (at(hours, 0), at(hours + 1, 0)), count)
}

fn session(from: i64, to: i64, count: u64) -> Window {
    line("f", "session 5m", (at(0, from), at(0, to)), count)
}

fn late(window: &str, start: Timestamp, count: u64) -> Reject {
    Reject {
        feature: Some("f".to_owned()),
        window: Some(window.to_owned()),
        window_start: Some(start),
        count: Some(count),
        ..Reject::default()
    }
}

fn run(windows: Vec<Window>, rejects: &[Reject]) -> Run {
    let mut run = Run::default();
    windows.into_iter().for_each(|window| run.window(window));
    rejects.iter().for_each(|reject| run.late(reject));
    run
}

/// A batch whose one source has come so far, with events of `f`.
fn batch(watermark: Timestamp, events: &[(Timestamp, u64)]) -> SummaryBatch {
    let deltas = events.iter().map(|&(pane_start, count)| Delta {
        feature: "f".into(),
        feature_version: "".into(),
        pane_start,
        event_id: None,
        summary: Summary { count, ..Summary::default() },
    });
    let progress = SourceProgress {
        source: Partition::new("telemetry", 0),
        from: 0,
        to: 1,
        watermark: Some(watermark),
        idle: false,
        silent_since: None,
    };
    let step = Step { deltas: deltas.collect(), sources: vec![progress] };
    let source_topics = vec![("telemetry".into(), 1)];
    SummaryBatch { source_topics, steps: vec![step], ..SummaryBatch::default() }
}

/// The service has come to the end of the first day and told of everything.
fn at_rest() -> Untold {
    let mut untold = Untold::new(TimeSettings::default());
    let mut partition = untold.partition();
    partition.batch(&batch(at(24, 0), &[]), at(24, 0), true);
    partition.finish();
    untold
}

fn whys(service: &Run, replay: &Run) -> Vec<(Timestamp, Why)> {
    let made = compare(service, replay, &at_rest(), HOUR, &NoCharters);
    made.differences.iter().map(|one| (one.window_start, one.why)).collect()
}

#[test]
fn an_event_that_was_late_in_one_run_explains_its_own_window() {
    let service = run(vec![hour(1, 9), hour(2, 5)], &[late("1h", at(1, 0), 1)]);
    let replay = run(vec![hour(1, 10), hour(2, 5)], &[]);
    assert_eq!(whys(&service, &replay), [(at(1, 0), Why::Late)]);
    assert_eq!(whys(&replay, &service), [(at(1, 0), Why::Late)]);
    // Other events may be late in each of the runs, and as many.
    let replay =
        run(vec![Window { mean: None, ..hour(1, 9) }, hour(2, 5)], &[late("1h", at(1, 0), 1)]);
    assert_eq!(whys(&service, &replay), [(at(1, 0), Why::Late)]);
}

#[test]
fn a_loss_is_found_in_a_feature_that_had_late_events_elsewhere() {
    let rejects = [late("1h", at(1, 0), 1)];
    let replay = run(vec![hour(1, 10), hour(2, 5)], &[]);
    let lost = run(vec![hour(1, 9), hour(2, 4)], &rejects);
    assert_eq!(whys(&lost, &replay), [(at(1, 0), Why::Late), (at(2, 0), Why::Unexplained)]);
    // In the window of the late event itself.
    let lost = run(vec![hour(1, 8), hour(2, 5)], &rejects);
    assert_eq!(whys(&lost, &replay), [(at(1, 0), Why::Unexplained)]);
    // Doubled, and a whole window.
    let doubled = run(vec![hour(1, 9), hour(2, 6)], &rejects);
    assert_eq!(whys(&doubled, &replay)[1], (at(2, 0), Why::Unexplained));
    let lost = run(vec![hour(1, 9)], &rejects);
    assert_eq!(whys(&lost, &replay)[1], (at(2, 0), Why::Unexplained));
}

#[test]
fn a_late_event_that_only_one_run_has_seen_is_a_loss_although_the_windows_are_the_same() {
    let service = run(vec![hour(1, 9)], &[late("1h", at(1, 0), 1)]);
    let replay = run(vec![hour(1, 9)], &[]);
    assert_eq!(whys(&service, &replay), [(at(1, 0), Why::Unexplained)]);
    // Also where there is no window at all.
    let rejects = [late("1h", at(1, 0), 1)];
    assert_eq!(whys(&run(vec![], &rejects), &replay)[0].1, Why::Unexplained);
    assert_eq!(whys(&run(vec![], &rejects), &run(vec![], &rejects)), []);
}

#[test]
fn the_same_events_are_measured_the_same() {
    let service = run(vec![hour(1, 9)], &[late("1h", at(2, 0), 1)]);
    let replay = run(vec![Window { mean: None, ..hour(1, 9) }], &[late("1h", at(2, 0), 1)]);
    assert_eq!(whys(&service, &replay), [(at(1, 0), Why::Unexplained)]);
}

fn judged(window: Window, verdict: Verdict, baseline: Option<&str>) -> Window {
    let text = r#"{"feature":"","feature_version":"","window":"","window_start":"2026-01-01T00:00:00Z",
        "window_end":"2026-01-01T00:00:00Z","revision":0,"partial":false,"count":0,"null_count":0,
        "error_count":0,"status":{},"non_finite_count":0,"late_count":0,
        "judged":[{"expectation":"e","verdict":"good"}]}"#;
    let mut judged =
        watchkeep_wire::fact::decode::<Window>(text.as_bytes()).expect("a window").judged.remove(0);
    (judged.verdict, judged.baseline) = (verdict, baseline.map(str::to_owned));
    Window { judged: vec![judged], ..window }
}

#[test]
fn a_verdict_may_differ_where_it_looks_at_windows_with_late_events() {
    let of = |verdict, baseline, from| {
        run(vec![judged(hour(3, 9), verdict, baseline)], &[late("1h", from, 1)])
    };
    let whys_of = |baseline, from| {
        whys(&of(Verdict::Good, baseline, from), &of(Verdict::Bad, baseline, from))
    };
    assert_eq!(whys_of(Some("rolling"), at(1, 0)), [(at(3, 0), Why::OtherWindows)]);
    assert_eq!(whys_of(Some("rolling"), at(5, 0)), [(at(3, 0), Why::Unexplained)]);
    assert_eq!(whys_of(None, at(1, 0)), [(at(3, 0), Why::Unexplained)]);
}

#[test]
fn a_budget_may_be_shared_otherwise_and_what_was_measured_may_not() {
    let of = |verdict, level, observed| {
        let mut window = judged(hour(3, 9), verdict, None);
        let granted =
            Granted { domain: "sales".to_owned(), test: 1, level, spent: level, discovery: false };
        window.judged[0].budget = Some(Box::new(granted));
        window.judged[0].observed = Some(observed);
        run(vec![window], &[])
    };
    let service = of(Verdict::NotJudged, 0.01, 0.3);
    assert_eq!(whys(&service, &of(Verdict::Bad, 0.04, 0.3)), [(at(3, 0), Why::Budget)]);
    assert_eq!(whys(&service, &of(Verdict::Bad, 0.04, 0.4)), [(at(3, 0), Why::Unexplained)]);
}

#[test]
fn a_silent_line_may_move_to_another_version() {
    let rejects = [late("1h", at(1, 0), 1)];
    let other = Window { feature_version: "2".to_owned(), ..hour(3, 0) };
    let service = run(vec![hour(3, 0)], &rejects);
    let replay = run(vec![other], &rejects);
    assert_eq!(whys(&service, &replay), [(at(3, 0), Why::Silent); 2]);
}

#[test]
fn sessions_that_late_events_part_are_held_together() {
    // The event at 8 minutes joins two, or is late in its pane.
    let service =
        run(vec![session(0, 4, 5), session(10, 14, 5)], &[late("session 5m", at(0, 8), 1)]);
    let replay = run(vec![session(0, 14, 11)], &[]);
    assert_eq!(whys(&service, &replay), [(at(0, 0), Why::Late)]);
    let lost = run(vec![session(0, 4, 5), session(10, 14, 4)], &[late("session 5m", at(0, 8), 1)]);
    assert_eq!(whys(&lost, &replay), [(at(0, 0), Why::Unexplained)]);
    // A loss beside them.
    let service = run(
        vec![session(0, 4, 5), session(10, 14, 5), session(40, 41, 2)],
        &[late("session 5m", at(0, 8), 1)],
    );
    let replay = run(vec![session(0, 14, 11), session(40, 41, 3)], &[]);
    assert_eq!(whys(&service, &replay), [(at(0, 0), Why::Late), (at(0, 40), Why::Unexplained)]);
    // Withdrawn lines are of nothing.
    let withdrawn = Window { revision: 1, ..session(10, 14, 0) };
    let service = run(vec![session(0, 14, 11), withdrawn], &[]);
    let replay = run(vec![session(0, 14, 11)], &[]);
    assert_eq!(whys(&service, &replay), []);
}

/// Every feature drops repeats.
struct Deduplicating;

impl Charters for Deduplicating {
    fn charter(&self, _: &str, _: Timestamp) -> Option<Arc<Charter>> {
        None
    }

    fn named(&self) -> Vec<Arc<str>> {
        Vec::new()
    }

    fn deduplicates(&self, _: &str) -> bool {
        true
    }
}

#[test]
fn repeats_are_told_by_their_order() {
    let service = run(vec![hour(1, 9)], &[late("1h", at(1, 0), 3)]);
    let replay = run(vec![hour(1, 10)], &[]);
    let made = compare(&service, &replay, &at_rest(), HOUR, &Deduplicating);
    assert_eq!(made.differences[0].why, Why::Repeats);
    assert_eq!(made.unexplained().count(), 0);
}

#[test]
fn what_the_service_has_taken_and_not_told_of_is_no_loss() {
    let mut untold = Untold::new(TimeSettings::default());
    let mut partition = untold.partition();
    partition.batch(&batch(at(24, 1), &[(at(1, 0), 5)]), at(24, 0), true);
    // Too late, and the watermark has not crossed a whole ten minutes since.
    partition.batch(&batch(at(24, 2), &[(at(2, 7), 1)]), at(24, 0), true);
    partition.batch(&batch(at(24, 3), &[(at(3, 7), 1)]), at(24, 0), false);
    partition.finish();
    let service = run(vec![hour(1, 5), hour(2, 5), hour(3, 5)], &[]);
    let replay = run(vec![hour(1, 6), hour(2, 6), hour(3, 6)], &[]);
    let made = compare(&service, &replay, &untold, HOUR, &NoCharters);
    let whys: Vec<Why> = made.differences.iter().map(|one| one.why).collect();
    assert_eq!(whys, [Why::Unexplained, Why::Late, Why::Late]);
    // Of what may still be revised nothing is said.
    let (none, some) = (run(vec![], &[]), run(vec![hour(23, 1)], &[]));
    for (lateness, open) in [(TimeSpan::ZERO, 0), (HOUR, 1)] {
        let made = compare(&none, &some, &untold, lateness, &NoCharters);
        assert_eq!((made.open, made.differences.len()), (open, 1 - open as usize));
    }
}
