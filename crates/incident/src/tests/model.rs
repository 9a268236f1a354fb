//! The rules against a small model of them, written from the formats alone:
//! how long each deadline runs, what stops it and what follows.
//!
//! The model knows one feature with one expectation and a policy of plain
//! steps; everything counts in whole minutes.

use proptest::prelude::*;
use watchkeep_model::breach::Transition;
use watchkeep_model::charter::{ExpectationKind, Severity};
use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::policy::{Notify, NotifyTarget, OnExhausted, Policy, Step, Verification};
use watchkeep_model::response::Command;
use watchkeep_model::time::TimeSpan;
use watchkeep_model::window::Verdict;

use super::scene::{DELAY, Scene, World, at, breach, response, world};

/// What the policy says, in minutes.
#[derive(Clone, Debug)]
struct Plan {
    group_wait: i64,
    /// Acknowledge and remediate within, of each step.
    steps: Vec<(Option<i64>, Option<i64>)>,
    loops: u32,
    ack_timeout: Option<i64>,
    keep_firing_for: i64,
    reopen_within: i64,
    repeat_interval: i64,
    /// Good windows that verify, and the step that a failure enters.
    verification: Option<(u32, Option<usize>)>,
}

#[derive(Clone, Copy, Debug)]
enum Happens {
    Window(bool),
    Acknowledge,
    Remediate,
    Escalate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Triggered,
    Acknowledged,
    Remediated,
    Resolved,
}

/// An incident by the formats.
#[derive(Clone, Debug)]
struct Incident {
    state: State,
    step: usize,
    climb: u32,
    entered: i64,
    acknowledged_until: Option<Option<i64>>,
    cleared_at: Option<i64>,
    good: u32,
    exhausted: bool,
    repeat_at: Option<i64>,
    reopens_until: i64,
}

#[derive(Debug)]
struct Model<'p> {
    plan: &'p Plan,
    now: i64,
    breach: bool,
    held_until: Option<i64>,
    incident: Option<Incident>,
    told: Vec<(i64, String)>,
}

impl Model<'_> {
    fn tell(&mut self, what: impl Into<String>) {
        self.told.push((self.now, what.into()));
    }

    fn incident(&mut self) -> &mut Incident {
        self.incident.as_mut().expect("called while there is one")
    }

    fn is_open(&self) -> bool {
        self.incident.as_ref().is_some_and(|incident| incident.state != State::Resolved)
    }

    fn rests(&self) -> bool {
        let rests = |one: &Incident| one.state == State::Remediated || one.cleared_at.is_some();
        self.incident.as_ref().is_none_or(rests)
    }

    fn enter(&mut self, step: usize, climb: u32, reason: &str) {
        let now = self.now;
        let incident = self.incident();
        (incident.step, incident.climb, incident.entered) = (step, climb, now);
        self.tell(format!("page step{step} {climb} {reason}"));
    }

    fn climb(&mut self, trigger: &str) {
        let (steps, loops) = (self.plan.steps.len(), self.plan.loops);
        let incident = self.incident();
        let (step, climb) = (incident.step, incident.climb);
        if step + 1 < steps {
            self.tell(format!("climb step{} {climb} {trigger}", step + 1));
            self.enter(step + 1, climb, "escalated");
        } else if climb < loops {
            self.tell(format!("climb step0 {} {trigger}", climb + 1));
            self.enter(0, climb + 1, "escalated");
        } else {
            incident.exhausted = true;
            self.tell(format!("exhausted {trigger}"));
            self.tell_the_last("exhausted");
        }
    }

    fn tell_the_last(&mut self, reason: &str) {
        let next = self.now + self.plan.repeat_interval;
        let incident = self.incident();
        incident.repeat_at = incident.acknowledged_until.is_none().then_some(next);
        let climb = incident.climb;
        self.tell(format!("page on_exhausted {climb} {reason}"));
    }

    fn begin_anew(&mut self) {
        let incident = self.incident();
        incident.state = State::Triggered;
        incident.acknowledged_until = None;
        incident.cleared_at = None;
        (incident.good, incident.exhausted, incident.repeat_at) = (0, false, None);
    }

    fn fail(&mut self) {
        self.tell("verification_failed");
        let to = self.plan.verification.and_then(|(_, step)| step).unwrap_or(0);
        self.begin_anew();
        self.tell(format!("climb step{to} 1 verification_failed"));
        self.enter(to, 1, "verification_failed");
    }

    fn window(&mut self, good: bool) {
        let remediated = self.incident.as_ref().is_some_and(|i| i.state == State::Remediated);
        if good {
            if std::mem::take(&mut self.breach) {
                if self.held_until.take().is_some() || !self.is_open() {
                    return;
                }
                let now = self.now;
                let incident = self.incident();
                incident.cleared_at = Some(now);
                // The window that clears is counted where it verifies a remediation.
                incident.good = if remediated { incident.good + 1 } else { 0 };
            } else if self.is_open() && self.incident().cleared_at.is_some() {
                self.incident().good += 1;
            }
            return;
        }
        if !self.breach {
            self.breach = true;
            if !self.is_open() {
                self.held_until = Some(self.now + self.plan.group_wait);
                return;
            }
            // It comes back after the clearing.
            self.fail();
        } else if self.held_until.is_none() && remediated {
            self.fail();
        }
    }

    fn command(&mut self, what: Happens) {
        let (open, rests, now) = (self.is_open(), self.rests(), self.now);
        let timeout = self.plan.ack_timeout;
        match what {
            Happens::Acknowledge if open && self.incident().state != State::Remediated => {
                let incident = self.incident();
                incident.state = State::Acknowledged;
                incident.acknowledged_until = Some(timeout.map(|span| now + span));
                self.tell("acknowledged");
            }
            Happens::Remediate if open => {
                let incident = self.incident();
                incident.state = State::Remediated;
                incident.good = 0;
                self.tell("remediated");
            }
            Happens::Escalate if open && !rests && !self.incident().exhausted => {
                self.climb("requested");
            }
            Happens::Window(_) => {}
            _ => self.tell("rejected"),
        }
    }

    /// Fires what is due now; true where something was.
    fn timer(&mut self) -> bool {
        let now = self.now;
        if self.held_until.is_some_and(|until| until <= now) {
            self.held_until = None;
            self.open();
            return true;
        }
        if !self.is_open() {
            return false;
        }
        if self.settles() {
            return true;
        }
        if self.rests() {
            return false;
        }
        let (acknowledge, remediate) = self.plan.steps[self.incident().step];
        let incident = self.incident();
        let entered = incident.entered;
        let due = |span: Option<i64>| span.is_some_and(|span| entered + span <= now);
        let unanswered = incident.acknowledged_until.is_none();
        let expired = incident.acknowledged_until.flatten().is_some_and(|until| until <= now);
        if incident.exhausted {
            if expired {
                self.expire();
            } else if unanswered && incident.repeat_at.is_some_and(|at| at <= now) {
                self.tell_the_last("repeat");
            } else {
                return false;
            }
        } else if unanswered && due(acknowledge) {
            self.climb("not_acknowledged");
        } else if expired {
            self.expire();
        } else if due(remediate) {
            self.climb("not_remediated");
        } else {
            return false;
        }
        true
    }

    fn expire(&mut self) {
        self.tell("expired");
        let incident = self.incident();
        incident.state = State::Triggered;
        incident.acknowledged_until = None;
        let (step, climb) = (incident.step, incident.climb);
        if incident.exhausted {
            self.tell_the_last("ack_timeout");
        } else {
            self.enter(step, climb, "ack_timeout");
        }
    }

    fn open(&mut self) {
        let detected_at = self.now - self.plan.group_wait;
        let reopens = self.incident.as_ref().is_some_and(|one| detected_at <= one.reopens_until);
        if reopens {
            self.tell("reopened");
            self.begin_anew();
            return self.enter(0, 1, "reopened");
        }
        self.incident = Some(Incident {
            state: State::Triggered,
            step: 0,
            climb: 1,
            entered: self.now,
            acknowledged_until: None,
            cleared_at: None,
            good: 0,
            exhausted: false,
            repeat_at: None,
            reopens_until: i64::MIN,
        });
        self.tell("opened");
        self.enter(0, 1, "first");
    }

    fn settles(&mut self) -> bool {
        let (now, plan) = (self.now, self.plan);
        let incident = self.incident();
        let settled = incident.cleared_at.is_some_and(|at| at + plan.keep_firing_for <= now);
        let needed = plan.verification.map_or(0, |(windows, _)| windows);
        if !settled || incident.good < needed {
            return false;
        }
        incident.state = State::Resolved;
        incident.reopens_until = now + plan.reopen_within;
        if needed > 0 {
            self.tell("verified");
        }
        self.tell("resolved");
        true
    }
}

/// The formats' order at one instant: windows, then responses, then timers.
fn by_the_formats(plan: &Plan, happens: &[(i64, Happens)], ends: i64) -> Vec<(i64, String)> {
    let mut model =
        Model { plan, now: 0, breach: false, held_until: None, incident: None, told: Vec::new() };
    for now in 0..=ends {
        model.now = now;
        let due = || happens.iter().filter(|(at, _)| *at == now).map(|(_, what)| *what);
        for what in due() {
            if let Happens::Window(good) = what {
                model.window(good);
            }
        }
        due().for_each(|what| model.command(what));
        while model.timer() {}
    }
    model.told
}

fn policy(plan: &Plan) -> Policy {
    let minutes = |n: i64| TimeSpan::MINUTE.times(n);
    let notify =
        |name: &str| Notify { target: NotifyTarget::User(name.to_owned()), severities: Vec::new() };
    let mut policy = Policy { name: "flights".into(), version: 1, ..Policy::default() };
    policy.grouping.group_wait = minutes(plan.group_wait);
    policy.grouping.repeat_interval = minutes(plan.repeat_interval);
    policy.damping.keep_firing_for = minutes(plan.keep_firing_for);
    policy.damping.reopen_within = minutes(plan.reopen_within);
    policy.loops = plan.loops;
    policy.ack_timeout = plan.ack_timeout.map(minutes);
    policy.on_exhausted = OnExhausted { notify: vec!["user:radia".into()] };
    let steps = plan.steps.iter().enumerate();
    policy.steps = steps
        .map(|(number, (acknowledge, remediate))| Step {
            name: format!("step{number}"),
            notify: vec![notify("user:edgar")],
            acknowledge_within: acknowledge.map(minutes),
            remediate_within: remediate.map(minutes),
            ..Step::default()
        })
        .collect();
    policy.verification = plan.verification.map(|(good_windows, step)| Verification {
        good_windows,
        on_failure: step.map(|number| format!("step{number}")),
        ..Verification::default()
    });
    policy
}

fn line(fact: &Fact) -> Option<String> {
    Some(match &fact.data {
        FactData::Opened(_) => "opened".into(),
        FactData::Notified(d) => format!("page {} {} {}", d.step, d.climb, d.reason),
        FactData::Escalated(d) => format!("climb {} {} {}", d.to_step, d.climb, d.trigger),
        FactData::Exhausted(d) => format!("exhausted {}", d.trigger),
        FactData::Acknowledged(_) => "acknowledged".into(),
        FactData::AcknowledgementExpired(_) => "expired".into(),
        FactData::Remediated(_) => "remediated".into(),
        FactData::VerificationFailed(_) => "verification_failed".into(),
        FactData::Verified(_) => "verified".into(),
        FactData::Resolved(_) => "resolved".into(),
        FactData::Reopened(_) => "reopened".into(),
        FactData::CommandRejected(_) => "rejected".into(),
        _ => return None,
    })
}

fn by_the_rules(plan: &Plan, happens: &[(i64, Happens)], ends: i64) -> Vec<(i64, String)> {
    let mut world: World = world();
    world.policies.insert("flights".into(), policy(plan));
    let mut scene = Scene::within(world);
    let begin = at("05-08");
    let minute = |n: i64| begin + TimeSpan::MINUTE.times(n);
    let mut open = None;
    // Windows of an instant come before its responses.
    let mut ordered = happens.to_vec();
    ordered.sort_by_key(|(at, what)| (*at, !matches!(what, Happens::Window(_))));
    for (now, what) in ordered {
        let (now, text) = (minute(now), minute(now).to_string());
        match what {
            Happens::Window(good) => {
                let mut next = breach(DELAY, ExpectationKind::Drift, Severity::Error, now);
                match (&open, good) {
                    (None, false) => open = Some(next.clone()),
                    (Some(known), _) => {
                        next.breach_id = watchkeep_model::breach::Breach::clone(known).breach_id;
                        next.transition =
                            if good { Transition::Cleared } else { Transition::Sustained };
                        if good {
                            open = None;
                        }
                    }
                    (None, true) => {}
                }
                if next.transition != Transition::Opened || !good {
                    scene.breach(&next);
                }
                scene.window(&next, &text, if good { Verdict::Good } else { Verdict::Bad });
            }
            Happens::Acknowledge | Happens::Remediate | Happens::Escalate => {
                let command = match what {
                    Happens::Acknowledge => Command::Acknowledge,
                    Happens::Remediate => Command::Remediate,
                    _ => Command::Escalate,
                };
                scene.send(&response(&text, "user:ken", command));
            }
        }
    }
    scene.run_to(&minute(ends).to_string());
    scene.check();
    let told = scene.out.facts.iter().filter_map(|fact| {
        let minutes = fact.occurred_at.since(begin).as_micros() / TimeSpan::MINUTE.as_micros();
        Some((minutes, line(fact)?))
    });
    told.collect()
}

fn plans() -> impl Strategy<Value = Plan> {
    let within = || proptest::option::weighted(0.8, 1..40_i64);
    let step = (1..40_i64, within(), any::<bool>()).prop_map(|(first, second, both)| {
        // Without any deadline a step is never left.
        if both { (Some(first), second) } else { (second, Some(first)) }
    });
    (
        0..4_i64,
        proptest::collection::vec(step, 1..4),
        1..4_u32,
        proptest::option::of(1..60_i64),
        prop_oneof![Just(0_i64), 1..30_i64],
        prop_oneof![Just(0_i64), 1..120_i64],
        1..90_i64,
        proptest::option::of((1..4_u32, proptest::option::of(0..3_usize))),
    )
        .prop_map(
            |(group_wait, steps, loops, ack_timeout, keep, reopen, repeat, verification)| {
                let last = steps.len() - 1;
                let verification =
                    verification.map(|(windows, step)| (windows, step.map(|step| step.min(last))));
                Plan {
                    group_wait,
                    steps,
                    loops,
                    ack_timeout,
                    keep_firing_for: keep,
                    reopen_within: reopen,
                    repeat_interval: repeat,
                    verification,
                }
            },
        )
}

/// One event an instant, in order; some instants have a window and a response.
fn stories() -> impl Strategy<Value = Vec<(i64, Happens)>> {
    let what = prop_oneof![
        3 => Just(Happens::Window(false)),
        3 => Just(Happens::Window(true)),
        2 => Just(Happens::Acknowledge),
        1 => Just(Happens::Remediate),
        1 => Just(Happens::Escalate),
    ];
    proptest::collection::vec((1..40_i64, what), 1..30).prop_map(|steps| {
        let mut now = 0;
        let mut story = vec![(0, Happens::Window(false))];
        for (wait, what) in steps {
            now += wait;
            story.push((now, what));
        }
        story
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn the_rules_do_what_the_formats_say(plan in plans(), story in stories()) {
        let ends = story.last().map_or(0, |(at, _)| *at) + 300;
        prop_assert_eq!(by_the_rules(&plan, &story, ends), by_the_formats(&plan, &story, ends));
    }
}
