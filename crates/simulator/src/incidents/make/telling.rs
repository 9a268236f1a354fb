//! Windows of a minute, judged, and the breaches that follow from them.

use watchkeep_model::breach::{Breach, Transition};
use watchkeep_model::charter::{ExpectationKind, Severity};
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_model::window::{Judged, Verdict, Window};

use super::{Dice, Subject, minutes, seconds};
use crate::incidents::plan::{Input, What};

/// How expectations behave in a run.
struct Weather {
    /// A source that is ill makes ill what is made from it, so long.
    ill: Timestamp,
    well: Timestamp,
    /// Of 100 windows after a good one so many are bad …
    calm: u64,
    /// … and after a bad one.
    lasting: u64,
}

pub(super) fn of(
    dice: &mut Dice,
    subjects: &[Subject],
    from: Timestamp,
    span: TimeSpan,
) -> Vec<Input> {
    let ill = from + dice.span(span);
    let weather = Weather {
        ill,
        well: ill + minutes(dice.between(2, 20)),
        calm: dice.one_of(&[3, 10, 25]),
        lasting: dice.one_of(&[40, 50, 80, 95]),
    };
    let mut inputs = Vec::new();
    for subject in subjects {
        tell(dice, subject, &weather, (from, span), &mut inputs);
    }
    inputs
}

fn tell(
    dice: &mut Dice,
    subject: &Subject,
    weather: &Weather,
    (from, span): (Timestamp, TimeSpan),
    inputs: &mut Vec<Input>,
) {
    let mut open: Vec<Option<Breach>> = vec![None; subject.expectations.len()];
    let mut end = from.floor(TimeSpan::MINUTE) + TimeSpan::MINUTE;
    while end < from + span {
        let at = end + dice.span(seconds(5));
        let mut judged = Vec::new();
        for (number, (name, kind, severity)) in subject.expectations.iter().enumerate() {
            let is_ill = subject.is_below && (weather.ill..weather.well).contains(&end);
            let share = if open[number].is_some() { weather.lasting } else { weather.calm };
            let is_bad = is_ill || dice.percent(share);
            let verdict = if is_bad { Verdict::Bad } else { Verdict::Good };
            judged.push(Judged { expectation: name.clone(), verdict, ..blank() });
            let line = match (open[number].take(), is_bad) {
                (None, false) => continue,
                (None, true) => opened(subject, name, *kind, *severity, end),
                (Some(before), true) => {
                    Breach { transition: Transition::Sustained, ..at_window(before, end) }
                }
                (Some(before), false) if dice.percent(10) => Breach {
                    transition: Transition::Retracted,
                    revision: 1,
                    detected_at: end,
                    ..before
                },
                (Some(before), false) => {
                    Breach { transition: Transition::Cleared, ..at_window(before, end) }
                }
            };
            let goes_on = matches!(line.transition, Transition::Opened | Transition::Sustained);
            open[number] = goes_on.then(|| line.clone());
            inputs.push(Input { at, what: What::Breach(Box::new(line)) });
        }
        inputs.push(Input { at, what: What::Window(Box::new(window(subject, end, judged))) });
        end = end + TimeSpan::MINUTE;
    }
}

fn blank() -> Judged {
    let line = r#"{"expectation":"","verdict":"good"}"#;
    serde_json::from_str(line).expect("the other fields may be absent")
}

fn opened(
    subject: &Subject,
    expectation: &str,
    kind: ExpectationKind,
    severity: Severity,
    end: Timestamp,
) -> Breach {
    Breach {
        breach_id: format!("{}-{expectation}-{}", subject.name, end.as_micros() / 60_000_000),
        transition: Transition::Opened,
        feature: subject.name.clone(),
        feature_version: String::new(),
        expectation: expectation.to_owned(),
        kind,
        severity,
        window: "1m".to_owned(),
        window_start: end - TimeSpan::MINUTE,
        window_end: end,
        revision: 0,
        detected_at: end,
        observed: None,
        threshold: None,
        p_value: None,
        effect: None,
        baseline: None,
        owner: Some(subject.primary.to_owned()),
        policy: Some("simulated".to_owned()),
        affected_consumers: vec!["service:shop".to_owned()],
        exemplars: Vec::new(),
        reason: "simulated".to_owned(),
    }
}

fn at_window(breach: Breach, end: Timestamp) -> Breach {
    Breach {
        window_start: end - TimeSpan::MINUTE,
        window_end: end,
        detected_at: end,
        revision: 0,
        ..breach
    }
}

fn window(subject: &Subject, end: Timestamp, judged: Vec<Judged>) -> Window {
    Window {
        feature: subject.name.clone(),
        feature_version: String::new(),
        window: "1m".to_owned(),
        window_start: end - TimeSpan::MINUTE,
        window_end: end,
        revision: 0,
        partial: false,
        count: 40,
        null_count: 0,
        error_count: 0,
        status: Default::default(),
        non_finite_count: 0,
        late_count: 0,
        min: None,
        max: None,
        mean: None,
        p50: None,
        p90: None,
        p95: None,
        p99: None,
        latency_us: None,
        age_us: None,
        distinct: None,
        distinct_error: None,
        top: Vec::new(),
        top_error: None,
        last_event_time: None,
        last_materialised_at: None,
        judged,
    }
}
