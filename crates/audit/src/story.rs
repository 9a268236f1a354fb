//! What may happen to an incident, as an auditor reads the formats: a second
//! opinion on the rules, in tables and short conditions.

mod fold;
mod legal;

use std::collections::{BTreeMap, BTreeSet};

use crate::Rule;
use crate::deadline::{Entry, wrong_lateness};
use crate::line::Line;
use crate::pending::{Asks, Pending};

/// Who acts where nobody does.
const SYSTEM: &str = "watchkeep";

/// What only people do.
const OF_PEOPLE: [&str; 4] = ["acknowledged", "remediated", "signed_off", "reviewed"];

/// What Watchkeep alone does.
const OF_THE_SYSTEM: [&str; 11] = [
    "opened",
    "breach_attached",
    "breach_cleared",
    "severity_changed",
    "notified",
    "notification_skipped",
    "acknowledgement_expired",
    "verification_failed",
    "reopened",
    "flapping_started",
    "flapping_ended",
];

/// The action that tells that it goes on to flap.
const FLAPPING_GOES_ON: &str = "flapping_goes_on";

/// Reason of a page to somebody whom another contact has not reached.
const DELIVERY_FAILED: &str = "delivery_failed";

/// Where an incident stands, in the order of its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    #[default]
    Triggered,
    Acknowledged,
    Remediated,
    Verified,
    Resolved,
    Reviewed,
    Closed,
}

impl State {
    const fn name(self) -> &'static str {
        match self {
            Self::Triggered => "triggered",
            Self::Acknowledged => "acknowledged",
            Self::Remediated => "remediated",
            Self::Verified => "verified",
            Self::Resolved => "resolved",
            Self::Reviewed => "reviewed",
            Self::Closed => "closed",
        }
    }
}

/// One incident as its facts tell it.
#[derive(Clone, Debug, Default)]
pub struct Story {
    began: bool,
    /// True for facts that belong to no incident, such as refused commands.
    is_desk: bool,
    state: State,
    severity: String,
    entry: Entry,
    entered: bool,
    resting: bool,
    /// True after a failed verification until the step that it enters.
    fails: bool,
    /// When the last breach cleared, as it was written.
    cleared_at: String,
    /// When a breach was written down that came back after the last one had
    /// cleared, or after a remediation: it fails the verification, so that no
    /// deadline of the step before runs again.
    returned_at: Option<String>,
    exhausted: bool,
    acknowledged_until: Option<Option<String>>,
    /// When it was written down until when the acknowledgement lasts: one that
    /// came in late may have run out by then.
    acknowledged_at: String,
    decided: bool,
    accepted: bool,
    open: BTreeSet<String>,
    /// The latest word of each person at each gate.
    signatures: BTreeMap<(String, String), bool>,
    /// Signatures that are needed at this severity, as facts told.
    needed: BTreeMap<String, i64>,
    silences: BTreeSet<String>,
    /// The incident that speaks for this one; another one takes its place.
    inhibitor: Option<String>,
    /// Whether it flaps, and until when at least.
    flapping: Option<Option<String>>,
    /// True where a page of the present step was held back and the incident
    /// has not gone on since.
    held: bool,
    /// True where a quiet ended without a word of how the incident goes on:
    /// nothing was asked of anybody then.
    lapsed: bool,
    /// Pages that wait for a digest: whose, of which step and climb.
    limited: BTreeSet<(String, String, i64)>,
    /// What each person was paged for last: a step and climb.
    paged: BTreeMap<String, (String, i64)>,
    merged: bool,
    /// What is due besides the deadlines of the step.
    pending: Pending,
}

type Found = Vec<(Rule, String)>;

impl Story {
    /// Takes the next fact and tells what is wrong with it. `before` is the
    /// latest instant before this fact's at which anything was written.
    pub fn follow(&mut self, line: &Line<'_>, before: &str, found: &mut Found) {
        if line.occurred_at > line.recorded_at {
            found.push((Rule::Time, "it was written before it happened".to_owned()));
        }
        found.extend(wrong_lateness(line).map(|detail| (Rule::Time, detail)));
        self.actor(line, found);
        if !self.began {
            return self.begin(line, found);
        }
        if self.is_desk {
            if line.fact == "opened" || line.fact == "notified" {
                found.push((Rule::State, "it belongs to an incident that was not opened".into()));
            }
            return;
        }
        found.extend(self.unanswered(before).map(|detail| (Rule::Deadline, detail)));
        if self.fails && line.fact != "escalated" {
            let detail = "a failed verification enters a step, and none was entered".to_owned();
            found.push((Rule::State, detail));
        }
        self.fails = line.fact == "verification_failed";
        self.legal(line, found);
        self.take(line);
    }

    /// True where flapping was to end at the very instant of a fact.
    fn flaps_until(&self, line: &Line<'_>) -> bool {
        let until = self.flapping.as_ref().and_then(Option::as_ref);
        until == Some(&line.occurred_at)
    }

    fn actor(&self, line: &Line<'_>, found: &mut Found) {
        let by_system = line.actor == SYSTEM;
        let fact = line.fact.as_str();
        if by_system && OF_PEOPLE.contains(&fact) {
            found.push((Rule::Actor, format!("{fact} is for people, and nobody did it")));
        }
        if !by_system && OF_THE_SYSTEM.contains(&fact) {
            found.push((Rule::Actor, format!("{fact} is not for people: {} did it", line.actor)));
        }
    }

    fn begin(&mut self, line: &Line<'_>, found: &mut Found) {
        self.began = true;
        match line.fact.as_str() {
            "opened" => self.enter(line),
            "command_rejected" | "silenced" | "unsilenced" | "action_recorded"
            | "delivery_reported" => self.is_desk = true,
            other => {
                let detail = format!("an incident begins with opened, this one with {other}");
                found.push((Rule::State, detail));
            }
        }
        self.severity = line.text("severity").unwrap_or_default().to_owned();
    }

    /// True where a deadline still asks for what its trigger misses.
    fn asks(&self, trigger: &str) -> bool {
        match trigger {
            "not_acknowledged" => self.acknowledged_until.is_none(),
            "not_remediated" => self.state < State::Remediated,
            _ => !self.decided,
        }
    }

    /// A deadline that was due before `end` and was neither answered nor moved
    /// the incident on.
    pub fn unanswered(&self, end: &str) -> Option<String> {
        if !self.began || self.is_desk || self.state >= State::Resolved {
            return None;
        }
        if let Some(at) = self.returned_at.as_ref().filter(|at| ***at < *end) {
            return Some(format!("a breach came back at {at}, and no verification failed by it"));
        }
        let unended = self.pending.unended(end);
        let rests = self.returned_at.is_some()
            || self.resting
            || self.fails
            || self.lapsed
            || !self.silences.is_empty()
            || self.inhibitor.is_some()
            || (self.flapping.is_some() && self.held);
        if unended.is_some() || rests {
            return unended;
        }
        let asks = Asks {
            acknowledged: self.acknowledged_until.is_some(),
            climbs: self.entered || self.exhausted,
            exhausted: self.exhausted,
        };
        let overdue = self.pending.overdue(asks, end);
        if overdue.is_some() || self.exhausted {
            return overdue;
        }
        let until = self.acknowledged_until.as_ref().and_then(Option::as_deref);
        let is_over = |until: &&str| *until < end && *self.acknowledged_at < *end;
        if let Some(until) = until.filter(is_over) {
            return Some(format!("nothing ends the acknowledgement that lasts until {until}"));
        }
        self.entry.overdue(self.entered, |trigger| self.asks(trigger), end)
    }
}

/// Whose page a fact is about, of which step and climb.
fn addressee(line: &Line<'_>) -> (String, String, i64) {
    let text = |name: &str| line.text(name).unwrap_or_default().to_owned();
    (text("target"), text("step"), line.number("loop").unwrap_or_default())
}
