//! Drives the escalate stage by a given time: at one instant windows first,
//! then responses, then timers.

use std::collections::{BTreeMap, VecDeque};

use watchkeep_detection::evaluate::Decided;
use watchkeep_incident::command::is_about_charters;
use watchkeep_incident::escalate::{Escalate, Outputs, Settings};
use watchkeep_incident::registry::Registry;
use watchkeep_model::breach::Breach;
use watchkeep_model::response::Response;
use watchkeep_model::time::Timestamp;

/// The escalate stage with responses that take effect at their own time.
#[derive(Debug)]
pub struct EscalationClock {
    escalate: Escalate,
    /// Ascending by `at`.
    responses: VecDeque<Response>,
    /// Rules that forbid commands about charters, by the command's identifier;
    /// the others were carried out before the replay began.
    forbidden: BTreeMap<String, String>,
    outputs: Outputs,
    /// True where promises are told of, from the first window on.
    upkeep: bool,
    /// What has happened so far. A timer that could not fire at its time fires
    /// late, never in the past.
    now: Timestamp,
}

impl EscalationClock {
    /// A stage without incidents.
    pub fn new(settings: Settings, responses: VecDeque<Response>) -> Self {
        Self {
            escalate: Escalate::new(settings),
            responses,
            forbidden: BTreeMap::new(),
            outputs: Outputs::default(),
            upkeep: false,
            now: Timestamp::MIN,
        }
    }

    /// Says which commands about charters are forbidden, and by which rule.
    #[must_use]
    pub fn with_forbidden(self, forbidden: BTreeMap<String, String>) -> Self {
        Self { forbidden, ..self }
    }

    /// Tells, too, what charters and policies promise to be looked at.
    #[must_use]
    pub fn with_upkeep(self, upkeep: bool) -> Self {
        Self { upkeep, ..self }
    }

    /// Lets everything happen that is due before `at`.
    pub fn run_before(&mut self, at: Timestamp, registry: &Registry) {
        while let Some(due) = self.next().filter(|due| *due < at) {
            self.happen(due, registry);
        }
    }

    /// Lets everything happen that is due at `at` or before.
    pub fn run_to(&mut self, at: Timestamp, registry: &Registry) {
        while let Some(due) = self.next().filter(|due| *due <= at) {
            self.happen(due, registry);
        }
    }

    /// Takes a window and what it did to breaches.
    pub fn take(&mut self, decided: &Decided, registry: &Registry) {
        self.now = self.now.max(decided.at);
        if self.upkeep && !self.escalate.tells_upkeep() {
            // What fell due before the first window was told by whoever
            // watched before.
            self.escalate.tell_upkeep(self.now, self.now);
        }
        for breach in &decided.breaches {
            self.escalate.breach(breach, registry, decided.at, &mut self.outputs);
        }
        self.escalate.window(&decided.window, registry, decided.at, &mut self.outputs);
    }

    /// Takes a breach of Watchkeep itself at `now`. Its own time may be of
    /// another clock than that of the replay.
    pub fn platform(&mut self, breach: &Breach, now: Timestamp, registry: &Registry) {
        self.now = self.now.max(now);
        let breach = Breach { detected_at: now, ..breach.clone() };
        self.escalate.breach(&breach, registry, now, &mut self.outputs);
    }

    /// What has happened since the last call.
    pub fn take_outputs(&mut self) -> Outputs {
        std::mem::take(&mut self.outputs)
    }

    fn next(&self) -> Option<Timestamp> {
        let response = self.responses.front().map(|response| response.at);
        match (response, self.escalate.next_deadline()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (one, None) | (None, one) => one,
        }
    }

    fn happen(&mut self, due: Timestamp, registry: &Registry) {
        let at = self.now.max(due);
        self.now = at;
        if self.responses.front().is_some_and(|response| response.at <= at)
            && let Some(response) = self.responses.pop_front()
        {
            let out = &mut self.outputs;
            if !is_about_charters(&response) {
                self.escalate.respond(&response, registry, at, out);
            } else if let Some(rule) = self.forbidden.get(&response.id()) {
                self.escalate.refuse(&response, rule.clone(), registry, at, out);
            }
        } else {
            self.escalate.advance(registry, at, &mut self.outputs);
        }
    }
}
