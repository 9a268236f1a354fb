//! What holds whatever happens.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use watchkeep_model::breach::{Breach, Transition};
use watchkeep_model::charter::{ExpectationKind, Severity};
use watchkeep_model::escalation::Audience;
use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::policy::{Flap, Policy, Rate};
use watchkeep_model::response::{Command, RemedyAction};
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_model::window::{Verdict, Window};

use super::scene::{Scene, at, breach, response, window, world};
use crate::escalate::{Escalate, Settings};
use crate::state::Incident;

#[derive(Clone, Debug)]
enum Move {
    Breach { feature: usize, kind: usize, severity: usize, transition: usize },
    Window { feature: usize, kind: usize, good: bool },
    Respond { by: usize, command: usize, root: usize, action: usize },
    Silence { what: usize, minutes: i64, later: i64 },
    Wait { minutes: i64 },
    Jump { hours: i64 },
}

const FEATURES: [&str; 4] =
    ["flight.arr_delay_min", "flight.origin", "dataset:bts.on_time", "unknown"];
const KINDS: [ExpectationKind; 3] =
    [ExpectationKind::Drift, ExpectationKind::Latency, ExpectationKind::NullRate];
const SEVERITIES: [Severity; 4] =
    [Severity::Info, Severity::Warning, Severity::Error, Severity::Critical];
const PEOPLE: [&str; 4] = ["user:ada", "user:edgar", "user:barbara", "user:nobody"];

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        4 => (0..4_usize, 0..3_usize, 0..4_usize, 0..4_usize).prop_map(
            |(feature, kind, severity, transition)| Move::Breach { feature, kind, severity, transition }
        ),
        3 => (0..4_usize, 0..3_usize, any::<bool>())
            .prop_map(|(feature, kind, good)| Move::Window { feature, kind, good }),
        4 => (0..4_usize, 0..16_usize, 0..4_usize, 0..4_usize)
            .prop_map(|(by, command, root, action)| Move::Respond { by, command, root, action }),
        2 => (0..6_usize, 1..600_i64, 0..60_i64)
            .prop_map(|(what, minutes, later)| Move::Silence { what, minutes, later }),
        4 => (0..400_i64).prop_map(|minutes| Move::Wait { minutes }),
        1 => (0..72_i64).prop_map(|hours| Move::Jump { hours }),
    ];
    proptest::collection::vec(one, 0..60)
}

/// Plays moves, each on the state that there is or, where `restarts`, on one
/// that is folded anew from the log; and so each timer.
struct Player {
    scene: Scene,
    now: Timestamp,
    restarts: bool,
    open: BTreeMap<(usize, usize), Breach>,
    breaches: Vec<Breach>,
    windows: Vec<Window>,
}

impl Player {
    fn new(scene: Scene, restarts: bool) -> Self {
        let (open, breaches, windows) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self { scene, now: at("05-04 10:00"), restarts, open, breaches, windows }
    }

    fn restart(&mut self) {
        if !self.restarts {
            return;
        }
        let mut stage = Escalate::new(Settings::default());
        let kept = self.scene.out.policies.iter();
        kept.for_each(|(at, policy)| stage.restore_policy(Policy::clone(policy), *at));
        self.scene.out.facts.iter().for_each(|fact| stage.restore_fact(fact));
        let world = &self.scene.world;
        self.breaches.iter().for_each(|breach| stage.restore_breach(breach, world));
        self.windows.iter().for_each(|window| stage.restore_window(window));
        self.scene.stage = stage;
    }

    fn advance(&mut self, at: Timestamp) {
        self.restart();
        self.scene.stage.advance(&self.scene.world, at, &mut self.scene.out);
    }

    fn wait(&mut self, until: Timestamp) {
        let mut latest = None;
        loop {
            self.restart();
            // What no fact tells of, such as that a silence has begun, is due
            // again after each restart.
            if !self.fire_beyond(&mut latest, until) {
                break;
            }
        }
        self.now = until;
        self.advance(until);
    }

    /// Fires until something is written or time has gone on; false at the end.
    fn fire_beyond(&mut self, latest: &mut Option<Timestamp>, until: Timestamp) -> bool {
        let Scene { stage, world, out, .. } = &mut self.scene;
        let written = out.facts.len();
        while let Some(due_at) = stage.next_deadline().filter(|due_at| *due_at < until) {
            stage.advance(world, due_at, out);
            let is_later = latest.is_none_or(|latest| due_at > latest);
            *latest = (*latest).max(Some(due_at));
            if is_later || out.facts.len() > written {
                return true;
            }
        }
        false
    }

    fn play(mut self, moves: &[Move]) -> Scene {
        for one in moves {
            self.restart();
            self.make(one);
            // What is due at once belongs to the same turn.
            let Scene { stage, world, out, .. } = &mut self.scene;
            stage.advance(world, self.now, out);
        }
        self.scene
    }

    fn make(&mut self, one: &Move) {
        let now = self.now;
        match *one {
            Move::Breach { feature, kind, severity, transition } => {
                let next = self.next((feature, kind), severity, transition);
                self.breaches.push(next.clone());
                let Scene { stage, world, out, .. } = &mut self.scene;
                stage.breach(&next, world, now, out);
            }
            Move::Window { feature, kind, good } => {
                let of = breach(FEATURES[feature], KINDS[kind], Severity::Error, now);
                let verdict = if good { Verdict::Good } else { Verdict::Bad };
                let window = window(&of, &now.to_string(), verdict);
                self.windows.push(window.clone());
                let Scene { stage, world, out, .. } = &mut self.scene;
                stage.window(&window, world, now, out);
            }
            Move::Respond { by, command, root, action } => {
                let mut wish = response(&now.to_string(), PEOPLE[by], Command::ALL[command].0);
                wish.subject = Some(FEATURES[root].to_owned());
                wish.action = Some(
                    [
                        RemedyAction::Fix,
                        RemedyAction::Accept,
                        RemedyAction::Rollback,
                        RemedyAction::Other,
                    ][action],
                );
                let Scene { stage, world, out, .. } = &mut self.scene;
                stage.respond(&wish, world, now, out);
            }
            Move::Silence { what, minutes, later } => self.silence(what, minutes, later),
            Move::Wait { minutes } => self.wait(now + TimeSpan::MINUTE.times(minutes)),
            Move::Jump { hours } => {
                self.now = now + TimeSpan::HOUR.times(hours);
                self.advance(self.now);
            }
        }
    }

    fn next(&mut self, slot: (usize, usize), severity: usize, transition: usize) -> Breach {
        let (feature, kind) = slot;
        let new = || breach(FEATURES[feature], KINDS[kind], SEVERITIES[severity], self.now);
        let mut next = match (transition, self.open.get(&slot)) {
            (0 | 1, None) => {
                let new = new();
                self.open.insert(slot, new.clone());
                new
            }
            (_, Some(known)) => known.clone(),
            (_, None) => new(),
        };
        next.transition =
            [Transition::Opened, Transition::Sustained, Transition::Cleared, Transition::Retracted]
                [transition];
        if transition >= 2 {
            self.open.remove(&slot);
        }
        // An opening that is told again is told as it was.
        if transition > 0 {
            (next.detected_at, next.window_end) = (self.now, self.now);
        }
        next
    }

    fn silence(&mut self, what: usize, minutes: i64, later: i64) {
        let now = self.now;
        let mut wish = response(&now.to_string(), "user:ada", Command::Silence);
        wish.subject = None;
        let matchers = [
            "severity=~\"error|critical\"",
            "root=\"feature:flight.*\"",
            "kind=drift",
            "owner!=user:ken",
            "severity=info",
        ];
        match matchers.get(what) {
            Some(matcher) => wish.matchers = vec![matcher.parse().unwrap()],
            None => {
                wish.command = Command::Unsilence;
                let first = self.scene.stage.silences().next();
                wish.silence = first.map(|silence| silence.data.silence.clone());
            }
        }
        wish.from = Some(now + TimeSpan::MINUTE.times(later));
        wish.until = Some(now + TimeSpan::MINUTE.times(later + minutes));
        let Scene { stage, world, out, .. } = &mut self.scene;
        stage.respond(&wish, world, now, out);
    }
}

fn play(moves: &[Move]) -> Scene {
    Player::new(Scene::new(), false).play(moves)
}

/// A world in which few pages are too many and the platform is soon to blame.
fn crowded() -> Scene {
    let mut world = world();
    let policy = world.policies.get_mut("flights").expect("it is the world's");
    policy.limits.per_owner = Some(Rate { burst: 1, per: TimeSpan::MINUTE.times(20) });
    policy.limits.platform_incident_share = Some(0.4);
    policy.attribution.min_features = 2;
    policy.damping.flap = Some(Flap { look_back: 4, changes: 2 });
    Scene::within(world)
}

fn answered(fact: &Fact) -> Option<(String, String, String)> {
    let due = match &fact.data {
        FactData::Escalated(d) => (d.due_at, d.trigger.clone()),
        FactData::Exhausted(d) => (d.due_at, d.trigger.clone()),
        FactData::AcknowledgementExpired(d) => (d.due_at, "ack_timeout".into()),
        _ => return None,
    };
    let by_clock = due.1.starts_with("not_") || due.1 == "ack_timeout";
    by_clock.then(|| (fact.incident_id.clone(), due.0.to_string(), due.1))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_log_is_sound(moves in moves()) {
        let scene = play(&moves);
        // Chains are dense and unbroken, and folding them again gives the same state.
        scene.check();
        // No deadline is answered twice.
        let mut seen = BTreeSet::new();
        for answer in scene.out.facts.iter().filter_map(answered) {
            prop_assert!(seen.insert(answer.clone()), "{answer:?} twice");
        }
        // Nothing happens before its time, nor is a page sent once it is over.
        let mut over: BTreeSet<&str> = BTreeSet::new();
        for fact in &scene.out.facts {
            prop_assert!(fact.occurred_at <= fact.recorded_at);
            match &fact.data {
                FactData::Resolved(_) => { over.insert(&fact.incident_id); }
                FactData::Reopened(_) => { over.remove(fact.incident_id.as_str()); }
                FactData::Notified(_) | FactData::Escalated(_) => {
                    prop_assert!(!over.contains(fact.incident_id.as_str()));
                }
                _ => {}
            }
        }
        // Nobody is paged for what is silenced or inhibited.
        let mut folded: BTreeMap<&str, Incident> = BTreeMap::new();
        for fact in &scene.out.facts {
            match folded.get_mut(fact.incident_id.as_str()) {
                Some(incident) => {
                    let told = matches!(fact.data, FactData::Notified(_));
                    prop_assert!(!told || incident.quiet.muted().is_none(), "{fact:?}");
                    incident.apply(fact);
                }
                None => _ = Incident::begin(fact).map(|one| folded.insert(&fact.incident_id, one)),
            }
        }
        // A page that was held back is held back still, or was sent, or nothing
        // is asked any more.
        for incident in folded.values() {
            let due = incident.quiet.owes && incident.is_open() && !incident.resting;
            prop_assert!(!due || incident.rests(), "{incident:?}");
            prop_assert!(incident.quiet.since.is_some() || !incident.rests() || !incident.is_open());
            // Whoever speaks for another is open itself.
            if let Some(by) = incident.quiet.inhibited_by.as_deref() {
                prop_assert!(folded.get(by).is_some_and(Incident::is_open));
            }
        }
        // Each page is one fact and one message; identifiers do not repeat.
        let notified = scene.out.facts.iter().filter(|fact| match &fact.data {
            FactData::Notified(data) => data.carried_by.is_none(),
            _ => false,
        });
        let pages = scene.out.escalations.iter().filter(|e| e.audience == Audience::Page);
        prop_assert_eq!(notified.count(), pages.count());
        let ids: BTreeSet<&str> = scene.out.escalations.iter().map(|e| e.id.as_str()).collect();
        prop_assert_eq!(ids.len(), scene.out.escalations.len());
        // No timer is left behind.
        if let Some(due_at) = scene.stage.next_deadline() {
            prop_assert!(due_at >= at("05-04 10:00"));
        }
    }

    #[test]
    fn the_same_input_gives_the_same_log(moves in moves()) {
        prop_assert_eq!(play(&moves).out, play(&moves).out);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Digests that wait, messages about joined breaches that are due, the
    /// share of features that breach, and all else that no fact tells by
    /// itself follows from the log.
    #[test]
    fn a_state_that_is_folded_anew_before_every_event_gives_the_same_log(moves in moves()) {
        let whole = Player::new(crowded(), false).play(&moves).out;
        let anew = Player::new(crowded(), true).play(&moves).out;
        let at = whole.facts.iter().zip(&anew.facts).position(|(a, b)| a != b);
        prop_assert_eq!(at.map(|at| (&whole.facts[at], &anew.facts[at])), None);
        prop_assert_eq!(whole, anew);
    }
}
