//! The escalate stage played through by hand: what happens at which instant
//! when these breaches, windows and answers come. Nothing is written anywhere.
//!
//! It is what `policy simulate` shows and what the scenario files hold: the
//! real rules on a clock that stands still between two inputs.

use std::collections::BTreeSet;

use watchkeep_model::breach::Breach;
use watchkeep_model::escalation::{Audience, Escalation};
use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::response::Response;
use watchkeep_model::time::Timestamp;
use watchkeep_model::window::Window;

use crate::context::Context;
use crate::escalate::{Escalate, Outputs, Settings};

/// Inputs and timers that one call of [`Rehearsal::run_to`] lets happen.
/// Reaching it means that a rule makes timers that are due at once.
const MOMENTS_MAX: usize = 1_000_000;

/// What one input or one timer led to.
#[derive(Clone, Debug, PartialEq)]
pub struct Moment {
    /// The clock.
    pub at: Timestamp,
    /// Facts, in order.
    pub facts: Vec<Fact>,
    /// Messages, in order.
    pub escalations: Vec<Escalation>,
}

impl Moment {
    /// Messages beside the pages that a `notified` fact tells of already.
    pub fn other_messages(&self) -> impl Iterator<Item = &Escalation> {
        let told: BTreeSet<(&str, &str)> = self
            .facts
            .iter()
            .filter_map(|fact| match &fact.data {
                FactData::Notified(data) => Some((data.target.as_str(), data.channel.as_str())),
                _ => None,
            })
            .collect();
        self.escalations.iter().filter(move |message| {
            let page = message.target.as_deref().zip(message.channel.as_deref());
            message.audience != Audience::Page || page.is_none_or(|page| !told.contains(&page))
        })
    }
}

/// A stage with a clock of its own.
pub struct Rehearsal<'a> {
    context: &'a dyn Context,
    stage: Escalate,
    moments: Vec<Moment>,
    is_asleep: bool,
}

impl std::fmt::Debug for Rehearsal<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rehearsal").field("moments", &self.moments).finish_non_exhaustive()
    }
}

impl<'a> Rehearsal<'a> {
    /// Begins with no incident.
    pub fn new(context: &'a dyn Context) -> Self {
        Self::with(context, Settings::default())
    }

    /// Begins with no incident, under other settings.
    pub fn with(context: &'a dyn Context, settings: Settings) -> Self {
        let stage = Escalate::new(settings);
        Self { context, stage, moments: Vec::new(), is_asleep: false }
    }

    /// Tells also what charters and policies promise to be looked at, of what
    /// falls due after an instant: [`Escalate::tell_upkeep`].
    pub fn tell_upkeep(&mut self, since: Timestamp) {
        self.stage.tell_upkeep(since, since);
    }

    /// A breach, at its `detected_at` or when the stage wakes up after it.
    pub fn breach(&mut self, breach: &Breach, now: Timestamp) {
        self.run_before(now);
        self.happen(now, |stage, context, out| stage.breach(breach, context, now, out));
    }

    /// A judged window.
    pub fn window(&mut self, window: &Window, now: Timestamp) {
        self.run_before(now);
        self.happen(now, |stage, context, out| stage.window(window, context, now, out));
    }

    /// What somebody does.
    pub fn response(&mut self, response: &Response, now: Timestamp) {
        self.run_before(now);
        self.happen(now, |stage, context, out| stage.respond(response, context, now, out));
    }

    /// From now on no timer fires until [`Rehearsal::wake`], as while the
    /// service is stopped.
    pub fn sleep(&mut self) {
        self.is_asleep = true;
    }

    /// Timers fire again; overdue ones at `now`.
    pub fn wake(&mut self, now: Timestamp) {
        self.is_asleep = false;
        self.happen(now, |stage, context, out| stage.advance(context, now, out));
    }

    /// Lets every timer fire that is due before `at`, each at its time.
    pub fn run_before(&mut self, at: Timestamp) {
        self.run(|due| due < at);
    }

    /// Lets every timer fire that is due at `at` or before, each at its time.
    pub fn run_to(&mut self, at: Timestamp) {
        self.run(|due| due <= at);
    }

    fn run(&mut self, is_due: impl Fn(Timestamp) -> bool) {
        if self.is_asleep {
            return;
        }
        for _ in 0..MOMENTS_MAX {
            let Some(due) = self.stage.next_deadline().filter(|due| is_due(*due)) else { return };
            // A timer that could not fire at its time fires late, never in the past.
            let now = self.moments.last().map_or(due, |moment| moment.at.max(due));
            self.happen(now, |stage, context, out| stage.advance(context, now, out));
        }
    }

    fn happen(
        &mut self,
        at: Timestamp,
        act: impl FnOnce(&mut Escalate, &dyn Context, &mut Outputs),
    ) {
        let mut out = Outputs::default();
        act(&mut self.stage, self.context, &mut out);
        let Outputs { facts, escalations, .. } = out;
        if !facts.is_empty() || !escalations.is_empty() {
            self.moments.push(Moment { at, facts, escalations });
        }
    }

    /// The stage as it is.
    pub fn stage(&self) -> &Escalate {
        &self.stage
    }

    /// Puts another stage in its place, such as one folded from the log.
    pub fn replace(&mut self, stage: Escalate) {
        self.stage = stage;
    }

    /// What has happened so far.
    pub fn moments(&self) -> &[Moment] {
        &self.moments
    }
}
