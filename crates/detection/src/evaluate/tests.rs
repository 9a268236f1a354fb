//! Tests of windows, lateness, silence and revisions, each told as a stream of
//! events and read as the lines that it leads to.

mod baselines;
mod budgets;
mod burns;
mod dropped;
mod hopping;
mod repeats;
mod sessions;
mod silence;
mod volume;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use expect_test::{Expect, expect};
use proptest::prelude::*;
use watchkeep_model::batch::SummaryBatch;
use watchkeep_model::breach::Transition;
use watchkeep_model::charter::{
    Charter, Expectation, ForSpec, Quantile, Rule, Severity, WindowSpec,
};
use watchkeep_model::position::Partition;
use watchkeep_model::telemetry::{Status, Telemetry, Value};
use watchkeep_model::time::{TimeSpan, Timestamp};

use super::*;
use crate::charters::NoCharters;
use crate::summarise::Summarise;

/// Charters by exact name or, with a `*` at the end, by prefix.
#[derive(Default)]
struct Book(BTreeMap<String, Arc<Charter>>);

impl Charters for Book {
    fn charter(&self, feature: &str, _at: Timestamp) -> Option<Arc<Charter>> {
        self.0.get(feature).cloned().or_else(|| {
            let by_prefix = self.0.iter().find(|(name, _)| {
                name.strip_suffix('*').is_some_and(|prefix| feature.starts_with(prefix))
            });
            by_prefix.map(|(_, charter)| charter.clone())
        })
    }

    fn named(&self) -> Vec<Arc<str>> {
        self.0.keys().filter(|name| !name.ends_with('*')).map(|name| name.as_str().into()).collect()
    }
}

pub(super) fn expectation(name: &str, window: TimeSpan, rule: Rule) -> Expectation {
    Expectation {
        name: name.into(),
        window: WindowSpec::Tumbling { size: window },
        severity: Severity::Error,
        min_samples: 1,
        r#for: ForSpec::default(),
        resolve_after: 1,
        rule,
        resolve: None,
        learned: None,
    }
}

fn book(charters: &[(&str, &[Expectation])]) -> Book {
    let charter = |name: &str, expectations: &[Expectation]| {
        let mut charter =
            Charter { subject: name.into(), exact: !name.ends_with('*'), ..Charter::default() };
        charter.fields.expectations = Some(expectations.to_vec());
        Arc::new(charter)
    };
    Book(charters.iter().map(|(name, list)| ((*name).to_owned(), charter(name, list))).collect())
}

fn slow(above: TimeSpan) -> Rule {
    Rule::Latency { quantile: Quantile::Max, above }
}

fn settings() -> TimeSettings {
    TimeSettings {
        out_of_orderness: TimeSpan::ZERO,
        allowed_lateness: TimeSpan::MINUTE.times(10),
        revise_every: TimeSpan::MINUTE.times(5),
        ..TimeSettings::default()
    }
}

/// Minutes after a midnight.
fn minute(m: f64) -> Timestamp {
    let midnight: Timestamp = "2020-01-01".parse().unwrap();
    midnight + TimeSpan::from_micros((m * 60e6) as i64)
}

/// (feature, minute of the event, latency in seconds)
type Event = (&'static str, f64, u64);

fn telemetry(event: &Event) -> Telemetry<'static> {
    let (feature, version) = event.0.split_once('@').unwrap_or((event.0, ""));
    Telemetry {
        feature: Cow::Borrowed(feature),
        event_time: minute(event.1),
        event_id: None,
        feature_version: Cow::Borrowed(version),
        value: Value::Number(event.1),
        materialised_at: None,
        latency_us: Some(event.2 * 1_000_000),
        status: Status::Ok,
    }
}

/// Runs the events through both stages, handing over after every `cut` events.
fn run(settings: TimeSettings, book: &dyn Charters, events: &[Event], cut: usize) -> Outputs {
    run_with(settings, book, events, cut, |_| {})
}

/// As `run`, by a summarise stage that is set up further.
fn run_with(
    settings: TimeSettings,
    book: &dyn Charters,
    events: &[Event],
    cut: usize,
    set_up: impl FnOnce(&mut Summarise),
) -> Outputs {
    let source = Partition::new("t", 0);
    let mut summarise = Summarise::new(settings, "test", Timestamp::default());
    set_up(&mut summarise);
    let mut evaluate = Evaluate::new(settings, 0, 1);
    let id = summarise.assign(&source, 0);
    let topics = [(Arc::from("t"), 1)];
    let mut out = Outputs::default();
    for (chunk, part) in events.chunks(cut).enumerate() {
        for (i, event) in part.iter().enumerate() {
            let offset = (chunk * cut + i) as i64;
            summarise.record(id, offset, None, &[telemetry(event)], book).unwrap();
        }
        for batch in summarise.take_batches(&topics, 1) {
            evaluate.batch(&batch, Timestamp::default(), book, &mut out).unwrap();
        }
        summarise.committed();
    }
    evaluate.finish(None, book, &mut out);
    out
}

fn check(settings: TimeSettings, book: &dyn Charters, events: &[Event], expected: &Expect) {
    let out = run(settings, book, events, 1);
    assert_eq!(out, run(settings, book, events, 1000), "cutting into batches changes nothing");
    expected.assert_eq(&show(&out));
}

fn clock(at: Timestamp) -> String {
    at.to_string()[11..16].to_owned()
}

fn show(out: &Outputs) -> String {
    let mut text = String::new();
    for decided in &out.decided {
        let w = &decided.window;
        let version = if w.feature_version.is_empty() {
            String::new()
        } else {
            format!("@{}", w.feature_version)
        };
        text += &format!(
            "{} {}{version} {}-{} r{} n={} late={}{}",
            clock(decided.at),
            w.feature,
            clock(w.window_start),
            clock(w.window_end),
            w.revision,
            w.count,
            w.late_count,
            if w.partial { " partial" } else { "" }
        );
        for judged in &w.judged {
            text += &format!(" {}={:?}", judged.expectation, judged.verdict);
        }
        for breach in &decided.breaches {
            text += &format!(" {:?}", breach.transition);
        }
        text += "\n";
    }
    for late in &out.late {
        text += &format!(
            "late {} {} {}\n",
            late.feature.as_deref().unwrap_or_default(),
            clock(late.window_start.unwrap_or_default()),
            late.count.unwrap_or_default()
        );
    }
    text
}

#[test]
fn a_feature_without_a_charter_has_windows_of_an_hour_when_it_has_events() {
    check(
        settings(),
        &Book::default(),
        &[("f", 10.0, 0), ("f", 20.0, 0), ("f", 200.0, 0)],
        &expect![[r#"
            01:00 f 00:00-01:00 r0 n=2 late=0
            03:21 f 03:00-04:00 r0 n=1 late=0 partial
        "#]],
    );
}

#[test]
fn a_named_feature_has_windows_from_the_streams_first_event_on() {
    let window = TimeSpan::MINUTE.times(30);
    let volume = Rule::Volume { below: Some(1), above: None, usual: None };
    let book = book(&[("f", &[expectation("volume", window, volume)])]);
    check(
        settings(),
        &book,
        &[("other", 10.0, 0), ("f", 40.0, 0), ("other", 130.0, 0)],
        &expect![[r#"
            00:30 f 00:00-00:30 r0 n=0 late=0 volume=Bad Opened
            01:00 f 00:30-01:00 r0 n=1 late=0 volume=Good Cleared
            01:00 other 00:00-01:00 r0 n=1 late=0
            01:30 f 01:00-01:30 r0 n=0 late=0 volume=Bad Opened
            02:00 f 01:30-02:00 r0 n=0 late=0 volume=Bad Sustained
            02:11 f 02:00-02:30 r0 n=0 late=0 partial volume=NotJudged
            02:11 other 02:00-03:00 r0 n=1 late=0 partial
        "#]],
    );
}

#[test]
fn a_feature_matched_by_a_pattern_has_windows_from_its_own_first_event_on() {
    let window = TimeSpan::MINUTE.times(30);
    let volume = Rule::Volume { below: Some(1), above: None, usual: None };
    let book = book(&[("f*", &[expectation("volume", window, volume)])]);
    check(
        settings(),
        &book,
        &[("other", 10.0, 0), ("f1", 40.0, 0), ("other", 100.0, 0)],
        &expect![[r#"
            01:00 f1 00:30-01:00 r0 n=1 late=0 volume=Good
            01:00 other 00:00-01:00 r0 n=1 late=0
            01:30 f1 01:00-01:30 r0 n=0 late=0 volume=Bad Opened
            01:41 f1 01:30-02:00 r0 n=0 late=0 partial volume=NotJudged
            01:41 other 01:00-02:00 r0 n=1 late=0 partial
        "#]],
    );
}

#[test]
fn a_first_event_that_is_late_opens_no_window_of_the_past() {
    let window = TimeSpan::MINUTE.times(5);
    let book = book(&[("f*", &[expectation("slow", window, slow(TimeSpan::SECOND))])]);
    check(
        settings(),
        &book,
        &[("other", 11.0, 0), ("f1", 4.0, 5), ("other", 22.0, 0)],
        &expect![[r#"
            00:15 f1 00:00-00:05 r0 n=1 late=1 slow=Bad Opened
            00:15 f1 00:10-00:15 r0 n=0 late=0 slow=NotJudged
            00:20 f1 00:15-00:20 r0 n=0 late=0 slow=NotJudged
            00:23 f1 00:20-00:25 r0 n=0 late=0 partial slow=NotJudged
            00:23 other 00:00-01:00 r0 n=2 late=0 partial
        "#]],
    );
}

#[test]
fn late_events_revise_until_the_lateness_ends_and_are_counted_after_it() {
    let window = TimeSpan::MINUTE.times(30);
    let book = book(&[("f", &[expectation("slow", window, slow(TimeSpan::SECOND))])]);
    check(
        settings(),
        &book,
        &[
            ("f", 10.0, 0),
            ("other", 31.0, 0), // closes 00:00-00:30 at 00:30
            ("f", 11.0, 5),     // late, due at 00:35
            ("f", 12.0, 0),     // late too
            ("other", 36.0, 0), // writes the revision
            ("f", 13.0, 0),     // late again, due at 00:40, the end of the lateness
            ("other", 39.9, 0),
            ("f", 14.0, 0), // still in time
            ("other", 40.0, 0),
            ("f", 15.0, 0), // too late
            ("f", 15.5, 0),
        ],
        &expect![[r#"
            00:30 f 00:00-00:30 r0 n=1 late=0 slow=Good
            00:35 f 00:00-00:30 r1 n=3 late=2 slow=Bad Opened
            00:40 f 00:00-00:30 r2 n=5 late=4 slow=Bad
            00:41 f 00:30-01:00 r0 n=0 late=0 partial slow=NotJudged
            00:41 other 00:00-01:00 r0 n=4 late=0 partial
            late f 00:00 2
        "#]],
    );
}

#[test]
fn an_open_window_takes_every_event_of_its_time_however_late() {
    let book = book(&[("f", &[expectation("slow", TimeSpan::DAY, slow(TimeSpan::SECOND))])]);
    check(
        settings(),
        &book,
        &[("f", 1380.0, 0), ("f", 1.0, 0), ("f", 1440.0, 0), ("f", 1441.0, 0)],
        &expect![[r#"
            00:00 f 00:00-00:00 r0 n=2 late=0 slow=Good
            00:02 f 00:00-00:00 r0 n=2 late=0 partial slow=NotJudged
        "#]],
    );
}

#[test]
fn a_jump_of_the_watermark_closes_windows_in_order_each_at_its_own_end() {
    let rule = || slow(TimeSpan::SECOND);
    let book = book(&[
        (
            "b",
            &[
                expectation("x", TimeSpan::HOUR, rule()),
                expectation("y", TimeSpan::MINUTE.times(30), rule()),
            ],
        ),
        ("a", &[expectation("x", TimeSpan::HOUR, rule())]),
    ]);
    check(
        settings(),
        &book,
        &[("b", 5.0, 0), ("a", 6.0, 0), ("b", 121.0, 0)],
        &expect![[r#"
            00:30 b 00:00-00:30 r0 n=1 late=0 y=Good
            01:00 b 00:30-01:00 r0 n=0 late=0 y=NotJudged
            01:00 a 00:00-01:00 r0 n=1 late=0 x=Good
            01:00 b 00:00-01:00 r0 n=1 late=0 x=Good
            01:30 b 01:00-01:30 r0 n=0 late=0 y=NotJudged
            02:00 b 01:30-02:00 r0 n=0 late=0 y=NotJudged
            02:00 a 01:00-02:00 r0 n=0 late=0 x=NotJudged
            02:00 b 01:00-02:00 r0 n=0 late=0 x=NotJudged
            02:02 b 02:00-02:30 r0 n=1 late=0 partial y=NotJudged
            02:02 a 02:00-03:00 r0 n=0 late=0 partial x=NotJudged
            02:02 b 02:00-03:00 r0 n=1 late=0 partial x=NotJudged
        "#]],
    );
}

#[test]
fn a_silent_window_belongs_to_the_latest_version() {
    let volume = Rule::Volume { below: Some(1), above: None, usual: None };
    let book = book(&[("f", &[expectation("volume", TimeSpan::HOUR, volume)])]);
    check(
        settings(),
        &book,
        &[("f@1", 10.0, 0), ("f@2", 20.0, 0), ("other", 130.0, 0)],
        &expect![[r#"
            01:00 f@1 00:00-01:00 r0 n=1 late=0 volume=Good
            01:00 f@2 00:00-01:00 r0 n=1 late=0 volume=Good
            02:00 f@2 01:00-02:00 r0 n=0 late=0 volume=Bad Opened
            02:11 f@2 02:00-03:00 r0 n=0 late=0 partial volume=NotJudged
            02:11 other 02:00-03:00 r0 n=1 late=0 partial
        "#]],
    );
}

#[test]
fn a_time_far_in_the_future_ends_in_a_bound() {
    let volume = Rule::Volume { below: Some(1), above: None, usual: None };
    let book = book(&[("f", &[expectation("volume", TimeSpan::MINUTE, volume)])]);
    let far = 60.0 * 24.0 * 365.0 * 1000.0;
    let out = run(settings(), &book, &[("f", 1.0, 0), ("f", far, 0)], 1);
    assert!(out.decided.len() <= 100_010, "{}", out.decided.len());
}

#[test]
fn a_torn_ledger_is_named() {
    let settings = settings();
    let mut summarise = Summarise::new(settings, "one", Timestamp::default());
    let source = Partition::new("t", 3);
    let id = summarise.assign(&source, 0);
    let topics = [(Arc::from("t"), 4)];
    let mut batches: Vec<SummaryBatch> = Vec::new();
    for (offset, m) in [1.0, 2.0, 3.0].into_iter().enumerate() {
        let event = telemetry(&("f", m, 0));
        summarise.record(id, offset as i64, None, &[event], &NoCharters).unwrap();
        batches.extend(summarise.take_batches(&topics, 1));
        summarise.committed();
    }
    let (now, mut out) = (Timestamp::default(), Outputs::default());
    let mut evaluate = Evaluate::new(settings, 0, 1);
    evaluate.batch(&batches[0], now, &NoCharters, &mut out).unwrap();
    evaluate.batch(&batches[0], now, &NoCharters, &mut out).unwrap();
    assert_eq!(evaluate.duplicate_batches(), 1);
    for batch in [&batches[2], &batches[1], &batches[2]] {
        evaluate.batch(batch, now, &NoCharters, &mut out).unwrap();
    }
    let [breach] = &out.platform[..] else { panic!("{:?}", out.platform) };
    assert_eq!((breach.feature.as_str(), breach.observed), ("service:watchkeep", Some(1.0)));
    assert!(breach.reason.starts_with(
        "the ledger has a gap: offsets 1 to 1 of t/3 are in no batch (batch 2 of the session of one"
    ), "{}", breach.reason);
    assert_eq!(evaluate.sources()[&source].to, 1, "nothing is evaluated any more");
}

/// Nothing that moves the watermark may ever come again.
#[test]
fn late_events_are_told_where_the_watermark_stands() {
    let settings = settings();
    let mut summarise = Summarise::new(settings, "one", Timestamp::default());
    let source = Partition::new("t", 0);
    let id = summarise.assign(&source, 0);
    let (mut evaluate, mut out) = (Evaluate::new(settings, 0, 1), Outputs::default());
    let mut last = SummaryBatch::default();
    let at = |seconds: i64| minute(200.0) + TimeSpan::SECOND.times(seconds);
    for (offset, m) in [1.0, 130.0, 2.0].into_iter().enumerate() {
        let event = telemetry(&("f", m, 0));
        summarise.record(id, offset as i64, None, &[event], &NoCharters).unwrap();
        last = summarise.take_batches(&[(Arc::from("t"), 1)], 1).remove(0);
        evaluate.batch(&last, at(0), &NoCharters, &mut out).unwrap();
        summarise.committed();
    }
    assert_eq!((evaluate.late_count(), out.late.len()), (1, 0), "gathered until a revision");
    // Idleness is confirmed now and then; the watermark stands.
    for step in &mut last.steps {
        step.deltas.clear();
        step.sources.iter_mut().for_each(|progress| progress.from = progress.to);
    }
    let mut beat = |seconds: i64| {
        last.sequence += 1;
        evaluate.batch(&last, at(seconds), &NoCharters, &mut out).unwrap();
        out.late.len()
    };
    assert_eq!([10, 29].map(&mut beat), [0, 0], "settings.idle_after is 30 s");
    assert_eq!([30, 60, 90].map(&mut beat), [1, 1, 1], "told once");
    assert_eq!(out.late_told, [(minute(130.0), 1)]);
}

/// What the clock of the instance tells of partitions that stay silent.
#[test]
fn telemetry_that_stops_altogether_is_a_platform_breach() {
    let settings = TimeSettings {
        idle_after: TimeSpan::SECOND.times(30),
        dead_man_after: TimeSpan::MINUTE.times(10),
        ..settings()
    };
    let mut summarise = Summarise::new(settings, "one", Timestamp::default());
    let id = summarise.assign(&Partition::new("t", 0), 0);
    let mut evaluate = Evaluate::new(settings, 0, 1);
    let mut out = Outputs::default();
    let mut told = Vec::new();
    for second in 0..1200 {
        let now = Timestamp::default() + TimeSpan::SECOND.times(second);
        if second == 5 || second == 1000 {
            let event = telemetry(&("f", 1.0, 0));
            let offset = i64::from(second > 5);
            summarise.record(id, offset, None, &[event], &NoCharters).unwrap();
        } else {
            summarise.caught_up(id, if second < 5 { 0 } else { 1 + i64::from(second > 1000) }, now);
        }
        if summarise.has_news() {
            for batch in summarise.take_batches(&[(Arc::from("t"), 1)], 1) {
                evaluate.batch(&batch, now, &NoCharters, &mut out).unwrap();
            }
            summarise.committed();
        }
        for breach in out.platform.drain(..) {
            told.push((second, breach.transition, breach.detected_at.to_string()));
        }
    }
    assert_eq!(
        told,
        [
            (606, Transition::Opened, "1970-01-01T00:10:06Z".to_owned()),
            (1000, Transition::Cleared, "1970-01-01T00:16:40Z".to_owned()),
        ]
    );
}

/// A poll waits: its last record may be younger than the instant it began at.
#[test]
fn a_silence_begins_after_the_last_record() {
    let settings = TimeSettings {
        idle_after: TimeSpan::SECOND.times(30),
        dead_man_after: TimeSpan::MINUTE.times(10),
        ..settings()
    };
    let at = |second: i64| Timestamp::default() + TimeSpan::SECOND.times(second);
    let mut summarise = Summarise::new(settings, "one", at(0));
    let id = summarise.assign(&Partition::new("t", 0), 0);
    summarise.begin_poll(at(0));
    summarise.record(id, 0, None, &[telemetry(&("f", 1.0, 0))], &NoCharters).unwrap();
    summarise.caught_up(id, 1, at(0));
    for second in [10, 610] {
        summarise.begin_poll(at(second));
        summarise.caught_up(id, 1, at(second));
    }
    let batches = summarise.take_batches(&[(Arc::from("t"), 1)], 1);
    let told = batches.iter().flat_map(|batch| &batch.steps).flat_map(|step| &step.sources);
    assert_eq!(told.filter_map(|one| one.silent_since).max(), Some(at(10)));
}

proptest! {
    /// Every event is counted in exactly one window of each shape or as late,
    /// and how the input is cut into batches changes nothing.
    #[test]
    fn nothing_is_lost_and_batches_do_not_matter(
        minutes in prop::collection::vec((0u32..3, -200i32..40), 1..120),
        cut in 1usize..40,
    ) {
        let mut now = 0.0f64;
        let events: Vec<Event> = minutes.iter().map(|(feature, step)| {
            now += 3.0;
            (["a", "b", "c@1"][*feature as usize], (now + f64::from(*step)).max(0.0), 0)
        }).collect();
        let volume = Rule::Volume { below: Some(1), above: None, usual: None };
        let book = book(&[
            ("a", &[expectation("x", TimeSpan::HOUR, slow(TimeSpan::SECOND)), expectation("v", TimeSpan::MINUTE.times(30), volume)]),
        ]);
        let whole = run(settings(), &book, &events, 1);
        prop_assert_eq!(&whole, &run(settings(), &book, &events, cut));
        let mut last: BTreeMap<(String, String, String, Timestamp), u64> = BTreeMap::new();
        for decided in &whole.decided {
            let w = &decided.window;
            last.insert((w.feature.clone(), w.feature_version.clone(), w.window.clone(), w.window_start), w.count);
        }
        let late: u64 = whole.late.iter().filter_map(|l| l.count).sum();
        let shapes = |f: &str| if f == "a" { 2 } else { 1 };
        let wanted: u64 = events.iter().map(|(f, ..)| shapes(f)).sum();
        prop_assert_eq!(last.values().sum::<u64>() + late, wanted);
        let instants: Vec<Timestamp> = whole.decided.iter().map(|d| d.at).collect();
        prop_assert!(instants.is_sorted());
    }
}
