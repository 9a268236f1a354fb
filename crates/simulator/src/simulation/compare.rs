//! The end of a run held against the oracle.

use std::collections::{BTreeMap, BTreeSet};

use watchkeep_model::breach::{Breach, Transition};
use watchkeep_model::charter::ExpectationKind;
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_model::window::{Verdict as Told, Window as ToldWindow};

use super::Violation;
use super::oracle::{self, Expectation, Key, Rule, Shape, Step, Verdict, Window};
use super::plan::{Charter, Disorder, Feature, Plan};
use super::watch::{Watch, WindowKey};
use super::world::{TICK, World};

/// An event that came later than this after a breach's opening was written
/// must have found the breach in an incident: no delay of a run is as long.
const HELD_AT_MOST_MINUTES: i64 = 45;

/// Everything that must be so once all has been read and all that is due has
/// been done.
pub(super) fn final_facts(
    plan: &Plan,
    world: &World<'_>,
    watch: &Watch,
    watermark: Timestamp,
) -> Result<(), Violation> {
    let shapes = |feature: &str| -> Vec<Shape> {
        let feature = plan.features.iter().find(|one| one.name == feature);
        feature.map_or_else(|| vec![Shape::Tumbling(TimeSpan::HOUR)], shapes_of)
    };
    let deduplicates =
        |feature: &str| plan.features.iter().any(|one| one.name == feature && one.deduplicates);
    let events = oracle::without_repeats(&world.events, deduplicates);
    let windows = oracle::windows(events, shapes);
    counts(&windows, watch, plan)?;
    for feature in &plan.features {
        no_gaps(plan, feature, world, watch, watermark)?;
        for version in ["", "v2"] {
            verdicts(plan, feature, version, &windows, world, watch)?;
        }
    }
    breaches_and_incidents(watch)?;
    watch.incidents.end(world.now)
}

fn shapes_of(feature: &Feature) -> Vec<Shape> {
    if feature.charter == Charter::None {
        return vec![Shape::Tumbling(TimeSpan::HOUR)];
    }
    let shapes: BTreeSet<Shape> = feature.expectations.iter().map(|one| one.shape).collect();
    shapes.into_iter().collect()
}

fn told_key((feature, version, shape, start): &Key) -> WindowKey {
    (feature.clone(), version.clone(), shape.name(), *start)
}

/// The last revision of each window has every event that was not too late.
fn counts(windows: &BTreeMap<Key, Window>, watch: &Watch, plan: &Plan) -> Result<(), Violation> {
    let disorder = plan.deployment.disorder;
    // Which of two repeats was too late is not for the oracle to know.
    let repeats = |feature: &str| {
        let of = |one: &Feature| one.name == feature && one.deduplicates;
        disorder == Disorder::Unbounded && plan.features.iter().any(of)
    };
    let mut known = BTreeSet::new();
    for (key, window) in windows {
        if disorder == Disorder::Unbounded && key.2.grid().is_none() {
            continue;
        }
        let key = told_key(key);
        if repeats(&key.0) {
            known.insert(key);
            continue;
        }
        let told = watch.windows.get(&key).and_then(|revisions| revisions.last());
        let late = watch.late.get(&key).copied().unwrap_or(0);
        let count = told.map_or(0, |told| told.count);
        if count + late != window.count {
            return Err(Violation::new(
                "a window and its late summaries have every event",
                format!("{key:?}: {} events, {count} counted, {late} late", window.count),
            ));
        }
        let revised = told.is_some_and(|told| told.revision > 0 || told.late_count > 0);
        if late > 0 && disorder != Disorder::Unbounded || revised && disorder == Disorder::None {
            return Err(Violation::new(
                "no event is late that came in time",
                format!("{key:?}: {late} of {} are too late, {told:?}", window.count),
            ));
        }
        if let (Some(told), 0) = (told, late) {
            same(told, window).map_err(|what| {
                let detail = format!("{what}: {told:?} is to be {window:?}");
                Violation::new("final windows equal the oracle's", detail)
            })?;
        }
        known.insert(key);
    }
    if disorder == Disorder::Unbounded {
        sessions_have_all(windows, watch, &repeats)?;
    }
    let other = watch.windows.iter().find(|(key, revisions)| {
        let counts = revisions.last().is_some_and(|told| told.count > 0);
        let is_judged = disorder != Disorder::Unbounded || !key.2.starts_with("session ");
        counts && is_judged && key.0 != TICK && !known.contains(*key)
    });
    other.map_or(Ok(()), |(key, _)| {
        Err(Violation::new("final windows equal the oracle's", format!("{key:?} has no event")))
    })
}

/// Where events may be too late for their sessions, others than the oracle's
/// come out; what they hold and what came too late are all events.
fn sessions_have_all(
    windows: &BTreeMap<Key, Window>,
    watch: &Watch,
    repeats: &dyn Fn(&str) -> bool,
) -> Result<(), Violation> {
    let mut expected: BTreeMap<(String, String, String), u64> = BTreeMap::new();
    for ((feature, version, shape, _), window) in windows {
        if shape.grid().is_none() && !repeats(feature) {
            let of = (feature.clone(), version.clone(), shape.name());
            *expected.entry(of).or_default() += window.count;
        }
    }
    for (of, count) in expected {
        let is_of = |key: &WindowKey| key.0 == of.0 && key.1 == of.1 && key.2 == of.2;
        let told = watch.windows.iter().filter(|(key, _)| is_of(key));
        let told: u64 = told.filter_map(|(_, all)| Some(all.last()?.count)).sum();
        let late: u64 = watch.late.iter().filter(|(key, _)| is_of(key)).map(|(_, n)| n).sum();
        if told + late != count {
            return Err(Violation::new(
                "a window and its late summaries have every event",
                format!("{of:?}: {count} events, {told} counted, {late} late"),
            ));
        }
    }
    Ok(())
}

fn same(told: &ToldWindow, window: &Window) -> Result<(), &'static str> {
    let statuses: BTreeMap<&str, u64> =
        told.status.iter().map(|(status, n)| (status.name(), *n)).collect();
    let expected: BTreeMap<&str, u64> = window.statuses.iter().map(|(s, n)| (*s, *n)).collect();
    let latency = told.latency_us.map(|spread| spread.max);
    let age = told.age_us.and_then(|ages| ages.max);
    let checks = [
        (told.null_count == window.nulls, "null_count"),
        (told.error_count == window.errors(), "error_count"),
        (statuses == expected, "status"),
        (told.min == window.min(), "min"),
        (told.max == window.max(), "max"),
        (latency == window.latencies.iter().max().copied(), "latency_us.max"),
        (age == window.ages.iter().max().copied(), "age_us.max"),
        (told.last_event_time == window.last, "last_event_time"),
        (!told.partial, "partial"),
    ];
    checks.iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, what)| Err(*what))
}

/// A feature with a charter has every window up to the watermark, also where
/// nothing arrived.
fn no_gaps(
    plan: &Plan,
    feature: &Feature,
    world: &World<'_>,
    watch: &Watch,
    watermark: Timestamp,
) -> Result<(), Violation> {
    if feature.charter == Charter::None {
        return Ok(());
    }
    for shape in shapes_of(feature) {
        let Some((size, hop)) = shape.grid() else { continue };
        let name = shape.name();
        let told = watch.windows.iter().filter(|(k, _)| k.0 == feature.name && k.2 == name);
        let starts: BTreeSet<Timestamp> = told.clone().map(|(key, _)| key.3).collect();
        if let Some(ahead) = starts.iter().find(|start| **start + size > watermark) {
            return Err(Violation::new(
                "windows close by the watermark",
                format!("{} {name} at {ahead} is closed at {watermark}", feature.name),
            ));
        }
        let in_time = told.filter(|(_, revisions)| {
            revisions.first().is_some_and(|first| first.late_count == 0 && first.count > 0)
        });
        let from = match feature.charter {
            // The order of arrival decides which event of a stream is its first.
            Charter::Named if plan.deployment.disorder == Disorder::None => {
                world.first_events.values().min().copied()
            }
            Charter::Named => world.first_events.values().max().copied(),
            _ => in_time.map(|(key, _)| key.3).min(),
        };
        let Some(from) = from else { continue };
        let Some(mut next) = shape.starts(from).last().copied() else { continue };
        while next + size <= watermark {
            if !starts.contains(&next) {
                return Err(Violation::new(
                    "silence has windows",
                    format!("{} {name}: no window at {next}, they begin at {from}", feature.name),
                ));
            }
            next = next + hop;
        }
    }
    Ok(())
}

/// Verdicts follow from windows, and breaches from verdicts.
fn verdicts(
    plan: &Plan,
    feature: &Feature,
    version: &str,
    windows: &BTreeMap<Key, Window>,
    world: &World<'_>,
    watch: &Watch,
) -> Result<(), Violation> {
    let empty = Window::default();
    let times =
        || world.events.iter().filter(|one| one.feature == feature.name).map(|one| one.time);
    for expectation in &feature.expectations {
        let name = expectation.shape.name();
        // A feature is silent in all of its versions or in none.
        let of_all_versions = matches!(expectation.rule, Rule::Silence(_));
        if of_all_versions && !version.is_empty() {
            continue;
        }
        let is_of = |of: &str| of_all_versions || of == version;
        let told = watch
            .windows
            .iter()
            .filter(|(key, _)| key.0 == feature.name && is_of(&key.1) && key.2 == name);
        let mut sequence = BTreeMap::new();
        let (mut is_revised, mut is_known) = (false, true);
        for (key, revisions) in told {
            let Some(last) = revisions.last() else { continue };
            is_revised |= revisions.len() > 1 || last.late_count > 0;
            is_known &= !watch.late.contains_key(key);
            is_known &= !(feature.deduplicates && plan.deployment.disorder == Disorder::Unbounded);
            if expectation.shape.grid().is_none() {
                // What was withdrawn is judged no more.
                if last.count == 0 {
                    continue;
                }
                is_known &= plan.deployment.disorder != Disorder::Unbounded;
            }
            let of = (key.0.clone(), key.1.clone(), expectation.shape, key.3);
            let window = windows.get(&of).unwrap_or(&empty);
            let said = said(last, expectation)?;
            let expected = match expectation.rule {
                // Only where nothing is late all was known at the window's end.
                Rule::Silence(after) if plan.deployment.disorder == Disorder::None => {
                    oracle::silence(times(), last.window_end, after)
                }
                _ => window.judge(expectation),
            };
            if is_known && expected != said && expected != Verdict::Either {
                return Err(Violation::new(
                    "verdicts equal the oracle's",
                    format!("{}: {expected:?} was to be said of {last:?}", expectation.name),
                ));
            }
            sequence.insert(key.3, said);
        }
        let steps = oracle::breaches(sequence.into_iter(), expectation);
        let lines: Vec<&Breach> = watch
            .breach_lines
            .iter()
            .filter(|line| {
                line.feature == feature.name
                    && is_of(&line.feature_version)
                    && line.expectation == expectation.name
            })
            .collect();
        if is_revised { settled(&steps, &lines) } else { exactly(&steps, &lines) }.map_err(
            |why| {
                let detail = format!(
                    "{why}: {} {version:?} {}: {steps:?} was to be told, {lines:?} was",
                    feature.name, expectation.name
                );
                Violation::new("final breaches equal the oracle's", detail)
            },
        )?;
    }
    Ok(())
}

fn said(window: &ToldWindow, expectation: &Expectation) -> Result<Verdict, Violation> {
    let judged = window.judged.iter().find(|judged| judged.expectation == expectation.name);
    match judged.map(|judged| judged.verdict) {
        Some(Told::Good) => Ok(Verdict::Good),
        Some(Told::Bad) => Ok(Verdict::Bad),
        Some(Told::NotJudged) => Ok(Verdict::NotJudged),
        None => Err(Violation::new(
            "verdicts equal the oracle's",
            format!("{} says nothing of {window:?}", expectation.name),
        )),
    }
}

/// Without revisions every line follows from the verdicts.
fn exactly(steps: &[Step], lines: &[&Breach]) -> Result<(), &'static str> {
    let told: Vec<Option<Step>> = lines
        .iter()
        .map(|line| {
            Some(match line.transition {
                Transition::Opened => Step::Opened(line.window_start),
                Transition::Sustained => Step::Sustained(line.window_start),
                Transition::Cleared => Step::Cleared(line.window_start),
                Transition::Retracted => return None,
            })
        })
        .collect();
    let same = told.len() == steps.len() && told.iter().zip(steps).all(|(a, b)| *a == Some(*b));
    if same { Ok(()) } else { Err("line by line") }
}

/// With revisions the lines depend on their order; what stands at the end does not.
fn settled(steps: &[Step], lines: &[&Breach]) -> Result<(), &'static str> {
    let mut last: BTreeMap<&str, Transition> = BTreeMap::new();
    for line in lines {
        last.insert(&line.breach_id, line.transition);
    }
    let is_open =
        |transition: &&Transition| matches!(transition, Transition::Opened | Transition::Sustained);
    let open = last.values().filter(is_open).count();
    let ends_open = matches!(steps.last(), Some(Step::Opened(_) | Step::Sustained(_)));
    if open != usize::from(ends_open) {
        return Err("open at the end");
    }
    let standing = last.values().filter(|last| **last != Transition::Retracted).count();
    let expected = steps.iter().filter(|step| matches!(step, Step::Opened(_))).count();
    match (standing, expected) {
        (0, 1..) => Err("all are retracted"),
        (1.., 0) => Err("some are not retracted"),
        _ => Ok(()),
    }
}

/// What stands in the breach log stands in the incidents.
fn breaches_and_incidents(watch: &Watch) -> Result<(), Violation> {
    let wrong = |detail: String| Err(Violation::new("incidents hold the open breaches", detail));
    for (id, lines) in &watch.breaches {
        let (Some(first), Some(last)) = (lines.first(), lines.last()) else { continue };
        let is_open = matches!(last.transition, Transition::Opened | Transition::Sustained);
        if is_open && last.kind == ExpectationKind::Platform {
            let detail = format!("telemetry has come, but {last:?}");
            return Err(Violation::new("silence of telemetry comes to its end", detail));
        }
        match (is_open, watch.incidents.of_breach(id)) {
            (true, Some(true)) | (false, Some(false)) => {}
            (true, Some(false)) => {
                return wrong(format!("open, but over in its incident: {last:?}"));
            }
            (true, None) => return wrong(format!("open, but in no incident: {first:?}")),
            (false, Some(true)) => {
                return wrong(format!("over, but open in its incident: {last:?}"));
            }
            (false, None) => {
                let (from, to) = watch.written.get(id).copied().unwrap_or_default();
                let minutes = to.unwrap_or(from).since(from).as_micros() / 60_000_000;
                if minutes > HELD_AT_MOST_MINUTES {
                    return wrong(format!("in no incident in {minutes} min: {first:?}"));
                }
            }
        }
    }
    let unknown = watch.incidents.attached().find(|id| !watch.breaches.contains_key(*id));
    unknown.map_or(Ok(()), |id| wrong(format!("breach {id} is in an incident only")))
}
