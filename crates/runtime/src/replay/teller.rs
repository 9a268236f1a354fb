//! Gives what a replay decides to its sink and lets the escalation clock see it.

use std::io;

use watchkeep_detection::evaluate::Decided;
use watchkeep_model::breach::Breach;
use watchkeep_model::incident::FactName;
use watchkeep_model::time::Timestamp;

use super::escalation_clock::EscalationClock;
use super::{Report, Sink};
use crate::rules::Rules;

/// The way of a decision out of a replay, counted.
pub(super) struct Teller<'a> {
    pub(super) rules: &'a Rules,
    pub(super) clock: EscalationClock,
    pub(super) report: Report,
    pub(super) sink: &'a mut dyn Sink,
}

impl Teller<'_> {
    /// A window and its breaches, after all that was due before.
    pub(super) fn decided(&mut self, decided: &Decided) -> io::Result<()> {
        self.clock.run_before(decided.at, &self.rules.registry());
        self.report.windows += 1;
        self.sink.window(&decided.window)?;
        for breach in &decided.breaches {
            self.report.breaches += 1;
            self.sink.breach(breach)?;
        }
        self.clock.take(decided, &self.rules.registry());
        self.incidents()
    }

    /// A breach of Watchkeep itself, at `now` of the watermark.
    pub(super) fn platform(&mut self, breach: &Breach, now: Timestamp) -> io::Result<()> {
        self.report.breaches += 1;
        self.sink.breach(breach)?;
        self.clock.platform(breach, now, &self.rules.registry());
        self.incidents()
    }

    /// Everything that is due at `at` or before.
    pub(super) fn run_to(&mut self, at: Timestamp) -> io::Result<()> {
        self.clock.run_to(at, &self.rules.registry());
        self.report.clock = self.report.clock.max(Some(at));
        self.incidents()
    }

    fn incidents(&mut self) -> io::Result<()> {
        let outputs = self.clock.take_outputs();
        for fact in &outputs.facts {
            self.report.facts += 1;
            self.report.incidents += u64::from(fact.fact == FactName::Opened);
            self.sink.fact(fact)?;
        }
        for escalation in &outputs.escalations {
            self.report.escalations += 1;
            self.sink.escalation(escalation)?;
        }
        Ok(())
    }
}
