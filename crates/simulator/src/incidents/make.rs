//! A plan from a seed.

mod documents;

use watchkeep_model::breach::{Breach, Transition};
use watchkeep_model::charter::{ExpectationKind, Severity};
use watchkeep_model::matcher::Matcher;
use watchkeep_model::response::{Command, Feedback, RemedyAction, Response, ReviewAction};
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_model::window::{Judged, Verdict, Window};

use super::plan::{Fault, Held, Input, Plan, What};
use crate::generator::random::Random;
use crate::simulation::Breakage;

/// 2026-03-06T15:00:00Z, a Friday: working hours end within the run.
const BEGIN_MICROS: i64 = 1_772_809_200_000_000;

/// Of so many of 100 subjects the dataset is known. None: an incident of the
/// dataset keeps those of its subjects quiet, and the oracle does not know yet
/// how deadlines go on after that.
const SHARE_UPSTREAM: u64 = 0;

/// Who answers, and somebody whom nobody knows.
const PEOPLE: [&str; 5] = ["user:ada", "user:ben", "user:cleo", "user:dora", "user:nobody"];

impl Plan {
    /// The plan of a seed: the same seed, the same plan.
    pub fn from_seed(seed: u64) -> Self {
        let mut dice = Dice(Random::new(seed ^ 0x1dc1_de17));
        let from = Timestamp::from_micros(BEGIN_MICROS) + dice.span(TimeSpan::HOUR.times(2));
        let subjects = subjects(&mut dice);
        let (documents, settles_by_itself) = documents::of(&mut dice, &subjects);
        let span = minutes(dice.between(15, 50));
        let mut inputs = telling(&mut dice, &subjects, from, span);
        inputs.extend(commands(&mut dice, &subjects, from, span));
        inputs.sort_by_key(|input| input.at);
        // No two at one instant: in which order partitions are read is nobody's promise.
        for next in 1..inputs.len() {
            let after = inputs[next - 1].at + TimeSpan::from_micros(1);
            inputs[next].at = inputs[next].at.max(after);
        }
        let faults = faults(&mut dice, from, span);
        let slack = seconds(dice.one_of(&[0, 1, 20]));
        Self {
            seed,
            from,
            documents,
            partitions: dice.one_of(&[1, 1, 2, 3]),
            inputs,
            faults,
            slack,
            run_on: minutes(dice.one_of(&[60, 300])),
            settles_by_itself,
        }
    }
}

/// Draws in the words of a plan.
pub(super) struct Dice(Random);

impl Dice {
    fn between(&mut self, from: i64, to: i64) -> i64 {
        from + self.0.below((to - from + 1).max(1).unsigned_abs()).cast_signed()
    }

    /// True in so many of 100 cases.
    fn percent(&mut self, share: u64) -> bool {
        self.0.below(100) < share
    }

    fn one_of<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.0.below(of.len() as u64) as usize].clone()
    }

    /// Up to a span, to the microsecond.
    fn span(&mut self, up_to: TimeSpan) -> TimeSpan {
        TimeSpan::from_micros(self.between(0, up_to.as_micros()))
    }
}

fn seconds(n: i64) -> TimeSpan {
    TimeSpan::SECOND.times(n)
}

fn minutes(n: i64) -> TimeSpan {
    TimeSpan::MINUTE.times(n)
}

/// What is watched.
pub(super) struct Subject {
    name: String,
    primary: &'static str,
    /// Made from the one dataset that there is.
    has_upstream: bool,
    expectations: Vec<(String, ExpectationKind, Severity)>,
}

fn subjects(dice: &mut Dice) -> Vec<Subject> {
    let kinds = [
        ExpectationKind::Latency,
        ExpectationKind::Volume,
        ExpectationKind::NullRate,
        ExpectationKind::Range,
    ];
    let severities = [Severity::Info, Severity::Warning, Severity::Error, Severity::Critical];
    (0..dice.between(1, 4))
        .map(|number| Subject {
            name: format!("f{number}"),
            primary: dice.one_of(&["user:ada", "user:ben", "user:cleo"]),
            has_upstream: dice.percent(SHARE_UPSTREAM),
            expectations: (0..dice.between(1, 2))
                .map(|n| (format!("e{n}"), dice.one_of(&kinds), dice.one_of(&severities)))
                .collect(),
        })
        .collect()
}

/// Windows of a minute, judged, and the breaches that follow from them.
fn telling(dice: &mut Dice, subjects: &[Subject], from: Timestamp, span: TimeSpan) -> Vec<Input> {
    let mut inputs = Vec::new();
    // A dataset that is ill makes ill what is made from it.
    let ill = from + dice.span(span);
    let well = ill + minutes(dice.between(2, 20));
    let calm = dice.one_of(&[3, 10]);
    let lasting = dice.one_of(&[50, 80, 95]);
    for subject in subjects {
        let mut open: Vec<Option<Breach>> = vec![None; subject.expectations.len()];
        let mut end = from.floor(TimeSpan::MINUTE) + TimeSpan::MINUTE;
        while end < from + span {
            let at = end + dice.span(seconds(5));
            let mut judged = Vec::new();
            for (number, (name, kind, severity)) in subject.expectations.iter().enumerate() {
                let is_ill = subject.has_upstream && (ill..well).contains(&end);
                let share = if open[number].is_some() { lasting } else { calm };
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
    inputs
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
        last_event_time: None,
        last_materialised_at: None,
        judged,
    }
}

/// What people say, sense and nonsense alike.
fn commands(dice: &mut Dice, subjects: &[Subject], from: Timestamp, span: TimeSpan) -> Vec<Input> {
    let most = dice.one_of(&[0, 6, 20]);
    (0..dice.between(0, most))
        .map(|number| {
            let at = from + dice.span(span + minutes(20));
            let command = dice.one_of(&[
                Command::Acknowledge,
                Command::Acknowledge,
                Command::Acknowledge,
                Command::Remediate,
                Command::Remediate,
                Command::Verify,
                Command::SignOff,
                Command::Resolve,
                Command::Escalate,
                Command::Comment,
                Command::Reassign,
                Command::Review,
                Command::Feedback,
                Command::Close,
            ]);
            let subject = &subjects[dice.between(0, subjects.len() as i64 - 1) as usize];
            let response = response(dice, at, command, subject, number);
            // It is on its way for a while.
            let at = at + dice.span(seconds(2));
            Input { at, what: What::Response(Box::new(response)) }
        })
        .collect()
}

fn response(
    dice: &mut Dice,
    at: Timestamp,
    command: Command,
    subject: &Subject,
    number: i64,
) -> Response {
    let by = dice.one_of(&PEOPLE);
    let mut response = Response::new(at, by, command);
    // Two of the same people at one instant must not be one command.
    response.rationale = Some(format!("simulated {number}"));
    let root = if subject.has_upstream && dice.percent(50) {
        documents::DATASET.to_owned()
    } else {
        format!("feature:{}", subject.name)
    };
    response.subject = Some(root.clone());
    match command {
        Command::Remediate => {
            response.action = Some(dice.one_of(&[
                RemedyAction::Fix,
                RemedyAction::Fix,
                RemedyAction::Other,
                RemedyAction::Rollback,
                RemedyAction::Accept,
            ]));
        }
        Command::SignOff => {
            response.gate = Some(dice.one_of(&["resolve", "rollback"]).to_owned());
            response.approve = Some(dice.percent(80));
        }
        Command::Reassign => response.to = Some(dice.one_of(&PEOPLE).to_owned()),
        Command::Silence => {
            response.subject = None;
            let (name, value) = match dice.between(0, 2) {
                0 => ("root", root),
                1 => ("severity", dice.one_of(&["warning", "error", "critical"]).to_owned()),
                _ => ("owner", subject.primary.to_owned()),
            };
            let name = name.to_owned();
            response.matchers.push(Matcher { name, value, is_equal: true, is_regex: false });
            response.until = Some(at + minutes(dice.between(-2, 40)));
        }
        // Whichever it is that this names: most often none.
        Command::Unsilence => response.silence = Some(format!("silence {number}")),
        Command::Review => {
            response.root_cause = Some("simulated".to_owned());
            let due = at + TimeSpan::DAY;
            let (what, by) = ("look again".to_owned(), by.to_owned());
            response.actions.push(ReviewAction { what, by, due });
        }
        Command::Feedback => {
            response.feedback = Some(dice.one_of(&[
                Feedback::Useful,
                Feedback::FalsePositive,
                Feedback::Duplicate,
            ]));
        }
        _ => {}
    }
    response
}

fn faults(dice: &mut Dice, from: Timestamp, span: TimeSpan) -> Vec<(Timestamp, Fault)> {
    let count = dice.one_of(&[0, 5, 15, 40]);
    let mut faults: Vec<(Timestamp, Fault)> = (0..count)
        .map(|_| {
            let at = from + dice.span(span);
            let lasts = dice.one_of(&[seconds(1), minutes(1), minutes(15)]);
            let lasts = dice.span(lasts);
            let fault = match dice.between(0, 14) {
                0..=2 => Fault::Crash(lasts),
                3..=7 => Fault::Break(dice.one_of(&[
                    Breakage::DiesBefore,
                    Breakage::DiesAfter,
                    Breakage::AnswerLost,
                    Breakage::RequestLost,
                ])),
                8 => Fault::Abort,
                9 => Fault::Fence,
                10 => Fault::Rebalance,
                11 => Fault::Outage(lasts),
                12 => Fault::Hold(
                    dice.one_of(&[Held::Breaches, Held::Windows, Held::Responses]),
                    lasts,
                ),
                13 => Fault::Skew(dice.one_of(&[seconds(-30), TimeSpan::ZERO, seconds(30)])),
                _ => Fault::Dribble(dice.one_of(&[1, 2, 1000])),
            };
            (at, fault)
        })
        .collect();
    faults.sort_by_key(|(at, _)| *at);
    faults
}
